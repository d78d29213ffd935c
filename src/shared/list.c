/* SPDX-License-Identifier: MIT */
/*
 * list.c - shareable lists: one in the arena is a shared object (shared.h) of bytes, one in a segment has its handle.
 * Thread-safe; not async-signal-safe.
 */
#include "shared/list.h"

#include "arena/visit.h"
#include "shared/names.h"
#include "shared/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A list that a call works on. */
struct open_list {
    struct list_shm *list;
    size_t size;
    bool visited;
    unsigned cell;
};

static int open_list(brood_shareable_list handle, struct open_list *l)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (HANDLE_TABLE(handle.id) == TABLE_NAMED) {
        *l = (struct open_list){0};
        l->list = brood_shm_data((brood_shm){handle.id}, &l->size);
        return l->list ? 0 : brood__slot_gone(TABLE_NAMED, handle.id);
    }
    struct shared_shm *s;
    error = brood__shared_visit(SHARED_LIST, handle.id, &s, &l->cell);
    if (error < 0) return error;
    l->visited = true;
    l->list = brood__shared_bytes(s);
    l->size = (size_t)s->count;
    return 0;
}

static void close_list(const struct open_list *l)
{
    if (l->visited) brood__visit_end(l->cell);
}

static int new_named(brood_shareable_list *list, const struct list_plan *plan,
                     const brood_shareable_list_options *options)
{
    brood_shm shm;
    brood_shm_options segment = {.name = options->name, .persist = options->persist, .scope = options->scope};
    int error = brood__shm_create(&shm, plan->size, &segment, NULL, brood__list_fill, plan);
    if (error == 0) list->id = shm.id;
    return error;
}

int brood_shareable_list_new(brood_shareable_list *list, const brood_element *elements, size_t count,
                             const brood_shareable_list_options *options)
{
    static const brood_shareable_list_options none;
    if (!options) options = &none;
    struct list_plan plan = {.elements = elements, .count = count, .room = options->room};
    int error = brood__enter();
    if (error == 0) error = brood__list_plan(&plan);
    if (error < 0) return error;
    if (options->name || options->named) return new_named(list, &plan, options);
    if (options->persist) return brood__fail_numbers(BROOD_EINVAL, "persist is for lists with a name", 0, 0);
    struct shared_plan object = {.what = SHARED_LIST, .size = 1, .count = plan.size, .scope = options->scope.id};
    return brood__shared_make(&list->id, &object, brood__list_fill, &plan);
}

int brood_shareable_list_attach(brood_shareable_list *list, const char *name)
{
    brood_shm shm;
    size_t size;
    int error = brood_shm_attach(&shm, name, NULL);
    if (error < 0) return error;
    const struct list_shm *l = brood_shm_data(shm, &size);
    error = l ? brood__list_check(l, size) : BROOD_ESTALE;
    if (error < 0) {
        brood_shm_close(shm);
        return error;
    }
    list->id = shm.id;
    return 0;
}

int brood_shareable_list_free(brood_shareable_list list)
{
    if (HANDLE_TABLE(list.id) != TABLE_NAMED) return brood__shared_free(SHARED_LIST, list.id);
    int error = brood_shm_unlink((brood_shm){list.id});
    int closed = brood_shm_close((brood_shm){list.id});
    return error == BROOD_ESTALE && closed == 0 ? 0 : error; /* another has unlinked it */
}

int brood_shareable_list_shm(brood_shareable_list list, brood_shm *shm)
{
    struct open_list l;
    int error = open_list(list, &l);
    if (error < 0) return error;
    close_list(&l);
    if (l.visited) return BROOD_EPERM;
    shm->id = list.id;
    return 0;
}

int64_t brood_shareable_list_length(brood_shareable_list list)
{
    struct open_list l;
    int error = open_list(list, &l);
    if (error < 0) return error;
    int64_t length = brood__list_length(l.list, l.size);
    close_list(&l);
    return length;
}

int brood_shareable_list_get(brood_shareable_list list, size_t index, brood_element *element, void *buffer,
                             size_t capacity)
{
    struct open_list l;
    int error = open_list(list, &l);
    if (error < 0) return error;
    error = brood__list_get(l.list, l.size, index, element, buffer, capacity);
    close_list(&l);
    return error;
}

int brood_shareable_list_set(brood_shareable_list list, size_t index, const brood_element *element)
{
    struct open_list l;
    int error = open_list(list, &l);
    if (error < 0) return error;
    error = brood__list_set(l.list, l.size, index, element);
    close_list(&l);
    return error;
}

/* ------------------------------------------------------------------------------------------------------- searching */

static bool equal(const brood_element *a, const brood_element *b)
{
    if (a->type != b->type) return false;
    switch (a->type) {
    case BROOD_ELEMENT_NONE: return true;
    case BROOD_ELEMENT_BOOLEAN: return a->boolean == b->boolean;
    case BROOD_ELEMENT_INTEGER: return a->integer == b->integer;
    case BROOD_ELEMENT_REAL: return a->real == b->real;
    default: return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
    }
}

/* How many are equal, and *first, the index of the first; it may stop there. */
static int64_t search(const struct open_list *l, const brood_element *element, bool one, int64_t *first)
{
    bool long_one = element->type == BROOD_ELEMENT_TEXT || element->type == BROOD_ELEMENT_BYTES;
    size_t capacity = long_one ? element->size + 1 : 0;
    char *buffer = long_one ? malloc(capacity) : NULL;
    int64_t found = 0, length = brood__list_length(l->list, l->size);
    if (long_one && !buffer) return BROOD_ENOMEM;
    for (int64_t i = 0; i < length && !(one && found); i++) {
        brood_element e;
        int error = brood__list_get(l->list, l->size, (size_t)i, &e, buffer, capacity);
        if (error == BROOD_EMSGSIZE) continue;
        if (error < 0) length = error;
        if (error < 0 || !equal(&e, element)) continue;
        if (found++ == 0) *first = i;
    }
    free(buffer);
    return length < 0 ? length : found;
}

int64_t brood_shareable_list_count(brood_shareable_list list, const brood_element *element)
{
    struct open_list l;
    int64_t first;
    int error = open_list(list, &l);
    if (error < 0) return error;
    int64_t count = search(&l, element, false, &first);
    close_list(&l);
    return count;
}

int64_t brood_shareable_list_index(brood_shareable_list list, const brood_element *element)
{
    struct open_list l;
    int64_t first = 0;
    int error = open_list(list, &l);
    if (error < 0) return error;
    int64_t count = search(&l, element, true, &first);
    close_list(&l);
    return count < 0 ? count : count == 0 ? -ENOENT : first;
}
