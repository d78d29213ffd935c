/* SPDX-License-Identifier: MIT */
/*
 * process.c - processes: who is who, how one ended, and how this program is started once more.
 *
 * A pid alone names nobody for long, so a process is its pid and its start time, and once opened a pidfd.
 *
 * A detached start makes two children one after the other as vfork(2) does: they run on stacks of their own in the
 * caller's memory while the caller stands still, so the price doesn't depend on how large the caller is, and what went
 * wrong is told by a store.  The first ends as soon as the second has become the program, which is then an orphan;
 * its exit signal is 0, so that it sends no SIGCHLD and no wait(-1) of the caller's program sees it.  Both run with
 * every signal blocked until no handler is left: a handler would run in the caller's memory.
 *
 * Thread-safe; async-signal-safe but for brood__os_run_detached, which reads the environment.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include) && __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define LIBC_KNOWS_OF_THREADS 1
#endif

#include "os/os.h"
#include "text.h"

/* The kernel's values, missing from older headers. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#define SYS_pidfd_open 434
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define ASK_PIDFD _IOWR(0xff, 11, struct pidfd_answer)
#define ASK_PIDFD_EXIT (UINT64_C(1) << 3)
struct pidfd_answer { /* struct pidfd_info of Linux 6.15; the kernel takes any size from 64 on */
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t pid, tgid, ppid;
    uint32_t ids[8];
    int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_answer) == 64, "as the kernel has it");

/* Of a signal set the kernel looks at this many bytes; the C library's own signals are in it too. */
#define KERNEL_MASK_SIZE ((size_t)(_NSIG / 8))
_Static_assert(sizeof(struct os_mask) >= KERNEL_MASK_SIZE, "room for the kernel's mask");

/* ---------------------------------------------------------------------------------------------------- who is who */

struct stat_line {
    char state;
    uint64_t threads;
    uint64_t started;
};

/* Fields 3, 20 and 22 of a /proc/PID/stat; false if it can't be read. */
static bool read_stat(const char *path, struct stat_line *line)
{
    char content[1024];
    if (text_read_file(path, content, sizeof content) <= 0) return false;
    const char *at = strrchr(content, ')'); /* the name before it can hold anything, brackets and spaces too */
    if (!at || at[1] != ' ' || !at[2]) return false;
    at += 2;
    line->state = *at;
    for (int field = 3; field < 22; field++) {
        if (field == 20 && !text_take_number(&at, &line->threads)) return false;
        at = strchr(at, ' ');
        if (!at) return false;
        at++;
    }
    return text_take_number(&at, &line->started);
}

static bool read_stat_of(pid_t pid, struct stat_line *line)
{
    char path[64];
    struct text text = text_in(path, sizeof path);
    text_put(&text, "/proc/");
    text_put_number(&text, (uint64_t)pid, 10, 1);
    text_put(&text, "/stat");
    return read_stat(path, line);
}

/* A zombie of which other threads still run is a main thread that ended early, not a process that did. */
static bool has_ended(const struct stat_line *line)
{
    return (line->state == 'Z' || line->state == 'X') && line->threads <= 1;
}

