/* SPDX-License-Identifier: MIT */
/*
 * queue.h - messages of any size from any members to any members, in the order of each producer.
 *
 * put returns after the commit: there is no feeder thread, and a message that was put is in the queue whatever
 * happens to its producer.  A process that dies inside put has put its message whole or not at all; one that dies
 * inside get has taken its message (which is lost with it) or not.  Nobody waits for the dead.
 *
 * All calls: BROOD_ESTALE for a handle whose queue is freed, BROOD_ECLOSED when its owner died (BROOD_ESTALE once its
 * place is used again) and where it is said, BROOD_ENOTMEMBER, BROOD_EINVAL for a timeout below BROOD_FOREVER and for a
 * NULL where there is something to read or write.  Thread-safe.  Timeouts in ms; with 0 the answer to "not now" is
 * BROOD_EAGAIN, else BROOD_ETIMEDOUT; with 0 async-signal-safe, and BROOD_EDEADLK when the handler interrupted a call
 * on the same queue.
 */
#ifndef BROOD_QUEUE_H
#define BROOD_QUEUE_H

#include <brood/base.h>
#include <brood/buffer.h>
#include <brood/task.h>

typedef struct brood_queue {
    uint64_t id;
} brood_queue;

#define BROOD_UNBOUNDED SIZE_MAX
#define BROOD_QUEUE_PRIORITIES 8

typedef struct brood_queue_options {
    size_t max_items; /* messages at most, up to INT32_MAX; 0: as many as fit */
    size_t capacity;  /* bytes of messages at most, rounded up to a power of two, 256 at least; 0: 64 KiB.  Each takes 8
                         bytes more here, and is rounded up to 8.  One longer than a quarter of the capacity less 16
                         bytes travels in a buffer, and takes 16 bytes here */
    size_t grows_to; /* not 0: a queue that has no room takes twice the capacity (4 KiB at least, at first), up to this,
                         rounded up likewise, and gives it back when it is found empty; BROOD_UNBOUNDED: as far as the
                         family's arena goes */
    unsigned joinable;   /* 1: what is taken has to be marked done, see brood_queue_join */
    unsigned priorities; /* so many, each with a capacity of its own: BROOD_QUEUE_PRIORITIES at most; 0: one */
} brood_queue_options;

/* A message being read in place: see brood_queue_get_view. */
typedef struct brood_view {
    const void *data;
    size_t size;
    uint64_t reserved[2];
} brood_view;

BROOD_BEGIN

/*
 * Make a queue, owned by this process: it goes when brood_queue_free is called or this process dies.  options may be
 * NULL.  0; BROOD_EINVAL: max_items is beyond INT32_MAX, priorities beyond BROOD_QUEUE_PRIORITIES, or capacity beyond the
 * arena's limit; BROOD_EARENA, BROOD_ENOTMEMBER.
 */
BROOD_API int brood_queue_new(brood_queue *queue, const brood_queue_options *options);

/* Free it and the messages in it; whoever waits gets BROOD_ESTALE. */
BROOD_API int brood_queue_free(brood_queue queue);

/* No more puts: they get BROOD_ECLOSED; gets empty the queue and then get BROOD_ECLOSED.  Closing twice is 0. */
BROOD_API int brood_queue_close(brood_queue queue);

/*
 * Put `size` bytes (0 is a message too); they are copied.  0; "not now" when full, which one that grows is where it may
 * grow no more; BROOD_ECLOSED; BROOD_EARENA when a long message finds no buffer, or a queue that is to grow no memory:
 * nothing was put.
 */
BROOD_API int brood_queue_put(brood_queue queue, const void *data, size_t size, int timeout);

/*
 * Likewise with a priority, from 0, which all other puts have, to one less than the queue's priorities: gets take those
 * of the highest first, and those of one priority in the order of each producer.  BROOD_EINVAL: the queue has no such.
 */
BROOD_API int brood_queue_put_priority(brood_queue queue, const void *data, size_t size, unsigned priority,
                                       int timeout);

/*
 * Take the oldest message (of the highest priority that there is) into data, which has room for `capacity` bytes; *size gets its length.  0; "not now" when
 * empty; BROOD_ECLOSED: closed and empty; BROOD_EMSGSIZE: it is longer, stays where it is, and *size says its length.
 */
BROOD_API int brood_queue_get(brood_queue queue, void *data, size_t capacity, size_t *size, int timeout);

/*
 * Put the bytes of *value; get a message of exactly that size, else BROOD_EMSGSIZE: then it is longer or shorter, which
 * brood_error_detail says, and stays.  value is a pointer: &x, or &(struct point){1, 2}.  All of an array is &array: its
 * name alone would be a pointer to its first element, and does not compile in C; nor does a void *, which does not tell
 * its size.  So with every ..._value call, and brood_value_get, brood_array_set and the like.
 */
#define brood_queue_put_value(queue, ...) \
    brood_queue_put(queue, BROOD__VALUE(BROOD__BEFORE(__VA_ARGS__)), BROOD__LAST(__VA_ARGS__))
