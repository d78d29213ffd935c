/* SPDX-License-Identifier: MIT */
/* peer.c - questions to other programs over a socket that is their standard input and output. */
#include "peer.h"

#include "harness.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static const char *python(void)
{
    const char *asked = getenv("BENCH_PYTHON");
    if (asked) return asked;
    return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

static void become(const struct peer *peer, int fd)
{
    static char path[2][4096];
    char *argv[5] = {0};
    const char *program = peer->program ? peer->program : python();
    if (*program == '\0') program = "/proc/self/exe";
    argv[0] = (char *)program;
    for (int i = 0, scripts = 0; i < 3 && peer->arguments[i]; i++) {
        const char *argument = peer->arguments[i];
        size_t length = strlen(argument);
        argv[i + 1] = (char *)argument;
        if (scripts == 2 || length < 3 || strcmp(argument + length - 3, ".py") != 0) continue;
        snprintf(path[scripts], sizeof path[scripts], "%s/%s", BENCH_PEERS, argument);
        argv[i + 1] = path[scripts++];
    }
    dup2(fd, 0);
    dup2(fd, 1);
    execvp(program, argv);
    _exit(127);
}

static bool start(struct peer *peer)
{
    int pair[2];
    if (peer->program && *peer->program && access(peer->program, X_OK) < 0) return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return false;
    peer->pid = fork();
    if (peer->pid == 0) become(peer, pair[1]);
    close(pair[1]);
    peer->fd = pair[0];
    if (peer->pid > 0) return true;
    close(pair[0]);
    peer->pid = 0;
    return false;
}

void peer_close(struct peer *peer)
{
    if (peer->pid == 0) return;
    close(peer->fd);
    waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}

/* A line, or false: it has ended, or is silent. */
static bool read_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, PATIENCE_MS) <= 0 || read(fd, line + length, 1) != 1) return false;
        if (line[length] == '\n') break;
        length++;
    }
    line[length] = '\0';
    return true;
}

static double ask_once(struct peer *peer, const char *text, uint64_t n)
{
    char line[256];
    if (peer->pid == 0 && !start(peer)) return -1;
    int length = snprintf(line, sizeof line, "%s %llu\n", text, (unsigned long long)n);
    send(peer->fd, line, (size_t)length, MSG_NOSIGNAL); /* one that was asked by its arguments may not listen */
    if (!read_line(peer->fd, line, sizeof line)) return -1;
    char *end;
    double seconds = strtod(line, &end);
    return end == line ? -1 : seconds;
}

double peer_ask(void *question, uint64_t n)
{
    const struct peer_question *q = question;
    struct peer *peer = q->peer;
    if (peer->missing) return -1;
    double seconds = 0;
    for (uint64_t i = 0; i < (peer->fresh ? n : 1) && seconds >= 0; i++) {
        double once = ask_once(peer, q->text, peer->fresh ? 1 : n);
        seconds = once < 0 ? once : seconds + once;
        if (peer->fresh) peer_close(peer);
    }
    if (seconds >= 0) return seconds;
    peer->missing = true;
    peer_close(peer);
    const char *what = peer->arguments[0] ? peer->arguments[0] : peer->program;
    return bench_complain(what, "skipped");
}
