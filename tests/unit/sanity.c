/* SPDX-License-Identifier: MIT */
/*
 * sanity.c - proves that the fixture catches what it is there for.
 *
 * Each bad deed is a suite of one test, which must fail with the words that name the deed; the control must pass.
 */
#include "brood_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

START_TEST(does_nothing) {}
END_TEST

START_TEST(leaves_early)
{
    brood_test_ok(brood_fini());
}
END_TEST

/* A child that has ended, or will soon, is no leak. */
START_TEST(ends_its_child)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) _exit(0);
}
END_TEST

START_TEST(leaks_descriptor)
{
    ck_assert_int_ge(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}
END_TEST

/* The same number, another file behind it. */
START_TEST(swaps_descriptor)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
}
END_TEST

static char shm_name[64];

START_TEST(leaks_name)
{
    int fd = shm_open(shm_name, O_RDWR | O_CREAT | O_EXCL, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(leaves_child)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        for (;;) pause();
    }
}
END_TEST

/* A grandchild in a session of its own, whose parent is gone. */
START_TEST(leaves_orphan)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        pid = fork();
        if (pid == 0) {
            setsid();
            for (;;) pause();
        }
        _exit(0);
    }
}
END_TEST

/* 0 if the test ends as expected: well, or with a message that holds the words. */
static int expect(const char *what, const TTest *test, const char *words)
{
    Suite *suite = suite_create(what);
    TCase *tcase = brood_test_case(suite, what);
    tcase_add_test(tcase, test);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_SILENT);

    bool as_expected = srunner_ntests_failed(runner) == (words ? 1 : 0);
    const char *message = "";
    TestResult **results = srunner_results(runner);
    if (srunner_ntests_run(runner) == 1) message = tr_msg(results[0]);
    if (words && !strstr(message, words)) as_expected = false;
    printf("%s: %s (%s)\n", what, as_expected ? "as expected" : "NOT AS EXPECTED", message);
    free(results);
    srunner_free(runner);
    return as_expected ? 0 : 1;
}

int main(int argc, char **argv)
{
    int wrong = 0;

    brood_test_init(&argc, &argv);
    brood_test_patience = 2000;
    wrong += expect("nothing", does_nothing, NULL);
    wrong += expect("early brood_fini", leaves_early, NULL);
    wrong += expect("ended child", ends_its_child, NULL);

    brood_test_patience = 200;
    snprintf(shm_name, sizeof shm_name, "/brood-sanity-%d", (int)getpid());
    wrong += expect("descriptor", leaks_descriptor, "leaked descriptor");
    wrong += expect("swapped descriptor", swaps_descriptor, "leaked descriptor 0");
    wrong += expect("name", leaks_name, "leaked name");
    shm_unlink(shm_name);
    wrong += expect("child", leaves_child, "remains");
    wrong += expect("orphan", leaves_orphan, "remains");
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
