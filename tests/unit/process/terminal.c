/* SPDX-License-Identifier: MIT */
/*
 * terminal.c - programs in the foreground of a terminal, and what is typed there: Ctrl-C, Ctrl-\, Ctrl-Z.
 *
 * The test's process holds the master of a pseudo-terminal.  Behind it stand a shell, which does what job control wants
 * and tells how its program ends, and the program with all its family, which are the foreground.  Standard output of the
 * program is a pipe, by which tasks say that they run; whatever comes out of the terminal is a complaint, for it does
 * not echo.  A key is typed when all have said that they are where it is to meet them.
 */
#include "scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

/* Milliseconds in which all of a family is gone. */
#define SOON 1000
#define WORKERS 3

static BROOD_TASK(say_and_stay, int, int, x)
{
    if (write(1, "x", 1) != 1) return -1;
    for (;;) pause();
    return x;
}
/* Goes on when something is typed. */
static BROOD_TASK(say_and_read, int, int, x)
{
    char byte;
    ssize_t n;
    if (write(1, "x", 1) != 1) return -1;
    do n = read(0, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? x : -1;
}
static BROOD_TASK(same, int, int, x)
{
    return x;
}

/* ------------------------------------------------------------------------------------ the shell */

struct terminal {
    int master, said, status, word; /* word: to the shell, one byte is "fg", the end is "exit" */
    pid_t shell;
    int names;
};

static int program(int method, int (*body)(brood_start_method))
{
    for (int i = 1; i < NSIG; i++) signal(i, SIG_DFL); /* Check has handlers of its own */
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(0, getpid());
    signal(SIGTTOU, SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return body((brood_start_method)method);
}

static void shell(int method, int (*body)(brood_start_method), const int said[2], const int status[2],
                  const int word[2])
{
    struct termios mode;
    int code;
    char byte;
    tcgetattr(0, &mode);
    mode.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(0, TCSANOW, &mode);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(said[1], 1);
        const int others[] = {said[0], said[1], status[0], status[1], word[0], word[1]};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) close(others[i]);
        _exit(program(method, body));
    }
    close(said[0]);
    close(said[1]);
    close(word[1]);
    signal(SIGTTOU, SIG_IGN);
    while (waitpid(pid, &code, WUNTRACED) == pid) {
        if (write(status[1], &code, sizeof code) != (ssize_t)sizeof code || read(word[0], &byte, 1) != 1) break;
        tcsetpgrp(0, pid);
        killpg(pid, SIGCONT);
    }
    _exit(0);
}

