/* SPDX-License-Identifier: MIT */
/* buffer.c - buffers; the protocol is in call/buffer.h.  Thread-safe; not async-signal-safe, data excepted. */
#include "call/buffer.h"

int brood_buffer_new(brood_buffer *buffer, size_t size, void **data)
{
    int error = brood__enter();
    if (error == 0 && size > brood__arena()->limit) error = BROOD_EARENA;
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_BUFFER, brood__self->member, NULL, &index);
    if (error < 0) return error;
    error = brood__pages_allocate(TABLE_BUFFER, index, size);
    if (error < 0) {
        brood__slot_release(TABLE_BUFFER, index);
        return error;
    }
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, index);
    b->size = size;
    b->carrier = 0;
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
    brood__slot_release(TABLE_BUFFER, HANDLE_INDEX(buffer.id));
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
    if (index >= atomic_load_explicit(&brood__arena()->tables[TABLE_BUFFER].used, memory_order_acquire)) return NULL;
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, index);
    uint64_t word = atomic_load_explicit(&b->slot.word, memory_order_acquire);
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) ? b : NULL;
}

bool brood__buffer_seize(uint64_t id)
{
    struct buffer_shm *b = brood__buffer_carried(id);
    if (!b) return false;
    uint64_t word = atomic_load_explicit(&b->slot.word, memory_order_acquire), mine;
    do { /* by swap: garbage may be claimed at this moment, and the supervisor may be settling for a dead owner */
        if (SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return false;
        if (SLOT_STATE(word) == SLOT_GARBAGE || SLOT_STATE(word) == SLOT_FREE) return false;
        mine = SLOT_WORD(SLOT_GENERATION(word), SLOT_FREEING, brood__self->member);
    } while (!atomic_compare_exchange_weak(&b->slot.word, &word, mine));
    return true;
}

void brood__buffer_drop(uint64_t id)
{
    /* If we die here the word names us, and the sweep after us makes it garbage. */
    if (brood__buffer_seize(id)) brood__slot_release(TABLE_BUFFER, HANDLE_INDEX(id));
}
