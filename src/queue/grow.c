/* SPDX-License-Identifier: MIT */
/*
 * grow.c - a queue whose rings become larger when one of them is full, and as they were when they are found empty.
 *
 * Whoever holds both latches gives the queue another body: (1) a buffer's slot claimed and its pages allocated, so that
 * they have an owner meanwhile, (2) the records copied to the same positions, which the other capacity maps to other
 * places, (3) the pages made the queue's: the store of its body is the commit, (4) its capacity.
 * If a process dies here: before (3) the buffer's slot is garbage, after it without memory; the heir of either latch
 * reads the capacity off the size of the body, which holds nothing but the rings and the tally.
 * Who looks without a latch finds the old body's place, which may be anybody's, and must not believe it.
 * Growth that finds no memory is an error of the put; the way back is not taken then.
 */
#include "queue/record.h"

#include <string.h>

uint64_t brood__ring_bytes(const struct queue_shm *q, uint64_t capacity)
{
    return capacity * q->lanes + (q->joinable ? TALLY_BYTES : 0);
}

bool brood__ring_may_grow(const struct queue_shm *q)
{
    return __builtin_expect(q->grows_to > q->capacity, 0);
}

void brood__ring_measure(struct queue_shm *q)
{
    if (q->grows_to == 0 || q->lanes == 0 || q->lanes > QUEUE_LANES) return;
    uint64_t size = brood__pages_size(&q->slot), rest = q->joinable ? TALLY_BYTES : 0;
    if (size <= rest) return;
    uint64_t capacity = (size - rest) / q->lanes;
    if ((capacity & (capacity - 1)) == 0 && capacity != q->capacity) *(volatile uint64_t *)&q->capacity = capacity;
}

/* One record, or what skips the ring's end; returns where the next one is. */
static uint64_t copy_record(const struct queue_shm *q, unsigned lane, char *to, uint64_t mask, uint64_t at)
{
    const _Atomic uint64_t *header = record_header(q, lane, at);
    _Atomic uint64_t *copy = (void *)(to + (at & mask));
    uint64_t word = atomic_load_explicit(header, memory_order_relaxed);
    atomic_store_explicit(copy, word,
                          memory_order_relaxed); /* visible with the release of the latches, like the rest */
    if ((uint32_t)word == RECORD_WRAP) return at + (word >> 32);
    struct record record;
    uint32_t sequence;
    uint64_t next = read_record(q, lane, at, &record, &sequence);
    memcpy(copy + 1, header + 1, (size_t)(next - at) - 8);
    return next;
}

static void copy_all(const struct queue_shm *q, uint64_t body, uint64_t capacity)
{
    for (unsigned lane = 0; lane < q->lanes; lane++) {
        char *to = brood__at(body + lane * capacity);
        uint64_t at = lane_head(q, lane), tail = brood__put_lane(q, lane)->tail;
        while (at < tail) at = copy_record(q, lane, to, capacity - 1, at);
        atomic_store_explicit((_Atomic uint64_t *)(void *)(to + (tail & (capacity - 1))), 0, memory_order_relaxed);
    }
    if (q->joinable)
        memcpy(brood__at(body + q->lanes * capacity), brood__at(q->slot.body + q->lanes * q->capacity), TALLY_BYTES);
}

int brood__ring_resize(struct queue_shm *q, uint64_t capacity)
{
    uint32_t spare;
    uint64_t place = brood__offset(q) - brood__arena()->tables[TABLE_QUEUE].offset;
    int error =
        brood__slot_claim(TABLE_BUFFER, brood__self->member, brood__slot_scrubs[TABLE_BUFFER], &spare); /* (1) */
    if (error < 0) return error;
    error = brood__pages_allocate(TABLE_BUFFER, spare, (size_t)brood__ring_bytes(q, capacity));
    if (error == 0) {
        copy_all(q, brood__slot_at(TABLE_BUFFER, spare)->body, capacity);                           /* (2) */
        error = brood__pages_move(TABLE_BUFFER, spare, TABLE_QUEUE, (uint32_t)(place / sizeof *q)); /* (3) */
    }
    if (error == 0) *(volatile uint64_t *)&q->capacity = capacity; /* (4) */
    brood__slot_release(TABLE_BUFFER, spare);
    return error;
}
