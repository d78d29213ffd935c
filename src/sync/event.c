/* SPDX-License-Identifier: MIT */
/* event.c - the event; the protocol is in sync/event.h.  Thread- and async-signal-safe, new and free but for signals. */
#include "sync/event.h"

#include "sync/lock.h"
#include "sync/wait.h"

#include <brood/event.h>
#include <limits.h>

#define LOW(word) ((uint32_t)(word))
#define HIGH(word) ((uint32_t)((word) >> 32))
#define SETS(word) ((uint32_t)((word) >> 32 & 0xfff))
#define TAG(word) ((uint32_t)((word) >> 44))
#define WORD(tag, sets, low) ((uint64_t)((tag)&0xfffff) << 44 | (uint64_t)((sets)&0xfff) << 32 | (uint64_t)(low))
#define TAG_OF(id) (HANDLE_GENERATION(id) & 0xfffff)

static bool swap(struct event_shm *e, uint64_t *seen, uint64_t to)
{
    /* release on set pairs with the acquire loads of waiters: what was written before set is seen after wait. */
    return atomic_compare_exchange_strong_explicit(&e->word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

static void retire_word(struct event_shm *e, uint32_t generation)
{
    uint64_t seen = atomic_load(&e->word);
    while (TAG(seen) == (generation & 0xfffff) && !swap(e, &seen, WORD(generation + 1, 0, 0))) {}
    brood__os_futex_wake(brood__low_half(&e->word), INT_MAX);
}

/* Garbage: those who wait for it may not have been told yet. */
static bool scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    retire_word((struct event_shm *)(void *)slot, SLOT_GENERATION(atomic_load(&slot->word)));
    return true;
}

int brood_event_new(brood_event *event)
{
    int error = brood__enter();
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_EVENT, brood__self->member, scrub, &index);
    if (error < 0) return error;
    struct event_shm *e = (struct event_shm *)(void *)brood__slot_at(TABLE_EVENT, index);
    uint32_t generation = SLOT_GENERATION(atomic_load_explicit(&e->slot.word, memory_order_relaxed));
    atomic_store_explicit(&e->word, WORD(generation, 0, 0), memory_order_relaxed);
    event->id = brood__slot_publish(TABLE_EVENT, index);
    return 0;
}

int brood_event_free(brood_event event)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_EVENT, event.id)) return BROOD_ESTALE;
    struct event_shm *e = (struct event_shm *)(void *)brood__slot_at(TABLE_EVENT, HANDLE_INDEX(event.id));
    retire_word(e, HANDLE_GENERATION(event.id));
    brood__slot_release(TABLE_EVENT, HANDLE_INDEX(event.id));
    return 0;
}

/* Pay what is owed: wake all, then take the mark away.  The word is announced. */
static void pay(struct event_shm *e, uint64_t seen)
{
    brood__os_futex_wake(brood__low_half(&e->word), INT_MAX);
    swap(e, &seen, seen & ~(uint64_t)OS_WAITERS);
}

static int change(brood_event event, bool set)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct event_shm *e = brood__slot_find(TABLE_EVENT, event.id);
    if (!e) return brood__slot_gone(TABLE_EVENT, event.id);
    void *announced = brood__os_announce(brood__low_half(&e->word));
    uint64_t seen = atomic_load_explicit(&e->word, memory_order_acquire);
    for (;;) {
        if (TAG(seen) != TAG_OF(event.id)) {
            error = brood__slot_gone(TABLE_EVENT, event.id);
            break;
        }
        bool is_set = LOW(seen) & EVENT_SET, owed = is_set && (LOW(seen) & OS_WAITERS);
        if (owed) {
            pay(e, seen);
            seen = atomic_load_explicit(&e->word, memory_order_acquire);
            continue;
        }
        if (is_set == set) break;
        uint64_t to = set ? WORD(TAG(seen), SETS(seen) + 1, EVENT_SET | (LOW(seen) & OS_WAITERS))
                          : WORD(TAG(seen), SETS(seen), 0);
        if (!swap(e, &seen, to)) continue;
        if (set && (LOW(to) & OS_WAITERS)) pay(e, to);
        break;
    }
    brood__os_announce_again(announced);
    return error;
}

int brood_event_set(brood_event event)
{
    return change(event, true);
}

int brood_event_clear(brood_event event)
{
    return change(event, false);
}

int brood_event_is_set(brood_event event)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct event_shm *e = brood__slot_find(TABLE_EVENT, event.id);
    if (!e) return brood__slot_gone(TABLE_EVENT, event.id);
    return (LOW(atomic_load_explicit(&e->word, memory_order_acquire)) & EVENT_SET) != 0;
}

static int wait_for_it(struct event_shm *e, brood_event event, int timeout)
{
    int64_t deadline = brood__os_deadline(timeout);
    uint64_t seen = atomic_load_explicit(&e->word, memory_order_acquire);
    uint32_t sets = SETS(seen);
    bool late = false;
    for (unsigned n = 0;; seen = atomic_load_explicit(&e->word, memory_order_acquire)) {
        if (TAG(seen) != TAG_OF(event.id)) return brood__slot_gone(TABLE_EVENT, event.id);
        if (LOW(seen) & EVENT_SET) {
            if (LOW(seen) & OS_WAITERS) pay(e, seen);
            return 0;
        }
        if (SETS(seen) != sets) return 0;
        if (late) return BROOD_ETIMEDOUT;
        if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
            continue;
        }
        if (!(LOW(seen) & OS_WAITERS) && !swap(e, &seen, seen | OS_WAITERS)) continue;
        /* Between the mark and the sleep it may be set and cleared, and marked by another: the low half is as it was. */
        late = brood__sleep_both(brood__low_half(&e->word), OS_WAITERS, brood__high_half(&e->word), HIGH(seen),
                                 deadline, event.id) < 0;
    }
}

int brood_event_wait(brood_event event, int timeout)
{
    int result = brood__enter_for(timeout);
    if (result < 0) return result;
    struct event_shm *e = brood__slot_find(TABLE_EVENT, event.id);
    if (!e) return brood__slot_gone(TABLE_EVENT, event.id);
    if (timeout == 0) {
        result = brood_event_is_set(event);
        return result < 0 ? result : result ? 0 : BROOD_EAGAIN;
    }
    void *announced = brood__os_announce(brood__low_half(&e->word));
    result = wait_for_it(e, event, timeout);
    brood__os_announce_again(announced);
    return result;
}

bool brood__event_repair(uint32_t dead)
{
    (void)dead;
    uint32_t used = brood__table_used(TABLE_EVENT);
    for (uint32_t i = 1; i < used; i++) {
        struct event_shm *e = (struct event_shm *)(void *)brood__slot_at(TABLE_EVENT, i);
        uint64_t slot = atomic_load(&e->slot.word);
        if (SLOT_STATE(slot) == SLOT_GARBAGE) retire_word(e, SLOT_GENERATION(slot));
    }
    return true;
}

void brood__event_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_EVENT);
    for (uint32_t i = 1; i < used; i++) {
        struct event_shm *e = (struct event_shm *)(void *)brood__slot_at(TABLE_EVENT, i);
        if (LOW(atomic_load(&e->word)) & OS_WAITERS) brood__os_futex_wake(brood__low_half(&e->word), INT_MAX);
    }
}
