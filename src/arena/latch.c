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

uint32_t brood__latch_acquire_slow(os_word *word)
{
    for (unsigned n = 0;; n++) {
        uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
        if ((seen & OS_TID_MASK) == brood__os_robust.tid) return LATCH_MINE;
        if ((seen & OS_TID_MASK) == 0 &&
            atomic_compare_exchange_strong_explicit(word, &seen, brood__os_robust.tid | OS_WAITERS,
                                                    memory_order_acquire, memory_order_relaxed))
            return seen;
        if (n < 100)
            brood__os_pause();
        else if (n < 108)
            brood__os_yield();
        else
            brood__os_nap(n < 140 ? 50 * 1000 : 1000 * 1000);
    }
}
