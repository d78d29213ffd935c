/* SPDX-License-Identifier: MIT */
/*
 * sync/event.h - a flag that members wait for.
 *
 * word: generation:20 | sets:12 | low:32, and sleepers sleep on the low half: EVENT_SET, and OS_WAITERS, which means
 * "someone may be asleep" while not set and "wake-ups are owed" while set.  They fall asleep only while the high half is
 * what it was as well: the low half may have been set, cleared and marked by another since.
 * Who writes: anyone, by compare-and-swap.  If a process dies here: a setter between its swap and its wake-ups has the
 * word announced with owner part 0: the kernel wakes one sleeper, which finds the debt still marked and wakes all; if
 * that one dies first, it has the word announced too, and so on.  `sets` counts, so that who slept through set and
 * clear still knows that it was set.
 */
#ifndef BROOD_SYNC_EVENT_H
#define BROOD_SYNC_EVENT_H

#include "arena/arena.h"

struct event_shm {
    struct slot_shm slot;
    _Atomic uint64_t word;
    uint64_t reserved[2];
    struct os_robust_node *robust_previous;
    struct os_robust_node robust;
    uint64_t more;
};
_Static_assert(sizeof(struct event_shm) == 64, "its table");

#define EVENT_SET 0x40000000u

void brood__event_ring_all(void);
bool brood__event_repair(uint32_t dead);

#endif
