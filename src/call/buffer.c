/* SPDX-License-Identifier: MIT */
/* buffer.c - buffers; the protocol is in call/buffer.h.  Thread-safe; not async-signal-safe, data excepted. */
#include "call/buffer.h"

int brood_buffer_new(brood_buffer *buffer, size_t size, void **data)
{
    int error = brood__enter();
    if (error == 0 && size > brood__arena()->limit) error = BROOD_EARENA;
    uint32_t index = 0;
    if (error == 0)
        error = brood__slot_claim(TABLE_BUFFER, brood__self->member, brood__slot_scrubs[TABLE_BUFFER], &index);
    if (error < 0) return error;
    error = brood__pages_allocate(TABLE_BUFFER, index, size);
    if (error < 0) {
        brood__slot_release(TABLE_BUFFER, index);
        return error;
    }
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, index);
    b->size = size;
    atomic_store_explicit(&b->movable.carrier, 0, memory_order_relaxed); /* published with the word */
    atomic_store_explicit(&b->lent, 0u, memory_order_relaxed);
    if (data) *data = brood__at(b->slot.body);
    buffer->id = brood__slot_publish(TABLE_BUFFER, index);
    return 0;
}

int brood__buffer_mine(uint64_t id, struct buffer_shm **buffer)
{
    *buffer = brood__slot_find(TABLE_BUFFER, id);
    if (!*buffer) return BROOD_ESTALE;
    uint64_t word = atomic_load_explicit(&(*buffer)->slot.word, memory_order_acquire);
    if (SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return BROOD_ESTALE;
    return SLOT_STATE(word) == SLOT_LIVE && SLOT_OWNER(word) == brood__self->member ? 0 : BROOD_EPERM;
}

int brood_buffer_free(brood_buffer buffer)
{
    int error = brood__enter();
    struct buffer_shm *b;
    if (error == 0) error = brood__buffer_mine(buffer.id, &b);
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_BUFFER, buffer.id)) return BROOD_ESTALE;
    brood__buffer_release(HANDLE_INDEX(buffer.id));
    return 0;
}

void brood__buffer_release(uint32_t index)
{
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, index);
    if (atomic_load(&b->lent))
        brood__slot_leave(TABLE_BUFFER, index);
    else
        brood__slot_release(TABLE_BUFFER, index);
}

/* Whether the slot holds these bytes of the arena. */
static bool is_around(struct buffer_shm *b, uint64_t from, uint64_t to, uint64_t *word)
{
    *word = atomic_load_explicit(&b->slot.word, memory_order_acquire);
    if (SLOT_STATE(*word) == SLOT_FREE || SLOT_STATE(*word) == SLOT_INIT) return false;
    if (SLOT_STATE(*word) == SLOT_FREEING || SLOT_STATE(*word) == SLOT_GARBAGE) return false;
    uint64_t body = b->slot.body;
    return body && from >= body && to <= body + b->size;
}

uint64_t brood__buffer_around(const void *address, size_t size)
{
    static _Atomic uint32_t last; /* a program's maps are over the same few */
    uint64_t from = brood__offset(address), to = from + size, word;
    if (!brood__in_arena(address, size)) return 0;
    uint32_t used = brood__table_used(TABLE_BUFFER);
    uint32_t start = atomic_load_explicit(&last, memory_order_relaxed);
    for (uint32_t n = 1, i = start; n < used; n++, i++) {
        if (i == 0 || i >= used) i = 1;
        if (!is_around((struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, i), from, to, &word)) continue;
        atomic_store_explicit(&last, i, memory_order_relaxed);
        return HANDLE(TABLE_BUFFER, i, SLOT_GENERATION(word));
    }
    return 0;
}

void *brood_buffer_data(brood_buffer buffer, size_t *size)
{
    if (brood__enter() < 0) return NULL;
    struct buffer_shm *b = brood__slot_find(TABLE_BUFFER, buffer.id);
    if (!b) return NULL;
    if (size) *size = b->size;
    return brood__at(b->slot.body);
}

struct buffer_shm *brood__buffer_carried(uint64_t id)
{
    uint32_t index = HANDLE_INDEX(id);
    if (HANDLE_TABLE(id) != TABLE_BUFFER || index == 0) return NULL;
    if (index >= brood__table_used(TABLE_BUFFER)) return NULL;
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, index);
    uint64_t word = atomic_load_explicit(&b->slot.word, memory_order_acquire);
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) ? b : NULL;
}

void brood__buffer_drop(uint64_t id)
{
    /* If we die here the word names us, and the sweep after us makes it garbage. */
    if (brood__movable_seize(id)) brood__buffer_release(HANDLE_INDEX(id));
}
