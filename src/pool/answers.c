/* SPDX-License-Identifier: MIT */
/* answers.c - see pool/answers.h.  Thread-safe; not async-signal-safe. */
#include "pool/answers.h"

#include "call/error.h"
#include "pool/nest.h"
#include "pool/threads.h"
#include "sync/bell.h"

/* Something, or that there will be nothing. */
static int look_at(struct pool_shm *pool, uint64_t pool_id, answers_look_fn *look, void *of, bool thorough)
{
    int result = look(of, thorough);
    if (result != 0) return result;
    if (!brood__slot_is(&pool->slot, pool_id)) return brood__slot_gone(TABLE_POOL, pool_id);
    int broken = atomic_load(&pool->broken);
    return broken ? brood__fail_with(broken, "%s", pool->broken_detail) : 0;
}

static int wait_for(struct pool_shm *pool, uint64_t pool_id, answers_look_fn *look, void *of, int timeout)
{
    int64_t deadline = brood__os_deadline(timeout);
    struct nest nest = {0};
    bool late = timeout == 0;
    int result;
    for (unsigned n = 0;;) {
        result = look_at(pool, pool_id, look, of, n == 0 || late);
        if (result != 0 || late) break;
        if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
            continue;
        }
        atomic_exchange(&pool->answers, OS_WAITERS);
        /* Armed before the look, whose loads are but acquire: pairs with the fence in brood__pool_answer. */
        atomic_thread_fence(memory_order_seq_cst);
        result = look_at(pool, pool_id, look, of, true);
        if (result == 0) result = brood__nest_wait(&nest, pool_id, WAITS_ELSEWHERE);
        if (result != 0) break;
        late = brood__sleep(&pool->answers, OS_WAITERS, deadline, pool_id) < 0;
    }
    brood__nest_end(&nest);
    return result;
}

bool brood__answers_arm(struct pool_shm *pool, uint64_t pool_id, _Atomic uint32_t *asked)
{
    return atomic_load(&pool->polled) && !brood__post_here() && brood__bell_arm_for(pool_id, asked);
}

int brood__answers_wait(uint64_t pool_id, answers_look_fn *look, void *of, int timeout, _Atomic uint32_t *asked)
{
    int error = 0;
    struct pool_shm *pool = brood__pool_find(pool_id, &error);
    if (!pool) return error;
    int result = wait_for(pool, pool_id, look, of, timeout);
    if (result == 0 && timeout == 0 && brood__answers_arm(pool, pool_id, asked))
        result = wait_for(pool, pool_id, look, of, 0);
    if (result == 0) brood__look_up();
    return result == 0 ? brood__not_now(timeout) : result;
}
