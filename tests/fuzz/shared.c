/* SPDX-License-Identifier: MIT */
/*
 * shared.c - handles that nobody made, or that were another's, given to every function of values, arrays, lists, segments
 * and scopes: the answer is a code.  As handles.c: the input is a list of calls, a byte for the function, one for the kind of handle, eight
 * for its value.
 */
#include "arena/member.h"
#include "fuzz.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(bool truth)
{
    if (!truth) abort();
}

enum { VALUE, ARRAY, LIST, SHM, NAMED_LIST, SCOPE, LOCK, TYPES };
static uint64_t ids[TYPES];
static const enum table tables[TYPES] = {TABLE_SHARED, TABLE_SHARED, TABLE_SHARED, TABLE_NAMED,
                                         TABLE_NAMED,  TABLE_SCOPE,  TABLE_LOCK};

/* First of all: in a process that Brood started this call does not return. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 64 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    return 0;
}

/* What was freed is made again. */
static void have_all(void)
{
    brood_element e[3] = {brood_element_text("some text"), brood_element_integer(1), brood_element_none()};
    brood_value_options with_lock = {.lock = true};
    if (!brood__slot_find(TABLE_SHARED, ids[VALUE]))
        require(brood_value_make((brood_value *)&ids[VALUE], 4, BROOD_KIND_SIGNED, &with_lock) == 0);
    if (!brood__slot_find(TABLE_SHARED, ids[ARRAY]))
        require(brood_array_new((brood_array *)&ids[ARRAY], double, 900) == 0);
    if (!brood__slot_find(TABLE_SHARED, ids[LIST]))
        require(brood_shareable_list_new((brood_shareable_list *)&ids[LIST], e, 3, NULL) == 0);
    if (!brood__slot_find(TABLE_NAMED, ids[SHM])) {
        brood_shm_close((brood_shm){ids[SHM]});
        require(brood_shm_create((brood_shm *)&ids[SHM], 100, NULL, NULL) == 0);
    }
    if (!brood__slot_find(TABLE_NAMED, ids[NAMED_LIST])) {
        brood_shm_close((brood_shm){ids[NAMED_LIST]});
        brood_shareable_list_options named = {.named = true};
        require(brood_shareable_list_new((brood_shareable_list *)&ids[NAMED_LIST], e, 3, &named) == 0);
    }
    if (!brood__slot_find(TABLE_SCOPE, ids[SCOPE])) require(brood_scope_begin((brood_scope *)&ids[SCOPE]) == 0);
    if (!brood__slot_find(TABLE_LOCK, ids[LOCK])) require(brood_lock_new((brood_lock *)&ids[LOCK]) == 0);
}

static uint64_t handle(uint8_t kind, uint64_t value)
{
    uint64_t live = ids[kind / 8 % TYPES];
    switch (kind % 8) {
    case 0: return value;
    case 1: return live;
    case 2: return live ^ (value & 0xff) << 8 * (value >> 8 & 7);
    case 3: return HANDLE(tables[value % TYPES], value >> 8 & 15, value >> 16 & 3);
    case 4: return HANDLE(tables[value % TYPES], 0xffffff - (value >> 8 & 0xff), value >> 16 & 3);
    case 5: return live - 1 - (value & 3);
    case 6: return (live & ~UINT64_C(0xffffffff)) | (uint32_t)value;
    default: return HANDLE(tables[value % TYPES], HANDLE_INDEX(live), HANDLE_GENERATION(live));
    }
}

enum { FUNCTIONS = 34 };

