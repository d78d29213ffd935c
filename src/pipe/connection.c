/* SPDX-License-Identifier: MIT */
/*
 * connection.c - connections from their beginning to their end; what is said over them is in message.c and rights.c.
 *
 * A connection is a socket, two mutexes and what is half done in each direction, in this process's memory.  Nothing of
 * it lies in the arena, for the other end may be anybody; nothing is read ahead, so descriptor, poll and detach tell the
 * truth at any time.
 */
#include "pipe/connection.h"

#include "call/error.h"
#include "os/os.h"
#include "pipe/address.h"
#include "pipe/handshake.h"
#include "pipe/local.h"
#include "sync/wait.h"

#include <brood/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_MESSAGE = 256 << 20, ADDRESSES = 16, NS_PER_S = 1000000000 };

/* ------------------------------------------------------------------------------------------------------- shared */

int brood__connection_enter(int timeout)
{
    brood__say_nothing();
    return timeout < BROOD_FOREVER ? brood__fail_with(BROOD_EINVAL, "a timeout of %d", timeout) : 0;
}

int64_t brood__connection_deadline(int timeout)
{
    return timeout == 0 ? 0 : brood__os_deadline(timeout);
}

int brood__connection_lock(pthread_mutex_t *mutex, int timeout, int64_t deadline)
{
    if (pthread_mutex_trylock(mutex) == 0) return 0;
    if (timeout == 0) return BROOD_EAGAIN;
    const struct timespec until = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};
    int error = timeout < 0 ? pthread_mutex_lock(mutex) : pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
    return -error;
}

struct connection *brood__connection_pin(brood_connection connection)
{
    return brood__local_pin(LOCAL_CONNECTION, connection.id);
}

static void take_apart(struct connection *c)
{
    brood__os_close(&c->fd);
    brood__frame_reader_free(&c->in);
    pthread_mutex_destroy(&c->sending);
    pthread_mutex_destroy(&c->receiving);
    free(c);
}

void brood__connection_unpin(brood_connection connection)
{
    struct connection *last = brood__local_unpin(connection.id);
    if (last) take_apart(last);
}

int brood__connection_key(struct auth_key *key, const brood_connection_options *options)
{
    static const brood_connection_options none;
    brood_preparation prepared;
    if (!options) options = &none;
    *key = (struct auth_key){.bytes = options->authkey, .size = options->authkey_size, .allow_md5 = options->allow_md5};
    if (options->unauthenticated) {
        if (key->bytes || key->size || key->allow_md5)
            return brood__fail_with(BROOD_EINVAL, "unauthenticated, and with a key");
        return 0;
    }
    if (!key->bytes && key->size == 0) {
        int error = brood_preparation_data(&prepared);
        if (error < 0) return brood__fail_with(error, "no key is given, and there is no family to have one");
        key->bytes = prepared.authkey;
        key->size = prepared.authkey_size;
    }
    if (!key->bytes || key->size == 0 || key->size > KEY_MOST)
        return brood__fail_with(BROOD_EINVAL, "a key of %zu bytes", key->size);
    return 0;
}

int brood__connection_make(brood_connection *connection, int fd, const brood_connection_options *options)
{
    int local = brood__os_stream_is_local(fd);
    if (local < 0) return local;
    struct connection *c = calloc(1, sizeof *c);
    if (!c) return BROOD_ENOMEM;
    pthread_mutex_init(&c->sending, NULL);
    pthread_mutex_init(&c->receiving, NULL);
    c->fd = fd;
    c->local = local;
    c->max_message = options && options->max_message ? options->max_message : DEFAULT_MESSAGE;
    brood__frame_reader_init(&c->in, UINT64_MAX);
    connection->id = brood__local_add(LOCAL_CONNECTION, c);
    if (connection->id) return 0;
    c->fd = -1;
    take_apart(c);
    return BROOD_ENOMEM;
}

/* ------------------------------------------------------------------------------------------------------ beginning */

/* The first that answers. */
static int connect_any(const struct os_address *addresses, int count, int *fd, int64_t deadline)
{
    int error = -ENOENT;
    for (int i = 0; i < count; i++) {
        error = brood__os_stream_connect(&addresses[i], fd, deadline);
        if (error == 0 || error == -ETIMEDOUT) break;
    }
    return error;
}

