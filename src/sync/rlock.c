/* SPDX-License-Identifier: MIT */
/*
 * rlock.c - the recursive lock: a lock, and beside its word which thread has it how often; the protocol is in
 * sync/lock.h.  Thread-safe; async-signal-safe as the public header says.
 */
#include "sync/lock.h"

#define DEPTH_ONE ((uint64_t)1 << 30)
#define DEPTH(hold) ((uint32_t)((hold) >> 30 & 0x3fff))
#define TID(hold) ((uint32_t)(hold)&OS_TID_MASK)
#define IS_OF(hold, id) ((uint32_t)((hold) >> 44) == (HANDLE_GENERATION(id) & 0xfffff))
_Static_assert(BROOD_RLOCK_MOST == 0x3fff, "fits its field");

/*
 * Whether the calling thread owns it; *hold is what it was then.  Relaxed: only what this very thread has written can
 * make it so.  Of one that has gone meanwhile `hold` has another tag.
 */
static bool owns(struct lock_shm *l, uint64_t id, uint64_t *hold)
{
    *hold = atomic_load_explicit(&l->hold, memory_order_relaxed);
    return TID(*hold) == brood__os_robust.tid && IS_OF(*hold, id) && brood__lock_is_ours(l, id);
}

static bool swap(struct lock_shm *l, uint64_t *seen, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&l->hold, seen, to, memory_order_relaxed, memory_order_relaxed);
}

/* The word is ours: say which thread has it, unless it has been freed, and is perhaps another's. */
static void hold(struct lock_shm *l, uint64_t id, uint32_t depth)
{
    uint64_t seen = atomic_load_explicit(&l->hold, memory_order_relaxed);
    while (IS_OF(seen, id) && !swap(l, &seen, LOCK_HOLD(HANDLE_GENERATION(id), depth, brood__os_robust.tid))) continue;
}

int brood__rlock_acquire(uint64_t id, int timeout, struct circle *circle)
{
    struct lock_shm *l = brood__slot_find(TABLE_RLOCK, id);
    if (!l) return brood__slot_gone(TABLE_RLOCK, id);
    uint64_t seen;
    while (owns(l, id, &seen)) {
        if (DEPTH(seen) == BROOD_RLOCK_MOST) return BROOD_EAGAIN;
        if (swap(l, &seen, seen + DEPTH_ONE)) return 0;
    }
    int result = brood__lock_acquire(TABLE_RLOCK, id, timeout, circle);
    if (result == 0 || result == BROOD_EOWNERDEAD) hold(l, id, 1);
    return result;
}

/* Release once, or all of it: 0 and *depth is how often it was held. */
static int release(uint64_t id, bool all, uint32_t *depth)
{
    struct lock_shm *l = brood__slot_find(TABLE_RLOCK, id);
    if (!l) return brood__slot_gone(TABLE_RLOCK, id);
    uint64_t seen;
    while (owns(l, id, &seen)) {
        *depth = DEPTH(seen);
        bool last = all || *depth == 1;
        /* Nobody's before it is free: a thread that takes it next must not find this one's name. */
        if (swap(l, &seen, last ? LOCK_HOLD(HANDLE_GENERATION(id), 0, 0) : seen - DEPTH_ONE))
            return last ? brood__lock_release(TABLE_RLOCK, id) : 0;
    }
    return BROOD_EPERM;
}

/* ------------------------------------------------------------------------------------------------ the public calls */

int brood_rlock_new(brood_rlock *rlock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_new(TABLE_RLOCK, &rlock->id);
}

int brood_rlock_free(brood_rlock rlock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_free(TABLE_RLOCK, rlock.id);
}

int brood_rlock_acquire(brood_rlock rlock, int timeout)
{
    int error = brood__enter_for(timeout);
    return error < 0 ? error : brood__rlock_acquire(rlock.id, timeout, NULL);
}

int brood_rlock_release(brood_rlock rlock)
{
    uint32_t depth;
    int error = brood__enter();
    return error < 0 ? error : release(rlock.id, false, &depth);
}

int brood_rlock_depth(brood_rlock rlock)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct lock_shm *l = brood__slot_find(TABLE_RLOCK, rlock.id);
    if (!l) return brood__slot_gone(TABLE_RLOCK, rlock.id);
    uint64_t seen;
    return owns(l, rlock.id, &seen) ? (int)DEPTH(seen) : 0;
}

int brood_rlock_holder(brood_rlock rlock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_holder(TABLE_RLOCK, rlock.id);
}

/* ------------------------------------------------------------------------------------- for what is bound to a lock */

int brood__lock_mine(uint64_t id)
{
    uint64_t seen;
    struct lock_shm *l = brood__lock_find(id);
    if (!l) return brood__lock_gone(id);
    bool mine = HANDLE_TABLE(id) == TABLE_RLOCK ? owns(l, id, &seen) : brood__lock_is_ours(l, id);
    return mine ? 0 : BROOD_EPERM;
}

int brood__lock_let_go(uint64_t id, uint32_t *depth)
{
    if (HANDLE_TABLE(id) == TABLE_RLOCK) return release(id, true, depth);
    *depth = 1;
    return brood__lock_release(TABLE_LOCK, id);
}

int brood__lock_take_again(uint64_t id, uint32_t depth)
{
    if (HANDLE_TABLE(id) != TABLE_RLOCK) return brood__lock_acquire(TABLE_LOCK, id, BROOD_FOREVER, NULL);
    int result = brood__rlock_acquire(id, BROOD_FOREVER, NULL);
    struct lock_shm *l = result == 0 || result == BROOD_EOWNERDEAD ? brood__lock_find(id) : NULL;
    if (l) hold(l, id, depth);
    return result;
}
