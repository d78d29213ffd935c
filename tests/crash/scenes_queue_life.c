/* SPDX-License-Identifier: MIT */
/*
 * scenes_queue_life.c - queues made, closed, freed, and left by an owner who died: who waits is told, and nothing that
 * was in them stays.
 */
#include "arena/member.h"
#include "scenes_queue.h"

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* order: 1: producers sleep at a full queue, else consumers at an empty one */
static void close_with_sleepers(const struct cut *cut)
{
    bool full = cut->order & 1;
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = full ? fill(queue, ids, 6) : 0;
    for (unsigned i = 0; i < 3; i++) {
        if (full)
            mate_puts(i, queue, next_message(), true);
        else
            mate_gets(i, queue, true);
    }
    struct victim v;
    victim_start(&v, NULL, queue_close, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool closed = atomic_load(&queue_at(queue)->closed);
    expect(closed || !v.ended);
    if (!closed) expect_is(brood_queue_close(queue), 0);
    for (unsigned i = 0; i < 3; i++) expect_is(mate_result(i), BROOD_ECLOSED);
    bury(v.proc.member);
    for (unsigned i = 0; i < n; i++) {
        struct message m;
        size_t size;
        expect_is(brood_queue_get(queue, &m, sizeof m, &size, 0), 0);
        expect(message_good(&m, size) && m.id == ids[i]);
    }
    struct message m;
    expect_is(brood_queue_get(queue, &m, sizeof m, NULL, 0), BROOD_ECLOSED);
    expect_is(brood_queue_free(queue), 0);
}

static void free_with_sleepers(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, queue_make, queue_free, 0);
    brood_queue queue = {v.proc.post->order.made};
    uint64_t ids[8];
    if (cut->order & 1) fill(queue, ids, 6);
    for (unsigned i = 0; i < 2; i++) {
        if (cut->order & 1)
            mate_puts(i, queue, next_message(), true);
        else
            mate_gets(i, queue, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_queue_close(queue)));
    closes_with(new_queue(1), NULL, NULL, 0);
}

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_QUEUE);
    struct victim v;
    victim_start(&v, NULL, queue_make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    closes_with(new_queue(1), NULL, NULL, 0);
}

/* A queue of a dead owner, two asleep at it and a long message in it, becomes another's. */
static void garbage_reused(const struct cut *cut)
{
    mate(2)->post->order.number = 0;
    mate_do(2, queue_make, 0);
    expect_is(mate_result(2), 0);
    brood_queue queue = {mate(2)->post->order.made};
    uint32_t owner = mate(2)->member;
    struct slot_shm *slot = brood__slot_find(TABLE_QUEUE, queue.id);
    if (!slot) {
        fail("no queue");
        return;
    }
    char text[200] = "a long message";
    uint64_t ids[8];
    if (cut->order & 1) {
        expect_is(brood_queue_put(queue, text, sizeof text, 0), 0);
        fill(queue, ids, 6);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (cut->order & 1)
            mate_puts(i, queue, next_message(), true);
        else
            mate_gets(i, queue, true);
    }
    proc_kill(mate(2));
    bury_begin(owner);
    uint64_t word = atomic_load(&slot->word);
    atomic_store(&slot->word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
    next_claim_takes_garbage(TABLE_QUEUE);
    struct victim v;
    victim_start(&v, NULL, queue_make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    bury(owner);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    closes_with(new_queue(1), NULL, NULL, 0); /* takes the garbage, and what was in it */
}

const struct scene queue_life_scenes[] = {
    {"queue/close-three-asleep", close_with_sleepers, 0, 2},
    {"queue/free-two-asleep", free_with_sleepers, 0, 2},
    {"queue/new", new_one, 0, 2},
    {"queue/garbage-reused", garbage_reused, 0, 2},
    {NULL, NULL, 0, 0},
};
