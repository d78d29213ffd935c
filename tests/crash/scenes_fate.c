/* SPDX-License-Identifier: MIT */
/*
 * scenes_fate.c - tasks that are cancelled, run into their deadline, or run again: whoever dies in the middle of that,
 * each has one answer, and nobody who waits for it sleeps on.
 */
#include "arena/member.h"
#include "pool/task.h"
#include "pool_stage.h"

static int cancel(struct order *order)
{
    return brood_future_cancel((brood_future){order->id, order->number}, BROOD_FOREVER);
}

static struct pool_shm *pool_of(const struct order *order)
{
    return pool_at((brood_pool){order->id});
}

/* As a supervisor: the workers that it would kill are counted. */
static unsigned killed;
static void kill_one(uint32_t member)
{
    (void)member;
    killed++;
}
static int keep_deadlines(struct order *order)
{
    brood__task_deadlines(pool_of(order), INT64_MAX - 1, kill_one);
    return 0;
}

static int requeue(struct order *order)
{
    bool some;
    brood__task_requeue(pool_of(order), INT64_MAX - 1, &some);
    return 0;
}

/* What the next supervisor begins with. */
static void succeed(brood_pool pool)
{
    struct order order = {.id = pool.id};
    atomic_store(&pool_at(pool)->wait_at, 0);
    brood__task_hint_all(pool_at(pool));
    requeue(&order);
    keep_deadlines(&order);
}

static void mate_waits_for(unsigned i, brood_pool pool, uint64_t serial)
{
    mate(i)->post->order.number = serial;
    mate_do(i, get, pool.id);
    mate_sleeps(i);
}

static void future_gives(brood_pool pool, uint64_t serial, int answer)
{
    struct order order = {.id = pool.id, .number = serial};
    expect_is(get(&order), answer);
    expect_is(free_future(&order), 0);
}

static void set_state(brood_pool pool, uint64_t serial, enum task_state state, uint32_t owner)
{
    struct task_shm *t = task_at(pool, serial);
    uint64_t word = atomic_load(&t->word);
    atomic_store(&t->word, TASK_WORD(TASK_SERIAL(word), state, 1, owner));
}

/* A worker that is in the middle of this task: mate 1, which does nothing. */
static void runs_in_mate(brood_pool pool, uint64_t serial)
{
    takes_seat(pool, 1, mate(1));
    expect_is(mate_busy(1), false);
    set_state(pool, serial, TASK_RUNNING, mate(1)->member);
    atomic_store(&task_at(pool, serial)->due, 1);
    atomic_store(&brood__member_at(mate(1)->member)->task, serial);
    atomic_store(&pool_at(pool)->least_deadline, 1000u);
}

/* order: 1: it waits to run again; else it is queued */
static void cut_cancel(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    if (cut->order & 1) set_state(pool, serial, TASK_WAITING, 0);
    mate_waits_for(0, pool, serial);
    struct victim v;
    victim_start(&v, NULL, cancel, pool.id);
    v.proc.post->order.number = serial;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    mates_settle(1);
    bool cancelled = task_state(pool, serial) == TASK_CANCELLED;
    if (v.ended) expect(v.result == 0 && cancelled);
    if (cancelled && mate_busy(0)) fail("LOST WAKE-UP: it is cancelled, and who waits sleeps on");
    bury(v.proc.member);
    struct order order = {.id = pool.id, .number = serial};
    expect_is(cancel(&order), cancelled ? 1 : 0);
    expect_is(mate_result(0), BROOD_ECANCELED);
    future_gives(pool, serial, BROOD_ECANCELED);
    pool_ends(pool);
}

/* The supervisor dies over a deadline.  order: 1: the future is freed meanwhile */
static void cut_deadline(const struct cut *cut)
{
    bool freed = cut->order & 1;
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    if (!freed) mate_waits_for(0, pool, serial);
    runs_in_mate(pool, serial);
    struct victim v;
    victim_start(&v, NULL, keep_deadlines, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    struct order order = {.id = pool.id, .number = serial};
    if (freed) expect_is(free_future(&order), 0);
    killed = 0;
    succeed(pool);
    expect(killed == 1);
    expect_is(task_state(pool, serial), freed ? TASK_DOOMED : TASK_KILLING);
    mate_ends(1);
    if (freed) {
        expect_is(task_state(pool, serial), TASK_GARBAGE);
    } else {
        expect_is(mate_result(0), BROOD_EDEADLINE);
        future_gives(pool, serial, BROOD_EDEADLINE);
    }
    pool_ends(pool);
}

/*
 * A task whose worker died runs again: the supervisor dies over that, or (order: 1) when it queues it.  In the end it has
 * its result, wherever both died.
 */
static void cut_again(const struct cut *cut)
{
    bool queues = cut->order & 1;
    brood_pool pool = new_pool(false);
    pool_at(pool)->quarantine = 3;
    uint64_t serial = submit_here(pool, false);
    task_at(pool, serial)->retries = 1;
    task_at(pool, serial)->backoff = 0;
    mate_waits_for(0, pool, serial);
    struct victim worker, v;
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_step(&worker, cut->k[0]);
    victim_kill(&worker);
    if (queues)
        bury(worker.proc.member);
    else
        bury_begin(worker.proc.member);
    victim_start(&v, NULL, queues ? requeue : supervise, pool.id);
    v.proc.post->order.number = worker.proc.member;
    victim_step(&v, cut->k[1]);
    victim_kill(&v);
    if (!queues) bury(worker.proc.member);
    bury(v.proc.member);
    succeed(pool);
    if (task_state(pool, serial) == TASK_QUEUED) {
        takes_seat(pool, 1, mate(2));
        mate_do(2, work, pool.id);
        expect_is(mate_result(2), 0);
        atomic_store(&brood__pool_seat(pool_at(pool), 1)->member, 0);
        brood__member_at(mate(2)->member)->role = ROLE_PROCESS;
    }
    expect_is(mate_result(0), 0);
    expect(times_run(0) == 1 || times_run(0) == 2);
    future_gives(pool, serial, 0);
    pool_ends(pool);
}

const struct scene fate_scenes[] = {
    {"fate/cancel", cut_cancel, 0, 2},
    {"fate/deadline", cut_deadline, 0, 2},
    {"fate/again", cut_again, SCENE_PAIR, 2},
    {NULL, NULL, 0, 0},
};
