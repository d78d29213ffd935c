/* SPDX-License-Identifier: MIT */
/* A pipe between the parent and the workers of a pool, which all use the copy of one end that comes as their argument.
 * That is borrowing: the parent holds both ends and closes them.  Python's listing has such workers read and write the
 * same connection without a lock, where their bytes may mix; here a message is taken and put whole, whoever is at it. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(to_celsius, int, brood_pipe_end, child)
{
    double f, c;
    int error = brood_pipe_recv_value(child, &f, BROOD_FOREVER);
    c = (f - 32) * (5.0 / 9.0); /* a task that takes its time */
    return error < 0 ? error : brood_pipe_send_value(child, &c, BROOD_FOREVER);
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_pipe_end ends[2], parent, child;
    brood_future tasks[4];
    brood_pool pool;
    double c;
    int error = brood_pipe_new(ends, NULL);
    parent = ends[0];
    child = ends[1];
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    for (int i = 0; i < 4 && error == 0; i++) {
        error = brood_pipe_send_value(parent, &(double){110 + i * 10}, BROOD_FOREVER);
        if (error == 0) error = brood_pool_submit(pool, &tasks[i], to_celsius, &child);
        if (error == 0) error = brood_pipe_recv_value(parent, &c, BROOD_FOREVER);
        if (error == 0) printf("Got %.2f\n", c);
    }
    if (error == 0) error = brood_pipe_close(parent);
    if (error == 0) error = brood_pipe_close(child);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
