/* SPDX-License-Identifier: MIT */
/* process/family.h - what the files of this folder share about being a member. */
#ifndef BROOD_PROCESS_FAMILY_H
#define BROOD_PROCESS_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

/* Keep a copy of what this process knows of the family where a fork does not wipe it. */
void brood__family_remember(void);
/* In a child that Brood forked: know it again, as nobody yet (attach follows); what was the parent's own is forgotten. */
void brood__family_rejoin(void);
/* The slow tick of a sleeper: if the supervisor is dead, start another. */
void brood__supervisor_tick(void);
/* NULL, or called by brood_fini before the arena goes: what an area above keeps open. */
extern void (*brood__on_fini)(void);
/* Close the sentinels of this process; forget: in a forked child, where they are the parent's. */
void brood__sentinel_close_all(bool forget);
/* Write out what stands in streams, lest a forked child writes it too. */
void brood__flush_before_fork(void);
/* Give up a start: end what may have come of it, and the slot.  true: it has not become a member, and never will. */
bool brood__process_discard(uint32_t member);
/* Reap the children of this process that ended, so that none stays a zombie for long. */
void brood__reap_children(void);

#endif
