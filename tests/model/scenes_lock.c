/* SPDX-License-Identifier: MIT */
/* scenes_lock.c - the lock: exclusion, the word on a dead holder, no lost wake-up. */
#include "model.h"
#include "sync/lock.h"

#include <brood/lock.h>

static brood_lock lock;
/* What happened; written by the programs, so part of the state. */
static struct {
    uint8_t inside[MODEL_MOST];
    uint8_t taken[MODEL_MOST];
    uint8_t told[MODEL_MOST]; /* of a dead holder */
} seen;

static void set_up(void)
{
    seen = (typeof(seen)){0};
    if (brood_lock_new(&lock) < 0) model_failed("no lock", 0);
}

static void enter(int result)
{
    int me = model_me();
    model_check(result == 0 || result == BROOD_EOWNERDEAD);
    uint8_t died_inside = 0;
    for (int p = 0; p < MODEL_MOST; p++) {
        if (p == me || !seen.inside[p]) continue;
        model_check(!model_alive(p));
        died_inside = 1;
        seen.inside[p] = 0;
    }
    model_check(!died_inside || result == BROOD_EOWNERDEAD);
    seen.inside[me] = 1;
    seen.taken[me]++;
    if (result == BROOD_EOWNERDEAD) seen.told[me] = 1;
}

static void turn(void)
{
    int result = brood_lock_acquire(lock, BROOD_FOREVER);
    enter(result);
    model_point();
    seen.inside[model_me()] = 0;
    result = brood_lock_release(lock);
    model_check(result == 0);
}

static void once(void)
{
    turn();
}
static void twice(void)
{
    turn();
    turn();
}
static void patient(void)
{
    int result = brood_lock_acquire(lock, 5);
    if (result == BROOD_ETIMEDOUT) return;
    enter(result);
    seen.inside[model_me()] = 0;
    model_check(brood_lock_release(lock) == 0);
}

static void supervisor(void)
{
    model_supervise(brood__lock_repair);
}

/* name, set_up, programs, who may die, deaths, signals, switches */
const struct scene model_lock_scenes[] = {
    {"lock/two", set_up, {twice, twice}, 0, 0, 2, UNBOUNDED, .in_short = true},
    {"lock/two-one-dies", set_up, {once, twice, supervisor}, 3, 1, 1, UNBOUNDED, .in_short = true},
    {"lock/two-both-die", set_up, {once, once, supervisor}, 3, 2, 0, UNBOUNDED, .weak = false},
    {"lock/three", set_up, {once, once, once}, 0, 0, 1, UNBOUNDED, .in_short = true},
    {"lock/three-one-dies", set_up, {once, once, once, supervisor}, 7, 1, 0, 2, .weak = false},
    {"lock/three-two-die", set_up, {once, once, once, supervisor}, 7, 2, 0, 1, .weak = false},
    {"lock/patient", set_up, {patient, twice, patient, supervisor}, 7, 1, 0, 1, .weak = false},
    {"lock/weak", set_up, {once, once, once}, 0, 0, 0, 3, .weak = true},
    {0},
};
