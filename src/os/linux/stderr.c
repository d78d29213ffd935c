/* SPDX-License-Identifier: MIT */
/*
 * stderr.c - standard error as a file in memory, so that what a process wrote can be read after its end.
 *
 * The file is a memfd opened for appending: its size is what was ever written, and what is passed on is punched out of
 * it, so it takes memory for what is not, and no byte that a child of this process writes meanwhile is lost.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

int brood__os_capture_stderr(int *file, int *before)
{
    int memory = memfd_create("brood-stderr", MFD_CLOEXEC);
    if (memory < 0) return -errno;
    int result = fcntl(memory, F_SETFL, O_APPEND) < 0 ? -errno : brood__os_leave_standard(&memory);
    *before = -1;
    if (result == 0) {
        *before = brood__os_duplicate(2, 3);
        if (*before < 0 && *before != -EBADF) result = *before;
    }
    if (result == 0) {
        do result = dup3(memory, 2, 0) < 0 ? -errno : 0;
        while (result == -EINTR || result == -EBUSY);
        if (result < 0) brood__os_close(before);
    }
    if (result < 0) {
        brood__os_close(&memory);
        *before = -1;
    }
    *file = memory;
    return result;
}

/* All of it, as far as `to` takes it; of a pipe that nobody reads the program is not told by a signal. */
static void write_out(int to, const char *bytes, size_t size)
{
    sigset_t broken, pending, mask;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigemptyset(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &mask);
    sigpending(&pending);
    ssize_t n = 0;
    while (size > 0) {
        n = write(to, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        bytes += n;
        size -= (size_t)n;
    }
    if (n < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
        static const struct timespec at_once;
        while (sigtimedwait(&broken, NULL, &at_once) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static ssize_t read_at(int file, char *bytes, size_t size, uint64_t from)
{
    ssize_t n;
    do n = pread(file, bytes, size, (off_t)from);
    while (n < 0 && errno == EINTR);
    return n;
}

uint64_t brood__os_pass_on(int file, int to, uint64_t passed)
{
    char bytes[4096];
    uint64_t start = passed;
    for (ssize_t n; (n = read_at(file, bytes, sizeof bytes, passed)) > 0; passed += (uint64_t)n)
        if (to >= 0) write_out(to, bytes, (size_t)n);
    if (passed > start) /* whole pages of it are given back; if that can't be, they wait for the end of the process */
        while (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)passed) < 0 && errno == EINTR) {}
    return passed;
}

size_t brood__os_read_tail(int file, uint64_t from, char *text, size_t capacity)
{
    struct stat about;
    if (fstat(file, &about) < 0 || about.st_size < 0) return 0;
    uint64_t end = (uint64_t)about.st_size;
    if (from > end) return 0;
    if (end - from > capacity) from = end - capacity;
    ssize_t n = read_at(file, text, (size_t)(end - from), from);
    return n > 0 ? (size_t)n : 0;
}
