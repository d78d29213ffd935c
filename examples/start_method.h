/* SPDX-License-Identifier: MIT */
/* The start method that the last argument names, if it names one: fork, spawn or forkserver. */
#ifndef EXAMPLES_START_METHOD_H
#define EXAMPLES_START_METHOD_H

#include <brood.h>

static inline void start_method_argument(int argc, char **argv)
{
    brood_start_method method;
    if (argc > 1 && brood_start_method_parse(&method, argv[argc - 1]) == 0) brood_set_start_method(method);
}

#endif
