/* SPDX-License-Identifier: MIT */
/*
 * type_list.c - list, array (a list of a fixed length), value (one place).
 *
 * Items are encoded values, each in memory of its own.  An index below zero counts from the end, as in Python.
 */
#include "manager/server.h"

#include "call/error.h"

#include <stdlib.h>
#include <string.h>

struct list_object {
    struct object object;
    struct value **items;
    size_t count, room;
};

static struct list_object *list_of(struct request *r)
{
    return (struct list_object *)r->o;
}

static bool make_room(struct server *s, struct list_object *l, size_t more)
{
    if (more <= l->room - l->count) return true;
    size_t room = l->room + l->room / 2;
    if (room < l->count + more) room = l->count + more;
    if (room < 8) room = 8;
    struct value **items = brood__keep_more(s, l->items, room * sizeof(struct value *));
    if (!items) return false;
    l->items = items;
    l->room = room;
    return true;
}

static void open_gap(struct list_object *l, size_t at, size_t n)
{
    memmove(l->items + at + n, l->items + at, (l->count - at) * sizeof(struct value *));
    l->count += n;
}

static void close_gap(struct server *s, struct list_object *l, size_t at)
{
    memmove(l->items + at, l->items + at + 1, (l->count - at - 1) * sizeof(struct value *));
    l->count--;
    if (l->room <= 64 || l->count > l->room / 4) return;
    struct value **items = brood__keep_more(s, l->items, l->room / 2 * sizeof(struct value *));
    if (!items) return;
    l->items = items;
    l->room /= 2;
}

/* All items of an argument, put in at a place: all or none. */
static int insert_all(struct request *r, struct list_object *l, size_t at, size_t i)
{
    uint64_t count;
    const unsigned char *from, *end;
    int error = brood__arg_array(r, i, &count, &from, &end);
    if (error < 0) return error;
    struct value **values = count ? brood__keep(r->s, (size_t)count * sizeof(struct value *)) : NULL;
    if (count && (!values || !make_room(r->s, l, (size_t)count))) error = BROOD_ENOMEM;
    size_t n = 0;
    for (; error == 0 && n < count; n++) {
        struct slice item = {.at = from};
        error = brood__value_walk(&from, end, NULL, NULL);
        item.size = (size_t)(from - item.at);
        if (error == 0) error = brood__value_keep(r->s, item, &values[n]);
        if (error < 0) break;
    }
    if (error == 0 && count) {
        open_gap(l, at, (size_t)count);
        memcpy(l->items + at, values, (size_t)count * sizeof(struct value *));
    }
    while (error < 0 && n > 0) brood__value_drop(r->s, values[--n]);
    brood__drop(r->s, values);
    return error;
}

static int list_create(struct request *r, struct object *o)
{
    int error = brood__args(r, 0, 1);
    if (error < 0 || brood__arg_is_nil(r, 0)) return error;
    return insert_all(r, (struct list_object *)o, 0, 0);
}

static int value_create(struct request *r, struct object *o)
{
    struct list_object *l = (struct list_object *)o;
    int error = brood__args(r, 1, 1);
    if (error == 0 && !make_room(r->s, l, 1)) error = BROOD_ENOMEM;
    if (error == 0) error = brood__value_keep(r->s, r->args[0], &l->items[0]);
    if (error == 0) l->count = 1;
    return error;
}

static void list_destroy(struct server *s, struct object *o)
{
    struct list_object *l = (struct list_object *)o;
    for (size_t i = 0; i < l->count; i++) brood__value_drop(s, l->items[i]);
    brood__drop(s, l->items);
}

/* The place that argument i names: of an item that is there. */
static int place_of(struct request *r, size_t i, size_t *place)
{
    int64_t at;
    size_t count = list_of(r)->count;
    int error = brood__arg_int(r, i, &at);
    if (error < 0) return error;
    if (at < 0) at += (int64_t)count;
    if (at < 0 || (uint64_t)at >= count)
        return brood__fail_with(BROOD_EMISSING, "%.*s: the index is out of range", (int)r->method.size,
                                (const char *)r->method.at);
    *place = (size_t)at;
    return 0;
}

