/* SPDX-License-Identifier: MIT */
/* Tasks that submit to their own pool and wait for it, and pools in tasks; under every start method. */
#include "common.h"

#include <poll.h>
#include <string.h>

#define PATIENCE 15000

static void told(int error)
{
    if (error < 0) brood_fail(error, "%s", brood_error_name(error));
}

BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
/* Waits for a task of a pool, its own or another. */
BROOD_TASK(twice_by, int, brood_pool, pool, int, x)
{
    int result = -1;
    told(brood_pool_apply(pool, twice, &x, &result));
    return result;
}

/* Both halves are tasks of the same pool. */
BROOD_TASK(sum, long, brood_pool, pool, int, from, int, to)
{
    if (to - from == 1) return from;
    int middle = (from + to) / 2;
    brood_future halves[2];
    long result = 0, part = 0;
    sum_args parts[2] = {{pool, from, middle}, {pool, middle, to}};
    for (int i = 0; i < 2; i++) told(brood_pool_submit(pool, &halves[i], sum, &parts[i]));
    for (int i = 0; i < 2; i++) {
        told(brood_future_get(halves[i], &part, BROOD_FOREVER, NULL));
        brood_future_free(halves[i]);
        result += part;
    }
    return result;
}

BROOD_TASK(map_twice, int, brood_pool, pool, int, n)
{
    int in[8], out[8], result = 0;
    for (int i = 0; i < 8; i++) in[i] = n + i;
    told(brood_pool_map(pool, twice, in, out, 8));
    for (int i = 0; i < 8; i++) result += out[i];
    return result;
}

BROOD_TASK(own_pool, int, int, n)
{
    int in[4] = {n, n, n, n}, out[4] = {0};
    brood_pool pool;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    told(error);
    if (error < 0) return -1;
    told(brood_pool_map(pool, twice, in, out, 4));
    told(brood_pool_free(pool));
    return out[0] + out[3];
}

BROOD_TASK(join_own, int, brood_pool, pool)
{
    int error = brood_pool_close(pool);
    return error < 0 ? error : brood_pool_join(pool, BROOD_FOREVER);
}

