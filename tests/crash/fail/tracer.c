/* SPDX-License-Identifier: MIT */
/* tracer.c - the tracer of one run; see run.h.  x86-64. */
#include "run.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_US = 100000,
    PATIENCE_TICKS = 150, /* with all of a run asleep; after that it hangs */
    MOST_TICKS = 1200,
    MOST_TRIES = 3000, /* of a call that fails for a while: more are a waste of a processor */
    MARK_MAIN = 20000, /* numbers that are no system calls */
    MARK_OWN_BEGIN,
    MARK_OWN_END,
};

const char *const actor_names[ACTORS] = {"caller", "launch", "supervisor", "template", "child"};
const char *const part_names[PARTS] = {"none", "body", "end"};
struct sheet *sheet;

struct traced {
    pid_t pid;
    enum actor actor;
    bool known;   /* its parent's event has said whose it is; else it has to wait */
    bool stopped; /* ... stopped in the meantime */
    bool loading; /* between exec and main */
    bool own;     /* a scene's own calls */
};
static struct traced traced[MOST_TRACED];
static unsigned traced_count;
static pid_t early[MOST_TRACED]; /* ended before their parents' events came */
static unsigned early_count;
static volatile sig_atomic_t ticks;
static const struct scene *scene;

void run_blame(enum verdict verdict, const char *format, ...)
{
    int none = VERDICT_GOOD;
    if (!atomic_compare_exchange_strong(&sheet->verdict, &none, (int)verdict)) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sheet->text, sizeof sheet->text, format, arguments);
    va_end(arguments);
}

void run_mark_main(void)
{
    syscall(MARK_MAIN);
}

void run_mark_own(bool begin)
{
    int before = errno;
    syscall(begin ? MARK_OWN_BEGIN : MARK_OWN_END);
    errno = before;
}

/* ----------------------------------------------------------------------------------------------------- the traced */

static struct traced *find(pid_t pid)
{
    for (unsigned i = 0; i < traced_count; i++)
        if (traced[i].pid == pid) return &traced[i];
    return NULL;
}

static struct traced *add(pid_t pid)
{
    if (traced_count == MOST_TRACED) {
        fprintf(stderr, "fail: more processes than there is room for\n");
        exit(EXIT_FAILURE);
    }
    traced[traced_count] = (struct traced){.pid = pid};
    sheet->pids[traced_count] = pid;
    atomic_store(&sheet->alive, traced_count + 1);
    return &traced[traced_count++];
}

static void forget(struct traced *t)
{
    *t = traced[--traced_count];
    sheet->pids[t - traced] = t->pid;
    atomic_store(&sheet->alive, traced_count);
}

static void go_on(pid_t pid, int signal)
{
    ptrace(PTRACE_CONT, pid, NULL,
           (void *)(intptr_t)signal); /* it may have been killed meanwhile: then its end comes */
}

static enum actor actor_of_child(const struct traced *parent, int event)
{
    if (event == PTRACE_EVENT_CLONE) return parent->actor; /* a thread */
    if (event == PTRACE_EVENT_VFORK) return ACTOR_LAUNCH;
    return parent->actor == ACTOR_CALLER && scene->template ? ACTOR_TEMPLATE : ACTOR_CHILD;
}

static void know(struct traced *child, enum actor actor)
{
    child->actor = actor;
    child->known = true;
    if (child->stopped) go_on(child->pid, 0);
    child->stopped = false;
}

static bool has_ended(pid_t pid)
{
    for (unsigned i = 0; i < early_count; i++) {
        if (early[i] != pid) continue;
        early[i] = early[--early_count];
        return true;
    }
    return false;
}

static void born(const struct traced *parent, int event)
{
    unsigned long message = 0;
    if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &message) < 0) return; /* killed meanwhile: see orphaned */
    enum actor actor = actor_of_child(parent, event);
    struct traced *child = find((pid_t)message);
    if (!child && has_ended((pid_t)message)) return;
    if (!child) child = add((pid_t)message);
    know(child, actor);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], line[256];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "PPid: %d", &parent) != 1) {}
    if (file) fclose(file);
    return parent;
}

/* The event of a parent that was killed at it never comes: its child, which waits to be known, is the tracer's then. */
static void orphaned(struct traced *t)
{
    if (!t->known && t->stopped && parent_of(t->pid) == getpid()) know(t, ACTOR_CHILD);
}

