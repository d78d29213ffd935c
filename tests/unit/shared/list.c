/* SPDX-License-Identifier: MIT */
/* list.c - shareable lists: what Python says of ShareableList, in the arena and in segments. */
#include "members.h"

#include "shared/list.h"
#include "shared/shared.h"

#include <brood.h>
#include <errno.h>

#define LENGTH 7

/* The example of Python's documentation. */
static brood_shareable_list example(bool named, brood_scope scope)
{
    brood_element first[LENGTH] = {brood_element_text("howdy"),  brood_element_bytes("HoWdY", 5),
                                   brood_element_real(-273.154), brood_element_integer(100),
                                   brood_element_none(),         brood_element_boolean(true),
                                   brood_element_integer(42)};
    brood_shareable_list list;
    brood_test_ok(brood_shareable_list_new(&list, first, LENGTH,
                                           &(brood_shareable_list_options){.named = named, .scope = scope}));
    return list;
}

START_TEST(is_what_it_is_made_of)
{
    brood_shareable_list l = example(_i, (brood_scope){0});
    brood_element e;
    char buffer[64];
    ck_assert_int_eq(brood_shareable_list_length(l), LENGTH);
    brood_test_ok(brood_shareable_list_get(l, 0, &e, buffer, sizeof buffer));
    ck_assert_int_eq(e.type, BROOD_ELEMENT_TEXT);
    ck_assert_str_eq(e.data, "howdy");
    ck_assert_uint_eq(e.size, 5);
    brood_test_ok(brood_shareable_list_get(l, 1, &e, buffer, sizeof buffer));
    ck_assert_int_eq(e.type, BROOD_ELEMENT_BYTES);
    ck_assert_mem_eq(e.data, "HoWdY", 5);
    brood_test_ok(brood_shareable_list_get(l, 2, &e, NULL, 0));
    ck_assert(e.type == BROOD_ELEMENT_REAL && e.real == -273.154);
    brood_test_ok(brood_shareable_list_get(l, 3, &e, NULL, 0));
    ck_assert(e.type == BROOD_ELEMENT_INTEGER && e.integer == 100);
    brood_test_ok(brood_shareable_list_get(l, 4, &e, NULL, 0));
    ck_assert(e.type == BROOD_ELEMENT_NONE);
    brood_test_ok(brood_shareable_list_get(l, 5, &e, NULL, 0));
    ck_assert(e.type == BROOD_ELEMENT_BOOLEAN && e.boolean);
    ck_assert_int_eq(brood_shareable_list_get(l, LENGTH, &e, buffer, sizeof buffer), BROOD_EINVAL);
    ck_assert_int_eq(brood_shareable_list_get(l, SIZE_MAX, &e, buffer, sizeof buffer), BROOD_EINVAL);
    /* a[2] = -78.5; a[2] = 'dry ice': types change, if there is room */
    e = brood_element_real(-78.5);
    brood_test_ok(brood_shareable_list_set(l, 2, &e));
    e = brood_element_text("dry ice");
    brood_test_ok(brood_shareable_list_set(l, 2, &e));
    brood_test_ok(brood_shareable_list_get(l, 2, &e, buffer, sizeof buffer));
    ck_assert_str_eq(e.data, "dry ice");
    e = brood_element_text("larger than previously allocated storage space");
    ck_assert_int_eq(brood_shareable_list_set(l, 2, &e), BROOD_EMSGSIZE);
    ck_assert_str_eq(brood_error_detail(), "46 bytes, and room for 8");
    brood_test_ok(brood_shareable_list_get(l, 2, &e, buffer, sizeof buffer));
    ck_assert_str_eq(e.data, "dry ice");
    ck_assert_int_eq(brood_shareable_list_set(l, LENGTH, &e), BROOD_EINVAL);
    e.type = (brood_element_type)77;
    ck_assert_int_eq(brood_shareable_list_set(l, 0, &e), BROOD_EINVAL);
    /* len, count, index */
    e = brood_element_integer(42);
    ck_assert_int_eq(brood_shareable_list_index(l, &e), 6);
    ck_assert_int_eq(brood_shareable_list_count(l, &e), 1);
    brood_test_ok(brood_shareable_list_set(l, 4, &e));
    ck_assert_int_eq(brood_shareable_list_count(l, &e), 2);
    ck_assert_int_eq(brood_shareable_list_index(l, &e), 4);
    e = brood_element_text("dry ice");
    ck_assert_int_eq(brood_shareable_list_index(l, &e), 2);
    e = brood_element_text("dry");
    ck_assert_int_eq(brood_shareable_list_index(l, &e), -ENOENT);
    ck_assert_int_eq(brood_shareable_list_count(l, &e), 0);
    brood_test_ok(brood_shareable_list_free(l));
    ck_assert_int_lt(brood_shareable_list_length(l), 0);
    ck_assert_int_eq(brood_shareable_list_free(l), BROOD_ESTALE);
}
END_TEST

