/* SPDX-License-Identifier: MIT */
/*
 * pages.h - runs of 4 KiB pages for whatever is larger than a slot.
 *
 * The pages [0, committed) are tiled by runs.  The word of a run's first page is the whole truth about it:
 * used:1 | pages:31 | owner:32, the owner being the table:8 and index:24 of the slot whose body the run is.
 * Splitting writes the second word before the first; joining writes the first only: after each instruction the words
 * tile.  All else (free lists, boundary tags) is derived from them and built anew by the heir of a dead holder.
 *
 * Everything here is read and written under the latch.  If a process dies here, the heir walks the words: a used run
 * whose owner's body is not this run is freed (its allocation or release was half done).
 */
#ifndef BROOD_ARENA_PAGES_H
#define BROOD_ARENA_PAGES_H

#include "arena/latch.h"
#include "arena/slot.h"

#define PAGE_SIZE 4096u
#define PAGE_BINS 128

struct page_shm {
    uint64_t word;     /* of a run's first page; elsewhere garbage */
    uint32_t before;   /* pages of the run that ends just before this one begins; 0: none.  Derived */
    uint32_t next;     /* free list, page number + 1.  Derived */
    uint32_t previous; /* likewise */
    uint32_t reserved;
};

struct pages_shm {
    struct latch_shm latch;
    uint64_t table;           /* offset of page_shm[] */
    uint64_t heap;            /* offset of page 0 */
    uint32_t limit;           /* pages at most */
    uint32_t committed;       /* pages that are real and tiled; stored after both are so */
    _Atomic uint64_t used;    /* pages in used runs; derived, read without the latch */
    uint32_t bins[PAGE_BINS]; /* heads of free lists by size, page number + 1 */
};

/*
 * Give the slot a body of at least `size` bytes; whatever was in it is unspecified.  The slot has none, and is INIT,
 * owned by the caller.  0, BROOD_EARENA, BROOD_EDEADLK (in a signal handler that interrupted this).
 */
int brood__pages_allocate(enum table table, uint32_t index, size_t size);
/* Take the body away, if there is one. */
int brood__pages_free(enum table table, uint32_t index);
/*
 * Make the body of one slot that of another, whose own is freed.  The store of the second slot's body is the commit: who
 * dies before it leaves a run that is nobody's.  Readers of the old body without a latch read what is in its pages then.
 */
int brood__pages_move(enum table from, uint32_t from_index, enum table to, uint32_t to_index);
/* Bytes of the slot's body: read without the latch, so nobody may move or free it meanwhile.  0: it is none. */
uint64_t brood__pages_size(const struct slot_shm *slot);
/* For tests: 0 if the words tile, lists and tags agree with them, and every used run is its owner's body. */
int brood__pages_check(void);

#endif
