/* SPDX-License-Identifier: MIT */
/* scale.c - the cost of one as there are more of them: items of a map, bytes of a message, workers, tasks on their way. */
#include "harness.h"

#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define MOST_ITEMS 100000000u
#define MOST_BYTES ((size_t)1 << 30)
#define MOST_WORKERS 256
#define MOST_TASKS 1000000u

BROOD_TASK(nothing, float, float, x)
{
    return x;
}

static void ask(const char *what, double size, const char *unit, struct bench_system system)
{
    char name[64];
    snprintf(name, sizeof name, "%s: %.0f", what, size);
    BENCH_ASK(name, unit, system);
}

/* --------------------------------------------------------------------------------------------------------- items */

struct series {
    brood_pool pool;
    float *in, *out;
    brood_future *futures;
    size_t size; /* of this question */
};

static double map(void *context, uint64_t n)
{
    const struct series *s = context;
    double start = bench_now();
    for (uint64_t done = 0; done < n; done += s->size) {
        int error = brood_pool_map(s->pool, nothing, s->in, s->out, s->size);
        if (error < 0 || s->out[s->size - 1] != s->in[s->size - 1]) return bench_complain("map", brood_strerror(error));
    }
    return bench_now() - start;
}

/* So many on their way at once. */
static double submit(void *context, uint64_t n)
{
    const struct series *s = context;
    int error = 0;
    double start = bench_now();
    for (uint64_t done = 0; done < n && error == 0; done += s->size) {
        for (size_t i = 0; i < s->size && error == 0; i++)
            error = brood_pool_submit(s->pool, &s->futures[i], nothing, &s->in[i]);
        for (size_t i = 0; i < s->size && error == 0; i++) {
            float result = -1;
            error = brood_future_get(s->futures[i], &result, BROOD_FOREVER, NULL);
            brood_future_free(s->futures[i]);
        }
    }
    return error < 0 ? bench_complain("submit", brood_strerror(error)) : bench_now() - start;
}

static int ask_items_and_tasks(void)
{
    struct series s = {.futures = malloc(MOST_TASKS * sizeof(brood_future))};
    brood_buffer in, out;
    int error = brood_pool_new(&s.pool, &(brood_pool_options){.workers = WORKERS, .max_pending = MOST_TASKS});
    if (error == 0) error = brood_buffer_new(&in, MOST_ITEMS * sizeof(float), (void **)&s.in);
    if (error == 0) error = brood_buffer_new(&out, MOST_ITEMS * sizeof(float), (void **)&s.out);
    if (error < 0 || !s.futures) return (int)-bench_complain("items", brood_strerror(error));
    for (size_t i = 0; i < MOST_ITEMS; i++) s.in[i] = s.out[i] = (float)i;
    for (s.size = 100; s.size <= MOST_ITEMS; s.size *= 10)
        ask("item of a map of so many", (double)s.size, "ns", (struct bench_system){"brood", map, &s, s.size});
    for (s.size = 1; s.size <= MOST_TASKS; s.size *= 10)
        ask("task, so many on their way", (double)s.size, "ns", (struct bench_system){"brood", submit, &s, s.size});
    brood_pool_free(s.pool);
    brood_buffer_free(in);
    brood_buffer_free(out);
    free(s.futures);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- bytes */

struct message {
    brood_queue queue;
    char *from, *to;
    size_t size;
};

static double put_and_get(void *context, uint64_t n)
{
    const struct message *m = context;
    int error = 0;
    double start = bench_now();
    for (uint64_t i = 0; i < n && error == 0; i++) {
        size_t size = 0;
        error = brood_queue_put(m->queue, m->from, m->size, BROOD_FOREVER);
        if (error == 0) error = brood_queue_get(m->queue, m->to, m->size, &size, BROOD_FOREVER);
        if (error == 0 && size != m->size) error = BROOD_ECORRUPT;
    }
    return error < 0 ? bench_complain("message", brood_strerror(error)) : bench_now() - start;
}

static int ask_bytes(void)
{
    struct message m = {.from = malloc(MOST_BYTES), .to = malloc(MOST_BYTES)};
    int error = brood_queue_new(&m.queue, NULL);
    if (error < 0 || !m.from || !m.to) return (int)-bench_complain("bytes", brood_strerror(error));
    memset(m.from, 1, MOST_BYTES);
    memset(m.to, 1, MOST_BYTES);
    for (m.size = 8; m.size <= MOST_BYTES; m.size *= 8)
        ask("message of so many bytes, copied in and out", (double)m.size, "us",
            (struct bench_system){"brood", put_and_get, &m, 1});
    brood_queue_free(m.queue);
    free(m.from);
    free(m.to);
    return 0;
}

/* ------------------------------------------------------------------------------------------------------- workers */

/* A pool of so many from its start to its end. */
static double pool(void *context, uint64_t n)
{
    brood_pool_options options = {.workers = *(const unsigned *)context};
    double start = bench_now();
    for (uint64_t i = 0; i < n; i += options.workers) {
        brood_pool p;
        float x = 1;
        int error = brood_pool_new(&p, &options);
        if (error == 0) error = brood_pool_apply(p, nothing, &x, &x);
        if (error == 0) error = brood_pool_free(p);
        if (error < 0) return bench_complain("pool", brood_strerror(error));
    }
    return bench_now() - start;
}

static void ask_workers(void)
{
    for (unsigned workers = 1; workers <= MOST_WORKERS; workers *= 2)
        ask("worker of a pool of so many, start to end", workers, "us",
            (struct bench_system){"brood", pool, &workers, workers});
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("scale", argc, argv);
    ask_workers(); /* while the program is small */
    int error = ask_items_and_tasks();
    if (error == 0) error = ask_bytes();
    brood_fini();
    return error;
}