static int list_append(struct request *r)
{
    struct list_object *l = list_of(r);
    int error = brood__args(r, 1, 1);
    if (error == 0 && !make_room(r->s, l, 1)) error = BROOD_ENOMEM;
    if (error == 0) error = brood__value_keep(r->s, r->args[0], &l->items[l->count]);
    if (error == 0) l->count++;
    return error;
}

static int list_extend(struct request *r)
{
    int error = brood__args(r, 1, 1);
    return error < 0 ? error : insert_all(r, list_of(r), list_of(r)->count, 0);
}

/* As a slice's end: beyond the list is its end. */
static int bound_of(struct request *r, size_t i, size_t missing, size_t *bound)
{
    int64_t at, count = (int64_t)list_of(r)->count;
    if (brood__arg_is_nil(r, i)) {
        *bound = missing;
        return 0;
    }
    int error = brood__arg_int(r, i, &at);
    if (error < 0) return error;
    if (at < 0) at += count;
    *bound = at < 0 ? 0 : at > count ? (size_t)count : (size_t)at;
    return 0;
}

static int list_insert(struct request *r)
{
    struct list_object *l = list_of(r);
    size_t at = 0;
    struct value *v = NULL;
    int error = brood__args(r, 2, 2);
    if (error == 0) error = bound_of(r, 0, 0, &at);
    if (error == 0 && !make_room(r->s, l, 1)) error = BROOD_ENOMEM;
    if (error == 0) error = brood__value_keep(r->s, r->args[1], &v);
    if (error < 0) return error;
    open_gap(l, at, 1);
    l->items[at] = v;
    return 0;
}

static int list_get(struct request *r)
{
    size_t at = 0;
    int error = brood__args(r, 1, 1);
    if (error == 0) error = place_of(r, 0, &at);
    if (error == 0) brood__result_value(r, list_of(r)->items[at]);
    return error;
}

static int set_at(struct request *r, size_t at, struct slice bytes)
{
    struct value *v = NULL;
    int error = brood__value_keep(r->s, bytes, &v);
    if (error < 0) return error;
    brood__value_drop(r->s, list_of(r)->items[at]);
    list_of(r)->items[at] = v;
    return 0;
}

static int list_set(struct request *r)
{
    size_t at = 0;
    int error = brood__args(r, 2, 2);
    if (error == 0) error = place_of(r, 0, &at);
    return error < 0 ? error : set_at(r, at, r->args[1]);
}

static int value_get(struct request *r)
{
    int error = brood__args(r, 0, 0);
    if (error == 0) brood__result_value(r, list_of(r)->items[0]);
    return error;
}

static int value_set(struct request *r)
{
    int error = brood__args(r, 1, 1);
    return error < 0 ? error : set_at(r, 0, r->args[0]);
}

static int list_delete(struct request *r)
{
    size_t at = 0;
    int error = brood__args(r, 1, 1);
    if (error == 0) error = place_of(r, 0, &at);
    if (error < 0) return error;
    brood__value_drop(r->s, list_of(r)->items[at]);
    close_gap(r->s, list_of(r), at);
    return 0;
}

static int list_pop(struct request *r)
{
    struct list_object *l = list_of(r);
    size_t at = l->count - 1;
    int error = brood__args(r, 0, 1);
    if (error == 0 && r->argc) error = place_of(r, 0, &at);
    if (error == 0 && !l->count) error = brood__fail_with(BROOD_EMISSING, "pop: the list is empty");
    if (error < 0) return error;
    struct value *v = l->items[at];
    close_gap(r->s, l, at);
    brood__result_hand_over(r, v);
    return 0;
}

static bool same(const struct value *v, struct slice bytes)
{
    return v->size == bytes.size && memcmp(v->bytes, bytes.at, bytes.size) == 0;
}

static int find_it(struct request *r, size_t *at)
{
    struct list_object *l = list_of(r);
    int error = brood__args(r, 1, 1);
    if (error < 0) return error;
    for (*at = 0; *at < l->count && !same(l->items[*at], r->args[0]); ++*at) {}
    return *at < l->count ? 0 : brood__fail_with(BROOD_EMISSING, "the value is not in the list");
}

