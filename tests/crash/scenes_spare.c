/* SPDX-License-Identifier: MIT */
/*
 * scenes_spare.c - workers that are kept to stand in: whoever dies, one that is parked learns that a worker is missing,
 * and one that is killed, parked or at work, leaves no trace in what the others count.
 */
#include "pool/nest.h"
#include "pool/supervise.h"
#include "pool_stage.h"
#include "process/supervisor.h"

/* A pool of one worker, in seat 0, and a spare, in seat 1. */
static brood_pool pool_with_spare(bool for_maps)
{
    brood_pool pool = new_pool(for_maps);
    struct pool_shm *p = pool_at(pool);
    p->workers = p->spares = 1;
    atomic_store(&p->parked, 0);
    atomic_store(&p->seats, 2u);
    return pool;
}
static void spare_pool_ends(brood_pool pool)
{
    pool_at(pool)->workers = SEATS;
    pool_at(pool)->spares = 0;
    requests(REQUEST_POOL);
    pool_ends(pool);
}

static void supervisor_manages(void)
{
    struct order order = {0};
    manage(&order);
}

static bool is_parked(brood_pool pool)
{
    return atomic_load(&brood__pool_seat(pool_at(pool), 1)->waits) == WAITS_PARKED;
}

/* Mate 2 is the spare; with somebody in seat 0 it has nothing to do. */
static void mate_parks(brood_pool pool)
{
    mate_works(2, 1, pool);
    mate_sleeps(2);
    expect(is_parked(pool));
}

/* Somebody else's task is answered, by whoever is there. */
static void is_answered(brood_pool pool)
{
    uint64_t serial = submit_here(pool, false);
    mate_gets_future(3, pool, serial, false);
    expect_is(mate_result(3), 0);
    if (!failing()) future_gets(pool, serial, 0);
}

/* The spare dies as it parks; order: 1: as it takes the place of the worker that has died. */
static void spare_dies(const struct cut *cut)
{
    bool missed = cut->order & 1;
    brood_pool pool = pool_with_spare(true);
    mate(3);
    takes_seat(pool, 0, mate(1));
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 1, &v.proc);
    uint64_t serial = 0;
    if (missed) {
        victim_falls_asleep(&v);
        expect(is_parked(pool));
        serial = submit_here(pool, false);
        mate_ends(1);
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool lost = serial && task_state(pool, serial) == TASK_RUNNING;
    bury(v.proc.member);
    expect_is(atomic_load(&brood__pool_seat(pool_at(pool), 1)->waits), 0);
    if (!missed) {
        mate_parks(pool); /* the next one */
        mate_ends(1);
    } else {
        mate_works(2, 1, pool); /* it is missed from the start */
        mate_gets_future(3, pool, serial, false);
        expect_is(mate_result(3), lost ? BROOD_ELOST : 0);
        if (!failing()) future_gets(pool, serial, lost ? BROOD_ELOST : 0);
    }
    is_answered(pool);
    pool_close(pool);
    supervisor_manages();
    mate_leaves(2, 1, pool);
    spare_pool_ends(pool);
}

/* The worker dies in a task that asks its own pool; if it sleeps in that, it has told the spare before. */
static void worker_dies(const struct cut *cut)
{
    brood_pool pool = pool_with_spare(true);
    struct order order = {.id = pool.id};
    mate(0), mate(3);
    struct victim v, spare;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_start(&spare, NULL, work, pool.id);
    takes_seat(pool, 1, &spare.proc);
    victim_falls_asleep(&spare);
    expect(is_parked(pool));
    expect_is(submit_nested(&order), 0);
    victim_step(&v, cut->k[0]);
    if (v.asleep) victim_wakes(&spare, true);
    bool told = v.asleep;
    victim_kill(&v);
    bool begun = task_state(pool, order.made) != TASK_QUEUED;
    bury(v.proc.member);
    if (!told) victim_wakes(&spare, true);
    victim_run(&spare);
    if (begun) is_answered(pool); /* it has learnt that it is alone; else it has to be helped itself */
    mate_works(0, 0, pool);
    mate_gets_future(3, pool, order.made, false);
    expect_is(mate_result(3), begun ? BROOD_ELOST : 0);
    if (!failing()) future_gets(pool, order.made, begun ? BROOD_ELOST : 0);
    is_answered(pool);
    pool_close(pool);
    mate_leaves(0, 0, pool);
    supervisor_manages();
    expect_is(victim_finish(&spare), 0);
    victim_kill(&spare);
    bury(spare.proc.member);
    spare_pool_ends(pool);
}

