/* SPDX-License-Identifier: MIT */
/*
 * process/item.h - CBOR (RFC 8949), one item at a time, in the deterministic encoding only: definite lengths, shortest
 * heads.  Text is what is UTF-8; a C string that is not (paths and arguments are bytes) is a byte string.
 */
#ifndef BROOD_PROCESS_ITEM_H
#define BROOD_PROCESS_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow as items are put in.  After an error nothing more happens: look at it once, at the end. */
struct item_writer {
    unsigned char *bytes; /* malloc'ed, unless borrowed */
    size_t size;
    size_t capacity;
    size_t most;   /* size never exceeds it */
    int error;     /* BROOD_ENOMEM, BROOD_EINVAL (too long, with a detail) */
    bool borrowed; /* bytes are the caller's, so far: what does not fit goes elsewhere */
};

/* Free what it has. */
void brood__item_done(struct item_writer *w);

void brood__item_put_raw(struct item_writer *w, const void *bytes, size_t size);
void brood__item_put_map(struct item_writer *w, size_t pairs);
void brood__item_put_array(struct item_writer *w, size_t count);
void brood__item_put_uint(struct item_writer *w, uint64_t value);
void brood__item_put_int(struct item_writer *w, int64_t value);
void brood__item_put_bool(struct item_writer *w, bool value);
void brood__item_put_null(struct item_writer *w);
void brood__item_put_bytes(struct item_writer *w, const void *bytes, size_t size);
void brood__item_put_string(struct item_writer *w, const char *string);
/* Text, which has to be UTF-8; a float in the shortest form that has its value; the head of a tag. */
void brood__item_put_text(struct item_writer *w, const void *text, size_t size);
void brood__item_put_float(struct item_writer *w, double value);
void brood__item_put_tag(struct item_writer *w, uint64_t tag);

enum item_kind {
    ITEM_OTHER,
    ITEM_UINT,
    ITEM_NEGINT,
    ITEM_BYTES,
    ITEM_TEXT,
    ITEM_ARRAY,
    ITEM_MAP,
    ITEM_BOOL,
    ITEM_NULL,
    ITEM_FLOAT,
    ITEM_TAG /* of the item behind it */
};

struct item {
    enum item_kind kind;
    uint64_t value;            /* number (of a negative one: -1 - number), length, count of items or pairs, 0 or 1, tag;
                                  of a float: its bits as a double */
    const unsigned char *data; /* BYTES and TEXT: in the input */
};

/*
 * The item at *at: 0, and *at goes behind it (of arrays and maps: behind the head).  BROOD_ECORRUPT: it is malformed,
 * goes beyond end, or is not in the deterministic encoding.  Allocates nothing.
 */
int brood__item_next(const unsigned char **at, const unsigned char *end, struct item *item);

/* Whether bytes are UTF-8, so that a string of them is text. */
bool brood__item_is_text(const unsigned char *bytes, size_t size);

#endif
