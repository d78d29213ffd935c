/* SPDX-License-Identifier: MIT */
/*
 * type_pool.c - pools, and the crews behind them; the tour is in crew.h.
 *
 * line 0 of a pool: those who join.  How a crew's workers have left no descriptor tells, so while one ends the loop looks
 * every few milliseconds.
 */
#include "manager/crew.h"

#include "arena/member.h"
#include "call/error.h"
#include "pool/crash.h"

#include <string.h>

#define LOOK_NS ((int64_t)10000000)
#define RUNS_A_WORKER 4

enum { JOINERS };

static struct pool_object *pool_of(struct request *r)
{
    return (struct pool_object *)r->o;
}

/* ----------------------------------------------------------------------------------------------------------- handing */

static void enqueue(struct pool_object *p, struct job *job)
{
    job->next = NULL;
    *(p->first ? &p->last->next : &p->first) = job;
    p->last = job;
}

static struct job *dequeue(struct pool_object *p)
{
    struct job *job = p->first;
    if (job) p->first = job->next;
    return job;
}

static int watch(struct server *s, struct crew *crew, unsigned events)
{
    int fd = brood_pool_fd(crew->pool);
    int error = fd < 0 ? fd : brood__os_poller_watch(s->poller, fd, (uintptr_t)crew | 1, events);
    if (error == 0) crew->deaf = events == 0;
    return error;
}

/* One item; BROOD_EARENA: later, when there is room again. */
static int give(struct server *s, struct crew *crew, struct job *job)
{
    struct item_writer w = {.most = SIZE_MAX};
    const unsigned char *at = job->at;
    struct run *run = brood__keep(s, sizeof *run);
    int error = run ? brood__job_next(job, &w) : BROOD_ENOMEM;
    brood_bytes bytes = {w.bytes, w.size};
    brood_future future;
    if (error == 0) error = brood_pool_submit_task(crew->pool, &future, job->task, &bytes);
    brood__item_done(&w);
    if (error == BROOD_EARENA && crew->running > 0) {
        job->at = at;
        brood__drop(s, run);
        return error;
    }
    uint64_t index = job->given++;
    if (error == 0) {
        *run = (struct run){.next = crew->runs, .job = job, .index = index, .future = future};
        crew->runs = run;
        crew->running++;
        if (crew->deaf) watch(s, crew, OS_READABLE);
        return 0;
    }
    const char *text = brood_error_detail();
    brood__drop(s, run);
    brood__job_has(s, job, index, error, (struct slice){(const unsigned char *)text, strlen(text)});
    return 0;
}

/* The loop goes on with it. */
static void end_crew(struct crew *crew, int (*end)(brood_pool pool))
{
    crew->end = end;
    crew->left = false;
    crew->told = end(crew->pool) == 0;
}

void brood__crew_feed(struct server *s, struct crew *crew)
{
    struct pool_object *p = crew->object;
    const struct job *idle = NULL; /* the first in a row of those that want nothing now */
    bool full = false;
    while (p && p->first && p->first != idle && crew->running < crew->window && !full) {
        struct job *job = dequeue(p);
        if (brood__job_wants(job)) {
            full = give(s, crew, job) < 0;
            idle = NULL;
        } else if (!idle) {
            idle = job;
        }
        if (job->given < job->count) enqueue(p, job);
    }
    if (p && p->closed && !p->first && !crew->end) end_crew(crew, brood_pool_close);
}

/* ------------------------------------------------------------------------------------------------------------ answers */

/* What is said of a run that ended otherwise than with a result. */
static void say_why(const struct run *run, int code, const brood_outcome *outcome)
{
    brood_crash crash;
    const char *name = run->job->task->name;
    if (code == BROOD_EFAILED)
        brood__fail_with(code, "%s (%d)", outcome->text, outcome->fail);
    else if (outcome->pid && brood__future_crash(run->future, &crash, false) == 0 && crash.signal_code > 0)
        brood__fail_with(code, "task %s, worker %s (%d): %s, address 0x%llx", name, crash.worker, (int)crash.pid,
                         outcome->text, (unsigned long long)crash.address);
    else if (outcome->pid)
        brood__fail_with(code, "task %s, process %d: %s", name, (int)outcome->pid, outcome->text);
    else if (!brood_error_detail()[0])
        brood__fail_with(code, "task %s: %s", name, brood_strerror(code));
}

static void end_run(struct server *s, struct crew *crew, struct run **place)
{
    struct run *run = *place;
    *place = run->next;
    crew->running--;
    brood_future_free(run->future);
    brood__drop(s, run);
}

