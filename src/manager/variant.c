/* SPDX-License-Identifier: MIT */
/*
 * variant.c - making variants, looking at them, changing them; variant_code.c has them as bytes.
 *
 * Lists grow by half; the room of a list is not kept but follows from its size (see room_for), so that a variant stays
 * small.  A map is a list of 2 * size items in the order of its keys, so that a key is found by halving.
 * depth bounds every recursion here.
 */
#include "arena/slot.h"
#include "manager/collection.h"
#include "process/item.h"

#include <stdlib.h>

static brood_variant invalid(int code)
{
    return brood__variant(BROOD_VARIANT_INVALID, false, (uint64_t)(int64_t)code);
}

/* ------------------------------------------------------------------------------------------------------- making */

static brood_variant string(brood_variant_kind kind, const void *bytes, size_t size)
{
    if (size > BROOD_VARIANT_MOST) return invalid(BROOD_EMSGSIZE);
    brood_variant v = brood__variant(kind, false, 0);
    v.as.bytes = malloc(size + 1);
    if (!v.as.bytes) return invalid(BROOD_ENOMEM);
    if (size) memcpy(v.as.bytes, bytes, size);
    v.as.bytes[size] = '\0';
    v.size = size;
    return v;
}

brood_variant brood_variant_text_of(const char *text, size_t size)
{
    if (!text && size) return invalid(BROOD_EINVAL);
    if (!brood__item_is_text((const unsigned char *)text, size)) return invalid(BROOD_EINVAL);
    return string(BROOD_VARIANT_TEXT, text, size);
}

brood_variant brood_variant_text(const char *text)
{
    return text ? brood_variant_text_of(text, strlen(text)) : brood_variant_nil();
}

brood_variant brood_variant_bytes(const void *bytes, size_t size)
{
    return !bytes && size ? invalid(BROOD_EINVAL) : string(BROOD_VARIANT_BYTES, bytes, size);
}

/* How many items there is room for, of a list that has n: the same for every list of n. */
static size_t room_of(size_t n)
{
    size_t room = 4;
    while (room < n) room += room / 2;
    return n < 4 ? n : room;
}

/* Room for one more, if that is not there; of a list of n items. */
static bool room_for(brood_variant *v, size_t n, size_t more)
{
    size_t room = room_of(n + more);
    if (n && room == room_of(n)) return true;
    if (room > BROOD_VARIANT_MOST) return false;
    brood_variant *items = realloc(v->as.items, room * sizeof *items);
    if (items) v->as.items = items;
    return items != NULL;
}

static bool is_container(const brood_variant *v)
{
    return v->kind == BROOD_VARIANT_LIST || v->kind == BROOD_VARIANT_MAP;
}

static size_t item_count(const brood_variant *v)
{
    return v->kind == BROOD_VARIANT_MAP ? 2 * v->size : v->kind == BROOD_VARIANT_LIST ? v->size : 0;
}

/* Whether this may be a part of *v, whose depth becomes what it has to be. */
static int take_in(brood_variant *v, const brood_variant *part)
{
    int error = brood_variant_error(part);
    if (error < 0) return error;
    if (!is_container(part)) return 0;
    if (part->depth >= BROOD_VARIANT_DEPTH) return BROOD_EINVAL;
    if (part->depth >= v->depth) v->depth = (unsigned char)(part->depth + 1);
    return 0;
}

static brood_variant container(brood_variant_kind kind)
{
    brood_variant v = brood__variant(kind, false, 0);
    v.as.items = NULL;
    v.depth = 1;
    return v;
}

brood_variant brood_variant_list_of(const brood_variant *items, size_t n)
{
    brood_variant v = container(BROOD_VARIANT_LIST);
    int error = n && !items ? BROOD_EINVAL : n && !room_for(&v, 0, n) ? BROOD_ENOMEM : 0;
    if (n && !items) n = 0;
    for (size_t i = 0; i < n && error == 0; i++) error = take_in(&v, &items[i]);
    if (error == 0) {
        if (n) memcpy(v.as.items, items, n * sizeof *items);
        v.size = n;
        return v;
    }
    for (size_t i = 0; i < n; i++) {
        brood_variant part = items[i];
        brood_variant_free(&part);
    }
    free(v.as.items);
    return invalid(error);
}

