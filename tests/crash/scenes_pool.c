/* SPDX-License-Identifier: MIT */
/*
 * scenes_pool.c - pools: a task is submitted or not, runs at most once, and whoever waits for it gets its answer or
 * learns that its worker died; of a map one item at most is lost with a worker.
 */
#include "arena/member.h"
#include "pool_stage.h"

/* ------------------------------------------------------------------------------------------------------ submitting */

/* order: 1: the argument is large; 2: a worker sleeps */
static void cut_submit(const struct cut *cut)
{
    bool large = cut->order & 1, worker = cut->order & 2;
    brood_pool pool = new_pool(false);
    if (worker) {
        mate_works(0, 0, pool);
        mate_sleeps(0);
    }
    struct victim v;
    victim_start(&v, NULL, submit, pool.id);
    v.proc.post->order.number = large ? LARGE : 0;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    if (worker) {
        mates_settle(1);
        if (mate_busy(0) && brood__task_queued(pool_at(pool))) fail("LOST WAKE-UP: a task, and the worker sleeps on");
        expect(!v.ended || !mate_busy(0));
    }
    bury(v.proc.member);
    mates_settle(worker);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++)
        if (state != TASK_FREE) expect_is(tasks_in(pool, state), 0);
    expect(times_run(0) <= 1);
    bool works = worker && mate_busy(0); /* still: it has had nothing to do */
    if (worker && !works) mate_leaves(0, 0, pool);
    uint64_t serial = submit_here(pool, large);
    if (!works) mate_works(0, 0, pool);
    mate_leaves(0, 0, pool);
    future_gets(pool, serial, 0);
    pool_ends(pool);
}

/* The future is freed: order: 0: queued, 1: running, 2: done; 4: large */
static void cut_free(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, cut->order & 4);
    struct task_shm *t = task_at(pool, serial);
    unsigned state = cut->order & 3;
    if (state == 2) {
        mate_works(0, 0, pool);
        mate_leaves(0, 0, pool);
    }
    if (state == 1) { /* by a worker that has not come far */
        uint64_t word = atomic_load(&t->word);
        takes_seat(pool, 1, mate(1));
        expect_is(mate_busy(1), false);
        atomic_store(&t->word, TASK_WORD(TASK_SERIAL(word), TASK_RUNNING, 1, mate(1)->member));
    }
    struct victim v;
    victim_start(&v, NULL, free_future, pool.id);
    v.proc.post->order.number = serial;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (v.ended) expect_is(v.result, 0);
    if (state == 1) {
        mate_ends(1);
        enum task_state now = task_state(pool, serial);
        expect(now == TASK_GARBAGE || (now == TASK_DONE && !v.ended));
    } else if (v.ended) {
        enum task_state now = task_state(pool, serial);
        expect(now == TASK_FREE || now == TASK_GARBAGE);
    }
    expect_is(tasks_in(pool, TASK_FILLING), 0);
    expect_is(tasks_in(pool, TASK_ORPHAN), 0);
    pool_ends(pool);
}

/* ---------------------------------------------------------------------------------------------------- the worker */

/* What became of the task when its worker died, and that those who wait learn it.  The waiters are mates 0 and 1. */
static void answers_come(brood_pool pool, uint64_t serial, struct victim *v, bool other_worker)
{
    if (other_worker) mates_settle(3);
    enum task_state state = task_state(pool, serial);
    int answer = 0;
    if (state == TASK_RUNNING && other_worker && !mate_busy(2)) state = TASK_DONE; /* it is that one's */
    if (state == TASK_RUNNING) {
        expect(!v->ended);
        bury(v->proc.member);
        answer = BROOD_ELOST;
    } else if (state == TASK_QUEUED) {
        if (other_worker) fail("LOST WAKE-UP: a task, and the other worker sleeps on");
        mate_works(2, 1, pool);
    }
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), answer);
    if (answer == 0) bury(v->proc.member);
    expect(times_run(0) <= 1);
    expect(times_run(0) == 1 || answer != 0);
    future_gets(pool, serial, answer);
    if (mate_busy(2)) { /* it has had nothing to do */
        if (state != TASK_QUEUED) submit_here(pool, false);
        mate_leaves(2, 1, pool);
    } else if (other_worker || state == TASK_QUEUED) {
        mate_leaves(2, 1, pool);
    }
    pool_ends(pool);
}

