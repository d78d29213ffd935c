/* SPDX-License-Identifier: MIT */
/*
 * message.c - whole messages over a connection, sent and received in as many steps as it takes.
 *
 * What is half sent is the head, which is kept, and the caller's bytes, which it gives again.  What is half received is
 * kept in the reader of frames.  A message for the caller's own place is read straight to there, without a copy; only
 * what has come when the time is over moves to the reader's memory, which was set aside before.
 */
#include "call/error.h"
#include "os/os.h"
#include "pipe/connection.h"
#include "sync/wait.h"

#include <string.h>

/*
 * After a transfer that failed: 0: try again; else the answer of the call.  What is there is taken, late or not; but a
 * peer that is always there with a little does not stretch the time.
 */
static int wait_for(const struct connection *c, ssize_t failed, bool writing, int timeout, int64_t deadline)
{
    if (failed != -EAGAIN) return (int)failed;
    if (brood__os_remaining(deadline) == 0) return brood__not_now(timeout);
    int ready = writing ? brood__os_wait_writable(c->fd, deadline) : brood__os_wait_readable(c->fd, deadline);
    return ready > 0 ? 0 : ready < 0 ? ready : brood__not_now(timeout);
}

/* --------------------------------------------------------------------------------------------------------- sending */

static int begin(struct connection *c, size_t size)
{
    if (atomic_load(&c->out_missing) == 0) {
        c->head_size = brood__frame_head(c->head, size);
        c->out_size = size;
        return 0;
    }
    if (size == c->out_size) return 0;
    return brood__fail_with(BROOD_EINVAL, "a message of %llu bytes is half sent, this one has %zu",
                            (unsigned long long)c->out_size, size);
}

static int send_message(struct connection *c, const char *data, size_t size, int timeout, int64_t deadline)
{
    int result = c->out_error < 0 ? c->out_error : begin(c, size);
    uint64_t missing = atomic_load(&c->out_missing);
    if (missing == 0) missing = c->head_size + size;
    while (result == 0 && missing > 0) {
        size_t head = missing > size ? (size_t)(missing - size) : 0, rest = head ? size : (size_t)missing;
        ssize_t sent = brood__os_stream_send(c->fd, c->head + c->head_size - head, head, data + (size - rest), rest);
        if (sent < 0) {
            result = wait_for(c, sent, true, timeout, deadline);
            continue;
        }
        missing -= (uint64_t)sent;
        atomic_store(&c->out_missing, missing);
    }
    if (result == -EPIPE || result == -ECONNRESET) result = c->out_error = BROOD_ECLOSED;
    return result;
}

int brood_connection_send(brood_connection connection, const void *data, size_t size, int timeout)
{
    int64_t deadline = brood__connection_deadline(timeout);
    int result = brood__connection_enter(timeout);
    if (result == 0 && ((!data && size > 0) || size > INT64_MAX)) result = BROOD_EINVAL;
    if (result < 0) return result;
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    result = brood__connection_lock(&c->sending, timeout, deadline);
    if (result == 0) {
        result = send_message(c, data ? data : "", size, timeout, deadline);
        pthread_mutex_unlock(&c->sending);
    }
    brood__connection_unpin(connection);
    return result;
}

/* ------------------------------------------------------------------------------------------------------- receiving */

/* What one read brought: bytes; 0: try again; or the answer of the call. */
static ssize_t receive_some(struct connection *c, void *place, size_t most, int timeout, int64_t deadline)
{
    ssize_t got = brood__os_stream_receive(c->fd, place, most);
    if (got > 0) return got;
    if (got == 0 && brood__frame_reader_between(&c->in)) return c->in_error = BROOD_ECLOSED;
    if (got == 0) got = -ECONNRESET;
    if (got == -ECONNRESET) {
        c->in_error = -ECONNRESET;
        return brood__fail_with(-ECONNRESET, brood__frame_reader_between(&c->in)
                                                 ? "the other end went without having read all"
                                                 : "the other end went in the middle of a message");
    }
    return wait_for(c, got, false, timeout, deadline);
}

/* Into the reader: 1: one step further; or the answer of the call. */
static int read_on(struct connection *c, int timeout, int64_t deadline)
{
    void *place;
    size_t most;
    int error = brood__frame_reader_place(&c->in, &place, &most);
    if (error < 0) return error;
    ssize_t got = receive_some(c, place, most, timeout, deadline);
    if (got < 0) return (int)got;
    if (got > 0 && brood__frame_reader_added(&c->in, (size_t)got) < 0)
        return c->in_error = brood__fail_with(BROOD_ECORRUPT, "the length of a message is negative");
    return 1;
}

