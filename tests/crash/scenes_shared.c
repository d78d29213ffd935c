/* SPDX-License-Identifier: MIT */
/*
 * scenes_shared.c - values, arrays and scopes: nothing of the dead stays, an addition is there or not, and bytes that a
 * call looks at are not another object's before it ends.
 */
#include "arena/member.h"
#include "scene.h"
#include "shared/shared.h"

#include <brood/value.h>

enum { LARGE = 3000 }; /* more than lies in a slot */

/* -------------------------------------------------------------------------------------------------------- deeds */

static int make(struct order *order)
{
    brood_value value = {0};
    brood_value_options options = {.lock = true, .scope = {order->id}};
    int result = brood_value_make(&value, order->number ? LARGE : 4, BROOD_KIND_SIGNED, &options);
    order->made = value.id;
    return result;
}
static int make_and_hold(struct order *order)
{
    int result = make(order);
    return result < 0 ? result : brood_value_acquire((brood_value){order->made}, 0);
}
static int free_made(struct order *order)
{
    return brood_value_free((brood_value){order->made});
}
static int add(struct order *order)
{
    int64_t now = 0;
    int result = brood_value_add((brood_value){order->id}, 1, &now);
    order->made = (uint64_t)now;
    return result;
}
static int acquire(struct order *order)
{
    return brood_value_acquire((brood_value){order->id}, BROOD_FOREVER);
}
static int begin(struct order *order)
{
    brood_scope scope;
    int result = brood_scope_begin(&scope);
    order->made = scope.id;
    return result;
}
/* With a value that has a lock, one without, and a large one. */
static int begin_with_some(struct order *order)
{
    int result = begin(order);
    struct order inner = {.id = order->made};
    for (inner.number = 0; inner.number < 2 && result == 0; inner.number++) result = make(&inner);
    return result;
}
static int end(struct order *order)
{
    return brood_scope_end((brood_scope){order->id ? order->id : order->made});
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_value new_value(bool large)
{
    brood_value value = {0};
    next_claim_takes_garbage(TABLE_SHARED);
    expect_is(brood_value_make(&value, large ? LARGE : 4, BROOD_KIND_SIGNED, NULL), 0);
    return value;
}
static int content(brood_value value)
{
    const int *x = brood_value_data(value, int);
    return x ? *x : -1;
}
static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}
static unsigned live(enum table table)
{
    return slots_in_use(table);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

/* order: 1: where garbage is; 2: with a body */
static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_SHARED);
    struct victim v;
    victim_prepare(cut->order & 2);
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_LOCK), 0);
    brood_value value = new_value(cut->order & 2);
    expect_is(brood_value_free(value), 0);
}

/* One that is held, whose lock two wait for; order: 1: its maker dies instead, and somebody claims the place */
static void free_with_sleepers(const struct cut *cut)
{
    bool reused = cut->order & 1;
    struct victim v;
    if (reused) {
        mate_do(2, make_and_hold, 0);
        expect_is(mate_result(2), 0);
        victim_start(&v, NULL, make, 0);
    } else {
        victim_start(&v, make_and_hold, free_made, 0);
    }
    brood_value value = {reused ? mate(2)->post->order.made : v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, value.id);
    uint32_t owner = reused ? mate(2)->member : 0;
    struct slot_shm *slot = brood__slot_find(TABLE_SHARED, value.id);
    if (reused && slot) {
        proc_kill(mate(2));
        bury_begin(owner);
        uint64_t word = atomic_load(&slot->word);
        atomic_store(&slot->word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
        next_claim_takes_garbage(TABLE_SHARED);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (reused) bury(owner);
    for (unsigned i = 0; i < 2; i++) {
        int result = mate_result(i);
        expect(is_gone(result) || result == BROOD_EOWNERDEAD); /* it may get the lock before that goes */
    }
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_LOCK), 0);
    expect(is_gone(brood_value_acquire(value, 0)));
}

