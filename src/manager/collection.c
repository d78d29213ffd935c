/* SPDX-License-Identifier: MIT */
/* collection.c - the memory of what lies in the arena; the protocol is in manager/collection.h. */
#include "manager/collection.h"

#include <string.h>

#define SHORT_BIT ((uint64_t)1 << 63)
#define ROWS_LEAST 32u
#define ROWS_MOST (UINT32_C(1) << 30)
#define SIZE_MOST ((uint64_t)1 << 35) /* what a place can name */
#define SLIM_FROM (16u << 10)
/* Of a dict's row and its places in the index; of an item in both halves of a list. */
#define ROW_BYTES (sizeof(struct row) + 2 * sizeof(uint32_t))
#define ITEM_BYTES (2 * sizeof(uint64_t))

/* ------------------------------------------------------------------------------------------------------------- refs */

static uint64_t ref_size(uint64_t ref)
{
    return ref & SHORT_BIT ? ref >> 56 & 7 : ref >> 32;
}
static uint64_t ref_place(uint64_t ref)
{
    return (ref & UINT32_MAX) * 8;
}

struct slice brood__ref_slice(const struct body *b, const uint64_t *ref)
{
    struct slice bytes = {.at = (const unsigned char *)ref, .size = (size_t)ref_size(*ref)};
    if (*ref & SHORT_BIT) return bytes;
    if (ref_place(*ref) < b->heap || ref_place(*ref) > b->size || bytes.size > b->size - ref_place(*ref))
        return (struct slice){0};
    bytes.at = (const unsigned char *)b + ref_place(*ref);
    return bytes;
}

uint64_t brood__ref_make(struct body *b, struct slice bytes)
{
    if (bytes.size <= REF_SHORT) {
        uint64_t ref = 0;
        if (bytes.size) memcpy(&ref, bytes.at, bytes.size);
        return ref | SHORT_BIT | (uint64_t)bytes.size << 56;
    }
    uint64_t place = b->tail;
    memcpy((char *)b + place, bytes.at, bytes.size);
    b->tail = place + brood__heap_need(bytes.size);
    return (uint64_t)bytes.size << 32 | place / 8;
}

static uint64_t heap_bytes(uint64_t ref)
{
    return ref & SHORT_BIT ? 0 : brood__heap_need((size_t)ref_size(ref));
}

void brood__ref_drop(struct body *b, uint64_t ref)
{
    b->dead += heap_bytes(ref);
}

/* ---------------------------------------------------------------------------------------------------------- deriving */

bool brood__index_add(struct body *b, uint64_t row)
{
    uint32_t *index = brood__index(b);
    uint64_t mask = b->slots - 1, i = brood__row(b, row)->hash & mask, n = 0;
    while (index[i] && n++ < mask) i = (i + 1) & mask; /* there are twice as many as rows */
    if (index[i]) return false;
    index[i] = (uint32_t)row + 1;
    return true;
}

/* One ref that counts, in a walk over all. */
static void count(struct body *b, uint64_t ref, uint64_t *named)
{
    struct slice bytes = brood__ref_slice(b, &ref);
    if (ref & SHORT_BIT || !bytes.at) return;
    uint64_t end = ref_place(ref) + heap_bytes(ref);
    *named += heap_bytes(ref);
    if (end > b->tail) b->tail = end;
}

void brood__collection_derive(struct collection_shm *c)
{
    struct body *b = brood__body(c);
    if (!b) return;
    uint64_t rows = brood__rows(b), named = 0;
    b->tail = b->heap;
    b->live = 0;
    b->last = (uint32_t)rows;
    if (b->slots) memset(brood__index(b), 0, b->slots * sizeof(uint32_t));
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t value = REF_NONE;
        if (b->slots) {
            struct row *row = brood__row(b, i);
            value = atomic_load_explicit(&row->value, memory_order_relaxed);
            if (value) count(b, row->key, &named);
            brood__index_add(b, i);
        } else {
            value = atomic_load_explicit(&brood__items(b, false)[i], memory_order_relaxed);
        }
        if (!value) continue;
        count(b, value, &named);
        b->live++;
    }
    b->dead = b->tail - b->heap - named;
}

