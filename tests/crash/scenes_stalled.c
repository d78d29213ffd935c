/* SPDX-License-Identifier: MIT */
/*
 * scenes_stalled.c - the victim does not die: it stands still at any instruction while others do what makes trouble,
 * and then goes on.  Nothing it saw before may make it, or those it wakes, sleep for ever.
 */
#include "arena/member.h"
#include "process/repair.h"
#include "scenes_queue.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

#include <brood/event.h>
#include <brood/lock.h>
#include <brood/semaphore.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int lock_acquire(struct order *order)
{
    return brood_lock_acquire((brood_lock){order->id}, BROOD_FOREVER);
}
static int lock_release(struct order *order)
{
    return brood_lock_release((brood_lock){order->id});
}
static int lock_make_held(struct order *order)
{
    brood_lock lock;
    int result = brood_lock_new(&lock);
    order->made = lock.id;
    return result < 0 ? result : brood_lock_acquire(lock, 0);
}
static int lock_repair(struct order *order)
{
    return brood__lock_repair((uint32_t)order->number) ? 0 : BROOD_EAGAIN;
}
static int semaphore_acquire(struct order *order)
{
    return brood_semaphore_acquire((brood_semaphore){order->id}, BROOD_FOREVER);
}
static int semaphore_release(struct order *order)
{
    return brood_semaphore_release((brood_semaphore){order->id});
}
static int semaphore_make(struct order *order)
{
    brood_semaphore semaphore;
    int result = brood_semaphore_new(&semaphore, 0, NULL);
    order->made = semaphore.id;
    return result;
}
static int event_wait(struct order *order)
{
    return brood_event_wait((brood_event){order->id}, BROOD_FOREVER);
}
static int event_make(struct order *order)
{
    brood_event event;
    int result = brood_event_new(&event);
    order->made = event.id;
    return result;
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

static uint32_t lock_low(brood_lock lock)
{
    struct lock_shm *l = brood__slot_find(TABLE_LOCK, lock.id);
    return l ? (uint32_t)atomic_load(&l->word) : 0;
}

static void ends(struct victim *v)
{
    victim_kill(v);
    bury(v->proc.member);
}

/* --------------------------------------------------------------------------------------- locks, without a death */

static void acquire_while_released(const struct cut *cut)
{
    brood_lock lock = {0};
    expect_is(brood_lock_new(&lock), 0);
    expect_is(brood_lock_acquire(lock, 0), 0);
    struct victim v;
    victim_start(&v, NULL, lock_acquire, lock.id);
    victim_step(&v, cut->k[0]);
    if (cut->order & 1) mate_sends_to_sleep(0, lock_acquire, lock.id);
    expect_is(brood_lock_release(lock), 0);
    if (cut->order & 1) { /* one of them has it, then the other */
        while (!victim_run(&v) && mate_busy(0) && !failing()) {
            if ((lock_low(lock) & OS_TID_MASK) == 0) mates_settle(1);
            if (v.asleep && mate_busy(0) && proc_asleep(mate(0))) fail("LOST WAKE-UP: both sleep at a free lock");
        }
        expect_is(brood_lock_release(lock), 0);
        expect_is(mate_result(0), 0);
    }
    expect_is(victim_finish(&v), 0);
    expect_is(brood_lock_release(lock), 0);
    expect_is(brood_lock_free(lock), 0);
    ends(&v);
}

/*
 * The releaser finds nobody asleep and is about to take the mark back; meanwhile two went to sleep and one was woken.
 * It dies; the other must not be forgotten.
 */
static void release_late(const struct cut *cut)
{
    brood_lock lock = {0};
    expect_is(brood_lock_new(&lock), 0);
    struct victim v, woken;
    victim_start(&v, lock_acquire, lock_release, lock.id);
    mate_sends_to_sleep(2, lock_acquire, lock.id);
    mate_ends(2); /* its mark stays */
    victim_step(&v, cut->k[0]);
    if ((lock_low(lock) & OS_TID_MASK) != 0) { /* not released yet */
        expect_is(victim_finish(&v), 0);
        expect_is(brood_lock_free(lock), 0);
        ends(&v);
        return;
    }
    expect_is(brood_lock_acquire(lock, 0), 0);
    victim_start(&woken, NULL, lock_acquire, lock.id);
    victim_falls_asleep(&woken);
    mate_sends_to_sleep(0, lock_acquire, lock.id);
    expect_is(brood_lock_release(lock), 0);
    victim_wakes(&woken, true);
    expect_is(victim_finish(&v), 0);
    if (mate_busy(0) && brood_lock_acquire(lock, 0) == 0) { /* unless the late wake-up has reached the mate */
        ends(&woken);
        expect_is(brood_lock_release(lock), 0);
    } else {
        ends(&woken);
    }
    expect_is(mate_result(0), 0);
    expect_is(brood_lock_release(lock), 0);
    expect_is(brood_lock_free(lock), 0);
    ends(&v);
}

/* Its lock goes, and the next one is made in the same place: it must not take a wake-up that is meant for another. */
static void acquire_stale(const struct cut *cut)
{
    brood_lock lock = {0}, next = {0};
    expect_is(brood_lock_new(&lock), 0);
    expect_is(brood_lock_acquire(lock, 0), 0);
    mate_sends_to_sleep(2, lock_acquire, lock.id);
    mate_ends(2);
    struct victim v;
    victim_start(&v, NULL, lock_acquire, lock.id);
    victim_step(&v, cut->k[0]);
    expect_is(brood_lock_free(lock), 0);
    expect_is(brood_lock_new(&next), 0);
    expect_is(HANDLE_INDEX(next.id), HANDLE_INDEX(lock.id));
    expect_is(brood_lock_acquire(next, 0), 0);
    mate_sends_to_sleep(2, lock_acquire, next.id);
    mate_ends(2);
    bool ended = victim_run(&v);
    mate_sends_to_sleep(0, lock_acquire, next.id);
    expect_is(brood_lock_release(next), 0);
    expect_is(mate_result(0), 0);
    if (!ended) victim_finish(&v);
    expect(is_gone(v.result));
    expect_is(brood_lock_release(next), 0);
    expect_is(brood_lock_free(next), 0);
    ends(&v);
}

/* ----------------------------------------------------------------------------------------------- owners that die */

/* The holder dies; its heir, at k[0], has not seen that yet when the supervisor, at k[1], frees the lock. */
static void holder_dies(const struct cut *cut)
{
    brood_lock lock = {0};
    expect_is(brood_lock_new(&lock), 0);
    mate_do(2, lock_acquire, lock.id);
    expect_is(mate_result(2), 0);
    uint32_t dead = mate(2)->member;
    struct victim v, supervisor;
    victim_start(&v, NULL, lock_acquire, lock.id);
    victim_step(&v, cut->k[0]);
    proc_kill(mate(2));
    bury_begin(dead);
    victim_start(&supervisor, NULL, lock_repair, 0);
    supervisor.proc.post->order.number = dead;
    victim_step(&supervisor, cut->k[1]);
    victim_run(&v);
    expect_is(victim_finish(&supervisor), 0);
    expect_is(victim_finish(&v), BROOD_EOWNERDEAD);
    expect_is(brood_lock_release(lock), 0);
    expect_is(brood_lock_free(lock), 0);
    bury(dead);
    ends(&supervisor);
    ends(&v);
}

/* The object's owner dies while it is about to sleep there. */
static void owner_dies(const struct cut *cut, deed_fn *make, deed_fn *deed)
{
    mate(2)->post->order.number = 0;
    mate_do(2, make, 0);
    expect_is(mate_result(2), 0);
    uint64_t id = mate(2)->post->order.made;
    uint32_t dead = mate(2)->member;
    struct victim v;
    victim_start(&v, NULL, deed, id);
    v.proc.post->order.number = next_message();
    victim_step(&v, cut->k[0]);
    proc_kill(mate(2));
    bury_begin(dead);
    bool repaired = false;
    for (unsigned i = 0; i < 20 && !repaired; i++) repaired = brood__repair_member(dead); /* it may hold a latch */
    if (!repaired) victim_run(&v);
    if (!repaired) bury(dead);
    bury_end(dead);
    expect(is_gone(victim_finish(&v)));
    ends(&v);
}

static void lock_owner_dies(const struct cut *cut)
{
    owner_dies(cut, lock_make_held, lock_acquire);
}
static void semaphore_owner_dies(const struct cut *cut)
{
    owner_dies(cut, semaphore_make, semaphore_acquire);
}
static void event_owner_dies(const struct cut *cut)
{
    owner_dies(cut, event_make, event_wait);
}

/*
 * The waiter has set its mark, and before it sleeps the event is set, cleared, and marked by another: it was set while
 * the first one waited, so that one sleeps no more.
 */
static void event_pulsed(const struct cut *cut)
{
    brood_event event = {0};
    expect_is(brood_event_new(&event), 0);
    struct event_shm *e = brood__slot_find(TABLE_EVENT, event.id);
    struct victim v;
    victim_start(&v, NULL, event_wait, event.id);
    victim_step(&v, cut->k[0]);
    bool marked = (uint32_t)atomic_load(&e->word) & OS_WAITERS;
    expect_is(brood_event_set(event), 0);
    if (marked) {
        expect_is(brood_event_clear(event), 0);
        mate_sends_to_sleep(0, event_wait, event.id);
        expect_is(victim_finish(&v), 0);
        expect_is(brood_event_set(event), 0);
        expect_is(mate_result(0), 0);
    } else {
        expect_is(victim_finish(&v), 0);
    }
    expect_is(brood_event_free(event), 0);
    ends(&v);
}
static void queue_owner_dies(const struct cut *cut)
{
    owner_dies(cut, queue_make, queue_get);
}

/* ---------------------------------------------------------------------------------------- semaphores and queues */

/* order: 1: another takes the unit before it, and then there is one more; 2: one sleeps already */
static void semaphore_while_released(const struct cut *cut)
{
    brood_semaphore s = {0};
    expect_is(brood_semaphore_new(&s, 1, NULL), 0);
    expect_is(brood_semaphore_acquire(s, 0), 0);
    struct semaphore_shm *shm = brood__slot_find(TABLE_SEMAPHORE, s.id);
    unsigned mates = cut->order & 2 ? 1 : 0;
    if (mates) mate_sends_to_sleep(0, semaphore_acquire, s.id);
    struct victim v;
    victim_start(&v, NULL, semaphore_acquire, s.id);
    victim_step(&v, cut->k[0]);
    if (!victim_has(&v, &shm->monitor)) {
        expect_is(brood_semaphore_release(s), 0);
        if (cut->order & 1) {
            int result = brood_semaphore_acquire(s, 0);
            expect(result == 0 || mates);
            if (result == 0) expect_is(brood_semaphore_release(s), 0);
        }
    } else {
        victim_run(&v);
        expect_is(brood_semaphore_release(s), 0);
    }
    if (mates) { /* one unit for two: as soon as one has it, there is another */
        while (!victim_run(&v) && mate_busy(0) && !failing()) {
            if (v.asleep && proc_asleep(mate(0)) && brood_semaphore_value(s) > 0) fail("LOST WAKE-UP: both sleep");
        }
        expect_is(brood_semaphore_release(s), 0);
        expect_is(mate_result(0), 0);
    }
    expect_is(victim_finish(&v), 0);
    expect_is(brood_semaphore_free(s), 0);
    ends(&v);
}

static bool has_a_side(const struct victim *v, brood_queue queue)
{
    const struct queue_shm *q = queue_at(queue);
    return victim_has(v, &q->put) || victim_has(v, &q->get);
}

/* A consumer stands still on its way to sleep; order: 1: what comes first is taken by another; 2: who sleeps already */
static void get_while_put(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    bool mates = cut->order & 2;
    if (mates) mate_gets(0, queue, true);
    struct victim v;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_step(&v, cut->k[0]);
    if (!has_a_side(&v, queue)) {
        expect(put_here(queue) != 0);
        if (cut->order & 1) {
            mates_settle(mates);
            get_here(queue);
            if (mates && !mate_busy(0)) mate_gets(0, queue, true);
        }
    }
    victim_run(&v);
    for (unsigned i = 0; i < 1u + mates; i++) put_here(queue);
    expect_is(victim_finish(&v), 0);
    if (mates) mate_got(0);
    while (get_here(queue) != 0) continue;
    closes_with(queue, NULL, NULL, 0);
    ends(&v);
}

/* A producer stands still on its way to sleep at a full queue. */
static void put_while_got(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    uint64_t ids[8];
    unsigned n = fill(queue, ids, 6);
    struct victim v;
    victim_puts(&v, queue_put, queue);
    victim_step(&v, cut->k[0]);
    if (!has_a_side(&v, queue))
        for (unsigned i = 0; i < n; i++) get_here(queue);
    if (!victim_run(&v))
        while (get_here(queue) != 0) continue;
    expect_is(victim_finish(&v), 0);
    while (get_here(queue) != 0) continue;
    closes_with(queue, NULL, NULL, 0);
    ends(&v);
}

/* A consumer stands still at k[0]; a producer of a buffer dies at k[1] and is buried; there is the message, or not. */
static int put_long(struct order *order)
{
    char data[200] = "long";
    return brood_queue_put((brood_queue){order->id}, data, sizeof data, BROOD_FOREVER);
}
static int get_long(struct order *order)
{
    char data[200];
    return brood_queue_get((brood_queue){order->id}, data, sizeof data, NULL, BROOD_FOREVER);
}
static void get_while_producer_dies(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v, producer;
    victim_start(&v, NULL, get_long, queue.id);
    victim_step(&v, cut->k[0]);
    victim_start(&producer, NULL, put_long, queue.id);
    victim_step(&producer, cut->k[1]);
    victim_kill(&producer);
    bury_begin(producer.proc.member);
    bool repaired = false;
    for (unsigned i = 0; i < 20 && !repaired; i++) repaired = brood__repair_member(producer.proc.member);
    victim_run(&v);
    if (!repaired) bury(producer.proc.member);
    bury_end(producer.proc.member);
    if (!victim_run(&v)) {
        if (v.asleep && !queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and the consumer sleeps on");
        struct order order = {.id = queue.id};
        expect_is(put_long(&order), 0);
    }
    expect_is(victim_finish(&v), 0);
    closes_with(queue, NULL, NULL, 0);
    ends(&v);
}

/*
 * The woken dies while another is inside and holds what the kernel would ring: that other passes the wake-up on.
 * k[0]: of the woken; k[1]: of the other.
 */
static int semaphore_look(struct order *order)
{
    return brood_semaphore_value((brood_semaphore){order->id}) < 0 ? BROOD_ESTALE : 0;
}
static void semaphore_woken_dies(const struct cut *cut)
{
    brood_semaphore s = {0};
    expect_is(brood_semaphore_new(&s, 1, NULL), 0);
    expect_is(brood_semaphore_acquire(s, 0), 0);
    struct victim v, other;
    victim_start(&v, NULL, semaphore_acquire, s.id);
    victim_falls_asleep(&v);
    mate_sends_to_sleep(0, semaphore_acquire, s.id);
    expect_is(brood_semaphore_release(s), 0);
    victim_wakes(&v, true);
    victim_start(&other, NULL, semaphore_look, s.id);
    victim_step(&v, cut->k[0]);
    victim_step(&other, cut->k[1]);
    victim_kill(&v);
    expect_is(victim_finish(&other), 0);
    mates_settle(1);
    if (mate_busy(0) && brood_semaphore_value(s) > 0) fail("LOST WAKE-UP: a unit, and the mate sleeps on");
    bury(v.proc.member);
    expect_is(mate_result(0), 0);
    expect_is(brood_semaphore_free(s), 0);
    ends(&other);
}

/* The other has no room for the message, and leaves it. */
static int queue_look(struct order *order)
{
    char small;
    size_t size;
    int result = brood_queue_get((brood_queue){order->id}, &small, 0, &size, 0);
    return result == BROOD_EMSGSIZE || result == BROOD_EAGAIN ? 0 : result < 0 ? result : NO_RESULT;
}
static void queue_woken_dies(const struct cut *cut)
{
    brood_queue queue = new_queue(2);
    struct victim v, other;
    victim_start(&v, NULL, queue_get, queue.id);
    victim_falls_asleep(&v);
    mate_gets(0, queue, true);
    expect(put_here(queue) != 0);
    victim_wakes(&v, true);
    victim_start(&other, NULL, queue_look, queue.id);
    victim_step(&v, cut->k[0]);
    victim_step(&other, cut->k[1]);
    victim_kill(&v);
    expect_is(victim_finish(&other), 0);
    mates_settle(1);
    if (mate_busy(0) && !queue_is_empty(queue)) fail("LOST WAKE-UP: a message, and the mate sleeps on");
    bury(v.proc.member);
    if (mate_busy(0)) put_here(queue);
    mate_got(0);
    closes_with(queue, NULL, NULL, 0);
    ends(&other);
}

/* Two calls at once, one change of turn in each: a to k[0], b to k[1], a to its end, b to its end. */
static void semaphore_two(const struct cut *cut)
{
    brood_semaphore s = {0};
    expect_is(brood_semaphore_new(&s, 1, NULL), 0);
    expect_is(brood_semaphore_acquire(s, 0), 0);
    struct victim a, b;
    deed_fn *first = cut->order & 1 ? semaphore_release : semaphore_acquire;
    deed_fn *second = cut->order & 1 ? semaphore_acquire : semaphore_release;
    victim_start(&a, NULL, first, s.id);
    victim_start(&b, NULL, second, s.id);
    victim_step(&a, cut->k[0]);
    victim_step(&b, cut->k[1]);
    victim_run(&a);
    victim_run(&b);
    expect_is(victim_finish(&a), 0);
    expect_is(victim_finish(&b), 0);
    expect_is(brood_semaphore_value(s), 0);
    expect_is(brood_semaphore_free(s), 0);
    ends(&a);
    ends(&b);
}

static void queue_two(const struct cut *cut)
{
    brood_queue queue = new_queue(cut->order);
    struct victim a, b;
    deed_fn *first = cut->order & 1 ? queue_put : queue_get;
    deed_fn *second = cut->order & 1 ? queue_get : queue_put;
    victim_puts(&a, first, queue);
    victim_puts(&b, second, queue);
    victim_step(&a, cut->k[0]);
    victim_step(&b, cut->k[1]);
    victim_run(&a);
    victim_run(&b);
    expect_is(victim_finish(&a), 0);
    expect_is(victim_finish(&b), 0);
    closes_with(queue, NULL, NULL, 0);
    ends(&a);
    ends(&b);
}

const struct scene stalled_scenes[] = {
    {"stalled/lock-acquire", acquire_while_released, 0, 2},
    {"stalled/lock-release", release_late, 0, 0},
    {"stalled/lock-acquire-stale", acquire_stale, 0, 0},
    {"stalled/lock-holder-dies", holder_dies, SCENE_PAIR, 0},
    {"stalled/lock-owner-dies", lock_owner_dies, 0, 0},
    {"stalled/semaphore-owner-dies", semaphore_owner_dies, 0, 0},
    {"stalled/event-owner-dies", event_owner_dies, 0, 0},
    {"stalled/event-pulsed", event_pulsed, 0, 0},
    {"stalled/queue-owner-dies", queue_owner_dies, 0, 0},
    {"stalled/semaphore-acquire", semaphore_while_released, 0, 4},
    {"stalled/semaphore-two", semaphore_two, SCENE_PAIR, 2},
    {"stalled/queue-get", get_while_put, 0, 4},
    {"stalled/queue-put", put_while_got, 0, 4},
    {"stalled/semaphore-woken-dies", semaphore_woken_dies, SCENE_PAIR, 0},
    {"stalled/queue-woken-dies", queue_woken_dies, SCENE_PAIR, 0},
    {"stalled/queue-two", queue_two, SCENE_PAIR, 4},
    {"stalled/queue-producer-dies", get_while_producer_dies, SCENE_PAIR, 0},
    {NULL, NULL, 0, 0},
};
