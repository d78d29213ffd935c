/* SPDX-License-Identifier: MIT */
/* scene.c - see scene.h.  For one thread. */
#include "scene.h"

#include "arena/arena.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

long long scene_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int scene_end(brood_process process)
{
    int code = BROOD_EXIT_RUNNING;
    OK(brood_process_join(process, PATIENCE, &code));
    OK(brood_process_free(process));
    return code;
}

pid_t scene_supervisor(void)
{
    return (pid_t)atomic_load(&brood__arena()->supervisor.pid);
}

pid_t scene_other_supervisor(pid_t before)
{
    long long end = scene_now() + PATIENCE;
    while (scene_supervisor() == before) {
        if (scene_now() > end) ck_abort_msg("no supervisor after %d", (int)before);
        poll(NULL, 0, 1);
    }
    return scene_supervisor();
}

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    if (!dir) return -1;
    for (struct dirent *d; (d = readdir(dir));) count += d->d_name[0] != '.';
    closedir(dir);
    return count;
}

int scene_descriptors(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    return entries(path) - (pid == getpid()); /* that of the look */
}

int scene_highest_descriptor(pid_t pid)
{
    char path[64];
    int highest = -1;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.' && atoi(d->d_name) > highest) highest = atoi(d->d_name);
    closedir(dir);
    return highest;
}

int scene_descriptors_at_most(pid_t pid, int most)
{
    long long end = scene_now() + PATIENCE;
    while (scene_descriptors(pid) > most && scene_now() < end) poll(NULL, 0, 1);
    return scene_descriptors(pid);
}

size_t scene_arena(void)
{
    size_t used;
    OK(brood_arena_usage(&used, NULL));
    return used;
}

brood_buffer scene_shared(size_t size, void *data)
{
    brood_buffer buffer;
    void *place;
    OK(brood_buffer_new(&buffer, size, &place));
    memset(place, 0, size);
    if (data) *(void **)data = place;
    return buffer;
}

/* ------------------------------------------------------------------------------------ processes */

static int open_pid(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool scene_there(pid_t pid)
{
    return kill(pid, 0) == 0;
}

bool scene_ended(pid_t pid, int ms)
{
    int fd = open_pid(pid);
    if (fd < 0) return errno == ESRCH;
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int ready;
    long long until = scene_now() + ms;
    do ready = poll(&end, 1, until > scene_now() ? (int)(until - scene_now()) : 0);
    while (ready < 0 && errno == EINTR);
    close(fd);
    return ready > 0;
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    char *close = strrchr(text, ')');
    return close && strlen(close) > 4 ? (pid_t)atoi(close + 4) : 0;
}

int scene_children(pid_t *pids, int capacity)
{
    int count = 0;
    DIR *dir = opendir("/proc");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        pid_t pid = (pid_t)atoi(d->d_name);
        if (pid <= 0 || parent_of(pid) != getpid()) continue;
        if (count < capacity) pids[count] = pid;
        count++;
    }
    closedir(dir);
    return count;
}

bool scene_alone(int ms)
{
    long long end = scene_now() + ms;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
        if (pid < 0) return true;
        if (pid > 0) continue;
        if (scene_now() > end) return false;
        poll(NULL, 0, 1);
    }
}

int scene_names(void)
{
    return entries("/dev/shm");
}

/* ------------------------------------------------------------------------------------ callers */

pid_t scene_fork(int (*body)(void *), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) _exit(body(arg));
    return pid;
}

int scene_reap(pid_t pid, int ms)
{
    int status;
    if (!scene_ended(pid, ms)) ck_abort_msg("process %d does not end", (int)pid);
    ck_assert_int_eq(waitpid(pid, &status, __WALL), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int scene_run(int (*body)(void *), void *arg)
{
    return scene_reap(scene_fork(body, arg), 2 * PATIENCE);
}
