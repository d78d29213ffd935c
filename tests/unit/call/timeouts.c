/* SPDX-License-Identifier: MIT */
/* timeouts.c - a negative timeout that is not BROOD_FOREVER is BROOD_EINVAL in every call, also where nobody waits. */
#include "brood_test.h"

#include <brood.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

BROOD_TASK(idle, int, int, x)
{
    return x;
}

static const int refused[] = {-2, -1000, INT_MIN};
enum { REFUSED = sizeof refused / sizeof *refused };

static void is_refused(int code, int timeout)
{
    char number[32];
    snprintf(number, sizeof number, " %d ms", timeout);
    ck_assert_int_eq(code, BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), number));
}

START_TEST(of_locks_events_and_semaphores)
{
    int t = refused[_i];
    brood_lock lock;
    brood_event event;
    brood_semaphore semaphore;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_semaphore_new(&semaphore, 1, NULL));
    is_refused(brood_lock_acquire(lock, t), t);
    is_refused(brood_lock_acquire_checked(lock, t), t);
    ck_assert_int_eq(brood_lock_holder(lock), 0);
    is_refused(brood_semaphore_acquire(semaphore, t), t);
    ck_assert_int_eq(brood_semaphore_value(semaphore), 1);
    is_refused(brood_event_wait(event, t), t);
    brood_test_ok(brood_event_set(event));
    is_refused(brood_event_wait(event, t), t);
    brood_test_ok(brood_event_wait(event, BROOD_FOREVER));
    brood_test_ok(brood_lock_free(lock));
    brood_test_ok(brood_event_free(event));
    brood_test_ok(brood_semaphore_free(semaphore));
}
END_TEST

START_TEST(of_queues)
{
    int t = refused[_i], value = 7;
    size_t size;
    brood_queue queue;
    brood_buffer buffer, taken;
    brood_view view;
    brood_bytes message = {&value, sizeof value};
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_buffer_new(&buffer, 10, NULL));
    is_refused(brood_queue_put(queue, &value, sizeof value, t), t);
    is_refused(brood_queue_put_value(queue, &value, t), t);
    is_refused(brood_queue_put_batch(queue, &message, 1, t), t);
    is_refused(brood_queue_put_buffer(queue, buffer, t), t);
    ck_assert_int_eq(brood_queue_size(queue), 0);
    brood_test_ok(brood_queue_put_value(queue, &value, BROOD_FOREVER));
    is_refused(brood_queue_get(queue, &value, sizeof value, &size, t), t);
    is_refused(brood_queue_get_value(queue, &value, t), t);
    is_refused(brood_queue_get_buffer(queue, &taken, t), t);
    is_refused(brood_queue_get_view(queue, &view, t), t);
    is_refused(brood_queue_get_batch(queue, &value, sizeof value, &size, 1, t), t);
    ck_assert_int_eq(brood_queue_size(queue), 1);
    brood_test_ok(brood_buffer_free(buffer));
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

START_TEST(of_processes_and_pools)
{
    int t = refused[_i], x = 3, result;
    brood_process p;
    brood_pool pool;
    brood_future future;
    brood_bytes bytes;
    brood_test_ok(brood_process_start(&p, NULL, idle, &x));
    is_refused(brood_process_join(p, t, NULL), t);
    brood_test_ok(brood_process_join(p, BROOD_FOREVER, NULL));
    brood_test_ok(brood_process_free(p));
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1}));
    brood_test_ok(brood_pool_submit(pool, &future, idle, &x));
    is_refused(brood_future_get(future, &result, t, NULL), t);
    is_refused(brood_future_bytes(future, &bytes, t, NULL), t);
    is_refused(brood_future_cancel(future, t), t);
    is_refused(brood_pool_drain(pool, t, 0), t);
    is_refused(brood_pool_drain(pool, 0, t), t);
    brood_test_ok(brood_future_get(future, &result, BROOD_FOREVER, NULL));
    is_refused(brood_future_get(future, &result, t, NULL), t);
    brood_test_ok(brood_future_free(future));
    is_refused(brood_pool_join(pool, t), t);
    brood_test_ok(brood_pool_close(pool));
    is_refused(brood_pool_join(pool, t), t);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *timeouts_suite(void)
{
    Suite *suite = suite_create("timeouts");
    TCase *negative = brood_test_case(suite, "negative");
    tcase_add_loop_test(negative, of_locks_events_and_semaphores, 0, REFUSED);
    tcase_add_loop_test(negative, of_queues, 0, REFUSED);
    tcase_add_loop_test(negative, of_processes_and_pools, 0, REFUSED);
    return suite;
}

BROOD_TEST_MAIN(timeouts_suite)
