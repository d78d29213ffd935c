/* SPDX-License-Identifier: MIT */
/*
 * call/buffer.h - bytes in the arena with exactly one holder; who holds them stands in call/movable.h.
 *
 * One that is lent becomes GARBAGE when it is freed, or its holder dies, and is taken apart when no map uses it.
 */
#ifndef BROOD_CALL_BUFFER_H
#define BROOD_CALL_BUFFER_H

#include "call/movable.h"

#include <brood/buffer.h>

struct buffer_shm {
    union {
        struct slot_shm slot;
        struct movable_shm movable;
    };
    uint64_t size;
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
/* Free a buffer that its carrier has, which is going away; under the carrier's latches. */
void brood__buffer_drop(uint64_t id);

#endif
