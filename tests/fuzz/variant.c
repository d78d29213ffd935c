/* SPDX-License-Identifier: MIT */
/*
 * variant.c - any bytes are either refused, with a reason, or are the encoding of the variant that was read from them;
 * what looks through them without building it says the same; and the order of variants is that of their bytes.
 */
#include "fuzz.h"
#include "manager/value.h"

#include <stdlib.h>

static void require(bool truth)
{
    if (!truth) abort();
}

static int count(void *context, uint64_t id)
{
    (void)id;
    ++*(int *)context;
    return 0;
}

static bool sane(const brood_variant *v)
{
    char text[64];
    size_t length = brood_variant_format(v, text, sizeof text);
    return strlen(text) == (length < sizeof text ? length : sizeof text - 1);
}

/* The parts of a list or map among each other. */
static void compare_parts(const brood_variant *v)
{
    for (size_t i = 1; i < brood_variant_size(v) && brood_variant_at(v, i); i++) {
        const brood_variant *a = brood_variant_at(v, i - 1), *b = brood_variant_at(v, i);
        void *x, *y;
        size_t x_size, y_size;
        require(brood_variant_encode(a, &x, &x_size) == 0);
        require(brood_variant_encode(b, &y, &y_size) == 0);
        int bytes = brood__slice_compare((struct slice){x, x_size}, (struct slice){y, y_size});
        int order = brood_variant_compare(a, b);
        require((order > 0) - (order < 0) == (bytes > 0) - (bytes < 0));
        require(v->kind == BROOD_VARIANT_LIST || order < 0);
        free(x);
        free(y);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    brood_variant v;
    int handles = 0;
    const unsigned char *at = bytes;
    int error = brood_variant_decode(&v, bytes, size);
    int walked = brood__value_walk(&at, bytes + size, count, &handles);
    if (walked == 0 && at != bytes + size) walked = BROOD_ECORRUPT;
    require(walked == error);
    if (error != 0) {
        require(error == BROOD_ECORRUPT && v.kind == BROOD_VARIANT_NIL && brood_error_detail()[0] != '\0');
        return 0;
    }
    void *again;
    size_t again_size;
    require(brood_variant_encode(&v, &again, &again_size) == 0);
    require(again_size == size && (size == 0 || memcmp(again, bytes, size) == 0));
    free(again);
    brood_variant copy = brood_variant_copy(&v);
    require(brood_variant_error(&copy) == 0 && brood_variant_compare(&copy, &v) == 0 && sane(&copy));
    compare_parts(&v);
    brood_variant_free(&v);
    brood_variant_free(&copy);
    return 0;
}
