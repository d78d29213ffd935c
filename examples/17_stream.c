/* SPDX-License-Identifier: MIT */
/* Results of an input that has no end: a stream asks for as many numbers as its window holds, and no more.
 * The task looks for the smallest factor of each; one number crashes its worker, which costs that number alone. */
#include "start_method.h"
#include <stdio.h>
#include <stdlib.h>

BROOD_TASK(smallest_factor, long, long, n)
{
    if (n == 1000007) abort();
    for (long f = 2; f * f <= n; f++)
        if (n % f == 0) return f;
    return n;
}

/* The odd numbers, for ever; how many were asked for is told by where it stands. */
static int next_odd(void *context, void *argument)
{
    long *next = context;
    *(long *)argument = *next;
    *next += 2;
    return 1;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    long next = 1000001, factor;
    int answer = 0;
    brood_pool pool = {0};
    brood_stream stream = {0};
    brood_outcome outcome;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    if (error == 0) error = brood_pool_imap_with(pool, &stream, smallest_factor, next_odd, &next, .window_items = 8);
    for (int i = 0; i < 6 && error == 0; i++) {
        answer = brood_stream_next(stream, &factor, BROOD_FOREVER, &outcome);
        long number = 1000001 + 2 * (long)outcome.id;
        if (answer == 1)
            printf("%ld: %s%ld\n", number, factor == number ? "a prime, " : "the smallest factor is ", factor);
        else if (outcome.code)
            printf("%ld: %s\n", number, outcome.text);
        else
            error = answer; /* no item's, but the call's */
    }
    if (error == 0) printf("asked for no more than the window: %s\n", next <= 1000001 + 2 * (6 + 8) ? "yes" : "no");
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_stream_free(stream);
    brood_fini();
    return error < 0;
}
