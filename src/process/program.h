/* SPDX-License-Identifier: MIT */
/*
 * process/program.h - what a child begins as: the program that it is of, and what that does before it forks.
 *
 * The family's programs stand in a table of the arena and are never taken out of it, so an index is all that a request,
 * a pool or a successor of the supervisor needs.  Index 0 is the program of who starts the supervisor, with nothing to
 * preload.  Who writes: whoever first wants such a program; a slot is filled before it is published, and never changes.
 * Two who do it at once make two entries: harmless.  If a process dies before the publish, the slot is garbage.
 * arena_shm.program is the family's default: compare-and-swap by any member.
 */
#ifndef BROOD_PROCESS_PROGRAM_H
#define BROOD_PROCESS_PROGRAM_H

#include "arena/arena.h"
#include "call/module.h"

#include <brood/context.h>

#define PROGRAM_PATH_MOST 1008
#define PROGRAMS_MOST 1024u

struct program_shm {
    struct slot_shm slot;
    function_ref preload; /* 0: none */
    uint64_t reserved;
    char path[PROGRAM_PATH_MOST];      /* absolute; "": the program of who starts the supervisor */
    char directory[PROGRAM_PATH_MOST]; /* where the preload runs */
};
_Static_assert(sizeof(struct program_shm) == 2048, "its table");

/* The program that a start by this context is of: 0 and *index, or an error with detail.  context may be NULL. */
int brood__program_of(const brood_context *context, uint32_t *index);
/* Whether its values are in range; context may be NULL. */
int brood__context_check(const brood_context *context);
/* The family's default. */
uint32_t brood__program_default(void);

/* A copy of an entry, since an arena can't be believed: false if there is none, or it is none that was written. */
struct program {
    function_ref preload;
    char path[PROGRAM_PATH_MOST], directory[PROGRAM_PATH_MOST];
};
bool brood__program_read(uint32_t index, struct program *program);

#endif
