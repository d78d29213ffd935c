/* SPDX-License-Identifier: MIT */
/* error.c - names and texts of codes, and the thread's detail. */
#include "call/error.h"
#include "brood_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *name, *text;
} rows[] = {
#define ROW(name, value, text) {BROOD_##name, #name, text},
    BROOD_ERROR_MAP(ROW)
#undef ROW
};
enum { ROWS = sizeof rows / sizeof rows[0] };

START_TEST(knows_each_code)
{
    for (size_t i = 0; i < ROWS; i++) {
        char own[64];
        snprintf(own, sizeof own, "BROOD_%s", rows[i].name);
        ck_assert_str_eq(brood_error_name(rows[i].code), own);
        ck_assert_str_eq(brood_strerror(rows[i].code), rows[i].text);
    }
}
END_TEST

START_TEST(codes_are_distinct)
{
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_int_lt(rows[i].code, 0);
        for (size_t k = 0; k < i; k++) ck_assert_int_ne(rows[i].code, rows[k].code);
    }
}
END_TEST

START_TEST(knows_the_systems)
{
    ck_assert_str_eq(brood_error_name(-EXDEV), "EXDEV");
    ck_assert_str_eq(brood_strerror(-EXDEV), strerrordesc_np(EXDEV));
    ck_assert_int_eq(BROOD_EMFILE, -EMFILE);
}
END_TEST

START_TEST(answers_any_number)
{
    static const int others[] = {1, 5, 12345, -8999, -9000, -9999, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert_str_eq(brood_error_name(others[i]), "unknown");
        ck_assert_str_eq(brood_strerror(others[i]), "unknown error");
    }
    ck_assert_str_eq(brood_error_name(0), "0");
    ck_assert_str_eq(brood_strerror(0), "success");
}
END_TEST

START_TEST(keeps_a_detail)
{
    ck_assert_str_eq(brood_error_detail(), "");
    errno = EXDEV;
    ck_assert_int_eq(brood__fail_with(BROOD_EEXEC, "%s: %d", "step", 7), BROOD_EEXEC);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_str_eq(brood_error_detail(), "step: 7");
    brood__fail_with(BROOD_EEXEC, "outer: %s", brood_error_detail());
    ck_assert_str_eq(brood_error_detail(), "outer: step: 7");
    brood__fail_with(BROOD_EEXEC, "%s", "");
    ck_assert_str_eq(brood_error_detail(), "");
}
END_TEST

START_TEST(cuts_a_detail)
{
    brood__fail_with(BROOD_EEXEC, "%0300d", 1);
    ck_assert_uint_eq(strlen(brood_error_detail()), DETAIL_SIZE - 1);
}
END_TEST

static void *fail_elsewhere(void *arg)
{
    ck_assert_str_eq(brood_error_detail(), "");
    brood__fail_with(BROOD_ELOST, "there");
    return arg;
}

START_TEST(details_are_of_threads)
{
    pthread_t thread;
    brood__fail_with(BROOD_ELOST, "here");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(brood_error_detail(), "here");
}
END_TEST

static Suite *error_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *codes = tcase_create("codes");
    tcase_add_test(codes, knows_each_code);
    tcase_add_test(codes, codes_are_distinct);
    tcase_add_test(codes, knows_the_systems);
    tcase_add_test(codes, answers_any_number);
    suite_add_tcase(suite, codes);
    TCase *detail = tcase_create("detail");
    tcase_add_test(detail, keeps_a_detail);
    tcase_add_test(detail, cuts_a_detail);
    tcase_add_test(detail, details_are_of_threads);
    suite_add_tcase(suite, detail);
    return suite;
}

BROOD_TEST_MAIN(error_suite)
