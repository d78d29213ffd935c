/* SPDX-License-Identifier: MIT */
/*
 * deaths.c - SIGKILL to the caller, the supervisor, a template, a worker, and to all at once, in the middle of a map.
 *
 * The test's process is the reaper of its descendants' orphans, so what is left of a family comes to be its child.
 * "In the middle" is when a worker has said so through standard error, which is a pipe of the test's, and stays there.
 */
#include "scene.h"

#include "arena/member.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Milliseconds in which all of a family is gone. */
#define SOON 1000

static BROOD_TASK(say_and_stay, int, int, x)
{
    if (write(2, "x", 1) != 1) return -1;
    for (;;) pause();
    return x;
}
static BROOD_TASK(square, int, int, x)
{
    for (volatile int i = 0; i < 8000; i++) {}
    return x * x;
}
static BROOD_TASK(own_family, int, int, method)
{
    brood_process process;
    brood_process_options options = {.method = (brood_start_method)method};
    MUST(brood_process_start(&process, &options, say_and_stay, &(int){0}) == 0);
    return say_and_stay(1);
}

/* ------------------------------------------------------------------------------------ the caller */

struct caller {
    int method, pipe[2];
    pid_t pid;
};

/* A pool of three in a map that never ends, a child by itself, and a grandchild. */
static int call(void *arg)
{
    const struct caller *c = arg;
    int in[30] = {0}, out[30];
    brood_pool pool;
    brood_process process;
    dup2(c->pipe[1], 2);
    close(c->pipe[0]);
    close(c->pipe[1]);
    if (brood_init(NULL, NULL) < 0) return 1;
    if (brood_process_start(&process, BY(c->method), own_family, &c->method) < 0) return 2;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 3, .method = (brood_start_method)c->method}) < 0)
        return 3;
    brood_pool_map(pool, say_and_stay, in, out, 30);
    return 4;
}

static struct caller begin(int method)
{
    struct caller c = {.method = method};
    char byte;
    ck_assert_int_eq(pipe2(c.pipe, O_CLOEXEC), 0);
    OK(brood_fini()); /* so that all descendants are the caller's */
    ck_assert(scene_alone(PATIENCE));
    c.pid = scene_fork(call, &c);
    close(c.pipe[1]);
    for (int i = 0; i < 5; i++) { /* three workers, the child and its child */
        struct pollfd ready = {.fd = c.pipe[0], .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        ck_assert_int_eq(read(c.pipe[0], &byte, 1), 1);
        ck_assert_int_eq(byte, 'x');
    }
    return c;
}

static void nothing_is_left(const struct caller *c, int names)
{
    char text[256];
    if (!scene_alone(SOON)) {
        pid_t pids[16];
        int n = scene_children(pids, 16);
        ck_abort_msg("%d processes are left, one is %d", n, (int)pids[0]);
    }
    ck_assert_int_eq(scene_names(), names);
    while (read(c->pipe[0], text, sizeof text) > 0) continue; /* nobody holds the other end, so this ends */
    close(c->pipe[0]);
}

START_TEST(the_caller_is_killed)
{
    int names = scene_names();
    struct caller c = begin(_i);
    ck_assert_int_eq(kill(c.pid, SIGKILL), 0);
    nothing_is_left(&c, names);
}
END_TEST

/* All processes that descend from this one. */
static int descendants(pid_t *pids, int capacity)
{
    int count = 0, known = 0;
    count = scene_children(pids, capacity);
    for (; known < count && count < capacity; known++) {
        char path[96];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pids[known], (int)pids[known]);
        FILE *file = fopen(path, "re");
        int pid;
        while (file && count < capacity && fscanf(file, "%d", &pid) == 1) pids[count++] = pid;
        if (file) fclose(file);
    }
    return count;
}

START_TEST(all_are_killed)
{
    int names = scene_names();
    struct caller c = begin(_i);
    pid_t pids[64];
    int count = descendants(pids, 64);
    ck_assert_int_ge(count, 7); /* the caller, the supervisor, and the five */
    for (int i = 0; i < count; i++) kill(pids[i], SIGSTOP);
    for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
    nothing_is_left(&c, names);
}
END_TEST

/* Of each two of them, the one that is killed first makes no difference; nor does a supervisor that is stopped. */
START_TEST(the_caller_and_its_supervisor_are_killed)
{
    for (int order = 0; order < 3; order++) {
        int names = scene_names();
        struct caller c = begin(_i);
        pid_t pids[64], supervisor = 0;
        int count = scene_children(pids, 64);
        for (int i = 0; i < count; i++) {
            char path[64], name[32] = "";
            snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pids[i]);
            FILE *file = fopen(path, "re");
            if (file && !fgets(name, sizeof name, file)) name[0] = 0;
            if (file) fclose(file);
            if (!strcmp(name, "brood-supervisor")) supervisor = pids[i];
        }
        ck_assert_int_gt(supervisor, 0);
        switch (order) {
        case 0: /* the other members are ended by the kernel alone */
            kill(supervisor, SIGSTOP);
            kill(c.pid, SIGSTOP);
            kill(supervisor, SIGKILL);
            kill(c.pid, SIGKILL);
            break;
        case 1:
            kill(c.pid, SIGSTOP);
            kill(c.pid, SIGKILL);
            kill(supervisor, SIGKILL);
            break;
        default:
            kill(supervisor, SIGSTOP);
            kill(c.pid, SIGKILL);
            ck_assert_int_eq(scene_reap(c.pid, SOON), -SIGKILL);
            kill(supervisor, SIGCONT);
        }
        nothing_is_left(&c, names);
        OK(brood_init(NULL, NULL));
    }
}
END_TEST

