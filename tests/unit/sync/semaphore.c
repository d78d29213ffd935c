/* SPDX-License-Identifier: MIT */
/* semaphore.c - semaphores: counts, bounds, and units that come back from the dead. */
#include "sync/semaphore.h"
#include "members.h"

#include <brood/semaphore.h>
#include <limits.h>

struct board {
    _Atomic int inside, most; /* holders of a unit now, and ever at once */
    brood_semaphore theirs;   /* made by a child */
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static brood_semaphore fresh(unsigned units, bool bounded)
{
    brood_semaphore semaphore;
    brood_test_ok(brood_semaphore_new(&semaphore, units, &(brood_semaphore_options){.bounded = bounded}));
    ck_assert_int_eq(brood_semaphore_value(semaphore), (int)units);
    return semaphore;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(counts_units)
{
    brood_semaphore s = fresh(2, _i);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 1);
    ck_assert_int_eq(brood_semaphore_acquire(s, BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 0);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EAGAIN);
    members_late(brood_semaphore_acquire(s, A_WHILE));
    ck_assert_int_eq(brood_semaphore_value(s), 0);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 1);
    ck_assert_int_eq(brood_semaphore_acquire(s, A_WHILE), 0);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 2);
    ck_assert_int_eq(brood_semaphore_free(s), 0);
}
END_TEST

START_TEST(bounded_refuses_one_too_many)
{
    brood_semaphore s = fresh(1, true);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
    ck_assert_int_eq(brood_semaphore_value(s), 1);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
    s = fresh(0, true);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
}
END_TEST

START_TEST(unbounded_grows)
{
    brood_semaphore s;
    brood_test_ok(brood_semaphore_new(&s, 0, NULL));
    for (int i = 0; i < 10; i++) ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 10);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EAGAIN);
}
END_TEST

START_TEST(has_at_most_so_many_units)
{
    brood_semaphore s;
    ck_assert_int_eq(brood_semaphore_new(&s, (unsigned)INT32_MAX + 1, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_semaphore_new(&s, UINT_MAX, NULL), BROOD_EINVAL);
    s = fresh(INT32_MAX, false);
    ck_assert_int_lt(brood_semaphore_release(s), 0); /* a count can't grow beyond an int */
    ck_assert_int_eq(brood_semaphore_value(s), INT32_MAX);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_value(s), INT32_MAX - 1);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_value(s), INT32_MAX);
}
END_TEST

/* More than one entry of the body can count. */
START_TEST(one_member_holds_many)
{
    enum { MANY = 2 * 65535 + 10 };
    brood_semaphore s = fresh(MANY, true);
    for (int i = 0; i < MANY; i++) ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EAGAIN);
    for (int i = 0; i < MANY; i++) ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
    ck_assert_int_eq(brood_semaphore_value(s), MANY);
}
END_TEST

/* A thousand members are dear, so the body is written as they would have. */
START_TEST(names_at_most_so_many_holders)
{
    enum { ENTRIES = 1024 };
    brood_semaphore s = fresh(2000, true);
    struct semaphore_shm *shm = brood__slot_find(TABLE_SEMAPHORE, s.id);
    uint32_t *entries = brood__at(shm->slot.body);
    for (uint32_t i = 0; i < ENTRIES; i++) entries[i] = (2000 + i) << 16 | 1;
    *brood__semaphore_free_units(shm) -= ENTRIES;
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EARENA);
    ck_assert_int_eq(brood_semaphore_acquire(s, BROOD_FOREVER), BROOD_EARENA);
    ck_assert_int_eq(brood_semaphore_value(s), 2000 - ENTRIES);
    ck_assert_int_eq(brood_semaphore_release(s), 0); /* of another's */
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), 0); /* one of our own more has room */
    ck_assert_int_eq(brood_semaphore_value(s), 2000 - ENTRIES - 1);
}
END_TEST

