/* SPDX-License-Identifier: MIT */
/*
 * map.c - maps: a job with chunks, the caller's side and the worker's; the protocol is in pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/map.h"
#include "arena/visit.h"
#include "call/buffer.h"
#include "call/call.h"
#include "call/error.h"
#include "pool/answers.h"
#include "pool/crash.h"
#include "pool/dispatch.h"
#include "pool/nest.h"
#include "pool/series.h"
#include "pool/tail.h"
#include "pool/threads.h"
#include "pool/window.h"
#include "sync/bell.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool swap(_Atomic uint64_t *word, uint64_t *seen, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

/* ----------------------------------------------------------------------------------------------------------- chunks */

/* How many items the next chunk gets: a share of what is left, so that chunks shrink towards the end. */
static uint64_t share(uint64_t left, uint32_t workers, size_t most)
{
    uint64_t size = left / (2 * (uint64_t)workers);
    if (size == 0) size = 1;
    if (most && size > most) size = most;
    return size;
}

static uint32_t count_chunks(uint64_t n, uint32_t workers, size_t most)
{
    uint32_t count = 0;
    for (uint64_t left = n; left; left -= share(left, workers, most)) count++;
    return count;
}

static void lay_chunks(struct job_shm *job, uint32_t workers, size_t most)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        struct chunk_shm *c = brood__job_chunk(job, i);
        memset(c, 0, offsetof(struct chunk_shm, text) + 1);
        c->record[0].next = at;
        at += share(job->n - at, workers, most);
        c->end = at;
    }
}

/* Write the other record; it counts once the word selects it. */
static struct chunk_record *other_record(struct chunk_shm *c, uint64_t word)
{
    struct chunk_record *other = &c->record[!CHUNK_RECORD(word)];
    *other = c->record[CHUNK_RECORD(word)];
    return other;
}

/* Each look goes on where the last one ended, so that all of them together cost one pass. */
static bool all_done(struct job_shm *job)
{
    uint32_t first = atomic_load_explicit(&job->done, memory_order_acquire), i = first;
    while (i < job->chunk_count &&
           CHUNK_STATE(atomic_load_explicit(&brood__job_chunk(job, i)->word, memory_order_acquire)) == CHUNK_DONE)
        i++;
    while (first < i && !atomic_compare_exchange_weak(&job->done, &first, i)) {} /* never less: see nest.c */
    return i == job->chunk_count;
}

/* -------------------------------------------------------------------------------------------------- the caller's side */

static int check(const brood_task *task, const void *in, void *out, size_t n)
{
    if (!task || task->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (task->flags & (BROOD_TASK_ARG_BYTES | BROOD_TASK_RESULT_BYTES))
        return brood__fail_with(BROOD_EINVAL, "%s: a map is over plain values, not brood_bytes", task->name);
    if (n && task->arg_size && !in) return brood__fail_with(BROOD_EINVAL, "%s wants an argument", task->name);
    if (n && task->result_size && !out) return brood__fail_with(BROOD_EINVAL, "%s has results", task->name);
    if (n > SIZE_MAX / 2 / (task->arg_size + task->result_size + sizeof(int)))
        return brood__fail_with(BROOD_EINVAL, "%zu items are more than fit into memory", n);
    return 0;
}

#define CALLERS(serial, calls) ((uint64_t)(serial) << 32 | (uint64_t)(calls))

/* Of a handle, see JOB_INSIDE. */
static uint32_t index_of(brood_map map)
{
    return (uint32_t)map.serial - 1;
}
static uint32_t serial_of(brood_map map)
{
    return (uint32_t)(map.serial >> 32);
}

/* Calls of its caller that are inside. */
static uint32_t calls_inside(const struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    uint64_t callers = atomic_load(&brood__pool_job(pool, index)->callers);
    return (uint32_t)(callers >> 32) == serial ? (uint32_t)callers : 0;
}

/*
 * Whether a worker, or a call of the caller's, is inside; after a look at the word that found it not ACTIVE, and seq_cst
 * as that: see each_job.
 */
static bool is_occupied(const struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    if (calls_inside(pool, index, serial) != 0) return true;
    for (uint32_t i = 0; i <= pool->seat_room; i++)
        if (atomic_load(&brood__pool_seat(pool, i)->inside) == JOB_INSIDE(index, serial)) return true;
    return false;
}

/* An array that lies in a buffer is used where it is. */
static bool lend(struct job_shm *job, enum lent which, const void *array, size_t bytes)
{
    uint64_t id = bytes ? brood__buffer_around(array, bytes) : 0;
    if (id) {
        struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(id));
        atomic_store(&b->lent, 1u);
    }
    atomic_store(&job->lent[which], id);
    return id != 0;
}

