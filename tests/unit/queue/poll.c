/* SPDX-License-Identifier: MIT */
/* poll.c - the descriptor of a queue: it calls when there may be something, and is quiet after a look in vain. */
#include "members.h"

#include <brood/queue.h>
#include <poll.h>
#include <sys/resource.h>

static brood_queue fresh(void)
{
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, NULL));
    return queue;
}

static bool readable(int fd, int timeout)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do n = poll(&p, 1, timeout);
    while (n < 0 && errno == EINTR);
    return n == 1 && (p.revents & POLLIN);
}

/* As a loop does it: take what there is; how many. */
static int drain(brood_queue q)
{
    uint64_t value;
    int n = 0, code;
    while ((code = brood_queue_get_value(q, &value, 0)) == 0) n++;
    ck_assert_int_eq(code, BROOD_EAGAIN);
    return n;
}

static int descriptor(brood_queue q)
{
    int fd = brood_queue_fd(q);
    brood_test_ok(fd);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    return fd;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(calls_and_is_quiet)
{
    uint64_t value = 1;
    brood_queue q = fresh();
    int fd = descriptor(q);
    ck_assert_int_eq(brood_queue_fd(q), fd);
    for (int round = 0; round < 5; round++) {
        ck_assert_int_eq(drain(q), 0);
        ck_assert(!readable(fd, 0));
        for (int i = 0; i < 3; i++) {
            brood_test_ok(brood_queue_put_value(q, &value, 0));
            ck_assert(readable(fd, PATIENCE));
        }
        brood_test_ok(brood_queue_get_value(q, &value, 0));
        ck_assert(readable(fd, 0)); /* there is more */
        ck_assert_int_eq(drain(q), 2);
        ck_assert(!readable(fd, 0));
        ck_assert_int_eq(brood_queue_fd(q), fd);
    }
}
END_TEST

START_TEST(calls_for_what_was_there_before)
{
    uint64_t value = 1;
    brood_queue q = fresh();
    brood_test_ok(brood_queue_put_value(q, &value, 0));
    int fd = descriptor(q);
    ck_assert(readable(fd, PATIENCE));
    ck_assert_int_eq(drain(q), 1);
    ck_assert(!readable(fd, 0));
}
END_TEST

/* Every way in rings, every way out makes quiet. */
START_TEST(all_ways_in_and_out)
{
    static char longer[100000];
    brood_queue q = fresh();
    int fd = descriptor(q);
    brood_buffer b;
    brood_view view;
    size_t sizes[2];
    char data[16];
    for (int way = 0; way < 4; way++) {
        ck_assert_int_eq(drain(q), 0);
        ck_assert(!readable(fd, 0));
        switch (way) {
        case 0: brood_test_ok(brood_queue_put(q, NULL, 0, 0)); break;
        case 1: brood_test_ok(brood_queue_put(q, longer, sizeof longer, 0)); break;
        case 2: brood_test_ok(brood_queue_put_buffer(q, members_shared(10), 0)); break;
        default: brood_test_ok(brood_queue_put_batch(q, &(brood_bytes){"ab", 2}, 1, 0)); break;
        }
        ck_assert(readable(fd, PATIENCE));
        switch (way) {
        case 0:
            ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 2, 0), 1);
            ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 2, 0), BROOD_EAGAIN);
            break;
        case 1:
            brood_test_ok(brood_queue_get_view(q, &view, 0));
            brood_test_ok(brood_view_release(&view));
            ck_assert_int_eq(brood_queue_get_view(q, &view, 0), BROOD_EAGAIN);
            break;
        case 2:
            brood_test_ok(brood_queue_get_buffer(q, &b, 0));
            brood_test_ok(brood_buffer_free(b));
            ck_assert_int_eq(brood_queue_get_buffer(q, &b, 0), BROOD_EAGAIN);
            break;
        default:
            brood_test_ok(brood_queue_get(q, data, sizeof data, NULL, 0));
            ck_assert_int_eq(brood_queue_get(q, data, sizeof data, NULL, 0), BROOD_EAGAIN);
        }
        ck_assert(!readable(fd, 0));
    }
}
END_TEST

