/* SPDX-License-Identifier: MIT */
/* bell.c - descriptors of objects, when the one who was to ring them is dead. */
#include "sync/bell.h"

#include <brood.h>
#include <brood_test.h>
#include <poll.h>

static bool readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return poll(&poller, 1, 0) == 1;
}

/* What a ringer leaves that is killed after it disarmed the bell and before it sent anything. */
START_TEST(is_rung_after_a_death_though_disarmed)
{
    brood_queue queue;
    int value = 1;
    brood_test_ok(brood_queue_new(&queue, NULL));
    int fd = brood_queue_fd(queue);
    brood_test_ok(fd);
    ck_assert_int_eq(brood_queue_get_value(queue, &value, 0), BROOD_EAGAIN);
    ck_assert(!readable(fd));

    struct bell_shm *s = NULL;
    uint32_t used = atomic_load(&brood__arena()->tables[TABLE_BELL].used);
    for (uint32_t i = 1; i < used; i++) {
        struct bell_shm *other = (struct bell_shm *)(void *)brood__slot_at(TABLE_BELL, i);
        if (other->object == queue.id) s = other;
    }
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(atomic_exchange(&s->armed, 0), 1);
    brood__bell_ring_all();
    ck_assert(readable(fd));
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

static Suite *bell_suite(void)
{
    Suite *suite = suite_create("bell");
    TCase *bell = brood_test_case(suite, "bell");
    tcase_add_test(bell, is_rung_after_a_death_though_disarmed);
    return suite;
}

BROOD_TEST_MAIN(bell_suite)
