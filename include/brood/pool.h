/* SPDX-License-Identifier: MIT */
/*
 * pool.h - workers that run task functions, one of which may crash.
 *
 * A worker that dies costs the one task it was in; that task resolves as BROOD_ELOST with the signal, the worker is
 * replaced, and the rest goes on.  A pool's handle works in every member: a task may submit to its own pool, and wait
 * for the answer.  While a task waits for an answer of a pool, its own or another, a further worker stands in for its
 * own, as long as there is work for it, so that always so many work as the pool has workers; at most max_compensating
 * of them, and where those wait too, all for ever and for answers of their own pool that nobody is left to give, the
 * last one's wait is BROOD_EDEADLK.  Waits for other things (queues, locks, events) are not noticed.
 * With .spares some are there from the start, and take the place of a worker that waits or has died at once.
 *
 * Workers ignore SIGINT, SIGQUIT and SIGHUP, which are for the program, and whatever else it ignores when it makes the
 * pool; they are stopped and continued together with it.  A call that waits goes on after a signal handler; the handler
 * ends it by brood_pool_close or brood_pool_terminate.
 *
 * By .method = BROOD_START_THREAD the workers are threads of the process that makes the pool, with the same calls: made in
 * brood_pool_new (and when a task waits, to stand in for it), joined by brood_pool_join, brood_pool_free and brood_fini,
 * all signals blocked.  A crash of one is the caller's.  None can be killed: what ends a pool or a task tells what runs
 * (brood_task_stopping) and waits for it, and whatever kills, limits or replaces a worker (deadline, max_tasks_per_child,
 * the limits of memory, keep_stderr, spares, a context's executable and preload) is BROOD_EINVAL.  One initializer that
 * fails is BROOD_EINIT.  Only the process that made such a pool frees it (BROOD_EPERM); any member uses it.
 */
#ifndef BROOD_POOL_H
#define BROOD_POOL_H

#include <brood/base.h>
#include <brood/process.h>
#include <brood/task.h>

typedef struct brood_pool {
    uint64_t id;
} brood_pool;

/* One submitted task: the slot it is in and its serial, so a late answer can never be another's. */
typedef struct brood_future {
    uint64_t pool, serial;
} brood_future;

/* A map that is under way. */
typedef struct brood_map {
    uint64_t pool, serial;
} brood_map;

/* What brood_pool_dispatch calls for a task or a map that has its answer; context as it was given. */
typedef void brood_callback_fn(void *context, brood_future future);
typedef void brood_map_callback_fn(void *context, brood_map map);

/* Zero means default everywhere. */
typedef struct brood_pool_options {
    const char *name;              /* at most 20 bytes; default "pool" */
    unsigned workers;              /* default brood_cpu_count(); at most 4096 */
    brood_start_method method;     /* BROOD_START_THREAD: the workers are threads of this process, see below */
    unsigned max_tasks_per_child;  /* items that a worker runs before it is replaced; 0: no limit */
    const brood_task *initializer; /* run in each worker before its first task: BROOD_TASK_OF(name) */
    const void *initializer_arg;   /* copied by brood_pool_new */
    unsigned max_pending; /* futures that are not freed, at most, rounded up to 64, 128, 256, ...; default 65536 */
    size_t memory_limit;  /* of each worker: bytes of data (RLIMIT_DATA) */
    size_t max_memory_per_child; /* bytes of its own that a worker may have after a task; one that has more is replaced,
                                    and nothing is lost; 0: no limit */
    const brood_task *exit_hook; /* without argument: run in each worker that leaves by itself, not in one that is
                                    killed; what it fails with is not heard */
    const brood_context *context; /* how workers are started, as far as it is not said here */
    unsigned quarantine; /* runs of one task that end in its worker's death, before it is not run again; default 3 */
    bool keep_stderr; /* what a worker writes to its standard error comes out after each run of a task or chunk, and the
                         end of what it wrote in a run that ended it is in brood_crash, and nowhere else; all of it lies
                         in memory until then */
    unsigned max_compensating; /* workers started besides, at most, while as many wait in a task; default 64 */
    uint64_t seed;             /* of brood_task_seed; any number, 0 too */
    unsigned spares; /* workers that are started besides and do nothing until one of the others waits in a task, or has
                        died and is not replaced yet: then one takes its place at once; they are among those of
                        max_compensating, or more than that; default 0, at most 4096; not in a pool of threads */
} brood_pool_options;

