/* SPDX-License-Identifier: MIT */
/*
 * map_end.c - the end of a map: what came of its items goes into the caller's arrays and report, from one look at each
 * chunk.
 * Thread-safe; not async-signal-safe.
 */
#include "call/error.h"
#include "pool/crash.h"
#include "pool/job.h"
#include "pool/tail.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/*
 * The first item of a chunk that is not decided, and a copy of its record.  One that is under way says which item it is
 * in; those before it are decided, and it too once its failure is counted.  acquire: pairs with the release in
 * run_chunk (map_run.c), and makes the results of those before visible.  A record that was replaced meanwhile is copied
 * again: while neither the word nor the item has changed, nobody has written it.
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

size_t brood__job_decided(const struct job_shm *job)
{
    size_t n = 0;
    uint64_t start = 0;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        const struct chunk_shm *c = brood__job_chunk(job, i);
        struct chunk_record r;
        n += undecided(c, &r) - start;
        start = c->end;
    }
    return n;
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

void brood__map_rouse(struct pool_shm *pool, const struct window *window)
{
    if (window && window->slots) brood__pool_wake(pool, INT_MAX);
}

int brood__map_end(struct pool_shm *pool, brood_map map, int error, const struct arrays *a, const struct window *window,
                   brood_report *report, brood_crash *crash)
{
    struct job_shm *job = brood__pool_job(pool, map_index(map));
    uint32_t serial = map_serial(map);
    uint64_t seen = atomic_load(&job->word);
    brood_report mine;
    if (!report) report = &mine;
    do {
        if (!job_is_ours(seen, serial)) return BROOD_ESTALE;
    } while (!atomic_compare_exchange_weak(&job->word, &seen, JOB_WORD(serial, JOB_RETIRED, JOB_OWNER(seen))));
    if (error < 0) brood__map_rouse(pool, window);
    if (crash) tell_crash(pool, job, crash);
    if (error == 0) return answer_of(pool, job, JOB_STATE(seen) == JOB_CANCELLED, a, window, report);
    give_back(job, a, window, report);
    return error;
}
