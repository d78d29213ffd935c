/* SPDX-License-Identifier: MIT */
/*
 * model.h - an exhaustive search through the interleavings of a few processes that run Brood's own sources.
 *
 * The library is compiled with -fsanitize=thread, which makes a call of every access to memory, atomic ones with their
 * memory order, and linked with the checker in place of the sanitizer's library (hooks.c).  Processes are coroutines in
 * one process; each has its own view of the arena (struct self) and its own robust list.  Replaced besides are the
 * clock, which stands still, the futexes and what the kernel does at a death (kernel.c), and the spinning of a latch,
 * which waits until the word is free.  There is no slow tick, and spinning before a sleep is turned off.
 *
 * A step is one access to memory that two processes use and one writes, one futex call, or one thing that the kernel
 * does for the dead.  The search (search.c) goes depth first through all sequences of steps, with a death before any
 * step or plain store to the arena, a signal that ends a sleep, and a deadline; states seen before are cut off.
 *
 * A scene is wrong when something its programs or its `end` check does not hold, or when nobody can go on although a
 * process is asleep that has no reason to be.
 */
#ifndef BROOD_TEST_MODEL_H
#define BROOD_TEST_MODEL_H

#include "arena/member.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_MOST 5 /* processes of a scene */
#define UNBOUNDED 255

struct scene {
    const char *name;
    void (*set_up)(void);              /* makes the objects, as the family's first process */
    void (*program[MODEL_MOST])(void); /* one a process */
    unsigned mortal;                   /* who may die: bit p */
    uint8_t deaths, signals;           /* so many at most */
    uint8_t switches;                  /* away from one that could go on; UNBOUNDED: as many as there may be */
    bool weak;                         /* stores become visible late and in another order, as C11 allows */
    bool woken_die;                    /* deaths come to those that were woken and have not run since, alone */
    bool in_short;                     /* part of every `make test` */
    bool (*may_stay)(int p);           /* asleep for ever, and rightly; NULL: never */
    void (*end)(void);                 /* checks when nobody can go on */
};

/* The scenes of an area; the last has no name. */
extern const struct scene model_lock_scenes[], model_semaphore_scenes[], model_event_scenes[], model_queue_scenes[],
    model_task_scenes[], model_shared_scenes[], model_pipe_scenes[], model_joinable_scenes[], model_condition_scenes[],
    model_barrier_scenes[];

/* For programs: who runs; whether another lives still; a step of its own; a word on what must hold. */
int model_me(void);
bool model_alive(int p);
bool model_finished(int p);
void model_point(void);
#define model_check(condition)                                \
    do {                                                      \
        if (!(condition)) model_failed(#condition, __LINE__); \
    } while (0)
void model_failed(const char *condition, int line);
uint32_t model_member(int p); /* its index in the process table */
/* Wait for a step of another; one that was done since the watch began counts. */
void model_watch(bool on);
void model_wait_for_change(void);

/* The supervisor's part: after each death says so in the process table and repairs, until that says it is done. */
int model_next_death(void);
void model_supervise(bool (*repair)(uint32_t dead));

/* Explore a scene: how many states; *failed says whether something was wrong, which has been told then. */
uint64_t model_explore(const struct scene *scene, uint64_t most, bool *failed);

/* Puts up the family: once. */
void model_found(void);

#endif
