/* SPDX-License-Identifier: MIT */
/*
 * scenes_stream.c - streams, tasks that wait for their own pool, and priorities: of a stream one item at most is lost with
 * a worker, and each is told once; whoever waits for any answer is woken; nobody's death hides a task or a wish for help.
 */
#include "arena/member.h"
#include "pool/nest.h"
#include "pool/task.h"
#include "pool_stage.h"
#include "process/supervisor.h"

/* -------------------------------------------------------------------------------------------------------- streams */

/* What the reader, mate 1, has to say of its stream: each item ran once at most, and only a lost one need not have. */
static void stream_is_right(unsigned may_be_lost)
{
    expect_is(mate_result(1), 0);
    unsigned lost = (unsigned)(mate(1)->post->order.made >> 16), idle = 0;
    expect_is(mate(1)->post->order.made, REPORT(ITEMS - lost, 0, lost));
    expect(lost <= may_be_lost);
    for (unsigned i = 0; i < ITEMS; i++) {
        idle += times_run(i) == 0;
        expect(times_run(i) <= 1);
    }
    expect(idle <= lost);
}

/* order: as read_stream */
static void stream_worker(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    mate(1)->post->order.number = cut->order;
    mate_sends_to_sleep(1, read_stream, pool.id);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    mates_settle(2);
    bool open = tasks_in(pool, TASK_QUEUED) || tasks_in(pool, TASK_RUNNING);
    if (!(cut->order & UNORDERED) && !open) stream_is_right(0); /* the reader knows it without help */
    expect(!v.asleep || !mate_busy(1));
    bury(v.proc.member);
    mate_works(0, 0, pool);
    stream_is_right(1);
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* Two workers of one stream die, and the supervisor over it: as pairs. */
static void stream_two(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    mate(1)->post->order.number = (cut->order & 4) ? UNORDERED : 0;
    mate_sends_to_sleep(1, read_stream, pool.id);
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
    bury(a.proc.member);
    bury(b.proc.member);
    mate_works(0, 0, pool);
    stream_is_right(2);
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* The reader dies: nothing of its stream is left, and the next one goes on as ever. */
static void stream_reader(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    struct victim v;
    victim_prepare(cut->order);
    victim_start(&v, NULL, read_stream, pool.id);
    v.proc.post->order.number = cut->order;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect(v.result == 0 && v.proc.post->order.made == REPORT(ITEMS, 0, 0));
    bury(v.proc.member);
    mates_settle(1);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 1);
    mate(1)->post->order.number = cut->order;
    mate_do(1, read_stream, pool.id);
    expect_is(mate_result(1), 0);
    expect_is(mate(1)->post->order.made, REPORT(ITEMS, 0, 0));
    workers_leave(pool, 0, 1);
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------------------- tasks that wait */

static uint64_t submit_nested_here(brood_pool pool)
{
    struct order order = {.id = pool.id};
    expect_is(submit_nested(&order), 0);
    return order.made;
}

/* A worker dies in a task that asks its own pool; order: 1: it has slept, and been answered by another worker. */
static void nest_waiter(const struct cut *cut)
{
    bool answered = cut->order & 1;
    brood_pool pool = new_pool(false);
    uint64_t outer = submit_nested_here(pool);
    requests(REQUEST_POOL);
    mate_gets_future(1, pool, outer, true);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    if (answered) {
        victim_falls_asleep(&v);
        expect(requests(REQUEST_POOL) > 0);
        expect(atomic_load(&brood__pool_seat(pool_at(pool), 0)->waits) != 0);
        mate_works(2, 1, pool);
        mate_leaves(2, 1, pool);
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    if (!answered && v.asleep) expect(requests(REQUEST_POOL) > 0); /* else nobody would do what it waits for */
    victim_kill(&v);
    bool running = task_state(pool, outer) == TASK_RUNNING;
    bool begun = task_state(pool, outer) != TASK_QUEUED;
    bury(v.proc.member);
    expect_is(atomic_load(&brood__pool_seat(pool_at(pool), 0)->waits), 0);
    if (!begun) { /* for another, which has to be helped itself */
        mate_works(2, 1, pool);
        mate_sleeps(2);
        mate_works(0, 0, pool);
        mate_leaves(0, 0, pool);
        mate_leaves(2, 1, pool);
    }
    expect_is(mate_result(1), running ? BROOD_ELOST : 0);
    future_gets(pool, outer, running ? BROOD_ELOST : 0);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    requests(REQUEST_POOL);
    pool_ends(pool);
}

static unsigned started;
static bool start_none(struct pool_shm *pool, uint32_t seat, void *of)
{
    (void)pool, (void)seat, (void)of;
    started++;
    return true;
}

/* A pool of two workers, with room for a third; one of them, mate 1, waits in a task for what never comes. */
static brood_pool pool_with_waiter(void)
{
    brood_pool pool = new_pool(false);
    struct pool_shm *p = pool_at(pool);
    p->workers = 2;
    atomic_store(&p->seats, 2u);
    takes_seat(pool, 0, mate(1));
    takes_seat(pool, 1, mate(2));
    expect_is(mate_busy(1) || mate_busy(2), false);
    for (unsigned i = 0; i < 2; i++) atomic_store(&brood__pool_seat(p, i)->waits, WAITS_ELSEWHERE);
    atomic_store(&p->help, HELP_WANTED);
    requests(REQUEST_POOL);
    return pool;
}
static void waiters_go(brood_pool pool)
{
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&brood__pool_seat(pool_at(pool), i)->waits, 0);
        atomic_store(&brood__pool_seat(pool_at(pool), i)->member, 0);
        brood__member_at(mate(1 + i)->member)->role = ROLE_PROCESS;
    }
    pool_at(pool)->workers = SEATS;
}

/* Who submits asks for help, or dies: then the next one does.  order: 1: the supervisor dies over it instead. */
static int count_wanted(struct order *order)
{
    brood__nest_manage(pool_at((brood_pool){order->id}), start_none, NULL);
    return 0;
}
static void nest_help(const struct cut *cut)
{
    bool supervisor = cut->order & 1;
    brood_pool pool = pool_with_waiter();
    uint64_t first = supervisor ? submit_here(pool, false) : 0;
    struct victim v;
    victim_start(&v, NULL, supervisor ? count_wanted : submit, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended && !supervisor) expect(requests(REQUEST_POOL) == 1);
    supervisor ? bury_again(v.proc.member) : bury(v.proc.member);
    struct order order = {.id = pool.id}; /* after each death all pools are looked at */
    started = 0;
    count_wanted(&order);
    if (supervisor) expect(started == 1);
    requests(REQUEST_POOL);
    uint64_t serial = submit_here(pool, false);
    expect_is(requests(REQUEST_POOL), 1);
    started = 0;
    count_wanted(&order);
    expect(started == 1);
    expect(atomic_load(&pool_at(pool)->seats) == 3);
    for (unsigned i = 0; i < (supervisor ? 2 : 1); i++) {
        mate_works(0, 2, pool);
        mate_leaves(0, 2, pool);
    }
    future_gets(pool, serial, 0);
    if (supervisor) future_gets(pool, first, 0);
    requests(REQUEST_POOL);
    waiters_go(pool);
    pool_ends(pool);
}

/* All seats wait in vain: the last one is told; it dies anywhere in that, and then the next last one is. */
static void nest_told(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    struct pool_shm *p = pool_at(pool);
    uint64_t vain = submit_here(pool, false), outer = submit_nested_here(pool);
    struct task_shm *t = task_at(pool, vain);
    uint64_t word = atomic_load(&t->word);
    atomic_store(&t->word, TASK_WORD(TASK_SERIAL(word), TASK_RUNNING, 1, mate(1)->member));
    for (unsigned i = 1; i < SEATS; i++) {
        takes_seat(pool, i, mate(i));
        expect_is(mate_busy(i), false);
        atomic_store(&brood__pool_seat(p, i)->waits, vain);
    }
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.asleep);
    enum task_state state = task_state(pool, outer);
    bury(v.proc.member);
    struct order order = {.id = pool.id, .number = outer};
    if (state == TASK_QUEUED) {
        mate_works(0, 0, pool);
        mate_leaves(0, 0, pool);
    }
    expect_is(get(&order), state == TASK_RUNNING ? BROOD_ELOST : BROOD_EFAILED);
    expect_is(free_future(&order), 0);
    outer = submit_nested_here(pool); /* and once more, whatever the dead had */
    mate_works(0, 0, pool);
    mate_leaves(0, 0, pool);
    order.number = outer;
    expect_is(get(&order), BROOD_EFAILED);
    expect_is(free_future(&order), 0);
    for (unsigned i = 1; i < SEATS; i++) {
        atomic_store(&brood__pool_seat(p, i)->waits, 0);
        atomic_store(&brood__pool_seat(p, i)->member, 0);
        brood__member_at(mate(i)->member)->role = ROLE_PROCESS;
    }
    atomic_store(&t->word, word);
    order.number = vain;
    expect_is(free_future(&order), 0);
    requests(REQUEST_POOL);
    pool_ends(pool);
}

