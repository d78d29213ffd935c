/* SPDX-License-Identifier: MIT */
/*
 * shared/list.h - how a shareable list lies in memory, which may be a segment that any program can write to.
 *
 *   list_shm, list_slot[count], and for each slot two halves of 8 + room bytes: {size:32 | type:32, payload}
 *
 * A slot's `turn` counts its sets, and its lowest bit selects the half that counts.
 * Who writes: a set, under the latch, the other half, then `turn`: the commit.  Nothing else changes once it is made.
 * If a process dies here: the selected half is whole; the kernel frees the latch, and its heir has nothing to repair.
 * Readers take no latch: they copy the selected half and look whether `turn` is as it was, for two sets later somebody may
 * have written there.  Whatever is read of a segment is looked at once and then not believed beyond the segment's size.
 */
#ifndef BROOD_SHARED_LIST_H
#define BROOD_SHARED_LIST_H

#include "arena/latch.h"

#include <brood/shareable_list.h>

#define LIST_MAGIC 0x7473696c6462ull /* "bdlist" */
#define LIST_VERSION 1u
#define LIST_MOST ((size_t)INT32_MAX)

struct list_slot {
    _Atomic uint64_t turn;
    _Atomic uint64_t place; /* offset of the first half */
    _Atomic uint64_t room;  /* bytes of payload, a multiple of 8, at least 8 */
    uint64_t reserved;
};

struct list_shm {
    _Atomic uint64_t magic;
    _Atomic uint64_t version;
    _Atomic uint64_t count;
    _Atomic uint64_t size; /* of it all */
    uint64_t reserved[4];
    struct latch_shm latch;
    struct list_slot slots[];
};

/* What is to be made, and how much memory it takes; 0: an error, in *error. */
struct list_plan {
    const brood_element *elements;
    size_t count, room, size;
};
int brood__list_plan(struct list_plan *plan);
/* Write it, into memory of zeroes: a fill function of brood__shared_make. */
void brood__list_fill(void *bytes, const void *plan);

/* size: bytes that are surely there.  0; BROOD_ECORRUPT. */
int brood__list_check(const struct list_shm *list, size_t size);
int64_t brood__list_length(const struct list_shm *list, size_t size);
int brood__list_get(const struct list_shm *list, size_t size, size_t index, brood_element *element, void *buffer,
                    size_t capacity);
/* How long a set waits for another's end, after which that is taken for stopped or forged. */
extern int64_t brood__list_patience_ns;
int brood__list_set(struct list_shm *list, size_t size, size_t index, const brood_element *element);

#endif
