/* SPDX-License-Identifier: MIT */
/*
 * base.h - the family: the process that called brood_init, and all that it starts, directly or not.
 *
 * Timeouts are milliseconds as poll(2) has them: 0 tries, BROOD_FOREVER waits.  Any other negative number is
 * BROOD_EINVAL in every call, also where nobody would have to wait.  In an options struct, where 0 means default, 0 and
 * BROOD_FOREVER both wait; start_timeout alone has another default, and can't be BROOD_FOREVER.
 *
 * Options are structs, brood_..._options, of which each member may be left out: zero means the default.  Calls that take a
 * pointer to one take NULL too, all defaults:
 *     brood_queue_new(&q, NULL);                 brood_queue_new(&q, &(brood_queue_options){.max_items = 8});
 * Macros that end in _with take the members themselves, behind their other arguments, at least one of them:
 *     brood_pool_apply(pool, f, &x, &y);         brood_pool_apply_with(pool, f, &x, &y, .timeout = 100);
 * and so do brood_value_new and brood_array_new.  The struct is read inside the call, and need not stay; what its members
 * point to neither, if the member does not say so.
 *
 * Codes: 0 or a count on success, below 0 on failure.  One of them is no failure: BROOD_EOWNERDEAD says that the lock is
 * held now, and is to be released, and that its last holder died with it.
 */
#ifndef BROOD_BASE_H
#define BROOD_BASE_H

#include <brood/error.h>
#include <brood/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROOD_VERSION_MAJOR 0
#define BROOD_VERSION_MINOR 1
#define BROOD_VERSION_PATCH 0

#define BROOD_FOREVER (-1)

/* How a process is started; see brood_process(3).  Zero means the family's default. */
typedef enum brood_start_method {
    BROOD_START_DEFAULT = 0,
    BROOD_START_FORK,       /* a copy of the caller; never chosen by itself, and not by default in threads */
    BROOD_START_SPAWN,      /* the program is run again; nothing is inherited but what is named */
    BROOD_START_FORKSERVER, /* a copy of a clean, small process of the same program; the default */
    BROOD_START_THREAD,     /* of a pool alone: its workers are threads of the process that makes it */
} brood_start_method;

BROOD_BEGIN

/*
 * Make this process the first member of a new family, or, if Brood started this process, become what it was started
 * for: then the call runs that and exits, and never returns.  Call it first in main, before threads exist: what stands
 * before it runs again in the supervisor and in each process started by spawn, whose standard output leads nowhere
 * until then, so that what was written there is there once.
 *
 * argc, argv: main's own, or both NULL; kept for the children's argument vector, never changed.
 * Returns 0; again in the same process 0 and nothing is done; BROOD_EUNSUPPORTED (a kernel or C library without robust
 * futexes or memfd), BROOD_EARENA (no memory for the first objects), or an errno.  On failure nothing is left behind.
 * In a process that was forked outside of Brood it founds a new family of its own.
 * Not thread-safe against itself; not async-signal-safe.
 */
BROOD_API int brood_init(int *argc, char ***argv);

/* brood_init, or say on stderr why it can't be and exit with status 1. */
#define BROOD_INIT(argc, argv) brood__init_or_exit(argc, argv)
BROOD_API void brood__init_or_exit(int *argc, char ***argv);

/*
 * Leave the family.  In the first member: wait for the children that are not daemons, end all others, wait until they
 * and the supervisor are gone, and give back every descriptor and mapping; all handles are stale from then on.
 * Without it the same happens to the children when the process ends, by any means: a family ends with its first
 * process.  Returns 0, or BROOD_ENOTMEMBER.  The caller's other threads must be out of Brood's calls.
 */
BROOD_API int brood_fini(void);

/* Whether this process is a member of a family.  Async-signal-safe, allowed after any fork. */
BROOD_API bool brood_is_member(void);

/* Settings of a family, to be given before brood_init, which takes them; zero means default. */
typedef struct brood_family_options {
    size_t arena_limit;              /* bytes of shared memory at most, at least 1 MiB; default half of what machine and
                                        cgroup allow */
    brood_start_method start_method; /* default BROOD_START_FORKSERVER */
    int start_timeout;               /* ms in which a child has to report, never negative; default 30000 */
} brood_family_options;

/* Use options for the family that the next brood_init makes.  BROOD_EINVAL for a value out of range. */
BROOD_API int brood_configure(const brood_family_options *options);

/* The method for starts that name none.  Set: 0, BROOD_EINVAL, BROOD_ENOTMEMBER.  It holds for the whole family. */
BROOD_API int brood_set_start_method(brood_start_method method);
BROOD_API brood_start_method brood_get_start_method(void);

/*
 * A method's name ("default", "fork", "spawn", "forkserver", "thread"; "unknown" for no method), and back: 0, or BROOD_EINVAL for
 * any other text.  Good before brood_init and after any fork.
 */
BROOD_API const char *brood_start_method_name(brood_start_method method);
BROOD_API int brood_start_method_parse(brood_start_method *method, const char *name);

/* How many processors this process may really use: min(affinity, ceil(cgroup quota)), at least 1. */
BROOD_API unsigned brood_cpu_count(void);

/* Bytes of the arena in use by objects and buffers, and its limit; either pointer may be NULL. */
BROOD_API int brood_arena_usage(size_t *used, size_t *limit);

BROOD_END

#endif
