/* SPDX-License-Identifier: MIT */
/*
 * context.h - how processes and workers are started, as a value: any number of them side by side in one program.
 *
 *     static const brood_context warm = {.method = BROOD_START_FORKSERVER, .preload = BROOD_TASK_OF(load_tables)};
 *     brood_process_start_with(&p, work, &job, .context = &warm);
 *     brood_pool_new(&pool, &(brood_pool_options){.context = &warm});
 *
 * What a context does not say is the family's default, which it never changes.  It is read within the call that it is
 * given to, and may go away after that.
 */
#ifndef BROOD_CONTEXT_H
#define BROOD_CONTEXT_H

#include <brood/base.h>
#include <brood/task.h>

/* Zero means the family's default everywhere. */
typedef struct brood_context {
    brood_start_method method; /* BROOD_START_THREAD is for pools */
    const char *executable; /* path of the program that spawn runs, and of which forkserver makes its server; it has to
                               call brood_init first in its main.  See brood_set_executable */
    const brood_task *preload; /* forkserver: run once in the server, whose forks start warm; see
                                  brood_set_forkserver_preload */
    int start_timeout;         /* ms in which a process has to report, never negative */
} brood_context;

BROOD_BEGIN

/*
 * The program that spawn, the fork server and the supervisor run from now on instead of the program of who starts them,
 * for the whole family; one that runs already stays.  It has to call brood_init first in its main, and to be able to
 * load the modules of the tasks that it is to run: shared libraries are loaded by their path, a program's own functions
 * are in that program only.  NULL: the caller's own program.
 *
 * For a library in a host program whose main does not call brood_init: give it brood_worker_executable().
 * 0; BROOD_EEXEC: it is not there, or can't be executed (brood_error_detail says why); BROOD_EINVAL: its path has more
 * than 1000 bytes; BROOD_EARENA; BROOD_ENOTMEMBER.  Thread-safe; not async-signal-safe.
 */
BROOD_API int brood_set_executable(const char *path);

/* The path of the small program that is installed with the library and does nothing but become what Brood wants. */
BROOD_API const char *brood_worker_executable(void);

/*
 * A task without argument that the server of forkserver runs once, before it forks anything: every process and worker
 * that is started by forkserver is then a copy of a process that has it behind it.  NULL: none.  It holds for the whole
 * family, for starts from now on.
 *
 * The server is a process of its own beside the supervisor, of the same program (or the family's executable), started
 * afresh when it is first needed, in the directory in which the caller stands, with no other thread; the task may make
 * none.  If the task crashes, exits, or calls brood_fail, the start that needed it is BROOD_ESTART, and
 * brood_error_detail says so; the next one tries again.  A server that is killed is replaced, and the task is run again.
 * 0; BROOD_ETASK; BROOD_EINVAL: it wants an argument; BROOD_EMODULE; BROOD_EARENA; BROOD_ENOTMEMBER.
 * Thread-safe; not async-signal-safe.
 */
BROOD_API int brood_set_forkserver_preload(const brood_task *task);

BROOD_END

#endif
