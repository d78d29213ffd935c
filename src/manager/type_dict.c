/* SPDX-License-Identifier: MIT */
/*
 * type_dict.c - dict, and namespace, whose keys are texts.
 *
 * Keys are encoded values and compare as bytes, so any value may be one, and 1 is not 1.0.  Entries stand in the order
 * in which their keys came, as in Python.  The hash begins with a number that nobody outside knows, so that nobody can
 * choose keys that fall together.
 */
#include "manager/server.h"

#include "call/error.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *chain, *next, *previous;
    uint64_t hash;
    struct value *key, *value;
};

struct dict_object {
    struct object object;
    bool texts; /* a namespace */
    struct entry **buckets;
    size_t room, count; /* room is a power of two, or 0 */
    struct entry *first, *last;
};

static struct dict_object *dict_of(struct request *r)
{
    return (struct dict_object *)r->o;
}

static uint64_t hash_of(struct slice key)
{
    static uint64_t seed;
    if (!seed) {
        brood__os_random(&seed, sizeof seed);
        seed |= 1;
    }
    uint64_t h = seed;
    for (size_t i = 0; i < key.size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, key.at + i, key.size - i < 8 ? key.size - i : 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    h = (h ^ key.size) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static struct entry *find(const struct dict_object *d, struct slice key)
{
    if (!d->room) return NULL;
    uint64_t hash = hash_of(key);
    struct entry *e = d->buckets[hash & (d->room - 1)];
    while (e && (e->hash != hash || brood__slice_compare(brood__value_slice(e->key), key) != 0)) e = e->chain;
    return e;
}

static bool make_room(struct server *s, struct dict_object *d)
{
    if (d->count < d->room) return true;
    size_t room = d->room ? 2 * d->room : 8;
    struct entry **buckets = brood__keep(s, room * sizeof *buckets);
    if (!buckets) return d->room > 0;
    memset(buckets, 0, room * sizeof *buckets);
    for (struct entry *e = d->first; e; e = e->next) {
        e->chain = buckets[e->hash & (room - 1)];
        buckets[e->hash & (room - 1)] = e;
    }
    brood__drop(s, d->buckets);
    d->buckets = buckets;
    d->room = room;
    return true;
}

static int check_key(const struct dict_object *d, struct slice key)
{
    struct item item;
    const unsigned char *at = key.at;
    if (!d->texts || (brood__item_next(&at, key.at + key.size, &item) == 0 && item.kind == ITEM_TEXT)) return 0;
    return brood__fail_with(BROOD_EINVAL, "the names of a Namespace are texts");
}

static int put(struct server *s, struct dict_object *d, struct slice key, struct slice bytes)
{
    int error = check_key(d, key);
    struct value *value = NULL;
    struct entry *e = find(d, key);
    if (error == 0) error = brood__value_keep(s, bytes, &value);
    if (error < 0) return error;
    if (e) {
        brood__value_drop(s, e->value);
        e->value = value;
        return 0;
    }
    struct value *own = NULL;
    error = brood__value_keep(s, key, &own);
    e = error == 0 && make_room(s, d) ? brood__keep(s, sizeof *e) : NULL;
    if (!e) {
        brood__value_drop(s, own);
        brood__value_drop(s, value);
        return error < 0 ? error : BROOD_ENOMEM;
    }
    *e = (struct entry){.previous = d->last, .hash = hash_of(key), .key = own, .value = value};
    e->chain = d->buckets[e->hash & (d->room - 1)];
    d->buckets[e->hash & (d->room - 1)] = e;
    *(d->last ? &d->last->next : &d->first) = e;
    d->last = e;
    d->count++;
    return 0;
}

/* Out of the dict; key and value are the caller's. */
static void take_out(struct server *s, struct dict_object *d, struct entry *e)
{
    struct entry **place = &d->buckets[e->hash & (d->room - 1)];
    while (*place != e) place = &(*place)->chain;
    *place = e->chain;
    *(e->previous ? &e->previous->next : &d->first) = e->next;
    *(e->next ? &e->next->previous : &d->last) = e->previous;
    d->count--;
    brood__drop(s, e);
    if (d->count) return;
    brood__drop(s, d->buckets);
    d->buckets = NULL;
    d->room = 0;
}

static void clear(struct server *s, struct dict_object *d)
{
    while (d->first) {
        struct value *key = d->first->key, *value = d->first->value;
        take_out(s, d, d->first);
        brood__value_drop(s, key);
        brood__value_drop(s, value);
    }
}

/* All pairs of a map. */
static int update(struct request *r, struct dict_object *d, size_t i)
{
    struct item item;
    const unsigned char *at = r->args[i].at, *end = at + r->args[i].size;
    if (brood__item_next(&at, end, &item) < 0 || item.kind != ITEM_MAP)
        return brood__fail_with(BROOD_EINVAL, "%.*s wants a map", (int)r->method.size, (const char *)r->method.at);
    int error = 0;
    const unsigned char *first = at;
    for (uint64_t n = d->texts ? item.value : 0; n && error == 0; n--) { /* before anything is changed */
        struct slice key = {.at = at};
        error = brood__value_walk(&at, end, NULL, NULL);
        key.size = (size_t)(at - key.at);
        if (error == 0) error = check_key(d, key);
        if (error == 0) error = brood__value_walk(&at, end, NULL, NULL);
    }
    at = first;
    for (uint64_t n = item.value; n && error == 0; n--) {
        struct slice key = {.at = at}, value;
        error = brood__value_walk(&at, end, NULL, NULL);
        key.size = (size_t)(at - key.at);
        value.at = at;
        if (error == 0) error = brood__value_walk(&at, end, NULL, NULL);
        value.size = (size_t)(at - value.at);
        if (error == 0) error = put(r->s, d, key, value);
    }
    return error;
}

static int dict_create(struct request *r, struct object *o)
{
    struct dict_object *d = (struct dict_object *)o;
    d->texts = strcmp(o->type->name, "Namespace") == 0;
    int error = brood__args(r, 0, 1);
    if (error < 0 || brood__arg_is_nil(r, 0)) return error;
    return update(r, d, 0);
}

static void dict_destroy(struct server *s, struct object *o)
{
    clear(s, (struct dict_object *)o);
    brood__drop(s, ((struct dict_object *)o)->buckets);
}

static int missing(void)
{
    return brood__fail_with(BROOD_EMISSING, "there is no such key");
}

/* get(key): BROOD_EMISSING if it is not there; get(key, default). */
static int dict_get(struct request *r)
{
    int error = brood__args(r, 1, 2);
    struct entry *e = error < 0 ? NULL : find(dict_of(r), r->args[0]);
    if (error < 0) return error;
    if (!e && r->argc == 1) return missing();
    if (e)
        brood__result_value(r, e->value);
    else
        brood__item_put_raw(brood__result(r), r->args[1].at, r->args[1].size);
    return 0;
}

static int dict_set(struct request *r)
{
    int error = brood__args(r, 2, 2);
    return error < 0 ? error : put(r->s, dict_of(r), r->args[0], r->args[1]);
}

static int dict_setdefault(struct request *r)
{
    int error = brood__args(r, 2, 2);
    if (error == 0 && !find(dict_of(r), r->args[0])) error = put(r->s, dict_of(r), r->args[0], r->args[1]);
    if (error < 0) return error;
    brood__result_value(r, find(dict_of(r), r->args[0])->value);
    return 0;
}

static int dict_delete(struct request *r)
{
    int error = brood__args(r, 1, 1);
    struct entry *e = error < 0 ? NULL : find(dict_of(r), r->args[0]);
    if (error < 0) return error;
    if (!e) return missing();
    struct value *key = e->key, *value = e->value;
    take_out(r->s, dict_of(r), e);
    brood__value_drop(r->s, key);
    brood__value_drop(r->s, value);
    return 0;
}

/* pop(key), pop(key, default). */
static int dict_pop(struct request *r)
{
    int error = brood__args(r, 1, 2);
    struct entry *e = error < 0 ? NULL : find(dict_of(r), r->args[0]);
    if (error < 0) return error;
    if (!e && r->argc == 1) return missing();
    if (!e) {
        brood__item_put_raw(brood__result(r), r->args[1].at, r->args[1].size);
        return 0;
    }
    struct value *key = e->key, *value = e->value;
    take_out(r->s, dict_of(r), e);
    brood__value_drop(r->s, key);
    brood__result_hand_over(r, value);
    return 0;
}

/* The pair that came last: [key, value]. */
static int dict_popitem(struct request *r)
{
    struct dict_object *d = dict_of(r);
    int error = brood__args(r, 0, 0);
    if (error < 0) return error;
    if (!d->last) return brood__fail_with(BROOD_EMISSING, "popitem: the dict is empty");
    struct value *key = d->last->key, *value = d->last->value;
    take_out(r->s, d, d->last);
    brood__item_put_array(brood__result(r), 2);
    brood__result_hand_over(r, key);
    brood__result_hand_over(r, value);
    return 0;
}

static int dict_has(struct request *r)
{
    int error = brood__args(r, 1, 1);
    if (error == 0) brood__item_put_bool(brood__result(r), find(dict_of(r), r->args[0]) != NULL);
    return error;
}

static int dict_size(struct request *r)
{
    brood__item_put_uint(brood__result(r), dict_of(r)->count);
    return 0;
}

static int dict_keys(struct request *r)
{
    brood__item_put_array(brood__result(r), dict_of(r)->count);
    for (struct entry *e = dict_of(r)->first; e; e = e->next) brood__result_value(r, e->key);
    return 0;
}

static int dict_values(struct request *r)
{
    brood__item_put_array(brood__result(r), dict_of(r)->count);
    for (struct entry *e = dict_of(r)->first; e; e = e->next) brood__result_value(r, e->value);
    return 0;
}

static int dict_items(struct request *r)
{
    brood__item_put_array(brood__result(r), dict_of(r)->count);
    for (struct entry *e = dict_of(r)->first; e; e = e->next) {
        brood__item_put_array(brood__result(r), 2);
        brood__result_value(r, e->key);
        brood__result_value(r, e->value);
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    return brood__slice_compare(brood__value_slice(x->key), brood__value_slice(y->key));
}

/* All of it as a map, which has an order of its own. */
static int dict_copy(struct request *r)
{
    struct dict_object *d = dict_of(r);
    struct entry **sorted = brood__keep(r->s, (d->count + 1) * sizeof *sorted);
    if (!sorted) return BROOD_ENOMEM;
    size_t n = 0;
    for (struct entry *e = d->first; e; e = e->next) sorted[n++] = e;
    qsort(sorted, n, sizeof *sorted, by_key);
    brood__item_put_map(brood__result(r), n);
    for (size_t i = 0; i < n; i++) {
        brood__result_value(r, sorted[i]->key);
        brood__result_value(r, sorted[i]->value);
    }
    brood__drop(r->s, sorted);
    return 0;
}

static int dict_update(struct request *r)
{
    int error = brood__args(r, 1, 1);
    return error < 0 ? error : update(r, dict_of(r), 0);
}

static int dict_clear(struct request *r)
{
    clear(r->s, dict_of(r));
    return 0;
}

static const struct method dict_methods[] = {
    {"get", dict_get, 0},
    {"set", dict_set, 0},
    {"delete", dict_delete, 0},
    {"has", dict_has, 0},
    {"size", dict_size, 0},
    {"pop", dict_pop, 0},
    {"popitem", dict_popitem, 0},
    {"setdefault", dict_setdefault, 0},
    {"keys", dict_keys, 0},
    {"values", dict_values, 0},
    {"items", dict_items, 0},
    {"copy", dict_copy, 0},
    {"update", dict_update, 0},
    {"clear", dict_clear, 0},
    {0},
};
const struct object_type brood__type_dict = {.name = "dict",
                                             .size = sizeof(struct dict_object),
                                             .create = dict_create,
                                             .destroy = dict_destroy,
                                             .methods = dict_methods};
const struct object_type brood__type_namespace = {.name = "Namespace",
                                                  .size = sizeof(struct dict_object),
                                                  .create = dict_create,
                                                  .destroy = dict_destroy,
                                                  .methods = dict_methods};
