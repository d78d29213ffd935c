/* SPDX-License-Identifier: MIT */
/* 18_wait_any.c - one wait for whatever comes first: results of workers, their ends, a request on a descriptor. */
#include "start_method.h"

#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

BROOD_TASK(work, int, brood_queue, to, int, first, int, last)
{
    long sum = 0;
    for (int i = first; i <= last; i++) sum += i;
    if (first == 201) abort(); /* one of them fails */
    return brood_queue_put_value(to, &sum, BROOD_FOREVER) < 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    enum { WORKERS = 4, RESULTS = WORKERS, REQUEST };
    brood_queue results;
    brood_process workers[WORKERS];
    brood_waitset *set;
    int request[2], running = WORKERS;
    if (pipe(request) < 0 || brood_queue_new(&results, NULL) < 0 || brood_waitset_new(&set) < 0) return 1;
    brood_waitset_add(set, BROOD_WAIT_QUEUE(results), RESULTS);
    brood_waitset_add(set, BROOD_WAIT_FD(request[0]), REQUEST);
    for (int i = 0; i < WORKERS; i++) {
        int error = brood_process_start(&workers[i], NULL, work, &(work_args){results, 100 * i + 1, 100 * (i + 1)});
        if (error == 0) error = brood_waitset_add(set, BROOD_WAIT_PROCESS(workers[i]), (uint64_t)i);
        if (error < 0) {
            fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
            return 1;
        }
    }
    if (write(request[1], "?", 1) != 1) return 1;
    while (running > 0) {
        uint64_t tags[8];
        long sum;
        char byte;
        int code, n = brood_waitset_wait(set, tags, 8, BROOD_FOREVER);
        for (int i = 0; i < n; i++) {
            if (tags[i] == RESULTS) {
                if (brood_queue_get_value(results, &sum, 0) == 0) printf("a sum: %ld\n", sum);
            } else if (tags[i] == REQUEST) {
                if (read(request[0], &byte, 1) == 1) printf("a request: %c\n", byte);
            } else {
                brood_process_join(workers[tags[i]], 0, &code);
                printf("worker %d has ended with %d\n", (int)tags[i], code);
                brood_waitset_remove(set, BROOD_WAIT_PROCESS(workers[tags[i]]));
                brood_process_free(workers[tags[i]]);
                running--;
            }
        }
    }
    for (long sum; brood_queue_get_value(results, &sum, 0) == 0;) printf("a sum: %ld\n", sum);
    brood_waitset_free(set);
    return brood_fini();
}
