/* SPDX-License-Identifier: MIT */
/* task.c - every form of BROOD_TASK: the function, its record, and the trampoline on bytes that are not aligned. */
#include "brood_test.h"

#include <brood/task.h>
#include <string.h>

struct point {
    double x, y;
    short tag;
};

static int calls;

BROOD_TASK(nothing, void, void)
{
    calls++;
}
BROOD_TASK(seven, int, void)
{
    return 7;
}
BROOD_TASK(to_celsius, double, double, f)
{
    return (f - 32) * (5.0 / 9.0);
}
BROOD_TASK(swallow, void, unsigned char, c)
{
    calls += c;
}
BROOD_TASK(mirror, struct point, struct point, p)
{
    return (struct point){p.y, p.x, (short)-p.tag};
}
BROOD_TASK(sum2, int, int, a, int, b)
{
    return a + b;
}
BROOD_TASK(sum3, long, char, a, int, b, long, c)
{
    return a + b + c;
}
BROOD_TASK(sum4, float, char, a, short, b, int, c, float, d)
{
    return (float)(a + b + c) + d;
}
BROOD_TASK(sum5, unsigned long long, int, a, int, b, int, c, int, d, unsigned long long, e)
{
    return (unsigned)(a + b + c + d) + e;
}
BROOD_TASK(sum6, bool, bool, a, char, b, short, c, int, d, struct point, e, long, f)
{
    return a && b == 'b' && c == 3 && d == 4 && e.tag == 5 && f == 6;
}
BROOD_TASK(length, unsigned, brood_bytes, text)
{
    return (unsigned)text.size;
}
BROOD_TASK(middle, brood_bytes, brood_bytes, text)
{
    return (brood_bytes){(const char *)text.data + 1, text.size - 2};
}
static BROOD_TASK(hidden, int, int, n)
{
    return n + 1;
}

/* Call through the record, argument and result each one byte off any alignment. */
static void call(const brood_task *task, const void *arg, void *result)
{
    char in[128], out[128];
    memset(out, 0x55, sizeof out);
    if (task->arg_size) memcpy(in + 1, arg, task->arg_size);
    task->call(task->arg_size ? in + 1 : NULL, task->result_size ? out + 1 : NULL);
    if (task->result_size) memcpy(result, out + 1, task->result_size);
    ck_assert_int_eq(out[0], 0x55);
    ck_assert_int_eq(out[task->result_size + 1], 0x55);
}

static void describes(const brood_task *task, const char *name, size_t arg_size, size_t result_size, unsigned flags)
{
    ck_assert_uint_eq(task->magic, BROOD_TASK_MAGIC);
    ck_assert_str_eq(task->name, name);
    ck_assert_uint_eq(task->arg_size, arg_size);
    ck_assert_uint_eq(task->result_size, result_size);
    ck_assert_uint_eq(task->flags, flags);
    ck_assert_uint_eq(task->reserved, 0);
}

START_TEST(records_say_sizes_and_flags)
{
    describes(BROOD_TASK_OF(nothing), "nothing", 0, 0, 0);
    describes(BROOD_TASK_OF(seven), "seven", 0, sizeof(int), BROOD_TASK_RESULT_INT);
    describes(BROOD_TASK_OF(to_celsius), "to_celsius", sizeof(double), sizeof(double), 0);
    describes(BROOD_TASK_OF(swallow), "swallow", 1, 0, 0);
    describes(BROOD_TASK_OF(mirror), "mirror", sizeof(struct point), sizeof(struct point), 0);
    describes(BROOD_TASK_OF(sum2), "sum2", sizeof(sum2_args), sizeof(int), BROOD_TASK_RESULT_INT);
    describes(BROOD_TASK_OF(sum6), "sum6", sizeof(sum6_args), sizeof(bool), 0);
    describes(BROOD_TASK_OF(length), "length", sizeof(brood_bytes), sizeof(unsigned), BROOD_TASK_ARG_BYTES);
    describes(BROOD_TASK_OF(middle), "middle", sizeof(brood_bytes), sizeof(brood_bytes),
              BROOD_TASK_ARG_BYTES | BROOD_TASK_RESULT_BYTES);
    describes(BROOD_TASK_OF(hidden), "hidden", sizeof(int), sizeof(int), BROOD_TASK_RESULT_INT);
}
END_TEST

