/* SPDX-License-Identifier: MIT */
/* barrier.c - barriers: rounds, indices, actions, and how they break and are made whole. */
#include "members.h"

#include <brood/barrier.h>

enum { PARTIES = 3, ROUNDS = 300 };

struct board {
    _Atomic int came[ROUNDS];          /* how many have come to this round */
    _Atomic int seen[ROUNDS][PARTIES]; /* how often each index was given */
    _Atomic int actions, inside, go;
    _Atomic pid_t actor;
    brood_barrier theirs;
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static brood_barrier fresh(unsigned parties)
{
    brood_barrier barrier;
    brood_test_ok(brood_barrier_new(&barrier, parties, NULL));
    ck_assert_int_eq(brood_barrier_parties(barrier), (int)parties);
    ck_assert_int_eq(brood_barrier_waiting(barrier), 0);
    ck_assert_int_eq(brood_barrier_broken(barrier), 0);
    return barrier;
}

static void until_it_goes(brood_buffer shared)
{
    for (int i = 0; i < PATIENCE && !atomic_load(&board_of(shared)->go); i++) usleep(1000);
    ck_assert(atomic_load(&board_of(shared)->go));
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(one_party_never_waits)
{
    brood_barrier b = fresh(1);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(brood_barrier_wait(b, i == 0 ? 0 : i == 1 ? 1000 : BROOD_FOREVER), 0);
    ck_assert_int_eq(brood_barrier_waiting(b), 0);
    ck_assert_int_eq(brood_barrier_free(b), 0);
}
END_TEST

START_TEST(has_parties)
{
    brood_barrier b;
    ck_assert_int_eq(brood_barrier_new(&b, 0, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_barrier_new(&b, BROOD_BARRIER_PARTIES_MOST + 1, NULL), BROOD_EINVAL);
    b = fresh(BROOD_BARRIER_PARTIES_MOST);
    ck_assert_int_eq(brood_barrier_wait(b, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_barrier_wait(b, 0), BROOD_EAGAIN); /* which is no coming */
    ck_assert_int_eq(brood_barrier_broken(b), 0);
    ck_assert_int_eq(brood_barrier_waiting(b), 0);
}
END_TEST

START_TEST(who_is_late_breaks_it)
{
    brood_barrier b = fresh(2);
    members_late(brood_barrier_wait(b, A_WHILE));
    ck_assert_int_eq(brood_barrier_broken(b), 1);
    ck_assert_int_eq(brood_barrier_waiting(b), 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(brood_barrier_wait(b, i ? BROOD_FOREVER : 0), BROOD_EBROKEN);
    brood_test_ok(brood_barrier_abort(b));
    ck_assert_int_eq(brood_barrier_broken(b), 1);
    brood_test_ok(brood_barrier_reset(b));
    ck_assert_int_eq(brood_barrier_broken(b), 0);
    members_late(brood_barrier_wait(b, A_WHILE));
    brood_test_ok(brood_barrier_reset(b));
    brood_test_ok(brood_barrier_reset(b));
    ck_assert_int_eq(brood_barrier_broken(b), 0);
    brood_test_ok(brood_barrier_abort(b));
    ck_assert_int_eq(brood_barrier_wait(b, BROOD_FOREVER), BROOD_EBROKEN);
}
END_TEST

static void ck_stale(brood_barrier b)
{
    ck_assert_int_eq(brood_barrier_wait(b, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_wait(b, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_abort(b), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_reset(b), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_parties(b), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_waiting(b), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_broken(b), BROOD_ESTALE);
    ck_assert_int_eq(brood_barrier_free(b), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_barrier b = fresh(1), next = {0};
    ck_assert_int_eq(brood_barrier_wait(b, 0), 0);
    brood_test_ok(brood_barrier_free(b));
    ck_stale(b);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(b.id); i++) next = fresh(2);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(b.id));
    ck_stale(b);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 521288629;
    fresh(2);
    members_one_of_each(ids);
    ck_stale((brood_barrier){0});
    for (int i = 0; i < MEMBERS_TYPES; i++) ck_stale((brood_barrier){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_barrier){members_forged(TABLE_BARRIER, i, &state)});
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_barrier b = fresh(1);
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_barrier_new(&b, 1, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_wait(b, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_abort(b), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_reset(b), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_parties(b), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_waiting(b), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_broken(b), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_barrier_free(b), BROOD_ENOTMEMBER);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define ANSWER(code) ((code) >= 0 ? (code) : -(code)&0xff)

BROOD_TASK(waits, int, brood_barrier, b, int, timeout)
{
    int code = brood_barrier_wait(b, timeout);
    return ANSWER(code);
}

/* One after the other, so that each one's index is known. */
static void start_waiters(brood_process *children, int n, brood_start_method method, brood_barrier b)
{
    waits_args args = {b, BROOD_FOREVER};
    for (int i = 0; i < n; i++) {
        members_start(&children[i], method, waits, &args);
        members_asleep(children[i], b.id);
        ck_assert_int_eq(brood_barrier_waiting(b), i + 1);
    }
}

START_TEST(counts_who_comes)
{
    brood_barrier b = fresh(4);
    brood_process children[3];
    for (int round = 0; round < 2; round++) {
        start_waiters(children, 3, members_methods[_i], b);
        ck_assert_int_eq(brood_barrier_wait(b, round ? 0 : BROOD_FOREVER), 3);
        for (int i = 0; i < 3; i++) members_end(children[i], i);
        ck_assert_int_eq(brood_barrier_waiting(b), 0);
    }
}
END_TEST

BROOD_TASK(plays, int, brood_barrier, b, brood_buffer, shared)
{
    struct board *board = board_of(shared);
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add_explicit(&board->came[i], 1, memory_order_relaxed);
        int index = brood_barrier_wait(b, PATIENCE);
        MUST(index >= 0 && index < PARTIES);
        MUST(atomic_load_explicit(&board->came[i], memory_order_relaxed) == PARTIES);
        atomic_fetch_add(&board->seen[i][index], 1);
    }
    return 0;
}

START_TEST(rounds_do_not_mix)
{
    plays_args args = {fresh(PARTIES), members_shared(sizeof(struct board))};
    brood_process children[PARTIES];
    for (int i = 0; i < PARTIES; i++) members_start(&children[i], members_methods[_i], plays, &args);
    for (int i = 0; i < PARTIES; i++) members_end(children[i], 0);
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < PARTIES; k++) ck_assert_int_eq(atomic_load(&board_of(args.shared)->seen[i][k]), 1);
}
END_TEST

/* More processes than parties, in rounds of whoever comes. */
START_TEST(more_than_parties_may_use_it)
{
    brood_barrier b = fresh(2);
    brood_process children[4];
    waits_args args = {b, PATIENCE};
    int code, sum = 0;
    for (int i = 0; i < 4; i++) members_start(&children[i], members_methods[_i], waits, &args);
    for (int i = 0; i < 4; i++) {
        brood_test_ok(brood_process_join(children[i], PATIENCE, &code));
        ck_assert(code == 0 || code == 1);
        sum += code;
        brood_test_ok(brood_process_free(children[i]));
    }
    ck_assert_int_eq(sum, 2);
    ck_assert_int_eq(brood_barrier_broken(b), 0); /* those that have ended are no loss */
}
END_TEST

/* _i: method, and three times: abort, reset, a party runs out of time */
START_TEST(breaks_for_all)
{
    brood_barrier b = fresh(4);
    brood_process children[2];
    start_waiters(children, 2, members_methods[_i % 3], b);
    if (_i / 3 == 0) brood_test_ok(brood_barrier_abort(b));
    if (_i / 3 == 1) brood_test_ok(brood_barrier_reset(b));
    if (_i / 3 == 2) members_late(brood_barrier_wait(b, A_WHILE));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_EBROKEN));
    ck_assert_int_eq(brood_barrier_broken(b), _i / 3 != 1);
    ck_assert_int_eq(brood_barrier_waiting(b), 0);
    if (_i / 3 != 1) brood_test_ok(brood_barrier_reset(b));
    brood_process more[3];
    start_waiters(more, 3, members_methods[_i % 3], b);
    ck_assert_int_eq(brood_barrier_wait(b, 0), 3);
    for (int i = 0; i < 3; i++) members_end(more[i], i);
}
END_TEST

START_TEST(freed_wakes_sleepers)
{
    brood_barrier b = fresh(3), next = {0};
    brood_process children[2];
    start_waiters(children, 2, members_methods[_i], b);
    brood_test_ok(brood_barrier_free(b));
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_ESTALE));
    for (int i = 0; i < 2; i++) members_repaired(HANDLE_INDEX(children[i].id));
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(b.id); i++) next = fresh(2);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(b.id)); /* nobody is left inside */
    ck_stale(b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ the action */

BROOD_TASK(acts, int, brood_buffer, shared)
{
    struct board *b = board_of(shared);
    if (atomic_fetch_add(&b->inside, 1) != 0) return -1;
    atomic_store(&b->actor, getpid());
    atomic_fetch_add(&b->actions, 1);
    atomic_fetch_sub(&b->inside, 1);
    return 0;
}

static brood_barrier with_action(unsigned parties, const brood_task *action, const void *arg)
{
    brood_barrier barrier;
    brood_test_ok(brood_barrier_new(&barrier, parties, &(brood_barrier_options){.action = action, .action_arg = arg}));
    return barrier;
}

BROOD_TASK(acts_in_rounds, int, brood_barrier, b, brood_buffer, shared)
{
    struct board *board = board_of(shared);
    for (int i = 0; i < ROUNDS; i++) {
        int index = brood_barrier_wait(b, PATIENCE);
        MUST(index >= 0 && index < PARTIES);
        int done = atomic_load(&board->actions);
        MUST(done == i + 1 || done == i + 2); /* before any goes on; the next may have been run meanwhile */
        if (index == PARTIES - 1) MUST(atomic_load(&board->actor) == getpid() || done == i + 2);
    }
    return 0;
}

START_TEST(one_party_acts)
{
    acts_in_rounds_args args = {.shared = members_shared(sizeof(struct board))};
    brood_process children[PARTIES];
    args.b = with_action(PARTIES, BROOD_TASK_OF(acts), &args.shared);
    for (int i = 0; i < PARTIES; i++) members_start(&children[i], members_methods[_i], acts_in_rounds, &args);
    for (int i = 0; i < PARTIES; i++) members_end(children[i], 0);
    ck_assert_int_eq(atomic_load(&board_of(args.shared)->actions), ROUNDS);
}
END_TEST

BROOD_TASK(says_no, int, int, how)
{
    if (how == 0) return -7;
    brood_fail(5, "no %s", "luck");
    return 0;
}

BROOD_TASK(takes_bytes, void, brood_bytes, text)
{
    if (text.size != 5 || memcmp(text.data, "hello", 5) != 0) brood_fail(1, "other bytes");
}

BROOD_TASK(takes_nothing, double, void)
{
    return 1.5;
}

/* _i: method, and three times how it fails */
START_TEST(a_failed_action_breaks_it)
{
    int how = _i / 3;
    brood_barrier b = with_action(2, BROOD_TASK_OF(says_no), &how);
    brood_process child;
    start_waiters(&child, 1, members_methods[_i % 3], b);
    ck_assert_int_eq(brood_barrier_wait(b, BROOD_FOREVER), BROOD_EFAILED);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), how ? "no luck" : "-7"));
    members_end(child, ANSWER(BROOD_EBROKEN));
    ck_assert_int_eq(brood_barrier_broken(b), 1);
    ck_assert_int_eq(brood_barrier_wait(b, BROOD_FOREVER), BROOD_EBROKEN);
    brood_test_ok(brood_barrier_reset(b));
    ck_assert_int_eq(brood_barrier_broken(b), 0);
}
END_TEST

