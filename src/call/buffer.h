/* SPDX-License-Identifier: MIT */
/*
 * call/buffer.h - bytes in the arena with exactly one holder.
 *
 * The slot's word says who holds it; besides the states of every slot (slot.h):
 *   LIVE      held by owner
 *   TRANSIT   handed by owner (0: a dead one) to the carrier at `position`, and the carrier's once its commit has
 *             passed that position; until then still the owner's
 *   RECEIVED  taken by owner from the carrier at `position`, and the owner's once the carrier's commit has passed it;
 *             until then still the carrier's
 *   ATTACHED  its handle stands, or was about to stand, in the word at offset `position` of the arena, in the memory of
 *             the object that carrier names: if it stands there, it is the object's, else its owner's
 * So the one store that commits a put or a get also moves the buffer, and nothing else does.
 * One that is lent becomes GARBAGE when it is freed, or its holder dies, and is taken apart when no map uses it.
 * Who writes: its holder; TRANSIT under the carrier's put latch, RECEIVED under its get latch.  carrier and position are
 * written before the word.  If a process dies here: the supervisor compares position and commit, under that latch.
 */
#ifndef BROOD_CALL_BUFFER_H
#define BROOD_CALL_BUFFER_H

#include "arena/arena.h"

#include <brood/buffer.h>

enum { BUFFER_TRANSIT = SLOT_GARBAGE + 1, BUFFER_RECEIVED, BUFFER_ATTACHED };

struct buffer_shm {
    struct slot_shm slot;
    uint64_t size;
    uint64_t carrier;      /* handle of the queue or pool */
    uint64_t position;     /* in the queue's bytes, or in the arena */
    _Atomic uint32_t lent; /* 1: its bytes are or were the array of some map, which may outlast its holder */
    uint32_t reserved[5];
};
_Static_assert(sizeof(struct buffer_shm) == 64, "its table");

/* The buffer of a handle if this process holds it: 0, BROOD_ESTALE, BROOD_EPERM. */
int brood__buffer_mine(uint64_t id, struct buffer_shm **buffer);
/* Of a handle found in a message: the buffer, or NULL if the bytes are no such handle. */
struct buffer_shm *brood__buffer_carried(uint64_t id);
/* Make the word: only its holder, or the receiver under the carrier's latch. */
static inline void brood__buffer_mark(struct buffer_shm *b, unsigned state, uint32_t owner)
{
    uint64_t word = atomic_load_explicit(&b->slot.word, memory_order_relaxed);
    atomic_store_explicit(&b->slot.word, SLOT_WORD(SLOT_GENERATION(word), state, owner), memory_order_release);
}
/* FREEING by us→FREE; of one that is lent →GARBAGE until no map uses it. */
void brood__buffer_release(uint32_t index);
/* The buffer all of whose bytes [address, address + size) lie in, that somebody holds: its handle, or 0. */
uint64_t brood__buffer_around(const void *address, size_t size);
/*
 * FREEING by this process, whoever had it; false: it is gone, or garbage already (one who dropped it died in that), and
 * whoever claims the slot takes it apart.
 */
bool brood__buffer_seize(uint64_t id);
/* Free a buffer that its carrier has, which is going away; under the carrier's latches. */
void brood__buffer_drop(uint64_t id);

#endif
