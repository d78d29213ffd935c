/* SPDX-License-Identifier: MIT */
/*
 * wake.c - what it costs to have somebody who is asleep do something, beside futexes that do nothing but that.
 * Before each time there is a pause, in which all who wait go to sleep; the pauses are not counted.
 */
#include "crew.h"
#include "harness.h"

#include <brood.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 2
#define PAUSE_SECONDS 0.0002

BROOD_TASK(nothing, double, double, x)
{
    return x;
}

/* The caller may not sleep: it would be woken on a processor that has to wake up itself.  Answers when it is over. */
static double after_a_pause(void)
{
    double now = bench_now(), end = now + PAUSE_SECONDS;
    while (now < end) now = bench_now();
    return now;
}

/* ------------------------------------------------------------------------------------------------------- futexes */

struct sleepers_shm {
    _Atomic uint32_t go[WORKERS];
    _Atomic uint32_t left; /* who have not answered */
};

static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
    while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static _Noreturn void answer_for_ever(struct sleepers_shm *shm, unsigned index)
{
    for (uint32_t round = 0;; round++) {
        sleep_while(&shm->go[index], round);
        if (atomic_fetch_sub(&shm->left, 1) == 1) wake(&shm->left);
    }
}

/* Wake so many, and sleep until all have answered. */
static double futexes(void *context, uint64_t n)
{
    const unsigned count = *(const unsigned *)context;
    struct sleepers_shm *shm = crew_memory(sizeof *shm);
    pid_t pids[WORKERS] = {0};
    for (unsigned i = 0; i < count; i++)
        if ((pids[i] = fork()) == 0) answer_for_ever(shm, i);
    double seconds = 0;
    for (uint32_t round = 0; round < n; round++) {
        double start = after_a_pause();
        atomic_store(&shm->left, count);
        for (unsigned i = 0; i < count; i++) {
            atomic_store(&shm->go[i], round + 1);
            wake(&shm->go[i]);
        }
        for (uint32_t left; (left = atomic_load(&shm->left)) != 0;) sleep_while(&shm->left, left);
        seconds += bench_now() - start;
    }
    for (unsigned i = 0; i < count; i++) {
        if (pids[i] <= 0) continue;
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    munmap(shm, sizeof *shm);
    return seconds;
}

/* --------------------------------------------------------------------------------------------------------- brood */

struct queues {
    brood_queue there, back;
};

BROOD_TASK(echo, int, struct queues, queues)
{
    uint64_t number;
    int error = 0;
    while (error == 0) {
        error = brood_queue_get_value(queues.there, &number, BROOD_FOREVER);
        if (error == 0) error = brood_queue_put_value(queues.back, &number, BROOD_FOREVER);
    }
    return error == BROOD_ECLOSED ? 0 : 1;
}

static double queue_round_trip(void *context, uint64_t n)
{
    (void)context;
    struct queues queues;
    brood_process other;
    int error = brood_queue_new(&queues.there, NULL);
    if (error == 0) error = brood_queue_new(&queues.back, NULL);
    if (error == 0) error = brood_process_start(&other, NULL, echo, &queues);
    double seconds = 0;
    for (uint64_t i = 0, number; i < n && error == 0; i++) {
        double start = after_a_pause();
        error = brood_queue_put_value(queues.there, &i, BROOD_FOREVER);
        if (error == 0) error = brood_queue_get_value(queues.back, &number, BROOD_FOREVER);
        seconds += bench_now() - start;
        if (error == 0 && number != i) error = BROOD_ECORRUPT;
    }
    if (error != 0) return bench_complain("queue", brood_strerror(error));
    brood_queue_close(queues.there);
    brood_process_join(other, BROOD_FOREVER, NULL);
    brood_process_free(other);
    brood_queue_free(queues.there);
    brood_queue_free(queues.back);
    return seconds;
}

static double apply(void *context, uint64_t n)
{
    brood_pool pool = *(const brood_pool *)context;
    double seconds = 0, result;
    for (uint64_t i = 0; i < n; i++) {
        double start = after_a_pause(), x = (double)i;
        int error = brood_pool_apply(pool, nothing, &x, &result);
        seconds += bench_now() - start;
        if (error < 0 || result != x) return bench_complain("apply", brood_strerror(error));
    }
    return seconds;
}

static double map(void *context, uint64_t n)
{
    brood_pool pool = *(const brood_pool *)context;
    double seconds = 0, in[WORKERS] = {1, 2}, out[WORKERS];
    for (uint64_t i = 0; i < n; i++) {
        double start = after_a_pause();
        int error = brood_pool_map_with(pool, nothing, in, out, WORKERS, .chunk = 1);
        seconds += bench_now() - start;
        if (error < 0 || out[1] != 2) return bench_complain("map", brood_strerror(error));
    }
    return seconds;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("wake", argc, argv);
    brood_pool pool;
    unsigned one = 1, two = 2;
    double x = 1;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = WORKERS});
    if (error == 0) error = brood_pool_apply(pool, nothing, &x, &x);
    if (error < 0) return (int)-bench_complain("pool", brood_strerror(error));
    BENCH_ASK("round trip of 8 B, asleep", "us", {"brood", queue_round_trip, NULL, 1},
              {"two futexes", futexes, &one, 1});
    BENCH_ASK("apply, the workers asleep", "us", {"brood", apply, &pool, 1}, {"two futexes", futexes, &one, 1});
    BENCH_ASK("map of 2 items, the workers asleep", "us", {"brood", map, &pool, 1},
              {"three futexes", futexes, &two, 1});
    brood_pool_free(pool);
    brood_fini();
    return 0;
}
