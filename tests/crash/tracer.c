/* SPDX-License-Identifier: MIT */
/* tracer.c - victims under ptrace(2); see tracer.h. */
#include "tracer.h"

#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    VICTIMS = 4,          /* of one point */
    PLACES = 1 << 18,     /* of a path */
    MOST_STEPS = 4000000, /* of a call that should have ended long before */
    STOP_MS = 10000,      /* until a step is done, on a busy machine */
    LOST_MS = 500,
    HELD_UP_MS = 3, /* until a second victim has come to its place, if it can */
};

static struct trace traces[VICTIMS];
static struct proc left[VICTIMS]; /* those not killed yet */
static unsigned victims;
static bool recording, in_threads;
static enum pace pace;

/* The paths of the first two victims, as they were recorded. */
enum { PATHS = 2, TABLE = 1 << 16 };
struct step {
    uintptr_t place;
    unsigned turn; /* how often it was there before */
};
static struct path {
    struct step *steps;
    unsigned length;
    unsigned last[TABLE]; /* by place: where in steps it was last; forgets on collision */
} paths[PATHS];

void tracer_uses_threads(bool use)
{
    in_threads = use;
}

void tracer_begin_point(bool record, enum pace to_be)
{
    for (unsigned i = 0; i < victims; i++) /* a scene that failed may have left some */
        if (left[i].pid != 0) proc_kill(&left[i]);
    victims = 0;
    memset(traces, 0, sizeof traces);
    recording = record;
    pace = record ? BY_STEPS : to_be;
    for (unsigned i = 0; record && i < PATHS; i++) paths[i].length = 0;
}

const struct trace *tracer_trace(unsigned n)
{
    return &traces[n];
}

unsigned tracer_path(unsigned n)
{
    return paths[n].length;
}

unsigned tracer_turn(unsigned n, unsigned k)
{
    return paths[n].steps[k].turn;
}

static void record_place(struct path *path, uintptr_t place)
{
    if (!path->steps) path->steps = calloc(PLACES, sizeof *path->steps);
    if (!path->steps || path->length == PLACES) return;
    unsigned at = path->last[place % TABLE];
    bool known = at < path->length && path->steps[at].place == place;
    path->steps[path->length] = (struct step){.place = place, .turn = known ? path->steps[at].turn + 1 : 0};
    path->last[place % TABLE] = path->length++;
}

/* ---------------------------------------------------------------------------------------------- in the victim */

__attribute__((noinline)) static void stop_here(void)
{
    __asm__ volatile("int3" ::: "memory");
}

static _Noreturn void act(struct post *post)
{
    stop_here();
    post->result = post->deed(&post->order);
    atomic_store_explicit(&post->done, 1, memory_order_release);
    stop_here();
    for (;;) pause();
}

static bool main_thread_is_there(void)
{
    char text[256];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *end = strrchr(text, ')');
    return !end || strncmp(end, ") Z", 3) != 0;
}

static void *act_in_thread(void *argument)
{
    struct post *post = argument;
    while (main_thread_is_there()) sched_yield();
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) _exit(EXIT_FAILURE);
    atomic_store(&post->tid, gettid());
    act(post);
}

static _Noreturn void be_victim(const struct proc *p, deed_fn *before)
{
    struct post *post = p->post;
    pthread_t thread;
    if (!in_threads && ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) _exit(EXIT_FAILURE);
    if (before) before(&post->order);
    if (!in_threads) act(post);
    if (pthread_create(&thread, NULL, act_in_thread, post) != 0) _exit(EXIT_FAILURE);
    for (;;) syscall(SYS_exit, 0); /* this thread alone */
}

/* --------------------------------------------------------------------------------------------- from outside */

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static struct trace *trace_of(const struct victim *v)
{
    return &traces[v->ordinal];
}

static uintptr_t place_of(const struct victim *v)
{
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, v->proc.tid, (void *)offsetof(struct user_regs_struct, rip), NULL);
}

/* The victim's code is ours, at the same address. */
static bool at_system_call(uintptr_t place)
{
    const unsigned char *code = (const unsigned char *)place; // NOLINT(performance-no-int-to-ptr)
    return code[0] == 0x0f && code[1] == 0x05;
}

static void set_place(const struct victim *v, uintptr_t place)
{
    void *field = (void *)offsetof(struct user_regs_struct, rip);
    if (ptrace(PTRACE_POKEUSER, v->proc.tid, field, place) < 0) give_up("ptrace");
}

static void write_code(const struct victim *v, uintptr_t place, bool breakpoint)
{
    unsigned long code;
    memcpy(&code, (const void *)place, sizeof code); // NOLINT(performance-no-int-to-ptr)
    if (breakpoint) code = (code & ~0xffUL) | 0xcc;
    if (ptrace(PTRACE_POKETEXT, v->proc.tid, place, code) < 0) give_up("ptrace");
}

