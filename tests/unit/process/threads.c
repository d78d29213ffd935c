/* SPDX-License-Identifier: MIT */
/* threads.c - callers with threads: ones that end early, and busy ones. */
#include "scene.h"

#include "arena/arena.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static BROOD_TASK(answer, int, int, code)
{
    return code;
}
static BROOD_TASK(square, int, int, x)
{
    return x * x;
}

/* ------------------------------------------------------------------------------------ early ends */

static int the_method;
static void *go_on(void *arg)
{
    (void)arg;
    char state[512] = "";
    for (;;) { /* until the main thread has ended: the process's state is that of a zombie */
        FILE *file = fopen("/proc/self/stat", "re");
        size_t size = file ? fread(state, 1, sizeof state - 1, file) : 0;
        if (file) fclose(file);
        state[size] = 0;
        char *close = strrchr(state, ')');
        if (close && close[1] == ' ' && close[2] == 'Z') break;
        sched_yield();
    }
    for (int i = 0; i < 5; i++) {
        brood_process process;
        int code, in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
        brood_pool pool;
        if (brood_process_start(&process, BY(the_method), answer, &i) < 0) _exit(1);
        if (brood_process_join(process, PATIENCE, &code) < 0 || code != i) _exit(2);
        if (brood_process_free(process) < 0) _exit(3);
        if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = (brood_start_method)the_method}) < 0)
            _exit(4);
        if (brood_pool_map(pool, square, in, out, 8) < 0 || out[7] != 64) _exit(5);
        if (brood_pool_free(pool) < 0) _exit(6);
    }
    _exit(brood_fini() < 0 ? 7 : 55);
}
static int without_main(void *arg)
{
    pthread_t thread;
    the_method = *(int *)arg;
    MUST(brood_init(NULL, NULL) == 0);
    MUST(pthread_create(&thread, NULL, go_on, NULL) == 0);
    pthread_exit(NULL);
    return 1;
}

START_TEST(the_main_thread_ends)
{
    ck_assert_int_eq(scene_run(without_main, &_i), 55);
}
END_TEST

struct things {
    brood_lock lock;
    brood_queue queue;
    brood_event event;
    brood_process process;
    int method, index, failed;
};
static void *use_and_end(void *arg)
{
    struct things *t = arg;
    int value = t->index, got;
    t->failed = 1;
    if (brood_lock_acquire(t->lock, PATIENCE) < 0) return NULL;
    if (brood_queue_put_value(t->queue, &value, PATIENCE) < 0) return NULL;
    if (brood_queue_get_value(t->queue, &got, PATIENCE) < 0 || got != value) return NULL;
    if (brood_lock_release(t->lock) < 0) return NULL;
    if (brood_process_start(&t->process, BY(t->method), answer, &value) < 0) return NULL;
    t->failed = 0;
    return NULL;
}

/* What a thread has started or used outlives it. */
START_TEST(threads_end)
{
    struct things t = {.method = _i};
    OK(brood_lock_new(&t.lock));
    OK(brood_queue_new(&t.queue, NULL));
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        t.index = i;
        ck_assert_int_eq(pthread_create(&thread, NULL, use_and_end, &t), 0);
        pthread_join(thread, NULL);
        ck_assert_int_eq(t.failed, 0);
        ck_assert_int_eq(brood_lock_holder(t.lock), 0);
        ck_assert_int_eq(scene_end(t.process), i);
    }
    OK(brood_lock_acquire(t.lock, 0));
    OK(brood_lock_release(t.lock));
}
END_TEST

static void *hold_and_end(void *arg)
{
    struct things *t = arg;
    t->failed = brood_lock_acquire(t->lock, PATIENCE) < 0;
    return NULL;
}