/* FREE, of a job that is FILLING and ours; what it had is given back. */
static void vacate(struct job_shm *job, uint32_t serial)
{
    uint64_t lent[LENT];
    brood__pool_drop(&job->memory);
    brood__pool_drop((uint64_t *)(void *)&job->crash);
    for (int k = 0; k < LENT; k++) lent[k] = atomic_exchange(&job->lent[k], 0);
    atomic_store_explicit(&job->word, JOB_WORD(serial + 1, JOB_FREE, 0), memory_order_release);
    for (int k = 0; k < LENT; k++) /* freed meanwhile */
        if (lent[k]) brood__slot_collect_one(TABLE_BUFFER, lent[k]);
}

/* Free a job's memory and its place, if nobody looks at it any more; else later. */
static void retire(struct pool_shm *pool, uint32_t index, uint64_t seen)
{
    if (JOB_STATE(seen) == JOB_FREE || JOB_STATE(seen) == JOB_FILLING) return;
    struct job_shm *job = brood__pool_job(pool, index);
    uint32_t serial = JOB_SERIAL(seen);
    if (JOB_STATE(seen) != JOB_RETIRED) {
        uint64_t retired = JOB_WORD(serial, JOB_RETIRED, JOB_OWNER(seen));
        if (!swap(&job->word, &seen, retired)) return;
        seen = retired;
    }
    /* seq_cst, as a worker's store of `inside` and its look at the word: one of us sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    if (is_occupied(pool, index, serial)) return;
    if (swap(&job->word, &seen, JOB_WORD(serial, JOB_FILLING, brood__self->member))) vacate(job, serial);
}

static bool is_ours(uint64_t word, uint32_t serial)
{
    return JOB_SERIAL(word) == serial && JOB_OWNER(word) == brood__self->member &&
           (JOB_STATE(word) == JOB_ACTIVE || JOB_STATE(word) == JOB_CANCELLED);
}

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
    if (JOB_SERIAL(word) == serial && JOB_STATE(word) == JOB_RETIRED) retire(pool, index, word);
}

/*
 * A call on a job of ours begins: false if that is over, or not ours.  In a visit of the pool, which says that the job is
 * where we look.
 */
static bool raise_callers(struct pool_shm *pool, uint32_t index, uint32_t serial)
{
    struct job_shm *job = brood__pool_job(pool, index);
    if (!is_ours(atomic_load(&job->word), serial)) return false; /* acquire: what `fill` wrote, callers too */
    uint64_t seen = atomic_load(&job->callers);
    do {
        if (seen >> 32 != serial) return false;
    } while (!atomic_compare_exchange_weak(&job->callers, &seen, seen + 1));
    if (is_ours(atomic_load(&job->word), serial)) return true;
    lower(pool, index, serial, true); /* over between the two looks */
    return false;
}

/* It ends, outside of a visit; the answer is `result`. */
static int leave(struct pool_shm *pool, brood_map map, int result)
{
    unsigned cell;
    bool live = brood__visit_begin(TABLE_POOL, map.pool, &cell) != NULL;
    lower(pool, index_of(map), serial_of(map), live);
    if (live) brood__visit_end(cell);
    return result;
}

/* A place for a job: FILLING and ours. */
static int claim_job(struct pool_shm *pool, uint32_t *index)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        uint64_t seen = atomic_load_explicit(&job->word, memory_order_acquire);
        if (JOB_STATE(seen) == JOB_RETIRED) {
            retire(pool, i, seen);
            seen = atomic_load_explicit(&job->word, memory_order_acquire);
        }
        if (JOB_STATE(seen) != JOB_FREE) continue;
        uint32_t jobs = atomic_load(&pool->jobs);
        while (jobs <= i && !atomic_compare_exchange_weak(&pool->jobs, &jobs, i + 1)) {}
        if (!swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_FILLING, brood__self->member))) continue;
        *index = i;
        return 0;
    }
    return brood__fail_with(BROOD_EAGAIN, "%u maps are under way in this pool already", JOBS);
}

