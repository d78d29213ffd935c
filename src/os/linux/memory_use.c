/* SPDX-License-Identifier: MIT */
/* memory_use.c - how much memory a process has, and whether its cgroup ran out of it.  Thread-safe. */
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a file, as text; false: there is none. */
static bool read_file(const char *path, char *text, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t size = read(fd, text, capacity - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

uint64_t brood__os_memory_used(void)
{
    char text[128];
    unsigned long long all, resident, shared;
    if (!read_file("/proc/self/statm", text, sizeof text)) return 0;
    if (sscanf(text, "%llu %llu %llu", &all, &resident, &shared) != 3 || shared > resident) return 0;
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The number behind "oom_kill " in a cgroup's file; -1: it is not there. */
static int64_t count_in(const char *root, const char *group, int length, const char *file)
{
    char path[PATH_MAX], text[1024];
    snprintf(path, sizeof path, "%s%.*s/%s", root, length, group, file);
    if (!read_file(path, text, sizeof text)) return -1;
    const char *at = strstr(text, "oom_kill ");
    return at ? atoll(at + strlen("oom_kill ")) : -1;
}

int64_t brood__os_oom_kills(void)
{
    char groups[4096];
    if (!read_file("/proc/self/cgroup", groups, sizeof groups)) return -1;
    for (const char *line = groups; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        int length = (int)strcspn(line, "\n"); /* number:controllers:path */
        const char *names = memchr(line, ':', (size_t)length), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path || path > line + length) continue;
        int rest = length - (int)(path + 1 - line);
        int64_t count = -1;
        if (path == names + 1) count = count_in("/sys/fs/cgroup", path + 1, rest, "memory.events");
        if (strncmp(names, ":memory:", 8) == 0)
            count = count_in("/sys/fs/cgroup/memory", path + 1, rest, "memory.oom_control");
        if (count >= 0) return count;
    }
    return -1;
}
