/* SPDX-License-Identifier: MIT */
/* Streams: imap and imap_unordered, as Python's documentation has them where it says something; under every start method. */
#include "common.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE 15000

/* ------------------------------------------------------------------------------------------------- tasks and inputs */

BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
enum { FAILS = 5, CRASHES = 8, EXITS = 11 };
BROOD_TASK(eventful, int, int, x)
{
    if (x == FAILS) brood_fail(77, "not %d", x);
    if (x == CRASHES) raise(SIGKILL);
    if (x == EXITS) _exit(3);
    return 2 * x;
}
typedef struct gate {
    int number;
    brood_event event; /* waited for by number 0 */
} gate;
BROOD_TASK(pass, int, gate, g)
{
    if (g.number == 0) brood_event_wait(g.event, BROOD_FOREVER);
    return g.number;
}
BROOD_TASK(shout, brood_bytes, brood_bytes, text)
{
    char *loud = brood_alloc(text.size + 1);
    for (size_t i = 0; i < text.size; i++) loud[i] = (char)(((const char *)text.data)[i] - 'a' + 'A');
    return (brood_bytes){loud, text.size};
}
BROOD_TASK(own_pid, int, int, x)
{
    (void)x;
    return getpid();
}
BROOD_TASK(nothing, void, void) {}
BROOD_TASK(slow_at, int, int, x)
{
    while (x == 3) pause();
    return x;
}

/* The numbers below `end`; how often it was asked, and what it says at the end. */
struct numbers {
    int asked, next, end, last;
};
static int count(void *context, void *argument)
{
    struct numbers *n = context;
    n->asked++;
    if (n->next == n->end) return n->last;
    *(int *)argument = n->next++;
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------- order */

static const unsigned chunks[] = {0, 1, 7, 64};

START_TEST(results_come_in_order)
{
    brood_pool pool = new_pool(_i, 2);
    for (unsigned c = 0; c < 4; c++) {
        struct numbers n = {.end = 300};
        brood_stream stream;
        brood_outcome outcome;
        int result;
        brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .chunk = chunks[c], .window_items = 40));
        for (int i = 0; i < n.end; i++) {
            ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 1);
            ck_assert_int_eq(result, 2 * i);
            ck_assert_uint_eq(outcome.id, (uint64_t)i);
            ck_assert(outcome.code == 0 && outcome.reason == BROOD_REASON_RESULT && outcome.pid > 0);
            ck_assert_int_le(n.next, i + 1 + 40);
        }
        for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 0);
        ck_assert_int_eq(n.asked, n.end + 1);
        brood_test_ok(brood_stream_free(stream));
        ck_assert_int_eq(brood_stream_free(stream), BROOD_ESTALE);
        ck_assert_int_eq(brood_stream_next(stream, &result, 0, NULL), BROOD_ESTALE);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(each_comes_once_without_order)
{
    brood_pool pool = new_pool(_i, 2);
    for (unsigned c = 0; c < 4; c++) {
        struct numbers n = {.end = 300};
        brood_stream stream;
        brood_outcome outcome;
        char seen[300] = {0};
        int result;
        brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .unordered = true, .chunk = chunks[c],
                                           .window_items = 40));
        for (int i = 0; i < n.end; i++) {
            ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 1);
            ck_assert_int_eq(result, 2 * (int)outcome.id);
            ck_assert(!seen[outcome.id]++);
        }
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 0);
        brood_test_ok(brood_stream_free(stream));
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(who_waits_holds_up_an_ordered_one_only)
{
    brood_pool pool = new_pool(_i, 2);
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    gate gates[6];
    for (int i = 0; i < 6; i++) gates[i] = (gate){i, event};
    brood_stream stream;
    int result;
    brood_test_ok(brood_pool_imap_array_with(pool, &stream, pass, gates, 6, .unordered = true));
    for (int i = 1; i < 6; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_ne(result, 0);
    }
    ck_assert_int_eq(brood_stream_next(stream, &result, 0, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(brood_stream_next(stream, &result, 20, NULL), BROOD_ETIMEDOUT);
    brood_test_ok(brood_event_set(event));
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));

    brood_test_ok(brood_event_clear(event));
    brood_test_ok(brood_pool_imap_array(pool, &stream, pass, gates, 6));
    ck_assert_int_eq(brood_stream_next(stream, &result, 0, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(brood_stream_next(stream, &result, 20, NULL), BROOD_ETIMEDOUT);
    brood_test_ok(brood_event_set(event));
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, i);
    }
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ laziness */

START_TEST(the_input_is_asked_as_far_as_the_window)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 1000000};
    brood_stream stream;
    int result;
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .window_items = 10));
    ck_assert_int_eq(n.asked, 0);
    ck_assert_int_eq(brood_stream_feed(stream), 10);
    ck_assert_int_eq(n.asked, 10);
    ck_assert_int_eq(brood_stream_feed(stream), 0);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_le(n.asked, i + 10);
    }
    brood_test_ok(brood_stream_free(stream)); /* in the middle: the rest is nobody's */
    int asked = n.asked;

    struct numbers bytes = {.end = 1000};
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &bytes, .window_bytes = 5 * 2 * sizeof(int)));
    ck_assert_int_eq(brood_stream_feed(stream), 5);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_le(bytes.asked, i + 5);
    }
    brood_test_ok(brood_stream_free(stream));

    struct numbers one = {.end = 3}; /* a window of less than one has room for one */
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &one, .window_bytes = 1, .chunk = 4));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    ck_assert_int_eq(n.asked, asked);
    ck_assert_int_eq(brood_pool_apply(pool, twice, &(int){4}, &result), 0);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(chunks_stay_whole)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 1000};
    brood_stream stream;
    int result;
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .window_items = 8, .chunk = 4));
    ck_assert_int_eq(brood_stream_feed(stream), 8);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
        ck_assert_int_eq(brood_stream_feed(stream), i % 4 == 3 ? 4 : 0);
    }
    brood_test_ok(brood_stream_free(stream));
    n = (struct numbers){.end = 10}; /* one that is larger than the window, and what is left at the end */
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .window_items = 4, .chunk = 6));
    ck_assert_int_eq(brood_stream_feed(stream), 4);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(an_input_may_have_none_now_or_fail)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 3, .last = BROOD_EAGAIN};
    brood_stream stream;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .chunk = 2));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), BROOD_EAGAIN); /* at once */
    ck_assert_int_eq(outcome.code, 0);
    ck_assert_int_eq(brood_stream_feed(stream), BROOD_EAGAIN);
    n.end = 5;
    n.last = -1234;
    for (int i = 3; i < 5; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), -1234);
    ck_assert_int_eq(outcome.code, 0);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- what goes wrong */