/* Further wishes for a task; zero means none. */
typedef struct brood_submit_options {
    int soft_deadline; /* ms that a run may take until brood_task_stopping tells it */
    int deadline;      /* ms that a run may take until its worker is killed; the task is BROOD_EDEADLINE */
    unsigned retries;  /* how often it may run again after a run that ended with its worker: for a task that may be run
                          more than once; at most 200 */
    int backoff;       /* ms before the first further run, doubled with each; default 10 */
    unsigned priority; /* 0 to 7: of what is queued the highest is run first, and before items of maps if it is not 0;
                          within one about in the order of submission */
    brood_callback_fn *callback; /* called by brood_pool_dispatch when the task has its answer; NULL: nothing is */
    void *context;               /* given to it */
} brood_submit_options;

/* Why a task ended as it did, finer than the code. */
typedef enum brood_reason {
    BROOD_REASON_RESULT,        /* it has one */
    BROOD_REASON_ERROR,         /* brood_fail, or its function or result could not be had (code says) */
    BROOD_REASON_SIGNAL,        /* its worker was ended by a signal */
    BROOD_REASON_EXIT,          /* its worker exited in it */
    BROOD_REASON_UNKNOWN,       /* its worker has ended, and nobody could learn how */
    BROOD_REASON_SOFT_DEADLINE, /* it called brood_fail after its soft deadline */
    BROOD_REASON_DEADLINE,      /* its worker was killed at its deadline; pid 0: nobody could have, so it never began */
    BROOD_REASON_MEMORY,        /* its worker was killed because its cgroup was out of memory */
    BROOD_REASON_CANCELLED,     /* brood_future_cancel, brood_pool_terminate, brood_pool_drain */
    BROOD_REASON_OWNER_GONE,    /* the process that made the pool has ended */
    BROOD_REASON_START_FAILED,  /* the pool's workers can't be started (code says why) */
    BROOD_REASON_QUARANTINED    /* it might have run again, but has ended as many workers as a task may */
} brood_reason;

/* In a word or two, as "soft deadline"; "unknown" for that one and for no reason of these.  Async-signal-safe. */
BROOD_API const char *brood_reason_name(brood_reason reason);

/* How one item or task ended. */
typedef struct brood_outcome {
    int code; /* 0; BROOD_EFAILED, BROOD_ELOST, BROOD_EDEADLINE, BROOD_EOOM, BROOD_ECANCELED, ... */
    brood_reason reason;
    int fail;         /* BROOD_EFAILED: the code given to brood_fail */
    int signal;       /* what ended the worker, its deadline's SIGKILL too; 0: it exited by itself, or lives */
    int status;       /* BROOD_ELOST with signal 0: the exit code */
    pid_t pid;        /* of the worker that had it, 0: none had */
    unsigned attempt; /* how often it has begun; of an item always 1 */
    uint64_t id; /* of an item of a map: its index; of a task: brood_future.serial, which is no index of anything */
    char text[BROOD_FAIL_TEXT]; /* BROOD_EFAILED: brood_fail's; a worker's end: "killed by signal 11 (Segmentation
                                   fault)", "exited with code 3"; else "" */
} brood_outcome;

/* One call on the way to a crash. */
typedef struct brood_frame {
    uint64_t offset;    /* of the instruction, in the addresses of its module */
    char module[240];   /* path; "": the program; "?": it is in none, and offset is the address */
    char function[128]; /* "": not known */
    char file[240];     /* "": not known, as line 0 */
    int line;
} brood_frame;

#define BROOD_CRASH_FRAMES 32
#define BROOD_CRASH_STDERR 2048
#define BROOD_CRASH_STDERR_KEPT 64 /* deaths of workers for which it is kept at least, the last ones */

/*
 * What is known of the end of a worker in a task.  address and frames are there when the worker's own handler ran: it
 * ended by SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP or SIGSYS, for which the program has no handler of its
 * own.
 */
