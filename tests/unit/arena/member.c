/* SPDX-License-Identifier: MIT */
/* member.c - slots of the process table change hands between a start that is given up and its late child. */
#include "arena/member.h"

#include <brood_test.h>
#include <string.h>

START_TEST(a_late_child_does_not_take_anothers_slot)
{
    struct self before = *brood__self;
    uint32_t first, second;
    brood_test_ok(brood__member_claim("first", ROLE_PROCESS, BROOD_START_SPAWN, false, &first));
    uint32_t generation = brood__member_generation(first);
    brood__member_abandon(first);
    atomic_store(&brood__arena()->tables[TABLE_MEMBER].hint, first);
    brood_test_ok(brood__member_claim("second", ROLE_PROCESS, BROOD_START_SPAWN, false, &second));
    ck_assert_uint_eq(first, second);
    ck_assert(!brood__member_attach(first, generation));
    ck_assert_uint_eq(SLOT_STATE(atomic_load(&brood__member_at(second)->slot.word)), SLOT_INIT);
    ck_assert_int_eq(brood__member_at(second)->pid, 0);
    ck_assert_uint_eq(brood__self->member, before.member);
    ck_assert_uint_eq(brood__self->id, before.id);
    ck_assert_uint_eq(brood__self->word_id, before.word_id);
    brood__member_abandon(second);
}
END_TEST

static Suite *member_suite(void)
{
    Suite *suite = suite_create("member");
    TCase *member = brood_test_case(suite, "member");
    tcase_add_test(member, a_late_child_does_not_take_anothers_slot);
    return suite;
}

BROOD_TEST_MAIN(member_suite)
