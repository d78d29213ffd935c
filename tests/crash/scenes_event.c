/* SPDX-License-Identifier: MIT */
/*
 * scenes_event.c - events: set, whole or not at all, wakes all who wait, though the setter and those it woke die.
 */
#include "scene.h"
#include "sync/event.h"
#include "sync/lock.h"

#include <brood/event.h>

static int set(struct order *order)
{
    return brood_event_set((brood_event){order->id});
}
static int clear(struct order *order)
{
    return brood_event_clear((brood_event){order->id});
}
static int wait_for(struct order *order)
{
    return brood_event_wait((brood_event){order->id}, BROOD_FOREVER);
}
static int wait_timed(struct order *order)
{
    return brood_event_wait((brood_event){order->id}, 60 * 1000);
}
static int make(struct order *order)
{
    brood_event event;
    int result = brood_event_new(&event);
    if (result == 0) order->made = event.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_event_free((brood_event){order->id ? order->id : order->made});
}

static brood_event new_event(void)
{
    brood_event event = {0};
    expect_is(brood_event_new(&event), 0);
    return event;
}

static bool is_set(brood_event event)
{
    struct event_shm *e = brood__slot_find(TABLE_EVENT, event.id);
    return e && ((uint32_t)atomic_load(&e->word) & EVENT_SET);
}

/* It works as ever; then it goes. */
static void closes(brood_event event)
{
    expect_is(brood_event_clear(event), 0);
    expect_is(brood_event_is_set(event), 0);
    expect_is(brood_event_wait(event, 0), BROOD_EAGAIN);
    expect_is(brood_event_set(event), 0);
    expect_is(brood_event_wait(event, 1000), 0);
    expect_is(brood_event_free(event), 0);
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* order: 1: two wait; 2: it is set already, or set and cleared before */
static void cut_change(const struct cut *cut, deed_fn *deed)
{
    brood_event event = new_event();
    unsigned mates = cut->order & 1 ? 2 : 0;
    for (unsigned i = 0; i < mates; i++) mate_sends_to_sleep(i, wait_for, event.id);
    if (cut->order & 2) expect_is(brood_event_set(event), 0);
    struct victim v;
    victim_start(&v, NULL, deed, event.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended || is_set(event) == (deed == set));
    if (deed == set && !(cut->order & 2)) {
        if (!is_set(event)) expect_is(brood_event_set(event), 0);
    }
    if (deed == set || (cut->order & 2))
        for (unsigned i = 0; i < mates; i++) expect_is(mate_result(i), 0);
    if (deed == clear && !(cut->order & 2)) {
        expect_is(brood_event_set(event), 0);
        for (unsigned i = 0; i < mates; i++) expect_is(mate_result(i), 0);
    }
    bury(v.proc.member);
    closes(event);
}

static void change_set(const struct cut *cut)
{
    cut_change(cut, set);
}
static void change_clear(const struct cut *cut)
{
    cut_change(cut, clear);
}

/* It dies on its way to sleep, or asleep. */
static void wait_asleep(const struct cut *cut)
{
    brood_event event = new_event();
    mate_sends_to_sleep(0, wait_for, event.id);
    struct victim v;
    victim_start(&v, NULL, cut->order & 1 ? wait_timed : wait_for, event.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    expect_is(brood_event_set(event), 0);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    closes(event);
}

/* Its time is up; order: 1: the event is set at that moment; 2: it is set from the start, and it does not wait. */
static void wait_late(const struct cut *cut)
{
    brood_event event = new_event();
    mate_sends_to_sleep(0, wait_for, event.id);
    struct victim v;
    victim_start(&v, NULL, wait_timed, event.id);
    if (cut->order == 2) {
        expect_is(brood_event_set(event), 0);
    } else {
        victim_falls_asleep(&v);
        victim_times_out(&v);
    }
    if (cut->order == 1) expect_is(brood_event_set(event), 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, is_set(event) ? 0 : BROOD_ETIMEDOUT);
    if (!cut->order) expect_is(brood_event_set(event), 0);
    expect_is(mate_result(0), 0);
    bury(v.proc.member);
    closes(event);
}

static int ask(struct order *order)
{
    return brood_event_is_set((brood_event){order->id});
}
static void look(const struct cut *cut)
{
    brood_event event = new_event();
    if (cut->order & 1) expect_is(brood_event_set(event), 0);
    struct victim v;
    victim_start(&v, NULL, ask, event.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, cut->order & 1);
    bury(v.proc.member);
    closes(event);
}

/* The setter is cut, and so is the one whom the kernel woke for it; one more waits behind. */
static void chain(const struct cut *cut)
{
    brood_event event = new_event();
    struct victim setter, woken;
    victim_start(&setter, NULL, set, event.id);
    victim_start(&woken, NULL, wait_for, event.id);
    victim_falls_asleep(&woken);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_for, event.id);
    victim_step(&setter, cut->k[0]);
    victim_kill(&setter);
    victim_wakes(&woken, is_set(event));
    victim_step(&woken, cut->k[1]);
    victim_kill(&woken);
    if (!is_set(event)) expect_is(brood_event_set(event), 0);
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
    bury(setter.proc.member);
    bury(woken.proc.member);
    closes(event);
}

/* A setter is stopped while another clears: who waited when it was set is woken, by whichever of them. */
static void set_and_clear(const struct cut *cut)
{
    brood_event event = new_event();
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_for, event.id);
    struct victim a, b;
    victim_start(&a, NULL, set, event.id);
    victim_start(&b, NULL, clear, event.id);
    victim_step(&a, cut->k[0]);
    bool was_set = is_set(event);
    victim_step(&b, cut->k[1]);
    if (cut->order & 1) {
        victim_kill(&a);
        victim_kill(&b);
    } else {
        victim_kill(&b);
        victim_kill(&a);
    }
    if (!was_set) expect_is(brood_event_set(event), 0);
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), 0);
    bury(a.proc.member);
    bury(b.proc.member);
    closes(event);
}

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_EVENT);
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (v.ended) expect_is(brood_event_is_set((brood_event){v.proc.post->order.made}), BROOD_ECLOSED);
    closes(new_event());
}

