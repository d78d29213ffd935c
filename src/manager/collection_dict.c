/* SPDX-License-Identifier: MIT */
/*
 * collection_dict.c - dict and namespace in the arena: the methods that type_dict.c has for those of a server.
 *
 * The index names rows, dead ones too until the next body, so that deleting leaves it alone: a dead row is its own
 * tombstone.  There are twice as many places as rows, so a search ends.  Rows stand in the order in which their keys came.
 */
#include "manager/collection.h"

#include "call/error.h"

#include <stdlib.h>
#include <string.h>

static uint64_t value_of(const struct row *row)
{
    return atomic_load_explicit(&((struct row *)(uintptr_t)row)->value, memory_order_relaxed);
}

static struct row *find(const struct collection_shm *c, struct slice key, uint64_t hash)
{
    const struct body *b = brood__body(c);
    if (!b) return NULL;
    const uint32_t *index = brood__index(b);
    uint64_t mask = b->slots - 1, rows = brood__rows(b);
    for (uint64_t n = 0, i = hash & mask; n <= mask && index[i]; n++, i = (i + 1) & mask) {
        if (index[i] > rows) continue;
        struct row *row = brood__row(b, index[i] - 1);
        if (row->hash != hash || !value_of(row)) continue;
        struct slice bytes = brood__ref_slice(b, &row->key);
        if (bytes.size == key.size && memcmp(bytes.at, key.at, key.size) == 0) return row;
    }
    return NULL;
}

static int put(struct collection_shm *c, struct slice key, uint64_t hash, struct slice value)
{
    struct row *row = find(c, key, hash);
    uint64_t bytes = brood__heap_need(value.size) + (row ? 0 : brood__heap_need(key.size));
    const struct body *before = brood__body(c);
    int error = brood__collection_room(c, !row, bytes);
    if (error < 0) return error;
    struct body *b = brood__body(c);
    if (row && b != before) row = find(c, key, hash);
    uint64_t ref = brood__ref_make(b, value);
    if (row) {
        uint64_t old = value_of(row);
        atomic_store_explicit(&row->value, ref, memory_order_release); /* the commit */
        brood__ref_drop(b, old);
        return 0;
    }
    uint64_t rows = brood__rows(b);
    row = brood__row(b, rows);
    row->hash = hash;
    row->key = brood__ref_make(b, key);
    atomic_store_explicit(&row->value, ref, memory_order_relaxed);
    atomic_store_explicit(&b->state, (rows + 1) << 1, memory_order_release); /* the commit */
    if (!brood__index_add(b, rows)) {
        brood__collection_derive(c); /* somebody has written over it: all of it anew */
        return 0;
    }
    b->live++;
    b->last = (uint32_t)rows + 1;
    return 0;
}

static void erase(struct collection_shm *c, struct row *row)
{
    struct body *b = brood__body(c);
    uint64_t old = value_of(row);
    atomic_store_explicit(&row->value, REF_NONE, memory_order_release); /* the commit */
    brood__ref_drop(b, old);
    brood__ref_drop(b, row->key);
    b->live--;
    brood__collection_slim(c);
}

static void put_ref(struct use *u, uint64_t ref)
{
    struct slice bytes = brood__ref_slice(brood__body(u->c), &ref);
    if (!bytes.size) u->out.error = BROOD_ECORRUPT;
    brood__item_put_raw(&u->out, bytes.at, bytes.size);
}

static int missing(void)
{
    return brood__fail_numbers(BROOD_EMISSING, "there is no such key", 0, 0);
}

static int check_key(const struct use *u, struct slice key)
{
    struct item item;
    if (atomic_load_explicit(&u->c->kind, memory_order_relaxed) != COLLECTION_NAMESPACE) return 0;
    if (brood__item_next(&key.at, key.at + key.size, &item) == 0 && item.kind == ITEM_TEXT) return 0;
    return brood__fail_with(BROOD_EINVAL, "the names of a Namespace are texts");
}

/* The next key and value of a map. */
static int next_pair(const unsigned char **at, const unsigned char *end, struct slice *key, struct slice *value)
{
    key->at = *at;
    int error = brood__value_walk(at, end, NULL, NULL);
    key->size = (size_t)(*at - key->at);
    value->at = *at;
    if (error == 0) error = brood__value_walk(at, end, NULL, NULL);
    value->size = (size_t)(*at - value->at);
    return error;
}

/* All pairs of a map; if there is no room for all, none. */
static int update(struct use *u)
{
    struct item item;
    struct slice key, value;
    const unsigned char *at = u->args[0].at, *end = at + u->args[0].size;
    if (brood__item_next(&at, end, &item) < 0 || item.kind != ITEM_MAP)
        return brood__fail_with(BROOD_EINVAL, "%s wants a map", u->method);
    const unsigned char *first = at;
    uint64_t bytes = 0;
    int error = 0;
    for (uint64_t n = item.value; n && error == 0; n--) {
        error = next_pair(&at, end, &key, &value);
        if (error == 0) error = check_key(u, key);
        bytes += brood__heap_need(key.size) + brood__heap_need(value.size);
    }
    if (error == 0 && item.value) error = brood__collection_room(u->c, item.value, bytes);
    at = first;
    for (uint64_t n = item.value; n && error == 0; n--) {
        error = next_pair(&at, end, &key, &value);
        if (error == 0) error = put(u->c, key, brood__collection_hash(u->c, key), value);
    }
    return error;
}

int brood__dict_begin(struct use *u)
{
    struct item item;
    const unsigned char *at = u->args[0].at;
    int error = brood__use_args(u, 0, 1);
    if (error < 0 || u->argc == 0) return error;
    if (brood__item_next(&at, at + u->args[0].size, &item) == 0 && item.kind == ITEM_NULL) return 0;
    return update(u);
}

