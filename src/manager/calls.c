/* SPDX-License-Identifier: MIT */
/*
 * calls.c - what users call of a proxy: each names a method and its arguments; calls() does the rest, with the server
 * or, of an object that the family has without one, with the arena (collection.h).
 *
 * The arguments are the call's from its beginning, whatever comes of it.  Thread-safe; not async-signal-safe.
 */
#include "call/error.h"
#include "manager/collection.h"
#include "manager/place.h"
#include "process/item.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* args is taken; *result is nil unless it answers 0. */
static int perform(brood_proxy proxy, const char *method, brood_variant *args, brood_variant *result, int timeout)
{
    struct link *link = NULL;
    struct wire_answer answer;
    void *message;
    int error = brood__enter_for(timeout);
    if (error == 0) error = brood_variant_error(args);
    if (error == 0 && (!method || strlen(method) > WIRE_METHOD_MOST ||
                       !brood__item_is_text((const unsigned char *)method, strlen(method))))
        error = brood__fail_with(BROOD_EINVAL, "that is no name of a method");
    if (error == 0 && args->kind != BROOD_VARIANT_NIL && args->kind != BROOD_VARIANT_LIST)
        error = brood__fail_with(BROOD_EINVAL, "the arguments are no list");
    if (error == 0 && !brood__variant_belongs(args, proxy.manager))
        error = brood__fail_with(BROOD_EINVAL, "the value names an object of another manager");
    if (error == 0) error = brood__link_get(proxy.manager, &link);
    if (error < 0) return error;
    error = brood__link_call(link, proxy.object, method, timeout, args, &answer, &message);
    brood__link_put(link);
    if (error < 0) return error;
    const unsigned char *at = answer.value.at, *end = at + answer.value.size;
    if (answer.code < 0) {
        brood_variant detail;
        const char *text;
        size_t size;
        error = answer.code;
        if (brood__variant_read(&detail, &at, end) == 0) {
            if (brood_variant_get_text(&detail, &text, &size) == 0)
                brood__fail_with(error, "%.*s", (int)(size < DETAIL_SIZE ? size : DETAIL_SIZE), text);
            brood_variant_free(&detail);
        }
    } else if (result) {
        error = brood__variant_read(result, &at, end);
        brood__variant_adopt(result, proxy.manager);
    }
    free(message);
    return error;
}

/* Of an object without a server; the arguments are looked at only. */
static int perform_here(brood_proxy proxy, const char *method, const brood_variant *args, size_t argc,
                        brood_variant *result, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error == 0 && !method) error = brood__fail_with(BROOD_EINVAL, "that is no name of a method");
    return error < 0 ? error : brood__collection_call(proxy.object, method, args, argc, result, timeout);
}

static bool is_here(brood_proxy proxy)
{
    return proxy.manager == FAMILY_MANAGER;
}

static int calls(brood_proxy proxy, const char *method, brood_variant args, brood_variant *result, int timeout)
{
    if (result) *result = brood_variant_nil();
    bool list = args.kind == BROOD_VARIANT_LIST;
    int error = 0;
    if (!is_here(proxy))
        error = perform(proxy, method, &args, result, timeout);
    else if (list || args.kind == BROOD_VARIANT_NIL)
        error = perform_here(proxy, method, list ? args.as.items : NULL, list ? args.size : 0, result, timeout);
    else
        error = brood_variant_error(&args) < 0 ? brood_variant_error(&args)
                                               : brood__fail_with(BROOD_EINVAL, "the arguments are no list");
    brood_variant_free(&args);
    return error;
}

/* The same for n arguments in a row, of which only a server wants a list. */
static int calls_with(brood_proxy proxy, const char *method, brood_variant *args, size_t n, brood_variant *result)
{
    if (!is_here(proxy)) return calls(proxy, method, brood_variant_list_of(args, n), result, 0);
    if (result) *result = brood_variant_nil();
    int error = perform_here(proxy, method, args, n, result, 0);
    for (size_t i = 0; i < n; i++) brood_variant_free(&args[i]);
    return error;
}

