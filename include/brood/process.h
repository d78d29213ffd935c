/* SPDX-License-Identifier: MIT */
/*
 * process.h - a task function run in a process of its own.
 *
 *     brood_process p;
 *     brood_process_start(&p, NULL, worker, &(worker_args){in, out});
 *     brood_process_join(p, BROOD_FOREVER, &exit_code);
 *     brood_process_free(p);
 *
 * It is of its starter's process group and takes the keys of a terminal as any child does.  By fork it has the caller's
 * handlers, ignored signals and mask; else it ignores what the caller ignores (but for SIGCHLD), has the defaults for
 * all else, and blocks nothing.  A signal that comes while it is being started waits until its task begins.
 */
#ifndef BROOD_PROCESS_H
#define BROOD_PROCESS_H

#include <brood/base.h>
#include <brood/context.h>
#include <brood/task.h>
#include <sys/types.h>

typedef struct brood_process {
    uint64_t id;
} brood_process;

/* Exit codes: 0..255 as given to exit; -N when signal N ended it; and: */
enum {
    BROOD_EXIT_RUNNING = 1000, /* it has not ended */
    BROOD_EXIT_UNKNOWN = 1001, /* it has ended, and another part of the program took its status from the system */
};

/* A descriptor of the caller's and the number from 0 to 99 it shall have in the child. */
typedef struct brood_descriptor {
    int from, to;
} brood_descriptor;

struct brood_pipe_end;

/* Zero means default everywhere.  Nothing is kept after the call returns. */
typedef struct brood_process_options {
    const char *name; /* at most 31 bytes; default "<task>-<number>" */
    brood_start_method method;
    bool daemon;                         /* ended together with the process that started it */
    bool core_dump;                      /* may leave a core file */
    const char *directory;               /* working directory; default the caller's */
    char *const *environment;            /* "NAME=value" strings, NULL at the end; default the caller's */
    const brood_descriptor *descriptors; /* passed besides standard input, output and error, which are always;
                                            fork has them all as they are, and only checks these */
    size_t descriptor_count;             /* at most 64, of different numbers */
    const int *cpus;                     /* processors it may run on */
    size_t cpu_count;
    size_t memory_limit;               /* bytes of data (RLIMIT_DATA) */
    unsigned cpu_seconds;              /* RLIMIT_CPU */
    int start_timeout;                 /* ms in which it has to report, never negative; default the family's */
    const struct brood_pipe_end *ends; /* held by the caller; the process's before its task begins, see brood/pipe.h */
    size_t end_count;
    const brood_context *context; /* what is not said here; method and start_timeout above go before its own */
} brood_process_options;

BROOD_BEGIN

/*
 * Start a process that runs task(*arg) and exits with its result if that is an int (its low 8 bits, as exit(3)), with 1
 * if it called brood_fail, else 0.  Returns once the child has reported that it found the function.
 * options and, for a task without argument, arg may be NULL:
 *
 *     brood_process_start(&p, NULL, idle);
 *     brood_process_start(&p, NULL, worker, &(struct job){in, out});
 *     brood_process_start_with(&p, worker, &job, .name = "worker", .daemon = true);
 *
 * In front of the task, and in the form _with, a compound literal with commas needs parentheses around it.
 *
 * 0: *process is a handle that the caller frees.  BROOD_EEXEC, BROOD_ENOINIT, BROOD_EMODULE, BROOD_ETASK,
 * BROOD_ESTART, BROOD_ETIMEDOUT: it could not be started, and brood_error_detail says at which step and why; nothing is
 * left.
 * BROOD_ETHREADS: the default method is fork, the caller has threads, and fork was not asked for in options.
 * BROOD_EARENA, BROOD_EINVAL, BROOD_ENOTMEMBER, BROOD_EUNSUPPORTED (there, as for brood_init here), or an errno
 * (-EAGAIN: too many processes; -EMFILE), always with detail.
 * BROOD_ESTALE, BROOD_EPERM: the caller does not hold one of options.ends; on failure it holds all that it did.
 * Thread-safe; not async-signal-safe; may start the supervisor.
 * If the caller dies inside, the child is ended, unless its task has begun: then it goes on, as one does whose starter
 * dies later.  At the end of the time that a start has, too, the task may have begun; it is ended.
 */
