/* SPDX-License-Identifier: MIT */
/* posix_sync.c - a condition variable and a barrier of POSIX threads, both between processes, and one by hand. */
#define _GNU_SOURCE 1
#include "crew.h"
#include "harness.h"
#include "sync_peers.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As long as Brood spins: pauses, longer pauses, yields. */
enum { SPINS = 144 };

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    uint64_t turn;
    _Alignas(64) pthread_barrier_t barrier;
    _Alignas(64) _Atomic uint32_t count;
    _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint32_t round;
};

struct pass {
    struct meeting meeting;
    struct shared *shared;
};

static uint64_t condition_role(void *context, unsigned index, uint64_t n)
{
    struct shared *s = ((const struct pass *)context)->shared;
    int error = pthread_mutex_lock(&s->mutex);
    for (uint64_t i = 0; i < n && error == 0; i++) {
        while (s->turn % 2 != index && error == 0) error = pthread_cond_wait(&s->condition, &s->mutex);
        s->turn++;
        if (error == 0) error = pthread_cond_signal(&s->condition);
    }
    if (error == 0) error = pthread_mutex_unlock(&s->mutex);
    if (error != 0) crew_fail("condition", -error);
    return 0;
}

static uint64_t barrier_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    struct shared *s = ((const struct pass *)context)->shared;
    for (uint64_t i = 0; i < n; i++) {
        int error = pthread_barrier_wait(&s->barrier);
        if (error != 0 && error != PTHREAD_BARRIER_SERIAL_THREAD) crew_fail("barrier", -error);
    }
    return 0;
}

static void rest(unsigned n)
{
    if (n < 64)
        __asm__ volatile("pause");
    else if (n < 104)
        for (int i = 0; i < 8; i++) __asm__ volatile("pause");
    else
        sched_yield();
}

static void meet(struct shared *s, uint32_t parties)
{
    uint32_t round = atomic_load(&s->round);
    if (atomic_fetch_add(&s->count, 1) + 1 == parties) {
        atomic_store(&s->count, 0);
        atomic_store(&s->round, round + 1);
        if (atomic_load(&s->sleepers)) syscall(SYS_futex, &s->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        return;
    }
    for (unsigned n = 0; n < SPINS; n++) {
        if (atomic_load_explicit(&s->round, memory_order_acquire) != round) return;
        rest(n);
    }
    atomic_fetch_add(&s->sleepers, 1);
    while (atomic_load(&s->round) == round) syscall(SYS_futex, &s->round, FUTEX_WAIT, round, NULL, NULL, 0);
    atomic_fetch_sub(&s->sleepers, 1);
}

static uint64_t futex_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n; i++) meet(p->shared, p->meeting.parties);
    return 0;
}

static double run(void *context, crew_role role, uint64_t n)
{
    struct pass p = {*(const struct meeting *)context, crew_memory(sizeof *p.shared)};
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_barrierattr_t barrier;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&p.shared->mutex, &mutex);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&p.shared->condition, &condition);
    pthread_barrierattr_init(&barrier);
    pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&p.shared->barrier, &barrier, p.meeting.parties);
    double seconds = crew_by_fork(p.meeting.parties, role, &p, n);
    munmap(p.shared, sizeof *p.shared);
    return seconds;
}

double pthread_condition(void *meeting, uint64_t n)
{
    return run(meeting, condition_role, n);
}

double pthread_barrier(void *meeting, uint64_t n)
{
    return run(meeting, barrier_role, n);
}

double futex_barrier(void *meeting, uint64_t n)
{
    return run(meeting, futex_role, n);
}
