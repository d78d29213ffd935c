/* SPDX-License-Identifier: MIT */
/* manager.c - calls of a manager's objects: one after the other by one process, and by four at once. */
#include "crew.h"
#include "harness.h"
#include "peer.h"

#include <brood.h>
#include <string.h>

struct thing {
    const char *type;
    unsigned processes;
    bool arena; /* without a server */
};

struct work {
    brood_proxy proxy;
    const char *type;
    unsigned processes;
};

static void check(int result, const char *what)
{
    if (result < 0) crew_fail(what, result);
}

/* Set and get of a key, put and get of an item, acquire and release: two calls each. */
static void pair(const struct work *w, uint64_t i, unsigned index)
{
    brood_variant v = brood_variant_nil();
    if (strcmp(w->type, "dict") == 0) {
        check(brood_dict_set(w->proxy, brood_v(index), brood_v(i)), "set");
        check(brood_dict_get(w->proxy, brood_v(index), &v), "get");
    } else if (strcmp(w->type, "queue") == 0) {
        check(brood_proxy_put(w->proxy, brood_v(i), BROOD_FOREVER), "put");
        check(brood_proxy_get(w->proxy, &v, BROOD_FOREVER), "get");
    } else {
        check(brood_proxy_acquire(w->proxy, BROOD_FOREVER), "acquire");
        check(brood_proxy_release(w->proxy), "release");
    }
    brood_variant_free(&v);
}

static uint64_t role(void *context, unsigned index, uint64_t n)
{
    const struct work *w = context;
    for (uint64_t i = 0; i < n / w->processes; i++) pair(w, i, index);
    return 0;
}

static double brood_calls(void *context, uint64_t n)
{
    const struct thing *t = context;
    struct work w = {.type = t->type, .processes = t->processes};
    static brood_manager manager;
    int error = manager.id || t->arena ? 0 : brood_manager_new(&manager, NULL);
    if (t->arena)
        error = brood_manager_dict(brood_family(), &w.proxy);
    else if (error == 0)
        error = strcmp(t->type, "dict") == 0    ? brood_manager_dict(manager, &w.proxy)
                : strcmp(t->type, "queue") == 0 ? brood_manager_queue(manager, &w.proxy, 0)
                                                : brood_manager_lock(manager, &w.proxy);
    if (error < 0) return bench_complain("manager", brood_strerror(error));
    double seconds;
    if (t->processes == 1) {
        double start = bench_now();
        role(&w, 0, n);
        seconds = bench_now() - start;
    } else {
        seconds = crew_by_brood(t->processes, role, &w, n);
    }
    brood_proxy_free(w.proxy);
    return seconds;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("manager", argc, argv);
    struct peer python = {.arguments = {"python_manager.py"}};
    struct peer redis = {.arguments = {"redis_manager.py"}};
    struct thing dict = {"dict", 1, false}, queue = {"queue", 1, false}, lock = {"lock", 1, false};
    struct thing dict_4 = {"dict", 4, false}, here = {"dict", 1, true}, here_4 = {"dict", 4, true};

    BENCH_ASK("set and get of a key", "us", {"brood", brood_calls, &dict, 1},
              {"brood, no server", brood_calls, &here, 1}, {"cpython", PEER(python, "dict 1"), 1},
              {"redis", PEER(redis, "dict 1"), 1});
    BENCH_ASK("set and get of a key, 4 processes", "op/s", {"brood", brood_calls, &dict_4, 4},
              {"brood, no server", brood_calls, &here_4, 4}, {"cpython", PEER(python, "dict 4"), 4},
              {"redis", PEER(redis, "dict 4"), 4});
    BENCH_ASK("put and get of an item", "us", {"brood", brood_calls, &queue, 1},
              {"cpython", PEER(python, "queue 1"), 1}, {"redis", PEER(redis, "queue 1"), 1});
    BENCH_ASK("acquire and release of a lock", "us", {"brood", brood_calls, &lock, 1},
              {"cpython", PEER(python, "lock 1"), 1});
    peer_close(&python);
    peer_close(&redis);
    brood_fini();
    return 0;
}