static void check_eventful(const brood_outcome *outcome, int answer, int result)
{
    int item = (int)outcome->id;
    if (item == FAILS) {
        ck_assert_int_eq(answer, BROOD_EFAILED);
        ck_assert_int_eq(outcome->fail, 77);
        ck_assert_str_eq(outcome->text, "not 5");
        ck_assert_str_eq(brood_error_detail(), "not 5 (77)");
    } else if (item == CRASHES) {
        ck_assert_int_eq(answer, BROOD_ELOST);
        ck_assert_int_eq(outcome->signal, SIGKILL);
    } else if (item == EXITS) {
        ck_assert_int_eq(answer, BROOD_ELOST);
        ck_assert_int_eq(outcome->status, 3);
    } else {
        ck_assert_int_eq(answer, 1);
        ck_assert_int_eq(result, 2 * item);
    }
    if (answer < 0) ck_assert_int_eq(outcome->code, answer);
}

START_TEST(what_fails_or_is_lost_is_told_in_its_place)
{
    brood_pool pool = new_pool(_i, 2);
    for (unsigned c = 0; c < 4; c++) {
        for (int unordered = 0; unordered < 2; unordered++) {
            struct numbers n = {.end = 30};
            brood_stream stream;
            brood_outcome outcome;
            char seen[30] = {0};
            int result;
            brood_test_ok(
                brood_pool_imap_with(pool, &stream, eventful, count, &n, .unordered = unordered, .chunk = chunks[c]));
            for (int i = 0; i < n.end; i++) {
                int answer = brood_stream_next(stream, &result, PATIENCE, &outcome);
                ck_assert(!seen[outcome.id]++);
                if (!unordered) ck_assert_uint_eq(outcome.id, (uint64_t)i);
                check_eventful(&outcome, answer, result);
            }
            ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 0);
            brood_test_ok(brood_stream_free(stream));
        }
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

BROOD_TASK(fall_at, int, int, x)
{
    if (x % 10 == FAILS) brood_fail(77, "not %d", x);
    if (x % 10 == CRASHES) abort();
    if (x % 10 == 0) _exit(3);
    return 2 * x;
}

static void check_crash(brood_stream stream, const brood_outcome *outcome)
{
    brood_crash crash;
    int told = brood_stream_crash(stream, &crash);
    if (outcome->code != BROOD_ELOST) {
        ck_assert_int_eq(told, BROOD_EINVAL);
        return;
    }
    brood_test_ok(told);
    ck_assert_uint_eq(crash.id, outcome->id);
    ck_assert_int_eq(crash.pid, outcome->pid);
    ck_assert_int_eq(crash.reason, outcome->reason);
    ck_assert_uint_eq(crash.attempt, outcome->attempt);
    ck_assert_str_eq(crash.task, "fall_at");
    if (crash.id % 10 == 0) {
        ck_assert_int_eq(crash.status, 3);
    } else {
        ck_assert_int_eq(crash.signal, SIGABRT);
        if (!BROOD_TEST_SANITIZED) ck_assert_uint_gt(crash.frame_count, 0);
    }
    brood_test_ok(brood_stream_crash(stream, &crash)); /* as often as one likes */
}

/* Each lost item has its own story, until the next answer. */
START_TEST(how_each_worker_ended_is_told)
{
    brood_pool pool = new_pool(_i, 2);
    brood_crash crash;
    for (unsigned c = 0; c < 3; c++) {
        for (int unordered = 0; unordered < 2; unordered++) {
            struct numbers n = {.end = 20};
            brood_stream stream;
            brood_outcome outcome;
            int result, answer, lost = 0;
            brood_test_ok(
                brood_pool_imap_with(pool, &stream, fall_at, count, &n, .unordered = unordered, .chunk = chunks[c]));
            ck_assert_int_eq(brood_stream_crash(stream, &crash), BROOD_EINVAL);
            while ((answer = brood_stream_next(stream, &result, PATIENCE, &outcome)) != 0) {
                check_crash(stream, &outcome);
                lost += answer == BROOD_ELOST;
            }
            ck_assert_int_eq(lost, 4);
            ck_assert_int_eq(brood_stream_crash(stream, &crash), BROOD_EINVAL);
            brood_test_ok(brood_stream_free(stream));
            ck_assert_int_eq(brood_stream_crash(stream, &crash), BROOD_ESTALE);
        }
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_freed_pool_tells_of_no_crash)
{
    brood_pool pool = new_pool(_i, 1);
    brood_stream stream;
    brood_crash crash;
    brood_test_ok(brood_pool_imap_array(pool, &stream, fall_at, (&(int){10}), 1));
    ck_assert_int_eq(brood_stream_next(stream, NULL, PATIENCE, NULL), BROOD_ELOST);
    brood_test_ok(brood_stream_crash(stream, &crash));
    brood_test_ok(brood_pool_free(pool));
    ck_assert_int_eq(brood_stream_crash(stream, &crash), BROOD_ESTALE);
    ck_assert_int_eq(brood_stream_next(stream, NULL, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
}
END_TEST

START_TEST(deadlines_are_of_items)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 6};
    brood_stream stream;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_pool_imap_with(pool, &stream, slow_at, count, &n, .submit = {.deadline = 50}));
    for (int i = 0; i < 6; i++) {
        int answer = brood_stream_next(stream, &result, PATIENCE, &outcome);
        bool stood_still = answer == BROOD_EDEADLINE; /* in an item that asks for no time, on a busy machine */
        ck_assert_int_eq(answer, i == 3 || stood_still ? BROOD_EDEADLINE : 1);
    }
    brood_test_ok(brood_stream_free(stream));
    ck_assert_int_eq(brood_pool_imap_with(pool, &stream, slow_at, count, &n, .chunk = 2, .submit = {.deadline = 50}),
                     BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_imap_with(pool, &stream, slow_at, count, &n, .chunk = 2, .submit = {.retries = 1}),
                     BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_imap_with(pool, &stream, shout, count, &n, .chunk = 2), BROOD_EINVAL);
    ck_assert_int_eq(brood_pool_imap(pool, &stream, twice, NULL, NULL), BROOD_EINVAL);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Items are counted, not chunks. */
START_TEST(workers_are_replaced_by_items)
{
    brood_pool pool;
    brood_test_ok(
        brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .method = methods[_i], .max_tasks_per_child = 3}));
    for (unsigned chunk = 1; chunk <= 7; chunk += 3) {
        struct numbers n = {.end = 12};
        brood_stream stream;
        int result, pids[12];
        brood_test_ok(brood_pool_imap_with(pool, &stream, own_pid, count, &n, .chunk = chunk));
        for (int i = 0; i < 12; i++) ck_assert_int_eq(brood_stream_next(stream, &pids[i], PATIENCE, NULL), 1);
        for (int i = 0; i < 12; i++) {
            int same = 0;
            for (int k = 0; k < 12; k++) same += pids[k] == pids[i];
            ck_assert_int_eq(same, 3);
        }
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
        brood_test_ok(brood_stream_free(stream));
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- the pool's end */

START_TEST(a_closed_pool_takes_no_more)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 100};
    brood_stream stream, other;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .window_items = 10));
    ck_assert_int_eq(brood_stream_feed(stream), 10);
    brood_test_ok(brood_pool_close(pool));
    ck_assert_int_eq(brood_pool_imap(pool, &other, twice, count, &n), BROOD_ECLOSED);
    for (int i = 0; i < 10; i++) { /* what was submitted is done */
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    int answer, cancelled = 0;
    while ((answer = brood_stream_next(stream, &result, PATIENCE, &outcome)) != BROOD_ECLOSED) {
        ck_assert_int_eq(answer, BROOD_ECANCELED);
        ck_assert_uint_eq(outcome.id, (uint64_t)(10 + cancelled++));
    }
    ck_assert_int_eq(n.next, 10 + cancelled); /* all that it gave has been answered */
    ck_assert_int_eq(cancelled, 1);
    ck_assert_int_eq(outcome.code, 0);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, &outcome), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(a_terminated_pool_cancels)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        brood_pool pool = new_pool(_i, 2);
        brood_event event;
        brood_test_ok(brood_event_new(&event));
        gate gates[40];
        for (int i = 0; i < 40; i++) gates[i] = (gate){0, event};
        brood_stream stream;
        brood_outcome outcome;
        int result, answer, items = 0;
        brood_test_ok(brood_pool_imap_array_with(pool, &stream, pass, gates, 40, .unordered = unordered, .chunk = 4,
                                                 .window_items = 20));
        ck_assert_int_eq(brood_stream_feed(stream), 20);
        brood_test_ok(brood_pool_terminate(pool));
        while ((answer = brood_stream_next(stream, &result, PATIENCE, &outcome)) == BROOD_ECANCELED) items++;
        ck_assert_int_eq(answer, BROOD_ECLOSED);
        ck_assert_int_ge(items, 20);
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
        brood_test_ok(brood_stream_free(stream));

        brood_test_ok(brood_pool_free(pool));
        brood_test_ok(brood_event_free(event));
    }
}
END_TEST