typedef struct brood_crash {
    uint64_t id;   /* of the task: its serial; of a map or a stream: the item */
    char task[64]; /* its name */
    unsigned attempt;
    char worker[32]; /* its name */
    pid_t pid;
    brood_reason reason;
    int signal, signal_code;     /* code: si_code of siginfo_t */
    int status;                  /* of a worker that exited */
    uint64_t address;            /* of the fault, if signal_code > 0 (0: a null pointer); else 0 */
    uint64_t user_us, system_us; /* what the worker had used, all its tasks together: microseconds */
    uint64_t max_rss;            /* at most, bytes; 0: not known, as the times */
    unsigned frame_count;
    brood_frame frames[BROOD_CRASH_FRAMES]; /* the innermost first */
    char stderr_tail[BROOD_CRASH_STDERR];   /* under keep_stderr: the end of what it wrote to its standard error in this
                                               run; "" if BROOD_CRASH_STDERR_KEPT workers have died since, or the
                                               supervisor together with it */
} brood_crash;

/*
 * How a map went: done + failed + lost = n, or less by the items that were cancelled.  The firsts have the lowest index
 * of their kind; code 0: there is none.
 */
typedef struct brood_report {
    size_t done, failed, lost;
    brood_outcome first_failed, first_lost;
} brood_report;

/* Further wishes for a map; zero means default. */
typedef struct brood_map_options {
    size_t chunk; /* items handed to a worker at once, at most; 0: chosen, shrinking towards the end */
    int timeout;  /* ms for the whole map; 0 means BROOD_FOREVER */
    brood_report *report;
    brood_crash *crash; /* filled for one of the lost items, its id, if some left a record; else its pid is 0.  For the
                           crash of each: submit, or imap */
    int *codes; /* n ints: what became of each item: 0, BROOD_ELOST, BROOD_EFAILED, BROOD_EOOM, BROOD_ECANCELED */
    brood_map_callback_fn *callback; /* of an asynchronous map: called by brood_pool_dispatch when all is decided; it
                                        may call brood_map_wait, or another does later */
    void *context;                   /* given to it */
} brood_map_options;

/* Further wishes for an apply; zero means default. */
typedef struct brood_apply_options {
    int timeout; /* ms; 0 means BROOD_FOREVER */
    brood_outcome *outcome;
    brood_submit_options submit; /* as .submit = {.deadline = 100} */
} brood_apply_options;

BROOD_BEGIN

/*
 * Make a pool, owned by this process.  options may be NULL.  The workers are started in the background; errors of
 * their start are answers of the calls that use the pool (BROOD_ESTART, BROOD_EEXEC, ...; BROOD_EINIT: the
 * initializer called brood_fail, and brood_error_detail has its text).
 * 0, BROOD_EINVAL, BROOD_EARENA, BROOD_ETHREADS, BROOD_ESTART, BROOD_ENOTMEMBER, or an errno: out of descriptors or
 * memory.  May start the supervisor.
 */
BROOD_API int brood_pool_new(brood_pool *pool, const brood_pool_options *options);

/*
 * out[i] = task(in[i]) for 0 <= i < n, in the pool's workers.  in or out is NULL for a task without argument or result.
 * Arrays that lie in a brood_buffer are used where they are; others are copied in and out, large ones piece by piece
 * while workers work.  Those may be the same, or overlap: out is as if all of in had been copied before.  Each item runs
 * at most once.
 * 0: all done.  BROOD_ELOST, BROOD_EFAILED: some were not (lost wins); all others are, and out has their results; the
 * output of an item that failed or was lost is zero, and of one that never began zero or, in a buffer, as it was.
 * BROOD_ETIMEDOUT: what has ended counts, as in the report; items that have not begun never will; those that run go on,
 * and their results are dropped, unless out lies in a buffer; codes say BROOD_ECANCELED for both.  BROOD_EAGAIN: 32 maps are under way in this pool, as many
 * as can be.  BROOD_ECLOSED: the pool is closed.  BROOD_EINVAL: in or out is missing, or timeout below BROOD_FOREVER.
 * BROOD_EARENA, BROOD_ESTALE, BROOD_ENOTMEMBER, and the errors of workers that can't start.
 * in may be a compound literal as it is; in the form _with, one with commas needs parentheses around it.
 */
#define brood_pool_map(pool, task, ...) \
    brood_pool_map_task(pool, BROOD_TASK_OF(task), BROOD__MAP_ARRAYS(task, __VA_ARGS__), NULL)
#define brood_pool_map_with(pool, task, in, out, n, ...)                                \
    brood_pool_map_task(pool, BROOD_TASK_OF(task), BROOD__MAP_ARRAYS(task, in, out, n), \
                        BROOD__OPTIONS(brood_map_options, __VA_ARGS__))
