/* SPDX-License-Identifier: MIT */
/* Callbacks, and maps that are looked at or cancelled while they run; under every start method. */
#include "common.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

#define PATIENCE 15000

BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
BROOD_TASK(refuse, int, int, code)
{
    brood_fail(code, "no");
    return 0;
}
BROOD_TASK(crash, int, int, signal)
{
    return raise(signal);
}
BROOD_TASK(until_told, int, brood_event, begun, int, number)
{
    brood_event_set(begun);
    while (number == 0 && !brood_task_stopping()) poll(NULL, 0, 1);
    return number + 1;
}

/* What the callbacks were given, in their order. */
static struct {
    int calls, codes[64], results[64];
    brood_future futures[64];
    pthread_t thread;
} heard;
static void hear(void *context, brood_future future)
{
    ck_assert_ptr_eq(context, &heard);
    int n = heard.calls++;
    heard.futures[n] = future;
    heard.thread = pthread_self();
    heard.codes[n] = brood_future_get(future, &heard.results[n], 0, NULL);
}
static void dispatch_all(brood_pool pool)
{
    int n;
    while ((n = brood_pool_dispatch(pool, PATIENCE)) > 0) {}
    ck_assert_int_eq(n, 0);
}

START_TEST(callbacks_come_in_dispatch_alone)
{
    brood_pool pool = new_pool(_i, 2);
    brood_future futures[20] = {{0, 0}};
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 0); /* there are none */
    for (int i = 0; i < 20; i++)
        brood_test_ok(
            brood_pool_submit_with(pool, i % 2 ? &futures[i] : NULL, twice, &i, .callback = hear, .context = &heard));
    brood_test_ok(brood_future_get(futures[19], NULL, PATIENCE, NULL));
    ck_assert_int_eq(heard.calls, 0);
    dispatch_all(pool);
    ck_assert_int_eq(heard.calls, 20);
    int sum = 0;
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(heard.codes[i], 0);
        sum += heard.results[i];
    }
    ck_assert_int_eq(sum, 380);
    for (int i = 1; i < 20; i += 2) brood_test_ok(brood_future_free(futures[i])); /* the caller's still */
    for (int i = 0; i < 20; i++) ck_assert_int_eq(brood_future_done(heard.futures[i]), BROOD_ESTALE);
    ck_assert(pthread_equal(heard.thread, pthread_self()));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(they_come_as_the_answers_do)
{
    brood_pool pool = new_pool(_i, 2);
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_pool_submit_with(pool, NULL, wait_for, &event, .callback = hear, .context = &heard));
    int codes[] = {5, 6};
    for (int i = 0; i < 2; i++)
        brood_test_ok(brood_pool_submit_with(pool, NULL, refuse, &codes[i], .callback = hear, .context = &heard));
    while (heard.calls < 2) ck_assert_int_gt(brood_pool_dispatch(pool, PATIENCE), 0);
    ck_assert_int_eq(heard.codes[0], BROOD_EFAILED);
    ck_assert_int_eq(heard.codes[1], BROOD_EFAILED);
    ck_assert_int_eq(brood_pool_dispatch(pool, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_pool_dispatch(pool, 20), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_pool_dispatch(pool, -2), BROOD_EINVAL);
    brood_test_ok(brood_event_set(event));
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 1);
    ck_assert_int_eq(heard.codes[2], 0);
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 0);
    int kill9 = SIGKILL;
    if (_i < PROCESSES) {
        brood_test_ok(brood_pool_submit_with(pool, NULL, crash, &kill9, .callback = hear, .context = &heard));
        ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 1);
        ck_assert_int_eq(heard.codes[3], BROOD_ELOST);
    }
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

START_TEST(they_come_by_the_descriptor)
{
    brood_pool pool = new_pool(_i, 2);
    int fd = brood_pool_fd(pool), n;
    for (int i = 0; i < 50; i++)
        brood_test_ok(brood_pool_submit_with(pool, NULL, twice, &i, .callback = hear, .context = &heard));
    do {
        ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE), 1);
        while ((n = brood_pool_dispatch(pool, 0)) > 0) {}
    } while (n == BROOD_EAGAIN);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(heard.calls, 50);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Rounds of a loop with nothing to do until the descriptors are quiet: few, if it is done right. */