START_TEST(actions_take_what_they_take)
{
    brood_bytes text = {"hello", 5}, endless = {&text, BROOD_BARRIER_ARG_MOST + 1};
    brood_barrier b = with_action(1, BROOD_TASK_OF(takes_bytes), &text);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_barrier_wait(b, 0), 0);
    b = with_action(1, BROOD_TASK_OF(takes_nothing), NULL);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_barrier_wait(b, 0), 0);
    brood_barrier_options options = {.action = BROOD_TASK_OF(says_no)};
    ck_assert_int_eq(brood_barrier_new(&b, 1, &options), BROOD_EINVAL);
    options = (brood_barrier_options){.action = BROOD_TASK_OF(takes_bytes), .action_arg = &endless};
    ck_assert_int_eq(brood_barrier_new(&b, 1, &options), BROOD_EINVAL);
    brood_task forged = *BROOD_TASK_OF(takes_nothing);
    options = (brood_barrier_options){.action = &forged};
    ck_assert_int_eq(brood_barrier_new(&b, 1, &options), BROOD_EMODULE); /* on the stack */
    forged.magic = 0;
    ck_assert_int_eq(brood_barrier_new(&b, 1, &options), BROOD_ETASK);
}
END_TEST

BROOD_TASK(stays, int, brood_buffer, shared)
{
    atomic_store(&board_of(shared)->go, 1);
    while (atomic_load(&board_of(shared)->go) == 1) usleep(1000);
    return 0;
}