/* It is killed while it starts its children: at whatever instruction that may be. */
static int start_for_ever(void *arg)
{
    int method = *(int *)arg;
    brood_process process;
    if (brood_init(NULL, NULL) < 0) return 1;
    for (;;)
        if (brood_process_start(&process, BY(method), say_and_stay, &(int){0}) < 0) return 2;
}

START_TEST(the_caller_is_killed_while_it_starts)
{
    struct caller c = {0};
    int names = scene_names(), keep = dup(2);
    OK(brood_fini());
    for (int i = 0; i < 12; i++) {
        char byte;
        ck_assert_int_eq(pipe2(c.pipe, O_CLOEXEC), 0);
        dup2(c.pipe[1], 2);
        pid_t pid = scene_fork(start_for_ever, &_i);
        dup2(keep, 2);
        close(c.pipe[1]);
        for (int n = 0; n <= i % 4; n++) ck_assert_int_eq(read(c.pipe[0], &byte, 1), 1);
        for (volatile int n = 0; n < i * 30000; n++) {}
        kill(pid, SIGKILL);
        nothing_is_left(&c, names);
    }
    close(keep);
}
END_TEST

/* ------------------------------------------------------------------------------------ others */

enum { MANY = 3000 };
static int in[MANY], out[MANY], codes[MANY];

/* What a map is to be after somebody died in it: every item is done and right, or lost; and how many were lost. */
static size_t done_or_lost(int answer, const brood_report *report)
{
    size_t lost = 0;
    ck_assert(answer == 0 || answer == BROOD_ELOST);
    for (int i = 0; i < MANY; i++) {
        if (codes[i] == 0)
            ck_assert_int_eq(out[i], i * i);
        else
            ck_assert_int_eq(codes[i], BROOD_ELOST);
        lost += codes[i] != 0;
    }
    ck_assert_uint_eq(report->lost, lost);
    ck_assert_uint_eq(report->done, MANY - lost);
    ck_assert_uint_eq(report->failed, 0);
    ck_assert_int_eq(answer, lost ? BROOD_ELOST : 0);
    return lost;
}

static int map_many(brood_pool pool, brood_report *report)
{
    for (int i = 0; i < MANY; i++) in[i] = i;
    memset(out, 0, sizeof out);
    return brood_pool_map_with(pool, square, in, out, MANY, .report = report, .codes = codes, .timeout = 2 * PATIENCE);
}

struct killer {
    pid_t victim;
    int wait_us;
};
/* A stranger that kills it while the map is under way. */
static int kill_it(void *arg)
{
    const struct killer *k = arg;
    usleep((useconds_t)k->wait_us); /* only so that it meets different moments */
    kill(k->victim, SIGKILL);
    return 0;
}

START_TEST(the_supervisor_is_killed)
{
    brood_pool pool;
    OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 3, .method = (brood_start_method)_i}));
    for (int i = 0; i < 4; i++) {
        brood_report report;
        pid_t supervisor = scene_supervisor();
        pid_t stranger = scene_fork(kill_it, &(struct killer){supervisor, i * 2000});
        int answer = map_many(pool, &report);
        done_or_lost(answer, &report);
        ck_assert_int_eq(scene_reap(stranger, PATIENCE), 0);
        ck_assert_int_ne(scene_other_supervisor(supervisor), supervisor);
    }
    brood_report report;
    ck_assert_uint_eq(done_or_lost(map_many(pool, &report), &report), 0);
    brood_process process;
    OK(brood_process_start(&process, BY(_i), square, &(int){3}));
    ck_assert_int_eq(scene_end(process), 9);
    OK(brood_pool_free(pool));
}
END_TEST

START_TEST(a_worker_is_killed)
{
    brood_pool pool;
    OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 3, .method = (brood_start_method)_i}));
    for (int i = 0; i < 10; i++) {
        brood_report report;
        brood_worker workers[3];
        long long end = scene_now() + PATIENCE;
        while (brood_pool_workers(pool, workers, 3) < 3) ck_assert_int_lt(scene_now(), end);
        pid_t stranger = scene_fork(kill_it, &(struct killer){workers[i % 3].pid, i * 1000});
        size_t now = done_or_lost(map_many(pool, &report), &report);
        ck_assert_uint_le(now, 1);
        if (now) ck_assert_int_eq(report.first_lost.signal, SIGKILL);
        ck_assert_int_eq(scene_reap(stranger, PATIENCE), 0);
        ck_assert(scene_ended(workers[i % 3].pid, PATIENCE));
    }
    OK(brood_pool_free(pool));
}
END_TEST

