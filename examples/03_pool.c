/* SPDX-License-Identifier: MIT */
/* A pool of four workers and a map. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(to_celsius, double, double, f) { return (f - 32) * (5.0 / 9.0); }

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    double f[] = {110, 120, 130, 140}, c[4];
    brood_pool pool;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 4});
    if (error == 0) error = brood_pool_map(pool, to_celsius, f, c, 4);
    for (int i = 0; error == 0 && i < 4; i++) printf("%gF is %gC\n", f[i], c[i]);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
