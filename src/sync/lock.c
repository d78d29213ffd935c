/* SPDX-License-Identifier: MIT */
/* lock.c - the lock, and what an rlock has of it; the protocol is in sync/lock.h.  Thread-safe; async-signal-safe as the public header says. */
#include "sync/lock.h"

#include "arena/member.h"
#include "sync/deadlock.h"
#include "sync/wait.h"

#include <limits.h>

#define LOW(word) ((uint32_t)(word))
#define TURN(word) ((uint32_t)((word) >> 32 & 0xfff))
#define TAG(word) ((uint32_t)((word) >> 44))
#define WORD(tag, turn, low) ((uint64_t)((tag)&0xfffff) << 44 | (uint64_t)((turn)&0xfff) << 32 | (uint64_t)(low))
#define TAG_OF(generation) ((generation)&0xfffff)
#define HELD(low) ((low)&OS_TID_MASK)

static bool swap(struct lock_shm *l, uint64_t *seen, uint64_t to, memory_order order)
{
    return atomic_compare_exchange_strong_explicit(&l->word, seen, to, order, memory_order_relaxed);
}

/* Make every handle of this generation stale, and tell those who wait. */
static void retire_word(struct lock_shm *l, uint32_t generation)
{
    uint64_t seen = atomic_load(&l->word);
    while (TAG(seen) == TAG_OF(generation) && !swap(l, &seen, WORD(generation + 1, 0, 0), memory_order_acq_rel)) {}
    brood__os_futex_wake(brood__low_half(&l->word), INT_MAX);
}

/* Garbage: those who wait for it may not have been told yet. */
static bool scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    retire_word((struct lock_shm *)(void *)slot, SLOT_GENERATION(atomic_load(&slot->word)));
    return true;
}

static struct lock_shm *at(enum table table, uint32_t index)
{
    return (struct lock_shm *)(void *)brood__slot_at(table, index);
}

int brood__lock_new(enum table table, uint64_t *id)
{
    uint32_t index = 0;
    int error = brood__slot_claim(table, brood__self->member, scrub, &index);
    if (error < 0) return error;
    struct lock_shm *l = at(table, index);
    uint32_t generation = SLOT_GENERATION(atomic_load_explicit(&l->slot.word, memory_order_relaxed));
    atomic_store_explicit(&l->hold, LOCK_HOLD(generation, 0, 0), memory_order_relaxed);
    atomic_store_explicit(&l->deaths, 0u, memory_order_relaxed);
    atomic_store_explicit(&l->word, WORD(generation, 0, 0), memory_order_relaxed);
    *id = brood__slot_publish(table, index);
    return 0;
}

int brood__lock_free(enum table table, uint64_t id)
{
    if (!brood__slot_retire(table, id)) return BROOD_ESTALE;
    retire_word(at(table, HANDLE_INDEX(id)), HANDLE_GENERATION(id));
    brood__slot_release(table, HANDLE_INDEX(id));
    return 0;
}

static bool is_stale(uint64_t word, uint64_t id)
{
    return TAG(word) != TAG_OF(HANDLE_GENERATION(id));
}

struct lock_shm *brood__lock_find(uint64_t id)
{
    enum table table = HANDLE_TABLE(id) == TABLE_RLOCK ? TABLE_RLOCK : TABLE_LOCK;
    return brood__slot_find(table, id);
}

int brood__lock_gone(uint64_t id)
{
    return brood__slot_gone(HANDLE_TABLE(id) == TABLE_RLOCK ? TABLE_RLOCK : TABLE_LOCK, id);
}

bool brood__lock_is_ours(struct lock_shm *l, uint64_t id)
{
    uint64_t word = atomic_load_explicit(&l->word, memory_order_relaxed);
    return !is_stale(word, id) && HELD(LOW(word)) == brood__self->word_id;
}