static int shake_hands(int fd, const struct auth_key *key, int timeout, int64_t deadline)
{
    struct handshake h;
    int result = brood__handshake_begin(&h, fd, AUTH_CLIENT);
    while (result == 0) {
        result = brood__handshake_step(&h, key);
        if (result != 0) break;
        int ready = brood__os_wait_readable(fd, deadline);
        if (ready == 0) result = brood__fail_with(brood__not_now(timeout), "the other end does not answer");
        if (ready < 0) result = ready;
    }
    brood__handshake_end(&h);
    return result < 0 ? result : 0;
}

int brood_connection_connect(brood_connection *connection, const char *address, const brood_connection_options *options,
                             int timeout)
{
    struct os_address addresses[ADDRESSES];
    struct auth_key key;
    int64_t deadline = brood__connection_deadline(timeout);
    int fd, error = brood__connection_enter(timeout);
    if (error == 0 && !connection) error = BROOD_EINVAL;
    if (error == 0) error = brood__connection_key(&key, options);
    if (error != 0) return error;
    int count = brood__address_parse(addresses, ADDRESSES, address, false);
    if (count < 0) return count;

    error = connect_any(addresses, count, &fd, deadline);
    if (error < 0)
        return brood__fail_with(error == -ETIMEDOUT ? brood__not_now(timeout) : error, "%.100s: %s", address,
                                brood_strerror(error));
    if (key.size > 0) error = shake_hands(fd, &key, timeout, deadline);
    if (error == 0) error = brood__connection_make(connection, fd, options);
    if (error < 0) brood__os_close(&fd);
    return error;
}

int brood_connection_from_fd(brood_connection *connection, int fd, const brood_connection_options *options)
{
    int error = brood__connection_enter(0);
    if (error == 0 && !connection) error = BROOD_EINVAL;
    return error < 0 ? error : brood__connection_make(connection, fd, options);
}

/* ------------------------------------------------------------------------------------------------------------ end */

int brood_connection_free(brood_connection connection)
{
    brood__connection_enter(0);
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    bool first = brood__local_retire(connection.id, false);
    brood__connection_unpin(connection);
    return first ? 0 : BROOD_ESTALE;
}

int brood_connection_detach(brood_connection connection)
{
    brood__connection_enter(0);
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    int fd = BROOD_EAGAIN;
    /* With both mutexes nothing changes after the look, and whoever is on the way to them has a pin. */
    if (pthread_mutex_trylock(&c->sending) == 0) {
        if (pthread_mutex_trylock(&c->receiving) == 0) {
            if (atomic_load(&c->out_missing) == 0 && brood__frame_reader_between(&c->in) &&
                brood__local_retire(connection.id, true)) {
                fd = c->fd;
                c->fd = -1;
            }
            pthread_mutex_unlock(&c->receiving);
        }
        pthread_mutex_unlock(&c->sending);
    }
    brood__connection_unpin(connection);
    return fd;
}

/* ---------------------------------------------------------------------------------------------------------- looks */

int brood_connection_fd(brood_connection connection)
{
    brood__connection_enter(0);
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    int fd = c->fd;
    brood__connection_unpin(connection);
    return fd;
}

int64_t brood_connection_unsent(brood_connection connection)
{
    brood__connection_enter(0);
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    uint64_t missing = atomic_load(&c->out_missing);
    brood__connection_unpin(connection);
    return (int64_t)missing;
}

int brood_connection_poll(brood_connection connection, int timeout)
{
    int error = brood__connection_enter(timeout);
    if (error < 0) return error;
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    int ready = brood__os_wait_readable(c->fd, brood__connection_deadline(timeout));
    brood__connection_unpin(connection);
    return ready > 0 ? 0 : ready < 0 ? ready : brood__not_now(timeout);
}

int brood_connection_peer(brood_connection connection, char *text, size_t capacity)
{
    struct os_address address;
    pid_t pid;
    brood__connection_enter(0);
    if (!text || capacity == 0) return BROOD_EINVAL;
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    int error = brood__os_stream_peer(c->fd, &address, &pid);
    if (error == 0 && pid > 0)
        snprintf(text, capacity, "pid %d", (int)pid);
    else if (error == 0)
        brood__os_address_text(&address, text, capacity);
    brood__connection_unpin(connection);
    return error;
}
