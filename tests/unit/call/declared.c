/* SPDX-License-Identifier: MIT */
/* declared.c - tasks of another file, and functions of a library, by BROOD_TASK_DECLARE. */
#include "declared.h"

#include "brood_test.h"

#include <stdlib.h>
#include <string.h>

BROOD_TASK_DECLARE(labs, long, long, number);

static const brood_start_method methods[] = {BROOD_START_FORK, BROOD_START_SPAWN, BROOD_START_FORKSERVER};

START_TEST(run_in_other_processes)
{
    brood_pool pool;
    brood_process p;
    brood_event event;
    place to;
    int code;
    long numbers[3] = {-1, 2, -3};
    double halves[4];
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = methods[_i]}));
    brood_test_ok(brood_pool_map(pool, half, (double[]){1, 2, 3, 4}, halves, 4));
    for (int i = 0; i < 4; i++) ck_assert(halves[i] == (i + 1) / 2.0);
    brood_test_ok(brood_pool_apply(pool, move, &(move_args){{1, 2}, 10}, &to));
    ck_assert(to.x == 11 && to.y == 12);
    brood_test_ok(brood_pool_apply_task(pool, move_there(), &(move_args){{3, 4}, 20}, &to, NULL));
    ck_assert(to.x == 23 && to.y == 24);
    brood_test_ok(brood_pool_map(pool, labs, numbers, numbers, 3));
    ck_assert(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
    brood_future future;
    brood_bytes text = {"live", 4};
    brood_test_ok(brood_pool_submit(pool, &future, turn, &text));
    brood_test_ok(brood_future_get(future, &text, BROOD_FOREVER, NULL));
    ck_assert_uint_eq(text.size, 4);
    ck_assert_mem_eq(text.data, "evil", 4);
    brood_test_ok(brood_future_free(future));
    brood_test_ok(brood_pool_free(pool));

    brood_test_ok(brood_process_start(&p, &(brood_process_options){.method = methods[_i]}, seven));
    brood_test_ok(brood_process_join(p, BROOD_FOREVER, &code));
    ck_assert_int_eq(code, 7);
    brood_test_ok(brood_process_free(p));
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_process_start_with(&p, count, &event, .method = methods[_i], .name = "counter"));
    brood_test_ok(brood_event_wait(event, BROOD_FOREVER));
    char name[32];
    brood_test_ok(brood_process_name(p, name, sizeof name));
    ck_assert_str_eq(name, "counter");
    brood_test_ok(brood_process_join(p, BROOD_FOREVER, NULL));
    brood_test_ok(brood_process_free(p));
    brood_test_ok(brood_event_free(event));
}
END_TEST

START_TEST(stay_functions)
{
    ck_assert(half(3) == 1.5);
    ck_assert_int_eq(seven(), 7);
    ck_assert_str_eq(BROOD_TASK_OF(move)->name, move_there()->name);
    ck_assert_uint_eq(BROOD_TASK_OF(move)->arg_size, sizeof(move_args));
    ck_assert_uint_eq(BROOD_TASK_OF(seven)->flags, BROOD_TASK_RESULT_INT);
}
END_TEST

static Suite *declared_suite(void)
{
    Suite *suite = suite_create("declared");
    TCase *tasks = brood_test_case(suite, "tasks");
    tcase_add_loop_test(tasks, run_in_other_processes, 0, 3);
    tcase_add_test(tasks, stay_functions);
    return suite;
}

BROOD_TEST_MAIN(declared_suite)
