/* SPDX-License-Identifier: MIT */
/* A port scanner, one port after the other: which of ports 80 to 99 of this machine take connections?
 * No Brood here: 08_scan_pool.c is the same with a pool.  For a scanner to use, see portscan/. */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static bool check_port(int port)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
    bool open = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return open;
}

int main(void)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int port = 80; port < 100; port++)
        if (check_port(port)) printf("Port %d is open\n", port);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("Completed scan in %g seconds\n",
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return 0;
}
