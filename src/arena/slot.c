/* SPDX-License-Identifier: MIT */
/*
 * slot.c - tables of typed slots; the protocol is in slot.h.
 * Thread-safe; async-signal-safe but for growth of a table, which is one system call.
 */
#include "arena/slot.h"

#include "arena/arena.h"

/* The capacities are those of an arena of full size; a small address space gets smaller tables (arena.c). */
const struct table_shape brood__table_shapes[TABLE_COUNT] = {
    [TABLE_MEMBER] = {512, 1 << 16},    [TABLE_LOCK] = {64, 1 << 20},        [TABLE_SEMAPHORE] = {128, 1 << 18},
    [TABLE_EVENT] = {64, 1 << 20},      [TABLE_BUFFER] = {64, 1 << 22},      [TABLE_QUEUE] = {768, 1 << 16},
    [TABLE_BELL] = {64, 1 << 16},       [TABLE_POOL] = {1024, 1 << 12},      [TABLE_PIPE] = {768, 1 << 16},
    [TABLE_TOKEN] = {64, 1 << 16},      [TABLE_MODULE] = {512, 1 << 12},     [TABLE_SHARED] = {128, 1 << 20},
    [TABLE_NAMED] = {512, 1 << 14},     [TABLE_SCOPE] = {64, 1 << 16},       [TABLE_RLOCK] = {64, 1 << 20},
    [TABLE_CONDITION] = {128, 1 << 18}, [TABLE_BARRIER] = {128, 1 << 17},    [TABLE_PROGRAM] = {2048, 1 << 10},
    [TABLE_MANAGER] = {512, 1 << 12},   [TABLE_COLLECTION] = {128, 1 << 18},
};

#define GROW_BYTES (64u * 1024u)

struct slot_shm *brood__slot_at(enum table table, uint32_t index)
{
    const struct table_shm *t = &brood__arena()->tables[table];
    return brood__at(t->offset + (uint64_t)index * t->slot_size);
}

uint32_t brood__table_used(enum table table)
{
    struct table_shm *t = &brood__arena()->tables[table];
    uint32_t used = atomic_load(&t->used);
    return used < t->capacity ? used : t->capacity;
}

int brood__slot_gone(enum table table, uint64_t id)
{
    const struct table_shm *t = &brood__arena()->tables[table];
    uint32_t index = HANDLE_INDEX(id);
    if (HANDLE_TABLE(id) != table || index == 0 || index >= atomic_load(&t->high)) return BROOD_ESTALE;
    uint64_t word = atomic_load(&brood__slot_at(table, index)->word);
    bool died = SLOT_STATE(word) == SLOT_GARBAGE && SLOT_OWNER(word) != OWNER_FREED;
    return died && SLOT_GENERATION(word) == HANDLE_GENERATION(id) ? BROOD_ECLOSED : BROOD_ESTALE;
}

