/* SPDX-License-Identifier: MIT */
/*
 * rights.c - descriptors over a connection, as CPython's multiprocessing.reduction sends them: one byte, between
 * messages, that says how many, and carries them.
 */
#include "call/error.h"
#include "os/os.h"
#include "pipe/connection.h"

#include <unistd.h>

enum { MOST_FDS = 64 };

static int send_rights(struct connection *c, const int *fds, size_t count, int64_t deadline)
{
    if (c->out_error < 0) return c->out_error;
    if (!c->local) return brood__fail_with(BROOD_EUNSUPPORTED, "descriptors go to this machine's processes only");
    if (atomic_load(&c->out_missing) > 0) return brood__fail_with(BROOD_EINVAL, "a message is half sent");
    const unsigned char byte = (unsigned char)count;
    int result = brood__os_send(c->fd, &byte, 1, fds, count, deadline);
    if (result == -EPIPE) result = c->out_error = BROOD_ECLOSED;
    return result;
}

int brood_connection_send_fds(brood_connection connection, const int *fds, size_t count, int timeout)
{
    int64_t deadline = brood__connection_deadline(timeout);
    int result = brood__connection_enter(timeout);
    if (result == 0 && (!fds || count == 0 || count > MOST_FDS)) result = BROOD_EINVAL;
    if (result < 0) return result;
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    result = brood__connection_lock(&c->sending, timeout, deadline);
    if (result == 0) {
        result = send_rights(c, fds, count, deadline);
        pthread_mutex_unlock(&c->sending);
    }
    brood__connection_unpin(connection);
    return result;
}

static int receive_rights(struct connection *c, int *fds, size_t *count, int64_t deadline)
{
    unsigned char byte;
    if (c->in_error < 0) return c->in_error;
    if (!c->local) return brood__fail_with(BROOD_EUNSUPPORTED, "descriptors come from this machine's processes only");
    if (!brood__frame_reader_between(&c->in)) return brood__fail_with(BROOD_EINVAL, "a message is half received");
    ssize_t got = brood__os_receive(c->fd, &byte, 1, fds, count, deadline);
    if (got < 0) return (int)got;
    if (got == 0) return c->in_error = BROOD_ECLOSED;
    if (*count > 0 && *count % 256 == byte) return 0;
    for (size_t i = 0; i < *count; i++) close(fds[i]);
    *count = 0;
    return c->in_error = brood__fail_with(BROOD_ECORRUPT, "something else than descriptors came");
}

int brood_connection_recv_fds(brood_connection connection, int *fds, size_t room, size_t *count, int timeout)
{
    int64_t deadline = brood__connection_deadline(timeout);
    int result = brood__connection_enter(timeout);
    if (result == 0 && (!fds || !count || room == 0)) result = BROOD_EINVAL;
    if (result < 0) return result;
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    result = brood__connection_lock(&c->receiving, timeout, deadline);
    if (result == 0) {
        *count = room;
        result = receive_rights(c, fds, count, deadline);
        if (result < 0) *count = 0;
        pthread_mutex_unlock(&c->receiving);
    }
    brood__connection_unpin(connection);
    return result;
}
