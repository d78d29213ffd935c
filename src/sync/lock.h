/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.h - a lock held by a process across calls, releasable by any member.
 *
 * word: generation:20 | turn:12 | low:32, and sleepers sleep on the low half:
 *   0                     free
 *   OS_WAITERS            free, someone may be asleep
 *   MEMBER_BIT | index    held by that member; | OS_WAITERS: someone may be asleep
 *   OS_OWNER_DIED         free, and its last holder died with it; | OS_WAITERS
 * Who writes: takers and releasers by compare-and-swap (the generation is in the word, so a stale handle can't win; turn
 * counts the releases, so who was overtaken by one can't either: a late releaser that found nobody asleep does not take
 * away a mark that is needed again);
 * the supervisor turns a dead holder into OS_OWNER_DIED and wakes one.
 * If a process dies here: before its swap nothing happened; after it, a taker is a dead holder, and a releaser has the
 * word announced with its owner part 0 (or another's by then, who will wake when it releases): the kernel wakes one.
 * A sleeper keeps the word announced until it holds the lock, so if the woken one dies the kernel wakes the next.
 */
#ifndef BROOD_SYNC_LOCK_H
#define BROOD_SYNC_LOCK_H

#include "arena/arena.h"

#include <brood/lock.h>

struct lock_shm {
    struct slot_shm slot;
    _Atomic uint64_t word;
    uint64_t reserved[2];
    struct os_robust_node *robust_previous;
    struct os_robust_node robust; /* 32 bytes behind the low half of word */
    uint64_t more;
};
_Static_assert(sizeof(struct lock_shm) == 64, "its table");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of a word is its first");
_Static_assert(offsetof(struct lock_shm, robust) == offsetof(struct lock_shm, word) + OS_ROBUST_NODE, "node");

static inline os_word *brood__low_half(_Atomic uint64_t *word)
{
    return (os_word *)(void *)word;
}

struct circle;
/*
 * brood_lock_acquire; with a circle it is looked for deadlocks while it waits, whatever the timeout: BROOD_EDEADLK, and
 * *circle says which.
 */
int brood__lock_acquire(brood_lock lock, int timeout, struct circle *circle);
/*
 * The word of a lock that a living member holds, without OS_WAITERS, and the index of that member.  false: the handle is
 * stale or no lock's, or nobody holds it, or one who has gone.
 */
bool brood__lock_look(uint64_t id, uint64_t *word, uint32_t *holder);

static inline os_word *brood__high_half(_Atomic uint64_t *word)
{
    return brood__low_half(word) + 1;
}

/* Repairs after the death of a member (process/repair.h). */
bool brood__lock_repair(uint32_t dead);
void brood__lock_ring_all(void);

#endif
