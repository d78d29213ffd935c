/* SPDX-License-Identifier: MIT */
/* zygote.c - the least that a server of forks can be: a small child that forks for each byte, waits, and says so. */
#include "zygote.h"
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void serve(int fd)
{
    char byte;
    while (read(fd, &byte, 1) == 1) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) _exit(0);
        byte = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
        if (write(fd, &byte, 1) != 1) break;
    }
    _exit(0);
}

int zygote_start(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        serve(pair[1]);
    }
    close(pair[1]);
    return pair[0];
}

double zygote_fork_and_wait(void *context, uint64_t n)
{
    int fd = *(const int *)context;
    double start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        char byte = 0;
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1 || byte != 1)
            return bench_complain("zygote", strerror(errno));
    }
    return bench_now() - start;
}
