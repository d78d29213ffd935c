/* SPDX-License-Identifier: MIT */
/* posix_lock.c - a robust pthread mutex and a sem_t, both between processes. */
#include "crew.h"
#include "harness.h"
#include "lock_peers.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

struct shared {
    pthread_mutex_t mutex;
    _Alignas(64) sem_t semaphore;
    _Alignas(64) uint64_t count;
};

struct pass {
    struct contest contest;
    struct shared *shared;
};

static uint64_t mutex_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->contest.processes; i++) {
        int error = pthread_mutex_lock(&p->shared->mutex);
        p->shared->count++;
        if (error == 0) error = pthread_mutex_unlock(&p->shared->mutex);
        if (error != 0) crew_fail("mutex", -error);
    }
    return 0;
}

static uint64_t semaphore_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n / p->contest.processes; i++)
        if (sem_wait(&p->shared->semaphore) < 0 || sem_post(&p->shared->semaphore) < 0) crew_fail("sem_t", -errno);
    return 0;
}

static double contest(void *context, crew_role role, bool counts, uint64_t n)
{
    struct pass p = {*(const struct contest *)context, crew_memory(sizeof *p.shared)};
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&p.shared->mutex, &a);
    sem_init(&p.shared->semaphore, 1, p.contest.units);
    double start = bench_now(), seconds;
    if (p.contest.processes == 1) {
        role(&p, 0, n);
        seconds = bench_now() - start;
    } else {
        seconds = crew_by_fork(p.contest.processes, role, &p, n);
    }
    bool good = !counts || p.shared->count == n;
    munmap(p.shared, sizeof *p.shared);
    return good ? seconds : bench_complain("mutex", "two were in it at a time");
}

double robust_mutex(void *context, uint64_t n)
{
    return contest(context, mutex_role, true, n);
}

double posix_semaphore(void *context, uint64_t n)
{
    return contest(context, semaphore_role, false, n);
}