/* Room in the job's memory for an array of `bytes`, or for a window on it. */
static size_t room(size_t bytes, size_t size, const struct window *window)
{
    if (window && window->slots) bytes = window->slots * window->items * size;
    return (bytes + 63) & ~(size_t)63;
}

/* Fill a job: arrays that don't lie in buffers get places behind the chunks, all of them or, if one is wanted, a window. */
static int fill(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, const brood_task *task,
                const struct arrays *a, size_t n, const brood_map_options *o, struct window *window)
{
    int error = brood__function_ref(task, &job->function);
    if (error < 0) return error;
    job->n = n;
    job->seed = next_seed(pool, pool_id);
    job->arg_size = task->arg_size;
    job->result_size = task->result_size;
    bool in_there = lend(job, LENT_IN, a->in, a->in_bytes);
    bool out_there = lend(job, LENT_OUT, a->out, a->out_bytes);
    size_t most = o->chunk;
    if (window && !in_there && !out_there) brood__window_plan(window, pool, task, a, n, o->chunk);
    if (window && window->slots) most = window->items;
    job->windowed = window && window->slots;
    job->chunk_count = count_chunks(n, pool->workers, most);
    size_t chunks = (size_t)job->chunk_count * sizeof(struct chunk_shm);
    size_t in = in_there ? 0 : room(a->in_bytes, task->arg_size, window),
           out = out_there ? 0 : room(a->out_bytes, task->result_size, window);
    size_t codes = a->codes ? n * sizeof(int32_t) : 0;
    brood_buffer buffer;
    void *memory;
    error = brood_buffer_new(&buffer, chunks + in + out + codes, &memory);
    if (error < 0) return error;
    uint64_t base = brood__offset(memory);
    job->chunks = base;
    job->in = in_there ? brood__offset(a->in) : base + chunks;
    job->out = out_there ? brood__offset(a->out) : base + chunks + in;
    job->codes = a->codes ? base + chunks + in + out : 0;
    if (!in_there && a->in_bytes && !job->windowed) memcpy(brood__at(job->in), a->in, a->in_bytes);
    if (codes) memset(brood__at(job->codes), 0, codes);
    /* No results are read but those of decided items, which are written or zeroed first: the memory may be as it was. */
    atomic_store(&job->hint, 0);
    atomic_store(&job->done, 0);
    atomic_store(&job->asked, 0);
    lay_chunks(job, pool->workers, most);
    atomic_store(&job->filled, job->windowed ? 0 : job->chunk_count);
    brood__pool_attach(&job->memory, pool_id, buffer.id);
    return 0;
}

/*
 * The first item of a chunk that is not decided, and a copy of its record.  One that is under way says which item it is
 * in; those before it are decided, and it too once its failure is counted.  acquire: pairs with the release in
 * run_chunk, and makes the results of those before visible.  A record that was replaced meanwhile is copied again: while
 * neither the word nor the item has changed, nobody has written it.
 */
static uint64_t undecided(const struct chunk_shm *of, struct chunk_record *record)
{
    struct chunk_shm *c = (struct chunk_shm *)(uintptr_t)of;
    uint64_t running, word;
    do {
        running = atomic_load_explicit(&c->running, memory_order_acquire);
        word = atomic_load(&c->word);
        *record = of->record[CHUNK_RECORD(word)];
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load(&c->word) != word || atomic_load(&c->running) != running);
    if (CHUNK_STATE(word) != CHUNK_RUNNING || running <= record->next || running > of->end) return record->next;
    return record->last_failed == running ? running : running - 1;
}

/* index and, for now, the id of an outcome are 1 + the item's. */
static bool is_first(const brood_outcome *before, uint64_t index)
{
    return index != 0 && (!before->code || index < before->id);
}

static void note_failed(brood_outcome *first, const struct chunk_record *r, const char *text)
{
    if (!is_first(first, r->first_failed)) return;
    *first = (brood_outcome){.code = BROOD_EFAILED,
                             .reason = BROOD_REASON_ERROR,
                             .fail = r->fail,
                             .pid = r->failed_pid,
                             .attempt = 1,
                             .id = r->first_failed};
    memcpy(first->text, text, sizeof first->text - 1);
}

