/* SPDX-License-Identifier: MIT */
/*
 * map_run.c - what is done from a seat, inside a job: the worker's side of maps, find a chunk, claim it, run it, say
 * so; and the looks and the cancelling of the supervisor; see pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "call/call.h"
#include "call/error.h"
#include "pool/crash.h"
#include "pool/job.h"

#include <string.h>

/* Each look goes on where the last one ended, so that all of them together cost one pass. */
bool brood__job_all_done(struct job_shm *job)
{
    uint32_t first = atomic_load_explicit(&job->done, memory_order_acquire), i = first;
    while (i < job->chunk_count &&
           CHUNK_STATE(atomic_load_explicit(&brood__job_chunk(job, i)->word, memory_order_acquire)) == CHUNK_DONE)
        i++;
    while (first < i && !atomic_compare_exchange_weak(&job->done, &first, i)) {} /* never less: see nest.c */
    return i == job->chunk_count;
}

void brood__job_tell_if_done(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job)
{
    atomic_thread_fence(memory_order_seq_cst); /* of two who finish at once, one sees both chunks done */
    if (brood__job_all_done(job))
        brood__pool_answer(pool, pool_id, &job->bell);
    else if (job->windowed && atomic_load_explicit(&job->bell, memory_order_relaxed))
        brood__os_futex_clear_and_wake(&job->bell); /* its slot is free */
}

/*
 * Chunks that may be FREE: `count` from `first` on, best looked at in turn from `hint`.  acquire: pairs with the caller's
 * release, and with that of who saw chunks done.
 */
struct span {
    uint32_t first, count, hint;
};
static struct span claimable(struct job_shm *job)
{
    uint32_t filled = atomic_load_explicit(&job->filled, memory_order_acquire);
    uint32_t done = atomic_load_explicit(&job->done, memory_order_acquire);
    uint32_t hint = atomic_load_explicit(&job->hint, memory_order_relaxed);
    if (done >= filled) return (struct span){0}; /* of a cancelled job even those are done that were not filled */
    return (struct span){done, filled - done, hint > done ? hint - done : 0};
}

static struct chunk_shm *chunk_of(const struct job_shm *job, const struct span *s, uint32_t n, uint32_t *index)
{
    *index = s->first + (s->hint + n) % s->count;
    return brood__job_chunk(job, *index);
}

/* A free chunk: claimed; *word is what its word is then. */
static struct chunk_shm *claim_chunk(struct job_shm *job, uint64_t *word)
{
    struct span span = claimable(job);
    for (uint32_t n = 0; n < span.count; n++) {
        uint32_t i;
        struct chunk_shm *c = chunk_of(job, &span, n, &i);
        uint64_t seen = atomic_load_explicit(&c->word, memory_order_relaxed);
        while (CHUNK_STATE(seen) == CHUNK_FREE) {
            *word = CHUNK_WORD(CHUNK_RUNNING, CHUNK_RECORD(seen), brood__self->member);
            if (!word_swap(&c->word, &seen, *word)) continue;
            atomic_store_explicit(&job->hint, i + 1, memory_order_relaxed);
            return c;
        }
    }
    return NULL;
}

static bool count_failure(struct job_shm *job, struct chunk_shm *c, uint64_t *word, uint64_t item,
                          const struct call *call)
{
    if (job->codes) ((int32_t *)brood__at(job->codes))[item] = BROOD_EFAILED;
    struct chunk_record *r = chunk_other(c, *word);
    if (r->failed++ == 0) {
        r->first_failed = item + 1;
        r->fail = call->fail;
        r->failed_pid = brood__me()->pid;
        memcpy(c->text, call->text, sizeof c->text);
    }
    r->last_failed = item + 1;
    return chunk_turn(c, word, CHUNK_RUNNING);
}

static bool is_unwanted(const void *of)
{
    struct job_shm *job = (struct job_shm *)(uintptr_t)of;
    return JOB_STATE(atomic_load_explicit(&job->word, memory_order_relaxed)) != JOB_ACTIVE;
}

