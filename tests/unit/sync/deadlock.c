/* SPDX-License-Identifier: MIT */
/*
 * deadlock.c - circles of members that wait for each other's locks: found, named, told to one of them, and dissolved.
 *
 * Each member takes its own lock, says so, and then wants its neighbour's.  Members that ask are told; those that don't
 * are brought to sleep one after the other, so that it is known who closes the circle.
 */
#include "members.h"

#include "sync/deadlock.h"
#include "sync/lock.h"

#include <brood/error.h>

#define MOST 4

struct board {
    brood_lock locks[MOST];
    brood_event go;                /* all have their first lock */
    _Atomic int holding;           /* how many have */
    _Atomic int answers[MOST + 1]; /* of the second acquire; 1: none yet */
    _Atomic int told;              /* how many got BROOD_EDEADLK */
    _Atomic int pids[MOST];
    char details[MOST][256];
};

static struct board *board_of(brood_buffer shared)
{
    return brood_buffer_data(shared, NULL);
}

static struct board *new_board(brood_buffer *shared)
{
    *shared = members_shared(sizeof(struct board));
    struct board *b = board_of(*shared);
    for (int i = 0; i < MOST; i++) brood_test_ok(brood_lock_new(&b->locks[i]));
    for (int i = 0; i <= MOST; i++) atomic_store(&b->answers[i], 1);
    brood_test_ok(brood_event_new(&b->go));
    return b;
}

enum { PLAIN, CHECKED };

/* Member i of n: its own lock, then the next one's; who is told gives its own back and tries again. */
static BROOD_TASK(takes_two, int, brood_buffer, shared, int, i, int, n, int, how, int, timeout)
{
    struct board *b = board_of(shared);
    brood_lock mine = b->locks[i], next = b->locks[(i + 1) % n];
    MUST(brood_lock_acquire(mine, 0) == 0);
    atomic_store(&b->pids[i], (int)getpid());
    if (atomic_fetch_add(&b->holding, 1) == n - 1) MUST(brood_event_set(b->go) == 0);
    MUST(brood_event_wait(b->go, PATIENCE) == 0);
    int error = how == CHECKED ? brood_lock_acquire_checked(next, timeout) : brood_lock_acquire(next, timeout);
    atomic_store(&b->answers[i], error);
    if (error == BROOD_EDEADLK) {
        atomic_fetch_add(&b->told, 1);
        snprintf(b->details[i], sizeof b->details[i], "%s", brood_error_detail());
        MUST(brood_lock_holder(mine) == getpid());
        MUST(brood_lock_release(mine) == 0);
        MUST(brood_lock_acquire(next, PATIENCE) == 0);
        MUST(brood_lock_acquire(mine, PATIENCE) == 0);
    } else if (error != 0) {
        return 1;
    }
    return brood_lock_release(next) < 0 || brood_lock_release(mine) < 0;
}

static brood_process start(int method, brood_buffer shared, int i, int n, int how, int timeout)
{
    static const char *const names[] = {"one", "two", "three", "four"};
    brood_process p;
    brood_process_options options = {.method = members_methods[method], .name = names[i]};
    brood_test_ok(brood_process_start(&p, &options, takes_two, &(takes_two_args){shared, i, n, how, timeout}));
    return p;
}

/* The whole text, as seen by member `first` of n. */
static void ck_detail(const struct board *b, int first, int n)
{
    static const char *const names[] = {"one", "two", "three", "four"};
    char text[512];
    size_t at = 0;
    for (int k = 0; k < n; k++) {
        int i = (first + k) % n;
        uint64_t own = b->locks[i].id, next = b->locks[(i + 1) % n].id;
        if (k == 0)
            at += (size_t)snprintf(text, sizeof text, "%s (pid %d) holds lock %u:%u and waits for lock %u:%u", names[i],
                                   atomic_load(&b->pids[i]), HANDLE_INDEX(own), HANDLE_GENERATION(own),
                                   HANDLE_INDEX(next), HANDLE_GENERATION(next));
        else
            at += (size_t)snprintf(text + at, sizeof text - at, ", held by %s (pid %d), who waits for lock %u:%u",
                                   names[i], atomic_load(&b->pids[i]), HANDLE_INDEX(next), HANDLE_GENERATION(next));
    }
    text[255] = 0;
    ck_assert_str_eq(b->details[first], text);
}

/* ------------------------------------------------------------------------------------------------ circles */

static void circle(int method, int n, int timeout)
{
    brood_buffer shared;
    brood_process p[MOST];
    struct board *b = new_board(&shared);
    for (int i = 0; i < n; i++) p[i] = start(method, shared, i, n, CHECKED, timeout);
    for (int i = 0; i < n; i++) members_end(p[i], 0);
    ck_assert_int_eq(atomic_load(&b->told), 1);
    for (int i = 0; i < n; i++)
        if (atomic_load(&b->answers[i]) == BROOD_EDEADLK) ck_detail(b, i, n);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
}

