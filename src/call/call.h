/* SPDX-License-Identifier: MIT */
/*
 * call/call.h - one run of a task function in this process: what it was given, what it said, what it allocated.
 * A thread runs one call at a time; a call made inside a call (a task that is called as an ordinary function is none)
 * stacks.
 */
#ifndef BROOD_CALL_CALL_H
#define BROOD_CALL_CALL_H

#include <brood/task.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct call_block;

struct call {
    struct call *outer;
    int fail; /* what brood_fail was given; 0: it was not called */
    char text[BROOD_FAIL_TEXT];
    struct call_block *blocks; /* brood_alloc's, freed by call_end */
    /* When it is to stop (brood_task_stopping): an instant, OS_NEVER without; or this says so of `of`; NULL: never. */
    int64_t stop_at;
    bool (*unwanted)(const void *of);
    const void *of;
    uint64_t seed;                /* of the first item, see seed.h; 0: it has none */
    const _Atomic uint64_t *item; /* 1 + the number of the present one; NULL: there is one alone */
};

/* Whether this thread is inside a call. */
bool brood__call_running(void);
/* Become this thread's current call; all of *call is set. */
void brood__call_begin(struct call *call);
/* Free what it allocated and ready it for another run (a map's next item). */
void brood__call_next(struct call *call);
/* Stop being current, and free. */
void brood__call_end(struct call *call);

#endif
