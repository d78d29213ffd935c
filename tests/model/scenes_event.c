/* SPDX-License-Identifier: MIT */
/* scenes_event.c - the event: a set wakes all who waited before it, also when it is cleared at once. */
#include "model.h"
#include "sync/event.h"

#include <brood/event.h>

static brood_event event;
static struct {
    uint8_t waited[MODEL_MOST]; /* about to sleep, or asleep, when a set began */
} seen;

static struct event_shm *at(void)
{
    return (struct event_shm *)(void *)brood__slot_at(TABLE_EVENT, HANDLE_INDEX(event.id));
}

static void set_up(void)
{
    seen = (typeof(seen)){0};
    if (brood_event_new(&event) < 0) model_failed("no event", 0);
}

static void waits(void)
{
    model_check(brood_event_wait(event, BROOD_FOREVER) == 0);
    seen.waited[model_me()] = 0;
}
static void patient(void)
{
    int result = brood_event_wait(event, 5);
    model_check(result == 0 || result == BROOD_ETIMEDOUT);
    seen.waited[model_me()] = 0;
}
static void sets(void)
{
    uint8_t asleep[MODEL_MOST];
    for (int p = 0; p < MODEL_MOST; p++) asleep[p] = brood__member_at(model_member(p))->waits_for == event.id;
    model_check(brood_event_set(event) == 0);
    for (int p = 0; p < MODEL_MOST; p++)
        if (asleep[p] && brood__member_at(model_member(p))->waits_for == event.id) seen.waited[p] = 1;
}
static void clears(void)
{
    model_check(brood_event_clear(event) == 0);
}
static void sets_and_clears(void)
{
    sets();
    clears();
}
static void pulses_twice(void)
{
    sets_and_clears();
    sets_and_clears();
}

static void supervisor(void)
{
    model_supervise(brood__event_repair);
}

/* Whoever sleeps although it is set, or was since it began to wait, should not. */
static bool never_set(int p)
{
    (void)p;
    uint64_t word = at()->word;
    return !((uint32_t)word & EVENT_SET);
}
/* In scenes without a clear nobody sleeps once a set has changed the word; with one, who sleeps came after the set. */
static bool came_later(int p)
{
    return never_set(p) && !seen.waited[p];
}

const struct scene model_event_scenes[] = {
    {"event/set", set_up, {sets, waits, waits, supervisor}, 7, 1, 0, 3, .in_short = true, .may_stay = never_set},
    {"event/set-two-die", set_up, {sets, waits, waits, supervisor}, 7, 2, 0, UNBOUNDED, .may_stay = never_set},
    {"event/two-set", set_up, {sets, sets, waits, supervisor}, 7, 2, 0, UNBOUNDED, .may_stay = never_set},
    {"event/pulse",
     set_up,
     {sets_and_clears, waits, supervisor},
     3,
     1,
     1,
     UNBOUNDED,
     .in_short = true,
     .may_stay = came_later},
    {"event/pulse-two-wait", set_up, {pulses_twice, waits, waits}, 0, 0, 0, UNBOUNDED, .may_stay = came_later},
    {"event/pulse-and-set",
     set_up,
     {sets_and_clears, sets, waits, supervisor},
     7,
     1,
     0,
     UNBOUNDED,
     .may_stay = came_later},
    {"event/cleared-by-another", set_up, {sets, clears, waits, waits}, 3, 1, 0, 2, .may_stay = came_later},
    {"event/patient",
     set_up,
     {sets_and_clears, patient, waits, supervisor},
     7,
     1,
     0,
     UNBOUNDED,
     .may_stay = came_later},
    {"event/weak", set_up, {sets, waits, waits}, 0, 0, 0, UNBOUNDED, .weak = true, .may_stay = never_set},
    {0},
};
