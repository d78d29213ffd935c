/* SPDX-License-Identifier: MIT */
/* pool.c - pools in a manager: what Python's manager.Pool and its AsyncResult do, and what deaths do to them. */
#include "call/module.h"
#include "members.h"
#include "says.h"

#include <brood/manager.h>

static brood_manager manager;
static brood_manager_stats before;
static brood_proxy pool;

#define NIL brood_variant_nil()
#define ARGS brood_variant_list

/* A manager with a pool of so many workers; what it had before, is in `before`. */
static void fresh(int method, unsigned workers)
{
    brood_test_ok(brood_manager_new(&manager, &(brood_manager_options){.method = members_methods[method]}));
    brood_test_ok(brood_manager_get_stats(manager, &before));
    brood_test_ok(brood_manager_pool(manager, &pool, workers));
}

/* All of it is given back. */
static void end(void)
{
    brood_manager_stats now;
    brood_test_ok(brood_proxy_free(pool));
    brood_test_ok(brood_manager_get_stats(manager, &now));
    ck_assert_uint_eq(now.shares, before.shares);
    brood_test_ok(brood_manager_disconnect(manager)); /* the room for this process's messages has grown */
    for (int i = 0; i < PATIENCE; i++) {
        brood_test_ok(brood_manager_get_stats(manager, &now));
        if (now.bytes == before.bytes) break;
        usleep(1000);
    }
    ck_assert_uint_eq(now.bytes, before.bytes);
    ck_assert_uint_eq(now.objects, before.objects);
    brood_test_ok(brood_manager_free(manager));
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
}

/* ------------------------------------------------------------------------------------------------------------ tasks */

static int64_t arg(const brood_variant *args, size_t i)
{
    int64_t n = -1000;
    if (brood_variant_size(args) > i) brood_variant_get_int(brood_variant_at(args, i), &n);
    return n;
}

static BROOD_VARIANT_TASK(square, args, result)
{
    *result = brood_v(arg(args, 0) * arg(args, 0));
    return 0;
}

static BROOD_VARIANT_TASK(power, args, result)
{
    int64_t n = 1;
    for (int64_t i = 0; i < arg(args, 1); i++) n *= arg(args, 0);
    *result = brood_v(n);
    return 0;
}

static BROOD_VARIANT_TASK(echo, args, result)
{
    *result = brood_variant_copy(args);
    return 0;
}

static BROOD_VARIANT_TASK(who, args, result)
{
    (void)args;
    *result = brood_v(getpid());
    return 0;
}

/* Of odd numbers nothing comes: by brood_fail, or by its code. */
static BROOD_VARIANT_TASK(halve, args, result)
{
    if (arg(args, 0) % 4 == 1) brood_fail(77, "%d is odd", (int)arg(args, 0));
    if (arg(args, 0) % 4 == 3) return BROOD_EINVAL;
    *result = brood_v(arg(args, 0) / 2);
    return 0;
}

static BROOD_VARIANT_TASK(crash, args, result)
{
    volatile int *nowhere = (volatile int *)(uintptr_t)0x1230;
    if (arg(args, 0) == 13) *nowhere = 1;
    *result = brood_v(arg(args, 0));
    return 0;
}

/* No function over variants. */
static BROOD_TASK(stays_out, int, void)
{
    return 0;
}

/* args: a dict, an event, a key.  Notes that it is there, and waits. */
static BROOD_VARIANT_TASK(note_and_wait, args, result)
{
    brood_proxy dict, event;
    int code = brood_variant_get_proxy(brood_variant_at(args, 0), &dict);
    if (code == 0) code = brood_variant_get_proxy(brood_variant_at(args, 1), &event);
    if (code == 0) code = brood_dict_set(dict, brood_v(arg(args, 2)), brood_v(getpid()));
    if (code == 0) code = brood_proxy_wait(event, PATIENCE);
    *result = brood_v(dict);
    return code;
}

static BROOD_VARIANT_TASK(note_the_first, args, result)
{
    int code = note_and_wait(brood_variant_at(args, 0), result); /* its one argument is a list of them */
    brood_variant_free(result);                                  /* which would bring a hold to who takes it */
    return code;
}

static void ck_noted(brood_proxy dict, int64_t n)
{
    for (int i = 0; i < PATIENCE && brood_dict_size(dict) != n; i++) usleep(1000);
    ck_assert_int_eq(brood_dict_size(dict), n);
}

