/* SPDX-License-Identifier: MIT */
/* queue.c - messages per second through brood_queue, and the time of a round trip.  64 KiB of room for all. */
#include "crew.h"
#include "harness.h"
#include "peer.h"
#include "stream.h"

#include <brood.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct pass {
    struct stream shape;
    brood_queue there, back;
};

static void check(int result, const char *what)
{
    if (result < 0) crew_fail(what, result);
}

/* ------------------------------------------------------------------ one way */

static uint64_t produce(const struct pass *p, uint64_t n)
{
    char message[STREAM_MAX_SIZE] = {0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(message, &i, sizeof i);
        check(brood_queue_put(p->there, message, p->shape.size, BROOD_FOREVER), "put");
        sum += i;
    }
    return sum;
}

static uint64_t consume(const struct pass *p, uint64_t n)
{
    char message[STREAM_MAX_SIZE];
    uint64_t sum = 0, number;
    for (uint64_t i = 0; i < n; i++) {
        size_t size;
        check(brood_queue_get(p->there, message, sizeof message, &size, BROOD_FOREVER), "get");
        memcpy(&number, message, sizeof number);
        sum -= number;
    }
    return sum;
}

static uint64_t produce_batches(const struct pass *p, uint64_t n)
{
    uint64_t numbers[64], sum = 0;
    brood_bytes messages[64];
    for (uint64_t i = 0; i < n;) {
        size_t count = n - i < p->shape.batch ? (size_t)(n - i) : p->shape.batch;
        for (size_t k = 0; k < count; k++) {
            numbers[k] = i + k;
            messages[k] = (brood_bytes){&numbers[k], sizeof numbers[k]};
        }
        int put = brood_queue_put_batch(p->there, messages, count, BROOD_FOREVER);
        check(put, "put_batch");
        for (int k = 0; k < put; k++) sum += numbers[k];
        i += (unsigned)put;
    }
    return sum;
}

static uint64_t consume_batches(const struct pass *p, uint64_t n)
{
    uint64_t numbers[64], sum = 0;
    size_t sizes[64];
    for (uint64_t i = 0; i < n;) {
        int got = brood_queue_get_batch(p->there, numbers, sizeof numbers, sizes, p->shape.batch, BROOD_FOREVER);
        check(got, "get_batch");
        for (int k = 0; k < got; k++) sum -= numbers[k];
        i += (unsigned)got;
    }
    return sum;
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    if (index < p->shape.producers) {
        n /= p->shape.producers;
        return p->shape.batch > 1 ? produce_batches(p, n) : produce(p, n);
    }
    n /= p->shape.consumers;
    return p->shape.batch > 1 ? consume_batches(p, n) : consume(p, n);
}

static double stream_by_brood(void *context, uint64_t n)
{
    struct pass p = {.shape = *(const struct stream *)context};
    int error = brood_queue_new(&p.there, NULL);
    if (error < 0) return bench_complain("queue", brood_strerror(error));
    double seconds = crew_by_brood(p.shape.producers + p.shape.consumers, stream_role, &p, n);
    brood_queue_free(p.there);
    return seconds;
}

/* ------------------------------------------------------------------ there and back */

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    brood_queue out = index == 0 ? p->there : p->back, in = index == 0 ? p->back : p->there;
    for (uint64_t i = 0, number = 0; i < n; i++) {
        if (index == 0) check(brood_queue_put_value(out, &i, BROOD_FOREVER), "put");
        check(brood_queue_get_value(in, &number, BROOD_FOREVER), "get");
        if (number != i) crew_fail("round trip", BROOD_ECORRUPT);
        if (index == 1) check(brood_queue_put_value(out, &number, BROOD_FOREVER), "put");
    }
    return 0;
}

static double brood_round_trip(void *context, uint64_t n)
{
    struct pass p = {.shape = *(const struct stream *)context};
    int error = brood_queue_new(&p.there, NULL);
    if (error == 0) error = brood_queue_new(&p.back, NULL);
    if (error < 0) return bench_complain("queue", brood_strerror(error));
    double seconds = crew_by_brood(2, round_trip_role, &p, n);
    brood_queue_free(p.there);
    brood_queue_free(p.back);
    return seconds;
}

