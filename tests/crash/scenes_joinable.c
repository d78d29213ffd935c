/* SPDX-License-Identifier: MIT */
/*
 * scenes_joinable.c - joinable queues: what a member had taken is done, or lost with it, once and not twice, and who waits
 * for the end of work is told of it.
 */
#include "scenes_queue.h"

/* -------------------------------------------------------------------------------------------------------- deeds */

static int join(struct order *order)
{
    return brood_queue_join((brood_queue){order->id}, BROOD_FOREVER);
}
static int join_timed(struct order *order)
{
    return brood_queue_join((brood_queue){order->id}, 60 * 1000);
}
static int done(struct order *order)
{
    return brood_queue_task_done((brood_queue){order->id});
}
static int ask_lost(struct order *order)
{
    return (int)brood_queue_lost((brood_queue){order->id});
}
static int make(struct order *order)
{
    brood_queue queue;
    int result = brood_queue_new(&queue, &(brood_queue_options){.capacity = 256, .joinable = 1});
    struct message m = message_of(1);
    if (result == 0) result = brood_queue_put(queue, &m, sizeof m, 0);
    order->made = queue.id;
    return result;
}
static int free_it(struct order *order)
{
    return brood_queue_free((brood_queue){order->made});
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_queue new_joinable(unsigned turned)
{
    brood_queue queue = {0};
    brood_queue_options options = {.capacity = 256, .joinable = 1};
    if (turned & 2) options = (brood_queue_options){.capacity = 4096, .grows_to = 1 << 16, .joinable = 1};
    expect_is(brood_queue_new(&queue, &options), 0);
    for (unsigned i = 0; i < turned; i++) {
        expect(put_here(queue) != 0);
        expect(get_here(queue) != 0);
        expect_is(brood_queue_task_done(queue), 0);
    }
    return queue;
}

/* The work that is left is done by this process; how much there was. */
static unsigned work_off(brood_queue queue)
{
    unsigned n = 0;
    for (; get_here(queue) != 0 && !failing(); n++) expect_is(brood_queue_task_done(queue), 0);
    return n;
}

/* All is done, but for so much that was lost. */
static void all_done(brood_queue queue, unsigned lost)
{
    expect_is(brood_queue_task_done(queue), BROOD_EPERM);
    expect_is(brood_queue_join(queue, 0), lost ? BROOD_ELOST : 0);
    expect_is(brood_queue_lost(queue), lost);
    expect_is(brood_queue_join(queue, 0), 0);
    expect_is(brood_queue_free(queue), 0);
}

static void joiners_asleep(brood_queue queue, unsigned n)
{
    for (unsigned i = 0; i < n; i++) mate_sends_to_sleep(i, join, queue.id);
}
static void joiners_say(unsigned n, int result)
{
    for (unsigned i = 0; i < n; i++) expect_is(mate_result(i), result);
}

/* -------------------------------------------------------------------------------------------------------- taking */

/* Of three messages it takes one, or two as a batch; repaired by a supervisor that dies, too, if `repaired`. */
static void cut_get(const struct cut *cut, deed_fn *deed, unsigned batch, bool repaired)
{
    brood_queue queue = new_joinable(cut->order);
    for (unsigned i = 0; i < 3; i++) expect(put_here(queue) != 0);
    joiners_asleep(queue, 1);
    uint64_t head = lane_head(queue_at(queue), 0);
    struct victim v, supervisor;
    victim_start(&v, NULL, deed, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    unsigned taken = lane_head(queue_at(queue), 0) != head ? batch : 0;
    expect(taken || !v.ended);
    if (cut->order & 1) expect_is(work_off(queue), 3 - taken); /* before anybody repairs */
    if (repaired) {
        bury_begin(v.proc.member);
        victim_start(&supervisor, NULL, supervise, 0);
        supervisor.proc.post->order.number = v.proc.member;
        victim_step(&supervisor, cut->k[1]);
        victim_kill(&supervisor);
        bury_again(v.proc.member);
        bury(supervisor.proc.member);
    } else {
        bury(v.proc.member);
    }
    if (!(cut->order & 1)) expect_is(work_off(queue), 3 - taken);
    joiners_say(1, taken ? BROOD_ELOST : 0);
    all_done(queue, taken);
}

static void get(const struct cut *cut)
{
    cut_get(cut, queue_get, 1, false);
}
static void get_batch(const struct cut *cut)
{
    cut_get(cut, queue_get_batch, 2, false);
}
static void get_repaired(const struct cut *cut)
{
    cut_get(cut, queue_get, 1, true);
}

/* The supervisor dies over the entry of one who took two and died. */
static void repair_cut(const struct cut *cut)
{
    brood_queue queue = new_joinable(cut->order);
    for (unsigned i = 0; i < 2; i++) expect(put_here(queue) != 0);
    for (unsigned i = 0; i < 2; i++) {
        mate_do(2, queue_get, queue.id);
        expect_is(mate_result(2), 0);
    }
    joiners_asleep(queue, 1);
    uint32_t dead = mate(2)->member;
    proc_kill(mate(2));
    bury_begin(dead);
    struct victim supervisor;
    victim_start(&supervisor, NULL, supervise, 0);
    supervisor.proc.post->order.number = dead;
    victim_step(&supervisor, cut->k[0]);
    victim_kill(&supervisor);
    if (supervisor.ended) joiners_say(1, BROOD_ELOST);
    bury_again(dead);
    if (!supervisor.ended) joiners_say(1, BROOD_ELOST);
    bury(supervisor.proc.member);
    all_done(queue, 2);
}

/* ---------------------------------------------------------------------------------------------------------- done */

/* The last that is open is marked done by who has it (order: 1: else by another), while two wait for that. */
static void done_joiners_asleep(const struct cut *cut)
{
    bool its = cut->order & 1;
    brood_queue queue = new_joinable(cut->order);
    uint64_t id = put_here(queue);
    if (!its) expect_is(get_here(queue), id);
    struct victim v;
    victim_start(&v, its ? queue_get : NULL, done, queue.id);
    joiners_asleep(queue, 2);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) {
        expect_is(v.result, 0);
        joiners_say(2, 0); /* before anybody repairs */
    }
    bury(v.proc.member);
    bool lost = its && brood_queue_join(queue, 0) == BROOD_ELOST;
    if (!its) {
        int result = brood_queue_task_done(queue);
        expect(result == BROOD_EPERM || (result == 0 && !v.ended));
    }
    if (!v.ended) joiners_say(2, lost ? BROOD_ELOST : 0);
    expect(!lost || !v.ended);
    all_done(queue, lost);
}

/* Two members mark the last two, one after the other or both stopped inside; one waits. */
static void two_done(const struct cut *cut)
{
    brood_queue queue = new_joinable(2);
    for (unsigned i = 0; i < 2; i++) expect(put_here(queue) != 0);
    struct victim a, b;
    victim_start(&a, queue_get, done, queue.id);
    victim_start(&b, queue_get, done, queue.id);
    joiners_asleep(queue, 1);
    victim_step(&a, cut->k[0]);
    if (cut->order & 1) victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    if (!(cut->order & 1)) victim_kill(&a);
    bury(b.proc.member);
    bury(a.proc.member);
    int result = mate_result(0);
    int64_t lost = brood_queue_lost(queue);
    expect(lost >= 0 && lost <= !a.ended + !b.ended);
    expect(result == (lost ? BROOD_ELOST : 0));
    all_done(queue, 0);
}

/* ---------------------------------------------------------------------------------------------------------- join */

static void cut_join(const struct cut *cut, deed_fn *deed)
{
    brood_queue queue = new_joinable(cut->order);
    expect(put_here(queue) != 0);
    if (cut->order & 1) expect(get_here(queue) != 0);
    joiners_asleep(queue, 1);
    struct victim v;
    victim_start(&v, NULL, deed, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended);
    if (cut->order & 1)
        expect_is(brood_queue_task_done(queue), 0);
    else
        expect_is(work_off(queue), 1);
    joiners_say(1, 0);
    bury(v.proc.member);
    all_done(queue, 0);
}
static void join_falls_asleep(const struct cut *cut)
{
    cut_join(cut, join);
}
static void join_late(const struct cut *cut)
{
    brood_queue queue = new_joinable(cut->order);
    expect(put_here(queue) != 0);
    struct victim v;
    victim_start(&v, NULL, join_timed, queue.id);
    victim_falls_asleep(&v);
    joiners_asleep(queue, 1);
    victim_times_out(&v);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, BROOD_ETIMEDOUT);
    expect_is(work_off(queue), 1);
    joiners_say(1, 0);
    bury(v.proc.member);
    all_done(queue, 0);
}

