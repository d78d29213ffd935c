/* SPDX-License-Identifier: MIT */
/*
 * scenes_bell.c - descriptors: who waits in its own epoll learns of everything that was committed, at the latest after
 * the death of the one who should have rung; and a listener that dies leaves no bell.
 */
#include "pool_stage.h"
#include "scenes_queue.h"
#include "sync/bell.h"

#include <sys/epoll.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int wait_readable(int fd)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 || epoll_wait(set, &event, 1, -1) < 0) return -1;
    return close(set);
}

/* As an event loop does: get without waiting, and sleep in epoll when there is nothing. */
static int listen_queue(struct order *order)
{
    int fd = brood_queue_fd((brood_queue){order->id}), result = fd;
    while (result >= 0 && (result = queue_get_try(order)) == BROOD_EAGAIN) result = wait_readable(fd);
    brood__bell_close(order->id);
    return result;
}

/* order.number: the future */
static int listen_future(struct order *order)
{
    brood_future future = {order->id, order->number};
    uint64_t x = 0;
    int fd = brood_pool_fd((brood_pool){order->id}), result = fd;
    while (result >= 0 && (result = brood_future_get(future, &x, 0, NULL)) == BROOD_EAGAIN) result = wait_readable(fd);
    brood__bell_close(order->id);
    return result < 0 ? result : x == 42 ? 0 : WRONG;
}

/* A map that is waited for in epoll. */
static int listen_map(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS];
    brood_report report = {0};
    brood_map under_way;
    brood_map_options options = {.chunk = 2};
    map_fill(in, out);
    int fd = brood_pool_fd((brood_pool){order->id}), result = fd;
    if (result >= 0)
        result = brood_pool_map_async_task((brood_pool){order->id}, &under_way, map_task(), in, out, ITEMS, &options);
    bool begun = result >= 0;
    while (result >= 0 && (result = brood_map_wait(under_way, 0, &report)) == BROOD_EAGAIN) result = wait_readable(fd);
    brood__bell_close(order->id);
    return begun ? map_judge(order, result, report, out) : result;
}

static int open_bell(struct order *order)
{
    int fd = brood_queue_fd((brood_queue){order->id});
    return fd < 0 ? fd : 0;
}

/* Asleep in epoll when the answer is there means that nobody has rung. */
static bool has_heard(unsigned i)
{
    mates_settle(i + 1);
    return !mate_busy(i);
}

/* ----------------------------------------------------------------------------------------------- those who ring */

/* order: 1: a batch; 2: two listen */
static void put_listeners(const struct cut *cut)
{
    unsigned mates = cut->order & 2 ? 2 : 1;
    brood_queue queue = new_queue(cut->order);
    for (unsigned i = 0; i < mates; i++) mate_sends_to_sleep(i, listen_queue, queue.id);
    struct victim v;
    uint64_t its = victim_puts(&v, cut->order & 1 ? queue_put_batch : queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) { /* it has rung */
        expect(mate_first(0, mates) >= 0);
    }
    bury(v.proc.member);
    mates_settle(mates);
    unsigned done = 0;
    for (unsigned i = 0; i < mates; i++) done += !mate_busy(i);
    if (done < mates && !queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and a listener sleeps on");
    expect(done > 0 || !v.ended);
    for (unsigned i = 0; i < mates; i++) {
        if (mate_busy(i)) continue;
        uint64_t got = mate_got(i);
        expect(got == its || ((cut->order & 1) && got == its + 1));
    }
    for (unsigned n = done; n < mates; n++) expect(put_here(queue) != 0);
    for (unsigned i = 0; i < mates; i++) expect(mate_got(i) != 0);
    while (get_here(queue) != 0) continue; /* of a batch that one got */
    closes_with(queue, NULL, NULL, 0);
}

/* order: 1: its owner frees it */
static void close_listener(const struct cut *cut)
{
    bool frees = cut->order & 1;
    struct victim v;
    brood_queue queue = {0};
    if (frees) {
        victim_start(&v, queue_make, queue_free, 0);
        queue.id = v.proc.post->order.made;
    } else {
        queue = new_queue(2);
        victim_start(&v, NULL, queue_close, queue.id);
    }
    mate_sends_to_sleep(0, listen_queue, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect(mate_result(0) != NO_RESULT);
    bool closed = !frees && atomic_load(&queue_at(queue)->closed);
    bury(v.proc.member);
    if (!frees && !closed) expect_is(brood_queue_close(queue), 0);
    int result = mate_result(0);
    expect(result == BROOD_ECLOSED || (frees && result == BROOD_ESTALE));
    if (!frees) expect_is(brood_queue_free(queue), 0);
    closes_with(new_queue(1), NULL, NULL, 0);
}

/* order: 1: the worker dies, as well as it may, before it has begun; two wait: in epoll, and in futex. */
static void answer_listeners(const struct cut *cut)
{
    brood_pool pool = new_pool(false);
    uint64_t serial = submit_here(pool, false);
    mate(0)->post->order.number = serial;
    mate_sends_to_sleep(0, listen_future, pool.id);
    mate_gets_future(1, pool, serial, true);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    enum task_state state = task_state(pool, serial);
    if (v.ended) expect(has_heard(0));
    bury(v.proc.member);
    if (state == TASK_QUEUED) mate_works(2, 1, pool);
    int answer = state == TASK_RUNNING ? BROOD_ELOST : 0;
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), answer);
    if (state == TASK_QUEUED) mate_leaves(2, 1, pool);
    future_gets(pool, serial, answer);
    pool_ends(pool);
}

