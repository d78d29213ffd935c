/* SPDX-License-Identifier: MIT */
/*
 * sync/barrier.h - which round it is, who has come, and whether that is still worth anything.
 *
 * state: round:32 | 0:24 | status:8, one word that those who spin look at:
 *   FILLING    parties are coming
 *   ACTING     all have come, and the last of them runs the action
 *   BROKEN     until a reset
 *   RESETTING  as broken, while those who wait in this round are told so, each in its place; the heir goes on with it
 * The body is an array of places, round:32 | kind:16 | member:16 each, 0 for an unused one; then the action's argument.
 *   KNOWN      this member has been here, and is not now
 *   WAITS      it came in that round.  If that is over, it was completed, unless it is
 *   TOLD       it came in that round, which was reset
 * Who writes: all under the latch of the monitor; but a party's own place, once its round is over, by itself without it.
 * Commit points, one store each: a place to WAITS, a party has come; state to the next round FILLING, the round is
 * complete (the last party of a barrier without action comes by that alone); state to BROKEN; state to RESETTING.
 * How many have come is derived: the places that WAIT in this round (flags[ARRIVED]).
 * If a process dies here: before the store nothing happened, after it everything; the heir counts anew, and finishes a
 * reset.  The supervisor breaks the round if the dead WAITS in it, or was KNOWN and did not end in an orderly way, and
 * then clears its places.  WAITS and TOLD pin the body.
 *
 * All sleep on the word of the monitor, and all that sleep are woken by whoever changes the state.  The next round may
 * begin, and its parties go to sleep, before all of the last are awake: who finds a wake-up on its way (baton) that it
 * has not seen to the end itself since the state is what it is, wakes all before it sleeps; and who is only about to
 * sleep when its round ends looks at the round again as it falls asleep, for the word may be marked anew.
 */
#ifndef BROOD_SYNC_BARRIER_H
#define BROOD_SYNC_BARRIER_H

#include "arena/arena.h"

enum barrier_status { BARRIER_FILLING, BARRIER_ACTING, BARRIER_BROKEN, BARRIER_RESETTING };
enum barrier_place { PLACE_UNUSED, PLACE_KNOWN, PLACE_WAITS, PLACE_TOLD };

struct barrier_shm {
    struct slot_shm slot;
    _Atomic uint64_t state;
    uint32_t parties; /* this and the next five never change */
    uint32_t places;
    uint64_t action; /* a function_ref (call/module.h), 0: none */
    uint32_t arg_size;
    uint32_t spin; /* where a wait begins to spin: there may be more parties than processors */
    uint32_t reserved[4];
    struct latch_shm monitor;
};
_Static_assert(sizeof(struct barrier_shm) == 128, "its table");

/* One who has come: where it stands, in which round, as which. */
struct arrival {
    struct barrier_shm *barrier;
    _Atomic uint64_t *place;
    uint32_t round;
    int index;
};

int brood__barrier_new(uint64_t *id, unsigned parties, uint64_t action, const void *arg, size_t arg_size);
/* As brood_barrier_wait; or BARRIER_ACT: all have come, the caller runs the action and says what came of it. */
#define BARRIER_ACT INT32_MAX
int brood__barrier_arrive(uint64_t id, int timeout, struct arrival *arrival);
/* code < 0: it failed, and that is the answer unless the barrier has gone. */
int brood__barrier_acted(uint64_t id, const struct arrival *arrival, int code);
/* The action's argument, while the caller has come. */
const void *brood__barrier_arg(const struct arrival *arrival);

bool brood__barrier_scrub(struct slot_shm *slot, uint32_t index);
bool brood__barrier_repair(uint32_t dead); /* false: a latch was held; ask again */
void brood__barrier_ring_all(void);

#endif
