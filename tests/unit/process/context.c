/* SPDX-License-Identifier: MIT */
/*
 * context.c - contexts side by side, other programs than one's own, and what a fork server runs before it forks.
 */
#include "arena/member.h"
#include "process/program.h"
#include "scene.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const brood_start_method methods[] = {BROOD_START_FORK, BROOD_START_SPAWN, BROOD_START_FORKSERVER};
#define METHODS 3

/* What a child tells of itself. */
struct told {
    brood_start_method method;
    pid_t pid, parent, loader;
    int loaded;
    char program[256];
};

static int loaded;
static pid_t loader;

BROOD_TASK(load, void)
{
    loaded++;
    loader = getpid();
}
BROOD_TASK(load_more, void)
{
    loaded += 10;
    loader = getpid();
}

static struct told tell(void)
{
    brood_preparation data = {0};
    struct told told = {.pid = getpid(), .parent = getppid(), .loader = loader, .loaded = loaded};
    if (brood_preparation_data(&data) == 0) told.method = data.method;
    ssize_t size = readlink("/proc/self/exe", told.program, sizeof told.program - 1);
    told.program[size > 0 ? size : 0] = 0;
    return told;
}
BROOD_TASK(speak, int, brood_queue, to)
{
    struct told told = tell();
    return brood_queue_put_value(to, &told, PATIENCE) == 0 ? 5 : 1;
}
BROOD_TASK(speak_now, struct told, int, x)
{
    (void)x;
    return tell();
}

static brood_queue queue;
static void have_queue(void)
{
    OK(brood_queue_new(&queue, NULL));
}

/* Start by these, and hear. */
static struct told ask(const brood_process_options *options)
{
    struct told told;
    brood_process p;
    OK(brood_process_start(&p, options, speak, &queue));
    OK(brood_queue_get_value(queue, &told, PATIENCE));
    ck_assert_int_eq(scene_end(p), 5);
    return told;
}
static struct told ask_in(const brood_context *context)
{
    return ask(&(brood_process_options){.context = context});
}

/* The start fails with this code, and the detail has this text. */
static void refused(const brood_context *context, int code, const char *text)
{
    brood_process p;
    ck_assert_int_eq(brood_process_start(&p, &(brood_process_options){.context = context}, speak, &queue), code);
    if (!strstr(brood_error_detail(), text)) ck_abort_msg("detail: %s, not: %s", brood_error_detail(), text);
}

static char own[4096];
static const char *own_program(void)
{
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    own[size > 0 ? size : 0] = 0;
    return own;
}

/* ------------------------------------------------------------------------------------------------------- side by side */

START_TEST(side_by_side)
{
    have_queue();
    brood_context contexts[3];
    for (int i = 0; i < 3; i++) contexts[i] = (brood_context){.method = methods[i]};
    OK(brood_set_start_method(methods[_i]));
    for (int i = 0; i < 6; i++) ck_assert_int_eq(ask_in(&contexts[i % 3]).method, methods[i % 3]);
    ck_assert_int_eq(brood_get_start_method(), methods[_i]);
    ck_assert_int_eq(ask(NULL).method, methods[_i]);
    ck_assert_int_eq(ask_in(&(brood_context){0}).method, methods[_i]);
    /* the option's own goes first */
    brood_process_options both = {.method = methods[_i], .context = &contexts[(_i + 1) % 3]};
    ck_assert_int_eq(ask(&both).method, methods[_i]);
    OK(brood_queue_free(queue));
}
END_TEST

START_TEST(pools_side_by_side)
{
    brood_pool pools[3];
    brood_context contexts[3];
    struct told told;
    for (int i = 0; i < 3; i++) {
        contexts[i] = (brood_context){.method = methods[i]};
        OK(brood_pool_new(&pools[i], &(brood_pool_options){.workers = 1, .context = &contexts[i]}));
        contexts[i] = (brood_context){.method = (brood_start_method)77}; /* nothing of it is kept */
    }
    for (int i = 0; i < 3; i++) {
        OK(brood_pool_apply(pools[i], speak_now, &(int){1}, &told));
        ck_assert_int_eq(told.method, methods[i]);
    }
    for (int i = 0; i < 3; i++) OK(brood_pool_free(pools[i]));
}
END_TEST

BROOD_TASK(takes_one, int, int, x)
{
    return x;
}

