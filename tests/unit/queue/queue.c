/* SPDX-License-Identifier: MIT */
/* queue.c - queues: what goes in comes out, in order, once, whatever its size and whoever dies. */
#include "members.h"
#include "queue/ring.h"

#include <brood/queue.h>

#define MIB (1024u * 1024u)

static brood_queue fresh(size_t max_items, size_t capacity)
{
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.max_items = max_items, .capacity = capacity}));
    ck_assert_int_eq(brood_queue_size(queue), 0);
    ck_assert_int_eq(brood_queue_empty(queue), 1);
    ck_assert_int_eq(brood_queue_full(queue), 0);
    return queue;
}

/* Bytes that tell their place and their message. */
static void fill(unsigned char *bytes, size_t size, size_t seed)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}
static bool is_filled(const unsigned char *bytes, size_t size, size_t seed)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8))) return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(gives_what_was_put)
{
    static const size_t sizes[] = {0,     1,     7,     8,     9,       255, 4096,        16366, 16367,   16368,
                                   16369, 16384, 65535, 65536, 1000000, MIB, 4 * MIB + 1, 3,     2 * MIB, 0};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    unsigned char *bytes = malloc(5 * MIB);
    brood_queue q = fresh(0, 256 * 1024);
    for (int at_once = 0; at_once < 2; at_once++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = 99;
            fill(bytes, sizes[i], i);
            brood_test_ok(brood_queue_put(q, sizes[i] ? bytes : NULL, sizes[i], 0));
            ck_assert_int_eq(brood_queue_size(q), at_once ? (int)i + 1 : 1);
            ck_assert_int_eq(brood_queue_empty(q), 0);
            if (at_once) continue;
            memset(bytes, 0, sizes[i]);
            brood_test_ok(brood_queue_get(q, bytes, 5 * MIB, &size, 0));
            ck_assert_uint_eq(size, sizes[i]);
            ck_assert(is_filled(bytes, size, i));
            ck_assert_int_eq(brood_queue_empty(q), 1);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 99;
        brood_test_ok(brood_queue_get(q, bytes, sizes[i], &size, 0));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(is_filled(bytes, size, i));
    }
    ck_assert_int_eq(brood_queue_size(q), 0);
    ck_assert_int_eq(brood_queue_get(q, bytes, 8, NULL, 0), BROOD_EAGAIN);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
    free(bytes);
}
END_TEST

START_TEST(size_need_not_be_asked)
{
    brood_queue q = fresh(0, 0);
    char byte = 0;
    brood_test_ok(brood_queue_put(q, "x", 1, BROOD_FOREVER));
    brood_test_ok(brood_queue_get(q, &byte, 1, NULL, BROOD_FOREVER));
    ck_assert_int_eq(byte, 'x');
    brood_test_ok(brood_queue_put(q, NULL, 0, 100));
    brood_test_ok(brood_queue_get(q, NULL, 0, NULL, 100));
}
END_TEST

START_TEST(values_have_their_size)
{
    struct point {
        double x, y;
    } in = {1.5, -2}, out = {0}, two[2];
    brood_queue q = fresh(0, 0);
    uint64_t other;
    brood_test_ok(brood_queue_put_value(q, &in, 0));
    ck_assert_int_eq(brood_queue_get_value(q, &other, 0), BROOD_EMSGSIZE); /* longer */
    ck_assert_str_eq(brood_error_detail(), "the message has 16 bytes, and 8 were asked for");
    ck_assert_int_eq(brood_queue_get_value(q, &two, 0), BROOD_EMSGSIZE); /* shorter */
    ck_assert_str_eq(brood_error_detail(), "the message has 16 bytes, and 32 were asked for");
    ck_assert_int_eq(brood_queue_size(q), 1);
    brood_test_ok(brood_queue_get_value(q, &out, 0));
    ck_assert(out.x == 1.5 && out.y == -2);
    ck_assert_int_eq(brood_queue_get_value(q, &out, 0), BROOD_EAGAIN);
    members_late(brood_queue_get_value(q, &out, A_WHILE));
}
END_TEST

