/* SPDX-License-Identifier: MIT */
/*
 * futex.c - sleeping on a word of shared memory, and waking its sleepers.
 *
 * Never with FUTEX_PRIVATE_FLAG: sleepers are in other processes, and the kernel's own wake-up at a death looks in the
 * shared table only.  Each is one raw system call: thread-safe, async-signal-safe, no point of cancellation.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#define NS_PER_S 1000000000

static long futex(os_word *word, int operation, uint32_t value, const void *time_or_count, os_word *second,
                  uint32_t third)
{
    return syscall(SYS_futex, word, operation, value, time_or_count, second, third);
}

/* The instant as the kernel wants it; NULL for never. */
static struct timespec *limit_of(int64_t deadline, struct timespec *until)
{
    if (deadline == OS_NEVER) return NULL;
    if (deadline < 0) deadline = 0;
    until->tv_sec = (time_t)(deadline / NS_PER_S);
    until->tv_nsec = (long)(deadline % NS_PER_S);
    return until;
}

int brood__os_futex_wait(os_word *word, uint32_t expected, int64_t deadline)
{
    struct timespec until, *limit = limit_of(deadline, &until);
    /* Of the waiting operations this is the one that takes an instant instead of a duration. */
    long result = futex(word, FUTEX_WAIT_BITSET, expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    return result == 0 || errno == EAGAIN ? 0 : -errno;
}

int brood__os_futex_wait_both(os_word *word, uint32_t expected, os_word *also, uint32_t its, int64_t deadline)
{
#if defined(SYS_futex_waitv) && defined(FUTEX_32)
    struct timespec until, *limit = limit_of(deadline, &until);
    struct futex_waitv words[] = {{.val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32},
                                  {.val = its, .uaddr = (uintptr_t)also, .flags = FUTEX_32}};
    if (syscall(SYS_futex_waitv, words, 2, 0, limit, CLOCK_MONOTONIC) >= 0 || errno == EAGAIN) return 0;
    if (errno == ETIMEDOUT || errno == EINTR) return -errno;
#endif
    /* No such call here, or not for us. */
    if (atomic_load(also) != its) return 0;
    return brood__os_futex_wait(word, expected, deadline);
}

int brood__os_futex_wake(os_word *word, int n)
{
    long woken = futex(word, FUTEX_WAKE, (uint32_t)n, NULL, NULL, 0);
    return woken > 0 ? (int)woken : 0;
}

int brood__os_futex_clear_and_wake(os_word *word)
{
    /* The kernel stores and wakes under its own lock, and a fatal signal waits until the call is done. */
    const uint32_t store_zero = FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_NE, 0);
    long woken = futex(word, FUTEX_WAKE_OP, INT_MAX, NULL, word, store_zero);
    return woken < 0 ? -errno : (int)woken;
}