START_TEST(out_of_range)
{
    brood_pool pool;
    brood_task no_task = {0};
    have_queue();
    const struct {
        brood_context context;
        int code;
    } rows[] = {
        {{.method = (brood_start_method)(BROOD_START_THREAD + 1)}, BROOD_EINVAL},
        {{.start_timeout = -1}, BROOD_EINVAL},
        {{.preload = BROOD_TASK_OF(takes_one)}, BROOD_EINVAL},
        {{.preload = &no_task}, BROOD_ETASK},
        {{.executable = "/nowhere/at/all"}, BROOD_EEXEC},
        {{.executable = ""}, BROOD_EEXEC},
        {{.executable = "/tmp"}, BROOD_EEXEC},
        {{.executable = "/etc/passwd"}, BROOD_EEXEC},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(&rows[i].context, rows[i].code, "");
        ck_assert_int_eq(brood_pool_new(&pool, &(brood_pool_options){.context = &rows[i].context}), rows[i].code);
    }
    ck_assert_int_eq(brood_set_forkserver_preload(&no_task), BROOD_ETASK);
    ck_assert_int_eq(brood_set_forkserver_preload(BROOD_TASK_OF(takes_one)), BROOD_EINVAL);
    ck_assert_int_eq(brood_set_executable("/nowhere/at/all"), BROOD_EEXEC);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "/nowhere/at/all"));
    ck_assert_uint_eq(brood__program_default(), 0);
    ck_assert_ptr_nonnull(strstr(brood_worker_executable(), "/brood-worker"));
    OK(brood_queue_free(queue));
    OK(brood_fini());
    ck_assert_int_eq(brood_set_executable(NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_set_forkserver_preload(NULL), BROOD_ENOTMEMBER);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- other programs */

static char copy[64];
static void copy_program(void)
{
    char buffer[65536];
    snprintf(copy, sizeof copy, "/tmp/brood-context-%d", (int)getpid());
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
        to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    ck_assert(from >= 0 && to >= 0);
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) ck_assert_int_eq(write(to, buffer, (size_t)n), n);
    close(from);
    close(to);
}

START_TEST(executable)
{
    have_queue();
    copy_program();
    brood_context other = {.executable = copy};
    for (int i = 1; i < METHODS; i++) {
        other.method = methods[i];
        ck_assert_str_eq(ask_in(&other).program, copy);
        ck_assert_str_eq(ask(BY(methods[i])).program, own_program());
    }
    other.method = BROOD_START_FORK;
    ck_assert_str_eq(ask_in(&other).program, own_program());
    ck_assert_int_eq(ask_in(&other).parent, getpid());
    unlink(copy);
    other.method = BROOD_START_SPAWN;
    refused(&other, BROOD_EEXEC, copy);
    OK(brood_queue_free(queue));
}
END_TEST

START_TEST(executable_of_the_family)
{
    char link[64], program[256];
    have_queue();
    copy_program();
    OK(brood_set_executable(copy));
    for (int i = 1; i < METHODS; i++) ck_assert_str_eq(ask(BY(methods[i])).program, copy);
    /* of the supervisor too, which is then the server: there is no other */
    pid_t supervisor = scene_supervisor();
    snprintf(link, sizeof link, "/proc/%d/exe", (int)supervisor);
    ssize_t size = readlink(link, program, sizeof program - 1);
    program[size > 0 ? size : 0] = 0;
    ck_assert_str_eq(program, copy);
    ck_assert_int_eq(ask(BY(BROOD_START_FORKSERVER)).parent, supervisor);
    OK(brood_set_executable(NULL));
    for (int i = 1; i < METHODS; i++) ck_assert_str_eq(ask(BY(methods[i])).program, own_program());
    OK(brood_set_executable(NULL));
    ck_assert_str_eq(ask(BY(BROOD_START_SPAWN)).program, own_program());
    unlink(copy);
    OK(brood_queue_free(queue));
}
END_TEST

