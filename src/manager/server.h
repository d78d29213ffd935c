/* SPDX-License-Identifier: MIT */
/*
 * manager/server.h - what the files of the server share: its clients, its objects, and requests that wait.
 *
 * One process, one thread, one loop.  Nothing here is shared memory: it dies with the server, and then every call of its
 * clients is BROOD_ELOST.
 *
 * A client is a connection.  What it has is counted by shares, one for each object that it has something of: references
 * (holds), and by the object's type units, a lock, tasks that are not done.  When the connection ends, for any reason,
 * its waiting requests are dropped and its shares given back; the object's type is told (gone).
 *
 * An object lives while it is referred to: by holds of clients, by handles in values that the server keeps, and by other
 * objects.  The last one gone, it is put on a list and taken apart when the event that is worked on has been dealt with, so
 * that a chain of objects costs no stack.  Ids are never used again.
 *
 * A request is attempted; if it can't be answered now and may wait, it is kept in a line of its object (at most LINES of
 * them), and who changes the object calls brood__serve with the line: the first is attempted again, and so on until one
 * has to wait on.  So each line is served in the order of its arrival.
 */
#ifndef BROOD_MANAGER_SERVER_H
#define BROOD_MANAGER_SERVER_H

#include "manager/setup.h"
#include "manager/wire.h"
#include "os/os.h"
#include "pipe/auth.h"
#include "pipe/frame.h"
#include "process/item.h"

enum { LINES = 3 };

struct server;
struct client;
struct object;
struct request;

/* ------------------------------------------------------------------------------------------- memory, as it is counted */

void *brood__keep(struct server *s, size_t size);
/* NULL: as before, and nothing is lost. */
void *brood__keep_more(struct server *s, void *memory, size_t size);
void brood__drop(struct server *s, void *memory);

/* An encoded value that an object keeps; what its handles name it refers to. */
struct value {
    size_t size;
    bool handles;
    unsigned char bytes[];
};
/* 0, BROOD_ENOMEM, BROOD_ESTALE: a handle in it names no object (with a detail). */
int brood__value_keep(struct server *s, struct slice bytes, struct value **value);
void brood__value_drop(struct server *s, struct value *value);
static inline struct slice brood__value_slice(const struct value *v)
{
    return (struct slice){v->bytes, v->size};
}

/* ---------------------------------------------------------------------------------------------------------- requests */

/* What an attempt answers besides 0 and codes: it has to wait. */
enum { WAITS = 1 };
typedef int attempt_fn(struct request *r);

/*
 * One request.  While it is first attempted it stands on the stack, and args are bytes that came; when it waits it is a
 * copy of its own, and only what stands before `args` is there.
 */
struct request {
    struct server *s;
    struct client *c;
    struct object *o;
    uint64_t serial, thread;
    int timeout;
    attempt_fn *attempt;                /* again, when its turn comes */
    struct value *value;                /* what it brings; the request's until the attempt takes it and makes it NULL */
    uint64_t number;                    /* the type's own */
    int verdict;                        /* the type's own */
    struct object *other;               /* the type's own; referred to, NULL for none */
    void (*dropped)(struct request *r); /* NULL, or told that it will never be answered */
    int (*late)(struct request *r); /* NULL, or what it is answered instead of BROOD_ETIMEDOUT; WAITS: it waits on */
    unsigned line;
    size_t timer;                                      /* its place among the timers, 0: none */
    struct request *next, *previous;                   /* in its line */
    struct request *next_of_client, **place_of_client; /* of those of its client */

    const struct slice *args; /* at most ARGS_MOST of them */
    size_t argc;
    struct slice method, all; /* all arguments in one piece, for the types of the user's */
    uint64_t all_count;
    size_t handles; /* in the arguments */
};
#define ARGS_MOST 16

