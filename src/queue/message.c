/* SPDX-License-Identifier: MIT */
/*
 * message.c - messages on a ring; see queue/message.h.  Thread-safe; async-signal-safe but for buffers and descriptors.
 */
#include "queue/message.h"

#include "call/buffer.h"
#include "sync/bell.h"
#include "sync/wait.h"

#include <brood/pipe.h>
#include <string.h>

_Static_assert(MOVES_MOST == BROOD_MOVES_MOST, "as brood/pipe.h has it");

/* ---------------------------------------------------------------------------------------------------------- put */

int brood__message_no_data(size_t size)
{
    return brood__fail_numbers(BROOD_EINVAL, "NULL for %llu bytes", (long long)size, 0);
}

static void put_back(const uint64_t *ids, size_t count)
{
    while (count > 0) brood__movable_put_back(ids[--count]);
}

/* All of it is MOVING, to this ring; or nothing is. */
static int claim(const uint64_t *ids, size_t count, uint64_t ring_id)
{
    for (size_t i = 0; i < count; i++) {
        int error = brood__movable_claim(ids[i], ring_id);
        size_t claimed = i + (error == 0);
        if (error == 0 && brood__movable_is_around(ids[i], ring_id))
            error = brood__fail_numbers(BROOD_EDEADLK, "an end would be in a message that only it brings", 0, 0);
        if (error == 0) continue;
        put_back(ids, claimed);
        return error;
    }
    return 0;
}

static int put(struct queue_shm *q, uint64_t id, const struct source *source, int timeout)
{
    int n = brood__ring_put(q, id, source, timeout);
    return n < 0 ? n : 0;
}

/* In a buffer that is ours, which the ring has on success. */
static int put_in_buffer(struct queue_shm *q, uint64_t id, struct source *source, uint64_t buffer, int timeout)
{
    int error = brood__movable_claim(buffer, id);
    if (error < 0) return error;
    source->buffer_id = buffer;
    source->buffer_size = brood__buffer_carried(buffer)->size;
    error = put(q, id, source, timeout);
    if (error < 0) brood__movable_put_back(buffer);
    return error;
}

int brood__message_put_buffer(struct queue_shm *q, uint64_t id, uint64_t buffer, int timeout)
{
    struct source source = {.count = 1};
    if (HANDLE_TABLE(buffer) != TABLE_BUFFER) return BROOD_ESTALE;
    return put_in_buffer(q, id, &source, buffer, timeout);
}

static int put_long(struct queue_shm *q, uint64_t id, const void *data, size_t size, struct source *source, int timeout)
{
    brood_buffer buffer;
    void *copy;
    int error = brood_buffer_new(&buffer, size, &copy);
    if (error < 0) return error;
    if (size) memcpy(copy, data, size);
    error = put_in_buffer(q, id, source, buffer.id, timeout);
    if (error < 0) brood_buffer_free(buffer);
    return error;
}

static inline int put_message(struct queue_shm *q, uint64_t id, const void *data, size_t size, const uint64_t *moved,
                              size_t count, unsigned lane, int timeout)
{
    if (!data && size) return brood__message_no_data(size);
    if (count > MOVES_MOST)
        return brood__fail_numbers(BROOD_EINVAL, "a message moves %llu things, and at most %llu", (long long)count,
                                   MOVES_MOST);
    if (!moved && count) return brood__message_no_data(count * sizeof *moved);
    brood_bytes message = {data, size};
    struct source source = {.messages = &message, .count = 1, .moved = moved, .moved_count = count, .lane = lane};
    int error = count ? claim(moved, count, id) : 0;
    if (error < 0) return error;
    if (brood__message_is_long(q, count ? MOVES_BYTES(count) : 0, size))
        error = put_long(q, id, data, size, &source, timeout);
    else
        error = put(q, id, &source, timeout);
    if (error < 0 && count) put_back(moved, count);
    return error;
}

int brood__message_put(struct queue_shm *q, uint64_t id, const void *data, size_t size, const uint64_t *moved,
                       size_t count, int timeout)
{
    return put_message(q, id, data, size, moved, count, 0, timeout);
}

int brood__message_put_priority(struct queue_shm *q, uint64_t id, const void *data, size_t size, unsigned lane,
                                int timeout)
{
    return put_message(q, id, data, size, NULL, 0, lane, timeout);
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

static int get_copy(struct queue_shm *q, uint64_t id, struct copy *c, int timeout)
{
    if (!c->data && c->capacity) return brood__message_no_data(c->capacity);
    int result = brood__ring_get(q, id, &c->sink, timeout);
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

int brood__message_get(struct queue_shm *q, uint64_t id, void *data, size_t capacity, size_t *size, int timeout)
{
    struct copy c = {.sink = {.take = take_copy}, .data = data, .capacity = capacity};
    int result = get_copy(q, id, &c, timeout);
    if (size && (result == 0 || result == BROOD_EMSGSIZE)) *size = c.size;
    return result;
}

int brood__message_get_exactly(struct queue_shm *q, uint64_t id, void *data, size_t size, int timeout)
{
    struct copy c = {.sink = {.take = take_copy}, .data = data, .capacity = size, .exactly = true};
    return get_copy(q, id, &c, timeout);
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

int brood__message_get_buffer(struct queue_shm *q, uint64_t id, brood_buffer *buffer, int timeout)
{
    int result;
    struct as_buffer a = {.sink = {.take = take_buffer}};
    int64_t deadline = brood__os_deadline(timeout);
    for (;;) { /* the first turn learns how long the message is; another consumer may take it meanwhile */
        result = brood__ring_get(q, id, &a.sink, timeout <= 0 ? timeout : brood__os_remaining(deadline));
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

int brood__message_get_view(struct queue_shm *q, uint64_t id, brood_view *view, int timeout)
{
    brood_buffer buffer;
    int result = brood__message_get_buffer(q, id, &buffer, timeout);
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

/* ------------------------------------------------------------------------------------------------------ looking */

#define SEEN (-1000000) /* no code: there is a message, and it stays */

static int see(struct sink *sink, const struct record *record)
{
    (void)sink;
    (void)record;
    return SEEN;
}

int brood__message_wait(struct queue_shm *q, uint64_t id, int timeout)
{
    struct sink sink = {.take = see};
    int result = brood__ring_get(q, id, &sink, timeout);
    return result == SEEN || (result == BROOD_ECLOSED && brood__slot_lives(&q->slot, id)) ? 0 : result;
}

int brood__message_rings(struct queue_shm *q, uint64_t id)
{
    void *announced;
    int error = brood__ring_enter(q, &announced); /* from here on every commit is followed by a look at the bells */
    if (error < 0) return error;
    if (brood__slot_lives(&q->slot, id)) q->polled = 1;
    brood__ring_leave(q, announced);
    return 0;
}

int brood__message_fd(struct queue_shm *q, uint64_t id)
{
    int fd = brood__bell_fd(id);
    if (fd < 0) return fd;
    int error = brood__message_rings(q, id);
    if (error < 0) return error;
    if (brood__message_wait(q, id, 0) == 0) brood__bell_ring(id);
    return fd;
}
