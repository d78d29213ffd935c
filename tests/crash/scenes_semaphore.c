/* SPDX-License-Identifier: MIT */
/*
 * scenes_semaphore.c - semaphores: no unit is lost with the dead or made by it, and a free one wakes who waits for it.
 *
 * What is committed is read off the entries, as the repair reads them: the sum of what members hold, and the total.
 */
#include "arena/member.h"
#include "scene.h"
#include "sync/semaphore.h"

#include <brood/semaphore.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int acquire(struct order *order)
{
    return brood_semaphore_acquire((brood_semaphore){order->id}, BROOD_FOREVER);
}
static int acquire_timed(struct order *order)
{
    return brood_semaphore_acquire((brood_semaphore){order->id}, 60 * 1000);
}
static int attempt(struct order *order)
{
    return brood_semaphore_acquire((brood_semaphore){order->id}, 0);
}
static int ask(struct order *order)
{
    return brood_semaphore_value((brood_semaphore){order->id});
}
static int release(struct order *order)
{
    return brood_semaphore_release((brood_semaphore){order->id});
}
static int make(struct order *order)
{
    brood_semaphore semaphore;
    int result = brood_semaphore_new(&semaphore, 0, NULL);
    if (result == 0) order->made = semaphore.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_semaphore_free((brood_semaphore){order->id ? order->id : order->made});
}
static int repair(struct order *order)
{
    while (!brood__semaphore_repair((uint32_t)order->id)) continue;
    return 0;
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_semaphore new_semaphore(unsigned units)
{
    brood_semaphore semaphore = {0};
    if (units & 1) next_claim_takes_garbage(TABLE_SEMAPHORE);
    expect_is(brood_semaphore_new(&semaphore, units, NULL), 0);
    return semaphore;
}

static struct semaphore_shm *look(brood_semaphore semaphore)
{
    return brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
}

/* Units that a member holds, as its entries say. */
static unsigned held(brood_semaphore semaphore, uint32_t member)
{
    const struct semaphore_shm *s = look(semaphore);
    const uint32_t *entries = s ? brood__at(s->slot.body) : NULL;
    unsigned units = 0;
    for (unsigned i = 0; entries && i < PAGE_SIZE / sizeof *entries; i++)
        if (entries[i] >> 16 == member) units += entries[i] & 0xffff;
    return units;
}
static unsigned total(brood_semaphore semaphore)
{
    struct semaphore_shm *s = look(semaphore);
    return s ? *brood__semaphore_total(s) : 0;
}

static void take(brood_semaphore semaphore, unsigned units)
{
    while (units-- > 0) expect_is(brood_semaphore_acquire(semaphore, 0), 0);
}
static void give(brood_semaphore semaphore, unsigned units)
{
    while (units-- > 0) expect_is(brood_semaphore_release(semaphore), 0);
}

/* The last word: nobody holds any, and so many are free. */
static void closes(brood_semaphore semaphore, unsigned units)
{
    expect_is(brood_semaphore_value(semaphore), units);
    expect_is(total(semaphore), units);
    expect_is(brood_semaphore_free(semaphore), 0);
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* ------------------------------------------------------------------------------------------------------- acquire */

static void acquire_free(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(1);
    struct victim v;
    victim_start(&v, NULL, acquire, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned had = held(s, v.proc.member);
    if (v.ended) expect_is(had, 1);
    expect_is(brood_semaphore_acquire(s, 0), had ? BROOD_EAGAIN : 0); /* the latch can be had before any repair */
    bury(v.proc.member);
    if (!had) give(s, 1);
    closes(s, 1);
}

static void acquire_empty(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(1);
    take(s, 1);
    mate_sends_to_sleep(0, acquire, s.id);
    struct victim v;
    victim_start(&v, NULL, cut->order & 1 ? acquire_timed : acquire, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    give(s, 1);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    give(s, 1);
    closes(s, 1);
}

/* The one that a release woke dies: what it did not take is the next one's. */
static void acquire_woken(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(2);
    take(s, 2);
    struct victim v;
    victim_start(&v, NULL, acquire, s.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, acquire, s.id);
    mate_sends_to_sleep(1, acquire, s.id);
    give(s, 1);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool had = held(s, v.proc.member) == 1;
    expect(had || !v.ended);
    if (had) bury(v.proc.member);
    int first = mate_first(0, 2);
    give(s, 1);
    if (first >= 0) expect_is(mate_result(first ? 0 : 1), 0);
    if (!had) bury(v.proc.member);
    give(s, 2);
    closes(s, 2);
}

/* Its time is up; order: 1: another sleeps behind it; 2: a unit comes free at that moment. */
static void acquire_late(const struct cut *cut)
{
    bool behind = cut->order & 1, released = cut->order & 2;
    brood_semaphore s = new_semaphore(1);
    take(s, 1);
    struct victim v;
    victim_start(&v, NULL, acquire_timed, s.id);
    victim_falls_asleep(&v);
    if (behind) mate_sends_to_sleep(0, acquire, s.id);
    victim_times_out(&v);
    if (released) give(s, 1);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool had = held(s, v.proc.member) == 1;
    expect(!had || released);
    if (v.ended) expect_is(v.result, had ? 0 : BROOD_ETIMEDOUT);
    if (!released) give(s, 1);
    if (had) bury(v.proc.member);
    if (behind) expect_is(mate_result(0), 0);
    if (!had) bury(v.proc.member);
    if (behind) give(s, 1);
    closes(s, 1);
}

/* order: 1: there is none to be had */
static void acquire_attempt(const struct cut *cut)
{
    unsigned units = cut->order & 1 ? 0 : 1;
    brood_semaphore s = new_semaphore(units);
    struct victim v;
    victim_start(&v, NULL, attempt, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned had = held(s, v.proc.member);
    if (v.ended) expect_is(v.result, units ? 0 : BROOD_EAGAIN);
    expect(had <= units && (had == units || !v.ended));
    expect_is(brood_semaphore_value(s), units - had);
    bury(v.proc.member);
    closes(s, units);
}

/* One who only asks has the latch for a moment, while another sleeps. */
static void look_at(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(1);
    take(s, 1);
    mate_sends_to_sleep(0, acquire, s.id);
    struct victim v;
    victim_start(&v, NULL, ask, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    give(s, 1);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    give(s, 1);
    closes(s, 1);
}

/* ------------------------------------------------------------------------------------------------------- release */

static void release_alone(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(3);
    struct victim v;
    victim_start(&v, acquire, release, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned had = held(s, v.proc.member);
    expect(had == 0 || !v.ended);
    expect_is(brood_semaphore_value(s), 3 - (int)had);
    bury(v.proc.member);
    closes(s, 3);
}

/* One unit comes free while two sleep: one of them has it at once, the other when it comes back. */
static void one_wakes(brood_semaphore s, unsigned passes)
{
    int first = mate_first(0, 2);
    if (first < 0) return;
    if (passes) give(s, passes);
    expect_is(mate_result(first ? 0 : 1), 0);
}

static void release_own(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(1);
    struct victim v;
    victim_start(&v, acquire, release, s.id);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool had = held(s, v.proc.member) == 1;
    if (had) bury(v.proc.member);
    one_wakes(s, 1);
    if (!had) bury(v.proc.member);
    give(s, 1);
    closes(s, 1);
}

static void release_foreign(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(2);
    take(s, 2);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, s.id);
    struct victim v;
    victim_start(&v, NULL, release, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned left = held(s, brood__self->member), by_mates = held(s, mate(0)->member) + held(s, mate(1)->member);
    if (left == 2 && by_mates == 0) {
        expect(!v.ended);
        give(s, 1);
    }
    one_wakes(s, 1);
    bury(v.proc.member);
    give(s, 2);
    closes(s, 2);
}

/* Nobody holds any: a release makes one. */
static void release_grows(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(0);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, s.id);
    struct victim v;
    victim_start(&v, NULL, release, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned made = total(s);
    expect(made == 1 || (made == 0 && !v.ended));
    if (made == 0) give(s, 1);
    one_wakes(s, 1);
    bury(v.proc.member);
    give(s, 1);
    closes(s, 1);
}

/* ---------------------------------------------------------------------------------------------------- two victims */

/* A release is cut; whom the kernel wakes for it is cut as well, perhaps as the heir. */
static void chain(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(1);
    struct victim releaser, woken;
    victim_start(&releaser, acquire, release, s.id);
    victim_start(&woken, NULL, acquire, s.id);
    victim_falls_asleep(&woken);
    mate_sends_to_sleep(0, acquire, s.id);
    victim_step(&releaser, cut->k[0]);
    victim_kill(&releaser);
    if (held(s, releaser.proc.member)) bury(releaser.proc.member);
    victim_wakes(&woken, true);
    victim_step(&woken, cut->k[1]);
    victim_kill(&woken);
    bool had = held(s, woken.proc.member) == 1;
    if (!had) expect_is(mate_result(0), 0);
    bury(woken.proc.member);
    if (had) expect_is(mate_result(0), 0);
    if (!brood__member_dead(releaser.proc.member)) bury(releaser.proc.member);
    give(s, 1);
    closes(s, 1);
}

/* Two at once, or the second as the heir of the first; one waits behind them, and one unit is enough for it. */
static void two_victims(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(2);
    take(s, 1);
    struct victim a, b;
    victim_start(&a, acquire, release, s.id);
    mate_sends_to_sleep(0, acquire, s.id);
    victim_start(&b, NULL, cut->order & 4 ? acquire : release, s.id);
    victim_step(&a, cut->k[0]);
    if (cut->order & 1) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    if (cut->order & 2) victim_kill(&b);
    victim_kill(&a);
    victim_kill(&b);
    bool had = held(s, a.proc.member) + held(s, b.proc.member) + held(s, brood__self->member) == 2;
    if (!had) expect_is(mate_result(0), 0);
    bury(a.proc.member);
    bury(b.proc.member);
    if (had && held(s, brood__self->member) == 1 && total(s) == 2) expect_is(mate_result(0), 0);
    unsigned units = total(s); /* b released what nobody held: there is one more */
    expect(units == 2 || (units == 3 && (cut->order & 4) == 0));
    expect_is(mate_result(0), 0);
    if (held(s, brood__self->member)) give(s, 1);
    if (held(s, mate(0)->member)) give(s, 1);
    closes(s, units);
}

/* ---------------------------------------------------------------------------------------------- new, free, repair */

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_SEMAPHORE);
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    if (v.ended) expect(is_gone(brood_semaphore_acquire((brood_semaphore){v.proc.post->order.made}, 0)));
    closes(new_semaphore(1), 1);
}

static void free_with_sleepers(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make, free_it, 0);
    brood_semaphore s = {v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, s.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_semaphore_acquire(s, 0)));
    closes(new_semaphore(1), 1);
}

/* The supervisor dies over the repair; its successor does it again and rings everybody. */
static void repair_cut(const struct cut *cut)
{
    brood_semaphore s = new_semaphore(3);
    take(s, 1);
    mate_do(2, acquire, s.id);
    expect_is(mate_result(2), 0);
    mate_do(2, acquire, s.id);
    expect_is(mate_result(2), 0);
    uint32_t dead = mate(2)->member;
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, s.id);
    proc_kill(mate(2));
    bury_begin(dead);
    struct victim v;
    victim_start(&v, NULL, repair, dead);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(held(s, dead) == 0 || !v.ended);
    if (held(s, dead)) bury(dead);
    expect_is(mate_result(0), 0);
    expect_is(mate_result(1), 0);
    if (brood__member_at(dead)->repaired == 0) bury(dead);
    bury(v.proc.member);
    give(s, 3);
    closes(s, 3);
}

const struct scene semaphore_scenes[] = {
    {"semaphore/acquire", acquire_free, 0, 0},
    {"semaphore/acquire-empty", acquire_empty, 0, 2},
    {"semaphore/acquire-empty-spinning", acquire_empty, SCENE_SPIN, 2},
    {"semaphore/acquire-woken", acquire_woken, 0, 0},
    {"semaphore/release-alone", release_alone, 0, 0},
    {"semaphore/release-own-two-asleep", release_own, 0, 0},
    {"semaphore/release-foreign-two-asleep", release_foreign, 0, 0},
    {"semaphore/release-grows-two-asleep", release_grows, 0, 0},
    {"semaphore/chain", chain, SCENE_PAIR, 0},
    {"semaphore/two-victims", two_victims, SCENE_PAIR, 8},
    {"semaphore/acquire-late", acquire_late, 0, 4},
    {"semaphore/acquire-attempt", acquire_attempt, 0, 2},
    {"semaphore/value", look_at, 0, 0},
    {"semaphore/acquire-woken-in-thread", acquire_woken, SCENE_THREAD, 0},
    {"semaphore/release-own-in-thread", release_own, SCENE_THREAD, 0},
    {"semaphore/chain-in-threads", chain, SCENE_PAIR | SCENE_THREAD, 0},
    {"semaphore/new", new_one, 0, 2},
    {"semaphore/free-two-asleep", free_with_sleepers, 0, 0},
    {"semaphore/repair", repair_cut, 0, 0},
    {NULL, NULL, 0, 0},
};