START_TEST(too_long_stays)
{
    static const size_t sizes[] = {1, 100, 16000, 60000, 3 * MIB};
    brood_queue q = fresh(0, 0);
    unsigned char *bytes = malloc(3 * MIB);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i], size = 0;
        fill(bytes, n, i);
        brood_test_ok(brood_queue_put(q, bytes, n, 0));
        memset(bytes, 0, n);
        ck_assert_int_eq(brood_queue_get(q, bytes, n - 1, &size, 0), BROOD_EMSGSIZE);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "and the place for it"));
        ck_assert_uint_eq(size, n);
        ck_assert_int_eq(brood_queue_get(q, NULL, 0, &size, BROOD_FOREVER), BROOD_EMSGSIZE);
        ck_assert_int_eq(brood_queue_get(q, bytes, 0, NULL, A_WHILE), BROOD_EMSGSIZE);
        ck_assert_int_eq(brood_queue_get_exactly(q, bytes, n - 1, 0), BROOD_EMSGSIZE);
        ck_assert_int_eq(brood_queue_size(q), 1);
        size = 0;
        brood_test_ok(brood_queue_get(q, bytes, n, &size, 0));
        ck_assert_uint_eq(size, n);
        ck_assert(is_filled(bytes, n, i));
    }
    free(bytes);
}
END_TEST

START_TEST(max_items_is_kept)
{
    brood_queue q = fresh(3, 0);
    int out;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(brood_queue_full(q), 0);
            brood_test_ok(brood_queue_put_value(q, &i, 0));
            ck_assert_int_eq(brood_queue_size(q), i + 1);
        }
        ck_assert_int_eq(brood_queue_full(q), 1);
        ck_assert_int_eq(brood_queue_put_value(q, &round, 0), BROOD_EAGAIN);
        members_late(brood_queue_put_value(q, &round, A_WHILE));
        ck_assert_int_eq(brood_queue_put(q, "", 0, 0), BROOD_EAGAIN);
        ck_assert_int_eq(brood_queue_size(q), 3);
        for (int i = 0; i < 3; i++) {
            brood_test_ok(brood_queue_get_value(q, &out, 0));
            ck_assert_int_eq(out, i);
            ck_assert_int_eq(brood_queue_full(q), 0);
        }
        ck_assert_int_eq(brood_queue_get_value(q, &out, 0), BROOD_EAGAIN);
        members_late(brood_queue_get_value(q, &out, A_WHILE));
    }
}
END_TEST

/* Sizes that don't divide the ring, filled to the brim again and again: the ends of the ring in every phase. */
START_TEST(wraps_around)
{
    uint64_t state = 1234567;
    unsigned char bytes[2048];
    brood_queue q = fresh(0, 1024);
    size_t put = 0, got = 0, sizes[256];
    for (int round = 0; round < 2000; round++) {
        for (;; put++) {
            size_t size = sizes[put % 256] = members_random(&state) % (round % 7 == 0 ? 400 : 241);
            fill(bytes, size, put);
            int code = brood_queue_put(q, bytes, size, 0);
            if (code == BROOD_EAGAIN) break;
            brood_test_ok(code);
        }
        ck_assert_uint_gt(put, got);
        ck_assert_int_eq(brood_queue_size(q), (int)(put - got));
        for (uint64_t n = 1 + members_random(&state) % (put - got); n; n--, got++) {
            size_t size = 0;
            brood_test_ok(brood_queue_get(q, bytes, sizeof bytes, &size, 0));
            ck_assert_uint_eq(size, sizes[got % 256]);
            ck_assert(is_filled(bytes, size, got));
        }
    }
}
END_TEST

/* It is full after so many, and one that is taken makes room for one. */
START_TEST(capacity_is_kept)
{
    for (size_t size = 0; size <= 48; size += 8) {
        uint64_t bytes[6] = {0};
        brood_queue q = fresh(0, 256);
        int n = 0;
        for (; brood_queue_put(q, bytes, size, 0) == 0; n++) ck_assert_int_le(n, 32);
        ck_assert_int_ge(n, 4);
        ck_assert_int_eq(brood_queue_size(q), n);
        if (size <= 8) ck_assert_int_eq(brood_queue_full(q), 1);
        for (int i = 0; i < 100; i++) {
            brood_test_ok(brood_queue_get(q, bytes, size, NULL, 0));
            int code = brood_queue_put(q, bytes, size, 0);
            if (code == BROOD_EAGAIN) { /* the end of the ring was too short for it */
                ck_assert_uint_gt(size, 8);
                brood_test_ok(brood_queue_get(q, bytes, size, NULL, 0));
                code = brood_queue_put(q, bytes, size, 0);
            }
            brood_test_ok(code);
        }
        brood_test_ok(brood_queue_free(q));
    }
}
END_TEST

