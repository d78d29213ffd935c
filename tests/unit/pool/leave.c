/* SPDX-License-Identifier: MIT */
/* How workers leave: for the memory they have, with a hook, when their pool is drained; killed for want of memory. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATIENCE = 20000 };

static char *volatile kept;
BROOD_TASK(whose, int, size_t, keep)
{
    if (keep) kept = malloc(keep);
    if (keep && kept) memset(kept, 1, keep);
    return (int)getpid();
}
BROOD_TASK(never_ends, int, brood_event, begun)
{
    brood_event_set(begun);
    for (;;) poll(NULL, 0, 1000);
}
static volatile sig_atomic_t told;
static void hear(int signal)
{
    (void)signal;
    told = 1;
}
BROOD_TASK(ends_at_sigterm, int, brood_event, begun)
{
    signal(SIGTERM, hear);
    brood_event_set(begun);
    while (!told) poll(NULL, 0, 1);
    return 5;
}
BROOD_TASK(deaf, int, brood_event, begun)
{
    signal(SIGTERM, SIG_IGN);
    brood_event_set(begun);
    for (;;) poll(NULL, 0, 1000);
}

START_TEST(a_worker_with_too_much_memory_is_replaced)
{
    if (BROOD_TEST_SANITIZED) return; /* its runtime has more than any task */
    brood_pool pool;
    brood_pool_options options = {.workers = 1, .method = methods[_i], .max_memory_per_child = 64u << 20};
    int first, second, third;
    brood_test_ok(brood_pool_new(&pool, &options));
    brood_test_ok(brood_pool_apply(pool, whose, &(size_t){0}, &first));
    brood_test_ok(brood_pool_apply(pool, whose, &(size_t){100u << 20}, &second));
    ck_assert_int_eq(first, second);
    brood_test_ok(brood_pool_apply(pool, whose, &(size_t){1u << 20}, &third));
    ck_assert_int_ne(second, third);
    brood_test_ok(brood_pool_apply(pool, whose, &(size_t){0}, &first));
    ck_assert_int_eq(first, third);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static brood_buffer ends;
BROOD_TASK(remember, int, brood_buffer, buffer)
{
    ends = buffer;
    return 0;
}
BROOD_TASK(say_good_bye, void, void)
{
    __atomic_fetch_add((int *)brood_buffer_data(ends, NULL), 1, __ATOMIC_RELAXED);
}

START_TEST(a_hook_runs_in_who_leaves)
{
    brood_pool pool;
    brood_buffer count;
    void *data;
    int result;
    brood_test_ok(brood_buffer_new(&count, sizeof(int), &data));
    memset(data, 0, sizeof(int));
    brood_pool_options options = {.workers = 2,
                                  .method = methods[_i],
                                  .initializer = BROOD_TASK_OF(remember),
                                  .initializer_arg = &count,
                                  .exit_hook = BROOD_TASK_OF(say_good_bye)};
    brood_test_ok(brood_pool_new(&pool, &options));
    brood_test_ok(brood_pool_apply(pool, whose, &(size_t){0}, &result));
    while (brood_pool_workers(pool, NULL, 0) < 2) poll(NULL, 0, 1);
    brood_test_ok(brood_pool_drain(pool, PATIENCE, 0));
    ck_assert_int_eq(*(int *)data, 2);
    brood_test_ok(brood_pool_free(pool));
    options.exit_hook = BROOD_TASK_OF(whose);
    ck_assert_int_eq(brood_pool_new(&pool, &options), BROOD_EINVAL);
    brood_test_ok(brood_buffer_free(count));
}
END_TEST

START_TEST(a_drained_pool_has_done_its_work)
{
    brood_pool pool = new_pool(_i, 2);
    brood_future futures[50];
    int result;
    for (int i = 0; i < 50; i++) brood_test_ok(brood_pool_submit(pool, &futures[i], whose, &(size_t){0}));
    brood_test_ok(brood_pool_drain(pool, PATIENCE, 0));
    for (int i = 0; i < 50; i++) {
        brood_test_ok(brood_future_get(futures[i], &result, 0, NULL));
        brood_test_ok(brood_future_free(futures[i]));
    }
    ck_assert_int_eq(brood_pool_submit(pool, &futures[0], whose, &(size_t){0}), BROOD_ECLOSED);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static void drain(int method, const brood_task *task, int grace, int running, brood_reason reason)
{
    signal(SIGTERM, SIG_DFL); /* the test runner's handler, which fork would pass on, is about its tests */
    brood_pool pool = new_pool(method, 1);
    brood_event begun;
    brood_future first, queued;
    brood_outcome outcome;
    int result;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_pool_submit_task(pool, &first, task, &begun));
    brood_test_ok(brood_pool_submit(pool, &queued, whose, &(size_t){0}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    ck_assert_int_eq(brood_pool_drain(pool, 10, grace), BROOD_ECANCELED);
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 0);
    ck_assert_int_eq(brood_future_get(first, &result, 0, &outcome), running);
    ck_assert_int_eq(outcome.reason, reason);
    ck_assert_int_eq(brood_future_get(queued, &result, 0, &outcome), BROOD_ECANCELED);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_CANCELLED);
    brood_test_ok(brood_future_free(first));
    brood_test_ok(brood_future_free(queued));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
}