/* The last worker of a map dies; who waits for it in epoll hears of its end, or of what is left. */
static void map_listener(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    mate_sends_to_sleep(0, listen_map, pool.id);
    struct victim v;
    victim_start(&v, NULL, work, pool.id);
    takes_seat(pool, 0, &v.proc);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.asleep) expect(has_heard(0)); /* it has done all there was, and rung */
    bury(v.proc.member);
    mates_settle(1);
    mate_works(1, 0, pool);
    expect_is(mate_result(0), 0);
    uint64_t report = mate(0)->post->order.made;
    unsigned lost = (unsigned)(report >> 16);
    expect_is(report, REPORT(ITEMS - lost, 0, lost));
    expect(lost <= 1);
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 1);
    workers_leave(pool, 1, 1);
    pool_ends(pool);
}

/* ---------------------------------------------------------------------------------------------- those who listen */

/* It opens its bell, finds nothing (order: 1: something) and falls asleep; another listener goes on as ever. */
static void listener(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    mate_sends_to_sleep(0, listen_queue, queue.id);
    struct victim v;
    victim_start(&v, NULL, listen_queue, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    if (cut->order & 1) bury(v.proc.member);
    uint64_t id = put_here(queue);
    expect_is(mate_got(0), id);
    if (!(cut->order & 1)) bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* It was rung; what it has not taken is another's, who listens as well (order: 1: sleeps in a get). */
static void listener_woken(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v;
    victim_start(&v, NULL, listen_queue, queue.id);
    victim_falls_asleep(&v);
    if (cut->order & 1)
        mate_gets(0, queue, true);
    else
        mate_sends_to_sleep(0, listen_queue, queue.id);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head), id = put_here(queue);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    mates_settle(1);
    if (mate_busy(0)) {
        if (!queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and the mate sleeps on");
        expect(atomic_load(&queue_at(queue)->got[0].head) != head);
        id = put_here(queue);
    }
    expect_is(mate_got(0), id);
    closes_with(queue, NULL, NULL, 0);
}

/* It does not die, but stands still on its way to sleep when the message comes: it must not miss it. */
static void listener_stalled(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v;
    victim_start(&v, NULL, listen_queue, queue.id);
    victim_step(&v, cut->k[0]);
    const struct queue_shm *q = queue_at(queue);
    if (victim_has(&v, &q->put) || victim_has(&v, &q->get)) {
        victim_run(&v);
    }
    uint64_t id = put_here(queue);
    expect_is(victim_finish(&v), 0);
    expect_is(v.proc.post->order.made, id);
    victim_kill(&v);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* The producer is cut, and so is whom it rang. */
static void ring_chain(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim producer, listener;
    uint64_t its = victim_puts(&producer, queue_put, queue);
    victim_start(&listener, NULL, listen_queue, queue.id);
    victim_falls_asleep(&listener);
    mate_sends_to_sleep(0, listen_queue, queue.id);
    victim_step(&producer, cut->k[0]);
    victim_kill(&producer);
    if (cut->order & 1) bury(producer.proc.member);
    victim_wakes(&listener, false);
    victim_step(&listener, cut->k[1]);
    victim_kill(&listener);
    if (!(cut->order & 1)) bury(producer.proc.member);
    bury(listener.proc.member);
    mates_settle(1);
    if (mate_busy(0)) {
        if (!queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and the mate sleeps on");
        its = put_here(queue);
    }
    expect_is(mate_got(0), its);
    closes_with(queue, NULL, NULL, 0);
}

static void bell_opened(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    uint64_t id = put_here(queue);
    struct victim v;
    victim_start(&v, NULL, open_bell, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    uint64_t after = put_here(queue); /* and rings whom there is */
    bury(v.proc.member);
    closes_with(queue, (uint64_t[]){id, after}, NULL, 2);
}

const struct scene bell_scenes[] = {
    {"bell/put", put_listeners, 0, 4},
    {"bell/close", close_listener, 0, 2},
    {"bell/answer", answer_listeners, 0, 0},
    {"bell/map", map_listener, 0, 0},
    {"bell/open", bell_opened, 0, 0},
    {"bell/listener", listener, 0, 2},
    {"bell/listener-woken", listener_woken, 0, 2},
    {"bell/listener-stalled", listener_stalled, 0, 0},
    {"bell/chain", ring_chain, SCENE_PAIR, 2},
    {NULL, NULL, 0, 0},
};
