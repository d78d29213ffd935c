/* SPDX-License-Identifier: MIT */
/* scenes_semaphore.c - the semaphore, and with it the monitor: units are neither lost nor made, nobody sleeps beside one. */
#include "model.h"
#include "sync/semaphore.h"

#include <brood/semaphore.h>

static brood_semaphore semaphore;
static struct {
    uint8_t holds[MODEL_MOST];
    uint8_t late[MODEL_MOST];
} seen;

static struct semaphore_shm *at(void)
{
    return (struct semaphore_shm *)(void *)brood__slot_at(TABLE_SEMAPHORE, HANDLE_INDEX(semaphore.id));
}

static void of_units(unsigned units)
{
    seen = (typeof(seen)){0};
    if (brood_semaphore_new(&semaphore, units, NULL) < 0) model_failed("no semaphore", 0);
}
static void one_unit(void)
{
    of_units(1);
}
static void two_units(void)
{
    of_units(2);
}
static void no_units(void)
{
    of_units(0);
}

static void enter(unsigned units)
{
    unsigned inside = 1;
    for (int p = 0; p < MODEL_MOST; p++) inside += p != model_me() && seen.holds[p] && model_alive(p);
    model_check(inside <= units);
    seen.holds[model_me()] = 1;
}

static void turn(unsigned units)
{
    model_check(brood_semaphore_acquire(semaphore, BROOD_FOREVER) == 0);
    enter(units);
    model_point();
    seen.holds[model_me()] = 0;
    model_check(brood_semaphore_release(semaphore) == 0);
}

static void once_of_one(void)
{
    turn(1);
}
static void twice_of_one(void)
{
    turn(1);
    turn(1);
}
static void once_of_two(void)
{
    turn(2);
}
static void patient(void)
{
    int result = brood_semaphore_acquire(semaphore, 5);
    if (result == BROOD_ETIMEDOUT) return;
    model_check(result == 0);
    enter(1);
    seen.holds[model_me()] = 0;
    model_check(brood_semaphore_release(semaphore) == 0);
}
static void gives(void)
{
    model_check(brood_semaphore_release(semaphore) == 0);
}
static void gives_two(void)
{
    gives();
    gives();
}
static void takes(void)
{
    model_check(brood_semaphore_acquire(semaphore, BROOD_FOREVER) == 0);
    seen.holds[model_me()] = 1;
}

static void supervisor(void)
{
    model_supervise(brood__semaphore_repair);
}

/* All that there are can be had: nobody who lives holds any in these scenes' ends. */
static void all_free(void)
{
    struct semaphore_shm *s = at();
    const uint32_t *entry = brood__at(s->slot.body);
    uint32_t held = 0;
    for (size_t i = 0; i < PAGE_SIZE / sizeof *entry; i++) held += entry[i] & 0xffff;
    model_check(held == 0);
    model_check((s->monitor.word & OS_OWNER_DIED) || *brood__semaphore_free_units(s) == *brood__semaphore_total(s));
}
/* Who takes for ever may wait for ever, if there is no unit left. */
static bool none_free(int p)
{
    (void)p;
    struct semaphore_shm *s = at();
    return !(s->monitor.word & OS_OWNER_DIED) && *brood__semaphore_free_units(s) == 0;
}
static void adds_up(void)
{
    struct semaphore_shm *s = at();
    const uint32_t *entry = brood__at(s->slot.body);
    uint32_t held = 0;
    for (size_t i = 0; i < PAGE_SIZE / sizeof *entry; i++) held += entry[i] & 0xffff;
    model_check((s->monitor.word & OS_OWNER_DIED) ||
                held + *brood__semaphore_free_units(s) == *brood__semaphore_total(s));
}

const struct scene model_semaphore_scenes[] = {
    {"semaphore/two", one_unit, {twice_of_one, once_of_one}, 0, 0, 1, UNBOUNDED, .in_short = true, .end = all_free},
    {"semaphore/two-one-dies",
     one_unit,
     {once_of_one, once_of_one, supervisor},
     3,
     1,
     0,
     3,
     .in_short = true,
     .end = all_free},
    {"semaphore/two-both-die", one_unit, {once_of_one, once_of_one, supervisor}, 3, 2, 0, 0, .end = all_free},
    {"semaphore/three", one_unit, {once_of_one, once_of_one, once_of_one}, 0, 0, 0, UNBOUNDED, .end = all_free},
    {"semaphore/three-one-dies",
     one_unit,
     {once_of_one, once_of_one, once_of_one, supervisor},
     7,
     1,
     0,
     1,
     .end = all_free},
    {"semaphore/three-of-two",
     two_units,
     {once_of_two, once_of_two, once_of_two, supervisor},
     3,
     1,
     0,
     1,
     .end = all_free},
    {"semaphore/woken-die",
     one_unit,
     {once_of_one, once_of_one, once_of_one, once_of_one},
     15,
     2,
     0,
     1,
     .woken_die = true,
     .end = all_free},
    {"semaphore/two-given",
     no_units,
     {gives, gives, takes, takes, takes},
     28,
     1,
     0,
     1,
     .woken_die = true,
     .may_stay = none_free,
     .end = adds_up},
    {"semaphore/given",
     no_units,
     {gives_two, takes, takes, supervisor},
     6,
     1,
     0,
     1,
     .may_stay = none_free,
     .end = adds_up},
    {"semaphore/patient", one_unit, {once_of_one, patient, once_of_one, supervisor}, 3, 1, 0, 1, .end = all_free},
    {"semaphore/weak", one_unit, {once_of_one, once_of_one, supervisor}, 1, 1, 0, 2, .weak = true, .end = all_free},
    {0},
};