START_TEST(small_buffers_are_told)
{
    brood_shareable_list l = example(_i, (brood_scope){0});
    brood_element e;
    char buffer[6];
    ck_assert_int_eq(brood_shareable_list_get(l, 0, &e, buffer, 5), BROOD_EMSGSIZE); /* and its end */
    ck_assert(e.type == BROOD_ELEMENT_TEXT && e.size == 5);
    brood_test_ok(brood_shareable_list_get(l, 0, &e, buffer, 6));
    brood_test_ok(brood_shareable_list_get(l, 1, &e, buffer, 5));
    ck_assert_int_eq(brood_shareable_list_get(l, 1, &e, NULL, 0), BROOD_EMSGSIZE);
    brood_test_ok(brood_shareable_list_free(l));
}
END_TEST

START_TEST(rooms)
{
    brood_shareable_list l;
    brood_element none[2] = {brood_element_none(), brood_element_text("12345678")}, e;
    char long_one[100], buffer[101];
    memset(long_one, 'x', sizeof long_one);
    brood_test_ok(brood_shareable_list_new(&l, none, 2, &(brood_shareable_list_options){.room = 97}));
    e = brood_element_bytes(long_one, 100); /* 104 */
    brood_test_ok(brood_shareable_list_set(l, 0, &e));
    brood_test_ok(brood_shareable_list_get(l, 0, &e, buffer, sizeof buffer));
    ck_assert_uint_eq(e.size, 100);
    ck_assert_mem_eq(e.data, long_one, 100);
    brood_test_ok(brood_shareable_list_free(l));
    brood_test_ok(brood_shareable_list_new(&l, none, 2, NULL));
    e = brood_element_bytes(long_one, 16); /* what is of 8 has room for 16 */
    brood_test_ok(brood_shareable_list_set(l, 1, &e));
    e = brood_element_bytes(long_one, 17);
    ck_assert_int_eq(brood_shareable_list_set(l, 1, &e), BROOD_EMSGSIZE);
    brood_test_ok(brood_shareable_list_free(l));
    brood_test_ok(brood_shareable_list_new(&l, NULL, 0, NULL));
    ck_assert_int_eq(brood_shareable_list_length(l), 0);
    ck_assert_int_eq(brood_shareable_list_get(l, 0, &e, buffer, 8), BROOD_EINVAL);
    brood_test_ok(brood_shareable_list_free(l));
    e = brood_element_bytes(long_one, (size_t)1 << 31);
    ck_assert_int_eq(brood_shareable_list_new(&l, &e, 1, NULL), BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_shareable_list_new(&l, &e, SIZE_MAX, NULL), BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_shareable_list_new(&l, none, 2, &(brood_shareable_list_options){.room = SIZE_MAX}),
                     BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_shareable_list_new(&l, none, 2, &(brood_shareable_list_options){.persist = true}),
                     BROOD_EINVAL);
}
END_TEST

