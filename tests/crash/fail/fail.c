/* SPDX-License-Identifier: MIT */
/*
 * fail.c - every system call of the library fails in turn: fail [OPTION...] [SCENE...]
 *
 * Each scene (scenes*.c) is first played while nothing fails, and the calls of each process are counted; then it is
 * played again and again, another call failing each time, with each error that fits it (calls.h, run.h); and once each
 * with all of its kind failing.  A call that does not come, because the system scheduled the scene another way, is no
 * failure.
 *
 *   --list       the names of the scenes
 *   --sample N   N runs of each scene
 *   --at PART,ACTOR,CALL,N,ERROR  this one run, as a failure names it; N+: all from the n-th on
 *   --seed N     for the choice of samples
 *   --jobs N     runs at once; default: four for each processor, for most of the time a run waits
 *   --verbose    what each run came to
 */
#include "run.h"

#include "os/os.h"

#include <brood/base.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_JOBS = 64, MOST_SHOTS = 20000, ALL_OF = 10, SOME_MORE = 4 };

struct job {
    struct sheet *sheet;
    pid_t pid; /* 0: free */
};

struct sum {
    unsigned runs, failed, refused, hangs, leaks, wrong;
};

static struct job jobs[MOST_JOBS];
static unsigned job_count;
static struct shot shots[MOST_SHOTS];
static unsigned shot_count, sample;
static uint64_t seed = 1;
static bool verbose;

/* ----------------------------------------------------------------------------------------------------------- a run */

static void tell(const struct scene *scene, const struct sheet *s, struct sum *sum)
{
    static const char *const verdicts[] = {"", "HANG", "LEAK", "WRONG"};
    const struct shot *shot = &s->shot;
    int verdict = atomic_load(&((struct sheet *)(uintptr_t)s)->verdict);
    bool fired = atomic_load(&((struct sheet *)(uintptr_t)s)->fired) > 0;
    sum->runs++;
    sum->failed += fired;
    sum->refused += fired && s->answer < 0;
    sum->hangs += verdict == VERDICT_HANG;
    sum->leaks += verdict == VERDICT_LEAK;
    sum->wrong += verdict == VERDICT_WRONG;
    if (verdict == VERDICT_GOOD && (!verbose || !shot->n)) return;
    printf("  %s", scene->name);
    if (shot->n)
        printf(" --at %s,%s,%s,%u%s,%s", part_names[shot->part], actor_names[shot->actor],
               calls_failing[shot->row].name, shot->n, shot->lasting ? "+" : "", strerrorname_np(shot->error));
    if (verdict != VERDICT_GOOD)
        printf(": %s: %s\n", verdicts[verdict], s->text);
    else
        printf(": %s%s, %lld ms\n", fired ? "" : "did not come, ", s->answer ? brood_error_name(s->answer) : "good",
               (long long)s->ms);
}

static void start(struct job *job, const struct scene *scene, const struct shot *shot)
{
    pid_t parent = getpid();
    fflush(stdout);
    memset(job->sheet, 0, sizeof *job->sheet);
    if (shot) job->sheet->shot = *shot;
    job->pid = fork();
    if (job->pid < 0) {
        perror("fail: fork");
        exit(EXIT_FAILURE);
    }
    if (job->pid > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_FAILURE);
    sheet = job->sheet;
    run_scene(scene);
    _exit(EXIT_SUCCESS);
}

/* Wait for any run to end; others' orphans come by as well. */
static void finish_one(const struct scene *scene, struct sum *sum)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno != EINTR) return;
        for (unsigned i = 0; i < job_count && pid > 0; i++) {
            if (jobs[i].pid != pid) continue;
            sheet = jobs[i].sheet;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) run_blame(VERDICT_WRONG, "the tracer itself died");
            tell(scene, sheet, sum);
            jobs[i].pid = 0;
            return;
        }
    }
}

