/* SPDX-License-Identifier: MIT */
/*
 * scenes_repair.c - one member dies that had something of everything, and the supervisor dies over the repair, once or
 * twice; the one after it finds all of it done, half done, or yet to do.
 */
#include "arena/member.h"
#include "call/buffer.h"
#include "pool_stage.h"
#include "process/repair.h"
#include "scenes_queue.h"

#include <brood/event.h>
#include <brood/lock.h>
#include <brood/semaphore.h>
#include <string.h>

/* In a buffer that all see: what was there before the dead came, and what it has made. */
struct estate {
    brood_lock lock; /* held by it */
    brood_semaphore units;
    brood_queue queue; /* it has put a long message there, and listens */
    brood_pool pool;   /* it has submitted a task and begun a map */
    brood_event event; /* its own */
    brood_queue own;
};
enum { LONG = 200, UNITS = 2 };

static struct estate *estate_of(const struct order *order)
{
    return brood_buffer_data((brood_buffer){order->id}, NULL);
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int put_long(brood_queue queue)
{
    unsigned char data[LONG];
    memset(data, 0x77, sizeof data);
    return brood_queue_put(queue, data, sizeof data, 0);
}

static int have_everything(struct order *order)
{
    static uint64_t in[ITEMS], out[ITEMS];
    struct estate *e = estate_of(order);
    brood_lock own;
    brood_buffer buffer;
    brood_map under_way;
    brood_map_options options = {.chunk = 2};
    uint32_t child;
    struct order future = {.id = e->pool.id, .number = LARGE};
    map_fill(in, out);
    int result = brood_lock_acquire(e->lock, 0);
    for (unsigned i = 0; i < UNITS && result == 0; i++) result = brood_semaphore_acquire(e->units, 0);
    if (result == 0) result = put_long(e->queue);
    if (result == 0) result = brood_queue_fd(e->queue) < 0;
    if (result == 0) result = submit(&future);
    if (result == 0) result = brood_pool_map_async_task(e->pool, &under_way, map_task(), in, out, ITEMS, &options);
    if (result == 0) result = brood_event_new(&e->event);
    if (result == 0) result = brood_lock_new(&own);
    if (result == 0) result = brood_lock_acquire(own, 0);
    if (result == 0) result = brood_buffer_new(&buffer, LONG, NULL);
    if (result == 0) result = brood_queue_new(&e->own, &(brood_queue_options){.capacity = 256});
    if (result == 0) result = put_long(e->own);
    if (result == 0) result = brood__member_claim("child", ROLE_PROCESS, BROOD_START_FORK, false, &child);
    return result;
}

static int acquire_lock(struct order *order)
{
    return brood_lock_acquire(estate_of(order)->lock, BROOD_FOREVER);
}
static int acquire_unit(struct order *order)
{
    return brood_semaphore_acquire(estate_of(order)->units, BROOD_FOREVER);
}
static int wait_event(struct order *order)
{
    return brood_event_wait(estate_of(order)->event, BROOD_FOREVER);
}
static int release_both(struct order *order)
{
    int result = brood_lock_release(estate_of(order)->lock);
    return result < 0 ? result : brood_semaphore_release(estate_of(order)->units);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

static struct estate *set_up(brood_buffer *buffer)
{
    struct estate *e = NULL;
    brood_pool pool = new_pool(true);
    for (unsigned i = 0; i < MATES; i++) mate(i);
    expect_is(brood_buffer_new(buffer, sizeof *e, (void **)&e), 0);
    memset(e, 0, sizeof *e);
    e->pool = pool;
    e->queue = new_queue(2);
    expect_is(brood_lock_new(&e->lock), 0);
    expect_is(brood_semaphore_new(&e->units, UNITS, NULL), 0);
    mate_do(2, have_everything, buffer->id);
    expect_is(mate_result(2), 0);
    mate_sends_to_sleep(0, acquire_lock, buffer->id);
    mate_sends_to_sleep(1, acquire_unit, buffer->id);
    mate_sends_to_sleep(3, wait_event, buffer->id);
    return e;
}

/* Each of the living has what the death makes of it, once, and nothing is left of the dead. */
static void all_is_settled(const struct estate *e, brood_buffer buffer, unsigned slots)
{
    struct order order = {.id = buffer.id};
    expect_is(mate_result(0), BROOD_EOWNERDEAD);
    expect_is(mate_result(1), 0);
    int gone = mate_result(3);
    expect(gone == BROOD_ECLOSED || gone == BROOD_ESTALE);
    if (failing()) return;
    expect_is(brood_semaphore_value(e->units), UNITS - 1);
    expect_is(release_both(&order), 0);
    expect_is(brood_semaphore_value(e->units), UNITS);
    expect_is(brood_lock_acquire(e->lock, 0), 0);
    expect_is(slots_in_use(TABLE_EVENT), 0);
    expect_is(slots_in_use(TABLE_LOCK), 1);
    expect_is(slots_in_use(TABLE_QUEUE), 1);
    expect_is(slots_in_use(TABLE_BELL), 0);
    expect_is(slots_in_use(TABLE_MEMBER), slots);
    unsigned char data[LONG] = {0};
    size_t size = 0;
    expect_is(brood_queue_get(e->queue, data, sizeof data, &size, 0), 0);
    expect(size == LONG && data[0] == 0x77 && data[LONG - 1] == 0x77);
    for (enum task_state state = TASK_FILLING; state < TASK_GARBAGE; state++) expect_is(tasks_in(e->pool, state), 0);
    uint64_t serial = submit_here(e->pool, false);
    mate_works(3, 0, e->pool);
    future_gets(e->pool, serial, 0);
    workers_leave(e->pool, 3, 1);
    expect_is(times_run(0), 1); /* and of the dead's map nothing */
    expect(times_run_is(1));
    expect_is(brood_lock_free(e->lock), 0);
    expect_is(brood_semaphore_free(e->units), 0);
    expect_is(brood_queue_free(e->queue), 0);
    pool_ends(e->pool);
    brood__slot_collect();
    expect_is(brood_buffer_free(buffer), 0);
}

/* order: 1: two supervisors die, one after the other */
static void everything(const struct cut *cut)
{
    brood_buffer buffer = {0};
    struct estate *e = set_up(&buffer);
    uint32_t dead = mate(2)->member;
    unsigned slots = slots_in_use(TABLE_MEMBER) - 2; /* without the dead and the child it was starting */
    struct victim first, second;
    proc_kill(mate(2));
    bury_begin(dead);
    victim_prepare(dead);
    victim_start(&first, NULL, supervise, 0);
    victim_step(&first, cut->k[0]);
    victim_kill(&first);
    if (cut->order & 1) {
        victim_prepare(dead);
        victim_start(&second, NULL, supervise, 0);
        victim_step(&second, cut->k[1]);
        victim_kill(&second);
        bury_again(second.proc.member);
    }
    bury_again(first.proc.member);
    bury_again(dead);
    all_is_settled(e, buffer, slots);
}

/* The supervisor that comes next dies as it rings everybody. */
static int ring_all(struct order *order)
{
    int result = supervise(order);
    brood__repair_ring_all();
    return result;
}
static void successor(const struct cut *cut)
{
    brood_buffer buffer = {0};
    struct estate *e = set_up(&buffer);
    uint32_t dead = mate(2)->member;
    unsigned slots = slots_in_use(TABLE_MEMBER) - 2;
    struct victim first;
    proc_kill(mate(2));
    bury_begin(dead);
    victim_prepare(dead);
    victim_start(&first, NULL, ring_all, 0);
    victim_step(&first, cut->k[0]);
    victim_kill(&first);
    bury_again(first.proc.member);
    bury_again(dead);
    all_is_settled(e, buffer, slots);
}

const struct scene repair_scenes[] = {
    {"repair/everything", everything, 0, 0},
    {"repair/twice", everything, SCENE_PAIR, 2},
    {"repair/successor", successor, 0, 0},
    {NULL, NULL, 0, 0},
};
