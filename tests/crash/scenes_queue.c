/* SPDX-License-Identifier: MIT */
/*
 * scenes_queue.c - queues, one victim: a message is put whole or not at all, taken once or not at all, and nobody
 * sleeps while there is something for it to do.
 *
 * Until the supervisor comes, all of that must already be so; messages are counted before the dead is buried.
 */
#include "scenes_queue.h"

/* ----------------------------------------------------------------------------------------------------- nobody waits */

static void put_alone(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t before = put_here(queue);
    struct victim v;
    uint64_t its = victim_puts(&v, queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool put = queue_records(queue) == 2;
    expect(put || !v.ended);
    uint64_t after = put_here(queue), ids[] = {before, after, after};
    expect(before && after);
    if (put) ids[1] = its;
    closes_with(queue, ids, NULL, put ? 3 : 2);
    bury(v.proc.member);
}

static void cut_get(const struct cut *cut, deed_fn *deed)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t first = put_here(queue), second = put_here(queue);
    struct victim v;
    victim_start(&v, NULL, deed, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) {
        expect_is(v.result, 0);
        expect_is(v.proc.post->order.made, first);
    }
    bool taken = queue_records(queue) == 1;
    expect(taken || !v.ended);
    uint64_t after = put_here(queue), left[] = {first, second, after};
    closes_with(queue, left + taken, NULL, 3 - taken);
    bury(v.proc.member);
}

static void get_alone(const struct cut *cut)
{
    cut_get(cut, queue_get);
}
static void get_exactly(const struct cut *cut)
{
    cut_get(cut, queue_get_exactly);
}

/* order: 1: a put to a full queue, else a get from an empty one: it is refused; others sleep there for just that. */
static void refused(const struct cut *cut)
{
    bool full = cut->order & 1;
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = full ? fill(queue, ids, 6) : 0;
    if (full)
        mate_puts(0, queue, next_message(), true);
    else
        mate_gets(0, queue, true);
    struct victim v;
    victim_puts(&v, full ? queue_put_try : queue_get_try, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, BROOD_EAGAIN);
    expect_is(queue_records(queue), n);
    if (full) {
        for (unsigned i = 0; i < n && !failing(); i++) {
            expect_is(get_here(queue), ids[i]);
            producers_are_well(queue, 1);
        }
        expect_is(mate_result(0), 0);
        expect_is(get_here(queue), mate(0)->post->order.number);
    } else {
        uint64_t id = put_here(queue);
        expect_is(mate_got(0), id);
    }
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

static int ask(struct order *order)
{
    brood_queue queue = {order->id};
    int empty = brood_queue_empty(queue), full = brood_queue_full(queue);
    return (int)brood_queue_size(queue) + 100 * (empty == 1) + 1000 * (full == 1);
}
static void look(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    uint64_t ids[8];
    unsigned n = cut->order & 1 ? fill(queue, ids, 6) : 0;
    struct victim v;
    victim_start(&v, NULL, ask, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result % 1000, n ? n : 100);
    bury(v.proc.member);
    closes_with(queue, ids, NULL, n);
}

static void put_batch_alone(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    struct victim v;
    uint64_t its = victim_puts(&v, queue_put_batch, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool whole = !queue_is_empty(queue);
    expect(whole || !v.ended);
    uint64_t after = put_here(queue), ids[] = {its, its + 1, after};
    closes_with(queue, whole ? ids : ids + 2, NULL, whole ? 3 : 1);
    bury(v.proc.member);
}

static void get_batch_alone(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[4];
    for (unsigned i = 0; i < 3; i++) ids[i] = put_here(queue);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head);
    struct victim v;
    victim_start(&v, NULL, queue_get_batch, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool taken = atomic_load(&queue_at(queue)->got[0].head) != head;
    if (v.ended) expect(taken && v.proc.post->order.made == ids[0] + ids[1]);
    ids[3] = put_here(queue);
    closes_with(queue, taken ? ids + 2 : ids, NULL, taken ? 2 : 4);
    bury(v.proc.member);
}

/* ------------------------------------------------------------------------------------------------- others sleep */

static void put_consumers_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    for (unsigned i = 0; i < 2; i++) mate_gets(i, queue, true);
    struct victim v;
    uint64_t its = victim_puts(&v, queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned done = consumers_are_well(queue, 2, its);
    expect(done == 1 || (done == 0 && !v.ended));
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

static void put_batch_consumers_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    for (unsigned i = 0; i < 2; i++) mate_gets(i, queue, true);
    struct victim v;
    uint64_t its = victim_puts(&v, queue_put_batch, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned done = consumers_are_well(queue, 2, its);
    expect(done == 2 || (done == 0 && !v.ended));
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* Take messages, these first, until the mates have put theirs, and then those: each once. */
static void mates_put_theirs(brood_queue queue, const uint64_t *ids, unsigned n, unsigned mates)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < mates; i++) sum += mate(i)->post->order.number;
    for (unsigned i = 0; i < n && !failing(); i++) {
        expect_is(get_here(queue), ids[i]);
        producers_are_well(queue, mates);
    }
    for (unsigned i = 0; i < mates; i++) expect_is(mate_result(i), 0);
    for (unsigned i = 0; i < mates; i++) sum -= get_here(queue);
    expect_is(sum, 0);
}

static void get_producers_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = fill(queue, ids, 6);
    for (unsigned i = 0; i < 2; i++) mate_puts(i, queue, next_message(), true);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool taken = atomic_load(&queue_at(queue)->got[0].head) != head;
    if (v.ended) expect(taken && v.proc.post->order.made == ids[0]);
    producers_are_well(queue, 2);
    mates_put_theirs(queue, ids + taken, n - taken, 2);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* It dies on its way to sleep: those asleep with it are woken as ever. */
static void get_falls_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    mate_gets(0, queue, true);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    uint64_t id = put_here(queue);
    expect_is(mate_got(0), id);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

static void put_falls_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = fill(queue, ids, 6);
    ids[n] = next_message();
    mate_puts(0, queue, ids[n], true);
    struct victim v;
    victim_puts(&v, queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    mates_put_theirs(queue, ids, n, 1);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* The consumer that a put woke dies: the next one has the message, if it is still there. */
static void get_woken(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_falls_asleep(&v);
    mate_gets(0, queue, true);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head), id = put_here(queue);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool taken = atomic_load(&queue_at(queue)->got[0].head) != head; /* by it, or by the mate */
    if (v.ended) expect_is(v.proc.post->order.made, id);
    mates_settle(1);
    if (mate_busy(0)) {
        expect(taken);
        id = put_here(queue);
    }
    expect_is(mate_got(0), id);
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* The producer that a get woke dies: the room that it leaves is the next one's. */
static void put_woken(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[10];
    unsigned n = fill(queue, ids, 6), at = 0;
    struct victim v;
    ids[n] = victim_puts(&v, queue_put, queue);
    victim_falls_asleep(&v);
    mate_puts(0, queue, next_message(), true);
    while (at < n && v.asleep) { /* where the ring ends, room for one takes two gets */
        expect_is(get_here(queue), ids[at++]);
        victim_wakes(&v, false);
    }
    expect(!v.asleep);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    producers_are_well(queue, 1);
    while (at < n && !failing()) {
        expect_is(get_here(queue), ids[at++]);
        producers_are_well(queue, 1);
    }
    expect_is(mate_result(0), 0);
    uint64_t its = ids[n], mates = mate(0)->post->order.number;
    closes_with(queue, (uint64_t[]){its, mates, its}, (bool[]){true, false, true}, 3); /* in either order */
    expect(!v.ended || was_there(its));
    bury(v.proc.member);
}

/* The consumer's time is up; order: 1: another sleeps behind it; 2: a message comes at that moment. */
static void get_late(const struct cut *cut)
{
    bool behind = cut->order & 1, comes = cut->order & 2;
    brood_queue queue = new_queue(cut->order);
    struct victim v;
    victim_start(&v, NULL, queue_get_timed, queue.id);
    victim_falls_asleep(&v);
    if (behind) mate_gets(0, queue, true);
    victim_times_out(&v);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head), id = comes ? put_here(queue) : 0;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!comes) {
        if (v.ended) expect_is(v.result, BROOD_ETIMEDOUT);
        id = put_here(queue);
    }
    mates_settle(behind);
    bool taken = atomic_load(&queue_at(queue)->got[0].head) != head; /* by it, or by the mate */
    if (behind && mate_busy(0)) {
        expect(taken && comes);
        id = put_here(queue);
    }
    if (behind) expect_is(mate_got(0), id);
    bury(v.proc.member);
    closes_with(queue, &id, NULL, !behind && !taken);
}

/* The producer's time is up; order: 1: another sleeps behind it; 2: a message is taken at that moment. */
static void put_late(const struct cut *cut)
{
    bool behind = cut->order & 1, goes = cut->order & 2;
    brood_queue queue = new_queue(2 + cut->order);
    uint64_t ids[10];
    unsigned n = fill(queue, ids, 6), at = 0;
    struct victim v;
    uint64_t its = victim_puts(&v, queue_put_timed, queue);
    victim_falls_asleep(&v);
    if (behind) mate_puts(0, queue, next_message(), true);
    victim_times_out(&v);
    if (goes) expect_is(get_here(queue), ids[at++]);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended && !goes) expect_is(v.result, BROOD_ETIMEDOUT);
    while (at < n && !failing()) {
        producers_are_well(queue, behind);
        expect_is(get_here(queue), ids[at++]);
    }
    if (behind) expect_is(mate_result(0), 0);
    uint64_t last = behind ? mate(0)->post->order.number : its;
    closes_with(queue, (uint64_t[]){its, last, its}, (bool[]){true, !behind, true}, 3);
    expect(!v.ended || was_there(its) == (v.result == 0));
    bury(v.proc.member);
}

