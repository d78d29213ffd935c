/* SPDX-License-Identifier: MIT */
/* stream.h - the questions about queues, and the peers in C that answer them too. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_MAX_SIZE 1024
#define STREAM_ROOM 65536 /* bytes in a queue */

/* So many put messages of `size` bytes, so many take them; the first 8 bytes are a number, so that it can be checked. */
struct stream {
    unsigned producers, consumers;
    size_t size;
    unsigned batch; /* messages put or taken by one call */
};

/* Run functions; the context is a struct stream. */
double pipe_stream(void *stream, uint64_t n);
double pipe_alone(void *stream, uint64_t n);
double pipe_round_trip(void *stream, uint64_t n);

/* One producer, one consumer, 8 bytes, no sleeping, no care for anybody's death: the floor. */
double ring_stream(void *stream, uint64_t n);
double ring_round_trip(void *stream, uint64_t n);

/* Peers that are libraries, and missing where those are.  All do without batches; the ring carries 8 bytes. */
struct stream_peer {
    double (*stream)(void *stream, uint64_t n);
    double (*round_trip)(void *stream, uint64_t n);
    double (*alone)(void *stream, uint64_t n);
};

extern const struct stream_peer posix_mq_peer, zeromq_peer, nng_peer, ck_ring_peer;

#endif