/* The head, so that in.size is the message's; beyond the limit the message stays. */
static int read_head(struct connection *c, uint64_t limit, size_t *size, int timeout, int64_t deadline)
{
    int result = c->in_error < 0 ? c->in_error : 1;
    while (result > 0 && !c->in.sized) result = read_on(c, timeout, deadline);
    if (result < 0) return result;
    *size = (size_t)c->in.size;
    if (c->in.size <= limit) return 0;
    return brood__fail_with(BROOD_EMSGSIZE, "a message of %llu bytes, where %llu are allowed",
                            (unsigned long long)c->in.size, (unsigned long long)limit);
}

/* The rest of the message into the reader's own memory. */
static int read_rest(struct connection *c, int timeout, int64_t deadline)
{
    int result = 1;
    while (result > 0 && !brood__frame_reader_whole(&c->in)) result = read_on(c, timeout, deadline);
    return result < 0 ? result : 0;
}

/* All of the message straight to its place. */
static int read_to(struct connection *c, char *data, int timeout, int64_t deadline)
{
    size_t got = 0, size = (size_t)c->in.size;
    int result = timeout < 0 ? 0 : brood__frame_reader_reserve(&c->in);
    while (result == 0 && got < size) {
        ssize_t more = receive_some(c, data + got, size - got, timeout, deadline);
        if (more < 0) result = (int)more;
        if (more > 0) got += (size_t)more;
    }
    if (result == 0 || !data || got == 0 || c->in_error < 0) return result;
    if (brood__frame_reader_reserve(&c->in) < 0)
        return c->in_error = BROOD_ENOMEM; /* only after an error of the system's */
    memcpy(c->in.body, data, got);
    c->in.got = got;
    return result;
}

static int receive_message(struct connection *c, void *data, size_t capacity, size_t *size, int timeout,
                           int64_t deadline)
{
    int result = read_head(c, capacity, size, timeout, deadline);
    if (result < 0) return result;
    if (c->in.got == 0) {
        result = read_to(c, data, timeout, deadline);
    } else {
        result = read_rest(c, timeout, deadline);
        if (result == 0 && data) memcpy(data, c->in.body, *size);
    }
    if (result == 0) brood__frame_reader_next(&c->in);
    return result;
}

static int receive_alloc(struct connection *c, void **data, size_t *size, int timeout, int64_t deadline)
{
    int result = read_head(c, c->max_message, size, timeout, deadline);
    if (result == 0) result = read_rest(c, timeout, deadline);
    if (result < 0) return result;
    *data = brood__frame_reader_take(&c->in, size);
    if (!*data) return BROOD_ENOMEM; /* the message stays */
    brood__frame_reader_next(&c->in);
    return 0;
}

/* Both kinds: data gets the message, or *alloc if it is not NULL. */
static int receive(brood_connection connection, void *data, size_t capacity, void **alloc, size_t *size, int timeout)
{
    int64_t deadline = brood__connection_deadline(timeout);
    struct connection *c = brood__connection_pin(connection);
    if (!c) return BROOD_ESTALE;
    int result = brood__connection_lock(&c->receiving, timeout, deadline);
    if (result == 0) {
        result = alloc ? receive_alloc(c, alloc, size, timeout, deadline)
                       : receive_message(c, data, capacity, size, timeout, deadline);
        pthread_mutex_unlock(&c->receiving);
    }
    brood__connection_unpin(connection);
    return result;
}

int brood_connection_recv(brood_connection connection, void *data, size_t capacity, size_t *size, int timeout)
{
    int error = brood__connection_enter(timeout);
    if (error == 0 && ((!data && capacity > 0) || !size)) error = BROOD_EINVAL;
    return error < 0 ? error : receive(connection, data, capacity, NULL, size, timeout);
}

int brood_connection_recv_alloc(brood_connection connection, void **data, size_t *size, int timeout)
{
    int error = brood__connection_enter(timeout);
    if (error == 0 && (!data || !size)) error = BROOD_EINVAL;
    return error < 0 ? error : receive(connection, NULL, 0, data, size, timeout);
}