bool brood__collection_is_sound(const struct collection_shm *c)
{
    const struct body *b = brood__body(c);
    uint32_t kind = atomic_load_explicit(&((struct collection_shm *)(uintptr_t)c)->kind, memory_order_relaxed);
    bool dict = kind <= COLLECTION_NAMESPACE;
    if (kind < COLLECTION_DICT || kind > COLLECTION_VALUE) return false;
    if (!b) return true;
    uint64_t size = brood__pages_size(&c->slot), of_row = dict ? ROW_BYTES : ITEM_BYTES;
    return size && b->size == size && b->room && b->room <= ROWS_MOST && b->heap == sizeof *b + b->room * of_row &&
           b->heap <= size && b->slots == (dict ? 2 * b->room : 0) && (b->slots & (b->slots - 1)) == 0;
}

bool brood__collection_is_derived(const struct collection_shm *c)
{
    const struct body *b = brood__body(c);
    if (!b) return true;
    uint64_t rows = atomic_load_explicit(&((struct body *)(uintptr_t)b)->state, memory_order_relaxed) >> 1;
    return rows <= b->room && b->tail >= b->heap && b->tail <= b->size && b->tail % 8 == 0 &&
           b->dead <= b->tail - b->heap && b->live <= rows && b->last <= rows;
}

/* ------------------------------------------------------------------------------------------------------ another body */

struct shape {
    uint64_t rows, slots, heap, size;
};

