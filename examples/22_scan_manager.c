/* SPDX-License-Identifier: MIT */
/* The port scanner of 08_scan_pool.c, its results in a manager's queue: a worker for each of ports 80 to 99. */
#include "start_method.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 80, PORTS = 20 };

BROOD_TASK(check_port, int, int, port, brood_proxy, results)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
    int error = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) error = brood_proxy_put(results, brood_v(port), 0);
    close(fd);
    return error;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    brood_manager manager;
    brood_proxy results;
    brood_pool pool;
    check_port_args ports[PORTS];
    int codes[PORTS];
    int error = brood_manager_new(&manager, NULL);
    if (error == 0) error = brood_manager_queue(manager, &results, 0);
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = PORTS});
    for (int i = 0; i < PORTS; i++) ports[i] = (check_port_args){FIRST + i, results};
    if (error == 0) error = brood_pool_map(pool, check_port, ports, codes, PORTS);
    for (int open[PORTS] = {0}, i = 0; error == 0 && i <= PORTS;
         i++) { /* they come as they were found; said in order */
        brood_variant port;
        int64_t number;
        while (i == 0 && (error = brood_proxy_get(results, &port, 0)) == 0)
            if (brood_variant_get_int(&port, &number) == 0) open[number - FIRST] = 1;
        if (error == BROOD_EAGAIN) error = 0;
        if (i > 0 && open[i - 1]) printf("Port %d is open\n", FIRST + i - 1);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (error < 0)
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    else
        printf("Completed scan in %g seconds\n",
               (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    brood_fini();
    return error < 0;
}
