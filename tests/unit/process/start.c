/* SPDX-License-Identifier: MIT */
/* start.c - processes by every method: exit codes, the handle's other answers, families of several generations. */
#include "scene.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static BROOD_TASK(answer, int, int, code)
{
    return code;
}
static BROOD_TASK(nothing, void, void) {}
static BROOD_TASK(real, double, double, x)
{
    return x;
}
static BROOD_TASK(leave, int, int, code)
{
    exit(code);
}
static BROOD_TASK(leave_now, void, int, code)
{
    _exit(code);
}
static BROOD_TASK(give_up, int, int, code)
{
    brood_fail(code, "as it was told");
    return 0;
}
static BROOD_TASK(hit, int, int, number)
{
    signal(number, SIG_DFL);
    raise(number);
    return 0;
}
static BROOD_TASK(wait_for, int, brood_event, go, int, code)
{
    int error = brood_event_wait(go, PATIENCE);
    return error < 0 ? 99 : code;
}

/* ------------------------------------------------------------------------------------ exit codes */

static int end_of_task(int method, const brood_task *task, const void *arg)
{
    brood_process process;
    OK(brood_process_start_task(&process, BY(method), task, arg));
    return scene_end(process);
}

START_TEST(tells_every_exit_code)
{
    enum { AT_ONCE = 8 };
    for (int code = 0; code < 256; code += AT_ONCE) {
        brood_process processes[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) OK(brood_process_start(&processes[i], BY(_i), answer, &(int){code + i}));
        for (int i = 0; i < AT_ONCE; i++) ck_assert_int_eq(scene_end(processes[i]), code + i);
    }
}
END_TEST

START_TEST(tells_how_else_it_ended)
{
    const int numbers[] = {SIGTERM, SIGKILL, SIGUSR1, SIGALRM, SIGRTMAX};
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(answer), &(int){-1}), 255);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(answer), &(int){256 + 7}), 7);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(nothing), NULL), 0);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(real), &(double){5}), 0);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(leave), &(int){5}), 5);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(leave_now), &(int){6}), 6);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(give_up), &(int){5}), 1);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(hit), &numbers[i]), -numbers[i]);
}
END_TEST

/* What a program does at its exit is part of its life: its end is the last that happens. */
static void end_badly(void)
{
    raise(SIGKILL);
}
static BROOD_TASK(end_badly_at_exit, int, void)
{
    atexit(end_badly);
    return 3;
}

START_TEST(tells_an_end_on_the_way_out)
{
    if (_i == BROOD_START_FORK) { /* whose exit handlers are its parent's, and don't run */
        ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(end_badly_at_exit), NULL), 3);
        return;
    }
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(end_badly_at_exit), NULL), -SIGKILL);
}
END_TEST

static BROOD_TASK(sum, int, brood_bytes, bytes)
{
    unsigned total = 0;
    for (size_t i = 0; i < bytes.size; i++) total += ((const unsigned char *)bytes.data)[i];
    return (int)(total & 0xff);
}
static BROOD_TASK(six, int, char, a, short, b, int, c, long, d, float, e, double, f)
{
    return a + b + c + (int)d + (int)e + (int)f;
}

START_TEST(takes_any_argument)
{
    static unsigned char large[1 << 20];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (unsigned char)(i * 7 + i / 256);
    const size_t sizes[] = {0, 1, 4096, sizeof large};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        unsigned expected = 0;
        for (size_t i = 0; i < sizes[n]; i++) expected += large[i];
        brood_bytes bytes = {large, sizes[n]};
        ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(sum), &bytes), (int)(expected & 0xff));
    }
    six_args args = {1, 2, 4, 8, 16, 32};
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(six), &args), 63);
}
END_TEST

/* ------------------------------------------------------------------------------------ the handle */

