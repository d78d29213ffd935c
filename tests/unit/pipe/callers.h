/* SPDX-License-Identifier: MIT */
/* callers.h - a listener, and callers in threads. */
#ifndef BROOD_TEST_CALLERS_H
#define BROOD_TEST_CALLERS_H

#include "members.h"

#include <brood/connection.h>

static brood_listener door;
static char address[256];

static inline void open_door(const char *at, const brood_connection_options *options)
{
    int error = brood_listener_new(&door, at, options);
    if (error < 0) ck_abort_msg("%s: %s", brood_strerror(error), brood_error_detail());
    brood_test_ok(brood_listener_address(door, address, sizeof address));
}

struct caller {
    const char *address;
    brood_connection_options options;
    int timeout;
    pthread_t thread;
    brood_connection connection;
    int result;
    char detail[256];
};

static inline void *call_thread(void *arg)
{
    struct caller *c = arg;
    c->result = brood_connection_connect(&c->connection, c->address, &c->options, c->timeout ? c->timeout : PATIENCE);
    snprintf(c->detail, sizeof c->detail, "%s", brood_error_detail());
    return NULL;
}

static inline void call(struct caller *c)
{
    if (!c->address) c->address = address;
    ck_assert_int_eq(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

static inline int called(struct caller *c)
{
    pthread_join(c->thread, NULL);
    return c->result;
}

/* Both ends talk. */
static inline void ck_talk(brood_connection a, brood_connection b)
{
    char data[8];
    size_t size;
    brood_test_ok(brood_connection_send(a, "ping", 4, PATIENCE));
    brood_test_ok(brood_connection_recv(b, data, sizeof data, &size, PATIENCE));
    ck_assert(size == 4 && memcmp(data, "ping", 4) == 0);
    brood_test_ok(brood_connection_send(b, "pong!", 5, PATIENCE));
    brood_test_ok(brood_connection_recv(a, data, sizeof data, &size, PATIENCE));
    ck_assert(size == 5 && memcmp(data, "pong!", 5) == 0);
}

/* A caller with the right key gets in, after `refused` others were turned away. */
static inline void ck_gets_in(const brood_connection_options *options, int refused)
{
    struct caller c = {.options = options ? *options : (brood_connection_options){.authkey = NULL}};
    brood_connection accepted;
    int result;
    call(&c);
    while ((result = brood_listener_accept(door, &accepted, PATIENCE)) == BROOD_EAUTH && refused > 0) refused--;
    if (result < 0) ck_abort_msg("accept: %s: %s", brood_strerror(result), brood_error_detail());
    ck_assert_int_eq(called(&c), 0);
    ck_talk(accepted, c.connection);
    brood_test_ok(brood_connection_free(accepted));
    brood_test_ok(brood_connection_free(c.connection));
}

#endif
