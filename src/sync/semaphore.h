/* SPDX-License-Identifier: MIT */
/*
 * sync/semaphore.h - units, and who holds how many.
 *
 * The body is an array of entries, member:16 | units:16, 0 for an unused one; a member may have several.  What is free
 * is `total` minus the sum of the entries: derived, never the truth.
 * Who writes: all of it under the latch of the monitor.  Commit points: one store to an entry (acquire, release of
 * one's own or another's unit), one store to `total` (a release of a unit that nobody held).
 * If a process dies here: before the store nothing happened, after it everything; the heir adds up anew.  A dead
 * member's entries are cleared by the supervisor, under the latch, which it tries and never waits for.
 */
#ifndef BROOD_SYNC_SEMAPHORE_H
#define BROOD_SYNC_SEMAPHORE_H

#include "arena/arena.h"
#include "sync/wait.h"

struct semaphore_shm {
    struct slot_shm slot;
    uint32_t bounded; /* never changes */
    uint32_t reserved[11];
    struct latch_shm monitor; /* and what every call writes, in its line */
};
_Static_assert(sizeof(struct semaphore_shm) == 128, "its table");

/* Of the monitor's flags. */
enum {
    SEMAPHORE_TOTAL = MONITOR_FLAGS,
    SEMAPHORE_FREE, /* derived; who spins looks at it without the latch */
    SEMAPHORE_FLAGS
};
_Static_assert(SEMAPHORE_FLAGS <= sizeof(((struct latch_shm *)0)->flags) / sizeof(uint32_t), "they are there");

static inline uint32_t *brood__semaphore_total(struct semaphore_shm *s)
{
    return &s->monitor.flags[SEMAPHORE_TOTAL];
}
static inline _Atomic uint32_t *brood__semaphore_free_units(struct semaphore_shm *s)
{
    return (_Atomic uint32_t *)(void *)&s->monitor.flags[SEMAPHORE_FREE];
}

bool brood__semaphore_scrub(struct slot_shm *slot, uint32_t index);
bool brood__semaphore_repair(uint32_t dead); /* false: a latch was held; ask again */
void brood__semaphore_ring_all(void);

#endif