static void note_lost(brood_outcome *first, const struct chunk_record *r)
{
    if (!is_first(first, r->first_lost)) return;
    brood_reason reason = (brood_reason)r->reason;
    *first = (brood_outcome){.code = reason == BROOD_REASON_MEMORY      ? BROOD_EOOM
                                     : reason == BROOD_REASON_CANCELLED ? BROOD_ECANCELED
                                                                        : BROOD_ELOST,
                             .reason = reason,
                             .signal = r->signal,
                             .status = r->status,
                             .pid = r->pid,
                             .attempt = 1,
                             .id = r->first_lost};
    brood__pool_tell_death(first->text, reason, r->signal, r->status);
}

/*
 * Results and codes to the caller's own arrays, and what they come to, from one look at each chunk: of a map that was
 * cancelled or waited for too long workers may go on.  What is not decided is zeroes.
 */
static void give_back(const struct job_shm *job, const struct arrays *a, const struct window *window,
                      brood_report *report)
{
    bool copies = a->out_bytes && !atomic_load(&((struct job_shm *)(uintptr_t)job)->lent[LENT_OUT]);
    size_t size = job->result_size;
    *report = (brood_report){0};
    uint64_t start = 0;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        const struct chunk_shm *c = brood__job_chunk(job, i);
        struct chunk_record r;
        uint64_t next = undecided(c, &r), n = next - start, rest = c->end - next;
        if (copies && !brood__window_gave(window, job, i)) {
            char *out = (char *)a->out + start * size;
            if (n) memcpy(out, brood__job_out(job, c, start), n * size);
            memset(out + n * size, 0, rest * size);
        }
        if (a->codes) {
            memcpy(a->codes + start, (const int32_t *)brood__at(job->codes) + start, n * sizeof(int));
            for (uint64_t k = next; k < c->end; k++) a->codes[k] = BROOD_ECANCELED;
        }
        report->done += n - r.failed - r.lost;
        report->failed += r.failed;
        report->lost += r.lost;
        note_failed(&report->first_failed, &r, c->text);
        note_lost(&report->first_lost, &r);
        start = c->end;
    }
    if (report->first_failed.code) report->first_failed.id--;
    if (report->first_lost.code) report->first_lost.id--;
}

/* Chunks of a cancelled job that nobody has begun are done. */
static void finish_cancelled(struct job_shm *job)
{
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        uint64_t seen = atomic_load(&brood__job_chunk(job, i)->word);
        if (CHUNK_STATE(seen) == CHUNK_FREE)
            swap(&brood__job_chunk(job, i)->word, &seen, CHUNK_WORD(CHUNK_DONE, CHUNK_RECORD(seen), 0));
    }
}

/* 1: all items are decided; 0: not yet; < 0: they never will be.  By the job's caller. */
static int finished(struct pool_shm *pool, struct job_shm *job)
{
    /* Stopped by who must not look at chunks; the threads may all be busy. */
    if (brood__pool_threaded(pool) && JOB_STATE(atomic_load(&job->word)) == JOB_CANCELLED) finish_cancelled(job);
    if (all_done(job)) return 1;
    int broken = atomic_load(&pool->broken);
    if (broken) return brood__fail_with(broken, "%s", pool->broken_detail);
    return 0;
}

static int wait_for(struct pool_shm *pool, brood_map map, struct job_shm *job, int timeout, const struct arrays *a,
                    struct window *window)
{
    uint64_t pool_id = map.pool;
    int64_t deadline = brood__os_deadline(timeout);
    void *announced = brood__os_announce(&job->bell);
    uint64_t what = WAITS_ELSEWHERE;
    if (deadline == OS_NEVER) what = WAITS_FOR_MAP(index_of(map), serial_of(map));
    struct nest nest = {0};
    bool late = timeout == 0;
    int result;
    for (unsigned n = 0;;) {
        result = finished(pool, job);
        if (result != 0 || late) break;
        if (window && brood__window_turn(window, pool, job, a)) {
            late = deadline != OS_NEVER && brood__os_now() >= deadline;
            n = 0;
            continue;
        }
        if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
            continue;
        }
        atomic_exchange(&job->bell, OS_WAITERS);
        /* Armed before the look, whose loads are but acquire: pairs with the fence in brood__pool_answer. */
        atomic_thread_fence(memory_order_seq_cst);
        result = finished(pool, job);
        if (result == 0 && window && brood__window_turn(window, pool, job, a)) continue;
        if (result == 0) result = brood__nest_wait(&nest, pool_id, what);
        if (result != 0) break;
        late = brood__sleep(&job->bell, OS_WAITERS, deadline, pool_id) < 0;
    }
    brood__nest_end(&nest);
    brood__os_announce_again(announced);
    if (result == 0) brood__look_up();
    if (result == BROOD_EDEADLK) brood__fail_with(result, "all workers that there may be wait for tasks of their pool");
    return result == 0 ? brood__not_now(timeout) : result < 0 ? result : 0;
}

