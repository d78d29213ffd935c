/* SPDX-License-Identifier: MIT */
/* buffers.c - buffers and views: bytes with exactly one holder, that move without a copy and die with who has them. */
#include "call/buffer.h"
#include "members.h"

#include <brood/queue.h>

#define MIB (1024u * 1024u)

static brood_queue fresh(size_t max_items)
{
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.max_items = max_items}));
    return queue;
}

static size_t used(void)
{
    size_t bytes;
    brood_test_ok(brood_arena_usage(&bytes, NULL));
    return bytes;
}

/* What dead members left is taken apart by whoever claims its place next: claim them all. */
static size_t used_without_garbage(void)
{
    struct table_shm *t = &brood__arena()->tables[TABLE_BUFFER];
    uint32_t n = atomic_load(&t->used), count = 0;
    brood_buffer *buffers = calloc(n, sizeof *buffers);
    for (uint32_t i = 1; i < n; i++) {
        enum slot_state state = SLOT_STATE(atomic_load(&brood__slot_at(TABLE_BUFFER, i)->word));
        if (state != SLOT_GARBAGE) continue;
        atomic_store(&t->hint, i);
        brood_test_ok(brood_buffer_new(&buffers[count++], 0, NULL));
    }
    while (count) brood_test_ok(brood_buffer_free(buffers[--count]));
    free(buffers);
    ck_assert_int_eq(brood__pages_check(), 0);
    return used();
}

/* ------------------------------------------------------------------------------------------------ alone */

START_TEST(has_the_size_asked_for)
{
    static const size_t sizes[] = {0, 1, 64, 4095, 4096, 4097, 100000, 5 * MIB};
    size_t before = used(), limit, total = 0;
    brood_buffer buffers[8];
    for (int i = 0; i < 8; i++) {
        void *data = NULL;
        size_t size = 99;
        brood_test_ok(brood_buffer_new(&buffers[i], sizes[i], &data));
        ck_assert_ptr_nonnull(data);
        ck_assert_uint_eq((uintptr_t)data % 64, 0);
        memset(data, i, sizes[i]);
        ck_assert_ptr_eq(brood_buffer_data(buffers[i], &size), data);
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert_ptr_eq(brood_buffer_data(buffers[i], NULL), data);
        total += sizes[i];
        ck_assert_uint_ge(used(), before + total);
    }
    for (int i = 0; i < 8; i++) {
        size_t size;
        unsigned char *data = brood_buffer_data(buffers[i], &size);
        for (size_t k = 0; k < size; k++)
            if (data[k] != i) ck_abort_msg("byte %zu of %d is %d", k, i, data[k]);
        brood_test_ok(brood_buffer_free(buffers[i]));
    }
    ck_assert_uint_eq(used(), before);
    brood_test_ok(brood_arena_usage(NULL, &limit));
    brood_test_ok(brood_arena_usage(NULL, NULL));
    brood_buffer none;
    void *data;
    ck_assert_int_eq(brood_buffer_new(&none, limit + 1, &data), BROOD_EARENA);
    ck_assert_int_eq(brood_buffer_new(&none, SIZE_MAX, &data), BROOD_EARENA);
    ck_assert_int_eq(brood_buffer_new(&none, SIZE_MAX - 4000, NULL), BROOD_EARENA);
    ck_assert_uint_eq(used(), before);
}
END_TEST

