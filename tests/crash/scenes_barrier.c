/* SPDX-License-Identifier: MIT */
/*
 * scenes_barrier.c - barriers: a round is complete for all or for none, whoever dies in it breaks it, and nobody sleeps
 * at one that is complete, broken or gone.
 */
#include "scene.h"
#include "sync/barrier.h"

#include <brood/barrier.h>
#include <brood/buffer.h>
#include <string.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int wait_here(struct order *order)
{
    return brood_barrier_wait((brood_barrier){order->id}, BROOD_FOREVER);
}
static int wait_timed(struct order *order)
{
    return brood_barrier_wait((brood_barrier){order->id}, 60 * 1000);
}
/* A party of a barrier of one, which it is known at then: order.number. */
static int become_known(struct order *order)
{
    return order->number ? brood_barrier_wait((brood_barrier){order->number}, 0) : 0;
}
static int abort_it(struct order *order)
{
    return brood_barrier_abort((brood_barrier){order->id});
}
static int reset_it(struct order *order)
{
    return brood_barrier_reset((brood_barrier){order->id});
}
static int ask(struct order *order)
{
    return brood_barrier_waiting((brood_barrier){order->id});
}
static int make(struct order *order)
{
    brood_barrier barrier;
    int result = brood_barrier_new(&barrier, 3, NULL);
    if (result == 0) order->made = barrier.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_barrier_free((brood_barrier){order->id ? order->id : order->made});
}
static int repair(struct order *order)
{
    while (!brood__barrier_repair((uint32_t)order->number)) continue;
    return 0;
}

