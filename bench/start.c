/* SPDX-License-Identifier: MIT */
/* start.c - from nothing to the first result of a pool, and a process started and joined by each method. */
#include "harness.h"
#include "peer.h"
#include "zygote.h"

#include <brood.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 4
#define GIB ((size_t)1 << 30)

static const brood_start_method methods[] = {BROOD_START_FORK, BROOD_START_FORKSERVER, BROOD_START_SPAWN};

BROOD_TASK(nothing, int, void)
{
    return 0;
}

/* ------------------------------------------------------------------ from nothing */

/* This program anew: argv[2] is the method; what it prints is the peer protocol's answer. */
static int first_result(const char *name, double start)
{
    brood_pool pool = {0};
    brood_pool_options options = {.workers = WORKERS};
    int result = -1, error = brood_start_method_parse(&options.method, name);
    if (error == 0) error = brood_pool_new(&pool, &options);
    if (error == 0) error = brood_pool_apply(pool, nothing, NULL, &result);
    double seconds = bench_now() - start;
    if (error < 0 || result != 0)
        fprintf(stderr, "first result: %s: %s\n", brood_strerror(error), brood_error_detail());
    printf("%.9f\n", error < 0 ? -1 : seconds);
    fflush(stdout);
    brood_pool_free(pool);
    return 0;
}

/* Likewise when the program has had others: all that is started once is there. */
static double next_result(void *context, uint64_t n)
{
    brood_pool_options options = {.workers = WORKERS, .method = *(const brood_start_method *)context};
    double seconds = 0;
    for (uint64_t i = 0; i < n; i++) {
        brood_pool pool;
        int result = -1;
        double start = bench_now();
        int error = brood_pool_new(&pool, &options);
        if (error == 0) error = brood_pool_apply(pool, nothing, NULL, &result);
        if (error == 0) error = brood_pool_free(pool);
        seconds += bench_now() - start;
        if (error < 0 || result != 0) return bench_complain("next result", brood_strerror(error));
    }
    return seconds;
}

static void ask_first_results(void)
{
    for (size_t i = 0; i < 3; i++) {
        const char *method = brood_start_method_name(methods[i]);
        char name[64];
        struct peer self = {.program = "", .arguments = {"--first", method}, .fresh = true};
        struct peer python = {.arguments = {"python_start.py", method}, .fresh = true};
        snprintf(name, sizeof name, "first result of a pool of 4, %s", method);
        BENCH_ASK(name, "ms", {"brood", PEER(self, "first"), 1}, {"cpython", PEER(python, "first"), 1});
        struct peer again = {.arguments = {"python_start.py", method}};
        brood_start_method own = methods[i];
        snprintf(name, sizeof name, "a later pool of 4, to its end, %s", method);
        BENCH_ASK(name, "ms", {"brood", next_result, &own, 1}, {"cpython", PEER(again, "next"), 1});
        peer_close(&again);
    }
}

/* ------------------------------------------------------------------ start and join */

static double start_and_join(void *context, uint64_t n)
{
    brood_process_options options = {.method = *(const brood_start_method *)context};
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        brood_process p;
        int code = -1, error = brood_process_start(&p, &options, nothing, NULL);
        if (error == 0) error = brood_process_join(p, BROOD_FOREVER, &code);
        if (error == 0) error = brood_process_free(p);
        if (error < 0 || code != 0) return bench_complain("start", brood_strerror(error));
    }
    return bench_now() - start;
}

static double fork_and_wait(void *context, uint64_t n)
{
    (void)context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) _exit(0);
        if (waitpid(pid, &status, 0) < 0 || status != 0) return bench_complain("fork", strerror(errno));
    }
    return bench_now() - start;
}

static double spawn_and_wait(void *context, uint64_t n)
{
    (void)context;
    extern char **environ;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        int status = -1;
        pid_t pid;
        char *argv[] = {"bench_start", "--nothing", NULL};
        int error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
        if (error != 0 || waitpid(pid, &status, 0) < 0 || status != 0)
            return bench_complain("posix_spawn", strerror(error));
    }
    return bench_now() - start;
}

static void *nothing_in_a_thread(void *argument)
{
    return argument;
}

static double thread_and_join(void *context, uint64_t n)
{
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, nothing_in_a_thread, context);
        if (error == 0) error = pthread_join(thread, NULL);
        if (error != 0) return bench_complain("pthread_create", strerror(error));
    }
    return bench_now() - start;
}

static void ask_start_and_join(bool big, int zygote)
{
    const char *caller = big ? "a caller of 1 GiB" : "a small caller";
    struct peer python = {.arguments = {"python_start.py", big ? "big" : "small"}};
    for (size_t i = 0; i < 3; i++) {
        const char *method = brood_start_method_name(methods[i]);
        brood_start_method own = methods[i];
        char name[64];
        snprintf(name, sizeof name, "start+join, %s, %s", method, caller);
        struct bench_system raw = {"posix_spawn+wait", spawn_and_wait, NULL, 1};
        if (own == BROOD_START_FORK) raw = (struct bench_system){"fork+wait", fork_and_wait, NULL, 1};
        if (own == BROOD_START_FORKSERVER) raw = (struct bench_system){"bare zygote", zygote_fork_and_wait, &zygote, 1};
        BENCH_ASK(name, "us", {"brood", start_and_join, &own, 1}, raw, {"thread", thread_and_join, NULL, 1},
                  {"cpython", PEER(python, method), 1});
    }
    peer_close(&python);
}

int main(int argc, char **argv)
{
    double start = bench_now();
    if (argc > 1 && strcmp(argv[1], "--nothing") == 0) return 0;
    BROOD_INIT(&argc, &argv);
    if (argc > 2 && strcmp(argv[1], "--first") == 0) return first_result(argv[2], start);
    bench_begin("start", argc, argv);
    int zygote = zygote_start();
    ask_first_results();
    ask_start_and_join(false, zygote);
    char *memory = malloc(GIB);
    if (!memory) return (int)-bench_complain("1 GiB", strerror(errno));
    memset(memory, 1, GIB);
    bench_keep(memory);
    ask_start_and_join(true, zygote);
    free(memory);
    close(zygote);
    brood_fini();
    return 0;
}
