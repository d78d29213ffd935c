/* SPDX-License-Identifier: MIT */
/* value.c - values, arrays and scopes: what Python says of Value, Array, RawValue and RawArray, and what deaths do. */
#include "members.h"

#include "arena/pages.h"
#include "arena/visit.h"
#include "shared/shared.h"

#include <brood.h>

struct point {
    double x, y, z;
    int n;
};

static brood_value counter(void)
{
    brood_value v;
    brood_test_ok(brood_value_new(&v, int, 0));
    return v;
}

/* ------------------------------------------------------------------------------------------------------------ alone */

START_TEST(value_has_what_it_is_made_with)
{
    brood_value i, d, s, z;
    int n = 0;
    double x = 0;
    brood_test_ok(brood_value_new(&i, int, 7));
    brood_test_ok(brood_value_new(&d, double, 1.0 / 3, .lock = true));
    struct point p = {1, 2, 3, 4}, q;
    brood_test_ok(brood_value_new(&s, struct point, p));
    brood_test_ok(brood_value_make(&z, sizeof(struct point), BROOD_KIND_BYTES, NULL));
    brood_test_ok(brood_value_get(i, &n));
    ck_assert_int_eq(n, 7);
    brood_test_ok(brood_value_get(d, &x));
    ck_assert(x == 1.0 / 3);
    brood_test_ok(brood_value_get(s, &q));
    ck_assert(q.x == 1 && q.z == 3 && q.n == 4);
    brood_test_ok(brood_value_get(z, &q));
    ck_assert(q.x == 0 && q.y == 0 && q.n == 0);
    n = -2;
    brood_test_ok(brood_value_set(i, &n));
    ck_assert_int_eq(*brood_value_data(i, int), -2);
    *brood_value_data(i, int) += 5;
    brood_test_ok(brood_value_get(i, &n));
    ck_assert_int_eq(n, 3);
    brood_test_ok(brood_value_free(i));
    brood_test_ok(brood_value_free(d));
    brood_test_ok(brood_value_free(s));
    brood_test_ok(brood_value_free(z));
}
END_TEST