START_TEST(calls_at_the_end)
{
    uint64_t value = 1;
    brood_queue q = fresh();
    int fd = descriptor(q);
    ck_assert_int_eq(drain(q), 0);
    brood_test_ok(brood_queue_close(q));
    ck_assert(readable(fd, PATIENCE));
    ck_assert_int_eq(brood_queue_get_value(q, &value, 0), BROOD_ECLOSED);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* closed with the queue */
    ck_assert_int_eq(brood_queue_fd(q), BROOD_ESTALE);
}
END_TEST

START_TEST(each_queue_has_its_own)
{
    enum { QUEUES = 40 };
    brood_queue queues[QUEUES];
    int fds[QUEUES];
    uint64_t value = 0;
    for (int i = 0; i < QUEUES; i++) {
        queues[i] = fresh();
        fds[i] = descriptor(queues[i]);
        for (int k = 0; k < i; k++) ck_assert_int_ne(fds[i], fds[k]);
        ck_assert_int_eq(drain(queues[i]), 0);
    }
    for (int i = 0; i < QUEUES; i += 3) brood_test_ok(brood_queue_put_value(queues[i], &value, 0));
    for (int i = 0; i < QUEUES; i++) ck_assert_int_eq(readable(fds[i], 0), i % 3 == 0);
    for (int i = 0; i < QUEUES; i += 2) brood_test_ok(brood_queue_free(queues[i]));
    for (int i = 1; i < QUEUES; i += 2) {
        ck_assert_int_eq(drain(queues[i]), i % 3 == 0);
        brood_test_ok(brood_queue_put_value(queues[i], &value, 0));
        ck_assert(readable(fds[i], PATIENCE));
    }
}
END_TEST

START_TEST(out_of_descriptors)
{
    uint64_t value = 1;
    brood_queue q = fresh();
    struct rlimit was, little;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    little = was;
    little.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &little), 0);
    int fd = brood_queue_fd(q);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    ck_assert_int_eq(fd, BROOD_EMFILE);
    fd = descriptor(q);
    ck_assert_int_eq(drain(q), 0);
    brood_test_ok(brood_queue_put_value(q, &value, 0));
    ck_assert(readable(fd, PATIENCE));
}
END_TEST

