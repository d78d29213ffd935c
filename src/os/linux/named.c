/* SPDX-License-Identifier: MIT */
/*
 * named.c - shared memory behind names: files in the folder where shm_open(3) of the C library has its own.
 *
 * Locks are flock(2)'s: they belong to the open file, which a mapping keeps open though its descriptor is closed.  That
 * the name still leads to the file is made sure under a write lock of fcntl(2), so that two who remove it take turns; a
 * program that does without either can come between them.
 * Nothing is kept between calls: thread-safe, indifferent to fork.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#define FOLDER "/dev/shm"

struct path {
    char text[sizeof FOLDER + 256];
};

static int path_of(const char *name, struct path *path)
{
    size_t length = strlen(name);
    if (length == 0 || length > 255) return -ENAMETOOLONG;
    memcpy(path->text, FOLDER "/", sizeof FOLDER);
    memcpy(path->text + sizeof FOLDER, name, length + 1);
    return 0;
}

/* SIGXFSZ is blocked between the two, and what came of it meanwhile is taken back; without a limit it can't come. */
struct excess {
    sigset_t before, pending;
    bool limited;
};

static void block_excess(struct excess *e)
{
    struct rlimit limit;
    sigset_t excess;
    e->limited = getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
    if (!e->limited) return;
    sigemptyset(&excess);
    sigaddset(&excess, SIGXFSZ);
    sigemptyset(&e->pending);
    pthread_sigmask(SIG_BLOCK, &excess, &e->before);
    sigpending(&e->pending);
}

static void unblock_excess(const struct excess *e, int result)
{
    if (!e->limited) return;
    if (result == -EFBIG && !sigismember(&e->pending, SIGXFSZ)) {
        static const struct timespec at_once;
        sigset_t excess;
        sigemptyset(&excess);
        sigaddset(&excess, SIGXFSZ);
        while (sigtimedwait(&excess, NULL, &at_once) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &e->before, NULL);
}

static int describe(int fd, struct os_named *is, mode_t *mode)
{
    struct stat file;
    if (fstat(fd, &file) < 0) return -errno;
    *mode = file.st_mode & 07777;
    if (!S_ISREG(file.st_mode) || file.st_size < 0) return -EINVAL;
    *is = (struct os_named){file.st_dev, file.st_ino, (uint64_t)file.st_size, file.st_uid};
    return 0;
}

int brood__os_named_make(uint64_t size, unsigned mode, int *fd, struct os_named *is)
{
    *fd = -1;
    if (size > INT64_MAX) return -EFBIG;
    int file;
    do file = open(FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, (mode_t)mode);
    while (file < 0 && errno == EINTR);
    if (file < 0) return -errno;
    struct excess excess;
    block_excess(&excess);
    int result;
    do result = ftruncate(file, (off_t)size) < 0 ? -errno : 0;
    while (result == -EINTR);
    while (result == 0) {
        result = fallocate(file, 0, 0, (off_t)size) < 0 ? -errno : 1;
        if (result == -EINTR) result = 0;
    }
    if (result > 0) result = 0;
    unblock_excess(&excess, result);
    mode_t had = 0;
    if (result == 0) result = describe(file, is, &had);
    if (result == 0 && had != (mode_t)mode && fchmod(file, (mode_t)mode) < 0) result = -errno; /* whatever the umask */
    if (result < 0) {
        close(file);
        return result;
    }
    *fd = file;
    return 0;
}

int brood__os_named_link(int fd, const char *name)
{
    struct path path;
    char file[40];
    int error = path_of(name, &path);
    if (error < 0) return error;
    if (linkat(fd, "", AT_FDCWD, path.text, AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOENT) return -errno; /* it is for the mighty before Linux 6.10; the way by /proc takes longer */
    snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, file, AT_FDCWD, path.text, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int brood__os_named_open(const char *name, bool read_only, bool create, int *fd, struct os_named *is)
{
    struct path path;
    int error = path_of(name, &path), file;
    *fd = -1;
    if (error < 0) return error;
    int flags = (read_only ? O_RDONLY : O_RDWR) | (create ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    do file = open(path.text, flags, 0600);
    while (file < 0 && errno == EINTR);
    if (file < 0) return -errno;
    mode_t mode;
    error = describe(file, is, &mode);
    if (error < 0) {
        close(file);
        return error;
    }
    *fd = file;
    return 0;
}

int brood__os_named_lock(int fd, bool exclusive)
{
    int result;
    do result = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0 ? -errno : 0;
    while (result == -EINTR);
    return result;
}

bool brood__os_named_linked(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 && file.st_nlink > 0;
}

int brood__os_named_map(int fd, uint64_t size, bool read_only, void **base)
{
    *base = NULL;
    if (size > SIZE_MAX) return -ENOMEM;
    void *map = mmap(NULL, (size_t)size, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return -errno;
    madvise(map, (size_t)size, MADV_DONTDUMP);
    *base = map;
    return 0;
}

int brood__os_named_read(int fd, void *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pread(fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -ENODATA;
        bytes = (char *)bytes + n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int brood__os_named_write(int fd, const void *bytes, size_t size, uint64_t offset)
{
    struct excess excess;
    int result = 0;
    block_excess(&excess);
    while (size > 0 && result == 0) {
        ssize_t n = pwrite(fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) result = -errno;
        if (n == 0) result = -ENOSPC;
        if (n <= 0) continue;
        bytes = (const char *)bytes + n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    unblock_excess(&excess, result);
    return result;
}

static bool is_the_same(const struct stat *file, const struct os_named *is)
{
    return file->st_dev == is->device && file->st_ino == is->inode;
}

/* The file is open: its name goes, if nobody else is about to remove it and it leads there. */
static int unlink_this(int fd, const struct path *path, const struct os_named *is)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat file;
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0) return -errno; /* EAGAIN: another removes it */
    if (lstat(path->text, &file) < 0) return -errno;
    if (!is_the_same(&file, is)) return -ENOENT;
    return unlink(path->text) < 0 ? -errno : 0;
}

int brood__os_named_remove(const char *name, const struct os_named *is, bool unused)
{
    struct path path;
    struct stat file;
    int error = path_of(name, &path), fd;
    if (error < 0) return error;
    /* A look first: what is of another kind, or another's, is not even opened. */
    if (lstat(path.text, &file) < 0) return -errno;
    if (!is_the_same(&file, is) || !S_ISREG(file.st_mode)) return -ENOENT;
    struct os_named found = {0};
    for (int tries = 0; tries < 3; tries++) { /* gone when it was opened, but there: it went and came */
        error = brood__os_named_open(name, false, false, &fd, &found);
        if (error != -ENOENT || lstat(path.text, &file) < 0) break;
        error = -EAGAIN;
    }
    if (error < 0) return error;
    if (found.device != is->device || found.inode != is->inode) error = -ENOENT;
    if (error == 0 && unused) error = brood__os_named_lock(fd, true);
    if (error == -EAGAIN) error = -EBUSY;
    if (error == 0) error = unlink_this(fd, &path, is);
    close(fd);
    return error;
}

int brood__os_named_each(const char *beginning, void (*each)(const char *name, void *of), void *of)
{
    DIR *folder = opendir(FOLDER);
    if (!folder) return -errno;
    size_t length = strlen(beginning);
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (strncmp(entry->d_name, beginning, length) == 0) each(entry->d_name, of);
    closedir(folder);
    return 0;
}

uint64_t brood__os_user(void)
{
    return geteuid();
}
