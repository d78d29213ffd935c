/* SPDX-License-Identifier: MIT */
/* What is told of a worker's end: signal, address, the way there; and who is in charge of a signal. */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE = 20000, WRONG = 0x1234 };

static __attribute__((noinline)) int store_at(volatile int *where)
{
    *where = 1;
    return *where;
}
static __attribute__((noinline)) int dig(int depth, volatile int *where)
{
    return depth ? dig(depth - 1, where) + 1 : store_at(where) + 1;
}
BROOD_TASK(store_badly, int, int, depth)
{
    return dig(depth, (volatile int *)WRONG) + 1;
}
static __attribute__((noinline)) int call_nothing(int (*volatile *function)(int), int x)
{
    return (*function)(x) + 1;
}
BROOD_TASK(call_badly, int, int, where)
{
    int (*volatile function)(int) = (int (*)(int))(uintptr_t)(unsigned)where;
    return call_nothing(&function, where) + 1;
}
BROOD_TASK(give_up, int, int, how)
{
    if (how == SIGABRT) abort();
    raise(how);
    return 0;
}
BROOD_TASK(leave, int, int, code)
{
    _exit(code);
}
static __attribute__((noinline)) int recurse(int n)
{
    volatile char room[4096];
    room[0] = (char)n;
    return n == 0 ? room[0] : recurse(n + 1) + room[0];
}
BROOD_TASK(use_up_the_stack, int, int, n)
{
    return recurse(n);
}
static void mine(int signal)
{
    (void)signal;
    _exit(33);
}
BROOD_TASK(handle_it, int, int, signal_number)
{
    signal(signal_number, mine);
    raise(signal_number);
    return 0;
}
BROOD_TASK(fork_one_that_crashes, int, int, x)
{
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSEGV);
        _exit(0);
    }
    return x + (pid < 0);
}
BROOD_TASK(some_crash, long, long, x)
{
    if (x == 500) return dig(2, (volatile int *)WRONG);
    return -x;
}
BROOD_TASK(use_cpu, int, int, rounds)
{
    volatile unsigned long sum = 0;
    for (int i = 0; i < rounds; i++)
        for (unsigned k = 0; k < 1000000; k++) sum += k;
    raise(SIGKILL);
    return (int)(sum & 1);
}

/* Says so many lines, and ends as it is told: by a signal, by exit if 0, not at all if negative. */
BROOD_TASK(say, int, int, lines, int, how)
{
    for (int i = 0; i < lines; i++) fprintf(stderr, "line %d\n", i);
    if (how > 0) raise(how);
    if (how == 0) exit(9);
    return lines;
}
BROOD_TASK(say_item, int, int, x)
{
    fprintf(stderr, "item %d\n", x);
    if (x == 7) abort();
    return x;
}

static int lost(brood_pool pool, const brood_task *task, int arg, brood_outcome *outcome, brood_crash *crash)
{
    brood_future future;
    int result;
    memset(crash, 0xee, sizeof *crash);
    brood_test_ok(brood_pool_submit_task(pool, &future, task, &arg));
    int code = brood_future_get(future, &result, PATIENCE, outcome);
    brood_test_ok(brood_future_crash(future, crash));
    ck_assert_uint_eq(crash->id, outcome->id);
    ck_assert_int_eq(crash->pid, outcome->pid);
    ck_assert_int_eq(crash->signal, outcome->signal);
    ck_assert_str_eq(crash->task, task->name);
    ck_assert_msg(strncmp(crash->worker, "pool-", 5) == 0, "%s", crash->worker);
    brood_test_ok(brood_future_free(future));
    return code;
}

/* The index of the first frame of this function, or of a clone of it that the compiler made; -1: none. */
static int frame_of(const brood_crash *crash, const char *function)
{
    for (unsigned i = 0; i < crash->frame_count; i++)
        if (strncmp(crash->frames[i].function, function, strlen(function)) == 0) return (int)i;
    return -1;
}