START_TEST(stays_a_function)
{
    double (*f)(double) = to_celsius;
    ck_assert_double_eq_tol(f(110), 43.3333, 0.001);
    ck_assert_int_eq(seven(), 7);
    ck_assert_int_eq(sum2(1, 2), 3);
    ck_assert_int_eq(hidden(1), 2);
}
END_TEST

START_TEST(calls_without_argument_or_result)
{
    int result = 0;
    calls = 0;
    call(BROOD_TASK_OF(nothing), NULL, NULL);
    ck_assert_int_eq(calls, 1);
    call(BROOD_TASK_OF(seven), NULL, &result);
    ck_assert_int_eq(result, 7);
    call(BROOD_TASK_OF(swallow), &(swallow_args){41}, NULL);
    ck_assert_int_eq(calls, 42);
}
END_TEST

START_TEST(calls_with_one_argument)
{
    double celsius;
    struct point p;
    int n;
    call(BROOD_TASK_OF(to_celsius), &(double){212}, &celsius);
    ck_assert_double_eq_tol(celsius, 100, 1e-9);
    call(BROOD_TASK_OF(mirror), &(struct point){1, 2, 3}, &p);
    ck_assert(p.x == 2 && p.y == 1 && p.tag == -3);
    call(BROOD_TASK_OF(hidden), &(int){41}, &n);
    ck_assert_int_eq(n, 42);
}
END_TEST

START_TEST(calls_with_several_arguments)
{
    int i;
    long l;
    float f;
    unsigned long long u;
    bool b;
    call(BROOD_TASK_OF(sum2), &(sum2_args){1, 2}, &i);
    ck_assert_int_eq(i, 3);
    call(BROOD_TASK_OF(sum3), &(sum3_args){.a = 1, .b = 2, .c = 3}, &l);
    ck_assert_int_eq(l, 6);
    call(BROOD_TASK_OF(sum4), &(sum4_args){1, 2, 3, 4}, &f);
    ck_assert_float_eq(f, 10);
    call(BROOD_TASK_OF(sum5), &(sum5_args){1, 2, 3, 4, 5}, &u);
    ck_assert_uint_eq(u, 15);
    call(BROOD_TASK_OF(sum6), &(sum6_args){true, 'b', 3, 4, {.tag = 5}, 6}, &b);
    ck_assert(b);
}
END_TEST

START_TEST(calls_with_bytes)
{
    unsigned n;
    brood_bytes part;
    call(BROOD_TASK_OF(length), &(brood_bytes){"hello", 5}, &n);
    ck_assert_uint_eq(n, 5);
    call(BROOD_TASK_OF(middle), &(brood_bytes){"hello", 5}, &part);
    ck_assert_uint_eq(part.size, 3);
    ck_assert_mem_eq(part.data, "ell", 3);
}
END_TEST

START_TEST(checks_pointers_at_compile_time)
{
    double in[2] = {32, 212}, out[2];
    const double constant = 50;
    void *any = in;
    ck_assert_ptr_eq(BROOD__IN(to_celsius, in), in);
    ck_assert_ptr_eq(BROOD__IN(to_celsius, &constant), &constant);
    ck_assert_ptr_eq(BROOD__IN(to_celsius, any), any);
    ck_assert_ptr_eq(BROOD__IN(nothing, NULL), NULL);
    ck_assert_ptr_eq(BROOD__OUT(to_celsius, out), out);
    ck_assert_ptr_eq(BROOD__OUT(to_celsius, NULL), NULL);
}
END_TEST

static Suite *task_suite(void)
{
    Suite *suite = suite_create("task");
    TCase *forms = tcase_create("forms");
    tcase_add_test(forms, records_say_sizes_and_flags);
    tcase_add_test(forms, stays_a_function);
    tcase_add_test(forms, calls_without_argument_or_result);
    tcase_add_test(forms, calls_with_one_argument);
    tcase_add_test(forms, calls_with_several_arguments);
    tcase_add_test(forms, calls_with_bytes);
    tcase_add_test(forms, checks_pointers_at_compile_time);
    suite_add_tcase(suite, forms);
    return suite;
}

BROOD_TEST_MAIN(task_suite)