static struct terminal terminal_with(int method, int (*body)(brood_start_method))
{
    struct terminal t = {.names = scene_names()};
    int said[2], status[2], word[2];
    if (brood_is_member()) OK(brood_fini()); /* so that all descendants are the program's */
    ck_assert(scene_alone(PATIENCE));
    ck_assert_int_eq(pipe2(said, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(status, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(word, O_CLOEXEC), 0);
    fflush(NULL);
    t.shell = forkpty(&t.master, NULL, NULL, NULL);
    ck_assert_int_ge(t.shell, 0);
    if (t.shell == 0) shell(method, body, said, status, word);
    close(said[1]);
    close(status[1]);
    close(word[0]);
    t.said = said[0];
    t.status = status[0];
    t.word = word[1];
    return t;
}

static void type(const struct terminal *t, const char *keys)
{
    ck_assert_int_eq(write(t->master, keys, strlen(keys)), (ssize_t)strlen(keys));
}
#define CTRL_C "\003"
#define CTRL_Z "\032"
#define CTRL_BACKSLASH "\034"

/* The tasks, and handlers, have said this, in any order. */
static void hear(const struct terminal *t, char what, int times)
{
    for (int i = 0; i < times; i++) {
        char byte = 0;
        struct pollfd ready = {.fd = t->said, .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        ck_assert_int_eq(read(t->said, &byte, 1), 1);
        ck_assert_int_eq(byte, what);
    }
}

/* The program has gone to sleep in its map, so what is typed finds it there. */
static void sleeps(const struct terminal *t)
{
    char path[64], text[16];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)tcgetpgrp(t->master));
    for (long long end = scene_now() + PATIENCE; scene_now() < end; poll(NULL, 0, 1)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = 0;
        if (n > 0 && text[0] != 'r' && atol(text) == SYS_futex) return;
    }
    ck_abort_msg("the program does not wait for its map");
}

/* What the shell's wait says of the program. */
static int status_of(const struct terminal *t)
{
    int code;
    struct pollfd ready = {.fd = t->status, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
    ck_assert_int_eq(read(t->status, &code, sizeof code), sizeof code);
    return code;
}

/* What came out of the terminal; with its end, if the shell has left. */
static size_t shown(const struct terminal *t, char *text, size_t capacity)
{
    fcntl(t->master, F_SETFL, O_NONBLOCK);
    ssize_t n = read(t->master, text, capacity - 1);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static void well(const struct terminal *t)
{
    char text[256];
    int status = status_of(t);
    if (status == 0) return;
    shown(t, text, sizeof text);
    ck_abort_msg("the program ends with %#x; the terminal shows: %s", (unsigned)status, text);
}

/* The program has ended, and all its family is gone without the shell's going; nobody has printed anything. */
static void nothing_is_left(struct terminal *t)
{
    pid_t pids[16];
    int left;
    long long end = scene_now() + SOON;
    char text[256];
    do {
        left = scene_children(pids, 16);
        for (int i = 0; i < left && i < 16; i++)
            if (pids[i] != t->shell) waitpid(pids[i], NULL, WNOHANG | __WALL);
        poll(NULL, 0, left > 1);
    } while (left > 1 && scene_now() < end);
    ck_assert_msg(left == 1, "%d processes are left beside the shell", left - 1);
    ck_assert_int_eq(read(t->said, text, sizeof text), 0); /* and nobody holds its other end */
    /* A sanitizer that looks for leaks complains of a process that is being ended: that is not the program's. */
    bool complaint = shown(t, text, sizeof text) && BROOD_TEST_SANITIZED && strncmp(text, "==", 2) == 0;
    if (text[0] && !complaint) ck_abort_msg("the terminal shows: %s", text);
    ck_assert_int_eq(scene_names(), t->names);
    close(t->word);
    ck_assert_int_eq(scene_reap(t->shell, PATIENCE), 0);
    close(t->said);
    close(t->status);
    close(t->master);
}

/* ------------------------------------------------------------------------------------ programs */

static brood_pool the_pool;

static int begin(brood_start_method method)
{
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_pool_new(&the_pool, &(brood_pool_options){.workers = WORKERS, .method = method}) == 0);
    return 0;
}

static int map(const brood_task *task)
{
    int in[WORKERS], out[WORKERS];
    for (int i = 0; i < WORKERS; i++) in[i] = i + 1;
    int error = brood_pool_map_task(the_pool, task, in, out, WORKERS, &(brood_map_options){.chunk = 1});
    for (int i = 0; error == 0 && i < WORKERS; i++) MUST(out[i] == i + 1);
    return error;
}

static int leave(void)
{
    MUST(brood_pool_free(the_pool) == 0);
    MUST(brood_fini() == 0);
    return 0;
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* It does nothing about signals: a pool, and a child of its own. */
static int plain(brood_start_method method)
{
    brood_process process;
    MUST(begin(method) == 0);
    MUST(brood_process_start(&process, BY(method), say_and_stay, &(int){0}) == 0);
    map(BROOD_TASK_OF(say_and_stay));
    return 1;
}

static void terminates(int number)
{
    (void)number;
    brood_pool_terminate(the_pool);
}

/* The handler ends the pool, and the map that waits is told; the child takes the key as it is. */
static int handling(brood_start_method method)
{
    brood_process process;
    int code;
    MUST(begin(method) == 0);
    MUST(brood_process_start(&process, BY(method), say_and_stay, &(int){0}) == 0);
    handle(SIGINT, terminates, SA_RESTART);
    MUST(map(BROOD_TASK_OF(say_and_stay)) == BROOD_ECANCELED);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == -SIGINT);
    MUST(brood_process_free(process) == 0);
    return leave();
}

/* The first key lets the pool do what it has, the second ends it. */
static void drains(int number)
{
    static volatile sig_atomic_t times;
    (void)number;
    if (times++ > 0) {
        brood_pool_terminate(the_pool);
    } else {
        brood_pool_close(the_pool);
        if (write(1, "c", 1) != 1) abort();
    }
}

static int draining(brood_start_method method)
{
    MUST(begin(method) == 0);
    handle(SIGINT, drains, 0);
    MUST(map(BROOD_TASK_OF(say_and_stay)) == BROOD_ECANCELED);
    return leave();
}

/* The same, but the second key is the system's. */
static int draining_once(brood_start_method method)
{
    MUST(begin(method) == 0);
    handle(SIGINT, drains, (int)SA_RESETHAND);
    map(BROOD_TASK_OF(say_and_stay));
    return 1;
}

static int reading(brood_start_method method)
{
    MUST(begin(method) == 0);
    handle(SIGINT, drains, 0);
    MUST(map(BROOD_TASK_OF(say_and_read)) == 0);
    return leave();
}

/* Stopping is not for it, nor then for its workers. */
static int unstoppable(brood_start_method method)
{
    signal(SIGTSTP, SIG_IGN);
    return reading(method);
}

static void nothing(int number)
{
    (void)number;
}

/* Starts under a rain of keys: the child is there when it is hit, or is not hit. */
static int starting(brood_start_method method)
{
    int code;
    handle(SIGINT, nothing, SA_RESTART);
    if (write(1, "x", 1) != 1) return 1;
    for (int i = 0; i < 12; i++) {
        brood_process process;
        MUST(brood_init(NULL, NULL) == 0); /* with a supervisor of its own */
        MUST(brood_process_start(&process, BY(method), same, &(int){0}) == 0);
        MUST(brood_process_join(process, PATIENCE, &code) == 0 && (code == 0 || code == -SIGINT));
        MUST(brood_process_free(process) == 0);
        MUST(begin(method) == 0);
        MUST(map(BROOD_TASK_OF(same)) == 0);
        MUST(leave() == 0);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------ the caller's own */

struct signals {
    struct sigaction actions[65];
    sigset_t mask;
};

static void look(struct signals *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 1; i <= 64; i++) sigaction(i, NULL, &s->actions[i]);
    sigprocmask(SIG_SETMASK, NULL, &s->mask);
}

static bool alike(const struct signals *a, const struct signals *b)
{
    for (int i = 1; i <= 64; i++) {
        const struct sigaction *x = &a->actions[i], *y = &b->actions[i];
        if (x->sa_handler != y->sa_handler || x->sa_flags != y->sa_flags) return false;
        for (int k = 1; k <= 64; k++)
            if (sigismember(&x->sa_mask, k) != sigismember(&y->sa_mask, k)) return false;
        if (sigismember(&a->mask, i) != sigismember(&b->mask, i)) return false;
    }
    return true;
}

static int keeping(brood_start_method method)
{
    struct signals before, after;
    brood_process process;
    const int handled[] = {SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGHUP, SIGCHLD, SIGUSR1, SIGIO};
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) handle(handled[i], nothing, SA_RESTART);
    signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGWINCH);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    look(&before);
    MUST(begin(method) == 0);
    MUST(brood_process_start(&process, BY(method), same, &(int){0}) == 0);
    look(&after);
    MUST(alike(&before, &after));
    MUST(map(BROOD_TASK_OF(same)) == 0);
    look(&after);
    MUST(alike(&before, &after));
    MUST(scene_end(process) == 0);
    MUST(leave() == 0);
    look(&after);
    MUST(alike(&before, &after));
    return 0;
}

/* How a worker stands, bit by bit. */
enum { LEAVES_KEYS = 1, LEAVES_THE_REST = 2, AS_ITS_STARTER = 4, HAS_NO_HANDLER = 8, BLOCKS_NOTHING = 16 };
static bool has(int number, void (*handler)(int))
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == handler;
}
static BROOD_TASK(stands, int, int, x)
{
    sigset_t mask;
    (void)x;
    int how = 0;
    if (has(SIGINT, SIG_IGN) && has(SIGQUIT, SIG_IGN) && has(SIGHUP, SIG_IGN)) how |= LEAVES_KEYS;
    if (has(SIGTSTP, SIG_DFL) && has(SIGTERM, SIG_DFL) && has(SIGCHLD, SIG_DFL)) how |= LEAVES_THE_REST;
    if (has(SIGUSR2, SIG_IGN)) how |= AS_ITS_STARTER;
    if (has(SIGUSR1, SIG_DFL)) how |= HAS_NO_HANDLER;
    if (sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigisemptyset(&mask)) how |= BLOCKS_NOTHING;
    return how;
}