static brood_variant numbers(int from, int to)
{
    brood_variant list = brood_variant_list_of(NULL, 0);
    for (int i = from; i < to; i++) brood_test_ok(brood_variant_append(&list, brood_v(i)));
    return list;
}

/* --------------------------------------------------------------------------------------------------------- behaviours */

START_TEST(apply_and_map)
{
    brood_variant out;
    fresh(_i, 2);
    SAYS("49", brood_proxy_apply(pool, square, ARGS(7), &out, PATIENCE));
    SAYS("[1, \"a\", {\"b\": null}]",
         brood_proxy_apply(pool, echo, ARGS(1, "a", brood_variant_map("b", NIL)), &out, PATIENCE));
    SAYS("[]", brood_proxy_apply(pool, echo, NIL, &out, PATIENCE));
    brood_test_ok(brood_proxy_apply(pool, square, ARGS(7), NULL, BROOD_FOREVER));
    SAYS("[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]", brood_proxy_map(pool, square, numbers(0, 10), &out, PATIENCE));
    SAYS("[[\"x\"], [[1, 2]]]", brood_proxy_map(pool, echo, ARGS("x", ARGS(1, 2)), &out, PATIENCE));
    SAYS("[]", brood_proxy_map(pool, square, brood_variant_list_of(NULL, 0), &out, PATIENCE));
    SAYS("[8, 9, 1]", brood_proxy_starmap(pool, power, ARGS(ARGS(2, 3), ARGS(3, 2), ARGS(5, 0)), &out, PATIENCE));
    ck_assert_int_eq(brood_proxy_starmap(pool, power, ARGS(ARGS(2, 3), 3), &out, PATIENCE), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "item 1 is no list of arguments");
    brood_test_ok(brood_proxy_map(pool, square, numbers(0, 1000), &out, PATIENCE));
    ck_assert_uint_eq(brood_variant_size(&out), 1000);
    for (int i = 0; i < 1000; i++) {
        int64_t n;
        brood_test_ok(brood_variant_get_int(brood_variant_at(&out, (size_t)i), &n));
        ck_assert_int_eq(n, i * i);
    }
    brood_variant_free(&out);
    end();
}
END_TEST

START_TEST(answers_later)
{
    brood_proxy answer, dict, event, same;
    brood_variant out;
    fresh(_i, 2);
    brood_test_ok(brood_manager_dict(manager, &dict));
    brood_test_ok(brood_manager_event(manager, &event));
    brood_test_ok(brood_proxy_apply_async(pool, &answer, note_and_wait, ARGS(dict, event, 1)));
    ck_noted(dict, 1);
    ck_assert_int_eq(brood_proxy_ready(answer), 0);
    ck_assert_int_eq(brood_proxy_successful(answer), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_get(answer, &out, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_proxy_get(answer, &out, A_WHILE), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_proxy_wait(answer, A_WHILE), BROOD_ETIMEDOUT);
    SAYS("9", brood_proxy_apply(pool, square, ARGS(3), &out, PATIENCE)); /* meanwhile */
    brood_test_ok(brood_proxy_set(event));
    brood_test_ok(brood_proxy_wait(answer, PATIENCE));
    ck_assert_int_eq(brood_proxy_ready(answer), 1);
    ck_assert_int_eq(brood_proxy_successful(answer), 1);
    for (int i = 0; i < 2; i++) { /* as often as one likes */
        brood_test_ok(brood_proxy_get(answer, &out, 0));
        brood_test_ok(brood_variant_get_proxy(&out, &same));
        ck_assert(same.object == dict.object && same.manager == dict.manager);
    }
    brood_test_ok(brood_proxy_free(answer));
    brood_test_ok(brood_proxy_map_async(pool, &answer, square, numbers(1, 4)));
    SAYS("[1, 4, 9]", brood_proxy_get(answer, &out, PATIENCE));
    brood_test_ok(brood_proxy_free(answer));
    brood_test_ok(brood_proxy_starmap_async(pool, &answer, power, ARGS(ARGS(2, 5))));
    SAYS("[32]", brood_proxy_get(answer, &out, PATIENCE));
    brood_test_ok(brood_proxy_free(answer));
    brood_test_ok(brood_proxy_free(dict));
    brood_test_ok(brood_proxy_free(event));
    end();
}
END_TEST

START_TEST(one_by_one)
{
    brood_proxy iterator;
    brood_variant out;
    int64_t n, sum = 0;
    fresh(_i, 2);
    brood_test_ok(brood_proxy_imap(pool, &iterator, square, numbers(0, 600)));
    for (int i = 0; i < 600; i++) {
        ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
        brood_test_ok(brood_variant_get_int(&out, &n));
        ck_assert_int_eq(n, i * i);
    }
    ck_assert_int_eq(brood_proxy_next(iterator, &out, 0), 0);
    ck_assert_int_eq(brood_proxy_next(iterator, NULL, PATIENCE), 0);
    brood_test_ok(brood_proxy_free(iterator));
    brood_test_ok(brood_proxy_imap_unordered(pool, &iterator, square, numbers(0, 600)));
    for (int i = 0; i < 600; i++) {
        ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
        brood_test_ok(brood_variant_get_int(&out, &n));
        sum += n;
    }
    ck_assert_int_eq(sum, 599 * 600 * 1199 / 6);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, 0), 0);
    brood_test_ok(brood_proxy_free(iterator));
    brood_test_ok(brood_proxy_imap(pool, &iterator, halve, numbers(0, 4))); /* what fails is told in its turn */
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), BROOD_EFAILED);
    ck_assert_str_eq(brood_error_detail(), "1 is odd (77)");
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), BROOD_EFAILED);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 0);
    brood_test_ok(brood_proxy_free(iterator));
    end();
}
END_TEST

