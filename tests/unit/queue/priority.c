/* SPDX-License-Identifier: MIT */
/* priority.c - queues with priorities: the highest first, in order within each. */
#include "members.h"

#include <brood/queue.h>
#include <limits.h>
#include <poll.h>

static brood_queue prioritized(unsigned priorities, size_t capacity, size_t grows_to, size_t max_items)
{
    brood_queue queue;
    brood_queue_options options = {
        .priorities = priorities, .capacity = capacity, .grows_to = grows_to, .max_items = max_items};
    brood_test_ok(brood_queue_new(&queue, &options));
    return queue;
}

static int put_at(brood_queue queue, int value, unsigned priority)
{
    return brood_queue_put_priority(queue, &value, sizeof value, priority, 0);
}
static void ck_next(brood_queue queue, int expected)
{
    int value;
    brood_test_ok(brood_queue_get_value(queue, &value, 0));
    ck_assert_int_eq(value, expected);
}

START_TEST(the_highest_first)
{
    brood_queue q = prioritized(8, 0, _i ? BROOD_UNBOUNDED : 0, 0);
    for (int i = 0; i < 80; i++) brood_test_ok(put_at(q, i, (unsigned)i * 5 % 8));
    ck_assert_int_eq(brood_queue_size(q), 80);
    ck_assert_int_eq(brood_queue_empty(q), 0);
    for (unsigned priority = 8; priority-- > 0;)
        for (int i = 0; i < 80; i++)
            if ((unsigned)i * 5 % 8 == priority) ck_next(q, i);
    ck_assert_int_eq(brood_queue_empty(q), 1);
    ck_assert_int_eq(brood_queue_get(q, NULL, 0, NULL, 0), BROOD_EAGAIN);
    brood_test_ok(brood_queue_free(q));
}
END_TEST

START_TEST(other_puts_are_the_lowest)
{
    brood_queue q = prioritized(2, 0, 0, 0);
    int low = 1;
    brood_test_ok(brood_queue_put_value(q, &low, 0));
    brood_test_ok(put_at(q, 3, 1));
    brood_test_ok(put_at(q, 2, 0));
    brood_test_ok(put_at(q, 4, 1));
    ck_next(q, 3);
    ck_next(q, 4);
    ck_next(q, 1);
    brood_test_ok(put_at(q, 5, 1));
    ck_next(q, 5);
    ck_next(q, 2);
}
END_TEST

START_TEST(priorities_have_a_range)
{
    brood_queue q;
    int x = 1;
    ck_assert_int_eq(brood_queue_new(&q, &(brood_queue_options){.priorities = BROOD_QUEUE_PRIORITIES + 1}),
                     BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "9 priorities, and a queue has at most 8");
    q = prioritized(3, 0, 0, 0);
    ck_assert_int_eq(put_at(q, x, 3), BROOD_EINVAL);
    ck_assert_int_eq(put_at(q, x, UINT_MAX), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "priority 4294967295, and the queue has those below 3");
    brood_test_ok(put_at(q, x, 2));
    q = prioritized(0, 0, 0, 0);
    brood_test_ok(put_at(q, x, 0));
    ck_assert_int_eq(put_at(q, x, 1), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_size(q), 1);
}
END_TEST

/* Each has its own room in bytes; the number of messages is one for all. */
START_TEST(room_is_for_each_and_items_for_all)
{
    brood_queue q = prioritized(3, 256, 0, 0);
    int n[3] = {0};
    for (unsigned p = 0; p < 3; p++)
        while (put_at(q, 0, p) == 0) n[p]++;
    ck_assert_int_eq(n[0], 15);
    ck_assert(n[1] == n[0] && n[2] == n[0]);
    ck_assert_int_eq(brood_queue_full(q), 1);
    for (int i = 0; i < 15; i++) ck_next(q, 0);
    ck_assert_int_eq(put_at(q, 0, 1), BROOD_EAGAIN);
    brood_test_ok(put_at(q, 0, 2));
    q = prioritized(3, 256, 0, 4);
    for (unsigned i = 0; i < 4; i++) brood_test_ok(put_at(q, 0, i % 3));
    for (unsigned p = 0; p < 3; p++) ck_assert_int_eq(put_at(q, 0, p), BROOD_EAGAIN);
    ck_assert_int_eq(brood_queue_full(q), 1);
    ck_next(q, 0);
    brood_test_ok(put_at(q, 0, 1));
    ck_assert_int_eq(put_at(q, 0, 2), BROOD_EAGAIN);
}
END_TEST

START_TEST(a_batch_is_of_one_priority)
{
    brood_queue q = prioritized(4, 0, 0, 0);
    int data[8] = {0};
    size_t sizes[4];
    for (int i = 0; i < 4; i++) brood_test_ok(put_at(q, i, i < 2 ? 3 : 1));
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 4, 0), 2);
    ck_assert(data[0] == 0 && data[2] == 1);
    brood_bytes more[] = {{&(int){7}, sizeof(int)}, {&(int){8}, sizeof(int)}};
    ck_assert_int_eq(brood_queue_put_batch(q, more, 2, 0), 2);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 4, 0), 2);
    ck_assert(data[0] == 2 && data[2] == 3);
    ck_next(q, 7);
    ck_next(q, 8);
}
END_TEST

