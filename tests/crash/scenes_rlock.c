/* SPDX-License-Identifier: MIT */
/*
 * scenes_rlock.c - recursive locks: the heir of a dead owner is told once and holds it once, however deep the dead was.
 *
 * What they share with locks is played there (scenes_lock.c); here it is the depth that is cut.
 */
#include "scene.h"
#include "sync/lock.h"

#include <brood/rlock.h>

static int acquire(struct order *order)
{
    return brood_rlock_acquire((brood_rlock){order->id}, BROOD_FOREVER);
}
/* As deep as order.number says. */
static int acquire_deep(struct order *order)
{
    int result = 0;
    for (uint64_t i = 0; i < order->number && result == 0; i++) result = acquire(order);
    return result;
}
static int release(struct order *order)
{
    return brood_rlock_release((brood_rlock){order->id});
}
/* What a mate does: its answer is that of the acquire. */
static int pass(struct order *order)
{
    int result = acquire(order);
    if (result < 0 && result != BROOD_EOWNERDEAD) return result;
    if (brood_rlock_depth((brood_rlock){order->id}) != 1) return NO_RESULT;
    return release(order) < 0 || release(order) != BROOD_EPERM ? NO_RESULT : result;
}
static int make(struct order *order)
{
    brood_rlock lock;
    int result = brood_rlock_new(&lock);
    if (result == 0) order->made = lock.id;
    return result;
}
static int make_deep(struct order *order)
{
    int result = make(order);
    order->id = order->made;
    order->number = 3;
    return result < 0 ? result : acquire_deep(order);
}
static int free_it(struct order *order)
{
    return brood_rlock_free((brood_rlock){order->id});
}

static brood_rlock new_lock(void)
{
    brood_rlock lock = {0};
    expect_is(brood_rlock_new(&lock), 0);
    return lock;
}
static bool held_by(brood_rlock lock, uint32_t member)
{
    struct lock_shm *l = brood__slot_find(TABLE_RLOCK, lock.id);
    return l && ((uint32_t)atomic_load(&l->word) & OS_TID_MASK) == (MEMBER_BIT | member);
}

/* It can be had, with this answer, once; then it goes. */
static void closes(brood_rlock lock, int answer)
{
    expect_is(brood_rlock_acquire(lock, 1000), answer);
    expect_is(brood_rlock_depth(lock), 1);
    expect_is(brood_rlock_acquire(lock, 0), 0);
    expect_is(brood_rlock_release(lock), 0);
    expect_is(brood_rlock_release(lock), 0);
    expect_is(brood_rlock_release(lock), BROOD_EPERM);
    expect_is(brood_rlock_holder(lock), 0);
    expect_is(brood_rlock_free(lock), 0);
}

/* order: how deep it is already; 2 and more: the heir comes before the supervisor */
static void cut_acquire(const struct cut *cut)
{
    brood_rlock lock = new_lock();
    struct victim v;
    victim_prepare(cut->order & 1);
    victim_start(&v, acquire_deep, acquire, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    if (v.ended) expect_is(v.result, 0);
    expect(held || (!v.ended && !(cut->order & 1)));
    if (cut->order & 2) {
        bury_begin(v.proc.member);
        expect_is(brood_rlock_acquire(lock, 1000), held ? BROOD_EOWNERDEAD : 0);
        expect_is(brood_rlock_depth(lock), 1);
        expect_is(brood_rlock_release(lock), 0);
        held = false;
    }
    bury(v.proc.member);
    closes(lock, held ? BROOD_EOWNERDEAD : 0);
}

/* order: how deep it is, less one, while two sleep */
static void cut_release(const struct cut *cut)
{
    brood_rlock lock = new_lock();
    struct victim v;
    victim_prepare(cut->order + 1);
    victim_start(&v, acquire_deep, release, lock.id);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    expect(cut->order > 0 ? held : !held || !v.ended);
    if (held) {
        bury(v.proc.member);
        if (mate_first(0, 2) >= 0) expect_is(mate_result(0) + mate_result(1), BROOD_EOWNERDEAD); /* one is told */
    } else { /* released: both go on though nobody has repaired anything */
        for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
        bury(v.proc.member);
    }
    closes(lock, 0);
}

/* The one that the last release woke dies before it has the lock, or with it. */
static void acquire_woken(const struct cut *cut)
{
    brood_rlock lock = new_lock();
    for (unsigned i = 0; i < 2; i++) expect_is(brood_rlock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, acquire, lock.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, pass, lock.id);
    for (unsigned i = 0; i < 2; i++) expect_is(brood_rlock_release(lock), 0);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    expect(held || !v.ended);
    if (!held) expect_is(mate_result(0), 0); /* the kernel has woken it */
    bury(v.proc.member);
    if (held) expect_is(mate_result(0), BROOD_EOWNERDEAD);
    closes(lock, 0);
}

/* Its owner dies while it frees it: who waits is told that it has gone, and what comes in its place is new. */
static void free_with_sleepers(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make_deep, free_it, 0);
    brood_rlock lock = {v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) {
        int result = mate_result(i);
        expect(result == BROOD_ECLOSED || result == BROOD_ESTALE);
    }
    if (v.ended) bury(v.proc.member);
    next_claim_takes_garbage(TABLE_RLOCK);
    closes(new_lock(), 0);
}

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_RLOCK);
    unsigned before = slots_in_use(TABLE_RLOCK);
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_RLOCK), before);
    if (v.ended) expect_is(brood_rlock_acquire((brood_rlock){v.proc.post->order.made}, 0), BROOD_ECLOSED);
    closes(new_lock(), 0);
}

const struct scene rlock_scenes[] = {
    {"rlock/acquire", cut_acquire, 0, 4},
    {"rlock/acquire-in-thread", cut_acquire, SCENE_THREAD, 4},
    {"rlock/release-two-asleep", cut_release, 0, 2},
    {"rlock/acquire-woken", acquire_woken, 0, 0},
    {"rlock/free-two-asleep", free_with_sleepers, 0, 0},
    {"rlock/new", new_one, 0, 2},
    {NULL, NULL, 0, 0},
};
