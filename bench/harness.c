/* SPDX-License-Identifier: MIT */
/* harness.c - calibrated, interleaved runs and their medians. */
#include "harness.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SYSTEMS 12
#define MAX_RUNS 101

static const char *area, *wanted = "";
static unsigned runs = 5;

struct series {
    uint64_t n;
    double value[MAX_RUNS];
    bool failed;
};

void bench_begin(const char *name, int argc, char **argv)
{
    area = name;
    if (argc > 1) wanted = argv[1];
    const char *text = getenv("BENCH_RUNS");
    unsigned long asked = text ? strtoul(text, NULL, 10) : 0;
    if (asked > 0) runs = asked < MAX_RUNS ? (unsigned)asked : MAX_RUNS;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_complain(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return -1;
}

/* What one run says, in the unit of the question. */
static double in_unit(const char *unit, uint64_t n, double seconds)
{
    if (seconds <= 0) seconds = 1e-9;
    if (strstr(unit, "/s")) return (double)n / seconds;
    double each = seconds / (double)n;
    if (strcmp(unit, "KiB") == 0) return each;
    return each * (strcmp(unit, "ns") == 0 ? 1e9 : strcmp(unit, "us") == 0 ? 1e6 : 1e3);
}

/* A multiple of step that takes about BENCH_RUN_SECONDS.  A run is long enough to judge by from half of that on. */
static uint64_t calibrate(const struct bench_system *system)
{
    uint64_t step = system->step, n = step;
    for (;;) {
        double seconds = system->run(system->context, n);
        if (seconds < 0) return 0;
        double factor = BENCH_RUN_SECONDS / (seconds > 1e-9 ? seconds : 1e-9);
        if (factor < 2) {
            n = (uint64_t)((double)n * factor) / step * step;
            return n ? n : step;
        }
        n = (uint64_t)((double)n * (factor < 20 ? factor : 20)) / step * step;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_series(const char *name, const char *unit, const char *system, double *value)
{
    qsort(value, runs, sizeof *value, ascending);
    double median = (value[runs / 2] + value[(runs - 1) / 2]) / 2;
    printf("{\"area\": \"%s\", \"name\": \"%s\", \"system\": \"%s\", \"unit\": \"%s\", "
           "\"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"runs\": %u}\n",
           area, name, system, unit, median, value[0], value[runs - 1], runs);
}

void bench_ask(const char *name, const char *unit, const struct bench_system *systems, size_t count)
{
    static struct series series[MAX_SYSTEMS];
    if (!strstr(name, wanted)) return;
    if (count > MAX_SYSTEMS) count = MAX_SYSTEMS;
    for (size_t s = 0; s < count; s++) {
        series[s].n = calibrate(&systems[s]);
        series[s].failed = series[s].n == 0;
    }
    for (unsigned run = 0; run < runs; run++) {
        for (size_t s = 0; s < count; s++) {
            if (series[s].failed) continue;
            double seconds = systems[s].run(systems[s].context, series[s].n);
            series[s].failed = seconds < 0;
            series[s].value[run] = in_unit(unit, series[s].n, seconds);
        }
    }
    for (size_t s = 0; s < count; s++)
        if (!series[s].failed) print_series(name, unit, systems[s].name, series[s].value);
}
