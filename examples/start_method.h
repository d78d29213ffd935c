/* SPDX-License-Identifier: MIT */
/* The start method that the last argument names, if it names one: fork, spawn or forkserver. */
#ifndef EXAMPLES_START_METHOD_H
#define EXAMPLES_START_METHOD_H

#include <brood.h>
#include <string.h>

static inline void start_method_argument(int argc, char **argv)
{
    for (brood_start_method m = BROOD_START_FORK; m <= BROOD_START_FORKSERVER; m++)
        if (argc > 1 && strcmp(argv[argc - 1], brood_start_method_name(m)) == 0) brood_set_start_method(m);
}

#endif
