/* SPDX-License-Identifier: MIT */
/* queue.c - the public face of queues, and batches; other messages are in queue/message.c. */
#include "queue/queue.h"

#include "queue/message.h"
#include "sync/bell.h"

#include <brood/pipe.h>
#include <string.h>

#define DEFAULT_CAPACITY (64u * 1024u)
#define LEAST_CAPACITY 256u
_Static_assert(BROOD_QUEUE_PRIORITIES == QUEUE_LANES, "a lane for each");

static struct queue_shm *at(uint32_t index)
{
    return (struct queue_shm *)(void *)brood__slot_at(TABLE_QUEUE, index);
}

static int find_for(brood_queue queue, int timeout, struct queue_shm **q)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    *q = brood__slot_find(TABLE_QUEUE, queue.id);
    return *q ? 0 : brood__slot_gone(TABLE_QUEUE, queue.id);
}

static int find(brood_queue queue, struct queue_shm **q)
{
    return find_for(queue, 0, q);
}

/* -------------------------------------------------------------------------------------------- making and freeing */

static int take_apart(struct queue_shm *q)
{
    int error = brood__ring_clear(q);
    brood__movable_clear();
    return error;
}

bool brood__queue_scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    return take_apart((struct queue_shm *)(void *)slot) == 0;
}

static uint64_t power_of_two(uint64_t least, uint64_t wanted)
{
    while (least < wanted) least *= 2;
    return least;
}

static int bad_options(const brood_queue_options *o)
{
    uint64_t limit = brood__arena()->limit;
    if (o->capacity > limit)
        return brood__fail_numbers(BROOD_EINVAL, "a queue of %llu bytes, and the family's arena has %llu at most",
                                   (long long)o->capacity, (long long)limit);
    if (o->max_items > INT32_MAX)
        return brood__fail_numbers(BROOD_EINVAL, "a queue has at most %llu messages", INT32_MAX, 0);
    if (o->priorities > BROOD_QUEUE_PRIORITIES)
        return brood__fail_numbers(BROOD_EINVAL, "%llu priorities, and a queue has at most %llu", o->priorities,
                                   BROOD_QUEUE_PRIORITIES);
    return 0;
}

/* Empty, of this kind. */
static void begin(struct queue_shm *q, const brood_queue_options *o)
{
    uint64_t limit = brood__arena()->limit, most = o->grows_to < limit ? o->grows_to : limit;
    uint64_t least = o->grows_to ? PAGE_SIZE : LEAST_CAPACITY;
    brood__ring_begin(q, power_of_two(least, o->capacity ? o->capacity : DEFAULT_CAPACITY), (uint32_t)o->max_items);
    if (o->grows_to) q->grows_to = power_of_two(q->begins_at, most);
    if (o->priorities) q->lanes = o->priorities;
    q->joinable = o->joinable;
}

int brood_queue_new(brood_queue *queue, const brood_queue_options *options)
{
    static const brood_queue_options usual;
    const brood_queue_options *o = options ? options : &usual;
    int error = brood__enter();
    if (error == 0) error = bad_options(o);
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_QUEUE, brood__self->member, brood__queue_scrub, &index);
    if (error < 0) return error;
    struct queue_shm *q = at(index);
    begin(q, o);
    error = brood__pages_allocate(TABLE_QUEUE, index, (size_t)brood__ring_bytes(q, q->capacity));
    if (error < 0) {
        brood__slot_release(TABLE_QUEUE, index);
        return error;
    }
    for (unsigned lane = 0; lane < q->lanes; lane++) atomic_store(record_header(q, lane, 0), 0);
    if (q->joinable) memset(brood__at(q->slot.body + q->lanes * q->capacity), 0, TALLY_BYTES);
    queue->id = brood__slot_publish(TABLE_QUEUE, index);
    return 0;
}

int brood_queue_free(brood_queue queue)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_QUEUE, queue.id)) return BROOD_ESTALE;
    uint32_t index = HANDLE_INDEX(queue.id);
    take_apart(at(index));
    brood__bell_ring(queue.id);
    brood__bell_close(queue.id);
    brood__slot_release(TABLE_QUEUE, index);
    return 0;
}

