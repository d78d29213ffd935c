/* SPDX-License-Identifier: MIT */
/* nested.c - latches inside latches: whoever dies with two of them leaves neither behind. */
#include "arena/latch.h"
#include "arena/pages.h"
#include "pool/pool.h"

#include <brood.h>
#include <brood_test.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LATCHES = 3 };
static struct latch_shm *latches;

/* Hold the first n, one inside the other, each announced only; then go on and out again as far as `out`. */
static void nest(int n, int out)
{
    void *announced[LATCHES] = {NULL};
    for (int i = 0; i < n; i++) {
        announced[i] = brood__os_announce(&latches[i]);
        ck_assert_uint_eq(brood__latch_acquire(&latches[i].word), 0);
    }
    while (n > out) {
        brood__latch_release(&latches[--n].word, 0);
        brood__os_announce(announced[n]);
    }
}

/* A process that does so and is killed then. */
static void die_nested(int n, int out)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        brood__os_robust_forget();
        if (brood__os_robust_prepare() < 0) _exit(1);
        nest(n, out);
        raise(SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void map_latches(void)
{
    latches = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(latches != MAP_FAILED);
}

START_TEST(death_inside_frees_all_that_are_held)
{
    map_latches();
    die_nested(LATCHES, LATCHES - _i);
    for (int i = 0; i < LATCHES; i++) {
        uint32_t word = atomic_load(&latches[i].word);
        ck_assert_uint_eq(word & OS_OWNER_DIED, i < LATCHES - _i ? OS_OWNER_DIED : 0);
        ck_assert_uint_eq(word & OS_TID_MASK, 0);
    }
}
END_TEST

START_TEST(nothing_stays_listed)
{
    map_latches();
    for (int turns = 0; turns < 3; turns++) {
        nest(LATCHES, 0);
        ck_assert_ptr_eq((void *)brood__os_robust.head->next, (void *)brood__os_robust.head);
        ck_assert_ptr_null((void *)*brood__os_robust.pending);
    }
}
END_TEST

/* What the growth of a pool's task slots does: memory is taken under the pool's latch. */
START_TEST(death_in_the_allocator_frees_the_latch_around_it)
{
    struct latch_shm *around;
    brood_pool pool;
    int error;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1}));
    around = &brood__pool_find(pool.id, &error)->latch;
    struct arena_shm *arena = brood__arena();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) { /* the arena is mapped in it, and that is all the latches need */
        brood__os_robust_forget();
        if (brood__os_robust_prepare() < 0) _exit(1);
        brood__os_announce(around);
        brood__latch_acquire(&around->word);
        brood__os_announce(&arena->pages.latch);
        brood__latch_acquire(&arena->pages.latch.word);
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(atomic_load(&around->word) & OS_OWNER_DIED);
    brood_test_ok(brood__pages_check());
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

static Suite *nested_suite(void)
{
    Suite *suite = suite_create("nested");
    TCase *nested = brood_test_case(suite, "nested");
    tcase_add_loop_test(nested, death_inside_frees_all_that_are_held, 0, LATCHES + 1);
    tcase_add_test(nested, nothing_stays_listed);
    tcase_add_test(nested, death_in_the_allocator_frees_the_latch_around_it);
    return suite;
}

BROOD_TEST_MAIN(nested_suite)
