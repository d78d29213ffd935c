/* SPDX-License-Identifier: MIT */
/* value.c - what a task says and allocates belongs to its call. */
#include "brood_test.h"
#include "call/call.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

START_TEST(outside_of_a_task_nothing_happens)
{
    brood_fail(3, "nobody %s", "hears");
    ck_assert_ptr_null(brood_alloc(16));
}
END_TEST

START_TEST(failure_is_kept)
{
    struct call call;
    brood__call_begin(&call);
    ck_assert_int_eq(call.fail, 0);
    ck_assert_str_eq(call.text, "");
    brood_fail(-3, "no %s", "luck");
    ck_assert_int_eq(call.fail, -3);
    ck_assert_str_eq(call.text, "no luck");
    brood_fail(4, "%0200d", 0);
    ck_assert_int_eq(call.fail, 4);
    ck_assert_uint_eq(strlen(call.text), BROOD_FAIL_TEXT - 1);
    brood_fail(0, "a failure none the less");
    ck_assert_int_ne(call.fail, 0);
    brood__call_next(&call);
    ck_assert_int_eq(call.fail, 0);
    ck_assert_str_eq(call.text, "");
    brood__call_end(&call);
}
END_TEST

START_TEST(memory_is_aligned_and_apart)
{
    struct call call;
    brood__call_begin(&call);
    for (int run = 0; run < 3; run++) {
        unsigned char *blocks[100];
        for (size_t i = 0; i < 100; i++) {
            blocks[i] = brood_alloc(i);
            ck_assert_ptr_nonnull(blocks[i]);
            ck_assert_uint_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
            memset(blocks[i], (int)i, i);
        }
        for (size_t i = 0; i < 100; i++) {
            for (size_t k = 0; k < i; k++) ck_assert_uint_eq(blocks[i][k], i);
        }
        brood__call_next(&call);
        ck_assert_ptr_null(call.blocks);
    }
    ck_assert_ptr_null(brood_alloc(SIZE_MAX));
    ck_assert_ptr_null(brood_alloc(SIZE_MAX - 8));
    brood__call_end(&call);
    ck_assert_ptr_null(brood_alloc(1));
}
END_TEST

START_TEST(calls_stack)
{
    struct call outer, inner;
    brood__call_begin(&outer);
    brood__call_begin(&inner);
    brood_fail(1, "inner");
    brood__call_end(&inner);
    ck_assert_int_eq(outer.fail, 0);
    brood_fail(2, "outer");
    ck_assert_int_eq(outer.fail, 2);
    ck_assert_str_eq(outer.text, "outer");
    brood__call_end(&outer);
}
END_TEST

static Suite *value_suite(void)
{
    Suite *suite = suite_create("value");
    TCase *calls = tcase_create("calls");
    tcase_add_test(calls, outside_of_a_task_nothing_happens);
    tcase_add_test(calls, failure_is_kept);
    tcase_add_test(calls, memory_is_aligned_and_apart);
    tcase_add_test(calls, calls_stack);
    suite_add_tcase(suite, calls);
    return suite;
}

BROOD_TEST_MAIN(value_suite)