/* The value that answers; what is written counts only if the attempt answers 0. */
struct item_writer *brood__result(struct request *r);
void brood__result_value(struct request *r, const struct value *v);
/* The same, and the client holds what its handles name; *v is gone. */
void brood__result_hand_over(struct request *r, struct value *v);
/* The client holds what the value's handles name; *v is gone. */
void brood__hand_over(struct client *c, struct value *v);
/* The first in this line of an object may go on now, and who comes behind it: done after the request that is worked on. */
void brood__serve(struct server *s, struct object *o, unsigned line);
/* Take a request out of its line and put it at the end of another, of another object perhaps, without a deadline. */
void brood__move(struct request *r, struct object *o, unsigned line);

/* Arguments: how many are there, BROOD_EINVAL if not from least to most.  Each of a kind. */
int brood__args(struct request *r, size_t least, size_t most);
int brood__arg_int(struct request *r, size_t i, int64_t *value);
int brood__arg_bool(struct request *r, size_t i, bool *value);
bool brood__arg_is_nil(struct request *r, size_t i);
/* The items of an array. */
int brood__arg_array(struct request *r, size_t i, uint64_t *count, const unsigned char **at, const unsigned char **end);
/* The object of a handle; NULL: BROOD_EINVAL or BROOD_ESTALE in *error. */
struct object *brood__arg_object(struct request *r, size_t i, int *error);

/* ----------------------------------------------------------------------------------------------------------- objects */

struct method {
    const char *name;
    attempt_fn *attempt;
    unsigned line; /* where it waits */
};

struct object_type {
    const char *name;
    size_t size;                                        /* of its struct, which begins with an object */
    int (*create)(struct request *r, struct object *o); /* o is zeroes behind its head; not 0: destroy is called */
    void (*destroy)(struct server *s, struct object *o);
    /* A client that has `units` of it has gone. */
    void (*gone)(struct server *s, struct object *o, struct client *c, uint64_t units);
    const struct method *methods; /* a NULL name at the end */
    attempt_fn *any;              /* instead of methods: all of them */
    const void *user;             /* of a type of the user's */
};

struct line {
    struct request *first, *last;
};

struct object {
    uint64_t id, references;
    const struct object_type *type;
    struct object *next; /* in the table, or among the dead */
    struct share *shares;
    struct line lines[LINES];
    unsigned due; /* lines to be served, as bits: then it is on the list */
    struct object *next_due;
};

/* What one client has of one object.  It is there while holds or units are not 0. */
struct share {
    struct client *c;
    struct object *o;
    uint64_t holds, units;
    struct share *next; /* in the table */
    struct share *next_of_client, **place_of_client;
    struct share *next_of_object, **place_of_object;
};

struct object *brood__object_find(struct server *s, uint64_t id);
/* One with one reference, the caller's to give or drop.  Not 0: a code. */
int brood__object_new(struct request *r, const struct object_type *type, struct object **o);
void brood__refer(struct object *o);
void brood__refer_no_more(struct server *s, struct object *o);

/* The share, made if it is not there (NULL: no memory); found only. */
struct share *brood__share(struct server *s, struct client *c, struct object *o);
struct share *brood__share_find(struct server *s, const struct client *c, const struct object *o);
/* Gone if it has become empty. */
void brood__share_settle(struct server *s, struct share *share);

extern const struct object_type *const brood__object_types[]; /* NULL at the end */
/* The type of this name, the user's too; NULL. */
const struct object_type *brood__object_type(struct slice name);
const struct object_type *brood__user_type(struct slice name);
extern const struct object_type brood__type_lock, brood__type_rlock, brood__type_semaphore,
    brood__type_bounded_semaphore, brood__type_condition, brood__type_event, brood__type_barrier, brood__type_queue,
    brood__type_joinable_queue, brood__type_list, brood__type_array, brood__type_value, brood__type_dict,
    brood__type_namespace, brood__type_pool;
/* Locks, for conditions: give it up, however deep; *depth is how deep, 0: this client and thread do not have it. */
uint64_t brood__lock_give_up(struct request *r, struct object *lock);
bool brood__lock_is_mine(const struct request *r, const struct object *lock);
/* Take it again, so deep, if it is free: 0, BROOD_EOWNERDEAD, WAITS. */
int brood__lock_take_back(struct request *r, struct object *lock, uint64_t depth);

