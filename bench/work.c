/* SPDX-License-Identifier: MIT */
/* work.c - when it pays: items of work for a processor, in place, in two workers and in two threads. */
#include "harness.h"

#include <brood.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define MOST 20000

/* So many rounds are about a microsecond. */
#define MICROSECOND 800u

struct item {
    uint64_t seed;
    uint32_t rounds;
};

BROOD_TASK(work, uint64_t, struct item, item)
{
    uint64_t x = item.seed;
    for (uint32_t i = 0; i < item.rounds; i++) x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

struct batch {
    brood_pool pool;
    size_t items;
    struct item *in;
    uint64_t *out;
    brood_future *futures;
    _Atomic size_t next; /* of threads */
};

/* The batch once by `once`, as often as n says; its last result tells whether it was done. */
static double repeat(struct batch *b, uint64_t n, int (*once)(struct batch *b))
{
    double start = bench_now();
    for (uint64_t done = 0; done < n; done += b->items) {
        b->out[b->items - 1] = 0;
        int error = once(b);
        if (error < 0) return bench_complain("work", brood_strerror(error));
        if (b->out[b->items - 1] != work(b->in[b->items - 1])) return bench_complain("work", "not done");
    }
    return bench_now() - start;
}

static int map(struct batch *b)
{
    return brood_pool_map(b->pool, work, b->in, b->out, b->items);
}

static int submit(struct batch *b)
{
    int error = 0;
    for (size_t i = 0; i < b->items && error == 0; i++)
        error = brood_pool_submit(b->pool, &b->futures[i], work, &b->in[i]);
    for (size_t i = 0; i < b->items && error == 0; i++) {
        error = brood_future_get(b->futures[i], &b->out[i], BROOD_FOREVER, NULL);
        brood_future_free(b->futures[i]);
    }
    return error;
}

static int apply(struct batch *b)
{
    int error = 0;
    for (size_t i = 0; i < b->items && error == 0; i++) error = brood_pool_apply(b->pool, work, &b->in[i], &b->out[i]);
    return error;
}

static int in_place(struct batch *b)
{
    for (size_t i = 0; i < b->items; i++) b->out[i] = work(b->in[i]);
    return 0;
}

static void *thread(void *argument)
{
    struct batch *b = argument;
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < b->items;) b->out[i] = work(b->in[i]);
    return NULL;
}

/* Made for each batch. */
static int threads(struct batch *b)
{
    pthread_t made[WORKERS];
    int n = 0;
    atomic_store(&b->next, 0);
    while (n < WORKERS && pthread_create(&made[n], NULL, thread, b) == 0) n++;
    for (int i = 0; i < n; i++) pthread_join(made[i], NULL);
    return n == WORKERS ? 0 : BROOD_ENOMEM;
}

#define RUN(name)                                        \
    static double by_##name(void *context, uint64_t n)   \
    {                                                    \
        return repeat((struct batch *)context, n, name); \
    }
RUN(map)
RUN(submit)
RUN(apply)
RUN(in_place)
RUN(threads)

static void ask(brood_pool pool, const char *name, uint32_t rounds, size_t items)
{
    struct batch b = {.pool = pool, .items = items};
    b.in = malloc(items * sizeof *b.in);
    b.out = malloc(items * sizeof *b.out);
    b.futures = malloc(items * sizeof *b.futures);
    if (!b.in || !b.out || !b.futures) exit(1);
    for (size_t i = 0; i < items; i++) b.in[i] = (struct item){i, rounds};
    BENCH_ASK(name, "item/s", {"brood", by_map, &b, items}, {"brood, submit", by_submit, &b, items},
              {"brood, apply", by_apply, &b, items}, {"in place", by_in_place, &b, items},
              {"2 threads", by_threads, &b, items});
    free(b.in);
    free(b.out);
    free(b.futures);
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("work", argc, argv);
    brood_pool pool;
    uint64_t x;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = WORKERS});
    if (error == 0) error = brood_pool_apply(pool, work, (&(struct item){1, 1}), &x);
    if (error < 0) return (int)-bench_complain("pool", brood_strerror(error));
    ask(pool, "items of 0.1 us", MICROSECOND / 10, MOST);
    ask(pool, "items of 1 us", MICROSECOND, MOST);
    ask(pool, "items of 10 us", 10 * MICROSECOND, 2000);
    ask(pool, "items of 1 ms", 1000 * MICROSECOND, 40);
    brood_fini();
    return 0;
}
