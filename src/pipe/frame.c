/* SPDX-License-Identifier: MIT */
/* frame.c - see frame.h.  No locks, no system calls; memory is malloc's. */
#include "pipe/frame.h"

#include <brood/error.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4096, KEPT_ROOM = 65536, SHORT_HEAD = 4 };

static const uint8_t long_form[SHORT_HEAD] = {0xff, 0xff, 0xff, 0xff};

static void put_number(uint8_t *bytes, size_t n, uint64_t number)
{
    while (n-- > 0) {
        bytes[n] = (uint8_t)number;
        number >>= 8;
    }
}

static uint64_t take_number(const uint8_t *bytes, size_t n)
{
    uint64_t number = 0;
    for (size_t i = 0; i < n; i++) number = number << 8 | bytes[i];
    return number;
}

size_t brood__frame_head(uint8_t head[FRAME_HEAD_MOST], uint64_t size)
{
    if (size <= FRAME_SHORT_MOST) {
        put_number(head, SHORT_HEAD, size);
        return SHORT_HEAD;
    }
    memcpy(head, long_form, SHORT_HEAD);
    put_number(head + SHORT_HEAD, FRAME_HEAD_MOST - SHORT_HEAD, size);
    return FRAME_HEAD_MOST;
}

void brood__frame_reader_init(struct frame_reader *r, uint64_t limit)
{
    *r = (struct frame_reader){.limit = limit};
}

void brood__frame_reader_free(struct frame_reader *r)
{
    free(r->body);
    *r = (struct frame_reader){.limit = r->limit};
}

/* The length of the head as far as it has come. */
static size_t head_length(const struct frame_reader *r)
{
    return r->head_got >= SHORT_HEAD && memcmp(r->head, long_form, SHORT_HEAD) == 0 ? FRAME_HEAD_MOST : SHORT_HEAD;
}

static int resize(struct frame_reader *r, size_t room)
{
    uint8_t *body = realloc(r->body, room);
    if (!body) return BROOD_ENOMEM;
    r->body = body;
    r->room = room;
    return 0;
}

int brood__frame_reader_reserve(struct frame_reader *r)
{
    if (r->size > SIZE_MAX) return BROOD_ENOMEM;
    return r->size > r->room ? resize(r, (size_t)r->size) : 0;
}

/* Twice as much as has come, but no more than will. */
static int grow(struct frame_reader *r)
{
    if (r->got < r->room) return 0;
    size_t room = r->room < FIRST_ROOM / 2 ? FIRST_ROOM : r->room * 2;
    if (room > r->size) room = (size_t)r->size;
    return resize(r, room);
}

int brood__frame_reader_place(struct frame_reader *r, void **place, size_t *most)
{
    if (r->error < 0) return r->error;
    if (!r->sized) {
        *place = r->head + r->head_got;
        *most = head_length(r) - r->head_got;
        return 0;
    }
    int error = grow(r);
    if (error < 0) return error;
    uint64_t missing = r->size - r->got;
    *place = r->body + r->got;
    *most = r->room - r->got < missing ? r->room - (size_t)r->got : (size_t)missing;
    return 0;
}

static int read_head(struct frame_reader *r)
{
    if (r->head_got < head_length(r)) return 0;
    r->size = r->head_got == SHORT_HEAD ? take_number(r->head, SHORT_HEAD)
                                        : take_number(r->head + SHORT_HEAD, FRAME_HEAD_MOST - SHORT_HEAD);
    if (r->head_got == SHORT_HEAD && r->size > FRAME_SHORT_MOST) return r->error = BROOD_ECORRUPT;
    if (r->size > r->limit) return r->error = BROOD_EMSGSIZE;
    r->sized = true;
    return r->size == 0;
}

int brood__frame_reader_added(struct frame_reader *r, size_t n)
{
    if (r->error < 0) return r->error;
    if (!r->sized) {
        r->head_got = (uint8_t)(r->head_got + n);
        return read_head(r);
    }
    r->got += n;
    return r->got == r->size;
}

int brood__frame_reader_feed(struct frame_reader *r, const void *bytes, size_t size, size_t *used)
{
    int result = brood__frame_reader_whole(r) ? 1 : r->error;
    *used = 0;
    while (result == 0 && *used < size) {
        void *place;
        size_t most;
        result = brood__frame_reader_place(r, &place, &most);
        if (result < 0) break;
        if (most > size - *used) most = size - *used;
        memcpy(place, (const uint8_t *)bytes + *used, most);
        *used += most;
        result = brood__frame_reader_added(r, most);
    }
    return result;
}

const void *brood__frame_reader_message(const struct frame_reader *r, size_t *size)
{
    *size = (size_t)r->size;
    return r->size > 0 ? (const void *)r->body : "";
}

void *brood__frame_reader_take(struct frame_reader *r, size_t *size)
{
    void *message = r->body;
    *size = (size_t)r->size;
    if (r->size == 0) return malloc(1);
    /* What was made for a longer one before is not given away for a short one. */
    if (r->room > 2 * r->size) {
        message = malloc(*size);
        if (message) memcpy(message, r->body, *size);
        return message;
    }
    r->body = NULL;
    r->room = 0;
    return message;
}

void brood__frame_reader_next(struct frame_reader *r)
{
    if (r->room > KEPT_ROOM) {
        free(r->body);
        r->body = NULL;
        r->room = 0;
    }
    r->head_got = 0;
    r->sized = false;
    r->size = r->got = 0;
}
