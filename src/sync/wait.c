/* SPDX-License-Identifier: MIT */
/* wait.c - sleeping, waking, monitors; the protocol is in wait.h.  Thread-safe and async-signal-safe. */
#include "sync/wait.h"

#include "arena/member.h"

#include <errno.h>
#include <limits.h>

int64_t brood__tick_ns = (int64_t)1000 * 1000 * 1000;
void (*brood__on_tick)(void);
_Atomic uint64_t brood__ticks;

int brood__sleep(os_word *word, uint32_t expected, int64_t deadline, uint64_t waits_for)
{
    int64_t tick = brood__os_now() + brood__tick_ns, until = deadline < tick ? deadline : tick;
    bool listed = brood__self->member != 0;
    if (listed) atomic_store_explicit(&brood__me()->waits_for, waits_for, memory_order_relaxed);
    int result = brood__os_futex_wait(word, expected, until);
    if (listed) atomic_store_explicit(&brood__me()->waits_for, 0, memory_order_relaxed);
    if (result != -ETIMEDOUT) return 0;
    if (until == deadline) return -ETIMEDOUT;
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
    latch->flags[MONITOR_ASLEEP] = 1;
    latch->flags[MONITOR_BATON] = 1;
    return 1;
}

/* Wakes under the latch: a would-be sleeper that is not asleep yet finds the word changed, and looks again. */
static void wake_some(struct latch_shm *latch, int wake, bool ready)
{
    if (latch->flags[MONITOR_BATON]) {
        if (!ready) latch->flags[MONITOR_BATON] = 0;
        if (ready && wake == 0) wake = 1;
    }
    if (wake == 0 || !latch->flags[MONITOR_ASLEEP]) return;
    latch->flags[MONITOR_BATON] = 1;
    int woken = brood__os_futex_wake(&latch->word, wake);
    if (woken < wake) latch->flags[MONITOR_ASLEEP] = 0;
    if (woken == 0) latch->flags[MONITOR_BATON] = 0;
}

void brood__monitor_leave(struct latch_shm *latch, void *announced, int wake, bool ready)
{
    if (__builtin_expect(latch->flags[MONITOR_ASLEEP] | latch->flags[MONITOR_BATON], 0)) wake_some(latch, wake, ready);
    brood__latch_release(&latch->word, 0);
    brood__os_announce(announced);
}

int brood__monitor_sleep(struct latch_shm *latch, int64_t deadline, uint64_t waits_for)
{
    latch->flags[MONITOR_BATON] = 0; /* who sleeps has looked, and the state suits nobody like it */
    latch->flags[MONITOR_ASLEEP] = 1;
    brood__latch_release(&latch->word, OS_WAITERS);
    return brood__sleep(&latch->word, OS_WAITERS, deadline, waits_for);
}

bool brood__monitor_ring(struct latch_shm *latch)
{
    /* Free and armed: one on its way to sleep finds the word changed.  Held: its holder may be the one. */
    uint32_t seen = OS_WAITERS;
    atomic_compare_exchange_strong(&latch->word, &seen, 0);
    brood__os_futex_wake(&latch->word, INT_MAX);
    return (seen & OS_TID_MASK) == 0;
}