static void ck_stale(brood_queue q, brood_buffer b)
{
    ck_assert_int_eq(brood_buffer_free(b), BROOD_ESTALE);
    ck_assert_ptr_null(brood_buffer_data(b, NULL));
    ck_assert_int_eq(brood_queue_put_buffer(q, b, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_queue_put_buffer(q, b, A_WHILE), BROOD_ESTALE);
    ck_assert_int_eq(brood_queue_put_buffer(q, b, BROOD_FOREVER), BROOD_ESTALE);
    brood_view view = {.reserved = {b.id}};
    ck_assert_int_eq(brood_view_release(&view), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_queue q = fresh(0);
    brood_buffer b = members_shared(100);
    brood_test_ok(brood_buffer_free(b));
    ck_stale(q, b);
    brood_buffer next = members_shared(100);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(b.id));
    ck_stale(q, b);
    brood_test_ok(brood_buffer_free(next));
}
END_TEST

START_TEST(forged_is_stale)
{
    brood_queue q = fresh(0);
    uint64_t ids[MEMBERS_TYPES], state = 69069;
    members_one_of_each(ids);
    ck_stale(q, (brood_buffer){0});
    for (int i = 0; i < MEMBERS_TYPES; i++)
        if (HANDLE_TABLE(ids[i]) != TABLE_BUFFER) ck_stale(q, (brood_buffer){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale(q, (brood_buffer){members_forged(TABLE_BUFFER, i, &state)});
    ck_assert_int_eq(brood_queue_size(q), 0);
    brood_test_ok(brood_buffer_free((brood_buffer){ids[4]}));
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_buffer b = members_shared(10);
    void *data;
    brood_view view = {.reserved = {b.id}};
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_buffer_new(&b, 10, &data), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_buffer_free(b), BROOD_ENOTMEMBER);
    ck_assert_ptr_null(brood_buffer_data(b, NULL));
    ck_assert_int_eq(brood_view_release(&view), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_arena_usage(NULL, NULL), BROOD_ENOTMEMBER);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ through queues */

START_TEST(moves_without_a_copy)
{
    brood_queue q = fresh(0);
    size_t before = used(), size;
    void *data;
    brood_buffer b, got = {0};
    brood_test_ok(brood_buffer_new(&b, 100, &data));
    memset(data, 7, 100);
    brood_test_ok(brood_queue_put_buffer(q, b, _i ? BROOD_FOREVER : 0));
    ck_assert_int_eq(brood_queue_size(q), 1);
    /* it is the queue's now */
    ck_assert_int_lt(brood_buffer_free(b), 0);
    ck_assert_int_lt(brood_queue_put_buffer(q, b, 0), 0);
    ck_assert_int_eq(brood_queue_size(q), 1);
    brood_test_ok(brood_queue_get_buffer(q, &got, _i ? BROOD_FOREVER : 0));
    ck_assert_uint_eq(got.id, b.id);
    ck_assert_ptr_eq(brood_buffer_data(got, &size), data);
    ck_assert_uint_eq(size, 100);
    for (int i = 0; i < 100; i++) ck_assert_uint_eq(((unsigned char *)data)[i], 7);
    brood_test_ok(brood_buffer_free(got));
    ck_assert_uint_eq(used(), before);
}
END_TEST

/* A buffer as a message like any other, and any message as a buffer. */
START_TEST(is_a_message)
{
    brood_queue q = fresh(0);
    size_t before = used(), size;
    static unsigned char bytes[200000], out[200000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 13);
    static const size_t sizes[] = {0, 1, 4096, 200000};
    for (int i = 0; i < 4; i++) {
        brood_buffer b;
        void *data;
        brood_test_ok(brood_buffer_new(&b, sizes[i], &data));
        memcpy(data, bytes, sizes[i]);
        brood_test_ok(brood_queue_put_buffer(q, b, 0));
        if (sizes[i]) {
            ck_assert_int_eq(brood_queue_get(q, out, sizes[i] - 1, &size, 0), BROOD_EMSGSIZE);
            ck_assert_uint_eq(size, sizes[i]);
            ck_assert_int_eq(brood_queue_get_exactly(q, out, sizes[i] - 1, 0), BROOD_EMSGSIZE);
        }
        memset(out, 0, sizes[i]);
        brood_test_ok(brood_queue_get(q, out, sizeof out, &size, 0));
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(memcmp(out, bytes, size) == 0);
        ck_assert_uint_eq(used(), before);

        brood_test_ok(brood_queue_put(q, bytes, sizes[i], 0));
        brood_test_ok(brood_queue_get_buffer(q, &b, 0));
        data = brood_buffer_data(b, &size);
        ck_assert_ptr_nonnull(data);
        ck_assert_uint_eq(size, sizes[i]);
        ck_assert(memcmp(data, bytes, size) == 0);
        brood_test_ok(brood_buffer_free(b));
        ck_assert_uint_eq(used(), before);
    }
    ck_assert_int_eq(brood_queue_size(q), 0);
}
END_TEST

START_TEST(refused_stays_with_the_caller)
{
    brood_queue q = fresh(1), closed = fresh(0), gone = fresh(0);
    brood_buffer b = members_shared(10), none;
    brood_view view;
    brood_test_ok(brood_queue_put(q, NULL, 0, 0));
    brood_test_ok(brood_queue_close(closed));
    brood_test_ok(brood_queue_free(gone));
    ck_assert_int_eq(brood_queue_put_buffer(q, b, 0), BROOD_EAGAIN);
    members_late(brood_queue_put_buffer(q, b, A_WHILE));
    ck_assert_int_eq(brood_queue_put_buffer(closed, b, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_queue_put_buffer(gone, b, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_ptr_nonnull(brood_buffer_data(b, NULL));
    brood_test_ok(brood_queue_get(q, NULL, 0, NULL, 0));
    size_t before = used();
    ck_assert_int_eq(brood_queue_get_buffer(q, &none, 0), BROOD_EAGAIN);
    members_late(brood_queue_get_buffer(q, &none, A_WHILE));
    ck_assert_int_eq(brood_queue_get_view(q, &view, 0), BROOD_EAGAIN);
    members_late(brood_queue_get_view(q, &view, A_WHILE));
    ck_assert_uint_eq(used(), before);
    brood_test_ok(brood_queue_put_buffer(q, b, 0));
    brood_test_ok(brood_queue_get_buffer(q, &b, 0));
    brood_test_ok(brood_buffer_free(b));
}
END_TEST

START_TEST(goes_with_its_queue)
{
    size_t before = used();
    brood_queue q = fresh(0);
    brood_buffer b[5];
    for (int i = 0; i < 5; i++) {
        b[i] = members_shared(50000);
        brood_test_ok(brood_queue_put_buffer(q, b[i], 0));
    }
    brood_test_ok(brood_queue_free(q));
    ck_assert_uint_eq(used(), before);
    q = fresh(0);
    for (int i = 0; i < 5; i++) ck_stale(q, b[i]);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(views_are_read_in_place)
{
    brood_queue q = fresh(0);
    size_t before = used();
    brood_view view, second;
    void *data;
    brood_buffer b;
    static const char text[] = "a short message";
    static char longer[100000];
    longer[99999] = 'z';

    brood_test_ok(brood_queue_put(q, text, sizeof text, 0));
    brood_test_ok(brood_queue_put(q, NULL, 0, 0));
    brood_test_ok(brood_queue_put(q, longer, sizeof longer, 0));
    brood_test_ok(brood_buffer_new(&b, 300000, &data));
    brood_test_ok(brood_queue_put_buffer(q, b, 0));

    brood_test_ok(brood_queue_get_view(q, &view, 0));
    ck_assert_uint_eq(view.size, sizeof text);
    ck_assert_str_eq(view.data, text);
    brood_test_ok(brood_queue_get_view(q, &second, BROOD_FOREVER)); /* two at once */
    ck_assert_uint_eq(second.size, 0);
    brood_test_ok(brood_view_release(&second));
    ck_assert_str_eq(view.data, text);
    brood_test_ok(brood_view_release(&view));
    ck_assert_ptr_null(view.data);
    ck_assert_uint_eq(view.size, 0);
    ck_assert_int_eq(brood_view_release(&view), BROOD_ESTALE);

    brood_test_ok(brood_queue_get_view(q, &view, 100));
    ck_assert_uint_eq(view.size, sizeof longer);
    ck_assert(memcmp(view.data, longer, sizeof longer) == 0);
    brood_test_ok(brood_view_release(&view));
    brood_test_ok(brood_queue_get_view(q, &view, 0));
    ck_assert_ptr_eq(view.data, data);
    ck_assert_uint_eq(view.size, 300000);
    brood_test_ok(brood_view_release(&view));
    ck_assert_int_eq(brood_queue_get_view(q, &view, 0), BROOD_EAGAIN);
    ck_assert_uint_eq(used(), before);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ with others */

BROOD_TASK(borrows, int, brood_buffer, b, brood_queue, q)
{
    size_t size;
    unsigned char *data = brood_buffer_data(b, &size);
    MUST(data && size == 100000 && data[0] == 1 && data[99999] == 2);
    data[50000] = 3;
    MUST(brood_buffer_free(b) == BROOD_EPERM);
    MUST(brood_queue_put_buffer(q, b, 0) == BROOD_EPERM);
    MUST(brood_queue_put_buffer(q, b, BROOD_FOREVER) == BROOD_EPERM);
    MUST(brood_queue_size(q) == 0);
    return 0;
}

START_TEST(borrowers_hold_nothing)
{
    borrows_args args = {members_shared(100000), fresh(0)};
    unsigned char *data = brood_buffer_data(args.b, NULL);
    brood_process child;
    data[0] = 1;
    data[99999] = 2;
    members_start(&child, members_methods[_i], borrows, &args);
    members_end(child, 0);
    ck_assert_uint_eq(data[50000], 3);
    brood_test_ok(brood_buffer_free(args.b));
}
END_TEST

BROOD_TASK(takes, int, brood_queue, q, brood_queue, back, brood_event, ready)
{
    brood_buffer b;
    size_t size;
    MUST(brood_queue_get_buffer(q, &b, PATIENCE) == 0);
    unsigned char *data = brood_buffer_data(b, &size);
    MUST(data && size == 3 * MIB);
    for (size_t i = 0; i < size; i++) data[i] = (unsigned char)(data[i] + 1);
    MUST(brood_event_set(ready) == 0);
    uint64_t go;
    MUST(brood_queue_get_value(q, &go, PATIENCE) == 0);
    MUST(brood_queue_put_buffer(back, b, 0) == 0);
    MUST(brood_buffer_free(b) < 0);
    return 0;
}

START_TEST(is_held_by_its_taker)
{
    takes_args args = {fresh(0), fresh(0), {0}};
    uint64_t go = 1;
    size_t size, before = used();
    brood_process child;
    void *data;
    brood_buffer b, got;
    brood_test_ok(brood_buffer_new(&b, 3 * MIB, &data));
    memset(data, 40, 3 * MIB);
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], takes, &args);
    brood_test_ok(brood_queue_put_buffer(args.q, b, 0));
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    ck_assert_int_eq(brood_buffer_free(b), BROOD_EPERM);
    ck_assert_int_eq(brood_queue_put_buffer(args.q, b, 0), BROOD_EPERM);
    ck_assert_ptr_eq(brood_buffer_data(b, NULL), data); /* who has the handle may look */
    brood_test_ok(brood_queue_put_value(args.q, &go, 0));
    members_end(child, 0);
    brood_test_ok(brood_queue_get_buffer(args.back, &got, 0));
    ck_assert_uint_eq(got.id, b.id);
    unsigned char *bytes = brood_buffer_data(got, &size);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 41) ck_abort_msg("byte %zu is %d", i, bytes[i]);
    brood_test_ok(brood_buffer_free(got));
    ck_assert_uint_eq(used(), before);
}
END_TEST

/* Buffers go round between many; each is somebody's at any time, and none is lost. */
BROOD_TASK(passes_on, int, brood_queue, q, int, rounds)
{
    for (int i = 0; i < rounds; i++) {
        brood_buffer b;
        MUST(brood_queue_get_buffer(q, &b, PATIENCE) == 0);
        volatile uint64_t *count = brood_buffer_data(b, NULL); /* nobody else's now */
        MUST(count);
        *count = *count + 1;
        MUST(brood_queue_put_buffer(q, b, PATIENCE) == 0);
    }
    return 0;
}

START_TEST(has_one_holder_at_a_time)
{
    enum { CHILDREN = 4, BUFFERS = 3, ROUNDS = 1500 };
    brood_queue q = fresh(0);
    brood_process children[CHILDREN];
    uint64_t total = 0;
    for (int i = 0; i < CHILDREN; i++)
        members_start(&children[i], members_methods[_i], passes_on, (&(passes_on_args){q, ROUNDS}));
    for (int i = 0; i < BUFFERS; i++) brood_test_ok(brood_queue_put_buffer(q, members_shared(8), 0));
    for (int i = 0; i < CHILDREN; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_queue_size(q), BUFFERS);
    for (int i = 0; i < BUFFERS; i++) {
        uint64_t count;
        brood_test_ok(brood_queue_get_value(q, &count, 0));
        total += count;
    }
    ck_assert_uint_eq(total, CHILDREN * ROUNDS);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ deaths */

enum way { MADE, TAKEN, TAKEN_SHORT, VIEWED, PUT, WAYS };

BROOD_TASK(keeps, int, brood_queue, q, brood_queue, back, int, way, bool, leave)
{
    brood_buffer b = {0};
    brood_view view;
    switch ((enum way)way) {
    case MADE: MUST(brood_buffer_new(&b, MIB, NULL) == 0); break;
    case TAKEN:
    case TAKEN_SHORT: MUST(brood_queue_get_buffer(q, &b, PATIENCE) == 0); break;
    case VIEWED:
        MUST(brood_queue_get_view(q, &view, PATIENCE) == 0);
        b.id = view.reserved[0];
        break;
    case PUT:
        MUST(brood_buffer_new(&b, MIB, NULL) == 0);
        MUST(brood_queue_put_buffer(q, b, 0) == 0);
        break;
    case WAYS: return 1;
    }
    MUST(brood_queue_put_value(back, &b, 0) == 0);
    while (!leave) pause();
    return 0;
}

/* Whatever way the dead came by it: nobody has it, and its memory comes back.  _i: way, method, killed or not */
START_TEST(goes_with_its_holder)
{
    enum way way = (enum way)(_i % WAYS);
    brood_queue q = fresh(0), back = fresh(0);
    keeps_args args = {q, back, (int)way, _i / WAYS / MEMBERS_METHODS};
    size_t before = used();
    for (int round = 0; round < 3; round++) {
        brood_process child;
        brood_buffer b;
        if (way == TAKEN || way == VIEWED) brood_test_ok(brood_queue_put_buffer(q, members_shared(MIB), 0));
        if (way == TAKEN_SHORT) brood_test_ok(brood_queue_put(q, "short", 5, 0));
        members_start(&child, members_methods[_i / WAYS % MEMBERS_METHODS], keeps, &args);
        brood_test_ok(brood_queue_get_value(back, &b, PATIENCE));
        if (args.leave) {
            brood_test_ok(brood_process_join(child, PATIENCE, NULL));
            members_repaired(HANDLE_INDEX(child.id));
            members_end(child, 0);
        } else {
            members_kill(child);
        }
        if (way == PUT) { /* the queue's, and then ours */
            ck_assert_int_eq(brood_buffer_free(b), BROOD_ESTALE);
            brood_test_ok(brood_queue_get_buffer(q, &b, 0));
            brood_test_ok(brood_buffer_free(b));
        }
        ck_stale(q, b);
        ck_assert_uint_eq(used_without_garbage(), before);
        ck_stale(q, b);
    }
    ck_assert_int_eq(brood_queue_size(q), 0);
}
END_TEST

BROOD_TASK(fills, int, brood_buffer, shared, brood_event, ready)
{
    brood_queue *q = brood_buffer_data(shared, NULL);
    brood_buffer b;
    MUST(brood_queue_new(q, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        MUST(brood_buffer_new(&b, MIB, NULL) == 0);
        MUST(brood_queue_put_buffer(*q, b, 0) == 0);
    }
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* A queue dies with its owner, and what is in it. */
START_TEST(goes_with_its_queues_owner)
{
    fills_args args = {.shared = members_shared(sizeof(brood_queue))};
    brood_process child;
    size_t before = used();
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], fills, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    brood_queue q = *(brood_queue *)brood_buffer_data(args.shared, NULL);
    ck_assert_uint_ge(used(), before + 3 * MIB);
    members_kill(child);
    ck_assert_int_lt(brood_queue_size(q), 0);
    atomic_store(&brood__arena()->tables[TABLE_QUEUE].hint, HANDLE_INDEX(q.id));
    brood_queue next = fresh(0);
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(q.id));
    brood_test_ok(brood_queue_free(next));
    ck_assert_uint_eq(used_without_garbage(), before);
}
END_TEST

BROOD_TASK(churns, int, brood_queue, q)
{
    for (;;) {
        brood_buffer b;
        MUST(brood_queue_get_buffer(q, &b, BROOD_FOREVER) == 0);
        MUST(brood_queue_put_buffer(q, b, BROOD_FOREVER) == 0);
    }
}

/* Killed at any place in get and put, one takes at most one buffer with it, and leaves the arena whole. */
START_TEST(killed_on_the_way)
{
    brood_queue q = fresh(0);
    size_t before = used();
    for (int round = 0; round < 10; round++) {
        brood_process children[2];
        int left = 0;
        for (int i = 0; i < 3; i++) brood_test_ok(brood_queue_put_buffer(q, members_shared(MIB), 0));
        for (int i = 0; i < 2; i++) members_start(&children[i], members_methods[_i], churns, &q);
        for (int i = 0; i < 20 * round; i++) { /* let them work a little */
            brood_buffer b;
            brood_test_ok(brood_queue_get_buffer(q, &b, PATIENCE));
            brood_test_ok(brood_queue_put_buffer(q, b, PATIENCE));
        }
        for (int i = 0; i < 2; i++) members_kill(children[i]);
        brood_buffer b;
        for (; brood_queue_get_buffer(q, &b, 0) == 0; left++) brood_test_ok(brood_buffer_free(b));
        ck_assert_int_ge(left, 1);
        ck_assert_int_le(left, 3);
        ck_assert_uint_eq(used_without_garbage(), before);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ threads, signals */

static brood_queue common;

static void *pass_in_thread(void *unused)
{
    return passes_on(common, 1500) == 0 ? &common : unused;
}

START_TEST(threads_pass_it_on)
{
    pthread_t threads[4];
    uint64_t total = 0, count;
    common = fresh(0);
    for (int i = 0; i < 2; i++) brood_test_ok(brood_queue_put_buffer(common, members_shared(8), 0));
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, pass_in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, &common);
    }
    while (brood_queue_get_value(common, &count, 0) == 0) total += count;
    ck_assert_uint_eq(total, 4 * 1500);
}
END_TEST

static volatile sig_atomic_t done, inside, wrong;

static void send_in_handler(int signal)
{
    static char bytes[40000];
    (void)signal;
    int code = brood_queue_put(common, bytes, sizeof bytes, 0);
    if (code == BROOD_EDEADLK)
        inside++;
    else if (code != 0 && code != BROOD_EAGAIN)
        wrong++;
    size_t size;
    code = brood_queue_get(common, bytes, sizeof bytes, &size, 0);
    if (code == 0)
        done++;
    else if (code == BROOD_EDEADLK)
        inside++;
    else if (code != BROOD_EAGAIN)
        wrong++;
}

/* Long messages from a handler: also when it has interrupted the allocator. */
START_TEST(signal_handlers_may_send_long_ones)
{
    static char bytes[40000];
    common = fresh(8);
    size_t before = used();
    long long start = members_now_ms();
    members_alarm(send_in_handler, 100);
    while (members_now_ms() < start + 300 || ((inside == 0 || done == 0) && members_now_ms() < start + PATIENCE)) {
        int code = brood_queue_put(common, bytes, sizeof bytes, 0);
        ck_assert(code == 0 || code == BROOD_EAGAIN);
        code = brood_queue_get(common, bytes, sizeof bytes, NULL, 0);
        ck_assert(code == 0 || code == BROOD_EAGAIN);
    }
    members_quiet();
    while (brood_queue_get(common, bytes, sizeof bytes, NULL, 0) == 0) {}
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(inside, 0);
    ck_assert_uint_eq(used_without_garbage(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static Suite *buffers_suite(void)
{
    Suite *suite = suite_create("buffers");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, has_the_size_asked_for);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    TCase *queues = brood_test_case(suite, "through queues");
    tcase_add_loop_test(queues, moves_without_a_copy, 0, 2);
    tcase_add_test(queues, is_a_message);
    tcase_add_test(queues, refused_stays_with_the_caller);
    tcase_add_test(queues, goes_with_its_queue);
    tcase_add_test(queues, views_are_read_in_place);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, borrowers_hold_nothing, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, is_held_by_its_taker, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, has_one_holder_at_a_time, 0, MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, goes_with_its_holder, 0, WAYS * MEMBERS_METHODS * 2);
    tcase_add_loop_test(deaths, goes_with_its_queues_owner, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, killed_on_the_way, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_test(inner, threads_pass_it_on);
    tcase_add_test(inner, signal_handlers_may_send_long_ones);
    return suite;
}

BROOD_TEST_MAIN(buffers_suite)
