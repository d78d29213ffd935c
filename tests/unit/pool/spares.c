/* SPDX-License-Identifier: MIT */
/*
 * Spare workers: started besides, idle until one of the others is missing, then in its place at once.  That no new
 * worker did it is shown by initializers that take a word each, of which there are as many as workers from the start.
 */
#include "arena/member.h"
#include "common.h"

#include <brood/event.h>
#include <brood/queue.h>
#include <poll.h>

#define PATIENCE 15000

BROOD_TASK(take_word, int, brood_queue, words)
{
    int word;
    return brood_queue_get(words, &word, sizeof word, NULL, BROOD_FOREVER);
}
BROOD_TASK(whoami, int, int, unused)
{
    return unused + brood_worker_id();
}
BROOD_TASK(pid, pid_t, int, unused)
{
    (void)unused;
    return getpid();
}
/* Who answers the innermost of so many tasks, each of which waits for the next. */
BROOD_TASK(deeper, int, brood_pool, pool, int, depth)
{
    int result = 0;
    if (depth == 0) return brood_worker_id();
    brood_future future;
    int error = brood_pool_submit(pool, &future, deeper, (&(deeper_args){pool, depth - 1}));
    if (error == 0) error = brood_future_get(future, &result, BROOD_FOREVER, NULL);
    return error < 0 ? error : result;
}
BROOD_TASK(crash, int, int, signal)
{
    return raise(signal);
}
BROOD_TASK(hold, int, brood_event, begun, brood_event, end)
{
    brood_event_set(begun);
    return brood_event_wait(end, BROOD_FOREVER);
}

static brood_queue words;
static void may_begin(unsigned n)
{
    for (unsigned i = 0; i < n; i++) brood_test_ok(brood_queue_put(words, &i, sizeof i, 0));
}
static brood_pool make(int method, unsigned workers, unsigned spares, unsigned begin)
{
    brood_pool pool;
    brood_test_ok(brood_queue_new(&words, NULL));
    may_begin(begin);
    brood_pool_options options = {.workers = workers,
                                  .spares = spares,
                                  .method = methods[method],
                                  .initializer = BROOD_TASK_OF(take_word),
                                  .initializer_arg = &words};
    brood_test_ok(brood_pool_new(&pool, &options));
    return pool;
}
static void done(brood_pool pool)
{
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_queue_free(words));
}

/* Wait until the worker in this seat is in this state; its process. */
static pid_t wait_state(brood_pool pool, unsigned id, brood_worker_state state)
{
    brood_worker workers[16];
    for (int i = 0; i < PATIENCE; i++) {
        int n = brood_pool_workers(pool, workers, 16);
        for (int w = 0; w < n && w < 16; w++)
            if (workers[w].id == id && workers[w].state == state) return workers[w].pid;
        poll(NULL, 0, 1);
    }
    ck_abort_msg("no worker %u comes to state %d", id, (int)state);
}
/* All are there: so many workers, and then spares. */
static void all_there(brood_pool pool, unsigned workers, unsigned spares)
{
    for (unsigned i = 0; i < workers; i++) wait_state(pool, i, BROOD_WORKER_IDLE);
    for (unsigned i = 0; i < spares; i++) wait_state(pool, workers + i, BROOD_WORKER_SPARE);
}
static int ask(brood_pool pool)
{
    int who;
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, whoami, &(int){0}));
    brood_test_ok(brood_future_get(future, &who, PATIENCE, NULL));
    brood_test_ok(brood_future_free(future));
    return who;
}
static int go_deeper(brood_pool pool, int depth)
{
    int who;
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, deeper, (&(deeper_args){pool, depth})));
    brood_test_ok(brood_future_get(future, &who, PATIENCE, NULL));
    brood_test_ok(brood_future_free(future));
    return who;
}

START_TEST(a_spare_does_nothing)
{
    brood_pool pool = make(_i, 2, 2, 4);
    all_there(pool, 2, 2);
    for (int i = 0; i < 200; i++) ck_assert_int_lt(ask(pool), 2);
    int in[500] = {0}, out[500];
    brood_test_ok(brood_pool_map(pool, whoami, in, out, 500));
    for (int i = 0; i < 500; i++) ck_assert_int_lt(out[i], 2);
    all_there(pool, 2, 2);
    done(pool);
}
END_TEST

/* order: the supervisor is killed as well */
START_TEST(a_spare_is_there_when_a_worker_dies)
{
    int method = _i % PROCESSES;
    brood_pool pool = make(method, 1, 1, 2);
    all_there(pool, 1, 1);
    pid_t spare = wait_state(pool, 1, BROOD_WORKER_SPARE);
    if (_i >= PROCESSES) ck_assert_int_eq(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL), 0);
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, crash, &(int){SIGKILL}));
    ck_assert_int_eq(brood_future_get(future, NULL, PATIENCE, NULL), BROOD_ELOST);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(ask(pool), 1); /* the new one can't begin */
    wait_state(pool, 0, BROOD_WORKER_STARTING);
    may_begin(1);
    all_there(pool, 1, 1);
    ck_assert_int_eq(wait_state(pool, 1, BROOD_WORKER_SPARE), spare);
    ck_assert_int_eq(ask(pool), 0);
    done(pool);
}
END_TEST

