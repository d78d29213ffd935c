/* SPDX-License-Identifier: MIT */
/*
 * scenes_manager.c - clients of a manager's server, killed inside a call: what they had is back, and the server has what
 * it had before.
 *
 * The server is a process of its own, which is no member and lives from point to point; the rest are its clients: this
 * process and the victims.
 */
#include "arena/member.h"
#include "manager/server.h"
#include "scene.h"

#include <brood/log.h>
#include <brood/manager.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { BACK_MS = 15000 };

static const char key[] = "of the harness";
static char name[64];

/* ----------------------------------------------------------------------------------------------------------- the stage */

static void silence(const brood_log_record *record, void *context)
{
    (void)record;
    (void)context;
}

static _Noreturn void serve(int listener)
{
    static struct server server;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    brood_log_to(silence, NULL);
    server = (struct server){.setup = {.key_size = sizeof key - 1,
                                       .clients = 100,
                                       .message = 1 << 16,
                                       .buffered = 1 << 17,
                                       .waiting = 100,
                                       .objects = 100,
                                       .memory = 1 << 24,
                                       .stall_ms = 30000,
                                       .greet_ms = 10000},
                             .key = (const unsigned char *)key,
                             .listener = listener,
                             .next_id = OBJECT_BIT | 1};
    _exit(brood__manager_serve(&server) < 0);
}

/* It is there, from the first point that needs it to the end of this process. */
static void have_server(void)
{
    struct os_address address, bound;
    int listener = -1;
    if (name[0]) return;
    snprintf(name, sizeof name, "@brood-kill-%d", (int)getpid());
    if (brood__os_address_of_name(&address, name + 1, strlen(name + 1)) < 0 ||
        brood__os_stream_listen(&address, 16, &listener, &bound) < 0) {
        perror("listen");
        exit(EXIT_FAILURE);
    }
    if (fork() == 0) serve(listener);
    brood__os_close(&listener);
}

static brood_manager manager;
static brood_proxy lock, units, queue, dict;
static brood_manager_stats before;

static int load(brood_manager_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    return brood_manager_get_stats(manager, stats);
}

/* The server has seen the ends of all clients but this one. */
static brood_manager_stats alone(void)
{
    brood_manager_stats now;
    int64_t until = now_ms() + BACK_MS;
    while (load(&now) == 0 && now.clients != 1 && now_ms() < until) sched_yield();
    expect_is(now.clients, 1);
    return now;
}

static void lock_is(bool held)
{
    int result = brood_proxy_acquire(lock, BACK_MS);
    expect(result == BROOD_EOWNERDEAD || (!held && result == 0));
    expect_is(brood_proxy_release(lock), 0);
}

static int64_t number(brood_proxy proxy, const char *method)
{
    brood_variant v;
    int64_t n = -1;
    if (brood_proxy_call(proxy, method, brood_variant_nil(), &v, 0) == 0) brood_variant_get_int(&v, &n);
    brood_variant_free(&v);
    return n;
}

static void begin(void)
{
    have_server();
    expect_is(brood_manager_connect(&manager, name, key, sizeof key - 1, BACK_MS), 0);
    expect_is(brood_manager_lock(manager, &lock), 0);
    expect_is(brood_manager_semaphore(manager, &units, 1), 0);
    expect_is(brood_manager_queue(manager, &queue, 0), 0);
    expect_is(brood_manager_dict(manager, &dict), 0);
    expect_is(brood_proxy_put(queue, brood_v("item"), 0), 0);
    expect_is(brood_dict_set(dict, brood_v("key"), brood_v("old")), 0);
    lock_is(false);
    before = alone();
}

/* What the dead one had is back, but for the item if it was taken; whether it was. */
static bool is_back(bool held)
{
    brood_manager_stats now = alone();
    lock_is(held);
    expect_is(number(units, "value"), 1);
    int64_t items = number(queue, "size");
    expect(items == 0 || items == 1);
    if (items == 0) expect_is(brood_proxy_put(queue, brood_v("item"), 0), 0);
    load(&now);
    expect_is(now.objects, before.objects);
    expect_is(now.shares, before.shares);
    expect_is(now.waiting, before.waiting);
    expect_is(now.bytes, before.bytes);
    return items == 0;
}

static void end(void)
{
    brood_proxy all[] = {lock, units, queue, dict};
    for (int i = 0; i < 4; i++) expect_is(brood_proxy_free(all[i]), 0);
    expect_is(brood_manager_free(manager), 0);
}

/* ---------------------------------------------------------------------------------------------------------- the calls */

static int acquire(struct order *order)
{
    (void)order;
    return brood_proxy_acquire(lock, BACK_MS);
}
/* What is done once in a process is done: it is connected; and it holds the lock, and an object of its own. */
static int hold(struct order *order)
{
    brood_proxy list;
    (void)order;
    int result = brood_manager_list(manager, &list);
    return result < 0 ? result : brood_proxy_acquire(lock, BACK_MS);
}

static int set(struct order *order)
{
    (void)order;
    return brood_dict_set(dict, brood_v("key"), brood_v("new"));
}
static int get(struct order *order)
{
    brood_variant v;
    (void)order;
    int result = brood_proxy_get(queue, &v, 0);
    brood_variant_free(&v);
    return result;
}
static int release(struct order *order)
{
    (void)order;
    return brood_proxy_release(lock);
}
static int take_unit(struct order *order)
{
    (void)order;
    return brood_proxy_acquire(units, 0);
}
static int create(struct order *order)
{
    brood_proxy list;
    (void)order;
    return brood_manager_list(manager, &list);
}
static int keep(struct order *order)
{
    (void)order;
    return brood_proxy_hold(queue);
}

/* In the first call of a process, that is while it connects and proves itself. */
static void connects(const struct cut *cut)
{
    struct victim v;
    begin();
    victim_start(&v, NULL, acquire, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (v.ended) expect_is(v.result, 0);
    expect(!is_back(v.ended));
    end();
}

/* In a later one, while it holds the lock. */
static void calls(const struct cut *cut, deed_fn *deed)
{
    brood_variant out;
    const char *text = "";
    struct victim v;
    begin();
    victim_start(&v, hold, deed, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (v.ended) expect_is(v.result, 0);
    bool taken = is_back(deed != release);
    expect(!taken || deed == get);
    expect(taken || deed != get || !v.ended);
    expect_is(brood_dict_get(dict, brood_v("key"), &out), 0);
    if (brood_variant_get_text(&out, &text, NULL) == 0)
        expect(strcmp(text, "new") == 0 ? deed == set : strcmp(text, "old") == 0 && !(deed == set && v.ended));
    brood_variant_free(&out);
    end();
}

static void call_set(const struct cut *cut)
{
    calls(cut, set);
}
static void call_get(const struct cut *cut)
{
    calls(cut, get);
}
static void call_release(const struct cut *cut)
{
    calls(cut, release);
}
static void call_take_unit(const struct cut *cut)
{
    calls(cut, take_unit);
}
static void call_create(const struct cut *cut)
{
    calls(cut, create);
}
static void call_keep(const struct cut *cut)
{
    calls(cut, keep);
}

const struct scene manager_scenes[] = {
    {"manager/connects", connects, 0, 0},
    {"manager/set", call_set, 0, 0},
    {"manager/get", call_get, 0, 0},
    {"manager/release", call_release, 0, 0},
    {"manager/take-unit", call_take_unit, 0, 0},
    {"manager/create", call_create, 0, 0},
    {"manager/hold", call_keep, 0, 0},
    {NULL, NULL, 0, 0},
};
