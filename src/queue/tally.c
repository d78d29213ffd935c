/* SPDX-License-Identifier: MIT */
/* tally.c - what is taken and not done, and who waits for the end of it; the protocol is in queue/tally.h. */
#include "queue/tally.h"

#include "queue/ring.h"
#include "sync/wait.h"

#include <brood/queue.h>

#define ENTRY(member, messages) ((uint64_t)(member) << 48 | (messages))
#define ENTRY_MEMBER(entry) ((uint32_t)((entry) >> 48))
#define ENTRY_MESSAGES(entry) ((entry) & ~(uint64_t)0 >> 16)

/* One store, in program order, which is what an heir needs. */
static void store(void *place, uint64_t value)
{
    *(volatile uint64_t *)place = value;
    atomic_signal_fence(memory_order_seq_cst);
}
static void store_half(uint32_t *place, uint32_t value)
{
    *(volatile uint32_t *)place = value;
    atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t *entries(const struct queue_shm *q)
{
    return brood__at(q->slot.body + brood__ring_bytes(q, q->capacity) - TALLY_BYTES);
}

/* Written under the latch, which orders it. */
static uint64_t open_messages(struct queue_shm *q)
{
    return atomic_load_explicit(&q->tally.open, memory_order_relaxed);
}
static void set_open(struct queue_shm *q, uint64_t messages)
{
    atomic_store_explicit(&q->tally.open, messages, memory_order_relaxed);
}

static bool all_done(struct queue_shm *q)
{
    return open_messages(q) == 0 && brood__ring_all_empty(q);
}

void brood__tally_ring(struct queue_shm *q)
{
    if (atomic_load(&q->tally.bell)) brood__os_futex_clear_and_wake(&q->tally.bell);
}

/* The entry of a member from its own place on; or, if `fresh`, an unused one. */
static uint64_t *find(const struct queue_shm *q, uint32_t member, bool fresh)
{
    uint64_t *e = entries(q), *unused = NULL;
    for (uint32_t n = 0, i = member % TALLY_ENTRIES; n < TALLY_ENTRIES; n++, i = (i + 1) % TALLY_ENTRIES) {
        if (e[i] != 0 && ENTRY_MEMBER(e[i]) == member) return &e[i];
        if (e[i] != 0) continue;
        if (!unused) unused = &e[i];
        if (n == 0 && fresh) break; /* its own place, and free: the usual case */
    }
    return fresh ? unused : NULL;
}

uint64_t *brood__tally_entry(struct queue_shm *q)
{
    return find(q, brood__self->member, true);
}

void brood__tally_intend(struct queue_shm *q, uint64_t *entry, uint64_t place, uint32_t n)
{
    struct tally_shm *t = &q->tally;
    store(&t->value, ENTRY(brood__self->member, ENTRY_MESSAGES(*entry) + n));
    store(&t->at, place);
    store_half(&t->taking, (uint32_t)(entry - entries(q)) + 1);
}

void brood__tally_took(struct queue_shm *q, uint32_t n)
{
    struct tally_shm *t = &q->tally;
    store(&entries(q)[t->taking - 1], t->value);
    store_half(&t->taking, 0);
    set_open(q, open_messages(q) + n);
}

static void add_up(struct queue_shm *q)
{
    uint64_t open = 0;
    for (uint32_t i = 0; i < TALLY_ENTRIES; i++) open += ENTRY_MESSAGES(entries(q)[i]);
    set_open(q, open);
}

void brood__tally_repair(struct queue_shm *q)
{
    struct tally_shm *t = &q->tally;
    if (!q->slot.body) return;
    if (t->taking && t->taking <= TALLY_ENTRIES) {
        uint64_t lane = t->at >> 60;
        if (lane < q->lanes && brood__ring_place((unsigned)lane, atomic_load(&q->got[lane].head)) >= t->at)
            store(&entries(q)[t->taking - 1], t->value);
    }
    store_half(&t->taking, 0);
    if (t->losing && t->losing <= TALLY_ENTRIES && entries(q)[t->losing - 1] == 0) atomic_store(&t->lost, t->lost_then);
    store_half(&t->losing, 0);
    add_up(q);
    brood__tally_ring(q);
}

void brood__tally_bury(struct queue_shm *q, uint32_t dead)
{
    struct tally_shm *t = &q->tally;
    bool some = false;
    for (uint32_t i = 0; i < TALLY_ENTRIES; i++) {
        uint64_t entry = entries(q)[i];
        if (entry == 0 || ENTRY_MEMBER(entry) != dead) continue;
        store(&t->lost_then, atomic_load(&t->lost) + ENTRY_MESSAGES(entry));
        store_half(&t->losing, i + 1);
        store(&entries(q)[i], 0); /* the commit */
        atomic_store(&t->lost, t->lost_then);
        store_half(&t->losing, 0);
        some = true;
    }
    if (!some) return;
    add_up(q);
    if (all_done(q)) brood__tally_ring(q);
}

/* ---------------------------------------------------------------------------------------------- the public calls */

static int enter(brood_queue queue, struct queue_shm **q, void **announced)
{
    int error = brood__enter();
    if (error < 0) return error;
    *q = brood__slot_find(TABLE_QUEUE, queue.id);
    if (!*q) return brood__slot_gone(TABLE_QUEUE, queue.id);
    error = brood__ring_enter_get(*q, queue.id, announced);
    if (error < 0) return error;
    if ((*q)->joinable) return 0;
    brood__ring_leave_get(*q, *announced);
    return brood__fail_numbers(BROOD_EINVAL, "the queue is not joinable", 0, 0);
}

int brood_queue_task_done(brood_queue queue)
{
    struct queue_shm *q;
    void *announced = NULL;
    int error = enter(queue, &q, &announced);
    if (error < 0) return error;
    uint64_t *entry = find(q, brood__self->member, false);
    for (uint32_t i = 0; !entry && open_messages(q) && i < TALLY_ENTRIES; i++)
        if (entries(q)[i]) entry = &entries(q)[i];
    if (entry) {
        store(entry, ENTRY_MESSAGES(*entry) == 1 ? 0 : *entry - 1); /* the commit */
        set_open(q, open_messages(q) - 1);
        if (all_done(q)) brood__tally_ring(q);
    }
    brood__ring_leave_get(q, announced);
    return entry ? 0 : BROOD_EPERM;
}

int brood_queue_join(brood_queue queue, int timeout)
{
    struct queue_shm *q;
    int result = brood__enter_for(timeout);
    int64_t deadline = timeout == 0 ? 0 : brood__os_deadline(timeout);
    for (bool late = timeout == 0; result == 0;) {
        void *announced = NULL;
        result = enter(queue, &q, &announced);
        if (result < 0) break;
        bool done = all_done(q), lost = atomic_load(&q->tally.lost) != 0;
        if (!done && !late) atomic_store(&q->tally.bell, OS_WAITERS);
        brood__ring_leave_get(q, announced);
        if (done) return lost ? BROOD_ELOST : 0;
        if (late) return brood__not_now(timeout);
        late = brood__sleep(&q->tally.bell, OS_WAITERS, deadline, queue.id) < 0;
    }
    return result;
}

int64_t brood_queue_lost(brood_queue queue)
{
    struct queue_shm *q;
    void *announced = NULL;
    int error = enter(queue, &q, &announced);
    if (error < 0) return error;
    uint64_t lost = atomic_exchange(&q->tally.lost, 0);
    brood__ring_leave_get(q, announced);
    return (int64_t)lost;
}