START_TEST(is_alive_until_it_ends)
{
    brood_event go;
    brood_process process;
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 4})));
    ck_assert_int_eq(brood_process_is_alive(process), 1);
    ck_assert_int_eq(brood_process_exit_code(process), BROOD_EXIT_RUNNING);
    ck_assert_int_eq(brood_process_free(process), BROOD_EAGAIN);
    pid_t pid = brood_process_pid(process);
    ck_assert_int_gt(pid, 0);
    ck_assert(scene_there(pid));
    ck_assert_int_ne(pid, getpid());
    OK(brood_event_set(go));
    OK(brood_process_join(process, PATIENCE, NULL));
    ck_assert_int_eq(brood_process_is_alive(process), 0);
    ck_assert_int_eq(brood_process_exit_code(process), 4);
    ck_assert_int_eq(brood_process_pid(process), pid);
    OK(brood_process_terminate(process));
    OK(brood_process_kill(process));
    ck_assert_int_eq(brood_process_exit_code(process), 4);
    OK(brood_process_free(process));
}
END_TEST

START_TEST(is_sent_a_signal)
{
    brood_event go;
    brood_process process;
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 4})));
    ck_assert_int_eq(brood_process_signal(process, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_process_signal(process, -1), BROOD_EINVAL);
    ck_assert_int_eq(brood_process_signal(process, SIGRTMAX + 1), BROOD_EINVAL);
    OK(brood_process_signal(process, SIGWINCH)); /* of which it takes no notice */
    OK(brood_process_signal(process, SIGUSR1));
    ck_assert_int_eq(scene_end(process), -SIGUSR1);
    OK(brood_event_free(go));
}
END_TEST

START_TEST(is_not_alive_after_any_signal)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (number != SIGKILL && number < SIGRTMIN) continue;
        brood_process process;
        OK(brood_process_start(&process, BY(BROOD_START_FORK), hit, &number));
        OK(brood_process_join(process, PATIENCE, NULL));
        ck_assert_int_eq(brood_process_exit_code(process), -number);
        ck_assert_int_eq(brood_process_is_alive(process), 0);
        OK(brood_process_free(process));
    }
}
END_TEST