/* /bin/true, and one that does something else for ever. */
START_TEST(strange_executable)
{
    have_queue();
    brood_context strange = {.method = BROOD_START_SPAWN, .executable = "/bin/true"};
    refused(&strange, BROOD_ENOINIT, "without calling brood_init");
    strange.method = BROOD_START_FORKSERVER;
    refused(&strange, BROOD_ESTART, "without calling brood_init");
    ck_assert_int_eq(ask(NULL).method, BROOD_START_FORKSERVER);
    OK(brood_queue_free(queue));
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- preloads */

static const brood_context warm = {.method = BROOD_START_FORKSERVER, .preload = BROOD_TASK_OF(load)};
static const brood_context warmer = {.method = BROOD_START_FORKSERVER, .preload = BROOD_TASK_OF(load_more)};

START_TEST(runs_once)
{
    have_queue();
    struct told first = ask_in(&warm), other = ask_in(&warmer);
    ck_assert(first.loaded == 1 && other.loaded == 10);
    ck_assert(first.loader == first.parent && other.loader == other.parent && first.parent != other.parent);
    for (int i = 0; i < 4; i++) {
        struct told next = ask_in(i % 2 ? &warmer : &warm);
        ck_assert_int_eq(next.loaded, i % 2 ? 10 : 1);
        ck_assert_int_eq(next.loader, i % 2 ? other.loader : first.loader);
    }
    ck_assert_int_eq(ask(NULL).loaded, 0);
    ck_assert_int_eq(loaded, 0);
    ck_assert_int_eq(ask_in(&(brood_context){.method = BROOD_START_SPAWN, .preload = BROOD_TASK_OF(load)}).loaded, 0);
    ck_assert_int_eq(ask_in(&(brood_context){.method = BROOD_START_FORK, .preload = BROOD_TASK_OF(load)}).loaded, 0);
    brood_process none[4];
    ck_assert_int_eq(brood_process_active_children(none, 4), 0); /* a server is nobody's child */
    OK(brood_queue_free(queue));
}
END_TEST

START_TEST(of_the_family)
{
    have_queue();
    struct told told;
    brood_pool pool;
    OK(brood_set_forkserver_preload(BROOD_TASK_OF(load)));
    ck_assert_int_eq(ask(NULL).loaded, 1);
    ck_assert_int_eq(ask_in(&warmer).loaded, 10);
    ck_assert_int_eq(ask(BY(BROOD_START_SPAWN)).loaded, 0);
    OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 1}));
    OK(brood_pool_apply(pool, speak_now, &(int){1}, &told));
    ck_assert_int_eq(told.loaded, 1);
    OK(brood_pool_free(pool));
    OK(brood_set_forkserver_preload(NULL));
    ck_assert_int_eq(ask(NULL).loaded, 0);
    OK(brood_queue_free(queue));
}
END_TEST

/* What it begins with can't be told to one that the server has forked by then: that one is not waited for in vain. */
START_TEST(refuses_at_once)
{
    const brood_process_options options = {.context = &warm, .cpus = &(int){-1}, .cpu_count = 1};
    have_queue();
    ck_assert_int_eq(ask_in(&warm).loaded, 1);
    for (int i = 0; i < 60; i++) { /* if each took a second, that were too long for a test */
        brood_process process;
        ck_assert_int_eq(brood_process_start(&process, &options, speak_now, &(int){1}), BROOD_EINVAL);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "cpus"));
    }
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
    ck_assert_int_eq(ask_in(&warm).loaded, 1);
    OK(brood_queue_free(queue));
}
END_TEST

BROOD_TASK(crash, void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}
BROOD_TASK(refuse, int)
{
    brood_fail(42, "no tables");
    return 0;
}
BROOD_TASK(leave, void)
{
    exit(3);
}
static void *idle(void *arg)
{
    for (;;) pause();
    return arg;
}
BROOD_TASK(thread, void)
{
    pthread_t t;
    pthread_create(&t, NULL, idle, NULL);
}
BROOD_TASK(be_killed, void)
{
    kill(getpid(), SIGKILL);
}

