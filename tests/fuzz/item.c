/* SPDX-License-Identifier: MIT */
/* item.c - of any bytes the items are read until one is refused; what was read encodes to the same bytes again. */
#include "process/item.h"
#include "fuzz.h"

#include <brood/error.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

static void put(struct item_writer *w, const struct item *item)
{
    switch (item->kind) {
    case ITEM_UINT: brood__item_put_uint(w, item->value); break;
    case ITEM_NEGINT: brood__item_put_int(w, -1 - (int64_t)item->value); break;
    case ITEM_BYTES: brood__item_put_bytes(w, item->data, (size_t)item->value); break;
    case ITEM_TEXT: {
        char *text = malloc((size_t)item->value + 1);
        require(text != NULL);
        memcpy(text, item->data, (size_t)item->value);
        text[item->value] = 0;
        require(brood__item_is_text(item->data, (size_t)item->value));
        brood__item_put_string(w, text);
        free(text);
        break;
    }
    case ITEM_ARRAY: brood__item_put_array(w, (size_t)item->value); break;
    case ITEM_MAP: brood__item_put_map(w, (size_t)item->value); break;
    case ITEM_BOOL: brood__item_put_bool(w, item->value != 0); break;
    case ITEM_NULL: brood__item_put_null(w); break;
    case ITEM_FLOAT: {
        double real;
        memcpy(&real, &item->value, sizeof real);
        brood__item_put_float(w, real);
        break;
    }
    case ITEM_TAG: brood__item_put_tag(w, item->value); break;
    case ITEM_OTHER: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const unsigned char *at = bytes, *end = bytes + size, *before;
    struct item item;
    for (;;) {
        before = at;
        int error = brood__item_next(&at, end, &item);
        if (error != 0) {
            require(error == BROOD_ECORRUPT);
            require(at == before);
            return 0;
        }
        require(at > before && at <= end);
        if (item.kind == ITEM_BYTES || item.kind == ITEM_TEXT)
            require(item.data >= before && item.value <= (size_t)(at - item.data));
        /* What the writer has no function for: a text with a zero byte, a negative number beyond 64 bits, others. */
        bool zero = item.kind == ITEM_TEXT && memchr(item.data, 0, (size_t)item.value);
        if (item.kind == ITEM_OTHER || zero || (item.kind == ITEM_NEGINT && item.value > INT64_MAX)) continue;
        struct item_writer w = {.most = SIZE_MAX};
        put(&w, &item);
        require(w.error == 0 && w.size == (size_t)(at - before) && memcmp(w.bytes, before, w.size) == 0);
        free(w.bytes);
    }
}