START_TEST(a_fault_is_told)
{
    if (BROOD_TEST_SANITIZED) return; /* the fault is reported by its runtime first */
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    char text[4096];
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(store_badly), 3, &outcome, &crash), BROOD_ELOST);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_SIGNAL);
    ck_assert_int_eq(crash.signal, SIGSEGV);
    ck_assert_uint_eq(crash.address, WRONG);
    ck_assert_int_eq((int)crash.attempt, 1);
    ck_assert_uint_ge(crash.frame_count, 5);
    ck_assert_int_eq(frame_of(&crash, "store_at"), 0);
    ck_assert_int_eq(frame_of(&crash, "dig"), 1);
    int task = frame_of(&crash, "store_badly");
    ck_assert_int_ge(task, 2);
    ck_assert_msg(strstr(crash.frames[task].file, "crash.c"), "%s", crash.frames[task].file);
    ck_assert_int_gt(crash.frames[0].line, 0);
    size_t size = brood_crash_text(&crash, text, sizeof text);
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_msg(strstr(text, "store_badly: run 1 in pool-1 (pid ") == text, "%s", text);
    ck_assert_msg(strstr(text, "signal 11 (Segmentation fault) at address 0x1234"), "%s", text);
    ck_assert_msg(strstr(text, "#0 store_at"), "%s", text);
    ck_assert_uint_eq(brood_crash_text(&crash, text, 10), size);
    ck_assert_uint_eq(strlen(text), 9);
    ck_assert_uint_eq(brood_crash_text(&crash, NULL, 0), size);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* A call of what is no code is told with its caller. */
