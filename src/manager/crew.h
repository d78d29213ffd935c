/* SPDX-License-Identifier: MIT */
/*
 * manager/crew.h - pools in a manager's server: what their objects and the answers that are waited for share.
 *
 * The work is done by an ordinary pool of the family's (brood_pool), which belongs to the server's process: its crew.
 * The server hands a crew a few items at once (its window), and looks for answers when the pool's descriptor is readable;
 * so it never waits.  What is handed out is a run.  All else of a job, its items and results, is the server's own memory,
 * counted as such; a job that nobody wants any more costs what its runs cost.
 *
 * Jobs take turns, item by item, so one of a million items holds no other up.  A pool's object is referred to by each job
 * that has not ended; when it goes its crew is ended, and given back when its workers have left.
 */
#ifndef BROOD_MANAGER_CREW_H
#define BROOD_MANAGER_CREW_H

#include "manager/server.h"

#include <brood/pool.h>

struct job;

/* An item in the crew's hands. */
struct run {
    struct run *next;
    struct job *job;
    uint64_t index;
    brood_future future;
};

struct pool_object {
    struct object object;
    struct crew *crew;
    bool closed;
    struct job *first, *last; /* that have items to be handed out */
};

struct crew {
    struct crew *next;
    brood_pool pool;
    struct pool_object *object;  /* NULL: it has gone */
    int (*end)(brood_pool pool); /* how its workers are to leave; NULL: they stay */
    bool told, left;             /* they know, and have left */
    bool deaf;                   /* its descriptor is not looked at: nothing is open */
    unsigned workers;
    size_t window, running;
    struct run *runs;
};

enum job_kind { JOB_APPLY, JOB_MAP, JOB_STARMAP, JOB_IMAP, JOB_IMAP_UNORDERED };

struct result {
    bool there;
    int code;
    struct value *value; /* of an error its text, plain; may be NULL then */
};

struct job {
    struct object object;
    struct pool_object *pool; /* referred to; NULL: it has ended */
    enum job_kind kind;
    const brood_task *task;
    struct value *items;     /* one list */
    const unsigned char *at; /* the next item in it */
    uint64_t count, given, done, taken;
    struct result *results; /* of unordered ones in the order in which they came */
    struct job *next;       /* of those that have items to be handed out */
};

/* type_pool.c: */
extern const struct object_type brood__type_pool;
/* Hand out what there is room for. */
void brood__crew_feed(struct server *s, struct crew *crew);
/* Its descriptor is readable. */
void brood__crew_ready(struct server *s, struct crew *crew);
/* Those that end: whether they have; when to look again. */
void brood__crews_turn(struct server *s);
int64_t brood__crews_next(const struct server *s);
void brood__crews_end(struct server *s);

/* type_job.c: */
/*
 * Begin the job that a request asks for, by its arguments (function, items), with one reference, the caller's.
 */
int brood__job_new(struct request *r, struct pool_object *pool, enum job_kind kind, struct job **job);
/* The next item's arguments, a list: malloc'ed in w.  BROOD_EINVAL. */
int brood__job_next(struct job *job, struct item_writer *w);
/* One has ended: with bytes that are one value, or with a code and a text. */
void brood__job_has(struct server *s, struct job *job, uint64_t index, int code, struct slice bytes);
/* Whether it may have another item in the crew's hands. */
bool brood__job_wants(const struct job *job);
/* Attempts: wait for all results, and take them out of the job. */
attempt_fn brood__job_take;

/* pool_task.c: */
/* The initializer of a crew's workers; its argument is the handle of the server's process. */
const brood_task *brood__pool_initializer(void);
/* The task that an argument names, by its registered name or by reference; NULL: *error. */
const brood_task *brood__pool_function(struct request *r, size_t i, int *error);

#endif
