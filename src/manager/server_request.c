/* SPDX-License-Identifier: MIT */
/* server_request.c - a request from its arrival to its answer; the rules are in server.h. */
#include "manager/server.h"

#include "call/error.h"

#include <string.h>

/* ----------------------------------------------------------------------------------------------------------- results */

struct item_writer *brood__result(struct request *r)
{
    return &r->s->result;
}

void brood__result_value(struct request *r, const struct value *v)
{
    brood__item_put_raw(&r->s->result, v->bytes, v->size);
}

/* What a value refers to its new owner, a client, holds; each reference goes over. */
static int hold_handle(void *context, uint64_t id)
{
    struct client *c = context;
    struct object *o = id & OBJECT_BIT ? brood__object_find(c->s, id) : NULL;
    struct share *share = o ? brood__share(c->s, c, o) : NULL;
    if (share)
        share->holds++;
    else if (o)
        brood__refer_no_more(c->s, o); /* it has no room for it: a handle that will be stale */
    return 0;
}

void brood__hand_over(struct client *c, struct value *v)
{
    const unsigned char *at = v->bytes;
    if (v->handles) brood__value_walk(&at, v->bytes + v->size, hold_handle, c);
    brood__drop(c->s, v);
}

void brood__result_hand_over(struct request *r, struct value *v)
{
    brood__result_value(r, v);
    brood__hand_over(r->c, v);
}

int brood__hand(struct request *r, struct value *value)
{
    struct hand *hand = brood__keep(r->s, sizeof *hand), **end = &r->c->hands;
    if (!hand) return BROOD_ENOMEM;
    *hand = (struct hand){.serial = r->serial, .o = r->o, .value = value};
    brood__refer(r->o);
    r->s->handed = true;
    while (*end) end = &(*end)->next;
    *end = hand;
    return 0;
}

