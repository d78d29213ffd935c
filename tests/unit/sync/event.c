/* SPDX-License-Identifier: MIT */
/* event.c - events: set wakes all, also those who slept through set and clear. */
#include "members.h"

#include <brood/event.h>

struct board {
    _Atomic uint64_t before; /* written before a set, read after a wait */
    brood_event theirs;      /* made by a child */
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static brood_event fresh(void)
{
    brood_event event;
    brood_test_ok(brood_event_new(&event));
    ck_assert_int_eq(brood_event_is_set(event), 0);
    return event;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(is_set_and_cleared)
{
    brood_event e = fresh();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_event_wait(e, 0), BROOD_EAGAIN);
        members_late(brood_event_wait(e, A_WHILE));
        ck_assert_int_eq(brood_event_is_set(e), 0);
        for (int twice = 0; twice < 2; twice++) {
            ck_assert_int_eq(brood_event_set(e), 0);
            ck_assert_int_eq(brood_event_is_set(e), 1);
            ck_assert_int_eq(brood_event_wait(e, 0), 0);
            ck_assert_int_eq(brood_event_wait(e, A_WHILE), 0);
            ck_assert_int_eq(brood_event_wait(e, BROOD_FOREVER), 0);
        }
        for (int twice = 0; twice < 2; twice++) {
            ck_assert_int_eq(brood_event_clear(e), 0);
            ck_assert_int_eq(brood_event_is_set(e), 0);
        }
    }
    ck_assert_int_eq(brood_event_free(e), 0);
}
END_TEST

