/* SPDX-License-Identifier: MIT */
/* points.c - from a scene's path to the cuts that are worth playing, and the playing; see points.h. */
#include "points.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAIRS = 400,        /* cuts of a pair, drawn by lot */
    PAIRS_ALL = 4000,
    TURNS = 2,          /* of a loop that are played in full ... */
    ONE_IN = 16,        /* ... and of its later turns so many */
    MOST_TOLD = 12,     /* failures of a scene that are told in full */
    SLACK = 256,        /* instructions by which a path may be longer than the one that was noted */
};

extern const char __executable_start;

static const struct scene *scene;
static struct tally *tally;
static struct cut now;
static bool failed;
static uint64_t random_state;

static unsigned lot(unsigned n) /* xorshift64 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return n ? (unsigned)(random_state >> 11) % n : 0;
}

/* ------------------------------------------------------------------------------------------------------- failures */

bool failing(void)
{
    return failed;
}

void fail(const char *format, ...)
{
    failed = true;
    if (tally->failures >= MOST_TOLD) return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char where[128] = "";
    for (unsigned i = 0; i < 2; i++) {
        uintptr_t place = tracer_trace(i)->place, start = (uintptr_t)&__executable_start;
        size_t used = strlen(where);
        if (place) snprintf(where + used, sizeof where - used, " +%#lx", (unsigned long)(place - start));
    }
    printf("  %s --at %u,%u,%u (after%s): %s\n", scene->name, now.k[0], now.k[1], now.order, where, text);
}

void expect_is_(long long have, long long want, const char *what, const char *function, int line)
{
    if (have != want) fail("%s, line %d: %s is %lld, not %lld", function, line, what, have, want);
}

/* -------------------------------------------------------------------------------------------------------- playing */

static void play(struct cut cut, bool record)
{
    now = tally->cut = cut;
    atomic_store(&tally->beat, now_ms());
    failed = false;
    tracer_begin_point(record);
    scene->play(&cut);
    if (!failed) family_check();
    atomic_fetch_add(&tally->points, 1);
    if (failed) atomic_fetch_add(&tally->failures, 1);
    fflush(stdout);
    if (failed || (scene->flags & SCENE_FRESH)) {
        tracer_begin_point(false);
        family_end();
        family_begin();
    }
}

/* Of the steps that were noted: those worth a cut. */
static unsigned worth(const struct trace *trace, const struct plan *plan, unsigned *ks)
{
    enum { HASHES = 1 << 16 };
    static uint8_t seen[HASHES]; /* turns by place; two places that share one are both sampled: no harm */
    memset(seen, 0, sizeof seen);
    unsigned n = 0;
    for (unsigned k = 0; k < trace->count; k++) {
        uint8_t *turns = &seen[trace->places[k] % HASHES];
        bool fresh = *turns < TURNS;
        if (fresh) ++*turns;
        if (fresh || plan->all || lot(ONE_IN) == 0) ks[n++] = k;
    }
    return n;
}

/* Thin out to about `sample`, evenly. */
static unsigned thin(unsigned *ks, unsigned n, unsigned sample)
{
    if (sample == 0 || n <= sample) return n;
    for (unsigned i = 0; i < sample; i++) {
        unsigned from = (unsigned)((uint64_t)i * n / sample), to = (unsigned)((uint64_t)(i + 1) * n / sample);
        ks[i] = ks[from + lot(to - from)];
    }
    return sample;
}

static void play_single(const struct plan *plan, unsigned *ks, unsigned n, unsigned length)
{
    n = thin(ks, n, plan->sample);
    for (unsigned i = 0; i < n; i++) {
        play((struct cut){.k = {ks[i]}, .order = lot(1 << 16)}, false);
        if (tracer_trace(0)->over && !failed) return;
    }
    if (plan->sample) return;
    for (unsigned k = length; k < length + SLACK && !tracer_trace(0)->over; k++)
        play((struct cut){.k = {k}, .order = lot(1 << 16)}, false);
}

/* Cuts of two calls; how long the second is depends on where the first was cut, so that is learned on the way. */
static void play_pairs(const struct plan *plan, const unsigned *ks, unsigned n, unsigned second)
{
    unsigned pairs = plan->sample ? plan->sample : plan->all ? PAIRS_ALL : PAIRS;
    for (unsigned i = 0; i < pairs; i++) {
        struct cut cut = {.k = {n ? ks[lot(n)] : 0, lot(second + 2)}, .order = lot(1 << 16)};
        play(cut, false);
        if (!tracer_trace(1)->over && cut.k[1] + cut.k[1] / 4 + 16 > second) second = cut.k[1] + cut.k[1] / 4 + 16;
    }
}

void points_play(const struct scene *to_play, const struct plan *plan, struct tally *to_tally)
{
    scene = to_play;
    tally = to_tally;
    random_state = plan->seed * 0x9e3779b97f4a7c15u | 1;
    brood__spin_before_sleep = scene->flags & SCENE_SPIN ? 3 : 0;
    family_begin();
    if (plan->one) {
        play(plan->at, false);
    } else {
        play((struct cut){.k = {WHOLE_CALL, WHOLE_CALL}}, true);
        const struct trace *first = tracer_trace(0);
        unsigned length = first->count, second = tracer_trace(1)->steps;
        unsigned *ks = malloc((length + 1) * sizeof *ks);
        if (!ks) exit(EXIT_FAILURE);
        unsigned n = worth(first, plan, ks);
        if (plan->verbose) printf("  %s: %u instructions, %u of them worth a cut\n", scene->name, length, n);
        if (!first->over) fail("the scene's call does not end");
        if (scene->flags & SCENE_PAIR)
            play_pairs(plan, ks, n, second);
        else
            play_single(plan, ks, n, length);
        free(ks);
    }
    family_end();
}
