/* SPDX-License-Identifier: MIT */
/* grow.c - queues that grow: as they are asked for, no further than they may, and back again. */
#include "members.h"
#include "queue/record.h"

#include <brood/queue.h>

enum { SMALL = 4096, WORD = 16 }; /* the least that grows; what a number takes in it */

static brood_queue growing(size_t to, size_t max_items)
{
    brood_queue queue;
    brood_queue_options options = {.capacity = SMALL, .grows_to = to, .max_items = max_items};
    brood_test_ok(brood_queue_new(&queue, &options));
    return queue;
}

static size_t capacity(brood_queue queue)
{
    const struct queue_shm *q = brood__slot_find(TABLE_QUEUE, queue.id);
    ck_assert_ptr_nonnull(q);
    return q->capacity;
}

static size_t in_use(void)
{
    size_t used;
    brood_test_ok(brood_arena_usage(&used, NULL));
    ck_assert_int_eq(brood__pages_check(), 0);
    return used;
}

/* Check writes a line for each assertion, so many at once have none of their own. */
static void ck_next(brood_queue queue, uint64_t expected)
{
    uint64_t value = ~expected;
    brood_test_ok(brood_queue_get_value(queue, &value, 0));
    if (value != expected) ck_abort_msg("%llu came, not %llu", (unsigned long long)value, (unsigned long long)expected);
}

START_TEST(takes_what_comes)
{
    uint64_t n = 100000, turned = (uint64_t)_i * 17;
    size_t before = in_use();
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    for (uint64_t i = 0; i < turned; i++) {
        brood_test_ok(brood_queue_put_value(q, &i, 0));
        ck_next(q, i);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (brood_queue_full(q) != 0) ck_abort_msg("full at %llu", (unsigned long long)i);
        brood_test_ok(brood_queue_put_value(q, &i, 0));
    }
    ck_assert_int_eq(brood_queue_size(q), (int64_t)n);
    ck_assert_uint_ge(capacity(q), n * WORD);
    ck_assert_int_eq(brood_queue_empty(q), 0);
    ck_assert_uint_ge(in_use(), n * WORD);
    for (uint64_t i = 0; i < n; i++) ck_next(q, i);
    ck_assert_int_eq(brood_queue_empty(q), 1);
    brood_test_ok(brood_queue_free(q));
    ck_assert_uint_eq(in_use(), before);
}
END_TEST

/* Messages of all lengths, taken and put in turn, so that the rings' ends come where they may. */
START_TEST(keeps_the_order_and_the_bytes)
{
    uint64_t state = 77u + (unsigned)_i, put = 0, got = 0;
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    static unsigned char bytes[2000], back[2000];
    for (int round = 0; round < 20000; round++) {
        bool puts = members_random(&state) % 100 < (round < 10000 ? 60u : 40u);
        if (puts) {
            size_t size = put * 37 % 1500; /* those beyond 1008 travel in buffers */
            for (size_t k = 0; k < size; k++) bytes[k] = (unsigned char)(put + k);
            brood_test_ok(brood_queue_put(q, bytes, size, 0));
            put++;
        } else if (got < put) {
            size_t size = 0;
            brood_test_ok(brood_queue_get(q, back, sizeof back, &size, 0));
            bool good = size == got * 37 % 1500;
            for (size_t k = 0; good && k < size; k++) good = back[k] == (unsigned char)(got + k);
            if (!good) ck_abort_msg("message %llu is another", (unsigned long long)got);
            got++;
        }
    }
    ck_assert_int_eq(brood_queue_size(q), (int64_t)(put - got));
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(goes_no_further_than_it_may)
{
    brood_queue q = growing((size_t)SMALL * 3, 0); /* that is four */
    uint64_t n = 0;
    while (brood_queue_put_value(q, &n, 0) == 0) n++;
    ck_assert_uint_eq(n, 4 * SMALL / WORD - 1);
    ck_assert_uint_eq(capacity(q), (size_t)4 * SMALL);
    ck_assert_int_eq(brood_queue_full(q), 1);
    ck_assert_int_eq(brood_queue_put_value(q, &n, 0), BROOD_EAGAIN);
    members_late(brood_queue_put_value(q, &n, A_WHILE));
    ck_next(q, 0);
    brood_test_ok(brood_queue_put_value(q, &n, 0));
    for (uint64_t i = 1; i <= n; i++) ck_next(q, i);
}
END_TEST

START_TEST(items_are_a_limit_of_their_own)
{
    brood_queue q = growing(BROOD_UNBOUNDED, 1000);
    for (uint64_t i = 0; i < 1000; i++) brood_test_ok(brood_queue_put_value(q, &i, 0));
    size_t then = capacity(q);
    ck_assert_int_eq(brood_queue_full(q), 1);
    for (uint64_t i = 0; i < 3; i++) ck_assert_int_eq(brood_queue_put_value(q, &i, 0), BROOD_EAGAIN);
    ck_assert_uint_eq(capacity(q), then);
}
END_TEST

START_TEST(gives_back_what_it_does_not_need)
{
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    size_t small = in_use();
    uint64_t value = 0;
    for (int round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 5000; i++) brood_test_ok(brood_queue_put_value(q, &i, 0));
        ck_assert_uint_gt(in_use(), small);
        for (uint64_t i = 0; i < 5000; i++) ck_next(q, i);
        members_late(brood_queue_get_value(q, &value, A_WHILE)); /* found empty by one who waits */
        ck_assert_uint_eq(capacity(q), SMALL);
        ck_assert_uint_eq(in_use(), small);
    }
}
END_TEST

