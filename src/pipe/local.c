/* SPDX-License-Identifier: MIT */
/*
 * local.c - see local.h.
 *
 * A place's word is the whole truth about it: generation:32 | type:8 | state:8 | pins:16.  It is changed by
 * compare-and-swap alone; acquire there pairs with the release of who published the object.
 */
#include "pipe/local.h"

#include "os/os.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CHUNKS = 256, CHUNK = 256, MOST_PINS = 0xffff };
enum state { FREE, CLAIMED, LIVE, RETIRED };

struct place {
    _Atomic uint64_t word;
    void *object;
};
static struct place *_Atomic chunks[CHUNKS];
static _Atomic uint32_t hint;

#define WORD(generation, type, state) ((uint64_t)(generation) << 32 | (uint64_t)(type) << 24 | (uint64_t)(state) << 16)
#define STATE(word) ((enum state)((word) >> 16 & 0xff))
#define PINS(word) ((word)&0xffff)
#define ID_TYPE(id) ((uint32_t)((id) >> 56))
#define ID_INDEX(id) ((uint32_t)((id) >> 32 & 0xffffff))

/* The chunk; made if `make`.  NULL: there is none, or no memory for it. */
static struct place *chunk_at(uint32_t index, bool make)
{
    struct place *chunk = index < CHUNKS ? atomic_load_explicit(&chunks[index], memory_order_acquire) : NULL;
    if (chunk || !make || index >= CHUNKS) return chunk;
    struct place *fresh = calloc(CHUNK, sizeof *fresh);
    if (!fresh) return NULL;
    if (atomic_compare_exchange_strong(&chunks[index], &chunk, fresh)) return fresh;
    free(fresh);
    return chunk;
}

static struct place *place_of(uint64_t id)
{
    struct place *chunk = chunk_at(ID_INDEX(id) / CHUNK, false);
    return chunk ? &chunk[ID_INDEX(id) % CHUNK] : NULL;
}

uint64_t brood__local_add(enum local_type type, void *object)
{
    uint32_t generation, start = atomic_load_explicit(&hint, memory_order_relaxed);
    if (brood__os_random(&generation, sizeof generation) < 0) return 0;
    for (uint32_t i = 0; i < CHUNKS * CHUNK; i++) {
        uint32_t index = (start + i) % (CHUNKS * CHUNK);
        struct place *chunk = chunk_at(index / CHUNK, true), *place = chunk ? &chunk[index % CHUNK] : NULL;
        uint64_t free_word = 0;
        if (!place) return 0;
        if (!atomic_compare_exchange_strong(&place->word, &free_word, WORD(0, type, CLAIMED))) continue;
        place->object = object;
        atomic_store_explicit(&place->word, WORD(generation, type, LIVE), memory_order_release);
        atomic_store_explicit(&hint, index + 1, memory_order_relaxed);
        return (uint64_t)type << 56 | (uint64_t)index << 32 | generation;
    }
    return 0;
}

void *brood__local_pin(enum local_type type, uint64_t id)
{
    struct place *place = ID_TYPE(id) == type ? place_of(id) : NULL;
    if (!place) return NULL;
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    do {
        if ((word & ~(uint64_t)MOST_PINS) != WORD((uint32_t)id, type, LIVE) || PINS(word) == MOST_PINS) return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&place->word, &word, word + 1, memory_order_acquire,
                                                    memory_order_relaxed));
    return place->object;
}

void *brood__local_unpin(uint64_t id)
{
    struct place *place = place_of(id);
    uint64_t word = atomic_fetch_sub_explicit(&place->word, 1, memory_order_acq_rel) - 1;
    if (STATE(word) != RETIRED || PINS(word) != 0) return NULL;
    void *object = place->object;
    atomic_store_explicit(&place->word, 0, memory_order_release);
    atomic_store_explicit(&hint, ID_INDEX(id), memory_order_relaxed);
    return object;
}

bool brood__local_retire(uint64_t id, bool alone)
{
    struct place *place = place_of(id);
    uint64_t word = atomic_load_explicit(&place->word, memory_order_relaxed);
    do {
        if (STATE(word) != LIVE || (alone && PINS(word) != 1)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&place->word, &word, word ^ WORD(0, 0, LIVE ^ RETIRED),
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}
