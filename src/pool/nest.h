/* SPDX-License-Identifier: MIT */
/*
 * pool/nest.h - tasks that wait for answers of a pool, their own or another: while they do, another worker stands in.
 *
 * A worker whose task is about to sleep says so in its seat (waits), and marks the pool (help).  Who has marked it, or
 * has work while it is marked, asks the supervisor, which starts workers in the seats behind the pool's own as long as
 * fewer than `workers` are at work and something is queued.  They leave when they have been too many for a while.
 *
 * help: WANTED: some worker waits, and fewer work than are to: more work needs the supervisor.  By who waits, before it
 * looks for work; by the supervisor, which makes it NONE before it counts, and WANTED again if need be, before it looks
 * for work (seq_cst: of one who commits work and then looks here, and the supervisor, one sees the other).
 * ASKED: somebody asks at this moment.
 * If a process dies here: the supervisor clears the seat, and looks at all pools after each death, so what the dead has
 * not asked for is seen.  If the supervisor dies over it, the next one begins with WANTED in all pools, and counts.
 *
 * Spares sit in the first of those seats for good.  One is parked (waits, pool_shm.parked) while as many workers as the
 * pool has take work without it, or will when they have what they do now; those that are dead, begin or wait don't.  It
 * marks itself, and the word, before it counts; who makes the count less looks at the word after that (seq_cst: one of the
 * two sees the other): a worker as it begins to wait, the supervisor when it has emptied a seat.  One that works looks
 * whether it is too many after each run, and when it finds no work: after it is parked it looks for work once more, and
 * wakes others for what there is.
 * If a process dies here: the supervisor empties the seat and rings; the next supervisor rings without looking.
 *
 * When all seats there can be have workers that wait for ever for answers of this very pool, none of which is there,
 * nobody can go on: who finds that gets BROOD_EDEADLK; of several at once one, under the arena's verdict latch.
 */
#ifndef BROOD_POOL_NEST_H
#define BROOD_POOL_NEST_H

#include "pool/pool.h"

enum help { HELP_NONE, HELP_WANTED, HELP_ASKED };

/* What a seat waits for: a future of its own pool (its serial), a map of it, or anything that may come otherwise. */
#define WAITS_MAP ((uint64_t)1 << 63)
#define WAITS_FOR_MAP(index, serial) (WAITS_MAP | ((uint64_t)(index) + 1) << 32 | (uint64_t)(serial))
#define WAITS_ELSEWHERE ((uint64_t)1)
#define WAITS_PARKED ((uint64_t)2) /* for a worker to be missing; see below */

/* A wait; zeroes at its beginning. */
struct nest {
    struct pool_shm *pool;
    struct seat_shm *seat;
};

/*
 * Before each sleep for an answer of the pool `pool_id`; what: see above.  0; BROOD_EDEADLK.  Nothing happens outside of
 * workers' tasks.
 */
int brood__nest_wait(struct nest *nest, uint64_t pool_id, uint64_t what);
/* It goes on. */
void brood__nest_end(struct nest *nest);

/* There is more work: after its commit and the look at who is idle. */
void brood__nest_ask(struct pool_shm *pool);

/* In the supervisor: start those that are wanted, by `start`, which says whether it goes on. */
void brood__nest_manage(struct pool_shm *pool, bool (*start)(struct pool_shm *pool, uint32_t seat, void *of), void *of);

/* In a worker, between two tasks: whether it stands in for nobody any more.  *since: of one who asks; 0 at first. */
bool brood__nest_over(struct pool_shm *pool, uint32_t seat, int64_t *since);
/* Whether so many take work that this spare, which does, is one too many; or so few that it, which is parked, is missed. */
bool brood__nest_spare_over(struct pool_shm *pool);
bool brood__nest_spare_missed(struct pool_shm *pool);
/* Those that are parked look again: after what makes one be missed, or leave. */
static inline void brood__nest_unpark(struct pool_shm *pool)
{
    if (atomic_load(&pool->parked)) brood__os_futex_clear_and_wake(&pool->parked); /* seq_cst, see above */
}
/* The worker of this seat is a spare. */
static inline bool brood__nest_spare(const struct pool_shm *pool, uint32_t seat)
{
    return seat >= pool->workers && seat - pool->workers < pool->spares;
}
/* Whether fewer, or more, are at work than are to be, at this moment. */
bool brood__nest_short(struct pool_shm *pool);
bool brood__nest_many(struct pool_shm *pool);
#define NEST_LINGER_MS 100

#endif
