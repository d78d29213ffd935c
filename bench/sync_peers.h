/* SPDX-License-Identifier: MIT */
/* sync_peers.h - the questions about waiting for each other, and the peers in C that answer them too. */
#ifndef BENCH_SYNC_PEERS_H
#define BENCH_SYNC_PEERS_H

#include <stdint.h>

struct meeting {
    unsigned parties;
};

/* Run functions; the context is a struct meeting. */
double pthread_condition(void *meeting, uint64_t n); /* of two */
double pthread_barrier(void *meeting, uint64_t n);
double futex_barrier(void *meeting, uint64_t n); /* knows of no death: a counter and a round, spun on, then slept on */

#endif
