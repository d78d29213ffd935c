/* SPDX-License-Identifier: MIT */
/* condition.c - the condition; the protocol is in sync/condition.h. */
#include "sync/condition.h"

#include "arena/member.h"
#include "sync/lock.h"
#include "sync/wait.h"

#include <brood/condition.h>
#include <limits.h>

#define MOST BROOD_CONDITION_MOST
#define LOW(word) ((uint32_t)(word))
#define MEMBER(word) ((uint32_t)((word) >> 48))
#define WAITS(word) ((word) != 0 && (LOW(word) & ~OS_WAITERS) == 0)
#define WITH(word, low) (((word) >> 32 << 32) | (low))

static struct waiter_shm *waiters(const struct condition_shm *c)
{
    return brood__at(c->slot.body);
}

static struct condition_shm *at(uint32_t index)
{
    return (struct condition_shm *)(void *)brood__slot_at(TABLE_CONDITION, index);
}

/* Whether the waiters are memory: the supervisor does not believe it unseen. */
static bool is_sound(const struct condition_shm *c)
{
    uint64_t body = c->slot.body;
    return c->made && body != 0 && body % sizeof(struct waiter_shm) == 0 && body < brood__arena()->size &&
           brood__in_arena(brood__at(body), MOST * sizeof(struct waiter_shm));
}

