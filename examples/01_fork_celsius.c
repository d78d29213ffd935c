/* SPDX-License-Identifier: MIT */
/* As many forked processes as the first argument says, each converting one value of its own.
 * After a bare fork(2) in such a loop each child goes on through the loop and forks too; here it ends with its task. */
#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

BROOD_TASK(to_celsius, void, double, f) { printf("%f F is %f C (pid %d)\n", f, (f - 32) * (5.0 / 9.0), (int)getpid()); }

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    int error = 0, number = argc == 2 ? atoi(argv[1]) : 4;
    for (int i = 1; i <= number && error == 0; i++) {
        brood_process child; /* not kept: brood_fini waits for all of them */
        error = brood_process_start(&child, &(brood_process_options){.method = BROOD_START_FORK}, to_celsius,
                                    &(double){100 + i * 10});
    }
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    printf("Spawned %d processes from %d\n", number, (int)getpid());
    brood_fini();
    return 0;
}
