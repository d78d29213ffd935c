/* SPDX-License-Identifier: MIT */
/* sizes.c - producers that wait for room of different sizes: none waits for another's. */
#include "arena/member.h"

#include <brood.h>
#include <brood_test.h>

BROOD_TASK(put_bytes, int, brood_queue, queue, int, size)
{
    static const char bytes[64];
    return brood_queue_put(queue, bytes, (size_t)size, BROOD_FOREVER) == 0 ? 0 : 1;
}

static brood_process start(brood_queue queue, int size)
{
    brood_process process;
    brood_test_ok(brood_process_start(&process, NULL, put_bytes, (&(put_bytes_args){queue, size})));
    struct member_shm *m = brood__member_find(process.id);
    while (atomic_load(&m->waits_for) != queue.id) brood__os_nap(1000 * 1000);
    brood__os_nap(20 * 1000 * 1000); /* said so before it sleeps */
    return process;
}

static void ends(brood_process process, int timeout)
{
    int code = -1;
    brood_test_ok(brood_process_join(process, timeout, &code));
    ck_assert_int_eq(code, 0);
    brood_test_ok(brood_process_free(process));
}

START_TEST(a_small_one_does_not_wait_for_a_large_one)
{
    brood_queue queue;
    char bytes[64] = {0};
    size_t size;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.capacity = 256}));
    while (brood_queue_put(queue, bytes, 8, 0) == 0) continue;
    brood_process large = start(queue, 48), small = start(queue, 8);
    brood_test_ok(brood_queue_get(queue, bytes, sizeof bytes, &size, 0)); /* room for the small one only */
    ends(small, 500);                                                     /* before a tick looks after it */
    while (brood_queue_get(queue, bytes, sizeof bytes, &size, 0) == 0) continue;
    ends(large, 500);
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

static Suite *sizes_suite(void)
{
    Suite *suite = suite_create("sizes");
    TCase *sizes = brood_test_case(suite, "sizes");
    tcase_add_test(sizes, a_small_one_does_not_wait_for_a_large_one);
    return suite;
}

BROOD_TEST_MAIN(sizes_suite)
