/* SPDX-License-Identifier: MIT */
/* The forms in which a pool is called: literals as arguments, options, results of another size. */
#include "common.h"

#include <poll.h>
#include <string.h>

typedef struct point {
    int x, y;
} point;

BROOD_TASK(turn, point, point, p)
{
    return (point){p.y, p.x};
}
BROOD_TASK(area, long, int, w, int, h)
{
    return (long)w * h;
}
BROOD_TASK(shout, brood_bytes, brood_bytes, text)
{
    char *loud = brood_alloc(text.size);
    for (size_t i = 0; loud && i < text.size; i++) loud[i] = (char)(((const char *)text.data)[i] - 'a' + 'A');
    return (brood_bytes){loud, loud ? text.size : 0};
}
BROOD_TASK(answer, int, void)
{
    return 42;
}
BROOD_TASK(nothing, void, void) {}
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
BROOD_TASK(crash, void, int, signal)
{
    raise(signal);
}

static brood_pool pool;

static void set_up(void)
{
    brood_test_setup();
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 2}));
}
static void tear_down(void)
{
    brood_test_ok(brood_pool_free(pool));
    brood_test_teardown();
}

START_TEST(arguments_are_literals)
{
    point p;
    long areas[3];
    brood_future future;
    brood_map map;
    brood_test_ok(brood_pool_apply(pool, turn, &(point){1, 2}, &p));
    ck_assert(p.x == 2 && p.y == 1);
    brood_test_ok(brood_pool_apply(pool, area, &(area_args){.w = 3, .h = 4}, &areas[0]));
    ck_assert_int_eq(areas[0], 12);
    brood_test_ok(brood_pool_submit(pool, &future, turn, &(point){3, 4}));
    brood_test_ok(brood_future_get(future, &p, BROOD_FOREVER, NULL));
    ck_assert(p.x == 4 && p.y == 3);
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_pool_map(pool, area, (area_args[]){{1, 2}, {3, 4}, {5, 6}}, areas, 3));
    ck_assert(areas[0] == 2 && areas[1] == 12 && areas[2] == 30);
    memset(areas, 0, sizeof areas);
    brood_test_ok(brood_pool_map_async(pool, &map, area, (area_args[]){{1, 2}, {3, 4}, {5, 6}}, areas, 3));
    brood_test_ok(brood_map_wait(map, BROOD_FOREVER, NULL));
    ck_assert(areas[0] == 2 && areas[1] == 12 && areas[2] == 30);
    point last;
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_queue_put_value(queue, &(point){5, 6}, BROOD_FOREVER));
    brood_test_ok(brood_queue_get_value(queue, &last, BROOD_FOREVER));
    ck_assert(last.x == 5 && last.y == 6);
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

START_TEST(tasks_without_argument_need_none)
{
    int result;
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, answer));
    brood_test_ok(brood_future_get(future, &result, BROOD_FOREVER, NULL));
    ck_assert_int_eq(result, 42);
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_pool_submit(pool, &future, nothing));
    brood_test_ok(brood_future_get(future, NULL, BROOD_FOREVER, NULL));
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_pool_apply(pool, nothing, NULL, NULL));
}
END_TEST

START_TEST(a_result_has_its_size)
{
    brood_future future;
    point p = {0};
    struct {
        char before[8], place[8];
    } small = {"before", "behind"};
    brood_bytes text = {"quite a long text", 17}, loud;
    brood_test_ok(brood_pool_submit(pool, &future, shout, &text));
    ck_assert_int_eq(brood_future_get(future, &small.before, BROOD_FOREVER, NULL), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "the result has 17 bytes, and the place for it 8");
    ck_assert_str_eq(small.before, "before");
    ck_assert_str_eq(small.place, "behind");
    brood_test_ok(brood_future_get(future, NULL, BROOD_FOREVER, NULL));
    brood_test_ok(brood_future_get(future, &loud, BROOD_FOREVER, NULL)); /* in place */
    ck_assert_uint_eq(loud.size, 17);
    ck_assert_mem_eq(loud.data, "QUITE", 5);
    char copy[17];
    brood_test_ok(brood_future_get_exactly(future, copy, sizeof copy, BROOD_FOREVER, NULL));
    ck_assert_mem_eq(copy, "QUITE", 5);
    brood_test_ok(brood_future_free(future));

    brood_test_ok(brood_pool_submit(pool, &future, turn, &(point){1, 2}));
    int wrong = 5;
    ck_assert_int_eq(brood_future_get(future, &wrong, BROOD_FOREVER, NULL), BROOD_EINVAL);
    ck_assert_int_eq(wrong, 5);
    brood_test_ok(brood_future_get(future, &p, BROOD_FOREVER, NULL));
    ck_assert(p.x == 2 && p.y == 1);
    brood_test_ok(brood_future_free(future));
    ck_assert_int_eq(brood_pool_apply_task(pool, BROOD_TASK_OF(shout), &text, &loud, NULL), BROOD_EINVAL);
    ck_assert_str_ne(brood_error_detail(), "");
    ck_assert_int_eq(brood_pool_apply_task(pool, BROOD_TASK_OF(turn), NULL, &p, NULL), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "turn wants an argument");
    ck_assert_int_eq(brood_pool_apply_task(pool, NULL, NULL, &p, NULL), BROOD_ETASK);
}
END_TEST