static int taken(struct client *c, uint64_t serial)
{
    struct hand **place = &c->hands;
    while (*place && (*place)->serial != serial) place = &(*place)->next;
    struct hand *hand = *place;
    if (!hand) return brood__fail_with(BROOD_ECORRUPT, "it says that it has got what it never was given");
    *place = hand->next;
    brood__queue_taken(c, hand);
    brood__hand_over(c, hand->value);
    brood__refer_no_more(c->s, hand->o);
    brood__drop(c->s, hand);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- arguments */

int brood__args(struct request *r, size_t least, size_t most)
{
    if (r->argc >= least && r->argc <= most) return 0;
    return brood__fail_with(BROOD_EINVAL, "%.*s takes %zu to %zu arguments, not %zu", (int)r->method.size,
                            (const char *)r->method.at, least, most, r->argc);
}

static bool arg_item(struct request *r, size_t i, struct item *item, const unsigned char **behind)
{
    const unsigned char *at = r->args[i].at;
    if (i >= r->argc || brood__item_next(&at, r->args[i].at + r->args[i].size, item) < 0) return false;
    if (behind) *behind = at;
    return true;
}

static int wrong(struct request *r, size_t i, const char *wanted)
{
    return brood__fail_with(BROOD_EINVAL, "%.*s: argument %zu is not %s", (int)r->method.size,
                            (const char *)r->method.at, i + 1, wanted);
}

int brood__arg_int(struct request *r, size_t i, int64_t *value)
{
    struct item item;
    bool is = arg_item(r, i, &item, NULL) && (item.kind == ITEM_UINT || item.kind == ITEM_NEGINT);
    if (!is || item.value > INT64_MAX) return wrong(r, i, "an integer of 64 bits");
    *value = item.kind == ITEM_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
    return 0;
}

int brood__arg_bool(struct request *r, size_t i, bool *value)
{
    struct item item;
    if (!arg_item(r, i, &item, NULL) || item.kind != ITEM_BOOL) return wrong(r, i, "true or false");
    *value = item.value != 0;
    return 0;
}

bool brood__arg_is_nil(struct request *r, size_t i)
{
    struct item item;
    return i >= r->argc || (arg_item(r, i, &item, NULL) && item.kind == ITEM_NULL);
}

int brood__arg_array(struct request *r, size_t i, uint64_t *count, const unsigned char **at, const unsigned char **end)
{
    struct item item;
    if (!arg_item(r, i, &item, at) || item.kind != ITEM_ARRAY) return wrong(r, i, "a list");
    *count = item.value;
    *end = r->args[i].at + r->args[i].size;
    return 0;
}

struct object *brood__arg_object(struct request *r, size_t i, int *error)
{
    struct item item;
    const unsigned char *at;
    *error = 0;
    if (!arg_item(r, i, &item, &at) || item.kind != ITEM_TAG ||
        brood__item_next(&at, r->args[i].at + r->args[i].size, &item) < 0) {
        *error = wrong(r, i, "a handle");
        return NULL;
    }
    struct object *o = brood__object_find(r->s, item.value);
    if (!o) *error = brood__fail_with(BROOD_ESTALE, "the handle names no object of this manager");
    return o;
}

/* ----------------------------------------------------------------------------------------------------------- waiting */

static void leave_line(struct request *r)
{
    struct line *line = &r->o->lines[r->line];
    *(r->previous ? &r->previous->next : &line->first) = r->next;
    *(r->next ? &r->next->previous : &line->last) = r->previous;
}

static void enter_line(struct request *r, struct object *o, unsigned number)
{
    struct line *line = &o->lines[number];
    r->o = o;
    r->line = number;
    r->next = NULL;
    r->previous = line->last;
    *(line->last ? &line->last->next : &line->first) = r;
    line->last = r;
}

void brood__move(struct request *r, struct object *o, unsigned line)
{
    leave_line(r);
    brood__timer_clear(r->s, &r->timer);
    enter_line(r, o, line);
}

/* It has to wait: a copy of its own, in its line.  0; BROOD_EAGAIN; BROOD_ENOMEM. */
static int wait_in_line(struct request *r)
{
    struct server *s = r->s;
    struct client *c = r->c;
    if (r->timeout == 0) return BROOD_EAGAIN;
    if (c->waiting_count >= s->setup.waiting)
        return brood__fail_with(BROOD_ENOMEM, "this client has %zu requests that wait, as many as it may",
                                c->waiting_count);
    struct request *own = brood__keep(s, sizeof *own);
    if (!own) return BROOD_ENOMEM;
    *own = *r;
    own->args = NULL;
    own->argc = 0;
    own->timer = 0;
    int64_t deadline = r->timeout < 0 ? OS_NEVER : s->now + (int64_t)r->timeout * 1000000;
    if (!brood__timer_set(s, &own->timer, deadline, own, NULL)) {
        brood__drop(s, own);
        return BROOD_ENOMEM;
    }
    enter_line(own, r->o, r->line);
    own->next_of_client = c->waiting;
    own->place_of_client = &c->waiting;
    if (c->waiting) c->waiting->place_of_client = &own->next_of_client;
    c->waiting = own;
    c->waiting_count++;
    s->waiting_count++;
    return 0;
}

/* It waits no more, and is gone. */
static void end_wait(struct request *r)
{
    struct server *s = r->s;
    leave_line(r);
    brood__timer_clear(s, &r->timer);
    *r->place_of_client = r->next_of_client;
    if (r->next_of_client) r->next_of_client->place_of_client = r->place_of_client;
    r->c->waiting_count--;
    s->waiting_count--;
    brood__value_drop(s, r->value);
    if (r->other) brood__refer_no_more(s, r->other);
    brood__drop(s, r);
}

void brood__request_drop(struct request *r)
{
    if (r->dropped) r->dropped(r);
    end_wait(r);
}

static void answer_waiting(struct request *r, int code)
{
    struct client *c = r->c;
    uint64_t serial = r->serial;
    end_wait(r);
    brood__client_answer(c, serial, code);
}

static int attempt(struct request *r)
{
    brood__say_nothing();
    r->s->result.size = 0;
    r->s->result.error = 0;
    return r->attempt(r);
}

void brood__request_late(struct request *r)
{
    brood__say_nothing();
    int code = r->late ? r->late(r) : BROOD_ETIMEDOUT;
    if (code != WAITS) answer_waiting(r, code);
}

void brood__serve(struct server *s, struct object *o, unsigned line)
{
    if (!o->lines[line].first || o->references == 0) return;
    if (!o->due) {
        o->next_due = s->due;
        s->due = o;
    }
    o->due |= 1u << line;
}

static void serve_line(struct object *o, unsigned line)
{
    struct request *r;
    while ((r = o->lines[line].first)) {
        if (r->c->broken || r->c->mute) { /* what it would be given would have to be taken back */
            brood__request_drop(r);
            continue;
        }
        int code = attempt(r);
        if (code == WAITS) return;
        answer_waiting(r, code);
    }
}

void brood__serve_due(struct server *s)
{
    while (s->due) {
        struct object *o = s->due;
        unsigned due = o->due;
        s->due = o->next_due;
        o->due = 0;
        for (unsigned line = 0; line < LINES; line++)
            if (due & 1u << line) serve_line(o, line);
    }
}

/* ---------------------------------------------------------------------------------------------------------- arriving */

static bool is(struct slice text, const char *name)
{
    return text.size == strlen(name) && memcmp(text.at, name, text.size) == 0;
}

static int find_method(struct request *r, const struct object_type *type)
{
    r->attempt = type->any;
    for (const struct method *m = type->methods; m && m->name; m++) {
        if (!is(r->method, m->name)) continue;
        r->attempt = m->attempt;
        r->line = m->line;
        break;
    }
    if (r->attempt) return 0;
    return brood__fail_with(BROOD_EINVAL, "a %s has no method %.*s", type->name, (int)r->method.size,
                            (const char *)r->method.at);
}

static int run(struct request *r, uint64_t object, const struct wire_request *w, struct slice args[ARGS_MOST])
{
    const struct object_type *type = &brood__type_server;
    if (object != 0) {
        r->o = brood__object_find(r->s, object);
        if (!r->o) return BROOD_ESTALE;
        type = r->o->type;
    }
    const unsigned char *at = w->args.at, *end = at + w->args.size;
    for (; r->argc < ARGS_MOST && r->argc < w->argc; r->argc++) {
        args[r->argc].at = at;
        if (brood__value_walk(&at, end, NULL, NULL) < 0) return BROOD_ECORRUPT;
        args[r->argc].size = (size_t)(at - args[r->argc].at);
    }
    if (r->argc < w->argc && !type->any)
        return brood__fail_with(BROOD_EINVAL, "no method takes %llu arguments", (unsigned long long)w->argc);
    int error = find_method(r, type);
    return error < 0 ? error : r->attempt(r);
}

int brood__request_take(struct client *c, const void *bytes, size_t size)
{
    struct server *s = c->s;
    struct wire_request w;
    struct slice args[ARGS_MOST];
    brood__say_nothing();
    int code = brood__wire_request_read(&w, bytes, size);
    if (code < 0) return code;
    s->request_count++;
    if (w.taken) return taken(c, w.serial);
    struct request r = {.s = s,
                        .c = c,
                        .serial = w.serial,
                        .thread = w.thread,
                        .timeout = w.timeout,
                        .method = w.method,
                        .args = args,
                        .all = w.args,
                        .all_count = w.argc,
                        .handles = w.handles};
    s->result.size = 0;
    s->result.error = 0;
    code = run(&r, w.object, &w, args);
    if (code == WAITS) {
        code = wait_in_line(&r);
        if (code == 0) return 0;
        if (r.dropped) r.dropped(&r);
    }
    brood__value_drop(s, r.value);
    if (r.other) brood__refer_no_more(s, r.other);
    brood__client_answer(c, w.serial, code);
    return 0;
}