BROOD_API int brood_pool_map_task(brood_pool pool, const brood_task *task, const void *in, void *out, size_t n,
                                  const brood_map_options *options);

/*
 * As brood_pool_map, but at once; the arrays must stay until brood_map_wait has answered 0 or an error other than
 * timeout.  brood_map_wait waits for it, copies out, and frees it: by the process that began it.
 * Of the options report, crash and codes are filled by brood_map_wait, and have to stay until then as the arrays; a
 * timeout is BROOD_EINVAL, for time is brood_map_wait's to give.
 */
#define brood_pool_map_async(pool, map, task, ...) \
    brood_pool_map_async_task(pool, map, BROOD_TASK_OF(task), BROOD__MAP_ARRAYS(task, __VA_ARGS__), NULL)
#define brood_pool_map_async_with(pool, map, task, in, out, n, ...)                                \
    brood_pool_map_async_task(pool, map, BROOD_TASK_OF(task), BROOD__MAP_ARRAYS(task, in, out, n), \
                              BROOD__OPTIONS(brood_map_options, __VA_ARGS__))
BROOD_API int brood_pool_map_async_task(brood_pool pool, brood_map *map, const brood_task *task, const void *in,
                                        void *out, size_t n, const brood_map_options *options);

/*
 * Wait for it; timeout in ms.  report may be NULL; one given here is filled instead of the one of the options.
 * BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT: not yet, ask again; BROOD_ECANCELED: the pool was terminated; else as
 * brood_pool_map, and *map is of no use any more (BROOD_ESTALE).  Of several threads that wait for it one has the answer;
 * to the others it is BROOD_ESTALE.
 */
BROOD_API int brood_map_wait(brood_map map, int timeout, brood_report *report);

/*
 * How far it is: *decided (may be NULL) of its items have an outcome.  1: all, so brood_map_wait has its answer; 0: not
 * yet.  By the process that began it.  BROOD_ESTALE, BROOD_ENOTMEMBER, and the errors of workers that can't start.
 */
BROOD_API int brood_map_progress(brood_map map, size_t *decided);

/*
 * Have it end: items that have not begun never will; those that run are told (brood_task_stopping), and what they answer
 * counts.  brood_map_wait is BROOD_ECANCELED then, with report and codes, once those have ended.  By the process that
 * began it.  0; 1: all is decided already; BROOD_ESTALE, BROOD_ENOTMEMBER.
 */
BROOD_API int brood_map_cancel(brood_map map);

/* A task of several parameters over an array of its arguments (struct <task>_args): the map of Python's starmap. */
#define brood_pool_starmap brood_pool_map
#define brood_pool_starmap_with brood_pool_map_with
#define brood_pool_starmap_async brood_pool_map_async
#define brood_pool_starmap_async_with brood_pool_map_async_with

/*
 * Hand one call of task to the pool.  0: *future is the caller's until brood_future_free.  BROOD_EAGAIN: max_pending
 * tasks are open.  BROOD_ECLOSED, BROOD_EARENA, BROOD_ESTALE, BROOD_ENOTMEMBER, errors of start.  Never blocks.
 * The argument is copied.  A task without one may be named alone: brood_pool_submit(pool, &future, task).
 */
#define brood_pool_submit(pool, future, ...) \
    BROOD__CAT(BROOD__SUBMIT_, BROOD__AMOUNT(__VA_ARGS__))(pool, future, __VA_ARGS__)
#define BROOD__SUBMIT_ONE(pool, future, task) \
    brood_pool_submit_task(pool, future, BROOD_TASK_OF(task), BROOD__NO_IN(task))
#define BROOD__SUBMIT_MORE(pool, future, task, ...) \
    brood_pool_submit_task(pool, future, BROOD_TASK_OF(task), BROOD__IN(task, __VA_ARGS__))
BROOD_API int brood_pool_submit_task(brood_pool pool, brood_future *future, const brood_task *task, const void *arg);

/*
 * As brood_pool_submit, with wishes: brood_pool_submit_with(pool, &future, task, &arg, .deadline = 100).  The deadlines
 * are of one run, from when a worker begins it.  At the deadline the worker is killed, and replaced; a task that ends
 * at that moment has its result, or is BROOD_EDEADLINE, and the kill never hits another task.  BROOD_EINVAL besides.
 * With a callback future may be NULL: then it is freed when the callback has returned.  BROOD_ENOMEM besides.
 */
