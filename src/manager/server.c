/* SPDX-License-Identifier: MIT */
/* server.c - the loop of a manager's process, its log, and object 0: the server itself.  The tour is in server.h. */
#include "manager/crew.h"

#include "call/error.h"
#include "call/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)1000000000)
#define LINES_A_SECOND 20
#define DEAF_FOR ((int64_t)100000000) /* when there was nothing left for a new client, it is tried again */

void brood__manager_log(struct server *s, const char *format, ...)
{
    if (s->now - s->log_window >= SECOND) {
        if (s->log_left_out) brood_log(BROOD_LOG_WARNING, "and %u lines more", s->log_left_out);
        s->log_window = s->now;
        s->log_lines = s->log_left_out = 0;
    }
    if (s->log_lines++ >= LINES_A_SECOND) { /* strangers must not fill the disk */
        s->log_left_out++;
        return;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    brood_log(BROOD_LOG_WARNING, "%s", text);
}

/* -------------------------------------------------------------------------------------------------- the server itself */

static void result_handle(struct request *r, uint64_t id)
{
    brood__item_put_tag(brood__result(r), HANDLE_TAG);
    brood__item_put_uint(brood__result(r), id);
}

/* create(type, arguments of the type ...): a handle that the client holds. */
static int self_create(struct request *r)
{
    struct item item;
    const unsigned char *at = r->argc ? r->args[0].at : NULL;
    if (!at || brood__item_next(&at, at + r->args[0].size, &item) < 0 || item.kind != ITEM_TEXT)
        return brood__fail_with(BROOD_EINVAL, "create wants the name of a type");
    struct slice name = {item.data, (size_t)item.value};
    const struct object_type *type = brood__object_type(name);
    if (!type)
        return brood__fail_with(BROOD_EINVAL, "this manager has no type %.*s", (int)(name.size < 64 ? name.size : 64),
                                (const char *)name.at);
    if (r->all_count > ARGS_MOST && !type->any) return brood__fail_with(BROOD_EINVAL, "too many arguments");
    r->all.size -= r->args[0].size;
    r->all.at += r->args[0].size;
    r->all_count--;
    r->args++;
    r->argc--;
    struct object *o;
    int error = brood__object_new(r, type, &o);
    if (error < 0) return error;
    struct share *share = brood__share(r->s, r->c, o);
    if (!share) {
        brood__refer_no_more(r->s, o);
        return BROOD_ENOMEM;
    }
    share->holds = 1;
    result_handle(r, o->id);
    return 0;
}

static int self_hold(struct request *r)
{
    int error = brood__args(r, 1, 1);
    struct object *o = error < 0 ? NULL : brood__arg_object(r, 0, &error);
    if (!o) return error;
    struct share *share = brood__share(r->s, r->c, o);
    if (!share) return BROOD_ENOMEM;
    share->holds++;
    brood__refer(o);
    return 0;
}

static int self_drop(struct request *r)
{
    int error = brood__args(r, 1, 1);
    struct object *o = error < 0 ? NULL : brood__arg_object(r, 0, &error);
    if (!o) return error;
    struct share *share = brood__share_find(r->s, r->c, o);
    if (!share || !share->holds) return BROOD_EPERM;
    share->holds--;
    brood__share_settle(r->s, share);
    brood__refer_no_more(r->s, o);
    return 0;
}

static int self_stats(struct request *r)
{
    struct server *s = r->s;
    struct item_writer *w = brood__result(r);
    brood__item_put_array(w, 7);
    brood__item_put_uint(w, s->client_count);
    brood__item_put_uint(w, s->object_count);
    brood__item_put_uint(w, s->share_count);
    brood__item_put_uint(w, s->waiting_count);
    brood__item_put_uint(w, s->bytes);
    brood__item_put_uint(w, s->request_count);
    brood__item_put_uint(w, s->dropped_count);
    return 0;
}

static int self_ping(struct request *r)
{
    (void)r;
    return 0;
}

static int self_shutdown(struct request *r)
{
    r->s->stopping = true;
    return 0;
}

static const struct method self_methods[] = {
    {"create", self_create, 0},
    {"hold", self_hold, 0},
    {"drop", self_drop, 0},
    {"stats", self_stats, 0},
    {"ping", self_ping, 0},
    {"shutdown", self_shutdown, 0},
    {0},
};
const struct object_type brood__type_server = {.name = "manager", .methods = self_methods};

const struct object_type *brood__object_type(struct slice name)
{
    const struct object_type *user = brood__user_type(name);
    for (const struct object_type *const *type = brood__object_types; !user && *type; type++)
        if (strlen((*type)->name) == name.size && memcmp((*type)->name, name.at, name.size) == 0) return *type;
    return user;
}

/* ----------------------------------------------------------------------------------------------------------- the loop */

/* Each may leave work to the others. */
void brood__manager_settle(struct server *s)
{
    while (s->due || s->broken || s->dead) {
        brood__serve_due(s);
        brood__client_bury(s);
        brood__object_bury(s);
    }
}

static int loop(struct server *s)
{
    enum { AT_ONCE = 64 };
    struct os_ready ready[AT_ONCE];
    while (!s->stopping) {
        int64_t next = brood__timer_next(s), soon = s->now + DEAF_FOR;
        int64_t ends = brood__crews_next(s);
        if (s->deaf && soon < next) next = soon;
        int n = brood__os_poller_ready(s->poller, ready, AT_ONCE, ends < next ? ends : next);
        if (n < 0) return n;
        s->now = brood__os_now();
        if (s->deaf && brood__os_poller_watch(s->poller, s->listener, 0, OS_READABLE) == 0) s->deaf = false;
        for (int i = 0; i < n; i++) {
            if (ready[i].tag == 0)
                brood__client_accept(s);
            else if (ready[i].tag & 1)
                brood__crew_ready(s, (struct crew *)(uintptr_t)(ready[i].tag & ~(uint64_t)1));
            else
                brood__client_ready((struct client *)(uintptr_t)ready[i].tag, ready[i].events);
        }
        brood__timer_run(s);
        brood__crews_turn(s);
        brood__manager_settle(s);
    }
    return 0;
}

int brood__manager_serve(struct server *s)
{
    s->now = brood__os_now();
    s->result.most = (size_t)s->setup.buffered;
    s->poller = -1;
    int error = brood__tables_new(s) ? brood__os_poller_new(&s->poller) : BROOD_ENOMEM;
    if (error == 0) error = brood__os_poller_watch(s->poller, s->listener, 0, OS_READABLE);
    if (error == 0) error = loop(s);
    if (error < 0) brood__manager_log(s, "it ends: %s", brood_strerror(error));
    /* All of them are told by the end of their connection; what the user's types have is taken apart. */
    while (s->clients) {
        brood__client_break(s->clients);
        brood__manager_settle(s);
    }
    brood__crews_end(s);
    brood__os_close(&s->poller);
    brood__os_close(&s->listener);
    free(s->table);
    free(s->shares);
    free(s->timers);
    free(s->result.bytes);
    return error;
}
