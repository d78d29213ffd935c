/* SPDX-License-Identifier: MIT */
/* Deadlines, cancellation, tasks that run again, tasks that may not. */
#include "common.h"

#include "arena/arena.h"

#include <poll.h>
#include <string.h>
#include <time.h>

enum { PATIENCE = 20000 };

BROOD_TASK(never_ends, int, brood_event, begun)
{
    brood_event_set(begun);
    for (;;) poll(NULL, 0, 1000);
}
BROOD_TASK(ends_when_told, int, brood_event, begun)
{
    brood_event_set(begun);
    while (!brood_task_stopping()) poll(NULL, 0, 1);
    brood_fail(7, "told to stop");
    return 0;
}
BROOD_TASK(finishes_all_the_same, int, brood_event, begun)
{
    brood_event_set(begun);
    while (!brood_task_stopping()) poll(NULL, 0, 1);
    return 42;
}
BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
/* Dies in its first `deaths` runs. */
BROOD_TASK(dies_at_first, int, brood_buffer, runs, int, deaths)
{
    int *count = brood_buffer_data(runs, NULL);
    if (++*count <= deaths) raise(*count % 2 ? SIGSEGV : SIGKILL);
    return *count;
}

static brood_event new_event(void)
{
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    return event;
}

static pid_t supervisor(void)
{
    return atomic_load(&brood__arena()->supervisor.pid);
}

/* The pool goes on. */
static void goes_on(brood_pool pool)
{
    int y = 0;
    brood_test_ok(brood_pool_apply(pool, twice, &(int){21}, &y));
    ck_assert_int_eq(y, 42);
}

START_TEST(a_worker_is_killed_at_the_deadline)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun = new_event();
    brood_future future;
    brood_outcome outcome;
    int result;
    for (int i = 0; i < 3; i++) {
        brood_test_ok(brood_pool_submit_with(pool, &future, never_ends, &begun, .deadline = 20));
        ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, &outcome), BROOD_EDEADLINE);
        ck_assert_int_eq(outcome.code, BROOD_EDEADLINE);
        ck_assert_int_eq(outcome.reason, BROOD_REASON_DEADLINE);
        ck_assert_int_eq(outcome.signal, SIGKILL);
        ck_assert_int_eq((int)outcome.attempt, 1);
        brood_test_ok(brood_future_free(future));
        goes_on(pool);
    }
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}
END_TEST

/* Whoever freed the future is not asked: the deadline holds all the same. */
START_TEST(a_deadline_outlasts_the_future)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun = new_event();
    brood_future future;
    brood_test_ok(brood_pool_submit_with(pool, &future, never_ends, &begun, .deadline = 20));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    brood_test_ok(brood_future_free(future));
    goes_on(pool);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}
END_TEST

START_TEST(a_task_is_told_of_its_soft_deadline)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun = new_event();
    brood_future future;
    brood_outcome outcome;
    int result = 0;
    brood_test_ok(brood_pool_submit_with(pool, &future, ends_when_told, &begun, .soft_deadline = 5,
                                         .deadline = _i < PROCESSES ? PATIENCE : 0));
    ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, &outcome), BROOD_EDEADLINE);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_SOFT_DEADLINE);
    ck_assert_int_eq(outcome.fail, 7);
    ck_assert_str_eq(outcome.text, "told to stop");
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_pool_submit_with(pool, &future, finishes_all_the_same, &begun, .soft_deadline = 5));
    brood_test_ok(brood_future_get(future, &result, PATIENCE, &outcome));
    ck_assert_int_eq(result, 42);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_RESULT);
    brood_test_ok(brood_future_free(future));
    ck_assert_int_eq(brood_task_stopping(), 0);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}
END_TEST

