/* SPDX-License-Identifier: MIT */
/*
 * pipe.h - messages of any size between two ends, both ways or one way, with an end of file.
 *
 *     brood_pipe_end ends[2];
 *     brood_pipe_new(ends, NULL);
 *     brood_process_start_with(&p, worker, &ends[1], .ends = &ends[1], .end_count = 1);
 *     while (brood_pipe_recv_value(ends[0], &x, BROOD_FOREVER) == 0) ...      until the worker has closed its end or died
 *
 * An end has exactly one holder at any instruction: a member, or a message.  It is its creator's until it is given:
 * to a process that is started (brood_process_options.ends), to a member (brood_give), or to whoever receives a message
 * that moves it (brood_pipe_send_moving, brood_queue_put_moving).  When its holder closes it or dies, the other side
 * gets what was sent before, and then BROOD_ECLOSED; nobody has to close a copy of the handle, for copying its bytes is
 * borrowing: anyone who has them may send, receive and wait, while the holder keeps it.
 *
 * send returns after the commit: the message is in the pipe whatever happens to its sender.  A process that dies inside
 * send has sent its message whole or not at all; one that dies inside recv has taken its message, which is lost with it,
 * or not.
 *
 * All calls: BROOD_ESTALE for an end that was closed, BROOD_ECLOSED when its holder died (BROOD_ESTALE once its place is
 * used again) and where it is said, BROOD_ENOTMEMBER, BROOD_EINVAL for a timeout below BROOD_FOREVER, for a NULL where
 * there is something to read or write, and for a direction that the end has not.  Thread-safe.  Timeouts in ms; with 0 the
 * answer to "not now" is BROOD_EAGAIN, else BROOD_ETIMEDOUT; with 0 async-signal-safe, and BROOD_EDEADLK when the handler
 * interrupted a call on the same pipe.
 */
#ifndef BROOD_PIPE_H
#define BROOD_PIPE_H

#include <brood/base.h>
#include <brood/buffer.h>
#include <brood/process.h>
#include <brood/queue.h>

typedef struct brood_pipe_end {
    uint64_t id;
} brood_pipe_end;

typedef struct brood_pipe_options {
    bool one_way;     /* ends[0] only receives, ends[1] only sends, as those of pipe(2) */
    size_t max_items; /* messages at most each way, up to INT32_MAX; 0: as many as fit */
    size_t capacity;  /* bytes of messages at most each way, as brood_queue_options.capacity; 0: 64 KiB */
} brood_pipe_options;

/* Things that one message moves at most, besides the buffer that it is. */
#define BROOD_MOVES_MOST 8

BROOD_BEGIN

/*
 * Make a pipe whose ends this process holds.  options may be NULL.  0; BROOD_EINVAL: max_items is beyond INT32_MAX, or
 * capacity beyond the arena's limit; BROOD_EARENA, BROOD_ENOTMEMBER: then there is none.
 */
BROOD_API int brood_pipe_new(brood_pipe_end ends[2], const brood_pipe_options *options);

/*
 * Close an end that this process holds: what was not received is dropped, the other side finds the end of file, and
 * whoever waits at this end gets BROOD_ESTALE.  0, BROOD_ESTALE, BROOD_EPERM (another holds it, or a message).  Not
 * async-signal-safe.
 */
BROOD_API int brood_pipe_close(brood_pipe_end end);

/*
 * Send `size` bytes (0 is a message too); they are copied.  0; "not now" when the pipe is full; BROOD_ECLOSED: the other
 * end is closed, or its holder died; BROOD_EARENA when a long message finds no buffer: nothing was sent.
 */
BROOD_API int brood_pipe_send(brood_pipe_end end, const void *data, size_t size, int timeout);

/*
 * Take the oldest message into data, which has room for `capacity` bytes; *size gets its length.  0; "not now" when
 * there is none; BROOD_ECLOSED: there is none, and the other end is closed, or its holder died; BROOD_EMSGSIZE: it is
 * longer, stays where it is, and *size says its length.  What it moves is this process's from then on.
 */
BROOD_API int brood_pipe_recv(brood_pipe_end end, void *data, size_t capacity, size_t *size, int timeout);

/* The bytes of *value; a message of exactly that size, else BROOD_EMSGSIZE, and it stays.  See brood_queue_put_value. */
#define brood_pipe_send_value(end, ...) \
    brood_pipe_send(end, BROOD__VALUE(BROOD__BEFORE(__VA_ARGS__)), BROOD__LAST(__VA_ARGS__))
#define brood_pipe_recv_value(end, ...) \
    brood_pipe_recv_exactly(end, BROOD__VALUE(BROOD__BEFORE(__VA_ARGS__)), BROOD__LAST(__VA_ARGS__))
BROOD_API int brood_pipe_recv_exactly(brood_pipe_end end, void *data, size_t size, int timeout);

/*
 * Send `size` bytes and move with them `count` (at most BROOD_MOVES_MOST) things that this process holds, named by their
 * handles' ids: ends of pipes, buffers, tokens.  They belong to the message, then to whoever receives it, by whatever
 * call; if the message is dropped, so are they.  On failure this process has them still.  Their handles are usually
 * among the bytes:
 *
 *     struct job job = {.number = 7, .answer = mine[1]};
 *     brood_pipe_send_moving(end, &job, sizeof job, &job.answer.id, 1, BROOD_FOREVER);
 *
 * As brood_pipe_send; BROOD_EPERM: another holds one of them, or another call moves it; BROOD_ESTALE: one is gone;
 * BROOD_EDEADLK: an end would be in a message that only it can bring; BROOD_EINVAL: too many.
 */
BROOD_API int brood_pipe_send_moving(brood_pipe_end end, const void *data, size_t size, const uint64_t *moved,
                                     size_t count, int timeout);
/* The same through a queue. */
BROOD_API int brood_queue_put_moving(brood_queue queue, const void *data, size_t size, const uint64_t *moved,
                                     size_t count, int timeout);

/* As brood_queue_put_buffer, brood_queue_get_buffer and brood_queue_get_view; brood_view_release releases the view. */
BROOD_API int brood_pipe_send_buffer(brood_pipe_end end, brood_buffer buffer, int timeout);
BROOD_API int brood_pipe_recv_buffer(brood_pipe_end end, brood_buffer *buffer, int timeout);
BROOD_API int brood_pipe_recv_view(brood_pipe_end end, brood_view *view, int timeout);

/* Wait until a recv would not have to wait: 0, be it for a message or for BROOD_ECLOSED; "not now". */
BROOD_API int brood_pipe_poll(brood_pipe_end end, int timeout);

/*
 * A descriptor of this process for this end, made at the first call, the same afterwards; it belongs to the library and
 * is closed with the end.  It is readable when there may be something to receive, or the end of file: then call recv
 * with timeout 0 until it says BROOD_EAGAIN, which also makes it quiet again.  >= 0, BROOD_EMFILE, BROOD_EARENA.
 */
BROOD_API int brood_pipe_fd(brood_pipe_end end);

/*
 * Give something that this process holds (an end, a buffer, a token) to another member, at once.  0; BROOD_ESTALE: one
 * of the handles is; BROOD_EPERM: another holds it; BROOD_ECLOSED: that member has ended, and this process has it still.
 * If the caller dies inside, it has been given or goes with the caller.  Thread- and async-signal-safe.
 */
#define brood_give(thing, to) brood_give_id((thing).id, to)
BROOD_API int brood_give_id(uint64_t id, brood_process to);

BROOD_END

#endif