static bool swap(struct waiter_shm *w, uint64_t *seen, uint64_t to)
{
    /* release on NOTIFIED pairs with the acquire loads of the waiter; the lock orders the rest. */
    return atomic_compare_exchange_strong_explicit(&w->word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

static int enter(struct condition_shm *c, uint64_t id, void **announced)
{
    int heir = brood__monitor_enter(&c->monitor, announced);
    if (heir < 0) return heir;
    if (heir) c->monitor.flags[MONITOR_ASLEEP] = c->monitor.flags[MONITOR_BATON] = 0; /* nobody sleeps on it */
    if (brood__slot_is(&c->slot, id)) return 0;
    brood__monitor_leave(&c->monitor, *announced, 0, false);
    return brood__slot_gone(TABLE_CONDITION, id);
}

static void leave(struct condition_shm *c, void *announced)
{
    brood__monitor_leave(&c->monitor, announced, 0, false);
}

/* The lock of the condition that has this handle; 0 if it has gone meanwhile. */
static uint64_t lock_of(struct condition_shm *c, uint64_t id)
{
    uint64_t lock = atomic_load_explicit(&c->lock, memory_order_acquire);
    return brood__slot_is(&c->slot, id) ? lock : 0;
}

static uint32_t deaths_of(uint64_t lock)
{
    struct lock_shm *l = brood__lock_find(lock);
    return l ? atomic_load_explicit(&l->deaths, memory_order_relaxed) : 0;
}

/* -------------------------------------------------------------------------------------------- under the latch */

/* One waiter, if it still waits as it was seen to: told, and woken.  Its word is announced until it is. */
static bool tell(struct waiter_shm *w, uint64_t seen, uint32_t low)
{
    os_word *half = brood__low_half(&w->word);
    void *announced = brood__os_announce(half);
    bool told = false;
    while (!told && WAITS(seen)) told = swap(w, &seen, WITH(seen, low)); /* (1) */
    if (told && (LOW(seen) & OS_WAITERS)) brood__os_futex_wake(half, 1);
    brood__os_announce_again(announced);
    return told;
}

static bool is_dead(uint32_t member)
{
    return member >= brood__table_used(TABLE_MEMBER) || brood__member_dead(member);
}

/* The one that has waited longest, of those that live; NULL if nobody waits. */
static struct waiter_shm *oldest(struct condition_shm *c, uint32_t used, uint64_t *word)
{
    struct waiter_shm *first = NULL;
    for (uint32_t i = 0; i < used; i++) {
        struct waiter_shm *w = &waiters(c)[i];
        uint64_t seen = atomic_load_explicit(&w->word, memory_order_acquire);
        if (!WAITS(seen) || is_dead(MEMBER(seen)) || (first && w->ticket >= first->ticket)) continue;
        first = w;
        *word = seen;
    }
    return first;
}

static uint32_t used_of(struct condition_shm *c)
{
    while (c->used > 0 && atomic_load_explicit(&waiters(c)[c->used - 1].word, memory_order_relaxed) == 0) c->used--;
    return c->used;
}

/* At most n of them, which is few; else all, in any order. */
static unsigned notify_some(struct condition_shm *c, unsigned n)
{
    unsigned told = 0;
    uint32_t used = used_of(c);
    while (told < n) {
        uint64_t seen = 0;
        struct waiter_shm *w = oldest(c, used, &seen);
        if (!w) break;
        told += tell(w, seen, WAITER_NOTIFIED);
    }
    return told;
}

static unsigned tell_all(struct condition_shm *c, uint32_t used, uint32_t low)
{
    unsigned told = 0;
    for (uint32_t i = 0; i < used; i++) {
        struct waiter_shm *w = &waiters(c)[i];
        uint64_t seen = atomic_load_explicit(&w->word, memory_order_acquire);
        if (WAITS(seen)) told += tell(w, seen, low) && !is_dead(MEMBER(seen));
    }
    return told;
}

/* A waiter of this thread's, or NULL. */
static struct waiter_shm *claim(struct condition_shm *c)
{
    uint32_t used = used_of(c), i = 0;
    while (i < used && atomic_load_explicit(&waiters(c)[i].word, memory_order_relaxed) != 0) i++;
    if (i == MOST) return NULL;
    if (used == 0) c->told = deaths_of(c->lock);
    if (i == used) c->used = used + 1;
    struct waiter_shm *w = &waiters(c)[i];
    w->ticket = ++c->tickets;
    atomic_store_explicit(&w->word, (uint64_t)brood__self->member << 48, memory_order_release); /* (1) it waits */
    return w;
}

/* --------------------------------------------------------------------------------------------- new, free, garbage */

/* Nobody is inside any more, or those that are find it gone and take it apart as they leave. */
bool brood__condition_scrub(struct slot_shm *slot, uint32_t index)
{
    struct condition_shm *c = (struct condition_shm *)(void *)slot;
    (void)index;
    void *announced = brood__os_announce(&c->monitor);
    uint32_t seen;
    bool held = brood__latch_try(&c->monitor.word, &seen), unused = held;
    if (held && slot->body && c->made)
        for (uint32_t i = 0; i < MOST; i++) unused &= atomic_load(&waiters(c)[i].word) == 0;
    if (held)
        leave(c, announced);
    else
        brood__os_announce_again(announced);
    if (unused && c->own) brood__lock_free(TABLE_RLOCK, c->lock); /* unless it has gone already */
    return unused;
}

/* `own` is never true of a lock that is not: who dies here leaves garbage, and its scrub believes it. */
static int bind(struct condition_shm *c, const brood_condition_options *o)
{
    uint64_t lock = o && o->lock.id ? o->lock.id : o ? o->rlock.id : 0;
    enum table table = o && o->lock.id ? TABLE_LOCK : TABLE_RLOCK;
    bool own = lock == 0;
    int error =
        own ? brood__lock_new(TABLE_RLOCK, &lock) : (brood__slot_find(table, lock) ? 0 : brood__slot_gone(table, lock));
    c->own = 0;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&c->lock, lock, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    c->own = own && error == 0;
    return error;
}

int brood_condition_new(brood_condition *condition, const brood_condition_options *options)
{
    int error = brood__enter();
    if (error == 0 && options && options->lock.id && options->rlock.id) error = BROOD_EINVAL;
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_CONDITION, brood__self->member, brood__condition_scrub, &index);
    if (error < 0) return error;
    struct condition_shm *c = at(index);
    c->made = 0; /* if it becomes garbage before all is there, its scrub looks at none of them */
    atomic_signal_fence(memory_order_seq_cst);
    error = brood__pages_allocate(TABLE_CONDITION, index, MOST * sizeof(struct waiter_shm));
    if (error == 0) error = bind(c, options);
    if (error < 0) {
        brood__slot_release(TABLE_CONDITION, index);
        return error;
    }
    for (uint32_t i = 0; i < MOST; i++) atomic_store_explicit(&waiters(c)[i].word, 0, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    c->made = 1;
    c->tickets = 0;
    c->used = c->told = 0;
    c->monitor.flags[MONITOR_ASLEEP] = c->monitor.flags[MONITOR_BATON] = 0;
    condition->id = brood__slot_publish(TABLE_CONDITION, index);
    return 0;
}

int brood_condition_free(brood_condition condition)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    void *announced;
    if (!c) return BROOD_ESTALE;
    error = enter(c, condition.id, &announced);
    if (error < 0) return error == BROOD_EDEADLK ? error : BROOD_ESTALE;
    bool retired = brood__slot_retire(TABLE_CONDITION, condition.id);
    if (retired) {
        tell_all(c, MOST, WAITER_ENDED);
        if (c->own) brood__lock_free(TABLE_RLOCK, c->lock);
    }
    leave(c, announced);
    if (!retired) return BROOD_ESTALE;
    brood__slot_leave(TABLE_CONDITION, HANDLE_INDEX(condition.id));
    return 0;
}

/* ------------------------------------------------------------------------------------------------- the lock, waiting */

int brood_condition_acquire(brood_condition condition, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    if (!c) return brood__slot_gone(TABLE_CONDITION, condition.id);
    uint64_t lock = lock_of(c, condition.id);
    if (!lock) return brood__slot_gone(TABLE_CONDITION, condition.id);
    return HANDLE_TABLE(lock) == TABLE_RLOCK ? brood__rlock_acquire(lock, timeout, NULL)
                                             : brood__lock_acquire(TABLE_LOCK, lock, timeout, NULL);
}

int brood_condition_release(brood_condition condition)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    if (!c) return brood__slot_gone(TABLE_CONDITION, condition.id);
    uint64_t lock = lock_of(c, condition.id);
    if (!lock) return brood__slot_gone(TABLE_CONDITION, condition.id);
    return HANDLE_TABLE(lock) == TABLE_RLOCK ? brood_rlock_release((brood_rlock){lock})
                                             : brood__lock_release(TABLE_LOCK, lock);
}