brood_variant brood_variant_map_of(const brood_variant *items, size_t n)
{
    brood_variant v = container(BROOD_VARIANT_MAP);
    int error = n && !items ? BROOD_EINVAL : 0;
    if (n && !items) n = 0;
    size_t i = 0;
    for (; i < n && error == 0; i++) error = brood_variant_put(&v, items[2 * i], items[2 * i + 1]);
    if (error == 0) return v;
    for (; i < n; i++) {
        brood_variant key = items[2 * i], value = items[2 * i + 1];
        brood_variant_free(&key);
        brood_variant_free(&value);
    }
    brood_variant_free(&v);
    return invalid(error);
}

brood_variant brood_variant_copy(const brood_variant *v)
{
    if (v->kind == BROOD_VARIANT_TEXT || v->kind == BROOD_VARIANT_BYTES)
        return string((brood_variant_kind)v->kind, v->as.bytes, v->size);
    if (!is_container(v)) return *v;
    brood_variant copy = container((brood_variant_kind)v->kind);
    size_t n = item_count(v);
    copy.depth = v->depth;
    if (n && !room_for(&copy, 0, n)) return invalid(BROOD_ENOMEM);
    for (size_t i = 0; i < n; i++) {
        copy.as.items[i] = brood_variant_copy(&v->as.items[i]);
        int error = brood_variant_error(&copy.as.items[i]);
        if (error == 0) continue;
        while (i > 0) brood_variant_free(&copy.as.items[--i]);
        free(copy.as.items);
        return invalid(error);
    }
    copy.size = v->size;
    return copy;
}

void brood_variant_free(brood_variant *v)
{
    if (!v) return;
    if (v->kind == BROOD_VARIANT_TEXT || v->kind == BROOD_VARIANT_BYTES) free(v->as.bytes);
    if (is_container(v)) {
        size_t n = item_count(v);
        for (size_t i = 0; i < n; i++) brood_variant_free(&v->as.items[i]);
        free(v->as.items);
    }
    *v = brood_variant_nil();
}

/* ------------------------------------------------------------------------------------------------------ looking */

int brood_variant_get_bool(const brood_variant *v, bool *value)
{
    if (v->kind != BROOD_VARIANT_BOOL) return BROOD_EINVAL;
    *value = v->as.boolean;
    return 0;
}

int brood_variant_get_int(const brood_variant *v, int64_t *value)
{
    if (v->kind != BROOD_VARIANT_INT || (!v->negative && v->as.number > INT64_MAX)) return BROOD_EINVAL;
    *value = (int64_t)v->as.number;
    return 0;
}

int brood_variant_get_uint(const brood_variant *v, uint64_t *value)
{
    if (v->kind != BROOD_VARIANT_INT || v->negative) return BROOD_EINVAL;
    *value = v->as.number;
    return 0;
}

int brood_variant_get_float(const brood_variant *v, double *value)
{
    if (v->kind == BROOD_VARIANT_FLOAT) {
        *value = v->as.real;
        return 0;
    }
    if (v->kind != BROOD_VARIANT_INT) return BROOD_EINVAL;
    uint64_t size = v->negative ? 0 - v->as.number : v->as.number;
    unsigned zeros = size ? (unsigned)__builtin_ctzll(size) : 0;
    if (size >> zeros > (uint64_t)1 << 53) return BROOD_EINVAL;
    *value = v->negative ? -(double)size : (double)size;
    return 0;
}

static int get_string(const brood_variant *v, brood_variant_kind kind, const char **bytes, size_t *size)
{
    if (v->kind != kind) return BROOD_EINVAL;
    if (!size && memchr(v->as.bytes, 0, v->size)) return BROOD_EINVAL;
    *bytes = v->as.bytes;
    if (size) *size = v->size;
    return 0;
}

int brood_variant_get_text(const brood_variant *v, const char **text, size_t *size)
{
    return get_string(v, BROOD_VARIANT_TEXT, text, size);
}

int brood_variant_get_bytes(const brood_variant *v, const void **bytes, size_t *size)
{
    const char *string;
    if (!size) return BROOD_EINVAL;
    int error = get_string(v, BROOD_VARIANT_BYTES, &string, size);
    if (error == 0) *bytes = string;
    return error;
}

