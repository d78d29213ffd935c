/* SPDX-License-Identifier: MIT */
/* queue.c - the public face of queues: messages in the ring, long ones in buffers, views, batches. */
#include "queue/queue.h"

#include "call/buffer.h"
#include "queue/ring.h"
#include "sync/bell.h"

#include <brood/queue.h>
#include <string.h>

#define DEFAULT_CAPACITY (64u * 1024u)
#define LEAST_CAPACITY 256u

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

static void drop(const struct record *record)
{
    if (record->buffer_id) brood__buffer_drop(record->buffer_id);
}

/* Take apart: those inside have left when we have both latches, and who comes later finds the slot retired. */
static int take_apart(struct queue_shm *q)
{
    void *announced;
    int error = brood__ring_enter(q, &announced);
    if (error < 0) return error;
    if (q->slot.body) {
        brood__ring_each(q, drop);
        atomic_store(&q->head, PUT_TAIL(q));
    }
    brood__ring_leave(q, announced);
    return 0;
}

bool brood__queue_scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    return take_apart((struct queue_shm *)(void *)slot) == 0;
}

int brood_queue_new(brood_queue *queue, const brood_queue_options *options)
{
    size_t wanted = options && options->capacity ? options->capacity : DEFAULT_CAPACITY;
    uint64_t capacity = LEAST_CAPACITY;
    int error = brood__enter();
    if (error < 0) return error;
    if (wanted > brood__arena()->limit)
        return brood__fail_numbers(BROOD_EINVAL, "a queue of %llu bytes, and the family's arena has %llu at most",
                                   (long long)wanted, (long long)brood__arena()->limit);
    if (options && options->max_items > INT32_MAX)
        return brood__fail_numbers(BROOD_EINVAL, "a queue has at most %llu messages", INT32_MAX, 0);
    while (capacity < wanted) capacity *= 2;
    uint32_t index;
    error = brood__slot_claim(TABLE_QUEUE, brood__self->member, brood__queue_scrub, &index);
    if (error < 0) return error;
    /* Empty before it has memory, whose bytes are anybody's: if we die here, nothing is found in it. */
    struct queue_shm *q = at(index);
    q->capacity = capacity;
    q->max_items = options ? (uint32_t)options->max_items : 0;
    q->polled = 0;
    atomic_store(&q->closed, 0);
    atomic_store(&q->head, 0);
    atomic_store(&q->taken, 0);
    memset(q->put.flags, 0, sizeof q->put.flags);
    memset(q->get.flags, 0, sizeof q->get.flags);
    memset(q->put.more, 0, sizeof q->put.more);
    atomic_signal_fence(memory_order_seq_cst);
    error = brood__pages_allocate(TABLE_QUEUE, index, capacity);
    if (error < 0) {
        brood__slot_release(TABLE_QUEUE, index);
        return error;
    }
    memset(brood__at(q->slot.body), 0, 8); /* the header 0 of the first record */
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

static int no_data(size_t size)
{
    return brood__fail_numbers(BROOD_EINVAL, "NULL for %llu bytes", (long long)size, 0);
}

static int bad_count(size_t n)
{
    return brood__fail_numbers(BROOD_EINVAL, "a batch of %llu messages: from 1 to %llu", (long long)n, INT32_MAX);
}

static bool is_long(const struct queue_shm *q, size_t size)
{
    return size > q->capacity / 4 - 16 || size > RECORD_LONGEST;
}

static int put_long(struct queue_shm *q, brood_queue queue, brood_buffer buffer, int timeout)
{
    struct source source = {.buffer_id = buffer.id};
    int error = brood__buffer_mine(buffer.id, &source.buffer);
    if (error < 0) return error;
    int n = brood__ring_put(q, queue.id, &source, timeout);
    return n < 0 ? n : 0;
}

int brood_queue_put(brood_queue queue, const void *data, size_t size, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    if (error < 0) return error;
    if (!data && size) return no_data(size);
    if (!is_long(q, size)) {
        brood_bytes message = {data, size};
        struct source source = {.messages = &message, .count = 1};
        int n = brood__ring_put(q, queue.id, &source, timeout);
        return n < 0 ? n : 0;
    }
    brood_buffer buffer;
    void *copy;
    error = brood_buffer_new(&buffer, size, &copy);
    if (error < 0) return error;
    memcpy(copy, data, size);
    error = put_long(q, queue, buffer, timeout);
    if (error < 0) brood_buffer_free(buffer);
    return error;
}

int brood_queue_put_buffer(brood_queue queue, brood_buffer buffer, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    return error < 0 ? error : put_long(q, queue, buffer, timeout);
}

int brood_queue_put_batch(brood_queue queue, const brood_bytes *messages, size_t n, int timeout)
{
    struct queue_shm *q;
    int error = find_for(queue, timeout, &q);
    if (error < 0) return error;
    if (n == 0 || n > INT32_MAX) return bad_count(n);
    if (!messages) return no_data(n * sizeof *messages);
    for (size_t i = 0; i < n; i++) {
        if (!messages[i].data && messages[i].size) return no_data(messages[i].size);
        if (is_long(q, messages[i].size))
            return brood__fail_numbers(BROOD_EMSGSIZE,
                                       "message %llu of the batch, with %llu bytes, is too long for one", (long long)i,
                                       (long long)messages[i].size);
    }
    struct source source = {.messages = messages, .count = n};
    return brood__ring_put(q, queue.id, &source, timeout);
}

/* ---------------------------------------------------------------------------------------------------------- get */

/* Copies into a place of limited size; a long message is only taken here, and copied when the latch is released. */
struct copy {
    struct sink sink;
    void *data;
    size_t capacity, size;
    bool exactly;
};

static int take_copy(struct sink *sink, const struct record *record)
{
    struct copy *c = (struct copy *)(void *)sink;
    c->size = record->size;
    if (record->size > c->capacity || (c->exactly && record->size != c->capacity)) return BROOD_EMSGSIZE;
    if (!record->buffer_id && record->size) memcpy(c->data, record->data, record->size);
    return 0;
}

static int get_copy(brood_queue queue, struct copy *c, int timeout)
{
    struct queue_shm *q;
    int result = find_for(queue, timeout, &q);
    if (result < 0) return result;
    if (!c->data && c->capacity) return no_data(c->capacity);
    result = brood__ring_get(q, queue.id, &c->sink, timeout);
    if (result == BROOD_EMSGSIZE)
        return brood__fail_numbers(result,
                                   c->exactly ? "the message has %llu bytes, and %llu were asked for"
                                              : "the message has %llu bytes, and the place for it %llu",
                                   (long long)c->size, (long long)c->capacity);
    if (result < 0) return result;
    if (c->sink.received) {
        struct buffer_shm *b = c->sink.received;
        memcpy(c->data, brood__at(b->slot.body), c->size);
        brood__buffer_drop(HANDLE(TABLE_BUFFER,
                                  (brood__offset(b) - brood__arena()->tables[TABLE_BUFFER].offset) / sizeof *b,
                                  SLOT_GENERATION(atomic_load(&b->slot.word))));
    }
    return 0;
}

int brood_queue_get(brood_queue queue, void *data, size_t capacity, size_t *size, int timeout)
{
    struct copy c = {.sink = {.take = take_copy}, .data = data, .capacity = capacity};
    int result = get_copy(queue, &c, timeout);
    if (size && (result == 0 || result == BROOD_EMSGSIZE)) *size = c.size;
    return result;
}

int brood_queue_get_exactly(brood_queue queue, void *data, size_t size, int timeout)
{
    struct copy c = {.sink = {.take = take_copy}, .data = data, .capacity = size, .exactly = true};
    return get_copy(queue, &c, timeout);
}

/* Takes as a buffer: a long message as it is; a short one is copied into a buffer made beforehand, if it fits. */
struct as_buffer {
    struct sink sink;
    uint64_t id;        /* of the message taken */
    brood_buffer spare; /* for a short one */
    void *place;
    size_t room, wanted;
};

static int take_buffer(struct sink *sink, const struct record *record)
{
    struct as_buffer *a = (struct as_buffer *)(void *)sink;
    if (record->buffer_id) {
        a->id = record->buffer_id;
        return 0;
    }
    a->wanted = record->size;
    if (!a->spare.id || record->size > a->room) return BROOD_EMSGSIZE;
    if (record->size) memcpy(a->place, record->data, record->size);
    a->id = a->spare.id;
    return 0;
}

int brood_queue_get_buffer(brood_queue queue, brood_buffer *buffer, int timeout)
{
    struct queue_shm *q;
    int result = find_for(queue, timeout, &q);
    if (result < 0) return result;
    struct as_buffer a = {.sink = {.take = take_buffer}};
    int64_t deadline = brood__os_deadline(timeout);
    for (;;) { /* the first turn learns how long the message is; another consumer may take it meanwhile */
        result = brood__ring_get(q, queue.id, &a.sink, timeout <= 0 ? timeout : brood__os_remaining(deadline));
        if (result != BROOD_EMSGSIZE) break;
        if (a.spare.id) brood_buffer_free(a.spare);
        a.spare.id = 0;
        a.room = a.wanted;
        result = brood_buffer_new(&a.spare, a.wanted, &a.place);
        if (result < 0) break;
    }
    if (a.spare.id && (result < 0 || a.id != a.spare.id)) brood_buffer_free(a.spare);
    if (result < 0) return result == BROOD_EAGAIN ? (timeout == 0 ? BROOD_EAGAIN : BROOD_ETIMEDOUT) : result;
    struct buffer_shm *b = brood__buffer_carried(a.id);
    if (b && a.id == a.spare.id) b->size = a.wanted;
    buffer->id = a.id;
    return 0;
}

int brood_queue_get_view(brood_queue queue, brood_view *view, int timeout)
{
    brood_buffer buffer;
    int result = brood_queue_get_buffer(queue, &buffer, timeout);
    if (result < 0) return result;
    view->data = brood_buffer_data(buffer, &view->size);
    view->reserved[0] = buffer.id;
    view->reserved[1] = 0;
    return 0;
}

int brood_view_release(brood_view *view)
{
    brood_buffer buffer = {view->reserved[0]};
    view->data = NULL;
    view->size = 0;
    return brood_buffer_free(buffer);
}

struct batch {
    struct sink sink;
    char *data;
    size_t capacity, at;
    size_t *sizes;
    size_t n, most;
    size_t refused;    /* bytes of the message that was left */
    bool is_in_buffer; /* why */
};

static int take_batch(struct sink *sink, const struct record *record)
{
    struct batch *b = (struct batch *)(void *)sink;
    b->refused = record->size;
    b->is_in_buffer = record->buffer_id != 0;
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
    if (!sizes) return no_data(n * sizeof *sizes);
    if (!data && capacity) return no_data(capacity);
    struct batch b = {.sink = {.take = take_batch}, .data = data, .capacity = capacity, .sizes = sizes, .most = n};
    result = brood__ring_get(q, queue.id, &b.sink, timeout);
    if (result != BROOD_EMSGSIZE) return result;
    return brood__fail_numbers(result,
                               b.is_in_buffer ? "the message, of %llu bytes, travels in a buffer: no batch takes it"
                                              : "the message has %llu bytes, and the place for it %llu",
                               (long long)b.refused, (long long)capacity);
}

/* ------------------------------------------------------------------------------------------------------- looking */

int64_t brood_queue_size(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    if (error < 0) return error;
    int32_t n = (int32_t)(*(volatile uint32_t *)&PUT_SEQUENCE(q) - atomic_load(&q->taken));
    return n < 0 ? 0 : n;
}

int brood_queue_empty(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    return error < 0 ? error : brood__ring_empty(q, q->slot.body, atomic_load(&q->head));
}

int brood_queue_full(brood_queue queue)
{
    struct queue_shm *q;
    int error = find(queue, &q);
    if (error < 0) return error;
    uint64_t used = *(volatile uint64_t *)&PUT_TAIL(q) - atomic_load(&q->head);
    int64_t items = brood_queue_size(queue);
    return (q->max_items && items >= (int64_t)q->max_items) || used + 24 > q->capacity;
}

int brood_queue_fd(brood_queue queue)
{
    struct queue_shm *q;
    int fd = find(queue, &q);
    if (fd == 0) fd = brood__bell_fd(queue.id);
    if (fd < 0) return fd;
    void *announced;
    int error = brood__ring_enter(q, &announced); /* from here on every commit is followed by a look at the bells */
    if (error < 0) return error;
    if (brood__slot_is(&q->slot, queue.id)) q->polled = 1;
    brood__ring_leave(q, announced);
    if (brood_queue_empty(queue) != 1) brood__bell_ring(queue.id);
    return fd;
}

/* ------------------------------------------------------------------------------------------------------- repairs */

/* A buffer on its way, as its dead owner left it: the carrier's commit decides.  false: not now. */
static bool settle(struct buffer_shm *b, uint32_t buffer_index, uint64_t word)
{
    uint32_t index = HANDLE_INDEX(b->carrier), generation = SLOT_GENERATION(word);
    uint64_t buffer_id = HANDLE(TABLE_BUFFER, buffer_index, generation);
    int committed = -2; /* no such queue any more */
    if (HANDLE_TABLE(b->carrier) == TABLE_QUEUE && index && index < brood__table_used(TABLE_QUEUE)) {
        uint64_t slot = atomic_load(&at(index)->slot.word);
        if (SLOT_GENERATION(slot) == HANDLE_GENERATION(b->carrier) && SLOT_STATE(slot) != SLOT_FREE &&
            at(index)->slot.body)
            committed = (unsigned)SLOT_STATE(word) == BUFFER_TRANSIT
                            ? brood__ring_put_committed(at(index), b->position, buffer_id)
                            : brood__ring_get_committed(at(index), b->position);
    }
    if (committed == -1) return false;
    bool queues = (unsigned)SLOT_STATE(word) == BUFFER_TRANSIT ? committed == 1 : committed == 0;
    uint64_t to = queues ? SLOT_WORD(generation, BUFFER_TRANSIT, 0) : SLOT_WORD(generation, SLOT_GARBAGE, 0);
    atomic_compare_exchange_strong(&b->slot.word, &word,
                                   to); /* lost: a consumer took it, and it is no longer the dead's */
    return true;
}

bool brood__queue_repair(uint32_t dead)
{
    bool all = true;
    uint32_t used = brood__table_used(TABLE_BUFFER);
    for (uint32_t i = 1; i < used; i++) {
        struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, i);
        uint64_t word = atomic_load(&b->slot.word);
        unsigned state = (unsigned)SLOT_STATE(word);
        if (SLOT_OWNER(word) == dead && (state == BUFFER_TRANSIT || state == BUFFER_RECEIVED))
            all &= settle(b, i, word);
    }
    used = brood__table_used(TABLE_QUEUE);
    for (uint32_t i = 1; i < used; i++)
        if (SLOT_STATE(atomic_load(&at(i)->slot.word)) == SLOT_GARBAGE) all &= brood__ring_ring(at(i));
    return all;
}

void brood__queue_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_QUEUE);
    for (uint32_t i = 1; i < used; i++) brood__ring_ring(at(i));
}
