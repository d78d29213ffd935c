/* SPDX-License-Identifier: MIT */
/*
 * scenes_buffer.c - buffers have exactly one holder: a member or a message; and none is left when both are gone.
 *
 * Slots in use, after the dead was buried, are the holders: the queue's content and what this process holds.
 */
#include "call/buffer.h"
#include "scenes_queue.h"

#include <string.h>

enum { SIZE = 5000, LONG = 200 }; /* more than a page; more than a quarter of a queue */

static void draw(unsigned char *data, size_t size, uint64_t id)
{
    for (size_t i = 0; i < size; i++) data[i] = (unsigned char)(id + i * 7);
}
static bool drawn(const unsigned char *data, size_t size, uint64_t id)
{
    for (size_t i = 0; data && i < size; i++)
        if (data[i] != (unsigned char)(id + i * 7)) return false;
    return data != NULL;
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int make(struct order *order)
{
    brood_buffer buffer;
    void *data;
    int result = brood_buffer_new(&buffer, SIZE, &data);
    if (result < 0) return result;
    draw(data, SIZE, 1);
    order->made = buffer.id;
    return 0;
}
static int make_bare(struct order *order)
{
    brood_buffer buffer;
    int result = brood_buffer_new(&buffer, SIZE, NULL);
    order->made = buffer.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_buffer_free((brood_buffer){order->made});
}
static int put_buffer(struct order *order)
{
    return brood_queue_put_buffer((brood_queue){order->id}, (brood_buffer){order->made}, BROOD_FOREVER);
}
static int get_buffer(struct order *order)
{
    brood_buffer buffer = {0};
    int result = brood_queue_get_buffer((brood_queue){order->id}, &buffer, BROOD_FOREVER);
    order->made = buffer.id;
    return result;
}
static int put_long(struct order *order)
{
    unsigned char data[LONG];
    draw(data, sizeof data, 1);
    return brood_queue_put((brood_queue){order->id}, data, sizeof data, BROOD_FOREVER);
}
static int get_long(struct order *order)
{
    unsigned char data[LONG];
    size_t size = 0;
    int result = brood_queue_get((brood_queue){order->id}, data, sizeof data, &size, BROOD_FOREVER);
    return result < 0 ? result : size == sizeof data && drawn(data, size, 1) ? 0 : TORN;
}
static int view(struct order *order)
{
    brood_view v;
    int result = brood_queue_get_view((brood_queue){order->id}, &v, BROOD_FOREVER);
    if (result < 0) return result;
    bool good = drawn(v.data, v.size, 1);
    result = brood_view_release(&v);
    return good ? result : TORN;
}

/* ---------------------------------------------------------------------------------------------- from this process */

/* Take the one long message, if it is there, and look at it; it is ours then and freed. */
static bool take(brood_queue queue)
{
    brood_buffer buffer = {0};
    int result = brood_queue_get_buffer(queue, &buffer, 0);
    if (result == BROOD_EAGAIN) return false;
    expect_is(result, 0);
    size_t size = 0;
    const unsigned char *data = brood_buffer_data(buffer, &size);
    expect(size == SIZE || size == LONG);
    expect(drawn(data, size, 1));
    expect_is(brood_buffer_free(buffer), 0);
    return true;
}

/* The dead is buried: the queue has the only buffer, or there is none. */
static void one_holder(brood_queue queue, bool must)
{
    bool there = !queue_is_empty(queue);
    expect_is(slots_in_use(TABLE_BUFFER), there);
    expect(there || !must);
    expect_is(take(queue), there);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    closes_with(queue, NULL, NULL, 0);
}

/* -------------------------------------------------------------------------------------------------- new and free */

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_BUFFER);
    struct victim v;
    victim_start(&v, NULL, make_bare, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    if (v.ended) expect_is(brood_buffer_free((brood_buffer){v.proc.post->order.made}), BROOD_ESTALE);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
}

static void free_one(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make, free_it, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
}

/* ------------------------------------------------------------------------------------------------------- put, get */