static void ck_stale(brood_semaphore s)
{
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_semaphore_acquire(s, A_WHILE), BROOD_ESTALE);
    ck_assert_int_eq(brood_semaphore_acquire(s, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_ESTALE);
    ck_assert_int_eq(brood_semaphore_value(s), BROOD_ESTALE);
    ck_assert_int_eq(brood_semaphore_free(s), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_semaphore s = fresh(3, false), next = {0};
    brood_test_ok(brood_semaphore_acquire(s, 0));
    brood_test_ok(brood_semaphore_free(s));
    ck_stale(s);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(s.id); i++) next = fresh(5, false);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(s.id));
    ck_stale(s);
    ck_assert_int_eq(brood_semaphore_value(next), 5);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 362436069;
    members_one_of_each(ids);
    ck_stale((brood_semaphore){0});
    for (int i = 0; i < MEMBERS_TYPES; i++)
        if (HANDLE_TABLE(ids[i]) != TABLE_SEMAPHORE) ck_stale((brood_semaphore){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_semaphore){members_forged(TABLE_SEMAPHORE, i, &state)});
    ck_assert_int_eq(brood_semaphore_value((brood_semaphore){ids[1]}), 1);
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_semaphore s = fresh(1, false);
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_semaphore_new(&s, 1, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_semaphore_acquire(s, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_semaphore_value(s), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_semaphore_free(s), BROOD_ENOTMEMBER);
}
END_TEST

START_TEST(slots_come_to_an_end)
{
    brood_semaphore s = fresh(1, false), last;
    struct table_shm *t = &brood__arena()->tables[TABLE_SEMAPHORE];
    t->capacity = atomic_load(&t->high);
    int error;
    while ((error = brood_semaphore_new(&last, 1, NULL)) == 0) {}
    ck_assert_int_eq(error, BROOD_EARENA);
    brood_test_ok(brood_semaphore_free(s));
    brood_test_ok(brood_semaphore_new(&s, 7, NULL));
    ck_assert_int_eq(brood_semaphore_value(s), 7);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ROUNDS 2000

static int work(brood_semaphore s, struct board *board)
{
    for (int i = 0; i < ROUNDS; i++) {
        MUST(brood_semaphore_acquire(s, i % 2 ? BROOD_FOREVER : PATIENCE) == 0);
        int inside = atomic_fetch_add(&board->inside, 1) + 1, most = atomic_load(&board->most);
        while (most < inside && !atomic_compare_exchange_weak(&board->most, &most, inside)) {}
        atomic_fetch_sub(&board->inside, 1);
        MUST(brood_semaphore_release(s) == 0);
    }
    return 0;
}

BROOD_TASK(works, int, brood_semaphore, s, brood_buffer, shared, brood_event, go)
{
    MUST(brood_event_wait(go, PATIENCE) == 0);
    return work(s, board_of(shared));
}

START_TEST(lets_in_so_many)
{
    works_args args = {.s = fresh(2, true), .shared = members_shared(sizeof(struct board))};
    brood_process children[4];
    brood_test_ok(brood_event_new(&args.go));
    for (int i = 0; i < 4; i++) members_start(&children[i], members_methods[_i], works, &args);
    brood_test_ok(brood_event_set(args.go));
    for (int i = 0; i < 4; i++) members_end(children[i], 0);
    ck_assert_int_le(atomic_load(&board_of(args.shared)->most), 2);
    ck_assert_int_eq(brood_semaphore_value(args.s), 2);
    ck_assert_int_eq(brood_semaphore_release(args.s), BROOD_EPERM);
}
END_TEST

/* Ends with the answer of its acquire, as -code % 256; holding what it got, or giving it back. */
BROOD_TASK(waits, int, brood_semaphore, s, int, timeout, bool, release)
{
    int code = brood_semaphore_acquire(s, timeout);
    if (code == 0 && release) MUST(brood_semaphore_release(s) == 0);
    return -code & 0xff;
}
#define ANSWER(code) (-(code)&0xff)

START_TEST(each_release_wakes_one)
{
    waits_args args = {.s = fresh(3, false), .timeout = BROOD_FOREVER};
    brood_process children[3];
    for (int i = 0; i < 3; i++)
        brood_test_ok(brood_semaphore_acquire(args.s, 0)); /* so that it is ours what we release */
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], waits, &args);
    for (int i = 0; i < 3; i++) members_asleep(children[i], args.s.id);
    for (int i = 0; i < 3; i++) brood_test_ok(brood_semaphore_release(args.s));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    for (int i = 0; i < 3; i++) /* what they held when they left */
        ck_assert_int_eq(brood_semaphore_acquire(args.s, PATIENCE), 0);
    ck_assert_int_eq(brood_semaphore_acquire(args.s, 0), BROOD_EAGAIN);
}
END_TEST

