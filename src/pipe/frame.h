/* SPDX-License-Identifier: MIT */
/*
 * frame.h - messages in a stream of bytes, framed as CPython's multiprocessing.connection does.
 *
 * A message is a head and its bytes.  The head is its size in 4 bytes, big-endian, as a signed number; beyond
 * 0x7fffffff it is -1 in these 4 bytes and then the size in 8.  Readers take the long form for any size.
 *
 * All of it is state and arithmetic: nothing here waits, reads or writes a descriptor, or knows who the other is.  A
 * stranger's stream is the case in mind, so memory grows with the bytes that came, not with what a head promises.
 */
#ifndef BROOD_PIPE_FRAME_H
#define BROOD_PIPE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD_MOST 12
#define FRAME_SHORT_MOST 0x7fffffffu /* the largest size that fits the short head */

/* Write the head of a message of `size` bytes; its length, 4 or 12. */
size_t brood__frame_head(uint8_t head[FRAME_HEAD_MOST], uint64_t size);

/*
 * One message after the other, out of a stream.
 *
 *     brood__frame_reader_place(r, &place, &most)      read at most so many bytes of the stream to there
 *     brood__frame_reader_added(r, n)                  n have come: 1 when the message is whole
 *     brood__frame_reader_message(r, &size)            its bytes, the reader's
 *     brood__frame_reader_next(r)                      go on with the next
 *
 * The place is never larger than what is missing of this message, so nothing of the next one is read.  Who has bytes
 * already says brood__frame_reader_feed, which copies.
 */
struct frame_reader {
    uint64_t limit; /* bytes of a message at most; may be changed while no head is being read */
    uint8_t head[FRAME_HEAD_MOST];
    uint8_t head_got;
    bool sized; /* the head is whole, and size is the message's */
    int error;  /* what the stream can't go on after; 0: nothing */
    uint64_t size;
    uint64_t got;  /* bytes of it that stand in body */
    uint8_t *body; /* malloc'ed */
    size_t room;
};

void brood__frame_reader_init(struct frame_reader *r, uint64_t limit);
void brood__frame_reader_free(struct frame_reader *r);

/* 0; BROOD_ENOMEM: later perhaps; or the error that the stream ended with.  Not when the message is whole. */
int brood__frame_reader_place(struct frame_reader *r, void **place, size_t *most);

/*
 * 1: the message is whole; 0: not yet.  BROOD_ECORRUPT: a negative size, BROOD_EMSGSIZE: one beyond the limit (r->size
 * has it): in both cases there is no way to find the next message, and the reader stays like this.
 */
int brood__frame_reader_added(struct frame_reader *r, size_t n);

/* As added, with bytes that stand elsewhere; *used of them were taken, all unless the message is whole before. */
int brood__frame_reader_feed(struct frame_reader *r, const void *bytes, size_t size, size_t *used);

/* Room for all of the message now, instead of by and by.  0, BROOD_ENOMEM. */
int brood__frame_reader_reserve(struct frame_reader *r);

static inline bool brood__frame_reader_whole(const struct frame_reader *r)
{
    return r->sized && r->error == 0 && r->got == r->size;
}
/* Whether nothing of a message has come: where a stream may end. */
static inline bool brood__frame_reader_between(const struct frame_reader *r)
{
    return r->head_got == 0 && r->error == 0;
}

/* The whole message, good until the next call; never NULL. */
const void *brood__frame_reader_message(const struct frame_reader *r, size_t *size);
/* The same, which is the caller's to free(3) from now on; NULL: no memory (an empty message has none of its own). */
void *brood__frame_reader_take(struct frame_reader *r, size_t *size);
/* Begin the next message; large memory is given back. */
void brood__frame_reader_next(struct frame_reader *r);

#endif
