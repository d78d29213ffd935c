/* SPDX-License-Identifier: MIT */
/* scenes.c - what a program does with the library, from end to end: the tables, and what bodies share; see play.h. */
#include "play.h"

const struct scene *const scenes[] = {process_scenes, object_scenes, connection_scenes, pool_scenes, shared_scenes,
                                      manager_scenes, NULL};

bool may_be_lost(void)
{
    enum actor actor = sheet->shot.actor;
    return !run_is_strict() && (actor == ACTOR_CHILD || actor == ACTOR_TEMPLATE || actor == ACTOR_SUPERVISOR);
}

void end_process(brood_process p, int wanted)
{
    int code = -1;
    if (!ok(KIND_NEVER, brood_process_join(p, BROOD_FOREVER, &code))) return;
    bool fits = code == wanted || (!run_is_strict() && code == TOLD) || (may_be_lost() && code == BROOD_EXIT_UNKNOWN);
    if (!fits) run_blame(VERDICT_WRONG, "a process ends with %d, not %d", code, wanted);
    ok(KIND_NEVER, brood_process_free(p));
}

bool there(brood_process p)
{
    int alive = brood_process_is_alive(p);
    ok(KIND_NEVER, alive);
    return alive == 1;
}
