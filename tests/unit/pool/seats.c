/* SPDX-License-Identifier: MIT */
/* Who runs what: priorities, the state of workers and tasks, their numbers and seeds; under every start method. */
#include "common.h"

#include <poll.h>
#include <string.h>

#define PATIENCE 15000

BROOD_TASK(number, int, int, x)
{
    return x;
}
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
BROOD_TASK(begin_and_wait, int, brood_event, begun, brood_event, end)
{
    brood_event_set(begun);
    return brood_event_wait(end, BROOD_FOREVER);
}
/* The place in which it came. */
BROOD_TASK(turn, int, brood_buffer, counter)
{
    return __atomic_fetch_add((int *)brood_buffer_data(counter, NULL), 1, __ATOMIC_SEQ_CST);
}
BROOD_TASK(worker_id, int, int, x)
{
    (void)x;
    return brood_worker_id();
}
BROOD_TASK(end_worker, int, int, signal)
{
    return raise(signal);
}
BROOD_TASK(seed, uint64_t, int, x)
{
    (void)x;
    return brood_task_seed();
}
BROOD_TASK(seed_or_end, uint64_t, brood_buffer, runs)
{
    int *n = brood_buffer_data(runs, NULL);
    uint64_t *seen = (uint64_t *)(void *)(n + 2);
    if ((*n)++ == 0) {
        *seen = brood_task_seed();
        raise(SIGKILL);
    }
    return brood_task_seed() == *seen ? *seen : 0;
}

START_TEST(what_is_urgent_comes_first)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun, end;
    brood_buffer counter;
    void *bytes;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_event_new(&end));
    brood_test_ok(brood_buffer_new(&counter, sizeof(int), &bytes));
    memset(bytes, 0, sizeof(int));
    brood_future first, futures[40];
    brood_test_ok(brood_pool_submit(pool, &first, begin_and_wait, &(begin_and_wait_args){begun, end}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    for (int i = 0; i < 40; i++)
        brood_test_ok(brood_pool_submit_with(pool, &futures[i], turn, &counter, .priority = (unsigned)(i % 8)));
    brood_test_ok(brood_event_set(end));
    for (int i = 0; i < 40; i++) {
        int place = -1;
        brood_test_ok(brood_future_get(futures[i], &place, PATIENCE, NULL));
        ck_assert_int_eq(place, (7 - i % 8) * 5 + i / 8); /* in one segment, the order is that of submission */
        brood_test_ok(brood_future_free(futures[i]));
    }
    ck_assert_int_eq(brood_pool_submit_with(pool, &futures[0], turn, &counter, .priority = 8), BROOD_EINVAL);
    brood_test_ok(brood_future_free(first));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_buffer_free(counter));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(end));
}
END_TEST

/* Urgent tasks go before the items of maps that nobody has begun. */
START_TEST(what_is_urgent_comes_before_maps)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun, end;
    brood_buffer counter;
    void *bytes;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_event_new(&end));
    brood_test_ok(brood_buffer_new(&counter, sizeof(int), &bytes));
    memset(bytes, 0, sizeof(int));
    brood_future first, urgent, other;
    brood_map map;
    brood_buffer in[4] = {counter, counter, counter, counter};
    int out[4], place = -1;
    brood_test_ok(brood_pool_submit(pool, &first, begin_and_wait, &(begin_and_wait_args){begun, end}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    brood_test_ok(brood_pool_submit(pool, &other, turn, &counter));
    brood_test_ok(brood_pool_map_async(pool, &map, turn, in, out, 4));
    brood_test_ok(brood_pool_submit_with(pool, &urgent, turn, &counter, .priority = 1));
    brood_test_ok(brood_event_set(end));
    brood_test_ok(brood_map_wait(map, PATIENCE, NULL));
    brood_test_ok(brood_future_get(urgent, &place, PATIENCE, NULL));
    ck_assert_int_eq(place, 0);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(out[i], i + 1);
    brood_test_ok(brood_future_get(other, &place, PATIENCE, NULL));
    ck_assert_int_eq(place, 5);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_buffer_free(counter));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(end));
}
END_TEST