START_TEST(out_of_slots)
{
    brood_queue q = fresh(), other = fresh();
    descriptor(q);
    struct table_shm *t = &brood__arena()->tables[TABLE_BELL];
    t->capacity = atomic_load(&t->high);
    uint32_t claimed, n = 0;
    while (brood__slot_claim(TABLE_BELL, brood__self->member, NULL, &claimed) == 0) n++;
    ck_assert_uint_gt(n, 0);
    ck_assert_int_eq(brood_queue_fd(other), BROOD_EARENA);
    brood__slot_release(TABLE_BELL, claimed);
    descriptor(other);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

/* Puts the numbers 1 to `rounds`, each when the one before has been answered; or all as fast as they go in. */
BROOD_TASK(counts_up, int, brood_queue, q, brood_queue, answers, uint64_t, rounds, bool, slowly)
{
    uint64_t answer;
    for (uint64_t i = 1; i <= rounds; i++) {
        MUST(brood_queue_put_value(q, &i, PATIENCE) == 0);
        if (!slowly) continue;
        MUST(brood_queue_get_value(answers, &answer, PATIENCE) == 0);
        MUST(answer == i);
    }
    return 0;
}

/* The consumer has nothing but the descriptor to wait by: a ring that is lost is never made up for. */
START_TEST(no_ring_is_lost)
{
    enum { ROUNDS = 10000 };
    counts_up_args args = {fresh(), fresh(), ROUNDS, true};
    brood_process child;
    uint64_t value, seen = 0;
    int fd = descriptor(args.q);
    members_start(&child, members_methods[_i], counts_up, &args);
    while (seen < ROUNDS) {
        ck_assert_msg(readable(fd, PATIENCE), "no ring for message %d, %d are there", (int)seen + 1,
                      (int)brood_queue_size(args.q));
        int code;
        while ((code = brood_queue_get_value(args.q, &value, 0)) == 0) {
            ck_assert_uint_eq(value, ++seen);
            brood_test_ok(brood_queue_put_value(args.answers, &value, 0));
        }
        ck_assert_int_eq(code, BROOD_EAGAIN);
    }
    members_end(child, 0);
    members_repaired(HANDLE_INDEX(child.id)); /* all bells are rung after its death */
    ck_assert_int_eq(drain(args.q), 0);
    ck_assert(!readable(fd, 0));
}
END_TEST

START_TEST(no_ring_is_lost_in_a_flood)
{
    enum { ROUNDS = 10000, PRODUCERS = 3 };
    counts_up_args args = {fresh(), fresh(), ROUNDS, false};
    brood_process children[PRODUCERS];
    int fd = descriptor(args.q), seen = 0;
    for (int i = 0; i < PRODUCERS; i++) members_start(&children[i], members_methods[_i], counts_up, &args);
    while (seen < PRODUCERS * ROUNDS) {
        ck_assert_msg(readable(fd, PATIENCE), "no ring after %d, %d are there", seen, (int)brood_queue_size(args.q));
        seen += drain(args.q);
    }
    for (int i = 0; i < PRODUCERS; i++) members_end(children[i], 0);
    for (int i = 0; i < PRODUCERS; i++) members_repaired(HANDLE_INDEX(children[i].id));
    ck_assert_int_eq(drain(args.q), 0);
    ck_assert(!readable(fd, 0));
}
END_TEST

/* Several members with a descriptor each take from one queue, each as long as there is something. */
struct tally {
    uint64_t count, sum; /* in one message: another may tell its own between two */
};

BROOD_TASK(polls, int, brood_queue, q, brood_queue, tallies, brood_event, ready)
{
    struct tally tally = {0, 0};
    uint64_t value;
    int fd = brood_queue_fd(q), code;
    MUST(fd >= 0);
    MUST(brood_event_set(ready) == 0);
    do {
        MUST(readable(fd, PATIENCE));
        while ((code = brood_queue_get_value(q, &value, 0)) == 0) {
            tally.count++;
            tally.sum += value;
        }
    } while (code == BROOD_EAGAIN);
    MUST(code == BROOD_ECLOSED);
    MUST(brood_queue_put_value(tallies, &tally, 0) == 0);
    return 0;
}

START_TEST(many_listen)
{
    enum { ROUNDS = 5000, LISTENERS = 3 };
    polls_args args = {fresh(), fresh(), {0}};
    brood_process children[LISTENERS];
    uint64_t count = 0, sum = 0;
    for (int i = 0; i < LISTENERS; i++) {
        brood_test_ok(brood_event_new(&args.ready));
        members_start(&children[i], members_methods[_i], polls, &args);
        brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    }
    for (uint64_t i = 1; i <= ROUNDS; i++) brood_test_ok(brood_queue_put_value(args.q, &i, PATIENCE));
    brood_test_ok(brood_queue_close(args.q));
    for (int i = 0; i < LISTENERS; i++) {
        members_end(children[i], 0);
        struct tally its;
        brood_test_ok(brood_queue_get_value(args.tallies, &its, PATIENCE));
        count += its.count;
        sum += its.sum;
    }
    ck_assert_uint_eq(count, ROUNDS);
    ck_assert_uint_eq(sum, (uint64_t)ROUNDS * (ROUNDS + 1) / 2);
}
END_TEST

/* A child's descriptor is its own, also after a fork, and its parent's goes on. */
START_TEST(parent_and_child_have_their_own)
{
    polls_args args = {fresh(), fresh(), {0}};
    brood_process child;
    uint64_t value = 5;
    int fd = descriptor(args.q);
    ck_assert_int_eq(drain(args.q), 0);
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], polls, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    brood_test_ok(brood_queue_put_value(args.q, &value, 0));
    ck_assert(readable(fd, PATIENCE));
    for (int i = 0; i < PATIENCE && brood_queue_empty(args.q) == 0; i++) usleep(1000); /* the child takes it */
    ck_assert_int_eq(drain(args.q), 0);
    brood_test_ok(brood_queue_close(args.q));
    ck_assert(readable(fd, PATIENCE));
    members_end(child, 0);
    struct tally its;
    brood_test_ok(brood_queue_get_value(args.tallies, &its, 0));
    ck_assert_uint_eq(its.count, 1);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready, brood_event, go)
{
    brood_queue *q = brood_buffer_data(shared, NULL);
    MUST(brood_queue_new(q, NULL) == 0);
    MUST(brood_event_set(ready) == 0);
    MUST(brood_event_wait(go, PATIENCE) == 0);
    MUST(brood_queue_free(*q) == 0);
    return 0;
}

