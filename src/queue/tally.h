/* SPDX-License-Identifier: MIT */
/*
 * queue/tally.h - of a joinable queue: how many messages each member has taken and not marked done.
 *
 * The entries, member:16 | messages:48, lie behind the rings; 0 is an unused one, and a member may have several.  All is
 * done when the queue is empty and no entry is left.
 * Who writes: all of it under the get latch.  Commit points: the store of head, for a get; one store to an entry, for
 * what is marked done, and for the loss of what a dead member had.
 * If a process dies here: a get says first what its entry will be and by which head (`taking`, `value`, `at`), the
 * supervisor how many are lost then (`losing`, `lost_then`); the heir of the latch finishes what was committed, forgets
 * what was not, and adds up anew.
 *
 * Who waits for all to be done sleeps on `bell`, which is 0 or OS_WAITERS, stored under the latch by who is about to
 * sleep; who finishes the last message clears it and wakes all before it releases the latch.  So a wake-up is owed by
 * the holder of the latch alone, and the heir of one who died pays: who comes by next, or the supervisor, which visits
 * the joinable queues after every death.
 */
#ifndef BROOD_QUEUE_TALLY_H
#define BROOD_QUEUE_TALLY_H

#include "arena/latch.h"

#define TALLY_ENTRIES 1024u
#define TALLY_BYTES (TALLY_ENTRIES * 8u)

struct tally_shm {
    os_word bell;
    uint32_t taking;       /* 1 + index of the entry that a get is about to change; 0: none */
    uint64_t value;        /* what it will be ... */
    uint64_t at;           /* ... once the head of a lane is there: brood__ring_place */
    uint32_t losing;       /* 1 + index of an entry whose messages are about to be lost; 0: none */
    uint32_t reserved;     /* */
    uint64_t lost_then;    /* what `lost` will be once that entry is gone */
    _Atomic uint64_t lost; /* messages that went with the dead, since someone asked */
    _Atomic uint64_t open; /* derived: the sum of the entries */
    uint64_t reserved_too;
};
_Static_assert(sizeof(struct tally_shm) == 64, "the other half of the get side");

struct queue_shm;

/* Under the get latch: the caller's entry, or an unused one; NULL: there is none. */
uint64_t *brood__tally_entry(struct queue_shm *q);
/* Before the head is stored: n more in this entry when it is at this place; and after it. */
void brood__tally_intend(struct queue_shm *q, uint64_t *entry, uint64_t place, uint32_t n);
void brood__tally_took(struct queue_shm *q, uint32_t n);
/* As heir of a dead holder of the get latch. */
void brood__tally_repair(struct queue_shm *q);
/* As the supervisor, under the get latch: all that the dead has left is lost. */
void brood__tally_bury(struct queue_shm *q, uint32_t dead);
/* Wake all who wait for the end of work; false without a cause to. */
void brood__tally_ring(struct queue_shm *q);

#endif
