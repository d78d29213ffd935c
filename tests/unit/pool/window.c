/* SPDX-License-Identifier: MIT */
/* Maps of large arrays of the caller's own, which pass through a window (made small here); under every start method. */
#include "common.h"

#include "pool/window.h"

#include <pthread.h>
#include <string.h>

enum { N = 2000 };

struct pair {
    long a, b;
};

BROOD_TASK(square, long, long, x)
{
    return x * x;
}
BROOD_TASK(widen, struct pair, long, x)
{
    return (struct pair){x, -x};
}
BROOD_TASK(narrow, long, struct pair, x)
{
    return x.a - x.b;
}
BROOD_TASK(count_up, long, void)
{
    return 5;
}
BROOD_TASK(fail_some, long, long, x)
{
    if (x % 100 == 3) brood_fail((int)x, "item %ld can't be done", x);
    return x + 1;
}
BROOD_TASK(crash_some, long, long, x)
{
    if (x % 500 == 77) raise(SIGKILL);
    return -x;
}
BROOD_TASK(wait_for_it, long, brood_event, event, long, x)
{
    if (x == 40) brood_event_wait(event, BROOD_FOREVER);
    return x + 7;
}

static long in[N], out[N];
static struct pair pairs[N];
static int codes[N];

static void begin(void)
{
    brood__window_size = (struct window_size){.slot_bytes = 256, .slots = 3, .per_worker = 1, .least = 2};
    for (long i = 0; i < N; i++) {
        in[i] = i;
        out[i] = 77;
    }
}

