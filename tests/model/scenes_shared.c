/* SPDX-License-Identifier: MIT */
/*
 * scenes_shared.c - bytes that a call looks at are not another object's; nothing stays of a scope that has ended; an
 * element of a list is got whole.
 */
#include "arena/visit.h"
#include "model.h"
#include "shared/shared.h"

#include <brood/shareable_list.h>
#include <brood/value.h>
#include <string.h>

static brood_value first;
static brood_scope scope;
static brood_shareable_list list;
static struct {
    brood_value next;
    uint8_t made;
} seen;

static struct shared_shm *at(uint64_t id)
{
    return (struct shared_shm *)(void *)brood__slot_at(TABLE_SHARED, HANDLE_INDEX(id));
}
static bool is_gone(int result)
{
    return result == BROOD_ESTALE || result == BROOD_ECLOSED;
}

static void set_up(void)
{
    brood_element e = brood_element_text("aaaaaaaaaaaaaaaaaaaaaaa");
    seen = (typeof(seen)){0};
    bool good = brood_value_make(&first, 4, BROOD_KIND_SIGNED, NULL) == 0 && brood_scope_begin(&scope) == 0 &&
                brood_shareable_list_new(&list, &e, 1, NULL) == 0;
    if (!good) model_failed("nothing to look at", 0);
}

static bool repair(uint32_t dead)
{
    brood__visit_forget(dead);
    return brood__shared_repair(dead);
}
static void supervisor(void)
{
    model_supervise(repair);
}

/* --------------------------------------------------------------------------------------------------------- visits */

static void adds(void)
{
    int result = brood_value_add(first, 1, NULL);
    model_check(result == 0 || is_gone(result));
}
static void frees_and_makes(void)
{
    model_check(brood_value_free(first) == 0);
    model_check(brood_value_make(&seen.next, 4, BROOD_KIND_SIGNED, NULL) == 0);
    seen.made = 1;
}
static void untouched(void)
{
    if (seen.made) model_check(at(seen.next.id)->bytes[0] == 0);
}

/* --------------------------------------------------------------------------------------------------------- scopes */

static void makes_in_scope(void)
{
    brood_value value;
    int result = brood_value_make(&value, 4, BROOD_KIND_SIGNED, &(brood_value_options){.scope = scope});
    model_check(result == 0 || is_gone(result));
}
static void ends_scope(void)
{
    model_check(brood_scope_end(scope) == 0);
}
static void nothing_of_the_scope(void)
{
    if (brood__slot_find(TABLE_SCOPE, scope.id)) return; /* who was to end it died before */
    uint32_t used = brood__table_used(TABLE_SHARED);
    for (uint32_t i = 1; i < used; i++) {
        struct slot_shm *slot = brood__slot_at(TABLE_SHARED, i);
        bool ours = ((struct shared_shm *)(void *)slot)->scope == scope.id;
        model_check(!ours || SLOT_STATE(atomic_load(&slot->word)) != SLOT_LIVE);
    }
}

/* ---------------------------------------------------------------------------------------------------------- lists */

static void sets_twice(void)
{
    brood_element b = brood_element_text("bbbbbbbbbbbbbbbbbbbbb"), c = brood_element_text("ccc");
    model_check(brood_shareable_list_set(list, 0, &b) == 0);
    model_point(); /* its stores may be late for longer than its call lasts */
    model_check(brood_shareable_list_set(list, 0, &c) == 0);
    model_point();
}
static void gets(void)
{
    brood_element e;
    char text[32];
    model_check(brood_shareable_list_get(list, 0, &e, text, sizeof text) == 0);
    size_t sizes[] = {23, 21, 3};
    bool good = text[0] >= 'a' && text[0] <= 'c' && e.size == sizes[text[0] - 'a'];
    for (size_t i = 0; good && i < e.size; i++) good = text[i] == text[0];
    model_check(good);
}

const struct scene model_shared_scenes[] = {
    {"visit/add-and-free",
     set_up,
     {adds, frees_and_makes, supervisor},
     1,
     1,
     0,
     UNBOUNDED,
     .in_short = true,
     .end = untouched},
    {"visit/two-add", set_up, {adds, adds, frees_and_makes, supervisor}, 3, 2, 0, 2, .end = untouched},
    {"visit/weak", set_up, {adds, frees_and_makes}, 0, 0, 0, UNBOUNDED, .weak = true, .end = untouched},
    {"scope/make-and-end",
     set_up,
     {makes_in_scope, ends_scope, supervisor},
     3,
     2,
     0,
     3,
     .in_short = true,
     .end = nothing_of_the_scope},
    {"scope/weak", set_up, {makes_in_scope, ends_scope}, 0, 0, 0, 3, .weak = true, .end = nothing_of_the_scope},
    {"list/set-and-get", set_up, {sets_twice, gets, supervisor}, 1, 1, 0, UNBOUNDED, .in_short = true},
    {"list/weak", set_up, {sets_twice, gets}, 0, 0, 0, UNBOUNDED, .weak = true},
    {0},
};