START_TEST(freed_wakes_sleepers)
{
    waits_args args = {.s = fresh(0, false), .timeout = _i ? PATIENCE : BROOD_FOREVER};
    brood_process children[2];
    for (int i = 0; i < 2; i++) members_start(&children[i], BROOD_START_FORK, waits, &args);
    for (int i = 0; i < 2; i++) members_asleep(children[i], args.s.id);
    brood_test_ok(brood_semaphore_free(args.s));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

BROOD_TASK(holds, int, brood_semaphore, s, brood_event, ready, int, units, bool, leave)
{
    for (int i = 0; i < units; i++) MUST(brood_semaphore_acquire(s, 0) == 0);
    MUST(brood_event_set(ready) == 0);
    while (!leave) pause();
    return 0;
}

static brood_process holder(brood_semaphore s, int units, brood_start_method method)
{
    holds_args args = {.s = s, .units = units};
    brood_process child;
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, method, holds, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    return child;
}

START_TEST(units_of_the_dead_return)
{
    brood_semaphore s = fresh(5, true);
    brood_test_ok(brood_semaphore_acquire(s, 0));
    brood_process child = holder(s, 3, members_methods[_i]);
    ck_assert_int_eq(brood_semaphore_value(s), 1);
    members_kill(child);
    ck_assert_int_eq(brood_semaphore_value(s), 4);
    child = holder(s, 4, members_methods[_i]);
    ck_assert_int_eq(brood_semaphore_acquire(s, 0), BROOD_EAGAIN);
    members_kill(child);
    ck_assert_int_eq(brood_semaphore_value(s), 4); /* our own is still ours */
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
}
END_TEST

START_TEST(units_of_the_dead_wake_sleepers)
{
    brood_semaphore s = fresh(3, true);
    waits_args args = {.s = s, .timeout = BROOD_FOREVER, .release = true};
    brood_process children[3], child = holder(s, 3, members_methods[_i]);
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], waits, &args);
    for (int i = 0; i < 3; i++) members_asleep(children[i], s.id);
    members_kill(child);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_semaphore_value(s), 3);
}
END_TEST

START_TEST(leaving_is_dying)
{
    holds_args args = {.s = fresh(3, true), .units = 3, .leave = true};
    brood_process child;
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], holds, &args);
    ck_assert_int_eq(brood_event_wait(args.ready, PATIENCE), 0);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_semaphore_acquire(args.s, PATIENCE), 0);
    members_end(child, 0);
    ck_assert_int_eq(brood_semaphore_value(args.s), 0);
}
END_TEST

/* One gives back a unit that a process holds which dies later: it does not come back twice. */
START_TEST(units_return_once)
{
    brood_semaphore s = fresh(3, true);
    brood_process child = holder(s, 2, BROOD_START_FORK);
    ck_assert_int_eq(brood_semaphore_release(s), 0);
    ck_assert_int_eq(brood_semaphore_value(s), 2);
    members_kill(child);
    ck_assert_int_eq(brood_semaphore_value(s), 3);
    ck_assert_int_eq(brood_semaphore_release(s), BROOD_EPERM);
}
END_TEST

