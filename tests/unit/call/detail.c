/* SPDX-License-Identifier: MIT */
/* detail.c - after a call that failed, brood_error_detail is about that call, or empty. */
#include "brood_test.h"

#include <brood.h>
#include <string.h>

BROOD_TASK(refuse, int, int, code)
{
    brood_fail(code, "will not do %d", code);
    return 0;
}

/* A failure with a text. */
static void say_something(void)
{
    brood_process p;
    const brood_process_options options = {.name = "a name that is too long to be a process's"};
    ck_assert_int_eq(brood_process_start(&p, &options, refuse, &(int){1}), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "a name has at most 31 bytes");
}

/* The call fails with this code and has nothing to add. */
#define IS_SILENT(call, code)                       \
    do {                                            \
        say_something();                            \
        ck_assert_int_eq(call, code);               \
        ck_assert_str_eq(brood_error_detail(), ""); \
    } while (0)

START_TEST(an_older_text_is_gone)
{
    brood_queue queue;
    brood_lock lock;
    brood_event event;
    brood_semaphore semaphore;
    brood_buffer buffer;
    size_t size;
    int value, none = 0;
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_semaphore_new(&semaphore, 0, NULL));
    IS_SILENT(brood_queue_get(queue, &value, sizeof value, &size, 0), BROOD_EAGAIN);
    IS_SILENT(brood_queue_get_value(queue, &value, 1), BROOD_ETIMEDOUT);
    IS_SILENT(brood_queue_get_buffer(queue, &buffer, 0), BROOD_EAGAIN);
    IS_SILENT(brood_lock_release(lock), BROOD_EPERM);
    IS_SILENT(brood_event_wait(event, 0), BROOD_EAGAIN);
    IS_SILENT(brood_semaphore_acquire(semaphore, 0), BROOD_EAGAIN);
    IS_SILENT(brood_buffer_free((brood_buffer){queue.id}), BROOD_ESTALE);
    IS_SILENT(brood_pool_close((brood_pool){queue.id}), BROOD_ESTALE);
    IS_SILENT(brood_pool_map((brood_pool){0}, refuse, &value, &none, 1), BROOD_ESTALE);
    IS_SILENT(brood_future_done((brood_future){0, 0}), BROOD_ESTALE);
    IS_SILENT(brood_process_join((brood_process){0}, 0, NULL), BROOD_ESTALE);
    IS_SILENT(brood_process_join(brood_process_current(), 0, NULL), BROOD_EDEADLK);
    brood_test_ok(brood_queue_free(queue));
    brood_test_ok(brood_lock_free(lock));
    brood_test_ok(brood_event_free(event));
    brood_test_ok(brood_semaphore_free(semaphore));
    say_something();
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_lock_release(lock), BROOD_ENOTMEMBER);
    ck_assert_str_eq(brood_error_detail(), "");
}
END_TEST

START_TEST(a_text_outlasts_what_the_call_does_after_it)
{
    brood_pool pool;
    int code = 9, result;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1}));
    ck_assert_int_eq(brood_pool_apply(pool, refuse, &code, &result), BROOD_EFAILED); /* and the future is freed */
    ck_assert_str_eq(brood_error_detail(), "will not do 9 (9)");
    ck_assert_str_eq(brood_error_detail(), "will not do 9 (9)");
    ck_assert_int_eq(brood_pool_map(pool, refuse, &code, &result, 1), BROOD_EFAILED);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "will not do 9"));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *detail_suite(void)
{
    Suite *suite = suite_create("detail");
    TCase *calls = brood_test_case(suite, "calls");
    tcase_add_test(calls, an_older_text_is_gone);
    tcase_add_test(calls, a_text_outlasts_what_the_call_does_after_it);
    return suite;
}

BROOD_TEST_MAIN(detail_suite)
