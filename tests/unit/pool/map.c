/* SPDX-License-Identifier: MIT */
/* Maps: right results, reports, losses, limits; under every start method. */
#include "common.h"

#include <string.h>

BROOD_TASK(square, long, long, x)
{
    return x * x;
}
BROOD_TASK(weigh, double, int, kind, double, mass)
{
    return kind * mass;
}
BROOD_TASK(mark, void, brood_buffer, place)
{
    *(int *)brood_buffer_data(place, NULL) = 1;
}
BROOD_TASK(answer, int, void)
{
    return 42;
}
BROOD_TASK(fail_some, int, int, x)
{
    if (x % 10 == 3) brood_fail(x, "item %d can't be done", x);
    return x + 1;
}
BROOD_TASK(crash_some, long, long, x)
{
    if (x % 5000 == 77) raise(x % 2 ? SIGSEGV : SIGKILL);
    return -x;
}
BROOD_TASK(exit_some, int, int, x)
{
    if (x == 5) _exit(9);
    return x;
}
BROOD_TASK(whose, int, int, x)
{
    return (int)getpid() + 0 * x;
}
BROOD_TASK(nested, int, int, n)
{
    brood_pool pool;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2}) < 0) return -1;
    int in[4] = {n, n, n, n}, out[4] = {0}, sum = 0;
    int error = brood_pool_map(pool, exit_some, in, out, 4);
    brood_pool_free(pool);
    for (int i = 0; i < 4; i++) sum += out[i];
    return error < 0 ? error : sum;
}

