/* SPDX-License-Identifier: MIT */
/*
 * tail.h - the end of what a worker writes to its standard error in a run, for who asks how the run ended.
 *
 * Under keep_stderr a worker's descriptor 2 is a file in memory of its own.  Between runs the worker passes on what is
 * in it to where its owner's standard error leads; the supervisor has a second descriptor of it, given at the worker's
 * start, and reads its end when the worker has died, whatever the worker died of.
 *
 * The pool's memory has places for the last workers that died, taken in turn.  Who writes: the supervisor alone,
 * `whose` last, and 0 first; who reads copies and looks at `whose` once more.  If the supervisor dies here, `whose` is 0,
 * or the next one writes the same again, if it has the file; it does not, for descriptors die with their process, and
 * then there is no tail.
 * seat_shm.passed says how much of the file is of runs before; by the worker.
 */
#ifndef BROOD_POOL_TAIL_H
#define BROOD_POOL_TAIL_H

#include "pool/pool.h"

struct tail_shm {
    _Atomic uint64_t whose; /* handle of the worker; 0: nobody's, or it is being written */
    uint32_t size;
    uint32_t reserved;
    char text[BROOD_CRASH_STDERR];
};

/* By the pool's maker: places for so many workers, and more.  0, BROOD_EARENA. */
int brood__tail_furnish(struct pool_shm *pool, uint64_t pool_id, uint32_t workers);

/* In a worker: from now on; what was written since the last time, passed on. */
void brood__tail_begin(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat);
void brood__tail_pass_on(struct seat_shm *seat);

/* In the supervisor: the file of a worker of this generation; it has died: before its tasks are told; afterwards. */
void brood__tail_take(uint32_t member, uint32_t generation, int fd);
void brood__tail_keep(struct pool_shm *pool, uint32_t dead);
void brood__tail_drop(uint32_t dead);

/* Copy out what is known of this worker, as text. */
void brood__tail_read(const struct pool_shm *pool, uint64_t worker, brood_crash *crash);

#endif