/* order: 1: the task is large */
static void worker(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, cut->order & 1);
    for (unsigned i = 0; i < 2; i++) mate_gets_future(i, pool, serial, true);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    answers_come(pool, serial, &v, false);
}

/* It was asleep and is woken for the task; another worker sleeps behind it. */
static void worker_woken(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_falls_asleep(&v);
    mate_works(2, 1, pool);
    mate_sleeps(2);
    uint64_t serial = submit_here(pool, cut->order & 1);
    for (unsigned i = 0; i < 2; i++) mate_gets_future(i, pool, serial, false);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    answers_come(pool, serial, &v, true);
}

/* One who waits dies; the other is answered. */
static void waiter(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    struct victim v;
    victim_start(&v, NULL, get, pool.id);
    v.proc.post->order.number = serial;
    if (cut->order & 1) victim_falls_asleep(&v);
    mate_gets_future(0, pool, serial, true);
    if (cut->order & 1) { /* it is woken by the answer, and the mate perhaps by it */
        mate_works(2, 1, pool);
        mate_leaves(2, 1, pool);
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!(cut->order & 1)) {
        mate_works(2, 1, pool);
        mate_leaves(2, 1, pool);
    }
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    future_gets(pool, serial, 0);
    pool_ends(pool);
}

/* The supervisor dies over what a worker (order: 1: a submitter) left. */
static void repair_cut(const struct cut *cut)
{
    bool submitter = cut->order & 1;
    brood_pool pool = new_pool(false);
    uint64_t serial = submitter ? 0 : submit_here(pool, false);
    if (!submitter) mate_gets_future(0, pool, serial, true);
    struct victim v, supervisor;
    victim_start(&v, NULL, submitter ? submit : work, pool.id);
    v.proc.post->order.number = LARGE;
    if (!submitter) takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury_begin(v.proc.member);
    victim_start(&supervisor, NULL, supervise, 0);
    supervisor.proc.post->order.number = v.proc.member;
    victim_step(&supervisor, cut->k[1]);
    victim_kill(&supervisor);
    bury(v.proc.member);
    bury(supervisor.proc.member);
    if (!submitter) {
        bool queued = task_state(pool, serial) == TASK_QUEUED;
        if (queued) mate_works(2, 1, pool);
        if (queued) mate_leaves(2, 1, pool);
        int result = mate_result(0);
        expect(result == 0 || (result == BROOD_ELOST && !v.ended));
        future_gets(pool, serial, result);
    }
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    pool_ends(pool);
}

/* ----------------------------------------------------------------------------------------------------------- maps */

/* order: 1: it does not wait for it in the same call; 2: and cancels it before */
static void map_caller(const struct cut *cut)
{
    static deed_fn *const deeds[] = {map, map_in_two, map_cancelled, map_in_window};
    brood_pool pool = new_pool(true);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    struct victim v;
    victim_start(&v, NULL, deeds[cut->order], pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool whole = v.ended && cut->order != 2;
    if (v.ended) expect_is(v.result, 0);
    if (whole) expect_is(v.proc.post->order.made, REPORT(ITEMS, 0, 0));
    bury(v.proc.member);
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 1 && (times_run(i) == 1 || !whole));
    mates_settle(1);
    mate_do(1, map, pool.id); /* the next map goes on as ever */
    expect_is(mate_result(1), 0);
    expect_is(mate(1)->post->order.made, REPORT(ITEMS, 0, 0));
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* Whether the one map there is has all its chunks done; true also when its caller has taken it back. */
static bool map_is_done(brood_pool pool)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        struct job_shm *job = brood__pool_job(pool_at(pool), i);
        if (((atomic_load(&job->word) >> 24) & 0xff) != JOB_ACTIVE) continue;
        const struct chunk_shm *chunks = brood__at(job->chunks);
        for (uint32_t c = 0; c < job->chunk_count; c++)
            if (CHUNK_STATE(chunks[c].word) != CHUNK_DONE) return false;
    }
    return true;
}

