/* SPDX-License-Identifier: MIT */
/* rlock.c - recursive locks: how often they are held, by which thread of which process, and what a death makes of that. */
#include "members.h"

#include <brood/rlock.h>

struct board {
    uint64_t counter; /* written under the lock only, and without other care */
    brood_rlock theirs;
    _Atomic int go;
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static brood_rlock fresh(void)
{
    brood_rlock lock;
    brood_test_ok(brood_rlock_new(&lock));
    ck_assert_int_eq(brood_rlock_holder(lock), 0);
    ck_assert_int_eq(brood_rlock_depth(lock), 0);
    return lock;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(is_released_as_often_as_acquired)
{
    brood_rlock lock = fresh();
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_EPERM);
    for (int depth = 1; depth <= 5; depth++) {
        ck_assert_int_eq(brood_rlock_acquire(lock, depth == 1 ? 0 : depth == 2 ? 1000 : BROOD_FOREVER), 0);
        ck_assert_int_eq(brood_rlock_depth(lock), depth);
        ck_assert_int_eq(brood_rlock_holder(lock), getpid());
    }
    for (int depth = 5; depth >= 1; depth--) {
        ck_assert_int_eq(brood_rlock_holder(lock), getpid());
        ck_assert_int_eq(brood_rlock_release(lock), 0);
        ck_assert_int_eq(brood_rlock_depth(lock), depth - 1);
    }
    ck_assert_int_eq(brood_rlock_holder(lock), 0);
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_EPERM);
    ck_assert_int_eq(brood_rlock_free(lock), 0);
}
END_TEST

START_TEST(has_a_deepest_depth)
{
    brood_rlock lock = fresh();
    for (int i = 0; i < BROOD_RLOCK_MOST; i++) ck_assert_int_eq(brood_rlock_acquire(lock, 0), 0);
    ck_assert_int_eq(brood_rlock_acquire(lock, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_rlock_acquire(lock, BROOD_FOREVER), BROOD_EAGAIN);
    ck_assert_int_eq(brood_rlock_depth(lock), BROOD_RLOCK_MOST);
    for (int i = 0; i < BROOD_RLOCK_MOST; i++) ck_assert_int_eq(brood_rlock_release(lock), 0);
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_EPERM);
}
END_TEST

