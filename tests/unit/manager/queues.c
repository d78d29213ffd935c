/* SPDX-License-Identifier: MIT */
/*
 * queues.c - queues of values without a server: they answer as a server's do, wait and are waited for, and lose nothing
 * with who dies.
 */
#include "manager/collection.h"
#include "members.h"
#include "says.h"

#include <brood/buffer.h>
#include <brood/manager.h>
#include <poll.h>

#define NIL brood_variant_nil()

static brood_proxy a_queue(size_t most)
{
    brood_proxy q;
    brood_test_ok(brood_manager_queue(brood_family(), &q, most));
    return q;
}

static brood_proxy a_joinable(void)
{
    brood_proxy q;
    brood_test_ok(brood_manager_joinable_queue(brood_family(), &q, 0));
    return q;
}

START_TEST(what_was_put)
{
    brood_proxy q = a_queue(0);
    brood_variant out = brood_v(7);
    ck_assert_int_eq(brood_proxy_get(q, &out, 0), BROOD_EAGAIN);
    ck_assert_int_eq(out.kind, BROOD_VARIANT_NIL);
    ck_assert_int_eq(brood_proxy_get(q, &out, A_WHILE), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_proxy_get(q, &out, -7), BROOD_EINVAL);
    brood_test_ok(brood_proxy_put(q, brood_v(1), 0));
    brood_test_ok(brood_proxy_put(q, NIL, BROOD_FOREVER));
    brood_test_ok(brood_proxy_put(q, brood_variant_list("two", 2.5, brood_variant_map(1, "x")), A_WHILE));
    brood_test_ok(brood_proxy_put(q, brood_variant_bytes("", 0), 0));
    ck_assert_int_eq(brood_proxy_size(q), 4);
    SAYS("4", brood_proxy_call(q, "qsize", NIL, &out, 0));
    SAYS("false", brood_proxy_call(q, "empty", NIL, &out, 0));
    SAYS("false", brood_proxy_call(q, "full", NIL, &out, 0));
    SAYS("1", brood_proxy_get(q, &out, 0));
    SAYS("null", brood_proxy_get(q, &out, BROOD_FOREVER));
    SAYS("[\"two\", 2.5, {1: \"x\"}]", brood_proxy_get(q, &out, A_WHILE));
    brood_test_ok(brood_proxy_call(q, "get", NIL, NULL, 0)); /* and not looked at */
    SAYS("true", brood_proxy_call(q, "empty", NIL, &out, 0));
    brood_test_ok(brood_proxy_free(q));
    ck_assert_int_eq(brood_proxy_put(q, brood_v(1), 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_get(q, &out, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_size(q), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_hold(q), BROOD_ESTALE);
    ck_assert_int_eq(brood_proxy_free(q), BROOD_ESTALE);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(what_can_not_be)
{
    brood_proxy q = a_queue(0), made;
    brood_manager m;
    brood_variant out;
    brood_test_ok(brood_manager_new(&m, NULL));
    brood_test_ok(brood_manager_dict(m, &made));
    ck_assert_int_eq(brood_proxy_put(q, brood_v(made), 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_put(q, brood_v("\xff"), 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(q, "put", NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(q, "put", brood_variant_list(1, 2), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(q, "get", brood_variant_list(1), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(q, "size", brood_variant_list(1), NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(q, "fly", NIL, NULL, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "a Queue has no method fly");
    ck_assert_int_eq(brood_proxy_task_done(q), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_join(q, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_dict_get(q, brood_v(1), &out), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_size(q), 0);
    ck_assert_int_eq(brood_manager_queue(brood_family(), &made, (size_t)INT32_MAX + 1), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&made, brood_family(), "Queue", brood_variant_list("x")), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&made, brood_family(), "Queue", brood_variant_list(1, 2)), BROOD_EINVAL);
    brood_test_ok(brood_proxy_new(&made, brood_family(), "JoinableQueue", brood_variant_list(-1)));
    ck_assert_int_eq(brood_proxy_task_done(made), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "task_done: more often than items were got");
    brood_test_ok(brood_proxy_join(made, 0));
}
END_TEST

START_TEST(so_many_at_most)
{
    brood_proxy q = a_queue(2);
    brood_variant out;
    for (int i = 0; i < 2; i++) {
        SAYS("false", brood_proxy_call(q, "full", NIL, &out, 0));
        brood_test_ok(brood_proxy_put(q, brood_v(i), 0));
    }
    SAYS("true", brood_proxy_call(q, "full", NIL, &out, 0));
    ck_assert_int_eq(brood_proxy_put(q, brood_v(2), 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_proxy_put(q, brood_v(2), A_WHILE), BROOD_ETIMEDOUT);
    SAYS("0", brood_proxy_get(q, &out, 0));
    brood_test_ok(brood_proxy_put(q, brood_v(2), 0));
    SAYS("1", brood_proxy_get(q, &out, 0));
    SAYS("2", brood_proxy_get(q, &out, 0));
}
END_TEST

/* Short, long, and many of both: what goes in comes out, and the memory comes back. */
START_TEST(of_any_size)
{
    static const size_t sizes[] = {0, 1, 6, 7, 8, 250, 256, 4070, 4080, 4090, 5000, 100000, 3000000};
    enum { SIZES = sizeof sizes / sizeof *sizes, MANY = 5000 };
    size_t before, after;
    brood_proxy q = a_queue(0);
    brood_test_ok(brood_arena_usage(&before, NULL));
    char *bytes = calloc(1, sizes[SIZES - 1]);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < SIZES; i++) {
        memset(bytes, 'a' + (int)i, sizes[i]);
        brood_test_ok(brood_proxy_put(q, brood_variant_bytes(bytes, sizes[i]), 0));
    }
    for (int i = 0; i < MANY; i++) brood_test_ok(brood_proxy_put(q, brood_v(i), 0));
    for (size_t i = 0; i < SIZES; i++) {
        brood_variant out;
        const void *got;
        size_t size;
        brood_test_ok(brood_proxy_get(q, &out, 0));
        brood_test_ok(brood_variant_get_bytes(&out, &got, &size));
        ck_assert_uint_eq(size, sizes[i]);
        memset(bytes, 'a' + (int)i, sizes[i]);
        ck_assert(memcmp(got, bytes, size) == 0);
        brood_variant_free(&out);
    }
    for (int i = 0; i < MANY; i++) {
        brood_variant out;
        int64_t number = -1;
        brood_test_ok(brood_proxy_get(q, &out, 0));
        if (brood_variant_get_int(&out, &number) < 0 || number != i) ck_abort_msg("%d: %d", i, (int)number);
    }
    free(bytes);
    ck_assert_int_eq(brood_proxy_get(q, NULL, A_WHILE), BROOD_ETIMEDOUT); /* before it waits it makes it small again */
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(after, before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(a_full_arena)
{
    brood_buffer buffer;
    static char text[3000];
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_configure(&(brood_family_options){.arena_limit = 3u << 20}), 0);
    brood_test_ok(brood_init(NULL, NULL));
    brood_proxy q = a_queue(0);
    memset(text, 'x', sizeof text - 1);
    while (brood_buffer_new(&buffer, 1, NULL) == 0) {}
    int64_t n = 0;
    int code;
    while ((code = brood_proxy_put(q, brood_v(text), 0)) == 0) n++;
    ck_assert_int_eq(code, BROOD_EARENA);
    ck_assert_int_eq(brood_proxy_size(q), n);
    ck_assert_int_gt(n, 1);
    for (; n > 0; n--) brood_test_ok(brood_proxy_get(q, NULL, 0));
    brood_test_ok(brood_proxy_put(q, brood_v(text), 0));
}
END_TEST

/* The same calls of a server's queue and of one without: the same answers. */
START_TEST(as_a_servers)
{
    brood_manager m;
    brood_proxy server, here;
    brood_variant out, other;
    const char *type = _i % 2 ? "JoinableQueue" : "Queue";
    uint64_t state = 88172645463325252u + (uint64_t)_i;
    int most = _i / 2 % 2 ? 3 : 0, open = 0;
    brood_test_ok(brood_manager_new(&m, NULL));
    brood_test_ok(brood_proxy_new(&server, m, type, brood_variant_list(most)));
    brood_test_ok(brood_proxy_new(&here, brood_family(), type, brood_variant_list(most)));
    for (int i = 0; i < 500; i++) {
        static const char *const plain[] = {"size", "qsize", "empty", "full", "join", "fly", "task_done"};
        uint64_t r = members_random(&state) >> 11;
        brood_variant args = r % 4 == 0 ? brood_variant_list(brood_variant_list(i, "x")) : NIL;
        const char *name = r % 4 == 0 ? "put" : r % 4 < 3 ? "get" : plain[r / 4 % 7];
        /* A server's counts what was put, also what nobody has got yet. */
        if (strcmp(name, "task_done") == 0 && type[0] == 'J' && !open) name = "size";
        int code = brood_proxy_call(server, name, brood_variant_copy(&args), &out, 0);
        ck_assert_int_eq(brood_proxy_call(here, name, args, &other, 0), code);
        if (code == 0) open += strcmp(name, "get") == 0 ? 1 : strcmp(name, "task_done") == 0 ? -1 : 0;
        const char *expected = text_of(&out);
        ck_assert_str_eq(text_of(&other), expected);
    }
    brood_test_ok(brood_manager_free(m));
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- members */

struct two {
    brood_proxy in, out;
};

static BROOD_TASK(adds_one, int, struct two, q)
{
    for (;;) {
        brood_variant v;
        int64_t number;
        MUST(brood_proxy_get(q.in, &v, BROOD_FOREVER) == 0);
        if (v.kind == BROOD_VARIANT_NIL) return 0;
        MUST(brood_variant_get_int(&v, &number) == 0);
        MUST(brood_proxy_put(q.out, brood_v(number + 1), BROOD_FOREVER) == 0);
    }
}

START_TEST(there_and_back)
{
    struct two q = {a_queue(3), a_queue(3)};
    brood_process process;
    members_start(&process, members_methods[_i], adds_one, &q);
    members_asleep(process, q.in.object);
    for (int i = 0; i < 50; i++) {
        brood_variant v;
        int64_t number = 0;
        brood_test_ok(brood_proxy_put(q.in, brood_v(i), PATIENCE));
        brood_test_ok(brood_proxy_get(q.out, &v, PATIENCE));
        brood_test_ok(brood_variant_get_int(&v, &number));
        ck_assert_int_eq(number, i + 1);
    }
    for (int i = 0; i < 6; i++) brood_test_ok(brood_proxy_put(q.in, brood_v(i), PATIENCE));
    members_asleep(process, q.out.object); /* which is full */
    brood_test_ok(brood_proxy_put(q.in, brood_v(7), PATIENCE));
    for (int i = 0; i < 7; i++) brood_test_ok(brood_proxy_get(q.out, NULL, PATIENCE));
    brood_test_ok(brood_proxy_put(q.in, NIL, PATIENCE));
    members_end(process, 0);
}
END_TEST

static BROOD_TASK(works, int, struct two, q)
{
    for (;;) {
        brood_variant v;
        MUST(brood_proxy_get(q.in, &v, BROOD_FOREVER) == 0);
        bool last = v.kind == BROOD_VARIANT_NIL;
        brood_variant_free(&v);
        MUST(brood_proxy_put(q.out, brood_v("done"), 0) == 0);
        MUST(brood_proxy_task_done(q.in) == 0);
        if (last) return 0;
    }
}

START_TEST(joined_when_all_is_done)
{
    struct two q = {a_joinable(), a_queue(0)};
    brood_process process;
    for (int i = 0; i < 50; i++) brood_test_ok(brood_proxy_put(q.in, brood_v(i), 0));
    ck_assert_int_eq(brood_proxy_join(q.in, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_proxy_join(q.in, A_WHILE), BROOD_ETIMEDOUT);
    members_start(&process, members_methods[_i], works, &q);
    brood_test_ok(brood_proxy_join(q.in, PATIENCE));
    ck_assert_int_eq(brood_proxy_size(q.out), 50);
    brood_test_ok(brood_proxy_put(q.in, NIL, 0));
    brood_test_ok(brood_proxy_join(q.in, PATIENCE));
    members_end(process, 0);
}
END_TEST

static BROOD_TASK(takes_and_stays, int, struct two, q)
{
    brood_proxy nobodys;
    MUST(brood_manager_queue(brood_family(), &nobodys, 0) == 0);
    MUST(brood_proxy_get(q.in, NULL, BROOD_FOREVER) == 0);
    MUST(brood_proxy_put(q.out, brood_v("taken"), 0) == 0);
    return brood_proxy_get(nobodys, NULL, BROOD_FOREVER);
}

/* Its own item goes with who was killed, and who joins is told; the others stay. */
START_TEST(killed_over_an_item)
{
    struct two q = {a_joinable(), a_queue(0)};
    brood_process process;
    brood_variant out;
    brood_test_ok(brood_proxy_put(q.in, brood_v(1), 0));
    brood_test_ok(brood_proxy_put(q.in, brood_v(2), 0));
    members_start(&process, members_methods[_i], takes_and_stays, &q);
    brood_test_ok(brood_proxy_get(q.out, NULL, PATIENCE));
    members_kill(process);
    SAYS("2", brood_proxy_get(q.in, &out, 0));
    ck_assert_int_eq(brood_proxy_join(q.in, 0), BROOD_EAGAIN);
    brood_test_ok(brood_proxy_task_done(q.in));
    ck_assert_int_eq(brood_proxy_join(q.in, PATIENCE), BROOD_ELOST);
    SAYS("1", brood_proxy_call(q.in, "lost", NIL, &out, 0));
    brood_test_ok(brood_proxy_join(q.in, PATIENCE));
    SAYS("0", brood_proxy_call(q.in, "lost", NIL, &out, 0));
}
END_TEST

static BROOD_TASK(makes, int, brood_proxy, list)
{
    brood_proxy kept, lost;
    MUST(brood_manager_queue(brood_family(), &kept, 0) == 0);
    MUST(brood_manager_queue(brood_family(), &lost, 0) == 0);
    MUST(brood_proxy_put(kept, brood_v("here"), 0) == 0);
    MUST(brood_proxy_put(kept, brood_v(lost), 0) == 0);
    MUST(brood_proxy_hold(kept) == 0);
    MUST(brood_proxy_hold(kept) == 0);
    MUST(brood_list_append(list, brood_v(kept)) == 0);
    return 0;
}

/* Proxies of queues stand in lists and in queues; what the dead had goes, what is held stays. */
START_TEST(nested_and_held)
{
    brood_proxy list, kept, lost;
    brood_process process;
    brood_variant out;
    int code;
    brood_test_ok(brood_manager_list(brood_family(), &list));
    members_start(&process, members_methods[_i], makes, &list);
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 0);
    members_repaired(HANDLE_INDEX(process.id));
    brood_test_ok(brood_list_get(list, 0, &out));
    brood_test_ok(brood_variant_get_proxy(&out, &kept));
    ck_assert(kept.manager == list.manager);
    SAYS("\"here\"", brood_proxy_get(kept, &out, 0));
    brood_test_ok(brood_proxy_get(kept, &out, 0));
    brood_test_ok(brood_variant_get_proxy(&out, &lost));
    ck_assert_int_eq(brood_proxy_put(lost, brood_v(1), 0), BROOD_ECLOSED);
    ck_assert_int_eq(brood_proxy_get(lost, &out, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_proxy_free(lost), BROOD_ECLOSED);
    brood_test_ok(brood_proxy_put(kept, brood_v(1), 0));
    brood_test_ok(brood_proxy_free(kept));
    ck_assert_int_eq(brood_proxy_size(kept), BROOD_ESTALE);
}
END_TEST

static BROOD_TASK(waits_for_it, int, struct two, q)
{
    brood_variant v;
    int result = brood_proxy_get(q.in, &v, BROOD_FOREVER);
    return result == BROOD_ESTALE ? 0 : 1;
}

START_TEST(freed_while_one_waits)
{
    struct two q = {a_queue(0), a_queue(0)};
    brood_process process;
    members_start(&process, members_methods[_i], waits_for_it, &q);
    members_asleep(process, q.in.object);
    brood_test_ok(brood_proxy_free(q.in));
    members_end(process, 0);
}
END_TEST

/* The object is a brood_queue, of messages that are values. */
START_TEST(is_a_queue)
{
    brood_proxy q = a_queue(0);
    brood_queue same = {q.object};
    brood_variant out;
    char byte = 0;
    void *bytes;
    size_t size;
    struct pollfd bell = {.fd = brood_queue_fd(same), .events = POLLIN};
    ck_assert_int_ge(bell.fd, 0);
    ck_assert_int_eq(poll(&bell, 1, 0), 0);
    brood_test_ok(brood_proxy_put(q, brood_v(1), 0));
    ck_assert_int_eq(poll(&bell, 1, PATIENCE), 1);
    SAYS("1", brood_proxy_get(q, &out, 0));
    ck_assert_int_eq(brood_proxy_get(q, &out, 0), BROOD_EAGAIN);
    ck_assert_int_eq(poll(&bell, 1, 0), 0);
    out = brood_variant_list(1, 2);
    brood_test_ok(brood_variant_encode(&out, &bytes, &size));
    brood_variant_free(&out);
    brood_test_ok(brood_queue_put(same, bytes, size, 0));
    SAYS("[1, 2]", brood_proxy_get(q, &out, 0));
    /* What is no value stays, for who knows what it is. */
    brood_test_ok(brood_queue_put(same, bytes, size - 1, 0));
    brood_test_ok(brood_queue_put(same, NULL, 0, 0));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(brood_proxy_get(q, &out, BROOD_FOREVER), BROOD_ECORRUPT);
        ck_assert_str_eq(brood_error_detail(), "the queue's next message is no value");
        ck_assert_int_eq(brood_proxy_size(q), 2 - i);
        brood_test_ok(brood_queue_get(same, bytes, size, &size, 0));
    }
    ck_assert_uint_eq(size, 0);
    free(bytes);
    brood_test_ok(brood_queue_new(&same, NULL));
    out = brood_variant_handle(same.id);
    brood_test_ok(brood_variant_get_proxy(&out, &q));
    brood_test_ok(brood_proxy_put(q, brood_v(1), 0));
    brood_test_ok(brood_queue_get(same, &byte, 1, &size, 0));
    ck_assert_int_eq(byte, 1);
}
END_TEST

static void *gets_many(void *proxy)
{
    for (int i = 0; i < 500; i++)
        if (brood_proxy_get(*(brood_proxy *)proxy, NULL, PATIENCE) < 0) return proxy;
    return NULL;
}

START_TEST(threads_share_it)
{
    pthread_t threads[3];
    brood_proxy q = a_queue(5);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, gets_many, &q), 0);
    for (int i = 0; i < 1500; i++)
        if (brood_proxy_put(q, brood_variant_list(i, "an item that is longer than a word"), PATIENCE) < 0)
            ck_abort_msg("put %d", i);
    for (int i = 0; i < 3; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(brood_proxy_size(q), 0);
}
END_TEST

static Suite *queues_suite(void)
{
    Suite *suite = suite_create("queues");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, what_was_put);
    tcase_add_test(alone, what_can_not_be);
    tcase_add_test(alone, so_many_at_most);
    tcase_add_test(alone, of_any_size);
    tcase_add_test(alone, a_full_arena);
    tcase_add_loop_test(alone, as_a_servers, 0, 4);
    tcase_add_test(alone, is_a_queue);
    tcase_add_test(alone, threads_share_it);
    TCase *together = brood_test_case(suite, "together");
    tcase_add_loop_test(together, there_and_back, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, joined_when_all_is_done, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, killed_over_an_item, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, nested_and_held, 0, MEMBERS_METHODS);
    tcase_add_loop_test(together, freed_while_one_waits, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(queues_suite)
