/* SPDX-License-Identifier: MIT */
/* queue/record.h - where a record is in a ring, and what it says; the protocol is in queue/ring.h. */
#ifndef BROOD_QUEUE_RECORD_H
#define BROOD_QUEUE_RECORD_H

#include "queue/ring.h"

#include <string.h>

#define RECORD_LONG 0x80000000u
#define RECORD_MOVES 0x80000001u
#define RECORD_WRAP 0xffffffffu
#define RECORD_LONGEST 0x7ffffff0u /* bytes of a message in the ring itself */

struct long_record {
    uint64_t id;
    uint64_t size;
};
struct moves_record {
    struct long_record message;
    uint64_t count; /* of moved, of which so many are there */
    uint64_t moved[MOVES_MOST];
};
#define MOVES_BYTES(count) (offsetof(struct moves_record, moved) + 8 * (count))

/* The offset of the header at a position of a lane. */
static inline uint64_t record_place(const struct queue_shm *q, unsigned lane, uint64_t at)
{
    uint64_t ring = lane ? q->slot.body + lane * q->capacity : q->slot.body;
    return ring + (at & (q->capacity - 1));
}
static inline _Atomic uint64_t *record_header(const struct queue_shm *q, unsigned lane, uint64_t at)
{
    return brood__at(record_place(q, lane, at));
}

/* Whether there is no record at the position, which is the end of those before it. */
static inline bool brood__ring_empty(const struct queue_shm *q, unsigned lane, uint64_t at)
{
    return (uint32_t)atomic_load_explicit(record_header(q, lane, at), memory_order_acquire) == 0;
}

static inline uint64_t record_bytes(size_t size)
{
    return 8 + (((uint64_t)size + 7) & ~(uint64_t)7);
}

/* Of a record that moves something; what goes beyond the ring, as nobody writes it, is not read. */
static __attribute__((noinline, unused)) uint64_t read_moves(const struct queue_shm *q, uint64_t at,
                                                             const char *payload, bool moves, struct record *record)
{
    uint64_t left = q->capacity - (at & (q->capacity - 1)) - 8;
    struct long_record l = {0};
    uint64_t count = 0;
    if (left >= sizeof l) memcpy(&l, payload, sizeof l);
    if (!moves) {
        *record = (struct record){NULL, (size_t)l.size, l.id, NULL, 0};
        return at + record_bytes(sizeof l);
    }
    if (left >= MOVES_BYTES(0)) memcpy(&count, payload + sizeof l, sizeof count);
    if (count > MOVES_MOST || MOVES_BYTES(count) > left) count = 0;
    const uint64_t *moved = (const uint64_t *)(const void *)(payload + MOVES_BYTES(0)); /* records are aligned */
    *record = (struct record){l.id ? NULL : payload + MOVES_BYTES(count), (size_t)l.size, l.id, moved, (size_t)count};
    return at + record_bytes(MOVES_BYTES(count) + (l.id ? 0 : (size_t)l.size));
}

/* The record at `at`, which is not empty; returns where the next one is. */
static inline uint64_t read_record(const struct queue_shm *q, unsigned lane, uint64_t at, struct record *record,
                                   uint32_t *sequence)
{
    uint64_t word = atomic_load_explicit(record_header(q, lane, at), memory_order_relaxed);
    if ((uint32_t)word == RECORD_WRAP) {
        at += word >> 32 & ~(uint64_t)7;
        word = atomic_load_explicit(record_header(q, lane, at), memory_order_relaxed);
    }
    *sequence = (uint32_t)(word >> 32);
    const char *payload = (const char *)record_header(q, lane, at) + 8;
    if (__builtin_expect((uint32_t)word == RECORD_LONG || (uint32_t)word == RECORD_MOVES, 0))
        return read_moves(q, at, payload, (uint32_t)word == RECORD_MOVES, record);
    *record = (struct record){payload, (uint32_t)word - 1, 0, NULL, 0};
    return at + record_bytes(record->size);
}

static inline uint64_t lane_head(const struct queue_shm *q, unsigned lane)
{
    return atomic_load_explicit(&((struct queue_shm *)(uintptr_t)q)->got[lane].head, memory_order_relaxed);
}

#endif
