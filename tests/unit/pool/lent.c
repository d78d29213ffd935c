/* SPDX-License-Identifier: MIT */
/* Arrays of a map that lie in buffers: those last as long as a worker may store into them, and no longer. */
#include "common.h"

#include <string.h>

enum { ROOM = 64 * 1024, MANY = 32, PATIENCE = 20000 };

typedef struct {
    brood_event started, go;
    long value;
} order;

BROOD_TASK(store_when_told, long, order, o)
{
    brood_event_set(o.started);
    brood_event_wait(o.go, BROOD_FOREVER);
    return o.value;
}

BROOD_TASK(nothing, int, int, x)
{
    return x;
}

/* A map of one item from and to a buffer. */
typedef struct {
    brood_pool pool;
    order order;
    int timeout;
} one;

static int map_one(const one *o)
{
    void *data;
    brood_buffer buffer;
    int error = brood_buffer_new(&buffer, ROOM, &data);
    if (error < 0) return error;
    order *in = data;
    long *out = (long *)((char *)data + ROOM / 2);
    *in = o->order;
    *out = 0;
    brood_map_options options = {.timeout = o->timeout};
    error = brood_pool_map_task(o->pool, BROOD_TASK_OF(store_when_told), in, out, 1, &options);
    return brood_buffer_free(buffer) < 0 ? -1 : error;
}

BROOD_TASK(map_and_die, int, one, o)
{
    return map_one(&o);
}

static brood_pool pool;
static order told;
static brood_buffer fresh[MANY];
static unsigned char *bytes[MANY];
static size_t used;

static size_t arena(void)
{
    size_t now;
    brood_test_ok(brood_arena_usage(&now, NULL));
    return now;
}

static void begin(int method)
{
    int result;
    pool = new_pool(method, 1);
    brood_test_ok(brood_event_new(&told.started));
    brood_test_ok(brood_event_new(&told.go));
    told.value = -1;
    /* Whatever is made once is there: the supervisor, the job, the pages. */
    order in = told;
    long out;
    brood_test_ok(brood_event_set(told.go));
    brood_test_ok(brood_pool_map(pool, store_when_told, &in, &out, 1));
    brood_test_ok(brood_event_clear(told.go));
    brood_test_ok(brood_event_clear(told.started));
    brood_test_ok(brood_pool_apply(pool, nothing, &(int){1}, &result));
    used = arena();
}

/* Take all that could be taken of what the map had, and fill it. */
static void take(void)
{
    for (int i = 0; i < MANY; i++) {
        void *data;
        brood_test_ok(brood_buffer_new(&fresh[i], ROOM, &data));
        bytes[i] = data;
        memset(data, 0xaa, ROOM);
    }
}

/* The worker stores its result now; nothing of ours has changed, and all of the map's is given back. */
static void end(void)
{
    int result;
    brood_test_ok(brood_event_set(told.go));
    brood_test_ok(brood_pool_apply(pool, nothing, &(int){1}, &result)); /* its one worker is through with the map */
    for (int i = 0; i < MANY; i++) {
        int changed = 0;
        for (int k = 0; k < ROOM; k++) changed += bytes[i][k] != 0xaa;
        ck_assert_int_eq(changed, 0);
    }
    for (int i = 0; i < MANY; i++) brood_test_ok(brood_buffer_free(fresh[i]));
    ck_assert_uint_eq(arena(), used);
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(told.started));
    brood_test_ok(brood_event_free(told.go));
}

START_TEST(outlast_a_caller_that_died)
{
    begin(_i);
    brood_process caller;
    int code;
    one o = {.pool = pool, .order = told};
    brood_process_options options = {.method = methods[_i]};
    brood_test_ok(brood_process_start(&caller, &options, map_and_die, &o));
    brood_test_ok(brood_event_wait(told.started, PATIENCE));
    brood_test_ok(brood_process_kill(caller));
    brood_test_ok(brood_process_join(caller, PATIENCE, &code));
    ck_assert_int_eq(code, -SIGKILL);
    brood_test_ok(brood_process_free(caller));
    take();
    end();
}
END_TEST

START_TEST(outlast_a_map_that_timed_out)
{
    begin(_i);
    one o = {.pool = pool, .order = told, .timeout = 1};
    ck_assert_int_eq(map_one(&o), BROOD_ETIMEDOUT);
    take();
    end();
}
END_TEST

/* ... and one that is freed in the middle of the map, which then is none of the caller's. */
START_TEST(outlast_their_own_end)
{
    begin(_i);
    void *data;
    brood_buffer buffer;
    brood_map map;
    brood_test_ok(brood_buffer_new(&buffer, ROOM, &data));
    order *in = data;
    *in = told;
    long *out = (long *)((char *)data + ROOM / 2);
    brood_test_ok(brood_pool_map_async(pool, &map, store_when_told, in, out, 1));
    brood_test_ok(brood_event_wait(told.started, PATIENCE));
    brood_test_ok(brood_buffer_free(buffer));
    ck_assert_ptr_null(brood_buffer_data(buffer, NULL));
    ck_assert_int_eq(brood_buffer_free(buffer), BROOD_ESTALE);
    take();
    brood_test_ok(brood_event_set(told.go));
    brood_test_ok(brood_map_wait(map, PATIENCE, NULL));
    end();
}
END_TEST

/* An array that begins in one buffer and ends in the next is copied. */
START_TEST(are_copied_when_in_no_single_buffer)
{
    begin(_i);
    void *first, *second;
    brood_buffer a, b;
    brood_test_ok(brood_buffer_new(&a, 4096, &first));
    brood_test_ok(brood_buffer_new(&b, 4096, &second));
    bool side_by_side = (char *)first + 4096 == (char *)second || (char *)second + 4096 == (char *)first;
    int count = side_by_side ? 2048 : 1024, out[2048];
    int *in = (int *)(first < second ? first : second);
    for (int i = 0; i < count; i++) in[i] = i;
    brood_test_ok(brood_pool_map(pool, nothing, in, out, (size_t)count));
    for (int i = 0; i < count; i++) ck_assert_int_eq(out[i], i);
    brood_test_ok(brood_buffer_free(a));
    brood_test_ok(brood_buffer_free(b));
    take();
    end();
}
END_TEST

static Suite *lent_suite(void)
{
    Suite *suite = suite_create("pool/lent");
    TCase *lent = brood_test_case(suite, "lent");
    tcase_add_loop_test(lent, outlast_a_caller_that_died, 0, 3);
    tcase_add_loop_test(lent, outlast_a_map_that_timed_out, 0, METHODS);
    tcase_add_loop_test(lent, outlast_their_own_end, 0, METHODS);
    tcase_add_loop_test(lent, are_copied_when_in_no_single_buffer, 0, METHODS);
    return suite;
}

BROOD_TEST_MAIN(lent_suite)
