/* SPDX-License-Identifier: MIT */
/*
 * type_condition.c - condition, event, barrier.
 *
 * A condition's waiter stands in line 0 of the condition; one that is notified, or late, moves into the lock's line and
 * is answered when it has the lock again.  If it dies there, its notification goes to the next one.
 * A barrier's waiters stand in line 0; when the last comes all get their number, and when one of them dies or comes out by
 * its timeout the barrier is broken.
 */
#include "manager/server.h"

#include "call/error.h"

#include <string.h>

/* --------------------------------------------------------------------------------------------------------- conditions */

enum { FRESH, WAITING, NOTIFIED, LATE, PASSED, BROKEN };

struct condition_object {
    struct object object;
    struct object *lock; /* referred to */
};

static struct condition_object *condition_of(struct request *r)
{
    return (struct condition_object *)r->o;
}

static int condition_create(struct request *r, struct object *o)
{
    struct condition_object *c = (struct condition_object *)o;
    int error = brood__args(r, 0, 1);
    if (error < 0) return error;
    if (brood__arg_is_nil(r, 0)) {
        r->argc = 0;
        return brood__object_new(r, &brood__type_rlock, &c->lock);
    }
    struct object *lock = brood__arg_object(r, 0, &error);
    if (lock && lock->type != &brood__type_lock && lock->type != &brood__type_rlock)
        error = brood__fail_with(BROOD_EINVAL, "a Condition wants a Lock or an RLock");
    if (error < 0) return error;
    c->lock = lock;
    brood__refer(lock);
    return 0;
}

static void condition_destroy(struct server *s, struct object *o)
{
    struct object *lock = ((struct condition_object *)o)->lock;
    if (lock) brood__refer_no_more(s, lock);
}

/* What it does with its lock is done by the lock, in its line. */
static int by_lock(struct request *r, const char *method)
{
    struct object *lock = condition_of(r)->lock;
    for (const struct method *m = lock->type->methods; m->name; m++) {
        if (strcmp(m->name, method) != 0) continue;
        r->o = lock;
        r->attempt = m->attempt;
        r->line = m->line;
    }
    return r->attempt(r);
}

static int condition_acquire(struct request *r)
{
    return by_lock(r, "acquire");
}

static int condition_release(struct request *r)
{
    return by_lock(r, "release");
}

/* The attempt of one in the lock's line. */
static int take_back(struct request *r)
{
    int code = brood__lock_take_back(r, r->o, r->number);
    if (code != 0) return code;
    return r->verdict == LATE ? BROOD_ETIMEDOUT : 0;
}

static void to_the_lock(struct request *r, int verdict)
{
    struct object *lock = ((struct condition_object *)r->other)->lock;
    r->verdict = verdict;
    r->attempt = take_back;
    brood__move(r, lock, 0);
    brood__serve(r->s, lock, 0);
}

static void notify(struct object *o, uint64_t n)
{
    struct line *line = &o->lines[0];
    for (; n && line->first; n--) to_the_lock(line->first, NOTIFIED);
}

static int condition_late(struct request *r)
{
    to_the_lock(r, LATE);
    return WAITS;
}

static void condition_dropped(struct request *r)
{
    if (r->verdict == NOTIFIED && r->other->references) notify(r->other, 1);
}

static int condition_wait(struct request *r)
{
    if (r->verdict == WAITING) return WAITS;
    struct object *lock = condition_of(r)->lock;
    if (!brood__lock_is_mine(r, lock)) return BROOD_EPERM;
    if (r->timeout == 0) return BROOD_EAGAIN;
    if (r->c->waiting_count >= r->s->setup.waiting) return BROOD_ENOMEM; /* before the lock is given up */
    r->number = brood__lock_give_up(r, lock);
    r->verdict = WAITING;
    r->late = condition_late;
    r->dropped = condition_dropped;
    r->other = r->o;
    brood__refer(r->other);
    return WAITS;
}

static int condition_notify(struct request *r)
{
    int64_t n = 1;
    int error = brood__args(r, 0, 1);
    if (error == 0 && r->argc) error = brood__arg_int(r, 0, &n);
    if (error == 0 && n < 0) error = BROOD_EINVAL;
    if (error < 0) return error;
    if (!brood__lock_is_mine(r, condition_of(r)->lock)) return BROOD_EPERM;
    notify(r->o, (uint64_t)n);
    return 0;
}

static int condition_notify_all(struct request *r)
{
    if (!brood__lock_is_mine(r, condition_of(r)->lock)) return BROOD_EPERM;
    notify(r->o, UINT64_MAX);
    return 0;
}

static const struct method condition_methods[] = {
    {"acquire", condition_acquire, 0}, {"release", condition_release, 0},       {"wait", condition_wait, 0},
    {"notify", condition_notify, 0},   {"notify_all", condition_notify_all, 0}, {0},
};
const struct object_type brood__type_condition = {.name = "Condition",
                                                  .size = sizeof(struct condition_object),
                                                  .create = condition_create,
                                                  .destroy = condition_destroy,
                                                  .methods = condition_methods};