START_TEST(dead_sleepers_take_nothing)
{
    waits_args args = {.s = fresh(0, false), .timeout = BROOD_FOREVER};
    brood_process children[2];
    for (int i = 0; i < 2; i++) {
        members_start(&children[i], BROOD_START_FORK, waits, &args);
        members_asleep(children[i], args.s.id);
    }
    brood_test_ok(brood_process_kill(children[0]));
    brood_test_ok(brood_semaphore_release(args.s));
    members_end(children[1], 0);
    members_kill(children[0]);
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready)
{
    MUST(brood_semaphore_new(&board_of(shared)->theirs, 0, NULL) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

START_TEST(goes_with_its_owner)
{
    makes_args args = {.shared = members_shared(sizeof(struct board))};
    waits_args wait = {.timeout = BROOD_FOREVER};
    brood_process owner, child;
    int code;
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&owner, members_methods[_i], makes, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    wait.s = board_of(args.shared)->theirs;
    members_start(&child, members_methods[_i], waits, &wait);
    members_asleep(child, wait.s.id);
    members_kill(owner);
    brood_test_ok(brood_process_join(child, PATIENCE, &code));
    ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
    brood_test_ok(brood_process_free(child));
    ck_assert_int_lt(brood_semaphore_value(wait.s), 0);
    ck_assert_int_lt(brood_semaphore_release(wait.s), 0);
    ck_assert_int_eq(brood_semaphore_free(wait.s), BROOD_ESTALE);
    for (int i = 0; i < 1000; i++) {
        brood_semaphore s = fresh(1, false);
        if (HANDLE_INDEX(s.id) == HANDLE_INDEX(wait.s.id)) break;
        ck_assert_int_lt(i, 999);
    }
    ck_stale(wait.s);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_semaphore common;
static struct board here;

static void *work_in_thread(void *unused)
{
    return work(common, &here) == 0 ? &here : unused;
}

START_TEST(counts_threads)
{
    pthread_t threads[4];
    common = fresh(2, true);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, work_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, &here);
    }
    ck_assert_int_le(atomic_load(&here.most), 2);
    ck_assert_int_eq(brood_semaphore_value(common), 2);
}
END_TEST

static volatile sig_atomic_t taken, refused, inside, wrong;

static void try_in_handler(int signal)
{
    (void)signal;
    int code = brood_semaphore_acquire(common, 0);
    if (code == 0) {
        taken++;
        if (brood_semaphore_release(common) != 0) wrong++;
    } else if (code == BROOD_EAGAIN) {
        refused++;
    } else if (code == BROOD_EDEADLK) {
        inside++;
        if (brood_semaphore_release(common) != BROOD_EDEADLK || brood_semaphore_value(common) != BROOD_EDEADLK) wrong++;
    } else {
        wrong++;
    }
}

/* Until the handler has met each case. */
START_TEST(signal_handlers_may_try)
{
    common = fresh(1, true);
    members_alarm(try_in_handler, 60);
    long long start = members_now_ms();
    while (members_now_ms() < start + 300 ||
           ((taken == 0 || refused == 0 || inside == 0) && members_now_ms() < start + PATIENCE)) {
        for (int i = 0; i < 100; i++) {
            ck_assert_int_eq(brood_semaphore_acquire(common, i % 3 ? 0 : PATIENCE), 0);
            ck_assert_int_eq(brood_semaphore_value(common), 0);
            ck_assert_int_eq(brood_semaphore_release(common), 0);
        }
    }
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(taken, 0);
    ck_assert_int_gt(refused, 0);
    ck_assert_int_gt(inside, 0);
    ck_assert_int_eq(brood_semaphore_value(common), 1);
}
END_TEST

START_TEST(signals_do_not_end_a_wait)
{
    common = fresh(0, true);
    members_alarm(try_in_handler, 500);
    members_late(brood_semaphore_acquire(common, A_WHILE));
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(refused + inside, 0);
}
END_TEST

static Suite *semaphore_suite(void)
{
    Suite *suite = suite_create("semaphore");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_loop_test(alone, counts_units, 0, 2);
    tcase_add_test(alone, bounded_refuses_one_too_many);
    tcase_add_test(alone, unbounded_grows);
    tcase_add_test(alone, has_at_most_so_many_units);
    tcase_add_test(alone, one_member_holds_many);
    tcase_add_test(alone, names_at_most_so_many_holders);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, slots_come_to_an_end);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, lets_in_so_many, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, each_release_wakes_one, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, freed_wakes_sleepers, 0, 2);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, units_of_the_dead_return, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, units_of_the_dead_wake_sleepers, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, leaving_is_dying, 0, MEMBERS_METHODS);
    tcase_add_test(deaths, units_return_once);
    tcase_add_test(deaths, dead_sleepers_take_nothing);
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_test(inner, counts_threads);
    tcase_add_test(inner, signal_handlers_may_try);
    tcase_add_test(inner, signals_do_not_end_a_wait);
    return suite;
}

BROOD_TEST_MAIN(semaphore_suite)
