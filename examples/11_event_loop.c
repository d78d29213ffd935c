/* SPDX-License-Identifier: MIT */
/* Results in a program with an event loop of its own: pool and queue each have a descriptor for poll(2).
 * The tasks tell of their progress through the queue; their results come from the pool, in any order. */
#include "start_method.h"
#include <poll.h>
#include <stdio.h>

enum { TASKS = 4 };
typedef struct progress {
    int task, step;
} progress;

BROOD_TASK(sum_up, int, int, number, brood_queue, news)
{
    int sum = 0;
    for (int step = 1; step <= 2; step++) {
        sum += number * step;
        brood_queue_put_value(news, &(progress){number, step}, BROOD_FOREVER);
    }
    return sum;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_queue news = {0};
    brood_pool pool = {0};
    brood_future tasks[TASKS] = {{0, 0}};
    bool done[TASKS] = {false};
    int error = brood_queue_new(&news, NULL), open = TASKS;
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    for (int i = 0; i < TASKS && error == 0; i++)
        error = brood_pool_submit(pool, &tasks[i], sum_up, &(sum_up_args){i + 1, news});

    struct pollfd ready[2] = {{.events = POLLIN}, {.events = POLLIN}};
    if (error == 0) error = ready[0].fd = brood_queue_fd(news);
    if (error >= 0) error = ready[1].fd = brood_pool_fd(pool);
    while (error >= 0 && open > 0) {
        int sum;
        progress p;
        poll(ready, 2, -1);
        for (int i = 0; i < TASKS && error >= 0; i++) {
            if (done[i] || (error = brood_future_get(tasks[i], &sum, 0, NULL)) == BROOD_EAGAIN) {
                error = 0; /* had, or not yet: the descriptor is quiet until there is more */
            } else if (error == 0) {
                printf("task %d: the sum is %d\n", i + 1, sum);
                done[i] = true;
                open--;
            }
        }
        /* Behind the results, so that what a task told before it ended has been read when the last is done. */
        while (error >= 0 && (error = brood_queue_get_value(news, &p, 0)) == 0)
            printf("task %d: step %d\n", p.task, p.step);
        if (error == BROOD_EAGAIN) error = 0;
    }
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
