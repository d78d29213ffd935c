/* SPDX-License-Identifier: MIT */
/* pool.c - what a pool costs when the tasks themselves cost nothing: of two workers, if the question names no others. */
#include "harness.h"
#include "peer.h"

#include <brood.h>
#include <signal.h>

#define WORKERS 2
#define ITEMS 1000000
#define CALLS 50000

BROOD_TASK(nothing, double, double, x)
{
    return x;
}

BROOD_TASK(die, double, double, x)
{
    raise(SIGKILL);
    return x;
}

/* The arrays of a map: the caller's own, or buffers. */
struct arrays {
    brood_pool pool;
    double *in, *out;
    size_t most, chunk; /* items of one call, and of a chunk */
};

static double map(void *context, uint64_t n)
{
    const struct arrays *a = context;
    double start = bench_now();
    for (uint64_t done = 0; done < n;) {
        size_t items = n - done < a->most ? (size_t)(n - done) : a->most;
        a->out[0] = a->out[items - 1] = -1;
        int error = brood_pool_map_with(a->pool, nothing, a->in, a->out, items, .chunk = a->chunk);
        if (error < 0) return bench_complain("map", brood_strerror(error));
        if (a->out[0] != a->in[0] || a->out[items - 1] != a->in[items - 1]) return bench_complain("map", "wrong");
        done += items;
    }
    return bench_now() - start;
}

/* The whole input as a stream, in order. */
static double stream(void *context, uint64_t n)
{
    const struct arrays *a = context;
    brood_stream stream;
    double result = -1, start = bench_now();
    for (uint64_t done = 0; done < n; done += a->most) {
        int error = brood_pool_imap_array_with(a->pool, &stream, nothing, a->in, a->most, .chunk = (unsigned)a->chunk);
        if (error < 0) return bench_complain("stream", brood_strerror(error));
        for (size_t i = 0; i < a->most && error >= 0; i++) {
            error = brood_stream_next(stream, &result, BROOD_FOREVER, NULL);
            if (error == 1 && result != a->in[i]) error = BROOD_ECORRUPT;
        }
        brood_stream_free(stream);
        if (error < 0) return bench_complain("stream", brood_strerror(error));
    }
    return bench_now() - start;
}

static double submit(void *context, uint64_t n)
{
    static brood_future futures[CALLS];
    const struct arrays *a = context;
    int error = 0;
    double start = bench_now();
    for (uint64_t done = 0; done < n; done += CALLS) {
        for (size_t i = 0; i < CALLS && error == 0; i++)
            error = brood_pool_submit(a->pool, &futures[i], nothing, &a->in[i]);
        for (size_t i = 0; i < CALLS && error == 0; i++) {
            double result = -1;
            error = brood_future_get(futures[i], &result, BROOD_FOREVER, NULL);
            if (error == 0 && result != a->in[i]) error = BROOD_ECORRUPT;
            brood_future_free(futures[i]);
        }
        if (error < 0) return bench_complain("submit", brood_strerror(error));
    }
    return bench_now() - start;
}

/* The same by a pool of its own, which is started when it is asked first. */
struct wide {
    struct arrays arrays;
    unsigned workers;
};

static double submit_wide(void *context, uint64_t n)
{
    struct wide *w = context;
    if (w->arrays.pool.id == 0) {
        int error = brood_pool_new(&w->arrays.pool, &(brood_pool_options){.workers = w->workers});
        if (error < 0) return bench_complain("pool", brood_strerror(error));
    }
    return submit(&w->arrays, n);
}

static void close_wide(struct wide *w)
{
    if (w->arrays.pool.id != 0) brood_pool_free(w->arrays.pool);
    w->arrays.pool.id = 0;
}

static double apply(void *context, uint64_t n)
{
    const struct arrays *a = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        double result = -1, x = (double)i;
        int error = brood_pool_apply(a->pool, nothing, &x, &result);
        if (error == 0 && result != x) error = BROOD_ECORRUPT;
        if (error < 0) return bench_complain("apply", brood_strerror(error));
    }
    return bench_now() - start;
}

