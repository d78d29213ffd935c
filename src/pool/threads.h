/* SPDX-License-Identifier: MIT */
/*
 * pool/threads.h - pools whose workers are threads of the process that made them (BROOD_START_THREAD).
 *
 * They claim tasks and chunks by the protocol of pool/pool.h, as the member that their process is, each in a seat of its
 * own; so whatever a word says of its owner holds: when the process dies all of them have, and what they were in is lost.
 * One thread does not die alone: there is no repair among those that live.
 *
 * No supervisor is needed.  What it does for pools of processes is done here: brood_pool_new starts the threads; one
 * whose task is about to wait starts another that stands in for it (nest.h); who ends the pool resolves what is open, and
 * the last thread to leave says so (`finished`).  The supervisor touches such a pool when its maker has died, no earlier.
 *
 * seat_shm.member is written by the maker's process, under a mutex of its own, instead of by the supervisor.  Whoever
 * shuts a pool looks at its seats and jobs as a visitor (arena/visit.h), so that its maker does not take them apart
 * meanwhile.  If a process dies here: the maker's death ends all; another's, in the midst of shutting the pool, leaves
 * the rest to the threads, which find the pool's state when they look for work and resolve what is open before they
 * leave, and to those who wait, at their next tick.
 */
#ifndef BROOD_POOL_THREADS_H
#define BROOD_POOL_THREADS_H

#include "pool/pool.h"

/* Where this thread works; zeroes in one that is no worker. */
struct post {
    uint64_t life; /* of its process: a copy of that, made by fork, is none */
    uint64_t pool_id;
    struct pool_shm *pool;
    struct seat_shm *seat;
    uint32_t number; /* of the seat */
};
extern _Thread_local struct post brood__post;

/* NULL: this thread is no worker that is one; a process that is one may ask too. */
static inline const struct post *brood__post_here(void)
{
    return __builtin_expect(brood__post.pool != NULL, 0) && brood__post.life == brood__self->life ? &brood__post : NULL;
}

static inline bool brood__pool_threaded(const struct pool_shm *pool)
{
    return pool->method == BROOD_START_THREAD;
}

/* Where this worker says which task it runs: see member_shm.task. */
_Atomic uint64_t *brood__post_task(void);
/* Whether this thread works for a pool that is being ended. */
bool brood__post_over(void);

/* Whether threads can do as these options say: 0, or BROOD_EINVAL, and which they can't. */
int brood__threads_check(const brood_pool_options *options);
/* Start them in the seats of a pool of ours that is published.  On failure there are none. */
int brood__threads_start(struct pool_shm *pool, uint64_t pool_id, const brood_pool_options *options);
/* The pool's state is no longer OPEN: what follows from that at once.  Async-signal-safe; by any member. */
void brood__threads_shut(uint64_t pool_id);
/*
 * In one who waits, at each tick: what is open in a pool of threads that is ended or broken is resolved, should whoever
 * had to do it have been killed over it.  Of another pool nothing.
 */
void brood__threads_mend(struct pool_shm *pool, uint64_t pool_id);
/* The pool is finished: wait for the threads' last instructions. */
void brood__threads_reap(uint64_t pool_id);
/* In brood_fini: end all of this process's. */
void brood__threads_leave(void);

/* A worker of this pool, a thread of ours, is about to wait: another begins if fewer than `workers` are at work. */
void brood__threads_stand_in(struct pool_shm *pool);
/* One that stands in finds it is too many: true: it is, and leaves; whoever waits from now on does not count on it. */
bool brood__threads_resign(const struct post *post);

/* The life of a worker, after its initializer; in worker.c. */
void brood__worker_serve(const struct post *post, const brood_task *exit_hook);
/* Run an initializer or hook: 0, or what it failed with, and `said` is filled. */
int brood__worker_hook(const brood_task *task, const void *arg, size_t arg_size, char said[160]);

#endif
