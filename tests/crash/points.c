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
    LATER_TURNS = 64,   /* ... and of all later turns about so many instructions */
    MOST_TOLD = 12,     /* failures of a scene that are told in full */
    STEPPED = 16,       /* cuts that are reached step by step, wherever that leads */
    STEPPED_WITHIN = 512,
    LONGEST_SECOND = 1500, /* instructions of a second call: some wait as long as they are let */
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

static void play(struct cut cut, bool record, bool step)
{
    now = tally->cut = cut;
    atomic_store(&tally->beat, now_ms());
    failed = false;
    tracer_begin_point(record, step);
    scene->play(&cut);
    if (!failed) family_check();
    atomic_fetch_add(&tally->points, 1);
    if (failed) atomic_fetch_add(&tally->failures, 1);
    fflush(stdout);
    if (failed || (scene->flags & SCENE_FRESH)) {
        tracer_begin_point(false, false);
        family_end();
        family_begin();
    }
}

/* Of the instructions on the path: those worth a cut. */
static unsigned worth(unsigned length, const struct plan *plan, unsigned *ks)
{
    unsigned n = 0, later = 0;
    for (unsigned k = 0; k < length; k++) later += tracer_turn(k) >= TURNS;
    for (unsigned k = 0; k < length; k++)
        if (plan->all || tracer_turn(k) < TURNS || lot(later) < LATER_TURNS) ks[n++] = k;
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

static void play_single(const struct plan *plan, unsigned variant, unsigned *ks, unsigned n, unsigned length)
{
    n = thin(ks, n, plan->sample);
    for (unsigned i = 0; i < n; i++) play((struct cut){.k = {ks[i]}, .order = variant}, false, false);
    for (unsigned i = 0; i < STEPPED && !plan->sample; i++) {
        unsigned k = lot(length < STEPPED_WITHIN ? length + 1 : STEPPED_WITHIN);
        play((struct cut){.k = {k}, .order = variant}, false, true);
    }
}

/* Cuts of two calls; how long the second is depends on where the first was cut, so that is learned on the way. */
static void play_pairs(const struct plan *plan, unsigned variant, const unsigned *ks, unsigned n, unsigned second)
{
    unsigned variants = scene->variants ? scene->variants : 1;
    unsigned pairs = (plan->sample ? plan->sample : plan->all ? PAIRS_ALL : PAIRS) / variants + 1;
    for (unsigned i = 0; i < pairs; i++) {
        struct cut cut = {.k = {n ? ks[lot(n)] : 0, lot(second + 2)}, .order = variant};
        play(cut, false, false);
        unsigned further = cut.k[1] + cut.k[1] / 4 + 16;
        if (!tracer_trace(1)->over && further > second && further < LONGEST_SECOND) second = further;
    }
}

static void play_variant(const struct plan *plan, unsigned variant)
{
    play((struct cut){.k = {WHOLE_CALL, WHOLE_CALL}, .order = variant}, true, false);
    unsigned length = tracer_trace(0)->count, second = tracer_trace(1)->count;
    if (!tracer_trace(0)->over && !failed) {
        fail("the scene's call does not end");
        atomic_fetch_add(&tally->failures, 1);
    }
    if (plan->one) {
        play(plan->at, false, false);
        return;
    }
    unsigned *ks = malloc((length + 1) * sizeof *ks);
    if (!ks) exit(EXIT_FAILURE);
    unsigned n = worth(length, plan, ks);
    if (plan->verbose) printf("  %s: %u instructions, %u of them worth a cut\n", scene->name, length, n);
    if (scene->flags & SCENE_PAIR)
        play_pairs(plan, variant, ks, n, second);
    else
        play_single(plan, variant, ks, n, length);
    free(ks);
}

void points_play(const struct scene *to_play, const struct plan *plan, struct tally *to_tally)
{
    scene = to_play;
    tally = to_tally;
    random_state = plan->seed * 0x9e3779b97f4a7c15u | 1;
    brood__spin_before_sleep = scene->flags & SCENE_SPIN ? 3 : 0;
    family_begin();
    for (unsigned variant = 0; variant < (scene->variants ? scene->variants : 1); variant++)
        if (!plan->one || plan->at.order == variant) play_variant(plan, variant);
    family_end();
}