/* The queue of another member: freed by it, or gone with it.  _i: method, and three times that for the death */
START_TEST(calls_when_the_queue_is_gone)
{
    makes_args args = {.shared = members_shared(sizeof(brood_queue))};
    brood_process child;
    uint64_t value;
    brood_test_ok(brood_event_new(&args.ready));
    brood_test_ok(brood_event_new(&args.go));
    members_start(&child, members_methods[_i % 3], makes, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    brood_queue q = *(brood_queue *)brood_buffer_data(args.shared, NULL);
    int fd = descriptor(q);
    ck_assert_int_eq(drain(q), 0);
    ck_assert(!readable(fd, 0));
    if (_i < 3)
        brood_test_ok(brood_event_set(args.go));
    else
        members_kill(child);
    ck_assert(readable(fd, PATIENCE));
    int code = brood_queue_get_value(q, &value, 0);
    ck_assert(code == BROOD_ESTALE || code == BROOD_ECLOSED);
    if (_i < 3) members_end(child, 0);
}
END_TEST

BROOD_TASK(puts_for_ever, int, brood_queue, q)
{
    for (uint64_t i = 1;; i++) MUST(brood_queue_put_value(q, &i, BROOD_FOREVER) == 0);
}

/* A producer that is killed anywhere, also between its put and its ring, leaves no silent message. */
START_TEST(calls_for_the_dead)
{
    brood_queue q = fresh();
    int fd = descriptor(q);
    for (int round = 0; round < 15; round++) {
        brood_process child;
        members_start(&child, members_methods[_i], puts_for_ever, &q);
        for (int seen = 0; seen < 50 * round;) {
            ck_assert(readable(fd, PATIENCE));
            seen += drain(q);
        }
        members_kill(child);
        if (brood_queue_empty(q) == 0) ck_assert(readable(fd, PATIENCE));
        drain(q);
    }
}
END_TEST

/* A listener that dies is no matter to those who put, nor to the other. */
START_TEST(dead_listeners_are_no_matter)
{
    polls_args args = {fresh(), fresh(), {0}};
    brood_process child;
    uint64_t value = 1;
    int fd = descriptor(args.q);
    for (int round = 0; round < 3; round++) {
        brood_test_ok(brood_event_new(&args.ready));
        members_start(&child, members_methods[_i], polls, &args);
        brood_test_ok(brood_event_wait(args.ready, PATIENCE));
        members_kill(child);
        drain(args.q);
        brood_test_ok(brood_queue_put_value(args.q, &value, 0));
        ck_assert(readable(fd, PATIENCE));
        ck_assert_int_eq(drain(args.q), 1);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_queue common;
static _Atomic int taken;

static void *put_in_thread(void *unused)
{
    for (uint64_t i = 1; i <= 5000; i++)
        if (brood_queue_put_value(common, &i, PATIENCE) != 0) return unused;
    return &common;
}
static void *poll_in_thread(void *unused)
{
    int fd = brood_queue_fd(common), code = BROOD_EAGAIN;
    uint64_t value;
    while (code == BROOD_EAGAIN) {
        if (!readable(fd, PATIENCE)) return unused;
        while ((code = brood_queue_get_value(common, &value, 0)) == 0) atomic_fetch_add(&taken, 1);
    }
    return code == BROOD_ECLOSED ? &common : unused;
}

/* Threads of one process have one descriptor, and may all read by it. */
START_TEST(threads_share_one)
{
    pthread_t threads[4];
    void *result;
    common = fresh();
    descriptor(common);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i < 2 ? put_in_thread : poll_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        if (i == 2) brood_test_ok(brood_queue_close(common));
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, &common);
    }
    ck_assert_int_eq(atomic_load(&taken), 2 * 5000);
}
END_TEST

/* One may look in vain just before the end and quiet the descriptor just after it: the other must hear of it still. */
START_TEST(threads_all_hear_of_the_end)
{
    uint64_t value = 1;
    for (int round = 0; round < 300; round++) {
        pthread_t threads[3];
        common = fresh();
        descriptor(common);
        for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, poll_in_thread, NULL), 0);
        for (int i = 0; i < round % 10; i++) brood_test_ok(brood_queue_put_value(common, &value, 0));
        brood_test_ok(brood_queue_close(common));
        for (int i = 0; i < 3; i++) {
            void *result;
            pthread_join(threads[i], &result);
            ck_assert_ptr_eq(result, &common);
        }
        brood_test_ok(brood_queue_free(common));
    }
}
END_TEST

