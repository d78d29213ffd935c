/* SPDX-License-Identifier: MIT */
/*
 * run.h - one run of a scene in which one system call fails: the subject that plays it, and the tracer around it.
 *
 * The tracer (ptrace(2)) follows every process that comes of the subject.  A seccomp filter, inherited by all of them,
 * stops them at the calls that can fail (calls.h); at the one that is meant, the tracer lets the kernel skip the call and
 * answer the error.  Everything else runs at full speed and in the kernel.
 *
 * The subject plays (subject.c), with `part` saying which part of it has the failure:
 *   PART_BODY   init and the scene's body, in which a call may fail; the body again in the same family; fini
 *   PART_END    init and body; fini, in which a call may fail
 * and in both cases init, body and fini once more.  After each fini it looks for what is left.
 */
#ifndef CRASH_FAIL_RUN_H
#define CRASH_FAIL_RUN_H

#include "calls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who makes a call. */
enum actor {
    ACTOR_CALLER,
    ACTOR_LAUNCH,     /* the two processes that lead from the caller to the program of the supervisor */
    ACTOR_SUPERVISOR, /* from its main on: what a loader does is none of the library's */
    ACTOR_TEMPLATE,
    ACTOR_CHILD, /* processes and workers */
    ACTORS
};
extern const char *const actor_names[ACTORS];

enum part { PART_NONE, PART_BODY, PART_END, PARTS };
extern const char *const part_names[PARTS];

enum { MOST_ROWS = 96, LASTING_MS = 400, MOST_TRACED = 64 };

/*
 * The call that fails: the n-th of this row by processes of this kind, counted from 1; lasting: and all that follow in
 * this part within LASTING_MS.  n 0: none, only count.
 */
struct shot {
    enum part part;
    enum actor actor;
    int row;
    unsigned n;
    int error;
    bool lasting;
};

enum verdict { VERDICT_GOOD, VERDICT_HANG, VERDICT_LEAK, VERDICT_WRONG };

/* What the processes of one run share. */
struct sheet {
    struct shot shot;
    _Atomic int armed;       /* the part that the subject is in now, as far as calls may fail there */
    _Atomic int fired;       /* the call came and failed */
    _Atomic unsigned alive;  /* processes there are, the subject too */
    pid_t pids[MOST_TRACED]; /* ... these, as long as none comes or goes */
    _Atomic int verdict;
    char text[2400]; /* to the verdict: what is wrong */
    int answer;      /* the code with which the part that had the failure ended */
    int64_t ms;      /* how long that took */
    unsigned counts[PARTS][ACTORS][MOST_ROWS];
};

struct scene {
    const char *name;
    void (*body)(void);
    bool template; /* what the caller forks is a template */
    bool faults;   /* a task means to crash */
};
extern const struct scene *const scenes[]; /* a NULL name at the end of each table, a NULL at the end of all */
extern const struct scene process_scenes[], object_scenes[], connection_scenes[], pool_scenes[], shared_scenes[],
    manager_scenes[];

/* Something is not as it must be; the first of it counts. */
void run_blame(enum verdict verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern struct sheet *sheet;
/* Behind the text: what the kernel says of this process. */
void run_describe(pid_t pid, char *text, size_t size);

/* Play a scene once, in this process, which is the run's own; *sheet has the shot, and gets what came of it. */
void run_scene(const struct scene *scene);
/* The subject's side of it. */
_Noreturn void subject_play(const struct scene *scene);

/* First in main: what was before was the loader's. */
void run_mark_main(void);
/* Around what a scene itself asks of the system: such calls neither count nor fail. */
void run_mark_own(bool begin);
#define OWN(call)               \
    __extension__({             \
        run_mark_own(true);     \
        __auto_type got = call; \
        run_mark_own(false);    \
        got;                    \
    })

/* Whether all must go well: nothing fails any more, or not yet. */
bool run_is_strict(void);

#endif
