/* SPDX-License-Identifier: MIT */
/* idle.c - the memory that each of a thousand idle workers adds, beside that of bare forked children of this program. */
#include "crew.h"
#include "harness.h"

#include <brood.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 1000

/* Kibibytes that are a process's alone or its share of what several have, by the kernel's account; 0: not known. */
static double memory_of(pid_t pid)
{
    char path[64], line[256];
    double size = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "Pss:", 4) == 0) size = strtod(line + 4, NULL);
    if (f) fclose(f);
    return size;
}

/* How many of them wait for work. */
static int idle(const brood_worker *seen, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += seen[i].state == BROOD_WORKER_IDLE;
    return count;
}

static double workers(void *context, uint64_t n)
{
    (void)n; /* 1 */
    static brood_worker seen[MANY];
    brood_pool pool;
    brood_pool_options options = {.workers = MANY, .method = *(const brood_start_method *)context};
    double sum = 0;
    int error = brood_pool_new(&pool, &options);
    while (error >= 0 && (error = brood_pool_workers(pool, seen, MANY)) >= 0 && idle(seen, error) < MANY) usleep(1000);
    for (int i = 0; i < MANY && error >= 0; i++) sum += memory_of(seen[i].pid);
    brood_pool_free(pool);
    return error < 0 ? bench_complain("workers", brood_strerror(error)) : sum / MANY;
}

static double children(void *context, uint64_t n)
{
    (void)context;
    (void)n;
    static pid_t pids[MANY];
    double sum = 0;
    for (int i = 0; i < MANY; i++)
        if ((pids[i] = fork()) == 0)
            for (;;) pause();
    for (int i = 0; i < MANY; i++)
        if (pids[i] > 0) sum += memory_of(pids[i]);
    for (int i = 0; i < MANY; i++) {
        if (pids[i] <= 0) continue;
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    return sum / MANY;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("idle", argc, argv);
    brood_start_method server = BROOD_START_FORKSERVER, forked = BROOD_START_FORK;
    BENCH_ASK("an idle worker of 1,000", "KiB", {"brood", workers, &server, 1}, {"brood, fork", workers, &forked, 1},
              {"bare fork", children, NULL, 1});
    brood_fini();
    return 0;
}