#define NONE brood_variant_nil()
#define ARGS(...) brood_variant_list(__VA_ARGS__)
#define ROW(...)      \
    (brood_variant[]) \
    {                 \
        __VA_ARGS__   \
    }

int brood_proxy_call(brood_proxy proxy, const char *method, brood_variant args, brood_variant *result, int timeout)
{
    return calls(proxy, method, args, result, timeout);
}

/* A number, from a method that answers one; or a code. */
static int64_t counts(brood_proxy proxy, const char *method, brood_variant args, int timeout)
{
    brood_variant result;
    int64_t number = 0;
    int error = calls(proxy, method, args, &result, timeout);
    if (error == 0) error = brood_variant_get_int(&result, &number);
    brood_variant_free(&result);
    return error < 0 ? error : number;
}

/* 1 or 0, from a method that answers true or false; or a code. */
static int tells(brood_proxy proxy, const char *method, brood_variant args)
{
    brood_variant result;
    bool truth = false;
    int error = calls(proxy, method, args, &result, 0);
    if (error == 0) error = brood_variant_get_bool(&result, &truth);
    brood_variant_free(&result);
    return error < 0 ? error : truth;
}

int brood_manager_get_stats(brood_manager manager, brood_manager_stats *stats)
{
    brood_variant result;
    uint64_t numbers[7] = {0};
    int error = calls((brood_proxy){manager.id, 0}, "stats", NONE, &result, 0);
    for (size_t i = 0; i < 7 && error == 0; i++) {
        const brood_variant *number = brood_variant_at(&result, i);
        error = number ? brood_variant_get_uint(number, &numbers[i]) : BROOD_ECORRUPT;
    }
    brood_variant_free(&result);
    if (error == 0)
        *stats =
            (brood_manager_stats){numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]};
    return error;
}

/* ------------------------------------------------------------------------------------------------------------ proxies */

/* args: what stands behind the type's name, a list or nil. */
int brood_proxy_new(brood_proxy *proxy, brood_manager manager, const char *type, brood_variant args)
{
    brood_variant all = brood_variant_list(type ? type : ""), result;
    int error = brood_variant_error(&all) < 0 ? brood_variant_error(&all) : brood_variant_error(&args);
    if (error == 0 && args.kind != BROOD_VARIANT_LIST && args.kind != BROOD_VARIANT_NIL) error = BROOD_EINVAL;
    while (error == 0 && brood_variant_size(&args)) {
        brood_variant item;
        error = brood_variant_remove(&args, 0, &item);
        if (error == 0) error = brood_variant_append(&all, item);
    }
    brood_variant_free(&args);
    if (error == 0 && manager.id == FAMILY_MANAGER) {
        error = brood__enter();
        if (error == 0) error = brood__collection_new(proxy, type ? type : "", all.as.items + 1, all.size - 1);
        brood_variant_free(&all);
        return error;
    }
    if (error < 0) {
        brood_variant_free(&all);
        return error;
    }
    error = calls((brood_proxy){manager.id, 0}, "create", all, &result, 0);
    if (error == 0 && brood_variant_get_proxy(&result, proxy) < 0) error = BROOD_ECORRUPT;
    brood_variant_free(&result);
    return error;
}

int brood_proxy_hold(brood_proxy proxy)
{
    if (!is_here(proxy)) return calls((brood_proxy){proxy.manager, 0}, "hold", ARGS(proxy), NULL, 0);
    int error = brood__enter();
    return error < 0 ? error : brood__collection_hold(proxy.object);
}

int brood_proxy_free(brood_proxy proxy)
{
    if (!is_here(proxy)) return calls((brood_proxy){proxy.manager, 0}, "drop", ARGS(proxy), NULL, 0);
    int error = brood__enter();
    return error < 0 ? error : brood__collection_free(proxy.object);
}