/* Of what nobody takes so much is made, and no more; and that holds no other job up. */
START_TEST(not_far_ahead)
{
    enum { AHEAD = 256 };
    brood_proxy iterator, dict, event;
    brood_variant out, items = brood_variant_list_of(NULL, 0);
    fresh(1, 2);
    brood_test_ok(brood_manager_dict(manager, &dict));
    brood_test_ok(brood_manager_event(manager, &event));
    brood_test_ok(brood_proxy_set(event));
    for (int i = 0; i < 2 * AHEAD; i++) brood_test_ok(brood_variant_append(&items, ARGS(dict, event, i)));
    brood_test_ok(brood_proxy_imap(pool, &iterator, note_the_first, items));
    ck_noted(dict, AHEAD);
    for (int i = 0; i < 20; i++) SAYS("9", brood_proxy_apply(pool, square, ARGS(3), &out, PATIENCE));
    ck_assert_int_eq(brood_dict_size(dict), AHEAD);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
    ck_noted(dict, AHEAD + 1);
    for (int i = 1; i < 2 * AHEAD; i++) ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 1);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 0);
    brood_test_ok(brood_proxy_free(iterator));
    brood_test_ok(brood_proxy_free(dict));
    brood_test_ok(brood_proxy_free(event));
    end();
}
END_TEST

START_TEST(what_fails)
{
    brood_variant out;
    brood_proxy answer;
    fresh(_i, 2);
    ck_assert_int_eq(brood_proxy_apply(pool, halve, ARGS(5), &out, PATIENCE), BROOD_EFAILED);
    ck_assert_str_eq(brood_error_detail(), "5 is odd (77)");
    ck_assert_int_eq(out.kind, BROOD_VARIANT_NIL);
    ck_assert_int_eq(brood_proxy_map(pool, halve, numbers(0, 100), &out, PATIENCE), BROOD_EFAILED);
    ck_assert_str_eq(brood_error_detail(), "1 is odd (77)"); /* the first in order */
    ck_assert_int_eq(brood_proxy_apply(pool, crash, ARGS(13), &out, PATIENCE), BROOD_ELOST);
    const char *why = brood_error_detail();
    ck_assert_msg(strstr(why, "task crash, worker manager-"), "%s", why);
    ck_assert_msg(strstr(why, "signal 11"), "%s", why);
    ck_assert_msg(strstr(why, "address 0x1230"), "%s", why);
    brood_test_ok(brood_proxy_map_async(pool, &answer, crash, numbers(0, 30)));
    ck_assert_int_eq(brood_proxy_get(answer, &out, PATIENCE), BROOD_ELOST);
    ck_assert_int_eq(brood_proxy_successful(answer), 0);
    brood_test_ok(brood_proxy_free(answer));
    SAYS("[12, 14]", brood_proxy_map(pool, crash, ARGS(12, 14), &out, PATIENCE));
    end();
}
END_TEST