static void assert_stale(brood_process process)
{
    char name[8];
    int code;
    ck_assert_int_eq(brood_process_join(process, 0, &code), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_join(process, BROOD_FOREVER, &code), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_terminate(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_kill(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_signal(process, SIGUSR1), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_exit_code(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_is_alive(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_pid(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_name(process, name, sizeof name), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_is_daemon(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_sentinel(process), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_free(process), BROOD_ESTALE);
}

START_TEST(is_stale_once_freed)
{
    brood_process process, next;
    for (int i = 0; i < 20; i++) {
        OK(brood_process_start(&process, BY(_i), answer, &(int){1}));
        OK(brood_process_join(process, PATIENCE, NULL));
        OK(brood_process_free(process));
        assert_stale(process); /* at once, not only when the supervisor is through with it */
    }
    OK(brood_process_start(&next, BY(_i), answer, &(int){2}));
    assert_stale(process);
    ck_assert_int_eq(scene_end(next), 2);
    assert_stale((brood_process){0});
    assert_stale((brood_process){UINT64_MAX});
    assert_stale((brood_process){process.id ^ 1});
}
END_TEST

static BROOD_TASK(ignore, int, brood_event, ready)
{
    signal(SIGTERM, SIG_IGN);
    if (brood_event_set(ready) < 0) return 1;
    for (;;) pause();
    return 0;
}

START_TEST(is_terminated_and_killed)
{
    brood_event ready;
    brood_process process;
    int code;
    signal(SIGTERM, SIG_DFL); /* a forked child would have Check's handler */
    OK(brood_event_new(&ready));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){ready, 4})));
    OK(brood_process_terminate(process));
    ck_assert_int_eq(scene_end(process), -SIGTERM);
    OK(brood_process_start(&process, BY(_i), ignore, &ready));
    OK(brood_event_wait(ready, PATIENCE));
    OK(brood_process_terminate(process));
    ck_assert_int_eq(brood_process_join(process, A_WHILE, &code), BROOD_ETIMEDOUT);
    OK(brood_process_kill(process));
    ck_assert_int_eq(scene_end(process), -SIGKILL);
}
END_TEST

START_TEST(has_a_name)
{
    brood_process first, second;
    char name[64];
    const char longest[] = "1234567890123456789012345678901";
    brood_event go;
    OK(brood_event_new(&go));
    OK(brood_process_start(&first, BY(_i), wait_for, (&(wait_for_args){go, 0})));
    OK(brood_process_name(first, name, sizeof name));
    ck_assert_int_eq(strncmp(name, "wait_for-", 9), 0);
    ck_assert_int_gt(atoi(name + 9), 0);
    int number = atoi(name + 9);
    OK(brood_process_start(&second, BY(_i), answer, &(int){0}));
    OK(brood_process_name(second, name, sizeof name));
    ck_assert_int_eq(strncmp(name, "answer-", 7), 0);
    ck_assert_int_eq(atoi(name + 7), number + 1);
    ck_assert_int_eq(scene_end(second), 0);
    brood_process_options options = {.name = longest, .method = (brood_start_method)_i};
    OK(brood_process_start(&second, &options, answer, &(int){0}));
    OK(brood_process_name(second, name, sizeof name));
    ck_assert_str_eq(name, longest);
    OK(brood_process_name(second, name, 5));
    ck_assert_str_eq(name, "1234");
    OK(brood_process_name(second, name, 1));
    ck_assert_str_eq(name, "");
    ck_assert_int_eq(scene_end(second), 0);
    OK(brood_event_set(go));
    ck_assert_int_eq(scene_end(first), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ joins */

START_TEST(joins_in_time)
{
    brood_event go;
    brood_process process;
    int code = 77;
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 8})));
    ck_assert_int_eq(brood_process_join(process, 0, &code), BROOD_EAGAIN);
    long long before = scene_now();
    ck_assert_int_eq(brood_process_join(process, A_WHILE, &code), BROOD_ETIMEDOUT);
    ck_assert_int_ge(scene_now(), before + A_WHILE - 1);
    ck_assert_int_eq(code, 77);
    OK(brood_event_set(go));
    OK(brood_process_join(process, BROOD_FOREVER, &code));
    ck_assert_int_eq(code, 8);
    code = 77;
    OK(brood_process_join(process, 0, &code));
    ck_assert_int_eq(code, 8);
    OK(brood_process_join(process, 0, NULL));
    OK(brood_process_free(process));
    ck_assert_int_eq(brood_process_join(brood_process_current(), 0, NULL), BROOD_EDEADLK);
}
END_TEST

static BROOD_TASK(join_other, int, brood_process, other)
{
    int code;
    MUST(brood_process_join(other, PATIENCE, &code) == 0);
    MUST(brood_process_is_alive(other) == 0);
    return code;
}

START_TEST(members_join_one)
{
    enum { JOINERS = 3 };
    brood_event go;
    brood_process process, joiners[JOINERS];
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 8})));
    for (int i = 0; i < JOINERS; i++) OK(brood_process_start(&joiners[i], BY(i + 1), join_other, &process));
    OK(brood_event_set(go));
    int code;
    OK(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 8);
    for (int i = 0; i < JOINERS; i++) ck_assert_int_eq(scene_end(joiners[i]), 8);
    OK(brood_process_free(process));
}
END_TEST

static void *join_in_thread(void *arg)
{
    static int failed;
    int code;
    return brood_process_join(*(brood_process *)arg, PATIENCE, &code) == 0 && code == 8 ? arg : &failed;
}

START_TEST(threads_join_one)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    brood_event go;
    brood_process process;
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 8})));
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, join_in_thread, &process), 0);
    OK(brood_event_set(go));
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, &process);
    }
    OK(brood_process_free(process));
}
END_TEST