static void insert_breakpoint(struct victim *v, uintptr_t place)
{
    write_code(v, place, true);
    v->breakpoint = place;
}

/* At any stop: take the breakpoint out; if that is what stopped it, it stands before its place. */
static void remove_breakpoint(struct victim *v)
{
    if (v->breakpoint == 0) return;
    write_code(v, v->breakpoint, false);
    if (place_of(v) == v->breakpoint + 1) set_place(v, v->breakpoint);
    v->breakpoint = 0;
}

/* It is stopped: how?  Anything but a trap or our own stop is its own death, which no scene asks for. */
static bool stopped_well(struct victim *v, int status)
{
    if (WIFSTOPPED(status) && (WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP)) {
        remove_breakpoint(v);
        return true;
    }
    fail("the victim stopped by itself (status %#x) at %#lx", (unsigned)status,
         WIFSTOPPED(status) ? (unsigned long)place_of(v) : 0);
    v->ended = true;
    return false;
}

/* After it was let go: stopped again; asleep; neither in `ms`: false. */
static bool wait_for_stop(struct victim *v, bool may_sleep, int ms)
{
    int64_t start = now_ms();
    bool seems_asleep = false;
    for (unsigned n = 0;; n++) {
        int status;
        pid_t pid = waitpid(v->proc.tid, &status, __WALL | WNOHANG);
        if (pid < 0) give_up("waitpid");
        if (pid == v->proc.tid) {
            v->asleep = false;
            return stopped_well(v, status);
        }
        if (seems_asleep) { /* and it has not stopped there on its way in or out, or waitpid would have said so */
            v->asleep = true;
            return true;
        }
        if (may_sleep && n % 4 == 3) seems_asleep = proc_asleep(&v->proc);
        if (n % 16 == 15 && now_ms() - start > ms) return false;
        sched_yield();
    }
}

static void note_end(struct victim *v)
{
    if (atomic_load_explicit(&v->proc.post->done, memory_order_acquire) == 0) return;
    v->ended = true;
    v->result = v->proc.post->result;
}

static void one_step(struct victim *v)
{
    struct trace *trace = trace_of(v);
    uintptr_t place = trace->place = place_of(v);
    if (recording && v->ordinal < PATHS) record_place(&paths[v->ordinal], place);
    if (ptrace(PTRACE_SINGLESTEP, v->proc.tid, NULL, NULL) < 0) give_up("ptrace");
    if (at_system_call(place)) {
        if (!wait_for_stop(v, true, STOP_MS)) {
            fail("the victim is stuck in a system call");
            v->ended = true;
        }
    } else {
        int status;
        if (waitpid(v->proc.tid, &status, __WALL) < 0) give_up("waitpid");
        stopped_well(v, status);
    }
    if (!v->asleep) v->steps++;
    note_end(v);
}

static void step_by_step(struct victim *v, unsigned k)
{
    while (v->steps < k && !v->ended && !v->asleep) {
        if (v->steps == MOST_STEPS) {
            fail("the victim's call goes on for ever");
            v->ended = true;
        } else {
            one_step(v);
        }
    }
}

/* At full speed to where its recorded path was after k instructions. */
static void run_to(struct victim *v, unsigned k)
{
    struct step to = paths[v->ordinal].steps[k];
    while (!v->ended && !v->asleep) {
        if (place_of(v) == to.place) {
            if (to.turn == 0) break;
            to.turn--;
            one_step(v);
            continue;
        }
        insert_breakpoint(v, to.place);
        if (ptrace(PTRACE_CONT, v->proc.tid, NULL, NULL) < 0) give_up("ptrace");
        bool waits = v->ordinal > 0 && !wait_for_stop(v, true, HELD_UP_MS); /* for what the first has, for ever */
        if (waits) tgkill(v->proc.pid, v->proc.tid, SIGSTOP);
        if ((waits || v->ordinal == 0) && !wait_for_stop(v, true, STOP_MS)) {
            fail("the victim does not come to its place");
            v->ended = true;
        }
        note_end(v);
        if (waits) break;
    }
    trace_of(v)->place = v->asleep ? to.place : place_of(v);
    v->steps = k;
}

void victim_step(struct victim *v, unsigned k)
{
    bool stepping = pace == BY_STEPS || (pace == SECOND_BY_STEPS && v->ordinal > 0);
    if (!stepping && v->steps == 0 && v->ordinal < PATHS && k < paths[v->ordinal].length)
        run_to(v, k);
    else
        step_by_step(v, k);
    if (v->ended || v->asleep) trace_of(v)->over = true;
}

static uint64_t next_number;

void victim_prepare(uint64_t number)
{
    next_number = number;
}

