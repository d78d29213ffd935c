/* SPDX-License-Identifier: MIT */
/* queue_stage.c - see scenes_queue.h. */
#include "scenes_queue.h"

#include <string.h>

enum { CAPACITY = 256, MOST = 16 };

struct message message_of(uint64_t id)
{
    uint64_t a = id * 0x9e3779b97f4a7c15u;
    return (struct message){id, a, ~a, id ^ 0x5555, a + id};
}

bool message_good(const struct message *m, size_t size)
{
    struct message want = message_of(m->id);
    return size == sizeof *m && memcmp(&want, m, sizeof *m) == 0;
}

uint64_t next_message(void)
{
    static uint64_t last;
    return ++last;
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int put_in(struct order *order, int timeout)
{
    struct message m = message_of(order->number);
    return brood_queue_put((brood_queue){order->id}, &m, sizeof m, timeout);
}

static int get_in(struct order *order, int timeout)
{
    struct message m = {0};
    size_t size = 0;
    int result = brood_queue_get((brood_queue){order->id}, &m, sizeof m, &size, timeout);
    if (result < 0) return result;
    order->made = m.id;
    return message_good(&m, size) ? 0 : TORN;
}

int queue_put(struct order *order)
{
    return put_in(order, BROOD_FOREVER);
}
int queue_put_timed(struct order *order)
{
    return put_in(order, 60 * 1000);
}
int queue_put_try(struct order *order)
{
    return put_in(order, 0);
}
int queue_get(struct order *order)
{
    return get_in(order, BROOD_FOREVER);
}
int queue_get_timed(struct order *order)
{
    return get_in(order, 60 * 1000);
}
int queue_get_try(struct order *order)
{
    return get_in(order, 0);
}
int queue_get_exactly(struct order *order)
{
    struct message m = {0};
    int result = brood_queue_get_exactly((brood_queue){order->id}, &m, sizeof m, BROOD_FOREVER);
    if (result < 0) return result;
    order->made = m.id;
    return message_good(&m, sizeof m) ? 0 : TORN;
}

int queue_put_batch(struct order *order)
{
    struct message m[2] = {message_of(order->number), message_of(order->number + 1)};
    brood_bytes bytes[2] = {{&m[0], sizeof m[0]}, {&m[1], sizeof m[1]}};
    return brood_queue_put_batch((brood_queue){order->id}, bytes, 2, BROOD_FOREVER);
}

int queue_get_batch(struct order *order)
{
    struct message m[2] = {{0}, {0}};
    size_t sizes[2];
    int result = brood_queue_get_batch((brood_queue){order->id}, m, sizeof m, sizes, 2, BROOD_FOREVER);
    for (int i = 0; i < result; i++) {
        order->made += m[i].id;
        if (!message_good(&m[i], sizes[i])) return TORN;
    }
    return result;
}

int queue_close(struct order *order)
{
    return brood_queue_close((brood_queue){order->id});
}

int queue_free(struct order *order)
{
    return brood_queue_free((brood_queue){order->id ? order->id : order->made});
}

int queue_make(struct order *order)
{
    brood_queue queue;
    int result = brood_queue_new(&queue, &(brood_queue_options){.capacity = CAPACITY});
    if (result < 0) return result;
    for (uint64_t i = 0; i < order->number; i++) {
        struct message m = message_of(i + 1);
        brood_queue_put(queue, &m, sizeof m, 0);
    }
    order->made = queue.id;
    return 0;
}

/* ---------------------------------------------------------------------------------------------- from this process */

brood_queue new_queue(unsigned turned)
{
    brood_queue queue = {0};
    if (turned & 1) next_claim_takes_garbage(TABLE_QUEUE);
    expect_is(brood_queue_new(&queue, &(brood_queue_options){.capacity = CAPACITY, .max_items = turned & 2 ? 5 : 0}),
              0);
    for (unsigned i = 0; i < turned; i++) {
        expect(put_here(queue) != 0);
        expect(get_here(queue) != 0);
    }
    return queue;
}

struct queue_shm *queue_at(brood_queue queue)
{
    return brood__slot_find(TABLE_QUEUE, queue.id);
}

bool queue_is_empty(brood_queue queue)
{
    struct queue_shm *q = queue_at(queue);
    return !q || brood__ring_all_empty(q);
}

/* By the headers alone: the tail may not have been moved yet by one who died. */
unsigned queue_records(brood_queue queue)
{
    const struct queue_shm *q = queue_at(queue);
    unsigned n = 0;
    for (unsigned lane = 0; q && lane < q->lanes; lane++) {
        for (uint64_t at = lane_head(q, lane); !brood__ring_empty(q, lane, at); n++) {
            struct record record;
            uint32_t sequence;
            at = read_record(q, lane, at, &record, &sequence);
        }
    }
    return n;
}

uint64_t put_here(brood_queue queue)
{
    uint64_t id = next_message();
    struct message m = message_of(id);
    return brood_queue_put(queue, &m, sizeof m, 0) == 0 ? id : 0;
}

uint64_t get_here(brood_queue queue)
{
    struct message m = {0};
    size_t size = 0;
    int result = brood_queue_get(queue, &m, sizeof m, &size, 0);
    if (result == BROOD_EAGAIN) return 0;
    expect_is(result, 0);
    expect(message_good(&m, size));
    return m.id;
}

unsigned fill(brood_queue queue, uint64_t *ids, unsigned most)
{
    unsigned n = 0;
    while (n < most && (ids[n] = put_here(queue)) != 0) n++;
    return n;
}

static uint64_t drained[MOST + 1];
static unsigned drained_count;

bool was_there(uint64_t id)
{
    for (unsigned i = 0; i < drained_count; i++)
        if (drained[i] == id) return true;
    return false;
}

unsigned messages_came(void)
{
    return drained_count;
}

static void drain(brood_queue queue)
{
    for (drained_count = 0; drained_count < MOST; drained_count++) {
        uint64_t id = get_here(queue);
        if (id && was_there(id)) fail("message %llu came twice", (unsigned long long)id);
        drained[drained_count] = id;
        if (id == 0) return;
    }
}

void closes_with(brood_queue queue, const uint64_t *ids, const bool *maybe, unsigned n)
{
    unsigned at = 0;
    drain(queue);
    for (unsigned i = 0; i < n; i++) {
        if (drained[at] == ids[i])
            at++;
        else if (!maybe || !maybe[i])
            fail("message %llu is lost; there is %llu", (unsigned long long)ids[i], (unsigned long long)drained[at]);
    }
    if (at != drained_count) fail("message %llu was not to be there", (unsigned long long)drained[at]);
    expect_is(brood_queue_size(queue), 0);
    expect_is(brood_queue_free(queue), 0);
}

/* -------------------------------------------------------------------------------------------------------- mates */

void mate_puts(unsigned i, brood_queue queue, uint64_t id, bool sleeps)
{
    mate(i)->post->order.number = id;
    mate_do(i, queue_put, queue.id);
    if (sleeps) mate_sleeps(i);
}

void mate_gets(unsigned i, brood_queue queue, bool sleeps)
{
    mate_do(i, queue_get, queue.id);
    if (sleeps) mate_sleeps(i);
}

uint64_t mate_got(unsigned i)
{
    int result = mate_result(i);
    if (result == NO_RESULT) return 0;
    expect_is(result, 0);
    return mate(i)->post->order.made;
}

uint64_t victim_puts(struct victim *v, deed_fn *deed, brood_queue queue)
{
    uint64_t id = next_message();
    if (deed == queue_put_batch) next_message();
    victim_start(v, NULL, deed, queue.id);
    v->proc.post->order.number = id;
    return id;
}

/*
 * After a death: consumers sleep only if there is nothing, and those who sleep get what is put now, in whatever order.
 * How many had come back by themselves; they have its message or the one after.
 */
unsigned consumers_are_well(brood_queue queue, unsigned mates, uint64_t its)
{
    mates_settle(mates);
    bool asleep[MATES] = {false};
    unsigned done = 0;
    for (unsigned i = 0; i < mates; i++) {
        asleep[i] = mate_busy(i);
        if (asleep[i]) continue;
        done++;
        uint64_t got = mate_got(i);
        expect(got == its || got == its + 1);
    }
    if (done < mates && !queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and a consumer sleeps on");
    uint64_t sum = 0;
    for (unsigned i = 0; i < mates; i++)
        if (asleep[i]) sum += put_here(queue);
    for (unsigned i = 0; i < mates; i++)
        if (asleep[i]) sum -= mate_got(i);
    expect_is(sum, 0);
    return done;
}

/*
 * After a get, or a death in one: producers sleep only if there is no room for what they have (which is as long as what
 * this process puts).
 */
void producers_are_well(brood_queue queue, unsigned mates)
{
    bool asleep = false;
    mates_settle(mates);
    for (unsigned i = 0; i < mates; i++) asleep |= mate_busy(i);
    if (asleep && put_here(queue) != 0) fail("LOST WAKE-UP: room, and a producer sleeps on");
}
