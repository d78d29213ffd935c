/* SPDX-License-Identifier: MIT */
/*
 * proxies.c - managers and proxies that nobody made, or that are of another type, given to every function that takes
 * one: the answer is a code, and the server goes on.
 *
 * The input is a list of calls: a byte for the function, one for the kind of handle, eight for its value.  Timeouts are 0
 * or 1 ms, so nothing waits.
 */
#include "arena/arena.h"
#include "fuzz.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>

enum { TYPES = 21, OF_SERVER = 14, FUNCTIONS = 64 }; /* the rest are the family's own */
static brood_manager manager;
static brood_proxy proxies[TYPES];

static void require(bool truth)
{
    if (!truth) abort();
}

/* First of all: in a process that Brood started this call does not return. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 64 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    return 0;
}

static BROOD_VARIANT_TASK(nothing, args, result)
{
    (void)args;
    (void)result;
    return 0;
}

static void have_all(void)
{
    static const char *const types[TYPES] = {
        "dict",      "list",  "Namespace", "Queue", "JoinableQueue", "Lock",    "RLock", "BoundedSemaphore",
        "Condition", "Event", "Semaphore", "Value", "Array",         "Barrier", "dict",  "list",
        "Namespace", "Value", "Array",     "Queue", "JoinableQueue"};
    if (!manager.id) require(brood_manager_new(&manager, &(brood_manager_options){.max_memory = 4 << 20}) == 0);
    for (int i = 0; i < TYPES; i++) {
        brood_variant nothing = brood_variant_nil();
        if (proxies[i].manager && brood_proxy_call(proxies[i], "no such method", nothing, NULL, 0) != BROOD_ESTALE)
            continue;
        bool array = i == 12 || i == 18, number = (i > 10 && i < OF_SERVER) || i == 17;
        require(brood_proxy_new(&proxies[i], i < OF_SERVER ? manager : brood_family(), types[i],
                                array    ? brood_variant_list(brood_variant_list(1, 2))
                                : number ? brood_variant_list(2)
                                         : nothing) == 0);
    }
}

static brood_proxy handle(uint8_t kind, uint64_t value)
{
    brood_proxy live = proxies[kind / 8 % TYPES];
    switch (kind % 8) {
    case 0: return (brood_proxy){value, live.object};
    case 1: return (brood_proxy){live.manager, value};
    case 2: return (brood_proxy){live.manager ^ (value & 0xff) << 8 * (value >> 8 & 7), live.object};
    case 3: return (brood_proxy){live.manager, live.object ^ (value & 0xff) << 8 * (value >> 8 & 7)};
    case 4: return (brood_proxy){HANDLE(value & 31, value >> 8 & 15, value >> 16 & 3), live.object};
    default: return live;
    }
}

/* With a manager that nobody made, and of an object that the family has not, no call is a success. */
static void wants(bool there, int64_t result)
{
    if (!there) require(result < 0);
    if (result < 0) require(brood_error_name((int)result)[0] != 0);
    require(result != BROOD_ELOST && result != BROOD_ECORRUPT);
}

