/* SPDX-License-Identifier: MIT */
/* repair.c - what the repairs after a death need of objects that the dead never touched, and of its half-done work. */
#include "call/buffer.h"
#include "sync/semaphore.h"

#include <brood.h>
#include <brood_test.h>

enum { NOBODY = 4711 }; /* an index that no object names */

/* A semaphore that is never free of visitors must not keep every death of the family from being repaired. */
START_TEST(a_held_semaphore_concerns_its_holders_only)
{
    brood_semaphore semaphore;
    brood_test_ok(brood_semaphore_new(&semaphore, 3, NULL));
    brood_test_ok(brood_semaphore_acquire(semaphore, 0));
    struct semaphore_shm *s = brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
    void *announced = brood__os_announce(&s->monitor);
    uint32_t seen;
    ck_assert(brood__latch_try(&s->monitor.word, &seen));
    ck_assert(brood__semaphore_repair(NOBODY));
    ck_assert(!brood__semaphore_repair(brood__self->member));
    brood__latch_release(&s->monitor.word, 0);
    brood__os_announce(announced);
    ck_assert(brood__semaphore_repair(brood__self->member));
    ck_assert_int_eq(brood_semaphore_value(semaphore), 3);
    brood_test_ok(brood_semaphore_free(semaphore));
}
END_TEST

/* One who freed a carrier's buffers died in it; the next finds garbage, which another may be claiming. */
START_TEST(garbage_is_left_to_its_claimant)
{
    brood_buffer buffer, other;
    brood_test_ok(brood_buffer_new(&buffer, 100000, NULL));
    struct buffer_shm *b = brood__buffer_carried(buffer.id);
    brood__buffer_mark(b, SLOT_GARBAGE, 0);
    brood__buffer_drop(buffer.id);
    ck_assert_uint_eq(SLOT_STATE(atomic_load(&b->slot.word)), SLOT_GARBAGE);
    ck_assert_uint_ne(b->slot.body, 0);

    atomic_store(&brood__arena()->tables[TABLE_BUFFER].hint, HANDLE_INDEX(buffer.id));
    brood_test_ok(brood_buffer_new(&other, 1, NULL));
    ck_assert_uint_eq(HANDLE_INDEX(other.id), HANDLE_INDEX(buffer.id));
    brood__buffer_drop(buffer.id); /* late: it is another's slot now */
    brood_test_ok(brood_buffer_free(other));
    brood_test_ok(brood__pages_check());
}
END_TEST

static Suite *repair_suite(void)
{
    Suite *suite = suite_create("repair");
    TCase *repair = brood_test_case(suite, "repair");
    tcase_add_test(repair, a_held_semaphore_concerns_its_holders_only);
    tcase_add_test(repair, garbage_is_left_to_its_claimant);
    return suite;
}

BROOD_TEST_MAIN(repair_suite)
