/* SPDX-License-Identifier: MIT */
/*
 * slot.h - tables of objects of one type, and the handles that name them.
 *
 * A slot is for ever of its table's type, so that a late user of a freed handle compares with an object of the same
 * shape and fails.  A handle is type:8 | index:24 | generation:32; a slot whose generation would come round is
 * never used again.
 *
 * The slot's word is the whole truth about it: generation:32 | state:8 | 8 bits 0 | owner:16.
 *   FREE      nobody's
 *   INIT      owner is making it
 *   LIVE      in use, freed when owner dies
 *   FREEING   owner is taking it apart
 *   GARBAGE   its owner died (owner 0), or freed it and could not take it apart (OWNER_FREED): whoever claims it next does
 * Who writes: by swap claimants FREE→INIT and GARBAGE→FREEING, whoever frees it LIVE→FREEING, and the supervisor INIT,
 * LIVE, FREEING→GARBAGE for a dead owner, or LIVE→GARBAGE for a scope that is over; by store the owner INIT→LIVE, and
 * whoever has made it INIT or FREEING →FREE or →GARBAGE.  If a process dies here: the word names it, and the
 * supervisor makes it GARBAGE.  The slot's memory (body) is set and cleared under the latch of the pages together with
 * the run's own word, so heirs of that latch can tell and undo a half-done change.
 */
#ifndef BROOD_ARENA_SLOT_H
#define BROOD_ARENA_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum table {
    TABLE_NONE,
    TABLE_MEMBER,
    TABLE_LOCK,
    TABLE_SEMAPHORE,
    TABLE_EVENT,
    TABLE_BUFFER,
    TABLE_QUEUE,
    TABLE_BELL,
    TABLE_POOL,
    TABLE_PIPE,
    TABLE_TOKEN,
    TABLE_SHARED,
    TABLE_NAMED,
    TABLE_SCOPE,
    TABLE_RLOCK,
    TABLE_CONDITION,
    TABLE_BARRIER,
    TABLE_MODULE,
    TABLE_PROGRAM,
    TABLE_MANAGER,
    TABLE_COLLECTION,
    TABLE_COUNT
};

enum slot_state { SLOT_FREE, SLOT_INIT, SLOT_LIVE, SLOT_FREEING, SLOT_GARBAGE };

struct slot_shm {
    _Atomic uint64_t word;
    uint64_t body; /* offset of its run of pages, 0: none */
};

#define SLOT_WORD(generation, state, owner) ((uint64_t)(generation) << 32 | (uint64_t)(state) << 24 | (uint64_t)(owner))
#define SLOT_GENERATION(word) ((uint32_t)((word) >> 32))
#define SLOT_STATE(word) ((enum slot_state)((word) >> 24 & 0xff))
#define SLOT_OWNER(word) ((uint32_t)((word)&0xffff))
#define OWNER_SUPERVISOR 0xffffu
#define OWNER_FAMILY 0xfffeu /* nobody's death frees it */
#define OWNER_FREED 0xfffdu  /* of garbage: a call freed it, so that its handle is stale, not closed */

#define HANDLE(table, index, generation) ((uint64_t)(table) << 56 | (uint64_t)(index) << 32 | (uint64_t)(generation))
#define HANDLE_TABLE(id) ((uint32_t)((id) >> 56))
#define HANDLE_INDEX(id) ((uint32_t)((id) >> 32 & 0xffffff))
#define HANDLE_GENERATION(id) ((uint32_t)(id))

/*
 * A table.  offset, slot_size and capacity never change; high and used only grow (compare-and-swap), high after the
 * memory below it was made real; hint is only that.
 */
struct table_shm {
    uint64_t offset;
    uint32_t slot_size;
    uint32_t capacity;
    _Atomic uint32_t high; /* slots [1, high) are real memory; slot 0 is never used */
    _Atomic uint32_t used; /* slots [used, high) were never claimed; raised before a claim, so scans miss nothing */
    _Atomic uint32_t hint;
    uint32_t reserved;
};

/* Sizes and capacities of the tables, by type; in slot.c, checked against the structs where those are defined. */
struct table_shape {
    uint32_t slot_size;
    uint32_t capacity;
};
extern const struct table_shape brood__table_shapes[TABLE_COUNT];

/* The slot, whatever its state; index below high. */
struct slot_shm *brood__slot_at(enum table table, uint32_t index);

/* One more than the highest index that was ever claimed; never beyond the table, whatever is written there. */
uint32_t brood__table_used(enum table table);

/* Whether it is the live slot that this handle names. */
static inline bool brood__slot_is(const struct slot_shm *slot, uint64_t id)
{
    uint64_t word = atomic_load_explicit(&((struct slot_shm *)(uintptr_t)slot)->word, memory_order_acquire);
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) && SLOT_STATE(word) == SLOT_LIVE;
}

/* Why a handle that found no live slot did not: BROOD_ECLOSED when its owner's death took it, else BROOD_ESTALE. */
int brood__slot_gone(enum table table, uint64_t id);

/* Takes apart what a GARBAGE slot holds besides its body; false: not now (somebody is inside), try another slot. */
typedef bool slot_scrub_fn(struct slot_shm *slot, uint32_t index);

/* The scrubs of the tables whose slots have memory, NULL for those that need none; put together in brood.c. */
extern slot_scrub_fn *const brood__slot_scrubs[TABLE_COUNT];
/*
 * Take apart all garbage that has memory; whether there was any.  Not under a latch, for it takes those of the garbage:
 * if the caller has announced one, and in the supervisor, nothing is done.
 */
bool brood__slot_collect(void);

/*
 * Claim a slot: it is INIT, owned by `owner`.  scrub may be NULL.  0 and *index; BROOD_EARENA.
 * The rest of the slot is as its last user left it.
 */
int brood__slot_claim(enum table table, uint32_t owner, slot_scrub_fn *scrub, uint32_t *index);
/* INIT→LIVE; returns the handle.  release: pairs with the acquire in brood__slot_is. */
uint64_t brood__slot_publish(enum table table, uint32_t index);
/* Likewise, and owned by `owner` from then on. */
uint64_t brood__slot_publish_as(enum table table, uint32_t index, uint32_t owner);
/* A LIVE slot of this process's gets another owner; false: it is not ours, or has gone. */
bool brood__slot_give(enum table table, uint64_t id, uint32_t owner);
/* LIVE→FREEING by this process.  Whoever it answers true to takes it apart and calls release. */
bool brood__slot_retire(enum table table, uint64_t id);
/* Free the body, then INIT or FREEING→FREE under the next generation; in a signal handler that can't, →GARBAGE. */
void brood__slot_release(enum table table, uint32_t index);
/* FREEING→GARBAGE, and taken apart at once unless its scrub says "not now"; else by whoever comes by later. */
void brood__slot_leave(enum table table, uint32_t index);
/* Take this slot apart, if it is garbage of this handle's generation and its scrub agrees. */
void brood__slot_collect_one(enum table table, uint64_t id);

#endif
