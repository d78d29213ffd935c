/* SPDX-License-Identifier: MIT */
/*
 * memory.c - each allocation of a call on a proxy fails in turn, the linker sending the library's here (--wrap): the call
 * says so, and nothing has changed.
 */
#include "allocations.h"
#include "arena/arena.h"
#include "brood_test.h"

#include <brood/buffer.h>
#include <brood/manager.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; /* allocations until one fails; negative: none does */

static bool allocation_fails(void)
{
    return left >= 0 && left-- == 0;
}

#define NIL brood_variant_nil()
#define LONG "a text that is longer than a word"
enum { LARGE = 300 }; /* no result, and no argument, of that size lies on the stack */

static char large[LARGE + 1];

static brood_variant a_list(void)
{
    return brood_variant_list(1, LONG, brood_variant_map("k", LONG));
}

static void describe(brood_proxy p, const char *all, char *text, size_t size)
{
    brood_variant v;
    brood_test_ok(brood_proxy_call(p, all, NIL, &v, 0));
    ck_assert_uint_lt(brood_variant_format(&v, text, size), size);
    brood_variant_free(&v);
}

static const struct step {
    const char *type, *method;
    int arguments; /* 1: a key or a number; 2: likewise and a value; 3: a list; 4: a map; 5: a new key, and a value */
} steps[] = {
    {"dict", "get", 1},     {"dict", "set", 2},        {"dict", "set", 5},     {"dict", "setdefault", 2},
    {"dict", "pop", 1},     {"dict", "setdefault", 5}, {"dict", "popitem", 0}, {"dict", "keys", 0},
    {"dict", "values", 0},  {"dict", "items", 0},      {"dict", "copy", 0},    {"dict", "update", 4},
    {"dict", "delete", 1},  {"dict", "has", 1},        {"dict", "clear", 0},   {"list", "get", 1},
    {"list", "set", 2},     {"list", "append", 1},     {"list", "extend", 3},  {"list", "insert", 2},
    {"list", "delete", 1},  {"list", "pop", 1},        {"list", "slice", 0},   {"list", "sort", 0},
    {"list", "reverse", 0}, {"list", "index", 1},      {"list", "copy", 0},
};

static brood_variant arguments_of(int kind)
{
    switch (kind) {
    case 1: return brood_variant_list(1);
    case 2: return brood_variant_list(1, large);
    case 3: return brood_variant_list(a_list());
    case 4: return brood_variant_list(brood_variant_map(1, large, "new", LONG));
    case 5: return brood_variant_list(large, large);
    default: return NIL;
    }
}

static brood_proxy an_object(bool dict)
{
    brood_proxy p;
    brood_variant content =
        dict ? brood_variant_map(0, 1, 1, large, 2, a_list()) : brood_variant_list(1, large, a_list());
    brood_test_ok(brood_proxy_new(&p, brood_family(), dict ? "dict" : "list", brood_variant_list(content)));
    return p;
}