START_TEST(the_arena_is_the_limit)
{
    brood_test_ok(brood_fini());
    brood_test_ok(brood_configure(&(brood_family_options){.arena_limit = (size_t)4 << 20}));
    brood_test_ok(brood_init(NULL, NULL));
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    static char bytes[1000];
    int64_t n = 0;
    int error;
    while ((error = brood_queue_put(q, bytes, sizeof bytes, n % 2 ? 0 : BROOD_FOREVER)) == 0) n++;
    ck_assert_int_eq(error, BROOD_EARENA);
    ck_assert_int_eq(brood_queue_size(q), n);
    ck_assert_int_eq(brood_queue_put(q, bytes, sizeof bytes, BROOD_FOREVER), BROOD_EARENA);
    ck_assert_int_eq(brood_queue_size(q), n);
    ck_assert_int_eq(brood__pages_check(), 0);
    for (; n > 0; n--) {
        size_t size;
        brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, &size, 0));
        if (size != sizeof bytes) ck_abort_msg("one of %zu bytes", size);
    }
    brood_test_ok(brood_queue_put(q, bytes, sizeof bytes, 0));
}
END_TEST

/* A buffer that waits in a queue while it grows is its receiver's, and nobody's twice. */
static BROOD_TASK(fills_the_arena, int, brood_queue, queue)
{
    brood_queue mine;
    static char bytes[600];
    while (brood_queue_new(&mine, &(brood_queue_options){.capacity = SMALL}) == 0) {}
    while (brood_queue_put(queue, bytes, sizeof bytes, 0) == 0) {}
    return brood_queue_put(queue, bytes, sizeof bytes, 0) == BROOD_EARENA ? 0 : 1;
}

/* What grows finds the memory that the dead had, also where nobody has claimed it yet. */
START_TEST(the_deads_memory)
{
    static char bytes[600];
    brood_process process;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 2 << 20}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    members_start(&process, members_methods[_i], fills_the_arena, &q);
    int code;
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 0);
    members_repaired(HANDLE_INDEX(process.id));
    int64_t before = brood_queue_size(q);
    for (int i = 0; i < 100; i++) brood_test_ok(brood_queue_put(q, bytes, sizeof bytes, 0));
    ck_assert_int_eq(brood_queue_size(q), before + 100);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(buffers_stay_in_their_messages)
{
    size_t before = in_use();
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    brood_buffer buffer, back;
    for (int i = 0; i < 500; i++) {
        void *data;
        brood_test_ok(brood_buffer_new(&buffer, 100, &data));
        memset(data, i, 100);
        brood_test_ok(brood_queue_put_buffer(q, buffer, 0));
        ck_assert_int_eq(brood_buffer_free(buffer), BROOD_ESTALE);
        for (uint64_t k = 0; k < 3; k++) brood_test_ok(brood_queue_put_value(q, &k, 0));
    }
    for (int i = 0; i < 400; i++) {
        size_t size;
        brood_test_ok(brood_queue_get_buffer(q, &back, 0));
        const unsigned char *data = brood_buffer_data(back, &size);
        ck_assert(size == 100 && data[0] == (unsigned char)i && data[99] == (unsigned char)i);
        brood_test_ok(brood_buffer_free(back));
        for (uint64_t k = 0; k < 3; k++) ck_next(q, k);
    }
    brood_test_ok(brood_queue_free(q)); /* with what is in it */
    ck_assert_uint_eq(in_use(), before);
}
END_TEST

