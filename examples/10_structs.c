/* SPDX-License-Identifier: MIT */
/* A task with several parameters, over an array of its arguments, as Python's starmap; structs go in and come out.
 * The macro makes the argument's type, <task>_args, from the parameters. */
#include "start_method.h"
#include <stdio.h>

typedef struct point {
    double x, y;
} point;
typedef struct box {
    point low, high;
} box;

static double least(double a, double b) { return a < b ? a : b; }

BROOD_TASK(bounds, box, point, a, point, b)
{
    point low = {least(a.x, b.x), least(a.y, b.y)};
    return (box){low, {a.x + b.x - low.x, a.y + b.y - low.y}};
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    bounds_args pairs[] = {{{0, 0}, {1, 1}}, {{4, 2}, {2, 4}}, {.a = {9, 9}, .b = {8, 7}}};
    box boxes[3];
    brood_pool pool;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    if (error == 0) error = brood_pool_starmap(pool, bounds, pairs, boxes, 3);
    for (int i = 0; error == 0 && i < 3; i++)
        printf("from %g,%g to %g,%g\n", boxes[i].low.x, boxes[i].low.y, boxes[i].high.x, boxes[i].high.y);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
