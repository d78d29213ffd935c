/* SPDX-License-Identifier: MIT */
/*
 * A process that founds a second family, after the end of its first or as a copy of another's member, whose handles are
 * the same then: it has nothing of what it kept for the first.
 */
#include "common.h"

#include <brood/stream.h>
#include <brood/wait.h>
#include <stdio.h>
#include <sys/wait.h>

#define PATIENCE 15000
#define MUST(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            return 1;                                                                     \
        }                                                                                 \
    } while (0)

BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}
BROOD_TASK(seed, uint64_t, int, unused)
{
    return (uint64_t)unused + brood_task_seed();
}

static const int numbers[] = {1, 2, 3};
static int calls;
static void hear(void *context, brood_future future)
{
    (void)context;
    (void)future;
    calls++;
}

static const brood_pool_options options = {.workers = 1, .method = BROOD_START_FORKSERVER, .seed = 7};

/* What this process may keep for a family: callbacks, a stream, a series of seeds.  The handles in it. */
struct kept {
    brood_pool pool;
    brood_future future;
    brood_stream stream;
    uint64_t seed;
};
static int keep(struct kept *k)
{
    brood_future future;
    MUST(brood_pool_new(&k->pool, &options) == 0);
    MUST(brood_pool_submit(k->pool, &future, seed, &(int){0}) == 0);
    MUST(brood_future_get(future, &k->seed, PATIENCE, NULL) == 0);
    MUST(brood_pool_submit_with(k->pool, &k->future, twice, &(int){21}, .callback = hear) == 0);
    MUST(brood_pool_imap_array(k->pool, &k->stream, twice, numbers, 3) == 0);
    return 0;
}

/* In a family of our own: what an ancestor, or we in another life, kept is not there. */
static int found_anew(const struct kept *old)
{
    struct kept k;
    int result;
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_pool_new(&k.pool, &options) == 0);
    MUST(k.pool.id == old->pool.id); /* or this shows nothing */
    MUST(brood_pool_submit(k.pool, &k.future, seed, &(int){0}) == 0);
    MUST(brood_future_get(k.future, &k.seed, PATIENCE, NULL) == 0);
    MUST(k.seed == old->seed);
    MUST(brood_future_free(k.future) == 0);
    brood_future futures[3];
    for (int i = 0; i < 3; i++) {
        MUST(brood_pool_submit(k.pool, &futures[i], twice, &i) == 0);
        MUST(brood_future_get(futures[i], &result, PATIENCE, NULL) == 0);
        MUST(result == 2 * i);
    }
    MUST(brood_pool_dispatch(k.pool, 0) == 0);
    MUST(calls == 0);
    MUST(brood_stream_next(old->stream, &result, 0, NULL) == BROOD_ESTALE);
    MUST(brood_pool_imap_array(k.pool, &k.stream, twice, &(int){8}, 1) == 0);
    MUST(brood_stream_next(k.stream, &result, PATIENCE, NULL) == 1);
    MUST(result == 16);
    MUST(brood_stream_free(k.stream) == 0);
    MUST(brood_pool_free(k.pool) == 0);
    return 0;
}

START_TEST(a_life_after_the_first)
{
    struct kept k;
    ck_assert_int_eq(keep(&k), 0);
    brood_test_ok(brood_fini());
    ck_assert_int_eq(found_anew(&k), 0);
}
END_TEST

/* A copy, made by plain fork(2): what comes of it, as its exit code. */
static int in_copy(int (*what)(const struct kept *k), const struct kept *k)
{
    int status;
    pid_t pid = fork();
    if (pid < 0) return -1;
    if (pid == 0) {
        int result = what(k);
        if (result == 0 && brood_fini() < 0) result = 2;
        _exit(result);
    }
    if (waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

START_TEST(a_copy_with_a_family_of_its_own)
{
    struct kept k;
    ck_assert_int_eq(keep(&k), 0);
    ck_assert_int_eq(in_copy(found_anew, &k), 0);
    /* All is still the parent's. */
    int result;
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(brood_stream_next(k.stream, &result, PATIENCE, NULL), 1);
        ck_assert_int_eq(result, 2 * i);
    }
    ck_assert_int_eq(brood_pool_dispatch(k.pool, PATIENCE), 1);
    ck_assert_int_eq(calls, 1);
    brood_test_ok(brood_stream_free(k.stream));
    brood_test_ok(brood_pool_free(k.pool));
}
END_TEST

/* A task of a pool of threads has this process copied: in the copy its thread is no worker. */
BROOD_TASK(copy, int, struct kept, k)
{
    return in_copy(found_anew, &k);
}
START_TEST(a_copy_of_a_thread_of_a_pool)
{
    struct kept k;
    brood_pool threads;
    brood_future future;
    int result;
    ck_assert_int_eq(keep(&k), 0);
    brood_test_ok(brood_pool_new(&threads, &(brood_pool_options){.workers = 1, .method = BROOD_START_THREAD}));
    brood_test_ok(brood_pool_submit(threads, &future, copy, &k));
    brood_test_ok(brood_future_get(future, &result, PATIENCE, NULL));
    ck_assert_int_eq(result, 0);
    brood_test_ok(brood_pool_free(threads));
    brood_test_ok(brood_stream_free(k.stream));
    brood_test_ok(brood_pool_free(k.pool));
}
END_TEST

/* Likewise its sets of what to wait for. */
static brood_waitset *set;
static int use_set(const struct kept *k)
{
    (void)k;
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_waitset_add(set, BROOD_WAIT_FD(0), 1) == BROOD_EINVAL);
    brood_waitset_free(set);
    return 0;
}
START_TEST(a_copy_has_no_set)
{
    brood_test_ok(brood_waitset_new(&set));
    ck_assert_int_eq(in_copy(use_set, NULL), 0);
    brood_waitset_free(set);
}
END_TEST

static Suite *founders_suite(void)
{
    Suite *suite = suite_create("founders");
    TCase *founders = brood_test_case(suite, "founders");
    tcase_add_test(founders, a_life_after_the_first);
    tcase_add_test(founders, a_copy_with_a_family_of_its_own);
    tcase_add_test(founders, a_copy_of_a_thread_of_a_pool);
    tcase_add_test(founders, a_copy_has_no_set);
    return suite;
}

BROOD_TEST_MAIN(founders_suite)
