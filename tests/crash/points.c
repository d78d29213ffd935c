/* SPDX-License-Identifier: MIT */
/* points.c - from a scene's path to the cuts that are worth playing, and the playing; see points.h. */
#include "points.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAIRS = 800, /* cuts of a pair, drawn by lot */
    PAIRS_ALL = 8000,
    TURNS = 2,        /* of a loop that are played in full ... */
    LATER_TURNS = 64, /* ... and of all later turns about so many instructions */
    MOST_TOLD = 12,   /* failures of a scene that are told in full */
    STEPPED = 16,     /* cuts that are reached step by step, wherever that leads */
    STEPPED_WITHIN = 512,
    RECORDINGS = 3,
    STEPPED_CUTS = 300, /* of a call that can't be reached but step by step */
};

extern const char __executable_start;

static const struct scene *scene;
static struct tally *tally;
static struct cut now;
static bool failed, stop;
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

static void play(struct cut cut, bool record, enum pace pace)
{
    if (stop && tally->failures) return;
    now = tally->cut = cut;
    atomic_store(&tally->beat, now_ms());
    failed = false;
    tracer_begin_point(record, pace);
    scene->play(&cut);
    if (!failed) family_check();
    atomic_fetch_add(&tally->points, 1);
    if (failed) atomic_fetch_add(&tally->failures, 1);
    fflush(stdout);
    if (failed || (scene->flags & SCENE_FRESH)) {
        if (failed) tracer_begin_point(false, BY_BREAKPOINTS); /* ends victims that were left */
        family_end();
        family_begin();
    }
}

/* The cuts of one call: those of the instructions on its path that are worth one. */
struct cuts {
    unsigned *k;
    unsigned count;
};

static struct cuts cuts_of(unsigned victim, const struct plan *plan)
{
    unsigned length = tracer_path(victim), later = 0;
    struct cuts cuts = {.k = malloc((length + 1) * sizeof *cuts.k)};
    if (!cuts.k) exit(EXIT_FAILURE);
    for (unsigned k = 0; k < length; k++) later += tracer_turn(victim, k) >= TURNS;
    for (unsigned k = 0; k < length; k++)
        if (plan->all || tracer_turn(victim, k) < TURNS || lot(later) < LATER_TURNS) cuts.k[cuts.count++] = k;
    if (plan->verbose) printf("  %s: %u instructions, %u of them worth a cut\n", scene->name, length, cuts.count);
    return cuts;
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

/* In any order: where one failure is enough, the place that fails should not have to wait for all before it. */
static void shuffle(unsigned *ks, unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        unsigned j = lot(i), k = ks[i - 1];
        ks[i - 1] = ks[j];
        ks[j] = k;
    }
}

static void play_single(const struct plan *plan, unsigned variant, struct cuts cuts)
{
    bool forks = scene->flags & SCENE_FORKS;
    unsigned sample = plan->sample || plan->all || !forks ? plan->sample : STEPPED_CUTS;
    unsigned n = thin(cuts.k, cuts.count, sample), length = tracer_path(0);
    if (stop) shuffle(cuts.k, n);
    for (unsigned i = 0; i < n; i++)
        play((struct cut){.k = {cuts.k[i]}, .order = variant}, false, forks ? BY_STEPS : BY_BREAKPOINTS);
    for (unsigned i = 0; i < STEPPED && !plan->sample; i++) {
        unsigned k = lot(length < STEPPED_WITHIN ? length + 1 : STEPPED_WITHIN);
        play((struct cut){.k = {k}, .order = variant}, false, BY_STEPS);
    }
}

/*
 * Cuts of two calls.  Where the first is cut changes the path of the second: half of the cuts are on its recorded path,
 * half are so many steps on.
 */
static void play_pairs(const struct plan *plan, unsigned variant, struct cuts first, struct cuts second)
{
    unsigned variants = scene->variants ? scene->variants : 1;
    unsigned pairs = (plan->sample ? plan->sample : plan->all ? PAIRS_ALL : PAIRS) / variants + 1;
    for (unsigned i = 0; i < pairs && first.count; i++) {
        bool step = i & 1;
        struct cut cut = {.k = {first.k[lot(first.count)]}, .order = variant};
        if (second.count) cut.k[1] = second.k[lot(second.count)]; /* else there is none in this variant */
        if (step) cut.k[1] = lot(STEPPED_WITHIN);
        play(cut, false, step ? SECOND_BY_STEPS : BY_BREAKPOINTS);
    }
}

static void play_variant(const struct plan *plan, unsigned variant)
{
    bool again = true; /* on a busy machine the second victim may not be woken in time to have a path */
    for (unsigned i = 0; i < RECORDINGS && again; i++) {
        play((struct cut){.k = {WHOLE_CALL, WHOLE_CALL}, .order = variant}, true, BY_STEPS);
        again = (scene->flags & SCENE_PAIR) && tracer_path(1) == 0 && !failed;
    }
    if (!tracer_trace(0)->over && !failed) {
        fail("the scene's call does not end");
        atomic_fetch_add(&tally->failures, 1);
    }
    if (plan->one) {
        play(plan->at, false, scene->flags & SCENE_FORKS ? BY_STEPS : BY_BREAKPOINTS);
        return;
    }
    struct cuts first = cuts_of(0, plan), second = cuts_of(1, plan);
    if (scene->flags & SCENE_PAIR)
        play_pairs(plan, variant, first, second);
    else
        play_single(plan, variant, first);
    free(first.k);
    free(second.k);
}

void points_play(const struct scene *to_play, const struct plan *plan, struct tally *to_tally)
{
    scene = to_play;
    tally = to_tally;
    stop = plan->stop;
    random_state = plan->seed * 0x9e3779b97f4a7c15u | 1;
    brood__spin_before_sleep = scene->flags & SCENE_SPIN ? 3 : 0;
    tracer_uses_threads(scene->flags & SCENE_THREAD);
    family_begin();
    for (unsigned variant = 0; variant < (scene->variants ? scene->variants : 1); variant++)
        if (!plan->one || plan->at.order == variant) play_variant(plan, variant);
    family_end();
}