static double brood_alone(void *context, uint64_t n)
{
    (void)context;
    brood_queue q;
    int error = brood_queue_new(&q, NULL);
    double start = bench_now();
    for (uint64_t i = 0, number; i < n && error == 0; i++) {
        error = brood_queue_put_value(q, &i, BROOD_FOREVER);
        if (error == 0) error = brood_queue_get_value(q, &number, BROOD_FOREVER);
        if (error == 0 && number != i) error = BROOD_ECORRUPT;
    }
    double seconds = bench_now() - start;
    brood_queue_free(q);
    return error < 0 ? bench_complain("queue", brood_strerror(error)) : seconds;
}

/* ------------------------------------------------------------------ the questions */

static void ask_streams(struct peer *boost, struct peer *python)
{
    static const size_t sizes[] = {8, 64, 1024};
    static const unsigned ways[] = {1, 2, 4};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            struct stream shape = {ways[k], ways[k], sizes[i], 1};
            char name[64], text[64];
            bool kib = shape.size % 1024 == 0;
            snprintf(name, sizeof name, "%zu %s, %u to %u", kib ? shape.size / 1024 : shape.size, kib ? "KiB" : "B",
                     shape.producers, shape.consumers);
            snprintf(text, sizeof text, "stream %u %u %zu", shape.producers, shape.consumers, shape.size);
            const struct bench_system systems[] = {
                {"brood", stream_by_brood, &shape, 64},
                {"pipe", pipe_stream, &shape, 64},
                {"posix mq", posix_mq_peer.stream, &shape, 64},
                {"boost", PEER(*boost, text), 64},
                {"zeromq", zeromq_peer.stream, &shape, 64},
                {"nng", nng_peer.stream, &shape, 64},
                {"cpython", PEER(*python, text), 64},
                {"ck ring", ck_ring_peer.stream, &shape, 64}, /* 8 bytes only */
                {"spinning ring", ring_stream, &shape, 64},   /* and of one producer and consumer only */
            };
            size_t count = sizeof systems / sizeof *systems;
            if (shape.size != 8)
                count -= 2;
            else if (shape.producers > 1)
                count -= 1;
            bench_ask(name, "msg/s", systems, count);
        }
    }
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("queue", argc, argv);
    struct peer boost = {.program = BENCH_BUILD "/boost_queue"};
    struct peer python = {.arguments = {"python_queue.py"}};
    struct stream one = {1, 1, 8, 1}, batch = {1, 1, 8, 16};

    ask_streams(&boost, &python);
    BENCH_ASK("8 B, 1 to 1, batches of 16", "msg/s", {"brood", stream_by_brood, &batch, 64},
              {"pipe", pipe_stream, &batch, 64}, {"cpython", PEER(python, "batch 16"), 64});
    BENCH_ASK("round trip of 8 B", "ns", {"brood", brood_round_trip, &one, 1}, {"pipe", pipe_round_trip, &one, 1},
              {"posix mq", posix_mq_peer.round_trip, &one, 1}, {"boost", PEER(boost, "round_trip 1 1 8"), 1},
              {"zeromq", zeromq_peer.round_trip, &one, 1}, {"nng", nng_peer.round_trip, &one, 1},
              {"cpython", PEER(python, "round_trip"), 1}, {"ck ring", ck_ring_peer.round_trip, &one, 1},
              {"spinning ring", ring_round_trip, &one, 1});
    BENCH_ASK("put+get of 8 B in one process", "ns", {"brood", brood_alone, &one, 1}, {"pipe", pipe_alone, &one, 1},
              {"posix mq", posix_mq_peer.alone, &one, 1}, {"boost", PEER(boost, "alone 1 1 8"), 1},
              {"zeromq", zeromq_peer.alone, &one, 1}, {"nng", nng_peer.alone, &one, 1},
              {"cpython", PEER(python, "alone"), 1}, {"ck ring", ck_ring_peer.alone, &one, 1});
    peer_close(&boost);
    peer_close(&python);
    brood_fini();
    return 0;
}
