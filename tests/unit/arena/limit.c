/* SPDX-License-Identifier: MIT */
/* limit.c - a family with little memory: what does not fit is refused, and nothing is lost by it. */
#include "members.h"

#include <brood/queue.h>
#include <sched.h>

#define MIB (1024u * 1024u)
#define LIMIT (3 * MIB)

static size_t used(void)
{
    size_t bytes;
    brood_test_ok(brood_arena_usage(&bytes, NULL));
    ck_assert_uint_le(bytes, LIMIT);
    return bytes;
}

static brood_queue fresh(void)
{
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, NULL));
    return queue;
}

/* The family of the fixture is left, and another is founded. */
static void found_again(size_t limit)
{
    brood_test_ok(brood_fini());
    ck_assert(!brood_is_member());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = limit}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    ck_assert(brood_is_member());
}

static void setup(void)
{
    brood_test_setup();
    found_again(LIMIT);
}

/* Buffers until no page is free; how many. */
#define MOST (LIMIT / 4096 + 1)
static brood_buffer buffers[MOST];
static int fill(void)
{
    static const size_t sizes[] = {MIB, 64 * 1024, 4096};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        int code;
        while ((code = brood_buffer_new(&buffers[n], sizes[i], NULL)) == 0) n++;
        ck_assert_int_eq(code, BROOD_EARENA);
    }
    return n;
}
static void drop(int n)
{
    while (n) brood_test_ok(brood_buffer_free(buffers[--n]));
}

START_TEST(options_have_a_range)
{
    ck_assert_int_eq(brood_configure(&(brood_family_options){.start_timeout = -1}), BROOD_EINVAL);
    ck_assert_int_eq(brood_configure(&(brood_family_options){.start_method = (brood_start_method)4}), BROOD_EINVAL);
    ck_assert_int_eq(brood_configure(&(brood_family_options){.start_method = (brood_start_method)-1}), BROOD_EINVAL);
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 1}), BROOD_EINVAL);
    ck_assert_int_eq(brood_configure(&(brood_family_options){0}), 0);
    ck_assert_int_eq(brood_configure(NULL), 0);
    ck_assert_int_eq(brood_configure(&(brood_family_options){.start_method = BROOD_START_SPAWN}), 0);
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_FORKSERVER); /* for the next family, not for this one */
    brood_test_ok(brood_fini());
    brood_test_ok(brood_init(NULL, NULL));
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_SPAWN);
}
END_TEST

START_TEST(limit_is_what_was_asked)
{
    size_t in_use, limit;
    brood_test_ok(brood_arena_usage(&in_use, &limit));
    ck_assert_uint_eq(limit, LIMIT);
    ck_assert_uint_eq(in_use, 0);
    found_again(2 * MIB + 5000); /* in whole pages */
    brood_test_ok(brood_arena_usage(&in_use, &limit));
    ck_assert_uint_eq(limit, 2 * MIB + 4096);
}
END_TEST

