/* SPDX-License-Identifier: MIT */
/* Submitted tasks and their futures, and the life of a pool; under every start method. */
#include "common.h"

#include <poll.h>
#include <string.h>

BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
BROOD_TASK(crash, int, int, signal)
{
    return raise(signal);
}
BROOD_TASK(refuse, int, int, code)
{
    brood_fail(code, "will not do %d", code);
    return 1;
}
BROOD_TASK(shout, brood_bytes, brood_bytes, text)
{
    char *loud = brood_alloc(text.size + 1);
    for (size_t i = 0; i < text.size; i++) loud[i] = (char)(((const char *)text.data)[i] - 'a' + 'A');
    return (brood_bytes){loud, text.size};
}
struct block {
    char bytes[5000];
};
BROOD_TASK(echo, struct block, struct block, block)
{
    return block;
}
BROOD_TASK(resubmit, int, brood_pool, pool, int, x)
{
    brood_future future;
    if (brood_pool_submit(pool, &future, twice, &x) < 0) return -1;
    brood_future_free(future);
    return x;
}

static int initialized;
BROOD_TASK(initialize, void, int, value)
{
    initialized = value;
}
BROOD_TASK(is_initialized, int, void)
{
    return initialized;
}
BROOD_TASK(fail_to_initialize, void, int, value)
{
    brood_fail(value, "no");
}

START_TEST(futures_answer)
{
    brood_pool pool = new_pool(_i, 2);
    enum { N = 1000 };
    brood_future futures[N];
    for (int i = 0; i < N; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], twice, &i));
    for (int i = N - 1; i >= 0; i--) {
        int result = -1;
        brood_outcome outcome;
        brood_test_ok(brood_future_get(futures[i], &result, BROOD_FOREVER, &outcome));
        ck_assert_int_eq(result, 2 * i);
        ck_assert_int_eq(outcome.attempt, 1);
        ck_assert_int_eq(brood_future_done(futures[i]), 1);
        brood_test_ok(brood_future_free(futures[i]));
        ck_assert_int_eq(brood_future_get(futures[i], &result, 0, NULL), BROOD_ESTALE);
        ck_assert_int_eq(brood_future_free(futures[i]), BROOD_ESTALE);
    }
    int result, seven = 7;
    brood_test_ok(brood_pool_apply(pool, twice, &seven, &result));
    ck_assert_int_eq(result, 14);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(bytes_of_any_length)
{
    brood_pool pool = new_pool(_i, 2);
    static char text[300000];
    memset(text, 'q', sizeof text);
    for (size_t size = 0; size <= sizeof text; size = size * 3 + 1) {
        brood_future future;
        brood_bytes bytes = {text, size}, loud;
        brood_test_ok(brood_pool_submit(pool, &future, shout, &bytes));
        brood_test_ok(brood_future_bytes(future, &loud, BROOD_FOREVER, NULL));
        ck_assert_uint_eq(loud.size, size);
        for (size_t i = 0; i < size; i++) ck_assert_int_eq(((const char *)loud.data)[i], 'Q');
        brood_test_ok(brood_future_free(future));
    }
    struct block in, out;
    memset(&in, 5, sizeof in);
    brood_test_ok(brood_pool_apply(pool, echo, &in, &out));
    ck_assert_int_eq(memcmp(&in, &out, sizeof in), 0);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_crash_costs_one_task)
{
    brood_pool pool = new_pool(_i, 2);
    brood_future futures[40];
    int segv = SIGSEGV, kill9 = SIGKILL;
    for (int i = 0; i < 40; i++) {
        if (i % 4 == 1)
            brood_test_ok(brood_pool_submit(pool, &futures[i], crash, i % 8 == 1 ? &segv : &kill9));
        else
            brood_test_ok(brood_pool_submit(pool, &futures[i], twice, &i));
    }
    for (int i = 0; i < 40; i++) {
        int result = -1;
        brood_outcome outcome;
        int error = brood_future_get(futures[i], &result, BROOD_FOREVER, &outcome);
        if (i % 4 == 1) {
            ck_assert_int_eq(error, BROOD_ELOST);
            ck_assert_int_eq(outcome.signal, i % 8 == 1 ? SIGSEGV : SIGKILL);
            ck_assert_uint_eq(outcome.id, futures[i].serial);
        } else {
            ck_assert_int_eq(error, 0);
            ck_assert_int_eq(result, 2 * i);
        }
        brood_test_ok(brood_future_free(futures[i]));
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_failure_has_a_text)
{
    brood_pool pool = new_pool(_i, 1);
    int code = 17, result = 5;
    brood_outcome outcome;
    ck_assert_int_eq(brood_pool_apply_with(pool, refuse, &code, &result, .outcome = &outcome), BROOD_EFAILED);
    ck_assert_int_eq(outcome.fail, 17);
    ck_assert_str_eq(outcome.text, "will not do 17");
    ck_assert_int_eq(result, 5);
    ck_assert(strstr(brood_error_detail(), "will not do 17"));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(timeouts_and_cancelling)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    brood_future first, queued, orphan;
    int result, one = 1;
    brood_test_ok(brood_pool_submit(pool, &first, wait_for, &event));
    brood_test_ok(brood_pool_submit(pool, &queued, twice, &one));
    brood_test_ok(brood_pool_submit(pool, &orphan, wait_for, &event));
    ck_assert_int_eq(brood_future_get(first, &result, 0, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(brood_future_get(first, &result, 20, NULL), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_future_done(queued), 0);
    brood_test_ok(brood_future_free(queued)); /* cancelled: it never runs */
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_future_get(first, &result, BROOD_FOREVER, NULL));
    brood_test_ok(brood_future_free(first));
    brood_test_ok(brood_future_free(orphan)); /* it may run, and nobody gets its result */
    brood_test_ok(brood_pool_apply(pool, twice, &one, &result));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

START_TEST(close_finishes_and_terminate_cancels)
{
    brood_pool pool = new_pool(_i, 2);
    brood_future futures[50];
    int result, one = 1;
    for (int i = 0; i < 50; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], twice, &i));
    brood_test_ok(brood_pool_close(pool));
    brood_future refused;
    ck_assert_int_eq(brood_pool_submit(pool, &refused, twice, &one), BROOD_ECLOSED);
    brood_test_ok(brood_pool_join(pool, BROOD_FOREVER));
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 0);
    for (int i = 0; i < 50; i++) {
        brood_test_ok(brood_future_get(futures[i], &result, 0, NULL));
        ck_assert_int_eq(result, 2 * i);
    }
    brood_test_ok(brood_pool_free(pool));

    if (_i >= PROCESSES) return; /* a thread that waits for ever is not ended */
    pool = new_pool(_i, 1);
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    for (int i = 0; i < 3; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], wait_for, &event));
    brood_test_ok(brood_pool_terminate(pool));
    brood_test_ok(brood_pool_join(pool, BROOD_FOREVER));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(brood_future_get(futures[i], &result, BROOD_FOREVER, NULL), BROOD_ECANCELED);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

