/* SPDX-License-Identifier: MIT */
/* One item crashes its worker and one fails: the map ends all the same, every other item has its result,
 * and the answer says what happened: a code for each item, and a report. */
#include "start_method.h"
#include <stdio.h>
#include <stdlib.h>

BROOD_TASK(square, int, int, n)
{
    if (n == 3) abort();
    if (n == 5) brood_fail(42, "%d is not to my taste", n);
    return n * n;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    int in[] = {1, 2, 3, 4, 5, 6}, out[6] = {0}, codes[6] = {0};
    brood_report report;
    brood_pool pool;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    if (error == 0) error = brood_pool_map_with(pool, square, in, out, 6, .codes = codes, .report = &report);
    if (error < 0 && error != BROOD_ELOST && error != BROOD_EFAILED) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    for (int i = 0; i < 6; i++) {
        if (codes[i] == 0)
            printf("%d squared is %d\n", in[i], out[i]);
        else
            printf("%d: %s\n", in[i], brood_strerror(codes[i]));
    }
    printf("%zu done, %zu failed, %zu lost\n", report.done, report.failed, report.lost);
    printf("the first lost: item %d, by signal %d\n", (int)report.first_lost.id, report.first_lost.signal);
    printf("the first failed: item %d, with %d: %s\n", (int)report.first_failed.id, report.first_failed.fail,
           report.first_failed.text);
    brood_fini();
    return 0;
}
