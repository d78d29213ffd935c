/* SPDX-License-Identifier: MIT */
/*
 * errors.c - what can't be started says why, within its time, and leaves nothing.
 *
 * UNINITIATED is the path of a program that does not call brood_init when it is run again; SHAPES and SHAPES_OTHER are
 * one library in two editions.
 */
#include "scene.h"

#include "../call/shapes.h"
#include "arena/member.h"
#include "process/bootstrap.h"
#include "process/supervisor.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static BROOD_TASK(answer, int, int, code)
{
    return code;
}

static int run(int method, int code)
{
    brood_process process;
    OK(brood_process_start(&process, BY(method), answer, &code));
    return scene_end(process);
}

/* ------------------------------------------------------------------------------------ no brood_init */

static int become_uninitiated(void *arg)
{
    char **argv = arg;
    execv(UNINITIATED, argv);
    return 99;
}

START_TEST(main_does_not_call_brood_init)
{
    static const char *const methods[] = {"fork", "spawn", "forkserver"}, *const modes[] = {"exit", "wait"};
    for (int which = 0; which < 2; which++) {
        for (int mode = 0; mode < 2; mode++) {
            for (int method = which ? 1 : 0; method < (which ? 2 : 3); method++) { /* a child: by spawn */
                const char *argv[] = {"uninitiated", which ? "child" : "supervisor", modes[mode], methods[method],
                                      NULL};
                int code = scene_run(become_uninitiated, argv);
                if (code) ck_abort_msg("%s %s %s: %d", argv[1], argv[2], argv[3], code);
            }
        }
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ slow, stopped */

/* A supervisor that is stopped can't start anything, in time. */
START_TEST(supervisor_is_too_slow)
{
    ck_assert_int_eq(run(_i, 1), 1);
    brood_process_options options = {.method = (brood_start_method)_i, .start_timeout = 100};
    brood_process process;
    pid_t supervisor = scene_supervisor();
    int own = scene_descriptors(getpid());
    ck_assert_int_eq(kill(supervisor, SIGSTOP), 0);
    long long before = scene_now();
    int error = brood_process_start(&process, &options, answer, &(int){5});
    ck_assert_int_lt(scene_now(), before + 5000);
    if (_i == BROOD_START_FORK) { /* which needs none, but for the end */
        ck_assert_int_eq(error, 0);
    } else {
        ck_assert_int_eq(error, _i == BROOD_START_SPAWN ? BROOD_ENOINIT : BROOD_ETIMEDOUT);
        ck_assert_str_ne(brood_error_detail(), "");
        ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
    }
    ck_assert_int_eq(kill(supervisor, SIGCONT), 0);
    if (error == 0) ck_assert_int_eq(scene_end(process), 5);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(run(_i, i), i);
    ck_assert_int_eq(scene_descriptors(getpid()), own);
    ck_assert_int_eq(scene_supervisor(), supervisor);
}
END_TEST

/* ------------------------------------------------------------------------------------ too many processes */

static BROOD_TASK(linger, int, brood_event, never)
{
    return brood_event_wait(never, PATIENCE) < 0;
}
static int linger_start(brood_process *process, int method, brood_event never)
{
    return brood_process_start(process, BY(method), linger, &never);
}

/* Another user from now on; false where there can't be one, or where it can't reach this program to run it again. */
static bool becomes_another_user(void)
{
    uid_t uid = 300000 + (uid_t)getpid() % 100000;
    char path[4096];
    if (setgid(uid) < 0 || setuid(uid) < 0) return false;
    prctl(PR_SET_DUMPABLE, 1);
    return brood__os_program_path(path, sizeof path) == 0 && access(path, X_OK) == 0;
}

/* As a user who may have no more than three: the caller, the supervisor and one child. */
static int as_a_poor_user(void *arg)
{
    int method = *(int *)arg, code;
    struct rlimit limit = {3, 3};
    brood_event never;
    brood_process first, second;
    if (!becomes_another_user()) return 77;
    MUST(setrlimit(RLIMIT_NPROC, &limit) == 0);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_event_new(&never) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(brood_process_start(&first, BY(method), answer, &(int){4}) == 0);
        MUST(brood_process_join(first, PATIENCE, &code) == 0 && code == 4);
        pid_t pid = brood_process_pid(first);
        MUST(brood_process_free(first) == 0);
        while (scene_there(pid)) poll(NULL, 0, 1); /* its zombie counts, too */
    }
    MUST(linger_start(&first, method, never) == 0);
    int error = linger_start(&second, method, never);
    if (error != BROOD_ESTART && error != BROOD_EAGAIN) {
        fprintf(stderr, "%s: %s\n", brood_error_name(error), brood_error_detail());
        return 2;
    }
    MUST(strstr(brood_error_detail(), "fork") || strstr(brood_error_detail(), "exec"));
    MUST(brood_event_set(never) == 0);
    MUST(brood_process_join(first, PATIENCE, &code) == 0 && code == 0);
    MUST(brood_process_free(first) == 0);
    for (int i = 0;; i++) { /* the zombie is reaped any moment */
        error = brood_process_start(&first, BY(method), answer, &(int){4});
        if (error == 0) break;
        MUST(i < PATIENCE / 10);
        poll(NULL, 0, 10);
    }
    MUST(brood_process_join(first, PATIENCE, &code) == 0 && code == 4);
    return brood_fini() < 0;
}

START_TEST(there_are_too_many_processes)
{
    if (geteuid() != 0 || BROOD_TEST_SANITIZED) return;
    int code = scene_run(as_a_poor_user, &_i);
    if (code != 77) ck_assert_int_eq(code, 0);
}
END_TEST

/* Nor may it have the first: the supervisor. */
static int as_a_very_poor_user(void *arg)
{
    int method = *(int *)arg;
    struct rlimit limit = {1, 10};
    brood_process process;
    int code;
    if (!becomes_another_user()) return 77;
    MUST(setrlimit(RLIMIT_NPROC, &limit) == 0);
    MUST(brood_init(NULL, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(brood_process_start(&process, BY(method), answer, &(int){4}) == BROOD_EAGAIN);
        MUST(strstr(brood_error_detail(), "exec"));
    }
    limit.rlim_cur = 10;
    MUST(setrlimit(RLIMIT_NPROC, &limit) == 0);
    MUST(brood_process_start(&process, BY(method), answer, &(int){4}) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 4);
    return brood_fini() < 0;
}

START_TEST(there_may_be_no_process)
{
    if (geteuid() != 0) return;
    int code = scene_run(as_a_very_poor_user, &_i);
    if (code != 77) ck_assert_int_eq(code, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ out of descriptors */

static void limit_descriptors(pid_t pid, rlim_t soft, rlim_t hard, struct rlimit *before)
{
    ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, NULL, before), 0);
    struct rlimit limit = {soft, hard ? hard : before->rlim_max};
    ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static bool is_clear(int error)
{
    if (error == BROOD_EMFILE) return true;
    return (error == BROOD_ESTART || error == BROOD_EEXEC) && brood_error_detail()[0];
}

static int next_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

/* With 0, 1, 2 ... descriptors left to the caller: before it has a supervisor, and when it has one. */
START_TEST(caller_is_out_of_descriptors)
{
    struct rlimit before;
    for (int warm = 0; warm < 2; warm++) {
        int refused = 0, started = 0;
        for (rlim_t left = 0; left < 32; left++) {
            brood_process process;
            int own = scene_descriptors(getpid());
            limit_descriptors(getpid(), (rlim_t)next_descriptor() + left, 0, &before);
            int error = brood_process_start(&process, BY(_i), answer, &(int){6});
            setrlimit(RLIMIT_NOFILE, &before);
            if (error == 0) {
                ck_assert_int_eq(scene_end(process), 6);
            } else if (!is_clear(error)) {
                ck_abort_msg("%d left: %s: %s", (int)left, brood_error_name(error), brood_error_detail());
            }
            ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
            ck_assert_int_eq(scene_descriptors(getpid()), own);
            error == 0 ? started++ : refused++;
            if (error == 0 && !warm) break;
        }
        ck_assert_int_gt(refused, 0);
        ck_assert_int_gt(started, 0);
    }
    ck_assert_int_eq(run(_i, 7), 7); /* with all of them */
}
END_TEST

START_TEST(supervisor_is_out_of_descriptors)
{
    struct rlimit before, ignored;
    ck_assert_int_eq(run(_i, 7), 7);
    pid_t supervisor = scene_supervisor();
    int has = scene_highest_descriptor(supervisor) + 1, refused = 0;
    ck_assert_int_eq(prlimit(supervisor, RLIMIT_NOFILE, NULL, &before), 0);
    for (int left = -6; left < 8; left++) {
        brood_process processes[8];
        int started = 0;
        limit_descriptors(supervisor, (rlim_t)has + (rlim_t)left, 0, &ignored);
        for (int i = 0; i < 8; i++) {
            brood_process_options options = {.method = (brood_start_method)_i, .start_timeout = 3000};
            long long now = scene_now();
            int error = brood_process_start(&processes[started], &options, answer, &(int){i});
            ck_assert_int_lt(scene_now(), now + 2000);
            if (error == 0)
                started++;
            else if (++refused && !is_clear(error))
                ck_abort_msg("%d left: %s: %s", left, brood_error_name(error), brood_error_detail());
        }
        for (int i = 0; i < started; i++) scene_end(processes[i]);
        ck_assert_int_eq(prlimit(supervisor, RLIMIT_NOFILE, &before, NULL), 0);
        ck_assert_int_eq(run(_i, 9), 9);
    }
    if (_i != BROOD_START_FORK) ck_assert_int_gt(refused, 0);
    ck_assert_int_eq(scene_supervisor(), supervisor);
}
END_TEST

/* Those that it could not watch when they came are watched in the end. */
START_TEST(supervisor_recovers_from_want)
{
    enum { MANY = 20 };
    struct rlimit before;
    brood_event never;
    brood_process processes[MANY];
    int started = 0, code;
    OK(brood_event_new(&never));
    ck_assert_int_eq(run(_i, 7), 7);
    pid_t supervisor = scene_supervisor();
    limit_descriptors(supervisor, (rlim_t)scene_highest_descriptor(supervisor) + 5, 0, &before);
    for (int i = 0; i < MANY; i++) started += linger_start(&processes[started], _i, never) == 0;
    ck_assert_int_gt(started, 0);
    OK(brood_event_set(never));
    if (_i != BROOD_START_FORK) ck_assert_int_lt(started, MANY);
    for (int i = 0; i < started / 2; i++) ck_assert_int_eq(scene_end(processes[i]), 0);
    ck_assert_int_eq(prlimit(supervisor, RLIMIT_NOFILE, &before, NULL), 0);
    for (int i = started / 2; i < started; i++) {
        OK(brood_process_join(processes[i], PATIENCE, &code));
        ck_assert_int_eq(code, 0);
        OK(brood_process_free(processes[i]));
    }
}
END_TEST

START_TEST(fini_needs_no_descriptors)
{
    struct rlimit before;
    brood_event never;
    brood_process process;
    brood_process_options options = {.method = (brood_start_method)_i, .daemon = true};
    OK(brood_event_new(&never));
    OK(brood_process_start(&process, &options, linger, &never));
    pid_t pid = brood_process_pid(process), supervisor = scene_supervisor();
    limit_descriptors(getpid(), (rlim_t)next_descriptor(), 0, &before);
    OK(brood_fini());
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert(scene_ended(pid, 0));
    ck_assert(scene_ended(supervisor, 0));
}
END_TEST

/* ------------------------------------------------------------------------------------ out of arena */

START_TEST(the_table_is_full)
{
    brood_process process;
    uint32_t *claimed = malloc((1 << 16) * sizeof *claimed), count = 0, next;
    ck_assert_ptr_nonnull(claimed);
    ck_assert_int_eq(run(_i, 7), 7);
    int error;
    while ((error = brood__member_claim("nobody", ROLE_PROCESS, BROOD_START_FORK, false, &next)) == 0)
        claimed[count++] = next;
    ck_assert_int_eq(error, BROOD_EARENA);
    ck_assert_int_eq(brood_process_start(&process, BY(_i), answer, &(int){0}), BROOD_EARENA);
    for (uint32_t i = 0; i < count; i++) brood__member_abandon(claimed[i]);
    free(claimed);
    ck_assert_int_eq(run(_i, 8), 8);
}
END_TEST

/* ------------------------------------------------------------------------------------ no member */

START_TEST(there_is_no_family)
{
    brood_process process;
    brood_pool pool;
    char name[4];
    OK(brood_fini());
    ck_assert_int_eq(brood_process_start(&process, BY(_i), answer, &(int){0}), BROOD_ENOTMEMBER);
    process.id = 1;
    ck_assert_int_eq(brood_process_join(process, 0, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_kill(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_terminate(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_signal(process, SIGUSR1), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_free(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_is_alive(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_exit_code(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_pid(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_name(process, name, sizeof name), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_sentinel(process), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), BROOD_ENOTMEMBER);
    ck_assert_uint_eq(brood_process_current().id, 0);
    ck_assert_uint_eq(brood_process_parent().id, 0);
    ck_assert_int_eq(brood_set_start_method(BROOD_START_FORK), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_get_start_method(), BROOD_START_DEFAULT);
    ck_assert_int_eq(brood_arena_usage(NULL, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_pool_new(&pool, NULL), BROOD_ENOTMEMBER);
    ck_assert_uint_ge(brood_cpu_count(), 1);
}
END_TEST

/* ------------------------------------------------------------------------------------ what is no task, or is gone */

START_TEST(it_is_no_task)
{
    brood_process process;
    static brood_task writable;
    brood_task copy = writable = *BROOD_TASK_OF(answer), wrong = copy;
    wrong.magic++;
    ck_assert_int_eq(brood_process_start_task(&process, BY(_i), NULL, &(int){0}), BROOD_ETASK);
    ck_assert_int_eq(brood_process_start_task(&process, BY(_i), &wrong, &(int){0}), BROOD_ETASK);
    ck_assert_int_eq(brood_process_start_task(&process, BY(_i), &writable, &(int){0}), BROOD_ETASK);
    ck_assert_int_eq(brood_process_start_task(&process, BY(_i), &copy, &(int){0}), BROOD_EMODULE);
    ck_assert_str_ne(brood_error_detail(), "");
    ck_assert_int_eq(run(_i, 5), 5);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char fresh[PATH_MAX + 8], bytes[65536];
    snprintf(fresh, sizeof fresh, "%s.new", to);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ck_assert_int_ge(in, 0);
    ck_assert_int_ge(out, 0);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;) ck_assert_int_eq(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
    ck_assert_int_eq(rename(fresh, to), 0);
}

static int start_area(brood_process *process, const brood_task *area)
{
    int sides[2] = {6, 7};
    return brood_process_start_task(process, BY(BROOD_START_SPAWN), area, sides);
}

START_TEST(its_library_is_another)
{
    char dir[] = "/tmp/brood-errors-XXXXXX", path[PATH_MAX];
    brood_process process;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/libshapes.so", dir);
    copy_file(SHAPES, path);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_ptr_nonnull(handle);
    const brood_task *(*area)(void);
    *(void **)(&area) = dlsym(handle, "shapes_area");
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        int sides[2] = {6, 7};
        OK(brood_process_start_task(&process, BY(method), area(), sides));
        ck_assert_int_eq(scene_end(process), 42);
    }
    copy_file(SHAPES_OTHER, path);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(start_area(&process, area()), BROOD_EMODULE);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "libshapes.so"));
    }
    unlink(path);
    ck_assert_int_eq(start_area(&process, area()), BROOD_EMODULE);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "libshapes.so"));
    int sides[2] = {6, 7};
    OK(brood_process_start_task(&process, BY(BROOD_START_FORK), area(), sides));
    ck_assert_int_eq(scene_end(process), 42);
    copy_file(SHAPES, path);
    OK(start_area(&process, area()));
    ck_assert_int_eq(scene_end(process), 42);
    unlink(path);
    rmdir(dir);
    dlclose(handle);
}
END_TEST

/* What the loader of a program run again reads from the environment is there before its main. */
static char early[64] = "(none)";
__attribute__((constructor)) static void look_early(void)
{
    const char *value = getenv("SCENE_LOADER");
    if (value) snprintf(early, sizeof early, "%s", value);
}
static BROOD_TASK(tell_early, int, void)
{
    return strcmp(early, "as it was") == 0 ? 0 : 2;
}

START_TEST(the_loader_has_an_environment)
{
    brood_process process;
    setenv("SCENE_LOADER", "as it was", 1);
    OK(brood_process_start(&process, BY(BROOD_START_SPAWN), tell_early, NULL));
    ck_assert_int_eq(scene_end(process), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ a forged beginning */

/* The program run again by hand, as the library does it, and our end of its channel. */
struct hand {
    pid_t pid;
    int channel;
};

static struct hand by_hand(int type)
{
    int ends[2];
    struct hand hand;
    ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    hand.channel = ends[0];
    hand.pid = brood__os_run_detached(NULL, "by-hand", BOOTSTRAP_VARIABLE, ends[1]);
    ck_assert_int_gt(hand.pid, 0);
    close(ends[1]);
    return hand;
}

/* It ends by itself, with an error, once it has seen the end of its channel. */
static void ends_with_error(struct hand hand)
{
    shutdown(hand.channel, SHUT_WR);
    int code = scene_reap(hand.pid, PATIENCE); /* an orphan: it is this process's child now */
    close(hand.channel);
    if (code <= 0) ck_abort_msg("it ended with %d", code);
}

static const struct hello good_hello = {
    .magic = HELLO_MAGIC, .kind = HELLO_PROCESS, .member = 5, .method = BROOD_START_SPAWN};

static void send_hello(struct hand hand, const struct hello *hello, size_t size, const int *fds, size_t count)
{
    OK(brood__os_send(hand.channel, hello, size, fds, count, brood__os_deadline(PATIENCE)));
}

static void family_fds(int fds[HELLO_FIXED_FDS])
{
    fds[0] = brood__self->memory;
    fds[1] = brood__self->listener;
    fds[2] = brood__self->lifeline_watch;
}

START_TEST(its_hello_is_cut)
{
    int fds[HELLO_FIXED_FDS];
    family_fds(fds);
    ends_with_error(by_hand(SOCK_STREAM));
    for (size_t size = 1; size < sizeof good_hello; size += 3) {
        struct hand hand = by_hand(SOCK_STREAM);
        send_hello(hand, &good_hello, size, fds, size % 2 ? HELLO_FIXED_FDS : 0);
        ends_with_error(hand);
    }
}
END_TEST

START_TEST(its_hello_is_wrong)
{
    int fds[HELLO_FIXED_FDS];
    family_fds(fds);
    for (int what = 0; what < 12; what++) {
        struct hello hello = good_hello;
        size_t count = HELLO_FIXED_FDS;
        switch (what) {
        case 0: hello.magic ^= 1; break;
        case 1: count = 2; break;
        case 2: count = 0; break;
        case 3: hello.size = UINT64_MAX; break;
        case 4: hello.size = PREPARE_MOST; break;
        case 5: hello.size = 100; break;
        case 6: hello.kind = 77; break;
        case 8: hello.size = 8, hello.place = 8; break;
        case 9: hello.size = 8, hello.place = UINT64_MAX - 4; break;
        case 10: hello.size = PREPARE_MOST, hello.place = brood__arena()->size - 100; break;
        case 11: hello.size = 100, hello.place = brood__arena()->size - 100; break;
        default: hello.kind = HELLO_SUPERVISOR, hello.member = 4711; break; /* an epoch that never was */
        }
        struct hand hand = by_hand(SOCK_STREAM);
        send_hello(hand, &hello, sizeof hello, fds, count);
        if (what == 7) {
            shutdown(hand.channel, SHUT_WR);
            ck_assert_int_ge(scene_reap(hand.pid, PATIENCE), 0);
            close(hand.channel);
        } else {
            ends_with_error(hand);
        }
    }
}
END_TEST

static int memory_of(size_t size, const void *bytes, size_t used)
{
    int fd = memfd_create("forged", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    if (used) ck_assert_int_eq(pwrite(fd, bytes, used, 0), (ssize_t)used);
    return fd;
}

/* Descriptors that are not what they stand for. */
START_TEST(its_memory_is_none)
{
    static struct arena_shm header;
    header = (struct arena_shm){.magic = ARENA_MAGIC, .version = ARENA_VERSION, .size = UINT64_C(1) << 40};
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const int forged[] = {ends[0],
                          open("/dev/null", O_RDWR | O_CLOEXEC),
                          memory_of(0, NULL, 0),
                          memory_of(100, NULL, 0),
                          memory_of(1 << 20, NULL, 0),
                          memory_of(1 << 20, &header, sizeof header)};
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        for (int kind = HELLO_SUPERVISOR; kind <= HELLO_PROCESS; kind++) {
            struct hello hello = good_hello;
            hello.kind = (uint32_t)kind;
            int fds[HELLO_FIXED_FDS];
            family_fds(fds);
            fds[0] = forged[i];
            struct hand hand = by_hand(SOCK_STREAM);
            send_hello(hand, &hello, sizeof hello, fds, HELLO_FIXED_FDS);
            ends_with_error(hand);
        }
    }
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) close(forged[i]);
    close(ends[1]);
}
END_TEST

START_TEST(its_channel_brings_noise)
{
    uint64_t random = 88172645463325252u;
    int fds[HELLO_FIXED_FDS];
    family_fds(fds);
    for (int i = 0; i < 60; i++) {
        unsigned char bytes[300];
        for (size_t k = 0; k < sizeof bytes; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            bytes[k] = (unsigned char)random;
        }
        struct hello hello = good_hello;
        hello.size = random % (sizeof bytes + 1);
        struct hand hand = by_hand(i % 4 == 3 ? SOCK_SEQPACKET : SOCK_STREAM);
        if (i % 2) {
            send_hello(hand, &hello, sizeof hello, fds, HELLO_FIXED_FDS);
            if (hello.size) brood__os_write_all(hand.channel, bytes, hello.size, brood__os_deadline(PATIENCE));
        } else {
            brood__os_send(hand.channel, bytes, 1 + random % sizeof bytes, fds, random % 4,
                           brood__os_deadline(PATIENCE));
        }
        ends_with_error(hand);
    }
}
END_TEST

/* A start as the library makes it, of one that gets so many ends, up to the report: its code. */
static int to_report(const struct process_object *object, uint32_t gets, struct hand *hand, uint32_t *member)
{
    struct preparation preparation = brood__prepared;
    struct hello hello = good_hello;
    void *bytes;
    size_t size;
    int fds[HELLO_FIXED_FDS];
    family_fds(fds);
    OK(brood__member_claim("by-hand", ROLE_PROCESS, BROOD_START_SPAWN, false, member));
    OK(brood__prepare_encode(&preparation, object, &bytes, &size));
    hello.member = *member;
    hello.generation = brood__member_generation(*member);
    hello.size = size;
    hello.gets = gets;
    *hand = by_hand(SOCK_STREAM);
    send_hello(*hand, &hello, sizeof hello, fds, HELLO_FIXED_FDS);
    OK(brood__os_write_all(hand->channel, bytes, size, brood__os_deadline(PATIENCE)));
    free(bytes);
    return brood__report_receive(hand->channel, brood__os_deadline(PATIENCE));
}

static BROOD_TASK(leave_a_mark, int, brood_buffer, place)
{
    *(int *)brood_buffer_data(place, NULL) = 1;
    return 42;
}

/* Who has ends to give and dies before it has said "go" has started nothing; with nothing to give, it is not waited for. */
START_TEST(its_starter_is_gone)
{
    static const struct {
        uint32_t gets;
        bool go, runs;
    } starts[] = {{1, false, false}, {1, true, true}, {0, false, true}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        int *mark;
        brood_buffer place = scene_shared(sizeof *mark, &mark);
        struct process_object object = {.arg = &place, .arg_size = sizeof place};
        struct hand hand;
        uint32_t member;
        OK(brood__function_ref(BROOD_TASK_OF(leave_a_mark), &object.function));
        OK(to_report(&object, starts[i].gets, &hand, &member));
        if (starts[i].go) brood__go_send(hand.channel);
        OK(brood__supervisor_request(&(struct request){.kind = REQUEST_WATCH, .member = member}, NULL, 0));
        shutdown(hand.channel, SHUT_WR);
        ck_assert_int_eq(scene_reap(hand.pid, PATIENCE), starts[i].runs ? 42 : 127);
        ck_assert_int_eq(*mark, starts[i].runs);
        close(hand.channel);
        brood__member_abandon(member);
    }
}
END_TEST

/* All is right but the function: the report says so. */
START_TEST(its_function_is_forged)
{
    const function_ref forged[] = {1, UINT64_MAX, (function_ref)1 << 48, (function_ref)77 << 48 | 4};
    function_ref good;
    OK(brood__function_ref(BROOD_TASK_OF(answer), &good));
    for (size_t i = 0; i <= sizeof forged / sizeof *forged; i++) {
        bool near = i == sizeof forged / sizeof *forged;
        struct process_object object = {.function = near ? good + 8 : forged[i], .arg = "abcd", .arg_size = 4};
        struct hand hand;
        uint32_t member;
        int code = to_report(&object, 0, &hand, &member);
        if (near)
            ck_assert_int_eq(code, BROOD_ETASK);
        else
            ck_assert(code == BROOD_ETASK || code == BROOD_EMODULE);
        ck_assert_str_ne(brood_error_detail(), "");
        ends_with_error(hand);
        brood__member_abandon(member);
    }
}
END_TEST

/* A variable that means another process, or nobody, is no matter. */
static int with_variable(void *arg)
{
    int code;
    brood_process process;
    setenv("BROOD_BOOTSTRAP", arg, 1);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(!getenv("BROOD_BOOTSTRAP"));
    MUST(brood_process_start(&process, BY(BROOD_START_SPAWN), answer, &(int){4}) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 4);
    return brood_fini() < 0;
}

START_TEST(its_variable_is_anothers)
{
    static char values[][24] = {"", "1:0", "x", "-1:-1", "99999999999999:5", "1:", ":3"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        ck_assert_int_eq(scene_run(with_variable, values[i]), 0);
}
END_TEST

static int with_own_variable(void *arg)
{
    char value[32];
    snprintf(value, sizeof value, "%d:%d", (int)getpid(), *(int *)arg);
    setenv("BROOD_BOOTSTRAP", value, 1);
    brood_init(NULL, NULL);
    return 0;
}

START_TEST(its_channel_is_none)
{
    int ends[2], closed = dup(0), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(closed);
    const int channels[] = {closed, 1000000, null, ends[0]};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        int channel = channels[i];
        ck_assert_int_gt(scene_run(with_own_variable, &channel), 0);
    }
    close(null);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static Suite *errors_suite(void)
{
    Suite *suite = suite_create("process/errors");
    TCase *start = brood_test_case(suite, "start");
    tcase_add_test(start, main_does_not_call_brood_init);
    scene_each_method(start, supervisor_is_too_slow);
    scene_each_method(start, there_are_too_many_processes);
    scene_each_method(start, there_may_be_no_process);
    scene_each_method(start, there_is_no_family);
    TCase *want = brood_test_case(suite, "want");
    scene_each_method(want, caller_is_out_of_descriptors);
    scene_each_method(want, supervisor_is_out_of_descriptors);
    scene_each_method(want, supervisor_recovers_from_want);
    scene_each_method(want, fini_needs_no_descriptors);
    scene_each_method(want, the_table_is_full);
    TCase *function = brood_test_case(suite, "function");
    scene_each_method(function, it_is_no_task);
    tcase_add_test(function, its_library_is_another);
    tcase_add_test(function, the_loader_has_an_environment);
    tcase_add_test(function, its_function_is_forged);
    tcase_add_test(function, its_starter_is_gone);
    TCase *beginning = brood_test_case(suite, "beginning");
    tcase_add_test(beginning, its_hello_is_cut);
    tcase_add_test(beginning, its_hello_is_wrong);
    tcase_add_test(beginning, its_memory_is_none);
    tcase_add_test(beginning, its_channel_brings_noise);
    tcase_add_test(beginning, its_variable_is_anothers);
    tcase_add_test(beginning, its_channel_is_none);
    return suite;
}

BROOD_TEST_MAIN(errors_suite)
