/* SPDX-License-Identifier: MIT */
/*
 * pool/job.h - steps of jobs and their chunks that the caller (job.c, map.c, map_fill.c, map_end.c), the worker
 * (map_run.c) and who cancels or repairs (map_fate.c) share; see pool/pool.h.
 */
#ifndef BROOD_POOL_JOB_H
#define BROOD_POOL_JOB_H

#include "pool/map.h"
#include "pool/window.h"

/* A map's handle is its pool's and JOB_INSIDE. */
static inline uint32_t map_index(brood_map map)
{
    return (uint32_t)map.serial - 1;
}
static inline uint32_t map_serial(brood_map map)
{
    return (uint32_t)(map.serial >> 32);
}

/* Of a job or a chunk. */
static inline bool word_swap(_Atomic uint64_t *word, uint64_t *seen, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

static inline bool job_is_ours(uint64_t word, uint32_t serial)
{
    return JOB_SERIAL(word) == serial && JOB_OWNER(word) == brood__self->member &&
           (JOB_STATE(word) == JOB_ACTIVE || JOB_STATE(word) == JOB_CANCELLED);
}

/* Write the other record; it counts once the word selects it. */
static inline struct chunk_record *chunk_other(struct chunk_shm *c, uint64_t word)
{
    struct chunk_record *other = &c->record[!CHUNK_RECORD(word)];
    *other = c->record[CHUNK_RECORD(word)];
    return other;
}

/* The word selects the other record and this state; false: we are not its owner any more. */
static inline bool chunk_turn(struct chunk_shm *c, uint64_t *word, enum chunk_state state)
{
    uint64_t to = CHUNK_WORD(state, !CHUNK_RECORD(*word), state == CHUNK_RUNNING ? CHUNK_OWNER(*word) : 0u);
    if (!word_swap(&c->word, word, to)) return false;
    *word = to;
    return true;
}

/* ------------------------------------------------------------------------------------ places of jobs, calls (job.c) */

/* What `callers` of a job is. */
#define CALLERS(serial, calls) ((uint64_t)(serial) << 32 | (uint64_t)(calls))

/* A place for a job: FILLING and ours. */
int brood__job_claim(struct pool_shm *pool, uint32_t *index);
/* FREE, of a job that is FILLING and ours; what it had is given back. */
void brood__job_vacate(struct job_shm *job, uint32_t serial);
/* Free a job's memory and its place, if nobody looks at it any more; else later. */
void brood__job_retire(struct pool_shm *pool, uint32_t index, uint64_t seen);
/*
 * The job of a map that this process has begun, and not waited for to its end: in a call on it from here on, until
 * brood__job_leave.
 */
int brood__job_enter(brood_map map, struct pool_shm **pool, struct job_shm **job);
/* The call ends, outside of a visit; the answer is `result`. */
int brood__job_leave(struct pool_shm *pool, brood_map map, int result);

/* ------------------------------------------------------------------- begin and end of a map (map_fill.c, map_end.c) */

/*
 * Fill a job: arrays that don't lie in buffers get places behind the chunks, all of them or, if one is wanted, a
 * window.
 */
int brood__job_fill(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, const brood_task *task,
                    const struct arrays *a, size_t n, const brood_map_options *o, struct window *window);
/*
 * After the wait, which answered `error`: the answer of the map, which is over.  Of several that waited the first has
 * it.  RETIRED is as good as cancelled for those who work: what is decided by then counts, and of one that was not
 * waited for to its end the items that workers are in, and all after them, do not.
 */
int brood__map_end(struct pool_shm *pool, brood_map map, int error, const struct arrays *a, const struct window *window,
                   brood_report *report, brood_crash *crash);
/*
 * A map is over before its end.  Workers may all be asleep, for nothing of a window could be claimed; those of a closed
 * pool stayed for this map only, and are to leave.  If the caller dies before, the supervisor rings them.
 */
void brood__map_rouse(struct pool_shm *pool, const struct window *window);
/* How many items are decided. */
size_t brood__job_decided(const struct job_shm *job);

/* --------------------------------------------------------------------------------- chunks that are done (map_run.c) */

bool brood__job_all_done(struct job_shm *job);
/* To the caller, who may sleep: after the swap to DONE of a chunk.  The bell was announced before that swap. */
void brood__job_tell_if_done(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job);

/* ------------------------------------------------------------------------------------------ cancelling (map_fate.c) */

/* Items that have not begun never will. */
void brood__job_cancel(struct job_shm *job);
/* Chunks of a cancelled job that nobody has begun are done. */
void brood__job_finish_cancelled(struct job_shm *job);
/* Both, and the caller is told. */
void brood__job_call_off(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job);

#endif
