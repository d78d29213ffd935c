/* SPDX-License-Identifier: MIT */
/* common.h - tasks and helpers that the tests of pools share. */
#ifndef TEST_POOL_COMMON_H
#define TEST_POOL_COMMON_H

#include "brood_test.h"

#include <brood.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const brood_start_method methods[] = {BROOD_START_FORK, BROOD_START_SPAWN, BROOD_START_FORKSERVER,
                                             BROOD_START_THREAD};
#define PROCESSES 3 /* of them make processes */
#define METHODS 4

/* A pool of `workers` by the loop's method. */
static inline brood_pool new_pool(int method, unsigned workers)
{
    brood_pool pool;
    brood_pool_options options = {.workers = workers, .method = methods[method]};
    brood_test_ok(brood_pool_new(&pool, &options));
    return pool;
}

/* The first of the processes that live under this name; the family's are children of the test, their reaper. */
pid_t find_process(const char *name);

#endif
