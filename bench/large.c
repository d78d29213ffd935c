/* SPDX-License-Identifier: MIT */
/* large.c - messages in place, whose cost does not grow with them, and 256 MiB of doubles worked on by a worker. */
#include "harness.h"

#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define DOUBLES (256 * MIB / sizeof(double))

/* ------------------------------------------------------------------------------------------------------- messages */

struct message {
    size_t size;
    char *from, *to; /* of memcpy */
};

/* Made in a buffer, put, taken where it is, given back: all but the writing of its bytes. */
static double in_place(void *context, uint64_t n)
{
    const struct message *m = context;
    brood_queue q;
    int error = brood_queue_new(&q, NULL);
    double start = bench_now();
    for (uint64_t i = 0; i < n && error == 0; i++) {
        brood_buffer buffer;
        brood_view view;
        void *data;
        error = brood_buffer_new(&buffer, m->size, &data);
        if (error < 0) break;
        memcpy(data, &i, sizeof i);
        error = brood_queue_put_buffer(q, buffer, BROOD_FOREVER);
        if (error == 0) error = brood_queue_get_view(q, &view, BROOD_FOREVER);
        if (error != 0) break;
        if (view.size != m->size || memcmp(view.data, &i, sizeof i) != 0) error = BROOD_ECORRUPT;
        brood_view_release(&view);
    }
    double seconds = bench_now() - start;
    brood_queue_free(q);
    return error < 0 ? bench_complain("in place", brood_strerror(error)) : seconds;
}

static double copied(void *context, uint64_t n)
{
    const struct message *m = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        memcpy(m->to, m->from, m->size);
        bench_keep(m->to);
        memcpy(m->from, m->to, m->size);
        bench_keep(m->from);
    }
    return bench_now() - start;
}

static void ask_messages(void)
{
    static const struct {
        size_t size;
        const char *name;
    } sizes[] = {{64 * 1024, "64 KiB"}, {MIB, "1 MiB"}, {64 * MIB, "64 MiB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct message m = {sizes[i].size, malloc(sizes[i].size), malloc(sizes[i].size)};
        if (!m.from || !m.to) exit(1);
        memset(m.from, 1, m.size);
        char name[64];
        snprintf(name, sizeof name, "a message of %s, in place", sizes[i].name);
        BENCH_ASK(name, "ns", {"brood", in_place, &m, 1}, {"two memcpys", copied, &m, 1});
        free(m.from);
        free(m.to);
    }
}

/* -------------------------------------------------------------------------------------------------------- doubles */

static void work_on(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] * 1.0000001 + 0.5;
}

BROOD_TASK(work_in_place, int, brood_buffer, buffer)
{
    size_t size;
    double *x = brood_buffer_data(buffer, &size);
    work_on(x, size / sizeof *x);
    return 0;
}

struct job {
    brood_pool pool;
    brood_buffer buffer;
    double *shared, *own, *other;
};

static double worker_in_place(void *context, uint64_t n)
{
    const struct job *j = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        int code = -1, error = brood_pool_apply(j->pool, work_in_place, &j->buffer, &code);
        if (error < 0 || code != 0) return bench_complain("in place", brood_strerror(error));
    }
    return bench_now() - start;
}

static double alone(void *context, uint64_t n)
{
    const struct job *j = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        work_on(j->own, DOUBLES);
        bench_keep(j->own);
    }
    return bench_now() - start;
}

/* The caller's own memory: a map copies it to the worker and back, by pieces. */
struct block {
    double x[512];
};

BROOD_TASK(work_on_block, struct block, struct block, block)
{
    work_on(block.x, sizeof block.x / sizeof *block.x);
    return block;
}

static double worker_copies(void *context, uint64_t n)
{
    const struct job *j = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        int error = brood_pool_map(j->pool, work_on_block, (const struct block *)(const void *)j->own,
                                   (struct block *)(void *)j->other, DOUBLES / 512);
        if (error < 0) return bench_complain("copied", brood_strerror(error));
        bench_keep(j->other);
    }
    return bench_now() - start;
}

static double two_memcpys(void *context, uint64_t n)
{
    const struct job *j = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        memcpy(j->other, j->own, DOUBLES * sizeof(double));
        bench_keep(j->other);
        memcpy(j->own, j->other, DOUBLES * sizeof(double));
        bench_keep(j->own);
    }
    return bench_now() - start;
}

static int ask_doubles(void)
{
    struct job j = {.own = malloc(DOUBLES * sizeof(double)), .other = malloc(DOUBLES * sizeof(double))};
    int error = brood_pool_new(&j.pool, &(brood_pool_options){.workers = 1});
    if (error == 0) error = brood_buffer_new(&j.buffer, DOUBLES * sizeof(double), (void **)&j.shared);
    if (error < 0 || !j.own || !j.other) return (int)-bench_complain("doubles", brood_strerror(error));
    for (size_t i = 0; i < DOUBLES; i++) j.own[i] = j.other[i] = j.shared[i] = (double)i;
    BENCH_ASK("256 MiB of doubles, in place", "ms", {"brood", worker_in_place, &j, 1},
              {"the work alone", alone, &j, 1});
    BENCH_ASK("256 MiB of doubles, copied in and out", "ms", {"brood", worker_copies, &j, 1},
              {"two memcpys", two_memcpys, &j, 1});
    brood_pool_free(j.pool);
    brood_buffer_free(j.buffer);
    free(j.own);
    free(j.other);
    return 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("large", argc, argv);
    ask_messages();
    int error = ask_doubles();
    brood_fini();
    return error;
}
