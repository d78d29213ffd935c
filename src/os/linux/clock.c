/* SPDX-License-Identifier: MIT */
/*
 * clock.c - time, chance, and the processors there are.
 *
 * The clock is CLOCK_MONOTONIC, which all processes of one time namespace share, and which futexes and polls measure
 * with too.  Nothing is kept between calls: all of it is thread-safe, async-signal-safe and indifferent to fork.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "os/os.h"

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

int64_t brood__os_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t brood__os_deadline(int ms)
{
    int64_t deadline;
    if (ms < 0 || __builtin_add_overflow(brood__os_now(), (int64_t)ms * NS_PER_MS, &deadline)) return OS_NEVER;
    return deadline;
}

int brood__os_remaining(int64_t deadline)
{
    if (deadline == OS_NEVER) return -1;
    if (deadline <= 0) return 0; /* in the past without asking, and its difference could not overflow either */
    int64_t ns = deadline - brood__os_now();
    if (ns <= 0) return 0;
    int64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

int brood__os_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

void brood__os_yield(void)
{
    sched_yield();
}

void brood__os_nap(int64_t ns)
{
    if (ns <= 0) return;
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    nanosleep(&time, NULL);
}

static uint64_t processors_for(uint64_t quota, uint64_t period)
{
    if (quota == CGROUP_NO_LIMIT || period == CGROUP_NO_LIMIT || quota == 0 || period == 0) return CGROUP_NO_LIMIT;
    return quota / period + (quota % period != 0);
}

/* "QUOTA PERIOD", or "max PERIOD". */
static uint64_t quota_v2(const char *directory)
{
    char path[CGROUP_PATH + 64], content[64];
    struct text text = text_in(path, sizeof path);
    text_put(&text, directory);
    text_put(&text, "/cpu.max");
    if (text_read_file(path, content, sizeof content) < 0) return CGROUP_NO_LIMIT;

    const char *at = content;
    uint64_t quota, period;
    if (!text_take_number(&at, &quota) || *at++ != ' ' || !text_take_number(&at, &period)) return CGROUP_NO_LIMIT;
    return processors_for(quota, period);
}

static uint64_t quota_v1(const char *directory)
{
    return processors_for(cgroup_number(directory, "/cpu.cfs_quota_us"), /* -1 for none: not a number here */
                          cgroup_number(directory, "/cpu.cfs_period_us"));
}

static unsigned affinity_count(void)
{
    unsigned long bits[1024]; /* the kernel refuses a buffer for fewer processors than it was built for */
    long size = syscall(SYS_sched_getaffinity, 0, sizeof bits, bits);
    unsigned count = 0;
    for (size_t i = 0; size > 0 && i < (size_t)size / sizeof bits[0]; i++)
        count += (unsigned)__builtin_popcountl(bits[i]);
    return count ? count : 1;
}

unsigned brood__os_cpu_count(void)
{
    static const struct cgroup_hierarchy hierarchies[] = {
        {"", "/sys/fs/cgroup", quota_v2},
        {"", "/sys/fs/cgroup/unified", quota_v2},
        {"cpu", "/sys/fs/cgroup/cpu", quota_v1},
        {"cpu", "/sys/fs/cgroup/cpu,cpuacct", quota_v1},
    };
    unsigned count = affinity_count();
    uint64_t quota = cgroup_least(hierarchies, sizeof hierarchies / sizeof hierarchies[0]);
    return quota < count ? (unsigned)quota : count;
}
