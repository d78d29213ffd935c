/* SPDX-License-Identifier: MIT */
/*
 * shared/names.h - who made which named segment, so that none is left when nobody needs it.
 *
 * A segment is a file in the folder where shm_open(3) has its own, of exactly the size that was asked for.  It is made
 * without a name, with all its memory, and gets its name by one link: nobody ever sees half of one.
 *
 * In use: whoever maps a segment has a shared lock (flock(2)) on it through the mapping: the lock goes when the last
 * mapping that was made with it goes, by munmap, exec, exit or death.  Who gets the exclusive lock knows that no member
 * of any family uses it.
 *
 * The family's list of what it made is a table in the arena (struct named_shm) and, for the time when the arena is gone,
 * a file beside the segments, the ledger: a header that says whose it is, and a record for each slot of the table.  The
 * family is alive while its first process is, or while somebody has a shared lock on the ledger: the supervisor has, and
 * whoever has made a segment.
 *
 *   make      slot INIT; file without a name; record; link: now the world can see it; slot LIVE: now the family can
 *   unlink    slot FREEING; the name goes, if it still leads to this file; slot FREE.  The record stays until the
 *             slot is used again: what it says leads nowhere
 *   end       whoever ends the family (the supervisor, or the first process in brood_fini) removes each name that
 *             still leads to its file, if nobody uses it, then the ledger, if nothing was in use
 *   sweep     the same with the ledgers of families that are dead: by each supervisor when it begins and when it leaves.
 *             So what is in use by another family goes when that one ends
 *
 * If a process dies here: a slot that it was making or taking apart is GARBAGE; the supervisor removes the name if it
 * is there and not in use, else takes the segment over (LIVE).  One that was to persist stays.
 * Who writes a slot: its maker until it is LIVE, then nobody but for the word, and `tracked`: who unlinks it, and whoever
 * settles garbage (the supervisor, who ends its scope, the next claimant; two at once do the same), by a swap of this
 * generation's mark, so that the next user's stays.  `scope`: the supervisor too, when the family takes it over.
 */
#ifndef BROOD_SHARED_NAMES_H
#define BROOD_SHARED_NAMES_H

#include "arena/arena.h"

#include <brood/shm.h>

struct named_shm {
    struct slot_shm slot; /* owner: the family; of a stranger's segment the member that attached it */
    _Atomic uint64_t scope;
    struct os_named is;       /* which file; its size is what it was made with */
    _Atomic uint32_t tracked; /* generation + 1: its name is to go, with the family at the latest; 0: it is not */
    uint32_t reserved;
    char name[BROOD_SHM_NAME];
};
_Static_assert(sizeof(struct named_shm) <= 512, "its table");

/* A copy of what a live handle stands for: 0, or why it is not live. */
int brood__named_look(uint64_t id, struct named_shm *copy);
/* The live handle of the family for this file, or 0. */
uint64_t brood__named_find(const struct os_named *is);
/* Remove the name of a live handle: 0 or an error; the handle is stale then, whatever the answer, unless it was. */
int brood__named_unlink(uint64_t id);

/* The handle of a file that has no name yet, and its name; on failure there is none.  -EEXIST. */
int brood__named_give(int fd, const char *name, const struct os_named *is, bool tracked, uint64_t scope, uint64_t *id);
/* A handle of this process's for another's file, until the process gives it back or dies. */
int brood__named_adopt(const char *name, const struct os_named *is, uint64_t *id);
void brood__named_forget(uint64_t id);

void brood__names_end_scope(uint64_t scope);

/* ---------------------------------------------------------------------------------------------------------- ledger */

/* Whether such a name is a ledger's. */
bool brood__ledger_is(const char *name);
/* Have a ledger, and a lock on it as long as this process lives. */
int brood__ledger_use(void);
/* Give the lock back. */
void brood__ledger_leave(void);
/* The record of this slot.  0 or an errno. */
int brood__ledger_write(uint32_t index, const struct named_shm *named);
/* The size that any living or dead family's ledger has for this file, 0: none has it. */
uint64_t brood__ledger_size(const struct os_named *is);
/* Remove what is in no use of the ledger of this family, which is over, or of all others that are. */
void brood__ledger_end(void);
void brood__ledger_sweep(void);

/* For the supervisor (brood.c). */
bool brood__named_scrub(struct slot_shm *slot, uint32_t index);
bool brood__named_repair(uint32_t dead);
void brood__names_begin(void);
int64_t brood__names_manage(void);
void brood__names_over(void);
/* For brood_fini: this process's mappings. */
void brood__shm_leave(void);

/* brood_shm_create; fill, if not NULL, writes what is in it before it has a name. */
int brood__shm_create(brood_shm *shm, size_t size, const brood_shm_options *options, void **data,
                      void (*fill)(void *bytes, const void *of), const void *of);

#endif
