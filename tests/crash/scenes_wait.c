/* SPDX-License-Identifier: MIT */
/*
 * scenes_wait.c - who waits for any of many: woken by whatever is committed, also when its maker dies before it could
 * say so; one who dies in a wait leaves no bell and takes nothing with it.
 */
#include "pool_stage.h"
#include "queue/ring.h"
#include "scenes_queue.h"

#include <brood/wait.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

/* Wait by a call, then take what is there. */
static int wait_once(struct order *order)
{
    brood_waitable item = BROOD_WAIT_QUEUE((brood_queue){order->id});
    int result = brood_wait(&item, 1, NULL, BROOD_FOREVER);
    return result == 1 ? queue_get_try(order) : result < 0 ? result : NO_RESULT;
}

/* By a set, that looks in vain first. */
static int wait_in_set(struct order *order)
{
    brood_waitable item = BROOD_WAIT_QUEUE((brood_queue){order->id});
    brood_waitset *set;
    uint64_t tag = 0;
    int result = brood_waitset_new(&set);
    if (result < 0) return result;
    result = brood_waitset_add(set, item, 7);
    if (result == 0) result = brood_waitset_wait(set, &tag, 1, 0);
    if (result == BROOD_EAGAIN) result = brood_waitset_wait(set, &tag, 1, BROOD_FOREVER);
    if (result == 1) result = tag == 7 ? queue_get_try(order) : NO_RESULT;
    brood_waitset_free(set);
    return result;
}

static int wait_future(struct order *order)
{
    brood_future future = {order->id, order->number};
    brood_waitable item = BROOD_WAIT_FUTURE(future);
    uint64_t x = 0;
    int result = brood_wait(&item, 1, NULL, BROOD_FOREVER);
    if (result != 1) return result < 0 ? result : NO_RESULT;
    result = brood_future_get(future, &x, 0, NULL);
    return result < 0 ? result : x == 42 ? 0 : NO_RESULT;
}

static deed_fn *waits(const struct cut *cut)
{
    return cut->order & 1 ? wait_in_set : wait_once;
}

/* ----------------------------------------------------------------------------------------------- those who wake */

/* order: 1: a set; 2: it is closed instead */
static void woken(const struct cut *cut)
{
    bool closes = cut->order & 2;
    brood_queue queue = new_queue(2);
    mate_sends_to_sleep(0, waits(cut), queue.id);
    struct victim v;
    uint64_t its = 0;
    if (closes)
        victim_start(&v, NULL, queue_close, queue.id);
    else
        its = victim_puts(&v, queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect(mate_first(0, 1) == 0);
    bury(v.proc.member);
    mates_settle(1);
    bool done = closes ? atomic_load(&queue_at(queue)->closed) != 0 : !mate_busy(0);
    if (mate_busy(0) && (done || !queue_is_empty(queue))) fail("LOST WAKE-UP: something is there, and one waits on");
    if (closes) {
        if (!done) expect_is(brood_queue_close(queue), 0);
        expect_is(mate_result(0), BROOD_ECLOSED);
        expect_is(brood_queue_free(queue), 0);
        return;
    }
    uint64_t next = done ? its : put_here(queue);
    expect_is(mate_got(0), next);
    closes_with(queue, NULL, NULL, 0);
}

/* A worker answers, or dies over it. */
static void answered(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    mate(0)->post->order.number = serial;
    mate_sends_to_sleep(0, wait_future, pool.id);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    enum task_state state = task_state(pool, serial);
    if (v.ended || v.asleep) {
        mates_settle(1);
        expect(!mate_busy(0));
    }
    bury(v.proc.member);
    if (state == TASK_QUEUED) mate_works(2, 1, pool);
    int answer = state == TASK_RUNNING ? BROOD_ELOST : 0;
    expect_is(mate_result(0), answer);
    if (state == TASK_QUEUED) mate_leaves(2, 1, pool);
    future_gets(pool, serial, answer);
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------------------ those who wait */

/* order: 1: a set; 2: there is something */
static void waiter(const struct cut *cut)
{
    bool some = cut->order & 2;
    brood_queue queue = new_queue(2);
    uint64_t first = some ? put_here(queue) : 0;
    struct victim v;
    victim_start(&v, NULL, waits(cut), queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool took = some && queue_is_empty(queue);
    if (v.ended) expect(took && v.result == 0);
    uint64_t second = put_here(queue); /* and rings whom there is */
    bury(v.proc.member);
    if (some && !took)
        closes_with(queue, (uint64_t[]){first, second}, NULL, 2);
    else
        closes_with(queue, &second, NULL, 1);
}

/* Something comes while it stands somewhere on its way: it does not go to sleep over it. */
static void waiter_stalled(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v;
    victim_start(&v, NULL, waits(cut), queue.id);
    victim_step(&v, cut->k[0]);
    struct queue_shm *q = queue_at(queue);
    if (!victim_has(&v, &q->put) && !victim_has(&v, &q->get) && !victim_has(&v, &brood__arena()->pages.latch)) {
        uint64_t its = put_here(queue);
        expect(its != 0);
        expect_is(victim_finish(&v), 0);
        expect_is(v.proc.post->order.made, its);
    }
    victim_kill(&v);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* It is asleep, and dies as it is woken: what woke it is there still, or went with it; another that waits goes on. */
static void woken_dies(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v;
    victim_start(&v, NULL, waits(cut), queue.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, wait_once, queue.id);
    expect(put_here(queue) != 0);
    if (victim_wakes(&v, true)) victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    mates_settle(1); /* it woke, and was first, or not: then it may wait on */
    if (mate_busy(0)) {
        if (!queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and one waits on");
        expect(put_here(queue) != 0);
    }
    int result = mate_result(0);
    expect(result == 0 || result == BROOD_EAGAIN);
    while (get_here(queue) != 0) continue;
    closes_with(queue, NULL, NULL, 0);
}

const struct scene wait_scenes[] = {
    {"wait/woken", woken, 0, 4},           {"wait/answer", answered, 0, 0},
    {"wait/waiter", waiter, 0, 4},         {"wait/stalled", waiter_stalled, 0, 2},
    {"wait/woken-dies", woken_dies, 0, 2}, {NULL, NULL, 0, 0},
};