/* ------------------------------------------------------------------------------------------------------ the failure */

/* The call is skipped and answers -error; brk(2), which says where the end is now, something below the wish. */
static void refuse(pid_t pid, long number, int error)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) < 0) return;
    registers.orig_rax = (unsigned long long)-1;
    registers.rax = number == SYS_brk ? 0 : (unsigned long long)-(long long)error;
    if (ptrace(PTRACE_SETREGS, pid, NULL, &registers) < 0) return;
    atomic_fetch_add(&sheet->fired, 1);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Whether the n-th call of the kind that is meant is to fail. */
static bool is_due(unsigned n)
{
    static int64_t since;
    const struct shot *shot = &sheet->shot;
    if (shot->n == 0 || n < shot->n || (n > shot->n && !shot->lasting)) return false;
    if (n == shot->n) since = now_ms();
    if (n - shot->n == MOST_TRIES) run_blame(VERDICT_WRONG, "the %s asks without pause", actor_names[shot->actor]);
    return now_ms() - since <= LASTING_MS;
}

static void at_call(struct traced *t)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, t->pid, NULL, &registers) < 0) return;
    long number = (long)registers.orig_rax;
    if (number == MARK_MAIN) t->loading = false;
    if (number == MARK_OWN_BEGIN || number == MARK_OWN_END) t->own = number == MARK_OWN_BEGIN;
    if (number >= MARK_MAIN) return;
    const uint64_t arguments[6] = {registers.rdi, registers.rsi, registers.rdx,
                                   registers.r10, registers.r8,  registers.r9};
    int row = calls_find(number, arguments), part = atomic_load(&sheet->armed);
    if (part == PART_NONE || t->loading || t->own) return;
    if (row == CALL_UNKNOWN) run_blame(VERDICT_WRONG, "system call %ld is in no table", number);
    if (row < 0) return;
    unsigned n = ++sheet->counts[part][t->actor][row];
    const struct shot *shot = &sheet->shot;
    if (row == shot->row && t->actor == shot->actor && part == (int)shot->part && is_due(n))
        refuse(t->pid, number, shot->error);
}

/* ----------------------------------------------------------------------------------------------------------- events */

static bool is_crash(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGABRT ||
           signal == SIGSYS || signal == SIGTRAP;
}

static void crashes(const struct traced *t, int signal)
{
    struct user_regs_struct registers = {0};
    char path[64], line[256], place[128] = "";
    unsigned long from, to;
    ptrace(PTRACE_GETREGS, t->pid, NULL, &registers);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)t->pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx", &from, &to) != 2 || registers.rip < from || registers.rip >= to) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(place, sizeof place, " +%#llx of %.100s", registers.rip - from, line);
    }
    if (file) fclose(file);
    run_blame(VERDICT_WRONG, "the %s crashes: signal %d at %#llx%s", actor_names[t->actor], signal, registers.rip,
              place);
}

static void stopped(struct traced *t, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    switch (event) {
    case PTRACE_EVENT_SECCOMP: at_call(t); break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: {
        pid_t pid = t->pid;
        born(t, event); /* which may move it */
        go_on(pid, 0);
        return;
    }
    case PTRACE_EVENT_EXEC:
        t->loading = true;
        if (t->actor == ACTOR_LAUNCH) t->actor = ACTOR_SUPERVISOR;
        break;
    case PTRACE_EVENT_STOP:
        if (!t->known) {
            t->stopped = true;
            orphaned(t);
            return;
        }
        break;
    default:
        if (is_crash(signal) && !(scene->faults && t->actor == ACTOR_CHILD && signal == SIGSEGV)) crashes(t, signal);
        go_on(t->pid, signal);
        return;
    }
    go_on(t->pid, 0);
}

void run_describe(pid_t pid, char *text, size_t size)
{
    static const char *const files[] = {"stat", "wchan", "syscall"};
    size_t used = strlen(text);
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64], line[64] = "";
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
        FILE *file = fopen(path, "re");
        if (file && fgets(line, sizeof line, file)) line[strcspn(line, "\n")] = 0;
        if (file) fclose(file);
        snprintf(text + used, size - used, " %s", line);
        used = strlen(text);
    }
}

static void describe(const struct traced *t, char *text, size_t size)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "; %s%s", actor_names[t->actor], t->known ? "" : ", not known");
    run_describe(t->pid, text, size);
}

