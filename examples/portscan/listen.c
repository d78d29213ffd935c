/* SPDX-License-Identifier: MIT */
/*
 * listen.c - something to find: listen ADDRESS [PORT...] listens there (port 0, or none given: three that are free),
 * prints each port, takes and drops every connection, and leaves when its standard input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 64 };

static int fail(const char *what)
{
    fprintf(stderr, "listen: %s: %s\n", what, strerror(errno));
    return -1;
}

static int listen_at(const char *address, int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    memset(&at, 0, sizeof at);
    socklen_t size = sizeof at.v6;
    if (inet_pton(AF_INET6, address, &at.v6.sin6_addr) == 1) {
        at.v6.sin6_family = AF_INET6;
        at.v6.sin6_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET, address, &at.v4.sin_addr) == 1) {
        at.v4.sin_family = AF_INET;
        at.v4.sin_port = htons((uint16_t)port);
        size = sizeof at.v4;
    } else {
        errno = EINVAL;
        return fail(address);
    }
    int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, &at.any, size) < 0 || listen(fd, 128) < 0) return fail(address);
    getsockname(fd, &at.any, &size);
    printf("%u\n", ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port));
    return fd;
}

int main(int argc, char **argv)
{
    struct pollfd fd[MOST + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    nfds_t n = argc > 2 ? (nfds_t)argc - 2 : 3;
    if (argc < 2 || n > MOST) {
        fprintf(stderr, "usage: listen ADDRESS [PORT...]\n");
        return 1;
    }
    for (nfds_t i = 1; i <= n; i++) {
        fd[i] = (struct pollfd){.fd = listen_at(argv[1], argc > 2 ? atoi(argv[i + 1]) : 0), .events = POLLIN};
        if (fd[i].fd < 0) return 1;
    }
    fflush(stdout);
    for (;;) {
        char byte;
        if (poll(fd, n + 1, -1) < 0) return 1;
        if (fd[0].revents && read(STDIN_FILENO, &byte, 1) <= 0) return 0;
        for (nfds_t i = 1; i <= n; i++) {
            int taken = fd[i].revents ? accept(fd[i].fd, NULL, NULL) : -1;
            if (taken >= 0) close(taken);
        }
    }
}
