/* SPDX-License-Identifier: MIT */
/*
 * manager/collection.h - dicts, namespaces, lists, arrays, values and queues of the family's own, in the arena, without a
 * server.  (Queues are those of queue/queue.h, see collection_queue.c; what follows is not about them.)
 *
 * Keys and values are the deterministic CBOR of brood_variant.  All that a collection has lies in its slot's body, one run
 * of pages: a head, rows (of a dict {hash, key, value}, of a list two halves of words, of which one counts), of a dict an
 * index over the rows, and a heap, which is only added to.  A key or value stands in a word (a ref), itself if it is short,
 * else its place in the heap.
 *
 * Who writes: whoever holds the latch.  The truth is: the slot's body, `state`, and the refs of the rows that it counts.
 * Each change is prepared where nothing counts (behind the heap's tail, behind the last row, in the other half) and made
 * by ONE store, the commit:
 *   set a key that is there, or an item    its ref of the value
 *   set a new key, append, extend          state: more rows
 *   delete a key                           its ref of the value becomes REF_NONE
 *   insert, delete, sort, reverse          state: the other half, with so many rows
 *   clear                                  state: no rows
 *   no room, or much of it for nothing     the slot's body, when all that counts has been copied to another one
 * All else (tail, live, dead, last, index) is derived.
 * If a process dies here: the change was made or was not; the kernel frees the latch, and its heir derives the rest anew,
 * which can itself be cut and repeated.  A body that was being filled belongs to a slot of the dead one's (as of a queue
 * that grows, queue/grow.c).  Nobody sleeps here, so nobody is owed a wake-up: who waits for a latch naps.
 * Whoever has the latch looks whether the slot is live before it believes anything; who takes a dead slot apart tries the
 * latch first, and if somebody is inside leaves it to that one, who looks again when it leaves.
 */
#ifndef BROOD_MANAGER_COLLECTION_H
#define BROOD_MANAGER_COLLECTION_H

#include "arena/arena.h"
#include "manager/value.h"
#include "process/item.h"

#include <brood/manager.h>

enum collection_kind { COLLECTION_DICT = 1, COLLECTION_NAMESPACE, COLLECTION_LIST, COLLECTION_ARRAY, COLLECTION_VALUE };

struct collection_shm {
    struct slot_shm slot;
    _Atomic uint64_t seed[2]; /* of a dict's hash; as kind, by its maker before it is published */
    _Atomic uint32_t kind;
    uint32_t reserved_kind;
    uint64_t reserved[3];
    struct latch_shm latch;
};
_Static_assert(sizeof(struct collection_shm) == 128, "its table");

/* A key or a value: 0, none; bit 63 set: size:4 in bits 59..56, up to 7 bytes below; else size:31 | place:32, in eights. */
#define REF_NONE ((uint64_t)0)
#define REF_SHORT 7u

struct row {
    uint64_t hash;
    uint64_t key;
    _Atomic uint64_t value;
};

struct body {
    _Atomic uint64_t state; /* rows, dead ones too, << 1 | the half of a list that counts */
    uint64_t size;          /* of all of it; like the next three, for ever */
    uint64_t heap;          /* offset of the heap */
    uint32_t room;          /* for so many rows */
    uint32_t slots;         /* of the index, a power of two; 0 in a list */
    /* derived */
    uint64_t tail; /* where the heap's next bytes go */
    uint64_t dead; /* bytes of the heap before that which nothing names */
    uint32_t live; /* rows */
    uint32_t last; /* no live row from here on */
    uint64_t reserved;
};
_Static_assert(sizeof(struct body) == 64, "rows are aligned");

static inline struct body *brood__body(const struct collection_shm *c)
{
    return c->slot.body ? brood__at(c->slot.body) : NULL;
}
static inline uint64_t brood__rows(const struct body *b)
{
    uint64_t rows = b ? atomic_load_explicit(&((struct body *)(uintptr_t)b)->state, memory_order_relaxed) >> 1 : 0;
    return b && rows > b->room ? b->room : rows;
}
static inline struct row *brood__row(const struct body *b, uint64_t i)
{
    return (struct row *)(uintptr_t)(b + 1) + i;
}
static inline uint32_t *brood__index(const struct body *b)
{
    return (uint32_t *)(void *)brood__row(b, b->room);
}
/* The half of a list that counts, or the other one. */
static inline _Atomic uint64_t *brood__items(const struct body *b, bool other)
{
    uint64_t half = (atomic_load_explicit(&((struct body *)(uintptr_t)b)->state, memory_order_relaxed) & 1) ^ other;
    return (_Atomic uint64_t *)(uintptr_t)(b + 1) + half * b->room;
}
static inline bool brood__is_dict(const struct collection_shm *c)
{
    return atomic_load_explicit(&((struct collection_shm *)(uintptr_t)c)->kind, memory_order_relaxed) <=
           COLLECTION_NAMESPACE;
}

