/* SPDX-License-Identifier: MIT */
/* value.c - looking through encoded values; what is accepted stands in value.h. */
#include "manager/value.h"

#include "process/item.h"

int brood__slice_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.at, b.at, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int rank(struct slice v, struct item *item)
{
    const unsigned char *at = v.at;
    if (!v.size || brood__item_next(&at, v.at + v.size, item) < 0) return 2;
    if (item->kind == ITEM_UINT || item->kind == ITEM_NEGINT || item->kind == ITEM_FLOAT) return 0;
    return item->kind == ITEM_TEXT ? 1 : 2;
}

static long double number_of(const struct item *item)
{
    double real;
    memcpy(&real, &item->value, sizeof real);
    if (item->kind == ITEM_FLOAT) return real;
    return item->kind == ITEM_UINT ? (long double)item->value : -1 - (long double)item->value;
}

int brood__value_order(struct slice a, struct slice b)
{
    struct item x, y;
    int first = rank(a, &x), second = rank(b, &y);
    if (first != second) return first - second;
    if (first == 0) {
        long double m = number_of(&x), n = number_of(&y);
        bool last = m != m, other_last = n != n; /* NaN is behind all numbers */
        if (last != other_last) return last - other_last;
        if (m < n || m > n) return m < n ? -1 : 1;
    }
    if (first == 1)
        return brood__slice_compare((struct slice){x.data, (size_t)x.value}, (struct slice){y.data, (size_t)y.value});
    return brood__slice_compare(a, b);
}

struct walk {
    const unsigned char *at, *end;
    handle_fn *handle;
    void *context;
};

static int walk(struct walk *w, int depth);

static int walk_map(struct walk *w, uint64_t pairs, int depth)
{
    struct slice before = {0};
    for (uint64_t i = 0; i < pairs; i++) {
        struct slice key = {.at = w->at};
        int error = walk(w, depth);
        key.size = (size_t)(w->at - key.at);
        if (error == 0 && i > 0 && brood__slice_compare(before, key) >= 0) error = BROOD_ECORRUPT;
        if (error == 0) error = walk(w, depth);
        if (error != 0) return error;
        before = key;
    }
    return 0;
}

static int walk_handle(struct walk *w, uint64_t tag)
{
    struct item item;
    if (tag != HANDLE_TAG || brood__item_next(&w->at, w->end, &item) < 0 || item.kind != ITEM_UINT)
        return BROOD_ECORRUPT;
    return w->handle ? w->handle(w->context, item.value) : 0;
}

static int walk(struct walk *w, int depth)
{
    struct item item;
    int error = brood__item_next(&w->at, w->end, &item);
    if (error != 0) return error;
    uint64_t left = (uint64_t)(w->end - w->at);
    switch (item.kind) {
    case ITEM_OTHER: return BROOD_ECORRUPT;
    case ITEM_NEGINT: return item.value > INT64_MAX ? BROOD_ECORRUPT : 0;
    case ITEM_TAG: return walk_handle(w, item.value);
    case ITEM_ARRAY:
        if (depth == BROOD_VARIANT_DEPTH || item.value > left) return BROOD_ECORRUPT;
        for (uint64_t i = 0; i < item.value && error == 0; i++) error = walk(w, depth + 1);
        return error;
    case ITEM_MAP:
        if (depth == BROOD_VARIANT_DEPTH || item.value > left / 2) return BROOD_ECORRUPT;
        return walk_map(w, item.value, depth + 1);
    default: return 0;
    }
}

int brood__value_walk(const unsigned char **at, const unsigned char *end, handle_fn *handle, void *context)
{
    struct walk w = {*at, end, handle, context};
    int error = walk(&w, 0);
    if (error == 0) *at = w.at;
    return error;
}
