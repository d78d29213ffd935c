/* SPDX-License-Identifier: MIT */
/* habits.c - what callers do that a library must live with: signals, waits, descriptors, directories, forks, execs. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

static BROOD_TASK(answer, int, int, code)
{
    return code;
}
static BROOD_TASK(leave, int, int, code)
{
    _exit(code);
}
static BROOD_TASK(hit, int, int, number)
{
    signal(number, SIG_DFL);
    raise(number);
    return 0;
}
static BROOD_TASK(linger, int, brood_event, never)
{
    return brood_event_wait(never, 3 * PATIENCE) < 0;
}
static BROOD_TASK(square, int, int, x)
{
    return x * x;
}

static int run(int method, const brood_task *task, int arg)
{
    brood_process process;
    OK(brood_process_start_task(&process, BY(method), task, &arg));
    return scene_end(process);
}

/* ------------------------------------------------------------------------------------ children are waited for */

/* Whoever takes the statuses: what is said is right, or that it is not known. */
static void statuses_are_right_or_unknown(int method)
{
    for (int i = 0; i < 10; i++) {
        int code = run(method, BROOD_TASK_OF(answer), 40 + i);
        ck_assert_int_eq(code, 40 + i);
        code = run(method, BROOD_TASK_OF(leave), 60 + i);
        ck_assert(code == 60 + i || (code == BROOD_EXIT_UNKNOWN && method == BROOD_START_FORK));
        code = run(method, BROOD_TASK_OF(hit), SIGKILL);
        ck_assert(code == -SIGKILL || (code == BROOD_EXIT_UNKNOWN && method == BROOD_START_FORK));
    }
    int in[20], out[20];
    brood_pool pool;
    for (int i = 0; i < 20; i++) in[i] = i;
    OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = (brood_start_method)method}));
    OK(brood_pool_map(pool, square, in, out, 20));
    for (int i = 0; i < 20; i++) ck_assert_int_eq(out[i], i * i);
    OK(brood_pool_free(pool));
}

START_TEST(ignores_the_end_of_children)
{
    signal(SIGCHLD, SIG_IGN);
    statuses_are_right_or_unknown(_i);
    signal(SIGCHLD, SIG_DFL);
}
END_TEST

static void take_all(int number)
{
    int before = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    errno = before;
}

START_TEST(waits_in_a_handler)
{
    struct sigaction action = {.sa_handler = take_all, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigaction(SIGCHLD, &action, NULL);
    statuses_are_right_or_unknown(_i);
    signal(SIGCHLD, SIG_DFL);
}
END_TEST

static _Atomic bool enough;
static void *wait_always(void *arg)
{
    (void)arg;
    while (!enough) waitpid(-1, NULL, WNOHANG);
    return NULL;
}

START_TEST(waits_all_the_time)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_always, NULL), 0);
    statuses_are_right_or_unknown(_i);
    enough = true;
    pthread_join(thread, NULL);
}
END_TEST

/* It sees no child that it doesn't know: not the supervisor, nor what that started, nor anybody's signal. */
static _Atomic int signals;
static void count(int number)
{
    (void)number;
    signals++;
}
static int sees_no_strangers(void *arg)
{
    int method = *(int *)arg, code;
    brood_process process;
    signal(SIGCHLD, count);
    MUST(brood_init(NULL, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        MUST(brood_process_start(&process, BY(method), answer, &i) == 0);
        MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == i);
        MUST(brood_process_free(process) == 0);
    }
    MUST(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
    MUST(brood_fini() == 0);
    MUST(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
    return method != BROOD_START_FORK && signals > 0;
}

START_TEST(has_no_children_but_its_own)
{
    ck_assert_int_eq(scene_run(sees_no_strangers, &_i), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ descriptors, directory */

struct closed {
    int method, closed;
};
static BROOD_TASK(as_its_parent, int, int, closed)
{
    int found = 0;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) found |= 1 << fd;
    return found == closed ? 0 : 10 + found;
}
static BROOD_TASK(beget, int, int, closed, int, method)
{
    brood_process process;
    int code = as_its_parent(closed);
    if (code) return code;
    if (brood_process_start(&process, BY(method), as_its_parent, &closed) < 0) return 20;
    if (brood_process_join(process, PATIENCE, &code) < 0) return 21;
    return code ? 20 + code : 0;
}
static int without_standard(void *arg)
{
    const struct closed *c = arg;
    brood_process process;
    int code, in[4] = {1, 2, 3, 4}, out[4];
    brood_pool pool;
    for (int fd = 0; fd < 3; fd++)
        if (c->closed >> fd & 1) close(fd);
    if (brood_init(NULL, NULL) < 0) return 90;
    if (as_its_parent(c->closed)) return 91; /* the library takes none of them for itself */
    for (int i = 0; i < 2; i++) {
        if (brood_process_start(&process, BY(c->method), beget, (&(beget_args){c->closed, c->method})) < 0) return 92;
        if (brood_process_join(process, PATIENCE, &code) < 0) return 93;
        if (code) return code;
        if (brood_process_free(process) < 0) return 94;
    }
    if (as_its_parent(c->closed)) return 95;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = (brood_start_method)c->method}) < 0)
        return 96;
    if (brood_pool_map(pool, square, in, out, 4) < 0 || out[3] != 16) return 97;
    int closed[2] = {c->closed, c->closed}, codes[2];
    if (brood_pool_map(pool, as_its_parent, closed, codes, 2) < 0) return 98;
    if (codes[0] || codes[1]) return 40 + codes[0];
    if (brood_pool_free(pool) < 0) return 99;
    return brood_fini() < 0;
}