/* Items that have not begun never will. */
static void cancel(struct job_shm *job)
{
    uint64_t seen = atomic_load(&job->word);
    if (JOB_STATE(seen) == JOB_ACTIVE)
        swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_CANCELLED, JOB_OWNER(seen)));
}

static bool is_unwanted(const void *of)
{
    struct job_shm *job = (struct job_shm *)(uintptr_t)of;
    return JOB_STATE(atomic_load_explicit(&job->word, memory_order_relaxed)) != JOB_ACTIVE;
}

/* The record of a lost item, of those that left one. */
static void tell_crash(const struct pool_shm *pool, const struct job_shm *job, brood_crash *crash)
{
    const struct crash_shm *record = brood__crash_at(atomic_load(&((struct job_shm *)(uintptr_t)job)->crash));
    memset(crash, 0, sizeof *crash);
    if (!record) return;
    const brood_task *task;
    if (brood__function_find(job->function, &task) == 0) snprintf(crash->task, sizeof crash->task, "%s", task->name);
    crash->id = record->item;
    crash->attempt = 1;
    crash->reason = BROOD_REASON_SIGNAL;
    brood__crash_read(record, crash);
    brood__crash_name(record, crash);
    brood__tail_read(pool, record->worker_id, crash);
}

static int64_t cancel_job(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota);

static int answer_of(struct pool_shm *pool, const struct job_shm *job, bool cancelled, const struct arrays *a,
                     const struct window *window, brood_report *report)
{
    give_back(job, a, window, report);
    int broken = cancelled ? atomic_load(&pool->broken) : 0;
    if (broken) return brood__fail_with(broken, "%s", pool->broken_detail);
    if (cancelled) return BROOD_ECANCELED;
    const brood_outcome *lost = &report->first_lost, *failed = &report->first_failed;
    if (report->lost)
        return brood__fail_with(BROOD_ELOST, "%zu item%s lost, the first %llu: %s", report->lost,
                                report->lost == 1 ? "" : "s", (unsigned long long)lost->id, lost->text);
    if (report->failed)
        return brood__fail_with(BROOD_EFAILED, "%zu item%s failed, the first %llu: %s (%d)", report->failed,
                                report->failed == 1 ? "" : "s", (unsigned long long)failed->id, failed->text,
                                failed->fail);
    return 0;
}

/*
 * A map is over before its end.  Workers may all be asleep, for nothing of a window could be claimed; those of a closed
 * pool stayed for this map only, and are to leave.  If the caller dies before, the supervisor rings them.
 */
static void rouse(struct pool_shm *pool, const struct window *window)
{
    if (window && window->slots) brood__pool_wake(pool, INT_MAX);
}

/*
 * After the wait, which answered `error`: the answer of the map, which is over.  Of several that waited the first has it.
 * RETIRED is as good as cancelled for those who work: what is decided by then counts, and of one that was not waited for
 * to its end the items that workers are in, and all after them, do not.
 */
static int end(struct pool_shm *pool, brood_map map, int error, const struct arrays *a, const struct window *window,
               brood_report *report, brood_crash *crash)
{
    struct job_shm *job = brood__pool_job(pool, index_of(map));
    uint32_t serial = serial_of(map);
    uint64_t seen = atomic_load(&job->word);
    brood_report mine;
    if (!report) report = &mine;
    do {
        if (!is_ours(seen, serial)) return BROOD_ESTALE;
    } while (!atomic_compare_exchange_weak(&job->word, &seen, JOB_WORD(serial, JOB_RETIRED, JOB_OWNER(seen))));
    if (error < 0) rouse(pool, window);
    if (crash) tell_crash(pool, job, crash);
    if (error == 0) return answer_of(pool, job, JOB_STATE(seen) == JOB_CANCELLED, a, window, report);
    give_back(job, a, window, report);
    return error;
}