int brood_variant_get_handle(const brood_variant *v, uint64_t *id)
{
    if (v->kind != BROOD_VARIANT_HANDLE) return BROOD_EINVAL;
    *id = v->as.number;
    return 0;
}

int brood_variant_get_proxy(const brood_variant *v, brood_proxy *proxy)
{
    if (v->kind != BROOD_VARIANT_HANDLE) return BROOD_EINVAL;
    uint32_t table = HANDLE_TABLE(v->as.number);
    bool here = v->size == 0 && (table == TABLE_COLLECTION || table == TABLE_QUEUE);
    if (v->size == 0 && !here) return BROOD_EINVAL;
    *proxy = (brood_proxy){here ? FAMILY_MANAGER : v->size, v->as.number};
    return 0;
}

size_t brood_variant_size(const brood_variant *v)
{
    return v->kind >= BROOD_VARIANT_BYTES && v->kind <= BROOD_VARIANT_MAP ? v->size : 0;
}

const brood_variant *brood_variant_at(const brood_variant *v, size_t i)
{
    if (!is_container(v) || i >= v->size) return NULL;
    return &v->as.items[v->kind == BROOD_VARIANT_MAP ? 2 * i : i];
}

const brood_variant *brood_variant_value_at(const brood_variant *v, size_t i)
{
    return v->kind == BROOD_VARIANT_MAP && i < v->size ? &v->as.items[2 * i + 1] : NULL;
}

/* The place of a key in a map: *at, and whether it is there. */
static bool find(const brood_variant *v, const brood_variant *key, size_t *at)
{
    size_t low = 0, high = v->size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = brood_variant_compare(key, &v->as.items[2 * middle]);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return false;
}

const brood_variant *brood_variant_find(const brood_variant *v, const brood_variant *key)
{
    size_t at;
    return v->kind == BROOD_VARIANT_MAP && find(v, key, &at) ? &v->as.items[2 * at + 1] : NULL;
}

const brood_variant *brood_variant_lookup(const brood_variant *v, const char *key)
{
    brood_variant text = brood__variant(BROOD_VARIANT_TEXT, false, 0);
    text.as.bytes = (char *)(uintptr_t)key;
    text.size = strlen(key);
    return brood_variant_find(v, &text);
}

/* ----------------------------------------------------------------------------------------------------- comparing */

/* The major type of an encoding, and what its head says; floats, bools and nil are sorted out before. */
static int major_of(const brood_variant *v)
{
    static const unsigned char majors[] = {
        [BROOD_VARIANT_NIL] = 7,    [BROOD_VARIANT_BOOL] = 7,   [BROOD_VARIANT_INT] = 0,  [BROOD_VARIANT_FLOAT] = 7,
        [BROOD_VARIANT_BYTES] = 2,  [BROOD_VARIANT_TEXT] = 3,   [BROOD_VARIANT_LIST] = 4, [BROOD_VARIANT_MAP] = 5,
        [BROOD_VARIANT_HANDLE] = 6, [BROOD_VARIANT_INVALID] = 8};
    return v->kind == BROOD_VARIANT_INT && v->negative ? 1 : majors[v->kind];
}

static uint64_t argument_of(const brood_variant *v)
{
    if (v->kind == BROOD_VARIANT_INT) return v->negative ? ~v->as.number : v->as.number;
    if (v->kind == BROOD_VARIANT_HANDLE) return v->as.number;
    return v->size;
}

/* Of major type 7 the bytes themselves. */
static int compare_simple(const brood_variant *a, const brood_variant *b)
{
    unsigned char bytes[2][9];
    struct slice slices[2];
    const brood_variant *both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct item_writer w = {.bytes = bytes[i], .capacity = sizeof bytes[i], .most = sizeof bytes[i]};
        if (both[i]->kind == BROOD_VARIANT_FLOAT)
            brood__item_put_float(&w, both[i]->as.real);
        else if (both[i]->kind == BROOD_VARIANT_BOOL)
            brood__item_put_bool(&w, both[i]->as.boolean);
        else
            brood__item_put_null(&w);
        slices[i] = (struct slice){bytes[i], w.size};
    }
    return brood__slice_compare(slices[0], slices[1]);
}

