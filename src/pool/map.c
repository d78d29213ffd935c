/* SPDX-License-Identifier: MIT */
/*
 * map.c - maps, the caller's side: begin, wait, cancel; the protocol is in pool/pool.h.  Jobs and the calls on them are
 * in job.c, how one is filled in map_fill.c, the end in map_end.c, the worker's side in map_run.c, what becomes of maps
 * otherwise in map_fate.c.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/map.h"
#include "arena/visit.h"
#include "call/error.h"
#include "pool/answers.h"
#include "pool/dispatch.h"
#include "pool/job.h"
#include "pool/nest.h"
#include "pool/threads.h"

#include <string.h>

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
    if (error == 0) error = brood__job_claim(*p, &index);
    brood__visit_end(cell);
    if (error < 0) return error;
    struct job_shm *job = brood__pool_job(*p, index);
    uint32_t serial = JOB_SERIAL(atomic_load(&job->word));
    error = brood__job_fill(*p, pool.id, job, task, a, n, o, window);
    if (error < 0) {
        brood__job_vacate(job, serial);
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
    brood__job_cancel(job);
    brood__job_retire(*p, index, atomic_load(&job->word));
    brood__map_rouse(*p, window);
    return brood__job_leave(*p, *map, BROOD_ECLOSED);
}

/* 1: all items are decided; 0: not yet; < 0: they never will be.  By the job's caller. */
static int finished(struct pool_shm *pool, struct job_shm *job)
{
    /* Stopped by who must not look at chunks; the threads may all be busy. */
    if (brood__pool_threaded(pool) && JOB_STATE(atomic_load(&job->word)) == JOB_CANCELLED)
        brood__job_finish_cancelled(job);
    if (brood__job_all_done(job)) return 1;
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
    if (deadline == OS_NEVER) what = WAITS_FOR_MAP(map_index(map), map_serial(map));
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

/* -------------------------------------------------------------------------------------------------------- the calls */

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
    error = wait_for(p, map, brood__pool_job(p, map_index(map)), o->timeout ? o->timeout : BROOD_FOREVER, &a, &window);
    return brood__job_leave(p, map, brood__map_end(p, map, error, &a, &window, o->report, o->crash));
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
    struct job_shm *job = brood__pool_job(p, map_index(begun));
    struct kept kept = {(uintptr_t)in, (uintptr_t)out,       (uintptr_t)o->codes, a.in_bytes,
                        a.out_bytes,   (uintptr_t)o->report, (uintptr_t)o->crash};
    memcpy(job->more, &kept, sizeof kept);
    *map = begun;
    brood__job_leave(p, begun, 0);
    if (callback) brood__dispatch_map(callback, map, o);
    return 0;
}

int brood__map_answered(brood_map map)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__job_enter(map, &p, &job);
    return error < 0 || !job ? error : brood__job_leave(p, map, finished(p, job));
}

int brood_map_progress(brood_map map, size_t *decided)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter();
    if (error == 0) error = brood__job_enter(map, &p, &job);
    if (error < 0 || !job) return error;
    size_t n = brood__job_decided(job);
    if (decided) *decided = n;
    return brood__job_leave(p, map, finished(p, job));
}

int brood_map_cancel(brood_map map)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter();
    if (error == 0) error = brood__job_enter(map, &p, &job);
    if (error < 0 || !job) return error;
    if (brood__job_all_done(job)) return brood__job_leave(p, map, 1);
    void *announced = brood__os_announce(&job->bell); /* the last chunk may be done by this */
    brood__job_call_off(p, map.pool, job);
    brood__os_announce_again(announced);
    return brood__job_leave(p, map, 0);
}

int brood_map_wait(brood_map map, int timeout, brood_report *report)
{
    struct pool_shm *p = NULL;
    struct job_shm *job = NULL;
    int error = brood__enter_for(timeout);
    if (error == 0) error = brood__job_enter(map, &p, &job);
    if (error < 0 || !job) return error;
    error = wait_for(p, map, job, timeout, NULL, NULL);
    if (error == BROOD_EAGAIN && brood__answers_arm(p, map.pool, &job->asked))
        error = wait_for(p, map, job, 0, NULL, NULL);
    if (error == BROOD_EAGAIN || error == BROOD_ETIMEDOUT || error == BROOD_EDEADLK)
        return brood__job_leave(p, map, error);
    struct kept kept;
    memcpy(&kept, job->more, sizeof kept);
    if (!report) report = (brood_report *)(uintptr_t)kept.report;
    struct arrays a = {(const void *)(uintptr_t)kept.in, (void *)(uintptr_t)kept.out, (int *)(uintptr_t)kept.codes,
                       kept.in_bytes, kept.out_bytes};
    return brood__job_leave(p, map,
                            brood__map_end(p, map, error, &a, NULL, report, (brood_crash *)(uintptr_t)kept.crash));
}
