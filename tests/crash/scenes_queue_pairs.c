/* SPDX-License-Identifier: MIT */
/*
 * scenes_queue_pairs.c - queues, two victims: one dies over what another's death left, or both are inside at once.
 */
#include "scenes_queue.h"

/* A put is cut; the consumer that it woke, or the kernel for it, is cut as well; one more waits behind. */
static void chain(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    struct victim producer, consumer;
    uint64_t its = victim_puts(&producer, queue_put, queue);
    victim_start(&consumer, NULL, queue_get, queue.id);
    victim_falls_asleep(&consumer);
    mate_gets(0, queue, true);
    victim_step(&producer, cut->k[0]);
    victim_kill(&producer);
    victim_wakes(&consumer, false);
    victim_step(&consumer, cut->k[1]);
    victim_kill(&consumer);
    consumers_are_well(queue, 1, its);
    bury(producer.proc.member);
    bury(consumer.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

/* The mirror image: a get, and the producers that wait for room. */
static void chain_full(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = fill(queue, ids, 6), at = 0;
    struct victim consumer, producer;
    victim_start(&consumer, NULL, queue_get, queue.id);
    uint64_t its = victim_puts(&producer, queue_put, queue);
    victim_falls_asleep(&producer);
    mate_puts(0, queue, next_message(), true);
    uint64_t head = atomic_load(&queue_at(queue)->got[0].head);
    victim_step(&consumer, cut->k[0]);
    victim_kill(&consumer);
    if (atomic_load(&queue_at(queue)->got[0].head) != head) at++;
    victim_wakes(&producer, false);
    victim_step(&producer, cut->k[1]);
    victim_kill(&producer);
    producers_are_well(queue, 1);
    while (at < n && !failing()) {
        expect_is(get_here(queue), ids[at++]);
        producers_are_well(queue, 1);
    }
    expect_is(mate_result(0), 0);
    uint64_t mates = mate(0)->post->order.number;
    closes_with(queue, (uint64_t[]){its, mates, its}, (bool[]){true, false, true}, 3);
    expect(!producer.ended || was_there(its));
    bury(producer.proc.member);
    bury(consumer.proc.member);
}

/* order: 1, 2: what the first and the second do; 4: one after the other; 8: who dies first */
static void two(const struct cut *cut)
{
    bool first_gets = cut->order & 1, second_gets = cut->order & 2;
    brood_queue queue = new_queue(cut->k[0] % 6);
    uint64_t ids[6];
    bool maybe[6] = {first_gets || second_gets, first_gets && second_gets, true, true, true, false};
    for (unsigned i = 0; i < 2; i++) ids[i] = put_here(queue);
    struct victim a, b;
    uint64_t as = victim_puts(&a, first_gets ? queue_get : queue_put, queue);
    uint64_t bs = victim_puts(&b, second_gets ? queue_get : queue_put, queue);
    victim_step(&a, cut->k[0]);
    if (cut->order & 4) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    if (cut->order & 8) victim_kill(&b);
    victim_kill(&a);
    victim_kill(&b);
    unsigned records = queue_records(queue);
    ids[2] = as;
    ids[3] = bs;
    ids[4] = as;
    ids[5] = put_here(queue); /* none, if there is no room where the ring ends */
    closes_with(queue, ids, maybe, ids[5] ? 6 : 5);
    expect_is(messages_came(), records + (ids[5] != 0));
    if (first_gets) expect(!was_there(as) && !(a.ended && was_there(a.proc.post->order.made)));
    if (second_gets) expect(!was_there(bs) && !(b.ended && was_there(b.proc.post->order.made)));
    if (!first_gets && a.ended) expect(was_there(as));
    if (!second_gets && b.ended) expect(was_there(bs));
    if (!first_gets && !second_gets) expect(was_there(ids[0]));
    bury(a.proc.member);
    bury(b.proc.member);
}

/* Two puts at once while two consumers sleep. */
static void two_puts_consumers_asleep(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    for (unsigned i = 0; i < 2; i++) mate_gets(i, queue, true);
    struct victim a, b;
    uint64_t its = victim_puts(&a, queue_put, queue);
    victim_puts(&b, queue_put, queue); /* its number is the next */
    victim_step(&a, cut->k[0]);
    if (cut->order & 1) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    if (cut->order & 2) victim_kill(&b);
    victim_kill(&a);
    victim_kill(&b);
    unsigned done = consumers_are_well(queue, 2, its);
    expect(done >= (unsigned)a.ended + (unsigned)b.ended);
    bury(a.proc.member);
    bury(b.proc.member);
    closes_with(queue, NULL, NULL, 0);
}

const struct scene queue_pair_scenes[] = {
    {"queue/chain", chain, SCENE_PAIR, 6},
    {"queue/chain-full", chain_full, SCENE_PAIR, 6},
    {"queue/two", two, SCENE_PAIR, 16},
    {"queue/two-puts-consumers-asleep", two_puts_consumers_asleep, SCENE_PAIR, 4},
    {NULL, NULL, 0, 0},
};