/* An item of a queue that is on its way to a client; it goes back unless that says that it has come. */
struct hand {
    struct hand *next;
    uint64_t serial;
    struct object *o; /* referred to */
    struct value *value;
};
/* BROOD_ENOMEM: the value is still the caller's. */
int brood__hand(struct request *r, struct value *value);
/* It has come; it has not, and never will. */
void brood__queue_taken(struct client *c, struct hand *hand);
void brood__queue_returned(struct server *s, struct hand *hand);

/* ----------------------------------------------------------------------------------------------------------- clients */

struct client {
    struct server *s;
    int fd;
    bool open;   /* has proved that it knows the key */
    bool broken; /* to be taken apart */
    bool mute;   /* can't be answered any more: its end is on its way */
    bool paused; /* nothing more is read, until it has read */
    uint64_t number;
    struct auth auth;
    struct frame_reader reader;
    unsigned char *in; /* came while it was paused */
    size_t in_size;
    unsigned char *out; /* not sent yet: [out_start, out_end) */
    size_t out_start, out_end, out_room;
    int64_t out_since; /* since when it has not read anything */
    struct request *waiting;
    size_t waiting_count, share_count;
    struct share *shares;
    struct hand *hands; /* oldest first */
    size_t timer;
    size_t reader_room; /* of the reader's memory, as it was counted last */
    unsigned watched;   /* for which events */
    struct client *next, **place;
    struct client *next_broken;
};

/* ------------------------------------------------------------------------------------------------------------ server */

struct timer {
    int64_t at;
    struct request *r; /* one of them */
    struct client *c;
};

struct server {
    struct setup setup;
    const unsigned char *key;
    int poller, listener;
    bool stopping, deaf; /* deaf: new clients could not be taken, and are not looked for */
    uint64_t next_id, next_client;
    struct object **table;
    size_t table_size, object_count;
    struct share **shares;
    size_t shares_size, share_count;
    struct object *dead, *due;
    struct client *clients, *broken;
    struct crew *crews; /* of pools, see crew.h */
    size_t workers;     /* of them all */
    size_t client_count, strangers, waiting_count;
    size_t bytes; /* kept by brood__keep and for what is buffered */
    uint64_t request_count, dropped_count;
    struct timer *timers; /* a heap, from 1 on */
    size_t timer_count, timer_room;
    struct item_writer result;
    bool handed;             /* the result is in the client's hand, until it says that it has come */
    int64_t now, log_window; /* of the log: since when lines are counted */
    unsigned log_lines, log_left_out;
};

/* The loop; what the server's process ends with. */
int brood__manager_serve(struct server *s);
/* What an event has left to do: lines to be served, clients and objects to be taken apart. */
void brood__manager_settle(struct server *s);
void brood__manager_log(struct server *s, const char *format, ...) BROOD_PRINTF(2, 3);

/* server_client.c: */
/* One more, a stranger so far, behind fd; NULL: no memory, and fd is the caller's. */
struct client *brood__client_new(struct server *s, int fd);
void brood__client_accept(struct server *s);
void brood__client_ready(struct client *c, unsigned ready);
void brood__client_break(struct client *c);
void brood__client_late(struct client *c);
void brood__client_bury(struct server *s);
/* Answer; the value is what stands in the server's result, or for an error what brood_error_detail says. */
void brood__client_answer(struct client *c, uint64_t serial, int code);

/* server_request.c: one message of an open client; not 0: it is to be dropped. */
int brood__request_take(struct client *c, const void *bytes, size_t size);
void brood__request_late(struct request *r);
void brood__request_drop(struct request *r);
/* Serve the lines that are due, until none is. */
void brood__serve_due(struct server *s);
extern const struct object_type brood__type_server; /* object 0 */

/* server_timer.c: */
bool brood__timer_set(struct server *s, size_t *place, int64_t at, struct request *r, struct client *c);
void brood__timer_clear(struct server *s, size_t *place);
int64_t brood__timer_next(const struct server *s);
void brood__timer_run(struct server *s);

/* server_object.c: */
bool brood__tables_new(struct server *s);
void brood__object_bury(struct server *s);
void brood__object_gone(struct client *c);

#endif