START_TEST(named_is_found_by_its_name)
{
    brood_shareable_list l = example(true, (brood_scope){0}), other, arena = example(false, (brood_scope){0});
    brood_shm shm, plain;
    char name[BROOD_SHM_NAME];
    brood_element e;
    ck_assert_int_eq(brood_shareable_list_shm(arena, &shm), BROOD_EPERM);
    brood_test_ok(brood_shareable_list_shm(l, &shm));
    brood_test_ok(brood_shm_name(shm, name, sizeof name));
    brood_test_ok(brood_shareable_list_attach(&other, name));
    e = brood_element_integer(-1);
    brood_test_ok(brood_shareable_list_set(other, 3, &e));
    brood_test_ok(brood_shareable_list_get(l, 3, &e, NULL, 0));
    ck_assert_int_eq(e.integer, -1);
    brood_test_ok(brood_shareable_list_free(l));
    ck_assert_int_eq(brood_shareable_list_attach(&other, name), -ENOENT);
    brood_test_ok(brood_shm_create(&plain, 100, NULL, NULL));
    brood_test_ok(brood_shm_name(plain, name, sizeof name));
    ck_assert_int_eq(brood_shareable_list_attach(&other, name), BROOD_ECORRUPT);
    ck_assert_int_eq(brood_shareable_list_get((brood_shareable_list){plain.id}, 0, &e, NULL, 0), BROOD_ECORRUPT);
    ck_assert_int_eq(brood_shareable_list_length((brood_shareable_list){plain.id}), BROOD_ECORRUPT);
    brood_test_ok(brood_shm_unlink(plain));
    brood_test_ok(brood_shm_close(plain));
    brood_test_ok(brood_shareable_list_free(arena));
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 88172645463325252;
    brood_element e = brood_element_none();
    brood_value v;
    brood_test_ok(brood_value_new(&v, int, 1));
    members_one_of_each(ids);
    ids[0] = v.id;
    for (int i = 0; i < FORGERIES; i++) {
        enum table table = i % 2 ? TABLE_SHARED : TABLE_NAMED;
        brood_shareable_list l = {i < MEMBERS_TYPES ? ids[i] : members_forged(table, i, &state)};
        ck_assert_int_eq(brood_shareable_list_length(l), BROOD_ESTALE);
        ck_assert_int_eq(brood_shareable_list_get(l, 0, &e, NULL, 0), BROOD_ESTALE);
        ck_assert_int_eq(brood_shareable_list_set(l, 0, &e), BROOD_ESTALE);
        ck_assert_int_eq(brood_shareable_list_free(l), BROOD_ESTALE);
    }
}
END_TEST