static int list_remove(struct request *r)
{
    size_t at = 0;
    int error = find_it(r, &at);
    if (error < 0) return error;
    brood__value_drop(r->s, list_of(r)->items[at]);
    close_gap(r->s, list_of(r), at);
    return 0;
}

static int list_index(struct request *r)
{
    size_t at = 0;
    int error = find_it(r, &at);
    if (error == 0) brood__item_put_uint(brood__result(r), at);
    return error;
}

static int list_count(struct request *r)
{
    struct list_object *l = list_of(r);
    uint64_t n = 0;
    int error = brood__args(r, 1, 1);
    if (error < 0) return error;
    for (size_t i = 0; i < l->count; i++) n += same(l->items[i], r->args[0]);
    brood__item_put_uint(brood__result(r), n);
    return 0;
}

static int list_clear(struct request *r)
{
    struct list_object *l = list_of(r);
    for (size_t i = 0; i < l->count; i++) brood__value_drop(r->s, l->items[i]);
    brood__drop(r->s, l->items);
    l->items = NULL;
    l->count = l->room = 0;
    return 0;
}

static int list_size(struct request *r)
{
    brood__item_put_uint(brood__result(r), list_of(r)->count);
    return 0;
}

/* slice(from, to): a list of its own. */
static int list_slice(struct request *r)
{
    struct list_object *l = list_of(r);
    size_t from = 0, to = 0;
    int error = brood__args(r, 0, 2);
    if (error == 0) error = bound_of(r, 0, 0, &from);
    if (error == 0) error = bound_of(r, 1, l->count, &to);
    if (error < 0) return error;
    brood__item_put_array(brood__result(r), from < to ? to - from : 0);
    for (; from < to; from++) brood__result_value(r, l->items[from]);
    return 0;
}

static int list_reverse(struct request *r)
{
    struct list_object *l = list_of(r);
    for (size_t i = 0; i < l->count / 2; i++) {
        struct value *v = l->items[i];
        l->items[i] = l->items[l->count - 1 - i];
        l->items[l->count - 1 - i] = v;
    }
    return 0;
}

static int in_order(const void *left, const void *right)
{
    const struct value *a = *(const struct value *const *)left, *b = *(const struct value *const *)right;
    return brood__value_order(brood__value_slice(a), brood__value_slice(b));
}

static int list_sort(struct request *r)
{
    struct list_object *l = list_of(r);
    if (l->count) qsort(l->items, l->count, sizeof(struct value *), in_order);
    return 0;
}

static const struct method list_methods[] = {
    {"get", list_get, 0},
    {"set", list_set, 0},
    {"append", list_append, 0},
    {"extend", list_extend, 0},
    {"insert", list_insert, 0},
    {"delete", list_delete, 0},
    {"pop", list_pop, 0},
    {"remove", list_remove, 0},
    {"index", list_index, 0},
    {"count", list_count, 0},
    {"clear", list_clear, 0},
    {"size", list_size, 0},
    {"slice", list_slice, 0},
    {"copy", list_slice, 0},
    {"sort", list_sort, 0},
    {"reverse", list_reverse, 0},
    {0},
};
const struct object_type brood__type_list = {.name = "list",
                                             .size = sizeof(struct list_object),
                                             .create = list_create,
                                             .destroy = list_destroy,
                                             .methods = list_methods};

static const struct method array_methods[] = {
    {"get", list_get, 0}, {"set", list_set, 0}, {"size", list_size, 0}, {"slice", list_slice, 0}, {0}};
const struct object_type brood__type_array = {.name = "Array",
                                              .size = sizeof(struct list_object),
                                              .create = list_create,
                                              .destroy = list_destroy,
                                              .methods = array_methods};

static const struct method value_methods[] = {{"get", value_get, 0}, {"set", value_set, 0}, {0}};
const struct object_type brood__type_value = {.name = "Value",
                                              .size = sizeof(struct list_object),
                                              .create = value_create,
                                              .destroy = list_destroy,
                                              .methods = value_methods};
