/* SPDX-License-Identifier: MIT */
/*
 * latch.h - the lock inside shared objects: held by one thread, within one call, never across a return.
 *
 * Its word is the one that the kernel looks at when a thread dies (os/os.h, robust.c):
 *   0                        free, nobody asleep
 *   OS_WAITERS               free, someone may be asleep on it ("armed")
 *   tid | OS_WAITERS         held.  The bit is always set, so that the holder's death always wakes a sleeper
 *   OS_OWNER_DIED | any      its holder died: free, and what it guards may need the heir's repair
 *
 * Who writes: whoever acquires (compare-and-swap from a free value), the holder when it releases (a store), the kernel
 * when the holder is dead.  If a process dies here: before the swap nothing has happened; after it the kernel frees
 * the word, because the caller announced it first.
 *
 * Waiting for a latch spins, yields, then naps, but never sleeps on the word: sleepers there wait for the object's
 * state, and a wake-up meant for them must not be taken by one who only wants the latch.
 */
#ifndef BROOD_ARENA_LATCH_H
#define BROOD_ARENA_LATCH_H

#include "os/os.h"

/* 64 bytes: the word, room for what shares its cache line, and the node that the kernel finds (OS_ROBUST_NODE). */
struct latch_shm {
    os_word word;
    uint32_t flags[5]; /* the object's own, guarded by this latch */
    struct os_robust_node *robust_previous;
    struct os_robust_node robust;
    uint64_t more[3]; /* the object's own, guarded by this latch */
};
_Static_assert(offsetof(struct latch_shm, robust) == OS_ROBUST_NODE, "the kernel looks for the node here");
_Static_assert(sizeof(struct latch_shm) == 64, "one cache line");

/* What brood__latch_acquire answers besides the free value it found. */
#define LATCH_MINE 1u /* this very thread holds it: a signal handler interrupted the holder */

/* One step of a wait, the n-th: pause, pause longer, then yield.  The one schedule for all spinning in Brood. */
void brood__relax(unsigned n);
/* From this step on its pauses are longer: where to begin when each look costs those who are waited for. */
#define SPIN_LONG 64u
/* From this step on it yields: where to begin when those who are waited for need the processor. */
#define SPIN_YIELDS 104u
/* How many steps are worth while before going to sleep: about the price of one wake-up on another core. */
#define SPIN_BEFORE_SLEEP brood__spin_before_sleep
extern unsigned brood__spin_before_sleep;

uint32_t brood__latch_acquire_slow(os_word *word);

/*
 * Acquire; the caller has announced the word and keeps it announced (or listed) until the release.
 * Returns the free value that was found: test it for OS_OWNER_DIED (repair!) and OS_WAITERS; or LATCH_MINE.
 * acquire pairs with the release store in brood__latch_release, and, for a dead holder, with nothing: what the dead
 * wrote is visible because the kernel's own update of the word came after its last instruction.
 */
static inline uint32_t brood__latch_acquire(os_word *word)
{
    uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
    if ((seen & OS_TID_MASK) == 0 &&
        atomic_compare_exchange_strong_explicit(word, &seen, brood__os_robust.tid | OS_WAITERS, memory_order_acquire,
                                                memory_order_relaxed))
        return seen;
    return brood__latch_acquire_slow(word);
}

/* One attempt; false when another holds it. */
static inline bool brood__latch_try(os_word *word, uint32_t *seen)
{
    *seen = atomic_load_explicit(word, memory_order_relaxed);
    return (*seen & OS_TID_MASK) == 0 &&
           atomic_compare_exchange_strong_explicit(word, seen, brood__os_robust.tid | OS_WAITERS, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Release as 0 or as OS_WAITERS (armed).  release pairs with the next acquire. */
static inline void brood__latch_release(os_word *word, uint32_t free_value)
{
    atomic_store_explicit(word, free_value, memory_order_release);
}

#endif