START_TEST(fails)
{
    static const struct {
        const brood_task *task;
        int code;
        const char *text;
    } rows[] = {
        {BROOD_TASK_OF(crash), BROOD_ESTART, "preload crash: killed by signal 11"},
        {BROOD_TASK_OF(refuse), BROOD_ESTART, "preload refuse: no tables (42)"},
        {BROOD_TASK_OF(leave), BROOD_ESTART, "preload leave: exited with code 3"},
        {BROOD_TASK_OF(thread), BROOD_ETHREADS, "preload thread: it has made threads"},
        {BROOD_TASK_OF(be_killed), BROOD_ESTART, "preload be_killed: killed by signal 9"},
    };
    have_queue();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        brood_context context = {.preload = rows[i].task};
        refused(&context, rows[i].code, rows[i].text);
        refused(&context, rows[i].code, rows[i].text); /* and again */
        brood_pool pool;
        int code;
        OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .context = &context}));
        struct told told;
        code = brood_pool_apply(pool, speak_now, &(int){1}, &told);
        ck_assert_int_eq(code, rows[i].code);
        OK(brood_pool_free(pool));
    }
    ck_assert_int_eq(ask_in(&warm).loaded, 1);
    OK(brood_queue_free(queue));
}
END_TEST

/* The server is killed: another has it behind it, and whom the first forked lives on. */
BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, PATIENCE) == 0 ? 7 : 1;
}

static void kill_and_see(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert(scene_ended(pid, PATIENCE));
}

START_TEST(is_killed)
{
    have_queue();
    brood_event event;
    brood_process sleeper;
    OK(brood_event_new(&event));
    OK(brood_process_start(&sleeper, (&(brood_process_options){.context = &warm}), wait_for, &event));
    struct told before = ask_in(&warm), after;
    for (int i = 0; i < 5; i++) {
        kill_and_see(before.parent);
        after = ask_in(&warm);
        ck_assert(after.loaded == 1 && after.parent != before.parent && after.loader == after.parent);
        before = after;
    }
    pid_t supervisor = scene_supervisor();
    kill_and_see(supervisor);
    after = ask_in(&warm);
    ck_assert(after.loaded == 1 && after.parent != before.parent);
    ck_assert(scene_ended(before.parent, PATIENCE)); /* it leaves with the supervisor */
    ck_assert_int_eq(brood_process_is_alive(sleeper), 1);
    OK(brood_event_set(event));
    ck_assert_int_eq(scene_end(sleeper), 7);
    OK(brood_event_free(event));
    OK(brood_queue_free(queue));
}
END_TEST

/* Killed at any time, while many are started. */
static void *hunt(void *arg)
{
    _Atomic bool *over = arg;
    while (!atomic_load(over)) {
        uint32_t used = brood__table_used(TABLE_MEMBER);
        for (uint32_t i = 1; i < used; i++) {
            struct member_shm *m = brood__member_at(i);
            if (m->role != ROLE_SERVER || SLOT_STATE(atomic_load(&m->slot.word)) != SLOT_LIVE) continue;
            if (!atomic_load(&m->gone) && m->pid > 0) kill(m->pid, SIGKILL);
        }
        usleep(30000);
    }
    return NULL;
}

START_TEST(is_hunted)
{
    _Atomic bool over = false;
    pthread_t hunter;
    have_queue();
    ck_assert_int_eq(pthread_create(&hunter, NULL, hunt, &over), 0);
    unsigned started = 0;
    for (int i = 0; i < 40; i++) {
        brood_process p;
        struct told told;
        int error = brood_process_start(&p, (&(brood_process_options){.context = &warm}), speak, &queue);
        if (error < 0) {
            ck_assert_int_eq(error, BROOD_ESTART);
            continue;
        }
        OK(brood_queue_get_value(queue, &told, PATIENCE));
        ck_assert_int_eq(told.loaded, 1);
        ck_assert_int_eq(scene_end(p), 5);
        started++;
    }
    atomic_store(&over, true);
    pthread_join(hunter, NULL);
    ck_assert_uint_gt(started, 10);
    OK(brood_queue_free(queue));
}
END_TEST

START_TEST(warm_workers)
{
    brood_pool pool;
    struct told told, before = {0};
    OK(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .context = &warm}));
    for (int i = 0; i < 4; i++) {
        OK(brood_pool_apply(pool, speak_now, &(int){1}, &told));
        ck_assert(told.loaded == 1 && told.loader == told.parent && told.pid != before.pid);
        if (i == 2) ck_assert_int_ne(told.loader, before.loader);
        if (i == 1) kill_and_see(told.loader);
        before = told;
        kill(told.pid, SIGKILL);
        ck_assert(scene_ended(told.pid, PATIENCE));
    }
    OK(brood_pool_free(pool));
}
END_TEST

/* ------------------------------------------------------------------------------------ how a child of a server stands */

