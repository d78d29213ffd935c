/* SPDX-License-Identifier: MIT */
/* scan.c - ports of 127.0.0.1: all of them by the example program and by nmap, and twenty by a pool of twenty. */
#include "harness.h"
#include "peer.h"

#include <arpa/inet.h>
#include <brood.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST = 80, PORTS = 20 };

/* A program from its start to its end, its output thrown away; the context is its arguments. */
static double program(void *context, uint64_t n)
{
    extern char **environ;
    char *const *argv = context;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&quiet, STDOUT_FILENO, STDERR_FILENO); /* which says how many it found */
    double start = bench_now();
    int error = 0, status = 0;
    for (uint64_t i = 0; i < n && error == 0 && status == 0; i++) {
        pid_t pid;
        error = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
        if (error == 0 && waitpid(pid, &status, 0) < 0) error = errno;
    }
    double seconds = bench_now() - start;
    posix_spawn_file_actions_destroy(&quiet);
    if (error == 0 && status == 0) return seconds;
    return bench_complain(argv[0], error ? strerror(error) : "failed");
}

BROOD_TASK(check_port, bool, int, port)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool open = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return open;
}

/* A pool for each, as the script of CPython has it. */
static double twenty(void *context, uint64_t n)
{
    (void)context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        int port[PORTS];
        bool open[PORTS];
        brood_pool pool;
        for (int k = 0; k < PORTS; k++) port[k] = FIRST + k;
        int error = brood_pool_new(&pool, &(brood_pool_options){.workers = PORTS});
        if (error == 0) error = brood_pool_map(pool, check_port, port, open, PORTS);
        if (error == 0) error = brood_pool_free(pool);
        if (error < 0) return bench_complain("scan", brood_strerror(error));
    }
    return bench_now() - start;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("scan", argc, argv);
    static char portscan[] = BENCH_BUILD "/../examples/portscan/portscan";
    char *own[] = {portscan, "-j", "2", "-p", "1-65535", "127.0.0.1", NULL};
    char *nmap[] = {"nmap", "-sT", "-n", "-Pn", "-p", "1-65535", "127.0.0.1", NULL};
    struct peer python = {.arguments = {"python_scan.py"}, .fresh = true};
    BENCH_ASK("all ports of 127.0.0.1, 2 workers", "ms", {"brood", program, own, 1}, {"nmap -sT", program, nmap, 1});
    BENCH_ASK("ports 80 to 99, 20 workers", "ms", {"brood", twenty, NULL, 1}, {"cpython", PEER(python, "scan"), 1});
    brood_fini();
    return 0;
}
