/* SPDX-License-Identifier: MIT */
/* sockets.c - the questions about queues, put to a library of sockets that push and pull. */
#include "sockets.h"

#include "crew.h"
#include "harness.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct pass {
    struct stream shape;
    const struct sockets_library *library;
    _Atomic uint64_t *received; /* of all consumers; one that has not run dry has more */
};

/* Of this crew; set before the fork. */
static char crew_name[48];

void sockets_address(char *address, size_t size, const char *scheme, unsigned inbox)
{
    snprintf(address, size, "%s%s_%u", scheme, crew_name, inbox);
}

static int capacity(const struct pass *p)
{
    return (int)(STREAM_ROOM / p->shape.size);
}

/* What is on its way must not be lost: stay until others have it. */
static void stay(const struct pass *p, uint64_t n)
{
    crew_end();
    while (atomic_load(p->received) < n) usleep(500);
}

static uint64_t produce(const struct pass *p, uint64_t n)
{
    char message[STREAM_MAX_SIZE] = {0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(message, &i, sizeof i);
        p->library->send(message, p->shape.size);
        sum += i;
    }
    return sum;
}

static uint64_t take(const struct pass *p, bool waits, uint64_t *sum)
{
    char message[STREAM_MAX_SIZE];
    uint64_t number;
    if (!p->library->receive(message, p->shape.size, waits)) return 0;
    memcpy(&number, message, sizeof number);
    *sum -= number;
    return 1;
}

/* How many come to this inbox is the library's choice, so that all are there is known when all inboxes are dry. */
static uint64_t consume(const struct pass *p, uint64_t n)
{
    uint64_t sum = 0;
    if (p->shape.consumers == 1) {
        for (uint64_t got = 0; got < n;) got += take(p, true, &sum);
        crew_end();
        atomic_store(p->received, n);
        return sum;
    }
    for (uint64_t got = 0;;) {
        while (take(p, false, &sum)) got++;
        crew_end();
        if (atomic_fetch_add(p->received, got) + got == n) return sum;
        got = take(p, true, &sum);
    }
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    unsigned producers = p->shape.producers, consumers = p->shape.consumers;
    struct sockets_plan plan = {.capacity = capacity(p), .inbox = -1};
    if (index < producers) {
        plan.count = consumers;
    } else {
        plan.inbox = (int)(index - producers);
        plan.senders = producers;
        plan.patience_ms = consumers == 1 ? SOCKETS_FOREVER : 1;
    }
    p->library->open(&plan);
    crew_begin();
    uint64_t sum;
    if (index < producers) {
        sum = produce(p, n / producers);
        stay(p, n);
    } else {
        sum = consume(p, n);
    }
    p->library->close();
    return sum;
}

static void get(const struct pass *p, uint64_t expected)
{
    uint64_t number = 0;
    if (!p->library->receive(&number, sizeof number, true)) crew_fail("receive", -EIO);
    if (number != expected) crew_fail("receive", -EBADMSG);
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    p->library->open(&(struct sockets_plan){(int)index, 1, 1 - index, 1, capacity(p), SOCKETS_FOREVER});
    crew_begin();
    for (uint64_t i = 0; i < n; i++) {
        if (index == 0) p->library->send(&i, sizeof i);
        get(p, i);
        if (index == 1) p->library->send(&i, sizeof i);
    }
    if (index == 0) atomic_store(p->received, n);
    stay(p, n);
    p->library->close();
    return 0;
}

static uint64_t alone_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    p->library->open(&(struct sockets_plan){0, 1, 0, 1, capacity(p), SOCKETS_FOREVER});
    crew_begin();
    for (uint64_t i = 0; i < n; i++) {
        p->library->send(&i, sizeof i);
        get(p, i);
    }
    crew_end();
    p->library->close();
    return 0;
}

static double with_crew(const struct sockets_library *library, void *context, crew_role role, unsigned count,
                        uint64_t n)
{
    static unsigned crews;
    snprintf(crew_name, sizeof crew_name, "brood_bench_%d_%u", (int)getpid(), crews++);
    struct pass p = {*(const struct stream *)context, library, crew_memory(sizeof *p.received)};
    double seconds = crew_by_fork(count, role, &p, n);
    munmap(p.received, sizeof *p.received);
    return seconds;
}

double sockets_stream(const struct sockets_library *library, void *context, uint64_t n)
{
    const struct stream *shape = context;
    return with_crew(library, context, stream_role, shape->producers + shape->consumers, n);
}

double sockets_round_trip(const struct sockets_library *library, void *context, uint64_t n)
{
    return with_crew(library, context, round_trip_role, 2, n);
}

double sockets_alone(const struct sockets_library *library, void *context, uint64_t n)
{
    return with_crew(library, context, alone_role, 1, n);
}
