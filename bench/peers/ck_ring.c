/* SPDX-License-Identifier: MIT */
/*
 * ck_ring.c - the ring of Concurrency Kit, in shared memory: pointers, so 8 bytes; spinning, and a death hangs all.
 * One producer and one consumer take its form for these; else it is the one for many of both.
 */
#include "crew.h"
#include "stream.h"

#include <ck_ring.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>

#define SLOTS (STREAM_ROOM / sizeof(void *))

struct ring {
    _Alignas(64) ck_ring_t ring;
    _Alignas(64) ck_ring_buffer_t slot[SLOTS];
};

struct pass {
    struct stream shape;
    struct ring *rings;
};

/* With fewer processors than spinners the other one needs this one. */
static void relax(unsigned n)
{
    if (n % 4096 == 4095)
        sched_yield();
    else
        ck_pr_stall();
}

static void put(struct ring *r, bool many, uint64_t number)
{
    void *value = (void *)(uintptr_t)number; // NOLINT(performance-no-int-to-ptr)
    for (unsigned n = 0;
         !(many ? ck_ring_enqueue_mpmc(&r->ring, r->slot, value) : ck_ring_enqueue_spsc(&r->ring, r->slot, value)); n++)
        relax(n);
}

static uint64_t get(struct ring *r, bool many)
{
    void *value = NULL;
    for (unsigned n = 0;
         !(many ? ck_ring_dequeue_mpmc(&r->ring, r->slot, &value) : ck_ring_dequeue_spsc(&r->ring, r->slot, &value));
         n++)
        relax(n);
    return (uintptr_t)value;
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    bool many = p->shape.producers > 1 || p->shape.consumers > 1;
    uint64_t sum = 0;
    if (index < p->shape.producers) {
        n /= p->shape.producers;
        for (uint64_t i = 0; i < n; i++, sum += i) put(p->rings, many, i + 1);
    } else {
        n /= p->shape.consumers;
        for (uint64_t i = 0; i < n; i++) sum -= get(p->rings, many);
    }
    return sum;
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    struct ring *out = &p->rings[index], *in = &p->rings[1 - index];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (index == 0) put(out, false, i);
        uint64_t value = get(in, false);
        if (index == 1) put(out, false, value);
        sum += index == 0 ? value : 0 - value;
    }
    return sum;
}

static uint64_t alone_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        put(p->rings, false, i);
        sum += i - get(p->rings, false);
    }
    return sum;
}

static double with_rings(void *context, crew_role role, unsigned count, uint64_t n)
{
    struct pass p = {*(const struct stream *)context, crew_memory(2 * sizeof *p.rings)};
    for (int i = 0; i < 2; i++) ck_ring_init(&p.rings[i].ring, SLOTS);
    double seconds = crew_by_fork(count, role, &p, n);
    munmap(p.rings, 2 * sizeof *p.rings);
    return seconds;
}

static double stream(void *context, uint64_t n)
{
    const struct stream *shape = context;
    return with_rings(context, stream_role, shape->producers + shape->consumers, n);
}

static double round_trip(void *context, uint64_t n)
{
    return with_rings(context, round_trip_role, 2, n);
}

static double alone(void *context, uint64_t n)
{
    return with_rings(context, alone_role, 1, n);
}

const struct stream_peer ck_ring_peer = {stream, round_trip, alone};
