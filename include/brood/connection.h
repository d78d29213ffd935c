/* SPDX-License-Identifier: MIT */
/*
 * connection.h - messages between strangers and machines: sockets, as Python's multiprocessing.connection has them.
 *
 *     brood_connection_connect(&c, "db.example.org:6000", &options, 5000);
 *     brood_connection_send(c, "hello", 5, 1000);
 *     brood_connection_recv(c, buffer, sizeof buffer, &size, 1000);
 *     brood_connection_free(c);
 *
 * An address is text:
 *     "/run/x/socket"    a socket in the file system: anything with a slash, or "unix:socket"
 *     "@name"            a name in the system's abstract namespace, which leaves nothing behind
 *     "host:6000"        a port of TCP; "127.0.0.1:6000", "[::1]:6000"; ":6000" listens on all addresses, port 0 on one
 *                        that is free
 *
 * Both ends prove to each other that they know the same key, by HMAC-SHA-256 and the rule that CPython has had since 3.12,
 * so that a Listener or Client there is a good other end: messages are what send_bytes and recv_bytes mean.  CPython
 * before 3.12 knows HMAC-MD5 only, which has to be allowed.  The key keeps out who does not know it.  Nothing is
 * encrypted: across a network that others can read or change, use a tunnel.
 *
 * A handle belongs to its process: not to its family, no brood_init is needed, and in another process it is stale.  A
 * process forked by the caller has copies of both handle and socket; which of the two uses it is for the program to say.
 *
 * All calls: BROOD_ESTALE for a handle that is freed or was never one, BROOD_EINVAL for a timeout below BROOD_FOREVER and
 * for a NULL where there is something to read or write, -errno from the system's socket calls.  Timeouts in ms; with 0
 * the answer to "not now" is BROOD_EAGAIN, else BROOD_ETIMEDOUT.  Thread-safe; one sends and one receives at a time,
 * others wait for their turn within their timeouts.  Not async-signal-safe.  No SIGPIPE comes of them.
 *
 * What another process's death does: the other end of a connection that was closed, or whose process died by any means,
 * reads what had been sent and then gets BROOD_ECLOSED, or -ECONNRESET if a message was cut or something unread is lost.
 */
#ifndef BROOD_CONNECTION_H
#define BROOD_CONNECTION_H

#include <brood/base.h>

typedef struct brood_connection {
    uint64_t id;
} brood_connection;

typedef struct brood_listener {
    uint64_t id;
} brood_listener;

/* Zero means default everywhere.  Nothing is kept of what it points to after the call returns. */
typedef struct brood_connection_options {
    const void *authkey;  /* default the family's (brood_preparation.authkey), which every member has */
    size_t authkey_size;  /* at least 1, at most 1024 bytes */
    bool unauthenticated; /* no challenge: anybody is let in; the other end must say so too */
    bool allow_md5;       /* also let CPython before 3.12 in, which answers and asks for HMAC-MD5 */
    size_t max_message;   /* bytes of a message for brood_connection_recv_alloc at most; default 256 MiB */
    /* Of a listener alone: */
    int handshake_timeout; /* ms in which a caller has to prove itself, never negative; default 10000 */
    int max_handshakes; /* callers that may be at it at once, at most 1024; default 16.  One more, and the oldest goes */
    int backlog;        /* callers that wait to be accepted, as in listen(2); default 128 */
} brood_connection_options;

BROOD_BEGIN

/*
 * Listen at an address; NULL: an abstract name that nobody can guess.  options may be NULL.
 * A path is made, and is removed by brood_listener_free in the process that made it.  One that is there already is
 * replaced only if it is a socket on which nobody listens any more, which a connect finds out.
 * 0; BROOD_EINVAL: an address or option that means nothing (see brood_error_detail); BROOD_ENOTMEMBER: no key is given,
 * and there is no family to have one; -EADDRINUSE, -EACCES, -ENAMETOOLONG, -ENOENT (no such host), BROOD_ENOMEM,
 * BROOD_EMFILE...: nothing is left.  If the process dies, a path stays, to be replaced by the next.
 */
BROOD_API int brood_listener_new(brood_listener *listener, const char *address,
                                 const brood_connection_options *options);

/*
 * Wait for a caller that proves itself.  Others may be at it meanwhile: one that says nothing keeps nobody waiting.
 * 0: *connection is the caller's, to be freed; BROOD_EAUTH: one caller was turned away, or went, which
 * brood_error_detail says: call again for the next; BROOD_EAGAIN, BROOD_ETIMEDOUT: no caller yet; BROOD_EMFILE,
 * BROOD_ENOMEM...: no room for one now, who goes on waiting.
 */
BROOD_API int brood_listener_accept(brood_listener listener, brood_connection *connection, int timeout);

/*
 * The address to connect to, as text, with the port that the system chose: at most capacity bytes with its zero byte,
 * else BROOD_EMSGSIZE.  256 are enough for any.
 */
BROOD_API int brood_listener_address(brood_listener listener, char *address, size_t capacity);

/*
 * A descriptor, the library's own, readable when accept has something to do: then call it with timeout 0 until it says
 * BROOD_EAGAIN.  Now and then call it anyhow: callers that said nothing in their time are dropped there.
 */
BROOD_API int brood_listener_fd(brood_listener listener);