/* Before a dead holder's name leaves the word; the fence is for who sees the word without it (condition.c). */
static void count_death(struct lock_shm *l)
{
    atomic_fetch_add_explicit(&l->deaths, 1u, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/* One attempt.  1: taken, or an error; 0 and *seen: held by another. */
static int attempt(struct lock_shm *l, uint64_t id, uint32_t slept, uint64_t *seen, int *result)
{
    *seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        uint32_t low = LOW(*seen);
        if (is_stale(*seen, id)) {
            *result = brood__lock_gone(id);
            return 1;
        }
        bool orphan = HELD(low) && brood__member_dead(low & MEMBER_MASK);
        if (HELD(low) && !orphan) return 0;
        if (orphan) count_death(l);
        uint64_t mine = WORD(TAG(*seen), TURN(*seen), brood__self->word_id | (low & OS_WAITERS) | slept);
        /* acquire pairs with the release in brood_lock_release. */
        if (!swap(l, seen, mine, memory_order_acquire)) continue;
        *result = orphan || (low & OS_OWNER_DIED) ? BROOD_EOWNERDEAD : 0;
        return 1;
    }
}

/* How long one sleeps who asks for deadlocks before it looks again: another may have closed the circle without asking. */
#define FIRST_LOOK ((int64_t)2 * 1000 * 1000)
#define LAST_LOOK ((int64_t)256 * 1000 * 1000)

/* As brood__sleep; *look is how long it may be at most, and is used up by that. */
static int sleep_a_while(struct lock_shm *l, uint32_t low, int64_t deadline, uint64_t id, int64_t *look)
{
    int64_t next = brood__os_now() + *look;
    if (deadline <= next) return brood__sleep(brood__low_half(&l->word), low, deadline, id);
    if (brood__sleep(brood__low_half(&l->word), low, next, id) < 0) {
        if (*look < LAST_LOOK)
            *look *= 2;
        else
            brood__look_up();
    }
    return 0;
}

/*
 * Between two looks.  Each moves the line away from the holder, who may well be one that takes the lock again and again,
 * so they are far apart from the first on: up to a microsecond of a wait for twice to three times the throughput.
 */
static void stand_back(unsigned *n)
{
    if (*n < SPIN_LONG) *n = SPIN_LONG;
    for (int i = 0; i < 3 && *n < SPIN_YIELDS; i++) brood__relax(*n);
    brood__relax((*n)++);
}

static int wait_for_it(struct lock_shm *l, uint64_t id, int timeout, struct wait *wait, struct circle *circle)
{
    int64_t deadline = brood__os_deadline(timeout), look = circle ? FIRST_LOOK : OS_NEVER / 2;
    uint32_t slept = 0;
    uint64_t seen;
    int result;
    for (unsigned n = 0;;) {
        if (attempt(l, id, slept, &seen, &result)) {
            /* Who slept may have slept on the next lock's word, and taken a wake-up that another there waits for. */
            if (slept && is_stale(seen, id)) brood__os_futex_wake(brood__low_half(&l->word), 1);
            return result;
        }
        uint32_t low = LOW(seen);
        if (!circle && timeout < 0 && HELD(low) == HELD(brood__self->word_id) && !brood__os_has_threads())
            return BROOD_EDEADLK;
        if (n < SPIN_BEFORE_SLEEP) {
            stand_back(&n);
            continue;
        }
        if (!(low & OS_WAITERS)) {
            if (!swap(l, &seen, seen | OS_WAITERS, memory_order_relaxed)) continue;
            low |= OS_WAITERS;
        }
        slept = OS_WAITERS; /* others may be asleep beside us: who takes the lock after a sleep keeps the mark */
        brood__wait_publish(wait, id, seen);
        if (circle && brood__circle_close(wait, circle)) return BROOD_EDEADLK;
        if (sleep_a_while(l, low, deadline, id, &look) < 0)
            return attempt(l, id, slept, &seen, &result) ? result : BROOD_ETIMEDOUT;
    }
}

/*
 * Free, and nobody asleep: nothing is announced, for who has not slept owes nobody a wake-up.  acquire pairs with the
 * release in brood_lock_release.
 */
static inline bool take_free(struct lock_shm *l, uint64_t id)
{
    uint64_t seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    return (seen & UINT32_MAX) == 0 && !is_stale(seen, id) &&
           swap(l, &seen, seen | brood__self->word_id, memory_order_acquire);
}

static inline int acquire(enum table table, uint64_t id, int timeout, struct circle *circle)
{
    struct lock_shm *l = brood__slot_find(table, id);
    if (!l) return brood__slot_gone(table, id);
    if (take_free(l, id)) return 0;
    uint64_t seen;
    int result;
    if (timeout == 0) return attempt(l, id, 0, &seen, &result) ? result : BROOD_EAGAIN;
    void *announced = brood__os_announce(brood__low_half(&l->word));
    if (!attempt(l, id, 0, &seen, &result)) {
        struct wait wait = {0};
        result = wait_for_it(l, id, timeout, &wait, circle);
        brood__wait_withdraw(&wait);
    }
    brood__os_announce_again(announced);
    return result;
}

int brood__lock_acquire(enum table table, uint64_t id, int timeout, struct circle *circle)
{
    return acquire(table, id, timeout, circle);
}

bool brood__lock_look(uint64_t id, uint64_t *word, uint32_t *holder)
{
    struct lock_shm *l = brood__lock_find(id);
    if (!l) return false;
    uint64_t seen = atomic_load(&l->word);
    *word = seen & ~(uint64_t)OS_WAITERS;
    *holder = LOW(seen) & MEMBER_MASK;
    return !is_stale(seen, id) && HELD(LOW(seen)) == (MEMBER_BIT | *holder);
}

static int release_slow(struct lock_shm *l, enum table table, uint64_t id)
{
    int result = 0;
    os_word *low_half = brood__low_half(&l->word);
    void *announced = brood__os_announce(low_half);
    uint64_t seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        uint32_t low = LOW(seen);
        if (is_stale(seen, id)) {
            result = brood__slot_gone(table, id);
            break;
        }
        if (!HELD(low)) {
            result = BROOD_EPERM;
            break;
        }
        /* release pairs with the acquire of the next taker.  The mark stays: others may be asleep. */
        uint64_t free_word = WORD(TAG(seen), TURN(seen) + 1, low & OS_WAITERS);
        if (!swap(l, &seen, free_word, memory_order_release)) continue;
        if ((low & OS_WAITERS) && brood__os_futex_wake(low_half, 1) == 0) {
            /* Nobody was asleep; whoever went to sleep since saw the lock free, or the mark it set itself anew. */
            swap(l, &free_word, WORD(TAG(free_word), TURN(free_word), 0), memory_order_relaxed);
        }
        break;
    }
    brood__os_announce_again(announced);
    return result;
}

