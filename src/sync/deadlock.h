/* SPDX-License-Identifier: MIT */
/*
 * sync/deadlock.h - circles of members that wait for each other's locks.
 *
 * An edge leads from a member that waits for a lock to the member that the lock's word names as its holder.  Who waits
 * says so in its own slot of the process table, after a spin in vain and until it goes on: member_shm.wants names the
 * lock, wants_word is the word for which it sleeps, and `waits` is odd from then until the end, and never the same again.
 * A word that is another means that it has not seen yet what has become of the lock, or has it already: then there is no
 * edge.
 *
 * A circle is believed if all its edges are found twice, each as it was the first time: a member that waits does nothing
 * else, so at the moment between the two looks all of them were there at once.  Between the looks the system is asked
 * about each process: one that has gone is no circle, for its locks go to whoever waits, nor is one with threads, for
 * another thread may release what it holds.
 *
 * If a process dies here: what it has said stays until its slot is used again, and nobody believes it.
 */
#ifndef BROOD_SYNC_DEADLOCK_H
#define BROOD_SYNC_DEADLOCK_H

#include "arena/arena.h"

#define CIRCLE_MOST 64

/* This member waits for this lock, which the member of the next edge holds; the last one's is that of the first. */
struct edge {
    uint64_t member; /* handle */
    uint64_t waits;
    uint64_t lock; /* handle */
    uint64_t word; /* of the lock, without OS_WAITERS */
};
struct circle {
    uint32_t count;
    struct edge edges[CIRCLE_MOST];
};

/* A wait of this process, which may be inside of another's, by a signal handler. */
struct wait {
    bool published;
    uint64_t word, before, word_before;
};
/* Say that this process waits for the lock, whose word is this; say that it does no more, if it has said so. */
void brood__wait_publish(struct wait *wait, uint64_t lock, uint64_t word);
void brood__wait_withdraw(struct wait *wait);

/* Whether the member at this index is in a circle now; it is that of the first edge. */
bool brood__circle_find(uint32_t member, struct circle *circle);
/*
 * Whether this process, which has published its wait, is in a circle: then the wait is withdrawn.  Of several that ask
 * at once only one is told, after which there is no circle any more.
 */
bool brood__circle_close(struct wait *wait, struct circle *circle);

#endif
