/* SPDX-License-Identifier: MIT */
/*
 * pool/stream.h - a stream as its process keeps it: what was taken from the input and not given out yet, in order.
 *
 * Nothing of it is in the arena but the tasks that it submits, of which this process is the submitter: its death makes
 * of them what it makes of all (pool.h).  So no protocol is its own but that of a task with items.
 * All of it is one thread's at a time: `busy`.
 */
#ifndef BROOD_POOL_STREAM_H
#define BROOD_POOL_STREAM_H

#include "arena/arena.h"

#include <brood/stream.h>

enum entry_state {
    ENTRY_UNSENT, /* `args` are to be submitted */
    ENTRY_SENT,   /* `future` is open, or answered */
    ENTRY_REFUSED /* it never will be: its items are cancelled */
};

/* Items that go together, those [first, first + items) of the input. */
struct entry {
    enum entry_state state;
    bool settled;  /* the answer has been looked at: */
    uint32_t ends; /* so many of its items this answer is about; the rest has not run, and is sent anew */
    uint32_t items, given;
    uint32_t ran; /* settled, of a chunk: so many of its items have results, behind all arguments at `arguments` */
    unsigned attempt;
    pid_t pid;
    const char *arguments;
    uint64_t first;
    brood_future future;
    void *args;   /* UNSENT; malloc's */
    void *rest;   /* settled: the arguments behind `ends`; malloc's */
    size_t bytes; /* of an item, in the window */
};

struct stream {
    uint64_t id;
    _Atomic bool busy;
    brood_pool pool;
    const brood_task *task;
    brood_stream_options wishes; /* with the defaults filled in */
    uint64_t seed;               /* of its series */
    brood_input_fn *input;
    void *context;
    const char *array; /* the input is an array, with so many left */
    size_t left;

    struct entry *ring; /* of `room`, a power of two; `count` from `head` on */
    size_t room, head, count;
    size_t current; /* unordered: one more than the place behind head of the entry that is being given out; 0: none */
    size_t open_items, open_bytes;
    uint64_t taken;         /* items, from the input */
    void *spare;            /* a place for the arguments of an entry, when none is in use */
    bool dry;               /* the input had none, the last time */
    bool ended;             /* it is not asked any more: */
    int last;               /* the answer behind everything, told once; 0 after that */
    int stuck;              /* why the last one could not be submitted, although it may be later; 0: it was */
    brood_future lent;      /* whose result or crash the caller may look at; pool 0: none */
    uint64_t lost;          /* the item of which `lent` is, if it has no result */
    bool has_lost;          /* `lost` is one */
    _Atomic uint32_t asked; /* see brood__bell_arm_for */
};

/* In brood_fini: there are none any more. */
void brood__stream_leave(void);

/* Ask the input and submit, as far as the window allows. */
void brood__flow_feed(struct stream *s);
/* The next answer, as brood_stream_next_exactly; bytes: the place for a brood_bytes, or NULL. */
int brood__flow_next(struct stream *s, void *result, size_t size, brood_bytes *bytes, int timeout,
                     brood_outcome *outcome);
/* Give up all that is open. */
void brood__flow_end(struct stream *s);

#endif
