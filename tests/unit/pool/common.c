/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Processes of this test's family: those with this name whose session is ours and whose parent chain leads here. */
static bool descends(pid_t pid)
{
    for (int depth = 0; depth < 8 && pid > 1; depth++) {
        if (pid == getpid()) return true;
        char path[64], line[512];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        if (!f) return false;
        size_t n = fread(line, 1, sizeof line - 1, f);
        fclose(f);
        line[n] = 0;
        char *end = strrchr(line, ')'), state;
        int parent;
        if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2 || state == 'Z') return false;
        pid = parent;
    }
    return false;
}

pid_t find_process(const char *name)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *e; proc && !found && (e = readdir(proc));) {
        char path[300], line[256];
        if (atoi(e->d_name) <= 0) continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        size_t n = fread(line, 1, sizeof line - 1, f);
        fclose(f);
        line[n] = 0;
        if (strcmp(line, name) == 0 && descends(atoi(e->d_name))) found = atoi(e->d_name);
    }
    if (proc) closedir(proc);
    return found;
}