START_TEST(one_of_two_is_told)
{
    circle(_i, 2, BROOD_FOREVER);
}
END_TEST
START_TEST(one_of_three_is_told)
{
    circle(_i, 3, BROOD_FOREVER);
}
END_TEST
START_TEST(one_of_four_is_told)
{
    circle(_i, 4, PATIENCE);
}
END_TEST

/* It waits for a lock of its own; whatever its timeout, but not when it only tries. */
START_TEST(oneself_is_told)
{
    brood_lock lock;
    char text[256];
    brood_test_ok(brood_lock_new(&lock));
    ck_assert_int_eq(brood_lock_acquire_checked(lock, 0), 0);
    ck_assert_int_eq(brood_lock_acquire_checked(lock, 0), BROOD_EAGAIN);
    snprintf(text, sizeof text, "first (pid %d) holds lock %u:%u and waits for lock %u:%u", (int)getpid(),
             HANDLE_INDEX(lock.id), HANDLE_GENERATION(lock.id), HANDLE_INDEX(lock.id), HANDLE_GENERATION(lock.id));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(brood_lock_acquire_checked(lock, i ? BROOD_FOREVER : PATIENCE), BROOD_EDEADLK);
        ck_assert_str_eq(brood_error_detail(), text);
    }
    brood_test_ok(brood_lock_release(lock));
    ck_assert_int_eq(brood_lock_acquire_checked(lock, BROOD_FOREVER), 0);
    brood_test_ok(brood_lock_free(lock));
    ck_assert_int_eq(brood_lock_acquire_checked(lock, BROOD_FOREVER), BROOD_ESTALE);
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_lock_acquire_checked(lock, BROOD_FOREVER), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), BROOD_ENOTMEMBER);
}
END_TEST

/* Two that don't ask stay in their circle, which anyone can see; a stranger's release dissolves it. */
START_TEST(others_are_seen)
{
    brood_buffer shared;
    brood_process p[2];
    brood_deadlock_member found[3];
    struct board *b = new_board(&shared);
    ck_assert_int_eq(brood_deadlock_find(found, 3), 0);
    for (int i = 0; i < 2; i++) p[i] = start(_i, shared, i, 2, PLAIN, i ? PATIENCE : BROOD_FOREVER);
    for (int i = 0; i < 2; i++) members_asleep(p[i], b->locks[1 - i].id);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 2);
    memset(found, 0x55, sizeof found);
    ck_assert_int_eq(brood_deadlock_find(found, 1), 2);
    ck_assert_int_eq(found[1].pid, 0x55555555);
    ck_assert_int_eq(brood_deadlock_find(found, 3), 2);
    for (int k = 0; k < 2; k++) {
        int i = found[k].pid == brood_process_pid(p[0]) ? 0 : 1;
        ck_assert_int_eq(found[k].pid, brood_process_pid(p[i]));
        ck_assert_str_eq(found[k].name, i ? "two" : "one");
        ck_assert_uint_eq(found[k].holds.id, b->locks[i].id);
        ck_assert_uint_eq(found[k].waits_for.id, b->locks[1 - i].id);
    }
    ck_assert_int_ne(found[0].pid, found[1].pid);
    /* This process is not in it, though it waits for one that is. */
    members_late(brood_lock_acquire_checked(b->locks[0], A_WHILE));
    /* One of them gets the other's lock. */
    ck_assert_int_eq(brood_lock_release(b->locks[0]), 0);
    members_end(p[1], 0);
    members_end(p[0], 1); /* nobody holds its own lock any more when it releases it */
    ck_assert_int_eq(brood_deadlock_find(found, 3), 0);
}
END_TEST