BROOD_TASK(count_round, int, brood_barrier, inner)
{
    return brood_barrier_wait(inner, 0); /* another call of the library's, in which it may die */
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_barrier new_barrier(unsigned parties)
{
    brood_barrier barrier = {0};
    if (parties & 1) next_claim_takes_garbage(TABLE_BARRIER);
    expect_is(brood_barrier_new(&barrier, parties, NULL), 0);
    return barrier;
}
static struct barrier_shm *look(brood_barrier barrier)
{
    return brood__slot_find(TABLE_BARRIER, barrier.id);
}
static uint32_t round_of(brood_barrier barrier)
{
    struct barrier_shm *b = look(barrier);
    return b ? (uint32_t)(atomic_load(&b->state) >> 32) : 0;
}
static enum barrier_status status_of(brood_barrier barrier)
{
    struct barrier_shm *b = look(barrier);
    return b ? (enum barrier_status)(atomic_load(&b->state) & 0xff) : BARRIER_FILLING;
}
/* What the places of a member say: the most of it. */
static enum barrier_place place_of(brood_barrier barrier, uint32_t member)
{
    const struct barrier_shm *b = look(barrier);
    const uint64_t *places = b ? brood__at(b->slot.body) : NULL;
    enum barrier_place most = PLACE_UNUSED;
    for (uint32_t i = 0; places && i < b->places; i++) {
        enum barrier_place kind = (enum barrier_place)(places[i] >> 16 & 0xffff);
        if (places[i] && (places[i] & 0xffff) == member && kind > most) most = kind;
    }
    return most;
}

/* The last word: made whole, it lets one round through; then it goes. */
static void closes(brood_barrier barrier)
{
    struct barrier_shm *b = look(barrier);
    expect_is(brood_barrier_reset(barrier), 0);
    expect_is(brood_barrier_broken(barrier), 0);
    expect_is(brood_barrier_waiting(barrier), 0);
    if (b && !failing()) {
        for (unsigned i = 0; i + 1 < b->parties; i++) mate_sends_to_sleep(i, wait_here, barrier.id);
        expect_is(brood_barrier_wait(barrier, 0), b->parties - 1);
        for (unsigned i = 0; i + 1 < b->parties; i++) expect_is(mate_result(i), i);
    }
    expect_is(brood_barrier_free(barrier), 0);
    brood__slot_collect();
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
    for (uint32_t i = 1; i < brood__table_used(TABLE_BARRIER); i++) {
        struct slot_shm *slot = brood__slot_at(TABLE_BARRIER, i);
        expect(slot->body == 0 || SLOT_STATE(atomic_load(&slot->word)) != SLOT_GARBAGE);
    }
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

static void all_get(unsigned n, int answer)
{
    for (unsigned i = 0; i < n; i++) expect_is(mate_result(i), answer);
}
static void all_go_through(unsigned n)
{
    for (unsigned i = 0; i < n; i++) expect_is(mate_result(i), i);
}

/* --------------------------------------------------------------------------------------------------------- coming */

/* It comes, not as the last, and dies: that breaks the barrier, if it has come.  order: 1: with a timeout */
static void come_cut(const struct cut *cut)
{
    brood_barrier b = new_barrier(3);
    mate_sends_to_sleep(0, wait_here, b.id);
    struct victim v;
    victim_start(&v, NULL, cut->order & 1 ? wait_timed : wait_here, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    bool came = place_of(b, v.proc.member) == PLACE_WAITS;
    expect_is(status_of(b), BARRIER_FILLING);
    bury(v.proc.member);
    expect_is(brood_barrier_broken(b), came);
    if (!came) {
        mate_sends_to_sleep(1, wait_here, b.id);
        expect_is(brood_barrier_wait(b, 0), 2);
        expect_is(mate_result(1), 1);
    }
    expect_is(mate_result(0), came ? BROOD_EBROKEN : 0);
    closes(b);
}

/* It comes as the last: all go on, before anybody repairs anything, or the barrier breaks if it has left its mark. */
static void last_cut(const struct cut *cut)
{
    brood_barrier b = new_barrier(3);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_here, b.id);
    struct victim v;
    victim_start(&v, NULL, wait_here, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool complete = round_of(b) == 1, known = place_of(b, v.proc.member) != PLACE_UNUSED;
    if (v.ended) expect_is(v.result, 2);
    expect(complete || !v.ended);
    if (complete) all_go_through(2);
    bury(v.proc.member);
    expect_is(brood_barrier_broken(b), known);
    if (!complete && known) all_get(2, BROOD_EBROKEN);
    if (!complete && !known) {
        expect_is(brood_barrier_wait(b, 0), 2);
        all_go_through(2);
    }
    closes(b);
}

/* The same with an action, in which it may die too; order: 1: in a party that ends the round for one that does not act */
static void action_cut(const struct cut *cut)
{
    brood_barrier inner = new_barrier(1), b = {0};
    brood_barrier_options options = {.action = BROOD_TASK_OF(count_round), .action_arg = &inner};
    expect_is(brood_barrier_new(&b, 3, &options), 0);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_here, b.id);
    struct victim v;
    victim_start(&v, NULL, wait_here, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool complete = round_of(b) == 1, known = place_of(b, v.proc.member) != PLACE_UNUSED;
    unsigned acted = round_of(inner);
    if (v.ended) expect_is(v.result, 2);
    expect(acted <= 1 && (acted == 1 || !complete) && (complete || !v.ended));
    if (complete) all_go_through(2);
    bury(v.proc.member);
    expect_is(brood_barrier_broken(b), known);
    if (!complete && known) all_get(2, BROOD_EBROKEN);
    if (!complete && !known) {
        expect_is(brood_barrier_wait(b, 0), 2);
        all_go_through(2);
    }
    if (brood_barrier_broken(inner)) expect_is(brood_barrier_reset(inner), 0);
    closes(b);
    expect_is(brood_barrier_free(inner), 0);
    brood__slot_collect();
}

/* Its round is complete, and it dies before it has returned: the others' round is what it was; what follows is broken. */
static void woken_cut(const struct cut *cut)
{
    bool resets = cut->order & 1;
    brood_barrier b = new_barrier(3);
    struct victim v;
    victim_start(&v, NULL, wait_here, b.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, wait_here, b.id);
    if (resets)
        expect_is(brood_barrier_reset(b), 0);
    else
        expect_is(brood_barrier_wait(b, 0), 2);
    victim_wakes(&v, true);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, resets ? BROOD_EBROKEN : 0);
    expect_is(mate_result(0), resets ? BROOD_EBROKEN : 1);
    enum barrier_place place = place_of(b, v.proc.member);
    bury(v.proc.member);
    expect_is(brood_barrier_broken(b), place != PLACE_TOLD);
    closes(b);
}

/* Its time is up; order: 1: the round is completed at that moment. */
static void late_cut(const struct cut *cut)
{
    bool completed = cut->order & 1;
    brood_barrier b = new_barrier(3);
    struct victim v;
    victim_start(&v, NULL, wait_timed, b.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, wait_here, b.id);
    victim_times_out(&v);
    if (completed) expect_is(brood_barrier_wait(b, 0), 2);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, completed ? 0 : BROOD_ETIMEDOUT);
    bool broken = status_of(b) == BARRIER_BROKEN;
    expect(!broken || !completed);
    expect(broken || completed || !v.ended);
    if (broken) expect_is(mate_result(0), BROOD_EBROKEN); /* before any repair */
    bury(v.proc.member);
    if (!broken) expect_is(mate_result(0), completed ? 1 : BROOD_EBROKEN);
    expect_is(brood_barrier_broken(b), 1);
    closes(b);
}

/* A question, while another sleeps. */
static void look_cut(const struct cut *cut)
{
    brood_barrier b = new_barrier(2);
    mate_sends_to_sleep(0, wait_here, b.id);
    struct victim v;
    victim_start(&v, NULL, ask, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 1);
    bury(v.proc.member);
    expect_is(brood_barrier_waiting(b), 1);
    expect_is(brood_barrier_wait(b, 0), 1);
    expect_is(mate_result(0), 0);
    closes(b);
}

/* It is known from an earlier round, and dies elsewhere, while another waits; or that other died too. */
static void known_cut(const struct cut *cut)
{
    brood_barrier b = new_barrier(1), other = new_barrier(2);
    struct victim v;
    victim_prepare(b.id);
    victim_start(&v, become_known, ask, other.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(brood_barrier_broken(b), 1);
    expect_is(brood_barrier_broken(other), 0);
    expect_is(brood_barrier_wait(b, 0), BROOD_EBROKEN);
    closes(b);
    closes(other);
}

/* ----------------------------------------------------------------------------------------------- abort and reset */

/* Done or not: if it is, those who wait are told before any repair. */
static void end_cut(const struct cut *cut, deed_fn *deed)
{
    bool broken = cut->order & 1; /* it is already */
    brood_barrier b = new_barrier(4);
    for (unsigned i = 0; i < 2 && !broken; i++) mate_sends_to_sleep(i, wait_here, b.id);
    if (broken) expect_is(brood_barrier_abort(b), 0);
    struct victim v;
    victim_start(&v, NULL, deed, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool done = round_of(b) > 0 || status_of(b) == BARRIER_RESETTING || (!broken && status_of(b) == BARRIER_BROKEN);
    expect(done || broken || !v.ended);
    if (!broken && done) all_get(2, BROOD_EBROKEN);
    bury(v.proc.member);
    expect(status_of(b) != BARRIER_RESETTING); /* whoever was heir has finished it */
    if (!broken && !done) expect_is(brood_barrier_waiting(b), 2);
    bool whole = deed == reset_it ? done || !broken : !done && !broken;
    expect_is(brood_barrier_broken(b), !whole);
    if (!broken && !done) {
        expect_is(brood_barrier_abort(b), 0);
        all_get(2, BROOD_EBROKEN);
    }
    closes(b);
}
static void abort_cut(const struct cut *cut)
{
    end_cut(cut, abort_it);
}
static void reset_cut(const struct cut *cut)
{
    end_cut(cut, reset_it);
}

/* ---------------------------------------------------------------------------------------------------- two victims */

/* The last of a round stands still or dies as the next round begins: those of its own are woken nevertheless. */
static void next_round(const struct cut *cut)
{
    brood_barrier b = new_barrier(3);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_here, b.id);
    struct victim last, next;
    victim_start(&last, NULL, wait_here, b.id);
    victim_start(&next, NULL, wait_here, b.id);
    victim_step(&last, cut->k[0]);
    struct barrier_shm *shm = look(b);
    if ((cut->order & 1) || !shm || victim_has(&last, &shm->monitor)) victim_kill(&last);
    victim_step(&next, cut->k[1]);
    if (cut->order & 2) victim_kill(&next);
    victim_kill(&last);
    victim_kill(&next);
    bool complete = round_of(b) == 1;
    if (complete) all_go_through(2); /* by the kernel, and by each other */
    bury(last.proc.member);
    bury(next.proc.member);
    if (!complete && !brood_barrier_broken(b)) {
        expect_is(brood_barrier_wait(b, 0), 2);
        all_go_through(2);
    } else if (!complete) {
        all_get(2, BROOD_EBROKEN);
    }
    closes(b);
}

/* The last dies before its wake-ups, and whom the kernel wakes for it is slow: who goes to sleep then wakes the others. */
static void relay(const struct cut *cut)
{
    brood_barrier b = new_barrier(3);
    struct victim last, woken;
    victim_start(&woken, NULL, wait_here, b.id);
    victim_falls_asleep(&woken);
    mate_sends_to_sleep(0, wait_here, b.id);
    victim_start(&last, NULL, wait_here, b.id);
    victim_step(&last, cut->k[0]);
    victim_kill(&last);
    bool complete = round_of(b) == 1;
    if (complete) {
        victim_wakes(&woken, true);
        victim_step(&woken, cut->k[1]);
        struct barrier_shm *shm = look(b);
        if (shm && !victim_has(&woken, &shm->monitor)) mate_sends_to_sleep(2, wait_here, b.id);
        if (cut->order & 1)
            expect_is(victim_finish(&woken), 0); /* slow it is, but it lives */
        else
            victim_kill(&woken);
        expect_is(mate_result(0), 1);
    }
    victim_kill(&woken);
    bury(woken.proc.member);
    bury(last.proc.member);
    if (!complete) expect_is(mate_result(0), BROOD_EBROKEN);
    if (mate_busy(2)) expect_is(mate_result(2), BROOD_EBROKEN);
    closes(b);
}

/* Two die that wait, one of them woken perhaps by the other's death. */
static void two_wait(const struct cut *cut)
{
    brood_barrier b = new_barrier(4);
    struct victim a, c;
    victim_start(&a, NULL, wait_here, b.id);
    victim_falls_asleep(&a);
    mate_sends_to_sleep(0, wait_here, b.id);
    victim_start(&c, NULL, cut->order & 1 ? abort_it : wait_here, b.id);
    victim_step(&c, cut->k[0]);
    victim_kill(&c);
    if (!(cut->order & 1)) bury(c.proc.member);
    bool broken = status_of(b) == BARRIER_BROKEN;
    if (broken) victim_wakes(&a, true);
    if (broken) victim_step(&a, cut->k[1]);
    victim_kill(&a);
    if (broken) expect_is(mate_result(0), BROOD_EBROKEN);
    bury(a.proc.member);
    if (cut->order & 1) bury(c.proc.member);
    if (!broken) expect_is(mate_result(0), BROOD_EBROKEN);
    closes(b);
}

/* ---------------------------------------------------------------------------------------------- new, free, repair */

static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_BARRIER);
    unsigned before = slots_in_use(TABLE_BARRIER);
    leave_dirt();
    struct victim v;
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    if (v.ended) expect(is_gone(brood_barrier_wait((brood_barrier){v.proc.post->order.made}, 0)));
    expect_is(slots_in_use(TABLE_BARRIER), before);
    nothing_is_left();
    closes(new_barrier(1));
}

