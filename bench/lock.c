/* SPDX-License-Identifier: MIT */
/* lock.c - acquire and release of a lock and of a semaphore, alone and against others. */
#include "crew.h"
#include "harness.h"
#include "lock_peers.h"
#include "peer.h"

#include <brood.h>
#include <stdbool.h>
#include <sys/mman.h>

struct pass {
    struct contest contest;
    brood_lock lock;
    brood_semaphore semaphore;
    uint64_t *count;
};

static uint64_t lock_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->contest.processes; i++) {
        int error = brood_lock_acquire(p->lock, BROOD_FOREVER);
        ++*p->count;
        if (error == 0) error = brood_lock_release(p->lock);
        if (error < 0) crew_fail("lock", error);
    }
    return 0;
}

static uint64_t semaphore_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->contest.processes; i++) {
        int error = brood_semaphore_acquire(p->semaphore, BROOD_FOREVER);
        if (error == 0) error = brood_semaphore_release(p->semaphore);
        if (error < 0) crew_fail("semaphore", error);
    }
    return 0;
}

static double contest(struct pass *p, crew_role role, uint64_t n)
{
    if (p->contest.processes > 1) return crew_by_brood(p->contest.processes, role, p, n);
    double start = bench_now();
    role(p, 0, n);
    return bench_now() - start;
}

static double lock(void *context, uint64_t n)
{
    struct pass p = {.contest = *(const struct contest *)context};
    int error = brood_lock_new(&p.lock);
    if (error < 0) return bench_complain("lock", brood_strerror(error));
    p.count = crew_memory(sizeof *p.count);
    double seconds = contest(&p, lock_role, n);
    bool good = *p.count == n;
    munmap(p.count, sizeof *p.count);
    brood_lock_free(p.lock);
    return good ? seconds : bench_complain("lock", "two were in it at a time");
}

static double semaphore(void *context, uint64_t n)
{
    struct pass p = {.contest = *(const struct contest *)context};
    int error = brood_semaphore_new(&p.semaphore, p.contest.units, NULL);
    if (error < 0) return bench_complain("semaphore", brood_strerror(error));
    double seconds = contest(&p, semaphore_role, n);
    brood_semaphore_free(p.semaphore);
    return seconds;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("lock", argc, argv);
    struct peer python = {.arguments = {"python_lock.py"}};
    struct contest alone = {1, 1}, two = {2, 1}, four = {4, 1}, four_for_two = {4, 2};

    BENCH_ASK("lock, alone", "ns", {"brood", lock, &alone, 64}, {"robust mutex", robust_mutex, &alone, 64},
              {"cpython", PEER(python, "lock 1"), 64});
    BENCH_ASK("lock, 2 processes", "op/s", {"brood", lock, &two, 64}, {"robust mutex", robust_mutex, &two, 64},
              {"cpython", PEER(python, "lock 2"), 64});
    BENCH_ASK("lock, 4 processes", "op/s", {"brood", lock, &four, 64}, {"robust mutex", robust_mutex, &four, 64},
              {"cpython", PEER(python, "lock 4"), 64});
    BENCH_ASK("semaphore, alone", "ns", {"brood", semaphore, &alone, 64}, {"sem_t", posix_semaphore, &alone, 64},
              {"cpython", PEER(python, "semaphore 1 1"), 64});
    BENCH_ASK("semaphore of 1, 2 processes", "op/s", {"brood", semaphore, &two, 64},
              {"sem_t", posix_semaphore, &two, 64}, {"cpython", PEER(python, "semaphore 2 1"), 64});
    BENCH_ASK("semaphore of 2, 4 processes", "op/s", {"brood", semaphore, &four_for_two, 64},
              {"sem_t", posix_semaphore, &four_for_two, 64}, {"cpython", PEER(python, "semaphore 4 2"), 64});
    peer_close(&python);
    brood_fini();
    return 0;
}