START_TEST(size_is_checked)
{
    brood_value v = counter();
    brood_array a;
    brood_test_ok(brood_array_new(&a, double, 10));
    double d = 0;
    char c = 0;
    ck_assert_ptr_null(brood_value_data(v, double));
    ck_assert_str_eq(brood_error_detail(), "the elements are of 4 bytes, not 8");
    ck_assert_ptr_null(brood_array_data(a, int));
    ck_assert_int_eq(brood_value_get(v, &d), BROOD_EINVAL);
    ck_assert_int_eq(brood_value_set(v, &c), BROOD_EINVAL);
    ck_assert_int_eq(brood_array_get(a, 0, &c), BROOD_EINVAL);
    ck_assert_int_eq(brood_array_set(a, 10, &d), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "index 10 of 10 elements");
    ck_assert_int_eq(brood_array_get(a, SIZE_MAX, &d), BROOD_EINVAL);
    ck_assert_int_eq(brood_array_add(a, 0, 1, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_value_add_real(v, 1, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_value_make(&v, 0, BROOD_KIND_BYTES, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_array_get((brood_array){v.id}, 0, &c), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_free((brood_value){a.id}), BROOD_ESTALE);
}
END_TEST

START_TEST(array_is_zeroes_and_of_any_length)
{
    size_t counts[] = {0, 1, 8, 9, 1000, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int again = 0; again < 2; again++) { /* the second time in memory that was written to */
            brood_array a;
            brood_test_ok(brood_array_new(&a, int64_t, counts[i], .lock = i % 2 == 1));
            ck_assert_int_eq(brood_array_count(a), (int64_t)counts[i]);
            int64_t *x = brood_array_data(a, int64_t);
            ck_assert_uint_eq((uintptr_t)x % 64, 0);
            for (size_t k = 0; k < counts[i]; k++) {
                ck_assert_int_eq(x[k], 0);
                x[k] = -1;
            }
            brood_test_ok(brood_array_free(a));
        }
    }
    double first[] = {1, 2, 3}, one = 0;
    brood_array a;
    brood_test_ok(brood_array_new(&a, double, 3, .initial = first));
    brood_test_ok(brood_array_get(a, 2, &one));
    ck_assert(one == 3);
    size_t limit;
    brood_test_ok(brood_arena_usage(NULL, &limit));
    ck_assert_int_eq(brood_array_new(&a, char, limit + 1), BROOD_EARENA);
    ck_assert_int_eq(brood_array_new(&a, double, SIZE_MAX), BROOD_EARENA);
    ck_assert_int_eq(brood_array_new(&a, double, SIZE_MAX / 8 + 2), BROOD_EARENA);
}
END_TEST

START_TEST(every_integer_adds)
{
    int64_t now = 0;
    double sum = 0;
    brood_value v;
#define ADDS(type, start, n, want)                           \
    do {                                                     \
        brood_test_ok(brood_value_new(&v, type, start));     \
        brood_test_ok(brood_value_add(v, n, &now));          \
        ck_assert_int_eq(now, want);                         \
        ck_assert(*brood_value_data(v, type) == (type)want); \
        brood_test_ok(brood_value_free(v));                  \
    } while (0)
    ADDS(signed char, 127, 1, -128);
    ADDS(unsigned char, 255, 2, 1);
    ADDS(short, -1, -1, -2);
    ADDS(unsigned short, 0, -1, 65535);
    ADDS(int, 5, -10, -5);
    ADDS(unsigned, 0, -1, 4294967295);
    ADDS(long, 1, 1, 2);
    ADDS(long long, INT64_MIN, -1, INT64_MAX);
    ADDS(uint64_t, 10, 10, 20);
    brood_test_ok(brood_value_new(&v, double, 1.5));
    brood_test_ok(brood_value_add_real(v, -2, &sum));
    ck_assert(sum == -0.5 && *brood_value_data(v, double) == -0.5);
    brood_test_ok(brood_value_free(v));
    brood_test_ok(brood_value_new(&v, float, 1));
    brood_test_ok(brood_value_add_real(v, 0.25, NULL));
    ck_assert(*brood_value_data(v, float) == 1.25f);
    ck_assert_int_eq(brood_value_add(v, 1, NULL), BROOD_EINVAL);
    brood_test_ok(brood_value_free(v));
    brood_test_ok(brood_value_new(&v, bool, true));
    ck_assert_int_eq(brood_value_add(v, 1, NULL), BROOD_EINVAL);
    brood_array a;
    brood_test_ok(brood_array_new(&a, uint16_t, 3));
    brood_test_ok(brood_array_add(a, 1, 65537, &now));
    ck_assert_int_eq(now, 1);
    ck_assert_int_eq(brood_array_add(a, 3, 1, NULL), BROOD_EINVAL);
}
END_TEST

static void ck_stale(brood_value v)
{
    int n = 0;
    brood_lock lock;
    ck_assert_ptr_null(brood_value_data(v, int));
    ck_assert_int_eq(brood_value_get(v, &n), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_set(v, &n), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_add(v, 1, NULL), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_acquire(v, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_release(v), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_lock(v, &lock), BROOD_ESTALE);
    ck_assert_int_eq(brood_array_count((brood_array){v.id}), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_free(v), BROOD_ESTALE);
}

START_TEST(freed_is_stale_for_ever)
{
    brood_value v = counter(), next = {0};
    brood_test_ok(brood_value_free(v));
    ck_stale(v);
    for (int i = 0; i < A_TABLE && HANDLE_INDEX(next.id) != HANDLE_INDEX(v.id); i++) next = counter();
    ck_assert_uint_eq(HANDLE_INDEX(next.id), HANDLE_INDEX(v.id));
    ck_stale(v);
    ck_assert_int_eq(*brood_value_data(next, int), 0);
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 6364136223846793005;
    members_one_of_each(ids);
    ck_stale((brood_value){0});
    for (int i = 0; i < MEMBERS_TYPES; i++) ck_stale((brood_value){ids[i]});
    for (int i = 0; i < FORGERIES; i++) ck_stale((brood_value){members_forged(TABLE_SHARED, i, &state)});
}
END_TEST

START_TEST(belongs_to_members)
{
    brood_value v = counter();
    brood_scope scope;
    brood_array a;
    int n = 0;
    brood_test_ok(brood_scope_begin(&scope));
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_value_new(&v, int, 1), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_array_new(&a, int, 1), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_value_get(v, &n), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_value_add(v, 1, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_value_acquire(v, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_value_free(v), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_scope_begin(&scope), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_scope_end(scope), BROOD_ENOTMEMBER);
    ck_assert_ptr_null(brood_value_data(v, int));
}
END_TEST

START_TEST(lock_is_there_if_asked_for)
{
    brood_value raw = counter(), v;
    brood_array a;
    brood_lock lock;
    ck_assert_int_eq(brood_value_acquire(raw, 0), BROOD_EPERM);
    ck_assert_int_eq(brood_value_lock(raw, &lock), BROOD_EPERM);
    brood_test_ok(brood_value_new(&v, int, 1, .lock = true));
    brood_test_ok(brood_value_acquire(v, BROOD_FOREVER));
    ck_assert_int_eq(brood_value_acquire(v, 0), BROOD_EAGAIN);
    members_late(brood_value_acquire(v, A_WHILE));
    ck_assert_int_eq(brood_value_acquire(v, -2), BROOD_EINVAL);
    brood_test_ok(brood_value_lock(v, &lock));
    ck_assert_int_eq(brood_lock_holder(lock), getpid());
    brood_test_ok(brood_value_add(v, 1, NULL)); /* no call takes it by itself */
    brood_test_ok(brood_value_release(v));
    ck_assert_int_eq(brood_value_release(v), BROOD_EPERM);
    brood_test_ok(brood_value_free(v));
    ck_assert_int_eq(brood_lock_acquire(lock, 0), BROOD_ESTALE);
    brood_test_ok(brood_array_new(&a, int, 100, .lock = true));
    brood_test_ok(brood_array_acquire(a, 0));
    brood_test_ok(brood_array_release(a));
    brood_test_ok(brood_array_lock(a, &lock));
    brood_test_ok(brood_array_free(a));
    ck_assert_int_eq(brood_lock_holder(lock), BROOD_ESTALE);
}
END_TEST

START_TEST(memory_returns)
{
    size_t before, after;
    brood_test_ok(brood_arena_usage(&before, NULL));
    for (int i = 0; i < 3000; i++) {
        brood_array a;
        brood_test_ok(brood_array_new(&a, char, 100000, .lock = true));
        brood_test_ok(brood_array_free(a));
    }
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- with others */

BROOD_TASK(counts, int, brood_value, v, brood_value, d, brood_array, a, int, rounds)
{
    for (int i = 0; i < rounds; i++) {
        MUST(brood_value_add(v, 1, NULL) == 0);
        MUST(brood_value_add_real(d, 0.5, NULL) == 0);
        MUST(brood_array_add(a, (size_t)i % 4, 2, NULL) == 0);
    }
    return 0;
}

START_TEST(adds_are_all_there)
{
    counts_args args = {.v = counter(), .rounds = 20000};
    brood_test_ok(brood_value_new(&args.d, double, 0));
    brood_test_ok(brood_array_new(&args.a, int64_t, 4));
    brood_process children[3];
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], counts, &args);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(*brood_value_data(args.v, int), 60000);
    ck_assert(*brood_value_data(args.d, double) == 30000);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(brood_array_data(args.a, int64_t)[i], 30000);
}
END_TEST

BROOD_TASK(locked, int, brood_value, v, int, rounds)
{
    struct point *p = brood_value_data(v, struct point);
    for (int i = 0; i < rounds; i++) {
        MUST(brood_value_acquire(v, PATIENCE) == 0);
        p->x += 1;
        p->n++;
        p->y = p->x;
        MUST(p->n == (int)p->x);
        MUST(brood_value_release(v) == 0);
    }
    return 0;
}

START_TEST(lock_protects)
{
    locked_args args = {.rounds = 5000};
    struct point zero = {0};
    brood_test_ok(brood_value_new(&args.v, struct point, zero, .lock = true));
    brood_process children[3];
    for (int i = 0; i < 3; i++) members_start(&children[i], members_methods[_i], locked, &args);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_value_data(args.v, struct point)->n, 15000);
}
END_TEST

BROOD_TASK(holds, int, brood_value, v, brood_event, ready)
{
    MUST(brood_value_acquire(v, 0) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

START_TEST(dead_holder_is_told)
{
    holds_args args;
    brood_process child;
    brood_test_ok(brood_event_new(&args.ready));
    brood_test_ok(brood_value_new(&args.v, int, 0, .lock = true));
    members_start(&child, members_methods[_i], holds, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    ck_assert_int_eq(brood_value_acquire(args.v, 0), BROOD_EAGAIN);
    members_kill(child);
    ck_assert_int_eq(brood_value_acquire(args.v, 0), BROOD_EOWNERDEAD);
    brood_test_ok(brood_value_release(args.v));
    brood_test_ok(brood_value_acquire(args.v, 0));
    brood_test_ok(brood_value_release(args.v));
}
END_TEST

struct made {
    brood_value value;
    brood_array array;
    brood_lock lock;
    brood_scope scope;
    brood_value scoped;
};

BROOD_TASK(makes, int, brood_buffer, shared, brood_event, ready)
{
    struct made *m = brood_buffer_data(shared, NULL);
    MUST(brood_value_new(&m->value, int, 1, .lock = true) == 0);
    MUST(brood_array_new(&m->array, int, 5000) == 0);
    MUST(brood_value_lock(m->value, &m->lock) == 0);
    MUST(brood_scope_begin(&m->scope) == 0);
    MUST(brood_value_new(&m->scoped, int, 1, .scope = m->scope, .lock = true) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

BROOD_TASK(waits_for_lock, int, brood_value, v)
{
    return -brood_value_acquire(v, BROOD_FOREVER) & 0xff;
}

START_TEST(goes_with_its_maker)
{
    makes_args args = {.shared = members_shared(sizeof(struct made))};
    brood_process owner, sleeper;
    int n, code;
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&owner, members_methods[_i], makes, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    struct made *m = brood_buffer_data(args.shared, NULL);
    brood_test_ok(brood_value_get(m->value, &n));
    brood_value mine;
    brood_test_ok(brood_value_new(&mine, int, 0, .scope = m->scope)); /* in another's scope */
    brood_test_ok(brood_value_acquire(m->value, 0));
    waits_for_lock_args wait = m->value;
    members_start(&sleeper, members_methods[_i], waits_for_lock, &wait);
    members_asleep(sleeper, m->lock.id);
    members_kill(owner);
    brood_test_ok(brood_process_join(sleeper, PATIENCE, &code));
    ck_assert(code == (-BROOD_ECLOSED & 0xff) || code == (-BROOD_ESTALE & 0xff));
    brood_test_ok(brood_process_free(sleeper));
    ck_assert_int_eq(brood_value_get(m->value, &n), BROOD_ECLOSED);
    ck_assert_int_eq(brood_array_count(m->array), BROOD_ECLOSED);
    ck_assert_int_eq(brood_value_get(m->scoped, &n), BROOD_ECLOSED);
    ck_assert_int_eq(brood_value_get(mine, &n), BROOD_ECLOSED);
    ck_assert_int_eq(brood_scope_end(m->scope), BROOD_ECLOSED);
    ck_assert_int_eq(brood_value_new(&mine, int, 0, .scope = m->scope), BROOD_ECLOSED);
    ck_assert_int_lt(brood_lock_acquire(m->lock, 0), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ scopes */

BROOD_TASK(makes_in, int, brood_scope, scope, brood_buffer, shared)
{
    struct made *m = brood_buffer_data(shared, NULL);
    MUST(brood_value_new(&m->value, int, 42, .scope = scope, .lock = true) == 0);
    MUST(brood_array_new(&m->array, double, 10000, .scope = scope) == 0);
    return 0;
}

START_TEST(scope_frees_all)
{
    size_t before, after;
    makes_in_args args = {.shared = members_shared(sizeof(struct made))};
    struct made *m = brood_buffer_data(args.shared, NULL);
    brood_value outside = counter(), inside;
    int n;
    brood_test_ok(brood_arena_usage(&before, NULL));
    brood_test_ok(brood_scope_begin(&args.scope));
    brood_test_ok(brood_value_new(&inside, int, 0, .scope = args.scope));
    brood_process child;
    members_start(&child, members_methods[_i], makes_in, &args);
    members_end(child, 0);
    brood_test_ok(brood_value_get(m->value, &n)); /* it stays though its maker has gone */
    ck_assert_int_eq(n, 42);
    brood_test_ok(brood_value_acquire(m->value, 0));
    brood_test_ok(brood_value_free(inside)); /* one by itself */
    brood_test_ok(brood_scope_end(args.scope));
    ck_assert_int_eq(brood_value_get(m->value, &n), BROOD_ESTALE);
    ck_assert_int_eq(brood_array_count(m->array), BROOD_ESTALE);
    brood_test_ok(brood_value_get(outside, &n));
    ck_assert_int_eq(brood_scope_end(args.scope), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_new(&inside, int, 0, .scope = args.scope), BROOD_ESTALE);
    ck_assert_int_eq(brood_value_new(&inside, int, 0, .scope = {outside.id}), BROOD_ESTALE);
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
}
END_TEST

/* The sweep after some death comes between the two halves of an end: what the scope had is freed by it all the same. */
START_TEST(scope_ends_amid_a_sweep)
{
    size_t before, after;
    brood_scope scope;
    brood_value v;
    brood_array a;
    int n;
    brood_test_ok(brood_arena_usage(&before, NULL));
    brood_test_ok(brood_scope_begin(&scope));
    brood_test_ok(brood_value_new(&v, int, 0, .scope = scope, .lock = true));
    brood_test_ok(brood_array_new(&a, double, 10000, .scope = scope));
    ck_assert(brood__slot_retire(TABLE_SCOPE, scope.id));
    ck_assert(brood__shared_repair(0));
    ck_assert_int_eq(brood_value_get(v, &n), BROOD_ESTALE);
    ck_assert_int_eq(brood_array_count(a), BROOD_ESTALE);
    brood__shared_end_scope(scope.id);
    brood__slot_release(TABLE_SCOPE, HANDLE_INDEX(scope.id));
    ck_assert_int_eq(brood_array_count(a), BROOD_ESTALE);
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
}
END_TEST

/* ------------------------------------------------------------------------------------------- freed while looked at */

START_TEST(freed_under_a_look_is_stale)
{
    brood_array a;
    unsigned cell;
    brood_test_ok(brood_array_new(&a, int, 5000));
    ck_assert_ptr_nonnull(brood__visit_begin(TABLE_SHARED, a.id, &cell));
    brood_test_ok(brood_array_free(a));
    ck_assert_int_eq(brood_array_count(a), BROOD_ESTALE);
    ck_assert_int_eq(brood_array_free(a), BROOD_ESTALE);
    brood__visit_end(cell);
}
END_TEST

static brood_array common;
static _Atomic bool stop;
static _Atomic long seen;

static void *reads(void *unused)
{
    static _Thread_local struct {
        uint64_t words[4000];
    } x;
    (void)unused;
    while (!atomic_load(&stop)) {
        brood_array a = {__atomic_load_n(&common.id, __ATOMIC_SEQ_CST)};
        if (brood_array_get(a, 0, &x) < 0) continue;
        atomic_fetch_add(&seen, 1);
        for (int i = 0; i < 4000; i++)
            if (x.words[i] != a.id) return (void *)1; /* another object's bytes */
    }
    return NULL;
}

START_TEST(bytes_stay_while_they_are_read)
{
    pthread_t threads[6]; /* more than there are cells */
    static uint64_t words[4000];
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, reads, NULL), 0);
    for (long long end = members_now_ms() + 1000; members_now_ms() < end && !(atomic_load(&seen) > 3000);) {
        brood_array a;
        /* Its bytes are its handle, which is known when it is made: nobody can look before it is told. */
        brood_test_ok(brood_array_make(&a, sizeof words, BROOD_KIND_BYTES, &(brood_array_options){.count = 1}));
        uint64_t *x = brood_array_at(a, sizeof words);
        for (int i = 0; i < 4000; i++) x[i] = a.id;
        __atomic_store_n(&common.id, a.id, __ATOMIC_SEQ_CST);
        usleep(20);
        brood_test_ok(brood_array_free(a));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 6; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_null(result);
    }
    ck_assert_int_gt(seen, 0);
    for (unsigned c = 0; c < MEMBER_VISITS; c++) ck_assert_uint_eq(atomic_load(&brood__me()->visits[c]), 0);
    for (unsigned k = 0; k < 2; k++) ck_assert_uint_eq(atomic_load(&brood__me()->more_visits[k]), 0);
}
END_TEST

static volatile sig_atomic_t rounds, wrong;
static brood_value ticks;

static void add_in_handler(int signal)
{
    (void)signal;
    rounds++;
    if (brood_value_add(ticks, 1, NULL) != 0) wrong++;
}

START_TEST(signal_handlers_may_add)
{
    ticks = counter();
    int own = 0;
    members_alarm(add_in_handler, 200);
    for (long long end = members_now_ms() + 200; members_now_ms() < end; own++)
        ck_assert_int_eq(brood_value_add(ticks, 1, NULL), 0);
    members_quiet();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(rounds, 10);
    ck_assert_int_eq(*brood_value_data(ticks, int), own + rounds);
}
END_TEST

static Suite *value_suite(void)
{
    Suite *suite = suite_create("value");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, value_has_what_it_is_made_with);
    tcase_add_test(alone, size_is_checked);
    tcase_add_test(alone, array_is_zeroes_and_of_any_length);
    tcase_add_test(alone, every_integer_adds);
    tcase_add_test(alone, freed_is_stale_for_ever);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, belongs_to_members);
    tcase_add_test(alone, lock_is_there_if_asked_for);
    tcase_add_test(alone, memory_returns);
    tcase_add_test(alone, scope_ends_amid_a_sweep);
    tcase_add_test(alone, freed_under_a_look_is_stale);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, adds_are_all_there, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, lock_protects, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, scope_frees_all, 0, MEMBERS_METHODS);
    TCase *deaths = brood_test_case(suite, "deaths");
    tcase_add_loop_test(deaths, dead_holder_is_told, 0, MEMBERS_METHODS);
    tcase_add_loop_test(deaths, goes_with_its_maker, 0, MEMBERS_METHODS);
    TCase *inner = brood_test_case(suite, "threads and signals");
    tcase_add_test(inner, bytes_stay_while_they_are_read);
    tcase_add_test(inner, signal_handlers_may_add);
    return suite;
}

BROOD_TEST_MAIN(value_suite)
