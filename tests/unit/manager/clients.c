/* SPDX-License-Identifier: MIT */
/* clients.c - what a manager's server does with clients that wait, die, lie, or come by the thousand. */
#include "manager_client.h"
#include "members.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define NIL brood_variant_nil()
#define ARGS brood_variant_list

static brood_manager manager;
static brood_manager_stats before;

static void fresh(const brood_manager_options *options)
{
    brood_manager_options o = options ? *options : (brood_manager_options){0};
    o.method = BROOD_START_FORK;
    brood_test_ok(brood_manager_new(&manager, &o));
    brood_test_ok(brood_manager_get_stats(manager, &before));
}

/* All that clients had is back; how long it may take for their ends to be seen. */
static void ck_back(void)
{
    brood_manager_stats now;
    for (int i = 0; i < PATIENCE; i++) {
        brood_test_ok(brood_manager_get_stats(manager, &now));
        if (now.clients == before.clients && now.objects == before.objects) break;
        usleep(1000);
    }
    ck_assert_uint_eq(now.clients, before.clients);
    ck_assert_uint_eq(now.objects, before.objects);
    ck_assert_uint_eq(now.shares, before.shares);
    ck_assert_uint_eq(now.waiting, before.waiting);
    ck_assert_uint_eq(now.bytes, before.bytes);
}

/* Until the server has so many calls that wait. */
static void await_waiting(uint64_t n)
{
    brood_manager_stats now;
    for (int i = 0; i < PATIENCE; i++) {
        brood_test_ok(brood_manager_get_stats(manager, &now));
        if (now.waiting == n) return;
        usleep(1000);
    }
    ck_assert_uint_eq(now.waiting, n);
}

static uint64_t create(struct raw *raw, const char *type, brood_variant args)
{
    brood_variant all = ARGS(type), id;
    uint64_t object = 0;
    while (brood_variant_size(&args)) {
        brood_variant item;
        brood_test_ok(brood_variant_remove(&args, 0, &item));
        brood_test_ok(brood_variant_append(&all, item));
    }
    brood_variant_free(&args);
    brood_test_ok(raw_call(raw, 0, "create", 0, all, &id));
    brood_test_ok(brood_variant_get_handle(&id, &object));
    return object;
}

static int64_t number(struct raw *raw, uint64_t object, const char *method)
{
    brood_variant v;
    int64_t n = -1;
    brood_test_ok(raw_call(raw, object, method, 0, NIL, &v));
    brood_test_ok(brood_variant_get_int(&v, &n));
    return n;
}

/* ------------------------------------------------------------------------------------------------------------- locks */

static struct raw a, b, c;

static void open_three(void)
{
    fresh(NULL);
    raw_open(&a, manager);
    raw_open(&b, manager);
    raw_open(&c, manager);
}

static void close_three(void)
{
    raw_close(&a);
    raw_close(&b);
    raw_close(&c);
    ck_back();
    brood_test_ok(brood_manager_free(manager));
}

