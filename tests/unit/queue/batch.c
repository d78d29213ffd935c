/* SPDX-License-Identifier: MIT */
/* batch.c - batches: many messages at once, visible together, in order, as many as fit. */
#include "members.h"

#include <brood/queue.h>

#define MOST 64

static brood_queue fresh(size_t max_items, size_t capacity)
{
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.max_items = max_items, .capacity = capacity}));
    return queue;
}

/* Messages of 0, 1, 2, ... bytes, each byte its number. */
static char texts[MOST][MOST];
static brood_bytes messages[MOST];
static void make_messages(void)
{
    for (int i = 0; i < MOST; i++) {
        memset(texts[i], i, (size_t)i);
        messages[i] = (brood_bytes){i ? texts[i] : NULL, (size_t)i};
    }
}

/* Messages [first, first + n) as get_batch leaves them. */
static void ck_batch(const char *data, const size_t *sizes, int first, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(sizes[i], (size_t)(first + i));
        ck_assert(sizes[i] == 0 || memcmp(data + at, texts[first + i], sizes[i]) == 0);
        at += (sizes[i] + 7) / 8 * 8;
    }
}

START_TEST(comes_as_it_went)
{
    _Alignas(8) char data[MOST * MOST];
    size_t sizes[MOST];
    brood_queue q = fresh(0, 0);
    make_messages();
    for (int round = 0; round < 100; round++) { /* many times round the ring */
        int n = 1 + round * 7 % MOST, got = 0;
        ck_assert_int_eq(brood_queue_put_batch(q, messages, (size_t)n, round % 2 ? 0 : BROOD_FOREVER), n);
        ck_assert_int_eq(brood_queue_size(q), n);
        while (got < n) {
            int most = 1 + round % 9;
            int k = brood_queue_get_batch(q, data, sizeof data, sizes, (size_t)most, round % 3 ? 0 : BROOD_FOREVER);
            ck_assert_int_eq(k, most < n - got ? most : n - got);
            ck_batch(data, sizes, got, k);
            got += k;
            ck_assert_int_eq(brood_queue_size(q), n - got);
        }
        ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 1, 0), BROOD_EAGAIN);
    }
    members_late(brood_queue_get_batch(q, data, sizeof data, sizes, 1, A_WHILE));
}
END_TEST

START_TEST(mixes_with_single_messages)
{
    char data[256];
    size_t sizes[8], size;
    brood_queue q = fresh(0, 0);
    make_messages();
    brood_test_ok(brood_queue_put(q, texts[1], 1, 0));
    ck_assert_int_eq(brood_queue_put_batch(q, messages + 2, 3, 0), 3);
    brood_test_ok(brood_queue_put(q, texts[5], 5, 0));
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 2, 0), 2);
    ck_batch(data, sizes, 1, 2);
    brood_test_ok(brood_queue_get(q, data, sizeof data, &size, 0));
    ck_assert_uint_eq(size, 3);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 8, 0), 2);
    ck_batch(data, sizes, 4, 2);
}
END_TEST

START_TEST(puts_as_many_as_fit)
{
    char data[MOST * MOST];
    size_t sizes[MOST];
    brood_queue q = fresh(5, 0);
    make_messages();
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 3, 0), 3);
    ck_assert_int_eq(brood_queue_put_batch(q, messages + 3, 10, BROOD_FOREVER), 2);
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 2, 0), BROOD_EAGAIN);
    members_late(brood_queue_put_batch(q, messages, 2, A_WHILE));
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, MOST, 0), 5);
    ck_batch(data, sizes, 0, 5);

    q = fresh(0, 256); /* by bytes: from the front, and the rest in later turns */
    for (int put = 0, got = 0; got < MOST;) {
        int n = put < MOST - 1 ? brood_queue_put_batch(q, messages + put % 40, (size_t)(40 - put % 40), 0) : 0;
        if (put >= 40) break;
        ck_assert_int_gt(n, 0);
        put += n;
        ck_assert_int_eq(brood_queue_size(q), n);
        ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, MOST, 0), n);
        ck_batch(data, sizes, got, n);
        got += n;
    }
}
END_TEST

