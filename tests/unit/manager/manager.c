/* SPDX-License-Identifier: MIT */
/* manager.c - a manager's built-in types, from one process and from children under each start method. */
#include "members.h"
#include "says.h"

#include <brood/manager.h>

static brood_manager fresh(int method)
{
    brood_manager m;
    brood_test_ok(brood_manager_new(&m, &(brood_manager_options){.method = members_methods[method]}));
    return m;
}

static int64_t int_of(brood_variant v)
{
    int64_t value = -1;
    ck_assert_int_eq(brood_variant_get_int(&v, &value), 0);
    brood_variant_free(&v);
    return value;
}

#define NIL brood_variant_nil()

/* ------------------------------------------------------------------------------------------------------ containers */

START_TEST(dict_is_pythons)
{
    brood_proxy d;
    brood_variant out;
    brood_manager m = fresh(_i);
    brood_test_ok(brood_manager_dict(m, &d));
    ck_assert_int_eq(brood_dict_size(d), 0);
    brood_test_ok(brood_dict_set(d, brood_v("b"), brood_v(2)));
    brood_test_ok(brood_dict_set(d, brood_v("a"), brood_variant_list(1, "x")));
    brood_test_ok(brood_dict_set(d, brood_v(1), brood_v("int")));
    brood_test_ok(brood_dict_set(d, brood_v(1.0), brood_v("float")));
    brood_test_ok(brood_dict_set(d, brood_v("b"), brood_v(3)));
    ck_assert_int_eq(brood_dict_size(d), 4);
    SAYS("3", brood_dict_get(d, brood_v("b"), &out));
    SAYS("[1, \"x\"]", brood_dict_get(d, brood_v("a"), &out));
    SAYS("[\"b\", \"a\", 1, 1.0]", brood_dict_keys(d, &out));
    SAYS("[3, [1, \"x\"], \"int\", \"float\"]", brood_dict_values(d, &out));
    SAYS("{1: \"int\", \"a\": [1, \"x\"], \"b\": 3, 1.0: \"float\"}", brood_dict_copy(d, &out));
    ck_assert_int_eq(brood_dict_get(d, brood_v("c"), &out), BROOD_EMISSING);
    ck_assert_str_eq(brood_error_detail(), "there is no such key");
    ck_assert_int_eq(out.kind, BROOD_VARIANT_NIL);
    ck_assert_int_eq(brood_dict_has(d, brood_v("a")), 1);
    ck_assert_int_eq(brood_dict_has(d, brood_v("c")), 0);
    brood_test_ok(brood_dict_delete(d, brood_v("a")));
    ck_assert_int_eq(brood_dict_delete(d, brood_v("a")), BROOD_EMISSING);
    SAYS("3", brood_dict_pop(d, brood_v("b"), &out));
    SAYS("7", brood_proxy_call(d, "get", brood_variant_list("no", 7), &out, 0));
    SAYS("5", brood_proxy_call(d, "setdefault", brood_variant_list("five", 5), &out, 0));
    SAYS("5", brood_proxy_call(d, "setdefault", brood_variant_list("five", 6), &out, 0));
    SAYS("[\"five\", 5]", brood_proxy_call(d, "popitem", NIL, &out, 0));
    brood_test_ok(brood_dict_update(d, brood_variant_map("x", 1, "y", 2)));
    SAYS("[[1, \"int\"], [1.0, \"float\"], [\"x\", 1], [\"y\", 2]]", brood_dict_items(d, &out));
    brood_test_ok(brood_dict_clear(d));
    ck_assert_int_eq(brood_proxy_call(d, "popitem", NIL, NULL, 0), BROOD_EMISSING);
    for (int i = 0; i < 1000; i++) brood_test_ok(brood_dict_set(d, brood_v(i), brood_v(-i)));
    for (int i = 0; i < 1000; i++) {
        brood_test_ok(brood_dict_get(d, brood_v(i), &out));
        ck_assert_int_eq(int_of(out), -i);
    }
    ck_assert_int_eq(brood_proxy_call(d, "fly", NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "a dict has no method fly");
    brood_test_ok(brood_proxy_free(d));
    ck_assert_int_eq(brood_dict_size(d), BROOD_ESTALE);
    brood_test_ok(brood_manager_free(m));
    ck_assert_int_eq(brood_dict_size(d), BROOD_ESTALE);
}
END_TEST

START_TEST(list_is_pythons)
{
    brood_proxy l;
    brood_variant out;
    brood_manager m = fresh(0);
    brood_test_ok(brood_manager_list(m, &l));
    for (int i = 0; i < 5; i++) brood_test_ok(brood_list_append(l, brood_v(i * i)));
    SAYS("16", brood_list_get(l, -1, &out));
    SAYS("4", brood_list_get(l, 2, &out));
    ck_assert_int_eq(brood_list_get(l, 5, &out), BROOD_EMISSING);
    ck_assert_int_eq(brood_list_get(l, -6, &out), BROOD_EMISSING);
    brood_test_ok(brood_list_set(l, 0, brood_v("zero")));
    brood_test_ok(brood_list_insert(l, 1, brood_v(0.5)));
    brood_test_ok(brood_list_insert(l, 99, brood_v("end")));
    SAYS("[\"zero\", 0.5, 1, 4, 9, 16, \"end\"]", brood_list_slice(l, 0, INT64_MAX, &out));
    SAYS("[1, 4]", brood_list_slice(l, 2, 4, &out));
    SAYS("[16, \"end\"]", brood_list_slice(l, -2, INT64_MAX, &out));
    brood_test_ok(brood_list_extend(l, brood_variant_list(3, 2, "abc", "ab")));
    brood_test_ok(brood_proxy_call(l, "sort", NIL, NULL, 0));
    SAYS("[0.5, 1, 2, 3, 4, 9, 16, \"ab\", \"abc\", \"end\", \"zero\"]", brood_proxy_call(l, "copy", NIL, &out, 0));
    brood_test_ok(brood_proxy_call(l, "reverse", NIL, NULL, 0));
    SAYS("0.5", brood_list_pop(l, -1, &out));
    SAYS("\"zero\"", brood_list_pop(l, 0, &out));
    SAYS("2", brood_proxy_call(l, "index", brood_variant_list("ab"), &out, 0));
    SAYS("1", brood_proxy_call(l, "count", brood_variant_list(9), &out, 0));
    brood_test_ok(brood_proxy_call(l, "remove", brood_variant_list(9), NULL, 0));
    ck_assert_int_eq(brood_proxy_call(l, "remove", brood_variant_list(9), NULL, 0), BROOD_EMISSING);
    brood_test_ok(brood_list_delete(l, 0));
    ck_assert_int_eq(brood_list_size(l), 7);
    brood_test_ok(brood_proxy_call(l, "clear", NIL, NULL, 0));
    ck_assert_int_eq(brood_list_pop(l, -1, &out), BROOD_EMISSING);
    brood_test_ok(brood_manager_free(m));
}
END_TEST

START_TEST(the_small_ones)
{
    brood_proxy names, value, array;
    brood_variant out;
    brood_manager m = fresh(0);
    brood_test_ok(brood_manager_namespace(m, &names));
    brood_test_ok(brood_dict_set(names, brood_v("x"), brood_v(10)));
    SAYS("10", brood_dict_get(names, brood_v("x"), &out));
    ck_assert_int_eq(brood_dict_set(names, brood_v(1), brood_v(10)), BROOD_EINVAL);
    brood_test_ok(brood_manager_value(m, &value, brood_v(1.5)));
    SAYS("1.5", brood_proxy_load(value, &out));
    brood_test_ok(brood_proxy_store(value, brood_v("any")));
    SAYS("\"any\"", brood_proxy_load(value, &out));
    brood_test_ok(brood_manager_array(m, &array, brood_variant_list(1, 2, 3)));
    brood_test_ok(brood_list_set(array, -1, brood_v(30)));
    SAYS("[1, 2, 30]", brood_list_slice(array, 0, INT64_MAX, &out));
    ck_assert_int_eq(brood_list_append(array, brood_v(4)), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&array, m, "Nothing", NIL), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "this manager has no type Nothing");
    brood_test_ok(brood_manager_free(m));
    ck_assert_int_eq(brood_manager_free(m), BROOD_ESTALE);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0); /* the server is gone */
}
END_TEST

