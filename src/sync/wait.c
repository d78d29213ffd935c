/* SPDX-License-Identifier: MIT */
/* wait.c - sleeping, waking, monitors; the protocol is in wait.h.  Thread-safe and async-signal-safe. */
#include "sync/wait.h"

#include "arena/member.h"

#include <errno.h>
#include <limits.h>

int64_t brood__tick_ns = (int64_t)1000 * 1000 * 1000;
void (*brood__on_tick)(void);
_Atomic uint64_t brood__ticks;

int brood__sleep_both(os_word *word, uint32_t expected, os_word *also, uint32_t its, int64_t deadline,
                      uint64_t waits_for)
{
    int64_t tick = brood__os_now() + brood__tick_ns, until = deadline < tick ? deadline : tick;
    bool listed = brood__self->member != 0;
    if (listed) atomic_store_explicit(&brood__me()->waits_for, waits_for, memory_order_relaxed);
    int result = also ? brood__os_futex_wait_both(word, expected, also, its, until)
                      : brood__os_futex_wait(word, expected, until);
    if (listed) atomic_store_explicit(&brood__me()->waits_for, 0, memory_order_relaxed);
    if (result != -ETIMEDOUT) return 0;
    if (until == deadline) return -ETIMEDOUT;
    atomic_fetch_add_explicit(&brood__ticks, 1, memory_order_relaxed);
    if (brood__on_tick) brood__on_tick();
    return 0;
}

int brood__sleep(os_word *word, uint32_t expected, int64_t deadline, uint64_t waits_for)
{
    return brood__sleep_both(word, expected, NULL, 0, deadline, waits_for);
}

int brood__sleep_poller(int poller, uint64_t *tags, int capacity, int64_t deadline)
{
    int64_t tick = brood__os_now() + brood__tick_ns, until = deadline < tick ? deadline : tick;
    int n = brood__os_poller_wait(poller, tags, capacity, until);
    if (n != 0 || until == deadline) return n;
    atomic_fetch_add_explicit(&brood__ticks, 1, memory_order_relaxed);
    if (brood__on_tick) brood__on_tick();
    return 0;
}

int brood__monitor_enter(struct latch_shm *latch, void **announced)
{
    *announced = brood__os_announce(latch);
    uint32_t seen = brood__latch_acquire(&latch->word);
    if (__builtin_expect(seen == 0 || seen == OS_WAITERS, 1)) return 0;
    if (seen == LATCH_MINE) {
        brood__os_announce(*announced);
        return BROOD_EDEADLK;
    }
    brood__monitor_inherit(latch);
    return 1;
}

/* Fewer were asleep than were to be woken: say so, if nobody has gone to sleep or woken since, and if we get in. */
static void note_nobody(struct latch_shm *latch, int woken)
{
    uint32_t seen = atomic_load_explicit(&latch->word, memory_order_relaxed);
    if (seen != 0 && seen != OS_WAITERS) return; /* of a dead holder there would be something to repair */
    if (!atomic_compare_exchange_strong_explicit(&latch->word, &seen, brood__os_robust.tid | OS_WAITERS,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    if (latch->flags[MONITOR_WAKER] == brood__os_robust.tid) {
        atomic_store_explicit(brood__monitor_asleep(latch), 0u, memory_order_relaxed);
        if (woken == 0) latch->flags[MONITOR_BATON] = 0;
    }
    brood__latch_release(&latch->word, seen);
}

static void leave_and_wake(struct latch_shm *latch, int wake, bool ready)
{
    if (latch->flags[MONITOR_BATON]) {
        if (!ready) latch->flags[MONITOR_BATON] = 0;
        if (ready && wake == 0) wake = 1;
    }
    bool wakes = wake > 0 && latch->flags[MONITOR_ASLEEP];
    if (wakes) {
        latch->flags[MONITOR_BATON] = 1;
        latch->flags[MONITOR_WAKER] = brood__os_robust.tid;
    }
    brood__latch_release(&latch->word, 0);
    if (!wakes) return;
    int woken = brood__os_futex_wake(&latch->word, wake);
    if (woken < wake) note_nobody(latch, woken);
}

void brood__monitor_leave(struct latch_shm *latch, void *announced, int wake, bool ready)
{
    if (__builtin_expect(latch->flags[MONITOR_ASLEEP] | latch->flags[MONITOR_BATON], 0))
        leave_and_wake(latch, wake, ready);
    else
        brood__latch_release(&latch->word, 0);
    brood__os_announce_again(announced);
}

int brood__monitor_sleep_both(struct latch_shm *latch, os_word *also, uint32_t its, int64_t deadline,
                              uint64_t waits_for)
{
    latch->flags[MONITOR_BATON] = 0; /* who sleeps has looked, and the state suits nobody like it */
    atomic_store_explicit(brood__monitor_asleep(latch), 1u, memory_order_relaxed);
    latch->flags[MONITOR_WAKER] = 0;
    brood__latch_release(&latch->word, OS_WAITERS);
    return brood__sleep_both(&latch->word, OS_WAITERS, also, its, deadline, waits_for);
}

int brood__monitor_sleep(struct latch_shm *latch, int64_t deadline, uint64_t waits_for)
{
    return brood__monitor_sleep_both(latch, NULL, 0, deadline, waits_for);
}

bool brood__monitor_ring(struct latch_shm *latch)
{
    /* Free and armed: one on its way to sleep finds the word changed.  Held: its holder may be the one. */
    uint32_t seen = OS_WAITERS;
    atomic_compare_exchange_strong(&latch->word, &seen, 0);
    brood__os_futex_wake(&latch->word, INT_MAX);
    return (seen & OS_TID_MASK) == 0;
}
