/* SPDX-License-Identifier: MIT */
/*
 * process/repair.h - what a death leaves to be done that outlives the dead's call.
 *
 * Each step is a compare-and-swap from a word that names the dead to one that does not, then wake-ups; done twice it
 * does nothing, and a supervisor that dies in the middle is followed by one that does it all again and rings everybody.
 */
#ifndef BROOD_PROCESS_REPAIR_H
#define BROOD_PROCESS_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

/* Undo what a member held that has ended (its process is gone).  false: some latch was held; ask again soon. */
bool brood__repair_member(uint32_t dead);
/* Wake every sleeper and ring every bell of the family: each looks again and finds what is so. */
void brood__repair_ring_all(void);

#endif
