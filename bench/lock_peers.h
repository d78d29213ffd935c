/* SPDX-License-Identifier: MIT */
/* lock_peers.h - the questions about locks, and the peers in C that answer them too. */
#ifndef BENCH_LOCK_PEERS_H
#define BENCH_LOCK_PEERS_H

#include <stdint.h>

/* So many processes take and release the one lock in turn, counting inside. */
struct contest {
    unsigned processes; /* 1: the caller itself */
    unsigned units;     /* of the semaphore */
};

/* Run functions; the context is a struct contest. */
double robust_mutex(void *contest, uint64_t n);
double posix_semaphore(void *contest, uint64_t n);

#endif