static void settle(const brood_pool *pools, struct pollfd *ready, int n, int answer, const brood_future *future)
{
    int rounds = 0, result;
    while (poll(ready, (nfds_t)n, 0) > 0) {
        ck_assert_int_lt(++rounds, 1000);
        if (future) ck_assert_int_eq(brood_future_get(*future, &result, 0, NULL), BROOD_EAGAIN);
        for (int i = 0; i < n; i++) ck_assert_int_eq(brood_pool_dispatch(pools[i], 0), answer);
    }
}

START_TEST(a_loop_without_callbacks_sleeps)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event event;
    brood_future future;
    int result;
    brood_test_ok(brood_event_new(&event));
    struct pollfd ready = {.fd = brood_pool_fd(pool), .events = POLLIN};
    settle(&pool, &ready, 1, 0, NULL);
    brood_test_ok(brood_pool_apply(pool, twice, &(int){1}, &result));
    settle(&pool, &ready, 1, 0, NULL);
    brood_test_ok(brood_pool_submit(pool, &future, wait_for, &event));
    settle(&pool, &ready, 1, 0, &future); /* an answer that is no callback's is not missed by it */
    brood_test_ok(brood_event_set(event));
    do {
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        result = brood_future_get(future, NULL, 0, NULL);
        ck_assert_int_eq(brood_pool_dispatch(pool, 0), 0);
    } while (result == BROOD_EAGAIN);
    brood_test_ok(result);
    settle(&pool, &ready, 1, 0, NULL);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

/*
 * One that is asked for first in a round, before another that has been asked for before, and gets its answer between
 * the two: the other may not take its ring for old.  _i / 3: the other is a future, or callbacks, or a foreign future.
 */
BROOD_TASK(submits, brood_future, brood_pool, pool)
{
    brood_future future = {0};
    brood_event never;
    if (brood_event_new(&never) == 0) brood_pool_submit(pool, &future, wait_for, &never);
    return future;
}
START_TEST(a_ring_is_for_all)
{
    brood_pool pool = new_pool(_i % 3, 3);
    brood_event events[2];
    brood_future first, other = {0};
    for (int i = 0; i < 2; i++) brood_test_ok(brood_event_new(&events[i]));
    struct pollfd ready = {.fd = brood_pool_fd(pool), .events = POLLIN};
    if (_i / 3 == 0) brood_test_ok(brood_pool_submit(pool, &other, wait_for, &events[0]));
    if (_i / 3 == 2) brood_test_ok(brood_pool_apply(pool, submits, &pool, &other));
    for (int round = 0; poll(&ready, 1, 0) > 0; round++) {
        ck_assert_int_lt(round, 1000);
        if (_i / 3 == 1) ck_assert_int_eq(brood_pool_dispatch(pool, 0), 0);
        if (_i / 3 != 1) ck_assert_int_eq(brood_future_get(other, NULL, 0, NULL), BROOD_EAGAIN);
    }
    brood_test_ok(brood_pool_submit(pool, &first, wait_for, &events[1]));
    ck_assert_int_eq(brood_future_get(first, NULL, 0, NULL), BROOD_EAGAIN);
    brood_test_ok(brood_event_set(events[1]));
    ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1); /* quiet until then */
    while (brood_future_done(first) == 0) sched_yield();
    for (int round = 0; round < 2; round++) {
        if (_i / 3 == 1) ck_assert_int_eq(brood_pool_dispatch(pool, 0), 0);
        if (_i / 3 != 1) ck_assert_int_eq(brood_future_get(other, NULL, 0, NULL), BROOD_EAGAIN);
        if (round == 1) break;
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        brood_test_ok(brood_future_get(first, NULL, 0, NULL));
    }
    brood_test_ok(brood_pool_terminate(pool));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Of several answers that are there a stream gives one in each round: the loop is woken for the others. */