int brood_queue_close(brood_queue queue)
{
    struct queue_shm *q;
    void *announced = NULL;
    int error = find(queue, &q);
    if (error == 0) error = brood__ring_enter(q, &announced);
    if (error < 0) return error;
    if (brood__slot_is(&q->slot, queue.id))
        atomic_store(&q->closed, 1);
    else
        error = brood__slot_gone(TABLE_QUEUE, queue.id);
    brood__ring_leave(q, announced);
    brood__bell_ring(queue.id);
    return error;
}

/* ---------------------------------------------------------------------------------------------------------- put */

static int bad_count(size_t n)
{
    return brood__fail_numbers(BROOD_EINVAL, "a batch of %llu messages: from 1 to %llu", (long long)n, INT32_MAX);
}

int brood_queue_put(brood_queue queue, const void *data, size_t size, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_put(q, queue.id, data, size, NULL, 0, timeout);
}

int brood_queue_put_priority(brood_queue queue, const void *data, size_t size, unsigned priority, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    if (error < 0) return error;
    if (priority >= q->lanes)
        return brood__fail_numbers(BROOD_EINVAL, "priority %llu, and the queue has those below %llu", priority,
                                   q->lanes);
    return brood__message_put_priority(q, queue.id, data, size, priority, timeout);
}

int brood_queue_put_moving(brood_queue queue, const void *data, size_t size, const uint64_t *moved, size_t count,
                           int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_put(q, queue.id, data, size, moved, count, timeout);
}

int brood_queue_put_buffer(brood_queue queue, brood_buffer buffer, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_put_buffer(q, queue.id, buffer.id, timeout);
}

int brood_queue_put_batch(brood_queue queue, const brood_bytes *messages, size_t n, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    if (error < 0) return error;
    if (n == 0 || n > INT32_MAX) return bad_count(n);
    if (!messages) return brood__message_no_data(n * sizeof *messages);
    for (size_t i = 0; i < n; i++) {
        if (!messages[i].data && messages[i].size) return brood__message_no_data(messages[i].size);
        if (brood__message_is_long(q, 0, messages[i].size))
            return brood__fail_numbers(BROOD_EMSGSIZE,
                                       "message %llu of the batch, with %llu bytes, is too long for one", (long long)i,
                                       (long long)messages[i].size);
    }
    struct source source = {.messages = messages, .count = n};
    return brood__ring_put(q, queue.id, &source, timeout);
}

/* ---------------------------------------------------------------------------------------------------------- get */

int brood_queue_get(brood_queue queue, void *data, size_t capacity, size_t *size, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_get(q, queue.id, data, capacity, size, timeout);
}

int brood_queue_get_exactly(brood_queue queue, void *data, size_t size, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_get_exactly(q, queue.id, data, size, timeout);
}

int brood_queue_get_buffer(brood_queue queue, brood_buffer *buffer, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_get_buffer(q, queue.id, buffer, timeout);
}

int brood_queue_get_view(brood_queue queue, brood_view *view, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : brood__message_get_view(q, queue.id, view, timeout);
}

struct batch {
    struct sink sink;
    char *data;
    size_t capacity, at;
    size_t *sizes;
    size_t n, most;
    size_t refused;    /* bytes of the message that was left */
    bool is_in_buffer; /* why, or that it moves something */
};

static int take_batch(struct sink *sink, const struct record *record)
{
    struct batch *b = (struct batch *)(void *)sink;
    b->refused = record->size;
    b->is_in_buffer = record->buffer_id || record->moved_count;
    if (b->is_in_buffer || b->at + record->size > b->capacity) return BROOD_EMSGSIZE;
    if (record->size) memcpy(b->data + b->at, record->data, record->size);
    b->sizes[b->n++] = record->size;
    b->at = (b->at + record->size + 7) & ~(size_t)7;
    return b->n < b->most && b->at <= b->capacity;
}

int brood_queue_get_batch(brood_queue queue, void *data, size_t capacity, size_t *sizes, size_t n, int timeout)
{
    struct queue_shm *q;
    int result = find_for(queue, timeout, &q);
    if (result < 0) return result;
    if (n == 0 || n > INT32_MAX) return bad_count(n);
    if (!sizes) return brood__message_no_data(n * sizeof *sizes);
    if (!data && capacity) return brood__message_no_data(capacity);
    struct batch b = {.sink = {.take = take_batch}, .data = data, .capacity = capacity, .sizes = sizes, .most = n};
    result = brood__ring_get(q, queue.id, &b.sink, timeout);
    if (result != BROOD_EMSGSIZE) return result;
    return brood__fail_numbers(
        result,
        b.is_in_buffer ? "the message, of %llu bytes, travels in a buffer, or moves something: no batch takes it"
                       : "the message has %llu bytes, and the place for it %llu",
        (long long)b.refused, (long long)capacity);
}

