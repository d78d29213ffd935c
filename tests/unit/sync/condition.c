/* SPDX-License-Identifier: MIT */
/* condition.c - conditions: who is notified, when they return, and who is told what when somebody dies. */
#include "members.h"
#include "sync/lock.h"

#include <brood/condition.h>

enum { MANY = 4 };

struct board {
    _Atomic int tickets, turns; /* written under the lock */
    _Atomic int go;
    brood_condition theirs;
    brood_lock lock;
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static void until_it_goes(brood_buffer shared)
{
    for (int i = 0; i < PATIENCE && !atomic_load(&board_of(shared)->go); i++) usleep(1000);
    ck_assert(atomic_load(&board_of(shared)->go));
}

/* The lock of the last fresh one, if that is ours. */
static brood_condition_options options;

/* bound: 0: its own rlock; 1: a lock; 2: an rlock of ours */
static brood_condition fresh(int bound)
{
    brood_condition condition;
    options = (brood_condition_options){.lock = {0}};
    if (bound == 1) brood_test_ok(brood_lock_new(&options.lock));
    if (bound == 2) brood_test_ok(brood_rlock_new(&options.rlock));
    brood_test_ok(brood_condition_new(&condition, bound ? &options : NULL));
    return condition;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(needs_its_lock)
{
    brood_condition c = fresh(_i);
    ck_assert_int_eq(brood_condition_wait(c, 0), BROOD_EPERM);
    ck_assert_int_eq(brood_condition_wait(c, BROOD_FOREVER), BROOD_EPERM);
    ck_assert_int_eq(brood_condition_notify(c, 1), BROOD_EPERM);
    ck_assert_int_eq(brood_condition_notify_all(c), BROOD_EPERM);
    ck_assert_int_eq(brood_condition_release(c), BROOD_EPERM);
    brood_test_ok(brood_condition_acquire(c, BROOD_FOREVER));
    ck_assert_int_eq(brood_condition_notify(c, 0), 0);
    ck_assert_int_eq(brood_condition_notify(c, 1), 0);
    ck_assert_int_eq(brood_condition_notify_all(c), 0);
    ck_assert_int_eq(brood_condition_acquire(c, 0), _i == 1 ? BROOD_EAGAIN : 0);
    if (_i != 1) ck_assert_int_eq(brood_condition_release(c), 0);
    ck_assert_int_eq(brood_condition_release(c), 0);
    ck_assert_int_eq(brood_condition_free(c), 0);
}
END_TEST

/* A notification is for those who wait, not for those who come later; a timeout leaves the lock held. */
START_TEST(waits_as_long_as_it_is_told)
{
    brood_condition c = fresh(_i);
    brood_test_ok(brood_condition_acquire(c, 0));
    ck_assert_int_eq(brood_condition_notify_all(c), 0);
    ck_assert_int_eq(brood_condition_wait(c, 0), BROOD_EAGAIN);
    for (int i = 0; i < 3; i++) members_late(brood_condition_wait(c, A_WHILE));
    ck_assert_int_eq(brood_condition_wait(c, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_condition_notify(c, 1), 0);
    ck_assert_int_eq(brood_condition_release(c), 0);
    ck_assert_int_eq(brood_condition_release(c), BROOD_EPERM);
}
END_TEST

static bool is_third(void *calls)
{
    return ++*(int *)calls == 3;
}
static bool is_always(void *calls)
{
    ++*(int *)calls;
    return true;
}
static bool is_never(void *calls)
{
    ++*(int *)calls;
    return false;
}

START_TEST(waits_for_predicates)
{
    brood_condition c = fresh(_i);
    int calls = 0;
    ck_assert_int_eq(brood_condition_wait_for(c, is_always, &calls, 0), BROOD_EPERM);
    ck_assert_int_eq(calls, 0);
    brood_test_ok(brood_condition_acquire(c, 0));
    ck_assert_int_eq(brood_condition_wait_for(c, NULL, &calls, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_condition_wait_for(c, is_always, &calls, BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_condition_wait_for(c, is_always, &calls, 0), 0);
    ck_assert_int_eq(calls, 2);
    ck_assert_int_eq(brood_condition_wait_for(c, is_never, &calls, 0), BROOD_EAGAIN);
    ck_assert_int_eq(calls, 3);
    members_late(brood_condition_wait_for(c, is_never, &calls, A_WHILE));
    ck_assert_int_eq(calls, 5); /* at first, and when the time was up */
    calls = 1;
    ck_assert_int_eq(brood_condition_wait_for(c, is_third, &calls, A_WHILE), 0); /* with its last look */
    ck_assert_int_eq(brood_condition_release(c), 0);
}
END_TEST

static void ck_stale(brood_condition c)
{
    int calls = 0;
    ck_assert_int_eq(brood_condition_acquire(c, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_release(c), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_wait(c, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_wait(c, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_wait_for(c, is_never, &calls, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_notify(c, 1), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_notify_all(c), BROOD_ESTALE);
    ck_assert_int_eq(brood_condition_free(c), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_condition c = fresh(_i), next = {0};
    brood_test_ok(brood_condition_acquire(c, 0));
    brood_test_ok(brood_condition_free(c));
    ck_stale(c);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(c.id); i++) next = fresh(0);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(c.id));
    ck_stale(c);
    ck_assert_int_eq(brood_condition_acquire(next, 0), 0);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 521288629;
    fresh(0);
    members_one_of_each(ids);
    ck_stale((brood_condition){0});
    for (int i = 0; i < MEMBERS_TYPES; i++) ck_stale((brood_condition){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_condition){members_forged(TABLE_CONDITION, i, &state)});
}
END_TEST

START_TEST(belongs_to_one_lock)
{
    brood_condition c;
    brood_test_ok(brood_lock_new(&options.lock));
    brood_test_ok(brood_rlock_new(&options.rlock));
    ck_assert_int_eq(brood_condition_new(&c, &options), BROOD_EINVAL);
    brood_lock lock = options.lock;
    options.lock.id = options.rlock.id;
    options.rlock.id = 0;
    ck_assert_int_eq(brood_condition_new(&c, &options), BROOD_ESTALE);
    options.lock = lock;
    brood_test_ok(brood_lock_free(lock));
    ck_assert_int_eq(brood_condition_new(&c, &options), BROOD_ESTALE);
    unsigned before = atomic_load(&brood__arena()->tables[TABLE_RLOCK].used);
    for (int i = 0; i < 50; i++) brood_test_ok(brood_condition_free(fresh(0)));
    ck_assert_uint_le(atomic_load(&brood__arena()->tables[TABLE_RLOCK].used), before + 1); /* its own goes with it */
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_condition c = fresh(0);
    int calls = 0;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_condition_new(&c, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_acquire(c, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_release(c), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_wait(c, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_wait_for(c, is_never, &calls, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_notify(c, 1), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_notify_all(c), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_condition_free(c), BROOD_ENOTMEMBER);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ANSWER(code) (-(code)&0xff)

/* Ends with the answer of its wait; what it holds then it releases. */
BROOD_TASK(waits, int, brood_condition, c, int, timeout, int, depth, brood_condition_options, lock)
{
    for (int i = 0; i < depth; i++) MUST(brood_condition_acquire(c, BROOD_FOREVER) == 0);
    int code = brood_condition_wait(c, timeout);
    if (code == BROOD_ESTALE || code == BROOD_ECLOSED) { /* it holds the lock, if that is still there */
        if (lock.lock.id) MUST(brood_lock_release(lock.lock) == 0);
        if (lock.rlock.id) MUST(brood_rlock_release(lock.rlock) == 0);
        return ANSWER(code);
    }
    for (int i = 0; i < depth; i++) MUST(brood_condition_release(c) == 0);
    MUST(depth == 1 || brood_condition_release(c) == BROOD_EPERM); /* a plain lock may be the next one's by now */
    return ANSWER(code);
}

static void start_waiters(brood_process *children, int n, brood_start_method method, brood_condition c, int depth)
{
    waits_args args = {c, BROOD_FOREVER, depth, options};
    for (int i = 0; i < n; i++) { /* one after the other: the first waits longest */
        members_start(&children[i], method, waits, &args);
        members_asleep(children[i], c.id);
    }
}

static int notified(brood_condition c, unsigned n)
{
    brood_test_ok(brood_condition_acquire(c, BROOD_FOREVER));
    int woken = n ? brood_condition_notify(c, n) : brood_condition_notify_all(c);
    brood_test_ok(brood_condition_release(c));
    return woken;
}

/* _i: method, and three times the kind of lock */
START_TEST(the_oldest_are_notified)
{
    brood_condition c = fresh(_i / 3);
    brood_process children[MANY];
    start_waiters(children, MANY, members_methods[_i % 3], c, 1);
    ck_assert_int_eq(notified(c, 1), 1);
    members_end(children[0], 0);
    ck_assert_int_eq(notified(c, 2), 2);
    members_end(children[1], 0);
    members_end(children[2], 0);
    members_asleep(children[3], c.id);
    ck_assert_int_eq(notified(c, 100), 1);
    members_end(children[3], 0);
    ck_assert_int_eq(notified(c, 1), 0);
}
END_TEST

START_TEST(all_are_notified)
{
    brood_condition c = fresh(_i / 3);
    brood_process children[MANY];
    start_waiters(children, MANY, members_methods[_i % 3], c, _i / 3 == 1 ? 1 : 3);
    ck_assert_int_eq(notified(c, 0), MANY);
    for (int i = 0; i < MANY; i++) members_end(children[i], 0);
}
END_TEST

/* They return with the lock: not while the notifier has it. */
START_TEST(returns_with_the_lock)
{
    brood_condition c = fresh(_i / 3);
    brood_process child;
    waits_args args = {c, PATIENCE, 1, options};
    members_start(&child, members_methods[_i % 3], waits, &args);
    members_asleep(child, c.id);
    brood_test_ok(brood_condition_acquire(c, BROOD_FOREVER));
    ck_assert_int_eq(brood_condition_notify(c, 1), 1);
    ck_assert_int_eq(brood_condition_notify(c, 1), 0); /* it waits no more, though it has not returned */
    usleep(A_WHILE * 1000);
    ck_assert_int_eq(brood_process_is_alive(child), 1);
    brood_test_ok(brood_condition_release(c));
    members_end(child, 0);
}
END_TEST

/* An rlock is released in full while one waits, and held as deep as before afterwards. */
BROOD_TASK(waits_deep, int, brood_condition, c, brood_rlock, lock)
{
    for (int i = 0; i < 5; i++) MUST(brood_condition_acquire(c, BROOD_FOREVER) == 0);
    MUST(brood_condition_wait(c, PATIENCE) == 0);
    MUST(brood_rlock_depth(lock) == 5);
    MUST(brood_condition_wait(c, 1) == BROOD_ETIMEDOUT);
    MUST(brood_rlock_depth(lock) == 5);
    for (int i = 0; i < 5; i++) MUST(brood_condition_release(c) == 0);
    return brood_rlock_depth(lock);
}

START_TEST(depth_is_restored)
{
    waits_deep_args args;
    brood_process child;
    brood_test_ok(brood_rlock_new(&args.lock));
    brood_test_ok(brood_condition_new(&args.c, &(brood_condition_options){.rlock = args.lock}));
    members_start(&child, members_methods[_i], waits_deep, &args);
    members_asleep(child, args.c.id);
    ck_assert_int_eq(brood_rlock_holder(args.lock), 0);
    ck_assert_int_eq(notified(args.c, 1), 1);
    members_end(child, 0);
}
END_TEST

static bool has_ticket(void *board)
{
    return atomic_load(&((struct board *)board)->tickets) > 0;
}

#define TURNS 600

BROOD_TASK(consumes, int, brood_condition, c, brood_buffer, shared)
{
    struct board *b = board_of(shared);
    for (int i = 0; i < TURNS; i++) {
        MUST(brood_condition_acquire(c, BROOD_FOREVER) == 0);
        MUST(brood_condition_wait_for(c, has_ticket, b, PATIENCE) == 0);
        atomic_store(&b->tickets, atomic_load(&b->tickets) - 1);
        atomic_store(&b->turns, atomic_load(&b->turns) + 1);
        MUST(brood_condition_release(c) == 0);
    }
    return 0;
}

/* Producer and consumers: no ticket is lost, none is taken twice. */
START_TEST(tickets_are_handed_out)
{
    consumes_args args = {fresh(_i / 3), members_shared(sizeof(struct board))};
    brood_process children[2];
    for (int i = 0; i < 2; i++) members_start(&children[i], members_methods[_i % 3], consumes, &args);
    for (int i = 0; i < 2 * TURNS; i++) {
        brood_test_ok(brood_condition_acquire(args.c, BROOD_FOREVER));
        atomic_fetch_add(&board_of(args.shared)->tickets, 1);
        brood_test_ok(brood_condition_notify(args.c, 1));
        brood_test_ok(brood_condition_release(args.c));
    }
    for (int i = 0; i < 2; i++) members_end(children[i], 0);
    ck_assert_int_eq(atomic_load(&board_of(args.shared)->turns), 2 * TURNS);
    ck_assert_int_eq(atomic_load(&board_of(args.shared)->tickets), 0);
}
END_TEST

START_TEST(freed_wakes_sleepers)
{
    brood_condition c = fresh(_i);
    brood_process children[2];
    start_waiters(children, 2, BROOD_START_FORK, c, 1);
    brood_test_ok(brood_condition_free(c));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
    for (int i = 0; i < 2; i++) members_repaired(HANDLE_INDEX(children[i].id));
    brood_condition next = {0};
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(c.id); i++) next = fresh(0);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(c.id)); /* its place is used again: nobody is left inside */
    ck_stale(c);
}
END_TEST

/* The linker sends the library's call here (--wrap): between what a free tells the waiters and the end of its lock. */
static brood_process *to_end_before;
int __real_brood__lock_free(enum table table, uint64_t id);
int __wrap_brood__lock_free(enum table table, uint64_t id);
int __wrap_brood__lock_free(enum table table, uint64_t id)
{
    brood_process *children = to_end_before;
    to_end_before = NULL;
    for (int i = 0; children && i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
    return __real_brood__lock_free(table, id);
}

/* The first takes the lock again, which nobody can release any more, and ends; the next one is not told of that. */
START_TEST(freed_is_stale_whoever_had_its_lock)
{
    brood_condition c = fresh(0);
    brood_process children[2];
    start_waiters(children, 2, members_methods[_i], c, 1);
    to_end_before = children;
    brood_test_ok(brood_condition_free(c));
    ck_assert_ptr_null(to_end_before);
    ck_stale(c);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

START_TEST(dead_waiters_are_no_matter)
{
    brood_condition c = fresh(_i / 3);
    brood_process children[3];
    start_waiters(children, 3, members_methods[_i % 3], c, 1);
    members_kill(children[0]);
    ck_assert_int_eq(notified(c, 1), 1);
    members_end(children[1], 0);
    ck_assert_int_eq(notified(c, 0), 1);
    members_end(children[2], 0);
}
END_TEST

/* Notified, and killed before it could return: the next one has its notification. */
START_TEST(notifications_of_the_dead_are_passed_on)
{
    brood_condition c = fresh(_i / 3);
    brood_process children[3];
    start_waiters(children, 3, members_methods[_i % 3], c, 1);
    brood_test_ok(brood_condition_acquire(c, BROOD_FOREVER));
    ck_assert_int_eq(brood_condition_notify(c, 1), 1);
    members_kill(children[0]);
    brood_test_ok(brood_condition_release(c));
    members_end(children[1], 0);
    members_asleep(children[2], c.id);
    ck_assert_int_eq(notified(c, 1), 1);
    members_end(children[2], 0);
}
END_TEST

BROOD_TASK(holds, int, brood_condition, c, brood_buffer, shared)
{
    MUST(brood_condition_acquire(c, BROOD_FOREVER) == 0);
    atomic_store(&board_of(shared)->go, 1);
    for (;;) pause();
}

/* The holder dies, who alone could have notified: all go on, the first of them is told. */
START_TEST(the_death_of_the_holder_wakes_all)
{
    holds_args args = {fresh(_i / 3), members_shared(sizeof(struct board))};
    brood_process children[3], holder;
    start_waiters(children, 3, members_methods[_i % 3], args.c, 1);
    members_start(&holder, members_methods[_i % 3], holds, &args);
    until_it_goes(args.shared);
    members_kill(holder);
    int told = 0;
    for (int i = 0; i < 3; i++) {
        int code = 0;
        brood_test_ok(brood_process_join(children[i], PATIENCE, &code));
        ck_assert(code == 0 || code == ANSWER(BROOD_EOWNERDEAD));
        told += code != 0;
        brood_test_ok(brood_process_free(children[i]));
    }
    ck_assert_int_eq(told, 1);
    /* A death that is old news wakes nobody. */
    brood_process other, late;
    brood_test_ok(brood_condition_acquire(args.c, BROOD_FOREVER));
    brood_test_ok(brood_condition_release(args.c));
    start_waiters(&late, 1, members_methods[_i % 3], args.c, 1);
    start_waiters(&other, 1, members_methods[_i % 3], args.c, 1);
    members_kill(other);
    members_asleep(late, args.c.id);
    ck_assert_int_eq(notified(args.c, 0), 1);
    members_end(late, 0);
}
END_TEST

/* Who is told first may be one who only wants the lock; who waits goes on all the same. */
START_TEST(the_heir_may_be_another)
{
    holds_args args = {fresh(_i / 3), members_shared(sizeof(struct board))};
    brood_process child, holder;
    int code = 0;
    start_waiters(&child, 1, members_methods[_i % 3], args.c, 1);
    members_start(&holder, members_methods[_i % 3], holds, &args);
    until_it_goes(args.shared);
    brood_test_ok(brood_process_kill(holder));
    int mine = brood_condition_acquire(args.c, PATIENCE);
    ck_assert(mine == 0 || mine == BROOD_EOWNERDEAD);
    brood_test_ok(brood_condition_release(args.c));
    brood_test_ok(brood_process_join(child, PATIENCE, &code));
    ck_assert_int_eq(code, mine == 0 ? ANSWER(BROOD_EOWNERDEAD) : 0);
    brood_test_ok(brood_process_free(child));
    brood_test_ok(brood_process_join(holder, PATIENCE, &code));
    brood_test_ok(brood_process_free(holder));
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared, bool, with_lock)
{
    struct board *b = board_of(shared);
    brood_condition_options bound = {.lock = b->lock};
    MUST(brood_condition_new(&b->theirs, with_lock ? &bound : NULL) == 0);
    atomic_store(&b->go, 1);
    for (;;) pause();
}

/* _i: method, and three times whether the lock goes too */
START_TEST(goes_with_its_owner)
{
    makes_args args = {members_shared(sizeof(struct board)), _i >= 3};
    struct board *b = board_of(args.shared);
    brood_process owner, children[2];
    brood_test_ok(brood_lock_new(&b->lock));
    members_start(&owner, members_methods[_i % 3], makes, &args);
    until_it_goes(args.shared);
    brood_condition c = b->theirs;
    options = (brood_condition_options){.lock = {_i >= 3 ? b->lock.id : 0}};
    start_waiters(children, 2, members_methods[_i % 3], c, 1);
    members_kill(owner);
    for (int i = 0; i < 2; i++) {
        int code;
        brood_test_ok(brood_process_join(children[i], PATIENCE, &code));
        ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
        brood_test_ok(brood_process_free(children[i]));
    }
    ck_assert_int_lt(brood_condition_acquire(c, 0), 0);
    ck_assert_int_lt(brood_condition_wait(c, 0), 0);
    ck_assert_int_lt(brood_condition_notify(c, 1), 0);
    ck_assert_int_eq(brood_condition_free(c), BROOD_ESTALE);
    for (int i = 0; i < 2000 && HANDLE_INDEX(fresh(0).id) != HANDLE_INDEX(c.id); i++) ck_assert_int_lt(i, 1999);
    ck_stale(c);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_condition common;
static _Atomic pid_t tids[MANY];

static void *wait_in_thread(void *tid)
{
    int code = brood_condition_acquire(common, BROOD_FOREVER);
    atomic_store((_Atomic pid_t *)tid, (pid_t)syscall(SYS_gettid));
    if (code == 0) code = brood_condition_wait(common, BROOD_FOREVER);
    int left = brood_condition_release(common);
    if (code == BROOD_ESTALE && options.lock.id) left = brood_lock_release(options.lock);
    if (code == BROOD_ESTALE && options.rlock.id) left = brood_rlock_release(options.rlock);
    if (left < 0 && code == 0) code = left;
    return (void *)(intptr_t)code;
}

/* _i: kind of lock, and three times: it is freed */
START_TEST(threads_wait_too)
{
    pthread_t threads[MANY];
    common = fresh(_i % 3);
    for (int i = 0; i < MANY; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_in_thread, &tids[i]), 0);
    for (int i = 0; i < MANY; i++) members_thread_asleep(&tids[i]);
    if (_i >= 3) brood_test_ok(brood_condition_free(common));
    if (_i < 3) ck_assert_int_eq(notified(common, 1), 1);
    if (_i < 3) ck_assert_int_eq(notified(common, 0), MANY - 1);
    for (int i = 0; i < MANY; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_int_eq((int)(intptr_t)result, _i < 3 ? 0 : BROOD_ESTALE);
    }
}
END_TEST

static volatile sig_atomic_t rounds, wrong;

static void notify_in_handler(int signal)
{
    (void)signal;
    rounds++;
    int code = brood_condition_notify_all(common);
    if (code < 0 && code != BROOD_EPERM && code != BROOD_EDEADLK) wrong++;
}

START_TEST(signals_do_not_disturb)
{
    common = fresh(_i);
    int waited = 0;
    members_alarm(notify_in_handler, 100);
    brood_test_ok(brood_condition_acquire(common, BROOD_FOREVER));
    for (long long end = members_now_ms() + 200; members_now_ms() < end || rounds <= 10 || waited <= 5; waited++) {
        int code = brood_condition_wait(common, 1);
        ck_assert(code == BROOD_ETIMEDOUT || code == 0);
    }
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    brood_test_ok(brood_condition_release(common));
}
END_TEST

static Suite *condition_suite(void)
{
    Suite *suite = suite_create("condition");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_loop_test(alone, needs_its_lock, 0, 3);
    tcase_add_loop_test(alone, waits_as_long_as_it_is_told, 0, 3);
    tcase_add_loop_test(alone, waits_for_predicates, 0, 3);
    tcase_add_loop_test(alone, freed_is_stale_for_ever, 0, 3);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_one_lock);
    tcase_add_test(alone, belongs_to_members);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, the_oldest_are_notified, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, all_are_notified, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, returns_with_the_lock, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, depth_is_restored, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, tickets_are_handed_out, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, freed_wakes_sleepers, 0, 3);
    tcase_add_loop_test(others, freed_is_stale_whoever_had_its_lock, 0, MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, dead_waiters_are_no_matter, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, notifications_of_the_dead_are_passed_on, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, the_death_of_the_holder_wakes_all, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, the_heir_may_be_another, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, 2 * MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_loop_test(inner, threads_wait_too, 0, 6);
    tcase_add_loop_test(inner, signals_do_not_disturb, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(condition_suite)