#define brood_pool_submit_with(pool, future, task, arg, ...)                             \
    brood_pool_submit_task_with(pool, future, BROOD_TASK_OF(task), BROOD__IN(task, arg), \
                                BROOD__OPTIONS(brood_submit_options, __VA_ARGS__))
BROOD_API int brood_pool_submit_task_with(brood_pool pool, brood_future *future, const brood_task *task,
                                          const void *arg, const brood_submit_options *options);

/*
 * Wait for a task; timeout in ms.  result: of the type of the task's result, or NULL; with a brood_bytes it is
 * brood_future_bytes.  0: done; BROOD_EFAILED, BROOD_ELOST, BROOD_ECANCELED: *outcome (may be NULL) says more;
 * BROOD_EAGAIN or BROOD_ETIMEDOUT: not yet; BROOD_EINVAL: *result has not the size of the task's result, and is left as
 * it is.  May be asked again until the future is freed.
 * The function behind it takes the size, which a void * does not tell.
 */
#define brood_future_get(...)                                                                                          \
    BROOD__FUTURE_GET((BROOD__BEFORE(BROOD__BEFORE(BROOD__BEFORE(__VA_ARGS__)))), /* the future, with commas */        \
                      BROOD__LAST(BROOD__BEFORE(BROOD__BEFORE(__VA_ARGS__))), BROOD__LAST(BROOD__BEFORE(__VA_ARGS__)), \
                      BROOD__LAST(__VA_ARGS__))
BROOD_API int brood_future_get_exactly(brood_future future, void *result, size_t size, int timeout,
                                       brood_outcome *outcome);

/*
 * What is known of the end of the worker that ran a task; functions, files and lines are looked up in this call.
 * 0; BROOD_EAGAIN: it has no answer yet; BROOD_EINVAL: no worker ended in it; BROOD_ESTALE, BROOD_ENOTMEMBER.
 * Thread-safe; not async-signal-safe.
 */
BROOD_API int brood_future_crash(brood_future future, brood_crash *crash);

/* That as text of several lines, cut to capacity, with a zero byte: how long all of it is, as snprintf. */
BROOD_API size_t brood_crash_text(const brood_crash *crash, char *text, size_t capacity);

/* A result of any length, in place: good until the future is freed.  As brood_future_get. */
BROOD_API int brood_future_bytes(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome);

/* 1: it has an answer, 0: not yet; BROOD_ESTALE. */
BROOD_API int brood_future_done(brood_future future);

/* What is being done with a task, at this moment: one of these, or BROOD_ESTALE, BROOD_ENOTMEMBER. */
typedef enum brood_task_state {
    BROOD_TASK_QUEUED,  /* accepted, and begun by nobody */
    BROOD_TASK_RUNNING, /* a worker is in it */
    BROOD_TASK_AGAIN,   /* its worker died in it, and it waits to run once more (retries) */
    BROOD_TASK_DONE     /* it has an answer */
} brood_task_state;
BROOD_API int brood_future_state(brood_future future);

/*
 * Have it end.  One that is queued, or waits to run again, is BROOD_ECANCELED at once; one that runs is told
 * (brood_task_stopping), and after `grace` ms its worker is killed; BROOD_FOREVER: it is not.  What it answers before
 * that counts: a result is a result, and brood_fail is BROOD_ECANCELED, as the kill is.  So the future's answer is its
 * result, or BROOD_ECANCELED with BROOD_REASON_CANCELLED, or that its worker died by itself (BROOD_ELOST); it is still to
 * be freed.
 * 0; 1: it has its answer already; BROOD_ESTALE, BROOD_EINVAL, BROOD_ENOTMEMBER; an errno: it is told, but the
 * supervisor, which is to kill, could not be: ask again.
 */
BROOD_API int brood_future_cancel(brood_future future, int grace);

/* Give it back.  A task that is still queued is cancelled; one that runs goes on, and nobody gets its result. */
BROOD_API int brood_future_free(brood_future future);

/*
 * Submit, wait, free.  arg or result is NULL for a task without one; of a brood_bytes result nothing would be left, so
 * it can only be NULL.  As brood_pool_submit and brood_future_get.  A task that has not ended in time is cancelled, or
 * goes on for nobody.
 */