/* order: 1: its owner dies; a new one is made in its place, and the victim is the maker */
static void free_with_sleepers(const struct cut *cut)
{
    bool reused = cut->order & 1;
    struct victim v;
    if (reused) {
        mate_do(2, make, 0);
        expect_is(mate_result(2), 0);
        victim_start(&v, NULL, make, 0);
    } else {
        victim_start(&v, make, free_it, 0);
    }
    brood_event event = {reused ? mate(2)->post->order.made : v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_for, event.id);
    uint32_t owner = reused ? mate(2)->member : 0;
    struct slot_shm *slot = brood__slot_find(TABLE_EVENT, event.id);
    if (reused && slot) {
        proc_kill(mate(2));
        bury_begin(owner);
        uint64_t word = atomic_load(&slot->word);
        atomic_store(&slot->word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
        next_claim_takes_garbage(TABLE_EVENT);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    if (reused) bury(owner);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_event_is_set(event)));
}

const struct scene event_scenes[] = {
    {"event/set", change_set, 0, 4},
    {"event/clear", change_clear, 0, 4},
    {"event/wait", wait_asleep, 0, 2},
    {"event/wait-spinning", wait_asleep, SCENE_SPIN, 2},
    {"event/chain", chain, SCENE_PAIR, 0},
    {"event/set-and-clear", set_and_clear, SCENE_PAIR, 2},
    {"event/wait-late", wait_late, 0, 3},
    {"event/is-set", look, 0, 2},
    {"event/set-in-thread", change_set, SCENE_THREAD, 4},
    {"event/chain-in-threads", chain, SCENE_PAIR | SCENE_THREAD, 0},
    {"event/new", new_one, 0, 2},
    {"event/free-two-asleep", free_with_sleepers, 0, 2},
    {NULL, NULL, 0, 0},
};