START_TEST(workers_stand_alike)
{
    int how = 0;
    sigset_t all, before;
    signal(SIGUSR2, SIG_IGN);
    handle(SIGUSR1, nothing, 0);
    handle(SIGTERM, nothing, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    OK(brood_pool_new(&the_pool, &(brood_pool_options){.workers = 1, .method = (brood_start_method)_i}));
    OK(brood_pool_apply(the_pool, stands, &(int){0}, &how));
    ck_assert_int_eq(how, LEAVES_KEYS | LEAVES_THE_REST | AS_ITS_STARTER | HAS_NO_HANDLER | BLOCKS_NOTHING);
    OK(brood_pool_free(the_pool));
    sigprocmask(SIG_SETMASK, &before, NULL);
}
END_TEST

/* ------------------------------------------------------------------------------------ keys */

START_TEST(ends_at_once)
{
    const char *const keys[] = {CTRL_C, CTRL_BACKSLASH};
    const int numbers[] = {SIGINT, SIGQUIT};
    for (int i = 0; i < 2; i++) {
        struct terminal t = terminal_with(_i, plain);
        hear(&t, 'x', WORKERS + 1);
        type(&t, keys[i]);
        int status = status_of(&t);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
        nothing_is_left(&t);
    }
}
END_TEST

START_TEST(ends_by_its_handler)
{
    struct terminal t = terminal_with(_i, handling);
    hear(&t, 'x', WORKERS + 1);
    sleeps(&t);
    type(&t, CTRL_C);
    well(&t);
    nothing_is_left(&t);
}
END_TEST

START_TEST(drains_until_the_second)
{
    struct terminal t = terminal_with(_i, draining);
    hear(&t, 'x', WORKERS);
    sleeps(&t);
    type(&t, CTRL_C);
    hear(&t, 'c', 1);
    type(&t, CTRL_C);
    well(&t);
    nothing_is_left(&t);
}
END_TEST

START_TEST(dies_of_the_second)
{
    struct terminal t = terminal_with(_i, draining_once);
    hear(&t, 'x', WORKERS);
    sleeps(&t);
    type(&t, CTRL_C);
    hear(&t, 'c', 1);
    type(&t, CTRL_C);
    int status = status_of(&t);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    nothing_is_left(&t);
}
END_TEST

START_TEST(drains_to_the_end)
{
    struct terminal t = terminal_with(_i, reading);
    hear(&t, 'x', WORKERS);
    sleeps(&t);
    type(&t, CTRL_C);
    hear(&t, 'c', 1);
    type(&t, "ab\n"); /* a byte for each */
    well(&t);
    nothing_is_left(&t);
}
END_TEST

static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    close(fd);
    const char *end = n > 0 ? strrchr(text, ')') : NULL;
    return end && strlen(end) > 2 ? end[2] : 'X';
}