/* Until it is told; 0, or BROOD_ETIMEDOUT: it waits no more, and the body is no longer its. */
static int sleep_there(struct waiter_shm *w, uint64_t id, int64_t deadline)
{
    bool late = false;
    uint64_t seen = atomic_load_explicit(&w->word, memory_order_acquire);
    for (unsigned n = 0; WAITS(seen); seen = atomic_load_explicit(&w->word, memory_order_acquire)) {
        if (late) {
            if (swap(w, &seen, 0)) return BROOD_ETIMEDOUT;
        } else if (deadline == 0) {
            late = true;
        } else if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
        } else if ((LOW(seen) & OS_WAITERS) || swap(w, &seen, WITH(seen, OS_WAITERS))) {
            late = brood__sleep(brood__low_half(&w->word), OS_WAITERS, deadline, id) < 0;
        }
    }
    return 0;
}

/* The last touch of the body. */
static void quit(struct condition_shm *c, uint64_t id, struct waiter_shm *w)
{
    atomic_store_explicit(&w->word, 0, memory_order_release);
    if (!brood__slot_is(&c->slot, id)) brood__slot_collect_one(TABLE_CONDITION, id);
}

static int wait_there(struct condition_shm *c, uint64_t id, int timeout)
{
    int64_t deadline = timeout ? brood__os_deadline(timeout) : 0;
    void *announced;
    int error = enter(c, id, &announced);
    if (error < 0) return error;
    uint64_t lock = c->lock;
    bool own = c->own;
    uint32_t depth = 0;
    error = brood__lock_mine(lock);
    struct waiter_shm *w = error == 0 ? claim(c) : NULL; /* (1) it waits */
    leave(c, announced);
    if (error < 0) return error;
    if (!w) return BROOD_EARENA;
    error = brood__lock_let_go(lock, &depth); /* (2) */
    if (error < 0) {
        quit(c, id, w);
        return error;
    }
    int late = sleep_there(w, id, deadline);         /* (3) */
    int again = brood__lock_take_again(lock, depth); /* (4) */
    bool ended = late == 0 && LOW(atomic_load_explicit(&w->word, memory_order_acquire)) == WAITER_ENDED;
    if (late == 0) quit(c, id, w); /* (5) what it was notified of is its own affair now */
    bool gone = ended || (late < 0 && !brood__slot_is(&c->slot, id));
    if (late < 0 && gone) brood__slot_collect_one(TABLE_CONDITION, id);
    /* Its own lock goes with it: one who was told before, and has ended since, held what nobody can release any more. */
    if (again < 0 && !(gone && own)) return again;
    if (gone) return brood__slot_gone(TABLE_CONDITION, id);
    return late < 0 ? brood__not_now(timeout) : 0;
}

int brood_condition_wait(brood_condition condition, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    return c ? wait_there(c, condition.id, timeout) : brood__slot_gone(TABLE_CONDITION, condition.id);
}