/* A stranger spoils the segment while it is in use: codes, nothing else. */
START_TEST(spoilt_is_a_code)
{
    brood_shareable_list l = example(true, (brood_scope){0});
    size_t size;
    struct list_shm *bytes = brood_shm_data((brood_shm){l.id}, &size);
    brood_element e;
    char buffer[64];
    atomic_store(&bytes->slots[0].place, size - 8);
    ck_assert_int_eq(brood_shareable_list_get(l, 0, &e, buffer, sizeof buffer), BROOD_ECORRUPT);
    atomic_store(&bytes->slots[1].room, UINT64_MAX - 7);
    ck_assert_int_eq(brood_shareable_list_get(l, 1, &e, buffer, sizeof buffer), BROOD_ECORRUPT);
    atomic_store(&bytes->latch.word, OS_TID_MASK | OS_WAITERS); /* held by nobody */
    e = brood_element_none();
    ck_assert_int_eq(brood_shareable_list_set(l, 2, &e), BROOD_ETIMEDOUT);
    brood_test_ok(brood_shareable_list_get(l, 2, &e, buffer, sizeof buffer));
    atomic_store(&bytes->count, UINT64_MAX);
    ck_assert_int_eq(brood_shareable_list_length(l), BROOD_ECORRUPT);
    brood_test_ok(brood_shareable_list_free(l));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- with others */

static void draw(char text[60], int round)
{
    memset(text, 'a' + round % 26, 59);
    text[59] = 0;
    text[20 + round % 39] = 0;
}

BROOD_TASK(sets, int, brood_shareable_list, l, int, rounds)
{
    char text[60];
    for (int i = 0; i < rounds; i++) {
        draw(text, i);
        brood_element e = i % 3 == 2 ? brood_element_integer(i) : brood_element_text(text);
        MUST(brood_shareable_list_set(l, 0, &e) == 0);
    }
    brood_element e = brood_element_integer(-1);
    MUST(brood_shareable_list_set(l, 1, &e) == 0);
    return 0;
}

static bool is_whole(const brood_element *e)
{
    const char *text = e->data;
    if (e->type == BROOD_ELEMENT_INTEGER) return e->integer % 3 == 2;
    if (e->type != BROOD_ELEMENT_TEXT || e->size < 20 || e->size != strlen(text)) return false;
    for (size_t i = 0; i < e->size; i++)
        if (text[i] != text[0]) return false;
    return true;
}

/* _i: method, and three times whether it is in a segment */
START_TEST(sets_are_whole)
{
    sets_args args = {.rounds = 30000};
    char text[60];
    draw(text, 38);
    brood_element first[2] = {brood_element_text(text), brood_element_none()}, e;
    brood_shareable_list_options options = {.named = _i >= 3, .room = 60};
    brood_test_ok(brood_shareable_list_new(&args.l, first, 2, &options));
    brood_process children[2];
    for (int i = 0; i < 2; i++) members_start(&children[i], members_methods[_i % 3], sets, &args);
    do {
        brood_test_ok(brood_shareable_list_get(args.l, 0, &e, text, sizeof text));
        ck_assert(is_whole(&e));
        brood_test_ok(brood_shareable_list_get(args.l, 1, &e, NULL, 0));
    } while (e.type == BROOD_ELEMENT_NONE);
    for (int i = 0; i < 2; i++) members_end(children[i], 0);
    brood_test_ok(brood_shareable_list_free(args.l));
}
END_TEST

START_TEST(killed_setters_leave_whole_elements)
{
    sets_args args = {.rounds = INT32_MAX};
    char text[60];
    draw(text, 0);
    brood_element first[2] = {brood_element_text(text), brood_element_none()}, e;
    brood_shareable_list_options options = {.named = _i >= 3, .room = 60};
    brood_test_ok(brood_shareable_list_new(&args.l, first, 2, &options));
    for (int round = 0; round < 20; round++) {
        brood_process child;
        members_start(&child, members_methods[_i % 3], sets, &args);
        usleep(500 * (unsigned)round);
        members_kill(child);
        brood_test_ok(brood_shareable_list_get(args.l, 0, &e, text, sizeof text));
        ck_assert(is_whole(&e));
        brood_test_ok(brood_shareable_list_set(args.l, 0, &first[0])); /* the latch is free */
    }
    brood_test_ok(brood_shareable_list_free(args.l));
}
END_TEST

START_TEST(scope_takes_both)
{
    brood_scope scope;
    brood_test_ok(brood_scope_begin(&scope));
    brood_shareable_list arena = example(false, scope), named = example(true, scope);
    brood_shm shm;
    char name[BROOD_SHM_NAME];
    brood_test_ok(brood_shareable_list_shm(named, &shm));
    brood_test_ok(brood_shm_name(shm, name, sizeof name));
    brood_test_ok(brood_scope_end(scope));
    ck_assert_int_eq(brood_shareable_list_length(arena), BROOD_ESTALE);
    ck_assert_int_eq(brood_shareable_list_attach(&arena, name), -ENOENT);
    ck_assert_int_eq(brood_shareable_list_length(named), LENGTH); /* it is mapped here */
    brood_test_ok(brood_shm_close(shm));
    ck_assert_int_eq(brood_shareable_list_length(named), BROOD_ESTALE);
}
END_TEST

static Suite *list_suite(void)
{
    Suite *suite = suite_create("list");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_loop_test(alone, is_what_it_is_made_of, 0, 2);
    tcase_add_loop_test(alone, small_buffers_are_told, 0, 2);
    tcase_add_test(alone, rooms);
    tcase_add_test(alone, named_is_found_by_its_name);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, spoilt_is_a_code);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, sets_are_whole, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(others, killed_setters_leave_whole_elements, 0, 2 * MEMBERS_METHODS);
    tcase_add_test(others, scope_takes_both);
    return suite;
}

BROOD_TEST_MAIN(list_suite)