/* Long ones travel in buffers, at their priority; what is left goes with the queue. */
START_TEST(long_ones_too)
{
    size_t before, after, size;
    static char text[5000], back[5000];
    brood_test_ok(brood_arena_usage(&before, NULL));
    brood_queue q = prioritized(4, 256, _i ? 1 << 16 : 0, 0);
    for (unsigned i = 0; i < 12; i++) {
        memset(text, (int)i, sizeof text);
        brood_test_ok(brood_queue_put_priority(q, text, sizeof text, i % 4, 0));
    }
    for (unsigned i = 0; i < 6; i++) {
        brood_test_ok(brood_queue_get(q, back, sizeof back, &size, 0));
        ck_assert_int_eq(back[0], (int)(i < 3 ? 3 + 4 * i : 2 + 4 * (i - 3)));
    }
    brood_test_ok(brood_queue_free(q));
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(grows_with_all)
{
    brood_queue q = prioritized(3, 4096, BROOD_UNBOUNDED, 0);
    for (int i = 0; i < 3000; i++) brood_test_ok(put_at(q, i, (unsigned)i % 3));
    for (unsigned p = 3; p-- > 0;)
        for (int i = (int)p; i < 3000; i += 3) ck_next(q, i);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

BROOD_TASK(wait_for, int, brood_queue, queue, int, expected)
{
    int value = 0;
    MUST(brood_queue_get_value(queue, &value, BROOD_FOREVER) == 0);
    MUST(value == expected);
    return 0;
}
BROOD_TASK(put_late, int, brood_queue, queue, unsigned, priority)
{
    MUST(brood_queue_put_priority(queue, &(int){7}, sizeof(int), priority, BROOD_FOREVER) == 0);
    return 0;
}

START_TEST(any_wakes_a_consumer)
{
    brood_queue q = prioritized(8, 0, 0, 0);
    for (unsigned priority = 0; priority < 8; priority += 7) {
        brood_process consumer;
        wait_for_args args = {q, 5};
        members_start(&consumer, members_methods[_i], wait_for, &args);
        members_asleep(consumer, q.id);
        brood_test_ok(put_at(q, 5, priority));
        members_end(consumer, 0);
    }
}
END_TEST

/* Who waits for room at one priority is not forgotten for one who waits at another. */
START_TEST(room_wakes_whom_it_is_for)
{
    brood_queue q = prioritized(2, 256, 0, 0);
    for (unsigned p = 0; p < 2; p++)
        while (put_at(q, (int)p, p) == 0) continue;
    brood_process low, high;
    put_late_args args = {q, 0};
    members_start(&low, members_methods[_i], put_late, &args);
    members_asleep(low, q.id);
    args.priority = 1;
    members_start(&high, members_methods[_i], put_late, &args);
    members_asleep(high, q.id);
    ck_next(q, 1);
    members_end(high, 0);
    for (int i = 0; i < 14; i++) ck_next(q, 1);
    ck_next(q, 7);
    ck_next(q, 0);
    members_end(low, 0);
}
END_TEST

START_TEST(rings_for_any)
{
    brood_queue q = prioritized(4, 0, 0, 0);
    int value;
    struct pollfd poller = {.fd = brood_queue_fd(q), .events = POLLIN};
    ck_assert_int_eq(brood_queue_get_value(q, &value, 0), BROOD_EAGAIN);
    ck_assert_int_eq(poll(&poller, 1, 0), 0);
    brood_test_ok(put_at(q, 1, 3));
    brood_test_ok(put_at(q, 2, 0));
    ck_assert_int_eq(poll(&poller, 1, PATIENCE), 1);
    ck_next(q, 1);
    ck_next(q, 2);
    ck_assert_int_eq(brood_queue_get_value(q, &value, 0), BROOD_EAGAIN);
    ck_assert_int_eq(poll(&poller, 1, 0), 0);
}
END_TEST

START_TEST(closed_gives_all)
{
    brood_queue q = prioritized(3, 0, 0, 0);
    for (int i = 0; i < 3; i++) brood_test_ok(put_at(q, i, (unsigned)i));
    brood_test_ok(brood_queue_close(q));
    ck_assert_int_eq(put_at(q, 1, 2), BROOD_ECLOSED);
    for (int i = 2; i >= 0; i--) ck_next(q, i);
    ck_assert_int_eq(brood_queue_get(q, NULL, 0, NULL, BROOD_FOREVER), BROOD_ECLOSED);
}
END_TEST

static Suite *priority_suite(void)
{
    Suite *suite = suite_create("priority");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_loop_test(alone, the_highest_first, 0, 2);
    tcase_add_test(alone, other_puts_are_the_lowest);
    tcase_add_test(alone, priorities_have_a_range);
    tcase_add_test(alone, room_is_for_each_and_items_for_all);
    tcase_add_test(alone, a_batch_is_of_one_priority);
    tcase_add_loop_test(alone, long_ones_too, 0, 2);
    tcase_add_test(alone, grows_with_all);
    tcase_add_test(alone, rings_for_any);
    tcase_add_test(alone, closed_gives_all);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, any_wakes_a_consumer, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, room_wakes_whom_it_is_for, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(priority_suite)