static void look(struct server *s, struct crew *crew)
{
    for (struct run **place = &crew->runs; *place;) {
        struct run *run = *place;
        brood_bytes bytes = {NULL, 0};
        brood_outcome outcome = {.code = 0};
        brood__say_nothing();
        int code = brood_future_bytes(run->future, &bytes, 0, &outcome);
        if (code == BROOD_EAGAIN) {
            place = &run->next;
            continue;
        }
        struct slice said = {bytes.data, bytes.size};
        if (code < 0) {
            say_why(run, code, &outcome);
            said = (struct slice){(const unsigned char *)brood_error_detail(), strlen(brood_error_detail())};
        }
        brood__job_has(s, run->job, run->index, code, said);
        end_run(s, crew, place);
    }
}

void brood__crew_ready(struct server *s, struct crew *crew)
{
    look(s, crew);
    /* Nothing is open: that makes it quiet, unless the pool is broken. */
    int code = crew->runs ? 0 : brood_pool_dispatch(crew->pool, 0);
    if (code < 0 && code != BROOD_EAGAIN) watch(s, crew, 0);
    brood__crew_feed(s, crew);
}

/* ------------------------------------------------------------------------------------------------- crews come and go */

static void free_crew(struct server *s, struct crew *crew)
{
    int fd = brood_pool_fd(crew->pool);
    if (fd >= 0) brood__os_poller_remove(s->poller, fd);
    brood_pool_free(crew->pool);
    s->workers -= crew->workers;
    brood__drop(s, crew);
}

void brood__crews_turn(struct server *s)
{
    for (struct crew **place = &s->crews; *place;) {
        struct crew *crew = *place;
        if (crew->end && !crew->left) {
            if (!crew->told) crew->told = crew->end(crew->pool) == 0;
            int code = brood_pool_join(crew->pool, 0);
            crew->left = code != BROOD_EAGAIN && code != BROOD_EINVAL;
            if (crew->left && crew->object) brood__serve(s, &crew->object->object, JOINERS);
        }
        if (crew->left && !crew->object) {
            *place = crew->next;
            free_crew(s, crew);
        } else {
            place = &crew->next;
        }
    }
}

int64_t brood__crews_next(const struct server *s)
{
    for (const struct crew *crew = s->crews; crew; crew = crew->next)
        if (crew->end && !crew->left) return s->now + LOOK_NS;
    return OS_NEVER;
}

void brood__crews_end(struct server *s)
{
    while (s->crews) {
        struct crew *crew = s->crews;
        s->crews = crew->next;
        free_crew(s, crew);
    }
}

/* ------------------------------------------------------------------------------------------------------ the pool itself */

/* A number from 1 on, or the default if it is not given. */
static int number(struct request *r, size_t i, unsigned otherwise, unsigned most, unsigned *value)
{
    int64_t n = otherwise;
    int error = brood__arg_is_nil(r, i) ? 0 : brood__arg_int(r, i, &n);
    if (error == 0 && (n < 0 || n > most)) error = brood__fail_with(BROOD_EINVAL, "from 1 to %u, or 0", most);
    *value = n ? (unsigned)n : otherwise;
    return error;
}

static int pool_create(struct request *r, struct object *o)
{
    struct server *s = r->s;
    struct pool_object *p = (struct pool_object *)o;
    unsigned workers = 0, tasks = 0;
    int error = brood__args(r, 0, 2);
    if (error == 0) error = number(r, 0, (unsigned)brood_cpu_count(), 4096, &workers);
    if (error == 0) error = number(r, 1, 0, UINT32_MAX, &tasks);
    if (error < 0) return error;
    if (s->workers + workers > s->setup.workers)
        return brood__fail_with(BROOD_ENOMEM, "the manager's pools have %zu workers, and may have %llu", s->workers,
                                (unsigned long long)s->setup.workers);
    struct crew *crew = brood__keep(s, sizeof *crew);
    if (!crew) return BROOD_ENOMEM;
    uint64_t me = HANDLE(TABLE_MEMBER, brood__self->member, brood__member_generation(brood__self->member));
    const brood_pool_options options = {.name = "manager",
                                        .workers = workers,
                                        .method = (brood_start_method)s->setup.method,
                                        .max_tasks_per_child = tasks,
                                        .initializer = brood__pool_initializer(),
                                        .initializer_arg = &me};
    *crew = (struct crew){.workers = workers, .window = (size_t)workers * RUNS_A_WORKER};
    error = brood_pool_new(&crew->pool, &options);
    if (error == 0) {
        error = watch(s, crew, OS_READABLE);
        if (error < 0) brood_pool_free(crew->pool);
    }
    if (error < 0) {
        brood__drop(s, crew);
        return error;
    }
    crew->object = p;
    crew->next = s->crews;
    s->crews = crew;
    s->workers += workers;
    p->crew = crew;
    return 0;
}