/* -------------------------------------------------------------------------------------------------------- priorities */

/* Who submits an urgent task, and a worker that looks for one, die anywhere beside each other. */
static void urgent_two(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    atomic_store(&pool_at(pool)->urgent, (cut->order & 4) ? 8u : 0); /* a bit without a hint: it is to be taken away */
    uint64_t other = submit_here(pool, false);
    struct victim s, w;
    victim_start(&w, NULL, work, pool.id);
    takes_seat(pool, 0, &w.proc);
    victim_start(&s, NULL, submit_urgent, pool.id);
    victim_step(&w, cut->k[0]);
    if (cut->order & 1) victim_kill(&w);
    victim_step(&s, cut->k[1]);
    bool submitted = s.ended; /* then its task is not hidden, whatever becomes of the worker */
    if (cut->order & 2) victim_kill(&s);
    victim_kill(&w);
    bury(w.proc.member);
    if (submitted && !(cut->order & 2) && task_state(pool, s.proc.post->order.made) == TASK_QUEUED) {
        expect(atomic_load(&pool_at(pool)->urgent) != 0);
        mate_works(0, 1, pool);
        mate_leaves(0, 1, pool);
        expect(task_state(pool, s.proc.post->order.made) == TASK_DONE); /* before the other */
    }
    victim_kill(&s);
    bury(s.proc.member);
    if (task_state(pool, other) == TASK_QUEUED) {
        mate_works(0, 1, pool);
        mate_leaves(0, 1, pool);
    }
    struct order order = {.id = pool.id, .number = other};
    int answer = get(&order);
    expect(answer == 0 || (answer == BROOD_ELOST && !w.ended));
    expect_is(free_future(&order), 0);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(pool, state), 0);
    pool_ends(pool);
}

