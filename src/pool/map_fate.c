/* SPDX-License-Identifier: MIT */
/*
 * map_fate.c - what becomes of maps that do not come to their end by themselves: they are cancelled, their pool is
 * stopped, a worker or the caller dies.  After a death by the supervisor; each function can be interrupted at any
 * instruction and called again.
 */
#include "pool/job.h"

#include <string.h>

void brood__job_cancel(struct job_shm *job)
{
    uint64_t seen = atomic_load(&job->word);
    if (JOB_STATE(seen) == JOB_ACTIVE)
        word_swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_CANCELLED, JOB_OWNER(seen)));
}

void brood__job_finish_cancelled(struct job_shm *job)
{
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        uint64_t seen = atomic_load(&brood__job_chunk(job, i)->word);
        if (CHUNK_STATE(seen) == CHUNK_FREE)
            word_swap(&brood__job_chunk(job, i)->word, &seen, CHUNK_WORD(CHUNK_DONE, CHUNK_RECORD(seen), 0));
    }
}

void brood__job_call_off(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job)
{
    brood__job_cancel(job);
    brood__job_finish_cancelled(job);
    brood__job_tell_if_done(pool, pool_id, job);
}

void brood__map_stop_all(struct pool_shm *pool, uint64_t pool_id)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        void *announced = brood__os_announce(&job->bell);
        brood__job_cancel(job);
        if (JOB_STATE(atomic_load(&job->word)) == JOB_CANCELLED) brood__pool_answer(pool, pool_id, &job->bell);
        brood__os_announce_again(announced);
    }
}

/* ---------------------------------------------------------------------------------------------------- after a death */

static void lose(struct job_shm *job, struct chunk_shm *c, uint64_t seen, const struct death *death)
{
    struct chunk_record *r = chunk_other(c, seen);
    uint64_t running = atomic_load(&c->running);
    /* The item has begun, is not counted as failed, and is one of this chunk's. */
    if (running > r->next && running <= c->end && r->last_failed != running) {
        uint64_t item = running - 1;
        if (job->codes) ((int32_t *)brood__at(job->codes))[item] = death->code;
        if (job->result_size) memset(brood__job_out(job, c, item), 0, job->result_size);
        if (r->lost++ == 0) {
            r->first_lost = running;
            r->signal = death->signal;
            r->status = death->status;
            r->pid = death->pid;
            r->reason = (uint32_t)death->reason;
        }
    }
    if (running > r->next && running <= c->end) r->next = running;
    chunk_turn(c, &seen, r->next == c->end ? CHUNK_DONE : CHUNK_FREE);
}

static void repair_job(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t dead,
                       const struct death *death)
{
    bool some = false;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        struct chunk_shm *c = brood__job_chunk(job, i);
        uint64_t seen = atomic_load_explicit(&c->word, memory_order_acquire);
        if (CHUNK_STATE(seen) != CHUNK_RUNNING || CHUNK_OWNER(seen) != dead) continue;
        lose(job, c, seen, death);
        some = true;
    }
    if (!some) return;
    atomic_store(&job->hint, 0);
    if (JOB_STATE(atomic_load(&job->word)) != JOB_ACTIVE) brood__job_finish_cancelled(job);
    brood__job_tell_if_done(pool, pool_id, job);
}

void brood__map_repair(struct pool_shm *pool, uint64_t pool_id, uint32_t dead)
{
    struct death death;
    brood__pool_death(pool, dead, &death);
    /* A chunk is run from inside its job, whose memory stays until the seat's mark is cleared, which is after this. */
    for (uint32_t i = 0; i < pool->seat_room; i++) {
        struct seat_shm *seat = brood__pool_seat(pool, i);
        uint64_t inside = atomic_load(&seat->inside);
        uint32_t index = (uint32_t)inside - 1;
        if (atomic_load(&seat->member) != dead || index >= JOBS) continue;
        /* A mark that was set too late names a job that is another's by now, or being made. */
        struct job_shm *job = brood__pool_job(pool, index);
        if (JOB_SERIAL(atomic_load(&job->word)) == (uint32_t)(inside >> 32))
            repair_job(pool, pool_id, job, dead, &death);
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        uint64_t seen = atomic_load(&job->word);
        if (JOB_OWNER(seen) != dead || JOB_STATE(seen) == JOB_FREE) continue;
        /* Of the job's caller, or of one who was about to give its memory back, when nobody was inside. */
        uint64_t callers = atomic_load(&job->callers);
        while (callers >> 32 == JOB_SERIAL(seen) && (uint32_t)callers != 0 &&
               !atomic_compare_exchange_weak(&job->callers, &callers, CALLERS(JOB_SERIAL(seen), 0))) {}
        word_swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_RETIRED, 0));
    }
}