START_TEST(tasks_are_cancelled)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun = new_event();
    brood_future running, queued, done;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_pool_submit(pool, &done, twice, &(int){1}));
    brood_test_ok(brood_future_get(done, &result, PATIENCE, NULL));
    ck_assert_int_eq(brood_future_cancel(done, 0), 1);

    brood_test_ok(brood_pool_submit(pool, &running, ends_when_told, &begun));
    brood_test_ok(brood_pool_submit(pool, &queued, twice, &(int){1}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    brood_test_ok(brood_future_cancel(queued, 0));
    ck_assert_int_eq(brood_future_get(queued, &result, 0, &outcome), BROOD_ECANCELED);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_CANCELLED);
    ck_assert_int_eq(brood_future_cancel(queued, 0), 1);
    brood_test_ok(brood_future_cancel(running, BROOD_FOREVER));
    ck_assert_int_eq(brood_future_get(running, &result, PATIENCE, &outcome), BROOD_ECANCELED);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_CANCELLED);
    ck_assert_str_eq(outcome.text, "told to stop");
    brood_test_ok(brood_future_free(running));

    brood_test_ok(brood_event_clear(begun));
    brood_test_ok(brood_pool_submit_task(
        pool, &running, _i < PROCESSES ? BROOD_TASK_OF(never_ends) : BROOD_TASK_OF(ends_when_told), &begun));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    ck_assert_int_eq(brood_future_get(running, &result, 0, NULL), BROOD_EAGAIN);
    brood_test_ok(brood_future_cancel(running, 1)); /* a thread is told, and not killed */
    ck_assert_int_eq(brood_future_get(running, &result, PATIENCE, &outcome), BROOD_ECANCELED);
    ck_assert_int_eq(outcome.signal, _i < PROCESSES ? SIGKILL : 0);
    goes_on(pool);
    brood_test_ok(brood_future_free(running));
    brood_test_ok(brood_future_free(queued));
    brood_test_ok(brood_future_free(done));
    ck_assert_int_eq(brood_future_cancel(done, 0), BROOD_ESTALE);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}
END_TEST

static int dies(brood_pool pool, int deaths, unsigned retries, brood_outcome *outcome, int *result)
{
    brood_buffer runs;
    brood_future future;
    void *data;
    brood_test_ok(brood_buffer_new(&runs, sizeof(int), &data));
    memset(data, 0, sizeof(int));
    brood_test_ok(brood_pool_submit_with(pool, &future, dies_at_first, (&(dies_at_first_args){runs, deaths}),
                                         .retries = retries, .backoff = 1));
    int error = brood_future_get(future, result, PATIENCE, outcome);
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_buffer_free(runs));
    return error;
}

START_TEST(a_task_runs_again)
{
    brood_pool pool = new_pool(_i, 2);
    brood_outcome outcome;
    int result = 0;
    brood_test_ok(dies(pool, 2, 2, &outcome, &result));
    ck_assert_int_eq(result, 3);
    ck_assert_int_eq((int)outcome.attempt, 3);
    ck_assert_int_eq(dies(pool, 2, 1, &outcome, &result), BROOD_ELOST); /* no more than it may */
    ck_assert_int_eq(outcome.reason, BROOD_REASON_SIGNAL);
    ck_assert_int_eq(outcome.signal, SIGKILL);
    ck_assert_int_eq((int)outcome.attempt, 2);
    goes_on(pool);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_task_that_ends_workers_is_quarantined)
{
    brood_pool pool = new_pool(_i, 2);
    brood_outcome outcome;
    int result = 0;
    ck_assert_int_eq(dies(pool, 1000, 100, &outcome, &result), BROOD_ELOST);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_QUARANTINED);
    ck_assert_int_eq((int)outcome.attempt, 3);
    ck_assert_int_eq(outcome.signal, SIGSEGV);
    goes_on(pool);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* The supervisor that was to run it again, or to kill it, is killed first. */
START_TEST(another_supervisor_keeps_the_time)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun = new_event();
    brood_future again, late;
    brood_outcome outcome;
    brood_buffer runs;
    void *data;
    int result = 0;
    brood_test_ok(brood_buffer_new(&runs, sizeof(int), &data));
    memset(data, 0, sizeof(int));
    brood_test_ok(brood_pool_submit_with(pool, &again, dies_at_first, (&(dies_at_first_args){runs, 1}), .retries = 1,
                                         .backoff = 300));
    while (*(volatile int *)data == 0) poll(NULL, 0, 1);
    goes_on(pool); /* it waits */
    ck_assert_int_eq(kill(supervisor(), SIGKILL), 0);
    brood_test_ok(brood_future_get(again, &result, PATIENCE, &outcome));
    ck_assert_int_eq(result, 2);
    brood_test_ok(brood_pool_submit_with(pool, &late, never_ends, &begun, .deadline = 300));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    ck_assert_int_eq(kill(supervisor(), SIGKILL), 0);
    ck_assert_int_eq(brood_future_get(late, &result, PATIENCE, &outcome), BROOD_EDEADLINE);
    brood_test_ok(brood_future_free(again));
    brood_test_ok(brood_future_free(late));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_buffer_free(runs));
}
END_TEST

