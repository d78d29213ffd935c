/* SPDX-License-Identifier: MIT */
/*
 * queue/message.h - messages of any size on a ring, for queues and for pipes: short ones in the ring, long ones in
 * buffers, and what moves with them.
 *
 * id: the handle of the ring's queue or end.  Results, timeouts, NULLs as in brood/queue.h; a ring of an end that is
 * nobody's is BROOD_ECLOSED.
 */
#ifndef BROOD_QUEUE_MESSAGE_H
#define BROOD_QUEUE_MESSAGE_H

#include "queue/record.h"

#include <brood/queue.h>

/* Put bytes, and with them `count` things that this process holds; it has them still if the put fails. */
int brood__message_put(struct queue_shm *q, uint64_t id, const void *data, size_t size, const uint64_t *moved,
                       size_t count, int timeout);
/* Likewise bytes alone, into a lane. */
int brood__message_put_priority(struct queue_shm *q, uint64_t id, const void *data, size_t size, unsigned lane,
                                int timeout);
int brood__message_put_buffer(struct queue_shm *q, uint64_t id, uint64_t buffer, int timeout);

int brood__message_get(struct queue_shm *q, uint64_t id, void *data, size_t capacity, size_t *size, int timeout);
int brood__message_get_exactly(struct queue_shm *q, uint64_t id, void *data, size_t size, int timeout);
int brood__message_get_buffer(struct queue_shm *q, uint64_t id, brood_buffer *buffer, int timeout);
int brood__message_get_view(struct queue_shm *q, uint64_t id, brood_view *view, int timeout);

/* Wait until a get would not: 0 also when it would say BROOD_ECLOSED. */
int brood__message_wait(struct queue_shm *q, uint64_t id, int timeout);
/* From now on whoever puts something rings the bells. */
int brood__message_rings(struct queue_shm *q, uint64_t id);
/* A descriptor that is readable when there may be something to get. */
int brood__message_fd(struct queue_shm *q, uint64_t id);

/* Whether a message of so many bytes, with what is before them in the record, travels in a buffer. */
static inline bool brood__message_is_long(const struct queue_shm *q, size_t front, size_t size)
{
    return size > q->begins_at / 4 - 16 || front + size > q->begins_at / 2 - 16 || size > RECORD_LONGEST - front;
}
int brood__message_no_data(size_t size);

#endif