START_TEST(takes_as_many_as_have_room)
{
    char data[64];
    size_t sizes[MOST];
    brood_queue q = fresh(0, 0);
    make_messages();
    ck_assert_int_eq(brood_queue_put_batch(q, messages + 10, 8, 0), 8); /* 10 to 17 bytes: 16, 16, ... 16, 24 */
    ck_assert_int_eq(brood_queue_get_batch(q, data, 9, sizes, 8, 0), BROOD_EMSGSIZE);
    ck_assert_str_eq(brood_error_detail(), "the message has 10 bytes, and the place for it 9");
    ck_assert_int_eq(brood_queue_get_batch(q, NULL, 0, sizes, 8, BROOD_FOREVER), BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_queue_size(q), 8);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 10, sizes, 8, 0), 1);
    ck_batch(data, sizes, 10, 1);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 27, sizes, 8, 0), 1);
    ck_batch(data, sizes, 11, 1);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 64, sizes, 8, 0), 4);
    ck_batch(data, sizes, 12, 4);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 16, sizes, 8, 0), 1);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 16, sizes, 8, 0), BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_queue_get_batch(q, data, 17, sizes, 8, 0), 1);
    ck_batch(data, sizes, 17, 1);
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 1, 0), 1); /* of no bytes, into no bytes */
    ck_assert_int_eq(brood_queue_get_batch(q, NULL, 0, sizes, 8, 0), 1);
    ck_assert_uint_eq(sizes[0], 0);
}
END_TEST

START_TEST(takes_no_long_ones)
{
    static char bytes[100000], data[200000];
    size_t sizes[4], size;
    brood_queue q = fresh(0, 0);
    brood_bytes three[] = {{"1", 1}, {bytes, sizeof bytes}, {"3", 1}};
    ck_assert_int_eq(brood_queue_put_batch(q, three, 3, 0), BROOD_EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "is too long for one"));
    ck_assert_int_eq(brood_queue_size(q), 0);
    for (int i = 0; i < 3; i++) brood_test_ok(brood_queue_put(q, three[i].data, three[i].size, 0));
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 4, 0), 1);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 4, 0), BROOD_EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "travels in a buffer"));
    ck_assert_int_eq(brood_queue_size(q), 2);
    brood_test_ok(brood_queue_get(q, data, sizeof data, &size, 0));
    ck_assert_uint_eq(size, sizeof bytes);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 4, 0), 1);
    ck_assert_int_eq(data[0], '3');
}
END_TEST

START_TEST(refuses_what_makes_no_sense)
{
    char data[8];
    size_t sizes[1];
    brood_queue q = fresh(0, 0);
    make_messages();
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 0, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_put_batch(q, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_put_batch(q, messages, (size_t)INT32_MAX + 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_put_batch(q, &(brood_bytes){NULL, 1}, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 0, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_get_batch(q, NULL, 8, sizes, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, (size_t)INT32_MAX + 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_size(q), 0);
    brood_test_ok(brood_queue_close(q));
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 1, 0), BROOD_ECLOSED);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 1, 0), BROOD_ECLOSED);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 1, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_queue_get_batch(q, data, sizeof data, sizes, 1, 0), BROOD_ESTALE);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

#define BATCH 8u
#define BATCHES 2500u

struct item {
    uint32_t producer, batch, place;
};

/* Nobody in between: a batch is eight in a row, and what is visible is whole batches. */
BROOD_TASK(puts_batches, int, brood_queue, q, uint32_t, producer, uint32_t, count, bool, stay, brood_event, go)
{
    struct item items[BATCH];
    brood_bytes batch[BATCH];
    MUST(brood_event_wait(go, PATIENCE) == 0);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < BATCH; k++) {
            items[k] = (struct item){producer, i, k};
            batch[k] = (brood_bytes){&items[k], sizeof items[k]};
        }
        MUST(brood_queue_put_batch(q, batch, BATCH, PATIENCE) == (int)BATCH);
    }
    while (stay) pause();
    return 0;
}

/* As many as a queue with room for all can hold; sizes are looked at all the time. */
START_TEST(is_seen_whole)
{
    enum { PRODUCERS = 2 };
    brood_queue q = fresh(0, 4u << 20);
    brood_process children[PRODUCERS];
    brood_event go;
    struct item items[3 * BATCH][2]; /* 12 bytes each, at multiples of 8: 16 */
    size_t sizes[3 * BATCH];
    uint32_t next[PRODUCERS] = {0};
    brood_test_ok(brood_event_new(&go));
    for (uint32_t i = 0; i < PRODUCERS; i++)
        members_start(&children[i], members_methods[_i], puts_batches,
                      (&(puts_batches_args){q, i, BATCHES, false, go}));
    brood_test_ok(brood_event_set(go));
    for (uint32_t total = 0; total < PRODUCERS * BATCHES * BATCH;) {
        ck_assert_int_eq(brood_queue_size(q) % (int)BATCH, 0);
        int n = brood_queue_get_batch(q, items, sizeof items, sizes, 3 * BATCH, PATIENCE);
        brood_test_ok(n);
        ck_assert_int_eq(n % (int)BATCH, 0);
        for (uint32_t i = 0; i < (uint32_t)n; i++) {
            struct item item;
            memcpy(&item, (char *)items + (size_t)i * 16, sizeof item);
            ck_assert_uint_eq(sizes[i], sizeof item);
            ck_assert_uint_lt(item.producer, PRODUCERS);
            ck_assert_uint_eq(item.place, i % BATCH);
            ck_assert_uint_eq(item.batch, next[item.producer]);
            if (item.place == BATCH - 1) next[item.producer]++;
        }
        total += (uint32_t)n;
    }
    for (int i = 0; i < PRODUCERS; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_size(q), 0);
}
END_TEST