START_TEST(polls_a_sentinel)
{
    brood_event go;
    brood_process process;
    OK(brood_event_new(&go));
    OK(brood_process_start(&process, BY(_i), wait_for, (&(wait_for_args){go, 8})));
    int fd = brood_process_sentinel(process);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(brood_process_sentinel(process), fd);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&end, 1, 0), 0);
    OK(brood_event_set(go));
    ck_assert_int_eq(poll(&end, 1, PATIENCE), 1);
    ck_assert_int_eq(end.revents & POLLIN, POLLIN);
    ck_assert_int_eq(scene_end(process), 8);
    ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
    /* of one that ended before */
    OK(brood_process_start(&process, BY(_i), answer, &(int){3}));
    OK(brood_process_join(process, PATIENCE, NULL));
    end.fd = brood_process_sentinel(process);
    ck_assert_int_ge(end.fd, 0);
    ck_assert_int_eq(poll(&end, 1, 0), 1);
    ck_assert_int_eq(scene_end(process), 3);
    ck_assert_int_lt(fcntl(end.fd, F_GETFD), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ generations */

struct kin {
    brood_process current, parent;
    brood_process grandchild;
    pid_t pid, grandchild_pid;
    int children;
};

static BROOD_TASK(introduce, int, brood_buffer, place, brood_event, go)
{
    struct kin *kin = brood_buffer_data(place, NULL);
    MUST(kin);
    kin->pid = getpid();
    kin->current = brood_process_current();
    kin->parent = brood_process_parent();
    kin->children = brood_process_active_children(NULL, 0);
    return brood_event_wait(go, PATIENCE) < 0;
}

START_TEST(knows_its_kin)
{
    struct kin *kin;
    introduce_args args = {.place = scene_shared(sizeof *kin, &kin)};
    brood_process process, children[4] = {{0}};
    OK(brood_event_new(&args.go));
    ck_assert_uint_eq(brood_process_parent().id, 0);
    ck_assert_uint_ne(brood_process_current().id, 0);
    ck_assert_int_eq(brood_process_pid(brood_process_current()), getpid());
    ck_assert_int_eq(brood_process_active_children(children, 4), 0);
    OK(brood_process_start(&process, BY(_i), introduce, &args));
    ck_assert_int_eq(brood_process_active_children(children, 4), 1);
    ck_assert_uint_eq(children[0].id, process.id);
    ck_assert_uint_eq(children[1].id, 0);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 1);
    OK(brood_event_set(args.go));
    OK(brood_process_join(process, PATIENCE, NULL));
    ck_assert_int_eq(brood_process_active_children(children, 4), 0);
    ck_assert_uint_eq(kin->current.id, process.id);
    ck_assert_uint_eq(kin->parent.id, brood_process_current().id);
    ck_assert_int_eq(kin->pid, brood_process_pid(process));
    ck_assert_int_eq(kin->children, 0);
    ck_assert_int_eq(scene_end(process), 0);
}
END_TEST

static BROOD_TASK(linger, int, brood_event, go)
{
    return brood_event_wait(go, 3 * PATIENCE) < 0;
}
/* Starts one by its own method and ends: by itself, or by a signal. */
static BROOD_TASK(beget, int, brood_buffer, place, brood_event, go, int, method, int, daemon, int, signal)
{
    struct kin *kin = brood_buffer_data(place, NULL);
    brood_process_options options = {.method = (brood_start_method)method, .daemon = daemon != 0};
    MUST(brood_process_start(&kin->grandchild, &options, linger, &go) == 0);
    MUST(brood_process_is_daemon(kin->grandchild) == daemon);
    kin->grandchild_pid = brood_process_pid(kin->grandchild);
    kin->children = brood_process_active_children(NULL, 0);
    if (signal) raise(signal);
    return 0;
}