/* get(key): BROOD_EMISSING if it is not there; get(key, default). */
static int dict_get(struct use *u)
{
    int error = brood__use_args(u, 1, 2);
    if (error < 0) return error;
    const struct row *row = find(u->c, u->args[0], u->hash);
    if (!row && u->argc == 1) return missing();
    if (row)
        put_ref(u, value_of(row));
    else
        brood__item_put_raw(&u->out, u->args[1].at, u->args[1].size);
    return 0;
}

static int dict_set(struct use *u)
{
    int error = brood__use_args(u, 2, 2);
    if (error == 0) error = check_key(u, u->args[0]);
    return error < 0 ? error : put(u->c, u->args[0], u->hash, u->args[1]);
}

/* The result first: it may find no memory. */
static int dict_setdefault(struct use *u)
{
    int error = brood__use_args(u, 2, 2);
    if (error == 0) error = check_key(u, u->args[0]);
    if (error < 0) return error;
    const struct row *row = find(u->c, u->args[0], u->hash);
    if (row)
        put_ref(u, value_of(row));
    else
        brood__item_put_raw(&u->out, u->args[1].at, u->args[1].size);
    error = brood__use_finish(u);
    return error < 0 || row ? error : put(u->c, u->args[0], u->hash, u->args[1]);
}

static int dict_delete(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    if (error < 0) return error;
    struct row *row = find(u->c, u->args[0], u->hash);
    if (!row) return missing();
    erase(u->c, row);
    return 0;
}

/* pop(key), pop(key, default). */
static int dict_pop(struct use *u)
{
    int error = dict_get(u);
    if (error == 0) error = brood__use_finish(u);
    struct row *row = error == 0 ? find(u->c, u->args[0], u->hash) : NULL;
    if (row) erase(u->c, row);
    return error;
}

/* The pair that came last: [key, value]. */
static int dict_popitem(struct use *u)
{
    struct body *b = brood__body(u->c);
    int error = brood__use_args(u, 0, 0);
    if (error < 0) return error;
    while (b && b->last && !value_of(brood__row(b, b->last - 1))) b->last--;
    if (!b || !b->last) return brood__fail_with(BROOD_EMISSING, "popitem: the dict is empty");
    struct row *row = brood__row(b, b->last - 1);
    brood__item_put_array(&u->out, 2);
    put_ref(u, row->key);
    put_ref(u, value_of(row));
    error = brood__use_finish(u);
    if (error == 0) erase(u->c, row);
    return error;
}

static int dict_has(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    if (error == 0) brood__item_put_bool(&u->out, find(u->c, u->args[0], u->hash) != NULL);
    return error;
}

static int dict_size(struct use *u)
{
    const struct body *b = brood__body(u->c);
    brood__item_put_uint(&u->out, b ? b->live : 0);
    return 0;
}

enum { KEYS = 1, VALUES = 2 };

static int listing(struct use *u, unsigned what)
{
    const struct body *b = brood__body(u->c);
    uint64_t rows = brood__rows(b);
    brood__item_put_array(&u->out, b ? b->live : 0);
    for (uint64_t i = 0; i < rows; i++) {
        const struct row *row = brood__row(b, i);
        uint64_t value = value_of(row);
        if (!value) continue;
        if (what == (KEYS | VALUES)) brood__item_put_array(&u->out, 2);
        if (what & KEYS) put_ref(u, row->key);
        if (what & VALUES) put_ref(u, value);
    }
    return 0;
}

static int dict_keys(struct use *u)
{
    return listing(u, KEYS);
}

static int dict_values(struct use *u)
{
    return listing(u, VALUES);
}

static int dict_items(struct use *u)
{
    return listing(u, KEYS | VALUES);
}

struct pair {
    const struct body *b;
    const struct row *row;
};

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return brood__slice_compare(brood__ref_slice(x->b, &x->row->key), brood__ref_slice(y->b, &y->row->key));
}

/* All of it as a map, which has an order of its own. */
static int dict_copy(struct use *u)
{
    const struct body *b = brood__body(u->c);
    uint64_t rows = brood__rows(b), n = 0, live = b ? b->live : 0;
    struct pair *pairs = malloc((live + 1) * sizeof *pairs);
    if (!pairs) return BROOD_ENOMEM;
    for (uint64_t i = 0; i < rows && n < live; i++)
        if (value_of(brood__row(b, i))) pairs[n++] = (struct pair){b, brood__row(b, i)};
    qsort(pairs, n, sizeof *pairs, by_key);
    brood__item_put_map(&u->out, n);
    for (uint64_t i = 0; i < n; i++) {
        put_ref(u, pairs[i].row->key);
        put_ref(u, value_of(pairs[i].row));
    }
    free(pairs);
    return 0;
}

static int dict_update(struct use *u)
{
    int error = brood__use_args(u, 1, 1);
    return error < 0 ? error : update(u);
}

static int dict_clear(struct use *u)
{
    brood__collection_clear(u->c);
    return 0;
}

const struct collection_method brood__dict_methods[] = {
    {"get", dict_get},
    {"set", dict_set},
    {"delete", dict_delete},
    {"has", dict_has},
    {"size", dict_size},
    {"pop", dict_pop},
    {"popitem", dict_popitem},
    {"setdefault", dict_setdefault},
    {"keys", dict_keys},
    {"values", dict_values},
    {"items", dict_items},
    {"copy", dict_copy},
    {"update", dict_update},
    {"clear", dict_clear},
    {0},
};