START_TEST(an_apply_has_options)
{
    brood_event event;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_event_new(&event));
    ck_assert_int_eq(brood_pool_apply_with(pool, wait_for, &event, &result, .timeout = 30), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_pool_apply_with(pool, wait_for, &event, &result, .timeout = -7), BROOD_EINVAL);
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_pool_apply_with(pool, wait_for, &event, &result, .timeout = BROOD_FOREVER));
    brood_test_ok(brood_pool_apply_with(pool, wait_for, &event, &result, .timeout = 20000, .outcome = &outcome));
    ck_assert_int_eq(outcome.code, 0);
    ck_assert_int_eq(outcome.attempt, 1);
    ck_assert_int_gt(outcome.pid, 0);
    int segv = SIGSEGV;
    ck_assert_int_eq(brood_pool_apply_with(pool, crash, &segv, NULL, .outcome = &outcome), BROOD_ELOST);
    ck_assert_int_eq(outcome.signal, SIGSEGV);
    brood_test_ok(brood_event_free(event));
}
END_TEST

START_TEST(an_async_map_has_options)
{
    long areas[2];
    int codes[2] = {7, 7};
    brood_map map;
    area_args in[2] = {{1, 2}, {3, 4}};
    brood_test_ok(brood_pool_map_async_with(pool, &map, area, in, areas, 2, .chunk = 1, .codes = codes));
    brood_test_ok(brood_map_wait(map, BROOD_FOREVER, NULL));
    ck_assert(areas[0] == 2 && areas[1] == 12);
    ck_assert(codes[0] == 0 && codes[1] == 0);
}
END_TEST

/* Items are failed, killed, or exit, by their numbers. */
BROOD_TASK(mixed, int, int, x)
{
    if (x == 3) brood_fail(7, "not %d", x);
    if (x == 5) raise(SIGSEGV);
    if (x == 8) _exit(4);
    return x;
}

START_TEST(a_report_tells_the_first_of_each)
{
    int in[10], out[10], codes[10];
    for (int i = 0; i < 10; i++) in[i] = i;
    brood_report report;
    ck_assert_int_eq(brood_pool_map_with(pool, mixed, in, out, 10, .codes = codes, .report = &report), BROOD_ELOST);
    ck_assert_str_eq(brood_error_detail(), "2 items lost, the first 5: killed by signal 11 (Segmentation fault)");
    ck_assert(report.done == 7 && report.failed == 1 && report.lost == 2);
    const brood_outcome *failed = &report.first_failed, *lost = &report.first_lost;
    ck_assert(failed->code == BROOD_EFAILED && failed->fail == 7 && failed->id == 3);
    ck_assert_int_eq(failed->reason, BROOD_REASON_ERROR);
    ck_assert_int_gt(failed->pid, 0);
    ck_assert_str_eq(failed->text, "not 3");
    ck_assert(lost->code == BROOD_ELOST && lost->signal == SIGSEGV && lost->id == 5);
    ck_assert_int_eq(lost->reason, BROOD_REASON_SIGNAL);
    ck_assert_int_gt(lost->pid, 0);
    ck_assert_str_eq(lost->text, "killed by signal 11 (Segmentation fault)");

    ck_assert_int_eq(brood_pool_map_with(pool, mixed, (&in[6]), out, 4, .report = &report), BROOD_ELOST);
    ck_assert_str_eq(brood_error_detail(), "1 item lost, the first 2: exited with code 4");
    ck_assert(lost->signal == 0 && lost->status == 4 && lost->id == 2 && lost->reason == BROOD_REASON_EXIT);
    ck_assert_str_eq(lost->text, "exited with code 4");
    ck_assert_int_eq(failed->code, 0);
    ck_assert_int_eq(brood_pool_map(pool, mixed, &in[2], out, 2), BROOD_EFAILED);
    ck_assert_str_eq(brood_error_detail(), "1 item failed, the first 1: not 3 (7)");

    brood_outcome outcome;
    ck_assert_int_eq(brood_pool_apply_with(pool, mixed, &in[5], out, .outcome = &outcome), BROOD_ELOST);
    ck_assert_str_eq(outcome.text, "killed by signal 11 (Segmentation fault)");
    ck_assert_int_eq(brood_pool_apply_with(pool, mixed, &in[8], out, .outcome = &outcome), BROOD_ELOST);
    ck_assert_str_eq(outcome.text, "exited with code 4");
}
END_TEST