START_TEST(daemon_ends_with_its_parent)
{
    struct kin *kin;
    beget_args args = {.place = scene_shared(sizeof *kin, &kin), .method = _i, .daemon = 1};
    OK(brood_event_new(&args.go));
    for (int by = BROOD_START_FORK; by <= BROOD_START_FORKSERVER; by++) {
        for (int killed = 0; killed < 2; killed++) {
            brood_process process;
            args.signal = killed ? SIGKILL : 0;
            OK(brood_process_start(&process, BY(by), beget, &args));
            ck_assert_int_eq(scene_end(process), -args.signal);
            ck_assert_int_eq(kin->children, 1);
            ck_assert(scene_ended(kin->grandchild_pid, PATIENCE));
        }
    }
}
END_TEST

START_TEST(others_outlive_their_parent)
{
    struct kin *kin;
    beget_args args = {.place = scene_shared(sizeof *kin, &kin), .method = _i};
    OK(brood_event_new(&args.go));
    for (int by = BROOD_START_FORK; by <= BROOD_START_FORKSERVER; by++) {
        brood_process process;
        int code;
        OK(brood_event_clear(args.go));
        OK(brood_process_start(&process, BY(by), beget, &args));
        ck_assert_int_eq(scene_end(process), 0);
        ck_assert(!scene_ended(kin->grandchild_pid, A_WHILE));
        int joined =
            brood_process_join(kin->grandchild, A_WHILE, &code); /* its handle went with its parent, or not yet */
        ck_assert(joined == BROOD_ETIMEDOUT || joined == BROOD_ESTALE);
        OK(brood_event_set(args.go));
        ck_assert(scene_ended(kin->grandchild_pid, PATIENCE));
    }
}
END_TEST

START_TEST(daemons_end_with_the_family)
{
    brood_event never;
    brood_process daemons[3];
    pid_t pids[3];
    OK(brood_event_new(&never));
    for (int i = 0; i < 3; i++) {
        brood_process_options options = {.method = (brood_start_method)(i + 1), .daemon = true};
        OK(brood_process_start(&daemons[i], &options, linger, &never));
        ck_assert_int_eq(brood_process_is_daemon(daemons[i]), 1);
        pids[i] = brood_process_pid(daemons[i]);
    }
    pid_t supervisor = scene_supervisor();
    OK(brood_fini());
    for (int i = 0; i < 3; i++) ck_assert(scene_ended(pids[i], 0));
    ck_assert(scene_ended(supervisor, 0));
    ck_assert_int_eq(brood_fini(), BROOD_ENOTMEMBER);
    ck_assert(!brood_is_member());
    OK(brood_init(NULL, NULL));
    ck_assert(brood_is_member());
    assert_stale(daemons[0]);
}
END_TEST

static BROOD_TASK(read_one, int, int, fd)
{
    char byte;
    return read(fd, &byte, 1) != 1;
}
struct open_end {
    int method, fd;
};
static int leave_open(void *arg)
{
    const struct open_end *end = arg;
    brood_process process;
    brood_process_options options = {.method = (brood_start_method)end->method,
                                     .descriptors = &(brood_descriptor){end->fd, end->fd},
                                     .descriptor_count = 1};
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_process_start(&process, &options, read_one, &end->fd) == 0);
    return brood_fini() < 0 ? 3 : 0;
}

START_TEST(fini_waits_for_children)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t caller = scene_fork(leave_open, &(struct open_end){_i, ends[0]});
    ck_assert(!scene_ended(caller, 10 * A_WHILE));
    ck_assert_int_eq(write(ends[1], "", 1), 1);
    ck_assert_int_eq(scene_reap(caller, PATIENCE), 0);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* ------------------------------------------------------------------------------------ method */

