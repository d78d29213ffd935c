/* SPDX-License-Identifier: MIT */
/*
 * collection.c - any words in the memory of a dict and of a list of the family's own: calls on them are codes, come to an
 * end, and touch nothing else.
 *
 * The input is a list of words and calls, 12 bytes each.  What lies before and behind them in the arena is as it was.
 */
#include "manager/collection.h"
#include "fuzz.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 5, ROWS = 20 }; /* the even ones are neighbours */
static brood_proxy objects[OBJECTS];

static void require(bool truth)
{
    if (!truth) abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 16 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    return 0;
}

static void furnish(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        const char *type = i == 1 ? "dict" : "list";
        require(brood_proxy_new(&objects[i], brood_family(), type, brood_variant_nil()) == 0);
        for (int n = 0; n < ROWS; n++) {
            brood_variant v = n % 2 ? brood_v("a text that is longer than a word") : brood_v(n);
            require((i == 1 ? brood_dict_set(objects[i], brood_v(n), v) : brood_list_append(objects[i], v)) == 0);
        }
    }
}

static struct collection_shm *at(int i)
{
    return (struct collection_shm *)(void *)brood__slot_at(TABLE_COLLECTION, HANDLE_INDEX(objects[i].object));
}

/* A word of the body, mostly of its head, or of what the slot says of it. */
static void spoil(int i, uint8_t how, uint16_t place, uint64_t value)
{
    struct collection_shm *c = at(i);
    size_t width = how & 1 ? 4 : 8, words = (size_t)brood__pages_size(&c->slot) / width;
    if (!words) return;
    if (how % 16 == 15)
        atomic_store(&c->kind, (uint32_t)(value % 8));
    else
        memcpy((char *)brood__body(c) + (how & 2 ? place % (64 / width) : place % words) * width, &value, width);
    if (how % 8 == 6) atomic_fetch_or(&c->latch.word, OS_OWNER_DIED);
}

static void call(int i, uint8_t which, uint64_t value)
{
    static const char *const names[] = {"get",    "set",   "setdefault", "pop",     "popitem", "delete",
                                        "has",    "keys",  "values",     "items",   "copy",    "size",
                                        "update", "clear", "sort",       "reverse", "append",  "extend",
                                        "insert", "slice", "index",      "count",   "remove"};
    brood_variant out, args = brood_variant_nil();
    brood_variant long_one = brood_v("another text, longer than that which was there");
    int64_t number = (int64_t)(value % 40) - 8;
    switch (value >> 8 & 3) {
    case 0: args = brood_variant_list(number); break;
    case 1: args = brood_variant_list(number, brood_variant_copy(&long_one)); break;
    case 2: args = brood_variant_list(brood_variant_map(number, brood_variant_copy(&long_one), "n", 1)); break;
    default: break;
    }
    brood_variant_free(&long_one);
    int code = brood_proxy_call(objects[i], names[which % (sizeof names / sizeof *names)], args, &out, 0);
    require(code <= 0 && code != BROOD_ESTALE && code != BROOD_ECLOSED);
    require(code == 0 || out.kind == BROOD_VARIANT_NIL);
    brood_variant_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    furnish();
    for (; size >= 12; bytes += 12, size -= 12) {
        uint64_t value;
        uint16_t place;
        memcpy(&place, bytes + 2, sizeof place);
        memcpy(&value, bytes + 4, sizeof value);
        int object = bytes[0] & 1 ? 1 : 3;
        if (bytes[0] & 2)
            spoil(object, bytes[1], place, bytes[0] & 4 ? value % 64 : value);
        else
            call(object, bytes[1], value);
    }
    for (int i = 0; i < OBJECTS; i += 2) {
        brood_variant all;
        require(brood_list_slice(objects[i], 0, INT64_MAX, &all) == 0 && brood_variant_size(&all) == ROWS);
        brood_variant_free(&all);
    }
    for (int i = 0; i < OBJECTS; i++) require(brood_proxy_free(objects[i]) == 0);
    require(brood__pages_check() == 0);
    return 0;
}