START_TEST(a_ring_is_for_all_of_a_stream)
{
    brood_pool pool = new_pool(_i, 2);
    brood_event event;
    brood_future open;
    brood_stream stream;
    int in[20], out, given = 0;
    for (int i = 0; i < 20; i++) in[i] = i;
    brood_test_ok(brood_event_new(&event));
    struct pollfd ready = {.fd = brood_pool_fd(pool), .events = POLLIN};
    brood_test_ok(brood_pool_submit(pool, &open, wait_for, &event));
    brood_test_ok(brood_pool_imap_array(pool, &stream, twice, in, 20));
    while (given < 20) {
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        ck_assert_int_eq(brood_future_get(open, NULL, 0, NULL), BROOD_EAGAIN);
        int n = brood_stream_next(stream, &out, 0, NULL);
        ck_assert(n == 1 || n == BROOD_EAGAIN);
        if (n == 1) ck_assert_int_eq(out, 2 * in[given++]);
    }
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_loop_over_two_pools_sleeps)
{
    brood_pool pools[2] = {new_pool(_i, 1), new_pool(_i, 1)};
    struct pollfd ready[2];
    brood_event event;
    int calls = 0;
    brood_test_ok(brood_event_new(&event));
    for (int i = 0; i < 2; i++) {
        ready[i] = (struct pollfd){.fd = brood_pool_fd(pools[i]), .events = POLLIN};
        brood_test_ok(brood_pool_submit_with(pools[i], NULL, wait_for, &event, .callback = hear, .context = &heard));
        while (poll(&ready[0], 1, 0) > 0) brood_pool_dispatch(pools[0], 0); /* their turns are not the same */
    }
    settle(pools, ready, 2, BROOD_EAGAIN, NULL);
    brood_test_ok(brood_event_set(event));
    while (calls < 2) {
        ck_assert_int_ge(poll(ready, 2, PATIENCE), 1);
        for (int i = 0; i < 2; i++) {
            int n = brood_pool_dispatch(pools[i], 0);
            if (n > 0) calls += n;
        }
    }
    ck_assert_int_eq(heard.calls, 2);
    settle(pools, ready, 2, 0, NULL);
    for (int i = 0; i < 2; i++) brood_test_ok(brood_pool_free(pools[i]));
    brood_test_ok(brood_event_free(event));
}
END_TEST

static int left;
static void submits_again(void *context, brood_future future)
{
    brood_pool *pool = context;
    int result;
    brood_test_ok(brood_future_get(future, &result, 0, NULL));
    if (left-- > 0)
        brood_test_ok(brood_pool_submit_with(*pool, NULL, twice, &left, .callback = submits_again, .context = pool));
    else
        ck_assert_int_eq(brood_pool_dispatch(*pool, 0), 0);
}
START_TEST(a_callback_may_call_anything)
{
    brood_pool pool = new_pool(_i, 2);
    left = 30;
    brood_test_ok(brood_pool_submit_with(pool, NULL, twice, &left, .callback = submits_again, .context = &pool));
    dispatch_all(pool);
    ck_assert_int_eq(left, -1);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(the_end_of_a_pool_with_callbacks)
{
    brood_pool pool = new_pool(_i, 2);
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    for (int i = 0; i < 4; i++)
        brood_test_ok(brood_pool_submit_with(pool, NULL, wait_for, &event, .callback = hear, .context = &heard));
    brood_test_ok(brood_pool_terminate(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    ck_assert_int_eq(brood_pool_dispatch(pool, 0), 4);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(heard.codes[i], BROOD_ECANCELED);
    ck_assert_int_eq(brood_pool_submit_with(pool, NULL, wait_for, &event, .callback = hear, .context = &heard),
                     BROOD_ECLOSED);
    brood_test_ok(brood_pool_free(pool));

    pool = new_pool(_i, 2);
    brood_future kept;
    brood_test_ok(brood_pool_submit_with(pool, &kept, wait_for, &event, .callback = hear, .context = &heard));
    brood_test_ok(brood_pool_submit_with(pool, NULL, wait_for, &event, .callback = hear, .context = &heard));
    brood_test_ok(brood_future_free(kept)); /* nobody wants it any more */
    brood_test_ok(brood_event_set(event));
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 1);
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 0);
    brood_test_ok(brood_pool_submit_with(pool, NULL, wait_for, &event, .callback = hear, .context = &heard));
    brood_test_ok(brood_pool_free(pool));
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), BROOD_ESTALE);
    ck_assert_int_eq(heard.calls, 5);
    brood_test_ok(brood_event_free(event));
}
END_TEST

