/* SPDX-License-Identifier: MIT */
/*
 * brood_test.h - what every test program stands on.
 *
 *     START_TEST(puts_what_it_gets) { ... } END_TEST
 *
 *     static Suite *queue_suite(void)
 *     {
 *         Suite *suite = suite_create("queue");
 *         TCase *basic = brood_test_case(suite, "basic");
 *         tcase_add_test(basic, puts_what_it_gets);
 *         return suite;
 *     }
 *
 *     BROOD_TEST_MAIN(queue_suite)
 *
 * Check forks each test, so each runs in a process, and a family, of its own: the fixture has called brood_init
 * before the test starts and calls brood_fini after it (the test may do so earlier itself).  Then the test fails if it
 * has left a descriptor, a name in /dev/shm or a process behind.  Orphans count: the test's process is their reaper.
 */
#ifndef BROOD_TEST_H
#define BROOD_TEST_H

#include <brood/base.h>
#include <check.h>

/* Built with AddressSanitizer, whose own memory and processes are beyond the limits that some tests set. */
#if defined(__SANITIZE_ADDRESS__)
#define BROOD_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BROOD_TEST_SANITIZED 1
#endif
#endif
#ifndef BROOD_TEST_SANITIZED
#define BROOD_TEST_SANITIZED 0
#endif

/* Seconds in which one test has to end, fixture included; CK_TIMEOUT_MULTIPLIER in the environment stretches it. */
#define BROOD_TEST_LIMIT 30

/* Milliseconds for which the fixture waits for processes to be gone; the default is 5000. */
extern int brood_test_patience;

/* A new case of the suite, with the fixture and the time limit; the suite owns it. */
TCase *brood_test_case(Suite *suite, const char *name);

/* The fixture's halves, for a case that is made by hand: tcase_add_checked_fixture(c, setup, teardown). */
void brood_test_setup(void);
void brood_test_teardown(void);

/* First in main: become the child that Brood may have started this program for, and go on only in the original. */
void brood_test_init(int *argc, char ***argv);

/* Run the suite, each test in a process of its own; what main returns. */
int brood_test_run(Suite *suite);

#define BROOD_TEST_MAIN(make_suite)          \
    int main(int argc, char **argv)          \
    {                                        \
        brood_test_init(&argc, &argv);       \
        return brood_test_run(make_suite()); \
    }

/* A call that must succeed: fails the test with the call's text and its code. */
#define brood_test_ok(call)                                                                      \
    do {                                                                                         \
        int brood_test_code = (call);                                                            \
        if (brood_test_code < 0) ck_abort_msg("%s: %s", #call, brood_strerror(brood_test_code)); \
    } while (0)

#endif
