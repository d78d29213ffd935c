/* SPDX-License-Identifier: MIT */
/* lock.c - locks: who holds them, who waits, and what becomes of both when somebody dies or frees. */
#include "members.h"

#include <brood/lock.h>

/* What tests and their children share. */
struct board {
    uint64_t counter;   /* written under the lock only, and without other care */
    brood_lock theirs;  /* made by a child */
    _Atomic int answer; /* of a child's last call */
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(is_acquired_and_released)
{
    brood_lock lock;
    brood_test_ok(brood_lock_new(&lock));
    ck_assert_int_eq(brood_lock_holder(lock), 0);
    ck_assert_int_eq(brood_lock_release(lock), BROOD_EPERM);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_lock_acquire(lock, i == 0 ? 0 : i == 1 ? 1000 : BROOD_FOREVER), 0);
        ck_assert_int_eq(brood_lock_holder(lock), getpid());
        ck_assert_int_eq(brood_lock_acquire(lock, 0), BROOD_EAGAIN);
        members_late(brood_lock_acquire(lock, A_WHILE));
        ck_assert_int_eq(brood_lock_acquire(lock, BROOD_FOREVER), BROOD_EDEADLK);
        ck_assert_int_eq(brood_lock_holder(lock), getpid());
        ck_assert_int_eq(brood_lock_release(lock), 0);
        ck_assert_int_eq(brood_lock_holder(lock), 0);
        ck_assert_int_eq(brood_lock_release(lock), BROOD_EPERM);
    }
    ck_assert_int_eq(brood_lock_free(lock), 0);
}
END_TEST

static void ck_stale(brood_lock lock)
{
    ck_assert_int_eq(brood_lock_acquire(lock, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_lock_acquire(lock, A_WHILE), BROOD_ESTALE);
    ck_assert_int_eq(brood_lock_acquire(lock, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_lock_release(lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_lock_holder(lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_lock_free(lock), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_lock lock, next = {0};
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_lock_acquire(lock, 0));
    brood_test_ok(brood_lock_free(lock));
    ck_stale(lock);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(lock.id); i++)
        brood_test_ok(brood_lock_new(&next));
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(lock.id)); /* the same place, and yet another lock */
    brood_test_ok(brood_lock_acquire(next, 0));
    ck_stale(lock);
    ck_assert_int_eq(brood_lock_holder(next), getpid());
    ck_assert_int_eq(brood_lock_release(next), 0);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 88172645463325252;
    members_one_of_each(ids);
    ck_stale((brood_lock){0});
    for (int i = 0; i < MEMBERS_TYPES; i++)
        if (HANDLE_TABLE(ids[i]) != TABLE_LOCK) ck_stale((brood_lock){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_lock){members_forged(TABLE_LOCK, i, &state)});
    ck_assert_int_eq(brood_lock_acquire((brood_lock){ids[0]}, 0), 0);
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_lock lock;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_lock_new(&lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_lock_acquire(lock, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_lock_acquire(lock, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_lock_release(lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_lock_holder(lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_lock_free(lock), BROOD_ENOTMEMBER);
    brood_test_ok(brood_init(NULL, NULL)); /* another family: its handles are others */
    ck_stale(lock);
}
END_TEST

/* A smaller table than a real one, so that its end is near. */
START_TEST(slots_come_to_an_end)
{
    brood_lock lock, last = {0};
    brood_test_ok(brood_lock_new(&lock));
    struct table_shm *t = &brood__arena()->tables[TABLE_LOCK];
    t->capacity = atomic_load(&t->high);
    uint32_t made = 1;
    int error;
    while ((error = brood_lock_new(&last)) == 0) made++;
    ck_assert_int_eq(error, BROOD_EARENA);
    ck_assert_uint_eq(made, t->capacity - 1);
    ck_assert_int_eq(brood_lock_acquire(lock, 0), 0);
    brood_test_ok(brood_lock_free(lock));
    brood_test_ok(brood_lock_new(&lock));
    ck_assert_int_eq(brood_lock_new(&last), BROOD_EARENA);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ROUNDS 3000

BROOD_TASK(counts, int, brood_lock, lock, brood_buffer, shared, brood_event, go)
{
    MUST(brood_event_wait(go, PATIENCE) == 0);
    volatile uint64_t *counter = &board_of(shared)->counter;
    for (int i = 0; i < ROUNDS; i++) {
        MUST(brood_lock_acquire(lock, i % 2 ? BROOD_FOREVER : PATIENCE) == 0);
        *counter = *counter + 1;
        MUST(brood_lock_release(lock) == 0);
    }
    return 0;
}

START_TEST(excludes)
{
    counts_args args = {.shared = members_shared(sizeof(struct board))};
    brood_process children[3];
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_event_new(&args.go));
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], counts, &args);
    brood_test_ok(brood_event_set(args.go));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_uint_eq(board_of(args.shared)->counter, 3 * ROUNDS);
    ck_assert_int_eq(brood_lock_holder(args.lock), 0);
}
END_TEST

BROOD_TASK(releases, int, brood_lock, lock)
{
    MUST(brood_lock_holder(lock) > 0 && brood_lock_holder(lock) != getpid());
    MUST(brood_lock_acquire(lock, 0) == BROOD_EAGAIN);
    MUST(brood_lock_release(lock) == 0);
    MUST(brood_lock_release(lock) == BROOD_EPERM);
    return 0;
}

START_TEST(is_released_by_any_member)
{
    brood_lock lock;
    brood_process child;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_lock_acquire(lock, BROOD_FOREVER));
    members_start(&child, members_methods[_i], releases, &lock);
    members_end(child, 0);
    ck_assert_int_eq(brood_lock_holder(lock), 0);
    ck_assert_int_eq(brood_lock_acquire(lock, 0), 0);
}
END_TEST

/* Ends with the answer of its acquire, as -code % 256. */
BROOD_TASK(waits, int, brood_lock, lock, int, timeout, bool, release)
{
    int code = brood_lock_acquire(lock, timeout);
    if (code == 0 || code == BROOD_EOWNERDEAD) {
        MUST(brood_lock_holder(lock) == getpid());
        if (release) MUST(brood_lock_release(lock) == 0);
    }
    return -code & 0xff;
}
#define ANSWER(code) (-(code)&0xff)

START_TEST(sleepers_get_it_one_by_one)
{
    waits_args args = {.timeout = BROOD_FOREVER, .release = true};
    brood_process children[3];
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_lock_acquire(args.lock, 0));
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], waits, &args);
    for (int i = 0; i < 3; i++) members_asleep(children[i], args.lock.id);
    brood_test_ok(brood_lock_release(args.lock));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_lock_holder(args.lock), 0);
}
END_TEST

