/* SPDX-License-Identifier: MIT */
/*
 * play.h - what scenes say: which calls they make, what may come of them, what must be true.
 *
 * A body leaves nothing behind, also when a call in it has failed: then it takes back what it has done and returns.  It
 * is played many times in one process.
 */
#ifndef CRASH_FAIL_PLAY_H
#define CRASH_FAIL_PLAY_H

#include "run.h"

#include <brood.h>

/* What a call may answer, while a system call may fail; see the headers. */
enum kind {
    KIND_NEVER, /* it does not fail */
    KIND_ERRNO, /* the errno of the call that failed */
    KIND_INIT,
    KIND_START,  /* and brood_error_detail has more */
    KIND_MAKE,   /* BROOD_EARENA */
    KIND_BELL,   /* BROOD_EARENA or an errno */
    KIND_STREAM, /* of connections and listeners: an errno, or what the other end is told of one */
    KIND_POOL,
    KIND_WORK,
    KIND_MANAGER, /* an errno, what the server could not do, or that it dropped this process */
    KIND_TOKEN,   /* as KIND_START, and BROOD_EAGAIN when there is no answer */
};

/* Whether to go on.  An answer that is not of this kind, or any error when nothing fails, counts as wrong. */
bool play_ok(enum kind kind, int code, const char *call);
#define ok(kind, call) play_ok(kind, call, #call)

/* What a task ends with that was answered an error as the headers have it. */
#define TOLD 10

/* Whether a failing call may have cost a process its end, or the supervisor, which knows how others ended. */
bool may_be_lost(void);
/* Join a process, which ends with the code that is wanted or has an excuse, and free it. */
void end_process(brood_process p, int wanted);
/* Whether who was to send something still may. */
bool there(brood_process p);

void play_expect(bool condition, const char *text, int line);
#define expect(condition) play_expect(condition, #condition, __LINE__)

#endif
