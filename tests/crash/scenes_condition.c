/* SPDX-License-Identifier: MIT */
/*
 * scenes_condition.c - conditions: a notification wakes one that lives, though its giver and its first receiver die; who
 * waits for a word of a holder that dies goes on, and one is told of the death.
 *
 * Order 2: the condition belongs to a plain lock, else to an rlock of its own.
 */
#include "arena/member.h"
#include "scene.h"
#include "sync/condition.h"
#include "sync/lock.h"

#include <brood/buffer.h>
#include <brood/condition.h>
#include <string.h>

enum { PLAIN = 2 };

/* -------------------------------------------------------------------------------------------------------- deeds */

static int acquire(struct order *order)
{
    return brood_condition_acquire((brood_condition){order->id}, BROOD_FOREVER);
}
static int wait_held(struct order *order)
{
    return brood_condition_wait((brood_condition){order->id}, BROOD_FOREVER);
}
static int wait_timed(struct order *order)
{
    return brood_condition_wait((brood_condition){order->id}, 60 * 1000);
}
/* What a mate does: its answer is that of the wait. */
static int pass(struct order *order)
{
    int result = acquire(order);
    if (result == 0) result = wait_held(order);
    if (result < 0 && result != BROOD_EOWNERDEAD) return result;
    return brood_condition_release((brood_condition){order->id}) < 0 ? NO_RESULT : result;
}
static int notify_one(struct order *order)
{
    return brood_condition_notify((brood_condition){order->id}, 1);
}
static int notify_all(struct order *order)
{
    return brood_condition_notify_all((brood_condition){order->id});
}
static int make(struct order *order)
{
    brood_condition condition;
    int result = brood_condition_new(&condition, NULL);
    if (result == 0) order->made = condition.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_condition_free((brood_condition){order->id ? order->id : order->made});
}
static int repair(struct order *order)
{
    while (!brood__lock_repair((uint32_t)order->number) || !brood__condition_repair((uint32_t)order->number)) continue;
    return 0;
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_lock plain;

static brood_condition new_condition(unsigned order)
{
    brood_condition condition = {0};
    brood_condition_options options = {.lock = {0}};
    if (order & PLAIN) expect_is(brood_lock_new(&options.lock), 0);
    plain = options.lock;
    expect_is(brood_condition_new(&condition, &options), 0);
    return condition;
}

static struct condition_shm *look(brood_condition condition)
{
    return brood__slot_find(TABLE_CONDITION, condition.id);
}
static bool held_by(brood_condition condition, uint32_t member)
{
    struct condition_shm *c = look(condition);
    struct lock_shm *l = c ? brood__lock_find(c->lock) : NULL;
    return l && ((uint32_t)atomic_load(&l->word) & OS_TID_MASK) == (MEMBER_BIT | member);
}

/* What the waiter of a member says; 1, which none can say, if there is none. */
static uint32_t said_to(brood_condition condition, uint32_t member)
{
    const struct condition_shm *c = look(condition);
    const struct waiter_shm *w = c ? brood__at(c->slot.body) : NULL;
    for (unsigned i = 0; w && i < BROOD_CONDITION_MOST; i++) {
        uint64_t word = atomic_load(&((struct waiter_shm *)(uintptr_t)w)[i].word);
        if (word && word >> 48 == member) return (uint32_t)word;
    }
    return 1;
}
static bool was_notified(brood_condition condition, uint32_t member)
{
    return said_to(condition, member) == WAITER_NOTIFIED;
}

/* Those that were notified do not sleep at the condition any more, before anybody has repaired anything. */
static void are_on_their_way(brood_condition condition, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!mate_busy(i) || !was_notified(condition, mate(i)->member)) continue;
        int64_t end = now_ms() + 500;
        const struct member_shm *m = brood__member_at(mate(i)->member);
        while (mate_busy(i) && m->waits_for == condition.id && now_ms() < end) brood__os_nap(20 * 1000);
        if (mate_busy(i) && m->waits_for == condition.id) fail("LOST WAKE-UP: mate %u was notified and sleeps", i);
    }
}

static int notify(brood_condition condition, unsigned n)
{
    int first = brood_condition_acquire(condition, 1000);
    expect(first == 0 || first == BROOD_EOWNERDEAD);
    int result = brood_condition_notify(condition, n);
    expect_is(brood_condition_release(condition), 0);
    return result;
}

/* The last word: nobody waits, the lock can be had, with this answer; then they go. */
static void closes(brood_condition condition, int answer)
{
    expect_is(brood_condition_acquire(condition, 1000), answer);
    expect_is(brood_condition_notify_all(condition), 0);
    expect_is(brood_condition_wait(condition, 0), BROOD_EAGAIN);
    expect_is(brood_condition_release(condition), 0);
    expect_is(brood_condition_free(condition), 0);
    if (plain.id) expect_is(brood_lock_free(plain), 0);
    plain.id = 0;
}

