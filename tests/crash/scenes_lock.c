/* SPDX-License-Identifier: MIT */
/*
 * scenes_lock.c - locks: a dead holder is told to the next one, once; a lock that is free wakes who waits for it.
 *
 * The victim acquires, releases (its own, another's), makes, frees; alone or with two asleep; also as the one that was
 * woken.  Whether a release is committed is read off the lock's word.
 */
#include "scene.h"
#include "sync/lock.h"

#include <brood/lock.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int acquire(struct order *order)
{
    return brood_lock_acquire((brood_lock){order->id}, BROOD_FOREVER);
}
static int acquire_timed(struct order *order)
{
    return brood_lock_acquire((brood_lock){order->id}, 60 * 1000);
}
static int attempt(struct order *order)
{
    return brood_lock_acquire((brood_lock){order->id}, 0);
}
static int acquire_checked(struct order *order)
{
    return brood_lock_acquire_checked((brood_lock){order->id}, BROOD_FOREVER);
}
static int release(struct order *order)
{
    return brood_lock_release((brood_lock){order->id});
}
/* What a mate does: its answer is that of the acquire. */
static int pass(struct order *order)
{
    int result = acquire(order);
    if (result < 0 && result != BROOD_EOWNERDEAD) return result;
    return release(order) < 0 ? NO_RESULT : result;
}
static int make(struct order *order)
{
    brood_lock lock;
    int result = brood_lock_new(&lock);
    if (result == 0) order->made = lock.id;
    return result;
}
static int make_held(struct order *order)
{
    int result = make(order);
    if (result == 0) order->id = order->made;
    return result < 0 ? result : acquire(order);
}
static int free_it(struct order *order)
{
    return brood_lock_free((brood_lock){order->id});
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_lock new_lock(void)
{
    brood_lock lock = {0};
    expect_is(brood_lock_new(&lock), 0);
    return lock;
}

static uint32_t holder(brood_lock lock)
{
    struct lock_shm *l = brood__slot_find(TABLE_LOCK, lock.id);
    return l ? (uint32_t)atomic_load(&l->word) & OS_TID_MASK : 0;
}
static bool held_by(brood_lock lock, uint32_t member)
{
    return holder(lock) == (MEMBER_BIT | member);
}

/* The last word on a lock: it can be had, with this answer; then it goes. */
static void closes(brood_lock lock, int answer)
{
    expect_is(brood_lock_acquire(lock, 1000), answer);
    expect_is(brood_lock_release(lock), 0);
    expect_is(holder(lock), 0);
    expect_is(brood_lock_free(lock), 0);
}

/* ------------------------------------------------------------------------------------------------------- acquire */

static void cut_acquire(const struct cut *cut, deed_fn *deed)
{
    brood_lock lock = new_lock();
    struct victim v;
    victim_start(&v, NULL, deed, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    if (v.ended) expect_is(v.result, 0);
    expect(held || !v.ended);
    if (!held) expect_is(holder(lock), 0);
    if (cut->order & 1) { /* who comes before the supervisor has been there is told as well */
        bury_begin(v.proc.member);
        expect_is(brood_lock_acquire(lock, 1000), held ? BROOD_EOWNERDEAD : 0);
        expect_is(brood_lock_release(lock), 0);
        held = false;
    }
    bury(v.proc.member);
    closes(lock, held ? BROOD_EOWNERDEAD : 0);
}

static void acquire_free(const struct cut *cut)
{
    cut_acquire(cut, acquire);
}
static void acquire_attempt(const struct cut *cut)
{
    cut_acquire(cut, attempt);
}

/* It dies on its way to sleep, or asleep: who sleeps behind it is not forgotten. */
static void acquire_held(const struct cut *cut)
{
    brood_lock lock = new_lock();
    expect_is(brood_lock_acquire(lock, 0), 0);
    mate_sends_to_sleep(0, pass, lock.id);
    struct victim v;
    victim_start(&v, NULL, cut->order & 1 ? acquire_timed : acquire, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    expect(held_by(lock, brood__self->member));
    expect_is(brood_lock_release(lock), 0);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    closes(lock, 0);
}

/* It dies being told of a deadlock, of its own: the next one is told of its, and who waits for the dead, of the death. */
static void acquire_in_circle(const struct cut *cut)
{
    brood_lock lock = new_lock(), mine = new_lock();
    expect_is(brood_lock_acquire(mine, 0), 0);
    struct victim v;
    victim_start(&v, acquire, acquire_checked, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, BROOD_EDEADLK);
    expect(held_by(lock, v.proc.member));
    expect_is(brood_deadlock_find(NULL, 0), 0);
    expect_is(brood_lock_acquire_checked(mine, BROOD_FOREVER), BROOD_EDEADLK);
    if (cut->order & 1) expect_is(brood_lock_acquire_checked(lock, 5), BROOD_ETIMEDOUT);
    bury(v.proc.member);
    expect_is(brood_lock_release(mine), 0);
    closes(mine, 0);
    closes(lock, BROOD_EOWNERDEAD);
}

/* The one that a release woke dies before it has the lock, or with it. */
static void acquire_woken(const struct cut *cut)
{
    brood_lock lock = new_lock();
    expect_is(brood_lock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, acquire, lock.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, pass, lock.id);
    expect_is(brood_lock_release(lock), 0);
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

/* Another takes the lock before the woken one can, and the woken one dies: its wake-up is the next sleeper's. */
static void acquire_overtaken(const struct cut *cut)
{
    brood_lock lock = new_lock();
    expect_is(brood_lock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, acquire, lock.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, pass, lock.id);
    expect_is(brood_lock_release(lock), 0);
    victim_wakes(&v, true);
    bool ours = brood_lock_acquire(lock, 0) == 0;
    expect(ours);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    if (ours) expect_is(brood_lock_release(lock), 0);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    closes(lock, 0);
}

/* ------------------------------------------------------------------------------------------------------- release */

/* The dead held it: of the mate and who comes last one is told (the mate may have had it before the dead). */
static void told_once(brood_lock lock, bool dead_held)
{
    int first = mate_result(0), last = brood_lock_acquire(lock, 1000);
    expect(first == 0 || first == BROOD_EOWNERDEAD);
    expect(last == 0 || last == BROOD_EOWNERDEAD);
    expect_is((first < 0) + (last < 0), dead_held);
    expect_is(brood_lock_release(lock), 0);
    closes(lock, 0);
}

/* It dies when its time is up; order: 1: another sleeps behind it; 2: the lock is released at that moment. */
static void acquire_late(const struct cut *cut)
{
    bool behind = cut->order & 1, released = cut->order & 2;
    brood_lock lock = new_lock();
    expect_is(brood_lock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, acquire_timed, lock.id);
    victim_falls_asleep(&v);
    if (behind) mate_sends_to_sleep(0, pass, lock.id);
    victim_times_out(&v);
    if (released) expect_is(brood_lock_release(lock), 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    expect(!held || released);
    if (v.ended) expect(v.result == (held ? 0 : BROOD_ETIMEDOUT));
    if (!released) expect_is(brood_lock_release(lock), 0);
    if (!held && behind) expect_is(mate_result(0), 0);
    bury(v.proc.member);
    if (behind)
        told_once(lock, held);
    else
        closes(lock, held ? BROOD_EOWNERDEAD : 0);
}

static void release_own(const struct cut *cut)
{
    brood_lock lock = new_lock();
    struct victim v;
    victim_start(&v, acquire, release, lock.id);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    expect(!held || !v.ended);
    if (held) {
        bury(v.proc.member);
        int first = mate_first(0, 2);
        if (first >= 0) {
            int a = mate_result(0), b = mate_result(1);
            expect(a + b == BROOD_EOWNERDEAD); /* one of them is told */
        }
    } else { /* released: both go on though nobody has repaired anything */
        expect_is(mate_result(0), 0);
        expect_is(mate_result(1), 0);
        bury(v.proc.member);
    }
    closes(lock, 0);
}

static void release_foreign(const struct cut *cut)
{
    brood_lock lock = new_lock();
    expect_is(brood_lock_acquire(lock, 0), 0);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, lock.id);
    struct victim v;
    victim_start(&v, NULL, release, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (held_by(lock, brood__self->member)) {
        expect(!v.ended);
        expect_is(brood_lock_release(lock), 0);
    }
    expect_is(mate_result(0), 0);
    expect_is(mate_result(1), 0);
    bury(v.proc.member);
    closes(lock, 0);
}

static void release_alone(const struct cut *cut)
{
    brood_lock lock = new_lock();
    struct victim v;
    victim_start(&v, acquire, release, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(lock, v.proc.member);
    expect(!held || !v.ended);
    bury(v.proc.member);
    closes(lock, held ? BROOD_EOWNERDEAD : 0);
}

/* order.id, order.number: two locks. */
static int acquire_both(struct order *order)
{
    int result = acquire(order);
    return result < 0 ? result : brood_lock_acquire((brood_lock){order->number}, 0);
}
static int acquire_third(struct order *order)
{
    return brood_lock_acquire((brood_lock){order->made}, BROOD_FOREVER);
}

/* It holds two, and others sleep at each; order: 1: it falls asleep at a third, else it releases the first. */
static void two_held(const struct cut *cut)
{
    bool third = cut->order & 1;
    brood_lock locks[3] = {new_lock(), new_lock(), new_lock()};
    expect_is(brood_lock_acquire(locks[2], 0), 0);
    struct victim v;
    victim_prepare(locks[1].id);
    victim_start(&v, acquire_both, third ? acquire_third : release, locks[0].id);
    v.proc.post->order.made = locks[2].id;
    for (unsigned i = 0; i < 4; i++) mate_sends_to_sleep(i, pass, locks[i / 2].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool first = held_by(locks[0], v.proc.member);
    expect(held_by(locks[1], v.proc.member));
    expect(third ? first : !first || !v.ended);
    if (!first)
        for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
    bury(v.proc.member);
    for (unsigned i = first ? 0 : 1; i < 2; i++) {
        int a = mate_result(2 * i), b = mate_result(2 * i + 1);
        expect(a + b == BROOD_EOWNERDEAD); /* of each lock one is told */
    }
    expect_is(brood_lock_release(locks[2]), 0);
    for (unsigned i = 0; i < 3; i++) closes(locks[i], 0);
}

/* Its questions leave nothing. */
static int ask(struct order *order)
{
    return brood_lock_holder((brood_lock){order->id});
}
static void look(const struct cut *cut)
{
    brood_lock lock = new_lock();
    if (cut->order & 1) expect_is(brood_lock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, ask, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, cut->order & 1 ? getpid() : 0);
    if (cut->order & 1) expect_is(brood_lock_release(lock), 0);
    bury(v.proc.member);
    closes(lock, 0);
}

/* A release is cut; whom the kernel wakes for it is cut as well; the one behind must have the lock, or be told. */
static void chain(const struct cut *cut)
{
    brood_lock lock = new_lock();
    struct victim releaser, woken;
    victim_start(&releaser, acquire, release, lock.id);
    victim_start(&woken, NULL, acquire, lock.id);
    victim_falls_asleep(&woken);
    mate_sends_to_sleep(0, pass, lock.id);
    victim_step(&releaser, cut->k[0]);
    victim_kill(&releaser);
    bool not_released = held_by(lock, releaser.proc.member);
    if (not_released) bury(releaser.proc.member);
    victim_wakes(&woken, true);
    victim_step(&woken, cut->k[1]);
    victim_kill(&woken);
    bool held = held_by(lock, woken.proc.member);
    if (!held) {
        int result = mate_result(0);
        expect(result == 0 || (not_released && result == BROOD_EOWNERDEAD));
    }
    bury(woken.proc.member);
    if (!not_released) bury(releaser.proc.member);
    if (not_released && !held)
        closes(lock, 0);
    else
        told_once(lock, held);
}

/* Two at once inside: one releases, the other releases too or acquires; one is asleep behind. */
static void two_at_once(const struct cut *cut)
{
    brood_lock lock = new_lock();
    struct victim a, b;
    victim_start(&a, acquire, release, lock.id);
    mate_sends_to_sleep(0, pass, lock.id);
    victim_start(&b, NULL, cut->order & 2 ? acquire : release, lock.id);
    victim_step(&a, cut->k[0]);
    victim_step(&b, cut->k[1]);
    victim_kill(cut->order & 1 ? &a : &b);
    victim_kill(cut->order & 1 ? &b : &a);
    bool held = held_by(lock, a.proc.member) || held_by(lock, b.proc.member);
    if (!held) expect_is(mate_result(0), 0);
    bury(a.proc.member);
    bury(b.proc.member);
    told_once(lock, held);
}

/* ------------------------------------------------------------------------------------------------- new and free */

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_LOCK);
    unsigned before = slots_in_use(TABLE_LOCK);
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    brood_lock made = {v.ended ? v.proc.post->order.made : 0};
    if (v.ended) expect_is(brood_lock_holder(made), 0);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_LOCK), before);
    if (v.ended) expect_is(brood_lock_acquire(made, 0), BROOD_ECLOSED);
    closes(new_lock(), 0);
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* Its owner dies while it frees it: who waits is told that it has gone. */
static void free_with_sleepers(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make_held, free_it, 0);
    brood_lock lock = {v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, lock.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_lock_acquire(lock, 0)));
}

/* A lock whose owner has died becomes another's before anybody has told those who wait for the old one. */
static void garbage_reused(const struct cut *cut)
{
    mate_do(2, make_held, 0);
    expect_is(mate_result(2), 0);
    brood_lock lock = {mate(2)->post->order.made};
    uint32_t owner = mate(2)->member;
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, lock.id);
    struct slot_shm *slot = brood__slot_find(TABLE_LOCK, lock.id);
    if (!slot) {
        fail("no lock");
        return;
    }
    proc_kill(mate(2));
    bury_begin(owner);
    /* the sweep's first step, and a moment in which nothing more has been done */
    uint64_t word = atomic_load(&slot->word);
    atomic_store(&slot->word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
    next_claim_takes_garbage(TABLE_LOCK);
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    if (v.ended) {
        bury(owner);
        for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    }
    victim_kill(&v);
    bury(v.proc.member);
    if (!v.ended) bury(owner);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
}

const struct scene lock_scenes[] = {
    {"lock/acquire", acquire_free, 0, 2},
    {"lock/acquire-attempt", acquire_attempt, 0, 2},
    {"lock/acquire-held", acquire_held, 0, 2},
    {"lock/acquire-held-spinning", acquire_held, SCENE_SPIN, 2},
    {"lock/acquire-in-circle", acquire_in_circle, 0, 2},
    {"lock/acquire-woken", acquire_woken, 0, 0},
    {"lock/acquire-overtaken", acquire_overtaken, 0, 0},
    {"lock/release-alone", release_alone, 0, 0},
    {"lock/release-own-two-asleep", release_own, 0, 0},
    {"lock/release-foreign-two-asleep", release_foreign, 0, 0},
    {"lock/chain", chain, SCENE_PAIR, 0},
    {"lock/two-at-once", two_at_once, SCENE_PAIR, 4},
    {"lock/acquire-late", acquire_late, 0, 4},
    {"lock/two-held", two_held, 0, 2},
    {"lock/holder", look, 0, 2},
    {"lock/acquire-in-thread", acquire_free, SCENE_THREAD, 2},
    {"lock/acquire-woken-in-thread", acquire_woken, SCENE_THREAD, 0},
    {"lock/release-own-in-thread", release_own, SCENE_THREAD, 0},
    {"lock/chain-in-threads", chain, SCENE_PAIR | SCENE_THREAD, 0},
    {"lock/new", new_one, 0, 2},
    {"lock/free-two-asleep", free_with_sleepers, 0, 0},
    {"lock/garbage-reused", garbage_reused, 0, 0},
    {NULL, NULL, 0, 0},
};