/* An urgent task comes while a worker takes the bit of a hint away that it has not found.  order: 1: the bit is there */
static void urgent_passed(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    struct order order = {.id = pool.id};
    atomic_store(&pool_at(pool)->urgent, (cut->order & 1) ? 8u : 0);
    uint64_t other = submit_here(pool, false);
    struct victim w;
    victim_start(&w, NULL, work, pool.id);
    takes_seat(pool, 0, &w.proc);
    victim_step(&w, cut->k[0]);
    expect_is(submit_urgent(&order), 0);
    expect_is(w.ended ? 0 : victim_finish(&w), 0);
    if (task_state(pool, order.made) == TASK_QUEUED) expect(atomic_load(&pool_at(pool)->urgent) != 0);
    victim_kill(&w);
    bury(w.proc.member);
    mate_works(0, 1, pool);
    mate_leaves(0, 1, pool);
    future_gets(pool, order.made, 0);
    future_gets(pool, other, 0);
    pool_ends(pool);
}

const struct scene stream_scenes[] = {
    {"stream/worker", stream_worker, 0, 8},
    {"stream/two-workers", stream_two, SCENE_PAIR, 8},
    {"stream/reader", stream_reader, 0, 4},
    {"nest/waiter", nest_waiter, 0, 2},
    {"nest/help", nest_help, 0, 2},
    {"nest/told", nest_told, 0, 0},
    {"urgent/two", urgent_two, SCENE_PAIR, 8},
    {"urgent/passed", urgent_passed, 0, 2},
    {NULL, NULL, 0, 0},
};
