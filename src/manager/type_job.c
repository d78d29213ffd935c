/* SPDX-License-Identifier: MIT */
/*
 * type_job.c - what is asked of a pool: AsyncResult, and the iterator of an imap.
 *
 * line 0: those who wait for results.  A job that goes before it has ended takes its items back: what has not begun never
 * will, and what runs runs for nobody.
 */
#include "manager/crew.h"

#include "call/error.h"

/* Results of an imap that nobody has taken yet, and items in the crew's hands, at most. */
#define AHEAD 256

static struct job *job_of(struct request *r)
{
    return (struct job *)r->o;
}

static bool is_stream(const struct job *job)
{
    return job->kind == JOB_IMAP || job->kind == JOB_IMAP_UNORDERED;
}

/* ------------------------------------------------------------------------------------------------------ coming, going */

static int read_args(struct request *r, struct job *job)
{
    int error = brood__args(r, 2, 2);
    if (error == 0) job->task = brood__pool_function(r, 0, &error);
    const unsigned char *at = NULL, *end;
    if (error == 0) error = brood__arg_array(r, 1, &job->count, &at, &end);
    if (error == 0) error = brood__value_keep(r->s, r->args[1], &job->items);
    if (error < 0) return error;
    job->at = job->items->bytes + (at - r->args[1].at);
    if (job->kind == JOB_APPLY) {
        job->count = 1;
        job->at = job->items->bytes;
    }
    return 0;
}

static int job_create(struct request *r, struct object *o)
{
    struct job *job = (struct job *)o;
    job->kind = (enum job_kind)r->number;
    int error = read_args(r, job);
    if (error < 0 || job->count == 0) return error;
    job->results = brood__keep(r->s, (size_t)job->count * sizeof *job->results);
    if (!job->results) return BROOD_ENOMEM;
    memset(job->results, 0, (size_t)job->count * sizeof *job->results);
    return 0;
}

/* It has ended, or goes: its items and its pool are needed no more. */
static void settle(struct server *s, struct job *job)
{
    brood__value_drop(s, job->items);
    job->items = NULL;
    if (job->pool) brood__refer_no_more(s, &job->pool->object);
    job->pool = NULL;
}

static void take_back(struct server *s, struct job *job)
{
    struct pool_object *p = job->pool;
    struct job *before = NULL;
    for (struct job *j = p->first; j; before = j, j = j->next) {
        if (j != job) continue;
        *(before ? &before->next : &p->first) = j->next;
        if (p->last == j) p->last = before;
        break;
    }
    for (struct run **place = &p->crew->runs; *place;) {
        struct run *run = *place;
        if (run->job != job) {
            place = &run->next;
            continue;
        }
        *place = run->next;
        p->crew->running--;
        brood_future_free(run->future);
        brood__drop(s, run);
    }
    brood__crew_feed(s, p->crew);
}

static void job_destroy(struct server *s, struct object *o)
{
    struct job *job = (struct job *)o;
    if (job->pool) take_back(s, job);
    settle(s, job);
    for (uint64_t i = 0; job->results && i < job->count; i++) brood__value_drop(s, job->results[i].value);
    brood__drop(s, job->results);
}

/* -------------------------------------------------------------------------------------------------- items and results */

bool brood__job_wants(const struct job *job)
{
    return !is_stream(job) || job->given - job->taken < AHEAD;
}

int brood__job_next(struct job *job, struct item_writer *w)
{
    const unsigned char *from = job->at, *head = from, *end = job->items->bytes + job->items->size;
    struct item item;
    int error = brood__value_walk(&job->at, end, NULL, NULL);
    if (error < 0) return error;
    if (job->kind == JOB_APPLY || job->kind == JOB_STARMAP) {
        if (brood__item_next(&head, end, &item) < 0 || item.kind != ITEM_ARRAY)
            return brood__fail_with(BROOD_EINVAL, "item %llu is no list of arguments", (unsigned long long)job->given);
    } else {
        brood__item_put_array(w, 1);
    }
    brood__item_put_raw(w, from, (size_t)(job->at - from));
    return w->error;
}

static int keep_result(struct server *s, struct slice bytes, struct value **value)
{
    const unsigned char *at = bytes.at;
    if (bytes.size > s->setup.buffered)
        return brood__fail_with(BROOD_EMSGSIZE, "a result of %zu bytes is beyond what this manager answers",
                                bytes.size);
    if (brood__value_walk(&at, bytes.at + bytes.size, NULL, NULL) < 0 || at != bytes.at + bytes.size)
        return brood__fail_with(BROOD_ECORRUPT, "what the task answered is no value");
    return brood__value_keep(s, bytes, value);
}