static void ck_stale(brood_event e)
{
    ck_assert_int_eq(brood_event_wait(e, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_wait(e, A_WHILE), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_wait(e, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_set(e), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_clear(e), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_is_set(e), BROOD_ESTALE);
    ck_assert_int_eq(brood_event_free(e), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_event e = fresh(), next = {0};
    brood_test_ok(brood_event_set(e));
    brood_test_ok(brood_event_free(e));
    ck_stale(e);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(e.id); i++) next = fresh();
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(e.id));
    ck_stale(e);
    ck_assert_int_eq(brood_event_is_set(next), 0);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 521288629;
    members_one_of_each(ids);
    ck_stale((brood_event){0});
    for (int i = 0; i < MEMBERS_TYPES; i++)
        if (HANDLE_TABLE(ids[i]) != TABLE_EVENT) ck_stale((brood_event){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_event){members_forged(TABLE_EVENT, i, &state)});
    ck_assert_int_eq(brood_event_is_set((brood_event){ids[2]}), 0);
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_event e = fresh();
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_event_new(&e), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_set(e), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_clear(e), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_is_set(e), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_wait(e, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_wait(e, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_event_free(e), BROOD_ENOTMEMBER);
}
END_TEST

START_TEST(slots_come_to_an_end)
{
    brood_event e = fresh(), last;
    struct table_shm *t = &brood__arena()->tables[TABLE_EVENT];
    t->capacity = atomic_load(&t->high);
    int error;
    while ((error = brood_event_new(&last)) == 0) {}
    ck_assert_int_eq(error, BROOD_EARENA);
    brood_test_ok(brood_event_free(e));
    e = fresh();
    brood_test_ok(brood_event_set(e));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ANSWER(code) (-(code)&0xff)

/* Ends with the answer of its wait, as -code % 256, and sees what was written before the set. */
BROOD_TASK(waits, int, brood_event, e, brood_buffer, shared, int, timeout)
{
    int code = brood_event_wait(e, timeout);
    if (code == 0) MUST(atomic_load_explicit(&board_of(shared)->before, memory_order_relaxed) == 42);
    return ANSWER(code);
}

/* _i: method, and three times that with a clear right behind the set */
START_TEST(set_wakes_all)
{
    waits_args args = {.e = fresh(), .shared = members_shared(sizeof(struct board)), .timeout = BROOD_FOREVER};
    brood_process children[4];
    for (int i = 0; i < 4; i++) members_start(&children[i], members_methods[_i % 3], waits, &args);
    for (int i = 0; i < 4; i++) members_asleep(children[i], args.e.id);
    atomic_store_explicit(&board_of(args.shared)->before, 42, memory_order_relaxed);
    brood_test_ok(brood_event_set(args.e));
    if (_i >= 3) brood_test_ok(brood_event_clear(args.e));
    for (int i = 0; i < 4; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_event_is_set(args.e), _i < 3);
}
END_TEST

BROOD_TASK(plays, int, brood_event, ping, brood_event, pong, int, rounds)
{
    for (int i = 0; i < rounds; i++) {
        MUST(brood_event_wait(ping, PATIENCE) == 0);
        MUST(brood_event_clear(ping) == 0);
        MUST(brood_event_set(pong) == 0);
    }
    return 0;
}

START_TEST(ping_pong)
{
    plays_args args = {.ping = fresh(), .pong = fresh(), .rounds = 3000};
    brood_process child;
    members_start(&child, members_methods[_i], plays, &args);
    for (int i = 0; i < args.rounds; i++) {
        brood_test_ok(brood_event_set(args.ping));
        brood_test_ok(brood_event_wait(args.pong, PATIENCE));
        brood_test_ok(brood_event_clear(args.pong));
    }
    members_end(child, 0);
}
END_TEST

START_TEST(freed_wakes_sleepers)
{
    waits_args args = {.e = fresh(), .timeout = _i ? PATIENCE : BROOD_FOREVER};
    brood_process children[2];
    for (int i = 0; i < 2; i++) members_start(&children[i], BROOD_START_FORK, waits, &args);
    for (int i = 0; i < 2; i++) members_asleep(children[i], args.e.id);
    brood_test_ok(brood_event_free(args.e));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
}
END_TEST

START_TEST(dead_sleepers_are_no_matter)
{
    waits_args args = {.e = fresh(), .shared = members_shared(sizeof(struct board)), .timeout = BROOD_FOREVER};
    brood_process children[2];
    for (int i = 0; i < 2; i++) {
        members_start(&children[i], BROOD_START_FORK, waits, &args);
        members_asleep(children[i], args.e.id);
    }
    members_kill(children[0]);
    ck_assert_int_eq(brood_event_wait(args.e, 0), BROOD_EAGAIN);
    atomic_store(&board_of(args.shared)->before, 42);
    brood_test_ok(brood_event_set(args.e));
    members_end(children[1], 0);
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready)
{
    MUST(brood_event_new(&board_of(shared)->theirs) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

START_TEST(goes_with_its_owner)
{
    makes_args args = {.shared = members_shared(sizeof(struct board)), .ready = fresh()};
    waits_args wait = {.timeout = BROOD_FOREVER, .shared = args.shared};
    brood_process owner, child;
    int code;
    members_start(&owner, members_methods[_i], makes, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    wait.e = board_of(args.shared)->theirs;
    members_start(&child, members_methods[_i], waits, &wait);
    members_asleep(child, wait.e.id);
    members_kill(owner);
    brood_test_ok(brood_process_join(child, PATIENCE, &code));
    ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
    brood_test_ok(brood_process_free(child));
    ck_assert_int_lt(brood_event_set(wait.e), 0);
    ck_assert_int_lt(brood_event_is_set(wait.e), 0);
    ck_assert_int_lt(brood_event_wait(wait.e, BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_event_free(wait.e), BROOD_ESTALE);
    for (int i = 0; i < 2000 && HANDLE_INDEX(fresh().id) != HANDLE_INDEX(wait.e.id); i++) ck_assert_int_lt(i, 1999);
    ck_stale(wait.e);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_event common;
static _Atomic pid_t tids[4];

static void *wait_in_thread(void *tid)
{
    atomic_store((_Atomic pid_t *)tid, (pid_t)syscall(SYS_gettid));
    return (void *)(intptr_t)brood_event_wait(common, BROOD_FOREVER);
}

START_TEST(threads_wait_too)
{
    pthread_t threads[4];
    common = fresh();
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_in_thread, &tids[i]), 0);
    for (int i = 0; i < 4; i++) members_thread_asleep(&tids[i]);
    if (_i == 0) brood_test_ok(brood_event_set(common));
    if (_i == 1) brood_test_ok(brood_event_free(common));
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_int_eq((int)(intptr_t)result, _i == 0 ? 0 : BROOD_ESTALE);
    }
}
END_TEST

static volatile sig_atomic_t rounds, wrong;

static void set_in_handler(int signal)
{
    (void)signal;
    rounds++;
    if (brood_event_set(common) != 0 || brood_event_is_set(common) != 1 || brood_event_wait(common, 0) != 0) wrong++;
}

/* A wait is ended by the handler that interrupted it, a set or clear is not disturbed. */
START_TEST(signal_handlers_may_set)
{
    int waited = 0;
    common = fresh();
    members_alarm(set_in_handler, 200);
    for (long long end = members_now_ms() + 300; members_now_ms() < end; waited++) {
        ck_assert_int_eq(brood_event_clear(common), 0);
        ck_assert_int_eq(brood_event_wait(common, waited % 2 ? PATIENCE : BROOD_FOREVER), 0);
        for (int i = 0; i < 100; i++) {
            ck_assert_int_eq(brood_event_set(common), 0);
            ck_assert_int_eq(brood_event_clear(common), 0);
        }
    }
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(rounds, 10);
    ck_assert_int_gt(waited, 10);
}
END_TEST

static void clear_in_handler(int signal)
{
    (void)signal;
    rounds++;
    if (brood_event_clear(common) != 0 || brood_event_wait(common, 0) != BROOD_EAGAIN) wrong++;
}

START_TEST(signal_handlers_may_clear)
{
    common = fresh();
    members_alarm(clear_in_handler, 100);
    for (long long end = members_now_ms() + 200; members_now_ms() < end;) {
        for (int i = 0; i < 100; i++) ck_assert_int_eq(brood_event_set(common), 0);
        int code = brood_event_wait(common, 0);
        ck_assert(code == 0 || code == BROOD_EAGAIN);
    }
    ck_assert_int_eq(brood_event_clear(common), 0);
    members_late(brood_event_wait(common, A_WHILE));
    members_quiet();
    ck_assert_int_eq(wrong, 0);
}
END_TEST

static Suite *event_suite(void)
{
    Suite *suite = suite_create("event");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, is_set_and_cleared);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, slots_come_to_an_end);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, set_wakes_all, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(others, ping_pong, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, freed_wakes_sleepers, 0, 2);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_test(deaths, dead_sleepers_are_no_matter);
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_loop_test(inner, threads_wait_too, 0, 2);
    tcase_add_test(inner, signal_handlers_may_set);
    tcase_add_test(inner, signal_handlers_may_clear);
    return suite;
}

BROOD_TEST_MAIN(event_suite)