int brood_condition_wait_for(brood_condition condition, brood_condition_fn *predicate, void *arg, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error == 0 && !predicate) error = BROOD_EINVAL;
    if (error < 0) return error;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    if (!c) return brood__slot_gone(TABLE_CONDITION, condition.id);
    uint64_t lock = lock_of(c, condition.id);
    error = lock ? brood__lock_mine(lock) : brood__slot_gone(TABLE_CONDITION, condition.id);
    if (error < 0) return error;
    int64_t deadline = brood__os_deadline(timeout);
    while (!predicate(arg)) {
        int remaining = brood__os_remaining(deadline);
        if (remaining == 0) return brood__not_now(timeout);
        error = wait_there(c, condition.id, remaining);
        if (error < 0 && error != BROOD_ETIMEDOUT) return error;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------ notify */

static int notify(brood_condition condition, unsigned n)
{
    int result = brood__enter();
    if (result < 0) return result;
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    if (!c) return brood__slot_gone(TABLE_CONDITION, condition.id);
    void *announced;
    result = enter(c, condition.id, &announced);
    if (result < 0) return result;
    result = brood__lock_mine(c->lock);
    if (result == 0) result = (int)(n >= used_of(c) ? tell_all(c, c->used, WAITER_NOTIFIED) : notify_some(c, n));
    leave(c, announced);
    return result;
}

int brood_condition_notify(brood_condition condition, unsigned n)
{
    return notify(condition, n);
}

int brood_condition_notify_all(brood_condition condition)
{
    return notify(condition, UINT_MAX);
}

/* ------------------------------------------------------------------------------------------------- after a death */

/* Those that the lock's holder may have been about to notify do not know yet that it has died. */
static bool is_news(const struct condition_shm *c)
{
    return brood__lock_find(c->lock) && deaths_of(c->lock) != c->told;
}

/* What the dead may have left; it alone could add to it, so none appears after this look. */
static bool concerned(struct condition_shm *c, uint32_t dead)
{
    if (atomic_load(&c->monitor.word) & OS_OWNER_DIED) return true;
    for (uint32_t i = 0; i < MOST; i++) {
        uint64_t seen = atomic_load(&waiters(c)[i].word);
        if (seen && MEMBER(seen) == dead) return true;
    }
    return is_news(c) || !brood__lock_find(c->lock);
}

/* What the dead had been told is told to another. */
static void bury(struct condition_shm *c, uint32_t dead)
{
    for (uint32_t i = 0; i < MOST; i++) {
        struct waiter_shm *w = &waiters(c)[i];
        uint64_t seen = atomic_load(&w->word), heir_word = 0;
        if (!seen || MEMBER(seen) != dead) continue;
        struct waiter_shm *heir = NULL;
        while (LOW(seen) == WAITER_NOTIFIED && (heir = oldest(c, MOST, &heir_word)) &&
               !tell(heir, heir_word, WAITER_NOTIFIED))
            continue;
        atomic_store(&w->word, 0);
    }
}

/* One condition, as the supervisor: only what can be had without waiting, and nothing believed unseen. */
static bool repair(struct condition_shm *c, uint32_t dead)
{
    enum slot_state state = SLOT_STATE(atomic_load(&c->slot.word));
    if ((state != SLOT_LIVE && state != SLOT_GARBAGE) || !is_sound(c)) return true;
    if (state == SLOT_LIVE && !concerned(c, dead)) return true;
    void *announced = brood__os_announce(&c->monitor);
    uint32_t seen;
    if (!brood__latch_try(&c->monitor.word, &seen)) {
        brood__os_announce_again(announced);
        return false;
    }
    state = SLOT_STATE(atomic_load(&c->slot.word));
    if ((state == SLOT_LIVE || state == SLOT_GARBAGE) && is_sound(c)) {
        bury(c, dead);
        if (state == SLOT_GARBAGE || !brood__lock_find(c->lock)) {
            tell_all(c, MOST, WAITER_ENDED);
        } else if (is_news(c)) {
            uint32_t deaths = deaths_of(c->lock);
            tell_all(c, MOST, WAITER_NOTIFIED);
            c->told = deaths;
        }
    }
    leave(c, announced);
    return true;
}

bool brood__condition_repair(uint32_t dead)
{
    uint32_t used = brood__table_used(TABLE_CONDITION);
    bool all = true;
    for (uint32_t i = 1; i < used; i++) all &= repair(at(i), dead);
    return all;
}

void brood__condition_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_CONDITION);
    for (uint32_t i = 1; i < used; i++) {
        struct condition_shm *c = at(i);
        if (SLOT_STATE(atomic_load(&c->slot.word)) == SLOT_FREE || !is_sound(c)) continue;
        for (uint32_t k = 0; k < MOST; k++)
            if (atomic_load(&waiters(c)[k].word)) brood__os_futex_wake(brood__low_half(&waiters(c)[k].word), 1);
    }
}
