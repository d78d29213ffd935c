/* SPDX-License-Identifier: MIT */
/* Four calls of a task: one has a result, one crashes its worker, one runs into its deadline, and one crashes but may
 * run again.  The outcome of each says why it ended as it did; a crash leaves a record besides. */
#include "start_method.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FINE, CRASHES, HANGS, CRASHES_ONCE, CALLS };

BROOD_TASK(work, int, int, how, brood_event, begun)
{
    bool again = brood_event_is_set(begun) == 1;
    if (how == CRASHES || (how == CRASHES_ONCE && !again)) {
        if (how == CRASHES_ONCE) brood_event_set(begun);
        abort();
    }
    while (how == HANGS) pause();
    return 10 * how;
}

static const char *in_words(brood_reason reason)
{
    switch (reason) {
    case BROOD_REASON_RESULT: return "it has a result";
    case BROOD_REASON_SIGNAL: return "a signal ended its worker";
    case BROOD_REASON_DEADLINE: return "its worker was killed at its deadline";
    default: return "something else";
    }
}

static int tell(brood_future future, int number)
{
    int result = 0;
    brood_outcome outcome;
    brood_crash crash;
    int error = brood_future_get(future, &result, BROOD_FOREVER, &outcome);
    if (error < 0 && error != BROOD_ELOST && error != BROOD_EDEADLINE) return error;
    printf("call %d, run %u: %s", number, outcome.attempt, in_words(outcome.reason));
    if (error == 0) printf(": %d", result);
    if (error == BROOD_ELOST && brood_future_crash(future, &crash) == 0)
        printf(": %s, signal %d", crash.task, crash.signal); /* brood_crash_text has all of it, and the way there */
    printf("\n");
    return brood_future_free(future);
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_pool pool;
    brood_event begun;
    brood_future calls[CALLS];
    int error = brood_event_new(&begun);
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    for (int i = 0; error == 0 && i < CALLS; i++)
        error = brood_pool_submit_with(pool, &calls[i], work, (&(work_args){i, begun}),
                                       .deadline = i == HANGS ? 100 : 0, .retries = i == CRASHES_ONCE ? 1 : 0);
    for (int i = 0; error == 0 && i < CALLS; i++) error = tell(calls[i], i);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