START_TEST(a_task_waits_for_its_own_pool)
{
    brood_pool pool = new_pool(_i, 1);
    for (int i = 0; i < 3; i++) {
        int result = -1;
        brood_outcome outcome;
        ck_assert_int_eq(brood_pool_apply_with(pool, twice_by, (&(twice_by_args){pool, i}), &result,
                                               .timeout = PATIENCE, .outcome = &outcome),
                         0);
        ck_assert_int_eq(result, 2 * i);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_recursion)
{
    brood_pool pool = new_pool(_i, 2);
    long result = -1;
    ck_assert_int_eq(brood_pool_apply_with(pool, sum, (&(sum_args){pool, 0, 16}), &result, .timeout = PATIENCE), 0);
    ck_assert_int_eq(result, 120);
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(maps_inside_maps)
{
    brood_pool pool = new_pool(_i, 2);
    map_twice_args in[3] = {{pool, 0}, {pool, 100}, {pool, 200}};
    int out[3];
    ck_assert_int_eq(brood_pool_map_with(pool, map_twice, in, out, 3, .timeout = PATIENCE), 0);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(out[i], 2 * (8 * 100 * i + 28));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(pools_that_wait_for_each_other)
{
    brood_pool one = new_pool(_i, 1), other = new_pool(_i, 1);
    brood_future futures[4];
    twice_by_args args[4] = {{other, 0}, {other, 1}, {one, 2}, {one, 3}};
    for (int i = 0; i < 4; i++) brood_test_ok(brood_pool_submit(i < 2 ? one : other, &futures[i], twice_by, &args[i]));
    for (int i = 0; i < 4; i++) {
        int result = -1;
        ck_assert_int_eq(brood_future_get(futures[i], &result, PATIENCE, NULL), 0);
        ck_assert_int_eq(result, 2 * i);
        brood_test_ok(brood_future_free(futures[i]));
    }
    brood_test_ok(brood_pool_free(one));
    brood_test_ok(brood_pool_free(other));
}
END_TEST

START_TEST(pools_in_tasks)
{
    brood_pool pool = new_pool(_i, 2);
    int in[4] = {1, 2, 3, 4}, out[4] = {0};
    ck_assert_int_eq(brood_pool_map_with(pool, own_pool, in, out, 4, .timeout = 2 * PATIENCE), 0);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(out[i], 4 * in[i]);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Who stands in leaves again, and what was lost with one that waited is told. */
START_TEST(those_who_stand_in_leave)
{
    brood_pool pool = new_pool(_i, 1);
    long result;
    ck_assert_int_eq(brood_pool_apply_with(pool, sum, (&(sum_args){pool, 0, 8}), &result, .timeout = PATIENCE), 0);
    ck_assert_int_eq(result, 28);
    for (int i = 0; i < PATIENCE && brood_pool_workers(pool, NULL, 0) > 1; i++) poll(NULL, 0, 1);
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 1);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* One that waits, for the event of a test. */
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
BROOD_TASK(wait_by, int, brood_pool, pool, brood_event, event)
{
    int result = -1;
    told(brood_pool_apply(pool, wait_for, &event, &result));
    return result;
}

START_TEST(a_waiter_is_killed)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event event;
    brood_future future;
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_pool_submit(pool, &future, wait_by, &(wait_by_args){pool, event}));
    brood_worker workers[2];
    int waiting = -1;
    for (int i = 0; i < PATIENCE && waiting < 0; i++) {
        int n = brood_pool_workers(pool, workers, 2);
        for (int w = 0; w < n; w++)
            if (workers[w].state == BROOD_WORKER_WAITING) waiting = n == 2 ? w : -1;
        poll(NULL, 0, 1);
    }
    ck_assert_int_eq(waiting, 0);
    ck_assert_uint_eq(workers[0].task, future.serial);
    ck_assert_str_eq(workers[0].name, "wait_by");
    ck_assert_int_eq(kill(workers[0].pid, SIGKILL), 0);
    brood_outcome outcome;
    ck_assert_int_eq(brood_future_get(future, NULL, PATIENCE, &outcome), BROOD_ELOST);
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_event_set(event)); /* the task that it waited for ends for nobody */
    int result = -1;
    ck_assert_int_eq(brood_pool_apply_with(pool, twice_by, (&(twice_by_args){pool, 4}), &result, .timeout = PATIENCE),
                     0);
    ck_assert_int_eq(result, 8);
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

/* At the bound the last one is told, and the others go on. */
BROOD_TASK(deep, int, brood_pool, pool, int, left)
{
    if (left == 0) return 0;
    int below = -1, error = brood_pool_apply(pool, deep, &(deep_args){pool, left - 1}, &below);
    if (error == BROOD_EDEADLK) return 1000;
    told(error);
    return below + 1;
}
START_TEST(the_bound_is_told)
{
    brood_pool pool;
    brood_pool_options options = {.workers = 2, .method = methods[_i], .max_compensating = 3};
    brood_test_ok(brood_pool_new(&pool, &options));
    int result = -1;
    ck_assert_int_eq(brood_pool_apply_with(pool, deep, (&(deep_args){pool, 4}), &result, .timeout = PATIENCE), 0);
    ck_assert_int_eq(result, 4);
    ck_assert_int_eq(brood_pool_apply_with(pool, deep, (&(deep_args){pool, 9}), &result, .timeout = PATIENCE), 0);
    ck_assert(result >= 1000 && result <= 1004); /* whoever of five came to wait last */
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE)); /* what it left behind ends too */
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_worker_does_not_wait_for_itself_to_leave)
{
    brood_pool pool = new_pool(_i, 1);
    int result = -1;
    ck_assert_int_eq(brood_pool_apply_with(pool, join_own, &pool, &result, .timeout = PATIENCE), 0);
    ck_assert_int_eq(result, BROOD_EDEADLK);
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *nested_suite(void)
{
    Suite *suite = suite_create("nested");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_set_timeout(each, 60);
    tcase_add_loop_test(each, a_task_waits_for_its_own_pool, 0, METHODS);
    tcase_add_loop_test(each, a_recursion, 0, METHODS);
    tcase_add_loop_test(each, maps_inside_maps, 0, METHODS);
    tcase_add_loop_test(each, pools_that_wait_for_each_other, 0, METHODS);
    tcase_add_loop_test(each, pools_in_tasks, 0, METHODS);
    tcase_add_loop_test(each, those_who_stand_in_leave, 0, METHODS);
    tcase_add_loop_test(each, a_waiter_is_killed, 0, 3);
    tcase_add_loop_test(each, the_bound_is_told, 0, METHODS);
    tcase_add_loop_test(each, a_worker_does_not_wait_for_itself_to_leave, 0, METHODS);
    return suite;
}

BROOD_TEST_MAIN(nested_suite)
