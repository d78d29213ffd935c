/* SPDX-License-Identifier: MIT */
/*
 * descriptor.c - descriptors: passed on, put in place, closed; and the lifeline between processes.
 *
 * Everything here is meant for a process between fork and exec too: no heap, no locks, async-signal-safe, thread-safe
 * as far as descriptors are (closing all but some, and putting some in place, are for a process of one thread).
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "text.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

void brood__os_close(int *fd)
{
    int before = errno;
    if (*fd >= 0) close(*fd); /* interrupted or not: on Linux the number is free afterwards */
    *fd = -1;
    errno = before;
}

int brood__os_set_inheritable(int fd, bool inheritable)
{
    return fcntl(fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC) < 0 ? -errno : 0;
}

int brood__os_duplicate(int fd, int least)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, least);
    return copy < 0 ? -errno : copy;
}

int brood__os_leave_standard(int *fd)
{
    if (*fd < 0 || *fd > 2) return 0;
    int moved = brood__os_duplicate(*fd, 3);
    if (moved < 0) return moved;
    close(*fd);
    *fd = moved;
    return 0;
}

void brood__os_fill_standard(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return;
}

void brood__os_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t brood__os_open_files(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

/* ------------------------------------------------------------------------------------------------------- printing */

/* A pipe that has room says so before the write; that another fills it in between is as unlikely as it is harmless. */
static bool has_room(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    return poll(&poller, 1, 0) == 1 && poller.revents & POLLOUT;
}

void brood__os_print(int fd, const char *line, size_t size, bool wait)
{
    sigset_t pipe, before, pending;
    if (!wait && !has_room(fd)) return;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    bool was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    ssize_t written;
    do written = write(fd, line, size);
    while (written < 0 && errno == EINTR);
    if (written < 0 && errno == EPIPE && !was_pending) {
        const struct timespec now = {0, 0};
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ----------------------------------------------------------------------------------------------- closing the rest */

static void sort(int *numbers, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int number = numbers[i];
        size_t at = i;
        for (; at > 0 && numbers[at - 1] > number; at--) numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

/* Of sorted numbers. */
static bool contains(const int *numbers, size_t n, int number)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers[middle] == number) return true;
        if (numbers[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* Close [first, last] in one call; false if the kernel doesn't know how. */
static bool close_range_of(unsigned first, unsigned last)
{
    return first > last || syscall(SYS_close_range, first, last, 0) == 0;
}

static bool close_gaps(const int *keep, size_t n)
{
    unsigned next = 0;
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < 0 || (unsigned)keep[i] < next) continue;
        if (keep[i] > 0 && !close_range_of(next, (unsigned)keep[i] - 1)) return false;
        next = (unsigned)keep[i] + 1;
    }
    return close_range_of(next, UINT_MAX);
}

struct directory_entry { /* as getdents64(2) writes it */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* The open descriptors by the list of them; false without /proc. */
static bool close_listed(const int *keep, size_t n)
{
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return false;
    _Alignas(struct directory_entry) char entries[4096];
    long size;
    while ((size = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
        for (char *at = entries; at < entries + size;) {
            const struct directory_entry *entry = (const struct directory_entry *)(void *)at;
            const char *name = entry->name;
            uint64_t number;
            at += entry->length;
            if (!text_take_number(&name, &number)) continue; /* "." and ".." */
            if ((int)number != directory && !contains(keep, n, (int)number)) close((int)number);
        }
    }
    close(directory);
    return true;
}

static void close_each(const int *keep, size_t n)
{
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end = limit.rlim_cur < 1 << 20 ? (int)limit.rlim_cur : 1 << 20;
    for (int fd = 0; fd < end; fd++)
        if (!contains(keep, n, fd)) close(fd);
}

void brood__os_close_all_but(int *keep, size_t n)
{
    sort(keep, n);
    if (close_gaps(keep, n) || close_listed(keep, n)) return;
    close_each(keep, n);
}

/* ------------------------------------------------------------------------------------------------ put into place */

static bool is_among(const int *numbers, size_t n, int number)
{
    for (size_t i = 0; i < n; i++)
        if (numbers[i] == number) return true;
    return false;
}

static void renumber(int *from, size_t n, int old, int new)
{
    for (size_t i = 0; i < n; i++)
        if (from[i] == old) from[i] = new;
}

/* Move out of the way what stands where another is to go, so that the order no longer matters. */
static int clear_places(int *from, const int *to, size_t n)
{
    int above = 0;
    for (size_t i = 0; i < n; i++)
        if (to[i] >= above) above = to[i] + 1;

    for (size_t i = 0; i < n; i++) {
        bool taken = false;
        for (size_t j = 0; j < n; j++) taken |= to[j] == from[i] && from[j] != from[i];
        if (!taken) continue;
        int moved = brood__os_duplicate(from[i], above);
        if (moved < 0) return moved;
        renumber(from, n, from[i], moved);
    }
    return 0;
}

static int put(int from, int to)
{
    if (from == to) return brood__os_set_inheritable(to, true);
    int result;
    do result = dup2(from, to);
    while (result < 0 && (errno == EINTR || errno == EBUSY));
    return result < 0 ? -errno : 0;
}

int brood__os_place_descriptors(int *from, const int *to, size_t n)
{
    int result = clear_places(from, to, n);
    for (size_t i = 0; i < n && result == 0; i++) result = put(from[i], to[i]);
    if (result < 0) return result;

    for (size_t i = 0; i < n; i++) {
        int old = from[i];
        if (old < 0 || is_among(to, n, old)) continue;
        close(old);
        renumber(from, n, old, -1);
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------- the lifeline */

int brood__os_lifeline_create(int *hold, int *watch)
{
    int ends[2];
    *hold = *watch = -1;
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    *watch = ends[0];
    *hold = ends[1];
    return 0;
}

/* Ask for SIGKILL, to this process, when something happens to the pipe. */
static int ask_for_kill(int fd)
{
    struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getpid()};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETOWN_EX, &owner) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0) return -errno;
    return fcntl(fd, F_SETFL, flags | O_ASYNC) < 0 ? -errno : 0;
}

int brood__os_lifeline_watch(int watch, int *mine)
{
    /* Owner and signal belong to the open file, which an inherited descriptor shares: this process needs its own. */
    char path[64];
    struct text text = text_in(path, sizeof path);
    text_put(&text, "/proc/self/fd/");
    text_put_number(&text, (uint64_t)watch, 10, 1);
    *mine = -1;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -errno;

    int result = brood__os_leave_standard(&fd);
    if (result == 0) result = ask_for_kill(fd);
    struct pollfd poller = {.fd = fd};
    /* Its last holder may have ended before we asked. */
    if (result == 0 && poll(&poller, 1, 0) > 0 && (poller.revents & POLLHUP)) result = -EPIPE;
    if (result < 0) {
        close(fd);
        return result;
    }
    *mine = fd;
    return 0;
}
