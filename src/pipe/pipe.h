/* SPDX-License-Identifier: MIT */
/*
 * pipe/pipe.h - two ends that send to each other.
 *
 * An end is a slot of the queue's shape (queue/ring.h), with the ring of what comes to it; its peer's is that of what it
 * sends.  Ends that nothing comes to have none.  Who holds an end stands in its word (call/movable.h), and that word is
 * all that the end of file is made of: a ring is closed when its peer's word is nobody's.
 *
 *   close: (1) LIVE→FREEING: the commit; (2) the own ring is cleared: who waits at this end, and who waits for room to
 *          send here, looks again; (3) the peer's ring is called: who waits there for a message looks again; (4) →FREE.
 *
 * If a process dies here: its ends become garbage.  For each end that is, the supervisor calls both rings, and what was
 * in its messages is garbage too, and so on.
 */
#ifndef BROOD_PIPE_PIPE_H
#define BROOD_PIPE_PIPE_H

#include "process/supervisor.h"

/* Take apart an end that is FREEING by us. */
void brood__pipe_drop(uint32_t index);
/* Take apart an end whose holder died. */
bool brood__pipe_scrub(struct slot_shm *slot, uint32_t index);

/* Pipes and tokens, for the supervisor. */
extern const struct area brood__pipe_area;

#endif