/* The pages that the next object gets are not zeroes. */
static void leave_dirt(void)
{
    brood_buffer buffer;
    void *data;
    expect_is(brood_buffer_new(&buffer, 16000, &data), 0);
    memset(data, 0x52, 16000);
    expect_is(brood_buffer_free(buffer), 0);
}

/* No garbage keeps its memory. */
static void nothing_is_left(void)
{
    brood__slot_collect();
    for (uint32_t i = 1; i < brood__table_used(TABLE_CONDITION); i++) {
        struct slot_shm *slot = brood__slot_at(TABLE_CONDITION, i);
        expect(slot->body == 0 || SLOT_STATE(atomic_load(&slot->word)) != SLOT_GARBAGE);
    }
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* ----------------------------------------------------------------------------------------------------------- wait */

/* It dies with the lock, or on its way to sleep; another waits. */
static void wait_cut(const struct cut *cut)
{
    brood_condition c = new_condition(cut->order);
    mate_sends_to_sleep(0, pass, c.id);
    struct victim v;
    victim_start(&v, acquire, cut->order & 1 ? wait_timed : wait_held, c.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    if (held_by(c, v.proc.member)) {
        bury(v.proc.member);
        expect_is(mate_result(0), BROOD_EOWNERDEAD);
    } else {
        expect_is(notify(c, 1), 1); /* whether or not the dead is still there */
        expect_is(mate_result(0), 0);
        bury(v.proc.member);
    }
    closes(c, 0);
}

/* It waited longest and is notified, and dies: before it has returned, another has the notification. */
static void wait_notified(const struct cut *cut)
{
    bool kept = cut->order & 1; /* the notifier keeps the lock meanwhile */
    brood_condition c = new_condition(cut->order);
    struct victim v;
    victim_start(&v, acquire, wait_held, c.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, pass, c.id);
    expect_is(brood_condition_acquire(c, 1000), 0);
    expect_is(brood_condition_notify(c, 1), 1);
    if (!kept) expect_is(brood_condition_release(c), 0);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bool held = held_by(c, v.proc.member);
    expect(held || !v.ended);
    if (kept) expect_is(brood_condition_release(c), 0);
    bury(v.proc.member);
    expect_is(mate_result(0), held ? BROOD_EOWNERDEAD : 0);
    closes(c, 0);
}

/* Its time is up; order: 1: it is notified at that moment. */
static void wait_late(const struct cut *cut)
{
    bool notified = cut->order & 1;
    brood_condition c = new_condition(cut->order);
    struct victim v;
    victim_start(&v, acquire, wait_timed, c.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, pass, c.id);
    victim_times_out(&v);
    if (notified) expect_is(notify(c, 1), 1);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool held = held_by(c, v.proc.member);
    expect(held || !v.ended);
    if (v.ended) expect_is(v.result, notified ? 0 : BROOD_ETIMEDOUT);
    bury(v.proc.member);
    if (!held && !notified) expect_is(notify(c, 2), 1);
    expect_is(mate_result(0), held ? BROOD_EOWNERDEAD : 0);
    closes(c, 0);
}

/* --------------------------------------------------------------------------------------------------------- notify */

/* Whatever it has done, both go on, for it held the lock; whom it has notified is awake without that. */
static void cut_notify(const struct cut *cut, deed_fn *deed)
{
    brood_condition c = new_condition(cut->order);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, c.id);
    struct victim v;
    victim_start(&v, acquire, deed, c.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned told = was_notified(c, mate(0)->member) + was_notified(c, mate(1)->member);
    if (v.ended) expect_is(told, v.result);
    if (v.ended) expect_is(told, deed == notify_all ? 2 : 1);
    are_on_their_way(c, 2);
    if (cut->order & 1) { /* the heir comes before the supervisor, and is none of those who wait */
        bury_begin(v.proc.member);
        expect_is(brood_condition_acquire(c, 1000), BROOD_EOWNERDEAD);
        expect_is(brood_condition_release(c), 0);
    }
    bury(v.proc.member);
    expect_is(mate_result(0) + mate_result(1), cut->order & 1 ? 0 : BROOD_EOWNERDEAD);
    closes(c, 0);
}
static void notify_one_cut(const struct cut *cut)
{
    cut_notify(cut, notify_one);
}
static void notify_all_cut(const struct cut *cut)
{
    cut_notify(cut, notify_all);
}

/* A notifier is cut, and so is the one that it may have woken; order: 1: who is buried first */
static void chain(const struct cut *cut)
{
    brood_condition c = new_condition(cut->order);
    struct victim giver, taker;
    victim_start(&taker, acquire, wait_held, c.id);
    victim_falls_asleep(&taker);
    victim_start(&giver, acquire, notify_one, c.id);
    victim_step(&giver, cut->k[0]);
    victim_kill(&giver);
    bool told = was_notified(c, taker.proc.member);
    if (told) { /* by the giver, or by the kernel for it */
        victim_wakes(&taker, true);
        victim_step(&taker, cut->k[1]);
    }
    victim_kill(&taker);
    bury(cut->order & 1 ? taker.proc.member : giver.proc.member);
    bury(cut->order & 1 ? giver.proc.member : taker.proc.member);
    expect_is(notify(c, 1), 0);
    closes(c, 0);
}

/* Two of three that were notified die; the third, and who comes late, have what is theirs. */
static void two_notified(const struct cut *cut)
{
    brood_condition c = new_condition(cut->order);
    struct victim a, b;
    victim_start(&a, acquire, wait_held, c.id);
    victim_falls_asleep(&a);
    victim_start(&b, acquire, wait_held, c.id);
    victim_falls_asleep(&b);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, c.id);
    expect_is(notify(c, 2), 2);
    victim_wakes(&a, true);
    victim_step(&a, cut->k[0]);
    victim_kill(&a);
    bool first = held_by(c, a.proc.member);
    if (first) bury(a.proc.member); /* and all are told */
    victim_wakes(&b, true);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    bool second = held_by(c, b.proc.member);
    if (!first) bury(a.proc.member);
    bury(b.proc.member);
    int told = (mate_result(0) < 0) + (mate_result(1) < 0), last = brood_condition_acquire(c, 1000);
    expect(last == 0 || last == BROOD_EOWNERDEAD);
    told += last < 0;
    expect(told <= first + second && told + 1 >= first + second); /* b may have been told of a's */
    expect_is(brood_condition_release(c), 0);
    closes(c, 0);
}

/* ---------------------------------------------------------------------------------------------- new, free, repair */

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_CONDITION);
    unsigned locks = slots_in_use(TABLE_RLOCK), conditions = slots_in_use(TABLE_CONDITION);
    leave_dirt();
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    if (v.ended) expect(is_gone(brood_condition_acquire((brood_condition){v.proc.post->order.made}, 0)));
    nothing_is_left();
    next_claim_takes_garbage(TABLE_CONDITION);
    closes(new_condition(0), 0);
    expect_is(slots_in_use(TABLE_RLOCK), locks);
    expect_is(slots_in_use(TABLE_CONDITION), conditions);
}