START_TEST(workers_are_initialized)
{
    brood_pool pool;
    int value = 31, result, none;
    brood_pool_options options = {.workers = 2,
                                  .method = methods[_i],
                                  .max_tasks_per_child = _i < PROCESSES ? 1 : 0,
                                  .initializer = BROOD_TASK_OF(initialize),
                                  .initializer_arg = &value};
    brood_test_ok(brood_pool_new(&pool, &options));
    for (int i = 0; i < 6; i++) {
        brood_test_ok(brood_pool_apply(pool, is_initialized, NULL, &result));
        ck_assert_int_eq(result, 31);
    }
    brood_test_ok(brood_pool_free(pool));
    options.initializer = BROOD_TASK_OF(fail_to_initialize);
    brood_test_ok(brood_pool_new(&pool, &options));
    ck_assert_int_eq(brood_pool_apply(pool, is_initialized, NULL, &none), BROOD_EINIT);
    ck_assert_str_eq(brood_error_detail(), "fail_to_initialize: no (31)");
    ck_assert_int_eq(brood_pool_map(pool, is_initialized, NULL, &none, 1), BROOD_EINIT);
    ck_assert_str_eq(brood_error_detail(), "fail_to_initialize: no (31)");
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Whoever is told that workers can't start is told all of it: the future is decided then. */
BROOD_TASK(crash_at_once, void)
{
    raise(SIGSEGV);
}
START_TEST(an_initializer_crashes)
{
    brood_pool_options options = {.workers = 2, .method = methods[_i], .initializer = BROOD_TASK_OF(crash_at_once)};
    for (int round = 0; round < 8; round++) {
        brood_pool pool;
        brood_future future;
        brood_test_ok(brood_pool_new(&pool, &options));
        brood_map map;
        brood_report report = {.done = 9};
        int in[2] = {1, 2}, out[2] = {7, 7}, codes[2] = {7, 7};
        int begun = brood_pool_map_async_with(pool, &map, twice, in, out, 2, .codes = codes);
        int submitted = brood_pool_submit(pool, &future, twice, &round);
        if (submitted == 0) {
            brood_outcome outcome;
            memset(&outcome, 0x55, sizeof outcome);
            ck_assert_int_eq(brood_future_get(future, NULL, BROOD_FOREVER, &outcome), BROOD_ESTART);
            ck_assert_int_eq(outcome.code, BROOD_ESTART);
            ck_assert_int_eq(outcome.reason, BROOD_REASON_START_FAILED);
            ck_assert_int_eq(brood_future_done(future), 1);
            ck_assert_int_eq(brood_future_state(future), BROOD_TASK_DONE);
            brood_test_ok(brood_future_free(future));
        }
        if (begun == 0) { /* it had not broken yet */
            ck_assert_int_eq(brood_map_wait(map, BROOD_FOREVER, &report), BROOD_ESTART);
            ck_assert_uint_eq(report.done + report.failed + report.lost, 0);
            for (int i = 0; i < 2; i++) ck_assert(out[i] == 0 && codes[i] == BROOD_ECANCELED);
        }
        int result, again = brood_pool_apply(pool, twice, &round, &result);
        ck_assert_int_eq(again, BROOD_ESTART);
        ck_assert_str_eq(brood_error_detail(),
                         "workers end before their first task, the last one killed by signal 11 (Segmentation fault)");
        brood_test_ok(brood_pool_free(pool));
    }
}
END_TEST

START_TEST(reasons_have_names)
{
    ck_assert_str_eq(brood_reason_name(BROOD_REASON_RESULT), "result");
    ck_assert_str_eq(brood_reason_name(BROOD_REASON_SOFT_DEADLINE), "soft deadline");
    ck_assert_str_eq(brood_reason_name(BROOD_REASON_QUARANTINED), "quarantined");
    ck_assert_str_eq(brood_reason_name((brood_reason)(BROOD_REASON_QUARANTINED + 1)), "unknown");
    ck_assert_str_eq(brood_reason_name((brood_reason)-1), "unknown");
}
END_TEST

START_TEST(answers_arrive_on_a_descriptor)
{
    brood_pool pool = new_pool(_i, 2);
    int fd = brood_pool_fd(pool), left = 200;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(brood_pool_fd(pool), fd);
    brood_future futures[200];
    bool open[200];
    for (int i = 0; i < 200; i++) {
        brood_test_ok(brood_pool_submit(pool, &futures[i], twice, &i));
        open[i] = true;
    }
    while (left) {
        ck_assert_int_ge(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
        for (int i = 0; i < 200; i++) {
            int result;
            if (!open[i]) continue;
            int error = brood_future_get(futures[i], &result, 0, NULL);
            if (error == BROOD_EAGAIN) continue;
            ck_assert_int_eq(error, 0);
            ck_assert_int_eq(result, 2 * i);
            brood_test_ok(brood_future_free(futures[i]));
            open[i] = false;
            left--;
        }
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_task_may_submit)
{
    brood_pool pool = new_pool(_i, 2);
    for (int i = 0; i < 50; i++) {
        resubmit_args args = {pool, i};
        int result;
        brood_test_ok(brood_pool_apply(pool, resubmit, &args, &result));
        ck_assert_int_eq(result, i);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(the_window_is_bounded)
{
    brood_pool pool;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .max_pending = 64}));
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    brood_future futures[65], more;
    for (int i = 0; i < 64; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], wait_for, &event));
    ck_assert_int_eq(brood_pool_submit(pool, &more, wait_for, &event), BROOD_EAGAIN);
    brood_test_ok(brood_event_set(event));
    for (int i = 0; i < 64; i++) {
        int result;
        brood_test_ok(brood_future_get(futures[i], &result, BROOD_FOREVER, NULL));
        brood_test_ok(brood_future_free(futures[i]));
    }
    brood_test_ok(brood_pool_submit(pool, &more, wait_for, &event));
    brood_test_ok(brood_future_free(more));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

static Suite *submit_suite(void)
{
    Suite *suite = suite_create("submit");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, futures_answer, 0, METHODS);
    tcase_add_loop_test(each, bytes_of_any_length, 0, METHODS);
    tcase_add_loop_test(each, a_crash_costs_one_task, 0, 3);
    tcase_add_loop_test(each, a_failure_has_a_text, 0, METHODS);
    tcase_add_loop_test(each, timeouts_and_cancelling, 0, METHODS);
    tcase_add_loop_test(each, close_finishes_and_terminate_cancels, 0, METHODS);
    tcase_add_loop_test(each, workers_are_initialized, 0, METHODS);
    tcase_add_loop_test(each, an_initializer_crashes, 0, 3);
    tcase_add_test(each, reasons_have_names);
    tcase_add_loop_test(each, answers_arrive_on_a_descriptor, 0, METHODS);
    tcase_add_loop_test(each, a_task_may_submit, 0, METHODS);
    TCase *once = brood_test_case(suite, "limits");
    tcase_add_test(once, the_window_is_bounded);
    return suite;
}

BROOD_TEST_MAIN(submit_suite)
