/* SPDX-License-Identifier: MIT */
/*
 * manager/value.h - values as bytes: the deterministic CBOR of brood_variant, looked through without building it.
 *
 * The server keeps values as the bytes that came, checked once: it needs no tree of them.  Thread-safe; no state.
 */
#ifndef BROOD_MANAGER_VALUE_H
#define BROOD_MANAGER_VALUE_H

#include <brood/variant.h>

#define HANDLE_TAG 0x62726f64u /* "brod": a handle, an unsigned integer */

/* Objects of managers have this bit in their handle, objects of an arena don't (arena/slot.h). */
#define OBJECT_BIT ((uint64_t)1 << 63)

struct slice {
    const unsigned char *at;
    size_t size;
};

/* Told of each handle in a value; not 0 ends the walk with that. */
typedef int handle_fn(void *context, uint64_t id);

/*
 * The value at *at, to be within end: 0, and *at is behind it.  BROOD_ECORRUPT: it is not what brood_variant_decode takes.
 * handle may be NULL.  Allocates nothing.
 */
int brood__value_walk(const unsigned char **at, const unsigned char *end, handle_fn *handle, void *context);

/* The order of encodings: bytewise, then the shorter first.  (Of two values none is the other's beginning.) */
int brood__slice_compare(struct slice a, struct slice b);
/* As lists are sorted: numbers by their value, then NaN, then texts by their letters, then the rest by their encoding. */
int brood__value_order(struct slice a, struct slice b);

struct item_writer;
/* A variant behind what was written; its code if it is invalid. */
int brood__variant_write(struct item_writer *w, const brood_variant *v);
/* One variant at *at, to be within end.  0, BROOD_ECORRUPT, BROOD_ENOMEM; *v is nil on failure. */
int brood__variant_read(brood_variant *v, const unsigned char **at, const unsigned char *end);
/* Let every handle of an object in it know its manager; what has another one already is told by `false`. */
bool brood__variant_belongs(const brood_variant *v, uint64_t manager);
void brood__variant_adopt(brood_variant *v, uint64_t manager);

#endif