#define brood_queue_get_value(queue, ...) \
    brood_queue_get_exactly(queue, BROOD__VALUE(BROOD__BEFORE(__VA_ARGS__)), BROOD__LAST(__VA_ARGS__))
BROOD_API int brood_queue_get_exactly(brood_queue queue, void *data, size_t size, int timeout);

/*
 * Put a buffer as a message, without a copy.  On success the queue has it, on failure the caller still has.
 * BROOD_EPERM: the caller does not hold it.
 */
BROOD_API int brood_queue_put_buffer(brood_queue queue, brood_buffer buffer, int timeout);

/*
 * Take the oldest message as a buffer that the caller holds from then on; a short one is copied into a new one.
 * As brood_queue_get, but no length is too long; BROOD_EARENA: no buffer for the copy, the message stays.
 */
BROOD_API int brood_queue_get_buffer(brood_queue queue, brood_buffer *buffer, int timeout);

/*
 * Take the oldest message and read it in place: view->data is good until brood_view_release, which every view needs.
 * A long message is not copied; a short one is, into a buffer of the view's own.  As brood_queue_get_buffer.
 */
BROOD_API int brood_queue_get_view(brood_queue queue, brood_view *view, int timeout);
BROOD_API int brood_view_release(brood_view *view);

/*
 * Put n messages; they become visible together or not at all, as far as they fit at once: the answer is how many were
 * put, from the front, at least 1.  A batch takes no long messages: BROOD_EMSGSIZE.  BROOD_EINVAL: n is 0 or beyond
 * INT32_MAX.
 */
BROOD_API int brood_queue_put_batch(brood_queue queue, const brood_bytes *messages, size_t n, int timeout);

/*
 * Take up to n messages into data, one behind the other, each at an offset that is a multiple of 8; sizes[i] gets each
 * length.  The answer is how many, at least 1.  Long messages and such as don't fit stay (BROOD_EMSGSIZE for the
 * first).  All are of one priority.  BROOD_EINVAL: n is 0 or beyond INT32_MAX.
 * "What a dying consumer holds" is here the whole batch.
 */
BROOD_API int brood_queue_get_batch(brood_queue queue, void *data, size_t capacity, size_t *sizes, size_t n,
                                    int timeout);

/*
 * Of a joinable queue: mark one message done that was taken; one of the caller's, or, if it has none, anyone's.  0;
 * BROOD_EPERM: none is open, so this is one too often; BROOD_EINVAL: the queue is not joinable.
 * A get of a joinable queue may also answer BROOD_EARENA: messages of 1024 members are open already.  Nothing is taken.
 */
BROOD_API int brood_queue_task_done(brood_queue queue);

/*
 * Wait until the queue is empty and all that was taken is marked done.  0; BROOD_ELOST: so it is, but members have died,
 * or ended, with messages that they had taken and not marked done, and brood_queue_lost has not been asked for these;
 * "not now"; BROOD_EINVAL: the queue is not joinable.  Closing a queue doesn't end the wait: what is in it is to be done.
 */
BROOD_API int brood_queue_join(brood_queue queue, int timeout);

/*
 * How many messages were lost with members that died after they had taken them and before they marked them done, since
 * this was asked last; they are forgotten by that.  >= 0; BROOD_EINVAL: the queue is not joinable.
 */
BROOD_API int64_t brood_queue_lost(brood_queue queue);

/* Messages in it now, at least 0; a count may be out of date when it is read.  empty and full (for a message of
   no bytes and priority 0): 1 or 0. */
BROOD_API int64_t brood_queue_size(brood_queue queue);
BROOD_API int brood_queue_empty(brood_queue queue);
BROOD_API int brood_queue_full(brood_queue queue);

/*
 * A descriptor of this process for this queue, made at the first call, the same afterwards; it belongs to the library
 * and is closed with the queue.  It is readable when there may be something to get: then call get with timeout 0 until
 * it says BROOD_EAGAIN, which also makes it quiet again.  >= 0, BROOD_EMFILE, BROOD_EARENA.
 */
BROOD_API int brood_queue_fd(brood_queue queue);

BROOD_END

/* A pointer, and the size of what it points to; not for direct use. */
#ifdef __cplusplus
#define BROOD__VALUE(...) (__VA_ARGS__), sizeof *(__VA_ARGS__)
#else
#define BROOD__IS_ARRAY(...) /* which the comma operator makes a pointer of */ \
    (!__builtin_types_compatible_p(__typeof__(__VA_ARGS__), __typeof__((void)0, (__VA_ARGS__))))
#define BROOD__VALUE(...) \
    BROOD__ONLY_IF(_Generic((__VA_ARGS__), void * : 0, const void * : 0, default : 1),                        \
                   "value: a void * does not tell its size",                                                  \
                   BROOD__ONLY_IF(!BROOD__IS_ARRAY(__VA_ARGS__),                                              \
                                  "value: an array is a pointer to its first element here; write &array",     \
                                  __VA_ARGS__)),                                                              \
        sizeof *_Generic((__VA_ARGS__), void * : (char *)0, const void * : (char *)0, default : (__VA_ARGS__))
#endif

#endif