/* Killed in full flight: whole batches only.  There is room for all of them, so that none is put in parts. */
START_TEST(of_the_dead_is_whole)
{
    enum { ROOM = (16 << 20) / (BATCH * 24) - 1 };
    brood_queue q = fresh(0, 16u << 20);
    brood_event go;
    brood_test_ok(brood_event_new(&go));
    brood_test_ok(brood_event_set(go));
    for (int round = 0; round < 5; round++) {
        brood_process child;
        struct item item;
        uint32_t n = 0;
        members_start(&child, members_methods[_i], puts_batches, (&(puts_batches_args){q, 0, ROOM, true, go}));
        for (;; n++) {
            int code = brood_queue_get_value(q, &item, n < 100 ? PATIENCE : 0);
            if (code == BROOD_EAGAIN) break;
            brood_test_ok(code);
            ck_assert_uint_eq(item.place, n % BATCH);
            ck_assert_uint_eq(item.batch, n / BATCH);
            if (n == 99) members_kill(child);
        }
        ck_assert_uint_eq(n % BATCH, 0);
    }
}
END_TEST

struct taken { /* one message: those of others come between two */
    uint64_t sum, count;
};
BROOD_TASK(gets_batches, int, brood_queue, q, brood_queue, sums, brood_event, go)
{
    uint64_t values[16], last = 0;
    struct taken taken = {0, 0};
    size_t sizes[16];
    int n;
    MUST(brood_event_wait(go, PATIENCE) == 0);
    while ((n = brood_queue_get_batch(q, values, sizeof values, sizes, 16, BROOD_FOREVER)) > 0) {
        for (int i = 0; i < n; i++) {
            MUST(sizes[i] == 8 && values[i] > last);
            last = values[i];
            taken.sum += values[i];
            taken.count++;
        }
    }
    MUST(n == BROOD_ECLOSED);
    MUST(brood_queue_put_value(sums, &taken, 0) == 0);
    return 0;
}

/* One producer of batches that fit in parts only, several consumers of batches. */
START_TEST(many_take_them)
{
    enum { COUNT = 20000, CONSUMERS = 3 };
    brood_queue q = fresh(_i % 2 ? 10 : 0, 512), sums = fresh(0, 0);
    brood_process children[CONSUMERS];
    brood_event go;
    uint64_t values[30], next = 1, sum = 0, count = 0;
    brood_bytes batch[30];
    brood_test_ok(brood_event_new(&go));
    for (int i = 0; i < CONSUMERS; i++)
        members_start(&children[i], members_methods[_i], gets_batches, (&(gets_batches_args){q, sums, go}));
    brood_test_ok(brood_event_set(go));
    while (next <= COUNT) {
        for (uint64_t i = 0; i < 30; i++) {
            values[i] = next + i;
            batch[i] = (brood_bytes){&values[i], 8};
        }
        uint64_t left = COUNT + 1 - next;
        int n = brood_queue_put_batch(q, batch, left < 30 ? left : 30, PATIENCE);
        brood_test_ok(n);
        ck_assert_int_gt(n, 0);
        next += (uint64_t)n;
    }
    brood_test_ok(brood_queue_close(q));
    for (int i = 0; i < CONSUMERS; i++) {
        struct taken taken;
        members_end(children[i], 0);
        brood_test_ok(brood_queue_get_value(sums, &taken, PATIENCE));
        sum += taken.sum;
        count += taken.count;
    }
    ck_assert_uint_eq(count, COUNT);
    ck_assert_uint_eq(sum, (uint64_t)COUNT * (COUNT + 1) / 2);
}
END_TEST

static Suite *batch_suite(void)
{
    Suite *suite = suite_create("batch");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, comes_as_it_went);
    tcase_add_test(alone, mixes_with_single_messages);
    tcase_add_test(alone, puts_as_many_as_fit);
    tcase_add_test(alone, takes_as_many_as_have_room);
    tcase_add_test(alone, takes_no_long_ones);
    tcase_add_test(alone, refuses_what_makes_no_sense);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, is_seen_whole, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, of_the_dead_is_whole, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, many_take_them, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(batch_suite)