START_TEST(has_a_default_method)
{
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_FORKSERVER);
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        OK(brood_set_start_method((brood_start_method)method));
        ck_assert_int_eq(brood_get_start_method(), method);
    }
    ck_assert_int_eq(brood_set_start_method((brood_start_method)(BROOD_START_FORKSERVER + 1)), BROOD_EINVAL);
    ck_assert_int_eq(brood_set_start_method((brood_start_method)-1), BROOD_EINVAL);
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_FORKSERVER);
    OK(brood_set_start_method(BROOD_START_SPAWN));
    OK(brood_set_start_method(BROOD_START_DEFAULT));
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_FORKSERVER);
    ck_assert_str_eq(brood_start_method_name(BROOD_START_FORK), "fork");
    ck_assert_str_eq(brood_start_method_name(BROOD_START_SPAWN), "spawn");
    ck_assert_str_eq(brood_start_method_name(BROOD_START_FORKSERVER), "forkserver");
    ck_assert_str_eq(brood_start_method_name((brood_start_method)17), "unknown");
    for (int method = BROOD_START_DEFAULT; method <= BROOD_START_FORKSERVER; method++) {
        brood_start_method parsed = (brood_start_method)17;
        OK(brood_start_method_parse(&parsed, brood_start_method_name((brood_start_method)method)));
        ck_assert_int_eq((int)parsed, method);
    }
    static const char *const others[] = {"", "Fork", "fork ", "forkserve", "unknown", NULL};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        brood_start_method parsed = BROOD_START_SPAWN;
        ck_assert_int_eq(brood_start_method_parse(&parsed, others[i]), BROOD_EINVAL);
        ck_assert_int_eq((int)parsed, BROOD_START_SPAWN);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), others[i] ? others[i] : "NULL"));
    }
}
END_TEST

static BROOD_TASK(tell_method, int, void)
{
    brood_preparation p;
    MUST(brood_preparation_data(&p) == 0);
    return 10 * (int)p.method + (int)brood_get_start_method();
}
static BROOD_TASK(change_method, int, void)
{
    return brood_set_start_method(BROOD_START_FORK) < 0;
}

START_TEST(default_method_is_the_familys)
{
    OK(brood_set_start_method((brood_start_method)_i));
    ck_assert_int_eq(end_of_task(0, BROOD_TASK_OF(tell_method), NULL), 11 * _i);
    ck_assert_int_eq(end_of_task(BROOD_START_SPAWN, BROOD_TASK_OF(tell_method), NULL), 20 + _i);
    ck_assert_int_eq(end_of_task(_i, BROOD_TASK_OF(change_method), NULL), 0);
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_FORK);
}
END_TEST

static int configured(void *arg)
{
    (void)arg;
    brood_process process;
    size_t limit;
    int code;
    MUST(brood_configure(&(brood_family_options){.start_timeout = -1}) == BROOD_EINVAL);
    MUST(brood_configure(&(brood_family_options){.start_method = (brood_start_method)9}) == BROOD_EINVAL);
    MUST(brood_configure(&(brood_family_options){.arena_limit = 1}) == BROOD_EINVAL);
    MUST(brood_configure(&(brood_family_options){.arena_limit = 8 << 20, .start_method = BROOD_START_SPAWN}) == 0);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_get_start_method() == BROOD_START_SPAWN);
    MUST(brood_arena_usage(NULL, &limit) == 0 && limit == 8 << 20);
    MUST(brood_process_start(&process, NULL, tell_method, NULL) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 22);
    MUST(brood_process_free(process) == 0);
    return brood_fini() < 0;
}

START_TEST(is_configured_before_it_begins)
{
    ck_assert_int_eq(scene_run(configured, NULL), 0);
}
END_TEST

static void *do_nothing(void *arg)
{
    brood_event go = *(brood_event *)arg;
    brood_event_wait(go, PATIENCE);
    return NULL;
}