static void call(unsigned function, brood_proxy p, uint8_t more)
{
    int timeout = more & 1;
    int64_t index = (int64_t)more - 128;
    brood_variant out = brood_variant_nil(), key = brood_v(more & 7);
    brood_variant value = more & 64 ? brood_v(proxies[more % TYPES]) : brood_variant_list("value", more);
    brood_manager m = {p.manager};
    brood_manager_stats stats;
    brood_proxy fresh = {0, 0};
    char text[64];
    int64_t result = 0;
    bool took_key = false, took_value = false, family = m.id == brood_family().id;
    bool there = m.id == manager.id ||
                 (family && (brood__slot_find(TABLE_COLLECTION, p.object) || brood__slot_find(TABLE_QUEUE, p.object)));
    switch (function) {
#define KEY (took_key = true, key)
#define VALUE (took_value = true, value)
    case 0: result = brood_dict_get(p, KEY, &out); break;
    case 1: result = brood_dict_set(p, KEY, VALUE); break;
    case 2: result = brood_dict_delete(p, KEY); break;
    case 3: result = brood_dict_pop(p, KEY, &out); break;
    case 4: result = brood_dict_has(p, KEY); break;
    case 5: result = brood_dict_size(p); break;
    case 6: result = brood_dict_keys(p, &out); break;
    case 7: result = brood_dict_values(p, &out); break;
    case 8: result = brood_dict_items(p, &out); break;
    case 9: result = brood_dict_copy(p, &out); break;
    case 10: result = brood_dict_update(p, VALUE); break;
    case 11: result = brood_dict_clear(p); break;
    case 12: result = brood_list_append(p, VALUE); break;
    case 13: result = brood_list_get(p, index, &out); break;
    case 14: result = brood_list_set(p, index, VALUE); break;
    case 15: result = brood_list_insert(p, index, VALUE); break;
    case 16: result = brood_list_delete(p, index); break;
    case 17: result = brood_list_pop(p, index, &out); break;
    case 18: result = brood_list_extend(p, VALUE); break;
    case 19: result = brood_list_slice(p, index, -index, &out); break;
    case 20: result = brood_list_size(p); break;
    case 21: result = brood_proxy_acquire(p, timeout); break;
    case 22: result = brood_proxy_release(p); break;
    case 23: result = brood_proxy_wait(p, timeout); break;
    case 24: result = brood_proxy_notify(p, more); break;
    case 25: result = brood_proxy_set(p); break;
    case 26: result = brood_proxy_clear(p); break;
    case 27: result = brood_proxy_is_set(p); break;
    case 28: result = brood_proxy_put(p, VALUE, timeout); break;
    case 29: result = brood_proxy_get(p, &out, timeout); break;
    case 30: result = brood_proxy_size(p); break;
    case 31: result = brood_proxy_task_done(p); break;
    case 32: result = brood_proxy_join(p, timeout); break;
    case 33: result = brood_proxy_load(p, &out); break;
    case 34: result = brood_proxy_store(p, VALUE); break;
    case 35: result = brood_proxy_hold(p); break;
    case 36: result = brood_proxy_free(p); break;
    case 37: result = brood_proxy_call(p, "sort", VALUE, &out, timeout); break;
    case 38: result = brood_manager_get_stats(m, &stats); break;
    case 39: result = brood_manager_address(m, text, sizeof text); break;
    case 40: result = brood_manager_lock(m, &fresh); break;
    case 41: result = brood_manager_condition(m, &fresh, &p); break;
    case 42: result = brood_manager_barrier(m, &fresh, more); break;
    case 43: result = brood_manager_array(m, &fresh, VALUE); break;
    case 44: result = brood_manager_value(m, &fresh, VALUE); break;
    case 45: result = brood_manager_semaphore(m, &fresh, more); break;
    case 46: result = m.id == manager.id ? 0 : brood_manager_free(m); break;
    case 47: result = m.id == manager.id ? 0 : brood_manager_pool(m, &fresh, more); break;
    case 48: result = brood_proxy_apply(p, nothing, VALUE, &out, timeout); break;
    case 49: result = brood_proxy_map(p, nothing, VALUE, &out, timeout); break;
    case 50: result = brood_proxy_starmap(p, nothing, VALUE, &out, timeout); break;
    case 51: result = brood_proxy_apply_async(p, &fresh, nothing, VALUE); break;
    case 52: result = brood_proxy_map_async(p, &fresh, nothing, VALUE); break;
    case 53: result = brood_proxy_starmap_async(p, &fresh, nothing, VALUE); break;
    case 54: result = brood_proxy_imap(p, &fresh, nothing, VALUE); break;
    case 55: result = brood_proxy_imap_unordered(p, &fresh, nothing, VALUE); break;
    case 56: result = brood_proxy_next(p, &out, timeout); break;
    case 57: result = brood_proxy_ready(p); break;
    case 58: result = brood_proxy_successful(p); break;
    case 59: result = brood_proxy_close(p); break;
    case 60: result = brood_proxy_terminate(p); break;
    case 61: result = brood_proxy_get(p, &out, timeout); break;
    case 62: result = brood_proxy_wait(p, timeout); break;
    case 63: result = brood_proxy_join(p, timeout); break;
    default: break;
    }
    if (function == 43 || function == 44) there |= family;
    if ((function != 46 && function != 47) || p.manager != manager.id) wants(there, result);
    if (fresh.manager) require(brood_proxy_free(fresh) == 0);
    if (!took_key) brood_variant_free(&key);
    if (!took_value) brood_variant_free(&value);
    brood_variant_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    have_all();
    for (; size >= 10; bytes += 10, size -= 10) {
        uint64_t value;
        memcpy(&value, bytes + 2, sizeof value);
        call(bytes[0] % FUNCTIONS, handle(bytes[1], value), bytes[9]);
    }
    return 0;
}
