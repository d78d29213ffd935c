/* SPDX-License-Identifier: MIT */
/* worker.c - the life of a worker: initializer, then maps and tasks until the pool has no more for it. */
#include "call/call.h"
#include "call/error.h"
#include "call/log.h"
#include "pool/crash.h"
#include "pool/nest.h"
#include "pool/supervise.h"
#include "pool/tail.h"
#include "pool/threads.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int brood__worker_hook(const brood_task *task, const void *arg, size_t arg_size, char said[160])
{
    struct call call;
    char small[256];
    void *result = task->result_size <= sizeof small ? small : malloc(task->result_size);
    brood_bytes bytes = {arg, arg_size};
    brood__call_begin(&call);
    if (result) task->call(task->flags & BROOD_TASK_ARG_BYTES ? (const void *)&bytes : arg, result);
    int fail = call.fail ? call.fail : result ? 0 : BROOD_ENOMEM;
    if (fail) snprintf(said, 160, "%.48s: %s (%d)", task->name, call.fail ? call.text : brood_strerror(fail), fail);
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
    if (brood__pool_threaded(pool) && atomic_load(&pool->broken)) return true; /* a process is killed then */
    return state == POOL_CLOSED && !brood__map_any(pool, seat) && !brood__task_any(pool);
}

/*
 * Nothing to do: a little patience, then sleep until rung.  The word stays announced until there is work.
 * false: it has been too long for one that only stands in.
 */
static bool rest(const struct post *post)
{
    struct pool_shm *pool = post->pool;
    struct seat_shm *seat = post->seat;
    uint64_t pool_id = post->pool_id;
    for (unsigned n = 0; n < SPIN_BEFORE_SLEEP; n++) {
        brood__relax(n);
        if (brood__task_queued(pool) || brood__map_ready(pool, seat)) return true;
    }
    int64_t until = post->number < pool->workers ? OS_NEVER : brood__os_deadline(NEST_LINGER_MS);
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

/* One that is kept to stand in, with nobody to stand in for: sleep until there is, or it is to leave. */
static void park(const struct post *post)
{
    struct pool_shm *pool = post->pool;
    struct seat_shm *seat = post->seat;
    atomic_store(&seat->waits, WAITS_PARKED);
    if (brood__task_queued(pool) || brood__map_ready(pool, seat))
        brood__pool_wake(pool, INT_MAX); /* it may have been woken for this */
    for (;;) {
        atomic_exchange(&pool->parked, OS_WAITERS);
        /* Marked before the looks, some of whose loads are but acquire; pairs with the swaps of who makes it go on. */
        atomic_thread_fence(memory_order_seq_cst);
        if (leave(pool, post->pool_id, seat) || brood__nest_spare_missed(pool)) break;
        brood__sleep(&pool->parked, OS_WAITERS, OS_NEVER, post->pool_id);
    }
    atomic_store(&seat->waits, 0);
}

/* A process that has run so much, or has so much memory, that another is to take its place. */
static bool is_spent(const struct pool_shm *pool, uint32_t items)
{
    if (pool->max_tasks_per_child && items >= pool->max_tasks_per_child) {
        brood__log(BROOD_LOG_INFO, "leaves after %u items, for another to take its place", items);
        return true;
    }
    if (pool->max_memory && brood__os_memory_used() > pool->max_memory) {
        brood__log(BROOD_LOG_INFO, "leaves for the memory it has, for another to take its place");
        return true;
    }
    return false;
}

/* Maps and tasks, until there is no more for this worker. */
static void work_on(const struct post *post, bool thread)
{
    struct pool_shm *pool = post->pool;
    struct seat_shm *seat = post->seat;
    uint32_t most = pool->max_tasks_per_child, items = 0;
    int64_t too_many = 0;
    bool spare = brood__nest_spare(pool, post->number);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->items, 0);
    if (spare && brood__nest_spare_over(pool)) park(post);
    while (!leave(pool, post->pool_id, seat)) {
        int64_t ran = work(pool, post->pool_id, seat, most ? most - items : 0);
        if (ran < 0) {
            if (spare && brood__nest_spare_over(pool)) {
                park(post);
                continue;
            }
            if (rest(post) || spare || (thread && !brood__threads_resign(post))) continue;
            break;
        }
        brood__os_announce(NULL);
        if (!thread) {
            fflush(stdout); /* a worker may be ended at any time after this */
            brood__tail_pass_on(seat);
        }
        items += (uint32_t)ran;
        atomic_store_explicit(&seat->items, items, memory_order_relaxed);
        if (is_spent(pool, items)) break;
        if (spare) {
            if (brood__nest_spare_over(pool)) park(post);
            continue;
        }
        if (brood__nest_over(pool, post->number, &too_many) && (!thread || brood__threads_resign(post))) break;
    }
}

void brood__worker_serve(const struct post *post, const brood_task *exit_hook)
{
    char said[160];
    void *announced = brood__os_announce(NULL);
    work_on(post, true);
    if (atomic_load(&post->pool->state) >= POOL_STOPPING || atomic_load(&post->pool->broken))
        brood__map_cancel_all(post->pool, post->pool_id, post->seat); /* what who ended the pool could not look at */
    brood__pool_wake(post->pool, INT_MAX);
    brood__os_announce_again(announced);
    if (exit_hook) brood__worker_hook(exit_hook, NULL, 0, said);
}

int brood__worker_run(const brood_task *initializer, const void *arg, size_t arg_size)
{
    struct member_shm *me = brood__me();
    struct post post = {.pool_id = me->pool, .number = me->seat};
    int error;
    post.pool = brood__pool_find(post.pool_id, &error);
    if (!post.pool) return 0;
    post.seat = brood__pool_seat(post.pool, post.number);
    brood__crash_watch();
    brood__tail_begin(post.pool, post.pool_id, post.seat);
    int failed = initializer ? brood__worker_hook(initializer, arg, arg_size, me->said) : 0;
    brood__tail_pass_on(post.seat);
    if (failed) return EXIT_INITIALIZER;
    void *announced = brood__os_announce(NULL);
    work_on(&post, false);
    /* Those who sleep may have no more to wait for either, or work that we leave. */
    brood__pool_wake(post.pool, INT_MAX);
    brood__os_announce_again(announced);
    const brood_task *hook;
    if (post.pool->exit_hook && brood__function_find(post.pool->exit_hook, &hook) == 0)
        brood__worker_hook(hook, NULL, 0, me->said);
    brood__tail_pass_on(post.seat);
    return 0;
}