#define brood_pool_apply(pool, task, ...)                                                         \
    brood_pool_apply_task(pool, BROOD_TASK_OF(task), BROOD__IN(task, BROOD__BEFORE(__VA_ARGS__)), \
                          BROOD__APPLY_OUT(task, BROOD__LAST(__VA_ARGS__)), NULL)
#define brood_pool_apply_with(pool, task, arg, result, ...)                                                \
    brood_pool_apply_task(pool, BROOD_TASK_OF(task), BROOD__IN(task, arg), BROOD__APPLY_OUT(task, result), \
                          BROOD__OPTIONS(brood_apply_options, __VA_ARGS__))
BROOD_API int brood_pool_apply_task(brood_pool pool, const brood_task *task, const void *arg, void *result,
                                    const brood_apply_options *options);

/*
 * No more work is taken (BROOD_ECLOSED); what was is finished, then the workers leave.
 * This and terminate are async-signal-safe.  An errno of these and of free: the supervisor could not be told, ask
 * again.
 */
BROOD_API int brood_pool_close(brood_pool pool);

/*
 * Close; wait until all work is done, `timeout` ms at most; cancel what is queued (BROOD_ECANCELED) and send SIGTERM to
 * the workers that still run something; and after `grace` ms more kill them.  When it returns the workers have left.
 * 0: all was done.  BROOD_ECANCELED: some was cancelled.  BROOD_EINVAL, BROOD_ESTALE, BROOD_ENOTMEMBER.
 */
BROOD_API int brood_pool_drain(brood_pool pool, int timeout, int grace);

/* End the workers at once; open tasks resolve as BROOD_ECANCELED. */
BROOD_API int brood_pool_terminate(brood_pool pool);

/*
 * Wait until the workers have left, after close or terminate (else BROOD_EINVAL); timeout in ms.
 * 0; BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT; BROOD_EINVAL; BROOD_ECLOSED: the owner died; BROOD_ESTALE.
 */
BROOD_API int brood_pool_join(brood_pool pool, int timeout);

/*
 * Terminate, join, and free.  Others may be inside calls on the pool meanwhile: those that wait are answered, as after
 * terminate (BROOD_ECANCELED, or what had an answer), and calls on maps are waited for, of stopped processes (SIGSTOP)
 * too.  What comes later is BROOD_ESTALE or BROOD_ECLOSED, as is a future whose answer was not out by then.
 * Errors as of those; BROOD_ESTALE: another has freed it; BROOD_EPERM: see above.
 */
BROOD_API int brood_pool_free(brood_pool pool);

typedef enum brood_worker_state {
    BROOD_WORKER_STARTING, /* its initializer has not ended */
    BROOD_WORKER_IDLE,     /* it has no work */
    BROOD_WORKER_BUSY,     /* in a task, or in items of a map */
    BROOD_WORKER_WAITING,  /* in a task that waits for an answer of a pool */
    BROOD_WORKER_SPARE     /* kept to stand in for another, and none is missing */
} brood_worker_state;

/* A worker at the moment of the look. */
typedef struct brood_worker {
    pid_t pid;
    unsigned id; /* its brood_worker_id */
    brood_worker_state state;
    uint64_t task;  /* brood_future.serial of the task it is in; 0: none, or a map's */
    char name[64];  /* of that task's function; "": not known here, or none */
    uint64_t items; /* that it has run, as far as it has said: it does between tasks and chunks */
} brood_worker;

/*
 * The workers that are alive: at most capacity are written (workers may be NULL if it is 0); the answer is how many
 * there are.  Each worker is looked at for itself, so they need not be of one moment.  BROOD_ESTALE, BROOD_ENOTMEMBER.
 */
BROOD_API int brood_pool_workers(brood_pool pool, brood_worker *workers, size_t capacity);

/*
 * In a worker: the number of its seat in the pool, from 0 on.  The worker that replaces it has the same, and no two that
 * live have one; those that only stand in for others that wait have numbers of `workers` and more.  BROOD_EINVAL: the
 * process is no worker; BROOD_ENOTMEMBER.  Async-signal-safe.
 */
BROOD_API int brood_worker_id(void);

