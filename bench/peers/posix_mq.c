/* SPDX-License-Identifier: MIT */
/*
 * posix_mq.c - a message queue of POSIX: mq_send(3), mq_receive(3).
 *
 * Its room is what Brood's has, if the kernel allows; else the most that it does, which without privileges is
 * /proc/sys/fs/mqueue/msg_max, 10 messages.
 */
#include "crew.h"
#include "harness.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct pass {
    struct stream shape;
    mqd_t there, back;
};

static long most_messages(void)
{
    long most = 10;
    FILE *file = fopen("/proc/sys/fs/mqueue/msg_max", "re");
    if (!file) return most;
    if (fscanf(file, "%ld", &most) != 1) most = 10; // NOLINT(cert-err34-c)
    fclose(file);
    return most;
}

/* A queue without a name: only the processes forked from now on have it. */
static mqd_t open_queue(size_t size)
{
    char name[64];
    snprintf(name, sizeof name, "/brood_bench_%d", (int)getpid());
    long least = most_messages(), room = (long)(STREAM_ROOM / size);
    for (long messages = room > least ? room : least;; messages = messages / 2 > least ? messages / 2 : least) {
        struct mq_attr attr = {.mq_maxmsg = messages, .mq_msgsize = (long)size};
        mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
        if (queue != (mqd_t)-1) {
            mq_unlink(name);
            return queue;
        }
        if (messages == least || errno == ENOSYS || errno == EEXIST) return queue;
    }
}

static void put(mqd_t queue, const void *data, size_t size)
{
    if (mq_send(queue, data, size, 0) < 0) crew_fail("mq_send", -errno);
}

static void get(mqd_t queue, void *data, size_t size)
{
    ssize_t got = mq_receive(queue, data, size, NULL);
    if (got != (ssize_t)size) crew_fail("mq_receive", got < 0 ? -errno : -EMSGSIZE);
}

static uint64_t stream_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    char message[STREAM_MAX_SIZE] = {0};
    uint64_t sum = 0;
    if (index < p->shape.producers) {
        n /= p->shape.producers;
        for (uint64_t i = 0; i < n; i++) {
            memcpy(message, &i, sizeof i);
            put(p->there, message, p->shape.size);
            sum += i;
        }
        return sum;
    }
    n /= p->shape.consumers;
    for (uint64_t i = 0, number; i < n; i++) {
        get(p->there, message, p->shape.size);
        memcpy(&number, message, sizeof number);
        sum -= number;
    }
    return sum;
}

static uint64_t round_trip_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    mqd_t out = index == 0 ? p->there : p->back, in = index == 0 ? p->back : p->there;
    for (uint64_t i = 0, number = 0; i < n; i++) {
        if (index == 0) put(out, &i, sizeof i);
        get(in, &number, sizeof number);
        if (number != i) crew_fail("round trip", -EIO);
        if (index == 1) put(out, &number, sizeof number);
    }
    return 0;
}

static uint64_t alone_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0, number; i < n; i++) {
        put(p->there, &i, sizeof i);
        get(p->there, &number, sizeof number);
        if (number != i) crew_fail("alone", -EIO);
    }
    return 0;
}

static double with_queues(void *context, crew_role role, unsigned count, uint64_t n)
{
    struct pass p = {.shape = *(const struct stream *)context};
    p.there = open_queue(p.shape.size);
    p.back = p.there == (mqd_t)-1 ? p.there : open_queue(p.shape.size);
    double seconds =
        p.back == (mqd_t)-1 ? bench_complain("mq_open", strerror(errno)) : crew_by_fork(count, role, &p, n);
    if (p.there != (mqd_t)-1) mq_close(p.there);
    if (p.back != (mqd_t)-1) mq_close(p.back);
    return seconds;
}

static double stream(void *context, uint64_t n)
{
    const struct stream *shape = context;
    return with_queues(context, stream_role, shape->producers + shape->consumers, n);
}

static double round_trip(void *context, uint64_t n)
{
    return with_queues(context, round_trip_role, 2, n);
}

static double alone(void *context, uint64_t n)
{
    return with_queues(context, alone_role, 1, n);
}

const struct stream_peer posix_mq_peer = {stream, round_trip, alone};