/* To the last page, and back, again and again. */
START_TEST(every_page_can_be_used)
{
    for (int round = 0; round < 5; round++) {
        int n = fill();
        ck_assert_uint_eq(used(), LIMIT);
        ck_assert_int_eq(brood__pages_check(), 0);
        for (int i = round % 2; i < n; i += 2) brood_test_ok(brood_buffer_free(buffers[i]));
        for (int i = 1 - round % 2; i < n; i += 2) brood_test_ok(brood_buffer_free(buffers[i]));
        ck_assert_uint_eq(used(), 0);
        brood_test_ok(brood_buffer_new(&buffers[0], LIMIT, NULL)); /* and all in one */
        drop(1);
    }
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(nothing_new_when_full)
{
    brood_queue q;
    brood_semaphore s;
    int n = fill();
    for (int i = 0; i < 3000; i++) { /* and no slot is lost by it either */
        ck_assert_int_eq(brood_queue_new(&q, NULL), BROOD_EARENA);
        ck_assert_int_eq(brood_semaphore_new(&s, 1, NULL), BROOD_EARENA);
        ck_assert_int_eq(brood_buffer_new(&(brood_buffer){0}, 0, NULL), BROOD_EARENA);
    }
    ck_assert_uint_eq(used(), LIMIT);
    ck_assert_uint_lt(atomic_load(&brood__arena()->tables[TABLE_QUEUE].used), 10);
    ck_assert_uint_lt(atomic_load(&brood__arena()->tables[TABLE_SEMAPHORE].used), 10);
    brood_lock lock; /* these need no page */
    brood_event event;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_lock_acquire(lock, 0));
    brood_test_ok(brood_event_set(event));
    drop(n);
    brood_test_ok(brood_queue_new(&q, NULL));
    brood_test_ok(brood_semaphore_new(&s, 1, NULL));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(long_messages_are_refused_whole)
{
    static char bytes[100000];
    size_t size;
    brood_queue q = fresh();
    brood_test_ok(brood_queue_put(q, "before", 6, 0));
    int n = fill();
    const int timeouts[] = {0, A_WHILE, BROOD_FOREVER};
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_queue_put(q, bytes, sizeof bytes, timeouts[i]), BROOD_EARENA);
    ck_assert_int_eq(brood_queue_size(q), 1);
    brood_test_ok(brood_queue_put(q, "after", 5, 0)); /* short ones have room in the queue */
    brood_test_ok(brood_queue_get(q, bytes, 100, &size, 0));
    ck_assert(size == 6 && memcmp(bytes, "before", 6) == 0);
    brood_test_ok(brood_queue_get(q, bytes, 100, &size, 0));
    ck_assert(size == 5 && memcmp(bytes, "after", 5) == 0);
    ck_assert_int_eq(brood_queue_get(q, bytes, 100, &size, 0), BROOD_EAGAIN);
    drop(n);
    brood_test_ok(brood_queue_put(q, bytes, sizeof bytes, 0));
    brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, &size, 0));
    ck_assert_uint_eq(size, sizeof bytes);
}
END_TEST

START_TEST(messages_stay_when_no_buffer_is_left)
{
    char bytes[16];
    size_t size;
    brood_queue q = fresh();
    brood_buffer b;
    brood_view view;
    brood_test_ok(brood_queue_put(q, "first", 5, 0));
    brood_test_ok(brood_queue_put(q, "second", 6, 0));
    brood_test_ok(brood_queue_put(q, "third", 5, 0));
    int n = fill();
    const int timeouts[] = {0, A_WHILE, BROOD_FOREVER};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_queue_get_buffer(q, &b, timeouts[i]), BROOD_EARENA);
        ck_assert_int_eq(brood_queue_get_view(q, &view, timeouts[i]), BROOD_EARENA);
    }
    ck_assert_int_eq(brood_queue_size(q), 3);
    brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, &size, 0));
    ck_assert(size == 5 && memcmp(bytes, "first", 5) == 0);
    drop(n);
    brood_test_ok(brood_queue_get_view(q, &view, 0));
    ck_assert(view.size == 6 && memcmp(view.data, "second", 6) == 0);
    brood_test_ok(brood_view_release(&view));
    brood_test_ok(brood_queue_get_buffer(q, &b, 0));
    ck_assert(memcmp(brood_buffer_data(b, &size), "third", 5) == 0 && size == 5);
    brood_test_ok(brood_buffer_free(b));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* A long message is a buffer already: it comes out of a full arena. */
START_TEST(long_messages_come_out)
{
    static char bytes[100000];
    brood_queue q = fresh();
    brood_buffer b;
    brood_view view;
    for (int i = 0; i < 3; i++) brood_test_ok(brood_queue_put(q, bytes, sizeof bytes, 0));
    int n = fill();
    brood_test_ok(brood_queue_get_buffer(q, &b, 0));
    brood_test_ok(brood_queue_put_buffer(q, b, 0));
    brood_test_ok(brood_queue_get_view(q, &view, 0));
    brood_test_ok(brood_view_release(&view));
    brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, NULL, 0));
    brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, NULL, 0));
    ck_assert_int_eq(brood_queue_size(q), 0);
    drop(n);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

BROOD_TASK(sends, int, brood_queue, q, uint64_t, count)
{
    static uint64_t numbers[50000 / 8];
    for (uint64_t i = 1; i <= count; i++) {
        int code;
        numbers[0] = i;
        while ((code = brood_queue_put(q, numbers, sizeof numbers, PATIENCE)) == BROOD_EARENA) sched_yield();
        MUST(code == 0);
    }
    return 0;
}

