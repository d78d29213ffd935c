/* SPDX-License-Identifier: MIT */
/* A function runs in a process of its own, with an argument; the parent waits for it.
 * The process is started as the argument says: fork, spawn or forkserver. */
#include "start_method.h"
#include <stdio.h>
#include <unistd.h>

BROOD_TASK(to_celsius, int, double, f)
{
    printf("%gF is %gC (pid %d)\n", f, (f - 32) * (5.0 / 9.0), (int)getpid());
    return 0; /* the exit code */
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_process p;
    int code = 1, error = brood_process_start(&p, NULL, to_celsius, &(double){110});
    if (error == 0) error = brood_process_join(p, BROOD_FOREVER, &code);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    brood_process_free(p);
    brood_fini();
    return code;
}