static void free_with_sleepers(const struct cut *cut)
{
    unsigned locks = slots_in_use(TABLE_RLOCK);
    struct victim v;
    victim_start(&v, make, free_it, 0);
    brood_condition c = {v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, c.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_condition_acquire(c, 0)));
    expect_is(slots_in_use(TABLE_RLOCK), locks);
    next_claim_takes_garbage(TABLE_CONDITION);
    closes(new_condition(0), 0);
}

/* The supervisor dies over the repair. order: 1: the dead was notified and waited, else it held the lock. */
static void repair_cut(const struct cut *cut)
{
    bool waited = cut->order & 1;
    brood_condition c = new_condition(cut->order);
    if (waited) mate_sends_to_sleep(2, pass, c.id);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, pass, c.id);
    uint32_t dead = mate(2)->member;
    if (waited) {
        expect_is(brood_condition_acquire(c, 1000), 0);
        expect_is(brood_condition_notify(c, 1), 1);
    } else {
        mate_do(2, acquire, c.id);
        expect_is(mate_result(2), 0);
    }
    proc_kill(mate(2));
    if (waited) expect_is(brood_condition_release(c), 0);
    bury_begin(dead);
    struct victim v;
    victim_prepare(dead);
    victim_start(&v, NULL, repair, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    are_on_their_way(c, 2);
    bury_again(v.proc.member);
    bury_again(dead);
    if (!waited) {
        expect_is(mate_result(0) + mate_result(1), BROOD_EOWNERDEAD);
    } else {
        int first = mate_first(0, 2), more = notify(c, 2); /* a second one may have been told in its place as well */
        if (first >= 0) expect_is(mate_result(first ? 0 : 1), 0);
        expect(more == 0 || more == 1);
    }
    closes(c, 0);
}

const struct scene condition_scenes[] = {
    {"condition/wait", wait_cut, 0, 4},
    {"condition/wait-spinning", wait_cut, SCENE_SPIN, 4},
    {"condition/wait-notified", wait_notified, 0, 4},
    {"condition/wait-late", wait_late, 0, 4},
    {"condition/notify-two-wait", notify_one_cut, 0, 4},
    {"condition/notify-all-two-wait", notify_all_cut, 0, 4},
    {"condition/chain", chain, SCENE_PAIR, 4},
    {"condition/two-notified", two_notified, SCENE_PAIR, 0},
    {"condition/new", new_one, 0, 2},
    {"condition/free-two-asleep", free_with_sleepers, 0, 0},
    {"condition/repair", repair_cut, 0, 4},
    {NULL, NULL, 0, 0},
};
