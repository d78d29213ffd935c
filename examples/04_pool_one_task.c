/* SPDX-License-Identifier: MIT */
/* Workers that are replaced after one task (maxtasksperchild=1): four tasks, four different pids.
 * Closing and joining the pool, rather than ending it, lets each worker write out what it printed. */
#include "start_method.h"
#include <stdio.h>
#include <unistd.h>

BROOD_TASK(to_celsius, void, double, f) { printf("%gF is %gC (pid %d)\n", f, (f - 32) * (5.0 / 9.0), (int)getpid()); }

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    double f[] = {110, 120, 130, 140};
    brood_pool pool;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 4, .max_tasks_per_child = 1});
    if (error == 0) error = brood_pool_map(pool, to_celsius, f, NULL, 4);
    if (error == 0) error = brood_pool_close(pool);
    if (error == 0) error = brood_pool_join(pool, BROOD_FOREVER);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