START_TEST(freed_wakes_sleepers)
{
    waits_args args = {.timeout = _i ? PATIENCE : BROOD_FOREVER};
    brood_process children[2];
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_lock_acquire(args.lock, 0));
    for (int i = 0; i < 2; i++) members_start(&children[i], BROOD_START_FORK, waits, &args);
    for (int i = 0; i < 2; i++) members_asleep(children[i], args.lock.id);
    brood_test_ok(brood_lock_free(args.lock));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

BROOD_TASK(holds, int, brood_lock, lock, brood_event, ready, bool, leave)
{
    MUST(brood_lock_acquire(lock, 0) == 0);
    MUST(brood_event_set(ready) == 0);
    while (!leave) pause();
    return 0;
}

START_TEST(heir_of_the_killed_is_told)
{
    holds_args args = {.leave = false};
    brood_process child;
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], holds, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    ck_assert_int_eq(brood_lock_holder(args.lock), brood_process_pid(child));
    members_late(brood_lock_acquire(args.lock, A_WHILE));
    ck_assert_int_eq(brood_lock_acquire(args.lock, 0), BROOD_EAGAIN);
    members_kill(child);
    ck_assert_int_eq(brood_lock_holder(args.lock), 0);
    ck_assert_int_eq(brood_lock_acquire(args.lock, _i == 0 ? 0 : BROOD_FOREVER), BROOD_EOWNERDEAD);
    ck_assert_int_eq(brood_lock_holder(args.lock), getpid());
    ck_assert_int_eq(brood_lock_acquire(args.lock, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_lock_release(args.lock), 0);
    ck_assert_int_eq(brood_lock_acquire(args.lock, 0), 0); /* once told, as good as new */
}
END_TEST