/* 1, 0, or -errno. */
static int readable_now(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int result;
    do result = poll(&poller, 1, 0);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result > 0 && (poller.revents & POLLIN);
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

void brood__os_process_self(struct os_process *self)
{
    struct stat_line line;
    self->pid = getpid();
    self->started = read_stat("/proc/self/stat", &line) ? line.started : 0;
}

/* Without a readable /proc: whether the pid is in use by a process that has not ended. */
static bool pid_alive(pid_t pid)
{
    int fd = open_pidfd(pid);
    if (fd < 0) return fd != -ESRCH && (kill(pid, 0) == 0 || errno == EPERM);
    bool alive = readable_now(fd) <= 0;
    close(fd);
    return alive;
}

bool brood__os_process_alive(const struct os_process *process)
{
    struct stat_line line;
    if (process->pid <= 0) return false;
    if (!read_stat_of(process->pid, &line)) return pid_alive(process->pid);
    return !has_ended(&line) && (!process->started || process->started == line.started);
}

bool brood__os_process_single(const struct os_process *process)
{
    struct stat_line line;
    if (process->pid <= 0 || !read_stat_of(process->pid, &line) || line.state == 'Z' || line.state == 'X') return false;
    return line.threads == 1 && (!process->started || process->started == line.started);
}

int brood__os_process_open(const struct os_process *process, int *pidfd)
{
    *pidfd = -1;
    if (process->pid <= 0) return -ESRCH;
    int fd = open_pidfd(process->pid);
    if (fd == -EINVAL || fd == -ENOENT) return -ESRCH; /* the number is that of some thread now */
    if (fd < 0) return fd;

    /* If it is still the one that was meant after it was opened, then the descriptor is of that one. */
    struct stat_line line;
    if (process->started && read_stat_of(process->pid, &line) && line.started != process->started) {
        close(fd);
        return -ESRCH;
    }
    *pidfd = fd;
    return 0;
}

void brood__os_process_kill(const struct os_process *process)
{
    if (brood__os_process_alive(process)) kill(process->pid, SIGKILL);
}

int brood__os_process_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* What the kernel keeps for those who hold a pidfd after the process was reaped. */
static enum os_exit exit_by_pidfd(int pidfd, int *value)
{
    struct pidfd_answer answer = {.mask = ASK_PIDFD_EXIT};
    if (ioctl(pidfd, ASK_PIDFD, &answer) < 0 || !(answer.mask & ASK_PIDFD_EXIT)) return OS_EXIT_UNKNOWN;
    if (WIFSIGNALED(answer.exit_code)) {
        *value = WTERMSIG(answer.exit_code);
        return OS_EXIT_SIGNAL;
    }
    *value = WEXITSTATUS(answer.exit_code);
    return OS_EXIT_STATUS;
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* OS_EXIT_UNKNOWN: it is no child of this process, or has been reaped.  The raw call tells of the resources, too. */
static enum os_exit wait_for(idtype_t kind, id_t id, int *value, struct os_usage *usage)
{
    siginfo_t info;
    struct rusage used;
    long result;
    *value = 0;
    if (usage) memset(usage, 0, sizeof *usage);
    do {
        info.si_pid = 0;
        result = syscall(SYS_waitid, kind, id, &info, WEXITED | WNOHANG | __WALL, &used);
    } while (result < 0 && errno == EINTR);

    if (result < 0) return OS_EXIT_UNKNOWN;
    if (info.si_pid == 0) return OS_EXIT_RUNNING;
    if (usage)
        *usage = (struct os_usage){microseconds(used.ru_utime), microseconds(used.ru_stime),
                                   (uint64_t)used.ru_maxrss * 1024u};
    *value = info.si_status;
    return info.si_code == CLD_EXITED ? OS_EXIT_STATUS : OS_EXIT_SIGNAL;
}

enum os_exit brood__os_process_end(int pidfd, int *value, struct os_usage *usage)
{
    enum os_exit exit = wait_for((idtype_t)P_PIDFD, (id_t)pidfd, value, usage);
    if (exit != OS_EXIT_UNKNOWN) return exit;
    exit = exit_by_pidfd(pidfd, value);
    return exit == OS_EXIT_UNKNOWN && readable_now(pidfd) == 0 ? OS_EXIT_RUNNING : exit;
}

enum os_exit brood__os_child_end(pid_t child, int *value, struct os_usage *usage)
{
    return child > 0 ? wait_for(P_PID, (id_t)child, value, usage) : OS_EXIT_UNKNOWN;
}

void brood__os_process_reap(int pidfd)
{
    siginfo_t info;
    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR) continue;
}

void brood__os_end_child(pid_t child)
{
    if (child <= 0) return;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) continue;
}

bool brood__os_has_threads(void)
{
    struct stat_line line;
#ifdef LIBC_KNOWS_OF_THREADS
    if (__libc_single_threaded) return false; /* it is sure; if not, those that it had may have ended */
#endif
    return read_stat("/proc/self/stat", &line) && line.threads > 1;
}

/* ------------------------------------------------------------------------------------------------------- signals */

/* By the raw call: the C library's functions leave out the signals it keeps for itself. */
static void set_mask(const struct os_mask *mask, struct os_mask *before)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, KERNEL_MASK_SIZE);
}

void brood__os_block_signals(struct os_mask *saved)
{
    struct os_mask all;
    memset(&all, 0xff, sizeof all);
    memset(saved, 0, sizeof *saved);
    set_mask(&all, saved);
}

void brood__os_restore_signals(const struct os_mask *saved)
{
    set_mask(saved, NULL);
}

static void default_signals(void)
{
    static const unsigned long by_default[16]; /* the kernel's struct sigaction, all of it zero */
    for (int number = 1; number < _NSIG; number++)
        syscall(SYS_rt_sigaction, number, by_default, NULL, KERNEL_MASK_SIZE);
}