/* The barrier is broken under the action: who ran it learns that too. */
START_TEST(an_action_may_come_too_late)
{
    brood_buffer shared = members_shared(sizeof(struct board));
    brood_barrier b = with_action(2, BROOD_TASK_OF(stays), &shared);
    brood_process children[2];
    waits_args args = {b, BROOD_FOREVER};
    for (int i = 0; i < 2; i++) members_start(&children[i], members_methods[_i % 3], waits, &args);
    until_it_goes(shared);
    ck_assert_int_eq(brood_barrier_waiting(b), 0); /* all have come */
    ck_assert_int_eq(brood_barrier_wait(b, 0), BROOD_EAGAIN);
    if (_i >= 3)
        brood_test_ok(brood_barrier_abort(b));
    else
        brood_test_ok(brood_barrier_reset(b));
    atomic_store(&board_of(shared)->go, 2);
    for (int i = 0; i < 2; i++) members_end(children[i], ANSWER(BROOD_EBROKEN));
    ck_assert_int_eq(brood_barrier_broken(b), _i >= 3);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

START_TEST(a_dead_waiter_breaks_it)
{
    brood_barrier b = fresh(4);
    brood_process children[3];
    start_waiters(children, 3, members_methods[_i], b);
    members_kill(children[1]);
    members_end(children[0], ANSWER(BROOD_EBROKEN));
    members_end(children[2], ANSWER(BROOD_EBROKEN));
    ck_assert_int_eq(brood_barrier_broken(b), 1);
    ck_assert_int_eq(brood_barrier_wait(b, BROOD_FOREVER), BROOD_EBROKEN);
    brood_test_ok(brood_barrier_reset(b));
    start_waiters(children, 3, members_methods[_i], b);
    ck_assert_int_eq(brood_barrier_wait(b, 0), 3);
    for (int i = 0; i < 3; i++) members_end(children[i], i);
}
END_TEST

BROOD_TASK(acts_for_ever, int, brood_buffer, shared)
{
    atomic_store(&board_of(shared)->actor, getpid());
    atomic_store(&board_of(shared)->go, 1);
    for (;;) pause();
}

START_TEST(a_dead_actor_breaks_it)
{
    brood_buffer shared = members_shared(sizeof(struct board));
    brood_barrier b = with_action(2, BROOD_TASK_OF(acts_for_ever), &shared);
    brood_process child, actor;
    start_waiters(&child, 1, members_methods[_i], b);
    waits_args args = {b, BROOD_FOREVER};
    members_start(&actor, members_methods[_i], waits, &args);
    until_it_goes(shared);
    ck_assert_int_eq(atomic_load(&board_of(shared)->actor), brood_process_pid(actor));
    members_kill(actor);
    members_end(child, ANSWER(BROOD_EBROKEN));
    ck_assert_int_eq(brood_barrier_broken(b), 1);
}
END_TEST

enum end { KILLED, EXITS, ABORTS };

BROOD_TASK(comes_once, int, brood_barrier, b, brood_buffer, shared, int, how)
{
    MUST(brood_barrier_wait(b, PATIENCE) >= 0);
    atomic_store(&board_of(shared)->go, 1);
    while (atomic_load(&board_of(shared)->go) == 1) usleep(500);
    if (how == EXITS) return 3;
    signal(SIGTERM, SIG_DFL);
    raise(how == KILLED ? SIGKILL : SIGTERM);
    return 0;
}

/* A known party dies later, where it is not waiting: by a signal, the barrier breaks; in an orderly way, it does not. */
START_TEST(a_known_party_dies_elsewhere)
{
    comes_once_args args = {fresh(2), members_shared(sizeof(struct board)), _i / 3 % 3};
    brood_process child, waiter;
    bool reset = _i >= 9; /* which forgets those that are not there */
    members_start(&child, members_methods[_i % 3], comes_once, &args);
    ck_assert_int_ge(brood_barrier_wait(args.b, PATIENCE), 0);
    until_it_goes(args.shared);
    if (reset) brood_test_ok(brood_barrier_reset(args.b));
    start_waiters(&waiter, 1, members_methods[_i % 3], args.b);
    uint32_t index = HANDLE_INDEX(child.id);
    atomic_store(&board_of(args.shared)->go, 2);
    brood_test_ok(brood_process_join(child, PATIENCE, NULL));
    members_repaired(index);
    brood_test_ok(brood_process_free(child));
    if (args.how == EXITS || reset) {
        members_asleep(waiter, args.b.id);
        ck_assert_int_eq(brood_barrier_broken(args.b), 0);
        ck_assert_int_eq(brood_barrier_wait(args.b, PATIENCE), 1);
        members_end(waiter, 0);
    } else {
        members_end(waiter, ANSWER(BROOD_EBROKEN));
        ck_assert_int_eq(brood_barrier_broken(args.b), 1);
    }
}
END_TEST

BROOD_TASK(makes, int, brood_buffer, shared)
{
    MUST(brood_barrier_new(&board_of(shared)->theirs, 3, NULL) == 0);
    atomic_store(&board_of(shared)->go, 1);
    for (;;) pause();
}

START_TEST(goes_with_its_owner)
{
    brood_buffer shared = members_shared(sizeof(struct board));
    brood_process owner, children[2];
    members_start(&owner, members_methods[_i], makes, &shared);
    until_it_goes(shared);
    brood_barrier b = board_of(shared)->theirs;
    start_waiters(children, 2, members_methods[_i], b);
    members_kill(owner);
    for (int i = 0; i < 2; i++) {
        int code;
        brood_test_ok(brood_process_join(children[i], PATIENCE, &code));
        ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
        brood_test_ok(brood_process_free(children[i]));
    }
    ck_assert_int_lt(brood_barrier_wait(b, BROOD_FOREVER), 0);
    ck_assert_int_lt(brood_barrier_reset(b), 0);
    ck_assert_int_eq(brood_barrier_free(b), BROOD_ESTALE);
    for (int i = 0; i < 2000 && HANDLE_INDEX(fresh(2).id) != HANDLE_INDEX(b.id); i++) ck_assert_int_lt(i, 1999);
    ck_stale(b);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads */

static brood_barrier common;
static _Atomic int passed;

static void *play_in_thread(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        int before = atomic_load(&passed);
        if (before > (i + 1) * PARTIES) return (void *)1;
        atomic_fetch_add(&passed, 1);
        int index = brood_barrier_wait(common, PATIENCE);
        if (index < 0 || index >= PARTIES || atomic_load(&passed) < (i + 1) * PARTIES) return (void *)2;
    }
    return unused;
}

START_TEST(threads_are_parties)
{
    pthread_t threads[PARTIES];
    common = fresh(PARTIES);
    for (int i = 0; i < PARTIES; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, play_in_thread, NULL), 0);
    for (int i = 0; i < PARTIES; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_null(result);
    }
    ck_assert_int_eq(brood_barrier_broken(common), 0);
}
END_TEST

static Suite *barrier_suite(void)
{
    Suite *suite = suite_create("barrier");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, one_party_never_waits);
    tcase_add_test(alone, has_parties);
    tcase_add_test(alone, who_is_late_breaks_it);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, actions_take_what_they_take);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, counts_who_comes, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, rounds_do_not_mix, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, more_than_parties_may_use_it, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, breaks_for_all, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, freed_wakes_sleepers, 0, MEMBERS_METHODS);
    TCase *action = brood_test_case(suite, "action");
    tcase_add_loop_test(action, one_party_acts, 0, MEMBERS_METHODS);
    tcase_add_loop_test(action, a_failed_action_breaks_it, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(action, an_action_may_come_too_late, 0, 2 * MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, a_dead_waiter_breaks_it, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, a_dead_actor_breaks_it, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, a_known_party_dies_elsewhere, 0, 4 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads");
    tcase_add_test(inner, threads_are_parties);
    return suite;
}

BROOD_TEST_MAIN(barrier_suite)
