/* SPDX-License-Identifier: MIT */
/*
 * pool/window.h - large arrays of the caller's own go to the workers and back through a window: so many slots in the
 * job's memory, of a chunk each.  While the caller waits it copies what is done out of its slot and the next chunk into
 * it; in caches the copies meet the worker's work.
 *
 * In the arena there is `filled` of the job and `shift` of a chunk.  The rest is the caller's: whatever it was doing when
 * it died, nobody needs its copies any more.  A chunk keeps its slot until it is DONE, whoever dies in it.
 */
#ifndef BROOD_POOL_WINDOW_H
#define BROOD_POOL_WINDOW_H

#include "pool/pool.h"

/* The caller's own. */
struct arrays {
    const void *in;
    void *out;
    int *codes;
    size_t in_bytes, out_bytes;
};

#define WINDOW_SLOTS 64u
struct window {
    uint32_t slots;               /* 0: there is none */
    uint32_t chunk[WINDOW_SLOTS]; /* 1 + the number of the chunk in it; 0: it has none */
    uint64_t items;               /* of a slot, at most */
};

static inline struct chunk_shm *brood__job_chunk(const struct job_shm *job, uint32_t index)
{
    return (struct chunk_shm *)brood__at(job->chunks) + index;
}

/* The first item of a chunk. */
static inline uint64_t brood__job_start(const struct job_shm *job, uint32_t index)
{
    return index ? brood__job_chunk(job, index - 1)->end : 0;
}

/* Where a chunk has an item's argument and result. */
static inline const char *brood__job_in(const struct job_shm *job, const struct chunk_shm *c, uint64_t item)
{
    return (const char *)brood__at(job->in) + (item - c->shift) * job->arg_size;
}
static inline char *brood__job_out(const struct job_shm *job, const struct chunk_shm *c, uint64_t item)
{
    return (char *)brood__at(job->out) + (item - c->shift) * job->result_size;
}

/* So many slots at least, and for each worker; an array must fill all of them `least` times.  Tests make it small. */
struct window_size {
    size_t slot_bytes; /* of arguments and results */
    uint32_t slots, per_worker, least;
};
extern struct window_size brood__window_size;

/* For a call that waits for its map of n items, chunks of at most `most` (0: any), none of whose arrays is lent. */
void brood__window_plan(struct window *window, const struct pool_shm *pool, const brood_task *task,
                        const struct arrays *a, size_t n, size_t most);
/* Copy what is done out, and what comes next in; whether there was something.  Between calls the job is to be looked at. */
bool brood__window_turn(struct window *window, struct pool_shm *pool, struct job_shm *job, const struct arrays *a);
/* Whether a chunk's results are in the caller's array already; always false without a window. */
bool brood__window_gave(const struct window *window, const struct job_shm *job, uint32_t index);

#endif
