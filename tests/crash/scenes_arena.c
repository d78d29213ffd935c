/* SPDX-License-Identifier: MIT */
/*
 * scenes_arena.c - what lies below all objects: pages, slots and the process table.
 *
 * After each cut the words of the pages tile, every used run is its owner's body, no slot is left in between (that is
 * checked after each point, see family_check), and what the dead had can be had again.
 */
#include "arena/member.h"
#include "process/repair.h"
#include "scene.h"

enum { BODY = 3 * PAGE_SIZE };

/* -------------------------------------------------------------------------------------------------------- deeds */

/* order.number: pages of the body; order.made: the handle */
static int make(struct order *order)
{
    uint32_t index;
    int result = brood__slot_claim(TABLE_BUFFER, brood__self->member, NULL, &index);
    if (result < 0) return result;
    result = brood__pages_allocate(TABLE_BUFFER, index, order->number ? order->number : BODY);
    if (result < 0) return result;
    order->made = brood__slot_publish(TABLE_BUFFER, index);
    return 0;
}
static int unmake(struct order *order)
{
    if (!brood__slot_retire(TABLE_BUFFER, order->made)) return BROOD_ESTALE;
    brood__slot_release(TABLE_BUFFER, HANDLE_INDEX(order->made));
    return 0;
}
static int unmake_other(struct order *order)
{
    order->made = order->id;
    return unmake(order);
}
static int claim_slot(struct order *order)
{
    uint32_t index;
    int result = brood__slot_claim(TABLE_LOCK, brood__self->member, NULL, &index);
    if (result == 0) brood__slot_release(TABLE_LOCK, index);
    order->made = index;
    return result;
}
static int claim_member(struct order *order)
{
    uint32_t index;
    int result = brood__member_claim("child", ROLE_PROCESS, BROOD_START_FORK, false, &index);
    order->made = index;
    return result;
}
static int abandon_member(struct order *order)
{
    brood__member_abandon((uint32_t)order->made);
    return 0;
}
static int join(struct order *order)
{
    struct proc proc = {.member = (uint32_t)order->id};
    return proc_join(&proc) ? 0 : BROOD_ESTART;
}
static int collect(struct order *order)
{
    brood__member_collect((uint32_t)order->id);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- pages */

static uint64_t make_here(uint64_t bytes)
{
    struct order order = {.number = bytes};
    expect_is(make(&order), 0);
    return order.made;
}
static void unmake_here(uint64_t id)
{
    struct order order = {.made = id};
    expect_is(unmake(&order), 0);
}

/* order: how what lies beside is used: 1: a run before, 2: a run behind, 4: a hole of just this size */
static void cut_pages(const struct cut *cut, deed_fn *before, deed_fn *deed)
{
    uint64_t first = make_here(PAGE_SIZE), hole = make_here(BODY), last = make_here(2 * PAGE_SIZE);
    if (!(cut->order & 1)) unmake_here(first);
    if (cut->order & 4) unmake_here(hole);
    if (!(cut->order & 2)) unmake_here(last);
    next_claim_takes_garbage(TABLE_BUFFER);
    struct victim v;
    victim_start(&v, before, deed, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    uint64_t other = make_here(BODY); /* and work goes on before the dead is buried */
    bury(v.proc.member);
    expect_is(brood__pages_check(), 0);
    unmake_here(other);
    if (cut->order & 1) unmake_here(first);
    if (!(cut->order & 4)) unmake_here(hole);
    if (cut->order & 2) unmake_here(last);
}

static void pages_allocate(const struct cut *cut)
{
    cut_pages(cut, NULL, make);
}
static void pages_free(const struct cut *cut)
{
    cut_pages(cut, make, unmake);
}

/* A new family has neither slots nor pages: its tables and its heap grow first.  order: 1: for the second time */
static void pages_grow(const struct cut *cut)
{
    uint64_t first = cut->order & 1 ? make_here(BODY) : 0;
    struct victim v;
    victim_start(&v, NULL, make, 0);
    v.proc.post->order.number = 200 * PAGE_SIZE;
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    unmake_here(make_here(200 * PAGE_SIZE));
    expect_is(brood__pages_check(), 0);
    if (first) unmake_here(first);
}

/* The heir of a cut allocation (order 1: of a release) dies over the repair; then another heir. */
static void pages_heir(const struct cut *cut)
{
    uint64_t first = make_here(PAGE_SIZE), second = make_here(BODY), last = make_here(PAGE_SIZE);
    struct victim v, heir;
    victim_start(&v, cut->order & 1 ? make : NULL, cut->order & 1 ? unmake : make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    victim_start(&heir, NULL, unmake_other, second);
    victim_step(&heir, cut->k[1]);
    victim_kill(&heir);
    expect_is(brood__pages_check(), 0);
    struct order order = {.made = second};
    expect(unmake(&order) == 0 || cut->k[1] > 0);
    bury(v.proc.member);
    bury(heir.proc.member);
    expect_is(brood__pages_check(), 0);
    unmake_here(first);
    unmake_here(last);
}

/* --------------------------------------------------------------------------------------------------------- slots */

static void slot_claim(const struct cut *cut)
{
    next_claim_takes_garbage(TABLE_LOCK);
    struct victim v;
    victim_start(&v, NULL, claim_slot, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_LOCK), 0);
    struct order order = {0};
    expect_is(claim_slot(&order), 0);
}

/* Two want the same slot; order: 1: it is garbage; 2: the first dies before the second goes on */
static void slot_two(const struct cut *cut)
{
    uint64_t kept = make_here(BODY);
    unmake_here(kept);
    if (cut->order & 1) next_claim_takes_garbage(TABLE_BUFFER);
    struct victim a, b;
    victim_start(&a, NULL, make, 0);
    victim_start(&b, NULL, make, 0);
    victim_step(&a, cut->k[0]);
    if (cut->order & 2) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    victim_kill(&a);
    expect(a.proc.post->order.made == 0 || a.proc.post->order.made != b.proc.post->order.made);
    bury(a.proc.member);
    bury(b.proc.member);
    expect_is(brood__pages_check(), 0);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    unmake_here(make_here(BODY));
}

/* ------------------------------------------------------------------------------------------------ process table */

static void member_claim(const struct cut *cut)
{
    next_claim_takes_garbage(TABLE_MEMBER);
    unsigned before = slots_in_use(TABLE_MEMBER);
    struct victim v;
    victim_start(&v, NULL, claim_member, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_MEMBER), before);
    struct order order = {0};
    expect_is(claim_member(&order), 0);
    abandon_member(&order);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

static void member_abandon(const struct cut *cut)
{
    unsigned before = slots_in_use(TABLE_MEMBER);
    struct victim v;
    victim_start(&v, claim_member, abandon_member, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/* order: 1: its starter gives up meanwhile: then it must find that out */
static void member_attach(const struct cut *cut)
{
    unsigned before = slots_in_use(TABLE_MEMBER);
    struct victim v;
    victim_start_outside(&v, join, 0);
    uint32_t member = v.proc.member;
    v.proc.post->order.id = member;
    victim_step(&v, cut->k[0]);
    struct slot_shm *slot = brood__slot_at(TABLE_MEMBER, member);
    if (cut->order & 1) {
        brood__member_abandon(member);
        bool live = SLOT_STATE(atomic_load(&slot->word)) == SLOT_LIVE;
        int result = victim_finish(&v);
        expect_is(result, live ? 0 : BROOD_ESTART);
    }
    victim_kill(&v);
    if (SLOT_STATE(atomic_load(&slot->word)) == SLOT_LIVE)
        bury(member);
    else
        brood__member_abandon(member);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/* Two know that a slot is done with; one of them dies over it. */
static void member_collect(const struct cut *cut)
{
    unsigned before = slots_in_use(TABLE_MEMBER);
    mate(3);
    uint32_t dead = mate(3)->member;
    proc_kill(mate(3));
    bury_begin(dead);
    while (!brood__repair_member(dead)) continue;
    atomic_store(&brood__member_at(dead)->repaired, 1);
    atomic_store(&brood__member_at(dead)->released, 1);
    struct victim v;
    victim_start(&v, NULL, collect, dead);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    brood__member_collect(dead);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

const struct scene arena_scenes[] = {
    {"pages/allocate", pages_allocate, 0, 8},   {"pages/free", pages_free, 0, 8},
    {"pages/grow", pages_grow, SCENE_FRESH, 2}, {"pages/heir", pages_heir, SCENE_PAIR, 2},
    {"slot/claim", slot_claim, 0, 0},           {"slot/claim-grows", slot_claim, SCENE_FRESH, 0},
    {"slot/two", slot_two, SCENE_PAIR, 4},      {"member/claim", member_claim, 0, 0},
    {"member/abandon", member_abandon, 0, 0},   {"member/attach", member_attach, 0, 2},
    {"member/collect", member_collect, 0, 0},   {NULL, NULL, 0, 0},
};
