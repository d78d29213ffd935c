/* SPDX-License-Identifier: MIT */
/*
 * collection.c - dicts, lists and the like without a server: they answer as a server's do, whatever is asked in whatever
 * order; members share them, and what the dead had goes.
 */
#include "manager/collection.h"
#include "manager/hash.h"
#include "members.h"
#include "says.h"

#include <brood/manager.h>

#define NIL brood_variant_nil()

/* CPython's hash of bytes is this one, and PYTHONHASHSEED=0 makes its secret zeroes. */
START_TEST(the_hash_is_cpythons)
{
    static const struct {
        const char *bytes;
        uint64_t hash;
    } known[] = {{"a", 0x407448d2b89b1813},
                 {"abcdefg", 0x6db12aae9070f506},
                 {"abcdefgh", 0x3f7b849c0b8e35ea},
                 {"The quick brown fox jumps", 0x9e719c78716a132b}};
    const uint64_t zeroes[2] = {0};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        ck_assert(brood__siphash(zeroes, known[i].bytes, strlen(known[i].bytes)) == known[i].hash);
}
END_TEST

START_TEST(a_dict)
{
    brood_proxy d;
    brood_variant out;
    brood_test_ok(brood_manager_dict(brood_family(), &d));
    ck_assert_int_eq(brood_dict_size(d), 0);
    brood_test_ok(brood_dict_set(d, brood_v("b"), brood_v(2)));
    brood_test_ok(brood_dict_set(d, brood_v("a"), brood_variant_list(1, "x")));
    brood_test_ok(brood_dict_set(d, brood_v(1), brood_v("int")));
    brood_test_ok(brood_dict_set(d, brood_v(1.0), brood_v("float, which is another key")));
    brood_test_ok(brood_dict_set(d, brood_v("b"), brood_v(3)));
    ck_assert_int_eq(brood_dict_size(d), 4);
    SAYS("3", brood_dict_get(d, brood_v("b"), &out));
    SAYS("[1, \"x\"]", brood_dict_get(d, brood_v("a"), &out));
    SAYS("[\"b\", \"a\", 1, 1.0]", brood_dict_keys(d, &out));
    brood_variant none = brood_v(7);
    ck_assert_int_eq(brood_dict_get(d, brood_v("c"), &none), BROOD_EMISSING);
    ck_assert_str_eq(brood_error_detail(), "there is no such key");
    ck_assert_int_eq(none.kind, BROOD_VARIANT_NIL);
    ck_assert_int_eq(brood_dict_has(d, brood_v("a")), 1);
    ck_assert_int_eq(brood_dict_has(d, brood_v("c")), 0);
    ck_assert_int_eq(brood_proxy_call(d, "fly", NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "a dict has no method fly");
    ck_assert_int_eq(brood_proxy_call(d, "get", brood_variant_list(1, 2, 3), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(d, "get", brood_v(1), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(d, NULL, NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_dict_set(d, brood_v("\xff"), NIL), BROOD_EINVAL);
    brood_test_ok(brood_proxy_free(d));
    ck_assert_int_eq(brood_dict_size(d), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_free(d), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_hold(d), BROOD_ESTALE);
    ck_assert_int_eq(brood_manager_lock(brood_family(), &d), BROOD_EINVAL);
    ck_assert_int_eq(brood_manager_free(brood_family()), BROOD_ESTALE);
    ck_assert_int_eq(brood_manager_dict((brood_manager){0}, &d), BROOD_ESTALE);
}
END_TEST

/* --------------------------------------------------------------------------------------- the same as a server's */

#define TYPES 5
static const char *const types[TYPES] = {"dict", "Namespace", "list", "Array", "Value"};

static uint64_t state;
static uint64_t below(uint64_t n)
{
    return (members_random(&state) >> 11) % n;
}

static brood_variant a_value(void)
{
    char bytes[300];
    size_t size = below(10) ? below(20) : below(sizeof bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)('a' + below(26));
    switch (below(8)) {
    case 0: return brood_variant_int((int64_t)below(200) - 100);
    case 1: return brood_variant_float((double)below(1000) / 7);
    case 2: return brood_variant_bool(below(2));
    case 3: return NIL;
    case 4: return brood_variant_bytes(bytes, size);
    case 5: return brood_variant_list((int64_t)below(9), brood_variant_text_of(bytes, size));
    case 6: return brood_variant_map("k", brood_variant_text_of(bytes, size));
    default: return brood_variant_text_of(bytes, size);
    }
}

static brood_variant a_key(bool any)
{
    static const char *const texts[] = {"a", "b", "seven77", "eight888", "a name that is longer than a word", ""};
    if (any && below(3) == 0) return brood_variant_int((int64_t)below(40));
    if (any && below(20) == 0) return brood_variant_list((int64_t)below(4), "x");
    return brood_v(texts[below(6)]);
}

static brood_variant a_map(void)
{
    brood_variant v = brood_variant_map_of(NULL, 0);
    for (uint64_t n = below(60); n > 0; n--) ck_assert_int_eq(brood_variant_put(&v, a_key(below(9) > 0), a_value()), 0);
    return v;
}

static brood_variant a_list(void)
{
    brood_variant v = brood_variant_list_of(NULL, 0);
    for (uint64_t n = below(20); n > 0; n--) ck_assert_int_eq(brood_variant_append(&v, a_value()), 0);
    return v;
}

static brood_variant an_index(void)
{
    return below(30) ? brood_variant_int((int64_t)below(60) - 30) : a_value();
}

static const char *a_call_of_a_dict(brood_variant *args)
{
    static const char *const plain[] = {"keys", "values", "items", "copy", "size", "popitem"};
    *args = NIL;
    switch (below(12)) {
    case 0: return plain[below(6)];
    case 1: *args = brood_variant_list(a_map()); return "update";
    case 2: return below(8) ? "popitem" : "clear";
    case 3: *args = brood_variant_list(a_key(true), a_value()); return "setdefault";
    case 4: *args = brood_variant_list(a_key(true)); return "delete";
    case 5: *args = below(2) ? brood_variant_list(a_key(true)) : brood_variant_list(a_key(true), 7); return "pop";
    case 6: *args = brood_variant_list(a_key(true)); return "has";
    case 7: *args = below(2) ? brood_variant_list(a_key(true)) : brood_variant_list(a_key(true), 7); return "get";
    case 8: *args = brood_variant_list(a_value()); return "update";
    default: *args = brood_variant_list(a_key(true), a_value()); return "set";
    }
}

static const char *a_call_of_a_list(brood_variant *args)
{
    static const char *const plain[] = {"sort", "reverse", "size", "copy", "pop", "slice"};
    *args = NIL;
    switch (below(14)) {
    case 0:
    case 1: return plain[below(6)];
    case 2: *args = brood_variant_list(a_list()); return "extend";
    case 3: return below(9) ? "size" : "clear";
    case 4: *args = brood_variant_list(an_index()); return "delete";
    case 5: *args = brood_variant_list(an_index()); return "pop";
    case 6: *args = brood_variant_list(an_index(), a_value()); return "insert";
    case 7: *args = brood_variant_list(an_index(), an_index()); return "slice";
    case 8: *args = brood_variant_list(a_value()); return "index";
    case 9: *args = brood_variant_list(a_value()); return "count";
    case 10: *args = brood_variant_list(a_value()); return "remove";
    case 11: *args = brood_variant_list(an_index()); return "get";
    case 12: *args = brood_variant_list(an_index(), a_value()); return "set";
    default: *args = brood_variant_list(a_value()); return "append";
    }
}

static const char *a_call_of_a_value(brood_variant *args)
{
    bool set = below(2);
    *args = set ? brood_variant_list(a_value()) : NIL;
    return set ? "set" : "get";
}

/* Any call of any order: the same answers, code, detail and value, and the same content at the end. */
START_TEST(as_a_servers)
{
    brood_manager m;
    brood_proxy server, here;
    brood_test_ok(brood_manager_new(&m, NULL));
    state = 88172645463325252u + (uint64_t)_i;
    int kind = _i % TYPES;
    brood_variant first = kind < 2    ? NIL
                          : kind == 2 ? a_list()
                          : kind == 3 ? brood_variant_list(1, "two", 3.5, NIL)
                                      : a_value();
    brood_variant args = kind < 2 ? NIL : brood_variant_list(brood_variant_copy(&first));
    brood_test_ok(brood_proxy_new(&server, m, types[kind], brood_variant_copy(&args)));
    brood_test_ok(brood_proxy_new(&here, brood_family(), types[kind], args));
    brood_variant_free(&first);
    for (int i = 0; i < 3000; i++) {
        brood_variant out, other;
        char detail[512], name[32];
        snprintf(name, sizeof name, "%s",
                 kind < 2   ? a_call_of_a_dict(&args)
                 : kind < 4 ? a_call_of_a_list(&args)
                            : a_call_of_a_value(&args));
        int code = brood_proxy_call(server, name, brood_variant_copy(&args), &out, 0);
        snprintf(detail, sizeof detail, "%s", brood_error_detail());
        ck_assert_int_eq(brood_proxy_call(here, name, args, &other, 0), code);
        if (code == BROOD_EMISSING) ck_assert_str_eq(brood_error_detail(), detail);
        const char *expected = text_of(&out);
        ck_assert_str_eq(text_of(&other), expected);
    }
    const char *all = kind < 2 ? "items" : kind < 4 ? "slice" : "get";
    brood_variant out, other;
    brood_test_ok(brood_proxy_call(server, all, NIL, &out, 0));
    brood_test_ok(brood_proxy_call(here, all, NIL, &other, 0));
    const char *expected = text_of(&out);
    ck_assert_str_eq(text_of(&other), expected);
    brood_test_ok(brood_proxy_free(here));
    ck_assert_int_eq(brood__pages_check(), 0);
    brood_test_ok(brood_manager_free(m));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- memory */

static size_t used(void)
{
    size_t bytes;
    brood_test_ok(brood_arena_usage(&bytes, NULL));
    return bytes;
}

START_TEST(large_and_small_again)
{
    enum { MANY = 20000 };
    brood_proxy d, l;
    brood_variant out;
    size_t before = used();
    brood_test_ok(brood_manager_dict(brood_family(), &d));
    brood_test_ok(brood_manager_list(brood_family(), &l));
    for (int i = 0; i < MANY; i++) {
        brood_test_ok(brood_dict_set(d, brood_v(i), brood_v("some text, not the shortest")));
        brood_test_ok(brood_list_append(l, brood_v(i)));
    }
    size_t most = used();
    ck_assert_int_eq(brood_dict_size(d), MANY);
    ck_assert_int_eq(brood_list_size(l), MANY);
    for (int i = 0; i < MANY; i++)
        brood_test_ok(brood_dict_set(d, brood_v(i), brood_v("another text, of that length")));
    ck_assert_uint_le(used(), 3 * most);
    for (int i = 0; i < MANY - 10; i++) {
        brood_test_ok(brood_dict_delete(d, brood_v(i)));
        brood_test_ok(brood_list_pop(l, -1, &out));
    }
    ck_assert_uint_le(used() - before, 64 << 10);
    SAYS("\"another text, of that length\"", brood_dict_get(d, brood_v(MANY - 1), &out));
    SAYS("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", brood_list_slice(l, 0, INT64_MAX, &out));
    char big[100000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 20; i++)
        brood_test_ok(brood_dict_set(d, brood_v("big"), brood_variant_text_of(big, sizeof big)));
    brood_test_ok(brood_dict_pop(d, brood_v("big"), &out));
    ck_assert_uint_eq(brood_variant_size(&out), sizeof big);
    brood_variant_free(&out);
    brood_test_ok(brood_dict_clear(d));
    ck_assert_uint_le(used() - before, 64 << 10);
    brood_test_ok(brood_proxy_free(d));
    brood_test_ok(brood_proxy_free(l));
    ck_assert_uint_eq(used(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(a_full_arena)
{
    brood_proxy d, l;
    brood_variant out;
    char text[20000];
    int n = 0, code;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 3u << 20}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    memset(text, 'x', sizeof text);
    brood_test_ok(brood_manager_dict(brood_family(), &d));
    brood_test_ok(brood_manager_list(brood_family(), &l));
    brood_test_ok(brood_dict_set(d, brood_v("x"), brood_v(1)));
    while ((code = brood_list_append(l, brood_variant_text_of(text, sizeof text))) == 0) n++;
    ck_assert_int_eq(code, BROOD_EARENA);
    ck_assert_int_gt(n, 10);
    ck_assert_int_eq(brood_list_size(l), n);
    ck_assert_int_eq(brood_list_insert(l, 0, brood_variant_text_of(text, sizeof text)), BROOD_EARENA);
    while ((code = brood_dict_set(d, brood_v(n), brood_variant_text_of(text, 3000))) == 0) n++;
    ck_assert_int_eq(code, BROOD_EARENA);
    brood_variant map = brood_variant_map("x", 2);
    for (int i = 0; i < 3000; i++) brood_variant_put(&map, brood_v(-i), brood_v("a text of some length"));
    ck_assert_int_eq(brood_dict_update(d, map), BROOD_EARENA);
    SAYS("1", brood_dict_get(d, brood_v("x"), &out));
    brood_test_ok(brood_dict_set(d, brood_v("x"), brood_v(5))); /* which takes no memory */
    brood_test_ok(brood_proxy_free(l));
    brood_test_ok(brood_dict_set(d, brood_v(n), brood_variant_text_of(text, sizeof text)));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ members */

enum { MEMBERS = 3, SETS = 300 };
struct shared {
    brood_proxy dict, list;
    int number;
};

static BROOD_TASK(fills, int, struct shared, s)
{
    for (int i = 0; i < SETS; i++) {
        MUST(brood_dict_set(s.dict, brood_v(s.number * SETS + i), brood_v(i)) == 0);
        MUST(brood_dict_set(s.dict, brood_v("last"), brood_v(s.number)) == 0);
        MUST(brood_list_append(s.list, brood_v(s.number)) == 0);
    }
    return 0;
}

START_TEST(members_share_it)
{
    struct shared s;
    brood_process processes[MEMBERS];
    brood_variant out;
    brood_test_ok(brood_manager_dict(brood_family(), &s.dict));
    brood_test_ok(brood_manager_list(brood_family(), &s.list));
    for (s.number = 0; s.number < MEMBERS; s.number++)
        members_start(&processes[s.number], members_methods[_i], fills, &s);
    for (int i = 0; i < MEMBERS; i++) members_end(processes[i], 0);
    ck_assert_int_eq(brood_dict_size(s.dict), MEMBERS * SETS + 1);
    ck_assert_int_eq(brood_list_size(s.list), MEMBERS * SETS);
    for (int i = 0; i < MEMBERS * SETS; i++) {
        int64_t value = -1;
        brood_test_ok(brood_dict_get(s.dict, brood_v(i), &out));
        ck_assert_int_eq(brood_variant_get_int(&out, &value), 0);
        ck_assert_int_eq(value, i % SETS);
    }
    for (int i = 0; i < MEMBERS; i++) {
        brood_test_ok(brood_proxy_call(s.list, "count", brood_variant_list(i), &out, 0));
        ck_assert_str_eq(text_of(&out), "300");
    }
}
END_TEST

static BROOD_TASK(makes, int, struct shared, s)
{
    brood_proxy kept, lost;
    MUST(brood_manager_list(brood_family(), &kept) == 0);
    MUST(brood_manager_list(brood_family(), &lost) == 0);
    MUST(brood_list_append(kept, brood_v("here")) == 0);
    MUST(brood_list_append(lost, brood_v("a text that is long enough to need a page")) == 0);
    MUST(brood_proxy_hold(kept) == 0);
    MUST(brood_proxy_hold(kept) == 0);
    MUST(brood_dict_set(s.dict, brood_v("kept"), brood_v(kept)) == 0);
    MUST(brood_dict_set(s.dict, brood_v("lost"), brood_v(lost)) == 0);
    return 0;
}

START_TEST(what_the_dead_had_goes)
{
    struct shared s = {.number = 0};
    brood_process process;
    brood_proxy kept, lost;
    brood_variant out;
    brood_test_ok(brood_manager_dict(brood_family(), &s.dict));
    members_start(&process, members_methods[_i], makes, &s);
    int code;
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 0);
    members_repaired(HANDLE_INDEX(process.id));
    brood_test_ok(brood_process_free(process));
    brood_test_ok(brood_dict_get(s.dict, brood_v("kept"), &out));
    brood_test_ok(brood_variant_get_proxy(&out, &kept));
    brood_test_ok(brood_dict_get(s.dict, brood_v("lost"), &out));
    brood_test_ok(brood_variant_get_proxy(&out, &lost));
    ck_assert_int_eq(brood_list_size(kept), 1);
    ck_assert_int_eq(brood_list_size(lost), BROOD_ECLOSED);
    brood_test_ok(brood_proxy_free(kept));
    ck_assert_int_eq(brood_list_size(kept), BROOD_ESTALE);
    brood_proxy many[A_TABLE];
    for (int i = 0; i < A_TABLE; i++) brood_test_ok(brood_manager_list(brood_family(), &many[i]));
    ck_assert_int_eq(brood_list_size(lost), BROOD_ESTALE);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static BROOD_TASK(fills_the_arena, int, brood_proxy, list)
{
    static char text[20000];
    brood_proxy mine;
    int code = 0;
    memset(text, 'x', sizeof text - 1);
    while (code == 0) {
        MUST(brood_manager_list(brood_family(), &mine) == 0);
        code = brood_list_append(mine, brood_v(text));
    }
    MUST(code == BROOD_EARENA);
    MUST(brood_list_append(list, brood_v(text)) == BROOD_EARENA);
    return 0;
}

/* What grows finds the memory that the dead had, also where nobody has claimed it yet. */
START_TEST(the_deads_memory)
{
    static char text[20000];
    brood_proxy list;
    brood_process process;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 3u << 20}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    memset(text, 'x', sizeof text - 1);
    brood_test_ok(brood_manager_list(brood_family(), &list));
    members_start(&process, members_methods[_i], fills_the_arena, &list);
    int code;
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 0);
    members_repaired(HANDLE_INDEX(process.id));
    brood_test_ok(brood_list_append(list, brood_v(text)));
    ck_assert_int_eq(brood_list_size(list), 1);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(handles_that_nobody_made)
{
    brood_proxy d;
    uint64_t seed = 1, ids[MEMBERS_TYPES];
    brood_test_ok(brood_manager_dict(brood_family(), &d));
    for (int i = 0; i < FORGERIES; i++) {
        brood_proxy forged = {d.manager, members_forged(TABLE_COLLECTION, i, &seed)};
        ck_assert_int_eq(brood_dict_set(forged, brood_v(1), brood_v(2)), BROOD_ESTALE);
        ck_assert_int_eq(brood_list_size(forged), BROOD_ESTALE);
        ck_assert_int_eq(brood_proxy_free(forged), BROOD_ESTALE);
        ck_assert_int_eq(brood_proxy_hold(forged), BROOD_ESTALE);
    }
    members_one_of_each(ids);
    for (int i = 0; i < MEMBERS_TYPES; i++) /* of a queue it is a proxy */
        ck_assert_int_eq(brood_dict_size((brood_proxy){d.manager, ids[i]}),
                         HANDLE_TABLE(ids[i]) == TABLE_QUEUE ? 0 : BROOD_ESTALE);
    ck_assert_int_eq(brood_dict_size((brood_proxy){0, d.object}), BROOD_ESTALE);
    ck_assert_int_eq(brood_dict_size((brood_proxy){d.object, d.object}), BROOD_ESTALE);
    ck_assert_int_eq(brood_dict_size(d), 0);
}
END_TEST

/* As in a signal handler that interrupted a call on the same object, which is one of this thread's own latch. */
START_TEST(inside_a_call)
{
    brood_proxy d, other;
    brood_variant out;
    uint32_t seen;
    brood_test_ok(brood_manager_dict(brood_family(), &d));
    brood_test_ok(brood_manager_dict(brood_family(), &other));
    brood_test_ok(brood_dict_set(d, brood_v(1), brood_v(2)));
    struct collection_shm *c = brood__slot_find(TABLE_COLLECTION, d.object);
    void *announced = brood__os_announce(&c->latch);
    ck_assert(brood__latch_try(&c->latch.word, &seen));
    ck_assert_int_eq(brood_dict_get(d, brood_v(1), &out), BROOD_EDEADLK);
    ck_assert_int_eq(brood_dict_set(d, brood_v(1), brood_v(3)), BROOD_EDEADLK);
    brood_test_ok(brood_dict_set(other, brood_v(1), brood_v(3)));
    brood_test_ok(brood_proxy_free(other));
    brood_test_ok(brood_proxy_free(d)); /* and taken apart later */
    ck_assert_int_eq(brood_dict_get(d, brood_v(1), &out), BROOD_ESTALE);
    ck_assert(c->slot.body != 0);
    brood__latch_release(&c->latch.word, 0);
    brood__os_announce(announced);
    brood_proxy many[A_TABLE];
    for (int i = 0; i < A_TABLE; i++) brood_test_ok(brood_manager_list(brood_family(), &many[i]));
    ck_assert_int_eq(brood_dict_get(d, brood_v(1), &out), BROOD_ESTALE);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* Written over: each field of the head and the slot in turn.  It is said, nothing is lost, and as it was all goes on. */
START_TEST(written_over)
{
    static const uint64_t wrong[] = {0, 1, 7, 4097, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX - 7};
    bool dict = _i;
    size_t head = sizeof(struct body) / 4 - 2;
    brood_variant out;
    for (size_t field = 0; field < head; field++)
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            brood_proxy p, other;
            uint32_t *at, was, value = (uint32_t)wrong[w];
            brood_test_ok(brood_proxy_new(&p, brood_family(), dict ? "dict" : "list", NIL));
            brood_test_ok(brood_manager_list(brood_family(), &other));
            for (int i = 0; i < 40; i++) {
                brood_variant text = brood_v("a text that is longer than a word");
                brood_test_ok(dict ? brood_dict_set(p, brood_v(i), text) : brood_list_append(p, text));
            }
            brood_test_ok(brood_list_append(other, brood_v("a text that is longer than a word")));
            struct collection_shm *c = brood__slot_find(TABLE_COLLECTION, p.object);
            at = (uint32_t *)brood__at(c->slot.body) + field;
            was = *at;
            *at = value;
            bool sound = brood__collection_is_sound(c) && brood__collection_is_derived(c);
            int code = dict ? brood_dict_copy(p, &out) : brood_list_slice(p, 0, INT64_MAX, &out);
            ck_assert(sound ? code == 0 || code == BROOD_ECORRUPT : code == BROOD_ECORRUPT);
            brood_variant_free(&out);
            uint64_t body = c->slot.body;
            code = dict ? brood_dict_update(p, brood_variant_map("n", 2)) : brood_list_insert(p, 0, brood_v(1));
            ck_assert(sound ? code == 0 || code == BROOD_ECORRUPT || code == BROOD_EARENA : code == BROOD_ECORRUPT);
            if (!sound) {
                ck_assert_uint_eq(c->slot.body, body);
                ck_assert_int_eq(*at, value);
                *at = was;
                ck_assert_int_eq(dict ? brood_dict_size(p) : brood_list_size(p), 40);
                SAYS("\"a text that is longer than a word\"",
                     dict ? brood_dict_get(p, brood_v(39), &out) : brood_list_get(p, 39, &out));
            }
            SAYS("[\"a text that is longer than a word\"]", brood_list_slice(other, 0, INT64_MAX, &out));
            ck_assert_int_eq(brood__pages_check(), 0);
            brood_test_ok(brood_proxy_free(p));
            brood_test_ok(brood_proxy_free(other));
        }
}
END_TEST

/* More counts than what is derived says: what would be a smaller body is none. */
START_TEST(more_than_it_says)
{
    brood_proxy p;
    brood_variant out;
    brood_test_ok(brood_manager_dict(brood_family(), &p));
    for (int i = 0; i < 60; i++) brood_test_ok(brood_dict_set(p, brood_v(i), brood_v("a text that is no short one")));
    struct collection_shm *c = brood__slot_find(TABLE_COLLECTION, p.object);
    struct body *b = brood__body(c);
    struct body was = *b;
    b->live = 0;
    b->dead = b->tail - b->heap;
    ck_assert(brood__collection_is_sound(c) && brood__collection_is_derived(c));
    int code = 0;
    for (int i = 60; i < 200 && code == 0; i++) code = brood_dict_set(p, brood_v(i), brood_v("another of such texts"));
    ck_assert_int_eq(code, BROOD_ECORRUPT);
    b->live = (uint32_t)(atomic_load(&b->state) >> 1);
    b->dead = was.dead;
    for (int i = 0; i < 60; i++) SAYS("\"a text that is no short one\"", brood_dict_get(p, brood_v(i), &out));
    brood_test_ok(brood_dict_set(p, brood_v("more"), brood_v("another of such texts")));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static void *sets_many(void *proxy)
{
    for (int i = 0; i < SETS; i++)
        if (brood_list_append(*(brood_proxy *)proxy, brood_v("an item that is longer than a word")) < 0) return proxy;
    return NULL;
}

START_TEST(threads_share_it)
{
    pthread_t threads[MEMBERS];
    brood_proxy list;
    brood_test_ok(brood_manager_list(brood_family(), &list));
    for (int i = 0; i < MEMBERS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, sets_many, &list), 0);
    for (int i = 0; i < MEMBERS; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(brood_list_size(list), MEMBERS * SETS);
}
END_TEST

/* Objects of the family's may stand in a server's, but not the other way. */
START_TEST(in_each_other)
{
    brood_manager m;
    brood_proxy far, near, again;
    brood_variant out;
    brood_test_ok(brood_manager_new(&m, NULL));
    brood_test_ok(brood_manager_dict(m, &far));
    brood_test_ok(brood_manager_dict(brood_family(), &near));
    brood_test_ok(brood_dict_set(far, brood_v("near"), brood_v(near)));
    ck_assert_int_eq(brood_dict_set(near, brood_v("far"), brood_v(far)), BROOD_EINVAL);
    ck_assert_int_eq(brood_dict_set(near, brood_v("far"), brood_variant_list(1, far)), BROOD_EINVAL);
    for (int i = 0; i < 2; i++) {
        if (i) brood_test_ok(brood_dict_set(near, brood_v("itself"), brood_v(near)));
        brood_test_ok(i ? brood_dict_get(near, brood_v("itself"), &out) : brood_dict_get(far, brood_v("near"), &out));
        brood_test_ok(brood_variant_get_proxy(&out, &again));
        ck_assert(again.manager == near.manager && again.object == near.object);
        ck_assert_int_eq(brood_dict_size(again), i);
    }
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_dict_size(near), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_manager_dict(brood_family(), &near), BROOD_ENOTMEMBER);
}
END_TEST

static Suite *collection_suite(void)
{
    Suite *suite = suite_create("collection");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, the_hash_is_cpythons);
    tcase_add_test(alone, a_dict);
    tcase_add_loop_test(alone, as_a_servers, 0, 4 * TYPES);
    tcase_add_test(alone, large_and_small_again);
    tcase_add_test(alone, a_full_arena);
    tcase_add_loop_test(alone, written_over, 0, 2);
    tcase_add_test(alone, more_than_it_says);
    TCase *together = brood_test_case(suite, "together");
    tcase_add_loop_test(together, members_share_it, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, what_the_dead_had_goes, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, the_deads_memory, 0, MEMBERS_METHODS);
    tcase_add_test(together, handles_that_nobody_made);
    tcase_add_test(together, inside_a_call);
    tcase_add_test(together, threads_share_it);
    tcase_add_test(together, in_each_other);
    return suite;
}

BROOD_TEST_MAIN(collection_suite)
