/* SPDX-License-Identifier: MIT */
/* shared.c - values and arrays in shared memory, and named segments, alone and against others. */
#include "crew.h"
#include "harness.h"
#include "peer.h"

#include <brood.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ELEMENTS = 1000 };

struct pass {
    unsigned processes; /* 1: the caller itself */
    brood_value value;
    _Atomic int64_t *word;
};

/* ------------------------------------------------------------------------------------------------------- counting */

static uint64_t add_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->processes; i++) {
        int error = brood_value_add(p->value, 1, NULL);
        if (error < 0) crew_fail("add", error);
    }
    return 0;
}

static uint64_t locked_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    int64_t *x = brood_value_data(p->value, int64_t);
    for (uint64_t i = 0; i < n / p->processes; i++) {
        int error = brood_value_acquire(p->value, BROOD_FOREVER);
        ++*x;
        if (error == 0) error = brood_value_release(p->value);
        if (error < 0) crew_fail("locked", error);
    }
    return 0;
}

static uint64_t word_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->processes; i++) atomic_fetch_add(p->word, 1);
    return 0;
}

static double race(struct pass *p, crew_role role, uint64_t n)
{
    if (p->processes > 1) return crew_by_brood(p->processes, role, p, n);
    double start = bench_now();
    role(p, 0, n);
    return bench_now() - start;
}

static double count(const void *context, crew_role role, uint64_t n)
{
    struct pass p = {.processes = *(const unsigned *)context};
    int64_t now = 0;
    int error = brood_value_new(&p.value, int64_t, 0, .lock = true);
    if (error < 0) return bench_complain("value", brood_strerror(error));
    double seconds = race(&p, role, n);
    brood_value_get(p.value, &now);
    brood_value_free(p.value);
    return now == (int64_t)n ? seconds : bench_complain("value", "not all was added");
}

static double add(void *context, uint64_t n)
{
    return count(context, add_role, n);
}
static double locked(void *context, uint64_t n)
{
    return count(context, locked_role, n);
}
static double atomic_word(void *context, uint64_t n)
{
    struct pass p = {.processes = *(const unsigned *)context, .word = crew_memory(sizeof *p.word)};
    double seconds = race(&p, word_role, n);
    bool good = atomic_load(p.word) == (int64_t)n;
    munmap((void *)p.word, sizeof *p.word);
    return good ? seconds : bench_complain("word", "not all was added");
}

/* ---------------------------------------------------------------------------------------------------------- values */

/* Set and get: each under the value's lock, as a Value of Python has it, or each by one access to its word. */
static double value(void *context, uint64_t n)
{
    bool lock = *(const unsigned *)context;
    brood_value v;
    int64_t x = 0;
    int error = brood_value_new(&v, int64_t, 0, .lock = lock);
    if (error < 0) return bench_complain("value", brood_strerror(error));
    double start = bench_now();
    for (int64_t i = 0; i < (int64_t)n && error == 0; i++) {
        if (lock) error = brood_value_acquire(v, BROOD_FOREVER);
        if (error == 0) error = brood_value_set(v, &i);
        if (lock && error == 0) error = brood_value_release(v);
        if (lock && error == 0) error = brood_value_acquire(v, BROOD_FOREVER);
        if (error == 0) error = brood_value_get(v, &x);
        if (lock && error == 0) error = brood_value_release(v);
    }
    double seconds = bench_now() - start;
    brood_value_free(v);
    if (error < 0) return bench_complain("value", brood_strerror(error));
    return x == (int64_t)n - 1 ? seconds : bench_complain("value", "not what was set");
}

/* ---------------------------------------------------------------------------------------------------------- arrays */

static double fill(double *x, uint64_t n)
{
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        x[i % ELEMENTS] = (double)i;
        bench_keep(x);
    }
    return bench_now() - start;
}

static double array_in_place(void *context, uint64_t n)
{
    brood_array a;
    (void)context;
    int error = brood_array_new(&a, double, ELEMENTS);
    if (error < 0) return bench_complain("array", brood_strerror(error));
    double seconds = fill(brood_array_data(a, double), n);
    brood_array_free(a);
    return seconds;
}

static double array_by_call(void *context, uint64_t n)
{
    brood_array a;
    (void)context;
    int error = brood_array_new(&a, double, ELEMENTS);
    if (error < 0) return bench_complain("array", brood_strerror(error));
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) brood_array_set(a, i % ELEMENTS, &(double){(double)i});
    double seconds = bench_now() - start;
    brood_array_free(a);
    return seconds;
}

/* -------------------------------------------------------------------------------------------------------- segments */

static double segment(void *context, uint64_t n)
{
    size_t size = *(const unsigned *)context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        brood_shm shm;
        int error = brood_shm_create(&shm, size, NULL, NULL);
        if (error == 0) error = brood_shm_unlink(shm);
        if (error == 0) error = brood_shm_close(shm);
        if (error < 0) return bench_complain("segment", brood_error_detail());
    }
    return bench_now() - start;
}

/* Without anybody who removes what is left, and without its memory: that comes when it is touched. */
static double bare_segment(void *context, uint64_t n)
{
    size_t size = *(const unsigned *)context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "/bench-%d-%llu", (int)getpid(), (unsigned long long)i);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)size) < 0) return bench_complain("segment", "shm_open");
        void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        shm_unlink(name);
        if (base == MAP_FAILED) return bench_complain("segment", "mmap");
        munmap(base, size);
    }
    return bench_now() - start;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("shared", argc, argv);
    struct peer python = {.arguments = {"python_shared.py"}};
    unsigned bare = 0, own_lock = 1, alone = 1, two = 2, page = 4096;

    BENCH_ASK("value, set and get", "ns", {"brood", value, &bare, 64}, {"cpython", PEER(python, "value 0"), 64});
    BENCH_ASK("value with a lock, set and get", "ns", {"brood", value, &own_lock, 64},
              {"cpython", PEER(python, "value 1"), 64});
    BENCH_ASK("count, alone", "ns", {"brood", add, &alone, 64}, {"brood, locked", locked, &alone, 64},
              {"atomic word", atomic_word, &alone, 64}, {"cpython", PEER(python, "count 1"), 64});
    BENCH_ASK("count, 2 processes", "op/s", {"brood", add, &two, 64}, {"brood, locked", locked, &two, 64},
              {"atomic word", atomic_word, &two, 64}, {"cpython", PEER(python, "count 2"), 64});
    BENCH_ASK("array, set an element", "ns", {"brood", array_in_place, &alone, 64},
              {"brood, by call", array_by_call, &alone, 64}, {"cpython", PEER(python, "array"), 64});
    BENCH_ASK("segment, make and unlink", "us", {"brood", segment, &page, 1}, {"shm_open", bare_segment, &page, 1},
              {"cpython", PEER(python, "segment"), 1});
    peer_close(&python);
    brood_fini();
    return 0;
}
