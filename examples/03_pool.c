/* SPDX-License-Identifier: MIT */
/* A pool of four workers and a map. */
#include <brood.h>
#include <stdio.h>

BROOD_TASK(to_celsius, double, double, f) { return (f - 32) * (5.0 / 9.0); }

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    double f[] = {110, 120, 130, 140}, c[4];
    brood_pool pool;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 4}) < 0) return 1;
    if (brood_pool_map(pool, to_celsius, f, c, 4) < 0) return 1;
    for (int i = 0; i < 4; i++) printf("%gF is %gC\n", f[i], c[i]);
    brood_pool_free(pool);
    return 0;
}
