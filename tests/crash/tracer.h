/* SPDX-License-Identifier: MIT */
/*
 * tracer.h - victims: members that are stopped at any instruction of one call, to be killed there or to go on later.
 *
 * A victim is a fork of the harness, so the code it executes lies where ours does, and stands under ptrace(2).  Two
 * breakpoints mark the call; between them it moves one instruction at a time.  A system call is one instruction, and a
 * sleep inside it is seen from outside: "asleep" is a place like any other to be killed at.
 */
#ifndef CRASH_TRACER_H
#define CRASH_TRACER_H

#include "family.h"

struct victim {
    struct proc proc;
    unsigned ordinal; /* the first, second, ... of this point */
    unsigned steps;   /* instructions of the call done */
    bool ended;       /* the call has returned; `result` is its answer */
    bool asleep;      /* it is asleep inside the call */
    bool running;     /* it was let go and has not stopped since */
    int result;
    uintptr_t breakpoint; /* 0: none is set */
};

/*
 * Forget the victims of the last point.  record: keep the path of this point's victims.  Later points reach their
 * place on a recorded path by a breakpoint, which is faster than step by step, unless `pace` asks for that.
 */
enum pace { BY_BREAKPOINTS, BY_STEPS, SECOND_BY_STEPS };
void tracer_begin_point(bool record, enum pace pace);
/* From now on victims make their calls in a thread whose process's main thread has gone. */
void tracer_uses_threads(bool use);

/*
 * Start a victim, which is a member: it does `before` (may be NULL) and then stops at its call of `deed`.  Both get the
 * same order: what `before` made, `deed` can use.
 */
void victim_start(struct victim *v, deed_fn *before, deed_fn *deed, uint64_t id);
/* What order.number of the next one is from the start, so that `before` sees it. */
void victim_prepare(uint64_t number);
/* The same, but it has yet to join (proc_join) by the deed itself. */
void victim_start_outside(struct victim *v, deed_fn *deed, uint64_t id);
/* Move on until k instructions of the call are done (on its recorded path), or it has ended, or it is asleep. */
void victim_step(struct victim *v, unsigned k);
/* Move on until the condition holds of this value, which must come: a place that has no number. */
void victim_until(struct victim *v, bool (*condition)(unsigned value), unsigned value);
/* All the way until it is asleep, which it must be; then count steps from there. */
void victim_falls_asleep(struct victim *v);
/* Whether the sleeper was woken: waits for it if it must have been (then a failure if not), or for a moment only. */
bool victim_wakes(struct victim *v, bool must);
/* The deadline of its sleep passes, whenever that is: it goes on from there as one who was not woken. */
void victim_times_out(struct victim *v);
/* Let go of it at full speed.  true: it has ended; false: it is asleep, or waits for what another victim has. */
bool victim_run(struct victim *v);
/* As victim_run, but it must end: its result, or NO_RESULT and a failure if it does not. */
int victim_finish(struct victim *v);
/* Whether it is stopped as the holder of this latch: then nobody may need it before the victim goes on. */
bool victim_has(const struct victim *v, const struct latch_shm *latch);
void victim_kill(struct victim *v);

/* What was seen of the n-th victim of this point. */
struct trace {
    bool over;       /* its call has ended, or it is asleep */
    uintptr_t place; /* where it stood last */
};
const struct trace *tracer_trace(unsigned n);

/* How many instructions the recorded path of the first or second victim has. */
unsigned tracer_path(unsigned n);
/* How often it had been at the place of its k-th instruction before that. */
unsigned tracer_turn(unsigned n, unsigned k);

#endif