/* Whether one of them would go on if it had a processor: then it is the machine that they wait for. */
static bool some_can_run(void)
{
    for (unsigned i = 0; i < traced_count; i++) {
        char path[64], state = 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)traced[i].pid);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
        if (file) fclose(file);
        if (state == 'R' || state == 'D') return true;
    }
    return false;
}

static void hangs(void)
{
    char text[sizeof sheet->text] = "";
    for (unsigned i = 0; i < traced_count; i++) describe(&traced[i], text, sizeof text);
    run_blame(VERDICT_HANG, "hangs in its %s%s", part_names[atomic_load(&sheet->armed)], text);
    const char *hold = getenv("FAIL_HOLD"); /* for a debugger: let go of them, asleep as they are */
    if (!hold) return;
    fprintf(stderr, "%s\n", sheet->text);
    for (unsigned i = 0; i < traced_count; i++) ptrace(PTRACE_INTERRUPT, traced[i].pid, NULL, NULL);
    for (unsigned i = 0; i < traced_count; i++) {
        waitpid(traced[i].pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, traced[i].pid, NULL, NULL);
    }
    sleep((unsigned)atoi(hold));
}

/*
 * Ticks count, not the clock: in a machine that stands still for a while there are none.  Few are enough where all of
 * them sleep, for longer than any of them has a reason to.
 */
static bool is_too_long(void)
{
    static sig_atomic_t seen, idle;
    sig_atomic_t now = ticks;
    if (now == seen) return false;
    seen = now;
    if (!some_can_run()) idle++;
    return idle > PATIENCE_TICKS || seen > MOST_TICKS;
}

static void follow(pid_t subject)
{
    while (traced_count > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (is_too_long()) {
            hangs();
            return;
        }
        if (pid < 0) {
            if (errno == EINTR) continue;
            return;
        }
        struct traced *t = find(pid);
        if (!t) t = add(pid); /* before its parent's event */
        if (WIFSTOPPED(status)) {
            stopped(t, status);
            continue;
        }
        bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!t->known && early_count < MOST_TRACED) early[early_count++] = pid;
        forget(t);
        for (unsigned i = 0; i < traced_count; i++) orphaned(&traced[i]);
        if (pid != subject) continue;
        if (!well) run_blame(VERDICT_WRONG, "the caller ends with status %#x", (unsigned)status);
        return;
    }
}

/* ------------------------------------------------------------------------------------------------------------ a run */

/* Stop at all calls but those that are left out. */
static void filter_calls(void)
{
    enum { MOST_LEFT_OUT = 100 };
    static struct sock_filter program[MOST_LEFT_OUT + 8];
    unsigned n = 0, count = 0;
    while (calls_left_out[count] >= 0) count++;
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < count && i < MOST_LEFT_OUT; i++)
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls_left_out[i],
                                                    (uint8_t)(count - i), 0);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = (unsigned short)n, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
        perror("fail: seccomp");
        _exit(EXIT_FAILURE);
    }
}

/* It ends the wait. */
static void tick(int signal)
{
    (void)signal;
    ticks++;
}

/* Names that others have in /dev/shm meanwhile are not of this run.  Without the right to it, runs share them. */
static void have_own_names(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0) return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

void run_scene(const struct scene *to_play)
{
    const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    int gate[2];
    scene = to_play;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (pipe(gate) < 0) exit(EXIT_FAILURE);
    pid_t subject = fork();
    if (subject == 0) {
        char byte;
        close(gate[1]);
        if (read(gate[0], &byte, 1) != 1) _exit(EXIT_FAILURE);
        close(gate[0]);
        have_own_names();
        filter_calls();
        subject_play(scene);
    }
    if (subject < 0 || ptrace(PTRACE_SEIZE, subject, NULL, (void *)options) < 0) { // NOLINT(performance-no-int-to-ptr)
        perror("fail: ptrace");
        exit(EXIT_FAILURE);
    }
    struct traced *t = add(subject);
    t->known = true;
    t->actor = ACTOR_CALLER;
    struct sigaction on_tick = {.sa_handler = tick};
    sigaction(SIGALRM, &on_tick, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_interval.tv_usec = TICK_US, .it_value.tv_usec = TICK_US}, NULL);
    if (write(gate[1], "g", 1) != 1) exit(EXIT_FAILURE);
    close(gate[0]);
    close(gate[1]);
    follow(subject);
}