/*
 * After success a call on *map is under way, the caller's.  Of the visit only the claim is: from then on the job is ours,
 * and FILLING keeps the pool as a call that is counted does.
 */
static int begin(brood_pool pool, struct pool_shm **p, const brood_task *task, const struct arrays *a, size_t n,
                 const brood_map_options *o, struct window *window, brood_map *map)
{
    unsigned cell;
    uint32_t index = 0;
    *p = brood__visit_begin(TABLE_POOL, pool.id, &cell);
    if (!*p) return brood__slot_gone(TABLE_POOL, pool.id);
    int error = brood__pool_usable(*p);
    if (error == 0) error = claim_job(*p, &index);
    brood__visit_end(cell);
    if (error < 0) return error;
    struct job_shm *job = brood__pool_job(*p, index);
    uint32_t serial = JOB_SERIAL(atomic_load(&job->word));
    error = fill(*p, pool.id, job, task, a, n, o, window);
    if (error < 0) {
        vacate(job, serial);
        return error;
    }
    *map = (brood_map){pool.id, JOB_INSIDE(index, serial)};
    atomic_store(&job->callers, CALLERS(serial, 1)); /* before the commit, which passes it on */
    void *announced = brood__os_announce(&(*p)->idle);
    /* The commit; seq_cst: see wake. */
    atomic_store(&job->word, JOB_WORD(serial, JOB_ACTIVE, brood__self->member));
    if (!job->windowed)
        brood__pool_wake(*p, (int)(job->chunk_count < (*p)->workers ? job->chunk_count : (*p)->workers));
    brood__os_announce_again(announced);
    /* Closed since we looked: its workers may have left.  seq_cst: of us and of one who leaves, one sees. */
    atomic_thread_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load(&(*p)->state) == POOL_OPEN, 1)) return 0;
    cancel(job);
    retire(*p, index, atomic_load(&job->word));
    rouse(*p, window);
    return leave(*p, *map, BROOD_ECLOSED);
}

static const brood_map_options no_options;

int brood_pool_map_task(brood_pool pool, const brood_task *task, const void *in, void *out, size_t n,
                        const brood_map_options *options)
{
    const brood_map_options *o = options ? options : &no_options;
    int error = brood__enter_for(o->timeout);
    if (error == 0) error = check(task, in, out, n);
    if (error == 0 && o->callback)
        error = brood__fail_with(BROOD_EINVAL, "a callback is of a map that is begun: see brood_pool_map_async");
    if (error < 0) return error;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    if (o->report) *o->report = (brood_report){0};
    if (n == 0) return brood__pool_usable(p);
    struct arrays a = {in, out, o->codes, n * task->arg_size, n * task->result_size};
    brood_map map = {0, 0};
    struct window window = {0};
    error = begin(pool, &p, task, &a, n, o, &window, &map);
    if (error < 0) return error;
    error = wait_for(p, map, brood__pool_job(p, index_of(map)), o->timeout ? o->timeout : BROOD_FOREVER, &a, &window);
    return leave(p, map, end(p, map, error, &a, &window, o->report, o->crash));
}

/* Of an asynchronous map the arrays are kept in the job, behind what workers read. */
struct kept {
    uint64_t in, out, codes, in_bytes, out_bytes;
    uint64_t report, crash;
};
_Static_assert(sizeof(struct kept) <= sizeof((struct job_shm *)0)->more, "room in the job");

