/* SPDX-License-Identifier: MIT */
/* points.h - which cuts of a scene are played. */
#ifndef CRASH_POINTS_H
#define CRASH_POINTS_H

#include "scene.h"

struct plan {
    bool all;        /* every turn of every loop */
    unsigned sample; /* not 0: only so many cuts */
    uint64_t seed;
    bool stop; /* at the first failure */
    bool one;  /* only the cut `at` */
    struct cut at;
    bool verbose;
};

/* In memory shared with the process that watches. */
struct tally {
    _Atomic uint32_t points;   /* cuts played */
    _Atomic uint32_t failures; /* those at which something was wrong */
    _Atomic int64_t beat;      /* when the last one began, ms */
    struct cut cut;            /* the last one */
};

/* Play a scene's cuts, in this process. */
void points_play(const struct scene *scene, const struct plan *plan, struct tally *tally);

#endif
