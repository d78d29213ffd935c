/* SPDX-License-Identifier: MIT */
/*
 * kill.c - a member killed at every instruction of a call: kill [OPTION...] [SCENE...]
 *
 * For each scene (scene.h) its call is first played to the end and its path noted; then it is played again and again,
 * the victim killed one instruction later each time.  The turns of a loop after the second are sampled.  Each scene
 * runs in a process and a family of its own, so that one that hangs or crashes is one failure.
 *
 *   --list       the names; SCENE is one of them, or the part before its slash
 *   --all        every turn of every loop, and ten times as many cuts of pairs
 *   --sample N   N cuts of each scene
 *   --stop       end at the first failure
 *   --at K[,K[,N]]  this one cut, as a failure names it
 *   --seed N     for the choice of samples
 *   --jobs N     scenes at once; default: one for each processor
 */
#include "points.h"
#include "scene.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SCENES = 512, MOST_JOBS = 64, SILENCE_MS = 30000, SHORT_SILENCE_MS = 8000 };

struct run {
    const struct scene *scene;
    struct tally *tally;
    pid_t pid; /* 0: not started, or over */
    int64_t started;
};

static struct run runs[MOST_SCENES];
static unsigned run_count;
static struct plan plan;

static bool chosen(const char *name, char **wanted, int n)
{
    for (int i = 0; i < n; i++) {
        size_t size = strlen(wanted[i]);
        if (!strncmp(name, wanted[i], size) && (name[size] == '\0' || name[size] == '/')) return true;
    }
    return n == 0;
}

static void choose(char **wanted, int n)
{
    for (const struct scene *const *table = scenes; *table; table++) {
        for (const struct scene *s = *table; s->name; s++) {
            if (!chosen(s->name, wanted, n)) continue;
            if (run_count == MOST_SCENES) {
                fprintf(stderr, "more than %d scenes: MOST_SCENES is too small\n", MOST_SCENES);
                exit(EXIT_FAILURE);
            }
            runs[run_count++].scene = s;
        }
    }
    struct tally *tallies =
        mmap(NULL, MOST_SCENES * sizeof *tallies, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) exit(EXIT_FAILURE);
    for (unsigned i = 0; i < run_count; i++) runs[i].tally = &tallies[i];
}

static void start(struct run *run)
{
    pid_t parent = getpid();
    fflush(stdout);
    run->started = now_ms();
    atomic_store(&run->tally->beat, run->started);
    run->pid = fork();
    if (run->pid < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (run->pid > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_FAILURE);
    points_play(run->scene, &plan, run->tally);
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

/* Over: by itself, by a crash, or by our patience. */
static void finish(struct run *run, int status, bool hung)
{
    struct tally *t = run->tally;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        atomic_fetch_add(&t->failures, 1);
        printf("  %s --at %u,%u,%u: the harness %s\n", run->scene->name, t->cut.k[0], t->cut.k[1], t->cut.order,
               hung ? "hangs in a call" : "itself died");
    }
    double seconds = (double)(now_ms() - run->started) / 1000;
    if (plan.verbose) printf("  %.1f s, %.0f points/s\n", seconds, t->points / (seconds > 0 ? seconds : 1));
    printf("%s: %u points, %u failures\n", run->scene->name, t->points, t->failures);
    run->pid = 0;
}

static void run_all(unsigned jobs)
{
    bool enough = false;
    for (unsigned next = 0, running = 0; (next < run_count && !enough) || running > 0;) {
        if (next < run_count && running < jobs && !enough) {
            start(&runs[next++]);
            running++;
            continue;
        }
        brood__os_nap(2 * 1000 * 1000);
        for (unsigned i = 0; i < next; i++) {
            struct run *run = &runs[i];
            if (run->pid == 0) continue;
            int status;
            bool hung = now_ms() - atomic_load(&run->tally->beat) > (plan.stop ? SHORT_SILENCE_MS : SILENCE_MS);
            if (hung) kill(run->pid, SIGKILL);
            if (waitpid(run->pid, &status, hung ? 0 : WNOHANG) != run->pid) continue;
            finish(run, status, hung);
            enough |= plan.stop && atomic_load(&run->tally->failures) > 0;
            running--;
        }
    }
}

static int usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--list] [--all] [--sample N] [--stop] [--at K[,K[,N]]] [--seed N] [--jobs N] [SCENE...]\n",
            name);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"stop", no_argument, NULL, 'o'},
        {"list", no_argument, NULL, 'l'},
        {"all", no_argument, NULL, 'a'},
        {"sample", required_argument, NULL, 'n'},
        {"at", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    unsigned jobs = brood__os_cpu_count();
    bool list = false;
    plan.seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'o': plan.stop = true; break;
        case 'l': list = true; break;
        case 'a': plan.all = true; break;
        case 'n': plan.sample = (unsigned)strtoul(optarg, NULL, 0); break;
        case 's': plan.seed = strtoull(optarg, NULL, 0); break;
        case 'j': jobs = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'v': plan.verbose = true; break;
        case 't':
            plan.one = sscanf(optarg, "%u,%u,%u", &plan.at.k[0], &plan.at.k[1], &plan.at.order) >= 1;
            if (!plan.one) return usage(argv[0]);
            break;
        default: return usage(argv[0]);
        }
    }
    choose(argv + optind, argc - optind);
    if (list) {
        for (unsigned i = 0; i < run_count; i++) puts(runs[i].scene->name);
        return EXIT_SUCCESS;
    }
    run_all(jobs < 1 ? 1 : jobs > MOST_JOBS ? MOST_JOBS : jobs);

    unsigned points = 0, failures = run_count == 0; /* no scene of that name is a failure too */
    for (unsigned i = 0; i < run_count; i++) {
        points += runs[i].tally->points;
        failures += runs[i].tally->failures;
    }
    printf("kill: %u points, %u failures\n", points, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