/* ------------------------------------------------------------------------------------------------------------- events */

struct event_object {
    struct object object;
    bool set;
};

static int no_args(struct request *r, struct object *o)
{
    (void)o;
    return brood__args(r, 0, 0);
}

static int event_set(struct request *r)
{
    ((struct event_object *)r->o)->set = true;
    for (struct request *w = r->o->lines[0].first; w; w = w->next) w->verdict = PASSED; /* a clear comes too late */
    brood__serve(r->s, r->o, 0);
    return 0;
}

static int event_clear(struct request *r)
{
    ((struct event_object *)r->o)->set = false;
    return 0;
}

static int event_is_set(struct request *r)
{
    brood__item_put_bool(brood__result(r), ((struct event_object *)r->o)->set);
    return 0;
}

static int event_wait(struct request *r)
{
    return ((struct event_object *)r->o)->set || r->verdict == PASSED ? 0 : WAITS;
}

static const struct method event_methods[] = {
    {"set", event_set, 0}, {"clear", event_clear, 0}, {"is_set", event_is_set, 0}, {"wait", event_wait, 0}, {0}};
const struct object_type brood__type_event = {
    .name = "Event", .size = sizeof(struct event_object), .create = no_args, .methods = event_methods};

/* ----------------------------------------------------------------------------------------------------------- barriers */

struct barrier_object {
    struct object object;
    uint64_t parties, waiting;
    bool broken;
};

static struct barrier_object *barrier_of(struct request *r)
{
    return (struct barrier_object *)r->o;
}

static int barrier_create(struct request *r, struct object *o)
{
    int64_t parties = 0;
    int error = brood__args(r, 1, 1);
    if (error == 0) error = brood__arg_int(r, 0, &parties);
    if (error == 0 && (parties < 1 || parties > INT32_MAX)) error = BROOD_EINVAL;
    ((struct barrier_object *)o)->parties = (uint64_t)parties;
    return error;
}

/* All who wait get this, but for one who has another answer. */
static void send_off(struct server *s, struct barrier_object *b, int verdict, const struct request *but)
{
    uint64_t number = 0;
    for (struct request *w = b->object.lines[0].first; w; w = w->next) {
        w->number = number++;
        if (w != but && w->verdict == WAITING) w->verdict = verdict;
    }
    b->waiting = 0;
    brood__serve(s, &b->object, 0);
}

static int barrier_late(struct request *r)
{
    struct barrier_object *b = barrier_of(r);
    b->broken = true;
    r->verdict = LATE;
    send_off(r->s, b, BROKEN, r);
    return BROOD_ETIMEDOUT;
}

static void barrier_dropped(struct request *r)
{
    struct barrier_object *b = barrier_of(r);
    if (r->verdict != WAITING) return;
    b->broken = true;
    r->verdict = BROKEN;
    send_off(r->s, b, BROKEN, r);
}

static int barrier_wait(struct request *r)
{
    struct barrier_object *b = barrier_of(r);
    if (r->verdict == WAITING) return WAITS;
    if (r->verdict == BROKEN || (r->verdict == FRESH && b->broken)) return BROOD_EBROKEN;
    if (r->verdict == FRESH) {
        r->number = b->waiting;
        if (b->waiting + 1 < b->parties) {
            if (r->timeout == 0 || r->c->waiting_count >= r->s->setup.waiting)
                return r->timeout == 0 ? BROOD_EAGAIN : BROOD_ENOMEM;
            b->waiting++;
            r->verdict = WAITING;
            r->late = barrier_late;
            r->dropped = barrier_dropped;
            return WAITS;
        }
        send_off(r->s, b, PASSED, NULL);
    }
    brood__item_put_uint(brood__result(r), r->number);
    return 0;
}

static int barrier_reset(struct request *r)
{
    barrier_of(r)->broken = false;
    send_off(r->s, barrier_of(r), BROKEN, NULL);
    return 0;
}

static int barrier_abort(struct request *r)
{
    barrier_of(r)->broken = true;
    send_off(r->s, barrier_of(r), BROKEN, NULL);
    return 0;
}

static int barrier_parties(struct request *r)
{
    brood__item_put_uint(brood__result(r), barrier_of(r)->parties);
    return 0;
}

static int barrier_n_waiting(struct request *r)
{
    brood__item_put_uint(brood__result(r), barrier_of(r)->waiting);
    return 0;
}

static int barrier_broken(struct request *r)
{
    brood__item_put_bool(brood__result(r), barrier_of(r)->broken);
    return 0;
}

static const struct method barrier_methods[] = {
    {"wait", barrier_wait, 0},
    {"reset", barrier_reset, 0},
    {"abort", barrier_abort, 0},
    {"parties", barrier_parties, 0},
    {"n_waiting", barrier_n_waiting, 0},
    {"broken", barrier_broken, 0},
    {0},
};
const struct object_type brood__type_barrier = {
    .name = "Barrier", .size = sizeof(struct barrier_object), .create = barrier_create, .methods = barrier_methods};