/* More than fits is on its way at any time: what is refused is put again, and all of it comes. */
START_TEST(refused_and_put_again)
{
    enum { PRODUCERS = 3, COUNT = 200 };
    static uint64_t numbers[50000 / 8];
    brood_queue q = fresh();
    brood_process children[PRODUCERS];
    uint64_t sum = 0;
    for (int i = 0; i < PRODUCERS; i++)
        members_start(&children[i], members_methods[_i], sends, (&(sends_args){q, COUNT}));
    for (int i = 0; i < PRODUCERS * COUNT; i++) {
        if (i == 0) /* until they fill it */
            for (int ms = 0; ms < PATIENCE && used() < LIMIT - 100000; ms++) usleep(1000);
        brood_test_ok(brood_queue_get_exactly(q, numbers, sizeof numbers, PATIENCE));
        sum += numbers[0];
    }
    ck_assert_uint_eq(sum, (uint64_t)PRODUCERS * COUNT * (COUNT + 1) / 2);
    for (int i = 0; i < PRODUCERS; i++) members_end(children[i], 0);
    brood_test_ok(brood_queue_free(q));
    ck_assert_uint_eq(used(), 0);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

enum hoard { BUFFERS, QUEUES, SEMAPHORES, MESSAGES, HOARDS };

/* Takes every page there is, in one way or another. */
BROOD_TASK(hoards, int, int, hoard, brood_event, ready)
{
    brood_queue q = {0};
    brood_semaphore s;
    brood_buffer b;
    static char bytes[40000];
    int code = 0;
    if (hoard == MESSAGES) MUST(brood_queue_new(&q, NULL) == 0);
    while (code == 0) {
        switch ((enum hoard)hoard) {
        case BUFFERS: code = brood_buffer_new(&b, 40000, NULL); break;
        case QUEUES: code = brood_queue_new(&q, NULL); break;
        case SEMAPHORES: code = brood_semaphore_new(&s, 1, NULL); break;
        case MESSAGES: code = brood_queue_put(q, bytes, sizeof bytes, 0); break;
        case HOARDS: return 1;
        }
    }
    MUST(code == BROOD_EARENA);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* What a dead member had is there for the living, without any ado of theirs.  _i: what it had, method, who asks */
START_TEST(what_the_dead_had_is_there)
{
    hoards_args args = {.hoard = _i % HOARDS};
    brood_process child;
    for (int round = 0; round < 2; round++) {
        brood_test_ok(brood_event_new(&args.ready));
        members_start(&child, members_methods[_i / HOARDS % MEMBERS_METHODS], hoards, &args);
        brood_test_ok(brood_event_wait(args.ready, PATIENCE));
        ck_assert_int_eq(brood_buffer_new(&buffers[0], MIB, NULL), BROOD_EARENA);
        members_kill(child);
        brood_queue q;
        brood_semaphore s;
        switch (_i / HOARDS / MEMBERS_METHODS) {
        case 0:
            brood_test_ok(brood_buffer_new(&buffers[0], LIMIT, NULL));
            drop(1);
            break;
        case 1:
            brood_test_ok(brood_queue_new(&q, &(brood_queue_options){.capacity = 2 * MIB}));
            brood_test_ok(brood_queue_free(q));
            break;
        default:
            for (int i = 0; i < 500; i++) brood_test_ok(brood_semaphore_new(&s, 1, NULL));
            return;
        }
        ck_assert_int_eq(brood__pages_check(), 0);
    }
}
END_TEST

static Suite *limit_suite(void)
{
    Suite *suite = suite_create("limit");
    TCase *options = brood_test_case(suite, "options");
    tcase_add_test(options, options_have_a_range);
    TCase *little = tcase_create("little");
    tcase_set_timeout(little, BROOD_TEST_LIMIT);
    tcase_add_checked_fixture(little, setup, brood_test_teardown);
    suite_add_tcase(suite, little);
    tcase_add_test(little, limit_is_what_was_asked);
    tcase_add_test(little, every_page_can_be_used);
    tcase_add_test(little, nothing_new_when_full);
    tcase_add_test(little, long_messages_are_refused_whole);
    tcase_add_test(little, messages_stay_when_no_buffer_is_left);
    tcase_add_test(little, long_messages_come_out);
    tcase_add_loop_test(little, refused_and_put_again, 0, MEMBERS_METHODS);
    tcase_add_loop_test(little, what_the_dead_had_is_there, 0, HOARDS * MEMBERS_METHODS * 3);
    return suite;
}

BROOD_TEST_MAIN(limit_suite)