static void free_with_sleepers(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make, free_it, 0);
    brood_barrier b = {v.proc.post->order.made};
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, wait_here, b.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) expect(is_gone(mate_result(i)));
    if (v.ended) bury(v.proc.member);
    expect(is_gone(brood_barrier_wait(b, 0)));
    closes(new_barrier(1));
}

/* The supervisor dies over the repair; its successor does it again, and a reset between the two is not undone. */
static void repair_cut(const struct cut *cut)
{
    bool resets = cut->order & 1;
    brood_barrier b = new_barrier(4);
    for (unsigned i = 0; i < 3; i++) mate_sends_to_sleep(i, wait_here, b.id);
    uint32_t dead = mate(2)->member;
    proc_kill(mate(2));
    bury_begin(dead);
    struct victim v;
    victim_prepare(dead);
    victim_start(&v, NULL, repair, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool broken = status_of(b) == BARRIER_BROKEN;
    expect(broken || !v.ended);
    if (broken) all_get(2, BROOD_EBROKEN);
    if (resets) expect_is(brood_barrier_reset(b), 0);
    bury_again(v.proc.member);
    bury_again(dead);
    if (!broken) all_get(2, BROOD_EBROKEN);
    expect_is(brood_barrier_broken(b), !resets);
    closes(b);
}

const struct scene barrier_scenes[] = {
    {"barrier/come", come_cut, 0, 2},
    {"barrier/come-spinning", come_cut, SCENE_SPIN, 2},
    {"barrier/last-two-asleep", last_cut, 0, 0},
    {"barrier/last-in-thread", last_cut, SCENE_THREAD, 0},
    {"barrier/action-two-asleep", action_cut, 0, 0},
    {"barrier/woken", woken_cut, 0, 2},
    {"barrier/woken-in-thread", woken_cut, SCENE_THREAD, 2},
    {"barrier/late", late_cut, 0, 2},
    {"barrier/waiting", look_cut, 0, 0},
    {"barrier/known", known_cut, 0, 0},
    {"barrier/abort", abort_cut, 0, 2},
    {"barrier/reset", reset_cut, 0, 2},
    {"barrier/next-round", next_round, SCENE_PAIR, 4},
    {"barrier/relay", relay, SCENE_PAIR, 2},
    {"barrier/two-wait", two_wait, SCENE_PAIR, 2},
    {"barrier/new", new_one, 0, 2},
    {"barrier/free-two-asleep", free_with_sleepers, 0, 0},
    {"barrier/repair", repair_cut, 0, 2},
    {NULL, NULL, 0, 0},
};
