/* SPDX-License-Identifier: MIT */
/* ring.c - the simplest ring in shared memory: one producer, one consumer, both spin, a death hangs the other. */
#include "crew.h"
#include "stream.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 8192 /* 64 KiB */

struct ring {
    _Alignas(64) _Atomic uint64_t head; /* written by the producer */
    _Alignas(64) _Atomic uint64_t tail; /* written by the consumer */
    _Alignas(64) uint64_t slot[SLOTS];
};

/* What each side remembers of the other's index. */
struct side {
    struct ring *ring;
    uint64_t mine, other;
};

/* With fewer processors than spinners the other one needs this one. */
static void relax(unsigned n)
{
    if (n % 4096 == 4095)
        sched_yield();
    else
        __builtin_ia32_pause();
}

static void put(struct side *s, uint64_t value)
{
    for (unsigned n = 0; s->mine - s->other == SLOTS; n++) {
        s->other = atomic_load_explicit(&s->ring->tail, memory_order_acquire);
        if (s->mine - s->other == SLOTS) relax(n);
    }
    s->ring->slot[s->mine % SLOTS] = value;
    atomic_store_explicit(&s->ring->head, ++s->mine, memory_order_release);
}

static uint64_t get(struct side *s)
{
    for (unsigned n = 0; s->mine == s->other; n++) {
        s->other = atomic_load_explicit(&s->ring->head, memory_order_acquire);
        if (s->mine == s->other) relax(n);
    }
    uint64_t value = s->ring->slot[s->mine % SLOTS];
    atomic_store_explicit(&s->ring->tail, ++s->mine, memory_order_release);
    return value;
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    struct side s = {.ring = context};
    uint64_t sum = 0;
    if (index == 0) {
        for (uint64_t i = 0; i < n; i++, sum += i) put(&s, i + 1);
    } else {
        for (uint64_t i = 0; i < n; i++) sum -= get(&s);
    }
    return sum;
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    struct ring *rings = context;
    struct side out = {.ring = &rings[index]}, in = {.ring = &rings[1 - index]};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (index == 0) put(&out, i);
        uint64_t value = get(&in);
        if (index == 1) put(&out, value);
        sum += index == 0 ? value : 0 - value;
    }
    return sum;
}

static double with_rings(crew_role role, uint64_t n)
{
    struct ring *rings = crew_memory(2 * sizeof *rings);
    double seconds = crew_by_fork(2, role, rings, n);
    munmap(rings, 2 * sizeof *rings);
    return seconds;
}

double ring_stream(void *context, uint64_t n)
{
    (void)context;
    return with_rings(stream_role, n);
}

double ring_round_trip(void *context, uint64_t n)
{
    (void)context;
    return with_rings(round_trip_role, n);
}
