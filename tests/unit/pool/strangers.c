/* SPDX-License-Identifier: MIT */
/* A map of 100,000 items while strangers send SIGKILL: to workers, to the supervisor, to the template. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { N = 100000 };
static long in[N], out[N];
static int codes[N];

BROOD_TASK(slowly, long, long, x)
{
    volatile long turns = 300; /* some microseconds, so that kills fall into the map */
    while (turns) turns = turns - 1;
    return x + 1;
}

/* The stranger: a process of its own that knows pids only.  It kills `kills` workers, one after each sign of life. */
struct stranger {
    brood_pool pool;
    int kills;
    atomic_int stop;
};

static void *kill_workers(void *argument)
{
    struct stranger *s = argument;
    unsigned turn = 0;
    while (!atomic_load(&s->stop)) {
        brood_worker workers[8];
        int n = brood_pool_workers(s->pool, workers, 8);
        if (n > 0 && kill(workers[turn++ % (unsigned)n].pid, SIGKILL) == 0) s->kills++;
        for (int i = 0; i < 200 && !atomic_load(&s->stop); i++) sched_yield();
    }
    return NULL;
}

static void check_all(const brood_report *report)
{
    size_t lost = 0;
    for (long i = 0; i < N; i++) {
        ck_assert(codes[i] == 0 || codes[i] == BROOD_ELOST);
        lost += codes[i] != 0;
        if (codes[i] == 0) ck_assert_int_eq(out[i], i + 1);
    }
    ck_assert_uint_eq(report->lost, lost);
    ck_assert_uint_eq(report->done, N - lost);
    ck_assert_uint_eq(report->failed, 0);
}

START_TEST(workers_are_killed_throughout)
{
    brood_pool pool = new_pool(_i, 4);
    for (long i = 0; i < N; i++) in[i] = i;
    struct stranger stranger = {.pool = pool};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, kill_workers, &stranger), 0);
    brood_report report;
    int error = brood_pool_map_with(pool, slowly, in, out, N, .report = &report, .codes = codes);
    atomic_store(&stranger.stop, 1);
    pthread_join(thread, NULL);
    ck_assert_msg(error == 0 || error == BROOD_ELOST, "%s: %s", brood_error_name(error), brood_error_detail());
    check_all(&report);
    ck_assert_uint_le(report.lost, (size_t)stranger.kills);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(the_supervisor_is_killed)
{
    brood_pool pool = new_pool(_i, 4);
    for (long i = 0; i < N; i++) in[i] = i;
    brood_test_ok(brood_pool_map(pool, slowly, in, out, 4));
    for (int turn = 0; turn < 2; turn++) {
        brood_map map;
        brood_map_options options = {.codes = codes};
        brood_report report;
        brood_test_ok(brood_pool_map_async_task(pool, &map, BROOD_TASK_OF(slowly), in, out, N, &options));
        /* The one that was killed last time is replaced when a sleeper's slow tick or a start finds out. */
        pid_t supervisor = 0;
        while (supervisor == 0) supervisor = find_process("brood-supervisor"); /* the test has a time limit */
        ck_assert_int_gt(supervisor, 0);
        ck_assert_int_eq(kill(supervisor, SIGKILL), 0);
        int error = brood_map_wait(map, BROOD_FOREVER, &report);
        ck_assert_msg(error == 0 || error == BROOD_ELOST, "%s: %s", brood_error_name(error), brood_error_detail());
        check_all(&report);
        /* and a worker's death still costs one item only */
        brood_test_ok(brood_pool_map_async_task(pool, &map, BROOD_TASK_OF(slowly), in, out, N, &options));
        brood_worker workers[4];
        if (brood_pool_workers(pool, workers, 4) > 0) kill(workers[0].pid, SIGKILL);
        error = brood_map_wait(map, BROOD_FOREVER, &report);
        ck_assert_msg(error == 0 || error == BROOD_ELOST, "%s: %s", brood_error_name(error), brood_error_detail());
        check_all(&report);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *strangers_suite(void)
{
    Suite *suite = suite_create("strangers");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_set_timeout(each, 60);
    tcase_add_loop_test(each, workers_are_killed_throughout, 0, 3);
    tcase_add_loop_test(each, the_supervisor_is_killed, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(strangers_suite)
