/* SPDX-License-Identifier: MIT */
/* pipe.c - messages per second through brood_pipe, and the time of a round trip over both its ways.  64 KiB of room. */
#include "crew.h"
#include "harness.h"
#include "peer.h"
#include "stream.h"

#include <brood.h>
#include <string.h>
#include <unistd.h>

struct pass {
    struct stream shape;
    brood_pipe_end ends[2];
};

static void check(int result, const char *what)
{
    if (result < 0) crew_fail(what, result);
}

/* Both use the ends that the first member holds. */
static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    char message[STREAM_MAX_SIZE] = {0};
    uint64_t sum = 0, number;
    for (uint64_t i = 0; i < n; i++) {
        size_t size = p->shape.size;
        if (index == 0) {
            memcpy(message, &i, sizeof i);
            check(brood_pipe_send(p->ends[1], message, size, BROOD_FOREVER), "send");
            sum += i;
        } else {
            check(brood_pipe_recv(p->ends[0], message, sizeof message, &size, BROOD_FOREVER), "recv");
            memcpy(&number, message, sizeof number);
            sum -= number;
        }
    }
    return sum;
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    brood_pipe_end end = p->ends[index];
    for (uint64_t i = 0, number = 0; i < n; i++) {
        if (index == 0) check(brood_pipe_send_value(end, &i, BROOD_FOREVER), "send");
        check(brood_pipe_recv_value(end, &number, BROOD_FOREVER), "recv");
        if (number != i) crew_fail("round trip", BROOD_ECORRUPT);
        if (index == 1) check(brood_pipe_send_value(end, &number, BROOD_FOREVER), "send");
    }
    return 0;
}

static double by_two(void *context, crew_role role, bool one_way, uint64_t n)
{
    struct pass p = {.shape = *(const struct stream *)context};
    int error = brood_pipe_new(p.ends, &(brood_pipe_options){.one_way = one_way});
    if (error < 0) return bench_complain("pipe", brood_strerror(error));
    double seconds = crew_by_brood(2, role, &p, n);
    for (int i = 0; i < 2; i++) brood_pipe_close(p.ends[i]);
    return seconds;
}

static double stream_one_way(void *context, uint64_t n)
{
    return by_two(context, stream_role, true, n);
}
static double there_and_back(void *context, uint64_t n)
{
    return by_two(context, round_trip_role, false, n);
}

static double alone(void *context, uint64_t n)
{
    brood_pipe_end ends[2];
    (void)context;
    int error = brood_pipe_new(ends, NULL);
    double start = bench_now();
    for (uint64_t i = 0, number; i < n && error == 0; i++) {
        error = brood_pipe_send_value(ends[0], &i, BROOD_FOREVER);
        if (error == 0) error = brood_pipe_recv_value(ends[1], &number, BROOD_FOREVER);
    }
    double seconds = bench_now() - start;
    for (int i = 0; i < 2; i++) brood_pipe_close(ends[i]);
    return error < 0 ? bench_complain("pipe", brood_strerror(error)) : seconds;
}

/* An end of a new pipe goes through another and is closed there. */
static double moved_end(void *context, uint64_t n)
{
    brood_pipe_end ends[2], moved[2];
    (void)context;
    int error = brood_pipe_new(ends, NULL);
    double start = bench_now();
    for (uint64_t i = 0; i < n && error == 0; i++) {
        error = brood_pipe_new(moved, &(brood_pipe_options){.one_way = true});
        if (error == 0) error = brood_pipe_send_moving(ends[0], &moved[1], sizeof moved[1], &moved[1].id, 1, 0);
        if (error == 0) error = brood_pipe_recv_value(ends[1], &moved[1], 0);
        for (int k = 0; k < 2 && error == 0; k++) error = brood_pipe_close(moved[k]);
    }
    double seconds = bench_now() - start;
    for (int i = 0; i < 2; i++) brood_pipe_close(ends[i]);
    return error < 0 ? bench_complain("pipe", brood_strerror(error)) : seconds;
}

static double token_passed(void *context, uint64_t n)
{
    (void)context;
    int error = 0;
    double start = bench_now();
    for (uint64_t i = 0; i < n && error >= 0; i++) {
        brood_token token;
        error = brood_descriptor_deposit(&token, 2);
        if (error == 0) error = brood_descriptor_redeem(token);
        if (error >= 0) close(error);
    }
    double seconds = bench_now() - start;
    return error < 0 ? bench_complain("token", brood_strerror(error)) : seconds;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("pipe", argc, argv);
    struct peer python = {.arguments = {"python_pipe.py"}};
    struct stream small = {1, 1, 8, 1}, large = {1, 1, 1024, 1};
    BENCH_ASK("8 B, 1 to 1", "msg/s", {"brood", stream_one_way, &small, 64}, {"pipe", pipe_stream, &small, 64},
              {"cpython", PEER(python, "stream 8"), 64});
    BENCH_ASK("1 KiB, 1 to 1", "msg/s", {"brood", stream_one_way, &large, 64}, {"pipe", pipe_stream, &large, 64},
              {"cpython", PEER(python, "stream 1024"), 64});
    BENCH_ASK("round trip of 8 B", "ns", {"brood", there_and_back, &small, 1}, {"pipe", pipe_round_trip, &small, 1},
              {"cpython", PEER(python, "round_trip"), 1});
    BENCH_ASK("send+recv of 8 B in one process", "ns", {"brood", alone, &small, 1}, {"pipe", pipe_alone, &small, 1},
              {"cpython", PEER(python, "alone"), 1});
    BENCH_ASK("a new pipe, an end of which moves", "us", {"brood", moved_end, NULL, 1},
              {"cpython", PEER(python, "moved"), 1});
    BENCH_ASK("a descriptor deposited and redeemed", "us", {"brood", token_passed, NULL, 1},
              {"cpython", PEER(python, "descriptor"), 1});
    peer_close(&python);
    brood_fini();
    return 0;
}