/* It stands still on its way to sleep while the work is finished: it must not miss that. */
static void join_stalled(const struct cut *cut)
{
    brood_queue queue = new_joinable(cut->order);
    expect(put_here(queue) != 0);
    expect(get_here(queue) != 0);
    struct victim v;
    victim_start(&v, NULL, join, queue.id);
    victim_step(&v, cut->k[0]);
    if (victim_has(&v, &queue_at(queue)->get)) victim_run(&v);
    expect_is(brood_queue_task_done(queue), 0);
    expect_is(victim_finish(&v), 0);
    victim_kill(&v);
    bury(v.proc.member);
    all_done(queue, 0);
}

static void lost_asked(const struct cut *cut)
{
    brood_queue queue = new_joinable(cut->order);
    expect(put_here(queue) != 0);
    mate_do(2, queue_get, queue.id);
    mate_result(2);
    mate_ends(2);
    struct victim v;
    victim_start(&v, NULL, ask_lost, queue.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 1);
    bury(v.proc.member);
    int64_t lost = brood_queue_lost(queue);
    expect(lost == 0 || (lost == 1 && !v.ended));
    all_done(queue, 0);
}

static void free_joiners_asleep(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, make, free_it, 0);
    brood_queue queue = {v.proc.post->order.made};
    joiners_asleep(queue, 2);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    for (unsigned i = 0; i < 2; i++) {
        int result = mate_result(i);
        expect(result == BROOD_ECLOSED || result == BROOD_ESTALE);
    }
    expect(brood_queue_join(queue, 0) < 0);
    closes_with(new_queue(1), NULL, NULL, 0); /* takes the garbage */
}

const struct scene joinable_scenes[] = {
    {"joinable/get", get, 0, 4},
    {"joinable/get-batch", get_batch, 0, 4},
    {"joinable/get-repaired", get_repaired, SCENE_PAIR, 2},
    {"joinable/repair", repair_cut, 0, 2},
    {"joinable/done", done_joiners_asleep, 0, 4},
    {"joinable/two-done", two_done, SCENE_PAIR, 2},
    {"joinable/join", join_falls_asleep, 0, 2},
    {"joinable/join-late", join_late, 0, 2},
    {"joinable/join-stalled", join_stalled, 0, 2},
    {"joinable/lost", lost_asked, 0, 0},
    {"joinable/free", free_joiners_asleep, 0, 0},
    {NULL, NULL, 0, 0},
};