START_TEST(has_no_standard_descriptors)
{
    for (int closed = 1; closed < 8; closed++) {
        struct closed c = {_i, closed};
        int code = scene_run(without_standard, &c);
        if (code) ck_abort_msg("closed %d: %d", closed, code);
    }
}
END_TEST

static int stands_in_the_void(void *arg)
{
    char dir[] = "/tmp/brood-habits-XXXXXX";
    brood_process process;
    int code, method = *(int *)arg;
    MUST(brood_init(NULL, NULL) == 0);
    MUST(mkdtemp(dir) && chdir(dir) == 0 && rmdir(dir) == 0);
    MUST(brood_process_start(&process, BY(method), answer, &(int){6}) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 6);
    return brood_fini() < 0;
}

START_TEST(has_no_directory)
{
    ck_assert_int_eq(scene_run(stands_in_the_void, &_i), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ exec, fork */

static BROOD_TASK(become, int, int, what)
{
    if (what == 0) execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
    if (what == 1) execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)NULL);
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
    return 99;
}

START_TEST(becomes_another_program)
{
    brood_process process;
    int code;
    ck_assert_int_eq(run(_i, BROOD_TASK_OF(become), 0), 7);
    ck_assert_int_eq(run(_i, BROOD_TASK_OF(become), 1), -SIGKILL);
    brood_process_options options = {.method = (brood_start_method)_i, .daemon = true};
    OK(brood_process_start(&process, &options, become, &(int){2}));
    ck_assert_int_eq(brood_process_join(process, A_WHILE, &code), BROOD_ETIMEDOUT);
    OK(brood_process_kill(process));
    ck_assert_int_eq(scene_end(process), -SIGKILL);
    OK(brood_process_start(&process, &options, become, &(int){2}));
    pid_t pid = brood_process_pid(process);
    ck_assert(!scene_ended(pid, A_WHILE));
    OK(brood_fini());
    ck_assert(scene_ended(pid, 0));
}
END_TEST

struct foreign {
    int method;
    brood_event event;
    brood_process process;
};
static int fork_elsewhere(void *arg)
{
    struct foreign *f = arg;
    brood_process process, children[2];
    int code;
    MUST(!brood_is_member());
    MUST(brood_process_start(&process, BY(f->method), answer, &(int){1}) == BROOD_ENOTMEMBER);
    MUST(brood_event_set(f->event) == BROOD_ENOTMEMBER);
    MUST(brood_process_kill(f->process) == BROOD_ENOTMEMBER);
    MUST(brood_process_join(f->process, 0, &code) == BROOD_ENOTMEMBER);
    MUST(brood_fini() == BROOD_ENOTMEMBER);
    for (int i = 0; i < 2; i++) { /* a family of its own, twice */
        MUST(brood_init(NULL, NULL) == 0);
        MUST(brood_is_member());
        MUST(brood_process_active_children(children, 2) == 0);
        MUST(brood_event_is_set(f->event) == BROOD_ESTALE);
        MUST(brood_process_start(&process, BY(f->method), answer, &(int){8}) == 0);
        MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 8);
        MUST(brood_process_free(process) == 0);
        if (i) return 0; /* without a word of farewell */
        MUST(brood_fini() == 0);
    }
    return 1;
}

