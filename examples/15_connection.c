/* SPDX-License-Identifier: MIT */
/* A server and its clients, which are here its children but could be anybody's programs that know the key: each sends
 * numbers and gets their sum.  One of them does not know the key. */
#include "start_method.h"
#include <stdio.h>

enum { CLIENTS = 3, PATIENCE = 10000 };
typedef struct client {
    int number;
    char key[16], address[64];
} client;

BROOD_TASK(ask, int, struct client, me)
{
    double numbers[] = {me.number, 2 * me.number, 3 * me.number}, sum;
    size_t size;
    brood_connection_options options = {.authkey = me.key, .authkey_size = sizeof me.key};
    brood_connection server;
    int error = brood_connection_connect(&server, me.address, &options, PATIENCE);
    if (error == BROOD_EAUTH) printf("client %d is turned away\n", me.number);
    if (error < 0) return error != BROOD_EAUTH;
    error = brood_connection_send(server, numbers, sizeof numbers, PATIENCE);
    if (error == 0) error = brood_connection_recv(server, &sum, sizeof sum, &size, PATIENCE);
    if (error == 0) printf("client %d: the sum is %g\n", me.number, sum);
    brood_connection_free(server);
    return error < 0;
}

static int serve(brood_connection caller)
{
    double numbers[16], sum = 0;
    size_t size;
    int error = brood_connection_recv(caller, numbers, sizeof numbers, &size, PATIENCE);
    for (size_t i = 0; error == 0 && i < size / sizeof *numbers; i++) sum += numbers[i];
    if (error == 0) error = brood_connection_send(caller, &sum, sizeof sum, PATIENCE);
    brood_connection_free(caller);
    return error;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    client clients[CLIENTS] = {{1, "open sesame", ""}, {2, "open barley", ""}, {3, "open sesame", ""}};
    brood_connection_options options = {.authkey = clients[0].key, .authkey_size = sizeof clients[0].key};
    brood_process children[CLIENTS] = {{0}};
    brood_listener listener = {0};
    int error = brood_listener_new(&listener, NULL, &options);
    for (int i = 0; i < CLIENTS && error == 0; i++) {
        brood_connection caller = {0};
        error = brood_listener_address(listener, clients[i].address, sizeof clients[i].address);
        if (error == 0) error = brood_process_start(&children[i], NULL, ask, &clients[i]);
        if (error < 0) break;
        error = brood_listener_accept(listener, &caller, PATIENCE);
        if (error == 0) error = serve(caller);
        if (error == BROOD_EAUTH) error = 0; /* brood_error_detail() says who and why: for a log */
        brood_process_join(children[i], BROOD_FOREVER, NULL);
    }
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_listener_free(listener);
    brood_fini();
    return error < 0;
}
