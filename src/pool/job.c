/* SPDX-License-Identifier: MIT */
/*
 * job.c - the places of jobs in a pool, and when they are given back: one is claimed, the calls of its caller are
 * counted while they are inside, and the last of them, or of the seats, frees it; the protocol is in pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/job.h"
#include "arena/visit.h"
#include "call/buffer.h"
#include "call/error.h"

/* Calls of its caller that are inside. */
static uint32_t calls_inside(const struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    uint64_t callers = atomic_load(&brood__pool_job(pool, index)->callers);
    return (uint32_t)(callers >> 32) == serial ? (uint32_t)callers : 0;
}

/*
 * Whether a worker, or a call of the caller's, is inside; after a look at the word that found it not ACTIVE, and
 * seq_cst as that: see each_job (map_run.c).
 */
static bool is_occupied(const struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    if (calls_inside(pool, index, serial) != 0) return true;
    for (uint32_t i = 0; i <= pool->seat_room; i++)
        if (atomic_load(&brood__pool_seat(pool, i)->inside) == JOB_INSIDE(index, serial)) return true;
    return false;
}

void brood__job_vacate(struct job_shm *job, uint32_t serial)
{
    uint64_t lent[LENT];
    brood__pool_drop(&job->memory);
    brood__pool_drop((uint64_t *)(void *)&job->crash);
    for (int k = 0; k < LENT; k++) lent[k] = atomic_exchange(&job->lent[k], 0);
    atomic_store_explicit(&job->word, JOB_WORD(serial + 1, JOB_FREE, 0), memory_order_release);
    for (int k = 0; k < LENT; k++) /* freed meanwhile */
        if (lent[k]) brood__slot_collect_one(TABLE_BUFFER, lent[k]);
}

void brood__job_retire(struct pool_shm *pool, uint32_t index, uint64_t seen)
{
    if (JOB_STATE(seen) == JOB_FREE || JOB_STATE(seen) == JOB_FILLING) return;
    struct job_shm *job = brood__pool_job(pool, index);
    uint32_t serial = JOB_SERIAL(seen);
    if (JOB_STATE(seen) != JOB_RETIRED) {
        uint64_t retired = JOB_WORD(serial, JOB_RETIRED, JOB_OWNER(seen));
        if (!word_swap(&job->word, &seen, retired)) return;
        seen = retired;
    }
    /* seq_cst, as a worker's store of `inside` and its look at the word: one of us sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    if (is_occupied(pool, index, serial)) return;
    if (word_swap(&job->word, &seen, JOB_WORD(serial, JOB_FILLING, brood__self->member)))
        brood__job_vacate(job, serial);
}

int brood__job_claim(struct pool_shm *pool, uint32_t *index)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        uint64_t seen = atomic_load_explicit(&job->word, memory_order_acquire);
        if (JOB_STATE(seen) == JOB_RETIRED) {
            brood__job_retire(pool, i, seen);
            seen = atomic_load_explicit(&job->word, memory_order_acquire);
        }
        if (JOB_STATE(seen) != JOB_FREE) continue;
        uint32_t jobs = atomic_load(&pool->jobs);
        while (jobs <= i && !atomic_compare_exchange_weak(&pool->jobs, &jobs, i + 1)) {}
        if (!word_swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_FILLING, brood__self->member))) continue;
        *index = i;
        return 0;
    }
    return brood__fail_with(BROOD_EAGAIN, "%u maps are under way in this pool already", JOBS);
}

/* ------------------------------------------------------------------------------------------------- a caller's calls */

/*
 * A call ends; live: in a visit.  seq_cst, before the look at the word: see callers.  It is also the release of all that
 * the call has read there, which who takes the pool apart acquires in calls_inside.
 */
static void lower(struct pool_shm *pool, uint32_t index, uint32_t serial, bool live)
{
    struct job_shm *job = brood__pool_job(pool, index);
    uint64_t seen = atomic_load(&job->callers);
    while (seen >> 32 == serial && (uint32_t)seen != 0 &&
           !atomic_compare_exchange_weak(&job->callers, &seen, seen - 1)) {}
    if (!live) return; /* who frees the pool frees the job, and we may look at it no more */
    uint64_t word = atomic_load(&job->word);
    if (JOB_SERIAL(word) == serial && JOB_STATE(word) == JOB_RETIRED) brood__job_retire(pool, index, word);
}

/*
 * A call on a job of ours begins: false if that is over, or not ours.  In a visit of the pool, which says that the job is
 * where we look.
 */
static bool raise_callers(struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    struct job_shm *job = brood__pool_job(pool, index);
    if (!job_is_ours(atomic_load(&job->word), serial)) return false; /* acquire: what it was filled with, callers too */
    uint64_t seen = atomic_load(&job->callers);
    do {
        if (seen >> 32 != serial) return false;
    } while (!atomic_compare_exchange_weak(&job->callers, &seen, seen + 1));
    if (job_is_ours(atomic_load(&job->word), serial)) return true;
    lower(pool, index, serial, true); /* over between the two looks */
    return false;
}

int brood__job_enter(brood_map map, struct pool_shm **pool, struct job_shm **job)
{
    unsigned cell;
    *pool = brood__visit_begin(TABLE_POOL, map.pool, &cell);
    if (!*pool) return brood__slot_gone(TABLE_POOL, map.pool);
    bool there = map_index(map) < JOBS && raise_callers(*pool, map_index(map), map_serial(map));
    if (there) *job = brood__pool_job(*pool, map_index(map));
    brood__visit_end(cell);
    return there ? 0 : BROOD_ESTALE;
}

int brood__job_leave(struct pool_shm *pool, brood_map map, int result)
{
    unsigned cell;
    bool live = brood__visit_begin(TABLE_POOL, map.pool, &cell) != NULL;
    lower(pool, map_index(map), map_serial(map), live);
    if (live) brood__visit_end(cell);
    return result;
}

/* ---------------------------------------------------------------------------------------------------- who is inside */

bool brood__map_active(const struct pool_shm *pool)
{
    uint32_t jobs = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->jobs);
    for (uint32_t i = 0; i < jobs && i < JOBS; i++)
        if (JOB_STATE(atomic_load(&brood__pool_job(pool, i)->word)) == JOB_ACTIVE) return true;
    return false;
}