int brood_manager_dict(brood_manager manager, brood_proxy *dict)
{
    return brood_proxy_new(dict, manager, "dict", NONE);
}

int brood_manager_list(brood_manager manager, brood_proxy *list)
{
    return brood_proxy_new(list, manager, "list", NONE);
}

int brood_manager_namespace(brood_manager manager, brood_proxy *names)
{
    return brood_proxy_new(names, manager, "Namespace", NONE);
}

int brood_manager_queue(brood_manager manager, brood_proxy *queue, size_t max_items)
{
    return brood_proxy_new(queue, manager, "Queue", ARGS((uint64_t)max_items));
}

int brood_manager_joinable_queue(brood_manager manager, brood_proxy *queue, size_t max_items)
{
    return brood_proxy_new(queue, manager, "JoinableQueue", ARGS((uint64_t)max_items));
}

int brood_manager_lock(brood_manager manager, brood_proxy *lock)
{
    return brood_proxy_new(lock, manager, "Lock", NONE);
}

int brood_manager_rlock(brood_manager manager, brood_proxy *lock)
{
    return brood_proxy_new(lock, manager, "RLock", NONE);
}

int brood_manager_semaphore(brood_manager manager, brood_proxy *semaphore, unsigned units)
{
    return brood_proxy_new(semaphore, manager, "Semaphore", ARGS(units));
}

int brood_manager_bounded_semaphore(brood_manager manager, brood_proxy *semaphore, unsigned units)
{
    return brood_proxy_new(semaphore, manager, "BoundedSemaphore", ARGS(units));
}

int brood_manager_condition(brood_manager manager, brood_proxy *condition, const brood_proxy *lock)
{
    return brood_proxy_new(condition, manager, "Condition", lock ? ARGS(*lock) : NONE);
}

int brood_manager_event(brood_manager manager, brood_proxy *event)
{
    return brood_proxy_new(event, manager, "Event", NONE);
}

int brood_manager_barrier(brood_manager manager, brood_proxy *barrier, unsigned parties)
{
    return brood_proxy_new(barrier, manager, "Barrier", ARGS(parties));
}

int brood_manager_value(brood_manager manager, brood_proxy *value, brood_variant initial)
{
    return brood_proxy_new(value, manager, "Value", ARGS(initial));
}

int brood_manager_array(brood_manager manager, brood_proxy *array, brood_variant initial)
{
    return brood_proxy_new(array, manager, "Array", ARGS(initial));
}

/* ------------------------------------------------------------------------------------------------------ dicts, lists */

int brood_dict_get(brood_proxy dict, brood_variant key, brood_variant *value)
{
    return calls_with(dict, "get", ROW(key), 1, value);
}

int brood_dict_set(brood_proxy dict, brood_variant key, brood_variant value)
{
    return calls_with(dict, "set", ROW(key, value), 2, NULL);
}

int brood_dict_delete(brood_proxy dict, brood_variant key)
{
    return calls_with(dict, "delete", ROW(key), 1, NULL);
}

int brood_dict_pop(brood_proxy dict, brood_variant key, brood_variant *value)
{
    return calls_with(dict, "pop", ROW(key), 1, value);
}

int brood_dict_has(brood_proxy dict, brood_variant key)
{
    return tells(dict, "has", ARGS(key));
}

int64_t brood_dict_size(brood_proxy dict)
{
    return counts(dict, "size", NONE, 0);
}

int brood_dict_keys(brood_proxy dict, brood_variant *keys)
{
    return calls(dict, "keys", NONE, keys, 0);
}

int brood_dict_values(brood_proxy dict, brood_variant *values)
{
    return calls(dict, "values", NONE, values, 0);
}

int brood_dict_items(brood_proxy dict, brood_variant *items)
{
    return calls(dict, "items", NONE, items, 0);
}

int brood_dict_copy(brood_proxy dict, brood_variant *map)
{
    return calls(dict, "copy", NONE, map, 0);
}

