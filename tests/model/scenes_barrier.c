/* SPDX-License-Identifier: MIT */
/* scenes_barrier.c - the barrier: each round's parties go on, each as another, or all are told that it is broken. */
#include "model.h"
#include "sync/barrier.h"

#include <brood/barrier.h>

static brood_barrier barrier;
static struct {
    uint8_t index[4]; /* how often each was given */
    uint8_t broken;
    uint8_t party_died; /* the barrier is broken then, for good */
} seen;

static struct barrier_shm *at(void)
{
    return (struct barrier_shm *)(void *)brood__slot_at(TABLE_BARRIER, HANDLE_INDEX(barrier.id));
}

static void of(unsigned parties, uint64_t action)
{
    seen = (typeof(seen)){0};
    if (brood__barrier_new(&barrier.id, parties, action, NULL, 0) < 0) model_failed("no barrier", 0);
}
static void of_two(void)
{
    of(2, 0);
}
static void of_two_acting(void)
{
    of(2, 1);
}
static void of_three(void)
{
    of(3, 0);
}

static void come(int timeout)
{
    struct arrival arrival;
    int result = brood__barrier_arrive(barrier.id, timeout, &arrival);
    if (result == BARRIER_ACT) result = brood__barrier_acted(barrier.id, &arrival, 0);
    if (result >= 0) {
        model_check(result < (int)at()->parties);
        seen.index[result]++;
    } else {
        model_check(result == BROOD_EBROKEN || (timeout > 0 && result == BROOD_ETIMEDOUT));
        seen.broken++;
    }
}
static void waits(void)
{
    come(BROOD_FOREVER);
}
static void waits_twice(void)
{
    come(BROOD_FOREVER);
    come(BROOD_FOREVER);
}
static void patient(void)
{
    come(5);
}
static void resets(void)
{
    model_check(brood_barrier_reset(barrier) == 0);
}
/* After a reset nobody of three can have gone through, for the third never comes. */
static void none_came(void)
{
    for (uint32_t i = 0; i < at()->parties; i++) model_check(seen.index[i] == 0);
    model_check((at()->state & 0xff) != BARRIER_RESETTING); /* the heir has finished it */
}
static void aborts(void)
{
    model_check(brood_barrier_abort(barrier) == 0);
}
static bool repair(uint32_t dead)
{
    const uint64_t *places = brood__at(at()->slot.body);
    for (uint32_t i = 0; i < at()->places; i++)
        if (places[i] && (places[i] & 0xffff) == dead) seen.party_died = 1;
    return brood__barrier_repair(dead);
}
static void supervisor(void)
{
    model_supervise(repair);
}

/* Without deaths all have gone through, in rounds of all. */
static void all_came(void)
{
    model_check(seen.broken == 0);
    for (uint32_t i = 1; i < at()->parties; i++) model_check(seen.index[i] == seen.index[0]);
}

/* It may sleep while too few have come, of those that live, and nobody who has come has died. */
static bool too_few(int p)
{
    (void)p;
    uint64_t state = at()->state;
    if ((state & 0xff) != BARRIER_FILLING || seen.party_died) return false;
    const uint64_t *places = brood__at(at()->slot.body);
    uint32_t here = 0;
    for (uint32_t i = 0; i < at()->places; i++) {
        for (int other = 0; other < MODEL_MOST; other++)
            if (places[i] && !model_alive(other) && model_member(other) == (places[i] & 0xffff)) return false;
        here += places[i] >> 32 == state >> 32 && (places[i] >> 16 & 0xffff) == PLACE_WAITS;
    }
    return here < at()->parties;
}

/* The fourth of three waits in the round that has just begun. */
static bool is_fourth(int p)
{
    const uint64_t *places = brood__at(at()->slot.body);
    for (uint32_t i = 0; i < at()->places; i++)
        if (places[i] >> 32 == at()->state >> 32 && (places[i] & 0xffff) == model_member(p)) return true;
    return false;
}

/* name, set_up, programs, who may die, deaths, signals, switches */
const struct scene model_barrier_scenes[] = {
    {"barrier/two", of_two, {waits_twice, waits_twice}, 0, 0, 1, UNBOUNDED, .in_short = true, .end = all_came},
    {"barrier/two-one-dies", of_two, {waits, waits, supervisor}, 3, 1, 0, 3, .in_short = true, .may_stay = too_few},
    {"barrier/two-acting", of_two_acting, {waits, waits, supervisor}, 3, 1, 0, 2, .may_stay = too_few},
    {"barrier/two-both-die", of_three, {waits, waits, supervisor}, 3, 2, 0, 1, .may_stay = too_few},
    {"barrier/three", of_three, {waits, waits, waits}, 0, 0, 0, 2, .end = all_came},
    {"barrier/three-one-dies", of_three, {waits, waits, waits, supervisor}, 5, 1, 0, 0, .may_stay = too_few},
    {"barrier/next-round", of_three, {waits_twice, waits, waits, waits}, 0, 0, 0, 1, .may_stay = too_few},
    {"barrier/next-round-dies",
     of_three,
     {waits, waits, waits, waits}, /* nobody repairs: the kernel's wake-up is passed on by each */
     4,
     1,
     0,
     1,
     .may_stay = is_fourth},
    {"barrier/woken-die",
     of_three,
     {waits, waits, waits, supervisor},
     7,
     1,
     0,
     1,
     .woken_die = true,
     .may_stay = too_few},
    {"barrier/patient", of_two, {patient, waits, supervisor}, 1, 1, 0, 1, .may_stay = too_few},
    {"barrier/reset", of_three, {waits, waits, resets, supervisor}, 4, 1, 0, 1, .may_stay = too_few, .end = none_came},
    {"barrier/abort", of_three, {waits, waits, aborts, supervisor}, 4, 1, 0, 1, .may_stay = too_few},
    {"barrier/weak", of_two, {waits, waits}, 0, 0, 0, 2, .weak = true, .end = all_came},
    {0},
};
