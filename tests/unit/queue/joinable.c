/* SPDX-License-Identifier: MIT */
/* joinable.c - joinable queues: join waits for what was taken to be done, and knows of what went with the dead. */
#include "members.h"

#include <brood/queue.h>

static brood_queue joinable(size_t capacity, size_t grows_to)
{
    brood_queue queue;
    brood_queue_options options = {.capacity = capacity, .grows_to = grows_to, .joinable = 1};
    brood_test_ok(brood_queue_new(&queue, &options));
    return queue;
}

static void put(brood_queue queue, int n)
{
    for (int i = 0; i < n; i++) brood_test_ok(brood_queue_put_value(queue, &i, 0));
}
static void take(brood_queue queue, int n)
{
    int value;
    for (int i = 0; i < n; i++) brood_test_ok(brood_queue_get_value(queue, &value, 0));
}

START_TEST(join_is_for_what_is_not_done)
{
    brood_queue q = joinable(0, 0);
    brood_test_ok(brood_queue_join(q, 0));
    brood_test_ok(brood_queue_join(q, BROOD_FOREVER));
    put(q, 3);
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
    take(q, 3);
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
    members_late(brood_queue_join(q, A_WHILE));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
        brood_test_ok(brood_queue_task_done(q));
    }
    brood_test_ok(brood_queue_join(q, 0));
    brood_test_ok(brood_queue_join(q, BROOD_FOREVER));
    ck_assert_int_eq(brood_queue_lost(q), 0);
    ck_assert_int_eq(brood_queue_join(q, -5), BROOD_EINVAL);
}
END_TEST

START_TEST(done_too_often_is_told)
{
    brood_queue q = joinable(0, 0);
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
    put(q, 2);
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM); /* nothing is taken yet */
    take(q, 1);
    brood_test_ok(brood_queue_task_done(q));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
    take(q, 1);
    brood_test_ok(brood_queue_task_done(q));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
    brood_test_ok(brood_queue_join(q, 0));
}
END_TEST

START_TEST(others_are_not_joinable)
{
    brood_queue q;
    brood_test_ok(brood_queue_new(&q, NULL));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "the queue is not joinable");
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_lost(q), BROOD_EINVAL);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_ESTALE);
    ck_assert_int_eq(brood_queue_join(q, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_queue_lost(q), BROOD_ESTALE);
}
END_TEST

/* Batches, buffers, views, and what stays for its length: each message taken counts once. */
START_TEST(all_ways_of_taking_count)
{
    brood_queue q = joinable(4096, _i ? BROOD_UNBOUNDED : 0);
    static char text[3000], data[3000];
    size_t sizes[8];
    brood_buffer buffer;
    brood_view view;
    brood_bytes messages[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 3, 0), 3);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 8, 0), 3);
    for (int i = 0; i < 2; i++) brood_test_ok(brood_queue_put(q, text, i ? sizeof text : 5, 0));
    ck_assert_int_eq(brood_queue_get(q, data, 1, sizes, 0), BROOD_EMSGSIZE);
    brood_test_ok(brood_queue_get_buffer(q, &buffer, 0));
    brood_test_ok(brood_buffer_free(buffer));
    brood_test_ok(brood_queue_get_view(q, &view, 0));
    brood_test_ok(brood_view_release(&view));
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
        brood_test_ok(brood_queue_task_done(q));
    }
    brood_test_ok(brood_queue_join(q, 0));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
}
END_TEST