static bool swap(struct slot_shm *slot, uint64_t from, uint64_t to)
{
    /* acq_rel: acquire what the last owner wrote, publish what this one wrote. */
    return atomic_compare_exchange_strong_explicit(&slot->word, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

/* More slots: memory first, then `high`; two who do it at once do the same. */
static int grow(struct table_shm *t, uint32_t high)
{
    if (high >= t->capacity) return BROOD_EARENA;
    uint64_t bytes = (uint64_t)high * t->slot_size / GROW_BYTES * GROW_BYTES;
    uint64_t end = ((uint64_t)(high + 1) * t->slot_size + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES; /* one at least */
    if (end > (uint64_t)t->capacity * t->slot_size) end = (uint64_t)t->capacity * t->slot_size;
    if (brood__os_memory_commit(brood__self->memory, t->offset + bytes, end - bytes) < 0) return BROOD_EARENA;
    uint32_t next = (uint32_t)(end / t->slot_size);
    /* release pairs with the acquire loads of high: whoever sees it finds real memory. */
    atomic_compare_exchange_strong_explicit(&t->high, &high, next, memory_order_release, memory_order_relaxed);
    return 0;
}

static void raise_used(struct table_shm *t, uint32_t used)
{
    uint32_t seen = atomic_load_explicit(&t->used, memory_order_relaxed);
    while (seen < used &&
           !atomic_compare_exchange_weak_explicit(&t->used, &seen, used, memory_order_acq_rel, memory_order_relaxed)) {}
}

/* Make FREE out of GARBAGE; false: not now, or another does it. */
static bool take_apart(struct slot_shm *slot, enum table table, uint32_t index, uint32_t owner, slot_scrub_fn *scrub)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t mine = SLOT_WORD(SLOT_GENERATION(word), SLOT_FREEING, owner);
    if (SLOT_STATE(word) != SLOT_GARBAGE || !swap(slot, word, mine)) return false;
    if (scrub && !scrub(slot, index)) {
        swap(slot, mine, word);
        return false;
    }
    brood__slot_release(table, index);
    return true;
}

/* One slot: claim it if it is free, or take it apart and claim it if it is garbage. */
static bool claim(struct slot_shm *slot, enum table table, uint32_t index, uint32_t owner, slot_scrub_fn *scrub)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    if (SLOT_STATE(word) == SLOT_GARBAGE) {
        if (!take_apart(slot, table, index, owner, scrub)) return false;
        word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    }
    uint32_t generation = SLOT_GENERATION(word);
    if (SLOT_STATE(word) != SLOT_FREE || generation == UINT32_MAX) return false;
    raise_used(&brood__arena()->tables[table], index + 1);
    return swap(slot, word, SLOT_WORD(generation, SLOT_INIT, owner));
}

int brood__slot_claim(enum table table, uint32_t owner, slot_scrub_fn *scrub, uint32_t *index)
{
    struct table_shm *t = &brood__arena()->tables[table];
    for (;;) {
        uint32_t high = atomic_load_explicit(&t->high, memory_order_acquire);
        uint32_t start = atomic_load_explicit(&t->hint, memory_order_relaxed);
        for (uint32_t n = 1, i = start; n < high; n++, i++) {
            if (i == 0 || i >= high) i = 1;
            if (!claim(brood__slot_at(table, i), table, i, owner, scrub)) continue;
            atomic_store_explicit(&t->hint, i + 1, memory_order_relaxed);
            *index = i;
            return 0;
        }
        int error = grow(t, high);
        if (error < 0) return error;
        if (high) atomic_store_explicit(&t->hint, high, memory_order_relaxed);
    }
}

uint64_t brood__slot_publish_as(enum table table, uint32_t index, uint32_t owner)
{
    struct slot_shm *slot = brood__slot_at(table, index);
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    atomic_store_explicit(&slot->word, SLOT_WORD(SLOT_GENERATION(word), SLOT_LIVE, owner), memory_order_release);
    return HANDLE(table, index, SLOT_GENERATION(word));
}

uint64_t brood__slot_publish(enum table table, uint32_t index)
{
    uint64_t word = atomic_load_explicit(&brood__slot_at(table, index)->word, memory_order_relaxed);
    return brood__slot_publish_as(table, index, SLOT_OWNER(word));
}

bool brood__slot_give(enum table table, uint64_t id, uint32_t owner)
{
    struct slot_shm *slot = brood__slot_find(table, id);
    uint64_t ours = SLOT_WORD(HANDLE_GENERATION(id), SLOT_LIVE, brood__self->member);
    return slot && swap(slot, ours, SLOT_WORD(HANDLE_GENERATION(id), SLOT_LIVE, owner));
}

bool brood__slot_retire(enum table table, uint64_t id)
{
    struct slot_shm *slot = brood__slot_find(table, id);
    if (!slot) return false;
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t mine = SLOT_WORD(HANDLE_GENERATION(id), SLOT_FREEING, brood__self->member);
    /* It may get another owner meanwhile, which makes it no less live. */
    while (SLOT_GENERATION(word) == HANDLE_GENERATION(id) && SLOT_STATE(word) == SLOT_LIVE)
        if (atomic_compare_exchange_strong_explicit(&slot->word, &word, mine, memory_order_acq_rel,
                                                    memory_order_relaxed))
            return true;
    return false;
}

void brood__slot_release(enum table table, uint32_t index)
{
    struct slot_shm *slot = brood__slot_at(table, index);
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t next = SLOT_WORD(SLOT_GENERATION(word) + 1, SLOT_FREE, 0);
    /* In a signal handler that interrupted the allocator: whoever claims the slot next frees the body. */
    bool kept = slot->body && brood__pages_free(table, index) < 0;
    if (kept) next = SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, OWNER_FREED);
    atomic_store_explicit(&slot->word, next, memory_order_release);
    atomic_store_explicit(&brood__arena()->tables[table].hint, index, memory_order_relaxed);
}

void brood__slot_leave(enum table table, uint32_t index)
{
    struct slot_shm *slot = brood__slot_at(table, index);
    uint32_t generation = SLOT_GENERATION(atomic_load_explicit(&slot->word, memory_order_relaxed));
    atomic_store(&slot->word, SLOT_WORD(generation, SLOT_GARBAGE, OWNER_FREED)); /* seq_cst: see brood__map_uses */
    brood__slot_collect_one(table, HANDLE(table, index, generation));
}

void brood__slot_collect_one(enum table table, uint64_t id)
{
    struct slot_shm *slot = brood__slot_at(table, HANDLE_INDEX(id));
    if (SLOT_GENERATION(atomic_load(&slot->word)) == HANDLE_GENERATION(id))
        take_apart(slot, table, HANDLE_INDEX(id), brood__self->member, brood__slot_scrubs[table]);
}

bool brood__slot_collect(void)
{
    bool some = false;
    if (brood__self->supervisor || *brood__os_robust.pending) return false;
    for (enum table t = TABLE_LOCK; t < TABLE_COUNT; t++) {
        uint32_t used = atomic_load(&brood__arena()->tables[t].used);
        for (uint32_t i = 1; i < used; i++) {
            struct slot_shm *slot = brood__slot_at(t, i);
            if (SLOT_STATE(atomic_load_explicit(&slot->word, memory_order_relaxed)) != SLOT_GARBAGE) continue;
            if (slot->body) some |= take_apart(slot, t, i, brood__self->member, brood__slot_scrubs[t]);
        }
    }
    return some;
}
