/* SPDX-License-Identifier: MIT */
/* scenes_priority.c - queues with priorities: what is true of a queue's ring is true of each of theirs. */
#include "scenes_queue.h"

enum { LOW, HIGH = 2 };

static int put_high(struct order *order)
{
    struct message m = message_of(order->number);
    return brood_queue_put_priority((brood_queue){order->id}, &m, sizeof m, HIGH, BROOD_FOREVER);
}

static uint64_t put_high_here(brood_queue queue)
{
    struct order order = {.id = queue.id, .number = next_message()};
    struct message m = message_of(order.number);
    return brood_queue_put_priority(queue, &m, sizeof m, HIGH, 0) == 0 ? order.number : 0;
}

static brood_queue new_prioritized(unsigned turned)
{
    brood_queue queue = {0};
    expect_is(brood_queue_new(&queue, &(brood_queue_options){.capacity = 256, .priorities = 3}), 0);
    for (unsigned i = 0; i < turned; i++) {
        expect((i & 1 ? put_high_here(queue) : put_here(queue)) != 0);
        expect(get_here(queue) != 0);
    }
    return queue;
}

static void put(const struct cut *cut)
{
    brood_queue queue = new_prioritized(cut->order);
    uint64_t low = put_here(queue), high = put_high_here(queue);
    struct victim v;
    uint64_t its = victim_puts(&v, put_high, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool is_put = queue_records(queue) == 3;
    expect(is_put || !v.ended);
    uint64_t after = put_high_here(queue), ids[] = {high, is_put ? its : after, is_put ? after : low, low};
    closes_with(queue, ids, NULL, 3 + is_put);
    bury(v.proc.member);
}

static void get(const struct cut *cut)
{
    brood_queue queue = new_prioritized(cut->order);
    uint64_t low = put_here(queue), high = put_high_here(queue), next = put_high_here(queue);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.proc.post->order.made, high);
    bool taken = queue_records(queue) == 2;
    expect(taken || !v.ended);
    uint64_t ids[] = {high, next, low};
    closes_with(queue, ids + taken, NULL, 3 - taken);
    bury(v.proc.member);
}

static void put_consumers_asleep(const struct cut *cut)
{
    brood_queue queue = new_prioritized(cut->order);
    for (unsigned i = 0; i < 2; i++) mate_gets(i, queue, true);
    struct victim v;
    uint64_t its = victim_puts(&v, put_high, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned done = consumers_are_well(queue, 2, its);
    expect(done == 1 || (done == 0 && !v.ended));
    bury(v.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* Producers of both priorities sleep; a message of the higher is taken, so one of them has room: that one must come. */
static void get_producers_asleep(const struct cut *cut)
{
    brood_queue queue = new_prioritized(0);
    uint64_t low[5] = {0}, high[5] = {0};
    unsigned n = 0;
    while ((low[n] = put_here(queue)) != 0 && (high[n] = put_high_here(queue)) != 0) n++;
    unsigned first = cut->order & 1;
    for (unsigned i = 0; i < 2; i++) {
        mate(i ^ first)->post->order.number = next_message();
        mate_sends_to_sleep(i ^ first, i ^ first ? put_high : queue_put, queue.id);
    }
    uint64_t of_low = mate(0)->post->order.number, of_high = mate(1)->post->order.number;
    uint64_t head = lane_head(queue_at(queue), HIGH);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned at = lane_head(queue_at(queue), HIGH) != head;
    expect(at || !v.ended);
    while (at < 2) expect_is(get_here(queue), high[at++]); /* where the ring ends, room for one takes two gets */
    expect_is(mate_result(1), 0);
    while (at < n) expect_is(get_here(queue), high[at++]);
    expect_is(get_here(queue), of_high);
    for (at = 0; at < 2; at++) expect_is(get_here(queue), low[at]);
    expect_is(mate_result(0), 0);
    low[n] = of_low;
    closes_with(queue, low + 2, NULL, n - 1);
    bury(v.proc.member);
}

const struct scene priority_scenes[] = {
    {"priority/put", put, 0, 4},
    {"priority/get", get, 0, 4},
    {"priority/put-consumers-asleep", put_consumers_asleep, 0, 2},
    {"priority/get-producers-asleep", get_producers_asleep, 0, 2},
    {NULL, NULL, 0, 0},
};
