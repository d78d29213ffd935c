/* SPDX-License-Identifier: MIT */
/*
 * sync/condition.h - who waits beside a lock, and who of them was notified.
 *
 * The body is an array of waiters, 16 bytes each: {word, ticket}.  word is member:16 | 0:16 | low:32, 0 for an unused one,
 * and its waiter sleeps on the low half, whose owner part is always 0:
 *   0            waits, awake
 *   OS_WAITERS   waits, asleep or about to be
 *   NOTIFIED     was notified, and is on its way to the lock
 *   ENDED        the condition or its lock has gone
 * Who writes: under the latch of the monitor a member claims an unused one for itself (after a look that the condition
 * lives), and others notify and end, the oldest ticket first; without it the waiter alone, by compare-and-swap, falls
 * asleep, gives up (to 0) and, once it holds the lock again, leaves (to 0).  A word that is not 0 pins the body.
 *
 * Commit points: the swap of a waiter's word to NOTIFIED.  Who notifies has announced that word, so if it dies between
 * swap and wake-up, the kernel wakes the waiter.  The waiter is there before it releases the lock.
 * If a process dies here: a waiter's word stays; the supervisor clears it, and if it was NOTIFIED, notifies the oldest
 * waiter in its place, first.  (A supervisor that dies between the two is followed by one that notifies one more.)
 * Inside the latch there is nothing half done: `used` is raised before a claim.  A holder of the lock that dies is
 * counted by the lock (lock.h, deaths); when that is not `told`, all are notified.
 */
#ifndef BROOD_SYNC_CONDITION_H
#define BROOD_SYNC_CONDITION_H

#include "arena/arena.h"

struct waiter_shm {
    _Atomic uint64_t word;
    uint64_t ticket; /* before the word */
};
#define WAITER_NOTIFIED OS_OWNER_DIED
#define WAITER_ENDED (OS_WAITERS | OS_OWNER_DIED)

struct condition_shm {
    struct slot_shm slot;
    _Atomic uint64_t lock; /* handle; never changes */
    uint32_t own;          /* never changes: the lock goes with it */
    uint32_t made;         /* the waiters are there; by its maker */
    uint64_t tickets;      /* given so far */
    uint32_t used;         /* waiters [used, MOST) are unused */
    uint32_t told;         /* deaths of the lock that waiters know of */
    uint32_t reserved[4];
    struct latch_shm monitor; /* nobody sleeps on it */
};
_Static_assert(sizeof(struct condition_shm) == 128, "its table");

bool brood__condition_scrub(struct slot_shm *slot, uint32_t index);
bool brood__condition_repair(uint32_t dead); /* after the locks' repair; false: a latch was held; ask again */
void brood__condition_ring_all(void);

#endif