uint64_t brood__os_ignored_signals(void)
{
    uint64_t ignored = 0;
    struct sigaction action;
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (number == SIGCHLD || sigaction(number, NULL, &action) < 0) continue; /* refused: the C library's own */
        if (action.sa_handler == SIG_IGN) ignored |= OS_SIGNAL_BIT(number);
    }
    return ignored;
}

void brood__os_begin_signals(uint64_t ignored)
{
    static const struct os_mask none;
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (int number = 1; number <= SIGRTMAX; number++)
        if (ignored & OS_SIGNAL_BIT(number)) sigaction(number, &action, NULL);
    set_mask(&none, NULL);
}

static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGABRT ||
           number == SIGTRAP || number == SIGSYS;
}

void brood__os_block_for_thread(struct os_mask *saved)
{
    struct os_mask most;
    unsigned char *bits = (unsigned char *)&most;
    memset(&most, 0xff, sizeof most);
    memset(saved, 0, sizeof *saved);
    for (int number = 1; number < SIGRTMIN; number++) /* from 32 on the C library's own, to call all threads */
        if (is_fault(number) || number >= 32) bits[(number - 1) / 8] &= (unsigned char)~(1u << (number - 1) % 8);
    set_mask(&most, saved);
}

void brood__os_drop_handlers(void)
{
    struct sigaction action;
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (is_fault(number) || sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_IGN) continue;
        action = (struct sigaction){.sa_handler = SIG_DFL};
        sigaction(number, &action, NULL);
    }
}

/* -------------------------------------------------------------------------------------------------- this program */

struct program {
    int fd;              /* its file, whatever the name means by now; -1: only the path is known */
    char path[PATH_MAX]; /* empty: only the file is known */
};

/* What the link says, cut to capacity; false if it says nothing. */
static bool read_link(const char *link, char *target, size_t capacity)
{
    ssize_t length = capacity ? readlink(link, target, capacity - 1) : -1;
    if (length <= 0) return false;
    target[length] = '\0';
    return true;
}

int brood__os_program_path(char *path, size_t capacity)
{
    if (read_link("/proc/self/exe", path, capacity)) return 0;
    const char *called = (const char *)getauxval(AT_EXECFN);
    if (!called || called[0] != '/' || capacity == 0) return -ENOENT;
    struct text text = text_in(path, capacity);
    text_put(&text, called);
    return 0;
}

/* path: another program than this one, or NULL. */
static int open_program(struct program *program, const char *path)
{
    char link[64], opened[PATH_MAX];
    if (path) {
        struct text text = text_in(program->path, sizeof program->path);
        text_put(&text, path);
        program->fd = -1;
        return 0;
    }
    if (brood__os_program_path(program->path, sizeof program->path) < 0) program->path[0] = '\0';
    program->fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (program->fd < 0) return errno == ENOENT && program->path[0] ? 0 : -errno; /* ENOENT: no /proc */
    if (!program->path[0]) return 0;

    /*
     * An emulator (valgrind, qemu) answers the question for the link with the program's name; if opening the link leads
     * to another file, that is the emulator itself, and the name is right.
     */
    struct text text = text_in(link, sizeof link);
    text_put(&text, "/proc/self/fd/");
    text_put_number(&text, (uint64_t)program->fd, 10, 1);
    if (read_link(link, opened, sizeof opened) && strcmp(opened, program->path) != 0) brood__os_close(&program->fd);
    return 0;
}

/* Whether the path still leads to the open file. */
static bool path_is_current(const struct program *program)
{
    struct stat by_path, by_fd;
    return stat(program->path, &by_path) == 0 && fstat(program->fd, &by_fd) == 0 && by_path.st_dev == by_fd.st_dev &&
           by_path.st_ino == by_fd.st_ino;
}