/* A call on a collection: what methods work with. */
struct use {
    struct collection_shm *c;
    const char *method;
    size_t argc;
    struct slice args[2];
    uint64_t hash;          /* of the first argument, if that is a key */
    struct item_writer out; /* the result; nothing: nil */
    brood_variant *result;  /* where it goes, nil until it has gone there; may be NULL */
};

/* ------------------------------------------------------------------------------- collection.c, all under the latch */

/* The bytes of a ref; those of a short one are in *ref itself.  Nothing, if it names what can't be. */
struct slice brood__ref_slice(const struct body *b, const uint64_t *ref);
/* What bytes take of the heap. */
static inline uint64_t brood__heap_need(size_t size)
{
    return size <= REF_SHORT ? 0 : ((uint64_t)size + 7) & ~(uint64_t)7;
}
/*
 * Whether the body is what its head says, as far as all else here relies on it; and what is derived possible.  A segment
 * that somebody has written over is BROOD_ECORRUPT, and stays as it is.
 */
bool brood__collection_is_sound(const struct collection_shm *c);
bool brood__collection_is_derived(const struct collection_shm *c);
/*
 * Room for so many rows and bytes of the heap; the body may be another one then.  0, BROOD_EARENA, BROOD_EDEADLK,
 * BROOD_ECORRUPT: what is in it has more bytes than that.
 */
int brood__collection_room(struct collection_shm *c, uint64_t rows, uint64_t bytes);
/* Write bytes behind the tail, where there is room. */
uint64_t brood__ref_make(struct body *b, struct slice bytes);
/* Nothing names it any more. */
void brood__ref_drop(struct body *b, uint64_t ref);
/* No rows any more. */
void brood__collection_clear(struct collection_shm *c);
/* After something was taken away: less memory, if there is far too much. */
void brood__collection_slim(struct collection_shm *c);
/* Derive all that is derived. */
void brood__collection_derive(struct collection_shm *c);

/* A row of a dict's index; false: there is no place, as can't be. */
bool brood__index_add(struct body *b, uint64_t row);

/* -------------------------------------------------------------------------------------------------- methods and calls */

struct collection_method {
    const char *name;
    int (*call)(struct use *u);
};
extern const struct collection_method brood__dict_methods[], brood__list_methods[], brood__array_methods[],
    brood__value_methods[];

/* What a new one begins with, of the first argument if there is one. */
int brood__dict_begin(struct use *u);
int brood__list_begin(struct use *u);

/* Have the result now, while it may still fail: before what can't be undone. */
int brood__use_finish(struct use *u);
int brood__use_args(const struct use *u, size_t least, size_t most);
/* The arguments, two at most, as bytes: written one behind the other, and where each begins. */
int brood__use_write(struct use *u, struct item_writer *w, const brood_variant *args, size_t argc);
uint64_t brood__collection_hash(const struct collection_shm *c, struct slice key);

/*
 * For calls.c: what is said of a server's objects, of those with this manager.  The arguments are looked at only.
 * An object is a collection or a queue (collection_queue.c), which its handle tells; only with a queue a call waits.
 */
#define FAMILY_MANAGER ((uint64_t)1)
int brood__collection_new(brood_proxy *proxy, const char *type, const brood_variant *args, size_t argc);
int brood__collection_call(uint64_t object, const char *method, const brood_variant *args, size_t argc,
                           brood_variant *result, int timeout);
int brood__collection_hold(uint64_t object);
int brood__collection_free(uint64_t object);

/* Likewise, of queues. */
bool brood__value_queue_is(const char *type);
int brood__value_queue_new(brood_proxy *proxy, const char *type, const brood_variant *args, size_t argc);
int brood__value_queue_call(uint64_t object, const char *method, const brood_variant *args, size_t argc,
                            brood_variant *result, int timeout);

/* For brood.c. */
bool brood__collection_scrub(struct slot_shm *slot, uint32_t index);

#endif
