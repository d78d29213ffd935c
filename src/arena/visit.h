/* SPDX-License-Identifier: MIT */
/*
 * visit.h - calls that look at the bytes of an object without a latch, and those who would give the bytes away.
 *
 * A visitor writes the object's handle into a cell of its own member (compare-and-swap from 0), and then looks whether
 * the object is live; who frees makes its slot something else, and then looks at all cells.  Both orders are
 * sequentially consistent, so one of the two sees the other: a live object that is visited is not given away before
 * the visit ends; until then its slot is GARBAGE, and whoever comes by later takes it apart.
 *
 * A member that has no free cell (more threads inside than cells) counts in `more_visits`, one for pools and one for all
 * else, which stands for any such object.  Who writes: the member itself; the supervisor clears the cells of the dead.  If
 * a process dies here: what it visited stays garbage until that.  Nobody waits for a visitor but who frees a pool, for
 * those of pools: their visits are short, which those of other objects, where large arrays are copied, need not be; hence
 * two counts.  Thread-safe, async-signal-safe.
 */
#ifndef BROOD_ARENA_VISIT_H
#define BROOD_ARENA_VISIT_H

#include "arena/slot.h"

/* The live slot, or NULL, and then there is nothing to end; *cell is for the end. */
void *brood__visit_begin(enum table table, uint64_t id, unsigned *cell);
void brood__visit_end(unsigned cell);
/* Whether a call may be looking at this object, whose slot is no longer LIVE. */
bool brood__visited(uint64_t id);
/* The member is dead. */
void brood__visit_forget(uint32_t member);

#endif
