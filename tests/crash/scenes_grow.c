/* SPDX-License-Identifier: MIT */
/*
 * scenes_grow.c - queues that grow: whoever dies over the change of its rings leaves them as they were or as they were to
 * be, with all that is in them, and no page that is nobody's or two's.
 *
 * The rings are filled by a few long messages; only what is short is counted.
 */
#include "call/buffer.h"
#include "scenes_queue.h"

#include <string.h>

enum { LEAST = 4096, FILLER = 900, SHORT = 12 };

static brood_queue new_growing(unsigned turned)
{
    brood_queue queue = {0};
    brood_queue_options options = {.capacity = LEAST, .grows_to = BROOD_UNBOUNDED};
    char filler[FILLER];
    memset(filler, 7, sizeof filler);
    expect_is(brood_queue_new(&queue, &options), 0);
    for (unsigned i = 0; i < turned; i++) {
        expect_is(brood_queue_put(queue, filler, sizeof filler - 100 * i, 0), 0);
        expect_is(brood_queue_get(queue, filler, sizeof filler, NULL, 0), 0);
    }
    return queue;
}

static bool has_room(brood_queue queue, size_t size)
{
    const struct queue_shm *q = queue_at(queue);
    uint64_t at = brood__put_lane(q, 0)->tail, left = LEAST - (at & (LEAST - 1)), bytes = record_bytes(size);
    if (bytes > left) bytes += left;
    return at + bytes + 8 - lane_head(q, 0) <= LEAST;
}

/* Fillers first, then short ones, until the next short one makes it grow; how many of each. */
static unsigned fill_up(brood_queue queue, unsigned *fillers, uint64_t *ids)
{
    unsigned n = 0;
    char filler[FILLER];
    memset(filler, 7, sizeof filler);
    for (*fillers = 0; *fillers < 4 && has_room(queue, FILLER); ++*fillers)
        expect_is(brood_queue_put(queue, filler, sizeof filler, 0), 0);
    while (n < SHORT && has_room(queue, sizeof(struct message))) ids[n++] = put_here(queue);
    while (has_room(queue, 100)) { /* where the ring's end left a gap */
        expect_is(brood_queue_put(queue, filler, 100, 0), 0);
        ids[n++] = 0;
    }
    expect_is(queue_at(queue)->capacity, LEAST);
    return n;
}

static void take_fillers(brood_queue queue, unsigned n)
{
    char filler[FILLER] = {0};
    size_t size = 0;
    for (unsigned i = 0; i < n && !failing(); i++) {
        expect_is(brood_queue_get(queue, filler, sizeof filler, &size, 0), 0);
        expect(size >= 100 && filler[0] == 7 && filler[size - 1] == 7);
    }
}

/* What a slot of garbage may still name is not given to anybody: all claims in turn, and the pages agree. */
static void nothing_is_twice(void)
{
    brood_buffer buffers[3] = {{0}};
    expect_is(brood__pages_check(), 0);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    next_claim_takes_garbage(TABLE_BUFFER);
    for (unsigned i = 0; i < 3; i++) {
        void *data = NULL;
        expect_is(brood_buffer_new(&buffers[i], 3 * LEAST, &data), 0);
        if (data) memset(data, 0x11, 3 * LEAST); /* nor is it clean when it is used again */
    }
    for (unsigned i = 0; i < 3; i++) expect_is(brood_buffer_free(buffers[i]), 0);
    expect_is(brood__pages_check(), 0);
}

/* All that was there comes in its order, and then what is put now, be it before or after that; `its` may be missing. */
static void all_is_there(brood_queue queue, unsigned fillers, const uint64_t *ids, unsigned n, uint64_t its, bool must,
                         bool at_once)
{
    uint64_t after = at_once ? put_here(queue) : 0;
    bool came = false;
    expect(after != 0 || !at_once);
    take_fillers(queue, fillers);
    for (unsigned i = 0; i < n && !failing(); i++) {
        if (ids[i])
            expect_is(get_here(queue), ids[i]);
        else
            take_fillers(queue, 1);
    }
    for (uint64_t id; (id = get_here(queue)) != after && !failing();) {
        expect(id == its && !came);
        came = true;
    }
    expect(came || !must);
    after = put_here(queue);
    closes_with(queue, &after, NULL, 1);
}