START_TEST(a_lock_goes_round)
{
    open_three();
    uint64_t lock = create(&a, "Lock", NIL);
    brood_test_ok(raw_call(&a, lock, "acquire", 0, NIL, NULL));
    ck_assert_int_eq(raw_call(&b, lock, "acquire", 0, NIL, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(raw_call(&b, lock, "acquire", A_WHILE, NIL, NULL), BROOD_ETIMEDOUT);
    uint64_t first = raw_ask(&b, lock, "acquire", -1, NIL);
    await_waiting(1);
    uint64_t second = raw_ask(&c, lock, "acquire", -1, NIL);
    await_waiting(2);
    brood_test_ok(raw_call(&a, lock, "release", 0, NIL, NULL));
    brood_test_ok(raw_answer(&b, first, NULL));
    ck_assert(raw_quiet(&c));
    brood_test_ok(raw_call(&a, lock, "release", 0, NIL, NULL)); /* anyone may */
    brood_test_ok(raw_answer(&c, second, NULL));
    brood_test_ok(raw_call(&c, lock, "release", 0, NIL, NULL));
    ck_assert_int_eq(raw_call(&c, lock, "release", 0, NIL, NULL), BROOD_EPERM);
    close_three();
}
END_TEST

START_TEST(a_dead_holder_is_told)
{
    open_three();
    uint64_t lock = create(&a, _i ? "RLock" : "Lock", NIL);
    brood_test_ok(raw_call(&a, 0, "hold", 0, ARGS(brood_variant_handle(lock)), NULL));
    brood_test_ok(raw_call(&c, 0, "hold", 0, ARGS(brood_variant_handle(lock)), NULL));
    brood_test_ok(raw_call(&a, lock, "acquire", 0, NIL, NULL));
    if (_i) brood_test_ok(raw_call(&a, lock, "acquire", 0, NIL, NULL));
    uint64_t waits = raw_ask(&b, lock, "acquire", -1, NIL), next = raw_ask(&c, lock, "acquire", -1, NIL);
    await_waiting(2);
    raw_close(&a);
    raw_open(&a, manager);
    bool b_first = brood__os_wait_readable(b.fd, brood__os_deadline(200)) == 1;
    ck_assert_int_eq(b_first ? raw_answer(&b, waits, NULL) : raw_answer(&c, next, NULL), BROOD_EOWNERDEAD);
    brood_test_ok(raw_call(b_first ? &b : &c, lock, "release", 0, NIL, NULL));
    brood_test_ok(b_first ? raw_answer(&c, next, NULL) : raw_answer(&b, waits, NULL));
    close_three();
}
END_TEST

START_TEST(a_recursive_lock)
{
    open_three();
    uint64_t lock = create(&a, "RLock", NIL);
    for (int i = 0; i < 3; i++) brood_test_ok(raw_call(&a, lock, "acquire", 0, NIL, NULL));
    ck_assert_int_eq(raw_call(&b, lock, "acquire", 0, NIL, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(raw_call(&b, lock, "release", 0, NIL, NULL), BROOD_EPERM);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(raw_call(&b, lock, "acquire", 0, NIL, NULL), BROOD_EAGAIN);
        brood_test_ok(raw_call(&a, lock, "release", 0, NIL, NULL));
    }
    ck_assert_int_eq(raw_call(&a, lock, "release", 0, NIL, NULL), BROOD_EPERM);
    brood_test_ok(raw_call(&b, lock, "acquire", 0, NIL, NULL));
    close_three();
}
END_TEST

START_TEST(units_come_back)
{
    open_three();
    uint64_t s = create(&a, "BoundedSemaphore", ARGS(3));
    brood_test_ok(raw_call(&b, s, "acquire", 0, NIL, NULL));
    brood_test_ok(raw_call(&b, s, "acquire", 0, NIL, NULL));
    brood_test_ok(raw_call(&a, s, "acquire", 0, NIL, NULL));
    uint64_t waits = raw_ask(&c, s, "acquire", -1, NIL);
    await_waiting(1);
    raw_close(&b);
    brood_test_ok(raw_answer(&c, waits, NULL));
    ck_assert_int_eq(number(&a, s, "value"), 1);
    brood_test_ok(raw_call(&a, s, "release", 0, NIL, NULL));                 /* its own, */
    brood_test_ok(raw_call(&a, s, "release", 0, NIL, NULL));                 /* c's, */
    ck_assert_int_eq(raw_call(&a, s, "release", 0, NIL, NULL), BROOD_EPERM); /* and none is left */
    raw_open(&b, manager);
    uint64_t t = create(&a, "Semaphore", ARGS(0));
    ck_assert_int_eq(raw_call(&a, t, "acquire", 0, NIL, NULL), BROOD_EAGAIN);
    brood_test_ok(raw_call(&a, t, "release", 0, NIL, NULL));
    ck_assert_int_eq(number(&a, t, "value"), 1);
    close_three();
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- conditions */

START_TEST(a_condition)
{
    open_three();
    uint64_t lock = create(&a, _i ? "RLock" : "Lock", NIL);
    uint64_t condition = create(&a, "Condition", ARGS(brood_variant_handle(lock)));
    ck_assert_int_eq(raw_call(&b, condition, "wait", -1, NIL, NULL), BROOD_EPERM);
    ck_assert_int_eq(raw_call(&b, condition, "notify", 0, NIL, NULL), BROOD_EPERM);
    brood_test_ok(raw_call(&b, condition, "acquire", 0, NIL, NULL));
    ck_assert_int_eq(raw_call(&b, condition, "wait", 0, NIL, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(raw_call(&b, condition, "wait", A_WHILE, NIL, NULL), BROOD_ETIMEDOUT);
    ck_assert_int_eq(raw_call(&c, lock, "acquire", 0, NIL, NULL), BROOD_EAGAIN); /* it has the lock again */
    if (_i) brood_test_ok(raw_call(&b, condition, "acquire", 0, NIL, NULL));
    uint64_t first = raw_ask(&b, condition, "wait", -1, NIL);
    await_waiting(1);
    brood_test_ok(raw_call(&c, condition, "acquire", 0, NIL, NULL)); /* it has given it up, however deep */
    uint64_t second = raw_ask(&c, condition, "wait", -1, NIL);
    await_waiting(2);
    brood_test_ok(raw_call(&a, lock, "acquire", 0, NIL, NULL));
    brood_test_ok(raw_call(&a, condition, "notify", 0, NIL, NULL));
    ck_assert(raw_quiet(&b)); /* not before it has the lock */
    brood_test_ok(raw_call(&a, condition, "release", 0, NIL, NULL));
    brood_test_ok(raw_answer(&b, first, NULL));
    ck_assert(raw_quiet(&c));
    if (_i) brood_test_ok(raw_call(&b, lock, "release", 0, NIL, NULL));
    brood_test_ok(raw_call(&b, condition, "notify_all", 0, NIL, NULL));
    brood_test_ok(raw_call(&b, lock, "release", 0, NIL, NULL));
    brood_test_ok(raw_answer(&c, second, NULL));
    brood_test_ok(raw_call(&c, lock, "release", 0, NIL, NULL));
    close_three();
}
END_TEST

/* Who was notified and dies before it has returned is not the one that was notified. */
START_TEST(a_notification_is_not_lost)
{
    open_three();
    uint64_t condition = create(&a, "Condition", NIL);
    brood_test_ok(raw_call(&b, condition, "acquire", 0, NIL, NULL));
    raw_ask(&b, condition, "wait", -1, NIL);
    await_waiting(1);
    brood_test_ok(raw_call(&c, condition, "acquire", 0, NIL, NULL));
    uint64_t second = raw_ask(&c, condition, "wait", -1, NIL);
    await_waiting(2);
    brood_test_ok(raw_call(&a, condition, "acquire", 0, NIL, NULL));
    brood_test_ok(raw_call(&a, condition, "notify", 0, NIL, NULL));
    raw_close(&b);
    await_waiting(1);
    ck_assert(raw_quiet(&c));
    brood_test_ok(raw_call(&a, condition, "release", 0, NIL, NULL));
    brood_test_ok(raw_answer(&c, second, NULL));
    raw_open(&b, manager);
    close_three();
}
END_TEST

START_TEST(a_barrier)
{
    open_three();
    uint64_t barrier = create(&a, "Barrier", ARGS(3));
    for (int round = 0; round < 3; round++) {
        brood_variant v;
        int64_t place;
        uint64_t first = raw_ask(&a, barrier, "wait", -1, NIL);
        await_waiting(1);
        uint64_t second = raw_ask(&b, barrier, "wait", -1, NIL);
        await_waiting(2);
        ck_assert_int_eq(number(&c, barrier, "n_waiting"), 2);
        ck_assert_int_eq(number(&c, barrier, "wait"), 2);
        brood_test_ok(raw_answer(&a, first, &v));
        brood_test_ok(brood_variant_get_int(&v, &place));
        ck_assert_int_eq(place, 0);
        brood_test_ok(raw_answer(&b, second, &v));
        brood_test_ok(brood_variant_get_int(&v, &place));
        ck_assert_int_eq(place, 1);
    }
    close_three();
}
END_TEST

/* _i: a party dies, is late, gives up, resets */
START_TEST(a_barrier_breaks)
{
    brood_variant v;
    bool broken;
    open_three();
    uint64_t barrier = create(&a, "Barrier", ARGS(3));
    uint64_t waits = raw_ask(&a, barrier, "wait", -1, NIL);
    await_waiting(1);
    if (_i == 0) {
        raw_ask(&b, barrier, "wait", -1, NIL);
        await_waiting(2);
        raw_close(&b);
    } else if (_i == 1) {
        ck_assert_int_eq(raw_call(&b, barrier, "wait", A_WHILE, NIL, NULL), BROOD_ETIMEDOUT);
    } else {
        brood_test_ok(raw_call(&b, barrier, _i == 2 ? "abort" : "reset", 0, NIL, NULL));
    }
    ck_assert_int_eq(raw_answer(&a, waits, NULL), BROOD_EBROKEN);
    brood_test_ok(raw_call(&a, barrier, "broken", 0, NIL, &v));
    brood_test_ok(brood_variant_get_bool(&v, &broken));
    ck_assert_int_eq(broken, _i != 3);
    if (_i != 3) ck_assert_int_eq(raw_call(&a, barrier, "wait", -1, NIL, NULL), BROOD_EBROKEN);
    brood_test_ok(raw_call(&a, barrier, "reset", 0, NIL, NULL));
    if (_i == 0) raw_open(&b, manager);
    waits = raw_ask(&a, barrier, "wait", -1, NIL);
    uint64_t too = raw_ask(&b, barrier, "wait", -1, NIL);
    await_waiting(2);
    ck_assert_int_eq(number(&c, barrier, "wait"), 2);
    brood_test_ok(raw_answer(&a, waits, NULL));
    brood_test_ok(raw_answer(&b, too, NULL));
    close_three();
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ queues */

START_TEST(a_queue)
{
    open_three();
    uint64_t q = create(&a, "Queue", ARGS(2));
    uint64_t gets = raw_ask(&b, q, "get", -1, NIL);
    await_waiting(1);
    brood_test_ok(raw_call(&a, q, "put", 0, ARGS("one"), NULL));
    brood_test_ok(raw_answer(&b, gets, NULL));
    raw_taken(&b, gets);
    brood_test_ok(raw_call(&a, q, "put", 0, ARGS("two"), NULL));
    brood_test_ok(raw_call(&a, q, "put", 0, ARGS("three"), NULL));
    ck_assert_int_eq(raw_call(&a, q, "put", 0, ARGS("four"), NULL), BROOD_EAGAIN);
    ck_assert_int_eq(raw_call(&a, q, "put", A_WHILE, ARGS("four"), NULL), BROOD_ETIMEDOUT);
    uint64_t puts = raw_ask(&a, q, "put", -1, ARGS("five"));
    await_waiting(1);
    for (int i = 0; i < 3; i++) {
        static const char *const expected[] = {"two", "three", "five"};
        brood_variant v;
        const char *text;
        gets = raw_ask(&c, q, "get", -1, NIL);
        brood_test_ok(raw_answer(&c, gets, &v));
        raw_taken(&c, gets);
        brood_test_ok(brood_variant_get_text(&v, &text, NULL));
        ck_assert_str_eq(text, expected[i]);
        brood_variant_free(&v);
        if (i == 0) brood_test_ok(raw_answer(&a, puts, NULL));
    }
    ck_assert_int_eq(raw_call(&c, q, "get", 0, NIL, NULL), BROOD_EAGAIN);
    ck_assert_int_eq(raw_call(&c, q, "task_done", 0, NIL, NULL), BROOD_EINVAL);
    close_three();
}
END_TEST

/* What was handed over and not taken comes back, to the front, in its order. */
START_TEST(what_was_not_taken_comes_back)
{
    open_three();
    uint64_t q = create(&a, "Queue", NIL);
    for (int i = 0; i < 4; i++) brood_test_ok(raw_call(&a, q, "put", 0, ARGS(i), NULL));
    brood_test_ok(raw_call(&b, q, "get", 0, NIL, NULL));
    brood_test_ok(raw_call(&b, q, "get", 0, NIL, NULL));
    ck_assert_int_eq(number(&a, q, "size"), 2);
    if (_i) raw_taken(&b, 1);
    uint64_t waits = 0;
    if (_i) { /* a third waits for the next, and its own is returned to it */
        brood_test_ok(raw_call(&c, q, "get", 0, NIL, NULL));
        raw_taken(&c, 1);
        brood_test_ok(raw_call(&c, q, "get", 0, NIL, NULL));
        raw_taken(&c, 2);
        waits = raw_ask(&c, q, "get", -1, NIL);
        await_waiting(1);
    }
    raw_close(&b);
    if (_i) {
        brood_variant v;
        int64_t n;
        brood_test_ok(raw_answer(&c, waits, &v));
        brood_test_ok(brood_variant_get_int(&v, &n));
        ck_assert_int_eq(n, 1);
    }
    for (int i = 0; !_i && i < 4; i++) {
        brood_variant v;
        int64_t n;
        for (int k = 0; k < PATIENCE && number(&a, q, "size") != 4 - i; k++) usleep(1000);
        uint64_t gets = raw_ask(&c, q, "get", -1, NIL);
        brood_test_ok(raw_answer(&c, gets, &v));
        raw_taken(&c, gets);
        brood_test_ok(brood_variant_get_int(&v, &n));
        ck_assert_int_eq(n, i);
    }
    raw_open(&b, manager);
    close_three();
}
END_TEST

/* The tasks of a dead one are done with, so that who joins does not wait for ever. */
START_TEST(tasks_of_the_dead)
{
    open_three();
    uint64_t q = create(&a, "JoinableQueue", NIL);
    for (int i = 0; i < 3; i++) brood_test_ok(raw_call(&a, q, "put", 0, ARGS(i), NULL));
    for (int i = 0; i < 2; i++) {
        brood_test_ok(raw_call(&b, q, "get", 0, NIL, NULL));
        raw_taken(&b, b.serial);
    }
    brood_test_ok(raw_call(&b, q, "task_done", 0, NIL, NULL));
    brood_test_ok(raw_call(&c, q, "get", 0, NIL, NULL));
    raw_taken(&c, c.serial);
    uint64_t joins = raw_ask(&a, q, "join", -1, NIL);
    await_waiting(1);
    raw_close(&b);
    ck_assert(raw_quiet(&a));
    brood_test_ok(raw_call(&c, q, "task_done", 0, NIL, NULL));
    brood_test_ok(raw_answer(&a, joins, NULL));
    raw_open(&b, manager);
    close_three();
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- at any byte */

struct script {
    unsigned char bytes[1024];
    size_t size, taken, put; /* all of it; behind "taken"; behind the put */
};

static void script_frame(struct script *s, const void *bytes, size_t size)
{
    s->size += brood__frame_head(s->bytes + s->size, size);
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
}

static void script_ask(struct script *s, struct raw *raw, uint64_t object, const char *method, brood_variant args)
{
    struct item_writer w;
    raw_write(raw, &w, object, method, 0, args);
    script_frame(s, w.bytes, w.size);
    free(w.bytes);
}

/* Everything a queue has, and nothing is left to be done: how many items, of which the first is told. */
static int drain(uint64_t q, char *first)
{
    brood_variant v;
    const char *text;
    int n = 0;
    for (;; n++) {
        uint64_t gets = raw_ask(&a, q, "get", 0, NIL);
        int code = raw_answer(&a, gets, &v);
        if (code == BROOD_EAGAIN) break;
        brood_test_ok(code);
        raw_taken(&a, gets);
        brood_test_ok(brood_variant_get_text(&v, &text, NULL));
        if (n == 0) *first = text[0];
        brood_variant_free(&v);
        brood_test_ok(raw_call(&a, q, "task_done", 0, NIL, NULL));
    }
    brood_test_ok(raw_call(&a, q, "join", 0, NIL, NULL));
    return n;
}

/* A client dies after the first byte of what it says, after the second, and so on. */
START_TEST(dies_after_any_byte)
{
    brood_manager_stats base, now;
    struct script s = {.size = 0};
    struct raw victim = {.fd = -1};
    fresh(NULL);
    raw_open(&a, manager);
    uint64_t lock = create(&a, "RLock", NIL), units = create(&a, "BoundedSemaphore", ARGS(2));
    uint64_t q = create(&a, "JoinableQueue", NIL);
    script_ask(&s, &victim, lock, "acquire", NIL);
    script_ask(&s, &victim, units, "acquire", NIL);
    script_ask(&s, &victim, q, "get", NIL);
    script_frame(&s, "\x81\x03", 2);
    s.taken = s.size;
    script_ask(&s, &victim, 0, "create", ARGS("list"));
    script_ask(&s, &victim, 0, "hold", ARGS(brood_variant_handle(lock)));
    script_ask(&s, &victim, q, "put", ARGS("y"));
    s.put = s.size;
    script_ask(&s, &victim, lock, "acquire", NIL);
    brood_test_ok(brood_manager_get_stats(manager, &base));
    for (size_t k = 0; k <= s.size; k++) {
        brood_test_ok(raw_call(&a, q, "put", 0, ARGS("x"), NULL));
        raw_open(&victim, manager);
        raw_send(&victim, s.bytes, k);
        raw_close(&victim);
        do brood_test_ok(brood_manager_get_stats(manager, &now));
        while (now.clients != base.clients);
        ck_assert_uint_eq(now.objects, base.objects);
        int code = raw_call(&a, lock, "acquire", 0, NIL, NULL);
        ck_assert(code == 0 || code == BROOD_EOWNERDEAD);
        brood_test_ok(raw_call(&a, lock, "release", 0, NIL, NULL));
        ck_assert_int_eq(number(&a, units, "value"), 2);
        char first = 0;
        int items = drain(q, &first);
        ck_assert_msg(items == (k < s.taken) + (k >= s.put), "%d items after %zu bytes", items, k);
        if (items) ck_assert_int_eq(first, k < s.taken ? 'x' : 'y');
    }
    raw_close(&a);
    ck_back();
    brood_test_ok(brood_manager_free(manager));
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- strangers */

/* Standard error of the server, to see that it says why. */
static int heard, standard_error;

static void listen_to(void)
{
    heard = memfd_create("heard", MFD_CLOEXEC);
    standard_error = dup(2);
    ck_assert_int_ge(dup2(heard, 2), 0);
}

static void ck_heard(const char *words)
{
    static char text[65536];
    for (int i = 0; i < PATIENCE / 10; i++) {
        ssize_t n = pread(heard, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        if (strstr(text, words)) return;
        usleep(10000);
    }
    ck_abort_msg("the server does not say \"%s\": %s", words, text);
}

static void listen_no_more(void)
{
    dup2(standard_error, 2);
    close(standard_error);
    close(heard);
}

/* One that behaves, while others do not. */
static void ck_served(struct raw *raw, uint64_t list)
{
    brood_test_ok(raw_call(raw, list, "append", 0, ARGS("more"), NULL));
}

static void send_all_lies(struct raw *good, uint64_t list)
{
    static const struct lie {
        const char *bytes;
        size_t size;
        const char *why;
    } lies[] = {
        {"\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00", 12, "limit"}, /* 4 GiB */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, "limit"},
        {"\x80\x00\x00\x00", 4, ""},      /* a negative length */
        {"\x01\x00\x00\x01", 4, "limit"}, /* more than a message may have */
        {"\x00\x00\x00\x00", 4, "no request"},
        {"\x00\x00\x00\x01\x00", 5, "no request"},
        {"\x00\x00\x00\x02\x86\x01", 6, "its object"},
        {"\x00\x00\x00\x02\x81\x07", 6, "never was given"}, /* "taken", of nothing */
        {"\x00\x00\x00\x0a\x86\x01\x00\x64ping\x01\x00", 14, "its arguments"},
        {"\x00\x00\x00\x0c\x86\x01\x00\x64ping\x01\x21\x80\x00", 16, "its timeout"}, /* -2 */
        {"\x00\x00\x00\x0c\x86\x01\x00\x64ping\x01\x00\x81\xf7", 16, "an argument"},
        {"\x00\x00\x00\x0c\x86\x01\x00\x64ping\x01\x00\x80\x00", 16, "behind its end"},
        {"\x00\x00\x00\x0c\x86\x18\x01\x00\x64ping\x01\x00\x80", 16, "its serial"}, /* not the shortest */
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct raw liar;
        raw_open(&liar, manager);
        raw_send(&liar, lies[i].bytes, lies[i].size);
        raw_dropped(&liar);
        if (lies[i].why[0]) ck_heard(lies[i].why);
        ck_served(good, list);
    }
}

START_TEST(strangers_and_liars)
{
    struct raw stranger;
    listen_to();
    fresh(&(brood_manager_options){.stall_timeout = 300, .max_unread = 300000, .max_message = 100000});
    raw_open(&a, manager);
    uint64_t list = create(&a, "list", NIL);

    raw_connect(&stranger, manager);
    ck_assert_int_eq(raw_greet(&stranger, manager, "not the key"), BROOD_EAUTH);
    raw_dropped(&stranger);
    ck_heard("a stranger, is dropped");
    ck_served(&a, list);

    raw_connect(&stranger, manager); /* before it has proved anything nothing else is read */
    raw_send(&stranger, "\x00\x00\x10\x00", 4);
    raw_dropped(&stranger);
    ck_served(&a, list);

    raw_connect(&stranger, manager); /* a connection without a word does nobody any harm */
    ck_served(&a, list);
    raw_close(&stranger);

    send_all_lies(&a, list);

    raw_open(&stranger, manager); /* a message cut off */
    raw_send(&stranger, "\x00\x00\x00\x0b\x86\x01\x00", 7);
    raw_close(&stranger);
    ck_heard("it ended within a message");
    ck_served(&a, list);

    raw_open(&stranger, manager); /* a byte at a time */
    const char slow[] = "\x00\x00\x00\x0b\x86\x01\x00\x64ping\x01\x00\x80";
    for (size_t i = 0; i + 1 < sizeof slow; i++) {
        raw_send(&stranger, slow + i, 1);
        ck_served(&a, list);
    }
    brood_test_ok(raw_answer(&stranger, 1, NULL));
    raw_close(&stranger);

    brood_test_ok(raw_call(&a, 0, "drop", 0, ARGS(brood_variant_handle(list)), NULL));
    raw_close(&a);
    ck_back();
    brood_test_ok(brood_manager_free(manager));
    listen_no_more();
}
END_TEST

/* One who asks and does not read: is not listened to, and then dropped; who reads late gets all. */
START_TEST(who_does_not_read)
{
    struct raw late, never;
    listen_to();
    fresh(&(brood_manager_options){.stall_timeout = 1000, .max_unread = 300000, .max_message = 100000});
    raw_open(&a, manager);
    uint64_t list = create(&a, "list", NIL);
    char large[50000];
    memset(large, 'x', sizeof large);
    brood_test_ok(raw_call(&a, list, "append", 0, ARGS(brood_variant_text_of(large, sizeof large)), NULL));
    raw_open(&late, manager);
    raw_open(&never, manager);
    for (int i = 0; i < 40; i++) {
        raw_ask(&late, list, "get", 0, ARGS(0));
        raw_ask(&never, list, "get", 0, ARGS(0));
        ck_served(&a, list);
    }
    brood_manager_stats now; /* neither of them makes the server keep all that it asked for */
    brood_test_ok(brood_manager_get_stats(manager, &now));
    ck_assert_uint_lt(now.bytes, before.bytes + 2000000);
    for (uint64_t i = 1; i <= 40; i++) {
        brood_variant v;
        brood_test_ok(raw_answer(&late, i, &v));
        ck_assert_uint_eq(brood_variant_size(&v), sizeof large);
        brood_variant_free(&v);
    }
    ck_heard("it does not read its answers");
    ck_served(&a, list);
    raw_dropped(&never);
    raw_close(&late);
    raw_close(&a);
    ck_back();
    brood_test_ok(brood_manager_free(manager));
    listen_no_more();
}
END_TEST

START_TEST(limits_of_a_client)
{
    fresh(&(brood_manager_options){
        .max_objects = 10, .max_waiting = 5, .max_memory = 3000000, .max_message = 1000000, .max_clients = 4});
    raw_open(&a, manager);
    raw_open(&b, manager);
    uint64_t event = create(&a, "Event", NIL), list = create(&a, "list", NIL), waits[5];
    for (int i = 0; i < 8; i++) create(&a, "list", NIL);
    ck_assert_int_eq(raw_call(&a, 0, "create", 0, ARGS("list"), NULL), BROOD_ENOMEM);
    for (int i = 0; i < 5; i++) waits[i] = raw_ask(&a, event, "wait", -1, NIL);
    ck_assert_int_eq(raw_call(&a, event, "wait", -1, NIL, NULL), BROOD_ENOMEM);
    for (int i = 0;; i++) {
        static char large[900000];
        int code = raw_call(&a, list, "append", 0, ARGS(brood_variant_bytes(large, sizeof large)), NULL);
        if (code == 0) continue;
        ck_assert_int_eq(code, BROOD_ENOMEM);
        ck_assert_int_gt(i, 0);
        break;
    }
    brood_test_ok(raw_call(&b, event, "set", 0, NIL, NULL)); /* others can do their work */
    for (int i = 0; i < 5; i++) brood_test_ok(raw_answer(&a, waits[i], NULL));
    raw_open(&c, manager);
    struct raw one_more;
    long long start = members_now_ms();
    raw_connect(&one_more, manager);
    raw_dropped(&one_more);
    ck_assert_int_lt(members_now_ms() - start, 8000); /* at once, not when it has not proved itself in time */
    close_three();
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- a thousand */

enum { CHILDREN = 20, EACH = 50, VICTIMS = 4 };

struct crowd {
    brood_proxy common, units, ready, go, sum, locks;
};

/* Clients, each with a lock of its own held, a unit, and then: half a message, a call that waits, or nothing. */
static int hold_and_hang(struct raw *clients, struct crowd crowd, int child)
{
    for (int i = 0; i < EACH; i++) {
        struct item_writer w;
        uint64_t lock = create(&clients[i], "Lock", NIL);
        MUST(raw_call(&clients[i], crowd.locks.object, "set", 0, ARGS(child * EACH + i, brood_variant_handle(lock)),
                      NULL) == 0);
        MUST(raw_call(&clients[i], lock, "acquire", 0, NIL, NULL) == 0);
        MUST(raw_call(&clients[i], crowd.units.object, "acquire", -1, NIL, NULL) == 0);
        if (i % 3 == 0) {
            uint8_t head[FRAME_HEAD_MOST];
            raw_write(&clients[i], &w, crowd.sum.object, "set", 0, ARGS(0));
            raw_send(&clients[i], head, brood__frame_head(head, w.size));
            raw_send(&clients[i], w.bytes, w.size / 2);
            free(w.bytes);
        } else if (i % 3 == 1) {
            raw_ask(&clients[i], crowd.go.object, "wait", -1, NIL);
        }
    }
    return 0;
}

BROOD_TASK(crowds, int, struct crowd, crowd, brood_manager, m, int, child)
{
    static struct raw clients[EACH];
    for (int i = 0; i < EACH; i++) raw_open(&clients[i], m);
    if (child < VICTIMS) {
        MUST(hold_and_hang(clients, crowd, child) == 0);
        MUST(brood_proxy_release(crowd.ready) == 0);
        for (;;) pause();
    }
    MUST(brood_proxy_release(crowd.ready) == 0);
    for (int i = 0; i < EACH; i++) raw_ask(&clients[i], crowd.go.object, "wait", -1, NIL);
    for (int i = 0; i < EACH; i++) MUST(raw_answer(&clients[i], 1, NULL) == 0);
    for (int i = 0; i < EACH; i++) { /* each under the one lock of all */
        brood_variant v;
        int64_t n;
        int code = raw_call(&clients[i], crowd.common.object, "acquire", -1, NIL, NULL);
        MUST(code == 0 || code == BROOD_EOWNERDEAD);
        MUST(raw_call(&clients[i], crowd.sum.object, "get", 0, NIL, &v) == 0);
        MUST(brood_variant_get_int(&v, &n) == 0);
        MUST(raw_call(&clients[i], crowd.sum.object, "set", 0, ARGS(n + 1), NULL) == 0);
        MUST(raw_call(&clients[i], crowd.common.object, "release", 0, NIL, NULL) == 0);
    }
    return 0;
}

START_TEST(a_thousand_and_two_hundred_of_them_killed)
{
    crowds_args args;
    brood_process children[CHILDREN];
    brood_variant v;
    int64_t n;
    brood__os_raise_descriptors();
    fresh(NULL);
    args.m = manager;
    brood_test_ok(brood_manager_lock(manager, &args.crowd.common));
    brood_test_ok(brood_manager_semaphore(manager, &args.crowd.units, 1000));
    brood_test_ok(brood_manager_semaphore(manager, &args.crowd.ready, 0));
    brood_test_ok(brood_manager_event(manager, &args.crowd.go));
    brood_test_ok(brood_manager_value(manager, &args.crowd.sum, brood_v(0)));
    brood_test_ok(brood_manager_dict(manager, &args.crowd.locks));
    for (args.child = 0; args.child < CHILDREN; args.child++)
        members_start(&children[args.child], BROOD_START_FORK, crowds, &args);
    for (int i = 0; i < CHILDREN; i++) brood_test_ok(brood_proxy_acquire(args.crowd.ready, PATIENCE));
    brood_manager_stats stats;
    brood_test_ok(brood_manager_get_stats(manager, &stats));
    ck_assert_uint_ge(stats.clients, CHILDREN * EACH);
    for (int i = 0; i < VICTIMS; i++) brood_test_ok(brood_process_kill(children[i]));
    brood_test_ok(brood_proxy_set(args.crowd.go));
    for (int i = 0; i < VICTIMS; i++) {
        int code;
        brood_test_ok(brood_process_join(children[i], PATIENCE, &code));
        ck_assert_int_eq(code, -SIGKILL);
        brood_test_ok(brood_process_free(children[i]));
    }
    for (int i = 0; i < VICTIMS * EACH; i++) {
        brood_proxy lock;
        brood_test_ok(brood_dict_get(args.crowd.locks, brood_v(i), &v));
        brood_test_ok(brood_variant_get_proxy(&v, &lock));
        ck_assert_int_eq(brood_proxy_acquire(lock, PATIENCE), BROOD_EOWNERDEAD);
    }
    for (int i = VICTIMS; i < CHILDREN; i++) members_end(children[i], 0);
    brood_test_ok(brood_proxy_load(args.crowd.sum, &v));
    brood_test_ok(brood_variant_get_int(&v, &n));
    ck_assert_int_eq(n, (CHILDREN - VICTIMS) * EACH);
    brood_test_ok(brood_proxy_call(args.crowd.units, "value", NIL, &v, 0));
    brood_test_ok(brood_variant_get_int(&v, &n));
    ck_assert_int_eq(n, 1000);
    brood_proxy all[] = {args.crowd.common, args.crowd.units, args.crowd.ready,
                         args.crowd.go,     args.crowd.sum,   args.crowd.locks};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) brood_test_ok(brood_proxy_free(all[i]));
    ck_back();
    brood_test_ok(brood_manager_free(manager));
}
END_TEST

static Suite *clients_suite(void)
{
    Suite *suite = suite_create("clients");
    TCase *locks = brood_test_case(suite, "locks");
    tcase_add_test(locks, a_lock_goes_round);
    tcase_add_loop_test(locks, a_dead_holder_is_told, 0, 2);
    tcase_add_test(locks, a_recursive_lock);
    tcase_add_test(locks, units_come_back);
    TCase *conditions = brood_test_case(suite, "conditions");
    tcase_add_loop_test(conditions, a_condition, 0, 2);
    tcase_add_test(conditions, a_notification_is_not_lost);
    tcase_add_test(conditions, a_barrier);
    tcase_add_loop_test(conditions, a_barrier_breaks, 0, 4);
    TCase *queues = brood_test_case(suite, "queues");
    tcase_add_test(queues, a_queue);
    tcase_add_loop_test(queues, what_was_not_taken_comes_back, 0, 2);
    tcase_add_test(queues, tasks_of_the_dead);
    TCase *bytes = brood_test_case(suite, "bytes");
    tcase_add_test(bytes, dies_after_any_byte);
    TCase *strangers = brood_test_case(suite, "strangers");
    tcase_add_test(strangers, strangers_and_liars);
    tcase_add_test(strangers, who_does_not_read);
    tcase_add_test(strangers, limits_of_a_client);
    TCase *crowd = brood_test_case(suite, "crowd");
    tcase_add_test(crowd, a_thousand_and_two_hundred_of_them_killed);
    return suite;
}

BROOD_TEST_MAIN(clients_suite)
