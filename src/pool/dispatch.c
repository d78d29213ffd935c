/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - callbacks.  They are this process's own: a list in the order of submission, taken from under a mutex, one
 * at a time, and called outside of it.  Nothing about them is in the arena, so nobody's death or damage has one called.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/dispatch.h"

#include "pool/answers.h"
#include "pool/map.h"
#include "pool/own.h"
#include "pool/task.h"
#include "sync/bell.h"

#include <limits.h>
#include <stdlib.h>

struct callback {
    struct callback *next;
    bool keep; /* the future is the caller's */
    brood_future future;
    brood_callback_fn *call;
    brood_map map;
    brood_map_callback_fn *call_map; /* then it is a map's */
    void *context;
};

static struct own own;
static struct callback *first, **last = &first;

static void lock(void)
{
    if (!own_lock(&own)) return;
    first = NULL;
    last = &first;
}

static void append(struct callback *c)
{
    lock();
    *last = c;
    last = &c->next;
    own_unlock(&own);
}

static struct callback *take(struct callback **place)
{
    struct callback *c = *place;
    *place = c->next;
    if (last == &c->next) last = place;
    return c;
}

static uint64_t pool_of(const struct callback *c)
{
    return c->call_map ? c->map.pool : c->future.pool;
}

struct callback *brood__dispatch_prepare(void)
{
    return calloc(1, sizeof(struct callback));
}

int brood__dispatch_submit(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                           const brood_submit_options *options)
{
    struct callback *c = brood__dispatch_prepare();
    if (!c) return BROOD_ENOMEM;
    c->keep = future != NULL;
    c->call = options->callback;
    c->context = options->context;
    int error =
        brood__task_submit(pool, &c->future, &(struct submission){.task = task, .arg = arg, .options = options});
    if (error < 0) {
        free(c);
        return error;
    }
    if (future) *future = c->future;
    append(c);
    return 0;
}

void brood__dispatch_map(struct callback *c, const brood_map *map, const brood_map_options *options)
{
    if (!map) {
        free(c);
        return;
    }
    c->map = *map;
    c->call_map = options->callback;
    c->context = options->context;
    append(c);
}

/* 1: its time has come; 0: not yet; < 0: it never will, for its future was freed or its map waited for. */
static int is_due(const struct callback *c)
{
    return c->call_map ? brood__map_answered(c->map) : brood__task_answered(c->future);
}

/* The next one of this pool that is due, of the first `most`; *some: whether there may be any. */
static struct callback *next_due(uint64_t pool_id, unsigned most, bool *some)
{
    struct callback *due = NULL;
    unsigned n = 0;
    *some = false;
    lock();
    for (struct callback **place = &first; *place && !due; n++) {
        if (n == most) {
            *some = true;
            break;
        }
        int now = pool_of(*place) == pool_id ? is_due(*place) : 0;
        if (now == BROOD_ESTALE) {
            free(take(place));
        } else if (now != 0) {
            due = take(place);
        } else {
            *some |= pool_of(*place) == pool_id;
            place = &(*place)->next;
        }
    }
    own_unlock(&own);
    *some |= due != NULL;
    return due;
}

static void call(struct callback *c)
{
    if (c->call_map)
        c->call_map(c->context, c->map);
    else
        c->call(c->context, c->future);
    if (!c->call_map && !c->keep && brood__is_member()) brood__task_free(c->future);
    free(c);
}

/* For the wait: whether there is one, or never will be. */
struct look {
    uint64_t pool;
    struct callback *due;
};
static int look(void *of, bool thorough)
{
    struct look *l = of;
    bool some;
    l->due = next_due(l->pool, thorough ? UINT_MAX : ANSWERS_QUICK, &some);
    return l->due || !some;
}

int brood_pool_dispatch(brood_pool pool, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    struct look l = {pool.id, NULL};
    int result = brood__answers_wait(pool.id, look, &l, timeout, NULL);
    /* None is open: the descriptor is to be quiet as if there were, or who polls it would be woken for ever. */
    bool some;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (result > 0 && !l.due && timeout == 0 && p && brood__answers_arm(p, pool.id, NULL))
        l.due = next_due(pool.id, UINT_MAX, &some);
    if (result == BROOD_ESTALE || result == BROOD_ECLOSED) brood__dispatch_forget(pool.id);
    if (result < 0) return result;
    int n = 0;
    /* Those that are due now, and not for ever: a callback may submit another. */
    for (int most = 4096; l.due; n++) {
        call(l.due);
        if (!brood__is_member()) return n + 1; /* it was the end of the family */
        l.due = n + 1 < most ? next_due(pool.id, UINT_MAX, &some) : NULL;
        if (n + 1 == most) brood__bell_more(pool.id);
    }
    return n;
}

/* Those of this pool, or of all: 0. */
static void forget(uint64_t pool_id)
{
    lock();
    for (struct callback **place = &first; *place;) {
        if (pool_id == 0 || pool_of(*place) == pool_id)
            free(take(place));
        else
            place = &(*place)->next;
    }
    own_unlock(&own);
}

void brood__dispatch_forget(uint64_t pool_id)
{
    forget(pool_id);
}

void brood__dispatch_leave(void)
{
    forget(0);
}