static volatile sig_atomic_t put_count, got_count, wrong;

static void use_in_handler(int signal)
{
    uint64_t value = 1;
    (void)signal;
    int code = brood_queue_get_value(common, &value, 0);
    if (code == 0) got_count++;
    if (code != 0 && code != BROOD_EAGAIN && code != BROOD_EDEADLK) wrong++;
    if (put_count % 4 == 3) {
        put_count++; /* not each time, so that the interrupted often looks in vain */
        return;
    }
    code = brood_queue_put_value(common, &value, 0);
    if (code == 0) put_count++;
    if (code != 0 && code != BROOD_EAGAIN && code != BROOD_EDEADLK) wrong++;
}

/* Also where the interrupted call was quieting the descriptor. */
START_TEST(signal_handlers_may_try)
{
    uint64_t value;
    common = fresh();
    int fd = descriptor(common);
    members_alarm(use_in_handler, 60);
    for (long long end = members_now_ms() + 400; members_now_ms() < end;) {
        for (int i = 0; i < 100; i++) {
            int code = brood_queue_get_value(common, &value, 0);
            ck_assert(code == 0 || code == BROOD_EAGAIN);
        }
    }
    members_quiet();
    drain(common);
    ck_assert(!readable(fd, 0));
    value = 1;
    brood_test_ok(brood_queue_put_value(common, &value, 0));
    ck_assert(readable(fd, PATIENCE));
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(put_count, 10);
}
END_TEST

static Suite *poll_suite(void)
{
    Suite *suite = suite_create("poll");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, calls_and_is_quiet);
    tcase_add_test(alone, calls_for_what_was_there_before);
    tcase_add_test(alone, all_ways_in_and_out);
    tcase_add_test(alone, calls_at_the_end);
    tcase_add_test(alone, each_queue_has_its_own);
    tcase_add_test(alone, out_of_descriptors);
    tcase_add_test(alone, out_of_slots);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, no_ring_is_lost, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, no_ring_is_lost_in_a_flood, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, many_listen, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, parent_and_child_have_their_own, 0, MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, calls_when_the_queue_is_gone, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, calls_for_the_dead, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, dead_listeners_are_no_matter, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_test(inner, threads_share_one);
    tcase_add_test(inner, threads_all_hear_of_the_end);
    tcase_add_test(inner, signal_handlers_may_try);
    return suite;
}

BROOD_TEST_MAIN(poll_suite)
