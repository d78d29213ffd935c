/* SPDX-License-Identifier: MIT */
/* Jobs for three workers, from a queue that grows with them, the urgent ones first; join waits until all are done.  One
 * job kills its worker: join says that something was lost, and how much; nobody waits for it. */
#include "start_method.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    brood_queue jobs, results;
} line;

BROOD_TASK(worker, int, line, queues)
{
    int job, error;
    while ((error = brood_queue_get_value(queues.jobs, &job, BROOD_FOREVER)) == 0) {
        if (job == 13) abort();
        brood_queue_put_value(queues.results, &(int){job * job}, BROOD_FOREVER);
        brood_queue_task_done(queues.jobs);
    }
    return error == BROOD_ECLOSED ? 0 : 1;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    line queues;
    brood_process workers[3] = {{0}};
    brood_queue_options growing = {.capacity = 4096, .grows_to = BROOD_UNBOUNDED};
    brood_queue_options options = {.capacity = 4096, .grows_to = BROOD_UNBOUNDED, .joinable = 1, .priorities = 2};
    int error = brood_queue_new(&queues.jobs, &options), result, sum = 0;
    if (error == 0) error = brood_queue_new(&queues.results, &growing);
    for (int i = 1; i <= 1000 && error == 0; i++) /* no worker is there yet, and no put waits */
        error = brood_queue_put_priority(queues.jobs, &i, sizeof i, i % 100 == 0, 0);
    for (int i = 0; i < 3 && error == 0; i++) error = brood_process_start(&workers[i], NULL, worker, &queues);
    if (error == 0) error = brood_queue_join(queues.jobs, BROOD_FOREVER);
    if (error == BROOD_ELOST) {
        printf("lost: %d\n", (int)brood_queue_lost(queues.jobs));
        error = 0;
    }
    if (error == 0) error = brood_queue_close(queues.jobs); /* which ends the workers */
    for (int i = 0; i < 3 && error == 0; i++) error = brood_process_join(workers[i], BROOD_FOREVER, NULL);
    while (error == 0 && brood_queue_get_value(queues.results, &result, 0) == 0) sum = (sum + result) % 1000003;
    if (error == 0) printf("sum: %d\n", sum);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