static inline int release(enum table table, uint64_t id)
{
    struct lock_shm *l = brood__slot_find(table, id);
    if (!l) return brood__slot_gone(table, id);
    /* Nobody is asleep: nobody is to be woken, so nothing is announced.  release: as in release_slow. */
    uint64_t seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    if (HELD(LOW(seen)) && !(LOW(seen) & OS_WAITERS) && !is_stale(seen, id) &&
        swap(l, &seen, WORD(TAG(seen), TURN(seen) + 1, 0), memory_order_release))
        return 0;
    return release_slow(l, table, id);
}

int brood__lock_release(enum table table, uint64_t id)
{
    return release(table, id);
}

int brood__lock_holder(enum table table, uint64_t id)
{
    struct lock_shm *l = brood__slot_find(table, id);
    if (!l) return brood__slot_gone(table, id);
    uint64_t word = atomic_load(&l->word);
    if (is_stale(word, id)) return BROOD_ESTALE;
    return HELD(LOW(word)) ? brood__member_at(LOW(word) & MEMBER_MASK)->pid : 0;
}

/* ------------------------------------------------------------------------------------------------ the public calls */

int brood_lock_new(brood_lock *lock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_new(TABLE_LOCK, &lock->id);
}

int brood_lock_free(brood_lock lock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_free(TABLE_LOCK, lock.id);
}

int brood_lock_acquire(brood_lock lock, int timeout)
{
    int error = brood__enter_for(timeout);
    return error < 0 ? error : acquire(TABLE_LOCK, lock.id, timeout, NULL);
}

int brood_lock_release(brood_lock lock)
{
    int error = brood__enter();
    return error < 0 ? error : release(TABLE_LOCK, lock.id);
}

int brood_lock_holder(brood_lock lock)
{
    int error = brood__enter();
    return error < 0 ? error : brood__lock_holder(TABLE_LOCK, lock.id);
}

/* ------------------------------------------------------------------------------------------------- after a death */

static void repair(enum table table, uint32_t dead)
{
    uint32_t used = brood__table_used(table);
    for (uint32_t i = 1; i < used; i++) {
        struct lock_shm *l = at(table, i);
        uint64_t seen = atomic_load(&l->word), slot = atomic_load(&l->slot.word);
        if (SLOT_STATE(slot) == SLOT_GARBAGE) {
            retire_word(l, SLOT_GENERATION(slot));
            continue;
        }
        while (HELD(LOW(seen)) == (MEMBER_BIT | dead)) { /* until it is ours: a sleeper may be setting its mark */
            uint64_t died = WORD(TAG(seen), TURN(seen) + 1, OS_OWNER_DIED | (LOW(seen) & OS_WAITERS));
            count_death(l);
            if (!swap(l, &seen, died, memory_order_acq_rel)) continue;
            brood__os_futex_wake(brood__low_half(&l->word), 1);
            break;
        }
    }
}

bool brood__lock_repair(uint32_t dead)
{
    repair(TABLE_LOCK, dead);
    repair(TABLE_RLOCK, dead);
    return true;
}

static void ring_all(enum table table)
{
    uint32_t used = brood__table_used(table);
    for (uint32_t i = 1; i < used; i++) {
        struct lock_shm *l = at(table, i);
        if (LOW(atomic_load(&l->word)) & OS_WAITERS) brood__os_futex_wake(brood__low_half(&l->word), INT_MAX);
    }
}

void brood__lock_ring_all(void)
{
    ring_all(TABLE_LOCK);
    ring_all(TABLE_RLOCK);
}