START_TEST(what_is_not_done_in_time_is_cancelled)
{
    drain(_i, BROOD_TASK_OF(never_ends), PATIENCE, BROOD_ECANCELED, BROOD_REASON_CANCELLED); /* by SIGTERM */
    drain(_i, BROOD_TASK_OF(ends_at_sigterm), PATIENCE, 0, BROOD_REASON_RESULT);             /* in its own way */
    drain(_i, BROOD_TASK_OF(deaf), 10, BROOD_ECANCELED, BROOD_REASON_CANCELLED);             /* by SIGKILL */
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ out of memory */

static bool write_to(const char *dir, const char *file, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool well = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return well;
}

/* Where this process's memory cgroup is, and where its children can be made: version 1 or 2. */
static bool own_group(char *dir, size_t capacity)
{
    char line[512];
    bool found = false;
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *path = strrchr(line, ':');
        if (strstr(line, ":memory:")) found = snprintf(dir, capacity, "/sys/fs/cgroup/memory%s", path + 1) > 0;
    }
    if (f) fclose(f);
    return found;
}

START_TEST(want_of_memory_is_told_apart)
{
    char dir[400], group[450], pid[32];
    if (BROOD_TEST_SANITIZED || !own_group(dir, sizeof dir)) return;
    snprintf(group, sizeof group, "%s/brood-test-%d", dir, (int)getpid());
    if (mkdir(group, 0700) < 0) return; /* not allowed here */
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    bool there = write_to(group, "memory.limit_in_bytes", "67108864") && write_to(group, "cgroup.procs", pid);
    if (there) {
        brood_pool pool = new_pool(_i, 1);
        brood_future future;
        brood_outcome outcome;
        int result;
        brood_test_ok(brood_pool_submit(pool, &future, whose, &(size_t){256u << 20}));
        ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, &outcome), BROOD_EOOM);
        ck_assert_int_eq(outcome.reason, BROOD_REASON_MEMORY);
        ck_assert_int_eq(outcome.signal, SIGKILL);
        brood_test_ok(brood_future_free(future));
        brood_test_ok(brood_pool_apply(pool, whose, &(size_t){0}, &result));
        brood_event begun;
        brood_test_ok(brood_event_new(&begun));
        brood_test_ok(brood_pool_submit(pool, &future, never_ends, &begun));
        brood_test_ok(brood_event_wait(begun, PATIENCE));
        ck_assert_int_eq(kill(result, SIGKILL), 0); /* a stranger's kill is no want of memory */
        ck_assert_int_eq(brood_future_get(future, &result, PATIENCE, &outcome), BROOD_ELOST);
        ck_assert_int_eq(outcome.reason, BROOD_REASON_SIGNAL);
        brood_test_ok(brood_future_free(future));
        brood_test_ok(brood_event_free(begun));
        brood_test_ok(brood_pool_free(pool));
        brood_test_ok(brood_fini());
    }
    write_to(dir, "cgroup.procs", pid);
    for (int i = 0; i < 1000 && rmdir(group) < 0 && errno == EBUSY; i++) poll(NULL, 0, 5);
}
END_TEST

static Suite *leave_suite(void)
{
    Suite *suite = suite_create("pool/leave");
    TCase *leave = brood_test_case(suite, "leave");
    tcase_add_loop_test(leave, a_worker_with_too_much_memory_is_replaced, 0, 3);
    tcase_add_loop_test(leave, a_hook_runs_in_who_leaves, 0, METHODS);
    tcase_add_loop_test(leave, a_drained_pool_has_done_its_work, 0, METHODS);
    tcase_add_loop_test(leave, what_is_not_done_in_time_is_cancelled, 0, 3);
    tcase_add_loop_test(leave, want_of_memory_is_told_apart, 0, 3);
    return suite;
}

BROOD_TEST_MAIN(leave_suite)