START_TEST(closed_gives_what_it_has)
{
    brood_queue q = fresh(0, 0);
    int out;
    for (int i = 0; i < 3; i++) brood_test_ok(brood_queue_put_value(q, &i, 0));
    ck_assert_int_eq(brood_queue_close(q), 0);
    ck_assert_int_eq(brood_queue_close(q), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_queue_put_value(q, &i, 0), BROOD_ECLOSED);
        ck_assert_int_eq(brood_queue_put_value(q, &i, A_WHILE), BROOD_ECLOSED);
        ck_assert_int_eq(brood_queue_put_value(q, &i, BROOD_FOREVER), BROOD_ECLOSED);
        ck_assert_int_eq(brood_queue_size(q), 3 - i);
        ck_assert_int_eq(brood_queue_get(q, NULL, 0, NULL, 0), BROOD_EMSGSIZE);
        brood_test_ok(brood_queue_get_value(q, &out, i == 0 ? 0 : i == 1 ? 100 : BROOD_FOREVER));
        ck_assert_int_eq(out, i);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(brood_queue_get_value(q, &out, 0), BROOD_ECLOSED);
        ck_assert_int_eq(brood_queue_get_value(q, &out, A_WHILE), BROOD_ECLOSED);
        ck_assert_int_eq(brood_queue_get_value(q, &out, BROOD_FOREVER), BROOD_ECLOSED);
    }
    brood_buffer buffer;
    brood_view view;
    size_t length;
    ck_assert_int_eq(brood_queue_get_buffer(q, &buffer, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_queue_get_view(q, &view, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_queue_get_batch(q, &out, sizeof out, &length, 1, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_queue_empty(q), 1);
    ck_assert_int_eq(brood_queue_size(q), 0);
    brood_test_ok(brood_queue_free(q));
}
END_TEST

START_TEST(closed_refuses_long_ones)
{
    brood_queue q = fresh(0, 0);
    size_t before, after;
    void *bytes = calloc(1, MIB);
    brood_test_ok(brood_queue_close(q));
    brood_test_ok(brood_arena_usage(&before, NULL));
    ck_assert_int_eq(brood_queue_put(q, bytes, MIB, 0), BROOD_ECLOSED);
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
    free(bytes);
}
END_TEST

/* A full queue gives back the memory of what did not go in. */
START_TEST(full_refuses_long_ones)
{
    brood_queue q = fresh(1, 0);
    size_t before, after;
    void *bytes = calloc(1, MIB);
    brood_test_ok(brood_queue_put(q, NULL, 0, 0));
    brood_test_ok(brood_arena_usage(&before, NULL));
    ck_assert_int_eq(brood_queue_put(q, bytes, MIB, 0), BROOD_EAGAIN);
    members_late(brood_queue_put(q, bytes, MIB, A_WHILE));
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
    free(bytes);
}
END_TEST

START_TEST(options_have_a_range)
{
    brood_queue q;
    ck_assert_int_eq(brood_queue_new(&q, &(brood_queue_options){.max_items = (size_t)INT32_MAX + 1}), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_new(&q, &(brood_queue_options){.max_items = SIZE_MAX}), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "at most 2147483647 messages"));
    ck_assert_int_eq(brood_queue_new(&q, &(brood_queue_options){.capacity = SIZE_MAX}), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "18446744073709551615 bytes"));
    ck_assert_int_eq(brood_queue_new(&q, &(brood_queue_options){.capacity = SIZE_MAX / 2 + 2}), BROOD_EINVAL);
    brood_test_ok(brood_queue_new(&q, &(brood_queue_options){.max_items = INT32_MAX, .capacity = 1}));
    brood_test_ok(brood_queue_put(q, "1", 1, 0));
    brood_test_ok(brood_queue_new(&q, NULL));
    ck_assert_int_eq(brood_queue_put(q, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "NULL for 1 bytes");
    ck_assert_int_eq(brood_queue_get(q, NULL, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_queue_get_exactly(q, NULL, 1, 0), BROOD_EINVAL);
}
END_TEST

#define CK_GONE(call)                                                               \
    do {                                                                            \
        int64_t code = (call);                                                      \
        ck_assert_msg(code == first || code == second, "%s: %d", #call, (int)code); \
    } while (0)

/* All calls on a handle whose queue is not there. */
static void ck_gone(brood_queue q, int first, int second)
{
    static const char long_one[100000];
    static const int timeouts[] = {0, A_WHILE, BROOD_FOREVER};
    char bytes[8] = "";
    size_t size;
    brood_buffer buffer = {0};
    brood_view view;
    for (int i = 0; i < 3; i++) {
        CK_GONE(brood_queue_put(q, bytes, 0, timeouts[i]));
        CK_GONE(brood_queue_put(q, long_one, sizeof long_one, timeouts[i]));
        CK_GONE(brood_queue_get(q, bytes, sizeof bytes, &size, timeouts[i]));
        CK_GONE(brood_queue_get_exactly(q, bytes, sizeof bytes, timeouts[i]));
        CK_GONE(brood_queue_put_buffer(q, buffer, timeouts[i]));
        CK_GONE(brood_queue_get_buffer(q, &buffer, timeouts[i]));
        CK_GONE(brood_queue_get_view(q, &view, timeouts[i]));
        CK_GONE(brood_queue_put_batch(q, &(brood_bytes){bytes, 8}, 1, timeouts[i]));
        CK_GONE(brood_queue_get_batch(q, bytes, sizeof bytes, &size, 1, timeouts[i]));
    }
    CK_GONE(brood_queue_close(q));
    CK_GONE(brood_queue_size(q));
    CK_GONE(brood_queue_empty(q));
    CK_GONE(brood_queue_full(q));
    CK_GONE(brood_queue_fd(q));
    ck_assert_int_eq(brood_queue_free(q), first == BROOD_ECLOSED ? BROOD_ESTALE : first);
}
static void ck_stale(brood_queue q)
{
    ck_gone(q, BROOD_ESTALE, BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_queue q = fresh(0, 0), next = {0};
    brood_test_ok(brood_queue_put(q, "lost", 4, 0));
    brood_test_ok(brood_queue_free(q));
    ck_stale(q);
    for (int i = 0; i < 130 && HANDLE_INDEX(next.id) != HANDLE_INDEX(q.id); i++) next = fresh(0, 256);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(q.id));
    ck_stale(q);
    ck_assert_int_eq(brood_queue_size(next), 0);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 5783321;
    members_one_of_each(ids);
    ck_stale((brood_queue){0});
    for (int i = 0; i < MEMBERS_TYPES; i++)
        if (HANDLE_TABLE(ids[i]) != TABLE_QUEUE) ck_stale((brood_queue){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_queue){members_forged(TABLE_QUEUE, i, &state)});
    ck_assert_int_eq(brood_queue_size((brood_queue){ids[3]}), 0);
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_queue q = fresh(0, 0);
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_queue_new(&q, NULL), BROOD_ENOTMEMBER);
    ck_gone(q, BROOD_ENOTMEMBER, BROOD_ENOTMEMBER);
}
END_TEST

START_TEST(slots_come_to_an_end)
{
    brood_queue q = fresh(0, 256), last;
    struct table_shm *t = &brood__arena()->tables[TABLE_QUEUE];
    t->capacity = atomic_load(&t->high);
    int error;
    while ((error = brood_queue_new(&last, &(brood_queue_options){.capacity = 1})) == 0) {}
    ck_assert_int_eq(error, BROOD_EARENA);
    brood_test_ok(brood_queue_free(q));
    q = fresh(0, 0);
    brood_test_ok(brood_queue_put(q, "1", 1, 0));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

/* A message of the many: who wrote it, which of his it is, and as many bytes as its number says. */
struct parcel {
    uint32_t producer, number;
    uint64_t checksum;
    unsigned char bytes[];
};

static uint64_t checksum(const struct parcel *p, size_t size)
{
    uint64_t sum = (uint64_t)p->producer << 32 | p->number;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + p->bytes[i];
    return sum;
}

#define LONG_PARCEL 20000u

/* Short ones, and now and then one that travels in a buffer. */
static size_t length_of(uint32_t number)
{
    return number % 97 == 96 ? LONG_PARCEL : number % 61;
}

static int produce(brood_queue q, uint32_t producer, uint32_t count)
{
    _Alignas(struct parcel) unsigned char room[sizeof(struct parcel) + LONG_PARCEL];
    struct parcel *p = (struct parcel *)(void *)room;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = length_of(i);
        *p = (struct parcel){.producer = producer, .number = i};
        fill(p->bytes, size, producer * 1000 + i);
        p->checksum = checksum(p, size);
        MUST(brood_queue_put(q, p, sizeof *p + size, i % 2 ? PATIENCE : BROOD_FOREVER) == 0);
    }
    return 0;
}

#define PRODUCERS 3

/* What a consumer saw: per producer how many, and the sum of their numbers. */
struct tally {
    uint64_t count[PRODUCERS], sum[PRODUCERS];
};

static int consume(brood_queue q, struct tally *tally)
{
    struct parcel *p = malloc(sizeof *p + LONG_PARCEL);
    uint32_t next[PRODUCERS] = {0};
    MUST(p);
    for (;;) {
        size_t size = 0;
        int code = brood_queue_get(q, p, sizeof *p + LONG_PARCEL, &size, BROOD_FOREVER);
        if (code == BROOD_ECLOSED) break;
        MUST(code == 0);
        MUST(p->producer < PRODUCERS && size == sizeof *p + length_of(p->number));
        MUST(p->number >= next[p->producer]); /* in the order of each producer */
        MUST(p->checksum == checksum(p, length_of(p->number)));
        next[p->producer] = p->number + 1;
        tally->count[p->producer]++;
        tally->sum[p->producer] += p->number;
    }
    free(p);
    return 0;
}

BROOD_TASK(produces, int, brood_queue, q, uint32_t, producer, uint32_t, count, brood_event, go)
{
    MUST(brood_event_wait(go, PATIENCE) == 0);
    return produce(q, producer, count);
}

BROOD_TASK(consumes, int, brood_queue, q, brood_queue, tallies, brood_event, go)
{
    struct tally tally = {0};
    MUST(brood_event_wait(go, PATIENCE) == 0);
    if (consume(q, &tally)) return 1;
    MUST(brood_queue_put_value(tallies, &tally, PATIENCE) == 0);
    return 0;
}

static void ck_tallies(brood_queue tallies, int consumers, uint32_t count)
{
    struct tally all = {0};
    for (int i = 0; i < consumers; i++) {
        struct tally one;
        brood_test_ok(brood_queue_get_value(tallies, &one, PATIENCE));
        for (int p = 0; p < PRODUCERS; p++) {
            all.count[p] += one.count[p];
            all.sum[p] += one.sum[p];
        }
    }
    for (int p = 0; p < PRODUCERS; p++) {
        ck_assert_uint_eq(all.count[p], count);
        ck_assert_uint_eq(all.sum[p], (uint64_t)count * (count - 1) / 2);
    }
}

/* _i: method, then with a queue that is nearly always full, then with one message at most */
START_TEST(many_to_many)
{
    enum { CONSUMERS = 3, COUNT = 2500 };
    uint32_t count = _i < 6 ? COUNT : COUNT / 5;
    brood_queue q = fresh(_i < 6 ? 0 : 1, _i < 3 ? 0 : 1024), tallies = fresh(0, 0);
    brood_process producers[PRODUCERS], consumers[CONSUMERS];
    brood_event go;
    brood_test_ok(brood_event_new(&go));
    for (uint32_t i = 0; i < PRODUCERS; i++)
        members_start(&producers[i], members_methods[_i % 3], produces, (&(produces_args){q, i, count, go}));
    for (int i = 0; i < CONSUMERS; i++)
        members_start(&consumers[i], members_methods[_i % 3], consumes, (&(consumes_args){q, tallies, go}));
    brood_test_ok(brood_event_set(go));
    for (int i = 0; i < PRODUCERS; i++) members_end(producers[i], 0);
    brood_test_ok(brood_queue_close(q));
    for (int i = 0; i < CONSUMERS; i++) members_end(consumers[i], 0);
    ck_tallies(tallies, CONSUMERS, count);
    ck_assert_int_eq(brood_queue_size(q), 0);
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

BROOD_TASK(sends, int, brood_queue, q, uint64_t, size)
{
    unsigned char *bytes = malloc(size);
    MUST(bytes);
    fill(bytes, size, 5);
    int error = brood_queue_put(q, bytes, size, 0);
    free(bytes);
    MUST(error == 0);
    return 0;
}

/* A message is in the queue though its producer has gone, even a long one, whose buffer was the producer's. */
START_TEST(outlives_its_producer)
{
    static const uint64_t sizes[] = {100, 3 * MIB};
    brood_queue q = fresh(0, 0);
    unsigned char *bytes = malloc(3 * MIB);
    for (int i = 0; i < 2; i++) {
        brood_process child;
        members_start(&child, members_methods[_i], sends, (&(sends_args){q, sizes[i]}));
        brood_test_ok(brood_process_join(child, PATIENCE, NULL));
        members_repaired(HANDLE_INDEX(child.id));
        members_end(child, 0);
    }
    for (int i = 0; i < 2; i++) {
        size_t size;
        brood_test_ok(brood_queue_get(q, bytes, 3 * MIB, &size, 0));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(is_filled(bytes, size, 5));
    }
    free(bytes);
}
END_TEST

/* They end with the answer, as -code % 256. */
BROOD_TASK(gets, int, brood_queue, q, int, timeout)
{
    uint64_t value;
    return -brood_queue_get_value(q, &value, timeout) & 0xff;
}
BROOD_TASK(puts_one, int, brood_queue, q, int, timeout)
{
    uint64_t value = 1;
    return -brood_queue_put_value(q, &value, timeout) & 0xff;
}
#define ANSWER(code) (-(code)&0xff)

/* Consumers, or producers, that have gone to sleep at the queue. */
static void start_sleepers(brood_process *children, int n, brood_queue q, bool producers, int timeout,
                           brood_start_method method)
{
    for (int i = 0; i < n; i++) {
        if (producers)
            members_start(&children[i], method, puts_one, (&(puts_one_args){q, timeout}));
        else
            members_start(&children[i], method, gets, (&(gets_args){q, timeout}));
    }
    for (int i = 0; i < n; i++) members_asleep(children[i], q.id);
}

START_TEST(each_put_wakes_one)
{
    brood_queue q = fresh(0, 0);
    brood_process children[3];
    start_sleepers(children, 3, q, false, BROOD_FOREVER, members_methods[_i]);
    for (uint64_t i = 0; i < 3; i++) brood_test_ok(brood_queue_put_value(q, &i, 0));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_size(q), 0);
}
END_TEST

START_TEST(each_get_wakes_one)
{
    brood_queue q = fresh(1, 0);
    brood_process children[3];
    uint64_t value = 0;
    brood_test_ok(brood_queue_put_value(q, &value, 0));
    start_sleepers(children, 3, q, true, BROOD_FOREVER, members_methods[_i]);
    for (int i = 0; i < 4; i++) brood_test_ok(brood_queue_get_value(q, &value, PATIENCE));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_size(q), 0);
}
END_TEST

/* A batch that comes at once wakes as many as it has messages; a batch that goes, as many producers. */
START_TEST(a_batch_wakes_many)
{
    brood_queue q = fresh(3, 0);
    brood_process children[3];
    uint64_t value = 0, values[4];
    size_t sizes[4];
    brood_bytes messages[3] = {{&value, 8}, {&value, 8}, {&value, 8}};
    start_sleepers(children, 3, q, false, BROOD_FOREVER, BROOD_START_FORK);
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 3, 0), 3);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_put_batch(q, messages, 3, 0), 3);
    start_sleepers(children, 3, q, true, BROOD_FOREVER, BROOD_START_FORK);
    ck_assert_int_eq(brood_queue_get_batch(q, values, sizeof values, sizes, 4, 0), 3);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_size(q), 3);
}
END_TEST