static void add_one(const struct cut *cut)
{
    brood_value value = new_value(false), next;
    struct victim v;
    victim_start(&v, NULL, add, value.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    int now = content(value);
    expect(now == 1 || (now == 0 && !v.ended));
    expect_is(brood_value_free(value), 0);
    expect_is(content(value), -1);
    bury(v.proc.member);
    next = new_value(false); /* nobody is inside any more, so the place can be had */
    expect_is(HANDLE_INDEX(next.id), HANDLE_INDEX(value.id));
    expect_is(content(next), 0);
    expect_is(brood_value_free(next), 0);
}

/* It stands still inside while the value goes, and another is made. */
static void add_stalled(const struct cut *cut)
{
    brood_value value = new_value(false);
    struct victim v;
    victim_start(&v, NULL, add, value.id);
    victim_step(&v, cut->k[0]);
    bool ended = v.ended;
    expect_is(brood_value_free(value), 0);
    brood_value next[3];
    for (unsigned i = 0; i < 3; i++) next[i] = new_value(false);
    int result = victim_finish(&v);
    expect(result == 0 || (!ended && is_gone(result)));
    for (unsigned i = 0; i < 3; i++) {
        expect_is(content(next[i]), 0);
        expect_is(brood_value_free(next[i]), 0);
    }
    victim_kill(&v);
    bury(v.proc.member);
}

static void scope_begin(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, NULL, begin, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(live(TABLE_SCOPE), 0);
}

/* order: 1: the scope is another's */
static void scope_end(const struct cut *cut)
{
    struct victim v;
    if (cut->order & 1) {
        mate_do(0, begin_with_some, 0);
        expect_is(mate_result(0), 0);
        victim_start(&v, NULL, end, mate(0)->post->order.made);
    } else {
        victim_start(&v, begin_with_some, end, 0);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned scopes = live(TABLE_SCOPE);
    bury(v.proc.member);
    if ((cut->order & 1) && live(TABLE_SHARED)) { /* it had not begun: the owner can still */
        expect_is(scopes, 1);
        expect_is(brood_scope_end((brood_scope){mate(0)->post->order.made}), 0);
    }
    expect_is(live(TABLE_SCOPE), 0);
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_LOCK), 0);
}

/* The victim makes a value through a scope of ours; order: 1: which ends while it stands still there, and it goes on */
static void scope_make(const struct cut *cut)
{
    brood_scope scope = {0};
    expect_is(brood_scope_begin(&scope), 0);
    struct victim v;
    victim_prepare(0);
    victim_start(&v, NULL, make, scope.id);
    victim_step(&v, cut->k[0]);
    if (cut->order & 1) {
        expect_is(brood_scope_end(scope), 0);
        int result = victim_finish(&v);
        expect(is_gone(result) || result == 0); /* it may be made before the end, which frees it */
        expect_is(live(TABLE_SHARED), 0);
        victim_kill(&v);
        bury(v.proc.member);
    } else {
        victim_kill(&v);
        bury(v.proc.member);
        expect(!v.ended || live(TABLE_SHARED) == 1);
        expect_is(brood_scope_end(scope), 0);
    }
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_LOCK), 0);
}

/* The scope ends while the victim stands still in making a value, and it dies there. */
static void scope_make_dies(const struct cut *cut)
{
    brood_scope scope = {0};
    expect_is(brood_scope_begin(&scope), 0);
    struct victim v;
    victim_prepare(0);
    victim_start(&v, NULL, make, scope.id);
    victim_step(&v, cut->k[0]);
    expect_is(brood_scope_end(scope), 0);
    if (cut->order & 1) victim_step(&v, cut->k[0] + 40);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_LOCK), 0);
}

/* The supervisor dies over the death of one that had a value that is held, one of a scope of its own, and the scope. */
static int have_all(struct order *order)
{
    struct order value = {0};
    int result = make_and_hold(&value);
    order->made = value.made;
    struct order scope = {0};
    return result < 0 ? result : begin_with_some(&scope);
}

static void repair(const struct cut *cut)
{
    mate_do(2, have_all, 0);
    expect_is(mate_result(2), 0);
    brood_value value = {mate(2)->post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, acquire, value.id);
    uint32_t dead = mate(2)->member;
    proc_kill(mate(2));
    bury_begin(dead);
    struct victim v;
    victim_prepare(dead);
    victim_start(&v, NULL, supervise, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    bury_again(dead);
    for (unsigned i = 0; i < 2; i++) {
        int result = mate_result(i);
        expect(is_gone(result) || result == BROOD_EOWNERDEAD);
    }
    bury_end(dead);
    expect_is(live(TABLE_SHARED), 0);
    expect_is(live(TABLE_SCOPE), 0);
    expect_is(live(TABLE_LOCK), 0);
}

const struct scene shared_scenes[] = {
    {"value/new", new_one, 0, 4},
    {"value/free-two-asleep", free_with_sleepers, 0, 2},
    {"value/add", add_one, 0, 0},
    {"value/add-stalled", add_stalled, 0, 0},
    {"value/repair", repair, 0, 0},
    {"scope/begin", scope_begin, 0, 0},
    {"scope/end", scope_end, 0, 2},
    {"scope/make", scope_make, 0, 2},
    {"scope/make-dies", scope_make_dies, 0, 2},
    {NULL, NULL, 0, 0},
};