/* No more callers; those that have not proved themselves are dropped, connections stay.  0, BROOD_ESTALE. */
BROOD_API int brood_listener_free(brood_listener listener);

/*
 * Connect to a listener, and prove it to each other.  options may be NULL.  0: *connection is the caller's, to be freed;
 * BROOD_EAUTH: one of the two does not know the other's key, or speaks something else (see brood_error_detail);
 * BROOD_ETIMEDOUT; BROOD_EAGAIN (timeout 0: the handshake takes at least a moment); BROOD_EINVAL, BROOD_ENOTMEMBER as
 * above; -ECONNREFUSED, -ENOENT: nobody is there; -ECONNRESET: it went.  To look up a host's name may take longer than
 * timeout: as long as resolv.conf(5) lets it.
 */
BROOD_API int brood_connection_connect(brood_connection *connection, const char *address,
                                       const brood_connection_options *options, int timeout);

/*
 * Make a connection of a stream socket, which the library owns from then on; no challenge is exchanged.  options may be
 * NULL; only max_message counts.  0; -ENOTSOCK, -EPROTOTYPE, BROOD_ENOMEM: fd is still the caller's.
 */
BROOD_API int brood_connection_from_fd(brood_connection *connection, int fd, const brood_connection_options *options);

/*
 * The other way: its descriptor, which is the caller's from then on, and no handle any more.  To give it to a new
 * process, name it in brood_process_options.descriptors.  >= 0; BROOD_EAGAIN: a message is half sent or received, or
 * another thread is in a call.
 */
BROOD_API int brood_connection_detach(brood_connection connection);

/* Close it.  0, BROOD_ESTALE.  Another thread that is in a call on it goes on; what it uses is closed behind it. */
BROOD_API int brood_connection_free(brood_connection connection);

/*
 * Send `size` bytes (0 is a message too) as one message.  0; BROOD_ECLOSED: the other end is gone; BROOD_EAGAIN,
 * BROOD_ETIMEDOUT: not all of it could be sent yet: call again with the same message to go on where it stopped.  If
 * brood_connection_unsent is 0 nothing has gone, and another message is as good; else another size is BROOD_EINVAL, for
 * a message is never cut.
 */
BROOD_API int brood_connection_send(brood_connection connection, const void *data, size_t size, int timeout);

/* Bytes that are missing of a message that is half sent: then a loop waits for its descriptor to be writable.  Or 0. */
BROOD_API int64_t brood_connection_unsent(brood_connection connection);

/*
 * Receive the next message into data, which has room for `capacity` bytes; *size gets its length.  0;
 * BROOD_EMSGSIZE: it is longer, stays, and *size says its length; BROOD_EAGAIN, BROOD_ETIMEDOUT: not all of it is there:
 * what has come is kept for the next call, of whichever kind; BROOD_ECLOSED: the end, where a message could begin;
 * -ECONNRESET: the end elsewhere; BROOD_ECORRUPT: a negative length, so this is no stream of messages; BROOD_ENOMEM: no
 * memory to keep a part of it in, nothing was read.  The last three but ENOMEM stay so.
 */
BROOD_API int brood_connection_recv(brood_connection connection, void *data, size_t capacity, size_t *size,
                                    int timeout);

/*
 * Receive the next message into memory that is the caller's to free(3), in *data (never NULL on success).  As
 * brood_connection_recv; BROOD_EMSGSIZE: it is longer than max_message.  Memory grows with what comes, not with what a
 * stranger promises.
 */
BROOD_API int brood_connection_recv_alloc(brood_connection connection, void **data, size_t *size, int timeout);

/* Wait until there is something to receive, be it a part of a message, or the end: 0; BROOD_EAGAIN, BROOD_ETIMEDOUT. */
BROOD_API int brood_connection_poll(brood_connection connection, int timeout);

/*
 * Its descriptor, for poll(2) alone: readable while there is something to receive.  Nothing is read ahead, so it is true
 * at any time; what is readable may be less than a message.
 */
BROOD_API int brood_connection_fd(brood_connection connection);

/*
 * Send copies of descriptors, 1 to 64, to the other end, which must call brood_connection_recv_fds, or, in Python,
 * multiprocessing.reduction.recv_handle; between messages, not inside one.  0; BROOD_EUNSUPPORTED: not a socket of this
 * machine; BROOD_EINVAL: a message is half sent; BROOD_EAGAIN, BROOD_ETIMEDOUT; BROOD_ECLOSED.
 */
BROOD_API int brood_connection_send_fds(brood_connection connection, const int *fds, size_t count, int timeout);

/*
 * Receive descriptors, close-on-exec and the caller's, at most `room`, *count of them.  0; BROOD_EMSGSIZE: there were
 * more, BROOD_EMFILE: no room in the table: all were closed; BROOD_ECORRUPT: what came is something else, and there is
 * no way on; BROOD_EINVAL: a message is half received; as brood_connection_recv else.
 */
BROOD_API int brood_connection_recv_fds(brood_connection connection, int *fds, size_t room, size_t *count, int timeout);

/* Who the other end is, for people and logs: "127.0.0.1:40112", or "pid 4711" on this machine; cut to capacity. */
BROOD_API int brood_connection_peer(brood_connection connection, char *text, size_t capacity);

BROOD_END

#endif