/* _i & 1: they put, else they get; _i & 2: freed, else closed; _i & 4: with a timeout */
START_TEST(end_wakes_all)
{
    brood_queue q = fresh(1, 0);
    brood_process children[3];
    uint64_t value = 0;
    if (_i & 1) brood_test_ok(brood_queue_put_value(q, &value, 0));
    start_sleepers(children, 3, q, _i & 1, _i & 4 ? PATIENCE : BROOD_FOREVER, BROOD_START_FORK);
    brood_test_ok(_i & 2 ? brood_queue_free(q) : brood_queue_close(q));
    for (int i = 0; i < 3; i++) members_end(children[i], _i & 2 ? ANSWER(BROOD_ESTALE) : ANSWER(BROOD_ECLOSED));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready, bool, full)
{
    brood_queue *q = brood_buffer_data(shared, NULL);
    uint64_t value = 0;
    MUST(brood_queue_new(q, &(brood_queue_options){.max_items = 1}) == 0);
    if (full) MUST(brood_queue_put_value(*q, &value, 0) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* _i: method, and three times that for those who put */
START_TEST(goes_with_its_owner)
{
    brood_buffer shared = members_shared(sizeof(brood_queue));
    brood_event ready;
    brood_process owner, child;
    int code;
    brood_test_ok(brood_event_new(&ready));
    members_start(&owner, members_methods[_i % 3], makes, (&(makes_args){shared, ready, _i >= 3}));
    brood_test_ok(brood_event_wait(ready, PATIENCE));
    brood_queue q = *(brood_queue *)brood_buffer_data(shared, NULL);
    start_sleepers(&child, 1, q, _i >= 3, BROOD_FOREVER, members_methods[_i % 3]);
    members_kill(owner);
    brood_test_ok(brood_process_join(child, PATIENCE, &code));
    ck_assert(code == ANSWER(BROOD_ECLOSED) || code == ANSWER(BROOD_ESTALE));
    brood_test_ok(brood_process_free(child));
    ck_gone(q, BROOD_ECLOSED, BROOD_ESTALE);
    for (int i = 0; i < 1000 && HANDLE_INDEX(fresh(0, 256).id) != HANDLE_INDEX(q.id); i++) ck_assert_int_lt(i, 999);
    ck_stale(q);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

BROOD_TASK(produces_for_ever, int, brood_queue, q, uint32_t, producer)
{
    return produce(q, producer, UINT32_MAX);
}

/* One that is killed in full flight has put a beginning of what it had to put, each message whole. */
START_TEST(killed_producers_leave_a_beginning)
{
    brood_queue q = fresh(0, _i % 2 ? 2048 : 0);
    struct parcel *p = malloc(sizeof *p + LONG_PARCEL);
    for (uint32_t round = 0; round < 5; round++) {
        brood_process child;
        uint32_t seen = 0, enough = 100 + 37 * round;
        size_t size;
        int code;
        members_start(&child, members_methods[_i % 3], produces_for_ever, (&(produces_for_ever_args){q, round}));
        while ((code = brood_queue_get(q, p, sizeof *p + LONG_PARCEL, &size, seen < enough ? PATIENCE : 0)) == 0) {
            ck_assert_uint_eq(p->producer, round);
            ck_assert_uint_eq(p->number, seen);
            ck_assert_uint_eq(size, sizeof *p + length_of(seen));
            ck_assert_uint_eq(p->checksum, checksum(p, length_of(seen)));
            if (++seen == enough) members_kill(child);
        }
        ck_assert_int_eq(code, BROOD_EAGAIN);
        ck_assert_uint_ge(seen, enough);
        ck_assert_int_eq(brood_queue_size(q), 0);
    }
    brood_test_ok(brood_queue_free(q));
    ck_assert_int_eq(brood__pages_check(), 0);
    free(p);
}
END_TEST

BROOD_TASK(consumes_for_ever, int, brood_queue, q, brood_queue, seen)
{
    uint64_t value;
    for (;;) {
        MUST(brood_queue_get_value(q, &value, BROOD_FOREVER) == 0);
        MUST(brood_queue_put_value(seen, &value, BROOD_FOREVER) == 0);
    }
}

/* A consumer that is killed takes at most the one message with it that it had taken. */
START_TEST(killed_consumers_take_one)
{
    enum { COUNT = 2000, DEATHS = 5 };
    brood_queue q = fresh(0, 0), seen = fresh(0, 0);
    uint64_t missing = 0, expected = 0, value;
    for (uint64_t i = 0; i < COUNT; i++) brood_test_ok(brood_queue_put_value(q, &i, 0));
    for (int round = 0; round < DEATHS && brood_queue_size(q) > 200; round++) { /* they may be quick */
        brood_process child;
        members_start(&child, members_methods[_i], consumes_for_ever, (&(consumes_for_ever_args){q, seen}));
        for (int i = 0; brood_queue_get_value(seen, &value, i < 20 ? PATIENCE : 0) == 0; i++) {
            missing += value - expected;
            expected = value + 1;
            if (i == 19) members_kill(child);
        }
    }
    while (brood_queue_get_value(q, &value, 0) == 0) {
        missing += value - expected;
        expected = value + 1;
    }
    missing += COUNT - expected;
    ck_assert_uint_le(missing, DEATHS);
}
END_TEST

/* One asleep dies; the message is for the one behind it, unless the dead was quicker, and then it is lost. */
START_TEST(dead_sleepers_take_nothing)
{
    brood_queue q = fresh(0, 0);
    brood_process children[2];
    uint64_t value = 0;
    start_sleepers(&children[0], 1, q, false, BROOD_FOREVER, BROOD_START_FORK);
    start_sleepers(&children[1], 1, q, false, BROOD_FOREVER, BROOD_START_FORK);
    brood_test_ok(brood_process_kill(children[0]));
    brood_test_ok(brood_queue_put_value(q, &value, 0));
    members_kill(children[0]);
    if (brood_queue_size(q) == 0 && brood_process_join(children[1], 500, NULL) == BROOD_ETIMEDOUT)
        brood_test_ok(brood_queue_put_value(q, &value, 0));
    members_end(children[1], 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_queue common, tallies_of_threads;

static void *produce_in_thread(void *number)
{
    return produce(common, (uint32_t)(uintptr_t)number, 2000) ? NULL : &common;
}
static void *consume_in_thread(void *unused)
{
    struct tally tally = {0};
    if (consume(common, &tally) || brood_queue_put_value(tallies_of_threads, &tally, 0)) return unused;
    return &common;
}

START_TEST(threads_many_to_many)
{
    pthread_t producers[PRODUCERS], consumers[2];
    common = fresh(0, _i ? 1024 : 0);
    tallies_of_threads = fresh(0, 0);
    void *result;
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(pthread_create(&producers[i], NULL, produce_in_thread, (void *)i), 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&consumers[i], NULL, consume_in_thread, NULL), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], &result);
        ck_assert_ptr_eq(result, &common);
    }
    brood_test_ok(brood_queue_close(common));
    for (int i = 0; i < 2; i++) {
        pthread_join(consumers[i], &result);
        ck_assert_ptr_eq(result, &common);
    }
    ck_tallies(tallies_of_threads, 2, 2000);
}
END_TEST

static volatile sig_atomic_t put_count, got_count, inside, wrong;

static void use_in_handler(int signal)
{
    uint64_t value = 7;
    (void)signal;
    int code = brood_queue_put_value(common, &value, 0);
    if (code == 0)
        put_count++;
    else if (code == BROOD_EDEADLK)
        inside++;
    else if (code != BROOD_EAGAIN)
        wrong++;
    code = brood_queue_get_value(common, &value, 0);
    if (code == 0)
        got_count++;
    else if (code == BROOD_EDEADLK)
        inside++;
    else if (code != BROOD_EAGAIN)
        wrong++;
    if (brood_queue_size(common) < 0 || brood_queue_empty(common) < 0 || brood_queue_full(common) < 0) wrong++;
}

/* In a ring so small that it is full at times; the counts have to agree in the end. */
START_TEST(signal_handlers_may_try)
{
    common = fresh(_i ? 2 : 0, 256);
    uint64_t value = 1;
    long puts = 0, takes = 0;
    long long start = members_now_ms();
    members_alarm(use_in_handler, 60);
    while (members_now_ms() < start + 300 || (inside == 0 && members_now_ms() < start + PATIENCE)) {
        for (int i = 0; i < 200; i++) {
            int code = brood_queue_put_value(common, &value, i % 5 ? 0 : 1);
            ck_assert(code == 0 || code == BROOD_EAGAIN || code == BROOD_ETIMEDOUT);
            puts += code == 0;
            code = brood_queue_get_value(common, &value, i % 7 ? 0 : 1);
            ck_assert(code == 0 || code == BROOD_EAGAIN || code == BROOD_ETIMEDOUT);
            takes += code == 0;
        }
    }
    members_quiet();
    while (brood_queue_get_value(common, &value, 0) == 0) takes++;
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(put_count, 0);
    ck_assert_int_gt(got_count, 0);
    ck_assert_int_gt(inside, 0);
    ck_assert_int_eq(puts + put_count, takes + got_count);
}
END_TEST

static void feed_in_handler(int signal)
{
    uint64_t value = 1;
    (void)signal;
    if (brood_queue_put_value(common, &value, 0) == 0) put_count++;
}

/* The handler puts what the interrupted call waits for. */
START_TEST(signal_handlers_may_feed)
{
    common = fresh(0, 0);
    uint64_t value;
    members_alarm(feed_in_handler, 1000);
    for (int i = 0; i < 200; i++) brood_test_ok(brood_queue_get_value(common, &value, PATIENCE));
    members_quiet();
    ck_assert_int_ge(put_count, 200);
    ck_assert_int_eq(brood_queue_size(common), put_count - 200);
}
END_TEST

/* More than the first step of the table's growth, whose bytes are no multiple of a slot's. */
START_TEST(there_are_many)
{
    enum { MANY = 400 };
    static brood_queue q[MANY];
    int value;
    for (int i = 0; i < MANY; i++) {
        q[i] = fresh(0, 256);
        brood_test_ok(brood_queue_put_value(q[i], &i, 0));
    }
    for (int i = 0; i < MANY; i++) {
        brood_test_ok(brood_queue_get_value(q[i], &value, 0));
        ck_assert_int_eq(value, i);
        brood_test_ok(brood_queue_free(q[i]));
    }
}
END_TEST

static Suite *queue_suite(void)
{
    Suite *suite = suite_create("queue");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, gives_what_was_put);
    tcase_add_test(alone, size_need_not_be_asked);
    tcase_add_test(alone, values_have_their_size);
    tcase_add_test(alone, too_long_stays);
    tcase_add_test(alone, max_items_is_kept);
    tcase_add_test(alone, wraps_around);
    tcase_add_test(alone, capacity_is_kept);
    tcase_add_test(alone, closed_gives_what_it_has);
    tcase_add_test(alone, closed_refuses_long_ones);
    tcase_add_test(alone, full_refuses_long_ones);
    tcase_add_test(alone, options_have_a_range);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, slots_come_to_an_end);
    tcase_add_test(alone, there_are_many);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, many_to_many, 0, 3 * MEMBERS_METHODS);
    tcase_add_loop_test(others, outlives_its_producer, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, each_put_wakes_one, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, each_get_wakes_one, 0, MEMBERS_METHODS);
    tcase_add_test(others, a_batch_wakes_many);
    tcase_add_loop_test(others, end_wakes_all, 0, 8);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, goes_with_its_owner, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, killed_producers_leave_a_beginning, 0, 2 * MEMBERS_METHODS);
    tcase_add_loop_test(deaths, killed_consumers_take_one, 0, MEMBERS_METHODS);
    tcase_add_test(deaths, dead_sleepers_take_nothing);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_loop_test(inner, threads_many_to_many, 0, 2);
    tcase_add_loop_test(inner, signal_handlers_may_try, 0, 2);
    tcase_add_test(inner, signal_handlers_may_feed);
    return suite;
}

BROOD_TEST_MAIN(queue_suite)
