/* SPDX-License-Identifier: MIT */
/*
 * scene.h - what the tests of processes have in common: looks at processes from outside, and callers in a process of
 * their own.
 *
 * A task of a child can't fail by Check's words: it says MUST, and its exit code tells.
 */
#ifndef BROOD_TEST_SCENE_H
#define BROOD_TEST_SCENE_H

#include "brood_test.h"

#include <brood.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* Milliseconds after which what has to come is taken for lost; no test waits that long if all is well. */
#define PATIENCE 10000
/* Milliseconds of a wait that is meant to end without what it waits for. */
#define A_WHILE 30

/* A test once by each start method, which is its _i. */
#define scene_each_method(tcase, test) tcase_add_loop_test(tcase, test, BROOD_START_FORK, BROOD_START_FORKSERVER + 1)
#define BY(start_method) (&(brood_process_options){.method = (brood_start_method)(start_method)})

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold in process %d\n", __FILE__, __LINE__, #condition, (int)getpid()); \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* As brood_test_ok, with the detail. */
#define OK(call)                                                                                                 \
    do {                                                                                                         \
        int scene_code = (call);                                                                                 \
        if (scene_code < 0) ck_abort_msg("%s: %s: %s", #call, brood_strerror(scene_code), brood_error_detail()); \
    } while (0)

/* Join within PATIENCE, and give the handle back: the exit code. */
int scene_end(brood_process process);

/* The supervisor's pid, 0 without one. */
pid_t scene_supervisor(void);
/* Wait until there is one that is not this one. */
pid_t scene_other_supervisor(pid_t before);
/* How many descriptors a process has open. */
int scene_descriptors(pid_t pid);
/* The highest of their numbers. */
int scene_highest_descriptor(pid_t pid);
/* Wait until it has at most so many. */
int scene_descriptors_at_most(pid_t pid, int most);
/* Bytes of the arena in use. */
size_t scene_arena(void);
/* Bytes that all members can see, of zeroes: a buffer of the caller's. */
brood_buffer scene_shared(size_t size, void *data);

/* Milliseconds of a clock that never goes back. */
long long scene_now(void);
/* Whether there is such a process, be it a zombie or not. */
bool scene_there(pid_t pid);
/* Wait until it has ended (a zombie has); false after ms. */
bool scene_ended(pid_t pid, int ms);
/* The children of this process, zombies too: how many. */
int scene_children(pid_t *pids, int capacity);
/* Reap until no child is left; false after ms. */
bool scene_alone(int ms);
/* Names in /dev/shm. */
int scene_names(void);

/* A caller in a process of its own, forked outside of Brood: what body returns is its exit code. */
pid_t scene_fork(int (*body)(void *), void *arg);
/* The same, until its end: the exit code, or -signal. */
int scene_run(int (*body)(void *), void *arg);
/* Reap it, which has to end within ms: the exit code, or -signal. */
int scene_reap(pid_t pid, int ms);

#endif