/* A child by spawn stands still before its main, from when somebody opens this to write until a byte comes. */
#define GATE "SCENE_GATE"

static void __attribute__((constructor)) stand_still(int argc, char **argv)
{
    const char *path = getenv(GATE);
    if (!path || argc < 1 || !strcmp(argv[0], "brood-supervisor")) return;
    int gate = open(path, O_RDONLY | O_CLOEXEC);
    char byte;
    if (gate < 0 || read(gate, &byte, 1) != 1) _exit(1);
    close(gate);
}

/* Its supervisor is another one when it goes on, which has looked at all members, and forked one itself. */
struct replacement {
    const char *gate;
    brood_process other;
};
static void *replace_supervisor(void *arg)
{
    struct replacement *r = arg;
    int gate = open(r->gate, O_WRONLY | O_CLOEXEC);
    pid_t before = scene_supervisor();
    if (kill(before, SIGKILL) < 0 || !scene_ended(before, PATIENCE)) return "it lives";
    if (brood_process_start(&r->other, BY(BROOD_START_FORKSERVER), say_and_stay, &(int){0}) < 0)
        return "no other child";
    if (write(gate, "x", 1) != 1) return "it does not go on";
    close(gate);
    return NULL;
}

START_TEST(the_supervisor_is_killed_while_its_child_begins)
{
    char directory[] = "/tmp/brood-test-XXXXXX", path[64];
    brood_process process;
    struct replacement replacement = {.gate = path};
    pthread_t thread;
    void *wrong;
    int code;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/gate", directory);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(setenv(GATE, path, 1), 0); /* before there is a supervisor: it hands it on */
    ck_assert_int_eq(pthread_create(&thread, NULL, replace_supervisor, &replacement), 0);
    OK(brood_process_start(&process, BY(BROOD_START_SPAWN), say_and_stay, &(int){0}));
    ck_assert_int_eq(pthread_join(thread, &wrong), 0);
    ck_assert_msg(!wrong, "%s", (char *)wrong);
    OK(brood_process_kill(process));
    OK(brood_process_join(process, PATIENCE, &code)); /* somebody has seen it end */
    ck_assert(code == -SIGKILL || code == BROOD_EXIT_UNKNOWN);
    OK(brood_process_free(process));
    OK(brood_process_kill(replacement.other));
    ck_assert_int_eq(scene_end(replacement.other), -SIGKILL);
    unlink(path);
    rmdir(directory);
}
END_TEST

static pid_t template_pid(void)
{
    uint32_t used = atomic_load(&brood__arena()->tables[TABLE_MEMBER].used);
    for (uint32_t i = 1; i < used; i++) {
        const struct member_shm *m = brood__member_at(i);
        if (SLOT_STATE(atomic_load(&((struct member_shm *)(uintptr_t)m)->slot.word)) == SLOT_LIVE &&
            m->role == ROLE_TEMPLATE)
            return m->pid;
    }
    ck_abort_msg("there is no template");
    return 0;
}

/* The pool can't replace a worker any more, so it gives up, which all its users are told. */
START_TEST(the_template_is_killed)
{
    for (int i = 0; i < 5; i++) {
        brood_pool pool;
        brood_report report;
        int x = 3, y;
        OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 3, .method = BROOD_START_FORK}));
        pid_t template = template_pid();
        pid_t stranger = scene_fork(kill_it, &(struct killer){template, i * 2000});
        for (int n = 0; n < MANY; n++) in[n] = n;
        int answer = brood_pool_map_with(pool, square, in, out, MANY, .report = &report, .timeout = 2 * PATIENCE);
        ck_assert_int_eq(scene_reap(stranger, PATIENCE), 0);
        ck_assert(answer == 0 || answer == BROOD_ELOST || answer == BROOD_ECANCELED);
        ck_assert(scene_ended(template, PATIENCE));
        long long end = scene_now() + PATIENCE;
        do {
            ck_assert_int_lt(scene_now(), end);
            answer = brood_pool_map(pool, square, &x, &y, 1);
            ck_assert(answer == BROOD_ELOST || (answer == 0 && y == 9));
        } while (answer == 0);
        ck_assert_str_ne(brood_error_detail(), "");
        OK(brood_pool_free(pool));
    }
}
END_TEST

static Suite *deaths_suite(void)
{
    Suite *suite = suite_create("process/deaths");
    TCase *caller = brood_test_case(suite, "caller");
    scene_each_method(caller, the_caller_is_killed);
    scene_each_method(caller, all_are_killed);
    scene_each_method(caller, the_caller_and_its_supervisor_are_killed);
    scene_each_method(caller, the_caller_is_killed_while_it_starts);
    TCase *others = brood_test_case(suite, "others");
    scene_each_method(others, the_supervisor_is_killed);
    scene_each_method(others, a_worker_is_killed);
    tcase_add_test(others, the_template_is_killed);
    tcase_add_test(brood_test_case(suite, "starts"), the_supervisor_is_killed_while_its_child_begins);
    return suite;
}

BROOD_TEST_MAIN(deaths_suite)