void brood__job_has(struct server *s, struct job *job, uint64_t index, int code, struct slice bytes)
{
    struct result *result = &job->results[job->kind == JOB_IMAP_UNORDERED ? job->done : index];
    result->there = true;
    if (code == 0) {
        code = keep_result(s, bytes, &result->value);
        bytes = (struct slice){(const unsigned char *)brood_error_detail(), strlen(brood_error_detail())};
    }
    result->code = code;
    if (code < 0 && bytes.size && (result->value = brood__keep(s, sizeof(struct value) + bytes.size))) {
        *result->value = (struct value){.size = bytes.size};
        memcpy(result->value->bytes, bytes.at, bytes.size);
    }
    if (++job->done == job->count) settle(s, job);
    if (job->done == job->count || (is_stream(job) && job->results[job->taken].there)) brood__serve(s, &job->object, 0);
}

static int told(const struct result *result)
{
    if (!result->value) return result->code;
    return brood__fail_with(result->code, "%.*s", (int)result->value->size, (const char *)result->value->bytes);
}

/* ----------------------------------------------------------------------------------------------------------- waiting */

/* The first, in the order of the items, that has ended otherwise than with a result. */
static const struct result *first_failed(const struct job *job)
{
    for (uint64_t i = 0; i < job->count; i++)
        if (job->results[i].code < 0) return &job->results[i];
    return NULL;
}

static int answer(struct request *r, bool take)
{
    struct job *job = job_of(r);
    if (job->done < job->count) return WAITS;
    const struct result *failed = first_failed(job);
    if (failed) return told(failed);
    if (job->kind != JOB_APPLY) brood__item_put_array(brood__result(r), (size_t)job->count);
    for (uint64_t i = 0; i < job->count; i++) brood__result_value(r, job->results[i].value);
    for (uint64_t i = 0; take && !brood__result(r)->error && i < job->count; i++) {
        brood__hand_over(r->c, job->results[i].value);
        job->results[i].value = NULL;
    }
    return 0;
}

int brood__job_take(struct request *r)
{
    return answer(r, true);
}

static int job_get(struct request *r)
{
    return answer(r, false);
}

static int job_wait(struct request *r)
{
    return job_of(r)->done < job_of(r)->count ? WAITS : 0;
}

static int job_ready(struct request *r)
{
    brood__item_put_bool(brood__result(r), job_of(r)->done == job_of(r)->count);
    return 0;
}

static int job_successful(struct request *r)
{
    if (job_of(r)->done < job_of(r)->count) return brood__fail_with(BROOD_EINVAL, "it has not ended");
    brood__item_put_bool(brood__result(r), !first_failed(job_of(r)));
    return 0;
}

static int iterator_next(struct request *r)
{
    struct job *job = job_of(r);
    if (job->taken == job->count) return brood__fail_with(BROOD_EMISSING, "there are no more");
    struct result *result = &job->results[job->taken];
    if (!result->there) return WAITS;
    int code = result->code < 0 ? told(result) : 0;
    if (code == 0)
        brood__result_hand_over(r, result->value);
    else
        brood__value_drop(r->s, result->value);
    result->value = NULL;
    job->taken++;
    if (job->pool) brood__crew_feed(r->s, job->pool->crew);
    return code;
}

static const struct method async_methods[] = {
    {"get", job_get, 0}, {"wait", job_wait, 0}, {"ready", job_ready, 0}, {"successful", job_successful, 0}, {0}};
static const struct method iterator_methods[] = {{"next", iterator_next, 0}, {0}};

static const struct object_type type_async = {.name = "AsyncResult",
                                              .size = sizeof(struct job),
                                              .create = job_create,
                                              .destroy = job_destroy,
                                              .methods = async_methods};
static const struct object_type type_iterator = {.name = "IMapIterator",
                                                 .size = sizeof(struct job),
                                                 .create = job_create,
                                                 .destroy = job_destroy,
                                                 .methods = iterator_methods};

int brood__job_new(struct request *r, struct pool_object *pool, enum job_kind kind, struct job **job)
{
    struct object *o;
    r->number = (uint64_t)kind;
    int error = brood__object_new(r, kind == JOB_IMAP || kind == JOB_IMAP_UNORDERED ? &type_iterator : &type_async, &o);
    if (error < 0) return error;
    *job = (struct job *)o;
    if ((*job)->count == 0) return 0;
    (*job)->pool = pool;
    brood__refer(&pool->object);
    return 0;
}
