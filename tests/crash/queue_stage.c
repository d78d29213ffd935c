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

int queue_put(struct order *order)
{
    struct message m = message_of(order->number);
    return brood_queue_put((brood_queue){order->id}, &m, sizeof m, BROOD_FOREVER);
}

int queue_get(struct order *order)
{
    struct message m = {0};
    size_t size = 0;
    int result = brood_queue_get((brood_queue){order->id}, &m, sizeof m, &size, BROOD_FOREVER);
    if (result < 0) return result;
    order->made = m.id;
    return message_good(&m, size) ? 0 : TORN;
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
    expect_is(brood_queue_new(&queue, &(brood_queue_options){.capacity = CAPACITY, .max_items = turned & 2 ? 5 : 0}), 0);
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
    return !q || brood__ring_empty(q, q->slot.body, atomic_load(&q->head));
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

void closes_with(brood_queue queue, const uint64_t *ids, const bool *maybe, unsigned n)
{
    uint64_t got[MOST + 1];
    unsigned count = 0, at = 0;
    while (count < MOST && (got[count] = get_here(queue)) != 0) count++;
    got[count] = 0;
    for (unsigned i = 0; i < n; i++) {
        if (got[at] == ids[i])
            at++;
        else if (!maybe || !maybe[i])
            fail("message %llu is lost; there is %llu", (unsigned long long)ids[i], (unsigned long long)got[at]);
    }
    if (at != count) fail("message %llu was not to be there", (unsigned long long)got[at]);
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
