/* SPDX-License-Identifier: MIT */
/*
 * memory.c - shared memory objects: nameless, sparse, of a size that nobody can change.
 *
 * An object is a memfd: no name in a file system to leak or to guess, its life that of its last descriptor or mapping.
 * It is sealed against shrinking and growing, so that no holder, however hostile, can make another's access fault
 * with SIGBUS.  Pages are real when first written or when committed.
 * Nothing is kept between calls: thread-safe, async-signal-safe, indifferent to fork.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "os/os.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int create_memfd(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("brood", flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("brood", flags); /* before Linux 6.3 */
    return fd < 0 ? -errno : fd;
}

/* ftruncate(2), whose signal for RLIMIT_FSIZE the program never sees; one that was pending before stays so. */
static int set_size(int fd, off_t size)
{
    sigset_t excess, pending, before;
    sigemptyset(&excess);
    sigaddset(&excess, SIGXFSZ);
    sigemptyset(&pending);
    pthread_sigmask(SIG_BLOCK, &excess, &before);
    sigpending(&pending);

    int result;
    do result = ftruncate(fd, size) < 0 ? -errno : 0;
    while (result == -EINTR);

    if (result == -EFBIG && !sigismember(&pending, SIGXFSZ)) {
        static const struct timespec at_once;
        while (sigtimedwait(&excess, NULL, &at_once) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int brood__os_memory_create(size_t size, int *fd)
{
    *fd = -1;
    if (size == 0) return -EINVAL;
    if (size > INT64_MAX) return -EFBIG;

    int object = create_memfd();
    if (object < 0) return object;
    int result = set_size(object, (off_t)size);
    if (result == 0 && fcntl(object, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) result = -errno;
    if (result < 0) {
        close(object);
        return result;
    }
    *fd = object;
    return 0;
}

int brood__os_memory_map(int fd, size_t size, void **base)
{
    *base = NULL;
    struct stat object;
    if (fstat(fd, &object) < 0) return -errno;
    if (object.st_size < 0 || (size_t)object.st_size < size) return -EINVAL; /* an access behind its end is SIGBUS */
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED) return -errno;
    madvise(map, size, MADV_DONTDUMP); /* a dump would make every page of a sparse object real */
    *base = map;
    return 0;
}

void brood__os_memory_unmap(void *base, size_t size)
{
    if (base) munmap(base, size);
}

int brood__os_memory_commit(int fd, size_t offset, size_t length)
{
    if (offset > INT64_MAX || length > INT64_MAX - offset) return -EINVAL;
    int result;
    do result = fallocate(fd, 0, (off_t)offset, (off_t)length) < 0 ? -errno : 0;
    while (result == -EINTR);
    return result;
}

static uint64_t limit_v2(const char *directory)
{
    return cgroup_number(directory, "/memory.max");
}

static uint64_t limit_v1(const char *directory)
{
    return cgroup_number(directory, "/memory.limit_in_bytes");
}

size_t brood__os_memory_total(void)
{
    static const struct cgroup_hierarchy hierarchies[] = {
        {"", "/sys/fs/cgroup", limit_v2},
        {"", "/sys/fs/cgroup/unified", limit_v2},
        {"memory", "/sys/fs/cgroup/memory", limit_v1},
    };
    uint64_t total = cgroup_least(hierarchies, sizeof hierarchies / sizeof hierarchies[0]);
    struct sysinfo machine;
    if (sysinfo(&machine) == 0) {
        uint64_t installed = (uint64_t)machine.totalram * machine.mem_unit;
        if (installed < total) total = installed;
    }
    return total < SIZE_MAX ? (size_t)total : SIZE_MAX;
}

size_t brood__os_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int brood__os_wiped_page(void **page)
{
    *page = NULL;
    size_t size = brood__os_page_size();
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return -errno;
    if (madvise(map, size, MADV_WIPEONFORK) < 0) {
        int result = errno == EINVAL ? -ENOSYS : -errno; /* before Linux 4.14 */
        munmap(map, size);
        return result;
    }
    *page = map;
    return 0;
}