int brood_pool_map_async_task(brood_pool pool, brood_map *map, const brood_task *task, const void *in, void *out,
                              size_t n, const brood_map_options *options)
{
    const brood_map_options *o = options ? options : &no_options;
    int error = brood__enter_for(o->timeout);
    if (error == 0 && o->timeout > 0)
        error = brood__fail_with(BROOD_EINVAL, "a map that is begun has no time of its own: see brood_map_wait");
    if (error == 0) error = check(task, in, out, n);
    if (error < 0) return error;
    struct arrays a = {in, out, o->codes, n * task->arg_size, n * task->result_size};
    struct callback *callback = o->callback ? brood__dispatch_prepare() : NULL;
    if (o->callback && !callback) return BROOD_ENOMEM;
    struct pool_shm *p;
    brood_map begun = {0, 0};
    error = begin(pool, &p, task, &a, n, o, NULL, &begun);
    if (error < 0 && callback) brood__dispatch_map(callback, NULL, NULL);
    if (error < 0) return error;
    struct job_shm *job = brood__pool_job(p, index_of(begun));
    struct kept kept = {(uintptr_t)in, (uintptr_t)out,       (uintptr_t)o->codes, a.in_bytes,
                        a.out_bytes,   (uintptr_t)o->report, (uintptr_t)o->crash};
    memcpy(job->more, &kept, sizeof kept);
    *map = begun;
    leave(p, begun, 0);
    if (callback) brood__dispatch_map(callback, map, o);
    return 0;
}

/*
 * The job of a map that this process has begun, and not waited for to its end: in a call on it from here on, until
 * `leave`.
 */
static int find(brood_map map, struct pool_shm **pool, struct job_shm **job)
{
    unsigned cell;
    *pool = brood__visit_begin(TABLE_POOL, map.pool, &cell);
    if (!*pool) return brood__slot_gone(TABLE_POOL, map.pool);
    bool there = index_of(map) < JOBS && raise_callers(*pool, index_of(map), serial_of(map));
    if (there) *job = brood__pool_job(*pool, index_of(map));
    brood__visit_end(cell);
    return there ? 0 : BROOD_ESTALE;
}

int brood__map_answered(brood_map map)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = find(map, &p, &job);
    return error < 0 || !job ? error : leave(p, map, finished(p, job));
}

int brood_map_progress(brood_map map, size_t *decided)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter();
    if (error == 0) error = find(map, &p, &job);
    if (error < 0 || !job) return error;
    size_t n = 0;
    uint64_t start = 0;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        struct chunk_shm *c = brood__job_chunk(job, i);
        struct chunk_record r;
        n += undecided(c, &r) - start;
        start = c->end;
    }
    if (decided) *decided = n;
    return leave(p, map, finished(p, job));
}

int brood_map_cancel(brood_map map)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter();
    if (error == 0) error = find(map, &p, &job);
    if (error < 0 || !job) return error;
    if (all_done(job)) return leave(p, map, 1);
    void *announced = brood__os_announce(&job->bell); /* the last chunk may be done by this */
    cancel_job(p, map.pool, job, 0);
    brood__os_announce_again(announced);
    return leave(p, map, 0);
}

int brood_map_wait(brood_map map, int timeout, brood_report *report)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter_for(timeout);
    if (error == 0) error = find(map, &p, &job);
    if (error < 0 || !job) return error;
    error = wait_for(p, map, job, timeout, NULL, NULL);
    if (error == BROOD_EAGAIN && brood__answers_arm(p, map.pool, &job->asked))
        error = wait_for(p, map, job, 0, NULL, NULL);
    if (error == BROOD_EAGAIN || error == BROOD_ETIMEDOUT || error == BROOD_EDEADLK) return leave(p, map, error);
    struct kept kept;
    memcpy(&kept, job->more, sizeof kept);
    if (!report) report = (brood_report *)(uintptr_t)kept.report;
    struct arrays a = {(const void *)(uintptr_t)kept.in, (void *)(uintptr_t)kept.out, (int *)(uintptr_t)kept.codes,
                       kept.in_bytes, kept.out_bytes};
    return leave(p, map, end(p, map, error, &a, NULL, report, (brood_crash *)(uintptr_t)kept.crash));
}

/* ------------------------------------------------------------------------------------------------- the worker's side */

static void tell_if_done(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job)
{
    atomic_thread_fence(memory_order_seq_cst); /* of two who finish at once, one sees both chunks done */
    if (all_done(job))
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
            if (!swap(&c->word, &seen, *word)) continue;
            atomic_store_explicit(&job->hint, i + 1, memory_order_relaxed);
            return c;
        }
    }
    return NULL;
}

/* The word selects the other record and this state; false: we are not its owner any more. */
static bool turn(struct chunk_shm *c, uint64_t *word, enum chunk_state state)
{
    uint64_t to = CHUNK_WORD(state, !CHUNK_RECORD(*word), state == CHUNK_RUNNING ? CHUNK_OWNER(*word) : 0u);
    if (!swap(&c->word, word, to)) return false;
    *word = to;
    return true;
}

