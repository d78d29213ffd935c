/* SPDX-License-Identifier: MIT */
/*
 * call/movable.h - objects with exactly one holder, which is a member or a message: buffers, ends of pipes, tokens.
 *
 * The slot's word says who holds it; besides the states of every slot (slot.h):
 *   LIVE      held by owner
 *   MOVING    held by owner, and a call of its is about to move it: no other call does; to the ring that carrier names
 *   TRANSIT   handed by owner (0: a dead one) to the carrier, a queue or an end, at `position` of its ring, and the
 *             carrier's once its commit has passed that position; until then still the owner's
 *   RECEIVED  taken by owner from the carrier at `position`, and the owner's once the carrier's commit has passed it;
 *             until then still the carrier's
 *   ATTACHED  (buffers) its handle stands, or was about to stand, in the word at offset `position` of the arena, in the
 *             memory of the pool that carrier names: if it stands there, it is the pool's, else its owner's
 *   GIVEN     held by owner, who is about to give it to the member that carrier names
 * So the one store that commits a message also moves what is in it, however much that is, and nothing else does; and
 * one compare-and-swap, GIVEN→LIVE under the other's index, moves what is given.
 *
 * What is in TRANSIT in a carrier that is no more is no more either: the supervisor makes it GARBAGE.
 *
 * Who writes: its holder; TRANSIT under the carrier's put latch, RECEIVED under its get latch; the supervisor by
 * compare-and-swap, for the dead.  carrier and position are written before the word, or while it is MOVING.
 * If a process dies here: LIVE, MOVING, GIVEN are garbage with their owner; TRANSIT and RECEIVED are settled by
 * position and commit, under the carrier's latch.  If the member dies to whom it is GIVEN, it is its owner's again: the
 * owner publishes GIVEN before it looks whether the other is gone, the supervisor says that it is gone before it looks
 * for GIVEN (seq_cst on both sides), so nothing is given to one whose holdings have been swept.
 */
#ifndef BROOD_CALL_MOVABLE_H
#define BROOD_CALL_MOVABLE_H

#include "arena/arena.h"

enum { MOVABLE_TRANSIT = SLOT_GARBAGE + 1, MOVABLE_RECEIVED, BUFFER_ATTACHED, MOVABLE_MOVING, MOVABLE_GIVEN };

/* How each of them begins. */
struct movable_shm {
    struct slot_shm slot;
    _Atomic uint64_t carrier; /* handle */
    uint64_t position;        /* in the ring of the carrier, or in the arena */
};

/* Most that one message moves, besides the buffer that it travels in. */
#define MOVES_MOST 8

/* Whether a slot is this handle's and somebody's, be it a message's. */
static inline bool brood__slot_lives(const struct slot_shm *slot, uint64_t id)
{
    uint64_t word = atomic_load_explicit(&((struct slot_shm *)(uintptr_t)slot)->word, memory_order_acquire);
    unsigned state = (unsigned)SLOT_STATE(word);
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) && (state == SLOT_LIVE || state > SLOT_GARBAGE);
}

/* What can be moved of this handle, whoever holds it; or NULL. */
struct movable_shm *brood__movable_find(uint64_t id);
/* 0: this process holds it, and no call moves it; BROOD_ESTALE, BROOD_EPERM. */
int brood__movable_mine(uint64_t id);

/* LIVE by us→MOVING, to this carrier: 0, BROOD_ESTALE, BROOD_EPERM.  And back: the move came to nothing. */
int brood__movable_claim(uint64_t id, uint64_t carrier);
void brood__movable_put_back(uint64_t id);
/* Whether the carrier is inside of it, be it in several steps: then it must not go there.  After the claim. */
bool brood__movable_is_around(uint64_t id, uint64_t carrier);
/* MOVING→TRANSIT, under the carrier's put latch. */
void brood__movable_send(uint64_t id, uint64_t position);
/* TRANSIT→RECEIVED by us, under the carrier's get latch: false: there is no such thing any more.  Then →LIVE. */
bool brood__movable_receive(uint64_t id);
void brood__movable_keep(uint64_t id);

/* Give it to a member: 0, BROOD_ESTALE, BROOD_EPERM; BROOD_ECLOSED: that has ended, and we have it still. */
int brood__movable_give(uint64_t id, uint64_t member);
/* What was given to a member that has not done anything yet is ours again, if that still has it. */
void brood__movable_take_back(uint64_t id, uint64_t member);

/* FREEING by us, whoever had it; false: it is gone, or garbage, and whoever claims the slot takes it apart. */
bool brood__movable_seize(uint64_t id);
/*
 * What a carrier had, which is going away: seized, and taken apart by brood__movable_clear, which is called when the
 * carrier's latches are released.  If we die in between, the words name us.
 */
void brood__movable_drop(uint64_t id);
void brood__movable_clear(void);
/* By table: takes apart what is FREEING by us; in brood.c. */
extern void (*const brood__movable_drops[TABLE_COUNT])(uint32_t index);

/* As the supervisor: what the dead held or was giving, and what was to be given to it. */
void brood__movable_repair(uint32_t dead);
/* The tables of what can be moved; TABLE_NONE at the end. */
extern const enum table brood__movable_tables[];

#endif