/* ------------------------------------------------------------------------------------------------------- looking */

int64_t brood_queue_size(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    if (error < 0) return error;
    return brood__ring_items(q);
}

int brood_queue_empty(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    if (error < 0) return error;
    /* The rings of one that grows may be elsewhere by the time of a look at them. */
    return q->grows_to ? brood__ring_items(q) == 0 : brood__ring_all_empty(q);
}

int brood_queue_full(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    if (error < 0) return error;
    uint64_t used = *(volatile uint64_t *)&brood__put_lane(q, 0)->tail - lane_head(q, 0);
    uint64_t most = q->grows_to ? q->grows_to : q->capacity;
    return (q->max_items && brood__ring_items(q) >= q->max_items) || used + 24 > most;
}

int brood_queue_fd(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    return error < 0 ? error : brood__message_fd(q, queue.id);
}

/* ------------------------------------------------------------------------------------------------------- repairs */

static struct queue_shm *carrier(uint64_t id)
{
    uint32_t table = HANDLE_TABLE(id), index = HANDLE_INDEX(id);
    if ((table != TABLE_QUEUE && table != TABLE_PIPE) || index == 0 || index >= brood__table_used(table)) return NULL;
    struct queue_shm *q = (struct queue_shm *)(void *)brood__slot_at(table, index);
    uint64_t slot = atomic_load(&q->slot.word);
    bool there = SLOT_GENERATION(slot) == HANDLE_GENERATION(id) && SLOT_STATE(slot) != SLOT_FREE;
    return there && q->slot.body ? q : NULL;
}

/* Something on its way, as its dead owner left it: the carrier's commit decides.  false: not now. */
static bool settle(struct movable_shm *m, uint64_t id, uint64_t word)
{
    bool sent = (unsigned)SLOT_STATE(word) == MOVABLE_TRANSIT;
    uint32_t generation = SLOT_GENERATION(word);
    struct queue_shm *q = carrier(atomic_load(&m->carrier));
    int committed = -2; /* no such carrier any more */
    if (q) committed = sent ? brood__ring_put_committed(q, m->position, id) : brood__ring_get_committed(q, m->position);
    if (committed == -1) return false;
    bool carriers = sent ? committed == 1 : committed == 0;
    uint64_t to = SLOT_WORD(generation, carriers ? MOVABLE_TRANSIT : (unsigned)SLOT_GARBAGE, 0);
    atomic_compare_exchange_strong(&m->slot.word, &word,
                                   to); /* lost: a consumer took it, and it is no longer the dead's */
    return true;
}

bool brood__queue_repair(uint32_t dead)
{
    bool all = true;
    for (const enum table *t = brood__movable_tables; *t; t++) {
        uint32_t used = brood__table_used(*t);
        for (uint32_t i = 1; i < used; i++) {
            struct movable_shm *m = (struct movable_shm *)(void *)brood__slot_at(*t, i);
            uint64_t word = atomic_load(&m->slot.word);
            unsigned state = (unsigned)SLOT_STATE(word);
            if (SLOT_OWNER(word) == dead && (state == MOVABLE_TRANSIT || state == MOVABLE_RECEIVED))
                all &= settle(m, HANDLE(*t, i, SLOT_GENERATION(word)), word);
        }
    }
    uint32_t used = brood__table_used(TABLE_QUEUE);
    for (uint32_t i = 1; i < used; i++) {
        enum slot_state state = SLOT_STATE(atomic_load(&at(i)->slot.word));
        if (state == SLOT_GARBAGE) all &= brood__ring_ring(at(i));
        if (state == SLOT_LIVE && at(i)->joinable) all &= brood__ring_bury(at(i), dead);
    }
    return all;
}

void brood__queue_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_QUEUE);
    for (uint32_t i = 1; i < used; i++) brood__ring_ring(at(i));
}