/* Who asked is told, though the other closed the circle later and did not ask. */
START_TEST(the_sleeper_is_told)
{
    brood_buffer shared;
    struct board *b = new_board(&shared);
    brood_process other = start(_i, shared, 1, 2, PLAIN, BROOD_FOREVER);
    brood_process asker = start(_i, shared, 0, 2, CHECKED, BROOD_FOREVER);
    members_end(asker, 0);
    members_end(other, 0);
    ck_assert_int_eq(atomic_load(&b->answers[0]), BROOD_EDEADLK);
    ck_assert_int_eq(atomic_load(&b->answers[1]), 0);
    ck_detail(b, 0, 2);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ no circles */

/* A chain is none, until its end is bent back: who does that is told. */
START_TEST(a_chain_resolves)
{
    brood_buffer shared;
    brood_process p[3];
    struct board *b = new_board(&shared);
    brood_test_ok(brood_lock_acquire(b->locks[3], 0));
    atomic_store(&b->holding, 1);
    for (int i = 0; i < 3; i++) p[i] = start(_i, shared, i, 4, CHECKED, BROOD_FOREVER);
    for (int i = 0; i < 3; i++) members_asleep(p[i], b->locks[i + 1].id);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
    ck_assert_int_eq(brood_lock_acquire_checked(b->locks[1], A_WHILE), BROOD_EDEADLK);
    brood_test_ok(brood_lock_release(b->locks[3]));
    for (int i = 0; i < 3; i++) members_end(p[i], 0);
    ck_assert_int_eq(atomic_load(&b->told), 0);
}
END_TEST

/* Whether it is a zombie, though nobody has been told. */
static void members_zombie(pid_t pid)
{
    char path[64], text[256], *state = NULL;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < PATIENCE && (!state || state[2] != 'Z'); i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = 0;
        state = strrchr(text, ')');
        if (!state || state[2] != 'Z') usleep(1000);
    }
    ck_assert(state && state[2] == 'Z');
}

/* One in the circle has died, and has left its word that it waits: it is not believed, before any repair. */
START_TEST(the_dead_close_no_circle)
{
    brood_buffer shared;
    brood_process p[2];
    int code;
    struct board *b = new_board(&shared);
    brood_test_ok(brood_lock_acquire(b->locks[2], 0));
    for (int i = 0; i < 2; i++) p[i] = start(_i, shared, i, 3, PLAIN, BROOD_FOREVER);
    while (atomic_load(&b->holding) < 2) usleep(1000);
    brood_test_ok(brood_event_set(b->go));
    for (int i = 0; i < 2; i++) members_asleep(p[i], b->locks[i + 1].id);
    /* 0 waits for 1, and 1 for us; we want what 0 has: a circle, but for the death. */
    pid_t supervisor = (pid_t)atomic_load(&brood__arena()->supervisor.pid), dead = brood_process_pid(p[1]);
    ck_assert_int_eq(kill(supervisor, SIGSTOP), 0);
    ck_assert_int_eq(kill(dead, SIGKILL), 0);
    members_zombie(dead);
    members_late(brood_lock_acquire_checked(b->locks[0], A_WHILE));
    ck_assert_uint_eq(atomic_load(&brood__member_find(p[1].id)->waits) & 1, 1);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
    ck_assert_int_eq(kill(supervisor, SIGCONT), 0);
    /* The heir of 1 is 0. */
    members_end(p[0], 1);
    ck_assert_int_eq(atomic_load(&b->answers[0]), BROOD_EOWNERDEAD);
    brood_test_ok(brood_process_join(p[1], PATIENCE, &code));
    ck_assert_int_eq(code, -SIGKILL);
    ck_assert_int_eq(brood_lock_acquire_checked(b->locks[1], PATIENCE), BROOD_EOWNERDEAD);
    ck_assert_int_eq(brood_lock_acquire_checked(b->locks[0], PATIENCE), BROOD_EOWNERDEAD);
}
END_TEST

/* A moment that lasts only instructions: it has the lock, and has not said yet that it waits no more. */
START_TEST(who_has_it_closes_no_circle)
{
    brood_lock lock;
    uint64_t word;
    uint32_t holder;
    struct wait wait = {0};
    brood_test_ok(brood_lock_new(&lock));
    ck_assert_int_eq(brood_lock_acquire(lock, 0), 0);
    ck_assert(brood__lock_look(lock.id, &word, &holder));
    brood__wait_publish(&wait, lock.id, word);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 1); /* for this word it would wait for ever */
    brood__wait_publish(&wait, lock.id, word ^ 1);     /* another had it */
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
    brood__wait_publish(&wait, lock.id, word | OS_WAITERS);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 1);
    brood_test_ok(brood_lock_release(lock));
    ck_assert_int_eq(brood_lock_acquire(lock, 0), 0); /* another turn */
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
    brood__wait_withdraw(&wait);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
}
END_TEST

static void *want(void *lock)
{
    return (void *)(intptr_t)brood_lock_acquire_checked(*(brood_lock *)lock, PATIENCE);
}

