/* SPDX-License-Identifier: MIT */
/*
 * memory.c - each allocation of a process that is being started fails in turn, the linker sending the library's here
 * (--wrap): the start says so, and leaves nothing.
 *
 * Which one is to fail stands in a file, for a program that is run again knows no more than its environment.
 */
#include "allocations.h"
#include "scene.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PLAN "SCENE_ALLOCATIONS" /* the file's path, in the environment of all but the caller */

static pid_t caller;  /* whose allocations do not fail */
static int plan = -1; /* the file, in the caller */

/* Of a process's allocations, how many come before the one that fails; negative: none does. */
static long planned(void)
{
    long n = -1;
    const char *path = getenv(PLAN);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return -1;
    if (pread(fd, &n, sizeof n, 0) != sizeof n) n = -1;
    close(fd);
    return n;
}

static void plan_failure(long n)
{
    ck_assert_int_eq(pwrite(plan, &n, sizeof n, 0), sizeof n);
}

static bool allocation_fails(void)
{
    static pid_t counted;
    static long left;
    pid_t me = getpid();
    if (me == caller) return false;
    if (me != counted) counted = me, left = planned();
    return left >= 0 && left-- == 0;
}

static BROOD_TASK(knows, int, int, code)
{
    const char *word = getenv("SCENE_WORD");
    return word && strcmp(word, "said") == 0 ? code : 1;
}

/* With each allocation of the process failing in turn; ended gets the exit codes of those that begin. */
static void each_in_turn(brood_process_options options, const brood_task *task, const void *arg,
                         void (*ended)(int code))
{
    enum { MOST = 30 }; /* no start makes as many */
    char path[] = "/tmp/brood-memory-XXXXXX", mine[64];
    char *environment[] = {(char[]){"SCENE_WORD=said"}, mine, NULL};
    int refused = 0;
    plan = mkostemp(path, O_CLOEXEC);
    ck_assert_int_ge(plan, 0);
    snprintf(mine, sizeof mine, PLAN "=%s", path);
    setenv(PLAN, path, 1);
    options.environment = environment;
    caller = getpid();
    for (long n = -1; n < MOST; n++) {
        brood_process process;
        plan_failure(n);
        int error = brood_process_start_task(&process, &options, task, arg);
        if (error == 0) {
            ended(scene_end(process));
            continue;
        }
        refused++;
        ck_assert_int_ge(n, 0);
        if (error != BROOD_ESTART || !strstr(brood_error_detail(), "memory"))
            ck_abort_msg("allocation %ld: %s: %s", n, brood_error_name(error), brood_error_detail());
        ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, MOST);
    plan_failure(-1);
    close(plan);
    unlink(path);
}

static void has_run(int code)
{
    ck_assert_int_eq(code, 42);
}

START_TEST(each_fails_in_turn)
{
    const int cpus[] = {sched_getcpu()};
    each_in_turn((brood_process_options){.method = (brood_start_method)_i, .cpus = cpus, .cpu_count = 1},
                 BROOD_TASK_OF(knows), &(int){42}, has_run);
}
END_TEST

/* ------------------------------------------------------------------------------------ once it has begun */

typedef struct large {
    char bytes[1000];
} large;

static int *runs; /* that all members see */
static int failures;

static BROOD_TASK(makes_much, large, brood_buffer, place)
{
    ++*(int *)brood_buffer_data(place, NULL);
    return (large){{0}};
}

static void has_run_or_failed(int code)
{
    ck_assert_int_eq(code, *runs == 1 ? 0 : 1);
    failures += code;
    *runs = 0;
}

/* A task without memory for its result does not run, and its process's exit code says so. */
START_TEST(its_result_has_no_room)
{
    brood_buffer place = scene_shared(sizeof *runs, &runs);
    each_in_turn((brood_process_options){.method = (brood_start_method)_i}, BROOD_TASK_OF(makes_much), &place,
                 has_run_or_failed);
    ck_assert_int_eq(failures, 1);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("process/memory");
    TCase *start = brood_test_case(suite, "start");
    scene_each_method(start, each_fails_in_turn);
    scene_each_method(start, its_result_has_no_room);
    return suite;
}

BROOD_TEST_MAIN(memory_suite)