/* A supervisor empties the seat of a worker that has died. */
static int empties_seat(struct order *order)
{
    supervise(order);
    struct self was = *brood__self;
    brood__self->supervisor = true;
    brood__self->member = 0;
    brood__self->word_id = MEMBER_BIT | OWNER_SUPERVISOR;
    brood__pool_area.ended((uint32_t)order->number);
    *brood__self = was;
    return 0;
}
/* ... or looks at a pool that was closed. */
static void supervisor_dies(const struct cut *cut)
{
    bool closed = cut->order & 1;
    brood_pool pool = pool_with_spare(true);
    mate(3);
    takes_seat(pool, 0, mate(1));
    mate_parks(pool);
    uint32_t worker = mate(1)->member;
    struct victim v;
    if (closed) {
        atomic_store(&brood__pool_seat(pool_at(pool), 0)->member, 0); /* it has left: but nobody says so */
        brood__member_at(worker)->role = ROLE_PROCESS;
        pool_close(pool);
    } else {
        proc_kill(mate(1));
        bury_begin(worker);
    }
    victim_prepare(worker);
    victim_start(&v, NULL, closed ? manage : empties_seat, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended && !closed) is_answered(pool);
    if (v.ended && closed) expect_is(mate_result(2), 0);
    bury_again(v.proc.member);
    if (!closed) {
        bury_again(worker);
        is_answered(pool);
        pool_close(pool);
    }
    supervisor_manages();
    mate_leaves(2, 1, pool);
    spare_pool_ends(pool);
}

/*
 * One that stood in has left when it had been counted on: two workers wait, for what is queued, and nobody has asked for
 * help since the count.  The supervisor empties its seat, and counts anew.
 */
static unsigned started;
static bool start_none(struct pool_shm *pool, uint32_t seat, void *of)
{
    (void)pool, (void)seat, (void)of;
    started++;
    return true;
}
static void helper_leaves(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    struct pool_shm *p = pool_at(pool);
    uint32_t helper = mate(0)->member;
    mate(1), mate(2);
    p->workers = 2;
    for (unsigned i = 0; i < SEATS; i++) {
        takes_seat(pool, i, mate((i + 1) % SEATS));
        atomic_store(&brood__pool_seat(p, i)->waits, i < 2 ? WAITS_ELSEWHERE : 0);
    }
    uint64_t serial = submit_here(pool, false);
    proc_kill(mate(0));
    bury_begin(helper);
    struct victim v;
    victim_prepare(helper);
    victim_start(&v, NULL, empties_seat, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury_again(v.proc.member);
    if (!v.ended) bury_again(helper);
    started = 0;
    brood__nest_manage(p, start_none, NULL);
    expect(started == 1);
    if (v.ended) bury_again(v.proc.member);
    if (v.ended) bury_again(helper);
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&brood__pool_seat(p, i)->waits, 0);
        atomic_store(&brood__pool_seat(p, i)->member, 0);
        brood__member_at(mate(1 + i)->member)->role = ROLE_PROCESS;
    }
    mate_works(3, 0, pool);
    mate_leaves(3, 0, pool);
    future_gets(pool, serial, 0);
    p->workers = SEATS;
    requests(REQUEST_POOL);
    pool_ends(pool);
}

const struct scene spare_scenes[] = {
    {"spare/dies", spare_dies, 0, 2},
    {"spare/worker", worker_dies, 0, 0},
    {"spare/supervisor", supervisor_dies, 0, 2},
    {"nest/left", helper_leaves, 0, 0},
    {NULL, NULL, 0, 0},
};