/* It ended with a lock: as any holder that died, but for its process, which holds on to it, and may give it back. */
START_TEST(a_thread_ends_with_a_lock)
{
    struct things t = {0};
    pthread_t thread;
    OK(brood_lock_new(&t.lock));
    ck_assert_int_eq(pthread_create(&thread, NULL, hold_and_end, &t), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(t.failed, 0);
    int error = brood_lock_acquire(t.lock, 0);
    ck_assert(error == BROOD_EAGAIN || error == BROOD_EOWNERDEAD || error == BROOD_EDEADLK);
    OK(brood_lock_release(t.lock));
    OK(brood_lock_acquire(t.lock, PATIENCE));
    OK(brood_lock_release(t.lock));
}
END_TEST

/* ------------------------------------------------------------------------------------ busy ones */

enum { THREADS = 4, ROUNDS = 200, FIRST = 20 };

static _Atomic int next_round, limit, failures;
static void *make_pools(void *arg)
{
    int in[6] = {1, 2, 3, 4, 5, 6}, out[6];
    (void)arg;
    for (;;) {
        int round = next_round++;
        if (round >= limit) return NULL;
        brood_pool pool;
        brood_process process;
        int code = 0;
        brood_start_method method = round % 4 == 0 ? BROOD_START_SPAWN : BROOD_START_FORKSERVER;
        bool well = brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = method}) == 0;
        well = well && brood_pool_map(pool, square, in, out, 6) == 0 && out[5] == 36;
        well = well && brood_process_start(&process, BY(method), answer, &round) == 0;
        well = well && brood_process_join(process, PATIENCE, &code) == 0 && code == (round & 0xff);
        well = well && brood_process_free(process) == 0;
        if (round % 3) {
            well = well && brood_pool_close(pool) == 0 && brood_pool_join(pool, PATIENCE) == 0;
            well = well && brood_pool_fd(pool) >= 0;
        }
        well = well && brood_pool_free(pool) == 0;
        if (!well) failures++;
    }
}

static void rounds(int until)
{
    pthread_t threads[THREADS];
    limit = until;
    next_round = until == FIRST ? 0 : FIRST;
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, make_pools, NULL), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(failures, 0);
}

/* A slot of a pool keeps its memory for the next: all the slots there are get theirs now, whoever takes which later. */
static void warm_up(void)
{
    enum { MOST = 64 };
    brood_pool pools[MOST];
    OK(brood_pool_new(&pools[0], &(brood_pool_options){.workers = 2}));
    int slots = (int)atomic_load(&brood__arena()->tables[TABLE_POOL].high) - 1;
    ck_assert_int_le(slots, MOST);
    for (int i = 1; i < slots; i++) OK(brood_pool_new(&pools[i], &(brood_pool_options){.workers = 2}));
    for (int i = 0; i < slots; i++) OK(brood_pool_free(pools[i]));
}

/* The supervisor gives back what it has of freed pools when next it is asked for something. */
static void settle(void)
{
    for (int i = 0; i < 2; i++) {
        brood_process process;
        OK(brood_process_start(&process, NULL, answer, &(int){1}));
        ck_assert_int_eq(scene_end(process), 1);
    }
}

START_TEST(busy_threads_leave_nothing)
{
    warm_up();
    rounds(FIRST);
    settle();
    int own = scene_descriptors(getpid()), supervisors = scene_descriptors(scene_supervisor());
    size_t bytes = scene_arena();
    rounds(ROUNDS);
    settle();
    ck_assert_int_eq(scene_descriptors(getpid()), own);
    ck_assert_int_le(scene_descriptors_at_most(scene_supervisor(), supervisors), supervisors);
    ck_assert_uint_eq(scene_arena(), bytes);
}
END_TEST

static Suite *threads_suite(void)
{
    Suite *suite = suite_create("process/threads");
    TCase *ends = brood_test_case(suite, "ends");
    scene_each_method(ends, the_main_thread_ends);
    scene_each_method(ends, threads_end);
    tcase_add_test(ends, a_thread_ends_with_a_lock);
    TCase *busy = brood_test_case(suite, "busy");
    tcase_add_test(busy, busy_threads_leave_nothing);
    return suite;
}

BROOD_TEST_MAIN(threads_suite)