/* Whether a handle is live was asked before the call: nothing of this type had it, so the answer is no success. */
static void call(unsigned function, uint64_t id, uint8_t more)
{
    char data[32];
    int64_t now;
    double real;
    int x = more;
    double d = more;
    size_t index = more & 8 ? SIZE_MAX : more & 7, size;
    brood_value value = {id}, made = {0};
    brood_array array = {id};
    brood_shareable_list list = {id};
    brood_shm shm = {id}, other;
    brood_scope scope = {id};
    brood_lock lock;
    brood_element e = brood_element_bytes(data, more % sizeof data);
    bool shared = brood__slot_find(TABLE_SHARED, id) != NULL, named = brood__slot_find(TABLE_NAMED, id) != NULL;
    bool lives = shared;
    int64_t answer = -1;
    memset(data, 'x', sizeof data);
    switch (function) {
    case 0: answer = brood_value_load(value, &x, sizeof x); break;
    case 1: answer = brood_value_store(value, &x, sizeof x); break;
    case 2: answer = brood_value_add(value, more, &now); break;
    case 3: answer = brood_value_add_real(value, more, &real); break;
    case 4: answer = brood_value_at(value, sizeof x) ? 0 : -1; break;
    case 5: answer = brood_value_acquire(value, more & 1); break;
    case 6: answer = brood_value_release(value); break;
    case 7: answer = brood_value_lock(value, &lock); break;
    case 8: answer = brood_value_free(value); break;
    case 9: answer = brood_array_load(array, index, &d, sizeof d); break;
    case 10: answer = brood_array_store(array, index, &d, more & 16 ? sizeof d : 1); break;
    case 11: answer = brood_array_add(array, index, more, &now); break;
    case 12: answer = brood_array_add_real(array, index, more, &real); break;
    case 13: answer = brood_array_at(array, sizeof d) ? 0 : -1; break;
    case 14: answer = brood_array_count(array); break;
    case 15: answer = brood_array_acquire(array, more & 1); break;
    case 16: answer = brood_array_release(array); break;
    case 17: answer = brood_array_lock(array, &lock); break;
    case 18: answer = brood_array_free(array); break;
    case 19: lives |= named, answer = brood_shareable_list_length(list); break;
    case 20: lives |= named, answer = brood_shareable_list_get(list, index, &e, data, more % sizeof data); break;
    case 21: lives |= named, answer = brood_shareable_list_set(list, index, &e); break;
    case 22: lives |= named, answer = brood_shareable_list_count(list, &e); break;
    case 23: lives |= named, answer = brood_shareable_list_index(list, &e); break;
    case 24: lives = named, answer = brood_shareable_list_shm(list, &other); break;
    case 25: lives |= named, answer = brood_shareable_list_free(list); break;
    case 26: lives = named, answer = brood_shm_data(shm, &size) ? 0 : -1; break;
    case 27: lives = named, answer = brood_shm_name(shm, data, sizeof data); break;
    case 28: lives = named, answer = brood_shm_close(shm); break;
    case 29: lives = named, answer = brood_shm_unlink(shm); break;
    case 30: lives = brood__slot_find(TABLE_SCOPE, id) != NULL, answer = brood_scope_end(scope); break;
    case 31:
    case 32:
        lives = brood__slot_find(TABLE_SCOPE, id) != NULL || id == 0;
        answer =
            brood_value_make(&made, more, BROOD_KIND_BYTES, &(brood_value_options){.lock = more & 1, .scope = scope});
        if (answer == 0) require(brood_value_free(made) == 0);
        break;
    case 33: answer = lives ? 0 : -1; break;
    default: abort();
    }
    /* One in a segment may be mapped still when its name is gone: closed then, so that it is known. */
    bool of_names = HANDLE_TABLE(id) == TABLE_NAMED && !lives;
    if (of_names && answer >= 0) brood_shm_close(shm);
    if (!lives && !of_names) require(answer < 0);
    if (answer < 0) require(brood_error_name((int)answer)[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!brood_is_member()) LLVMFuzzerInitialize(NULL, NULL);
    for (size_t calls = 0; size >= 10 && calls < 64; calls++, bytes += 10, size -= 10) {
        uint64_t value;
        have_all();
        memcpy(&value, bytes + 2, sizeof value);
        call(bytes[0] % FUNCTIONS, handle(bytes[1], value), (uint8_t)(value >> 56));
    }
    return 0;
}