/* A task that ends its worker, until that is known, and the next one's answer. */
static double crash(void *context, uint64_t n)
{
    const struct arrays *a = context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        double result = -1, x = (double)i;
        if (brood_pool_apply(a->pool, die, &x, &result) != BROOD_ELOST) return bench_complain("crash", "not lost");
        int error = brood_pool_apply(a->pool, nothing, &x, &result);
        if (error == 0 && result != x) error = BROOD_ECORRUPT;
        if (error < 0) return bench_complain("crash", brood_strerror(error));
    }
    return bench_now() - start;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("pool", argc, argv);
    struct peer pool_python = {.arguments = {"python_pool.py", "pool", "2"}};
    struct peer executor_python = {.arguments = {"python_pool.py", "executor", "2"}};
    struct peer joblib = {.arguments = {"python_joblib.py", "2"}};
    struct peer mpi = {.arguments = {"python_mpi.py", "2"}};
    struct peer gnu_parallel = {.arguments = {"gnu_parallel.py"}};
    struct peer pool_python_4 = {.arguments = {"python_pool.py", "pool", "4"}};
    struct peer executor_python_4 = {.arguments = {"python_pool.py", "executor", "4"}};
    struct peer joblib_4 = {.arguments = {"python_joblib.py", "4"}};
    struct peer mpi_4 = {.arguments = {"python_mpi.py", "4"}};

    struct arrays own, buffers, single, hundreds;
    brood_buffer in, out;
    int error = brood_pool_new(&own.pool, &(brood_pool_options){.workers = WORKERS});
    buffers.pool = own.pool;
    if (error == 0) error = brood_buffer_new(&in, ITEMS * sizeof(double), (void **)&buffers.in);
    if (error == 0) error = brood_buffer_new(&out, ITEMS * sizeof(double), (void **)&buffers.out);
    if (error != 0) return (int)-bench_complain("pool", brood_strerror(error));
    static double own_in[ITEMS], own_out[ITEMS];
    own.in = own_in;
    own.out = own_out;
    for (size_t i = 0; i < ITEMS; i++) own.in[i] = buffers.in[i] = (double)i;
    own.most = buffers.most = ITEMS;
    own.chunk = buffers.chunk = 0;
    single = buffers;
    single.most = CALLS;
    single.chunk = 1;
    hundreds = single;
    hundreds.chunk = 100;
    struct wide four = {own, 4}, sixty_four = {own, 64};
    four.arrays.pool.id = sixty_four.arrays.pool.id = 0;

    BENCH_ASK("map of 1e6, arrays in buffers", "item/s", {"brood", map, &buffers, ITEMS},
              {"cpython", PEER(pool_python, "map"), ITEMS}, {"joblib", PEER(joblib, "map"), ITEMS},
              {"mpi4py", PEER(mpi, "map"), ITEMS});
    BENCH_ASK("map of 1e6, the caller's arrays", "item/s", {"brood", map, &own, ITEMS},
              {"cpython", PEER(pool_python, "map"), ITEMS}, {"joblib", PEER(joblib, "map"), ITEMS},
              {"mpi4py", PEER(mpi, "map"), ITEMS});
    peer_close(&mpi); /* its idle workers poll, so it starts anew where it is asked again */
    BENCH_ASK("map of 50,000, chunks of 1", "item/s", {"brood", map, &single, CALLS},
              {"cpython", PEER(pool_python, "map_1"), CALLS});
    BENCH_ASK("stream of 50,000, chunks of 1", "item/s", {"brood", stream, &single, CALLS},
              {"cpython imap", PEER(pool_python, "imap_1"), CALLS});
    BENCH_ASK("stream of 50,000, chunks of 100", "item/s", {"brood", stream, &hundreds, CALLS},
              {"cpython imap", PEER(pool_python, "imap_100"), CALLS});
    BENCH_ASK("submit all, then their results", "task/s", {"brood", submit, &own, CALLS},
              {"brood, 64 workers", submit_wide, &sixty_four, CALLS}, {"cpython", PEER(pool_python, "submit"), 100},
              {"cpython executor", PEER(executor_python, "submit"), 100}, {"joblib", PEER(joblib, "submit"), 100},
              {"mpi4py", PEER(mpi, "submit"), 100}, {"gnu parallel", PEER(gnu_parallel, "submit"), 200});
    close_wide(&sixty_four);
    peer_close(&mpi);
    BENCH_ASK("submit all, then their results, 4 workers", "task/s", {"brood", submit_wide, &four, CALLS},
              {"cpython", PEER(pool_python_4, "submit"), 100},
              {"cpython executor", PEER(executor_python_4, "submit"), 100}, {"joblib", PEER(joblib_4, "submit"), 100},
              {"mpi4py", PEER(mpi_4, "submit"), 100});
    close_wide(&four);
    peer_close(&pool_python_4);
    peer_close(&executor_python_4);
    peer_close(&joblib_4);
    peer_close(&mpi_4);
    BENCH_ASK("apply, there and back", "us", {"brood", apply, &own, 1}, {"cpython", PEER(pool_python, "apply"), 1},
              {"cpython executor", PEER(executor_python, "apply"), 1}, {"mpi4py", PEER(mpi, "apply"), 1});
    peer_close(&mpi);
    /* A Pool of CPython never tells of it; an executor is broken by it, and made anew. */
    BENCH_ASK("a crash, and the next task", "us", {"brood", crash, &own, 1},
              {"cpython executor", PEER(executor_python, "crash"), 1});
    peer_close(&pool_python);
    peer_close(&executor_python);
    peer_close(&joblib);
    peer_close(&gnu_parallel);
    brood_pool_free(own.pool);
    brood_buffer_free(in);
    brood_buffer_free(out);
    brood_fini();
    return 0;
}
