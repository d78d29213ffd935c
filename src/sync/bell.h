/* SPDX-License-Identifier: MIT */
/*
 * sync/bell.h - descriptors by which an object calls a member's own event loop.
 *
 * A bell is a datagram socket under a name that anyone in the family can compute, and a slot that says for which object
 * it is and whether it is armed.  Who writes: the listener arms (exchange to 1, and if it was not, looks at the object once more);
 * ringers disarm (exchange to 0) and send; object and slot never change after the publish.
 * If a process dies here: a ringer between its commit and its ring, disarmed by it or not yet: the supervisor rings
 * every bell after any death.
 * A dead listener's bell becomes garbage.
 */
#ifndef BROOD_SYNC_BELL_H
#define BROOD_SYNC_BELL_H

#include "arena/arena.h"

struct bell_shm {
    struct slot_shm slot;
    uint64_t object; /* handle */
    _Atomic uint32_t armed;
    uint32_t reserved[9];
};
_Static_assert(sizeof(struct bell_shm) == 64, "its table");

/*
 * One more bell for an object, the caller's own, which nobody else quiets: armed from the start.  0 or an error; its
 * descriptor; quiet it and arm it, as bell_arm; make it readable; close it (forget: in a forked child, whose it is not).
 */
struct bell;
int brood__bell_open(uint64_t object, struct bell **bell);
int brood__bell_descriptor(const struct bell *bell);
void brood__bell_quiet(struct bell *bell);
void brood__bell_ring_own(const struct bell *bell);
void brood__bell_free(struct bell *bell, bool forget);
/* The descriptor of this process for the object, made at the first call; >= 0 or an error. */
int brood__bell_fd(uint64_t object);
/* Nothing there: quiet the descriptor and arm it; the caller then looks at the object once more.  No bell: nothing. */
void brood__bell_arm(uint64_t object);
/*
 * A bell of many answers: nothing there for one who asks for one of them.  To quiet the descriptor at once would take
 * with it the ring for another, asked for before.  The contract is that after each poll the caller asks once for each
 * that is open.  A turn begins when somebody who asks finds the bell rung: it is armed again, and stays readable.
 * Whoever asks for the same one twice in a turn has asked for all in between, all of them after the arming, so none of
 * their answers is in what is drained then; one that comes from the arming on is seen in `armed`.  *asked remembers
 * the turn, 0 at first, and is of this answer alone; NULL: of who asks for any.  Whether the caller has to look once more.
 */
bool brood__bell_arm_for(uint64_t object, _Atomic uint32_t *asked);
/*
 * One of several answers was given out to who asked, and others may be there: this is no round without them.  Nothing is
 * drained before a whole round from now.
 */
void brood__bell_more(uint64_t object);
/* Ring those who listen for the object.  The caller's commit is visible (fence inside) before the arms are read. */
void brood__bell_ring(uint64_t object);
/* Close this process's bell for the object; those of other members find out by the ring. */
void brood__bell_close(uint64_t object);
/* Close all of this process's bells; after a fork inside Brood, forget the parent's. */
void brood__bell_close_all(bool forget);
/* Ring all, armed or not: by the supervisor after a death. */
void brood__bell_ring_all(void);

#endif
