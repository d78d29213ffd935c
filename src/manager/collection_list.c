/* SPDX-License-Identifier: MIT */
/*
 * collection_list.c - list, array and value in the arena: the methods that type_list.c has for those of a server.
 *
 * A list has two halves with room for the same items, and `state` says which counts.  What changes one place or the end
 * writes into that half; what moves items writes all of them into the other.
 */
#include "manager/collection.h"

#include "call/error.h"

#include <stdlib.h>
#include <string.h>

static uint64_t load(const _Atomic uint64_t *item)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)item, memory_order_relaxed);
}
static void store(_Atomic uint64_t *item, uint64_t ref)
{
    atomic_store_explicit(item, ref, memory_order_relaxed);
}

static uint64_t size_of(const struct use *u)
{
    return brood__rows(brood__body(u->c));
}

/* So many items count from now on, of this half or of the other one. */
static void commit(struct body *b, uint64_t count, bool other)
{
    uint64_t half = (atomic_load_explicit(&b->state, memory_order_relaxed) & 1) ^ other;
    atomic_store_explicit(&b->state, count << 1 | half, memory_order_release);
    b->live = b->last = (uint32_t)count;
}

static void put_item(struct use *u, uint64_t at)
{
    const struct body *b = brood__body(u->c);
    uint64_t ref = load(&brood__items(b, false)[at]);
    struct slice bytes = brood__ref_slice(b, &ref);
    if (!bytes.size) u->out.error = BROOD_ECORRUPT;
    brood__item_put_raw(&u->out, bytes.at, bytes.size);
}

/* ------------------------------------------------------------------------------------------------------- arguments */

static int number(const struct use *u, size_t i, int64_t *value)
{
    struct item item;
    const unsigned char *at = u->args[i].at;
    if (brood__item_next(&at, at + u->args[i].size, &item) == 0 && item.value <= INT64_MAX &&
        (item.kind == ITEM_UINT || item.kind == ITEM_NEGINT)) {
        *value = item.kind == ITEM_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
        return 0;
    }
    return brood__fail_with(BROOD_EINVAL, "%s wants a number", u->method);
}

static bool is_nil(const struct use *u, size_t i)
{
    struct item item;
    const unsigned char *at = u->args[i].at;
    return i >= u->argc || (brood__item_next(&at, at + u->args[i].size, &item) == 0 && item.kind == ITEM_NULL);
}

/* The place that argument i names: of an item that is there. */
static int place_of(const struct use *u, size_t i, uint64_t *place)
{
    int64_t at = 0, count = (int64_t)size_of(u);
    int error = number(u, i, &at);
    if (error < 0) return error;
    if (at < 0) at += count;
    if (at < 0 || at >= count) return brood__fail_with(BROOD_EMISSING, "%s: the index is out of range", u->method);
    *place = (uint64_t)at;
    return 0;
}