bool brood__map_visited(const struct pool_shm *pool)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        uint64_t seen = atomic_load(&job->word);
        bool called = JOB_STATE(seen) == JOB_FILLING ||
                      (JOB_STATE(seen) != JOB_FREE && calls_inside(pool, i, JOB_SERIAL(seen)) != 0);
        if (called && !brood__member_dead(JOB_OWNER(seen))) return true;
    }
    return false;
}

void brood__map_vacate(struct pool_shm *pool)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        brood__job_vacate(job, JOB_SERIAL(atomic_load(&job->word)));
        atomic_thread_fence(memory_order_seq_cst); /* as in ring (supervise.c) */
        if (atomic_load(&job->bell)) brood__os_futex_clear_and_wake(&job->bell);
    }
}

/* Whether workers may be inside of this job. */
static bool is_used(const struct pool_shm *pool, uint32_t index)
{
    uint64_t word = atomic_load(&brood__pool_job(pool, index)->word);
    if (JOB_STATE(word) == JOB_RETIRED) return is_occupied(pool, index, JOB_SERIAL(word));
    return JOB_STATE(word) != JOB_FREE;
}

bool brood__map_scrub_buffer(struct slot_shm *slot, uint32_t index)
{
    if (!atomic_load(&((struct buffer_shm *)(void *)slot)->lent)) return true;
    uint64_t id = HANDLE(TABLE_BUFFER, index, SLOT_GENERATION(atomic_load(&slot->word)));
    uint32_t pools = brood__table_used(TABLE_POOL);
    for (uint32_t p = 1; p < pools; p++) {
        /* Of a pool that is being taken apart all workers have left, so nothing that is read here can be missed. */
        const struct pool_shm *pool = (const struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, p);
        if (!brood__pool_furnished(pool)) continue;
        uint32_t jobs = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->jobs);
        for (uint32_t i = 0; i < jobs && i < JOBS; i++) {
            struct job_shm *job = brood__pool_job(pool, i);
            bool named = atomic_load(&job->lent[LENT_IN]) == id || atomic_load(&job->lent[LENT_OUT]) == id;
            if (named && is_used(pool, i)) return false;
        }
    }
    return true;
}
