/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipe(2) as a queue of messages of one size.  A batch is one write and one read of so many messages.
 * A message that divides PIPE_BUF is never split, not even among several readers.
 */
#include "crew.h"
#include "harness.h"
#include "stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct pass {
    struct stream shape;
    int there[2], back[2];
};

static void put(int fd, const void *data, size_t size)
{
    if (write(fd, data, size) != (ssize_t)size) crew_fail("write", -errno);
}

static size_t get(int fd, void *data, size_t size)
{
    ssize_t got = read(fd, data, size);
    if (got <= 0) crew_fail("read", -errno);
    return (size_t)got;
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    char messages[STREAM_MAX_SIZE] = {0};
    size_t size = p->shape.size;
    uint64_t sum = 0, batch = p->shape.batch;
    if (index < p->shape.producers) {
        n /= p->shape.producers;
        for (uint64_t i = 0; i < n; i += batch) {
            for (uint64_t k = 0; k < batch; k++) {
                uint64_t number = i + k;
                memcpy(messages + k * size, &number, sizeof number);
                sum += number;
            }
            put(p->there[1], messages, size * batch);
        }
        return sum;
    }
    n /= p->shape.consumers;
    for (uint64_t i = 0; i < n;) {
        size_t got = get(p->there[0], messages, size * batch);
        if (got % size != 0) crew_fail("read", -EMSGSIZE);
        for (size_t at = 0; at < got; at += size, i++) {
            uint64_t number;
            memcpy(&number, messages + at, sizeof number);
            sum -= number;
        }
    }
    return sum;
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    int out = index == 0 ? p->there[1] : p->back[1], in = index == 0 ? p->back[0] : p->there[0];
    for (uint64_t i = 0, number = 0; i < n; i++) {
        if (index == 0) put(out, &i, sizeof i);
        get(in, &number, sizeof number);
        if (number != i) crew_fail("round trip", -EIO);
        if (index == 1) put(out, &number, sizeof number);
    }
    return 0;
}

static double with_pipes(void *context, crew_role role, unsigned count, uint64_t n)
{
    struct pass p = {.shape = *(const struct stream *)context};
    if (pipe(p.there) < 0 || pipe(p.back) < 0) return bench_complain("pipe", strerror(errno));
    double seconds = crew_by_fork(count, role, &p, n);
    for (int i = 0; i < 2; i++) {
        close(p.there[i]);
        close(p.back[i]);
    }
    return seconds;
}

double pipe_stream(void *context, uint64_t n)
{
    const struct stream *shape = context;
    return with_pipes(context, stream_role, shape->producers + shape->consumers, n);
}

double pipe_round_trip(void *context, uint64_t n)
{
    return with_pipes(context, round_trip_role, 2, n);
}

double pipe_alone(void *context, uint64_t n)
{
    (void)context;
    int fd[2];
    if (pipe(fd) < 0) return bench_complain("pipe", strerror(errno));
    double start = bench_now();
    for (uint64_t i = 0, number; i < n; i++) {
        put(fd[1], &i, sizeof i);
        get(fd[0], &number, sizeof number);
        bench_keep(&number);
    }
    double seconds = bench_now() - start;
    close(fd[0]);
    close(fd[1]);
    return seconds;
}
