/* SPDX-License-Identifier: MIT */
/*
 * harness.h - one question, put to Brood and to its peers in one run.
 *
 * A system's run function does an operation n times and answers the seconds that it took.  n is found per system so
 * that a run takes about BENCH_RUN_SECONDS; the search is the warm-up.  Then run 1 of every system, run 2 of every
 * system, ...: what disturbs the machine disturbs all alike.  Each system makes one line of JSON on stdout: area,
 * name, system, unit, median, min, max, runs.  What can't be measured is left out, and stderr says why.
 *
 *     bench_SOMETHING [TEXT]    asks only the questions that contain TEXT
 *     BENCH_RUNS=n              runs per system, 5 if not said
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_RUN_SECONDS 0.1

struct bench_system {
    const char *name;                         /* "brood", or the peer's */
    double (*run)(void *context, uint64_t n); /* seconds; negative: can't be measured, and it has said why */
    void *context;
    uint64_t step; /* n is a multiple of it */
};

/* The arguments of main, after BROOD_INIT. */
void bench_begin(const char *area, int argc, char **argv);

/*
 * unit: "SOMETHING/s", how many in a second; "ns", "us", "ms", how long one takes; or "KiB", how large one is, where the
 * run functions answer kibibytes of n instead of seconds.
 */
void bench_ask(const char *name, const char *unit, const struct bench_system *systems, size_t count);
#define BENCH_ASK(name, unit, ...)                              \
    bench_ask(name, unit, (struct bench_system[]){__VA_ARGS__}, \
              sizeof((struct bench_system[]){__VA_ARGS__}) / sizeof(struct bench_system))

/* Seconds, of a clock that all processes share. */
double bench_now(void);

/* Say on stderr why something can't be measured.  Answers -1, for the run function to return. */
double bench_complain(const char *what, const char *why);

/* The compiler must believe that somebody reads what p points to. */
static inline void bench_keep(const void *p)
{
    __asm__ volatile("" : : "g"(p) : "memory");
}

#endif
