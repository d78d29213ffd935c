/* SPDX-License-Identifier: MIT */
/*
 * slow_link.c - a wire between two network namespaces on which each packet is a while under way.
 *
 * slow_link MS DEVICE NAMESPACE OTHER: makes the tunnel devices DEVICE here and OTHER in NAMESPACE (a file), says
 * "ready", and carries packets, each for MS milliseconds, until its standard input ends.  It stands in for tc-netem(8),
 * which not every kernel has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 8192, LARGEST = 1500 };

/* What is under way in one direction, oldest first; what comes when it is full is lost, as on any wire. */
struct wire {
    unsigned head, count;
    struct {
        int64_t due;
        ssize_t size;
        char bytes[LARGEST];
    } packet[PACKETS];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int tunnel(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        perror("/dev/net/tun");
        exit(1);
    }
    return fd;
}

static void take(struct wire *wire, int from, int64_t due)
{
    for (;;) {
        char lost[LARGEST];
        unsigned last = (wire->head + wire->count) % PACKETS;
        ssize_t size = read(from, wire->count < PACKETS ? wire->packet[last].bytes : lost, LARGEST);
        if (size <= 0) return;
        if (wire->count == PACKETS) continue;
        wire->packet[last].size = size;
        wire->packet[last].due = due;
        wire->count++;
    }
}

/* How many ms until the next is due; -1: there is none. */
static int give(struct wire *wire, int to)
{
    for (; wire->count > 0; wire->count--, wire->head = (wire->head + 1) % PACKETS) {
        int64_t left = wire->packet[wire->head].due - now_ms();
        if (left > 0) return (int)left;
        if (write(to, wire->packet[wire->head].bytes, (size_t)wire->packet[wire->head].size) < 0 && errno == EBADF)
            exit(1);
    }
    return -1;
}

int main(int argc, char **argv)
{
    static struct wire wire[2];
    if (argc != 5) {
        fprintf(stderr, "usage: slow_link MS DEVICE NAMESPACE OTHER\n");
        return 1;
    }
    int delay = atoi(argv[1]), here = tunnel(argv[2]), other = open(argv[3], O_RDONLY | O_CLOEXEC);
    if (other < 0 || setns(other, CLONE_NEWNET) < 0) {
        perror(argv[3]);
        return 1;
    }
    int there = tunnel(argv[4]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd fd[3] = {{STDIN_FILENO, POLLIN, 0}, {here, POLLIN, 0}, {there, POLLIN, 0}};
        int away = give(&wire[0], there), back = give(&wire[1], here);
        char byte;
        if (poll(fd, 3, away < 0 || (back >= 0 && back < away) ? back : away) < 0) return 1;
        if (fd[0].revents && read(STDIN_FILENO, &byte, 1) <= 0) return 0;
        take(&wire[0], here, now_ms() + delay);
        take(&wire[1], there, now_ms() + delay);
    }
}
