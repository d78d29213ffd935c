/* SPDX-License-Identifier: MIT */
/*
 * uninitiated.c - a program that uses Brood as a library deep inside would: its main calls brood_init only when asked,
 * so the program run again by Brood does not.  It prints nothing if all is as it should be.
 *
 *     uninitiated supervisor|child exit|wait fork|spawn|forkserver
 *
 * The first says which of the two is not initiated, the second what the uninitiated does instead.
 */
#include <brood.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TIMEOUT 300

static BROOD_TASK(answer, int, int, code)
{
    return code;
}

static long long now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void *other_work(const char *mode)
{
    if (!strcmp(mode, "exit")) exit(0);
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
    return NULL;
}

/* 0: as it should be. */
static int start(bool supervisor, brood_start_method method)
{
    brood_process process;
    brood_process_options options = {.method = method};
    long long before = now();
    int error = brood_process_start(&process, &options, answer, &(int){3});
    if (error != BROOD_ENOINIT || now() > before + START_TIMEOUT + 3000) {
        fprintf(stderr, "after %lld ms: %s\n", now() - before, brood_error_name(error));
        return 1;
    }
    if (!brood_error_detail()[0]) return 2;
    if (brood_process_active_children(NULL, 0) != 0) return 3;
    /* This process reaps all orphans of the family: what was started is gone, but for a supervisor that is one. */
    for (int i = 0; i < 3000; i++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) return supervisor ? 0 : 4;
        if (pid == 0 && !supervisor && i > 20) return 0; /* one child: the supervisor; the other was its own */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 5;
}

int main(int argc, char **argv)
{
    const char *mode = getenv("UNINITIATED_MODE");
    const char *which = getenv("UNINITIATED");
    if (argc != 4) {
        bool supervisor = !strcmp(argv[0], "brood-supervisor");
        if (!mode || !which || supervisor == !strcmp(which, "supervisor"))
            return (int)(size_t)other_work(mode ? mode : "exit");
        brood_init(&argc, &argv);
        return 90;
    }
    setenv("UNINITIATED", argv[1], 1);
    setenv("UNINITIATED_MODE", argv[2], 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    brood_configure(&(brood_family_options){.start_timeout = START_TIMEOUT});
    brood_init(&argc, &argv);
    brood_start_method method;
    if (brood_start_method_parse(&method, argv[3]) < 0) return 7;
    for (int i = 0; i < 2; i++) { /* once is as good as twice */
        int failed = start(!strcmp(argv[1], "supervisor"), method);
        if (failed) return failed;
    }
    if (brood_fini() < 0) return 6;
    while (waitpid(-1, NULL, 0) > 0) continue;
    return 0;
}