START_TEST(a_call_of_nothing_is_told)
{
    static const int places[] = {0, WRONG};
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(lost(pool, BROOD_TASK_OF(call_badly), places[i], &outcome, &crash), BROOD_ELOST);
        ck_assert_int_eq(crash.signal, SIGSEGV);
        ck_assert_uint_eq(crash.address, (unsigned)places[i]);
        ck_assert_uint_ge(crash.frame_count, 3);
        ck_assert_str_eq(crash.frames[0].module, "?");
        ck_assert_uint_eq(crash.frames[0].offset, (unsigned)places[i]);
        ck_assert_int_eq(frame_of(&crash, "call_nothing"), 1);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(signals_are_told)
{
    static const int signals[] = {SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGSEGV, SIGTRAP, SIGSYS};
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(lost(pool, BROOD_TASK_OF(give_up), signals[i], &outcome, &crash), BROOD_ELOST);
        ck_assert_int_eq(crash.signal, signals[i]);
        ck_assert_int_eq(crash.signal_code <= 0, 1);
        ck_assert_uint_eq(crash.address, 0);
        if (!BROOD_TEST_SANITIZED) ck_assert_int_ge(frame_of(&crash, "give_up"), 1);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_used_up_stack_is_told)
{
    if (BROOD_TEST_SANITIZED) return;
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(use_up_the_stack), 1, &outcome, &crash), BROOD_ELOST);
    ck_assert_int_eq(crash.signal, SIGSEGV);
    ck_assert_uint_ne(crash.address, 0);
    ck_assert_int_eq(frame_of(&crash, "recurse"), 0);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(what_leaves_no_record_is_told_all_the_same)
{
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    char text[512];
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(use_cpu), 20, &outcome, &crash), BROOD_ELOST);
    ck_assert_int_eq(crash.signal, SIGKILL);
    ck_assert_uint_eq(crash.frame_count, 0);
    ck_assert_uint_gt(crash.max_rss, 0);
    ck_assert_uint_gt(crash.user_us, 0);
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(leave), 9, &outcome, &crash), BROOD_ELOST);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_EXIT);
    ck_assert_int_eq(crash.status, 9);
    brood_crash_text(&crash, text, sizeof text);
    ck_assert_msg(strstr(text, "exited with code 9"), "%s", text);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(the_programs_handler_is_in_charge)
{
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(handle_it), SIGSEGV, &outcome, &crash), BROOD_ELOST);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_EXIT);
    ck_assert_int_eq(crash.status, 33);
    ck_assert_uint_eq(crash.frame_count, 0);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_childs_crash_is_not_the_workers)
{
    brood_pool pool = new_pool(_i, 1);
    brood_future future;
    brood_crash crash;
    int result;
    brood_test_ok(brood_pool_submit(pool, &future, fork_one_that_crashes, &(int){4}));
    brood_test_ok(brood_future_get(future, &result, PATIENCE, NULL));
    ck_assert_int_eq(result, 4);
    ck_assert_int_eq(brood_future_crash(future, &crash), BROOD_EINVAL);
    brood_test_ok(brood_future_free(future));
    ck_assert_int_eq(brood_future_crash(future, &crash), BROOD_ESTALE);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_lost_item_is_told)
{
    if (BROOD_TEST_SANITIZED) return;
    brood_pool pool = new_pool(_i, 2);
    static long in[1000], out[1000];
    brood_crash crash;
    brood_report report;
    for (long i = 0; i < 1000; i++) in[i] = i;
    ck_assert_int_eq(brood_pool_map_with(pool, some_crash, in, out, 1000, .crash = &crash, .report = &report),
                     BROOD_ELOST);
    ck_assert_uint_eq(report.lost, 1);
    ck_assert_uint_eq(crash.id, 500);
    ck_assert_int_eq(crash.pid, report.first_lost.pid);
    ck_assert_uint_eq(crash.address, WRONG);
    ck_assert_str_eq(crash.task, "some_crash");
    ck_assert_int_gt(frame_of(&crash, "some_crash"), 0);
    size_t used, again;
    brood_test_ok(brood_arena_usage(&used, NULL));
    for (int k = 0; k < 10; k++)
        ck_assert_int_eq(brood_pool_map_with(pool, some_crash, in, out, 1000, .crash = &crash), BROOD_ELOST);
    brood_test_ok(brood_arena_usage(&again, NULL));
    ck_assert_uint_le(again, used + 65536); /* what the last map had may wait for the next */
    brood_test_ok(brood_pool_map_with(pool, some_crash, in, out, 10, .crash = &crash));
    ck_assert_int_eq(crash.pid, 0);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* A pool that keeps what its workers write, and a file that it comes out in. */
static brood_pool keeping(int method, int *file)
{
    char name[] = "/tmp/brood-stderr-XXXXXX";
    brood_pool pool;
    int before = dup(2);
    *file = mkstemp(name);
    ck_assert_int_ge(*file, 0);
    unlink(name);
    ck_assert_int_eq(fcntl(*file, F_SETFL, O_APPEND), 0);
    dup2(*file, 2);
    brood_pool_options options = {.workers = 1, .method = methods[method], .keep_stderr = true};
    brood_test_ok(brood_pool_new(&pool, &options));
    int result;
    brood_test_ok(brood_pool_apply(pool, say, &(say_args){1, -1}, &result)); /* a worker is there, and has its place */
    dup2(before, 2);
    close(before);
    return pool;
}

static void is_in(int file, const char *text)
{
    char have[256] = "";
    ck_assert_int_ge(pread(file, have, sizeof have - 1, 0), 0);
    ck_assert_str_eq(have, text);
}

START_TEST(last_words_are_told)
{
    static const int ends[] = {SIGABRT, SIGKILL, SIGTERM, 0};
    int file;
    brood_pool pool = keeping(_i, &file);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        brood_future future;
        brood_crash crash;
        char text[4096];
        int result;
        brood_test_ok(brood_pool_apply(pool, say, &(say_args){2, -1}, &result)); /* of another run: not to be told */
        brood_test_ok(brood_pool_submit(pool, &future, say, &(say_args){3, ends[i]}));
        ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, NULL), BROOD_ELOST);
        brood_test_ok(brood_future_crash(future, &crash));
        ck_assert_str_eq(crash.stderr_tail, "line 0\nline 1\nline 2\n");
        brood_crash_text(&crash, text, sizeof text);
        ck_assert_msg(strstr(text, "\n  stderr: line 0\n  stderr: line 1\n  stderr: line 2\n"), "%s", text);
        brood_test_ok(brood_future_free(future));
    }
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    is_in(file, "line 0\nline 0\nline 1\nline 0\nline 1\nline 0\nline 1\nline 0\nline 1\n");
    brood_test_ok(brood_pool_free(pool));
    close(file);
}
END_TEST