BROOD_TASK(stand, int, int, fd)
{
    sigset_t mask;
    struct sigaction action;
    MUST(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    for (int number = 1; number < 32; number++) {
        MUST(sigismember(&mask, number) == 0 || number == SIGKILL || number == SIGSTOP);
        MUST(sigaction(number, NULL, &action) == 0);
        MUST(action.sa_handler == SIG_DFL || BROOD_TEST_SANITIZED); /* a sanitizer takes the faults */
    }
    char directory[64];
    MUST(getcwd(directory, sizeof directory) && strcmp(directory, "/tmp") == 0);
    MUST(getenv("CONTEXT_WORD") && strcmp(getenv("CONTEXT_WORD"), "said") == 0);
    MUST(brood_process_parent().id != 0);
    MUST(write(fd, "x", 1) == 1);
    if (fd == 9) kill(getpid(), SIGUSR1);
    return 4;
}

START_TEST(stands_as_told)
{
    static char word[] = "CONTEXT_WORD=said";
    static char *environment[] = {word, NULL};
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL); /* what the test's starter ignores */
    for (int fd = 8; fd <= 9; fd++) {
        int ends[2];
        char byte;
        brood_process p;
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        brood_descriptor passed = {ends[1], fd};
        brood_process_options options = {.directory = "/tmp",
                                         .environment = environment,
                                         .descriptors = &passed,
                                         .descriptor_count = 1,
                                         .context = &warm,
                                         .daemon = fd == 9};
        OK(brood_process_start(&p, &options, stand, &fd));
        close(ends[1]);
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        ck_assert_int_eq(scene_end(p), fd == 9 ? -SIGUSR1 : 4);
        ck_assert_int_eq(read(ends[0], &byte, 1), 0); /* the server has none of it */
        close(ends[0]);
    }
    pid_t server = 0;
    for (uint32_t i = 1; i < brood__table_used(TABLE_MEMBER); i++)
        if (brood__member_at(i)->role == ROLE_SERVER) server = brood__member_at(i)->pid;
    int open = scene_descriptors(server);
    have_queue();
    for (int i = 0; i < 5; i++) ask_in(&warm);
    ck_assert_int_eq(scene_descriptors_at_most(server, open), open);
    ck_assert_int_gt(scene_descriptors(server), 3);
    OK(brood_queue_free(queue));
}
END_TEST

/* From a child, which has the family's default. */
BROOD_TASK(start_another, int, brood_queue, to)
{
    brood_process p;
    int code = 0;
    MUST(brood_process_start(&p, NULL, speak, &to) == 0);
    MUST(brood_process_join(p, PATIENCE, &code) == 0 && code == 5);
    return brood_process_free(p) == 0 ? 0 : 1;
}

START_TEST(of_grandchildren)
{
    brood_process p;
    struct told told;
    have_queue();
    OK(brood_set_forkserver_preload(BROOD_TASK_OF(load)));
    OK(brood_process_start(&p, BY(methods[_i]), start_another, &queue));
    ck_assert_int_eq(scene_end(p), 0);
    OK(brood_queue_get_value(queue, &told, PATIENCE));
    ck_assert(told.loaded == 1 && told.loader == told.parent);
    OK(brood_queue_free(queue));
}
END_TEST

static Suite *context_suite(void)
{
    Suite *suite = suite_create("context");
    TCase *contexts = brood_test_case(suite, "contexts");
    tcase_add_loop_test(contexts, side_by_side, 0, METHODS);
    tcase_add_test(contexts, pools_side_by_side);
    tcase_add_test(contexts, out_of_range);
    TCase *programs = brood_test_case(suite, "programs");
    tcase_add_test(programs, executable);
    tcase_add_test(programs, executable_of_the_family);
    tcase_add_test(programs, strange_executable);
    TCase *preloads = brood_test_case(suite, "preloads");
    tcase_add_test(preloads, runs_once);
    tcase_add_test(preloads, of_the_family);
    tcase_add_test(preloads, refuses_at_once);
    tcase_add_test(preloads, fails);
    tcase_add_test(preloads, is_killed);
    tcase_add_test(preloads, is_hunted);
    tcase_add_test(preloads, warm_workers);
    tcase_add_test(preloads, stands_as_told);
    tcase_add_loop_test(preloads, of_grandchildren, 0, METHODS);
    return suite;
}

BROOD_TEST_MAIN(context_suite)