BROOD_TASK(put_numbers, int, brood_queue, queue, uint64_t, n)
{
    for (uint64_t i = 0; i < n; i++) MUST(brood_queue_put_value(queue, &i, 0) == 0);
    return 0;
}
BROOD_TASK(get_numbers, int, brood_queue, queue, brood_queue, sums)
{
    uint64_t value, sum = 0;
    int error;
    while ((error = brood_queue_get_value(queue, &value, BROOD_FOREVER)) == 0) sum += value;
    MUST(error == BROOD_ECLOSED);
    MUST(brood_queue_put_value(sums, &sum, BROOD_FOREVER) == 0);
    return 0;
}

/* Producers never wait, consumers miss nothing, while it grows and shrinks under them. */
START_TEST(many_to_many)
{
    enum { N = 20000 };
    brood_start_method method = members_methods[_i];
    brood_queue q = growing(BROOD_UNBOUNDED, 0), sums;
    brood_process producer[2], consumer[2];
    uint64_t sum, total = 0;
    brood_test_ok(brood_queue_new(&sums, NULL));
    get_numbers_args get = {q, sums};
    put_numbers_args put = {q, N};
    for (int i = 0; i < 2; i++) members_start(&consumer[i], method, get_numbers, &get);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) members_start(&producer[i], method, put_numbers, &put);
        for (int i = 0; i < 2; i++) members_end(producer[i], 0);
    }
    brood_test_ok(brood_queue_close(q));
    for (int i = 0; i < 2; i++) members_end(consumer[i], 0);
    for (int i = 0; i < 2; i++) {
        brood_test_ok(brood_queue_get_value(sums, &sum, 0));
        total += sum;
    }
    ck_assert_uint_eq(total, 6 * ((uint64_t)N * (N - 1) / 2));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* A producer that is killed while it puts leaves a beginning of what it had to put, wherever the rings are by then. */
START_TEST(killed_producers_leave_a_beginning)
{
    brood_queue q = growing(BROOD_UNBOUNDED, 0);
    brood_process producer;
    uint64_t value, next = 0;
    put_numbers_args put = {q, (uint64_t)1 << 40};
    members_start(&producer, members_methods[_i], put_numbers, &put);
    while (brood_queue_size(q) < 3000 + 900 * _i) continue;
    members_kill(producer);
    while (brood_queue_get_value(q, &value, 0) == 0)
        if (value != next++) ck_abort_msg("a gap before %llu", (unsigned long long)value);
    ck_assert_uint_ge(next, 3000);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static Suite *grow_suite(void)
{
    Suite *suite = suite_create("grow");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_loop_test(alone, takes_what_comes, 0, 4);
    tcase_add_loop_test(alone, keeps_the_order_and_the_bytes, 0, 4);
    tcase_add_test(alone, goes_no_further_than_it_may);
    tcase_add_test(alone, items_are_a_limit_of_their_own);
    tcase_add_test(alone, gives_back_what_it_does_not_need);
    tcase_add_test(alone, buffers_stay_in_their_messages);
    TCase *limit = brood_test_case(suite, "limit");
    tcase_add_test(limit, the_arena_is_the_limit);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, many_to_many, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, the_deads_memory, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, killed_producers_leave_a_beginning, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(grow_suite)
