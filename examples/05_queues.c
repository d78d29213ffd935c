/* SPDX-License-Identifier: MIT */
/* Two queues, named in the task's argument, between the parent and a pool of two workers.
 * The Python listing calls apply where apply_async is meant, so its tasks run one by one, and then reads the results
 * with block=False, which is only right because of that; here the tasks run side by side, and the reader waits. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(to_celsius, int, brood_queue, inputs, brood_queue, outputs)
{
    double f, c;
    int error = brood_queue_get_value(inputs, &f, BROOD_FOREVER);
    c = (f - 32) * (5.0 / 9.0);
    return error < 0 ? error : brood_queue_put_value(outputs, &c, BROOD_FOREVER);
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    to_celsius_args queues;
    brood_future tasks[4];
    brood_pool pool;
    double c;
    int error = brood_queue_new(&queues.inputs, NULL);
    if (error == 0) error = brood_queue_new(&queues.outputs, NULL);
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    for (int i = 0; i < 4 && error == 0; i++) {
        error = brood_queue_put_value(queues.inputs, &(double){110 + i * 10}, BROOD_FOREVER);
        if (error == 0) error = brood_pool_submit(pool, &tasks[i], to_celsius, &queues);
    }
    for (int i = 0; i < 4 && error == 0; i++) {
        error = brood_queue_get_value(queues.outputs, &c, BROOD_FOREVER);
        if (error == 0) printf("%.15g\n", c);
    }
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