START_TEST(each_fails_in_turn)
{
    const struct step *step = &steps[_i];
    bool dict = strcmp(step->type, "dict") == 0, ended = false;
    const char *all = dict ? "items" : "slice";
    static char before[4096], after[4096];
    memset(large, 'x', LARGE);
    for (int n = 0; !ended; n++) {
        brood_proxy p = an_object(dict);
        brood_variant out = brood_v(7);
        describe(p, all, before, sizeof before);
        left = n;
        brood_variant args = arguments_of(step->arguments);
        int code = brood_proxy_call(p, step->method, args, &out, 0);
        ended = left >= 0;
        left = -1;
        if (!ended) {
            ck_assert_int_eq(code, BROOD_ENOMEM);
            ck_assert_int_eq(out.kind, BROOD_VARIANT_NIL);
            describe(p, all, after, sizeof after);
            ck_assert_str_eq(before, after);
        } else {
            brood_test_ok(code);
        }
        brood_variant_free(&out);
        brood_test_ok(brood_proxy_free(p));
        ck_assert_int_lt(n, 100);
    }
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* A get of a queue leaves the item where it is, be it in the ring or in a buffer. */
START_TEST(an_item_stays)
{
    static char text[20000];
    bool ended = false, put = false;
    memset(text, 'x', sizeof text - 1);
    for (int n = 0; !ended; n++) {
        brood_proxy q;
        brood_variant out = brood_v(7);
        brood_test_ok(brood_manager_queue(brood_family(), &q, 0));
        for (int tries = 0; !put; tries++) {
            left = tries;
            int code = brood_proxy_put(q, brood_variant_list(_i ? text : LONG, a_list()), 0);
            put = left >= 0;
            left = -1;
            ck_assert_int_eq(code, put ? 0 : BROOD_ENOMEM);
            ck_assert_int_eq(brood_proxy_size(q), put);
        }
        put = false;
        left = n;
        int code = brood_proxy_get(q, &out, 0);
        ended = left >= 0;
        left = -1;
        ck_assert_int_eq(code, ended ? 0 : BROOD_ENOMEM);
        ck_assert_int_eq(out.kind, ended ? BROOD_VARIANT_LIST : BROOD_VARIANT_NIL);
        ck_assert_int_eq(brood_proxy_size(q), !ended);
        if (!ended) brood_test_ok(brood_proxy_get(q, &out, 0));
        ck_assert_uint_eq(brood_variant_size(&out), 2);
        brood_variant_free(&out);
        brood_test_ok(brood_proxy_free(q));
    }
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* Of the result there is nothing if what goes with it fails: of setdefault the arena is full. */
START_TEST(a_result_of_nothing)
{
    brood_proxy p;
    brood_buffer buffer;
    brood_variant out;
    static char text[20000];
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 3u << 20}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    memset(text, 'x', sizeof text - 1);
    brood_test_ok(brood_manager_dict(brood_family(), &p));
    brood_test_ok(brood_dict_set(p, brood_v(1), brood_v(2)));
    while (brood_buffer_new(&buffer, 1, NULL) == 0) {}
    int code = brood_proxy_call(p, "setdefault", brood_variant_list("new", text), &out, 0);
    ck_assert_int_eq(code, BROOD_EARENA);
    ck_assert_int_eq(out.kind, BROOD_VARIANT_NIL);
    ck_assert_int_eq(brood_dict_has(p, brood_v("new")), 0);
}
END_TEST

/* Making one, of the family's and of a server's. */
START_TEST(making_fails_too)
{
    static const char *const types[] = {"dict", "Namespace", "list", "Array", "Value"};
    brood_manager manager = brood_family();
    bool ended = false;
    if (_i % 2) brood_test_ok(brood_manager_new(&manager, NULL));
    memset(large, 'x', LARGE);
    for (int n = 0; !ended; n++) {
        brood_proxy p = {0};
        const char *type = types[_i / 2];
        left = n;
        brood_variant args = _i / 2 == 0  ? brood_variant_nil()
                             : _i / 2 < 2 ? brood_variant_list(brood_variant_map("k", large))
                             : _i / 2 < 4 ? brood_variant_list(brood_variant_list(1, large))
                                          : brood_variant_list(large);
        int code = brood_proxy_new(&p, manager, type, args);
        ended = left >= 0;
        left = -1;
        if (ended)
            brood_test_ok(code);
        else
            ck_assert_int_eq(code, BROOD_ENOMEM);
        if (code == 0) brood_test_ok(brood_proxy_free(p));
        if (_i % 2) brood_test_ok(brood_manager_disconnect(manager));
        ck_assert_int_lt(n, 100);
    }
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *all = brood_test_case(suite, "all");
    tcase_add_loop_test(all, each_fails_in_turn, 0, (int)(sizeof steps / sizeof *steps));
    tcase_add_test(all, a_result_of_nothing);
    tcase_add_loop_test(all, an_item_stays, 0, 2);
    tcase_add_loop_test(all, making_fails_too, 0, 10);
    return suite;
}

BROOD_TEST_MAIN(memory_suite)