START_TEST(bad_wishes_are_refused)
{
    brood_pool pool = new_pool(_i, 1);
    brood_future f;
    int x = 1;
    ck_assert_int_eq(brood_pool_submit_with(pool, &f, twice, &x, .deadline = -1), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_submit_with(pool, &f, twice, &x, .soft_deadline = -5), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_submit_with(pool, &f, twice, &x, .soft_deadline = 5, .deadline = 4), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_submit_with(pool, &f, twice, &x, .retries = 201), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_submit_with(pool, &f, twice, &x, .backoff = -1), BROOD_EINVAL);
    brood_test_ok(brood_pool_submit_with(pool, &f, twice, &x, .retries = 200));
    ck_assert_int_eq(brood_future_cancel(f, -2), BROOD_EINVAL);
    brood_test_ok(brood_future_free(f));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ many of them */

/* Each says in its own place how often it began, and gives its number back, after about its deadline. */
BROOD_TASK(takes_a_while, int, brood_buffer, begun, int, number, int, us)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    __atomic_fetch_add((int *)brood_buffer_data(begun, NULL) + number, 1, __ATOMIC_RELAXED);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 < us);
    return number;
}

START_TEST(no_kill_hits_another)
{
    enum { TASKS = 10000, AT_ONCE = 64 };
    int tasks = _i == 0 ? TASKS : TASKS / 5, again = 0;
    brood_pool pool = new_pool(_i, 3);
    brood_buffer begun;
    brood_future futures[AT_ONCE];
    void *data;
    int results = 0, late = 0;
    brood_test_ok(brood_buffer_new(&begun, TASKS * sizeof(int), &data));
    memset(data, 0, TASKS * sizeof(int));
    unsigned seed = 7;
    for (int i = 0; i < tasks + AT_ONCE; i++) {
        brood_future *future = &futures[i % AT_ONCE];
        if (i >= AT_ONCE) {
            int number = i - AT_ONCE, result = -1;
            brood_outcome outcome;
            int code = brood_future_get(*future, &result, PATIENCE, &outcome);
            if (code == 0) ck_assert_int_eq(result, number);
            if (code != 0) ck_assert_int_eq(code, BROOD_EDEADLINE);
            code == 0 ? results++ : late++;
            brood_test_ok(brood_future_free(*future));
        }
        if (i >= tasks) continue;
        seed = seed * 1103515245 + 12345;
        int us = i % 4 ? (int)(seed >> 16) % 500 : 900 + (int)(seed >> 16) % 250; /* a quarter of them at the edge */
        brood_test_ok(
            brood_pool_submit_with(pool, future, takes_a_while, (&(takes_a_while_args){begun, i, us}), .deadline = 1));
    }
    for (int i = 0; i < tasks; i++) again += ((int *)data)[i] > 1;
    ck_assert_int_eq(again, 0);
    ck_assert_int_eq(results + late, tasks);
    goes_on(pool);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_buffer_free(begun));
}
END_TEST

static Suite *deadlines_suite(void)
{
    Suite *suite = suite_create("pool/deadlines");
    TCase *one = brood_test_case(suite, "one");
    tcase_add_loop_test(one, a_worker_is_killed_at_the_deadline, 0, 3);
    tcase_add_loop_test(one, a_deadline_outlasts_the_future, 0, 3);
    tcase_add_loop_test(one, a_task_is_told_of_its_soft_deadline, 0, METHODS);
    tcase_add_loop_test(one, tasks_are_cancelled, 0, METHODS);
    tcase_add_loop_test(one, a_task_runs_again, 0, 3);
    tcase_add_loop_test(one, a_task_that_ends_workers_is_quarantined, 0, 3);
    tcase_add_loop_test(one, another_supervisor_keeps_the_time, 0, 3);
    tcase_add_loop_test(one, bad_wishes_are_refused, 0, 3);
    TCase *many = brood_test_case(suite, "many");
    tcase_set_timeout(many, 120);
    tcase_add_loop_test(many, no_kill_hits_another, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(deadlines_suite)