int brood_variant_compare(const brood_variant *a, const brood_variant *b)
{
    int major = major_of(a), order = major - major_of(b);
    if (order) return order;
    if (major == 7) return compare_simple(a, b);
    uint64_t x = argument_of(a), y = argument_of(b);
    if (major == 8 || x != y) return (x > y) - (x < y);
    if (major == 2 || major == 3) return x ? memcmp(a->as.bytes, b->as.bytes, (size_t)x) : 0;
    size_t n = item_count(a);
    for (size_t i = 0; i < n; i++) {
        order = brood_variant_compare(&a->as.items[i], &b->as.items[i]);
        if (order) return order;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ changing */

/* *v as a container of this kind that this part may go into, with room for n items more. */
static int prepare(brood_variant *v, brood_variant_kind kind, const brood_variant *key, const brood_variant *value,
                   size_t n)
{
    brood_variant wanted = v->kind == BROOD_VARIANT_NIL ? container(kind) : *v;
    int error = brood_variant_error(v);
    if (error == 0 && wanted.kind != kind) error = BROOD_EINVAL;
    if (error == 0 && key) error = take_in(&wanted, key);
    if (error == 0) error = take_in(&wanted, value);
    if (error == 0 && n && !room_for(&wanted, item_count(&wanted), n)) error = BROOD_ENOMEM;
    if (error == 0 && !wanted.as.items) error = BROOD_EINVAL; /* never */
    if (error == 0) *v = wanted;
    return error;
}

int brood_variant_append(brood_variant *v, brood_variant item)
{
    int error = prepare(v, BROOD_VARIANT_LIST, NULL, &item, 1);
    if (error < 0) {
        brood_variant_free(&item);
        return error;
    }
    v->as.items[v->size++] = item;
    return 0;
}

int brood_variant_put(brood_variant *v, brood_variant key, brood_variant value)
{
    size_t at = 0;
    bool there = v->kind == BROOD_VARIANT_MAP && brood_variant_error(&key) == 0 && find(v, &key, &at);
    int error = prepare(v, BROOD_VARIANT_MAP, &key, &value, there ? 0 : 2);
    if (error < 0) {
        brood_variant_free(&key);
        brood_variant_free(&value);
        return error;
    }
    brood_variant *place = &v->as.items[2 * at];
    if (there) {
        brood_variant_free(&key);
        brood_variant_free(&place[1]);
        place[1] = value;
        return 0;
    }
    memmove(place + 2, place, (v->size - at) * 2 * sizeof *place);
    place[0] = key;
    place[1] = value;
    v->size++;
    return 0;
}

/* n items at `at` are gone; room is given back when it would not be there for a list of that size. */
static void close_gap(brood_variant *v, size_t at, size_t n)
{
    size_t before = item_count(v), left = before - n;
    memmove(&v->as.items[at], &v->as.items[at + n], (left - at) * sizeof *v->as.items);
    v->size -= 1;
    if (left == 0) {
        free(v->as.items);
        v->as.items = NULL;
        return;
    }
    if (room_of(left) == room_of(before)) return;
    brood_variant *items = realloc(v->as.items, room_of(left) * sizeof *items);
    if (items) v->as.items = items; /* else it has more room than it is taken for */
}

int brood_variant_remove(brood_variant *v, size_t i, brood_variant *taken)
{
    if (v->kind != BROOD_VARIANT_LIST || i >= v->size) return BROOD_EINVAL;
    brood_variant item = v->as.items[i];
    close_gap(v, i, 1);
    if (taken)
        *taken = item;
    else
        brood_variant_free(&item);
    return 0;
}

int brood_variant_erase(brood_variant *v, const brood_variant *key, brood_variant *taken)
{
    size_t at;
    if (v->kind != BROOD_VARIANT_MAP || !find(v, key, &at)) return BROOD_EINVAL;
    brood_variant_free(&v->as.items[2 * at]);
    brood_variant value = v->as.items[2 * at + 1];
    close_gap(v, 2 * at, 2);
    if (taken)
        *taken = value;
    else
        brood_variant_free(&value);
    return 0;
}