/* order: where the ring begins; 8: who comes first is a consumer, else a producer */
static void put_grows(const struct cut *cut)
{
    brood_queue queue = new_growing(cut->order & 7);
    uint64_t ids[SHORT + 40];
    unsigned fillers, n = fill_up(queue, &fillers, ids);
    struct victim v;
    uint64_t its = victim_puts(&v, cut->order & 1 ? queue_put_try : queue_put, queue);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    all_is_there(queue, fillers, ids, n, its, v.ended, !(cut->order & 8));
    bury(v.proc.member);
    nothing_is_twice();
}

/* Two, one after the other: the second is the heir of the first, and grows what that did not. */
static void put_grows_twice(const struct cut *cut)
{
    brood_queue queue = new_growing(cut->order & 3);
    uint64_t ids[SHORT + 40];
    unsigned fillers, n = fill_up(queue, &fillers, ids);
    struct victim a, b;
    uint64_t as = victim_puts(&a, queue_put, queue), bs = victim_puts(&b, queue_put, queue);
    victim_step(&a, cut->k[0]);
    victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    if (cut->order & 1) bury(a.proc.member);
    take_fillers(queue, fillers);
    for (unsigned i = 0; i < n && !failing(); i++) {
        if (ids[i])
            expect_is(get_here(queue), ids[i]);
        else
            take_fillers(queue, 1);
    }
    closes_with(queue, (uint64_t[]){as, bs}, (bool[]){!a.ended, !b.ended}, 2);
    if (!(cut->order & 1)) bury(a.proc.member);
    bury(b.proc.member);
    nothing_is_twice();
}

/* Grown, and empty: the consumer that goes to sleep gives back what is not needed. */
static void get_shrinks(const struct cut *cut)
{
    brood_queue queue = new_growing(cut->order);
    char filler[FILLER];
    memset(filler, 7, sizeof filler);
    for (unsigned i = 0; i < 6; i++) expect_is(brood_queue_put(queue, filler, sizeof filler, 0), 0);
    take_fillers(queue, 6);
    expect(queue_at(queue)->capacity > LEAST);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    for (unsigned i = 0; i < 2; i++) { /* the first may find that producers may be asleep, which keep the room */
        mate_gets(0, queue, true);
        uint64_t id = put_here(queue);
        expect_is(mate_got(0), id);
    }
    bury(v.proc.member);
    expect_is(queue_at(queue)->capacity, LEAST);
    closes_with(queue, NULL, NULL, 0);
    nothing_is_twice();
}

/* A buffer is put into a queue that grows for it; the supervisor may die over what that left. */
static int make(struct order *order)
{
    brood_buffer buffer;
    int result = brood_buffer_new(&buffer, 100, NULL);
    order->made = buffer.id;
    return result;
}
static int put_buffer(struct order *order)
{
    return brood_queue_put_buffer((brood_queue){order->id}, (brood_buffer){order->made}, BROOD_FOREVER);
}
static void put_buffer_cut(const struct cut *cut, bool supervisor_dies)
{
    brood_queue queue = new_growing(cut->order);
    uint64_t ids[SHORT + 40];
    unsigned fillers, n = fill_up(queue, &fillers, ids);
    char small[8] = {7};
    while (has_room(queue, sizeof(struct long_record))) {
        expect_is(brood_queue_put(queue, small, sizeof small, 0), 0);
        ids[n++] = 0;
    }
    struct victim v, supervisor;
    victim_start(&v, make, put_buffer, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (supervisor_dies) {
        bury_begin(v.proc.member);
        victim_start(&supervisor, NULL, supervise, 0);
        supervisor.proc.post->order.number = v.proc.member;
        victim_step(&supervisor, cut->k[1]);
        victim_kill(&supervisor);
    }
    bury(v.proc.member);
    if (supervisor_dies) bury(supervisor.proc.member);
    unsigned there = slots_in_use(TABLE_BUFFER);
    expect(there == 1 || (there == 0 && !v.ended));
    expect_is(brood_queue_close(queue), 0); /* by the heir: the records can be looked at */
    expect_is(queue_records(queue), fillers + n + there);
    expect_is(brood_queue_free(queue), 0);
    nothing_is_twice();
}

static void put_buffer_grows(const struct cut *cut)
{
    put_buffer_cut(cut, false);
}
static void buffer_repaired(const struct cut *cut)
{
    put_buffer_cut(cut, true);
}

const struct scene grow_scenes[] = {
    {"grow/put", put_grows, 0, 12},
    {"grow/put-twice", put_grows_twice, SCENE_PAIR, 4},
    {"grow/get-shrinks", get_shrinks, 0, 4},
    {"grow/put-buffer", put_buffer_grows, 0, 2},
    {"grow/buffer-repaired", buffer_repaired, SCENE_PAIR, 2},
    {NULL, NULL, 0, 0},
};