/* No job is left, for each refers to it. */
static void pool_destroy(struct server *s, struct object *o)
{
    struct crew *crew = ((struct pool_object *)o)->crew;
    (void)s;
    if (!crew) return;
    crew->object = NULL;
    end_crew(crew, brood_pool_terminate);
}

static int begin(struct request *r, enum job_kind kind, struct job **job)
{
    struct pool_object *p = pool_of(r);
    if (p->closed) return brood__fail_with(BROOD_ECLOSED, "the pool is closed");
    int error = brood__job_new(r, p, kind, job);
    if (error < 0 || (*job)->count == 0) return error;
    enqueue(p, *job);
    brood__crew_feed(r->s, p->crew);
    return 0;
}

/* The request has the job, and goes on as a wait for it. */
static int now(struct request *r, enum job_kind kind)
{
    struct job *job = NULL;
    if (r->timeout == 0) return BROOD_EAGAIN;
    int error = begin(r, kind, &job);
    if (error < 0 || !job) return error;
    r->other = r->o = &job->object;
    r->line = 0;
    r->attempt = brood__job_take;
    return r->attempt(r);
}

/* The client has the job. */
static int later(struct request *r, enum job_kind kind)
{
    struct job *job = NULL;
    int error = begin(r, kind, &job);
    if (error < 0 || !job) return error;
    struct share *share = brood__share(r->s, r->c, &job->object);
    if (!share) {
        brood__refer_no_more(r->s, &job->object);
        return BROOD_ENOMEM;
    }
    share->holds = 1;
    brood__item_put_tag(brood__result(r), HANDLE_TAG);
    brood__item_put_uint(brood__result(r), job->object.id);
    return 0;
}

static int pool_apply(struct request *r)
{
    return now(r, JOB_APPLY);
}

static int pool_apply_async(struct request *r)
{
    return later(r, JOB_APPLY);
}

static int pool_map(struct request *r)
{
    return now(r, JOB_MAP);
}

static int pool_map_async(struct request *r)
{
    return later(r, JOB_MAP);
}

static int pool_starmap(struct request *r)
{
    return now(r, JOB_STARMAP);
}

static int pool_starmap_async(struct request *r)
{
    return later(r, JOB_STARMAP);
}

static int pool_imap(struct request *r)
{
    return later(r, JOB_IMAP);
}

static int pool_imap_unordered(struct request *r)
{
    return later(r, JOB_IMAP_UNORDERED);
}

static int pool_close(struct request *r)
{
    pool_of(r)->closed = true;
    brood__crew_feed(r->s, pool_of(r)->crew);
    return 0;
}

static int pool_terminate(struct request *r)
{
    struct pool_object *p = pool_of(r);
    struct crew *crew = p->crew;
    const struct slice nothing = {NULL, 0};
    struct job *job;
    p->closed = true;
    while ((job = dequeue(p)))
        while (job->given < job->count) brood__job_has(r->s, job, job->given++, BROOD_ECANCELED, nothing);
    while (crew->runs) {
        brood__job_has(r->s, crew->runs->job, crew->runs->index, BROOD_ECANCELED, nothing);
        end_run(r->s, crew, &crew->runs);
    }
    end_crew(crew, brood_pool_terminate);
    return 0;
}

static int pool_join(struct request *r)
{
    if (!pool_of(r)->closed) return brood__fail_with(BROOD_EINVAL, "the pool is not closed");
    return pool_of(r)->crew->left ? 0 : WAITS;
}

static const struct method pool_methods[] = {
    {"apply", pool_apply, 0},     {"apply_async", pool_apply_async, 0},
    {"map", pool_map, 0},         {"map_async", pool_map_async, 0},
    {"starmap", pool_starmap, 0}, {"starmap_async", pool_starmap_async, 0},
    {"imap", pool_imap, 0},       {"imap_unordered", pool_imap_unordered, 0},
    {"close", pool_close, 0},     {"terminate", pool_terminate, 0},
    {"join", pool_join, JOINERS}, {0},
};
const struct object_type brood__type_pool = {.name = "Pool",
                                             .size = sizeof(struct pool_object),
                                             .create = pool_create,
                                             .destroy = pool_destroy,
                                             .methods = pool_methods};