/* The program and its workers come to stand still, the supervisor does not. */
START_TEST(stops_and_goes_on)
{
    struct terminal t = terminal_with(_i, reading);
    pid_t pids[16];
    hear(&t, 'x', WORKERS);
    sleeps(&t);
    type(&t, CTRL_Z);
    int status = status_of(&t);
    ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    pid_t group = tcgetpgrp(t.master);
    int members = 0, stopped = 0;
    for (long long end = scene_now() + PATIENCE; stopped < WORKERS + 1 && scene_now() < end; poll(NULL, 0, 1)) {
        DIR *dir = opendir("/proc");
        members = stopped = 0;
        for (struct dirent *d; (d = readdir(dir));) {
            pid_t pid = (pid_t)atoi(d->d_name);
            if (pid <= 0 || getpgid(pid) != group) continue;
            members++;
            stopped += state_of(pid) == 'T';
        }
        closedir(dir);
    }
    ck_assert_int_eq(stopped, WORKERS + 1);
    ck_assert_int_gt(members, stopped);
    ck_assert_int_gt(scene_children(pids, 16), 0);
    ck_assert_int_eq(write(t.word, "f", 1), 1);
    type(&t, "ab\n");
    well(&t);
    nothing_is_left(&t);
}
END_TEST

START_TEST(does_not_stop)
{
    struct terminal t = terminal_with(_i, unstoppable);
    hear(&t, 'x', WORKERS);
    sleeps(&t);
    type(&t, CTRL_Z);
    type(&t, "ab\n");
    well(&t);
    nothing_is_left(&t);
}
END_TEST

START_TEST(starts_in_the_rain)
{
    struct terminal t = terminal_with(_i, starting);
    struct pollfd ready = {.fd = t.status, .events = POLLIN};
    hear(&t, 'x', 1);
    do type(&t, CTRL_C);
    while (poll(&ready, 1, 1) == 0);
    well(&t);
    nothing_is_left(&t);
}
END_TEST

START_TEST(handlers_and_mask_stay)
{
    struct terminal t = terminal_with(_i, keeping);
    well(&t);
    nothing_is_left(&t);
}
END_TEST

static Suite *terminal_suite(void)
{
    Suite *suite = suite_create("process/terminal");
    TCase *keys = brood_test_case(suite, "keys");
    scene_each_method(keys, ends_at_once);
    scene_each_method(keys, ends_by_its_handler);
    scene_each_method(keys, drains_until_the_second);
    scene_each_method(keys, dies_of_the_second);
    scene_each_method(keys, drains_to_the_end);
    scene_each_method(keys, stops_and_goes_on);
    scene_each_method(keys, does_not_stop);
    scene_each_method(keys, starts_in_the_rain);
    TCase *own = brood_test_case(suite, "own");
    scene_each_method(own, handlers_and_mask_stay);
    scene_each_method(own, workers_stand_alike);
    return suite;
}

BROOD_TEST_MAIN(terminal_suite)
