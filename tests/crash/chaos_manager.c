/* SPDX-License-Identifier: MIT */
/*
 * chaos_manager.c - clients of a manager's server that are killed, and at times the server: chaos_manager [--seconds N]
 * [--seed N]
 *
 * Six processes use a lock, a semaphore, a dict, a queue and a pool of one server, over and over; one of them is killed
 * every few milliseconds and another begins in its place; one time in forty it is the server, and there is another with
 * other objects.  What must hold:
 *   - no call takes long: a lock that a dead client held is told to the next (BROOD_EOWNERDEAD), units come back;
 *   - what the lock guards is changed by one at a time; what the dict has of a client is what that has set last;
 *   - whoever calls a server that is dead is told so (BROOD_ELOST), and nothing else ever fails;
 *   - when the clients are gone the server has what it had before they came.
 */
#include "chance.h"

#include <brood.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 6, LONG_MS = 20000, SERVER_EVERY = 40, GONE = 3, WRONG };

/* In a buffer of the first member's; the counters of a client are written by it alone. */
struct stage {
    _Atomic uint32_t stop;
    _Atomic uint64_t guarded[2];                    /* equal, but while the lock is held */
    _Atomic uint64_t begun[CLIENTS], told[CLIENTS]; /* the last value whose set was begun; that was answered */
    _Atomic uint64_t rounds, heirs;
};
struct company {
    brood_proxy lock, units, dict, items, pool;
    brood_buffer stage;
    uint32_t index; /* which client: its place in the dict */
};

static unsigned failures;

BROOD_VARIANT_TASK(twice, args, result)
{
    int64_t n = 0;
    int error = brood_variant_get_int(brood_variant_at(args, 0), &n);
    *result = brood_v(2 * n);
    return error;
}

/* ----------------------------------------------------------------------------------------------------- the clients */

/* Says so; answers what ends the client. */
static int wrong(const char *format, int64_t a, int64_t b) __attribute__((format(printf, 1, 0)));
static int wrong(const char *format, int64_t a, int64_t b)
{
    printf("  ");
    printf(format, (long long)a, (long long)b);
    printf("\n");
    return WRONG;
}

static int guard(const struct company *c, struct stage *stage)
{
    int error = brood_proxy_acquire(c->lock, LONG_MS);
    if (error < 0 && error != BROOD_EOWNERDEAD) return error;
    uint64_t n = atomic_load(&stage->guarded[0]);
    if (error == BROOD_EOWNERDEAD)
        atomic_fetch_add(&stage->heirs, 1u);
    else if (atomic_load(&stage->guarded[1]) != n)
        return wrong("two are in the lock, or a death in it was not told: %lld, %lld", (long long)n,
                     (long long)atomic_load(&stage->guarded[1]));
    atomic_store(&stage->guarded[0], n + 1);
    atomic_store(&stage->guarded[1], n + 1);
    return brood_proxy_release(c->lock);
}

static int remember(const struct company *c, struct stage *stage)
{
    brood_variant value = brood_variant_nil();
    int64_t n = 0;
    uint64_t next = atomic_load(&stage->begun[c->index]) + 1;
    int error = brood_dict_get(c->dict, brood_v(c->index), &value);
    if (error < 0) return error;
    error = brood_variant_get_int(&value, &n);
    brood_variant_free(&value);
    if (error < 0 || (uint64_t)n < atomic_load(&stage->told[c->index]) || (uint64_t)n >= next)
        return wrong("the dict has %lld, and %lld were set", n, (long long)next - 1);
    atomic_store(&stage->begun[c->index], next);
    error = brood_dict_set(c->dict, brood_v(c->index), brood_v(next));
    if (error == 0) atomic_store(&stage->told[c->index], next);
    return error;
}

static int pass_on(const struct company *c)
{
    brood_variant item = brood_variant_nil();
    int error = brood_proxy_acquire(c->units, LONG_MS);
    if (error == 0) error = brood_proxy_put(c->items, brood_v(c->index), LONG_MS);
    if (error == 0) error = brood_proxy_get(c->items, &item, 0);
    if (error == BROOD_EAGAIN) error = 0; /* another was quicker */
    brood_variant_free(&item);
    return error == 0 ? brood_proxy_release(c->units) : error;
}

static int have_done(const struct company *c, uint64_t n)
{
    brood_variant result = brood_variant_nil();
    int64_t doubled = 0;
    int error = brood_proxy_apply(c->pool, twice, brood_variant_list(brood_v(n)), &result, LONG_MS);
    if (error == 0) error = brood_variant_get_int(&result, &doubled);
    brood_variant_free(&result);
    return error == 0 && doubled != (int64_t)(2 * n) ? wrong("twice %lld is %lld", (long long)n, doubled) : error;
}

BROOD_TASK(be_client, int, struct company, company)
{
    struct stage *stage = brood_buffer_data(company.stage, NULL);
    int error = 0;
    for (uint64_t n = 0; error == 0 && !atomic_load(&stage->stop); n++) {
        error = guard(&company, stage);
        if (error == 0) error = remember(&company, stage);
        if (error == 0) error = pass_on(&company);
        if (error == 0 && n % 4 == 0) error = have_done(&company, n);
        atomic_fetch_add(&stage->rounds, 1u);
    }
    if (error < 0 && error != BROOD_ELOST)
        printf("  a client: %s: %s\n", brood_error_name(error), brood_error_detail());
    return error == 0 ? 0 : error == BROOD_ELOST ? GONE : WRONG;
}

/* ----------------------------------------------------------------------------------------------- the first member */