static struct job *free_job(void)
{
    for (unsigned i = 0; i < job_count; i++)
        if (jobs[i].pid == 0) return &jobs[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------ what to fail */

static unsigned lot(unsigned n) /* xorshift64 */
{
    static uint64_t state;
    if (state == 0) state = seed * 0x9e3779b97f4a7c15u | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? (unsigned)(state >> 11) % n : 0;
}

static void add_errors(struct shot shot)
{
    for (const int *error = calls_failing[shot.row].errors; *error && shot_count < MOST_SHOTS; error++) {
        shot.error = *error;
        shots[shot_count++] = shot;
    }
}

/* What may last; the others say "try again". */
static bool may_last(long number, int error)
{
    return error != EINTR && error != ECONNABORTED && error != EBUSY && (error != EAGAIN || number == SYS_clone);
}

static void add_lasting(struct shot shot)
{
    shot.lasting = true;
    shot.n = 1;
    for (const int *error = calls_failing[shot.row].errors; *error && shot_count < MOST_SHOTS; error++) {
        shot.error = *error;
        if (may_last(calls_failing[shot.row].number, *error)) shots[shot_count++] = shot;
    }
}

/* The first occurrences of a call, some of those that follow, and all of them. */
static void add_occurrences(struct shot shot, unsigned count)
{
    if (count > 1) add_lasting(shot);
    for (shot.n = 1; shot.n <= count && shot.n <= ALL_OF; shot.n++) add_errors(shot);
    if (count <= ALL_OF) return;
    unsigned rest = count - ALL_OF, some = rest < SOME_MORE ? rest : SOME_MORE;
    for (unsigned i = 0; i < some; i++) {
        shot.n = ALL_OF + 1 + rest * i / some + lot(rest * (i + 1) / some - rest * i / some);
        add_errors(shot);
    }
}

static void plan(const struct sheet *dry)
{
    shot_count = 0;
    for (int part = PART_BODY; part < PARTS; part++)
        for (int actor = 0; actor < ACTORS; actor++)
            for (int row = 0; row < (int)calls_failing_count; row++)
                add_occurrences((struct shot){.part = (enum part)part, .actor = (enum actor)actor, .row = row},
                                dry->counts[part][actor][row]);
    if (!sample || shot_count <= sample) return;
    for (unsigned i = 0; i < sample; i++) {
        unsigned from = (unsigned)((uint64_t)i * shot_count / sample),
                 to = (unsigned)((uint64_t)(i + 1) * shot_count / sample);
        shots[i] = shots[from + lot(to - from)];
    }
    shot_count = sample;
}

static bool parse(char *text, struct shot *shot)
{
    char *words[5], *save = NULL;
    for (int i = 0; i < 5; i++)
        if (!(words[i] = strtok_r(i ? NULL : text, ",", &save))) return false;
    *shot = (struct shot){.actor = ACTORS, .row = -1, .n = (unsigned)strtoul(words[3], NULL, 10)};
    for (int i = PART_BODY; i < PARTS; i++)
        if (!strcmp(words[0], part_names[i])) shot->part = (enum part)i;
    for (int i = 0; i < ACTORS; i++)
        if (!strcmp(words[1], actor_names[i])) shot->actor = (enum actor)i;
    for (unsigned i = 0; i < calls_failing_count; i++)
        if (!strcmp(words[2], calls_failing[i].name)) shot->row = (int)i;
    for (int i = 1; i < 200; i++)
        if (strerrorname_np(i) && !strcmp(words[4], strerrorname_np(i))) shot->error = i;
    shot->lasting = strchr(words[3], '+') != NULL;
    return shot->part && shot->actor < ACTORS && shot->row >= 0 && shot->n && shot->error;
}

/* ----------------------------------------------------------------------------------------------------------- scenes */

static void play(const struct scene *scene, const struct shot *at, struct sum *total)
{
    struct sum sum = {0};
    int64_t begin = brood__os_now();
    start(&jobs[0], scene, NULL);
    finish_one(scene, &sum);
    if (atomic_load(&jobs[0].sheet->verdict) == VERDICT_GOOD) {
        plan(jobs[0].sheet);
        if (at) {
            shots[0] = *at;
            shot_count = 1;
        }
        unsigned running = 0;
        for (unsigned next = 0; next < shot_count || running > 0;) {
            struct job *job = next < shot_count ? free_job() : NULL;
            if (job) {
                start(job, scene, &shots[next++]);
                running++;
            } else {
                finish_one(scene, &sum);
                running--;
            }
        }
    }
    printf("%s: %u runs, %u calls failed, %u answered an error; %u hangs, %u leaks, %u wrong (%.1f s)\n", scene->name,
           sum.runs, sum.failed, sum.refused, sum.hangs, sum.leaks, sum.wrong, (double)(brood__os_now() - begin) / 1e9);
    fflush(stdout);
    total->failed += sum.failed;
    total->hangs += sum.hangs;
    total->leaks += sum.leaks;
    total->wrong += sum.wrong;
}

static bool chosen(const char *name, char **wanted, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(name, wanted[i])) return true;
    return n == 0;
}

static void prepare_jobs(unsigned count)
{
    job_count = count < 1 ? 1 : count > MOST_JOBS ? MOST_JOBS : count;
    for (unsigned i = 0; i < job_count; i++) {
        void *memory = mmap(NULL, sizeof(struct sheet), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) exit(EXIT_FAILURE);
        jobs[i].sheet = memory;
    }
}

static int usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--list] [--sample N] [--at PART,ACTOR,CALL,N,ERROR] [--seed N] [--jobs N] [--verbose] "
            "[SCENE...]\n",
            name);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"list", no_argument, NULL, 'l'},
        {"sample", required_argument, NULL, 'n'},
        {"at", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    if (getenv("BROOD_BOOTSTRAP")) {
        run_mark_main();
        brood_init(&argc, &argv); /* which is the last that it does, unless it was meant for another */
    }
    unsigned at_once = 4 * brood__os_cpu_count();
    struct shot at = {0};
    bool list = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l': list = true; break;
        case 'n': sample = (unsigned)strtoul(optarg, NULL, 0); break;
        case 's': seed = strtoull(optarg, NULL, 0); break;
        case 'j': at_once = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'v': verbose = true; break;
        case 't':
            if (!parse(optarg, &at)) return usage(argv[0]);
            break;
        default: return usage(argv[0]);
        }
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prepare_jobs(at_once);
    struct sum total = {0};
    unsigned played = 0;
    for (const struct scene *const *table = scenes; *table; table++) {
        for (const struct scene *scene = *table; scene->name; scene++) {
            if (!chosen(scene->name, argv + optind, argc - optind)) continue;
            played++;
            if (list)
                puts(scene->name);
            else
                play(scene, at.n ? &at : NULL, &total);
        }
    }
    if (list) return EXIT_SUCCESS;
    printf("fail: %u calls failed, %u hangs, %u leaks, %u wrong\n", total.failed, total.hangs, total.leaks,
           total.wrong);
    return played > 0 && total.hangs + total.leaks + total.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