/* Values that name objects keep them; what is taken out brings a hold. */
START_TEST(nested)
{
    brood_proxy d, l, other, again;
    brood_variant out;
    brood_manager_stats before, after;
    brood_manager m = fresh(0);
    brood_test_ok(brood_manager_get_stats(m, &before));
    brood_test_ok(brood_manager_dict(m, &d));
    brood_test_ok(brood_manager_list(m, &l));
    brood_test_ok(brood_dict_set(d, brood_v("list"), brood_v(l)));
    brood_test_ok(brood_proxy_free(l));
    brood_test_ok(brood_dict_get(d, brood_v("list"), &out));
    brood_test_ok(brood_variant_get_proxy(&out, &again));
    ck_assert(again.manager == l.manager && again.object == l.object);
    brood_test_ok(brood_list_append(again, brood_v(1)));
    ck_assert_int_eq(brood_proxy_free(again), BROOD_EPERM);
    brood_test_ok(brood_dict_pop(d, brood_v("list"), &out));
    brood_test_ok(brood_list_append(again, brood_v(2)));
    ck_assert_int_eq(brood_list_size(again), 2);
    brood_test_ok(brood_proxy_hold(again));
    brood_test_ok(brood_proxy_free(again));
    brood_test_ok(brood_proxy_free(again));
    ck_assert_int_eq(brood_list_size(again), BROOD_ESTALE);
    ck_assert_int_eq(brood_dict_set(d, brood_v("list"), brood_v(l)), BROOD_ESTALE);
    brood_test_ok(brood_manager_list(m, &l));
    brood_test_ok(brood_manager_list(m, &other));
    brood_test_ok(brood_list_append(l, brood_variant_list(1, other, brood_variant_map("deep", other))));
    brood_test_ok(brood_proxy_free(other));
    ck_assert_int_eq(brood_list_size(other), 0);
    brood_test_ok(brood_proxy_free(l));
    ck_assert_int_eq(brood_list_size(other), BROOD_ESTALE);
    /* A long chain of lists, each in the next, comes to its end without a stack. */
    brood_test_ok(brood_manager_list(m, &l));
    for (int i = 0; i < 3000; i++) {
        brood_test_ok(brood_manager_list(m, &other));
        brood_test_ok(brood_list_append(other, brood_v(l)));
        brood_test_ok(brood_proxy_free(l));
        l = other;
    }
    brood_test_ok(brood_proxy_free(l));
    brood_test_ok(brood_proxy_free(d));
    brood_test_ok(brood_manager_get_stats(m, &after));
    ck_assert_uint_eq(after.objects, before.objects);
    ck_assert_uint_eq(after.shares, before.shares);
    ck_assert_uint_eq(after.bytes, before.bytes);
    brood_manager n = fresh(0);
    brood_test_ok(brood_manager_list(n, &other));
    brood_test_ok(brood_manager_list(m, &l));
    ck_assert_int_eq(brood_list_append(l, brood_v(other)), BROOD_EINVAL);
    brood_test_ok(brood_manager_free(n));
    brood_test_ok(brood_manager_free(m));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- with others */

struct company {
    brood_proxy dict, queue, lock, event, barrier, condition, list;
};

BROOD_TASK(works, int, struct company, c, int, number)
{
    brood_variant out;
    int64_t n;
    MUST(brood_proxy_wait(c.event, PATIENCE) == 0);
    for (int i = 0; i < 20; i++) {
        MUST(brood_proxy_acquire(c.lock, PATIENCE) == 0);
        MUST(brood_dict_get(c.dict, brood_v("sum"), &out) == 0);
        MUST(brood_variant_get_int(&out, &n) == 0);
        MUST(brood_dict_set(c.dict, brood_v("sum"), brood_v(n + 1)) == 0);
        MUST(brood_proxy_release(c.lock) == 0);
    }
    MUST(brood_proxy_get(c.queue, &out, PATIENCE) == 0);
    MUST(brood_list_append(c.list, out) == 0);
    MUST(brood_proxy_task_done(c.queue) == 0);
    int place = brood_proxy_wait(c.barrier, PATIENCE);
    MUST(place >= 0 && place < 4);
    MUST(brood_dict_set(c.dict, brood_v(number), brood_v(place)) == 0);
    return 0;
}

/* _i: of the children, and in thirds of the server. */
START_TEST(together)
{
    works_args args;
    brood_process children[3];
    brood_variant out;
    brood_manager m = fresh(_i / 3);
    struct company *c = &args.c;
    brood_test_ok(brood_manager_dict(m, &c->dict));
    brood_test_ok(brood_manager_joinable_queue(m, &c->queue, 2));
    brood_test_ok(brood_manager_lock(m, &c->lock));
    brood_test_ok(brood_manager_event(m, &c->event));
    brood_test_ok(brood_manager_barrier(m, &c->barrier, 4));
    brood_test_ok(brood_manager_list(m, &c->list));
    brood_test_ok(brood_dict_set(c->dict, brood_v("sum"), brood_v(0)));
    for (args.number = 0; args.number < 3; args.number++)
        members_start(&children[args.number], members_methods[_i % 3], works, &args);
    ck_assert_int_eq(brood_proxy_wait(c->event, 0), BROOD_EAGAIN);
    members_late(brood_proxy_wait(c->event, A_WHILE));
    brood_test_ok(brood_proxy_set(c->event));
    ck_assert_int_eq(brood_proxy_is_set(c->event), 1);
    for (int i = 0; i < 3; i++) brood_test_ok(brood_proxy_put(c->queue, brood_v(i + 1), PATIENCE));
    brood_test_ok(brood_proxy_join(c->queue, PATIENCE));
    ck_assert_int_eq(brood_proxy_task_done(c->queue), BROOD_EINVAL);
    ck_assert_int_ge(brood_proxy_wait(c->barrier, PATIENCE), 0);
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_proxy_size(c->queue), 0); /* what was got stays got */
    SAYS("60", brood_dict_get(c->dict, brood_v("sum"), &out));
    brood_test_ok(brood_proxy_call(c->list, "sort", NIL, NULL, 0));
    SAYS("[1, 2, 3]", brood_list_slice(c->list, 0, INT64_MAX, &out));
    brood_test_ok(brood_manager_free(m));
}
END_TEST

