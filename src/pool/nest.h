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
/* Whether fewer, or more, are at work than are to be, at this moment. */
bool brood__nest_short(struct pool_shm *pool);
bool brood__nest_many(struct pool_shm *pool);
#define NEST_LINGER_MS 100

#endif