START_TEST(of_many_words_the_last_are_told)
{
    int file, result;
    brood_pool pool = keeping(_i, &file);
    brood_future future;
    brood_crash crash;
    brood_test_ok(brood_pool_submit(pool, &future, say, &(say_args){100000, SIGKILL}));
    ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, NULL), BROOD_ELOST);
    brood_test_ok(brood_future_crash(future, &crash));
    ck_assert_uint_eq(strlen(crash.stderr_tail), BROOD_CRASH_STDERR - 1);
    ck_assert_str_eq(crash.stderr_tail + strlen(crash.stderr_tail) - 11, "line 99999\n");
    brood_test_ok(brood_future_free(future));

    int in[16], out[16];
    for (int i = 0; i < 16; i++) in[i] = i;
    ck_assert_int_eq(brood_pool_map_with(pool, say_item, in, out, 16, .chunk = 1, .crash = &crash), BROOD_ELOST);
    ck_assert_uint_eq(crash.id, 7);
    ck_assert_str_eq(crash.stderr_tail, "item 7\n");
    brood_test_ok(brood_pool_free(pool));
    close(file);
}
END_TEST

BROOD_TASK(say_and_abort, int, int, x)
{
    fprintf(stderr, "words of %d\n", x);
    if (x % 3 == 0) abort();
    return x;
}

/* Who asks when all is over is told of each. */
START_TEST(last_words_of_many_are_kept)
{
    enum { TASKS = 60 };
    brood_pool pool;
    brood_future futures[TASKS];
    brood_pool_options options = {.workers = 2, .method = methods[_i], .keep_stderr = true};
    int before = dup(2), none = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(none, 2);
    brood_test_ok(brood_pool_new(&pool, &options));
    dup2(before, 2);
    close(before), close(none);
    for (int i = 0; i < TASKS; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], say_and_abort, &i));
    for (int i = 0; i < TASKS; i++) brood_future_get(futures[i], NULL, PATIENCE, NULL);
    for (int i = 0; i < TASKS; i += 3) {
        char words[32];
        brood_crash crash;
        brood_test_ok(brood_future_crash(futures[i], &crash));
        snprintf(words, sizeof words, "words of %d\n", i);
        ck_assert_str_eq(crash.stderr_tail, words);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(no_last_words_without_the_wish)
{
    brood_pool pool = new_pool(_i, 1);
    brood_outcome outcome;
    brood_crash crash;
    ck_assert_int_eq(lost(pool, BROOD_TASK_OF(give_up), SIGTERM, &outcome, &crash), BROOD_ELOST);
    ck_assert_str_eq(crash.stderr_tail, "");
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *crash_suite(void)
{
    Suite *suite = suite_create("pool/crash");
    TCase *crash = brood_test_case(suite, "crash");
    tcase_add_loop_test(crash, a_fault_is_told, 0, 3);
    tcase_add_loop_test(crash, a_call_of_nothing_is_told, 0, 3);
    tcase_add_loop_test(crash, signals_are_told, 0, 3);
    tcase_add_loop_test(crash, a_used_up_stack_is_told, 0, 3);
    tcase_add_loop_test(crash, what_leaves_no_record_is_told_all_the_same, 0, 3);
    tcase_add_loop_test(crash, the_programs_handler_is_in_charge, 0, 3);
    tcase_add_loop_test(crash, a_childs_crash_is_not_the_workers, 0, 3);
    tcase_add_loop_test(crash, a_lost_item_is_told, 0, 3);
    tcase_add_loop_test(crash, last_words_are_told, 0, 3);
    tcase_add_loop_test(crash, of_many_words_the_last_are_told, 0, 3);
    tcase_add_loop_test(crash, last_words_of_many_are_kept, 0, 3);
    tcase_add_loop_test(crash, no_last_words_without_the_wish, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(crash_suite)
