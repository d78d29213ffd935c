/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - the least of the limits that the control groups above this process set.
 *
 * Private to this folder.  A limit counts wherever it stands between the process's own group and the root of the
 * mount, so all of them are asked.  Inside a container the path in /proc/self/cgroup may be one that only the host
 * can see; its own group is then the root of the mount, which the walk ends with in any case.  Both hierarchies are
 * asked, since a machine can have version 1 and 2 side by side.  Reads files; allocates nothing; async-signal-safe.
 */
#ifndef BROOD_OS_LINUX_CGROUP_H
#define BROOD_OS_LINUX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

#define CGROUP_NO_LIMIT UINT64_MAX
#define CGROUP_PATH 4096

/* The limit that the group of this directory sets itself; CGROUP_NO_LIMIT if none. */
typedef uint64_t cgroup_limit_fn(const char *directory);

struct cgroup_hierarchy {
    const char *controller; /* as /proc/self/cgroup names it; "" for version 2 */
    const char *mount;
    cgroup_limit_fn *limit;
};

/* Whether the comma separated list [list, end) has this name; the empty list has the empty name. */
static inline bool cgroup_list_has(const char *list, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (;;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - list) == length && memcmp(list, name, length) == 0) return true;
        if (!comma) return false;
        list = comma + 1;
    }
}

/* Append the path of this process's group, out of lines "number:controllers:path"; nothing for the root. */
static inline void cgroup_put_path(struct text *directory, const char *lines, const char *controller)
{
    for (const char *line = lines, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *names = strchr(line, ':');
        if (!names || names > end) continue;
        const char *path = strchr(++names, ':');
        if (!path || path > end || !cgroup_list_has(names, path, controller)) continue;

        path++;
        if (strncmp(path, "/..", 3) == 0) return; /* above what this mount shows */
        if (end[-1] == '/') end--;                /* of the root itself */
        text_put_span(directory, path, end);
        return;
    }
}

/* A number in directory/file; CGROUP_NO_LIMIT if it is missing or a word such as "max". */
static inline uint64_t cgroup_number(const char *directory, const char *file)
{
    char path[CGROUP_PATH + 64], content[64];
    struct text text = text_in(path, sizeof path);
    text_put(&text, directory);
    text_put(&text, file);

    const char *at = content;
    uint64_t number;
    if (text_read_file(path, content, sizeof content) < 0) return CGROUP_NO_LIMIT;
    return text_take_number(&at, &number) ? number : CGROUP_NO_LIMIT;
}

/* The least limit in these hierarchies, from this process's groups up to their roots. */
static inline uint64_t cgroup_least(const struct cgroup_hierarchy *hierarchies, size_t n)
{
    char lines[CGROUP_PATH * 2], path[CGROUP_PATH];
    text_read_file("/proc/self/cgroup", lines, sizeof lines);

    uint64_t least = CGROUP_NO_LIMIT;
    for (size_t i = 0; i < n; i++) {
        struct text directory = text_in(path, sizeof path);
        text_put(&directory, hierarchies[i].mount);
        size_t root = directory.length;
        cgroup_put_path(&directory, lines, hierarchies[i].controller);

        for (char *end = path + directory.length;; *end = '\0') {
            uint64_t limit = hierarchies[i].limit(path);
            if (limit < least) least = limit;
            if (end == path + root) break;
            do end--;
            while (end > path + root && *end != '/');
        }
    }
    return least;
}

#endif