static bool count_failure(struct job_shm *job, struct chunk_shm *c, uint64_t *word, uint64_t item,
                          const struct call *call)
{
    if (job->codes) ((int32_t *)brood__at(job->codes))[item] = BROOD_EFAILED;
    struct chunk_record *r = other_record(c, *word);
    if (r->failed++ == 0) {
        r->first_failed = item + 1;
        r->fail = call->fail;
        r->failed_pid = brood__me()->pid;
        memcpy(c->text, call->text, sizeof c->text);
    }
    r->last_failed = item + 1;
    return turn(c, word, CHUNK_RUNNING);
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
        /* What a death finds: item has begun; those before it are decided.  release: pairs with undecided(). */
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
    struct chunk_record *r = other_record(c, word);
    r->next = item;
    *rest = item < c->end && JOB_STATE(atomic_load(&job->word)) == JOB_ACTIVE;
    turn(c, &word, *rest ? CHUNK_FREE : CHUNK_DONE);
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
        tell_if_done(pool, pool_id, job);
    brood__os_announce_again(announced);
    return ran;
}

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
    return all_done(job) ? -1 : 1;
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
        if (JOB_STATE(seen) == JOB_RETIRED && !brood__self->supervisor) retire(pool, i, seen);
        bool again = visit == cancel_job && JOB_STATE(seen) == JOB_CANCELLED;
        if (JOB_STATE(seen) != JOB_ACTIVE && !again) continue;
        atomic_store(&seat->inside, JOB_INSIDE(i, JOB_SERIAL(seen))); /* seq_cst, see retire */
        if (atomic_load(&job->word) == seen) answer = visit(pool, pool_id, job, quota);
        atomic_store(&seat->inside, 0);
        uint64_t now = atomic_load(&job->word);
        if (JOB_STATE(now) == JOB_RETIRED && JOB_SERIAL(now) == JOB_SERIAL(seen) && !brood__self->supervisor)
            retire(pool, i, now);
    }
    return answer;
}

int64_t brood__map_run(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat, uint32_t quota)
{
    return each_job(pool, pool_id, seat, quota, run_some);
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
        vacate(job, JOB_SERIAL(atomic_load(&job->word)));
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

bool brood__map_active(const struct pool_shm *pool)
{
    uint32_t jobs = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->jobs);
    for (uint32_t i = 0; i < jobs && i < JOBS; i++)
        if (JOB_STATE(atomic_load(&brood__pool_job(pool, i)->word)) == JOB_ACTIVE) return true;
    return false;
}

bool brood__map_ready(struct pool_shm *pool, struct seat_shm *seat)
{
    return each_job(pool, 0, seat, 0, has_free) >= 0;
}

bool brood__map_any(struct pool_shm *pool, struct seat_shm *seat)
{
    return each_job(pool, 0, seat, 0, has_undone) >= 0;
}

/* ---------------------------------------------------------------------------------------------------- after a death */

static void lose(struct job_shm *job, struct chunk_shm *c, uint64_t seen, const struct death *death)
{
    struct chunk_record *r = other_record(c, seen);
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
    turn(c, &seen, r->next == c->end ? CHUNK_DONE : CHUNK_FREE);
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
    if (JOB_STATE(atomic_load(&job->word)) != JOB_ACTIVE) finish_cancelled(job);
    tell_if_done(pool, pool_id, job);
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
        swap(&job->word, &seen, JOB_WORD(JOB_SERIAL(seen), JOB_RETIRED, 0));
    }
}

static int64_t cancel_job(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, uint32_t quota)
{
    (void)quota;
    cancel(job);
    finish_cancelled(job);
    tell_if_done(pool, pool_id, job);
    return -1;
}

void brood__map_cancel_all(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat)
{
    each_job(pool, pool_id, seat, 0, cancel_job);
}

void brood__map_stop_all(struct pool_shm *pool, uint64_t pool_id)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool, i);
        void *announced = brood__os_announce(&job->bell);
        cancel(job);
        if (JOB_STATE(atomic_load(&job->word)) == JOB_CANCELLED) brood__pool_answer(pool, pool_id, &job->bell);
        brood__os_announce_again(announced);
    }
}