START_TEST(close_and_join)
{
    brood_proxy answer, dict, event;
    brood_variant out;
    fresh(_i, 1);
    brood_test_ok(brood_manager_dict(manager, &dict));
    brood_test_ok(brood_manager_event(manager, &event));
    ck_assert_int_eq(brood_proxy_join(pool, PATIENCE), BROOD_EINVAL);
    brood_test_ok(brood_proxy_apply_async(pool, &answer, note_and_wait, ARGS(dict, event, 1)));
    ck_noted(dict, 1);
    brood_test_ok(brood_proxy_close(pool));
    ck_assert_int_eq(brood_proxy_apply(pool, square, ARGS(1), &out, PATIENCE), BROOD_ECLOSED);
    ck_assert_int_eq(brood_proxy_join(pool, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_proxy_join(pool, A_WHILE), BROOD_ETIMEDOUT);
    brood_test_ok(brood_proxy_set(event));
    brood_test_ok(brood_proxy_join(pool, PATIENCE));
    ck_assert_int_eq(brood_proxy_successful(answer), 1);
    brood_test_ok(brood_proxy_close(pool));
    brood_test_ok(brood_proxy_terminate(pool));
    brood_test_ok(brood_proxy_join(pool, PATIENCE));
    brood_test_ok(brood_proxy_free(answer));
    brood_test_ok(brood_proxy_free(dict));
    brood_test_ok(brood_proxy_free(event));
    end();
}
END_TEST

START_TEST(terminate)
{
    brood_proxy running, queued, iterator, dict, event;
    brood_variant out;
    fresh(_i, 1);
    brood_test_ok(brood_manager_dict(manager, &dict));
    brood_test_ok(brood_manager_event(manager, &event));
    brood_test_ok(brood_proxy_apply_async(pool, &running, note_and_wait, ARGS(dict, event, 1)));
    ck_noted(dict, 1);
    brood_test_ok(brood_proxy_map_async(pool, &queued, square, numbers(0, 100)));
    brood_test_ok(brood_proxy_imap(pool, &iterator, square, numbers(0, 1000)));
    brood_test_ok(brood_proxy_terminate(pool));
    ck_assert_int_eq(brood_proxy_get(running, &out, PATIENCE), BROOD_ECANCELED);
    ck_assert_int_eq(brood_proxy_get(queued, &out, PATIENCE), BROOD_ECANCELED);
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), BROOD_ECANCELED);
    ck_assert_int_eq(brood_proxy_next(iterator, &out, PATIENCE), 0);
    brood_test_ok(brood_proxy_join(pool, PATIENCE));
    brood_proxy all[] = {running, queued, iterator, dict, event};
    for (int i = 0; i < 5; i++) brood_test_ok(brood_proxy_free(all[i]));
    end();
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- of clients */

BROOD_TASK(asks_and_waits, int, brood_proxy, of, brood_proxy, dict, brood_proxy, event, int, how)
{
    brood_proxy answer;
    brood_variant many = brood_variant_list_of(NULL, 0);
    for (int i = 0; i < 1000; i++) MUST(brood_variant_append(&many, ARGS(dict, event, 1)) == 0);
    if (how == 0) brood_proxy_starmap(of, note_and_wait, many, NULL, BROOD_FOREVER);
    if (how == 1) MUST(brood_proxy_starmap_async(of, &answer, note_and_wait, many) == 0);
    if (how == 2) MUST(brood_proxy_imap(of, &answer, square, many) == 0);
    for (;;) pause();
}

/* A client that dies with its calls unfinished costs the others nothing.  _i: method, and in thirds how it asks. */
START_TEST(a_client_dies)
{
    asks_and_waits_args args = {.how = _i / 3};
    brood_process client;
    brood_variant out;
    fresh(_i % 3, 2);
    brood_test_ok(brood_manager_dict(manager, &args.dict));
    brood_test_ok(brood_manager_event(manager, &args.event));
    args.of = pool;
    members_start(&client, members_methods[_i % 3], asks_and_waits, &args);
    if (args.how < 2) ck_noted(args.dict, 1); /* all of them note the same key */
    members_kill(client);
    brood_test_ok(brood_proxy_set(args.event)); /* the two that it had running are let go */
    SAYS("[1, 4]", brood_proxy_map(pool, square, ARGS(1, 2), &out, PATIENCE));
    brood_test_ok(brood_proxy_free(args.dict));
    brood_test_ok(brood_proxy_free(args.event));
    end();
}
END_TEST

