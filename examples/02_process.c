/* SPDX-License-Identifier: MIT */
/* One process: a function runs in a process of its own, by the start method named on the command line. */
#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

BROOD_TASK(to_celsius, int, double, f)
{
    printf("%gF is %gC (pid %d)\n", f, (f - 32) * (5.0 / 9.0), (int)getpid());
    return 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "fork") == 0) brood_set_start_method(BROOD_START_FORK);
    if (argc > 1 && strcmp(argv[1], "spawn") == 0) brood_set_start_method(BROOD_START_SPAWN);
    brood_process p;
    int code, error = brood_process_start(&p, NULL, to_celsius, &(double){110});
    if (error == 0) error = brood_process_join(p, BROOD_FOREVER, &code);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    brood_process_free(p);
    brood_fini();
    return code;
}