START_TEST(grows_and_keeps_count)
{
    brood_queue q = joinable(4096, BROOD_UNBOUNDED);
    put(q, 100);
    take(q, 60);
    put(q, 5000);
    take(q, 5040);
    int value;
    members_late(brood_queue_get_value(q, &value, A_WHILE)); /* small again */
    for (int i = 0; i < 5100; i++) brood_test_ok(brood_queue_task_done(q));
    brood_test_ok(brood_queue_join(q, 0));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(closing_is_no_end_of_work)
{
    brood_queue q = joinable(0, 0);
    put(q, 1);
    brood_test_ok(brood_queue_close(q));
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
    take(q, 1);
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
    brood_test_ok(brood_queue_task_done(q));
    brood_test_ok(brood_queue_join(q, 0));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- others */

BROOD_TASK(work, int, brood_queue, jobs, int, most)
{
    int value, error = 0;
    for (int i = 0; i != most && (error = brood_queue_get_value(jobs, &value, BROOD_FOREVER)) == 0; i++)
        MUST(brood_queue_task_done(jobs) == 0);
    MUST(error == 0 || error == BROOD_ECLOSED);
    return 0;
}
BROOD_TASK(take_some, int, brood_queue, jobs, brood_queue, told, int, n)
{
    int value;
    for (int i = 0; i < n; i++) MUST(brood_queue_get_value(jobs, &value, BROOD_FOREVER) == 0);
    MUST(brood_queue_put_value(told, &n, BROOD_FOREVER) == 0);
    for (;;) pause(); /* until it is killed */
    return 0;
}
BROOD_TASK(take_and_go, int, brood_queue, jobs, int, n)
{
    int value;
    for (int i = 0; i < n; i++) MUST(brood_queue_get_value(jobs, &value, BROOD_FOREVER) == 0);
    return 0;
}
BROOD_TASK(join_it, int, brood_queue, jobs, int, expected)
{
    MUST(brood_queue_join(jobs, BROOD_FOREVER) == expected);
    return 0;
}

START_TEST(workers_finish_the_work)
{
    brood_queue q = joinable(4096, BROOD_UNBOUNDED);
    brood_process worker[3], joiner;
    put(q, 1);
    work_args args = {q, -1};
    join_it_args join = {q, 0};
    members_start(&joiner, members_methods[_i], join_it, &join);
    members_asleep(joiner, q.id);
    put(q, 3000);
    for (int i = 0; i < 3; i++) members_start(&worker[i], members_methods[_i], work, &args);
    brood_test_ok(brood_queue_join(q, PATIENCE));
    members_end(joiner, 0);
    put(q, 1000); /* and again */
    brood_test_ok(brood_queue_join(q, PATIENCE));
    ck_assert_int_eq(brood_queue_lost(q), 0);
    brood_test_ok(brood_queue_close(q));
    for (int i = 0; i < 3; i++) members_end(worker[i], 0);
}
END_TEST

/* What another took can be marked done by whoever knows of it. */
START_TEST(done_for_another)
{
    brood_queue q = joinable(0, 0), told;
    brood_process taker;
    int n;
    brood_test_ok(brood_queue_new(&told, NULL));
    put(q, 3);
    take_some_args args = {q, told, 2};
    members_start(&taker, members_methods[_i], take_some, &args);
    brood_test_ok(brood_queue_get_value(told, &n, PATIENCE)); /* it has them, and is outside */
    take(q, 1);
    for (int i = 0; i < 3; i++) brood_test_ok(brood_queue_task_done(q));
    ck_assert_int_eq(brood_queue_task_done(q), BROOD_EPERM);
    brood_test_ok(brood_queue_join(q, 0));
    members_kill(taker);
    ck_assert_int_eq(brood_queue_lost(q), 0);
}
END_TEST

/* Killed with two taken: the joiner is told, once nothing else is open; others may ask how many. */
START_TEST(the_dead_finish_nothing)
{
    brood_queue q = joinable(0, 0), told;
    brood_process taker, joiner;
    int n;
    brood_test_ok(brood_queue_new(&told, NULL));
    put(q, 3);
    take_some_args args = {q, told, 2};
    join_it_args join = {q, BROOD_ELOST};
    members_start(&taker, members_methods[_i], take_some, &args);
    brood_test_ok(brood_queue_get_value(told, &n, PATIENCE)); /* it has them, and is outside */
    members_start(&joiner, members_methods[_i], join_it, &join);
    members_asleep(joiner, q.id);
    take(q, 1);
    members_kill(taker);
    ck_assert_int_eq(brood_queue_join(q, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_process_is_alive(joiner), 1);
    brood_test_ok(brood_queue_task_done(q));
    members_end(joiner, 0);
    ck_assert_int_eq(brood_queue_join(q, BROOD_FOREVER), BROOD_ELOST);
    ck_assert_int_eq(brood_queue_lost(q), 2);
    ck_assert_int_eq(brood_queue_lost(q), 0);
    brood_test_ok(brood_queue_join(q, 0));
}
END_TEST

/* Who waits when the last one that is open dies is woken by the death. */
START_TEST(a_death_ends_the_wait)
{
    brood_queue q = joinable(0, 0), told;
    brood_process taker, joiner[2];
    int n;
    brood_test_ok(brood_queue_new(&told, NULL));
    put(q, 2);
    take_some_args args = {q, told, 2};
    join_it_args join = {q, BROOD_ELOST};
    members_start(&taker, members_methods[_i], take_some, &args);
    for (int i = 0; i < 2; i++) members_start(&joiner[i], members_methods[_i], join_it, &join);
    for (int i = 0; i < 2; i++) members_asleep(joiner[i], q.id);
    brood_test_ok(brood_queue_get_value(told, &n, PATIENCE)); /* it has them, and is outside */
    members_kill(taker);
    for (int i = 0; i < 2; i++) members_end(joiner[i], 0);
    ck_assert_int_eq(brood_queue_lost(q), 2);
}
END_TEST

/* To go without a word is like dying. */
START_TEST(who_leaves_finishes_nothing)
{
    brood_queue q = joinable(0, 0);
    brood_process taker;
    put(q, 5);
    take_and_go_args args = {q, 5};
    members_start(&taker, members_methods[_i], take_and_go, &args);
    ck_assert_int_eq(brood_queue_join(q, PATIENCE), BROOD_ELOST);
    ck_assert_int_eq(brood_queue_lost(q), 5);
    members_end(taker, 0);
}
END_TEST

START_TEST(the_end_of_the_queue_wakes_joiners)
{
    brood_queue q = joinable(0, 0);
    brood_process joiner;
    put(q, 1);
    join_it_args join = {q, BROOD_ESTALE};
    members_start(&joiner, members_methods[_i], join_it, &join);
    members_asleep(joiner, q.id);
    brood_test_ok(brood_queue_free(q));
    members_end(joiner, 0);
}
END_TEST

static Suite *joinable_suite(void)
{
    Suite *suite = suite_create("joinable");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, join_is_for_what_is_not_done);
    tcase_add_test(alone, done_too_often_is_told);
    tcase_add_test(alone, others_are_not_joinable);
    tcase_add_loop_test(alone, all_ways_of_taking_count, 0, 2);
    tcase_add_test(alone, grows_and_keeps_count);
    tcase_add_test(alone, closing_is_no_end_of_work);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, workers_finish_the_work, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, done_for_another, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, the_dead_finish_nothing, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, a_death_ends_the_wait, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, who_leaves_finishes_nothing, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, the_end_of_the_queue_wakes_joiners, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(joinable_suite)
