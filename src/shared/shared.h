/* SPDX-License-Identifier: MIT */
/*
 * shared/shared.h - values, arrays and lists in the arena, and scopes.
 *
 * Small ones lie in their slot, others in its body.  Calls that copy visit the slot (arena/visit.h).
 * Who writes: its maker, before it is published, all but the bytes themselves, which are the users'.  Nothing of the
 * rest changes after that.  The lock is a lock like any other, owned by the family, and named here before it is: it
 * goes when the object does, by whoever takes this apart or by the supervisor.
 * One that is made through a scope is owned by the family too: it goes when no such scope is live.
 * If a process dies here: the slot is GARBAGE, and its lock with it.
 */
#ifndef BROOD_SHARED_SHARED_H
#define BROOD_SHARED_SHARED_H

#include "arena/arena.h"

#include <brood/scope.h>
#include <brood/value.h>

enum shared_what { SHARED_VALUE = 1, SHARED_ARRAY, SHARED_LIST };
#define SHARED_INLINE 64u

struct shared_shm {
    struct slot_shm slot;
    uint64_t size; /* of an element */
    uint64_t count;
    _Atomic uint64_t scope; /* handle, 0: none */
    _Atomic uint64_t lock;  /* handle, 0: none */
    uint32_t what;          /* enum shared_what */
    uint32_t kind;          /* brood_kind */
    uint64_t reserved;
    char bytes[SHARED_INLINE];
};
_Static_assert(sizeof(struct shared_shm) == 128, "its table");

struct scope_shm {
    struct slot_shm slot;
    uint64_t reserved[6];
};
_Static_assert(sizeof(struct scope_shm) == 64, "its table");

static inline void *brood__shared_bytes(struct shared_shm *s)
{
    return s->slot.body ? brood__at(s->slot.body) : s->bytes;
}

/* What is to be made. */
struct shared_plan {
    enum shared_what what;
    uint64_t size, count;
    brood_kind kind;
    const void *initial; /* NULL: zeroes */
    bool lock;
    uint64_t scope;
};
/* Make it; fill, if not NULL, writes what is in it before anybody sees it.  0 and *id, or an error. */
int brood__shared_make(uint64_t *id, const struct shared_plan *plan, void (*fill)(void *bytes, const void *of),
                       const void *of);
int brood__shared_free(enum shared_what what, uint64_t id);
/* Begin a call that looks at it: 0, or why it can't; then brood__visit_end(*cell) ends it. */
int brood__shared_visit(enum shared_what what, uint64_t id, struct shared_shm **s, unsigned *cell);

/* 0: it is live; else why not.  0 is the handle of no scope, and good. */
int brood__scope_check(uint64_t id);
/* The word of the slot that `word` is of as garbage, because this scope is over: freed with it, or closed by a death. */
uint64_t brood__scope_garbage(uint64_t id, uint64_t word);
/* What the end of a scope does to them, each by itself. */
void brood__shared_end_scope(uint64_t scope);

/* For the supervisor (brood.c). */
bool brood__shared_scrub(struct slot_shm *slot, uint32_t index);
bool brood__shared_repair(uint32_t dead);

#endif