/* More than one segment of slots, all priorities, and deaths among them: each is answered. */
START_TEST(many_of_all_priorities)
{
    brood_pool pool = new_pool(_i, 2);
    enum { N = 600 };
    static brood_future futures[N];
    int kill9 = SIGKILL;
    for (int i = 0; i < N; i++) {
        unsigned priority = (unsigned)i * 7 % 8;
        if (i % 200 == 100 && _i < PROCESSES)
            brood_test_ok(brood_pool_submit_with(pool, &futures[i], end_worker, &kill9, .priority = priority));
        else
            brood_test_ok(brood_pool_submit_with(pool, &futures[i], number, &i, .priority = priority));
    }
    for (int i = 0; i < N; i++) {
        int result = -1, error = brood_future_get(futures[i], &result, PATIENCE, NULL);
        ck_assert_int_eq(error, i % 200 == 100 && _i < PROCESSES ? BROOD_ELOST : 0);
        if (error == 0) ck_assert_int_eq(result, i);
        brood_test_ok(brood_future_free(futures[i]));
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static bool is_state(brood_pool pool, brood_worker_state state, brood_worker *worker)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (brood_pool_workers(pool, worker, 1) == 1 && worker->state == state) return true;
        poll(NULL, 0, 1);
    }
    return false;
}

START_TEST(states_are_visible)
{
    brood_pool pool = new_pool(_i, 1);
    brood_event begun, end;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_event_new(&end));
    brood_future running, queued;
    brood_worker worker;
    int result;
    ck_assert(is_state(pool, BROOD_WORKER_IDLE, &worker));
    ck_assert(worker.pid > 0 && worker.id == 0 && worker.task == 0 && worker.name[0] == 0 && worker.items == 0);
    brood_test_ok(brood_pool_submit(pool, &running, begin_and_wait, &(begin_and_wait_args){begun, end}));
    brood_test_ok(brood_pool_submit(pool, &queued, number, &(int){5}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    ck_assert_int_eq(brood_future_state(running), BROOD_TASK_RUNNING);
    ck_assert_int_eq(brood_future_state(queued), BROOD_TASK_QUEUED);
    ck_assert(is_state(pool, BROOD_WORKER_BUSY, &worker));
    ck_assert_uint_eq(worker.task, running.serial);
    ck_assert_str_eq(worker.name, "begin_and_wait");
    brood_test_ok(brood_event_set(end));
    brood_test_ok(brood_future_get(queued, &result, PATIENCE, NULL));
    ck_assert_int_eq(brood_future_state(running), BROOD_TASK_DONE);
    ck_assert_int_eq(brood_future_state(queued), BROOD_TASK_DONE);
    ck_assert(is_state(pool, BROOD_WORKER_IDLE, &worker));
    for (int i = 0; i < PATIENCE && worker.items < 2; i++) ck_assert(is_state(pool, BROOD_WORKER_IDLE, &worker));
    ck_assert_uint_eq(worker.items, 2);
    brood_test_ok(brood_future_free(queued));
    ck_assert_int_eq(brood_future_state(queued), BROOD_ESTALE);
    brood_test_ok(brood_event_clear(end));
    brood_future again;
    int kill9 = SIGKILL;
    if (_i < PROCESSES) {
        brood_test_ok(brood_pool_submit_with(pool, &again, end_worker, &kill9, .retries = 1, .backoff = 1000000));
        for (int i = 0; i < PATIENCE && brood_future_state(again) != BROOD_TASK_AGAIN; i++) poll(NULL, 0, 1);
        ck_assert_int_eq(brood_future_state(again), BROOD_TASK_AGAIN);
    }
    brood_test_ok(brood_pool_free(pool));
    ck_assert_int_eq(brood_pool_workers(pool, &worker, 1), BROOD_ESTALE);
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(end));
}
END_TEST