START_TEST(results_are_in_place)
{
    brood_pool pool = new_pool(_i, 3);
    static long in[10007], out[10007];
    for (long i = 0; i < 10007; i++) in[i] = i;
    brood_test_ok(brood_pool_map(pool, square, in, out, 10007));
    for (long i = 0; i < 10007; i++) ck_assert_int_eq(out[i], i * i);
    brood_test_ok(brood_pool_map(pool, square, in, out, 1));
    brood_test_ok(brood_pool_map(pool, square, NULL, NULL, 0));
    int answers[5] = {0};
    brood_test_ok(brood_pool_map(pool, answer, NULL, answers, 5));
    for (int i = 0; i < 5; i++) ck_assert_int_eq(answers[i], 42);
    weigh_args scale[3] = {{1, 2}, {2, 4}, {3, 8}};
    double weights[3];
    brood_test_ok(brood_pool_starmap(pool, weigh, scale, weights, 3));
    ck_assert(weights[0] == 2 && weights[1] == 8 && weights[2] == 24);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(arrays_in_buffers_are_not_copied)
{
    brood_pool pool = new_pool(_i, 2);
    brood_buffer a, b, flag;
    void *data, *place;
    brood_test_ok(brood_buffer_new(&a, 1000 * sizeof(long), &data));
    long *in = data;
    brood_test_ok(brood_buffer_new(&b, 1000 * sizeof(long), &data));
    long *out = data;
    for (long i = 0; i < 1000; i++) in[i] = i;
    brood_test_ok(brood_pool_map(pool, square, in, out, 1000));
    for (long i = 0; i < 1000; i++) ck_assert_int_eq(out[i], i * i);
    brood_test_ok(brood_buffer_new(&flag, sizeof(int), &place));
    *(int *)place = 0;
    brood_test_ok(brood_pool_map(pool, mark, &flag, NULL, 1));
    ck_assert_int_eq(*(int *)place, 1);
    brood_test_ok(brood_buffer_free(flag));
    brood_test_ok(brood_buffer_free(a));
    brood_test_ok(brood_buffer_free(b));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* The memory that the next map gets is full of something. */
static void soil_memory(void)
{
    brood_buffer buffer;
    void *data;
    brood_test_ok(brood_buffer_new(&buffer, 1 << 20, &data));
    memset(data, 0x55, 1 << 20);
    brood_test_ok(brood_buffer_free(buffer));
}

START_TEST(failures_are_reported)
{
    soil_memory();
    brood_pool pool = new_pool(_i, 2);
    int in[100], out[100], codes[100];
    for (int i = 0; i < 100; i++) in[i] = i;
    brood_report report;
    int error = brood_pool_map_with(pool, fail_some, in, out, 100, .report = &report, .codes = codes);
    ck_assert_int_eq(error, BROOD_EFAILED);
    ck_assert_uint_eq(report.done, 90);
    ck_assert_uint_eq(report.failed, 10);
    ck_assert_uint_eq(report.lost, 0);
    ck_assert_uint_eq(report.first_failed.id, 3);
    ck_assert_int_eq(report.first_failed.fail, 3);
    ck_assert_str_eq(report.first_failed.text, "item 3 can't be done");
    ck_assert(strstr(brood_error_detail(), "item 3 can't be done"));
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(codes[i], i % 10 == 3 ? BROOD_EFAILED : 0);
        ck_assert_int_eq(out[i], i % 10 == 3 ? 0 : i + 1);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_crash_costs_one_item)
{
    enum { N = 100000 };
    soil_memory();
    brood_pool pool = new_pool(_i, 4);
    static long in[N], out[N];
    static int codes[N];
    for (long i = 0; i < N; i++) in[i] = i;
    brood_report report;
    int error = brood_pool_map_with(pool, crash_some, in, out, N, .report = &report, .codes = codes);
    ck_assert_int_eq(error, BROOD_ELOST);
    ck_assert_uint_eq(report.lost, 20);
    ck_assert_uint_eq(report.done, N - 20);
    ck_assert_uint_eq(report.first_lost.id, 77);
    ck_assert_int_eq(report.first_lost.signal, SIGSEGV);
    ck_assert_int_gt(report.first_lost.pid, 0);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], i % 5000 == 77 ? BROOD_ELOST : 0);
        ck_assert_int_eq(out[i], i % 5000 == 77 ? 0 : -i);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(an_exit_is_a_loss_with_its_code)
{
    brood_pool pool = new_pool(_i, 2);
    int in[8] = {0, 1, 2, 3, 4, 5, 6, 7}, out[8];
    brood_report report;
    ck_assert_int_eq(brood_pool_map_with(pool, exit_some, in, out, 8, .report = &report), BROOD_ELOST);
    ck_assert_uint_eq(report.lost, 1);
    ck_assert_uint_eq(report.first_lost.id, 5);
    ck_assert_int_eq(report.first_lost.signal, 0);
    ck_assert_int_eq(report.first_lost.status, 9);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_child_runs_as_many_items_as_it_may)
{
    brood_pool pool;
    brood_pool_options options = {.workers = 2, .method = methods[_i], .max_tasks_per_child = 3};
    brood_test_ok(brood_pool_new(&pool, &options));
    int in[30] = {0}, pids[30];
    brood_test_ok(brood_pool_map(pool, whose, in, pids, 30));
    for (int i = 0; i < 30; i++) {
        int count = 0;
        for (int j = 0; j < 30; j++) count += pids[j] == pids[i];
        ck_assert_int_le(count, 3);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(maps_overlap)
{
    brood_pool pool = new_pool(_i, 2);
    static long in[8][500], out[8][500];
    brood_map maps[8];
    for (int m = 0; m < 8; m++) {
        for (long i = 0; i < 500; i++) in[m][i] = m * 1000 + i;
        brood_test_ok(brood_pool_map_async(pool, &maps[m], square, in[m], out[m], 500));
    }
    for (int m = 7; m >= 0; m--) {
        brood_test_ok(brood_map_wait(maps[m], BROOD_FOREVER, NULL));
        for (long i = 0; i < 500; i++) ck_assert_int_eq(out[m][i], in[m][i] * in[m][i]);
        ck_assert_int_eq(brood_map_wait(maps[m], 0, NULL), BROOD_ESTALE);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(pools_nest)
{
    brood_set_start_method(methods[_i]);
    brood_pool pool = new_pool(_i, 2);
    int in[2] = {1, 2}, out[2] = {0};
    brood_test_ok(brood_pool_map(pool, nested, in, out, 2));
    ck_assert_int_eq(out[0], 4);
    ck_assert_int_eq(out[1], 8);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

BROOD_TASK(wait_for_it, int, brood_event, event, int, x)
{
    if (x) brood_event_wait(event, BROOD_FOREVER);
    return x + 7;
}

/* Of a chunk that is under way, too, what has ended counts. */
START_TEST(what_timed_out_is_told)
{
    for (unsigned chunk = 1; chunk <= 4; chunk += 3) {
        brood_pool pool = new_pool(_i, 1);
        brood_report report = {0};
        int out[4], codes[4];
        for (int timeout = 100; report.done == 0; timeout *= 2) { /* until the worker comes to it in time */
            soil_memory();
            brood_event event;
            ck_assert_int_lt(timeout, 30000);
            brood_test_ok(brood_event_new(&event));
            wait_for_it_args in[4] = {{event, 0}, {event, 1}, {event, 2}, {event, 3}};
            memset(out, 0x55, sizeof out);
            ck_assert_int_eq(brood_pool_map_with(pool, wait_for_it, in, out, 4, .chunk = chunk, .timeout = timeout,
                                                 .report = &report, .codes = codes),
                             BROOD_ETIMEDOUT);
            brood_test_ok(brood_event_set(event)); /* the worker is free for the next */
        }
        ck_assert_uint_eq(report.done, 1);
        ck_assert_uint_eq(report.lost + report.failed, 0);
        ck_assert_int_eq(codes[0], 0);
        ck_assert_int_eq(out[0], 7);
        for (int i = 1; i < 4; i++) ck_assert_int_eq(out[i], 0);
        for (int i = 1; i < 4; i++) ck_assert_int_eq(codes[i], BROOD_ECANCELED);
        brood_test_ok(brood_pool_free(pool));
    }
}
END_TEST

START_TEST(bad_input_is_refused)
{
    brood_pool pool, never;
    ck_assert_int_eq(brood_pool_new(&never, &(brood_pool_options){.workers = 5000}), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_new(&never, &(brood_pool_options){.name = "a name of more than twenty bytes"}),
                     BROOD_EINVAL);
    brood_test_ok(brood_pool_new(&pool, NULL));
    long in[2] = {1, 2}, out[2];
    ck_assert_int_eq(brood_pool_map_task(pool, BROOD_TASK_OF(square), NULL, out, 2, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_map_task(pool, BROOD_TASK_OF(square), in, NULL, 2, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_map_task(pool, NULL, in, out, 2, NULL), BROOD_ETASK);
    ck_assert_int_eq(brood_pool_map((brood_pool){0}, square, in, out, 2), BROOD_ESTALE);
    ck_assert_int_eq(brood_pool_map((brood_pool){pool.id + 1}, square, in, out, 2), BROOD_ESTALE);
    ck_assert_int_eq(brood_pool_join(pool, 0), BROOD_EINVAL);
    brood_test_ok(brood_pool_free(pool));
    ck_assert_int_eq(brood_pool_free(pool), BROOD_ESTALE);
    ck_assert_int_eq(brood_pool_map(pool, square, in, out, 2), BROOD_ESTALE);
}
END_TEST

static Suite *map_suite(void)
{
    Suite *suite = suite_create("map");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, results_are_in_place, 0, METHODS);
    tcase_add_loop_test(each, arrays_in_buffers_are_not_copied, 0, METHODS);
    tcase_add_loop_test(each, failures_are_reported, 0, METHODS);
    tcase_add_loop_test(each, a_crash_costs_one_item, 0, 3);
    tcase_add_loop_test(each, an_exit_is_a_loss_with_its_code, 0, 3);
    tcase_add_loop_test(each, a_child_runs_as_many_items_as_it_may, 0, 3);
    tcase_add_loop_test(each, maps_overlap, 0, METHODS);
    tcase_add_loop_test(each, pools_nest, 0, 3);
    tcase_add_loop_test(each, what_timed_out_is_told, 0, METHODS);
    TCase *once = brood_test_case(suite, "errors");
    tcase_add_test(once, bad_input_is_refused);
    return suite;
}

BROOD_TEST_MAIN(map_suite)