/* order: 1: a short message is put before the dead is buried; 2: what there is is taken before */
static void cut_put(const struct cut *cut, deed_fn *before, deed_fn *deed)
{
    brood_queue queue = new_queue(cut->order >> 2);
    struct victim v;
    victim_start(&v, before, deed, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool put = !queue_is_empty(queue), taken = false;
    uint64_t id = cut->order & 1 ? put_here(queue) : 0;
    if ((cut->order & 2) && put) taken = take(queue);
    bury(v.proc.member);
    expect(put || !v.ended);
    expect_is(slots_in_use(TABLE_BUFFER), put && !taken);
    if (put && !taken) expect(take(queue));
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    closes_with(queue, &id, NULL, id != 0);
}

static void put_it(const struct cut *cut)
{
    cut_put(cut, make, put_buffer);
}
static void put_copy(const struct cut *cut)
{
    cut_put(cut, NULL, put_long);
}

/* order: 1: what there still is is taken before the dead is buried */
static void cut_get(const struct cut *cut, deed_fn *deed, size_t size)
{
    brood_queue queue = new_queue(cut->order >> 1);
    unsigned char data[LONG];
    draw(data, sizeof data, 1);
    struct order order = {.id = queue.id};
    if (size == LONG) {
        expect_is(brood_queue_put(queue, data, sizeof data, 0), 0);
    } else {
        expect_is(make(&order), 0);
        expect_is(put_buffer(&order), 0);
    }
    struct victim v;
    victim_start(&v, NULL, deed, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bool there = !queue_is_empty(queue);
    expect(!there || !v.ended);
    if ((cut->order & 1) && there) {
        expect(take(queue));
        there = false;
    }
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_BUFFER), there);
    one_holder(queue, there);
}

static void get_it(const struct cut *cut)
{
    cut_get(cut, get_buffer, SIZE);
}
static void get_copy(const struct cut *cut)
{
    cut_get(cut, get_long, LONG);
}
static void get_view(const struct cut *cut)
{
    cut_get(cut, view, LONG);
}

/* The last owner of what a survivor took over is buried late: it stays the survivor's. */
static void taken_over(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    struct order order = {.id = queue.id};
    expect_is(make(&order), 0);
    expect_is(put_buffer(&order), 0);
    struct victim v;
    victim_start(&v, NULL, get_buffer, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool ours = !queue_is_empty(queue);
    brood_buffer buffer = {0};
    if (ours) expect_is(brood_queue_get_buffer(queue, &buffer, 0), 0);
    bury(v.proc.member);
    if (ours) {
        expect(drawn(brood_buffer_data(buffer, NULL), SIZE, 1));
        expect_is(brood_buffer_free(buffer), 0);
    }
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    closes_with(queue, NULL, NULL, 0);
}

/* Two at once at a queue with one buffer in it; order: 1, 2: what they do; 4: who is buried first; 8: one by one */
static void two(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    bool puts[2] = {cut->order & 1, cut->order & 2};
    struct order order = {.id = queue.id};
    expect_is(make(&order), 0);
    expect_is(put_buffer(&order), 0);
    struct victim v[2];
    for (unsigned i = 0; i < 2; i++)
        victim_start(&v[i], puts[i] ? make : NULL, puts[i] ? put_buffer : get_buffer, queue.id);
    victim_step(&v[0], cut->k[0]);
    if (cut->order & 8) victim_kill(&v[0]);
    victim_step(&v[1], cut->k[1]);
    victim_kill(&v[1]);
    if (!(cut->order & 8)) victim_kill(&v[0]);
    unsigned records = queue_records(queue), least = 1, most = 1;
    for (unsigned i = 0; i < 2; i++) {
        least += puts[i] && v[i].ended;
        most += puts[i];
        least -= !puts[i] && least > 0;
        most -= !puts[i] && v[i].ended && v[i].result == 0;
    }
    expect(records >= least && records <= most);
    bury(v[(cut->order & 4) != 0].proc.member);
    bury(v[(cut->order & 4) == 0].proc.member);
    expect_is(slots_in_use(TABLE_BUFFER), records);
    for (unsigned i = 0; i < records; i++) expect(take(queue));
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    closes_with(queue, NULL, NULL, 0);
}

/* The supervisor dies over a buffer on its way; order: 1: it was put, else got. */
static void repair_cut(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct order order = {.id = queue.id};
    bool puts = cut->order & 1;
    if (!puts) {
        expect_is(make(&order), 0);
        expect_is(put_buffer(&order), 0);
    }
    struct victim v, supervisor;
    victim_start(&v, puts ? make : NULL, puts ? put_buffer : get_buffer, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury_begin(v.proc.member);
    victim_start(&supervisor, NULL, supervise, 0);
    supervisor.proc.post->order.number = v.proc.member;
    victim_step(&supervisor, cut->k[1]);
    victim_kill(&supervisor);
    bury(v.proc.member);
    bury(supervisor.proc.member);
    one_holder(queue, puts && v.ended);
}

const struct scene buffer_scenes[] = {
    {"buffer/new", new_one, 0, 2},
    {"buffer/free", free_one, 0, 0},
    {"buffer/put", put_it, 0, 16},
    {"buffer/put-copy", put_copy, 0, 8},
    {"buffer/get", get_it, 0, 8},
    {"buffer/get-copy", get_copy, 0, 4},
    {"buffer/get-view", get_view, 0, 4},
    {"buffer/taken-over", taken_over, 0, 4},
    {"buffer/two", two, SCENE_PAIR, 16},
    {"buffer/repair", repair_cut, SCENE_PAIR, 2},
    {NULL, NULL, 0, 0},
};