/* Another thread may release what its process holds. */
START_TEST(threads_close_no_circle)
{
    brood_lock lock;
    pthread_t thread;
    void *answer;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_lock_acquire(lock, 0));
    ck_assert_int_eq(pthread_create(&thread, NULL, want, &lock), 0);
    struct member_shm *me = brood__me();
    for (int i = 0; i < PATIENCE && !(atomic_load(&me->waits) & 1); i++) usleep(1000);
    ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
    brood_test_ok(brood_lock_release(lock));
    ck_assert_int_eq(pthread_join(thread, &answer), 0);
    ck_assert_int_eq((int)(intptr_t)answer, 0);
    ck_assert_uint_eq(atomic_load(&me->waits) & 1, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ in motion */

#define ROUNDS 1500
#define PHILOSOPHERS 4

/* Locks in one order only: there is never a circle, whatever the reader sees of it. */
static BROOD_TASK(orders, int, brood_buffer, shared, int, seed, brood_event, go)
{
    struct board *b = board_of(shared);
    uint64_t state = (uint64_t)seed * 88172645463325252u;
    MUST(brood_event_wait(go, PATIENCE) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        int low = (int)(members_random(&state) % (MOST - 1));
        int high = low + 1 + (int)(members_random(&state) % (uint64_t)(MOST - 1 - low));
        MUST(brood_lock_acquire_checked(b->locks[low], PATIENCE) == 0);
        MUST(brood_lock_acquire_checked(b->locks[high], PATIENCE) == 0);
        if (members_random(&state) % 16 == 0) usleep(50); /* now and then the others come to sleep */
        MUST(brood_lock_release(b->locks[low]) == 0);
        MUST(brood_lock_release(b->locks[high]) == 0);
    }
    return 0;
}

START_TEST(order_is_never_a_circle)
{
    brood_buffer shared;
    brood_process p[PHILOSOPHERS];
    struct board *b = new_board(&shared);
    for (int i = 0; i < PHILOSOPHERS; i++)
        members_start(&p[i], members_methods[_i], orders, (&(orders_args){shared, i + 1, b->go}));
    brood_test_ok(brood_event_set(b->go));
    while (brood_process_is_alive(p[0]) || brood_process_is_alive(p[1])) {
        ck_assert_int_eq(brood_deadlock_find(NULL, 0), 0);
        usleep(200);
    }
    for (int i = 0; i < PHILOSOPHERS; i++) members_end(p[i], 0);
}
END_TEST

/* Each takes its own and the next one's without any order; whoever is told steps back.  All come to an end. */
static BROOD_TASK(dines, int, brood_buffer, shared, int, i)
{
    struct board *b = board_of(shared);
    brood_lock mine = b->locks[i], next = b->locks[(i + 1) % PHILOSOPHERS];
    MUST(brood_event_wait(b->go, PATIENCE) == 0);
    for (int n = 0; n < ROUNDS / 5;) {
        MUST(brood_lock_acquire(mine, PATIENCE) == 0);
        brood__os_yield();
        int error = brood_lock_acquire_checked(next, BROOD_FOREVER);
        MUST(error == 0 || error == BROOD_EDEADLK);
        if (error == 0) {
            n++;
            MUST(brood_lock_release(next) == 0);
        } else {
            atomic_fetch_add(&b->told, 1);
        }
        MUST(brood_lock_release(mine) == 0);
    }
    return 0;
}

START_TEST(all_dine)
{
    brood_buffer shared;
    brood_process p[PHILOSOPHERS];
    struct board *b = new_board(&shared);
    for (int i = 0; i < PHILOSOPHERS; i++) members_start(&p[i], members_methods[_i], dines, (&(dines_args){shared, i}));
    brood_test_ok(brood_event_set(b->go));
    for (int i = 0; i < PHILOSOPHERS; i++) members_end(p[i], 0);
}
END_TEST

static Suite *deadlock_suite(void)
{
    Suite *suite = suite_create("deadlock");
    TCase *circles = brood_test_case(suite, "circles");
    tcase_add_loop_test(circles, one_of_two_is_told, 0, MEMBERS_METHODS);
    tcase_add_loop_test(circles, one_of_three_is_told, 0, MEMBERS_METHODS);
    tcase_add_loop_test(circles, one_of_four_is_told, 0, MEMBERS_METHODS);
    tcase_add_test(circles, oneself_is_told);
    tcase_add_loop_test(circles, others_are_seen, 0, MEMBERS_METHODS);
    tcase_add_loop_test(circles, the_sleeper_is_told, 0, MEMBERS_METHODS);
    TCase *none = brood_test_case(suite, "none");
    tcase_add_loop_test(none, a_chain_resolves, 0, MEMBERS_METHODS);
    tcase_add_loop_test(none, the_dead_close_no_circle, 0, MEMBERS_METHODS);
    tcase_add_test(none, who_has_it_closes_no_circle);
    tcase_add_test(none, threads_close_no_circle);
    TCase *motion = brood_test_case(suite, "in motion");
    tcase_add_loop_test(motion, order_is_never_a_circle, 0, MEMBERS_METHODS);
    tcase_add_loop_test(motion, all_dine, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(deadlock_suite)
