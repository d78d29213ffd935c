/* SPDX-License-Identifier: MIT */
/*
 * scenes_pipe.c - pipes and what moves: nobody sleeps at an end whose peer is nobody's, what was sent comes before the
 * end, and everything that can be moved has one holder, which lives.
 */
#include "model.h"
#include "pipe/pipe.h"
#include "queue/queue.h"
#include "queue/ring.h"

#include <brood/pipe.h>

static brood_pipe_end ends[2], moved;
static brood_queue queue;
static struct {
    uint8_t sent, received, gave;
} seen;

static uint64_t handle_of(uint32_t member)
{
    return HANDLE(TABLE_MEMBER, member, brood__member_generation(member));
}

/* ends[1] is the first process's. */
static void set_up(void)
{
    seen = (typeof(seen)){0};
    for (int p = 0; p < MODEL_MOST; p++) atomic_store(&brood__member_at(model_member(p))->gone, 0);
    if (brood_pipe_new(ends, &(brood_pipe_options){.max_items = 1}) < 0) model_failed("no pipe", 0);
    if (brood__movable_give(ends[1].id, handle_of(model_member(0))) < 0) model_failed("not given", 0);
}
static void set_up_full(void)
{
    uint64_t x = 1;
    set_up();
    if (brood_pipe_send(ends[0], &x, sizeof x, 0) < 0) model_failed("not sent", 0);
}
/* What is to be moved is the first process's too, and so it is through the queue to the second. */
static void set_up_move(void)
{
    brood_pipe_end other[2] = {{0}, {0}};
    set_up();
    if (brood_queue_new(&queue, NULL) < 0 || brood_pipe_new(other, NULL) < 0) model_failed("no queue", 0);
    moved = other[1];
    if (brood__movable_give(moved.id, handle_of(model_member(0))) < 0) model_failed("not given", 0);
}

/* ------------------------------------------------------------------------------------------------------ programs */

static void closes(void)
{
    model_check(brood_pipe_close(ends[1]) == 0);
}
static void sends_and_closes(void)
{
    uint64_t x = 7;
    model_check(brood_pipe_send(ends[1], &x, sizeof x, BROOD_FOREVER) == 0);
    seen.sent = 1;
    closes();
}
static void receives(void)
{
    uint64_t x = 0;
    model_check(brood_pipe_recv(ends[0], &x, sizeof x, NULL, BROOD_FOREVER) == BROOD_ECLOSED);
}
static void receives_to_the_end(void)
{
    for (int n = 0; n < 3; n++) {
        uint64_t x = 0;
        int result = brood_pipe_recv(ends[0], &x, sizeof x, NULL, BROOD_FOREVER);
        if (result == BROOD_ECLOSED) {
            model_check(seen.received || !seen.sent);
            return;
        }
        model_check(result == 0 && x == 7 && !seen.received);
        seen.received = 1;
    }
    model_check(false);
}
static void waits_for_room(void)
{
    uint64_t x = 2;
    model_check(brood_pipe_send(ends[0], &x, sizeof x, BROOD_FOREVER) == BROOD_ECLOSED);
}

static void gives(void)
{
    int result = brood__movable_give(moved.id, handle_of(model_member(1)));
    model_check(result == 0 || result == BROOD_ECLOSED);
    seen.gave = result == 0 ? 1 : 2;
}
static void lives_on(void)
{
    model_point();
    model_point();
}
static void puts_it(void)
{
    model_check(brood_queue_put_moving(queue, NULL, 0, &moved.id, 1, BROOD_FOREVER) == 0);
}
static void gets_it(void)
{
    size_t size;
    model_check(brood_queue_get(queue, NULL, 0, &size, BROOD_FOREVER) == 0);
    model_check(brood__movable_mine(moved.id) == 0);
}

