/* SPDX-License-Identifier: MIT */
/* Two processes take two locks in opposite orders.  The one that asks is told who waits for whom, steps back, and both
 * come to an end. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(other_way_round, int, brood_lock, a, brood_lock, b, brood_event, ready)
{
    if (brood_lock_acquire(b, BROOD_FOREVER) < 0) return 1;
    brood_event_set(ready);
    if (brood_lock_acquire(a, BROOD_FOREVER) < 0) return 1;
    brood_lock_release(a);
    brood_lock_release(b);
    return 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    other_way_round_args shared;
    brood_process child = {0};
    brood_process_options options = {.name = "other"};
    int code = 1;
    int error = brood_lock_new(&shared.a);
    if (error == 0) error = brood_lock_new(&shared.b);
    if (error == 0) error = brood_event_new(&shared.ready);
    if (error == 0) error = brood_lock_acquire(shared.a, BROOD_FOREVER);
    if (error == 0) error = brood_process_start(&child, &options, other_way_round, &shared);
    if (error == 0) error = brood_event_wait(shared.ready, BROOD_FOREVER);
    if (error == 0) error = brood_lock_acquire_checked(shared.b, BROOD_FOREVER);
    if (error == BROOD_EDEADLK) {
        printf("%s\n", brood_error_detail());
        brood_lock_release(shared.a); /* now the other goes on */
        error = brood_lock_acquire_checked(shared.b, BROOD_FOREVER);
        if (error == 0) error = brood_lock_acquire_checked(shared.a, BROOD_FOREVER);
    }
    if (error == 0) error = brood_process_join(child, BROOD_FOREVER, &code);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    printf("the other ends with %d\n", code);
    return brood_fini() < 0;
}
