/* SPDX-License-Identifier: MIT */
/* The same with all tasks at once and a lock around what they do with the pipe.
 * Python's listing tries the lock without waiting (blocking=False), goes on whether it has it or not, and releases it
 * in any case: so nothing is guarded, and the release of a lock that is not held is an error, or sets free one that
 * another holds.  What is meant is to wait for it, and to release what was acquired.  Brood's pipes need no lock for that,
 * since a message comes and goes whole; one is of use where several messages belong together. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(to_celsius, int, brood_pipe_end, child, brood_lock, lock)
{
    double f, c;
    /* A holder that died is no reason to stop: it had its message or it had not. */
    int error = brood_lock_acquire(lock, BROOD_FOREVER);
    if (error < 0 && error != BROOD_EOWNERDEAD) return error;
    error = brood_pipe_recv_value(child, &f, BROOD_FOREVER);
    brood_lock_release(lock);
    if (error < 0) return error;

    c = (f - 32) * (5.0 / 9.0); /* a task that takes its time, with the lock released */

    error = brood_lock_acquire(lock, BROOD_FOREVER);
    if (error < 0 && error != BROOD_EOWNERDEAD) return error;
    error = brood_pipe_send_value(child, &c, BROOD_FOREVER);
    brood_lock_release(lock);
    return error;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_pipe_end ends[2];
    to_celsius_args shared;
    brood_future tasks[4];
    brood_pool pool;
    double c;
    int error = brood_pipe_new(ends, NULL);
    if (error == 0) error = brood_lock_new(&shared.lock);
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    shared.child = ends[1];
    for (int i = 0; i < 4 && error == 0; i++) {
        error = brood_pipe_send_value(ends[0], &(double){110 + i * 10}, BROOD_FOREVER);
        if (error == 0) error = brood_pool_submit(pool, &tasks[i], to_celsius, &shared);
    }
    for (int i = 0; i < 4 && error == 0; i++) {
        error = brood_pipe_recv_value(ends[0], &c, BROOD_FOREVER);
        if (error == 0) printf("%.15g\n", c);
    }
    for (int i = 0; i < 2 && error == 0; i++) error = brood_pipe_close(ends[i]);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
