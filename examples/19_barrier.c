/* SPDX-License-Identifier: MIT */
/* Four processes compute in rounds: each waits at a barrier until all have a part, one of them adds up, all go on with
 * the sum.  Then one is killed, and the others are told instead of waiting for ever. */
#include "start_method.h"
#include <signal.h>
#include <stdio.h>

enum { PARTIES = 4, ROUNDS = 3 };

struct sheet {
    int part[PARTIES], sum, round;
};

BROOD_TASK(add_up, int, brood_buffer, memory)
{
    struct sheet *s = brood_buffer_data(memory, NULL);
    s->sum = s->part[0] + s->part[1] + s->part[2] + s->part[3];
    printf("round %d: %d + %d + %d + %d = %d\n", s->round++, s->part[0], s->part[1], s->part[2], s->part[3], s->sum);
    return fflush(stdout);
}

BROOD_TASK(compute, int, brood_barrier, barrier, brood_buffer, memory, size_t, me)
{
    struct sheet *s = brood_buffer_data(memory, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        s->part[me] = s->sum / 2 + (i == 0) * 4;
        if (brood_barrier_wait(barrier, BROOD_FOREVER) < 0) return 1; /* the last to come adds up */
    }
    if (me == 0) raise(SIGKILL);
    return brood_barrier_wait(barrier, BROOD_FOREVER) == BROOD_EBROKEN ? 0 : 1;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    compute_args args;
    brood_process children[PARTIES];
    struct sheet *sheet;
    size_t started = 0;
    int told = 0, code = 1;
    int error = brood_buffer_new(&args.memory, sizeof *sheet, (void **)&sheet);
    if (error == 0) *sheet = (struct sheet){.sum = 0};
    brood_barrier_options options = {.action = BROOD_TASK_OF(add_up), .action_arg = &args.memory};
    if (error == 0) error = brood_barrier_new(&args.barrier, PARTIES, &options);
    for (; error == 0 && started < PARTIES; started++) {
        args.me = started;
        error = brood_process_start(&children[started], NULL, compute, &args);
    }
    for (size_t i = 0; error == 0 && i < started; i++) {
        error = brood_process_join(children[i], BROOD_FOREVER, &code);
        told += code == 0;
    }
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    printf("%d of %d learned that one has died\n", told, PARTIES);
    return brood_fini() < 0;
}