/* The map's answer: each item ran once, but for those that may be lost. */
static void map_is_right(unsigned caller, unsigned may_be_lost)
{
    expect_is(mate_result(caller), 0);
    uint64_t report = mate(caller)->post->order.made;
    unsigned lost = (unsigned)(report >> 16);
    expect_is(report, REPORT(ITEMS - lost, 0, lost));
    expect(lost <= may_be_lost);
    unsigned idle = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        idle += times_run(i) == 0;
        expect(times_run(i) <= 1);
    }
    expect(idle <= lost);
}

/* order: 1: the victim was asleep and is woken for the map */
static void map_worker(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    if (cut->order & 1) {
        victim_falls_asleep(&v);
        mate_do(1, map, pool.id);
        victim_wakes(&v, true);
    } else {
        mate_sends_to_sleep(1, map, pool.id);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (map_is_done(pool)) map_is_right(1, 0); /* the caller knows it without help */
    expect(!v.asleep || !mate_busy(1));
    bury(v.proc.member);
    mate_works(0, 0, pool);
    map_is_right(1, 1);
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* Two workers die in one map. */
static void map_two(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    mate_sends_to_sleep(1, map, pool.id);
    struct victim a, b;
    victim_start(&a, NULL, work, pool.id);
    takes_seat(pool, 0, &a.proc);
    victim_start(&b, NULL, work, pool.id);
    takes_seat(pool, 1, &b.proc);
    victim_step(&a, cut->k[0]);
    if (cut->order & 1) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    if (cut->order & 2) victim_kill(&b);
    victim_kill(&a);
    victim_kill(&b);
    if (map_is_done(pool)) map_is_right(1, 0);
    bury(a.proc.member);
    bury(b.proc.member);
    mate_works(0, 0, pool);
    map_is_right(1, 2);
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* The supervisor dies anywhere in what it makes of a worker that died in its first task (order: 1: item). */
static void repair_lost(const struct cut *cut)
{
    bool maps = cut->order & 1;
    brood_pool pool = new_pool(maps);
    uint64_t serial = maps ? 0 : submit_here(pool, false);
    struct victim supervisor, worker;
    victim_start(&supervisor, NULL, supervise, 0);
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    if (maps)
        mate_sends_to_sleep(1, map, pool.id);
    else
        mate_gets_future(1, pool, serial, true);
    victim_until(&worker, times_run_is, 1);
    victim_kill(&worker);
    bury_begin(worker.proc.member);
    supervisor.proc.post->order.number = worker.proc.member;
    victim_step(&supervisor, cut->k[0]);
    victim_kill(&supervisor);
    bury_again(supervisor.proc.member);
    bury_again(worker.proc.member);
    if (maps) {
        mate_works(0, 0, pool);
        map_is_right(1, 1);
        expect_is(mate(1)->post->order.made, REPORT(ITEMS - 1, 0, 1));
        workers_leave(pool, 0, 1);
    } else {
        expect_is(mate_result(1), BROOD_ELOST);
        future_gets(pool, serial, BROOD_ELOST);
    }
    pool_ends(pool);
}

const struct scene pool_scenes[] = {
    {"pool/submit", cut_submit, 0, 4},
    {"pool/free-future", cut_free, 0, 7},
    {"pool/worker", worker, 0, 2},
    {"pool/worker-woken", worker_woken, 0, 2},
    {"pool/waiter", waiter, 0, 2},
    {"pool/repair", repair_cut, SCENE_PAIR, 2},
    {"pool/repair-lost", repair_lost, 0, 2},
    {"pool/map-caller", map_caller, 0, 4},
    {"pool/map-worker", map_worker, 0, 2},
    {"pool/map-two-workers", map_two, SCENE_PAIR, 4},
    {NULL, NULL, 0, 0},
};