START_TEST(results_are_right)
{
    begin();
    brood_pool pool = new_pool(_i, 2);
    for (long n = N - 3; n <= N; n++) {
        memset(out, 1, sizeof out);
        brood_test_ok(brood_pool_map(pool, square, in, out, (size_t)n));
        for (long i = 0; i < n; i++) ck_assert_int_eq(out[i], i * i);
    }
    for (unsigned chunk = 1; chunk < 20; chunk += 6) {
        memset(out, 1, sizeof out);
        brood_test_ok(brood_pool_map_with(pool, square, in, out, N, .chunk = chunk));
        for (long i = 0; i < N; i++) ck_assert_int_eq(out[i], i * i);
    }
    brood_test_ok(brood_pool_map(pool, count_up, NULL, out, N));
    for (long i = 0; i < N; i++) ck_assert_int_eq(out[i], 5);
    brood_test_ok(brood_pool_map(pool, widen, in, pairs, N));
    for (long i = 0; i < N; i++) ck_assert(pairs[i].a == i && pairs[i].b == -i);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Results where the arguments are, or in the middle of them: as if all had been copied before. */
START_TEST(arrays_may_be_the_same)
{
    begin();
    brood_pool pool = new_pool(_i, 2);
    brood_test_ok(brood_pool_map(pool, square, in, in, N));
    for (long i = 0; i < N; i++) ck_assert_int_eq(in[i], i * i);
    brood_test_ok(brood_pool_map(pool, square, in, in + 1, N / 2));
    for (long i = 0; i < N / 2; i++) ck_assert_int_eq(in[i + 1], i * i * i * i);
    for (long i = 0; i < N; i++) pairs[i] = (struct pair){i, -i};
    brood_test_ok(brood_pool_map(pool, narrow, pairs, (long *)(void *)pairs, N));
    for (long i = 0; i < N; i++) ck_assert_int_eq(((const long *)(const void *)pairs)[i], 2 * i);
    long *wide = (long *)(void *)pairs;
    for (long i = 0; i < N; i++) wide[i] = i;
    brood_test_ok(brood_pool_map(pool, widen, wide, pairs, N));
    for (long i = 0; i < N; i++) ck_assert(pairs[i].a == i && pairs[i].b == -i);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(failures_are_reported)
{
    begin();
    brood_pool pool = new_pool(_i, 2);
    brood_report report;
    int error = brood_pool_map_with(pool, fail_some, in, out, N, .report = &report, .codes = codes);
    ck_assert_int_eq(error, BROOD_EFAILED);
    ck_assert_uint_eq(report.done, N - N / 100);
    ck_assert_uint_eq(report.failed, N / 100);
    ck_assert_uint_eq(report.first_failed.id, 3);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], i % 100 == 3 ? BROOD_EFAILED : 0);
        ck_assert_int_eq(out[i], i % 100 == 3 ? 0 : i + 1);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_crash_costs_one_item)
{
    begin();
    brood_pool pool = new_pool(_i, 3);
    brood_report report;
    int error = brood_pool_map_with(pool, crash_some, in, out, N, .report = &report, .codes = codes);
    ck_assert_int_eq(error, BROOD_ELOST);
    ck_assert_uint_eq(report.lost, N / 500);
    ck_assert_uint_eq(report.done, N - N / 500);
    ck_assert_uint_eq(report.first_lost.id, 77);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], i % 500 == 77 ? BROOD_ELOST : 0);
        ck_assert_int_eq(out[i], i % 500 == 77 ? 0 : -i);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(workers_are_replaced)
{
    begin();
    brood_pool pool;
    brood_pool_options options = {.workers = 2, .method = methods[_i], .max_tasks_per_child = 599};
    brood_test_ok(brood_pool_new(&pool, &options));
    brood_test_ok(brood_pool_map(pool, square, in, out, N));
    for (long i = 0; i < N; i++) ck_assert_int_eq(out[i], i * i);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* One item that does not end keeps its slot, and no more; what has ended counts. */
START_TEST(what_timed_out_is_told)
{
    begin();
    static wait_for_it_args args[N];
    brood_event event;
    brood_report report = {0};
    brood_test_ok(brood_event_new(&event));
    for (long i = 0; i < N; i++) args[i] = (wait_for_it_args){event, i};
    for (int timeout = 100; report.done < N - 20; timeout *= 2) { /* until the workers come to the end in time */
        brood_pool pool = new_pool(_i, 2);
        memset(out, 1, sizeof out);
        int error = brood_pool_starmap_with(pool, wait_for_it, args, out, N, .timeout = timeout, .report = &report);
        ck_assert_int_eq(error, BROOD_ETIMEDOUT);
        unsigned done = 0;
        for (long i = 0; i < N; i++) {
            ck_assert(out[i] == 0 || out[i] == i + 7);
            done += out[i] != 0;
        }
        ck_assert_uint_eq(done, report.done);
        ck_assert_int_eq(out[40], 0);
        brood_test_ok(brood_pool_terminate(pool));
        brood_pool_join(pool, BROOD_FOREVER);
        brood_test_ok(brood_pool_free(pool));
    }
    brood_test_ok(brood_event_free(event));
}
END_TEST

/* Another thread ends the pool, or closes it, while an item is under way. */
BROOD_TASK(say_and_wait, long, brood_event, begun, brood_event, over, long, x)
{
    if (x == 40) {
        brood_event_set(begun);
        brood_event_wait(over, BROOD_FOREVER);
    }
    return x + 7;
}

struct caller {
    brood_pool pool;
    say_and_wait_args *args;
    brood_report report;
    int result;
};

static void *maps(void *of)
{
    struct caller *c = of;
    c->result = brood_pool_starmap_with(c->pool, say_and_wait, c->args, out, N, .report = &c->report);
    return NULL;
}

START_TEST(another_ends_the_pool)
{
    begin();
    enum { CLOSE, TERMINATE, FREE };
    int way = _i / PROCESSES;
    static say_and_wait_args args[N];
    brood_event begun, over;
    pthread_t thread;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_event_new(&over));
    for (long i = 0; i < N; i++) args[i] = (say_and_wait_args){begun, over, i};
    struct caller c = {.pool = new_pool(_i % PROCESSES, 2), .args = args};
    ck_assert_int_eq(pthread_create(&thread, NULL, maps, &c), 0);
    brood_test_ok(brood_event_wait(begun, BROOD_FOREVER));
    if (way == CLOSE) brood_test_ok(brood_pool_close(c.pool));
    if (way == CLOSE) brood_test_ok(brood_event_set(over));
    if (way == TERMINATE) brood_test_ok(brood_pool_terminate(c.pool));
    if (way == FREE) brood_test_ok(brood_pool_free(c.pool));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(c.result, way == CLOSE ? 0 : BROOD_ECANCELED);
    size_t done = 0;
    for (long i = 0; i < N; i++) {
        ck_assert(out[i] == 0 || out[i] == i + 7);
        done += out[i] != 0;
    }
    ck_assert_uint_eq(done, c.report.done);
    if (way == CLOSE) ck_assert_uint_eq(done, N);
    if (way == CLOSE) brood_test_ok(brood_pool_join(c.pool, BROOD_FOREVER));
    if (way != FREE) brood_test_ok(brood_pool_free(c.pool));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(over));
}
END_TEST

static Suite *window_suite(void)
{
    Suite *suite = suite_create("window");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, results_are_right, 0, METHODS);
    tcase_add_loop_test(each, arrays_may_be_the_same, 0, METHODS);
    tcase_add_loop_test(each, failures_are_reported, 0, METHODS);
    tcase_add_loop_test(each, a_crash_costs_one_item, 0, PROCESSES);
    tcase_add_loop_test(each, workers_are_replaced, 0, PROCESSES);
    tcase_add_loop_test(each, what_timed_out_is_told, 0, PROCESSES);
    tcase_add_loop_test(each, another_ends_the_pool, 0, 3 * PROCESSES);
    return suite;
}

BROOD_TEST_MAIN(window_suite)