START_TEST(no_fork_by_default_in_threads)
{
    pthread_t thread;
    brood_event go;
    brood_process process;
    OK(brood_event_new(&go));
    OK(brood_set_start_method(BROOD_START_FORK));
    OK(brood_process_start(&process, NULL, answer, &(int){1}));
    ck_assert_int_eq(scene_end(process), 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, do_nothing, &go), 0);
    ck_assert_int_eq(brood_process_start(&process, NULL, answer, &(int){1}), BROOD_ETHREADS);
    ck_assert_str_ne(brood_error_detail(), "");
    OK(brood_process_start(&process, BY(BROOD_START_FORK), answer, &(int){2}));
    ck_assert_int_eq(scene_end(process), 2);
    OK(brood_process_start(&process, BY(BROOD_START_FORKSERVER), answer, &(int){3}));
    ck_assert_int_eq(scene_end(process), 3);
    OK(brood_event_set(go));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ many */

START_TEST(many_starts_cost_nothing)
{
    int own = 0, supervisors = 0;
    size_t bytes = 0;
    for (int i = 0; i < 300; i++) {
        brood_process process;
        OK(brood_process_start(&process, BY(_i), answer, &(int){i & 0xff}));
        if (i % 3 == 0) ck_assert_int_ge(brood_process_sentinel(process), 0);
        ck_assert_int_eq(scene_end(process), i & 0xff);
        if (i == 20) {
            own = scene_descriptors(getpid());
            supervisors = scene_descriptors(scene_supervisor());
            bytes = scene_arena();
        }
    }
    ck_assert_int_eq(scene_descriptors(getpid()), own);
    ck_assert_int_le(scene_descriptors_at_most(scene_supervisor(), supervisors), supervisors);
    ck_assert_uint_eq(scene_arena(), bytes);
}
END_TEST

START_TEST(many_at_once)
{
    enum { MANY = 100 };
    static brood_process processes[MANY], children[MANY];
    brood_event go;
    OK(brood_event_new(&go));
    for (int i = 0; i < MANY; i++) OK(brood_process_start(&processes[i], BY(_i), wait_for, (&(wait_for_args){go, i})));
    ck_assert_int_eq(brood_process_active_children(children, MANY), MANY);
    OK(brood_event_set(go));
    for (int i = MANY - 1; i >= 0; i--) ck_assert_int_eq(scene_end(processes[i]), i);
}
END_TEST

static Suite *start_suite(void)
{
    Suite *suite = suite_create("process/start");
    TCase *codes = brood_test_case(suite, "exit codes");
    scene_each_method(codes, tells_every_exit_code);
    scene_each_method(codes, tells_how_else_it_ended);
    scene_each_method(codes, tells_an_end_on_the_way_out);
    scene_each_method(codes, takes_any_argument);
    TCase *handle = brood_test_case(suite, "handle");
    scene_each_method(handle, is_alive_until_it_ends);
    scene_each_method(handle, is_sent_a_signal);
    tcase_add_test(handle, is_not_alive_after_any_signal);
    scene_each_method(handle, is_stale_once_freed);
    scene_each_method(handle, is_terminated_and_killed);
    scene_each_method(handle, has_a_name);
    TCase *joins = brood_test_case(suite, "joins");
    scene_each_method(joins, joins_in_time);
    scene_each_method(joins, members_join_one);
    scene_each_method(joins, threads_join_one);
    scene_each_method(joins, polls_a_sentinel);
    TCase *kin = brood_test_case(suite, "generations");
    scene_each_method(kin, knows_its_kin);
    scene_each_method(kin, daemon_ends_with_its_parent);
    scene_each_method(kin, others_outlive_their_parent);
    tcase_add_test(kin, daemons_end_with_the_family);
    scene_each_method(kin, fini_waits_for_children);
    TCase *method = brood_test_case(suite, "method");
    tcase_add_test(method, has_a_default_method);
    scene_each_method(method, default_method_is_the_familys);
    tcase_add_test(method, is_configured_before_it_begins);
    tcase_add_test(method, no_fork_by_default_in_threads);
    TCase *many = brood_test_case(suite, "many");
    scene_each_method(many, many_starts_cost_nothing);
    scene_each_method(many, many_at_once);
    return suite;
}

BROOD_TEST_MAIN(start_suite)
