/* SPDX-License-Identifier: MIT */
/* crew.c - processes by fork(2) or by Brood that wait at a common start. */
#include "crew.h"

#include "harness.h"

#include <brood.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct crew_shm {
    _Atomic uint32_t go;
    _Atomic uint32_t ready;
    _Atomic uint32_t prepared;
    _Atomic uint32_t begun;
    _Atomic uint64_t total;
    double start; /* of crews that prepare; written before begun */
    double end[CREW_MAX];
};

/* Pointers: the members are forked, so they mean the same there. */
typedef struct crew_member {
    struct crew_shm *shm;
    crew_role role;
    void *context;
    uint64_t n;
    unsigned index, count;
} crew_member;

/* In a member: itself. */
static const crew_member *self;

void *crew_memory(unsigned long size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

void crew_fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, brood_strerror(error));
    _exit(3);
}

static void pin(unsigned index, unsigned count)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0 || count > (unsigned)CPU_COUNT(&all)) return;
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all) || index-- > 0) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

void crew_begin(void)
{
    struct crew_shm *shm = self->shm;
    if (atomic_fetch_add(&shm->prepared, 1) + 1 == self->count) {
        shm->start = bench_now();
        atomic_store(&shm->begun, 1);
        syscall(SYS_futex, &shm->begun, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
    while (!atomic_load(&shm->begun)) syscall(SYS_futex, &shm->begun, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void crew_end(void)
{
    self->shm->end[self->index] = bench_now();
}

static void work(const crew_member *m)
{
    struct crew_shm *shm = m->shm;
    self = m;
    pin(m->index, m->count);
    atomic_fetch_add(&shm->ready, 1);
    while (!atomic_load(&shm->go)) syscall(SYS_futex, &shm->go, FUTEX_WAIT, 0, NULL, NULL, 0);
    uint64_t sum = m->role(m->context, m->index, m->n);
    if (shm->end[m->index] == 0) crew_end();
    atomic_fetch_add(&shm->total, sum);
}

BROOD_TASK(crew_task, int, crew_member, member)
{
    work(&member);
    return 0;
}

/* The members are on their way: let them go once all are there.  Answers when that was. */
static double start_together(struct crew_shm *shm, unsigned count)
{
    for (unsigned waited = 0; atomic_load(&shm->ready) < count && waited < CREW_PATIENCE_MS * 10; waited++) usleep(100);
    usleep(1000); /* the last one is asleep too */
    double start = bench_now();
    atomic_store(&shm->go, 1);
    syscall(SYS_futex, &shm->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return start;
}

static double finish(struct crew_shm *shm, unsigned count, double start, const char *trouble)
{
    if (shm->start > 0) start = shm->start;
    double last = start;
    for (unsigned i = 0; i < count; i++) last = shm->end[i] > last ? shm->end[i] : last;
    uint64_t total = atomic_load(&shm->total);
    munmap(shm, sizeof *shm);
    if (trouble) return bench_complain("crew", trouble);
    if (total != 0) return bench_complain("crew", "what was received is not what was sent");
    return last - start;
}

/* NULL, or what went wrong.  When one has failed the others may wait for it in vain, and have a second. */
static const char *wait_for(pid_t *pids, unsigned count, double until)
{
    const char *trouble = NULL;
    for (unsigned left = count; left > 0; usleep(500)) {
        bool late = bench_now() > until;
        for (unsigned i = 0; i < count; i++) {
            int status = -1;
            if (pids[i] == 0) continue;
            if (late && pids[i] > 0) kill(pids[i], SIGKILL);
            if (pids[i] > 0 && waitpid(pids[i], &status, late ? 0 : WNOHANG) == 0) continue;
            pids[i] = 0;
            left--;
            if (status == 0) continue;
            if (!trouble) until = bench_now() + 1;
            trouble = "a process failed or hung";
        }
    }
    return trouble;
}

double crew_by_fork(unsigned count, crew_role role, void *context, uint64_t n)
{
    struct crew_shm *shm = crew_memory(sizeof *shm);
    pid_t pids[CREW_MAX];
    for (unsigned i = 0; i < count; i++) {
        if ((pids[i] = fork()) == 0) {
            work(&(crew_member){shm, role, context, n, i, count});
            _exit(0);
        }
    }
    double start = start_together(shm, count);
    const char *trouble = wait_for(pids, count, start + CREW_PATIENCE_MS / 1000.0);
    return finish(shm, count, start, trouble);
}

double crew_by_brood(unsigned count, crew_role role, void *context, uint64_t n)
{
    struct crew_shm *shm = crew_memory(sizeof *shm);
    brood_process processes[CREW_MAX];
    brood_process_options by_fork = {.method = BROOD_START_FORK};
    for (unsigned i = 0; i < count; i++) {
        crew_member member = {shm, role, context, n, i, count};
        int error = brood_process_start(&processes[i], &by_fork, crew_task, &member);
        if (error < 0) return bench_complain("crew", brood_strerror(error));
    }
    double start = start_together(shm, count);
    const char *trouble = NULL;
    for (unsigned i = 0; i < count; i++) {
        int code = 0;
        if (brood_process_join(processes[i], trouble ? 1000 : CREW_PATIENCE_MS, &code) < 0) {
            trouble = "a process hung";
            brood_process_kill(processes[i]);
            brood_process_join(processes[i], BROOD_FOREVER, &code);
        } else if (code != 0) {
            trouble = "a process failed";
        }
        brood_process_free(processes[i]);
    }
    return finish(shm, count, start, trouble);
}
