/* SPDX-License-Identifier: MIT */
/*
 * worker_main.c - brood-worker: the program that brood_set_executable names where the host's own main does not call
 * brood_init.  In a process that Brood has started brood_init becomes what is wanted and never returns; tasks are of
 * shared libraries, which are loaded when they are asked for.
 */
#include <brood.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    fprintf(stderr, "brood-worker %d.%d.%d: is started by programs that use Brood, not by hand\n", BROOD_VERSION_MAJOR,
            BROOD_VERSION_MINOR, BROOD_VERSION_PATCH);
    brood_fini();
    return 2;
}