/* What brood__repair_member does for these objects. */
static bool repair(uint32_t dead)
{
    struct slot_shm *slots[] = {brood__slot_at(TABLE_PIPE, HANDLE_INDEX(ends[1].id))};
    uint64_t word = atomic_load(&slots[0]->word);
    if (SLOT_STATE(word) == SLOT_FREEING && SLOT_OWNER(word) == dead)
        atomic_compare_exchange_strong(&slots[0]->word, &word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
    brood__movable_repair(dead);
    bool all = brood__queue_repair(dead);
    return brood__pipe_area.repair(dead) && all;
}
static void supervisor(void)
{
    model_supervise(repair);
}

/* -------------------------------------------------------------------------------------------------------- checks */

static bool peer_lives(int p)
{
    (void)p;
    return brood__movable_find(ends[1].id) != NULL;
}
static bool queue_is_empty(int p)
{
    (void)p;
    return brood_queue_empty(queue) == 1;
}

static int holder(void)
{
    uint64_t word = atomic_load(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(moved.id))->word);
    if (SLOT_GENERATION(word) != HANDLE_GENERATION(moved.id) || SLOT_STATE(word) != SLOT_LIVE) return -1;
    for (int p = 0; p < MODEL_MOST; p++)
        if (model_member(p) == SLOT_OWNER(word)) return p;
    return -1;
}

/* Given, it is the other's, or went with it; not given, it is the giver's, or went with that. */
static void one_has_it(void)
{
    int p = holder();
    if (p >= 0) model_check(model_alive(p));
    if (p < 0) model_check(!brood__movable_find(moved.id) && !(model_alive(0) && model_alive(1)));
    if (seen.gave == 1) model_check(p == 1 || (p < 0 && !model_alive(1)));
    if (seen.gave == 2) model_check(!model_alive(1) && (p == 0 || !model_alive(0)));
}

/* In the message, if it is there; else one of the living has it, or it went with the dead. */
static void message_or_member(void)
{
    bool there = brood_queue_empty(queue) == 0;
    uint64_t word = atomic_load(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(moved.id))->word);
    if (there) model_check((unsigned)SLOT_STATE(word) == MOVABLE_TRANSIT);
    if (there) return;
    int p = holder();
    model_check(p >= 0 ? model_alive(p) : !brood__movable_find(moved.id) && !(model_alive(0) && model_alive(1)));
}

const struct scene model_pipe_scenes[] = {
    {"pipe/close",
     set_up,
     {closes, receives, supervisor},
     1,
     1,
     0,
     UNBOUNDED,
     .in_short = true,
     .may_stay = peer_lives},
    {"pipe/close-two-wait", set_up, {closes, receives, receives, supervisor}, 7, 1, 0, 0, .may_stay = peer_lives},
    {"pipe/close-full", set_up_full, {closes, waits_for_room, supervisor}, 1, 1, 0, UNBOUNDED, .may_stay = peer_lives},
    {"pipe/send-and-close",
     set_up,
     {sends_and_closes, receives_to_the_end, supervisor},
     1,
     1,
     0,
     UNBOUNDED,
     .may_stay = peer_lives},
    {"pipe/weak", set_up, {sends_and_closes, receives_to_the_end}, 0, 0, 0, UNBOUNDED, .weak = true},
    {"pipe/give", set_up_move, {gives, lives_on, supervisor}, 3, 1, 0, UNBOUNDED, .in_short = true, .end = one_has_it},
    {"pipe/give-two-die", set_up_move, {gives, lives_on, supervisor}, 3, 2, 0, UNBOUNDED, .end = one_has_it},
    {"pipe/move",
     set_up_move,
     {puts_it, gets_it, supervisor},
     3,
     1,
     0,
     2,
     .may_stay = queue_is_empty,
     .end = message_or_member},
    {"pipe/move-two-die",
     set_up_move,
     {puts_it, gets_it, supervisor},
     3,
     2,
     0,
     0,
     .may_stay = queue_is_empty,
     .end = message_or_member},
    {0},
};