START_TEST(forks_by_itself)
{
    struct foreign f = {.method = _i};
    OK(brood_event_new(&f.event));
    OK(brood_process_start(&f.process, BY(_i), linger, &f.event));
    ck_assert_int_ge(brood_process_sentinel(f.process), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(scene_run(fork_elsewhere, &f), 0);
        ck_assert_int_eq(brood_process_is_alive(f.process), 1);
        ck_assert_int_eq(run(_i, BROOD_TASK_OF(answer), i), i);
    }
    OK(brood_event_set(f.event));
    ck_assert_int_eq(scene_end(f.process), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ signals */

static brood_event rung;
static brood_lock shared;
static brood_process watched;
static _Atomic int handled;
static void call_brood(int number)
{
    int before = errno;
    (void)number;
    if (!brood_is_member()) return;
    brood_event_set(rung);
    brood_event_is_set(rung);
    if (brood_lock_acquire(shared, 0) == 0) brood_lock_release(shared);
    brood_process_is_alive(watched);
    brood_event_clear(rung);
    handled++;
    errno = before;
}

START_TEST(calls_brood_in_a_handler)
{
    struct sigaction action = {.sa_handler = call_brood, .sa_flags = SA_RESTART};
    brood_event never;
    OK(brood_event_new(&rung));
    OK(brood_event_new(&never));
    OK(brood_lock_new(&shared));
    OK(brood_process_start(&watched, BY(_i), linger, &never));
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 300}, {0, 300}}, stop = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 40 || handled < 100; i++) {
        ck_assert_int_eq(run(_i, BROOD_TASK_OF(answer), i & 0x7f), i & 0x7f);
        OK(brood_lock_acquire(shared, PATIENCE));
        OK(brood_lock_release(shared));
    }
    setitimer(ITIMER_REAL, &stop, NULL);
    OK(brood_event_set(never));
    ck_assert_int_eq(scene_end(watched), 0);
}
END_TEST

/* All signals blocked, or ignored, by the caller: its children begin as programs do, but for those that it forks. */
static BROOD_TASK(signals_are_new, int, int, forked)
{
    sigset_t mask;
    struct sigaction action;
    MUST(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    MUST(sigismember(&mask, SIGUSR1) == forked);
    MUST(sigaction(SIGUSR2, NULL, &action) == 0);
    MUST(action.sa_handler == SIG_IGN);
    return 0;
}

START_TEST(blocks_signals)
{
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGUSR2, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, &before);
    int forked = _i == BROOD_START_FORK;
    ck_assert_int_eq(run(_i, BROOD_TASK_OF(signals_are_new), forked), 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR2, SIG_DFL);
}
END_TEST

/* The keys of a terminal go to all processes of the group: the supervisor stays. */
static int gets_signals(void *arg)
{
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1};
    int method = *(int *)arg, code;
    brood_process process;
    setpgid(0, 0);
    for (int i = 0; i < 5; i++) signal(numbers[i], SIG_IGN);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_process_start(&process, BY(method), answer, &(int){4}) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0);
    pid_t supervisor = scene_supervisor();
    for (int i = 0; i < 5; i++) MUST(killpg(getpgrp(), numbers[i]) == 0);
    MUST(brood_process_start(&process, BY(method), answer, &(int){4}) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 4);
    MUST(scene_supervisor() == supervisor);
    return brood_fini() < 0;
}

START_TEST(has_a_terminal)
{
    ck_assert_int_eq(scene_run(gets_signals, &_i), 0);
}
END_TEST

static Suite *habits_suite(void)
{
    Suite *suite = suite_create("process/habits");
    TCase *waits = brood_test_case(suite, "waits");
    scene_each_method(waits, ignores_the_end_of_children);
    scene_each_method(waits, waits_in_a_handler);
    scene_each_method(waits, waits_all_the_time);
    scene_each_method(waits, has_no_children_but_its_own);
    TCase *places = brood_test_case(suite, "places");
    scene_each_method(places, has_no_standard_descriptors);
    scene_each_method(places, has_no_directory);
    TCase *others = brood_test_case(suite, "exec and fork");
    scene_each_method(others, becomes_another_program);
    scene_each_method(others, forks_by_itself);
    TCase *handlers = brood_test_case(suite, "signals");
    scene_each_method(handlers, calls_brood_in_a_handler);
    scene_each_method(handlers, blocks_signals);
    scene_each_method(handlers, has_a_terminal);
    return suite;
}

BROOD_TEST_MAIN(habits_suite)