START_TEST(a_map_says_what_it_refuses)
{
    int in[2] = {1, 2}, out[2];
    brood_map map;
    brood_report report = {.done = 77};
    ck_assert_int_eq(brood_pool_map_with(pool, mixed, in, out, 2, .timeout = -3), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "-3 ms"));
    ck_assert_int_eq(brood_pool_map_task(pool, BROOD_TASK_OF(mixed), NULL, out, 2, NULL), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "mixed wants an argument");
    ck_assert_int_eq(brood_pool_map_async_with(pool, &map, mixed, in, out, 2, .timeout = 100), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "brood_map_wait"));
    brood_test_ok(brood_pool_map_async_with(pool, &map, mixed, in, out, 2, .report = &report));
    ck_assert_int_eq(brood_map_wait(map, -2, NULL), BROOD_EINVAL);
    brood_test_ok(brood_map_wait(map, BROOD_FOREVER, NULL));
    ck_assert_uint_eq(report.done, 2);
}
END_TEST

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

START_TEST(no_answer_is_missed)
{
    brood_event first, second;
    brood_future futures[2];
    brood_map map;
    int fd = brood_pool_fd(pool), result;
    ck_assert_int_ge(fd, 0);
    brood_test_ok(brood_event_new(&first));
    brood_test_ok(brood_event_new(&second));
    brood_test_ok(brood_pool_submit(pool, &futures[0], wait_for, &first));
    brood_test_ok(brood_pool_submit(pool, &futures[1], wait_for, &second));
    for (int turn = 0; turn < 3; turn++) /* asked for again, and not there: it is quiet */
        for (int i = 0; i < 2; i++) ck_assert_int_eq(brood_future_get(futures[i], &result, 0, NULL), BROOD_EAGAIN);
    ck_assert(!is_readable(fd));
    /* The first one's answer comes after it was asked for, and before the other one is. */
    ck_assert_int_eq(brood_future_get(futures[0], &result, 0, NULL), BROOD_EAGAIN);
    brood_test_ok(brood_event_set(first));
    while (brood_future_done(futures[0]) == 0) poll(NULL, 0, 1);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    ck_assert_int_eq(brood_future_get(futures[1], &result, 0, NULL), BROOD_EAGAIN);
    ck_assert(is_readable(fd));
    ck_assert_int_eq(brood_future_get(futures[0], &result, 0, NULL), 0);
    brood_test_ok(brood_future_free(futures[0]));
    ck_assert_int_eq(brood_future_get(futures[1], &result, 0, NULL), BROOD_EAGAIN);
    ck_assert(!is_readable(fd));
    brood_test_ok(brood_pool_submit(pool, &futures[0], answer));
    while (brood_future_done(futures[0]) == 0) poll(NULL, 0, 1);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    brood_test_ok(brood_pool_map_async(pool, &map, wait_for, &second, &result, 1));
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_EAGAIN); /* was not asked for before, so the ring stays */
    ck_assert(is_readable(fd));
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_EAGAIN);
    ck_assert(!is_readable(fd));
    brood_test_ok(brood_event_set(second));
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    brood_test_ok(brood_map_wait(map, BROOD_FOREVER, NULL));
    brood_test_ok(brood_future_get(futures[1], &result, BROOD_FOREVER, NULL));
    brood_test_ok(brood_event_free(first));
    brood_test_ok(brood_event_free(second));
}
END_TEST

static Suite *calls_suite(void)
{
    Suite *suite = suite_create("calls");
    TCase *forms = tcase_create("forms");
    tcase_add_checked_fixture(forms, set_up, tear_down);
    tcase_set_timeout(forms, BROOD_TEST_LIMIT);
    tcase_add_test(forms, arguments_are_literals);
    tcase_add_test(forms, tasks_without_argument_need_none);
    tcase_add_test(forms, a_result_has_its_size);
    tcase_add_test(forms, an_apply_has_options);
    tcase_add_test(forms, an_async_map_has_options);
    tcase_add_test(forms, a_report_tells_the_first_of_each);
    tcase_add_test(forms, a_map_says_what_it_refuses);
    tcase_add_test(forms, no_answer_is_missed);
    suite_add_tcase(suite, forms);
    return suite;
}

BROOD_TEST_MAIN(calls_suite)
