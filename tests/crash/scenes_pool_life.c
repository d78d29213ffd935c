/* SPDX-License-Identifier: MIT */
/*
 * scenes_pool_life.c - pools made, closed, ended and freed, by members and by a supervisor that die over it; and pairs:
 * who was woken, or is at the same task, dies as well.
 */
#include "pool_stage.h"
#include "process/supervisor.h"

#include <stdlib.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int make_pool(struct order *order)
{
    brood_pool pool = {0};
    int result = brood_pool_new(&pool, &(brood_pool_options){.workers = SEATS});
    order->made = pool.id;
    return result;
}
static int short_environment(struct order *order)
{
    (void)order;
    return clearenv(); /* which would be told to workers, at length */
}
static int close_pool(struct order *order)
{
    return brood_pool_close((brood_pool){order->id});
}
static int terminate_pool(struct order *order)
{
    return brood_pool_terminate((brood_pool){order->id});
}
static int join_pool(struct order *order)
{
    return brood_pool_join((brood_pool){order->id}, BROOD_FOREVER);
}
static int free_pool(struct order *order)
{
    return brood_pool_free((brood_pool){order->id});
}
static int drain_pool(struct order *order)
{
    return brood_pool_drain((brood_pool){order->id}, 0, 0);
}
static int apply_one(struct order *order)
{
    uint64_t x = 21, result = 0;
    int error = brood_pool_apply_task((brood_pool){order->id}, task_of_tasks(), &x, &result, NULL);
    return error < 0 ? error : result == 42 ? 0 : WRONG;
}
static int get_timed(struct order *order)
{
    uint64_t x = 0;
    int result = brood_future_get((brood_future){order->id, order->number}, &x, 60 * 1000, NULL);
    return result < 0 ? result : x == 42 ? 0 : WRONG;
}
static int ask(struct order *order)
{
    brood_worker workers[SEATS];
    brood_future future = {order->id, order->number};
    return brood_pool_workers((brood_pool){order->id}, workers, SEATS) + 10 * brood_future_done(future);
}

/* ---------------------------------------------------------------------------------------------- from this process */

static void supervisor_manages(void)
{
    struct order order = {0};
    manage(&order);
}

static uint32_t state_of(brood_pool pool)
{
    return atomic_load(&pool_at(pool)->state);
}

/* A pool can be made in that slot as ever, and works; and its memory is as it was before. */
static void next_pool_works(void)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, true);
    mate_works(0, 0, pool);
    mate_leaves(0, 0, pool);
    future_gets(pool, serial, 0);
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------------------ making and ending */