int brood_dict_update(brood_proxy dict, brood_variant map)
{
    return calls(dict, "update", ARGS(map), NULL, 0);
}

int brood_dict_clear(brood_proxy dict)
{
    return calls(dict, "clear", NONE, NULL, 0);
}

int brood_list_append(brood_proxy list, brood_variant item)
{
    return calls_with(list, "append", ROW(item), 1, NULL);
}

int brood_list_get(brood_proxy list, int64_t index, brood_variant *item)
{
    return calls_with(list, "get", ROW(brood_variant_int(index)), 1, item);
}

int brood_list_set(brood_proxy list, int64_t index, brood_variant item)
{
    return calls_with(list, "set", ROW(brood_variant_int(index), item), 2, NULL);
}

int brood_list_insert(brood_proxy list, int64_t index, brood_variant item)
{
    return calls(list, "insert", ARGS(index, item), NULL, 0);
}

int brood_list_delete(brood_proxy list, int64_t index)
{
    return calls(list, "delete", ARGS(index), NULL, 0);
}

int brood_list_pop(brood_proxy list, int64_t index, brood_variant *item)
{
    return calls_with(list, "pop", ROW(brood_variant_int(index)), 1, item);
}

int brood_list_extend(brood_proxy list, brood_variant items)
{
    return calls(list, "extend", ARGS(items), NULL, 0);
}

int brood_list_slice(brood_proxy list, int64_t from, int64_t to, brood_variant *items)
{
    return calls(list, "slice", ARGS(from, to), items, 0);
}

int64_t brood_list_size(brood_proxy list)
{
    return counts(list, "size", NONE, 0);
}

/* --------------------------------------------------------------------------------------------------------- the others */

int brood_proxy_acquire(brood_proxy proxy, int timeout)
{
    return calls(proxy, "acquire", NONE, NULL, timeout);
}

int brood_proxy_release(brood_proxy proxy)
{
    return calls(proxy, "release", NONE, NULL, 0);
}

/* Of a barrier the answer is a number, of the others nil. */
int brood_proxy_wait(brood_proxy proxy, int timeout)
{
    brood_variant result;
    int64_t number = 0;
    int error = calls(proxy, "wait", NONE, &result, timeout);
    if (error == 0 && result.kind != BROOD_VARIANT_NIL) error = brood_variant_get_int(&result, &number);
    brood_variant_free(&result);
    return error < 0 ? error : (int)number;
}

int brood_proxy_notify(brood_proxy condition, size_t n)
{
    return calls(condition, "notify", ARGS(n > INT_MAX ? (size_t)INT_MAX : n), NULL, 0);
}

int brood_proxy_set(brood_proxy event)
{
    return calls(event, "set", NONE, NULL, 0);
}

int brood_proxy_clear(brood_proxy event)
{
    return calls(event, "clear", NONE, NULL, 0);
}

int brood_proxy_is_set(brood_proxy event)
{
    return tells(event, "is_set", NONE);
}

int brood_proxy_put(brood_proxy queue, brood_variant item, int timeout)
{
    return calls(queue, "put", ARGS(item), NULL, timeout);
}

int brood_proxy_get(brood_proxy queue, brood_variant *item, int timeout)
{
    return calls(queue, "get", NONE, item, timeout);
}

int64_t brood_proxy_size(brood_proxy queue)
{
    return counts(queue, "size", NONE, 0);
}

int brood_proxy_task_done(brood_proxy queue)
{
    return calls(queue, "task_done", NONE, NULL, 0);
}

int brood_proxy_join(brood_proxy queue, int timeout)
{
    return calls(queue, "join", NONE, NULL, timeout);
}

int brood_proxy_load(brood_proxy value, brood_variant *content)
{
    return calls(value, "get", NONE, content, 0);
}

int brood_proxy_store(brood_proxy value, brood_variant content)
{
    return calls(value, "set", ARGS(content), NULL, 0);
}