START_TEST(heir_of_one_that_left_is_told)
{
    holds_args args = {.leave = true};
    brood_process child;
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], holds, &args);
    members_end(child, 0);
    ck_assert_int_eq(brood_lock_acquire(args.lock, PATIENCE), BROOD_EOWNERDEAD);
}
END_TEST

START_TEST(nobody_holds_what_the_dead_held)
{
    holds_args args = {.leave = true};
    brood_process child;
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, BROOD_START_FORK, holds, &args);
    brood_test_ok(brood_process_join(child, PATIENCE, NULL));
    members_repaired(HANDLE_INDEX(child.id));
    ck_assert_int_eq(brood_lock_release(args.lock), BROOD_EPERM);
    ck_assert_int_eq(brood_lock_acquire(args.lock, 0), BROOD_EOWNERDEAD);
}
END_TEST

/* Two asleep: the first to be woken is told and passes it on as a healthy one. */
START_TEST(sleeping_heirs_are_told)
{
    holds_args args = {.leave = false};
    waits_args wait = {.timeout = BROOD_FOREVER, .release = true};
    brood_process holder, heirs[2];
    int codes[2];
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_event_new(&args.ready));
    wait.lock = args.lock;
    members_start(&holder, members_methods[_i], holds, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    for (int i = 0; i < 2; i++) members_start(&heirs[i], members_methods[_i], waits, &wait);
    for (int i = 0; i < 2; i++) members_asleep(heirs[i], args.lock.id);
    members_kill(holder);
    for (int i = 0; i < 2; i++) {
        brood_test_ok(brood_process_join(heirs[i], PATIENCE, &codes[i]));
        brood_test_ok(brood_process_free(heirs[i]));
    }
    ck_assert_int_eq(codes[0] + codes[1], ANSWER(BROOD_EOWNERDEAD));
    ck_assert(codes[0] == 0 || codes[1] == 0);
}
END_TEST

/* One asleep dies; the one behind it is not forgotten. */
START_TEST(dead_sleepers_take_nothing)
{
    waits_args args = {.timeout = BROOD_FOREVER, .release = true};
    brood_process children[3];
    brood_test_ok(brood_lock_new(&args.lock));
    brood_test_ok(brood_lock_acquire(args.lock, 0));
    for (int i = 0; i < 3; i++) {
        members_start(&children[i], BROOD_START_FORK, waits, &args);
        members_asleep(children[i], args.lock.id);
    }
    brood_test_ok(brood_process_kill(children[0]));
    brood_test_ok(brood_lock_release(args.lock));
    members_kill(children[0]);
    int code;
    brood_test_ok(brood_process_join(children[1], PATIENCE, &code));
    ck_assert(code == 0 || code == ANSWER(BROOD_EOWNERDEAD)); /* the first may have had it for a moment */
    brood_test_ok(brood_process_free(children[1]));
    brood_test_ok(brood_process_join(children[2], PATIENCE, &code));
    ck_assert(code == 0 || code == ANSWER(BROOD_EOWNERDEAD));
    brood_test_ok(brood_process_free(children[2]));
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready)
{
    MUST(brood_lock_new(&board_of(shared)->theirs) == 0);
    MUST(brood_lock_acquire(board_of(shared)->theirs, 0) == 0);
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
    wait.lock = board_of(args.shared)->theirs;
    members_start(&child, members_methods[_i], waits, &wait);
    members_asleep(child, wait.lock.id);
    members_kill(owner);
    brood_test_ok(brood_process_join(child, PATIENCE, &code));
    ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
    brood_test_ok(brood_process_free(child));
    int late = brood_lock_acquire(wait.lock, BROOD_FOREVER);
    ck_assert(late == BROOD_ECLOSED || late == BROOD_ESTALE);
    ck_assert_int_lt(brood_lock_release(wait.lock), 0);
    ck_assert_int_lt(brood_lock_holder(wait.lock), 0);
    ck_assert_int_eq(brood_lock_free(wait.lock), BROOD_ESTALE);
    for (int i = 0; i < 2000; i++) { /* and its place is used again */
        brood_lock lock;
        brood_test_ok(brood_lock_new(&lock));
        if (HANDLE_INDEX(lock.id) == HANDLE_INDEX(wait.lock.id)) break;
        ck_assert_int_lt(i, 1999);
    }
    ck_stale(wait.lock);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_lock common;
static volatile uint64_t counter;

static void *count_in_thread(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (brood_lock_acquire(common, i % 2 ? PATIENCE : BROOD_FOREVER) != 0) return unused;
        counter = counter + 1;
        if (brood_lock_release(common) != 0) return unused;
    }
    return &common;
}

