/* SPDX-License-Identifier: MIT */
/*
 * scenes_program.c - what children begin as: whoever dies while it sets the family's default leaves it as it was or as
 * it was to be, whole, and the next one goes on.
 */
#include "process/program.h"
#include "scene.h"

#include <signal.h>
#include <string.h>

BROOD_TASK(load, void)
{
    raise(SIGTRAP);
}

static int set_executable(struct order *order)
{
    (void)order;
    return brood_set_executable("/bin/true");
}
static int set_preload(struct order *order)
{
    (void)order;
    return brood_set_forkserver_preload(BROOD_TASK_OF(load));
}
static int set_nothing(struct order *order)
{
    (void)order;
    return brood_set_forkserver_preload(NULL);
}

/* Whether the default is this, as all see it. */
static bool is(bool executable, bool preload)
{
    static struct program program;
    expect(brood__program_read(brood__program_default(), &program));
    const char *slash = strrchr(program.path, '/');
    return (program.path[0] != 0) == executable && (program.preload != 0) == preload && (!executable || slash);
}

/* order: 1: there is an executable already; 2: and the preload is taken away */
static void change(const struct cut *cut)
{
    bool executable = cut->order != 0, had = cut->order == 2;
    if (executable) expect_is(set_executable(NULL), 0);
    if (had) expect_is(set_preload(NULL), 0);
    struct victim v;
    victim_start(&v, NULL, had ? set_nothing : set_preload, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect(v.result == 0 && is(executable, !had));
    expect(is(executable, had) || is(executable, !had));
    bury(v.proc.member);
    expect(is(executable, had) || is(executable, !had));
    expect_is(set_executable(NULL), 0);
    expect(is(true, had) || is(true, !had));
    expect_is(had ? set_nothing(NULL) : set_preload(NULL), 0);
    expect(is(true, !had));
}

const struct scene program_scenes[] = {
    {"program/change", change, SCENE_FRESH, 3},
    {NULL, NULL, 0, 0},
};