static int apply_in_vain(brood_pool pool)
{
    int result;
    return brood_pool_apply_with(pool, twice, &(int){1}, &result, .submit = {.callback = hear});
}

static brood_report report;
static int map_answer;
static void map_is_there(void *context, brood_map map)
{
    ++*(int *)context;
    map_answer = brood_map_wait(map, 0, &report);
}

START_TEST(maps_have_callbacks)
{
    brood_pool pool = new_pool(_i, 2);
    int in[100], out[100], calls = 0;
    brood_map map;
    for (int i = 0; i < 100; i++) in[i] = i;
    brood_test_ok(
        brood_pool_map_async_with(pool, &map, twice, in, out, 100, .callback = map_is_there, .context = &calls));
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 1);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(map_answer, 0);
    ck_assert_uint_eq(report.done, 100);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(out[i], 2 * i);
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_ESTALE);
    ck_assert_int_eq(brood_pool_dispatch(pool, PATIENCE), 0);
    ck_assert_int_eq(brood_pool_map_with(pool, twice, in, out, 100, .callback = map_is_there), BROOD_EINVAL);
    ck_assert_int_eq(apply_in_vain(pool), BROOD_EINVAL);
    brood_test_ok(brood_pool_starmap_async(pool, &map, twice, in, out, 100));
    brood_test_ok(brood_map_wait(map, PATIENCE, NULL));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(maps_are_looked_at_and_cancelled)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun;
    brood_test_ok(brood_event_new(&begun));
    until_told_args in[20];
    int out[20] = {0}, codes[20], answer;
    size_t decided = 77;
    brood_map map;
    for (int i = 0; i < 20; i++) in[i] = (until_told_args){begun, 5 - i};
    brood_test_ok(brood_pool_map_async_with(pool, &map, until_told, in, out, 20, .codes = codes, .chunk = 3));
    while ((answer = brood_map_progress(map, &decided)) == 0 && decided < 5) poll(NULL, 0, 1);
    ck_assert_int_eq(answer, 0);
    ck_assert_uint_eq(decided, 5); /* and the next one does not end */
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(brood_map_cancel(map), 0);
    ck_assert_int_eq(brood_map_wait(map, PATIENCE, &report), BROOD_ECANCELED);
    ck_assert_uint_eq(report.done, 6); /* told, and what it answers counts */
    for (int i = 0; i < 20; i++) ck_assert_int_eq(codes[i], i < 6 ? 0 : BROOD_ECANCELED);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(out[i], 6 - i);
    ck_assert_int_eq(brood_map_cancel(map), BROOD_ESTALE);
    ck_assert_int_eq(brood_map_progress(map, NULL), BROOD_ESTALE);
    for (int i = 0; i < 20; i++) in[i].number = 1;
    brood_test_ok(brood_pool_map_async(pool, &map, until_told, in, out, 20));
    while (brood_map_progress(map, &decided) == 0) poll(NULL, 0, 1);
    ck_assert_uint_eq(decided, 20);
    ck_assert_int_eq(brood_map_cancel(map), 1);
    brood_test_ok(brood_map_wait(map, PATIENCE, NULL));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}
END_TEST

static Suite *dispatch_suite(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, callbacks_come_in_dispatch_alone, 0, METHODS);
    tcase_add_loop_test(each, they_come_as_the_answers_do, 0, METHODS);
    tcase_add_loop_test(each, they_come_by_the_descriptor, 0, METHODS);
    tcase_add_loop_test(each, a_loop_without_callbacks_sleeps, 0, 3);
    tcase_add_loop_test(each, a_ring_is_for_all, 0, 9);
    tcase_add_loop_test(each, a_ring_is_for_all_of_a_stream, 0, METHODS);
    tcase_add_loop_test(each, a_loop_over_two_pools_sleeps, 0, 3);
    tcase_add_loop_test(each, a_callback_may_call_anything, 0, METHODS);
    tcase_add_loop_test(each, the_end_of_a_pool_with_callbacks, 0, PROCESSES);
    tcase_add_loop_test(each, maps_have_callbacks, 0, METHODS);
    tcase_add_loop_test(each, maps_are_looked_at_and_cancelled, 0, METHODS);
    return suite;
}

BROOD_TEST_MAIN(dispatch_suite)