/* Run items of a chunk that is ours, at most `most`; how many. */
static uint64_t run_chunk(struct job_shm *job, struct chunk_shm *c, uint64_t word, uint64_t most, bool *rest)
{
    const brood_task *task;
    int missing = brood__function_find(job->function, &task);
    uint64_t first = c->record[CHUNK_RECORD(word)].next, end = c->end, item = first;
    if (most && end - first > most) end = first + most;
    const char *in = brood__job_in(job, c, first);
    char *out = brood__job_out(job, c, first);
    size_t arg_size = job->arg_size, result_size = job->result_size;
    struct call call;
    brood__call_begin(&call);
    call.unwanted = is_unwanted;
    call.of = job;
    call.seed = job->seed;
    call.item = &c->running;
    for (; item < end; item++, in += arg_size, out += result_size) {
        /* What a death finds: item has begun; those before it are decided.  release: see undecided (map_end.c). */
        atomic_store_explicit(&c->running, item + 1, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
        if (__builtin_expect(missing != 0, 0))
            brood_fail(missing, "%s", brood_error_detail());
        else
            task->call(in, out);
        if (__builtin_expect(call.fail != 0, 0)) {
            if (result_size) memset(out, 0, result_size);
            if (!count_failure(job, c, &word, item, &call)) break;
        }
        if (__builtin_expect(call.fail != 0 || call.blocks, 0)) brood__call_next(&call);
        if (__builtin_expect(JOB_STATE(atomic_load_explicit(&job->word, memory_order_relaxed)) != JOB_ACTIVE, 0)) {
            item++;
            break;
        }
    }
    brood__call_end(&call);
    struct chunk_record *r = chunk_other(c, word);
    r->next = item;
    *rest = item < c->end && JOB_STATE(atomic_load(&job->word)) == JOB_ACTIVE;
    chunk_turn(c, &word, *rest ? CHUNK_FREE : CHUNK_DONE);
    return item - first;
}

/* Some chunk of this job, if there is one. */
static int64_t run_some(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota)
{
    uint64_t word;
    struct chunk_shm *c = claim_chunk(job, &word);
    if (!c) return -1;
    bool rest;
    void *announced = brood__os_announce(&job->bell);
    brood__crash_job(job, c, pool_id);
    int64_t ran = (int64_t)run_chunk(job, c, word, quota, &rest);
    brood__crash_job(NULL, NULL, 0);
    if (rest)
        brood__pool_wake(pool, 1);
    else
        brood__job_tell_if_done(pool, pool_id, job);
    brood__os_announce_again(announced);
    return ran;
}

/* --------------------------------------------------------------------------------------------------------- each job */

/* Whether there is a chunk that nobody has. */
static int64_t has_free(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota)
{
    (void)pool, (void)pool_id, (void)quota;
    struct span span = claimable(job);
    for (uint32_t n = 0; n < span.count; n++) {
        uint32_t i;
        struct chunk_shm *c = chunk_of(job, &span, n, &i);
        if (CHUNK_STATE(atomic_load_explicit(&c->word, memory_order_relaxed)) == CHUNK_FREE) return 1;
    }
    return -1;
}

static int64_t has_undone(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota)
{
    (void)pool, (void)pool_id, (void)quota;
    return brood__job_all_done(job) ? -1 : 1;
}

static int64_t cancel_job(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota)
{
    (void)quota;
    brood__job_call_off(pool, pool_id, job);
    return -1;
}

/*
 * Do something with each active job, inside it by this seat, until one answers >= 0.  Cancelling goes to cancelled ones
 * too: the supervisor that cancelled them may have died before it had finished their chunks.
 */
static int64_t each_job(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat, uint32_t quota,
                        int64_t (*visit)(struct pool_shm *, uint64_t, struct job_shm *, uint32_t))
{
    int64_t answer = -1;
    uint32_t jobs = atomic_load_explicit(&pool->jobs, memory_order_acquire);
    for (uint32_t i = 0; i < jobs && answer < 0; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        uint64_t seen = atomic_load_explicit(&job->word, memory_order_acquire);
        if (JOB_STATE(seen) == JOB_RETIRED && !brood__self->supervisor) brood__job_retire(pool, i, seen);
        bool again = visit == cancel_job && JOB_STATE(seen) == JOB_CANCELLED;
        if (JOB_STATE(seen) != JOB_ACTIVE && !again) continue;
        atomic_store(&seat->inside, JOB_INSIDE(i, JOB_SERIAL(seen))); /* seq_cst, see brood__job_retire */
        if (atomic_load(&job->word) == seen) answer = visit(pool, pool_id, job, quota);
        atomic_store(&seat->inside, 0);
        uint64_t now = atomic_load(&job->word);
        if (JOB_STATE(now) == JOB_RETIRED && JOB_SERIAL(now) == JOB_SERIAL(seen) && !brood__self->supervisor)
            brood__job_retire(pool, i, now);
    }
    return answer;
}

int64_t brood__map_run(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat, uint32_t quota)
{
    return each_job(pool, pool_id, seat, quota, run_some);
}

bool brood__map_ready(struct pool_shm *pool, struct seat_shm *seat)
{
    return each_job(pool, 0, seat, 0, has_free) >= 0;
}

bool brood__map_any(struct pool_shm *pool, struct seat_shm *seat)
{
    return each_job(pool, 0, seat, 0, has_undone) >= 0;
}

void brood__map_cancel_all(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat)
{
    each_job(pool, pool_id, seat, 0, cancel_job);
}