START_TEST(a_spare_is_there_when_a_worker_waits)
{
    brood_pool pool = make(_i, 1, 2, 3);
    for (int i = 0; i < 6; i++) {
        all_there(pool, 1, 2);
        ck_assert_int_gt(go_deeper(pool, 1 + i % 2), 0);
    }
    for (int i = 0; i < 50; i++) ck_assert_int_ge(go_deeper(pool, 1 + i % 2), 0);
    may_begin(1); /* one level more than there are spares: a worker is started */
    ck_assert_int_ge(go_deeper(pool, 3), 0);
    all_there(pool, 1, 2);
    done(pool);
}
END_TEST

START_TEST(a_spare_that_dies_is_replaced)
{
    brood_pool pool = make(_i, 1, 1, 100);
    all_there(pool, 1, 1);
    for (int i = 0; i < 5; i++) {
        pid_t was = wait_state(pool, 1, BROOD_WORKER_SPARE);
        ck_assert_int_eq(kill(was, SIGKILL), 0);
        while (wait_state(pool, 1, BROOD_WORKER_SPARE) == was) poll(NULL, 0, 1);
        ck_assert_int_eq(ask(pool), 0);
    }
    done(pool);
}
END_TEST

/* A pool that is closed, drained or terminated is left by its spares too: idle, at work, with work left. */
START_TEST(spares_leave)
{
    for (int how = 0; how < 4; how++) {
        brood_pool pool = make(_i, 1, 2, 100);
        brood_event begun, end;
        brood_future future, other;
        int result = -1;
        brood_test_ok(brood_event_new(&begun));
        brood_test_ok(brood_event_new(&end));
        all_there(pool, 1, 2);
        brood_test_ok(brood_pool_submit(pool, &future, hold, (&(hold_args){begun, end})));
        brood_test_ok(brood_event_wait(begun, PATIENCE));
        brood_test_ok(brood_pool_submit(pool, &other, whoami, &(int){0}));
        if (how % 3 == 2) brood_test_ok(brood_pool_terminate(pool));
        if (how % 3 < 2) brood_test_ok(brood_pool_close(pool));
        if (how >= 3) ck_assert_int_eq(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL), 0);
        if (how % 3 == 1) ck_assert_int_eq(kill(wait_state(pool, 0, BROOD_WORKER_BUSY), SIGKILL), 0);
        brood_test_ok(brood_event_set(end));
        brood_test_ok(brood_pool_join(pool, PATIENCE));
        ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 0);
        if (how % 3 < 2) brood_test_ok(brood_future_get(other, &result, 0, NULL));
        if (how % 3 < 2) ck_assert_int_ge(result, 0);
        brood_test_ok(brood_event_free(begun));
        brood_test_ok(brood_event_free(end));
        done(pool);
    }
}
END_TEST

/* Workers that are replaced after each task: all of it is done, by whoever is there. */
START_TEST(workers_come_and_go)
{
    brood_pool pool;
    brood_pool_options options = {.workers = 2, .spares = 1, .method = methods[_i], .max_tasks_per_child = 1};
    brood_test_ok(brood_pool_new(&pool, &options));
    pid_t pids[40];
    int in[40] = {0};
    brood_test_ok(brood_pool_map(pool, pid, in, pids, 40));
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < i; j++) ck_assert_int_ne(pids[i], pids[j]);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(what_is_no_number_of_spares)
{
    brood_pool pool;
    static const brood_pool_options bad[] = {
        {.workers = 1, .spares = 4097},
        {.workers = 1, .spares = UINT32_MAX},
        {.workers = 1, .spares = 1, .method = BROOD_START_THREAD},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(brood_pool_new(&pool, &bad[i]), BROOD_EINVAL);
    /* More than may stand in otherwise. */
    brood_pool_options more = {.workers = 1, .spares = 3, .max_compensating = 1, .method = BROOD_START_FORK};
    brood_test_ok(brood_pool_new(&pool, &more));
    all_there(pool, 1, 3);
    ck_assert_int_eq(go_deeper(pool, 4), BROOD_EDEADLK);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .method = BROOD_START_FORK}));
    ck_assert_int_eq(ask(pool), 0); /* the slot's next pool has none */
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 1);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *spares_suite(void)
{
    Suite *suite = suite_create("spares");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, a_spare_does_nothing, 0, PROCESSES);
    tcase_add_loop_test(each, a_spare_is_there_when_a_worker_dies, 0, 2 * PROCESSES);
    tcase_add_loop_test(each, a_spare_is_there_when_a_worker_waits, 0, PROCESSES);
    tcase_add_loop_test(each, a_spare_that_dies_is_replaced, 0, PROCESSES);
    tcase_add_loop_test(each, spares_leave, 0, PROCESSES);
    tcase_add_loop_test(each, workers_come_and_go, 0, PROCESSES);
    TCase *options = brood_test_case(suite, "options");
    tcase_add_test(options, what_is_no_number_of_spares);
    return suite;
}

BROOD_TEST_MAIN(spares_suite)