const struct scene queue_scenes[] = {
    {"queue/put", put_alone, 0, 8},
    {"queue/get", get_alone, 0, 8},
    {"queue/put-batch", put_batch_alone, 0, 8},
    {"queue/get-batch", get_batch_alone, 0, 8},
    {"queue/put-consumers-asleep", put_consumers_asleep, 0, 6},
    {"queue/put-batch-consumers-asleep", put_batch_consumers_asleep, 0, 6},
    {"queue/get-producers-asleep", get_producers_asleep, 0, 6},
    {"queue/get-falls-asleep", get_falls_asleep, 0, 2},
    {"queue/get-falls-asleep-spinning", get_falls_asleep, SCENE_SPIN, 2},
    {"queue/put-falls-asleep", put_falls_asleep, 0, 6},
    {"queue/put-falls-asleep-spinning", put_falls_asleep, SCENE_SPIN, 2},
    {"queue/get-exactly", get_exactly, 0, 0},
    {"queue/refused", refused, 0, 6},
    {"queue/size", look, 0, 2},
    {"queue/get-late", get_late, 0, 4},
    {"queue/put-late", put_late, 0, 4},
    {"queue/put-in-thread", put_alone, SCENE_THREAD, 2},
    {"queue/put-consumers-asleep-in-thread", put_consumers_asleep, SCENE_THREAD, 2},
    {"queue/get-producers-asleep-in-thread", get_producers_asleep, SCENE_THREAD, 2},
    {"queue/get-woken", get_woken, 0, 6},
    {"queue/put-woken", put_woken, 0, 6},
    {NULL, NULL, 0, 0},
};
