/* SPDX-License-Identifier: MIT */
/* office.c - a supervisor that is killed, or killed while it starts, is followed by another. */
#include "process/supervisor.h"

#include <brood.h>
#include <brood_test.h>
#include <signal.h>

BROOD_TASK(wait_for_event, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER) == 0 ? 7 : 8;
}

static brood_event event;
static brood_process process;

static void start_sleeper(void)
{
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_process_start(&process, NULL, wait_for_event, &event));
}

static void kill_supervisor(void)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    ck_assert_int_eq(kill(atomic_load(&s->pid), SIGKILL), 0);
    while (!(atomic_load(&s->life.word) & OS_OWNER_DIED)) brood__os_yield();
}

static void comes_back(void)
{
    for (int i = 0; i < 500 && !brood__supervisor_alive(); i++) brood__os_nap(10 * 1000 * 1000);
    ck_assert(brood__supervisor_alive());
}

static void finish(void)
{
    int code;
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_process_join(process, 5000, &code));
    ck_assert_int_eq(code, 7);
    brood_test_ok(brood_process_free(process));
    brood_test_ok(brood_event_free(event));
}

START_TEST(a_sleeper_notices)
{
    start_sleeper();
    kill_supervisor();
    comes_back();
    finish();
}
END_TEST

/* What is left when the next one is killed on its way into the office, and its starter has been told. */
START_TEST(a_sleeper_notices_a_start_that_failed)
{
    start_sleeper();
    kill_supervisor();
    struct supervisor_shm *s = &brood__arena()->supervisor;
    uint64_t word = atomic_load(&s->word);
    atomic_store(&s->word, SUPERVISOR_WORD(SUPERVISOR_EPOCH(word) + 1, SUPERVISOR_NONE, 0));
    comes_back();
    finish();
}
END_TEST

/* A process that only asks, and never sleeps inside Brood, when nobody else is left. */
START_TEST(one_who_asks_notices)
{
    int code, error;
    start_sleeper();
    kill_supervisor();
    brood_test_ok(brood_process_kill(process));
    for (int i = 0; (error = brood_process_join(process, 0, &code)) == BROOD_EAGAIN && i < 5000; i++)
        brood__os_nap(1000 * 1000);
    brood_test_ok(error);
    ck_assert(code == -SIGKILL || code == BROOD_EXIT_UNKNOWN);
    brood_test_ok(brood_process_free(process));
}
END_TEST

/* Sleepers notice about a second after they fell asleep: the family's end comes before, at, and after that. */
START_TEST(none_is_left_by_the_end)
{
    brood_process others[3];
    start_sleeper();
    for (int i = 0; i < 3; i++)
        brood_test_ok(
            brood_process_start(&others[i], &(brood_process_options){.daemon = true}, wait_for_event, &event));
    brood_test_ok(brood_process_kill(process)); /* or the family's end would wait for it */
    brood_test_ok(brood_process_join(process, 5000, NULL));
    kill_supervisor();
    brood__os_nap((int64_t)(930 + 12 * _i) * 1000 * 1000);
    brood_test_ok(brood_fini());
}
END_TEST

static Suite *office_suite(void)
{
    Suite *suite = suite_create("office");
    TCase *office = brood_test_case(suite, "office");
    tcase_add_test(office, a_sleeper_notices);
    tcase_add_test(office, a_sleeper_notices_a_start_that_failed);
    tcase_add_test(office, one_who_asks_notices);
    tcase_add_loop_test(office, none_is_left_by_the_end, 0, 8);
    return suite;
}

BROOD_TEST_MAIN(office_suite)
