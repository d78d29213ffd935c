/* SPDX-License-Identifier: MIT */
/* scenes_process.c - processes: started, joined, killed, with all their options, of starters that are children. */
#include "arena/arena.h"
#include "play.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

BROOD_TASK(add, int, int, a, int, b)
{
    return a + b;
}

static void one_process(brood_start_method method)
{
    brood_process p;
    brood_process_options options = {.method = method};
    if (!ok(KIND_START, brood_process_start(&p, &options, add, &(add_args){3, 4}))) return;
    ok(KIND_ERRNO, brood_process_sentinel(p));
    end_process(p, 7);
}

static void by_fork(void)
{
    one_process(BROOD_START_FORK);
}
static void by_spawn(void)
{
    one_process(BROOD_START_SPAWN);
}
static void by_forkserver(void)
{
    one_process(BROOD_START_FORKSERVER);
}

BROOD_TASK(write_down, int, int, fd)
{
    char directory[64] = "";
    const char *value = getenv("FAIL_WORD");
    if (OWN(getcwd(directory, sizeof directory)) == NULL || strcmp(directory, "/tmp") != 0) return 2;
    if (!value || strcmp(value, "said") != 0) return 3;
    return OWN(write(fd, "x", 1)) == 1 ? 0 : 4;
}

static void with_options(void)
{
    static char word[] = "FAIL_WORD=said";
    static char *environment[] = {word, NULL};
    for (int method = BROOD_START_SPAWN; method <= BROOD_START_FORKSERVER; method++) {
        int ends[2], cpu = OWN(sched_getcpu());
        brood_process p;
        if (OWN(pipe2(ends, O_CLOEXEC)) < 0) return;
        brood_descriptor passed = {ends[1], 5};
        brood_process_options options = {.method = (brood_start_method)method,
                                         .directory = "/tmp",
                                         .environment = environment,
                                         .descriptors = &passed,
                                         .descriptor_count = 1,
                                         .cpus = &cpu,
                                         .cpu_count = 1,
                                         .memory_limit = (size_t)1 << 30,
                                         .cpu_seconds = 100};
        bool started = ok(KIND_START, brood_process_start(&p, &options, write_down, &(int){5}));
        close(ends[1]);
        char byte;
        if (started) {
            expect(OWN(read(ends[0], &byte, 1)) == 1);
            end_process(p, 0);
        }
        close(ends[0]);
        if (!started) return;
    }
}

BROOD_TASK(be_killed, int, void)
{
    OWN(kill(getpid(), SIGKILL));
    return 0;
}

static void crash(void)
{
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process p;
        brood_process_options options = {.method = (brood_start_method)method};
        if (!ok(KIND_START, brood_process_start(&p, &options, be_killed, NULL))) return;
        end_process(p, -SIGKILL);
    }
}

/* In a child, which can't say more than by its exit code. */
BROOD_TASK(start_one, int, int, method)
{
    brood_process p;
    int code = 1;
    brood_process_options options = {.method = (brood_start_method)method};
    int error = brood_process_start(&p, &options, add, &(add_args){2, 3});
    if (error < 0) return brood_error_detail()[0] ? TOLD : 1;
    if (brood_process_join(p, BROOD_FOREVER, &code) < 0 || brood_process_free(p) < 0) return 2;
    return code == 5 ? 0 : code == TOLD || code == BROOD_EXIT_UNKNOWN ? TOLD : 3;
}

static void nested(void)
{
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process p;
        if (!ok(KIND_START, brood_process_start(&p, NULL, start_one, &method))) return;
        end_process(p, 0);
    }
}

static void no_supervisor(void)
{
    brood_process first, second;
    if (!ok(KIND_START, brood_process_start(&first, NULL, add, &(add_args){3, 4}))) return;
    OWN(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL));
    bool started = ok(KIND_START, brood_process_start(&second, NULL, add, &(add_args){4, 4}));
    int code;
    ok(KIND_NEVER, brood_process_join(first, BROOD_FOREVER, &code));
    expect(code == 7 || code == BROOD_EXIT_UNKNOWN || (!run_is_strict() && code == TOLD));
    ok(KIND_NEVER, brood_process_free(first));
    if (started) end_process(second, 8);
}

static int loaded;
BROOD_TASK(load, void)
{
    loaded = 7;
}
BROOD_TASK(tell_loaded, int)
{
    return loaded;
}

/* By a server, and of a program that is named. */
static void by_server(void)
{
    static const brood_context warm = {.method = BROOD_START_FORKSERVER, .preload = BROOD_TASK_OF(load)};
    brood_process p;
    if (!ok(KIND_START, brood_process_start(&p, (&(brood_process_options){.context = &warm}), tell_loaded))) return;
    end_process(p, 7);
}

static void by_executable(void)
{
    static const brood_context same = {.method = BROOD_START_SPAWN, .executable = "/proc/self/exe"};
    brood_process p;
    if (!ok(KIND_START, brood_process_start(&p, (&(brood_process_options){.context = &same}), tell_loaded))) return;
    end_process(p, 0);
}

const struct scene process_scenes[] = {
    {.name = "fork", .body = by_fork},
    {.name = "spawn", .body = by_spawn},
    {.name = "forkserver", .body = by_forkserver},
    {.name = "options", .body = with_options},
    {.name = "crash", .body = crash},
    {.name = "nested", .body = nested},
    {.name = "no_supervisor", .body = no_supervisor},
    {.name = "server", .body = by_server},
    {.name = "executable", .body = by_executable},
    {.name = NULL},
};