START_TEST(excludes_threads)
{
    pthread_t threads[4];
    brood_test_ok(brood_lock_new(&common));
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, count_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, &common);
    }
    ck_assert_uint_eq(counter, 4 * ROUNDS);
    ck_assert_int_eq(brood_lock_holder(common), 0);
}
END_TEST

static _Atomic pid_t waiting_thread;

static void *wait_in_thread(void *unused)
{
    (void)unused;
    atomic_store(&waiting_thread, (pid_t)syscall(SYS_gettid));
    return (void *)(intptr_t)brood_lock_acquire(common, BROOD_FOREVER);
}

/* A process holds it, so a thread waits for another of its own process. */
START_TEST(threads_wait_for_each_other)
{
    pthread_t thread;
    void *result;
    brood_test_ok(brood_lock_new(&common));
    brood_test_ok(brood_lock_acquire(common, 0));
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
    members_thread_asleep(&waiting_thread);
    if (_i == 0)
        brood_test_ok(brood_lock_release(common));
    else
        brood_test_ok(brood_lock_free(common));
    pthread_join(thread, &result);
    ck_assert_int_eq((int)(intptr_t)result, _i == 0 ? 0 : BROOD_ESTALE);
}
END_TEST

static volatile sig_atomic_t taken, refused, wrong;

static void try_in_handler(int signal)
{
    (void)signal;
    int code = brood_lock_acquire(common, 0);
    if (code == 0) {
        taken++;
        if (brood_lock_release(common) != 0) wrong++;
    } else if (code == BROOD_EAGAIN) {
        refused++;
    } else {
        wrong++;
    }
}

START_TEST(signal_handlers_may_try)
{
    brood_test_ok(brood_lock_new(&common));
    members_alarm(try_in_handler, 100);
    for (long long end = members_now_ms() + 300; members_now_ms() < end || taken == 0 || refused == 0;) {
        for (int i = 0; i < 100; i++) {
            ck_assert_int_eq(brood_lock_acquire(common, i % 3 ? 0 : PATIENCE), 0);
            ck_assert_int_eq(brood_lock_release(common), 0);
        }
    }
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(brood_lock_holder(common), 0);
}
END_TEST

/* A handler does not end a wait, nor does it make it longer. */
START_TEST(signals_do_not_end_a_wait)
{
    brood_test_ok(brood_lock_new(&common));
    brood_test_ok(brood_lock_acquire(common, 0));
    members_alarm(try_in_handler, 500);
    members_late(brood_lock_acquire(common, A_WHILE));
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(refused, 0);
}
END_TEST

static Suite *lock_suite(void)
{
    Suite *suite = suite_create("lock");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, is_acquired_and_released);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, slots_come_to_an_end);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, excludes, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, is_released_by_any_member, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, sleepers_get_it_one_by_one, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, freed_wakes_sleepers, 0, 2);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, heir_of_the_killed_is_told, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, heir_of_one_that_left_is_told, 0, MEMBERS_METHODS);
    tcase_add_test(deaths, nobody_holds_what_the_dead_held);
    tcase_add_loop_test(deaths, sleeping_heirs_are_told, 0, MEMBERS_METHODS);
    tcase_add_test(deaths, dead_sleepers_take_nothing);
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, MEMBERS_METHODS);
    TCase *inside = brood_test_case(suite, "threads and signals");
    tcase_add_test(inside, excludes_threads);
    tcase_add_loop_test(inside, threads_wait_for_each_other, 0, 2);
    tcase_add_test(inside, signal_handlers_may_try);
    tcase_add_test(inside, signals_do_not_end_a_wait);
    return suite;
}

BROOD_TEST_MAIN(lock_suite)
