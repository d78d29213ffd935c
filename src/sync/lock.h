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
 * If a process dies here: before its swap nothing happened; after it, a taker is a dead holder, and a releaser that found
 * OS_WAITERS has the word announced with its owner part 0 (or another's by then, who will wake when it releases): the
 * kernel wakes one.  Without that mark nobody is owed a wake-up, so a releaser that does not find it announces nothing;
 * nor does a taker that has not slept.
 * A sleeper keeps the word announced until it holds the lock, so if the woken one dies the kernel wakes the next.
 *
 * The recursive lock (rlock.c) is the same word in a table of its own, and beside it `hold`: tag:20 | depth:14 | tid:30,
 * which thread of the holder has it, and how often.  Who writes: that thread, after it has taken the word and before it
 * releases it, by compare-and-swap under the tag of its generation; a thread is the owner if the word names its process
 * and `hold` its id.  If a process dies here: what it leaves in `hold` means nothing, for the word names another then.
 *
 * `deaths` is counted up before a dead holder's name leaves the word, perhaps twice for one death.  Who has seen the word
 * without that name sees the count too; conditions (condition.h) tell those who wait at them by it.
 */
#ifndef BROOD_SYNC_LOCK_H
#define BROOD_SYNC_LOCK_H

#include "arena/arena.h"

#include <brood/lock.h>
#include <brood/rlock.h>

struct lock_shm {
    struct slot_shm slot;
    _Atomic uint64_t word;
    _Atomic uint64_t hold; /* of an rlock */
    _Atomic uint32_t deaths;
    uint32_t reserved;
    struct os_robust_node *robust_previous;
    struct os_robust_node robust; /* 32 bytes behind the low half of word */
    uint64_t more;
};
_Static_assert(sizeof(struct lock_shm) == 64, "its table");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of a word is its first");
_Static_assert(offsetof(struct lock_shm, robust) == offsetof(struct lock_shm, word) + OS_ROBUST_NODE, "node");

#define LOCK_HOLD(generation, depth, tid) \
    ((uint64_t)((generation)&0xfffff) << 44 | (uint64_t)(depth) << 30 | (uint64_t)(tid))

static inline os_word *brood__low_half(_Atomic uint64_t *word)
{
    return (os_word *)(void *)word;
}

/* Of both kinds, whose table is TABLE_LOCK or TABLE_RLOCK; the caller has entered.  As the public calls. */
struct circle;
int brood__lock_new(enum table table, uint64_t *id);
int brood__lock_free(enum table table, uint64_t id);
/* With a circle it is looked for deadlocks while it waits, whatever the timeout: BROOD_EDEADLK, and *circle says which. */
int brood__lock_acquire(enum table table, uint64_t id, int timeout, struct circle *circle);
int brood__lock_release(enum table table, uint64_t id);
int brood__lock_holder(enum table table, uint64_t id);
int brood__rlock_acquire(uint64_t id, int timeout, struct circle *circle);

/* A lock of either kind, or NULL. */
struct lock_shm *brood__lock_find(uint64_t id);
/* Why there is none. */
int brood__lock_gone(uint64_t id);
/* Whether this process holds it. */
bool brood__lock_is_ours(struct lock_shm *lock, uint64_t id);
/*
 * The word of a lock that a living member holds, without OS_WAITERS, and the index of that member.  false: the handle is
 * stale or no lock's, or nobody holds it, or one who has gone.
 */
bool brood__lock_look(uint64_t id, uint64_t *word, uint32_t *holder);

/*
 * For what is bound to a lock of either kind.  0 if the caller has it: its process, its thread if it is recursive; or
 * BROOD_EPERM, or why it is gone.  Let go of all of it; take it again, as often held as before: as acquire.
 */
int brood__lock_mine(uint64_t id);
int brood__lock_let_go(uint64_t id, uint32_t *depth);
int brood__lock_take_again(uint64_t id, uint32_t depth);

static inline os_word *brood__high_half(_Atomic uint64_t *word)
{
    return brood__low_half(word) + 1;
}

/* Repairs after the death of a member (process/repair.h). */
bool brood__lock_repair(uint32_t dead);
void brood__lock_ring_all(void);

#endif
