/* SPDX-License-Identifier: MIT */
/*
 * family.h - a family without a supervisor, for tests that kill: this process is its first member, forks the others
 * and does after a death what the supervisor would.
 *
 * Members are of two kinds: mates (here) live from point to point and do what they are ordered, victims (tracer.h) are
 * stopped inside one call and killed.  All waiting is bounded, and the slow tick of sleepers is off: who is asleep when
 * it should not be has lost a wake-up.
 * Single-threaded.
 */
#ifndef CRASH_FAMILY_H
#define CRASH_FAMILY_H

#include "arena/arena.h"

#include <sys/types.h>

/* What a member is to do, and what came of it; in memory that the harness shares, outside the arena. */
struct order {
    uint64_t id;     /* of the object */
    uint64_t number; /* whatever else the deed needs */
    uint64_t made;   /* what it made: a handle, an index */
};
typedef int deed_fn(struct order *order);

struct post {
    os_word given;   /* how many orders were given; a mate sleeps on it between them */
    os_word done;    /* how many it has done */
    _Atomic int tid; /* of a thread that took over */
    int result;      /* of the last one */
    deed_fn *deed;
    struct order order;
};

/* One member besides this process. */
struct proc {
    pid_t pid;               /* 0: there is none */
    pid_t tid;               /* the thread that does its deed: pid, or another when the main one has gone */
    uint32_t member;         /* its index in the process table */
    int stat_fd, syscall_fd; /* in /proc/<pid> */
    struct post *post;
};

enum { MATES = 4 };

/* A new family of which this process is the first member, and its end: no other process and no memory remains. */
void family_begin(void);
void family_end(void);

/* Fork a process, and make it a member if `join`; false in the parent, true in the child. */
bool proc_fork(struct proc *p, bool join);
/* In a child made without `join`. */
bool proc_join(const struct proc *p);
/* SIGKILL it and reap it; what it held stays as it is. */
void proc_kill(struct proc *p);
/* It is another thread from now on: that one is looked at. */
void proc_turns_to(struct proc *p, pid_t tid);
/* Whether it is asleep, at this moment, on a word of the arena or in epoll. */
bool proc_asleep(const struct proc *p);

/* What the supervisor does after the death of a member. */
void bury(uint32_t member);
/* As another supervisor does whose predecessor died over it: the repair again, and everybody is rung. */
void bury_again(uint32_t member);
/* A deed: what a supervisor repairs after the death of order.number; what it does after each turn. */
deed_fn supervise, manage;
/* What members have asked of the supervisor since the last time: how often this, of any kind; all are forgotten. */
unsigned requests(uint32_t kind);
/* Its two halves: the process is known to have gone, and its index is free again; brood__repair_member lies between. */
void bury_begin(uint32_t member);
void bury_end(uint32_t member);

/*
 * The i-th mate, started when it is first asked for.  Give it an order, while it is idle; a `number` that the deed needs
 * is set in mate(i)->post->order before.
 */
struct proc *mate(unsigned i);
void mate_do(unsigned i, deed_fn *deed, uint64_t id);
bool mate_busy(unsigned i);
/* Wait until it is asleep inside its deed; a failure if it does not go to sleep. */
void mate_sleeps(unsigned i);
/* mate_do and mate_sleeps. */
void mate_sends_to_sleep(unsigned i, deed_fn *deed, uint64_t id);
/* Wait until each of the first n is asleep or done. */
void mates_settle(unsigned n);
/* Wait for its deed's result; a failure if it is asleep, NO_RESULT then. */
#define NO_RESULT (-100000)
int mate_result(unsigned i);
/* Wait until one of the mates [first, first + n) is done; its number, or -1 and a failure. */
int mate_first(unsigned first, unsigned n);
/* Kill and bury it. */
void mate_ends(unsigned i);

/* What must be so between points: nobody is inside anything and nothing has leaked; says so by fail(). */
void family_check(void);
/* What is there now, without mates, is not leaked. */
void family_is_well(void);
/* How many slots of a table are neither free nor garbage. */
unsigned slots_in_use(enum table table);
/* Let the next claim in this table find its lowest garbage slot, if there is one. */
void next_claim_takes_garbage(enum table table);

int64_t now_ms(void);

#endif
