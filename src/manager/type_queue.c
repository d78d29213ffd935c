/* SPDX-License-Identifier: MIT */
/*
 * type_queue.c - queue and joinable queue.
 *
 * lines: 0 those who get, 1 those who put, 2 those who join.  An item that is got is in the hand of its client until
 * that says that it has come whole; if it never does, the item comes back to the front.  A joinable queue counts for
 * each client the items that it has got and not said to be done: when it dies, they are done with.
 */
#include "manager/server.h"

#include "call/error.h"

#include <string.h>

enum { GETTERS, PUTTERS, JOINERS };

struct queue_object {
    struct object object;
    bool joinable;
    uint64_t most; /* items; 0: any number */
    uint64_t unfinished;
    struct value **items; /* a ring: room is a power of two */
    size_t head, count, room;
};

static struct queue_object *queue_of(struct request *r)
{
    return (struct queue_object *)r->o;
}

static int queue_create(struct request *r, struct object *o)
{
    struct queue_object *q = (struct queue_object *)o;
    int64_t most = 0;
    int error = brood__args(r, 0, 1);
    if (error == 0 && r->argc) error = brood__arg_int(r, 0, &most);
    if (error < 0) return error;
    q->most = most > 0 ? (uint64_t)most : 0;
    q->joinable = strcmp(o->type->name, "JoinableQueue") == 0;
    return 0;
}

static void queue_destroy(struct server *s, struct object *o)
{
    struct queue_object *q = (struct queue_object *)o;
    for (size_t i = 0; i < q->count; i++) brood__value_drop(s, q->items[(q->head + i) & (q->room - 1)]);
    brood__drop(s, q->items);
}

static bool make_room(struct server *s, struct queue_object *q)
{
    if (q->count < q->room) return true;
    size_t room = q->room ? 2 * q->room : 8;
    struct value **items = brood__keep(s, room * sizeof(struct value *));
    if (!items) return false;
    for (size_t i = 0; i < q->count; i++) items[i] = q->items[(q->head + i) & (q->room - 1)];
    brood__drop(s, q->items);
    q->items = items;
    q->head = 0;
    q->room = room;
    return true;
}

static bool is_full(const struct queue_object *q)
{
    return q->most && q->count >= q->most;
}

static int queue_put(struct request *r)
{
    struct queue_object *q = queue_of(r);
    if (!r->value) {
        int error = brood__args(r, 1, 1);
        if (error == 0) error = brood__value_keep(r->s, r->args[0], &r->value);
        if (error < 0) return error;
    }
    if (is_full(q)) return WAITS;
    if (!make_room(r->s, q)) return BROOD_ENOMEM;
    q->items[(q->head + q->count++) & (q->room - 1)] = r->value;
    q->unfinished++;
    r->value = NULL;
    brood__serve(r->s, r->o, GETTERS);
    return 0;
}

static void give_back_room(struct server *s, struct queue_object *q)
{
    if (q->count || q->room <= 64) return;
    brood__drop(s, q->items);
    q->items = NULL;
    q->room = q->head = 0;
}

static int queue_get(struct request *r)
{
    struct queue_object *q = queue_of(r);
    if (!q->count) return WAITS;
    struct value *v = q->items[q->head];
    int error = brood__hand(r, v);
    if (error < 0) return error;
    q->head = (q->head + 1) & (q->room - 1);
    q->count--;
    give_back_room(r->s, q);
    brood__result_value(r, v);
    brood__serve(r->s, r->o, PUTTERS);
    return 0;
}

void brood__queue_taken(struct client *c, struct hand *hand)
{
    struct queue_object *q = (struct queue_object *)hand->o;
    struct share *share = q->joinable ? brood__share(c->s, c, hand->o) : NULL;
    if (share) share->units++;
}

void brood__queue_returned(struct server *s, struct hand *hand)
{
    struct queue_object *q = (struct queue_object *)hand->o;
    if (make_room(s, q)) {
        q->head = (q->head - 1) & (q->room - 1);
        q->items[q->head] = hand->value;
        q->count++;
        brood__serve(s, hand->o, GETTERS);
    } else {
        brood__manager_log(s, "no memory for an item that came back: it is lost");
        brood__value_drop(s, hand->value);
    }
    brood__refer_no_more(s, hand->o);
    brood__drop(s, hand);
}

static void finish(struct server *s, struct queue_object *q, uint64_t n)
{
    q->unfinished -= n < q->unfinished ? n : q->unfinished;
    if (q->unfinished == 0) brood__serve(s, &q->object, JOINERS);
}

static int queue_task_done(struct request *r)
{
    struct queue_object *q = queue_of(r);
    if (!q->unfinished) return brood__fail_with(BROOD_EINVAL, "task_done: more often than items were put");
    struct share *share = brood__share_find(r->s, r->c, r->o);
    if (!share || !share->units)
        for (share = r->o->shares; share && !share->units; share = share->next_of_object) {}
    if (share) share->units--;
    brood__share_settle(r->s, share);
    finish(r->s, q, 1);
    return 0;
}

static void queue_gone(struct server *s, struct object *o, struct client *c, uint64_t units)
{
    (void)c;
    finish(s, (struct queue_object *)o, units);
}

static int queue_join(struct request *r)
{
    return queue_of(r)->unfinished ? WAITS : 0;
}

static int queue_size(struct request *r)
{
    brood__item_put_uint(brood__result(r), queue_of(r)->count);
    return 0;
}

static int queue_empty(struct request *r)
{
    brood__item_put_bool(brood__result(r), queue_of(r)->count == 0);
    return 0;
}

static int queue_full(struct request *r)
{
    brood__item_put_bool(brood__result(r), is_full(queue_of(r)));
    return 0;
}

#define QUEUE_METHODS                                                                                            \
    {"put", queue_put, PUTTERS}, {"get", queue_get, GETTERS}, {"qsize", queue_size, 0}, {"size", queue_size, 0}, \
        {"empty", queue_empty, 0},                                                                               \
    {                                                                                                            \
        "full", queue_full, 0                                                                                    \
    }
static const struct method queue_methods[] = {QUEUE_METHODS, {0}};
static const struct method joinable_methods[] = {
    QUEUE_METHODS, {"task_done", queue_task_done, 0}, {"join", queue_join, JOINERS}, {0}};

const struct object_type brood__type_queue = {.name = "Queue",
                                              .size = sizeof(struct queue_object),
                                              .create = queue_create,
                                              .destroy = queue_destroy,
                                              .methods = queue_methods};
const struct object_type brood__type_joinable_queue = {.name = "JoinableQueue",
                                                       .size = sizeof(struct queue_object),
                                                       .create = queue_create,
                                                       .destroy = queue_destroy,
                                                       .gone = queue_gone,
                                                       .methods = joinable_methods};