#define brood_process_start(process, options, ...) \
    BROOD__CAT(BROOD__START_, BROOD__AMOUNT(__VA_ARGS__))(process, options, __VA_ARGS__)
#define BROOD__START_ONE(process, options, task) \
    brood_process_start_task(process, options, BROOD_TASK_OF(task), BROOD__NO_IN(task))
#define BROOD__START_MORE(process, options, task, ...) \
    brood_process_start_task(process, options, BROOD_TASK_OF(task), BROOD__IN(task, __VA_ARGS__))
#define brood_process_start_with(process, task, arg, ...)                                                      \
    brood_process_start_task(process, BROOD__OPTIONS(brood_process_options, __VA_ARGS__), BROOD_TASK_OF(task), \
                             BROOD__IN(task, arg))
BROOD_API int brood_process_start_task(brood_process *process, const brood_process_options *options,
                                       const brood_task *task, const void *arg);

/*
 * Wait until it has ended; timeout in ms.  0, and *exit_code (may be NULL) is set; BROOD_EAGAIN (timeout 0),
 * BROOD_ETIMEDOUT; BROOD_EINVAL: a timeout below BROOD_FOREVER; BROOD_EDEADLK: itself; BROOD_ESTALE.  Any member may
 * join any process, any number of times.
 */
BROOD_API int brood_process_join(brood_process process, int timeout, int *exit_code);

/* Send SIGTERM, SIGKILL.  0 also when it has ended already; it never hits another process of the same pid. */
BROOD_API int brood_process_terminate(brood_process process);
BROOD_API int brood_process_kill(brood_process process);

/* Send any signal, from 1 to SIGRTMAX, likewise; SIGINT is Python's interrupt.  BROOD_EINVAL. */
BROOD_API int brood_process_signal(brood_process process, int signal);

/* The exit code, or BROOD_EXIT_RUNNING, BROOD_EXIT_UNKNOWN; BROOD_ESTALE. */
BROOD_API int brood_process_exit_code(brood_process process);

/* 1 while it runs, 0 after; BROOD_ESTALE. */
BROOD_API int brood_process_is_alive(brood_process process);

/* Its pid; BROOD_ESTALE, BROOD_ENOTMEMBER: a negative number, which kill(2) would take for a process group. */
BROOD_API pid_t brood_process_pid(brood_process process);

/* Copies its name, cut to capacity-1 bytes.  0, BROOD_ESTALE. */
BROOD_API int brood_process_name(brood_process process, char *name, size_t capacity);
BROOD_API int brood_process_is_daemon(brood_process process);

/*
 * A descriptor, readable once the process has ended (a pidfd); made at the first call, the library's own, closed with
 * the handle.  >= 0, BROOD_ESTALE, BROOD_EMFILE.
 */
BROOD_API int brood_process_sentinel(brood_process process);

/* Give the handle back.  BROOD_EAGAIN while it runs: join first, or kill. */
BROOD_API int brood_process_free(brood_process process);

/* This process; the one that started it ({0} in the first member). */
BROOD_API brood_process brood_process_current(void);
BROOD_API brood_process brood_process_parent(void);

/*
 * The running processes that this one started: at most capacity handles are written; the answer is how many there are.
 */
BROOD_API int brood_process_active_children(brood_process *children, size_t capacity);

/* What a child gets from its parent before its function runs; see examples/06_preparation.c. */
typedef struct brood_preparation {
    const char *name;
    const char *directory;          /* where the parent stood when it started this */
    const char *original_directory; /* where the first member stood at brood_init */
    brood_start_method method;
    int argc;
    char *const *argv; /* of the first member */
    size_t authkey_size;
    const unsigned char *authkey; /* shared by the family, for connections */
    pid_t parent;
    int log_level;
} brood_preparation;

/* That of this process; strings belong to the library.  BROOD_ENOTMEMBER. */
BROOD_API int brood_preparation_data(brood_preparation *data);

BROOD_END

#endif
