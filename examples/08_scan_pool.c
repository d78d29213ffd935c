/* SPDX-License-Identifier: MIT */
/* The port scanner of 07_scan_sequential.c with a pool: a worker for each of ports 80 to 99 of this machine.
 * Where a port's packets are dropped each check takes its second, but all take it at once. */
#include "start_method.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 80, PORTS = 20 };

BROOD_TASK(check_port, bool, int, port)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
    bool open = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return open;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int port[PORTS];
    bool open[PORTS];
    brood_pool pool;
    for (int i = 0; i < PORTS; i++) port[i] = FIRST + i;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = PORTS});
    if (error == 0) error = brood_pool_map(pool, check_port, port, open, PORTS);
    for (int i = 0; error == 0 && i < PORTS; i++)
        if (open[i]) printf("Port %d is open\n", port[i]);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (error < 0)
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    else
        printf("Completed scan in %g seconds\n",
               (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    brood_fini();
    return error < 0;
}