static void ck_stale(brood_rlock lock)
{
    ck_assert_int_eq(brood_rlock_acquire(lock, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_acquire(lock, A_WHILE), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_acquire(lock, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_acquire_checked(lock, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_holder(lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_depth(lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_free(lock), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_rlock lock = fresh(), next = {0};
    for (int i = 0; i < 3; i++) brood_test_ok(brood_rlock_acquire(lock, 0));
    brood_test_ok(brood_rlock_free(lock));
    ck_stale(lock);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(lock.id); i++) next = fresh();
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(lock.id));
    ck_stale(lock);
    ck_assert_int_eq(brood_rlock_release(next), BROOD_EPERM);
    ck_assert_int_eq(brood_rlock_acquire(next, 0), 0);
    ck_stale(lock);
    ck_assert_int_eq(brood_rlock_depth(next), 1);
}
END_TEST

START_TEST(forged_is_stale)
{
    brood_rlock own = fresh();
    uint64_t ids[MEMBERS_TYPES], state = 521288629;
    brood_test_ok(brood_rlock_acquire(own, 0));
    members_one_of_each(ids);
    ck_stale((brood_rlock){0});
    for (int i = 0; i < MEMBERS_TYPES; i++) ck_stale((brood_rlock){ids[i]}); /* a lock is none */
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_rlock){members_forged(TABLE_RLOCK, i, &state)});
    ck_assert_int_eq(brood_lock_acquire((brood_lock){own.id}, 0), BROOD_ESTALE); /* nor the other way */
    ck_assert_int_eq(brood_lock_release((brood_lock){own.id}), BROOD_ESTALE);
    ck_assert_int_eq(brood_rlock_depth(own), 1);
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_rlock lock = fresh();
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_rlock_new(&lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_acquire(lock, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_acquire(lock, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_acquire_checked(lock, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_depth(lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_holder(lock), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_rlock_free(lock), BROOD_ENOTMEMBER);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ROUNDS 2000

BROOD_TASK(counts, int, brood_rlock, lock, brood_buffer, shared)
{
    for (int i = 0; i < ROUNDS; i++) {
        int depth = i % 3 + 1;
        for (int k = 0; k < depth; k++) MUST(brood_rlock_acquire(lock, BROOD_FOREVER) == 0);
        board_of(shared)->counter++;
        for (int k = 0; k < depth; k++) MUST(brood_rlock_release(lock) == 0);
    }
    return 0;
}

START_TEST(excludes)
{
    counts_args args = {fresh(), members_shared(sizeof(struct board))};
    brood_process children[3];
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], counts, &args);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_uint_eq(board_of(args.shared)->counter, 3 * ROUNDS);
}
END_TEST

BROOD_TASK(is_no_owner, int, brood_rlock, lock)
{
    MUST(brood_rlock_release(lock) == BROOD_EPERM);
    MUST(brood_rlock_depth(lock) == 0);
    MUST(brood_rlock_acquire(lock, 0) == BROOD_EAGAIN);
    MUST(brood_rlock_acquire(lock, A_WHILE) == BROOD_ETIMEDOUT);
    MUST(brood_rlock_release(lock) == BROOD_EPERM);
    return 0;
}

/* Python: release by anybody but the owner is an AssertionError; a forked child is another process. */
START_TEST(is_released_by_its_owner_alone)
{
    brood_rlock lock = fresh();
    brood_process child;
    brood_test_ok(brood_rlock_acquire(lock, 0));
    brood_test_ok(brood_rlock_acquire(lock, 0));
    members_start(&child, members_methods[_i], is_no_owner, &lock);
    members_end(child, 0);
    ck_assert_int_eq(brood_rlock_depth(lock), 2);
}
END_TEST

BROOD_TASK(gets, int, brood_rlock, lock, int, expected)
{
    MUST(brood_rlock_acquire(lock, BROOD_FOREVER) == expected);
    MUST(brood_rlock_depth(lock) == 1);
    MUST(brood_rlock_acquire(lock, 0) == 0 && brood_rlock_release(lock) == 0);
    MUST(brood_rlock_release(lock) == 0);
    return 0;
}

START_TEST(the_last_release_frees)
{
    gets_args args = {fresh(), 0};
    brood_process child;
    for (int i = 0; i < 3; i++) brood_test_ok(brood_rlock_acquire(args.lock, 0));
    members_start(&child, members_methods[_i], gets, &args);
    members_asleep(child, args.lock.id);
    for (int i = 0; i < 2; i++) brood_test_ok(brood_rlock_release(args.lock));
    members_asleep(child, args.lock.id);
    brood_test_ok(brood_rlock_release(args.lock));
    members_end(child, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

BROOD_TASK(holds, int, brood_rlock, lock, brood_buffer, shared)
{
    for (int i = 0; i < 4; i++) MUST(brood_rlock_acquire(lock, 0) == 0);
    atomic_store(&board_of(shared)->go, 1);
    for (;;) pause();
}

static void until_it_goes(brood_buffer shared)
{
    for (int i = 0; i < PATIENCE && !atomic_load(&board_of(shared)->go); i++) usleep(1000);
    ck_assert(atomic_load(&board_of(shared)->go));
}

START_TEST(heir_is_told_and_holds_it_once)
{
    holds_args args = {fresh(), members_shared(sizeof(struct board))};
    gets_args then = {args.lock, _i < MEMBERS_METHODS ? 0 : BROOD_EOWNERDEAD};
    brood_process owner, child;
    members_start(&owner, members_methods[_i % 3], holds, &args);
    until_it_goes(args.shared);
    if (_i >= MEMBERS_METHODS) { /* somebody waits already */
        members_start(&child, members_methods[_i % 3], gets, &then);
        members_asleep(child, args.lock.id);
        members_kill(owner);
        members_end(child, 0);
        return;
    }
    members_kill(owner);
    ck_assert_int_eq(brood_rlock_holder(args.lock), 0);
    ck_assert_int_eq(brood_rlock_acquire(args.lock, BROOD_FOREVER), BROOD_EOWNERDEAD);
    ck_assert_int_eq(brood_rlock_depth(args.lock), 1);
    ck_assert_int_eq(brood_rlock_acquire(args.lock, 0), 0);
    for (int i = 0; i < 2; i++) brood_test_ok(brood_rlock_release(args.lock));
    ck_assert_int_eq(brood_rlock_release(args.lock), BROOD_EPERM);
    members_start(&child, members_methods[_i % 3], gets, &then);
    members_end(child, 0);
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared)
{
    MUST(brood_rlock_new(&board_of(shared)->theirs) == 0);
    MUST(brood_rlock_acquire(board_of(shared)->theirs, 0) == 0);
    atomic_store(&board_of(shared)->go, 1);
    for (;;) pause();
}

BROOD_TASK(finds_gone, int, brood_rlock, lock)
{
    int code = brood_rlock_acquire(lock, BROOD_FOREVER);
    MUST(code == BROOD_ECLOSED || code == BROOD_ESTALE);
    return 0;
}

START_TEST(goes_with_its_maker)
{
    brood_buffer shared = members_shared(sizeof(struct board));
    brood_process owner, child;
    members_start(&owner, members_methods[_i], makes, &shared);
    until_it_goes(shared);
    brood_rlock lock = board_of(shared)->theirs;
    members_start(&child, members_methods[_i], finds_gone, &lock);
    members_asleep(child, lock.id);
    members_kill(owner);
    members_end(child, 0);
    ck_assert_int_eq(brood_rlock_acquire(lock, 0), BROOD_ECLOSED);
    ck_assert_int_eq(brood_rlock_depth(lock), BROOD_ECLOSED);
    ck_assert_int_eq(brood_rlock_release(lock), BROOD_ECLOSED);
    ck_assert_int_eq(brood_rlock_free(lock), BROOD_ESTALE);
}
END_TEST

/* ---------------------------------------------------------------------------------------- circles, of both kinds */

BROOD_TASK(closes_circle, int, brood_rlock, mine, brood_lock, other, brood_buffer, shared)
{
    MUST(brood_rlock_acquire(mine, 0) == 0);
    MUST(brood_rlock_acquire(mine, 0) == 0);
    atomic_store(&board_of(shared)->go, 1);
    MUST(brood_lock_acquire(other, BROOD_FOREVER) == 0);
    MUST(brood_lock_release(other) == 0);
    MUST(brood_rlock_release(mine) == 0 && brood_rlock_release(mine) == 0);
    return 0;
}

START_TEST(is_part_of_circles)
{
    closes_circle_args args = {.mine = fresh(), .shared = members_shared(sizeof(struct board))};
    brood_process child;
    brood_test_ok(brood_lock_new(&args.other));
    brood_test_ok(brood_lock_acquire(args.other, 0));
    members_start(&child, members_methods[_i], closes_circle, &args);
    until_it_goes(args.shared);
    members_asleep(child, args.other.id);
    ck_assert_int_eq(brood_rlock_acquire_checked(args.mine, BROOD_FOREVER), BROOD_EDEADLK);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "rlock"));
    ck_assert_int_eq(brood_rlock_depth(args.mine), 0);
    brood_test_ok(brood_lock_release(args.other));
    ck_assert_int_eq(brood_rlock_acquire_checked(args.mine, BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_rlock_acquire_checked(args.mine, BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_rlock_depth(args.mine), 2);
    members_end(child, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_rlock common;
static _Atomic pid_t tid;
static uint64_t counter;

static void *count_in_thread(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (brood_rlock_acquire(common, BROOD_FOREVER) != 0 || brood_rlock_acquire(common, BROOD_FOREVER) != 0)
            return (void *)1;
        counter++;
        if (brood_rlock_release(common) != 0 || brood_rlock_release(common) != 0) return (void *)1;
    }
    return unused;
}

START_TEST(excludes_threads)
{
    pthread_t threads[3];
    void *result;
    common = fresh();
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, count_in_thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        ck_assert_ptr_null(result);
    }
    ck_assert_uint_eq(counter, 3 * ROUNDS);
}
END_TEST

static void *is_another(void *unused)
{
    (void)unused;
    if (brood_rlock_release(common) != BROOD_EPERM || brood_rlock_depth(common) != 0) return (void *)1;
    if (brood_rlock_acquire(common, 0) != BROOD_EAGAIN) return (void *)2;
    if (brood_rlock_acquire(common, A_WHILE) != BROOD_ETIMEDOUT) return (void *)3;
    atomic_store(&tid, (pid_t)syscall(SYS_gettid));
    if (brood_rlock_acquire(common, BROOD_FOREVER) != 0) return (void *)4;
    return NULL; /* and ends with it */
}

/* The owner is a thread: another one of the same process is none, and one that has ended leaves it held. */
START_TEST(threads_own_it)
{
    pthread_t thread;
    void *result;
    common = fresh();
    brood_test_ok(brood_rlock_acquire(common, 0));
    brood_test_ok(brood_rlock_acquire(common, 0));
    ck_assert_int_eq(pthread_create(&thread, NULL, is_another, NULL), 0);
    members_thread_asleep(&tid);
    brood_test_ok(brood_rlock_release(common));
    brood_test_ok(brood_rlock_release(common));
    pthread_join(thread, &result);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(brood_rlock_holder(common), getpid());
    ck_assert_int_eq(brood_rlock_acquire(common, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_rlock_release(common), BROOD_EPERM);
    ck_assert_int_eq(brood_rlock_acquire(common, BROOD_FOREVER), BROOD_EDEADLK);
}
END_TEST

static volatile sig_atomic_t rounds, wrong;

static void use_in_handler(int signal)
{
    (void)signal;
    rounds++;
    int depth = brood_rlock_depth(common), code = brood_rlock_acquire(common, 0);
    if (code == 0 && (brood_rlock_depth(common) != depth + 1 || brood_rlock_release(common) != 0)) wrong++;
    if (code != 0 && (code != BROOD_EAGAIN || depth != 0)) wrong++; /* between two instructions of its owner's */
}

START_TEST(signal_handlers_may_use_it)
{
    common = fresh();
    members_alarm(use_in_handler, 100);
    for (long long end = members_now_ms() + 300; members_now_ms() < end;) {
        for (int i = 0; i < 100; i++) {
            int depth = i % 3 + 1;
            for (int k = 0; k < depth; k++) ck_assert_int_eq(brood_rlock_acquire(common, BROOD_FOREVER), 0);
            ck_assert_int_eq(brood_rlock_depth(common), depth);
            for (int k = 0; k < depth; k++) ck_assert_int_eq(brood_rlock_release(common), 0);
        }
    }
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(rounds, 10);
}
END_TEST

static Suite *rlock_suite(void)
{
    Suite *suite = suite_create("rlock");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, is_released_as_often_as_acquired);
    tcase_add_test(alone, has_a_deepest_depth);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, excludes, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, is_released_by_its_owner_alone, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, the_last_release_frees, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, is_part_of_circles, 0, MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, heir_is_told_and_holds_it_once, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, goes_with_its_maker, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_test(inner, excludes_threads);
    tcase_add_test(inner, threads_own_it);
    tcase_add_test(inner, signal_handlers_may_use_it);
    return suite;
}

BROOD_TEST_MAIN(rlock_suite)