static const brood_start_method methods[] = {BROOD_START_FORK, BROOD_START_FORKSERVER, BROOD_START_SPAWN};
static brood_manager manager;
static brood_process server, clients[CLIENTS];
static brood_manager_stats before;
static struct company company;
static struct stage *stage;

static void must(int error, const char *what)
{
    if (error >= 0) return;
    printf("  %s: %s: %s\n", what, brood_error_name(error), brood_error_detail());
    failures++;
}

static void begin_server(unsigned number)
{
    memset(stage, 0, sizeof *stage);
    must(brood_manager_new(&manager, &(brood_manager_options){.method = methods[number % 3]}), "manager");
    if (brood_process_active_children(&server, 1) != 1) failures++;
    must(brood_manager_lock(manager, &company.lock), "lock");
    must(brood_manager_semaphore(manager, &company.units, 2), "semaphore");
    must(brood_manager_dict(manager, &company.dict), "dict");
    must(brood_manager_queue(manager, &company.items, 0), "queue");
    must(brood_manager_pool(manager, &company.pool, 2), "pool");
    for (int i = 0; i < CLIENTS; i++) must(brood_dict_set(company.dict, brood_v(i), brood_v(0)), "set");
    must(brood_manager_get_stats(manager, &before), "stats");
}

static void begin_client(uint32_t i, unsigned number)
{
    company.index = i;
    must(brood_process_start(&clients[i], &(brood_process_options){.method = methods[number % 3]}, be_client, &company),
         "client");
}

/* It ends with this code, in a while. */
static void end_client(uint32_t i, int expected)
{
    int code = -1, error = brood_process_join(clients[i], LONG_MS, &code);
    if (error < 0 || code != expected) {
        printf("  client %u: %s, %d instead of %d\n", i, brood_error_name(error), code, expected);
        failures++;
    }
    if (error < 0) brood_process_kill(clients[i]);
    brood_process_join(clients[i], BROOD_FOREVER, &code);
    brood_process_free(clients[i]);
}

/* All of it, when the clients have gone; lost: what a call of a dead server answers. */
static void end_server(int lost)
{
    brood_proxy all[] = {company.lock, company.units, company.dict, company.items, company.pool};
    int error = brood_proxy_release(company.lock);
    if (error != lost) {
        printf("  a release is told %s\n", brood_error_name(error));
        failures++;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) brood_proxy_free(all[i]);
    must(brood_manager_free(manager), "free");
    if (brood_process_active_children(NULL, 0) != 0) {
        printf("  somebody is left\n");
        failures++;
    }
}

/* The server has what it had; how long it may take for ends of clients to be seen. */
static void check_balance(void)
{
    brood_manager_stats now = {0};
    for (int i = 0; i < LONG_MS; i++) {
        must(brood_manager_get_stats(manager, &now), "stats");
        if (now.clients == before.clients && now.shares == before.shares && now.waiting == 0) break;
        usleep(1000);
    }
    if (now.clients == before.clients && now.shares == before.shares && now.objects == before.objects) return;
    printf("  %llu clients, %llu objects, %llu shares; before: %llu, %llu, %llu\n", (unsigned long long)now.clients,
           (unsigned long long)now.objects, (unsigned long long)now.shares, (unsigned long long)before.clients,
           (unsigned long long)before.objects, (unsigned long long)before.shares);
    failures++;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    int seconds = 30;
    uint64_t seed = (uint64_t)time(NULL), rounds = 0, heirs = 0;
    unsigned kills = 0, servers = 0;
    BROOD_INIT(&argc, &argv);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?') return 2;
        if (c == 's') seconds = atoi(optarg);
        if (c == 'r') seed = strtoull(optarg, NULL, 0);
    }
    printf("chaos_manager: seed %llu\n", (unsigned long long)seed);
    setvbuf(stdout, NULL, _IOLBF, 0);
    void *memory;
    must(brood_buffer_new(&company.stage, sizeof *stage, &memory), "buffer");
    if (failures) return EXIT_FAILURE;
    stage = memory;
    begin_server(0);
    for (uint32_t i = 0; i < CLIENTS; i++) begin_client(i, i);
    seed = seed * 2 + 1;
    for (time_t end = time(NULL) + seconds; time(NULL) < end && failures == 0;) {
        usleep((useconds_t)(next_random(&seed) % 20000));
        if (next_random(&seed) % SERVER_EVERY != 0) {
            uint32_t i = (uint32_t)(next_random(&seed) % CLIENTS);
            must(brood_process_kill(clients[i]), "kill");
            end_client(i, -SIGKILL);
            begin_client(i, ++kills);
            continue;
        }
        must(brood_process_kill(server), "kill");
        for (uint32_t i = 0; i < CLIENTS; i++) end_client(i, GONE);
        rounds += atomic_load(&stage->rounds);
        heirs += atomic_load(&stage->heirs);
        end_server(BROOD_ELOST);
        begin_server(++servers);
        for (uint32_t i = 0; i < CLIENTS; i++) begin_client(i, i + servers);
    }
    atomic_store(&stage->stop, 1u);
    for (uint32_t i = 0; i < CLIENTS; i++) end_client(i, 0);
    check_balance();
    end_server(BROOD_EPERM);
    must(brood_buffer_free(company.stage), "buffer");
    must(brood_fini(), "fini");
    printf("chaos_manager: %u clients and %u servers killed, %llu rounds, %llu heirs of the lock\n", kills, servers,
           (unsigned long long)rounds, (unsigned long long)heirs);
    printf("chaos_manager: %u points, %u failures\n", kills + servers, failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
