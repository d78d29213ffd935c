/* SPDX-License-Identifier: MIT */
/*
 * brood_test.c - the main function and the fixture of the tests.
 *
 * The fixture compares what the test's process had before with what it has after: descriptors by number, link target
 * and inode, names in /dev/shm, and children.  It sleeps only to give processes that are on their way out a bounded
 * time to go; nothing is ordered by it.
 *
 * Single-threaded; runs in the process that Check forked for the test.
 */
#include "brood_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHM_DIR "/dev/shm"
#define FD_DIR "/proc/self/fd"

enum { MAX_CHILDREN = 256 };

/* One thing that is there: an open descriptor, or a name. */
struct entry {
    char name[256];   /* the descriptor's number, or the name */
    char target[128]; /* what the descriptor refers to */
    dev_t device;
    ino_t inode;
};

struct snapshot {
    struct entry *entries;
    size_t count;
};

struct report {
    char text[2048];
    size_t length;
};

int brood_test_patience = 5000;

static struct snapshot descriptors_before;
static struct snapshot names_before;

__attribute__((format(printf, 2, 3))) static void say(struct report *report, const char *format, ...)
{
    size_t room = sizeof report->text - report->length;
    va_list args;

    va_start(args, format);
    int length = vsnprintf(report->text + report->length, room, format, args);
    va_end(args);
    if (length > 0) report->length += (size_t)length < room ? (size_t)length : room - 1;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------------------------ descriptors and names */

static void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->entries);
    *snapshot = (struct snapshot){0};
}

static struct entry *snapshot_add(struct snapshot *snapshot)
{
    struct entry *entries = realloc(snapshot->entries, (snapshot->count + 1) * sizeof *entries);

    if (!entries) ck_abort_msg("the fixture is out of memory");
    snapshot->entries = entries;
    entries[snapshot->count] = (struct entry){0};
    return &entries[snapshot->count++];
}

static struct snapshot take_descriptors(void)
{
    struct snapshot snapshot = {0};
    DIR *dir = opendir(FD_DIR);

    if (!dir) ck_abort_msg("%s: %s", FD_DIR, strerror(errno));
    for (struct dirent *d; (d = readdir(dir));) {
        if (d->d_name[0] == '.' || atoi(d->d_name) == dirfd(dir)) continue;
        struct entry *entry = snapshot_add(&snapshot);
        struct stat st = {0};
        snprintf(entry->name, sizeof entry->name, "%s", d->d_name);
        if (readlinkat(dirfd(dir), d->d_name, entry->target, sizeof entry->target - 1) < 0) entry->target[0] = '\0';
        if (fstat(atoi(d->d_name), &st) == 0) {
            entry->device = st.st_dev;
            entry->inode = st.st_ino;
        }
    }
    closedir(dir);
    return snapshot;
}

/* Only this user's: others' names are none of the test's doing. */
static struct snapshot take_names(void)
{
    struct snapshot snapshot = {0};
    DIR *dir = opendir(SHM_DIR);

    if (!dir) return snapshot;
    for (struct dirent *d; (d = readdir(dir));) {
        struct stat st;
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
            fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != geteuid())
            continue;
        struct entry *entry = snapshot_add(&snapshot);
        snprintf(entry->name, sizeof entry->name, "%s", d->d_name);
        entry->device = st.st_dev;
        entry->inode = st.st_ino;
    }
    closedir(dir);
    return snapshot;
}

static bool has(const struct snapshot *snapshot, const struct entry *entry)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct entry *other = &snapshot->entries[i];
        if (!strcmp(other->name, entry->name) && !strcmp(other->target, entry->target) &&
            other->device == entry->device && other->inode == entry->inode)
            return true;
    }
    return false;
}

static size_t count_new(const struct snapshot *before, const struct snapshot *after)
{
    size_t count = 0;

    for (size_t i = 0; i < after->count; i++) count += !has(before, &after->entries[i]);
    return count;
}

static void check_descriptors(struct report *report)
{
    struct snapshot after = take_descriptors();

    for (size_t i = 0; i < after.count; i++) {
        if (!has(&descriptors_before, &after.entries[i]))
            say(report, "leaked descriptor %s -> %s; ", after.entries[i].name, after.entries[i].target);
    }
    snapshot_free(&after);
}