/* The two children of a detached start run on foreign stacks in the caller's thread: nothing there keeps books of it. */
#define ON_FOREIGN_STACK \
    __attribute__((noinline, no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

/*
 * Standard output leads nowhere.  One that is closed stays so, though its number may be in use: by what is closed on
 * exec.  Without a descriptor to spare all stays as it is.
 */
ON_FOREIGN_STACK static void mute(void)
{
    if (syscall(SYS_fcntl, 1, F_GETFD) != 0) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    syscall(SYS_dup3, fd, 1, 0);
    syscall(SYS_close, fd);
}

/* Returns only if it fails: -errno. */
static int execute(const struct program *program, char *const argv[], char *const environment[])
{
    mute();
    if (program->fd >= 0) {
        syscall(SYS_execveat, program->fd, "", argv, environment, AT_EMPTY_PATH);
        int result = -errno;
        if (!program->path[0] || !path_is_current(program)) return result;
    }
    syscall(SYS_execve, program->path, argv, environment);
    return -errno;
}

int brood__os_exec(const char *path, char *const argv[], char *const environment[])
{
    struct program program;
    int result = open_program(&program, path);
    if (result == 0) result = execute(&program, argv, environment);
    brood__os_close(&program.fd);
    return result;
}

int brood__os_find_program(const char *name, char path[], size_t capacity)
{
    char resolved[PATH_MAX];
    struct stat status;
    if (!realpath(name, resolved) || stat(resolved, &status) < 0) return -errno;
    if (!S_ISREG(status.st_mode)) return S_ISDIR(status.st_mode) ? -EISDIR : -EACCES;
    if (access(resolved, X_OK) < 0) return -errno;
    if (strlen(resolved) >= capacity) return -ENAMETOOLONG;
    struct text text = text_in(path, capacity);
    text_put(&text, resolved);
    return 0;
}

pid_t brood__os_fork(void)
{
    struct os_mask before;
    brood__os_block_signals(&before);
    pid_t pid = fork();
    int result = pid < 0 ? -errno : pid;
    brood__os_restore_signals(&before);
    return result;
}

/* ------------------------------------------------------------------------------------------------ detached start */

#define STACK_SIZE ((size_t)64 * 1024)
#define ALIKE_VFORK (CLONE_VM | CLONE_VFORK)

enum { DETACHED_NOTHING = 0, DETACHED_AT_EXEC = 1 }; /* or -errno */

/*
 * What a detached start needs, in one mapping with both stacks.  It is a shared mapping, because an emulator makes
 * forks of vforks: state still arrives then, only later.
 */
struct detached {
    struct program program;
    volatile int state;
    volatile pid_t pid;
    int keep;
    char *argv[2];
    char **environment;
    struct text variable; /* "NAME="; the program's own process adds its pid */
    char *first_stack;    /* their upper ends */
    char *second_stack;
    size_t size;
};

ON_FOREIGN_STACK static int become_program(void *argument)
{
    struct detached *start = argument;

    default_signals();
    start->pid = (pid_t)syscall(SYS_getpid);
    text_put_number(&start->variable, (uint64_t)start->pid, 10, 1);
    text_put(&start->variable, ":");
    text_put_number(&start->variable, (uint64_t)start->keep, 10, 1);
    if (syscall(SYS_fcntl, start->keep, F_SETFD, 0) < 0) {
        start->state = -errno;
        return 127;
    }
    start->state = DETACHED_AT_EXEC;
    start->state = execute(&start->program, start->argv, start->environment);
    return 127;
}

ON_FOREIGN_STACK static int leave_orphan(void *argument)
{
    struct detached *start = argument;
    if (clone(become_program, start->second_stack, ALIKE_VFORK | SIGCHLD, start) < 0) start->state = -errno;
    return 0;
}

/* Lay out the mapping; the environment is the caller's, without an older value of the variable.  NULL: see errno. */
static struct detached *prepare_detached(const char *name, const char *variable, int keep)
{
    size_t count = 0, prefix = strlen(variable), capacity = prefix + 64;
    while (environ && environ[count]) count++;
    size_t head = sizeof(struct detached) + (count + 2) * sizeof(char *) + capacity;
    head = (head + 63) & ~(size_t)63;
    size_t size = head + 2 * STACK_SIZE;

    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    struct detached *start = (struct detached *)(void *)base;
    start->size = size;
    start->keep = keep;
    start->argv[0] = (char *)(uintptr_t)name;
    start->first_stack = base + head + STACK_SIZE;
    start->second_stack = base + head + 2 * STACK_SIZE;

    start->environment = (char **)(void *)(base + sizeof *start);
    start->variable = text_in(base + sizeof *start + (count + 2) * sizeof(char *), capacity);
    text_put(&start->variable, variable);
    size_t used = 0;
    for (size_t i = 0; i < count && environ[i]; i++)
        if (strncmp(environ[i], variable, prefix) != 0) start->environment[used++] = environ[i];
    start->environment[used] = start->variable.start;
    return start;
}

/* The outcome, which is there already unless vfork is emulated by a fork. */
static int outcome(const struct detached *start)
{
    for (int patience = 2000; start->state == DETACHED_NOTHING && patience > 0; patience--) brood__os_nap(1000000);
    if (start->state == DETACHED_NOTHING) return -ECHILD; /* killed on the way */
    return start->state == DETACHED_AT_EXEC ? (int)start->pid : start->state;
}

static int start_detached(struct detached *start)
{
    struct os_mask before;
    brood__os_block_signals(&before);
    pid_t first = clone(leave_orphan, start->first_stack, ALIKE_VFORK, start);
    int result = first < 0 ? -errno : 0;
    while (first > 0 && syscall(SYS_wait4, first, NULL, __WALL, NULL) < 0 && errno == EINTR) continue;
    brood__os_restore_signals(&before);
    return result < 0 ? result : outcome(start);
}

/*
 * Frames that were left by exec are still marked in an address sanitizer's books, and whoever maps memory there next
 * would be accused.
 */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_BOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_BOOKS 1
#endif
#endif
#ifdef HAS_BOOKS
void __asan_unpoison_memory_region(void const volatile *address, size_t size);
#define forget_frames(address, size) __asan_unpoison_memory_region(address, size)
#else
#define forget_frames(address, size) ((void)0)
#endif

int brood__os_run_detached(const char *path, const char *name, const char *variable, int keep)
{
    struct detached *start = prepare_detached(name, variable, keep);
    if (!start) return -errno;

    int result = open_program(&start->program, path);
    if (result == 0) result = start_detached(start);
    brood__os_close(&start->program.fd);
    forget_frames(start, start->size);
    munmap(start, start->size);
    return result;
}

/* ------------------------------------------------------------------------------------------ what a child becomes */

const char *brood__os_step_name(int step)
{
    switch (step) {
    case OS_STEP_NONE: return "nothing";
    case OS_STEP_FORK: return "fork";
    case OS_STEP_DESCRIPTORS: return "descriptors";
    case OS_STEP_ENVIRONMENT: return "environment";
    case OS_STEP_DIRECTORY: return "working directory";
    case OS_STEP_AFFINITY: return "affinity";
    case OS_STEP_LIMITS: return "limits";
    case OS_STEP_EXEC: return "exec";
    default: return "unknown step";
    }
}

static int apply_affinity(const int *cpus, uint64_t count)
{
    enum { WORD = sizeof(unsigned long) * CHAR_BIT, WORDS = 128 };
    unsigned long bits[WORDS] = {0};
    for (uint64_t i = 0; i < count; i++) {
        if (cpus[i] < 0 || cpus[i] >= WORDS * WORD) return -EINVAL;
        bits[cpus[i] / WORD] |= 1UL << (cpus[i] % WORD);
    }
    return syscall(SYS_sched_setaffinity, 0, sizeof bits, bits) < 0 ? -errno : 0;
}

/* Lower a limit; one that is lower already stays.  `grace` more is what the hard limit gets, where a soft one warns. */
static int lower_limit(int resource, uint64_t value, uint64_t grace)
{
    struct rlimit limit;
    if (prlimit(0, (__rlimit_resource_t)resource, NULL, &limit) < 0) return -errno;
    uint64_t hard;
    if (__builtin_add_overflow(value, grace, &hard)) hard = RLIM_INFINITY;
    if (limit.rlim_max <= hard && limit.rlim_cur <= value) return 0;
    if (limit.rlim_max > hard) limit.rlim_max = (rlim_t)hard;
    if (limit.rlim_cur > value) limit.rlim_cur = (rlim_t)value;
    return prlimit(0, (__rlimit_resource_t)resource, &limit, NULL) < 0 ? -errno : 0;
}

static int set_open_files(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    rlim_t wanted = count < limit.rlim_max ? (rlim_t)count : limit.rlim_max;
    if (limit.rlim_cur == wanted) return 0;
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int brood__os_apply_limits(const struct os_limits *limits, int *step)
{
    int result = 0;
    *step = OS_STEP_AFFINITY;
    if (limits->cpu_count) result = apply_affinity(limits->cpus, limits->cpu_count);
    if (result < 0) return result;

    *step = OS_STEP_LIMITS;
    if (limits->memory) result = lower_limit(RLIMIT_DATA, limits->memory, 0);
    if (result == 0 && limits->cpu_seconds) result = lower_limit(RLIMIT_CPU, limits->cpu_seconds, 5);
    if (result == 0 && limits->open_files) result = set_open_files(limits->open_files);
    if (result == 0 && !limits->core_dump) result = lower_limit(RLIMIT_CORE, 0, 0);
    if (result == 0) *step = OS_STEP_NONE;
    return result;
}

void brood__os_exit_now(int code)
{
    _exit(code);
}

int brood__os_die_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -errno;
    return getppid() == parent ? 0 : -ESRCH; /* it may have ended before the request */
}

void brood__os_set_name(const char *name)
{
    char cut[16];
    struct text text = text_in(cut, sizeof cut);
    text_put(&text, name);
    prctl(PR_SET_NAME, cut);
}
