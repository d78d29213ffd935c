/* SPDX-License-Identifier: MIT */
/*
 * scenes_condition.c - the condition: who waits for a token, and is told that there is one, takes it, or another does;
 * a holder of the lock that dies wakes all.
 */
#include "model.h"
#include "sync/condition.h"
#include "sync/lock.h"

#include <brood/condition.h>

static brood_condition condition;
static struct {
    uint8_t tokens; /* under the lock */
    uint8_t inside[MODEL_MOST];
    uint8_t told[MODEL_MOST]; /* of a dead holder */
    uint8_t waits[MODEL_MOST];
    uint8_t owed[MODEL_MOST]; /* a holder died while it waited, and it has not returned since */
    uint8_t taken;
} seen;

static void set_up(void)
{
    seen = (typeof(seen)){0};
    if (brood_condition_new(&condition, NULL) < 0) model_failed("no condition", 0);
}
static void set_up_plain(void)
{
    brood_condition_options options = {.lock = {0}};
    seen = (typeof(seen)){0};
    if (brood_lock_new(&options.lock) < 0 || brood_condition_new(&condition, &options) < 0)
        model_failed("no condition", 0);
}

/* With the lock: who died inside is told of, once. */
static void enter(int result)
{
    uint8_t died_inside = 0;
    for (int p = 0; p < MODEL_MOST; p++) {
        if (p == model_me() || !seen.inside[p]) continue;
        model_check(!model_alive(p));
        died_inside = 1;
        seen.inside[p] = 0;
    }
    for (int p = 0; p < MODEL_MOST; p++)
        if (died_inside && seen.waits[p]) seen.owed[p] = 1;
    model_check(!died_inside || result == BROOD_EOWNERDEAD);
    seen.inside[model_me()] = 1;
    if (result == BROOD_EOWNERDEAD) seen.told[model_me()] = 1;
}
static void acquire(void)
{
    int result = brood_condition_acquire(condition, BROOD_FOREVER);
    model_check(result == 0 || result == BROOD_EOWNERDEAD);
    enter(result);
}
static void release(void)
{
    seen.inside[model_me()] = 0;
    model_check(brood_condition_release(condition) == 0);
}

/* Until there is a token, or it is told of a death. */
static void takes_within(int timeout)
{
    acquire();
    while (seen.tokens == 0 && !seen.told[model_me()]) {
        seen.inside[model_me()] = 0;
        seen.waits[model_me()] = 1;
        int result = brood_condition_wait(condition, timeout);
        seen.waits[model_me()] = seen.owed[model_me()] = 0;
        model_check(result == 0 || result == BROOD_EOWNERDEAD || (timeout > 0 && result == BROOD_ETIMEDOUT));
        enter(result);
        if (result == BROOD_ETIMEDOUT) break;
    }
    if (seen.tokens > 0) {
        seen.tokens--;
        seen.taken++;
    }
    release();
}
static void takes(void)
{
    takes_within(BROOD_FOREVER);
}
static void takes_in_time(void)
{
    takes_within(5);
}
static void gives(void)
{
    acquire();
    seen.tokens++;
    model_check(brood_condition_notify(condition, 1) >= 0);
    release();
}
static void gives_two(void)
{
    acquire();
    seen.tokens += 2;
    model_check(brood_condition_notify_all(condition) >= 0);
    release();
}

static void passes(void)
{
    acquire();
    release();
}

static bool repair(uint32_t dead)
{
    return brood__lock_repair(dead) && brood__condition_repair(dead);
}
static void supervisor(void)
{
    model_supervise(repair);
}

/* Asleep without need: there is a token, or somebody died inside that it has not been told of. */
static bool no_token(int p)
{
    if (seen.tokens > 0 || seen.owed[p]) return false;
    for (int other = 0; other < MODEL_MOST; other++)
        if (other != p && seen.inside[other]) return false;
    return true;
}

/* name, set_up, programs, who may die, deaths, signals, switches */
const struct scene model_condition_scenes[] = {
    {"condition/two", set_up, {takes, gives}, 0, 0, 1, UNBOUNDED, .in_short = true, .may_stay = no_token},
    {"condition/two-plain", set_up_plain, {takes, gives}, 0, 0, 1, UNBOUNDED, .may_stay = no_token},
    {"condition/two-one-dies", set_up, {takes, gives, supervisor}, 3, 1, 0, 1, .in_short = true, .may_stay = no_token},
    {"condition/two-one-dies-plain", set_up_plain, {takes, gives, supervisor}, 3, 1, 0, 2, .may_stay = no_token},
    {"condition/passed-on", set_up, {takes, takes, gives, supervisor}, 3, 1, 0, 1, .may_stay = no_token},
    {"condition/woken-die",
     set_up,
     {takes, takes, gives, supervisor},
     3,
     1,
     0,
     1,
     .woken_die = true,
     .may_stay = no_token},
    {"condition/heir", set_up_plain, {takes, gives, passes, supervisor}, 2, 1, 0, 1, .may_stay = no_token},
    {"condition/all", set_up, {takes, takes, gives_two, supervisor}, 4, 1, 0, 0, .may_stay = no_token},
    {"condition/patient", set_up, {takes_in_time, takes, gives, supervisor}, 1, 1, 0, 0, .may_stay = no_token},
    {"condition/weak", set_up, {takes, gives, supervisor}, 2, 1, 0, 1, .weak = true, .may_stay = no_token},
    {0},
};