static void new_one(const struct cut *cut)
{
    pool_ends(new_pool(false)); /* there is one to be had, with the memory of another */
    atomic_store(&brood__arena()->tables[TABLE_POOL].hint, 1);
    struct victim v;
    victim_start(&v, short_environment, make_pool, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool asked = requests(REQUEST_POOL) > 0;
    if (v.ended) expect(v.result == 0 && asked);
    bury(v.proc.member);
    supervisor_manages();
    if (v.ended) expect_is(brood_pool_close((brood_pool){v.proc.post->order.made}), BROOD_ECLOSED);
    next_pool_works();
}

/* order: 1: it is ended at once; a task is open, whose submitter waits, and a worker sleeps; 2: two join it */
static void shut(const struct cut *cut)
{
    bool ends = cut->order & 1, joined = cut->order & 2;
    brood_pool pool = new_pool(false);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    struct victim v;
    victim_start(&v, NULL, ends ? terminate_pool : close_pool, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    requests(REQUEST_POOL);
    uint32_t state = state_of(pool);
    expect(state != POOL_OPEN || !v.ended);
    if (v.ended) expect_is(mate_result(0), 0); /* it has left though nobody has repaired anything */
    bury(v.proc.member);
    if (state == POOL_OPEN) expect_is(ends ? brood_pool_terminate(pool) : brood_pool_close(pool), 0);
    if (joined)
        for (unsigned i = 1; i < 3; i++) mate_sends_to_sleep(i, join_pool, pool.id);
    requests(REQUEST_POOL);
    mate_leaves(0, 0, pool);
    supervisor_manages();
    for (unsigned i = 1; i < 3 && joined; i++) expect_is(mate_result(i), 0);
    expect_is(brood_pool_join(pool, 0), 0);
    pool_ends(pool);
}

/* One who joins dies, asleep or on its way, or (order: 1) woken; the other is told. */
static void join(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    pool_close(pool);
    struct victim v;
    victim_start(&v, NULL, join_pool, pool.id);
    if (cut->order & 1) victim_falls_asleep(&v);
    mate_sends_to_sleep(0, join_pool, pool.id);
    if (cut->order & 1) {
        supervisor_manages();
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!(cut->order & 1)) supervisor_manages();
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    pool_ends(pool);
}

/* It gives what is under way no time; order: 1: from where nothing is left of it.  A task is open, and a map. */
static void drain(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    uint64_t serial = submit_here(pool, false);
    mate_gets_future(0, pool, serial, true);
    mate_sends_to_sleep(1, map, pool.id);
    struct victim v;
    victim_start(&v, NULL, drain_pool, pool.id);
    if (cut->order & 1) {
        victim_falls_asleep(&v);
        requests(REQUEST_POOL);
        supervisor_manages();
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    requests(REQUEST_POOL);
    if (v.ended) expect(v.result == BROOD_ECANCELED && state_of(pool) == POOL_TERMINATED);
    bury(v.proc.member);
    expect_is(brood_pool_terminate(pool), 0); /* by its owner, wherever that one has come to */
    requests(REQUEST_POOL);
    supervisor_manages();
    expect_is(mate_result(0), BROOD_ECANCELED);
    expect_is(mate_result(1), BROOD_ECANCELED);
    expect_is(brood_pool_join(pool, 0), 0);
    future_gets(pool, serial, BROOD_ECANCELED);
    pool_ends(pool);
}

/* The supervisor that says so dies over it, and so does the joiner that was called; two more wait. */
static void join_chain(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    pool_close(pool);
    struct victim supervisor, joiner;
    victim_start(&supervisor, NULL, manage, 0);
    victim_start(&joiner, NULL, join_pool, pool.id);
    victim_falls_asleep(&joiner);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, join_pool, pool.id);
    victim_step(&supervisor, cut->k[0]);
    victim_kill(&supervisor);
    victim_wakes(&joiner, false);
    victim_step(&joiner, cut->k[1]);
    victim_kill(&joiner);
    bool finished = atomic_load(&pool_at(pool)->finished);
    if (finished) /* the joiner's death calls one, and that one the other */
        for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
    bury_again(supervisor.proc.member);
    bury(joiner.proc.member);
    supervisor_manages();
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
    pool_ends(pool);
}

/* order: 0: as it begins; 1: from where the workers have left */
static void free_one(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    submit_here(pool, true);
    struct victim v;
    victim_start(&v, NULL, free_pool, pool.id);
    if (cut->order & 1) {
        victim_falls_asleep(&v);
        requests(REQUEST_POOL);
        supervisor_manages();
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    requests(REQUEST_POOL);
    bury(v.proc.member);
    supervisor_manages();
    struct slot_shm *slot = brood__slot_find(TABLE_POOL, pool.id);
    expect(!v.ended || !slot);
    if (slot) { /* it is this process's still */
        expect_is(brood_pool_terminate(pool), 0);
        requests(REQUEST_POOL);
        supervisor_manages();
        expect_is(brood_pool_join(pool, 0), 0);
        pool_ends(pool);
    }
    next_pool_works();
}

/* The supervisor dies as it ends what is open in a pool that was terminated; the next one ends it. */
static void cancel(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    uint64_t serial = submit_here(pool, false);
    mate_gets_future(0, pool, serial, true);
    mate_sends_to_sleep(1, map, pool.id);
    atomic_store(&pool_at(pool)->state, POOL_TERMINATED);
    mate_sends_to_sleep(2, join_pool, pool.id);
    struct victim first, second;
    victim_start(&first, NULL, manage, 0);
    victim_step(&first, cut->k[0]);
    victim_kill(&first);
    if (cut->order & 1) {
        victim_start(&second, NULL, manage, 0);
        victim_step(&second, cut->k[1]);
        victim_kill(&second);
        bury_again(second.proc.member);
    }
    bury_again(first.proc.member);
    supervisor_manages();
    expect_is(mate_result(0), BROOD_ECANCELED);
    expect_is(mate_result(1), BROOD_ECANCELED);
    expect_is(mate_result(2), 0);
    expect_is(times_run(0), 0);
    future_gets(pool, serial, BROOD_ECANCELED);
    pool_ends(pool);
}

/* -------------------------------------------------------------------------------------------------------- in one go */

/* Submit, wait and free; order: 1: a worker sleeps; else none is there */
static void apply(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    if (cut->order & 1) mate_works(0, 0, pool);
    if (cut->order & 1) mate_sleeps(0);
    struct victim v;
    victim_start(&v, NULL, apply_one, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bury(v.proc.member);
    mates_settle(cut->order & 1);
    expect(times_run(0) <= 1);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    bool works = (cut->order & 1) && mate_busy(0); /* still: it has had nothing to do */
    if ((cut->order & 1) && !works) mate_leaves(0, 0, pool);
    uint64_t serial = submit_here(pool, false);
    if (!works) mate_works(0, 0, pool);
    mate_leaves(0, 0, pool);
    future_gets(pool, serial, 0);
    pool_ends(pool);
}

/* Its time is up; order: 1: the answer comes at that moment; another waits behind it, for ever. */
static void get_late(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    struct victim v;
    victim_prepare(serial);
    victim_start(&v, NULL, get_timed, pool.id);
    victim_falls_asleep(&v);
    mate_gets_future(0, pool, serial, true);
    victim_times_out(&v);
    if (cut->order & 1) mate_works(1, 0, pool);
    if (cut->order & 1) mate_leaves(1, 0, pool);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, cut->order & 1 ? 0 : BROOD_ETIMEDOUT);
    if (!(cut->order & 1)) mate_works(1, 0, pool);
    if (!(cut->order & 1)) mate_leaves(1, 0, pool);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    future_gets(pool, serial, 0);
    pool_ends(pool);
}

static void look(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    struct victim v;
    victim_prepare(serial);
    victim_start(&v, NULL, ask, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bury(v.proc.member);
    struct order order = {.id = pool.id, .number = serial};
    expect_is(free_future(&order), 0);
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------------------------------- pairs */

/* Nothing is left but what may be: the pool goes. */
static void ends_well(brood_pool pool)
{
    expect_is(tasks_in(pool, TASK_FILLING), 0);
    expect_is(tasks_in(pool, TASK_RUNNING), 0);
    expect_is(tasks_in(pool, TASK_ORPHAN), 0);
    pool_ends(pool);
}

/* The worker is cut, and so is the waiter that it woke, or the kernel for it; another waits behind. */
static void answer_chain(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    struct victim worker, waiter;
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_prepare(serial);
    victim_start(&waiter, NULL, get, pool.id);
    victim_falls_asleep(&waiter);
    mate_gets_future(0, pool, serial, true);
    victim_step(&worker, cut->k[0]);
    victim_kill(&worker);
    enum task_state state = task_state(pool, serial);
    if (cut->order & 1) bury(worker.proc.member);
    victim_wakes(&waiter, state == TASK_DONE);
    victim_step(&waiter, cut->k[1]);
    victim_kill(&waiter);
    if (state == TASK_DONE) expect_is(mate_result(0), 0); /* without the help of a supervisor */
    if (!(cut->order & 1)) bury(worker.proc.member);
    bury(waiter.proc.member);
    if (state == TASK_QUEUED) mate_works(1, 1, pool);
    int answer = state == TASK_RUNNING ? BROOD_ELOST : 0;
    expect_is(mate_result(0), answer);
    if (state == TASK_QUEUED) mate_leaves(1, 1, pool);
    future_gets(pool, serial, answer);
    ends_well(pool);
}

/* The submitter is cut, and so is the worker that it woke; another worker sleeps behind. */
static void submit_chain(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    struct victim submitter, worker;
    victim_start(&submitter, NULL, submit, pool.id);
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_falls_asleep(&worker);
    mate_works(0, 1, pool);
    mate_sleeps(0);
    victim_step(&submitter, cut->k[0]);
    victim_kill(&submitter);
    victim_wakes(&worker, false);
    victim_step(&worker, cut->k[1]);
    victim_kill(&worker);
    mates_settle(1);
    if (mate_busy(0) && tasks_in(pool, TASK_QUEUED) > 0 && brood__task_queued(pool_at(pool)))
        fail("LOST WAKE-UP: a task, and the other worker sleeps on");
    bury(cut->order & 1 ? worker.proc.member : submitter.proc.member);
    bury(cut->order & 1 ? submitter.proc.member : worker.proc.member);
    mates_settle(1);
    expect(times_run(0) <= 1);
    uint64_t serial = mate_busy(0) ? submit_here(pool, false) : 0;
    mate_leaves(0, 1, pool);
    if (serial) future_gets(pool, serial, 0);
    ends_well(pool);
}

/* Two workers are after two tasks; order: 1, 2: who dies before the other goes on, or first */
static void two_workers(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serials[2] = {submit_here(pool, false), submit_here(pool, true)};
    for (unsigned i = 0; i < 2; i++) mate_gets_future(i, pool, serials[i], true);
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
    enum task_state states[2] = {task_state(pool, serials[0]), task_state(pool, serials[1])};
    for (unsigned i = 0; i < 2; i++)
        if (states[i] == TASK_DONE) expect_is(mate_result(i), 0);
    bury(cut->order & 1 ? b.proc.member : a.proc.member);
    bury(cut->order & 1 ? a.proc.member : b.proc.member);
    unsigned lost = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (states[i] == TASK_QUEUED) mate_works(2 + i, i, pool);
        if (states[i] == TASK_QUEUED) mate_leaves(2 + i, i, pool);
    }
    for (unsigned i = 0; i < 2; i++) {
        int result = mate_result(i);
        lost += result == BROOD_ELOST;
        expect(result == 0 || (result == BROOD_ELOST && states[i] == TASK_RUNNING));
        future_gets(pool, serials[i], result);
    }
    expect(times_run(0) <= 2 && times_run(0) + lost >= 2);
    ends_well(pool);
}

/* Two submit at once; a worker sleeps, and takes one. */
static void two_submits(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    struct victim a, b;
    victim_start(&a, NULL, submit, pool.id);
    victim_start(&b, NULL, submit, pool.id);
    b.proc.post->order.number = LARGE;
    victim_step(&a, cut->k[0]);
    if (cut->order & 1) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    victim_kill(&a);
    mates_settle(1);
    if (mate_busy(0) && brood__task_queued(pool_at(pool))) fail("LOST WAKE-UP: a task, and the worker sleeps on");
    expect(!mate_busy(0) || !(a.ended || b.ended));
    if (a.ended && b.ended) expect(a.proc.post->order.made != b.proc.post->order.made);
    bury(a.proc.member);
    bury(b.proc.member);
    mates_settle(1);
    expect(times_run(0) <= 1);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    uint64_t serial = mate_busy(0) ? submit_here(pool, false) : 0;
    mate_leaves(0, 0, pool);
    if (serial) future_gets(pool, serial, 0);
    ends_well(pool);
}

/* A worker is at the task whose future is freed; order: 1: who dies first */
static void free_and_answer(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, true);
    struct victim worker, holder;
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_prepare(serial);
    victim_start(&holder, NULL, free_future, pool.id);
    victim_step(&worker, cut->k[0]);
    victim_step(&holder, cut->k[1]);
    victim_kill(&worker);
    victim_kill(&holder);
    bury(cut->order & 1 ? holder.proc.member : worker.proc.member);
    bury(cut->order & 1 ? worker.proc.member : holder.proc.member);
    expect(times_run(0) <= 1);
    struct order order = {.id = pool.id, .number = serial};
    int result = free_future(&order);
    expect(result == 0 || result == BROOD_ESTALE);
    expect(!holder.ended || result == BROOD_ESTALE);
    ends_well(pool);
}

const struct scene pool_life_scenes[] = {
    {"pool/new", new_one, 0, 0},
    {"pool/shut", shut, 0, 4},
    {"pool/join", join, 0, 2},
    {"pool/drain", drain, 0, 2},
    {"pool/join-chain", join_chain, SCENE_PAIR, 0},
    {"pool/free", free_one, 0, 2},
    {"pool/cancel", cancel, 0, 0},
    {"pool/cancel-twice", cancel, SCENE_PAIR, 2},
    {"pool/apply", apply, 0, 2},
    {"pool/get-late", get_late, 0, 2},
    {"pool/look", look, 0, 0},
    {"pool/answer-chain", answer_chain, SCENE_PAIR, 2},
    {"pool/submit-chain", submit_chain, SCENE_PAIR, 2},
    {"pool/two-workers", two_workers, SCENE_PAIR, 4},
    {"pool/two-submits", two_submits, SCENE_PAIR, 2},
    {"pool/free-and-answer", free_and_answer, SCENE_PAIR, 2},
    {NULL, NULL, 0, 0},
};
