/* SPDX-License-Identifier: MIT */
/*
 * scenes_threads.c - pools whose workers are threads of a member that dies, wherever that member's own thread is: it takes
 * its threads with it, and what the pool had in the arena is given back.
 */
#include "pool_stage.h"

#include <stdlib.h>

/* ---------------------------------------------------------------------------------------------------------- deeds */

static brood_pool own; /* of the victim */

/* With as many seats as other pools here have, so that one takes the other's memory. */
static int make(struct order *order)
{
    brood_pool_options options = {.workers = SEATS - 1, .max_compensating = 1, .method = BROOD_START_THREAD};
    int error = brood_pool_new(&own, &options);
    order->made = own.id;
    return error;
}
/* A call of each kind, while the threads run. */
static int use(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS], x = 21, result = 0;
    brood_report report;
    map_fill(in, out);
    int error = brood_pool_apply_task(own, task_of_tasks(), &x, &result, NULL);
    if (error < 0 || result != 42) return error < 0 ? error : WRONG;
    error = brood_pool_map_task(own, map_task(), in, out, ITEMS, &(brood_map_options){.chunk = 2, .report = &report});
    return map_judge(order, error, report, out);
}
static int end(struct order *order)
{
    (void)order;
    return brood_pool_free(own);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

/* The victim is killed in this; then another pool can be made in the same slot. */
static void dies_in(const struct cut *cut, deed_fn *before, deed_fn *deed)
{
    pool_ends(new_pool(false)); /* there is one to be had, with the memory of another */
    atomic_store(&brood__arena()->tables[TABLE_POOL].hint, 1);
    struct victim v;
    victim_start(&v, before, deed, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bury(v.proc.member);
    struct order nothing = {0};
    manage(&nothing);
    atomic_store(&brood__arena()->tables[TABLE_POOL].hint, 1);
    pool_ends(new_pool(false));
    brood__slot_collect();
}

static void made(const struct cut *cut)
{
    dies_in(cut, NULL, make);
}
static void used(const struct cut *cut)
{
    dies_in(cut, make, use);
}
static void ended(const struct cut *cut)
{
    dies_in(cut, make, end);
}

const struct scene thread_scenes[] = {
    {"threads/made", made, SCENE_FORKS, 0},
    {"threads/used", used, SCENE_FORKS, 0},
    {"threads/ended", ended, SCENE_FORKS, 0},
    {NULL, NULL, 0, 0},
};