/* What a body has for so many rows and bytes; 0 of size: it can't be. */
static struct shape shape_of(bool dict, uint64_t rows, uint64_t bytes)
{
    struct shape s = {.rows = ROWS_LEAST};
    while (s.rows < rows) s.rows *= 2;
    if (!dict && rows > ROWS_LEAST) s.rows = rows;
    s.slots = dict ? 2 * s.rows : 0;
    uint64_t of_row = dict ? ROW_BYTES : ITEM_BYTES;
    if (rows > ROWS_MOST || bytes >= SIZE_MOST) return s;
    s.heap = sizeof(struct body) + s.rows * of_row;
    uint64_t size = (s.heap + bytes + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    if (size < SIZE_MOST) s.size = size;
    return s;
}

/* As it is in the other one; REF_NONE: it names nothing, or there is no room, as can't be. */
static uint64_t copy_ref(const struct body *from, struct body *to, uint64_t ref)
{
    struct slice bytes = brood__ref_slice(from, &ref);
    return bytes.at && brood__heap_need(bytes.size) <= to->size - to->tail ? brood__ref_make(to, bytes) : REF_NONE;
}

/* All that counts, in its order.  What is derived said how much that is: false, if there is more. */
static bool fill(const struct body *from, struct body *to, const struct shape *s)
{
    memset(to, 0, sizeof *to);
    to->size = s->size;
    to->heap = to->tail = s->heap;
    to->room = (uint32_t)s->rows;
    to->slots = (uint32_t)s->slots;
    if (s->slots) memset(brood__index(to), 0, s->slots * sizeof(uint32_t));
    uint64_t rows = brood__rows(from);
    uint32_t live = 0;
    for (uint64_t i = 0; i < rows; i++) {
        if (!s->slots) {
            uint64_t ref = atomic_load_explicit(&brood__items(from, false)[i], memory_order_relaxed);
            ref = live < to->room ? copy_ref(from, to, ref) : REF_NONE;
            if (ref == REF_NONE) return false;
            atomic_store_explicit(&brood__items(to, false)[live++], ref, memory_order_relaxed);
            continue;
        }
        const struct row *row = brood__row(from, i);
        uint64_t value = atomic_load_explicit(&((struct row *)(uintptr_t)row)->value, memory_order_relaxed);
        if (!value) continue;
        if (live == to->room) return false;
        struct row *copy = brood__row(to, live);
        copy->hash = row->hash;
        copy->key = copy_ref(from, to, row->key);
        value = copy_ref(from, to, value);
        atomic_store_explicit(&copy->value, value, memory_order_relaxed);
        if (copy->key == REF_NONE || value == REF_NONE || !brood__index_add(to, live++)) return false;
    }
    to->live = to->last = live;
    atomic_store_explicit(&to->state, (uint64_t)live << 1, memory_order_relaxed);
    return true;
}

/* (1) pages of a spare slot's, (2) filled, (3) the collection's: the commit. */
static int move(struct collection_shm *c, const struct shape *s)
{
    uint32_t spare;
    uint64_t place = brood__offset(c) - brood__arena()->tables[TABLE_COLLECTION].offset;
    int error =
        brood__slot_claim(TABLE_BUFFER, brood__self->member, brood__slot_scrubs[TABLE_BUFFER], &spare); /* (1) */
    if (error < 0) return error;
    error = brood__pages_allocate(TABLE_BUFFER, spare, (size_t)s->size);
    if (error == 0) {
        bool all = fill(brood__body(c), brood__at(brood__slot_at(TABLE_BUFFER, spare)->body), s); /* (2) */
        if (!all) error = BROOD_ECORRUPT;
    }
    if (error == 0)
        error = brood__pages_move(TABLE_BUFFER, spare, TABLE_COLLECTION, (uint32_t)(place / sizeof *c)); /* (3) */
    brood__slot_release(TABLE_BUFFER, spare);
    return error;
}

/* Another body, with room for so much more, and half as much again, so that each row is copied a few times at most. */
static int refit(struct collection_shm *c, uint64_t rows, uint64_t bytes)
{
    const struct body *b = brood__body(c);
    bool dict = brood__is_dict(c);
    if (b) bytes += b->tail - b->heap - b->dead;
    if (b) rows += b->live;
    struct shape s = shape_of(dict, rows + rows / 2, bytes + bytes / 2);
    int error = s.size ? move(c, &s) : BROOD_EARENA;
    if (error != BROOD_EARENA) return error;
    s = shape_of(dict, rows, bytes);
    return s.size ? move(c, &s) : BROOD_EARENA;
}

int brood__collection_room(struct collection_shm *c, uint64_t rows, uint64_t bytes)
{
    const struct body *b = brood__body(c);
    if (b && rows <= b->room - brood__rows(b) && bytes <= b->size - b->tail) return 0;
    return refit(c, rows, bytes);
}

void brood__collection_slim(struct collection_shm *c)
{
    const struct body *b = brood__body(c);
    if (!b || b->size <= SLIM_FROM) return;
    struct shape s = shape_of(b->slots != 0, b->live + b->live / 2, (b->tail - b->heap - b->dead) * 3 / 2);
    if (s.size && s.size <= b->size / 4) refit(c, 0, 0); /* if there is no memory for it, it stays as it is */
}

void brood__collection_clear(struct collection_shm *c)
{
    struct body *b = brood__body(c);
    if (!b) return;
    /* release, here as in every commit: what was prepared is there before it. */
    atomic_store_explicit(&b->state, 0, memory_order_release); /* the commit */
    brood__collection_derive(c);
    brood__collection_slim(c);
}

/* Not while somebody is inside. */
bool brood__collection_scrub(struct slot_shm *slot, uint32_t index)
{
    struct collection_shm *c = (struct collection_shm *)(void *)slot;
    uint32_t seen;
    (void)index;
    void *announced = brood__os_announce(&c->latch);
    bool nobody = brood__latch_try(&c->latch.word, &seen);
    if (nobody) brood__latch_release(&c->latch.word, 0);
    brood__os_announce_again(announced);
    return nobody;
}
