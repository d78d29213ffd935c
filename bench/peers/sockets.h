/* SPDX-License-Identifier: MIT */
/*
 * sockets.h - libraries whose sockets push messages and pull them, as a queue between processes.
 *
 * Such a library can't cross a fork: each process opens its sockets itself, before the clock starts.  Each consumer
 * has an inbox; a producer sends to all inboxes, by the library's own choice.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include "stream.h"

#include <stdbool.h>

#define SOCKETS_FOREVER (-1)

/* What a process wants to be connected to. */
struct sockets_plan {
    int inbox;             /* where it receives; negative: it doesn't */
    unsigned senders;      /* how many send there */
    unsigned first, count; /* the inboxes that it sends to; count 0: it doesn't */
    int capacity;          /* messages on their way */
    int patience_ms;       /* of a receive that waits */
};

/* All run in a role, and end it with crew_fail when they can't. */
struct sockets_library {
    void (*open)(const struct sockets_plan *plan); /* returns when all is connected */
    void (*send)(const void *data, size_t size);
    bool (*receive)(void *data, size_t size, bool waits); /* false: nothing came */
    void (*close)(void);                                  /* may lose what is on its way */
};

/* The address of an inbox of this crew: the scheme, and a name that no other crew has. */
#define SOCKETS_ADDRESS_SIZE 96
void sockets_address(char *address, size_t size, const char *scheme, unsigned inbox);

double sockets_stream(const struct sockets_library *library, void *stream, uint64_t n);
double sockets_round_trip(const struct sockets_library *library, void *stream, uint64_t n);
double sockets_alone(const struct sockets_library *library, void *stream, uint64_t n);

#endif
