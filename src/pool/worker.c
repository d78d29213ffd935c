/* SPDX-License-Identifier: MIT */
/* worker.c - the life of a worker: initializer, then maps and tasks until the pool has no more for it. */
#include "call/call.h"
#include "call/error.h"
#include "call/log.h"
#include "pool/crash.h"
#include "pool/nest.h"
#include "pool/supervise.h"
#include "pool/tail.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_INITIALIZER 125

/* Initializer or exit hook: what brood_fail was given, or 0. */
static int run_hook(const brood_task *task, const void *arg, size_t arg_size)
{
    struct call call;
    char small[256];
    void *result = task->result_size <= sizeof small ? small : malloc(task->result_size);
    brood_bytes bytes = {arg, arg_size};
    brood__call_begin(&call);
    if (result) task->call(task->flags & BROOD_TASK_ARG_BYTES ? (const void *)&bytes : arg, result);
    int fail = call.fail ? call.fail : result ? 0 : BROOD_ENOMEM;
    if (fail) {
        struct member_shm *me = brood__me();
        snprintf(me->said, sizeof me->said, "%.48s: %s (%d)", task->name, call.fail ? call.text : brood_strerror(fail),
                 fail);
    }
    brood__call_end(&call);
    if (result != small) free(result);
    return fail;
}

/* Run something; how many items, or -1: there is nothing. */
static int64_t work(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat, uint32_t quota)
{
    int64_t slot = -1;
    if (__builtin_expect(atomic_load_explicit(&pool->urgent, memory_order_relaxed) != 0, 0))
        slot = brood__task_claim(pool, true);
    if (slot < 0) {
        int64_t ran = brood__map_run(pool, pool_id, seat, quota);
        if (ran >= 0) return ran;
        slot = brood__task_claim(pool, false);
    }
    return slot < 0 ? -1 : (int64_t)brood__task_run(pool, pool_id, (uint32_t)slot, quota);
}

static bool leave(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat)
{
    uint32_t state = atomic_load(&pool->state);
    if (!brood__slot_is(&pool->slot, pool_id) || state >= POOL_STOPPING) return true;
    return state == POOL_CLOSED && !brood__map_any(pool, seat) && !brood__task_any(pool);
}

/*
 * Nothing to do: a little patience, then sleep until rung.  The word stays announced until there is work.
 * false: it has been too long for one that only stands in.
 */
static bool rest(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat)
{
    for (unsigned n = 0; n < SPIN_BEFORE_SLEEP; n++) {
        brood__relax(n);
        if (brood__task_queued(pool) || brood__map_ready(pool, seat)) return true;
    }
    int64_t until = brood__me()->seat < pool->workers ? OS_NEVER : brood__os_deadline(NEST_LINGER_MS);
    void *announced;
    if (brood__monitor_enter(&pool->idle, &announced) < 0) return true;
    atomic_store_explicit(brood__monitor_asleep(&pool->idle), 1u, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* marked before the look; pairs with the fence in brood__pool_wake */
    bool something = leave(pool, pool_id, seat) || brood__map_ready(pool, seat) || brood__task_queued(pool);
    if (something)
        brood__monitor_leave(&pool->idle, announced, 0, true);
    else
        return brood__monitor_sleep(&pool->idle, until, pool_id) == 0;
    return true;
}

int brood__worker_run(const brood_task *initializer, const void *arg, size_t arg_size)
{
    uint64_t pool_id = brood__me()->pool;
    int error;
    struct pool_shm *pool = brood__pool_find(pool_id, &error);
    if (!pool) return 0;
    struct seat_shm *seat = brood__pool_seat(pool, brood__me()->seat);
    brood__crash_watch();
    brood__tail_begin(pool, pool_id, seat);
    int failed = initializer ? run_hook(initializer, arg, arg_size) : 0;
    brood__tail_pass_on(seat);
    if (failed) return EXIT_INITIALIZER;
    uint32_t most = pool->max_tasks_per_child, items = 0;
    int64_t too_many = 0;
    void *announced = brood__os_announce(NULL);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->items, 0);
    while (!leave(pool, pool_id, seat)) {
        int64_t ran = work(pool, pool_id, seat, most ? most - items : 0);
        if (ran < 0) {
            if (rest(pool, pool_id, seat)) continue;
            break;
        }
        brood__os_announce(NULL);
        fflush(stdout); /* a worker may be ended at any time after this */
        brood__tail_pass_on(seat);
        items += (uint32_t)ran;
        atomic_store_explicit(&seat->items, items, memory_order_relaxed);
        if (most && items >= most) {
            brood__log(BROOD_LOG_INFO, "leaves after %u items, for another to take its place", items);
            break;
        }
        if (pool->max_memory && brood__os_memory_used() > pool->max_memory) {
            brood__log(BROOD_LOG_INFO, "leaves for the memory it has, for another to take its place");
            break;
        }
        if (brood__nest_over(pool, &too_many)) break;
    }
    brood__pool_wake(pool, INT_MAX); /* those who sleep may have no more to wait for either, or work that we leave */
    brood__os_announce(announced);
    const brood_task *hook;
    if (pool->exit_hook && brood__function_find(pool->exit_hook, &hook) == 0) run_hook(hook, NULL, 0);
    brood__tail_pass_on(seat);
    return 0;
}