/* As a slice's end: beyond the list is its end. */
static int bound_of(const struct use *u, size_t i, uint64_t missing, uint64_t *bound)
{
    int64_t at = 0, count = (int64_t)size_of(u);
    *bound = missing;
    if (is_nil(u, i)) return 0;
    int error = number(u, i, &at);
    if (error < 0) return error;
    if (at < 0) at += count;
    *bound = (uint64_t)(at < 0 ? 0 : at > count ? count : at);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- changes */

/* Items behind each other in bytes, put in at a place: all or none, in one commit. */
static int insert(struct use *u, uint64_t at, uint64_t count, struct slice items)
{
    uint64_t bytes = 0;
    const unsigned char *from = items.at, *end = items.at + items.size;
    int error = 0;
    for (uint64_t i = 0; i < count && error == 0; i++) {
        const unsigned char *item = from;
        error = brood__value_walk(&from, end, NULL, NULL);
        bytes += brood__heap_need((size_t)(from - item));
    }
    if (error == 0 && count) error = brood__collection_room(u->c, count, bytes);
    if (error < 0 || count == 0) return error;
    struct body *b = brood__body(u->c);
    uint64_t before = brood__rows(b);
    bool other = at < before;
    const _Atomic uint64_t *old = brood__items(b, false);
    _Atomic uint64_t *to = brood__items(b, other);
    for (uint64_t i = 0; other && i < before; i++) store(&to[i < at ? i : i + count], load(&old[i]));
    from = items.at;
    for (uint64_t i = 0; i < count; i++) {
        struct slice item = {.at = from};
        brood__value_walk(&from, end, NULL, NULL);
        item.size = (size_t)(from - item.at);
        store(&to[at + i], brood__ref_make(b, item));
    }
    commit(b, before + count, other);
    return 0;
}

static void take_out(struct use *u, uint64_t at)
{
    struct body *b = brood__body(u->c);
    const _Atomic uint64_t *old = brood__items(b, false);
    _Atomic uint64_t *to = brood__items(b, true);
    uint64_t before = brood__rows(b), gone = load(&old[at]);
    bool other = at + 1 < before;
    for (uint64_t i = 0; other && i + 1 < before; i++) store(&to[i], load(&old[i < at ? i : i + 1]));
    commit(b, before - 1, other);
    brood__ref_drop(b, gone);
    brood__collection_slim(u->c);
}

static int set_at(struct use *u, uint64_t at, struct slice bytes)
{
    int error = brood__collection_room(u->c, 0, brood__heap_need(bytes.size));
    if (error < 0) return error;
    struct body *b = brood__body(u->c);
    _Atomic uint64_t *item = &brood__items(b, false)[at];
    uint64_t old = load(item), ref = brood__ref_make(b, bytes);
    atomic_store_explicit(item, ref, memory_order_release); /* the commit */
    brood__ref_drop(b, old);
    return 0;
}

static int extend(struct use *u, size_t i)
{
    struct item item;
    struct slice items = u->args[i];
    const unsigned char *end = items.at + items.size;
    if (brood__item_next(&items.at, end, &item) < 0 || item.kind != ITEM_ARRAY)
        return brood__fail_with(BROOD_EINVAL, "%s wants a list", u->method);
    items.size = (size_t)(end - items.at);
    return insert(u, size_of(u), item.value, items);
}

int brood__list_begin(struct use *u)
{
    bool value = atomic_load_explicit(&u->c->kind, memory_order_relaxed) == COLLECTION_VALUE;
    int error = brood__use_args(u, value, 1);
    if (error < 0 || (!value && is_nil(u, 0))) return error;
    return value ? insert(u, 0, 1, u->args[0]) : extend(u, 0);
}

/* ---------------------------------------------------------------------------------------------------------- methods */

static int list_append(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    return error < 0 ? error : insert(u, size_of(u), 1, u->args[0]);
}

static int list_extend(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    return error < 0 ? error : extend(u, 0);
}

static int list_insert(struct use *u)
{
    uint64_t at = 0;
    int error = brood__use_args(u, 2, 2);
    if (error == 0) error = bound_of(u, 0, 0, &at);
    return error < 0 ? error : insert(u, at, 1, u->args[1]);
}

static int list_get(struct use *u)
{
    uint64_t at = 0;
    int error = brood__use_args(u, 1, 1);
    if (error == 0) error = place_of(u, 0, &at);
    if (error == 0) put_item(u, at);
    return error;
}

static int list_set(struct use *u)
{
    uint64_t at = 0;
    int error = brood__use_args(u, 2, 2);
    if (error == 0) error = place_of(u, 0, &at);
    return error < 0 ? error : set_at(u, at, u->args[1]);
}

static int value_get(struct use *u)
{
    int error = brood__use_args(u, 0, 0);
    if (error == 0 && size_of(u) == 0) error = BROOD_ECORRUPT;
    if (error == 0) put_item(u, 0);
    return error;
}

static int value_set(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    if (error == 0 && size_of(u) == 0) error = BROOD_ECORRUPT;
    return error < 0 ? error : set_at(u, 0, u->args[0]);
}

static int list_delete(struct use *u)
{
    uint64_t at = 0;
    int error = brood__use_args(u, 1, 1);
    if (error == 0) error = place_of(u, 0, &at);
    if (error == 0) take_out(u, at);
    return error;
}

/* The result first: it may find no memory. */
static int list_pop(struct use *u)
{
    uint64_t size = size_of(u), at = size - 1;
    int error = brood__use_args(u, 0, 1);
    if (error == 0 && u->argc) error = place_of(u, 0, &at);
    if (error == 0 && !size) error = brood__fail_numbers(BROOD_EMISSING, "pop: the list is empty", 0, 0);
    if (error < 0) return error;
    put_item(u, at);
    error = brood__use_finish(u);
    if (error == 0) take_out(u, at);
    return error;
}

static bool same(const struct use *u, uint64_t at)
{
    const struct body *b = brood__body(u->c);
    uint64_t ref = load(&brood__items(b, false)[at]);
    struct slice bytes = brood__ref_slice(b, &ref);
    return bytes.size == u->args[0].size && memcmp(bytes.at, u->args[0].at, bytes.size) == 0;
}

static int find_it(const struct use *u, uint64_t *at)
{
    uint64_t size = size_of(u);
    int error = brood__use_args(u, 1, 1);
    if (error < 0) return error;
    for (*at = 0; *at < size && !same(u, *at); ++*at) {}
    return *at < size ? 0 : brood__fail_with(BROOD_EMISSING, "the value is not in the list");
}

static int list_remove(struct use *u)
{
    uint64_t at = 0;
    int error = find_it(u, &at);
    if (error == 0) take_out(u, at);
    return error;
}

static int list_index(struct use *u)
{
    uint64_t at = 0;
    int error = find_it(u, &at);
    if (error == 0) brood__item_put_uint(&u->out, at);
    return error;
}

static int list_count(struct use *u)
{
    uint64_t n = 0, size = size_of(u);
    int error = brood__use_args(u, 1, 1);
    if (error < 0) return error;
    for (uint64_t i = 0; i < size; i++) n += same(u, i);
    brood__item_put_uint(&u->out, n);
    return 0;
}

static int list_clear(struct use *u)
{
    brood__collection_clear(u->c);
    return 0;
}

static int list_size(struct use *u)
{
    brood__item_put_uint(&u->out, size_of(u));
    return 0;
}

/* slice(from, to): a list of its own. */
static int list_slice(struct use *u)
{
    uint64_t from = 0, to = 0;
    int error = brood__use_args(u, 0, 2);
    if (error == 0) error = bound_of(u, 0, 0, &from);
    if (error == 0) error = bound_of(u, 1, size_of(u), &to);
    if (error < 0) return error;
    brood__item_put_array(&u->out, from < to ? (size_t)(to - from) : 0);
    for (; from < to; from++) put_item(u, from);
    return 0;
}

static int list_reverse(struct use *u)
{
    struct body *b = brood__body(u->c);
    uint64_t size = brood__rows(b);
    if (size < 2) return 0;
    for (uint64_t i = 0; i < size; i++) store(&brood__items(b, true)[i], load(&brood__items(b, false)[size - 1 - i]));
    commit(b, size, true);
    return 0;
}

struct sorted {
    const struct body *b;
    uint64_t ref;
};

static int in_order(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    return brood__value_order(brood__ref_slice(a->b, &a->ref), brood__ref_slice(b->b, &b->ref));
}

static int list_sort(struct use *u)
{
    struct body *b = brood__body(u->c);
    uint64_t size = brood__rows(b);
    if (size < 2) return 0;
    struct sorted *items = malloc((size_t)size * sizeof *items);
    if (!items) return BROOD_ENOMEM;
    for (uint64_t i = 0; i < size; i++) items[i] = (struct sorted){b, load(&brood__items(b, false)[i])};
    qsort(items, (size_t)size, sizeof *items, in_order);
    for (uint64_t i = 0; i < size; i++) store(&brood__items(b, true)[i], items[i].ref);
    commit(b, size, true);
    free(items);
    return 0;
}

const struct collection_method brood__list_methods[] = {
    {"get", list_get},
    {"set", list_set},
    {"append", list_append},
    {"extend", list_extend},
    {"insert", list_insert},
    {"delete", list_delete},
    {"pop", list_pop},
    {"remove", list_remove},
    {"index", list_index},
    {"count", list_count},
    {"clear", list_clear},
    {"size", list_size},
    {"slice", list_slice},
    {"copy", list_slice},
    {"sort", list_sort},
    {"reverse", list_reverse},
    {0},
};
const struct collection_method brood__array_methods[] = {
    {"get", list_get}, {"set", list_set}, {"size", list_size}, {"slice", list_slice}, {0}};
const struct collection_method brood__value_methods[] = {{"get", value_get}, {"set", value_set}, {0}};