BROOD_TASK(stays, int, brood_event, done)
{
    return brood_event_wait(done, PATIENCE);
}

BROOD_TASK(holds_and_forks, int, brood_proxy, lock, brood_event, ready, brood_event, done)
{
    brood_process child;
    MUST(brood_proxy_acquire(lock, 0) == 0);
    MUST(brood_process_start(&child, (&(brood_process_options){.method = BROOD_START_FORK}), stays, &done) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* A child that it forked, and that lives on, does not keep the connection of a dead one. */
START_TEST(a_fork_keeps_no_connection)
{
    holds_and_forks_args args;
    brood_process holder;
    brood_manager m = fresh(2);
    brood_test_ok(brood_event_new(&args.ready));
    brood_test_ok(brood_event_new(&args.done));
    brood_test_ok(brood_manager_lock(m, &args.lock));
    members_start(&holder, BROOD_START_FORK, holds_and_forks, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    members_kill(holder);
    ck_assert_int_eq(brood_proxy_acquire(args.lock, 5000), BROOD_EOWNERDEAD);
    brood_test_ok(brood_event_set(args.done));
    brood_test_ok(brood_manager_free(m));
}
END_TEST

/* --------------------------------------------------------------------------------------------------- types of one's own */

struct counter {
    int64_t count;
};

static int counter_create(void **state, const brood_variant *args)
{
    struct counter *c = calloc(1, sizeof *c);
    if (!c) return BROOD_ENOMEM;
    if (brood_variant_size(args) && brood_variant_get_int(brood_variant_at(args, 0), &c->count) < 0) {
        free(c);
        return BROOD_EINVAL;
    }
    *state = c;
    return 0;
}

static int counter_add(void *state, const brood_variant *args, brood_variant *result)
{
    struct counter *c = state;
    for (size_t i = 0; i < brood_variant_size(args); i++) {
        int64_t n;
        if (brood_variant_get_int(brood_variant_at(args, i), &n) < 0) {
            brood_fail(7, "argument %zu is no integer", i);
            return 0;
        }
        c->count += n;
    }
    *result = brood_v(c->count);
    return 0;
}

static int counter_refuse(void *state, const brood_variant *args, brood_variant *result)
{
    (void)state;
    (void)args;
    *result = brood_v("dropped");
    return BROOD_EPERM;
}

static const brood_manager_method counter_methods[] = {{"add", counter_add}, {"refuse", counter_refuse}};
static const brood_manager_type counter_type = {
    .name = "Counter", .create = counter_create, .destroy = free, .methods = counter_methods, .method_count = 2};

static BROOD_TASK(register_counter, void, void)
{
    if (brood_manager_register(&counter_type) < 0 || brood_manager_register(&counter_type) != BROOD_EINVAL)
        brood_fail(1, "no counter");
}

static BROOD_TASK(fails, void, void)
{
    brood_fail(1, "this is said by a test");
}

START_TEST(a_type_of_ones_own)
{
    brood_manager m;
    brood_proxy p;
    brood_variant out, many = brood_variant_nil();
    brood_test_ok(brood_manager_new(
        &m, &(brood_manager_options){.method = members_methods[_i], .initializer = BROOD_TASK_OF(register_counter)}));
    brood_test_ok(brood_proxy_new(&p, m, "Counter", brood_variant_list(40)));
    SAYS("42", brood_proxy_call(p, "add", brood_variant_list(1, 1), &out, 0));
    SAYS("42", brood_proxy_call(p, "add", NIL, &out, 0));
    ck_assert_int_eq(brood_proxy_call(p, "add", brood_variant_list(1, "x"), &out, 0), BROOD_EFAILED);
    ck_assert_str_eq(brood_error_detail(), "argument 1 is no integer (7)");
    ck_assert_int_eq(brood_proxy_call(p, "refuse", NIL, &out, 0), BROOD_EPERM);
    ck_assert_str_eq(brood_error_detail(), "");
    ck_assert_int_eq(brood_proxy_call(p, "nothing", NIL, &out, 0), BROOD_EINVAL);
    for (int i = 0; i < 100; i++) brood_test_ok(brood_variant_append(&many, brood_v(1)));
    SAYS("143", brood_proxy_call(p, "add", many, &out, 0)); /* 1 was added before the one that is no integer */
    ck_assert_int_eq(brood_proxy_new(&p, m, "Counter", brood_variant_list("x")), BROOD_EINVAL);
    brood_test_ok(brood_manager_free(m));
}
END_TEST

START_TEST(an_initializer_that_fails)
{
    brood_manager m;
    ck_assert_int_eq(brood_manager_new(&m, &(brood_manager_options){.method = members_methods[_i],
                                                                    .initializer = BROOD_TASK_OF(fails)}),
                     BROOD_EINIT);
    ck_assert_str_ne(brood_error_detail(), "");
}
END_TEST

/* --------------------------------------------------------------------------------------------------- near and far */

/* _i: TCP, a path, an abstract name */
START_TEST(by_address_and_key)
{
    static const char key[] = "open sesame";
    char path[64], address[200];
    brood_manager m, far, wrong;
    brood_proxy p;
    brood_variant out;
    snprintf(path, sizeof path, _i == 1 ? "/tmp/brood-test-%d.socket" : "@brood-test-%d", (int)getpid());
    brood_test_ok(brood_manager_new(&m, &(brood_manager_options){.address = _i == 0 ? "127.0.0.1:0" : path,
                                                                 .authkey = key,
                                                                 .authkey_size = sizeof key - 1}));
    brood_test_ok(brood_manager_address(m, address, sizeof address));
    if (_i > 0) ck_assert_str_eq(address, path);
    ck_assert_int_eq(brood_manager_connect(&wrong, address, "sesame", 6, PATIENCE), BROOD_EAUTH);
    brood_test_ok(brood_manager_connect(&far, address, key, sizeof key - 1, PATIENCE));
    brood_test_ok(brood_manager_list(far, &p));
    ck_assert_uint_eq(p.manager, far.id);
    brood_test_ok(brood_list_append(p, brood_v(1)));
    p.manager = m.id; /* the same server */
    SAYS("1", brood_list_get(p, 0, &out));
    brood_test_ok(brood_manager_disconnect(far)); /* it held the list */
    for (int i = 0; i < PATIENCE && brood_list_size(p) >= 0; i++) usleep(1000);
    ck_assert_int_eq(brood_list_size(p), BROOD_ESTALE);
    brood_test_ok(brood_manager_list(far, &p)); /* connects anew */
    brood_test_ok(brood_manager_free(far));
    ck_assert_int_eq(brood_manager_address(far, address, sizeof address), BROOD_ESTALE);
    brood_test_ok(brood_manager_free(m));
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* The server is killed: those who wait, and all others, are told; nothing hangs. */
BROOD_TASK(waits_for_ever, int, brood_proxy, event)
{
    return brood_proxy_wait(event, BROOD_FOREVER) == BROOD_ELOST && brood_proxy_set(event) == BROOD_ELOST ? 0 : 1;
}

START_TEST(the_server_is_killed)
{
    brood_manager m = fresh(_i);
    brood_proxy event;
    brood_process child, all[4];
    brood_manager_stats stats;
    brood_test_ok(brood_manager_event(m, &event));
    int n = brood_process_active_children(all, 4);
    ck_assert_int_eq(n, 1);
    members_start(&child, members_methods[_i], waits_for_ever, &event);
    do brood_test_ok(brood_manager_get_stats(m, &stats));
    while (stats.waiting == 0);
    brood_test_ok(brood_process_kill(all[0]));
    members_end(child, 0);
    ck_assert_int_eq(brood_proxy_set(event), BROOD_ELOST);
    ck_assert_int_eq(brood_proxy_set(event), BROOD_ELOST);
    brood_test_ok(brood_manager_disconnect(m));
    ck_assert_int_eq(brood_proxy_set(event), BROOD_ELOST);
    brood_test_ok(brood_manager_free(m));
}
END_TEST

/* All kinds of calls, until the server has gone; no other error comes. */
BROOD_TASK(works_until_lost, int, struct company, c, int, number)
{
    brood_variant out;
    for (;;) {
        int code = brood_proxy_acquire(c.lock, BROOD_FOREVER);
        if (code == BROOD_EOWNERDEAD) code = 0;
        if (code == 0) code = brood_dict_set(c.dict, brood_v(number), brood_variant_list("some", "text", number));
        if (code == 0) code = brood_proxy_release(c.lock);
        if (code == 0) code = brood_proxy_put(c.queue, brood_v(number), BROOD_FOREVER);
        if (code == 0 && (code = brood_proxy_get(c.queue, &out, BROOD_FOREVER)) == 0) brood_variant_free(&out);
        if (code == 0) code = brood_proxy_wait(c.barrier, BROOD_FOREVER);
        if (code < 0) return code == BROOD_ELOST ? 0 : 1;
    }
}

/* Wherever in its work the server is when it is killed: nobody hangs, and nothing is left.  _i: how far it is. */
START_TEST(the_server_is_killed_at_work)
{
    works_until_lost_args args;
    brood_process children[3], server;
    char path[64];
    brood_manager m;
    brood_manager_stats stats;
    snprintf(path, sizeof path, "/tmp/brood-killed-%d.socket", (int)getpid());
    brood_test_ok(brood_manager_new(&m, &(brood_manager_options){.method = members_methods[_i % 3], .address = path}));
    ck_assert_int_eq(brood_process_active_children(&server, 1), 1);
    brood_test_ok(brood_manager_dict(m, &args.c.dict));
    brood_test_ok(brood_manager_queue(m, &args.c.queue, 2));
    brood_test_ok(brood_manager_lock(m, &args.c.lock));
    brood_test_ok(brood_manager_barrier(m, &args.c.barrier, 2));
    for (args.number = 0; args.number < 3; args.number++)
        members_start(&children[args.number], members_methods[_i % 3], works_until_lost, &args);
    do brood_test_ok(brood_manager_get_stats(m, &stats));
    while (stats.clients < 4 || stats.requests < 50 + 37 * (uint64_t)_i);
    brood_test_ok(brood_process_kill(server));
    for (int i = 0; i < 3; i++) members_end(children[i], 0);
    ck_assert_int_eq(brood_proxy_release(args.c.lock), BROOD_ELOST);
    brood_test_ok(brood_manager_free(m));
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
}
END_TEST

BROOD_TASK(makes_one, int, brood_buffer, shared, brood_event, ready)
{
    brood_manager m;
    MUST(brood_manager_new(&m, NULL) == 0);
    MUST(brood_manager_value(m, (brood_proxy *)brood_buffer_data(shared, NULL), brood_v(5)) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

START_TEST(goes_with_its_owner)
{
    makes_one_args args = {.shared = members_shared(sizeof(brood_proxy))};
    brood_process child;
    brood_variant out;
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], makes_one, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    brood_proxy p = *(brood_proxy *)brood_buffer_data(args.shared, NULL);
    SAYS("5", brood_proxy_load(p, &out));
    ck_assert_int_eq(brood_manager_free((brood_manager){p.manager}), BROOD_EPERM);
    members_kill(child);
    int code = brood_proxy_load(p, &out);
    ck_assert(code == BROOD_ECLOSED || code == BROOD_ESTALE);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ threads */

static brood_proxy common_lock, common_value;

static void *adds(void *unused)
{
    for (int i = 0; i < 50; i++) {
        brood_variant out;
        int64_t n = 0;
        if (brood_proxy_acquire(common_lock, PATIENCE) < 0 || brood_proxy_load(common_value, &out) < 0) return "";
        if (brood_variant_get_int(&out, &n) < 0 || brood_proxy_store(common_value, brood_v(n + 1)) < 0) return "";
        if (brood_proxy_release(common_lock) < 0) return "";
    }
    return unused;
}

/* All threads of a process have one connection; one that waits holds nobody up.  _i: an rlock belongs to a thread. */
START_TEST(threads)
{
    pthread_t all[8];
    brood_variant out;
    brood_manager m = fresh(1);
    brood_test_ok(_i ? brood_manager_rlock(m, &common_lock) : brood_manager_lock(m, &common_lock));
    brood_test_ok(brood_manager_value(m, &common_value, brood_v(0)));
    for (int i = 0; i < 8; i++) ck_assert_int_eq(pthread_create(&all[i], NULL, adds, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(all[i], &result);
        ck_assert_ptr_null(result);
    }
    SAYS("400", brood_proxy_load(common_value, &out));
    brood_test_ok(brood_manager_free(m));
}
END_TEST

START_TEST(what_cannot_be)
{
    brood_manager m = fresh(0), n;
    brood_proxy p, none = {0, 0};
    brood_variant out;
    brood_test_ok(brood_manager_list(m, &p));
    ck_assert_int_eq(brood_list_append(p, brood_v("\xff")), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(p, "append", brood_v(1), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(p, "append", brood_variant_list(1, 2), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(p, NULL, NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(p, "size", NIL, NULL, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_acquire(p, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_list_size(none), BROOD_ESTALE);
    ck_assert_int_eq(brood_manager_lock((brood_manager){12345}, &p), BROOD_ESTALE);
    ck_assert_int_eq(brood_manager_new(&n, &(brood_manager_options){.stall_timeout = -1}), BROOD_EINVAL);
    ck_assert_int_eq(brood_manager_new(&n, &(brood_manager_options){.address = ""}), BROOD_EINVAL);
    ck_assert_int_lt(brood_manager_new(&n, &(brood_manager_options){.address = "/nowhere/at/all"}), 0);
    ck_assert_int_lt(brood_manager_connect(&n, "@brood-nobody", "key", 3, PATIENCE), 0);
    ck_assert_int_eq(brood_manager_connect(&n, "@brood-nobody", "", 0, PATIENCE), BROOD_EINVAL);
    brood_test_ok(brood_manager_list(m, &p));
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_list_get(p, 0, &out), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_manager_new(&n, NULL), BROOD_ENOTMEMBER);
}
END_TEST

static Suite *manager_suite(void)
{
    Suite *suite = suite_create("manager");
    TCase *containers = brood_test_case(suite, "containers");
    tcase_add_loop_test(containers, dict_is_pythons, 0, MEMBERS_METHODS);
    tcase_add_test(containers, list_is_pythons);
    tcase_add_test(containers, the_small_ones);
    tcase_add_test(containers, nested);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, together, 0, 9);
    tcase_add_test(others, a_fork_keeps_no_connection);
    tcase_add_loop_test(others, threads, 0, 2);
    TCase *own = brood_test_case(suite, "own");
    tcase_add_loop_test(own, a_type_of_ones_own, 0, MEMBERS_METHODS);
    tcase_add_loop_test(own, an_initializer_that_fails, 0, MEMBERS_METHODS);
    TCase *ends = brood_test_case(suite, "ends");
    tcase_add_loop_test(ends, by_address_and_key, 0, 3);
    tcase_add_loop_test(ends, the_server_is_killed, 0, MEMBERS_METHODS);
    tcase_add_loop_test(ends, the_server_is_killed_at_work, 0, 12);
    tcase_add_loop_test(ends, goes_with_its_owner, 0, MEMBERS_METHODS);
    tcase_add_test(ends, what_cannot_be);
    return suite;
}

BROOD_TEST_MAIN(manager_suite)
