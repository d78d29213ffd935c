/* SPDX-License-Identifier: MIT */
/*
 * machine.h - the state of the modelled machine, and what its parts offer each other.
 *
 * struct machine is saved and compared as bytes, with the stacks of its processes and each line of memory that any of
 * them ever writes (memory.c); it has no padding that anyone writes.
 */
#ifndef BROOD_TEST_MACHINE_H
#define BROOD_TEST_MACHINE_H

#include "model.h"

enum status {
    UNUSED,
    READY,    /* before a step that others may see */
    PLAIN,    /* before a plain store, which others see only if we die */
    SLEEPING, /* in futex(2) */
    SPINNING, /* for a latch */
    CHANGING, /* until any other has done a step */
    IDLE,     /* the supervisor, without deaths */
    DONE,
    DYING, /* the kernel is at work for it */
    DEAD,
};

#define MOST_LISTED 6
#define MOST_STORES 8

struct late_store {
    uintptr_t address;
    uint64_t value;
    uint32_t size;
    int order;
};

struct process {
    void *stack; /* where it goes on */
    os_word *word;
    const void *at; /* in the code, for the trace */
    struct os_robust robust;
    struct late_store late[MOST_STORES];
    os_word *listed[MOST_LISTED]; /* of the dying: what the kernel has to look at; the announced word last, or NULL */
    enum status status;
    int result;       /* of the sleep that ended */
    uint32_t lates;   /* stores not visible yet */
    uint32_t to_look; /* of `listed` */
    uint32_t looked;
    uint32_t marked;  /* the word it is at was marked, and a sleeper is owed its wake-up */
    uint32_t timed;   /* its sleep has a deadline */
    uint32_t watches; /* for what others do, with its next look in view */
    uint32_t poked;   /* another did something */
    uint32_t woken;   /* and has not run since */
    uint32_t told;    /* its death was told to the supervisor */
    uint32_t ticket;  /* order of going to sleep */
};

struct machine {
    struct process process[MODEL_MOST];
    int current; /* who ran last */
    int deaths, signals, switches;
};
extern struct machine machine;

/* Who runs now; -1: the search, or the making of a scene. */
extern int running;
extern const struct scene *scene;
extern const char *failure; /* NULL: nothing wrong */
extern int failure_line;

/* coroutine.c */
void coroutine_begin(int p, void (*program)(void));
void coroutine_resume(int p);
void coroutine_park(enum status status, const void *at); /* of `running`, until the search goes on with it */
void coroutine_bounds(int p, char **low, char **high);

/* memory.c: the lines that are written, and who uses what */
void memory_begin(void);
void memory_note(const void *address, size_t size, bool write, int p);
bool memory_shared(const void *address);
bool memory_grew(void); /* since it was asked last: what was explored before is not complete */
size_t memory_save(char *to);
void memory_restore(const char *from);

/* kernel.c */
void kernel_kill(int p);
void kernel_step(int p);
void kernel_end_sleep(int p, int result);
void flush(int p, uint32_t which);
bool may_flush(int p, uint32_t which);
void drain(int p);

#endif
