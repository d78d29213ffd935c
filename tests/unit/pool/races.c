/* SPDX-License-Identifier: MIT */
/* races.c - steps of a worker and of a submitter in each order, played by one process that is both. */
#include "pool/pool.h"

#include <brood.h>
#include <brood_test.h>
#include <signal.h>

BROOD_TASK(wait_for_event, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}

BROOD_TASK(count, int, brood_buffer, counter)
{
    return ++*(int *)brood_buffer_data(counter, NULL);
}

/* A pool whose only worker is busy, so that this process can claim what is queued. */
static brood_pool pool;
static brood_event event;
static brood_future busy;
static brood_buffer counter;
static int *counted;
static struct pool_shm *inside;

static void begin(void)
{
    void *data;
    int error;
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_buffer_new(&counter, sizeof(int), &data));
    counted = data;
    *counted = 0;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1}));
    brood_test_ok(brood_pool_submit(pool, &busy, wait_for_event, &event));
    inside = brood__pool_find(pool.id, &error);
    for (int i = 0; i < 5000 && brood__task_queued(inside); i++) brood__os_nap(1000 * 1000);
    ck_assert(!brood__task_queued(inside));
}

static void end(void)
{
    int result;
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_future_get(busy, &result, 5000, NULL));
    brood_test_ok(brood_future_free(busy));
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, 5000));
    for (uint32_t i = 0; i < atomic_load(&inside->slots); i++)
        ck_assert_uint_eq(TASK_STATE(atomic_load(&brood__pool_task(inside, i)->word)), TASK_FREE);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_buffer_free(counter));
    brood_test_ok(brood_event_free(event));
}

START_TEST(a_future_freed_between_claim_and_run)
{
    begin();
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, count, &counter));
    int64_t slot = brood__task_claim(inside, false);
    ck_assert_int_ge(slot, 0);
    brood_test_ok(brood_future_free(future));
    brood__task_run(inside, pool.id, (uint32_t)slot, 0);
    ck_assert_int_eq(*counted, 0);
    end();
}
END_TEST

START_TEST(a_future_freed_while_it_runs)
{
    begin();
    brood_future future;
    brood_test_ok(brood_pool_submit(pool, &future, count, &counter));
    int64_t slot = brood__task_claim(inside, false);
    ck_assert_int_ge(slot, 0);
    brood__task_run(inside, pool.id, (uint32_t)slot, 0);
    ck_assert_int_eq(*counted, 1);
    brood_test_ok(brood_future_free(future));
    ck_assert_int_eq(brood_future_free(future), BROOD_ESTALE);
    end();
}
END_TEST

/* A mark of a dead worker that names a job no longer there must not be followed into its memory. */
START_TEST(a_late_mark_is_not_followed)
{
    begin();
    struct job_shm *job = brood__pool_job(inside, 3);
    struct seat_shm *seat = brood__pool_seat(inside, 0);
    uint32_t serial = TASK_SERIAL(atomic_load(&job->word)), member = atomic_load(&seat->member);
    struct chunk_shm *chunk;
    brood_buffer memory;
    void *place;
    brood_test_ok(brood_buffer_new(&memory, sizeof *chunk, &place));
    chunk = place;
    *chunk = (struct chunk_shm){.end = 10, .running = 5};
    atomic_store(&chunk->word, CHUNK_WORD(CHUNK_RUNNING, 0, member));
    uint64_t before = atomic_load(&chunk->word);
    job->chunks = brood__offset(place);
    job->chunk_count = 1;
    uint64_t mark = atomic_exchange(&seat->inside, JOB_INSIDE(3u, serial + 1));
    brood__map_repair(inside, pool.id, member);
    atomic_store(&seat->inside, mark);
    job->chunk_count = 0;
    ck_assert_uint_eq(atomic_load(&chunk->word), before);
    brood_test_ok(brood_buffer_free(memory));
    end();
}
END_TEST

/* A template that is stopped is told of more workers than its channel holds: they are started when it goes on. */
START_TEST(a_template_is_told_when_it_can_be)
{
    enum { WORKERS = 320 };
    int error;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = WORKERS, .method = BROOD_START_FORK}));
    inside = brood__pool_find(pool.id, &error);
    pid_t template = brood__member_find(inside->template_member)->pid;
    ck_assert_int_eq(kill(template, SIGSTOP), 0);
    for (unsigned same = 0, before = 0; same < 1000 && !atomic_load(&inside->broken);) {
        unsigned told = 0;
        for (uint32_t i = 0; i < WORKERS; i++) told += atomic_load(&brood__pool_seat(inside, i)->member) != 0;
        same = told > 0 && told == before ? same + 1 : 0;
        before = told;
        brood__os_nap(1000 * 1000);
    }
    ck_assert_int_eq(kill(template, SIGCONT), 0);
    while (brood_pool_workers(pool, NULL, 0) < WORKERS && !atomic_load(&inside->broken)) brood__os_nap(1000 * 1000);
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), WORKERS);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *races_suite(void)
{
    Suite *suite = suite_create("races");
    TCase *races = brood_test_case(suite, "races");
    tcase_add_test(races, a_future_freed_between_claim_and_run);
    tcase_add_test(races, a_future_freed_while_it_runs);
    tcase_add_test(races, a_late_mark_is_not_followed);
    tcase_add_test(races, a_template_is_told_when_it_can_be);
    return suite;
}

BROOD_TEST_MAIN(races_suite)
