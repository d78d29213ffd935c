/* SPDX-License-Identifier: MIT */
/*
 * pool/series.h - the number of a submit, map or stream among those of its pool, from which seeds are made (call/seed.h).
 *
 * A thread takes numbers from pool_shm.series by the block, so that a submit costs no locked instruction; what is left
 * of a block when it turns to another pool is nobody's.  So the numbers of one thread's calls depend on the order of its
 * calls alone.  If a process dies here: its numbers are nobody's.
 */
#ifndef BROOD_POOL_SERIES_H
#define BROOD_POOL_SERIES_H

#include "call/seed.h"
#include "pool/pool.h"

struct series {
    uint64_t pool, life; /* whose it is: a forked child has its parent's */
    uint64_t next, end;
};
extern _Thread_local struct series brood__series;
extern unsigned brood__series_block; /* 1 in tests that compare states */

/* The seed of the next one's first item. */
static inline uint64_t next_seed(struct pool_shm *pool, uint64_t pool_id)
{
    struct series *s = &brood__series;
    if (__builtin_expect(s->next == s->end || s->pool != pool_id || s->life != brood__self->life, 0)) {
        uint64_t first = atomic_fetch_add(&pool->series, brood__series_block);
        *s = (struct series){pool_id, brood__self->life, first, first + brood__series_block};
    }
    uint64_t seed = seed_of_series(pool->seed, s->next++);
    return seed ? seed : 1;
}

#endif
