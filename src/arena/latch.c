/* SPDX-License-Identifier: MIT */
/* latch.c - the slow side of latch.h, and the one schedule of spinning.  Async-signal-safe. */
#include "arena/latch.h"

unsigned brood__spin_before_sleep = 144;

/*
 * 64 short pauses, 40 of eight times that, then yields: about 35 microseconds for SPIN_BEFORE_SLEEP steps, the cost of
 * waking a sleeper on another core.  Yields matter when there are more processes than cores: pauses alone halve the
 * throughput there.
 */
void brood__relax(unsigned n)
{
    if (n < SPIN_LONG) {
        brood__os_pause();
    } else if (n < SPIN_YIELDS) {
        for (int i = 0; i < 8; i++) brood__os_pause();
    } else {
        brood__os_yield();
    }
}

/*
 * Looks are further and further apart, up to 16 pauses: each takes the cache line from the holder, who then waits for it
 * with its release.  The first come soon, for most latches are held for a few nanoseconds.  About 100 pauses in all.
 */
static void pause_after(unsigned looks)
{
    for (unsigned n = 2u << (looks < 3 ? looks : 3); n > 0; n--) brood__os_pause();
}

uint32_t brood__latch_acquire_slow(os_word *word)
{
    for (unsigned n = 0;; n++) {
        uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
        if ((seen & OS_TID_MASK) == brood__os_robust.tid) return LATCH_MINE;
        if ((seen & OS_TID_MASK) == 0 &&
            atomic_compare_exchange_strong_explicit(word, &seen, brood__os_robust.tid | OS_WAITERS,
                                                    memory_order_acquire, memory_order_relaxed))
            return seen;
        if (n < 9)
            pause_after(n);
        else if (n < 17)
            brood__os_yield();
        else
            brood__os_nap(n < 49 ? 50 * 1000 : 1000 * 1000);
    }
}