/* While all workers are in a task that waits, the server serves, and takes jobs; jobs take turns. */
START_TEST(nobody_is_held_up)
{
    brood_proxy answer, large, dict, event;
    brood_variant out;
    fresh(_i, 1);
    brood_test_ok(brood_manager_dict(manager, &dict));
    brood_test_ok(brood_manager_event(manager, &event));
    brood_test_ok(brood_proxy_apply_async(pool, &answer, note_and_wait, ARGS(dict, event, 1)));
    ck_noted(dict, 1);
    brood_test_ok(brood_proxy_map_async(pool, &large, square, numbers(0, 20000)));
    ck_assert_int_eq(brood_proxy_apply(pool, square, ARGS(3), &out, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_proxy_apply(pool, square, ARGS(3), &out, A_WHILE), BROOD_ETIMEDOUT);
    brood_test_ok(brood_proxy_set(event));
    SAYS("9", brood_proxy_apply(pool, square, ARGS(3), &out, PATIENCE));
    brood_test_ok(brood_proxy_free(large)); /* what has not begun never will */
    SAYS("16", brood_proxy_apply(pool, square, ARGS(4), &out, PATIENCE));
    brood_test_ok(brood_proxy_free(answer));
    brood_test_ok(brood_proxy_free(dict));
    brood_test_ok(brood_proxy_free(event));
    end();
}
END_TEST

/* Whether it runs no more; who has to reap it, is another matter. */
static bool has_ended(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *name_end = strrchr(text, ')');
    return n <= 0 || !name_end || name_end[2] == 'Z';
}

/* The server is killed: who waits is told, and the workers go with it. */
BROOD_TASK(waits_for_it, int, brood_proxy, of, brood_proxy, dict, brood_proxy, event)
{
    return brood_proxy_apply(of, note_and_wait, ARGS(dict, event, 1), NULL, BROOD_FOREVER) == BROOD_ELOST ? 0 : 1;
}

START_TEST(the_server_dies)
{
    waits_for_it_args args;
    brood_process child, all[4];
    brood_variant out;
    int64_t worker = 0;
    fresh(_i, 1);
    ck_assert_int_eq(brood_process_active_children(all, 4), 1);
    brood_test_ok(brood_manager_dict(manager, &args.dict));
    brood_test_ok(brood_manager_event(manager, &args.event));
    args.of = pool;
    members_start(&child, members_methods[_i], waits_for_it, &args);
    ck_noted(args.dict, 1);
    brood_test_ok(brood_dict_get(args.dict, brood_v(1), &out));
    brood_test_ok(brood_variant_get_int(&out, &worker));
    brood_test_ok(brood_process_kill(all[0]));
    members_end(child, 0);
    for (int i = 0; i < PATIENCE && !has_ended((pid_t)worker); i++) usleep(1000);
    ck_assert(has_ended((pid_t)worker));
    brood_test_ok(brood_manager_free(manager));
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- near and far */

static BROOD_TASK(registers, void, void)
{
    if (brood_manager_register_task(BROOD_TASK_OF(square)) < 0 ||
        brood_manager_register_task(BROOD_TASK_OF(square)) != BROOD_EINVAL ||
        brood_manager_register_task(BROOD_TASK_OF(stays_out)) != BROOD_ETASK)
        brood_fail(1, "not as it should");
}

/* By name: as managers of other families do, which know no place in this program. */
START_TEST(from_afar)
{
    static const char key[] = "open sesame";
    brood_manager m, far;
    brood_variant out;
    char address[200];
    brood_test_ok(brood_manager_new(&m, &(brood_manager_options){.address = "127.0.0.1:0",
                                                                 .authkey = key,
                                                                 .authkey_size = sizeof key - 1,
                                                                 .max_workers = 3,
                                                                 .method = members_methods[_i],
                                                                 .initializer = BROOD_TASK_OF(registers)}));
    brood_test_ok(brood_manager_address(m, address, sizeof address));
    brood_test_ok(brood_manager_connect(&far, address, key, sizeof key - 1, PATIENCE));
    brood_test_ok(brood_manager_pool(far, &pool, 2));
    SAYS("81", brood_proxy_apply(pool, square, ARGS(9), &out, PATIENCE));
    SAYS("81", brood_proxy_call(pool, "apply", ARGS("square", ARGS(9)), &out, PATIENCE));
    ck_assert_int_eq(brood_proxy_apply(pool, power, ARGS(9, 1), &out, PATIENCE), BROOD_ETASK);
    ck_assert_str_eq(brood_error_detail(), "this manager has no task power");
    ck_assert_int_eq(brood_manager_pool(far, &pool, 2), BROOD_ENOMEM);
    pool.manager = m.id; /* the same, and its own family's place of the function will do */
    SAYS("9", brood_proxy_apply(pool, power, ARGS(9, 1), &out, PATIENCE));
    brood_test_ok(brood_manager_free(m));
}
END_TEST

START_TEST(what_cannot_be)
{
    brood_variant out;
    brood_proxy other, list;
    fresh(0, 1);
    ck_assert_int_eq(brood_proxy_apply(pool, stays_out, NIL, &out, PATIENCE), BROOD_ETASK);
    ck_assert_int_eq(brood_proxy_apply_task(pool, NULL, NIL, &out, PATIENCE), BROOD_ETASK);
    ck_assert_int_eq(brood_proxy_apply(pool, square, brood_v(3), &out, PATIENCE), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_map(pool, square, brood_variant_text("\xff"), &out, PATIENCE), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_call(pool, "apply", ARGS(NIL, NIL), &out, PATIENCE), BROOD_ETASK);
    ck_assert_int_lt(brood_proxy_call(pool, "apply", ARGS(12345, ARGS(1)), &out, PATIENCE), 0);
    ck_assert_int_lt(brood_proxy_call(pool, "apply", ARGS(UINT64_MAX, ARGS(1)), &out, PATIENCE), 0);
    function_ref ref; /* a task, but not over variants */
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(stays_out), &ref));
    ck_assert_int_eq(brood_proxy_call(pool, "apply", ARGS(ref, ARGS(1)), &out, PATIENCE), BROOD_ETASK);
    ck_assert_int_eq(brood_proxy_call(pool, "apply", ARGS("square"), &out, PATIENCE), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&other, manager, "AsyncResult", NIL), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&other, manager, "Pool", ARGS(-1)), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&other, manager, "Pool", ARGS(5000)), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_new(&other, manager, "Pool", ARGS("x")), BROOD_EINVAL);
    brood_test_ok(brood_manager_list(manager, &list));
    ck_assert_int_eq(brood_proxy_apply(list, square, ARGS(1), &out, PATIENCE), BROOD_EINVAL);
    ck_assert_int_eq(brood_proxy_ready(list), BROOD_EINVAL);
    ck_assert_int_lt(brood_manager_pool(brood_family(), &other, 1), 0);
    brood_test_ok(brood_proxy_free(list));
    brood_test_ok(brood_proxy_new(&other, manager, "Pool", ARGS(1, 1))); /* each worker for one task */
    brood_test_ok(brood_proxy_map(other, who, numbers(0, 3), &out, PATIENCE));
    ck_assert_int_ne(brood_variant_compare(brood_variant_at(&out, 0), brood_variant_at(&out, 1)), 0);
    brood_variant_free(&out);
    brood_test_ok(brood_proxy_free(other));
    end();
}
END_TEST

static Suite *pool_suite(void)
{
    Suite *suite = suite_create("manager pool");
    TCase *work = brood_test_case(suite, "work");
    tcase_add_loop_test(work, apply_and_map, 0, MEMBERS_METHODS);
    tcase_add_loop_test(work, answers_later, 0, MEMBERS_METHODS);
    tcase_add_loop_test(work, one_by_one, 0, MEMBERS_METHODS);
    tcase_add_test(work, not_far_ahead);
    tcase_add_loop_test(work, what_fails, 0, MEMBERS_METHODS);
    tcase_add_loop_test(work, nobody_is_held_up, 0, MEMBERS_METHODS);
    tcase_add_loop_test(work, from_afar, 0, MEMBERS_METHODS);
    tcase_add_test(work, what_cannot_be);
    TCase *ends = brood_test_case(suite, "ends");
    tcase_add_loop_test(ends, close_and_join, 0, MEMBERS_METHODS);
    tcase_add_loop_test(ends, terminate, 0, MEMBERS_METHODS);
    tcase_add_loop_test(ends, a_client_dies, 0, 9);
    tcase_add_loop_test(ends, the_server_dies, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(pool_suite)