/* Where /dev/shm is shared with other tests that run now, their names need the time to go, too. */
static void check_names(struct report *report)
{
    long long deadline = now_ms() + brood_test_patience;
    struct snapshot after = take_names();

    while (count_new(&names_before, &after) > 0 && now_ms() < deadline) {
        poll(NULL, 0, 20);
        snapshot_free(&after);
        after = take_names();
    }
    for (size_t i = 0; i < after.count; i++) {
        if (!has(&names_before, &after.entries[i])) say(report, "leaked name %s/%s; ", SHM_DIR, after.entries[i].name);
    }
    snapshot_free(&after);
}

/* ------------------------------------------------------------------------------------ processes */

/* The parent and the short name of a process; false if it is gone. */
static bool process_stat(pid_t pid, pid_t *parent, char *name, size_t size)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || strlen(close) < 5) return false;
    *close = '\0';
    snprintf(name, size, "%s", open + 1);
    *parent = (pid_t)atoi(close + 4); /* ") S 123": the state, then the parent */
    return true;
}

static size_t find_children(pid_t *children)
{
    size_t count = 0;
    DIR *dir = opendir("/proc");

    if (!dir) ck_abort_msg("/proc: %s", strerror(errno));
    for (struct dirent *d; (d = readdir(dir)) && count < MAX_CHILDREN;) {
        pid_t pid = (pid_t)atoi(d->d_name), parent;
        char name[64];
        if (pid > 0 && process_stat(pid, &parent, name, sizeof name) && parent == getpid()) children[count++] = pid;
    }
    closedir(dir);
    return count;
}

/* Reap those that have ended; false if there are no children at all. */
static bool reap(void)
{
    pid_t pid;

    do pid = waitpid(-1, NULL, WNOHANG | __WALL);
    while (pid > 0);
    return pid == 0;
}

/* Wait until no child is left, or the deadline; whether none is left. */
static bool wait_for_children(long long deadline)
{
    while (reap()) {
        pid_t children[MAX_CHILDREN];
        struct pollfd fds[MAX_CHILDREN];
        nfds_t nfds = 0;
        long long left = deadline - now_ms();

        if (left <= 0) return false;
        size_t count = find_children(children);
        for (size_t i = 0; i < count; i++) {
            int fd = (int)syscall(SYS_pidfd_open, children[i], 0);
            if (fd >= 0) fds[nfds++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        poll(fds, nfds, nfds ? (int)left : 10);
        for (nfds_t i = 0; i < nfds; i++) close(fds[i].fd);
    }
    return true;
}

static void check_children(struct report *report)
{
    long long deadline = now_ms() + brood_test_patience;

    signal(SIGCHLD, SIG_DFL);
    if (wait_for_children(deadline)) return;
    pid_t children[MAX_CHILDREN], parent;
    size_t count = find_children(children);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        if (process_stat(children[i], &parent, name, sizeof name))
            say(report, "process %d (%s) remains; ", (int)children[i], name);
    }
    /* Those of the killed come to this process next, so go on until none is left. */
    for (deadline = now_ms() + 5000; reap() && now_ms() < deadline; wait_for_children(now_ms() + 100)) {
        count = find_children(children);
        for (size_t i = 0; i < count; i++) kill(children[i], SIGKILL);
    }
}

/* ------------------------------------------------------------------------------------ fixture and main */

void brood_test_setup(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    descriptors_before = take_descriptors();
    names_before = take_names();
    brood_test_ok(brood_init(NULL, NULL));
}

void brood_test_teardown(void)
{
    struct report report = {0};
    int code = brood_fini();

    if (code < 0 && code != BROOD_ENOTMEMBER) say(&report, "brood_fini: %s; ", brood_strerror(code));
    check_children(&report);
    check_descriptors(&report);
    check_names(&report);
    snapshot_free(&descriptors_before);
    snapshot_free(&names_before);
    if (report.length > 0) ck_abort_msg("%s", report.text);
}

TCase *brood_test_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, BROOD_TEST_LIMIT);
    tcase_add_checked_fixture(tcase, brood_test_setup, brood_test_teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

/* With a /dev/shm of its own a program sees only its own names.  Without the right to it, it shares the machine's. */
static void leave_shared_names(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0) return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        mount("tmpfs", SHM_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

void brood_test_init(int *argc, char ***argv)
{
    int code = brood_init(argc, argv);

    if (code < 0) {
        fprintf(stderr, "brood_init: %s\n", brood_strerror(code));
        exit(EXIT_FAILURE);
    }
    leave_shared_names();
}

int brood_test_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