START_TEST(a_freed_pool_leaves_none_unanswered)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 100};
    brood_stream stream;
    int result, answer, items = 0;
    brood_test_ok(brood_pool_imap_with(pool, &stream, twice, count, &n, .unordered = _i & 1, .window_items = 10));
    ck_assert_int_eq(brood_stream_feed(stream), 10);
    brood_test_ok(brood_pool_free(pool));
    while ((answer = brood_stream_next(stream, &result, PATIENCE, NULL)) == BROOD_ECANCELED) items++;
    ck_assert_int_eq(answer, BROOD_ESTALE);
    ck_assert_int_eq(items, n.next);
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- the forms */

static int next_text(void *context, void *argument)
{
    static char text[5000];
    int *left = context;
    if (*left == 0) return 0;
    size_t size = (size_t)(*left)-- * 100;
    memset(text, 'a' + *left % 20, size); /* the same memory each time */
    *(brood_bytes *)argument = (brood_bytes){text, size};
    return 1;
}

START_TEST(bytes_of_any_length)
{
    brood_pool pool = new_pool(_i, 2);
    int left = 50;
    brood_stream stream;
    brood_bytes loud;
    brood_test_ok(brood_pool_imap(pool, &stream, shout, next_text, &left));
    for (int i = 49; i >= 0; i--) {
        ck_assert_int_eq(brood_stream_next(stream, &loud, PATIENCE, NULL), 1);
        ck_assert_uint_eq(loud.size, (size_t)(i + 1) * 100);
        for (size_t k = 0; k < loud.size; k++) ck_assert_int_eq(((const char *)loud.data)[k], 'A' + i % 20);
    }
    ck_assert_int_eq(brood_stream_next(stream, &loud, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(forms_of_the_call)
{
    brood_pool pool = new_pool(_i, 2);
    brood_stream stream;
    int result;
    long wrong;
    int answer = brood_pool_imap_array(pool, &stream, twice, (int[]){1, 2, 3}, 3); /* lives as long as this block */
    ck_assert_int_eq(answer, 0);
    ck_assert_int_eq(brood_stream_next(stream, &wrong, PATIENCE, NULL), BROOD_EINVAL);
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    ck_assert_int_eq(brood_stream_next(stream, NULL, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_imap_array(pool, &stream, nothing, NULL, 3));
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(brood_stream_next(stream, NULL, PATIENCE, NULL), 1);
    ck_assert_int_eq(brood_stream_next(stream, NULL, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_imap_array(pool, &stream, twice, NULL, 0));
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    ck_assert_int_eq(brood_pool_imap_array(pool, &stream, twice, NULL, 1), BROOD_EINVAL);
    struct numbers n = {.end = 4};
    brood_test_ok(brood_pool_imap_unordered(pool, &stream, twice, count, &n));
    int sum = 0;
    while (brood_stream_next(stream, &result, PATIENCE, NULL) == 1) sum += result;
    ck_assert_int_eq(sum, 12);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(answers_arrive_on_a_descriptor)
{
    brood_pool pool = new_pool(_i, 2);
    for (int unordered = 0; unordered < 2; unordered++) {
        struct numbers n = {.end = 200};
        brood_stream stream;
        int result, answer, items = 0;
        brood_test_ok(
            brood_pool_imap_with(pool, &stream, twice, count, &n, .unordered = unordered, .window_items = 16));
        int fd = brood_stream_fd(stream);
        ck_assert_int_eq(fd, brood_pool_fd(pool));
        do {
            ck_assert_int_ge(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE), 1);
            while ((answer = brood_stream_next(stream, &result, 0, NULL)) > 0) items++;
            ck_assert(answer == 0 || answer == BROOD_EAGAIN);
        } while (answer != 0);
        ck_assert_int_eq(items, 200);
        brood_test_ok(brood_stream_free(stream));
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static brood_stream mine;
static int answer_inside;
static int calls_itself(void *context, void *argument)
{
    (void)context;
    answer_inside = brood_stream_next(mine, (int *)argument, 0, NULL);
    return 0;
}
BROOD_TASK(use_stream, int, brood_stream, stream)
{
    int result;
    return brood_stream_next(stream, &result, 0, NULL) == BROOD_ESTALE && brood_stream_free(stream) == BROOD_ESTALE;
}

START_TEST(whose_a_stream_is)
{
    brood_pool pool = new_pool(_i, 2);
    struct numbers n = {.end = 4};
    int result;
    brood_test_ok(brood_pool_imap(pool, &mine, twice, calls_itself, NULL));
    ck_assert_int_eq(brood_stream_next(mine, &result, PATIENCE, NULL), 0);
    ck_assert_int_eq(answer_inside, BROOD_EINVAL);
    brood_test_ok(brood_stream_free(mine));
    brood_test_ok(brood_pool_imap(pool, &mine, twice, count, &n));
    brood_pool late = new_pool(_i, 1); /* by fork, its workers have the stream in their memory */
    brood_test_ok(brood_pool_apply(late, use_stream, &mine, &result));
    ck_assert_int_eq(result, 1);
    ck_assert_int_eq(brood_stream_next(mine, &result, PATIENCE, NULL), 1);
    for (uint64_t bit = 0; bit < 64; bit++)
        ck_assert_int_eq(brood_stream_feed((brood_stream){mine.id ^ UINT64_C(1) << bit}), BROOD_ESTALE);
    brood_test_ok(brood_stream_free(mine));
    brood_test_ok(brood_pool_free(late));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* More than the pool takes: the window waits for room. */
START_TEST(a_pool_that_is_full)
{
    brood_pool pool;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .method = methods[_i], .max_pending = 64}));
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    struct numbers n = {.end = 300};
    brood_stream stream;
    int result;
    brood_future futures[64];
    for (int i = 0; i < 64; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], pass, &((gate){0, event})));
    brood_test_ok(brood_pool_imap(pool, &stream, twice, count, &n));
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), BROOD_EAGAIN); /* of others */
    ck_assert_int_eq(n.next, 1);
    brood_test_ok(brood_event_set(event));
    for (int i = 0; i < 64; i++) {
        brood_test_ok(brood_future_get(futures[i], &result, PATIENCE, NULL));
        brood_test_ok(brood_future_free(futures[i]));
    }
    for (int i = 0; i < n.end; i++) {
        ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    ck_assert_int_eq(brood_stream_next(stream, &result, PATIENCE, NULL), 0);
    brood_test_ok(brood_stream_free(stream));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(event));
}
END_TEST

/* A task that streams over its own pool, of one worker. */
BROOD_TASK(sum_of_stream, int, brood_pool, pool, int, unordered)
{
    struct numbers n = {.end = 20};
    brood_stream stream;
    int sum = 0, result, error = brood_pool_imap_with(pool, &stream, twice, count, &n, .unordered = unordered != 0);
    while (error == 0 && (error = brood_stream_next(stream, &result, PATIENCE, NULL)) > 0) {
        sum += result;
        error = 0;
    }
    if (error < 0) brood_fail(error, "%s", brood_error_name(error));
    brood_stream_free(stream);
    return sum;
}
START_TEST(a_stream_in_a_task)
{
    brood_pool pool = new_pool(_i, 1);
    for (int unordered = 0; unordered < 2; unordered++) {
        int result = -1;
        brood_test_ok(brood_pool_apply(pool, sum_of_stream, &(sum_of_stream_args){pool, unordered}, &result));
        ck_assert_int_eq(result, 380);
    }
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *stream_suite(void)
{
    Suite *suite = suite_create("stream");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, results_come_in_order, 0, METHODS);
    tcase_add_loop_test(each, each_comes_once_without_order, 0, METHODS);
    tcase_add_loop_test(each, who_waits_holds_up_an_ordered_one_only, 0, METHODS);
    tcase_add_loop_test(each, the_input_is_asked_as_far_as_the_window, 0, METHODS);
    tcase_add_loop_test(each, chunks_stay_whole, 0, METHODS);
    tcase_add_loop_test(each, an_input_may_have_none_now_or_fail, 0, METHODS);
    tcase_add_loop_test(each, what_fails_or_is_lost_is_told_in_its_place, 0, 3);
    tcase_add_loop_test(each, how_each_worker_ended_is_told, 0, 3);
    tcase_add_loop_test(each, a_freed_pool_tells_of_no_crash, 0, 3);
    tcase_add_loop_test(each, deadlines_are_of_items, 0, 3);
    tcase_add_loop_test(each, workers_are_replaced_by_items, 0, 3);
    tcase_add_loop_test(each, a_closed_pool_takes_no_more, 0, METHODS);
    tcase_add_loop_test(each, a_terminated_pool_cancels, 0, PROCESSES);
    tcase_add_loop_test(each, a_freed_pool_leaves_none_unanswered, 0, METHODS);
    tcase_add_loop_test(each, bytes_of_any_length, 0, METHODS);
    tcase_add_loop_test(each, forms_of_the_call, 0, METHODS);
    tcase_add_loop_test(each, answers_arrive_on_a_descriptor, 0, METHODS);
    tcase_add_loop_test(each, whose_a_stream_is, 0, PROCESSES);
    tcase_add_loop_test(each, a_pool_that_is_full, 0, METHODS);
    tcase_add_loop_test(each, a_stream_in_a_task, 0, METHODS);
    return suite;
}

BROOD_TEST_MAIN(stream_suite)