static void start(struct victim *v, deed_fn *before, deed_fn *deed, uint64_t id, bool join)
{
    uint64_t number = next_number;
    next_number = 0;
    memset(v, 0, sizeof *v);
    v->ordinal = victims++;
    if (v->ordinal >= VICTIMS) give_up("too many victims");
    if (proc_fork(&v->proc, join)) {
        v->proc.post->deed = deed;
        v->proc.post->order.id = id;
        v->proc.post->order.number = number;
        if (!join) v->proc.post->order.number = (uintptr_t)&v->proc;
        be_victim(&v->proc, before);
    }
    left[v->ordinal] = v->proc;
    int status;
    int64_t start_ms = now_ms();
    while (in_threads && atomic_load(&v->proc.post->tid) == 0) {
        if (now_ms() - start_ms > STOP_MS) give_up("the victim's thread");
        sched_yield();
    }
    if (in_threads) proc_turns_to(&v->proc, atomic_load(&v->proc.post->tid));
    left[v->ordinal] = v->proc;
    if (waitpid(v->proc.tid, &status, __WALL) < 0) give_up("waitpid");
    ptrace(PTRACE_SETOPTIONS, v->proc.tid, NULL, (void *)PTRACE_O_EXITKILL);
    stopped_well(v, status);
}

void victim_start(struct victim *v, deed_fn *before, deed_fn *deed, uint64_t id)
{
    start(v, before, deed, id, true);
}

void victim_start_outside(struct victim *v, deed_fn *deed, uint64_t id)
{
    start(v, NULL, deed, id, false);
}

void victim_until(struct victim *v, bool (*condition)(unsigned value), unsigned value)
{
    bool was = recording;
    recording = false;
    while (!v->ended && !v->asleep && !condition(value)) one_step(v);
    if (!condition(value)) fail("the victim does not come to where it should");
    recording = was;
}

void victim_falls_asleep(struct victim *v)
{
    while (!v->ended && !v->asleep) { /* from system call to system call, so that it stops at the end of its sleep */
        if (ptrace(PTRACE_SYSCALL, v->proc.tid, NULL, NULL) < 0) give_up("ptrace");
        if (!wait_for_stop(v, true, STOP_MS)) break;
        note_end(v);
    }
    if (!v->asleep) fail("the victim does not go to sleep");
}

void victim_times_out(struct victim *v)
{
    if (!v->asleep || v->ended) return;
    /* Our stop ends its system call, and before it comes back from there, its answer becomes that of the deadline. */
    tgkill(v->proc.pid, v->proc.tid, SIGSTOP);
    if (!wait_for_stop(v, false, STOP_MS)) {
        fail("the victim does not stop");
        return;
    }
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, v->proc.tid, NULL, &registers) < 0) give_up("ptrace");
    registers.rax = (unsigned long long)-ETIMEDOUT;
    registers.orig_rax = ULLONG_MAX; /* not to be begun again */
    if (ptrace(PTRACE_SETREGS, v->proc.tid, NULL, &registers) < 0) give_up("ptrace");
}

bool victim_wakes(struct victim *v, bool must)
{
    if (!v->asleep || v->ended) return v->ended;
    if (!wait_for_stop(v, false, must || recording ? LOST_MS : 3)) { /* a path is worth some patience */
        if (must) fail("LOST WAKE-UP: the victim sleeps on");
        return false;
    }
    return true;
}

bool victim_run(struct victim *v)
{
    int ms = victims > 1 ? HELD_UP_MS : STOP_MS;
    while (!v->ended) {
        if (!v->asleep && !v->running && ptrace(PTRACE_CONT, v->proc.tid, NULL, NULL) < 0) give_up("ptrace");
        v->running = true;
        v->asleep = false;
        if (!wait_for_stop(v, true, ms)) {
            if (victims > 1) return false; /* what it waits for, the other may have */
            fail("the victim's call does not end");
            v->ended = true;
        }
        v->running = v->asleep; /* stopped: at its end, or where the step is done in which it slept */
        note_end(v);
        if (v->asleep) return false;
    }
    return true;
}

int victim_finish(struct victim *v)
{
    int64_t start_ms = now_ms();
    while (!victim_run(v)) {
        int64_t waited = now_ms() - start_ms;
        if ((v->asleep && waited > LOST_MS) || waited > STOP_MS) {
            fail(v->asleep ? "LOST WAKE-UP: the victim sleeps on" : "the victim's call does not end");
            return NO_RESULT;
        }
        brood__os_nap(100 * 1000);
    }
    return v->result;
}

bool victim_has(const struct victim *v, const struct latch_shm *latch)
{
    return (atomic_load(&latch->word) & OS_TID_MASK) == (uint32_t)v->proc.tid;
}

void victim_kill(struct victim *v)
{
    if (v->proc.pid != 0) proc_kill(&v->proc);
    left[v->ordinal].pid = 0;
}