START_TEST(seats_have_numbers)
{
    brood_pool pool = new_pool(_i, 2);
    int in[200] = {0}, out[200], kill9 = SIGKILL, result;
    for (int turn_number = 0; turn_number < 4; turn_number++) {
        brood_test_ok(brood_pool_map(pool, worker_id, in, out, 200));
        for (int i = 0; i < 200; i++) ck_assert(out[i] == 0 || out[i] == 1);
        if (_i < PROCESSES) ck_assert_int_eq(brood_pool_apply(pool, end_worker, &kill9, &result), BROOD_ELOST);
    }
    ck_assert_int_eq(brood_worker_id(), BROOD_EINVAL);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static int next_zero(void *context, void *argument)
{
    int *left = context;
    *(int *)argument = 0;
    return (*left)-- > 0;
}

/* The seeds of a series of calls. */
enum { SEEDS = 100 };
static void have_seeds(brood_pool pool, uint64_t seeds[SEEDS])
{
    int in[30] = {0}, left = 40;
    brood_test_ok(brood_pool_map(pool, seed, in, seeds, 30));
    for (int i = 30; i < 40; i++) brood_test_ok(brood_pool_apply(pool, seed, in, &seeds[i]));
    brood_stream stream;
    brood_test_ok(brood_pool_imap_with(pool, &stream, seed, next_zero, &left, .chunk = 3));
    for (int i = 40; i < 80; i++) ck_assert_int_eq(brood_stream_next(stream, &seeds[i], PATIENCE, NULL), 1);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_map_with(pool, seed, in, &seeds[80], 20, .chunk = 1));
}

START_TEST(seeds_depend_on_the_call_alone)
{
    uint64_t seeds[3][SEEDS];
    for (int turn_number = 0; turn_number < 3; turn_number++) {
        brood_pool pool;
        brood_pool_options options = {
            .workers = 1 + (unsigned)turn_number % 2, .method = methods[_i], .seed = turn_number == 2 ? 1 : 0};
        brood_test_ok(brood_pool_new(&pool, &options));
        have_seeds(pool, seeds[turn_number]);
        brood_test_ok(brood_pool_free(pool));
    }
    for (int i = 0; i < SEEDS; i++) {
        ck_assert_uint_eq(seeds[0][i], seeds[1][i]); /* two workers, and one */
        ck_assert_uint_ne(seeds[0][i], seeds[2][i]);
        for (int k = 0; k < i; k++) ck_assert_uint_ne(seeds[0][i], seeds[0][k]);
    }
    ck_assert_uint_eq(brood_task_seed(), 0);
}
END_TEST

START_TEST(a_further_run_has_the_same_seed)
{
    brood_pool pool = new_pool(_i, 1);
    brood_buffer runs;
    void *bytes;
    uint64_t result = 0;
    brood_test_ok(brood_buffer_new(&runs, 16, &bytes));
    memset(bytes, 0, 16);
    brood_test_ok(brood_pool_apply_with(pool, seed_or_end, &runs, &result, .submit = {.retries = 1, .backoff = 1}));
    ck_assert_uint_ne(result, 0);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_buffer_free(runs));
}
END_TEST

static Suite *seats_suite(void)
{
    Suite *suite = suite_create("seats");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, what_is_urgent_comes_first, 0, METHODS);
    tcase_add_loop_test(each, what_is_urgent_comes_before_maps, 0, METHODS);
    tcase_add_loop_test(each, many_of_all_priorities, 0, METHODS);
    tcase_add_loop_test(each, states_are_visible, 0, METHODS);
    tcase_add_loop_test(each, seats_have_numbers, 0, METHODS);
    tcase_add_loop_test(each, seeds_depend_on_the_call_alone, 0, METHODS);
    tcase_add_loop_test(each, a_further_run_has_the_same_seed, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(seats_suite)
