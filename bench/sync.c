/* SPDX-License-Identifier: MIT */
/* sync.c - processes that wait for each other: by events, by a condition, at a barrier. */
#include "crew.h"
#include "harness.h"
#include "peer.h"
#include "sync_peers.h"

#include <brood.h>
#include <stdbool.h>
#include <sys/mman.h>

struct pass {
    struct meeting meeting;
    brood_event ping, pong;
    brood_condition condition;
    brood_barrier barrier;
    _Atomic uint64_t *turn;
};

static uint64_t event_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    brood_event mine = index ? p->ping : p->pong, other = index ? p->pong : p->ping;
    for (uint64_t i = 0; i < n; i++) {
        int error = index ? 0 : brood_event_set(other);
        if (error == 0) error = brood_event_wait(mine, BROOD_FOREVER);
        if (error == 0) error = brood_event_clear(mine);
        if (error == 0 && index) error = brood_event_set(other);
        if (error < 0) crew_fail("event", error);
    }
    return 0;
}

/* In turn: each waits until the other has counted. */
static uint64_t condition_role(void *context, unsigned index, uint64_t n)
{
    const struct pass *p = context;
    int error = brood_condition_acquire(p->condition, BROOD_FOREVER);
    for (uint64_t i = 0; i < n && error >= 0; i++) {
        while (*p->turn % 2 != index && error >= 0) error = brood_condition_wait(p->condition, BROOD_FOREVER);
        ++*p->turn;
        if (error >= 0) error = brood_condition_notify(p->condition, 1);
    }
    if (error >= 0) error = brood_condition_release(p->condition);
    if (error < 0) crew_fail("condition", error);
    return 0;
}

static uint64_t barrier_role(void *context, unsigned index, uint64_t n)
{
    (void)index;
    const struct pass *p = context;
    for (uint64_t i = 0; i < n; i++) {
        int error = brood_barrier_wait(p->barrier, BROOD_FOREVER);
        if (error < 0) crew_fail("barrier", error);
    }
    return 0;
}

static double event(void *context, uint64_t n)
{
    struct pass p = {.meeting = *(const struct meeting *)context};
    if (brood_event_new(&p.ping) < 0 || brood_event_new(&p.pong) < 0) return bench_complain("event", "not made");
    double seconds = crew_by_brood(2, event_role, &p, n);
    brood_event_free(p.ping);
    brood_event_free(p.pong);
    return seconds;
}

static double condition(void *context, uint64_t n)
{
    struct pass p = {.meeting = *(const struct meeting *)context};
    int error = brood_condition_new(&p.condition, NULL);
    if (error < 0) return bench_complain("condition", brood_strerror(error));
    p.turn = crew_memory(sizeof *p.turn);
    double seconds = crew_by_brood(2, condition_role, &p, n);
    bool good = *p.turn == 2 * n;
    munmap((void *)p.turn, sizeof *p.turn);
    brood_condition_free(p.condition);
    return good ? seconds : bench_complain("condition", "not all turns were taken");
}

static double barrier(void *context, uint64_t n)
{
    struct pass p = {.meeting = *(const struct meeting *)context};
    int error = brood_barrier_new(&p.barrier, p.meeting.parties, NULL);
    if (error < 0) return bench_complain("barrier", brood_strerror(error));
    double seconds = crew_by_brood(p.meeting.parties, barrier_role, &p, n);
    brood_barrier_free(p.barrier);
    return seconds;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    bench_begin("sync", argc, argv);
    struct peer python = {.arguments = {"python_sync.py"}};
    struct meeting two = {2}, four = {4};

    BENCH_ASK("event, there and back", "us", {"brood", event, &two, 1}, {"cpython", PEER(python, "event"), 1});
    BENCH_ASK("condition, there and back", "us", {"brood", condition, &two, 1},
              {"pthread cond", pthread_condition, &two, 1}, {"cpython", PEER(python, "condition"), 1});
    BENCH_ASK("barrier of 2", "us", {"brood", barrier, &two, 1}, {"spin and futex", futex_barrier, &two, 1},
              {"pthread barrier", pthread_barrier, &two, 1}, {"cpython", PEER(python, "barrier 2"), 1});
    BENCH_ASK("barrier of 4", "us", {"brood", barrier, &four, 1}, {"spin and futex", futex_barrier, &four, 1},
              {"pthread barrier", pthread_barrier, &four, 1}, {"cpython", PEER(python, "barrier 4"), 1});
    peer_close(&python);
    brood_fini();
    return 0;
}