/*
 * Call the callbacks of this process's tasks and maps in this pool that have their answers, here, one after the other;
 * if none has, wait for one: timeout in ms.  Those found in one look come in the order of submission.  In a callback
 * all calls are allowed, this one too.
 * How many were called; 0: no callback is to be called any more.  BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT: none yet.
 * 0 and BROOD_EAGAIN with timeout 0 make the pool's descriptor quiet until there may be (brood_pool_fd).  BROOD_ESTALE, BROOD_ECLOSED: the pool has gone, and
 * its callbacks are forgotten, as brood_pool_free does: to see those of open tasks, dispatch after brood_pool_terminate
 * and brood_pool_join.  BROOD_EINVAL, BROOD_ENOTMEMBER, and the errors of workers that can't start.
 * Thread-safe; not async-signal-safe.
 */
BROOD_API int brood_pool_dispatch(brood_pool pool, int timeout);

/*
 * A descriptor of this process for this pool, for an event loop of one's own.  It is made at the first call, the same
 * afterwards; only poll it: reading and closing it is the library's, which closes it when this process frees the pool or
 * ends.
 * Readable means: a task or map of this pool may have got its answer, by whomever it was submitted; so it is after this
 * call.  Then ask, with timeout 0, once for each of yours that is open: brood_future_get, brood_map_wait,
 * brood_stream_next, and brood_pool_dispatch if there are callbacks.  One that was asked for before and still has no
 * answer (BROOD_EAGAIN) makes it quiet, so poll it again at once; two rounds without an answer are quiet, and whatever is
 * answered after that makes it readable again.  A loop that may have none open calls brood_pool_dispatch in each round,
 * callbacks or not: that makes it quiet then.
 * For one thread.  >= 0, BROOD_EMFILE, BROOD_EARENA, BROOD_ESTALE, BROOD_ENOTMEMBER.
 */
BROOD_API int brood_pool_fd(brood_pool pool);

BROOD_END

/* ------------------------------------------------------------------- pieces of the macros, not for direct use */

/* From in, out, n, where in may have commas: what the functions take for them. */
#define BROOD__MAP_ARRAYS(task, ...)                                \
    BROOD__MAP_IN(task, BROOD__BEFORE(BROOD__BEFORE(__VA_ARGS__))), \
        BROOD__OUT(task, BROOD__LAST(BROOD__BEFORE(__VA_ARGS__))), BROOD__LAST(__VA_ARGS__)
#define BROOD__MAP_IN(task, ...)                                                                       \
    BROOD__ONLY_IF(!BROOD__SAME(task##_args, brood_bytes) && !BROOD__SAME(task##_result, brood_bytes), \
                   "a map is over plain values, not brood_bytes", BROOD__IN(task, __VA_ARGS__))

#define BROOD__APPLY_OUT(task, result)                                                       \
    BROOD__ONLY_IF(!BROOD__SAME(task##_result, brood_bytes) || __builtin_constant_p(result), \
                   "result: apply keeps no brood_bytes; use brood_pool_submit", BROOD__OUT(task, result))

/* The function that suits the type of result: brood_bytes come in place. */
static inline int brood__future_get_bytes(brood_future future, void *result, size_t size, int timeout,
                                          brood_outcome *outcome)
{
    (void)size;
    return brood_future_bytes(future, (brood_bytes *)result, timeout, outcome);
}
#ifdef __cplusplus
extern "C++" {
template <class T> int brood__future_get(brood_future future, T *result, int timeout, brood_outcome *outcome)
{
    return brood_future_get_exactly(future, result, sizeof *result, timeout, outcome);
}
template <> inline int brood__future_get(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    return brood_future_bytes(future, result, timeout, outcome);
}
inline int brood__future_get(brood_future future, decltype(nullptr), int timeout, brood_outcome *outcome)
{
    return brood_future_get_exactly(future, NULL, 0, timeout, outcome);
}
}
#define BROOD__FUTURE_GET(future, result, timeout, outcome) brood__future_get(future, result, timeout, outcome)
#else
#define BROOD__FUTURE_GET(future, result, timeout, outcome) \
    BROOD__FUTURE_GETTER(result)(future, BROOD__FUTURE_PLACE(result), timeout, outcome)
#define BROOD__FUTURE_GETTER(p) \
    _Generic((p), brood_bytes * : brood__future_get_bytes, default : brood_future_get_exactly)
#define BROOD__FUTURE_PLACE(p) \
    BROOD__ONLY_IF(_Generic((p), void * : __builtin_constant_p(p), default : 1),                 \
                   "result: a void * does not tell its size; see brood_future_get_exactly", p), \
        sizeof *_Generic((p), void * : (char *)0, default : (p))
#endif

#endif
