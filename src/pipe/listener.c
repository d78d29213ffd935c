/* SPDX-License-Identifier: MIT */
/*
 * listener.c - who is let in.
 *
 * A caller has to prove itself before it is a connection.  Several may be at it at once, each in a place with a deadline
 * of its own, and accept goes on with whichever has something to say: one that keeps silent holds up nobody.  When all
 * places are taken, the one that has had its place longest goes.  Listener and callers are in one poller, whose
 * descriptor is what the user's loop watches.
 */
#include "call/error.h"
#include "os/os.h"
#include "pipe/address.h"
#include "pipe/connection.h"
#include "pipe/handshake.h"
#include "pipe/local.h"
#include "sync/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADDRESSES = 16, DEFAULT_BACKLOG = 128, DEFAULT_HANDSHAKES = 16, MOST_HANDSHAKES = 1024, HANDSHAKE_MS = 10000 };
enum { NAME_BYTES = 16, PROBE_NAP_NS = 10 * 1000 * 1000, TEXT_MOST = 256 };
#define TAG_LISTENER UINT64_MAX

struct caller {
    struct handshake shake; /* shake.fd < 0: the place is free */
    int64_t deadline;
};

struct listener {
    int fd, poller;
    struct os_address address;
    struct os_file file; /* of a path */
    pid_t maker;         /* who removes it */
    char key_bytes[KEY_MOST];
    struct auth_key key; /* size 0: everybody is let in */
    brood_connection_options options;
    pthread_mutex_t accepting; /* guards the callers */
    size_t places;
    struct caller callers[];
};

/* --------------------------------------------------------------------------------------------------------- making */

/*
 * Whether nobody listens at a socket file: 1; 0: somebody does, or it is none; or why that can't be known.  Twice, for one
 * that was only just made does not listen yet.
 */
static int is_stale(const struct os_address *address, const char *path, struct os_file *file)
{
    struct os_file before;
    if (!brood__os_socket_file(path, &before)) return 0;
    for (int look = 0; look < 2; look++) {
        int probe;
        int error = brood__os_stream_connect(address, &probe, 0);
        if (error == 0) brood__os_close(&probe);
        if (error == 0 || error == -EAGAIN) return 0;
        if (error != -ECONNREFUSED) return error;
        if (look == 0) brood__os_nap(PROBE_NAP_NS);
    }
    return brood__os_socket_file(path, file) && file->device == before.device && file->inode == before.inode;
}

static int listen_at_path(struct listener *l, const struct os_address *address, const char *path)
{
    struct os_file dead;
    int lock = brood__os_directory_lock(path); /* two that find the same dead socket must not remove each other's */
    int error = brood__os_stream_listen(address, l->options.backlog, &l->fd, &l->address);
    int stale = error == -EADDRINUSE ? is_stale(address, path, &dead) : 0;
    if (stale < 0) error = stale;
    if (stale > 0 && brood__os_socket_file_remove(path, &dead))
        error = brood__os_stream_listen(address, l->options.backlog, &l->fd, &l->address);
    brood__os_close(&lock);
    if (error == 0 && !brood__os_socket_file(path, &l->file)) l->maker = 0;
    return error;
}

static int listen_at(struct listener *l, const struct os_address *addresses, int count)
{
    int error = -ENOENT;
    for (int i = 0; i < count && error < 0; i++) {
        const char *path = brood__os_address_path(&addresses[i]);
        error = path ? listen_at_path(l, &addresses[i], path)
                     : brood__os_stream_listen(&addresses[i], l->options.backlog, &l->fd, &l->address);
    }
    return error;
}

/* A name nobody can guess. */
static int any_name(char name[2 * NAME_BYTES + 8])
{
    unsigned char bytes[NAME_BYTES];
    int error = brood__os_random(bytes, sizeof bytes), length = sprintf(name, "@brood-");
    for (size_t i = 0; i < sizeof bytes && error == 0; i++) length += sprintf(name + length, "%02x", bytes[i]);
    return error;
}

static int find_place(struct os_address addresses[ADDRESSES], const char *address)
{
    char name[2 * NAME_BYTES + 8];
    int error = address ? 0 : any_name(name);
    return error < 0 ? error : brood__address_parse(addresses, ADDRESSES, address ? address : name, true);
}

static int check_options(brood_connection_options *o)
{
    if (o->handshake_timeout < 0 || o->max_handshakes < 0 || o->max_handshakes > MOST_HANDSHAKES || o->backlog < 0)
        return brood__fail_with(BROOD_EINVAL, "handshake_timeout %d, max_handshakes %d, backlog %d",
                                o->handshake_timeout, o->max_handshakes, o->backlog);
    if (o->handshake_timeout == 0) o->handshake_timeout = HANDSHAKE_MS;
    if (o->max_handshakes == 0) o->max_handshakes = DEFAULT_HANDSHAKES;
    if (o->backlog == 0) o->backlog = DEFAULT_BACKLOG;
    return 0;
}

/* To close it would not take it out of the poller, if a copy of this process has a copy of it. */
static void drop(struct listener *l, struct caller *caller)
{
    brood__handshake_end(&caller->shake);
    if (caller->shake.fd >= 0) brood__os_poller_remove(l->poller, caller->shake.fd);
    brood__os_close(&caller->shake.fd);
}

/* The path goes while its socket is still there, so that it can't be another's by then. */
static void take_apart(struct listener *l)
{
    const char *path = brood__os_address_path(&l->address);
    for (size_t i = 0; i < l->places; i++)
        if (l->callers[i].shake.fd >= 0) drop(l, &l->callers[i]);
    if (path && l->fd >= 0 && l->maker == getpid()) brood__os_socket_file_remove(path, &l->file);
    brood__os_close(&l->fd);
    brood__os_close(&l->poller);
    pthread_mutex_destroy(&l->accepting);
    explicit_bzero(l->key_bytes, sizeof l->key_bytes);
    free(l);
}

static struct listener *make(const brood_connection_options *options, const struct auth_key *key)
{
    size_t places = (size_t)options->max_handshakes;
    struct listener *l = calloc(1, sizeof *l + places * sizeof *l->callers);
    if (!l) return NULL;
    l->fd = l->poller = -1;
    l->maker = getpid();
    l->places = places;
    for (size_t i = 0; i < places; i++) l->callers[i].shake.fd = -1;
    if (key->size > 0) memcpy(l->key_bytes, key->bytes, key->size);
    l->key = *key;
    l->key.bytes = l->key_bytes;
    l->options = *options;
    l->options.authkey = NULL;
    pthread_mutex_init(&l->accepting, NULL);
    return l;
}

int brood_listener_new(brood_listener *listener, const char *address, const brood_connection_options *options)
{
    struct os_address addresses[ADDRESSES];
    brood_connection_options own = options ? *options : (brood_connection_options){.authkey = NULL};
    struct auth_key key;
    int error = brood__connection_enter(0);
    if (error == 0 && !listener) error = BROOD_EINVAL;
    if (error == 0) error = check_options(&own);
    if (error == 0) error = brood__connection_key(&key, &own);
    if (error != 0) return error;
    int count = find_place(addresses, address);
    if (count < 0) return count;
    struct listener *l = make(&own, &key);
    if (!l) return BROOD_ENOMEM;

    error = listen_at(l, addresses, count);
    if (error < 0) brood__fail_with(error, "%.100s: %s", address ? address : "", brood_strerror(error));
    if (error == 0) error = brood__os_poller_new(&l->poller);
    if (error == 0) error = brood__os_leave_standard(&l->poller);
    if (error == 0) error = brood__os_poller_add(l->poller, l->fd, TAG_LISTENER);
    if (error == 0) listener->id = brood__local_add(LOCAL_LISTENER, l);
    if (error == 0 && !listener->id) error = BROOD_ENOMEM;
    if (error < 0) take_apart(l);
    return error;
}

static void unpin(brood_listener listener)
{
    struct listener *last = brood__local_unpin(listener.id);
    if (last) take_apart(last);
}

int brood_listener_free(brood_listener listener)
{
    brood__connection_enter(0);
    if (!brood__local_pin(LOCAL_LISTENER, listener.id)) return BROOD_ESTALE;
    bool first = brood__local_retire(listener.id, false);
    unpin(listener);
    return first ? 0 : BROOD_ESTALE;
}

/* ---------------------------------------------------------------------------------------------------------- looks */

int brood_listener_address(brood_listener listener, char *address, size_t capacity)
{
    char text[TEXT_MOST];
    brood__connection_enter(0);
    if (!address) return BROOD_EINVAL;
    const struct listener *l = brood__local_pin(LOCAL_LISTENER, listener.id);
    if (!l) return BROOD_ESTALE;
    brood__os_address_text(&l->address, text, sizeof text);
    /* A path without a slash is not taken for one. */
    const char *path = brood__os_address_path(&l->address), *before = path && !strchr(path, '/') ? "unix:" : "";
    int length = snprintf(address, capacity, "%s%s", before, text);
    unpin(listener);
    return length >= 0 && (size_t)length < capacity ? 0 : BROOD_EMSGSIZE;
}

int brood_listener_fd(brood_listener listener)
{
    brood__connection_enter(0);
    const struct listener *l = brood__local_pin(LOCAL_LISTENER, listener.id);
    if (!l) return BROOD_ESTALE;
    int fd = l->poller;
    unpin(listener);
    return fd;
}

/* --------------------------------------------------------------------------------------------------------- callers */

/* Why a caller was turned away: the detail so far, and who it was. */
static int turn_away(struct listener *l, struct caller *caller, const char *why)
{
    struct os_address peer;
    pid_t pid;
    char who[TEXT_MOST] = "";
    if (brood__os_stream_peer(caller->shake.fd, &peer, &pid) == 0) {
        if (pid > 0)
            snprintf(who, sizeof who, "pid %d", (int)pid);
        else
            brood__os_address_text(&peer, who, sizeof who);
    }
    drop(l, caller);
    return brood__fail_with(BROOD_EAUTH, "a caller (%.80s) was turned away: %.140s", who[0] ? who : "gone", why);
}

/* A place that is free; else that of the caller who came first. */
static struct caller *find_place_for_one(struct listener *l)
{
    struct caller *oldest = &l->callers[0];
    for (size_t i = 0; i < l->places; i++) {
        if (l->callers[i].shake.fd < 0) return &l->callers[i];
        if (l->callers[i].deadline < oldest->deadline) oldest = &l->callers[i];
    }
    return oldest;
}

/* The next that waits in the socket's queue: 1: there is a connection; 0: no more now, or it is at its handshake. */
static int take_next(struct listener *l, brood_connection *connection)
{
    struct os_address peer;
    struct caller *place = find_place_for_one(l);
    if (place->shake.fd >= 0) return turn_away(l, place, "others want its place");
    int fd, error = brood__os_stream_accept(l->fd, &fd, &peer);
    if (error != 0) return error == -EAGAIN ? 0 : error;
    if (l->key.size == 0) {
        error = brood__connection_make(connection, fd, &l->options);
        if (error < 0) brood__os_close(&fd);
        return error < 0 ? error : 1;
    }
    error = brood__handshake_begin(&place->shake, fd, AUTH_LISTENER);
    place->deadline = brood__os_deadline(l->options.handshake_timeout);
    if (error == 0) error = brood__os_poller_add(l->poller, fd, (uint64_t)(place - l->callers));
    if (error == -ECONNRESET || error == BROOD_EAUTH) return turn_away(l, place, brood_error_detail());
    if (error < 0) drop(l, place);
    return error;
}

/* One that has said something: 1: it is a connection; 0: not yet. */
static int go_on(struct listener *l, struct caller *caller, brood_connection *connection)
{
    if (caller->shake.fd < 0) return 0;
    int result = brood__handshake_step(&caller->shake, &l->key);
    if (result == 0) return 0;
    if (result < 0) return turn_away(l, caller, brood_error_detail());
    brood__os_poller_remove(l->poller, caller->shake.fd);
    result = brood__connection_make(connection, caller->shake.fd, &l->options);
    if (result == 0) caller->shake.fd = -1; /* the connection's now */
    drop(l, caller);
    return result < 0 ? result : 1;
}

/* When the first of them has to be done; one whose time is over is turned away. */
static int look_at_time(struct listener *l, int64_t *next)
{
    for (size_t i = 0; i < l->places; i++) {
        struct caller *caller = &l->callers[i];
        if (caller->shake.fd < 0) continue;
        if (brood__os_remaining(caller->deadline) == 0) return turn_away(l, caller, "it did not prove itself in time");
        if (caller->deadline < *next) *next = caller->deadline;
    }
    return 0;
}

/* One round: 1: there is a connection; 0: wait on; or what to answer. */
static int round_of(struct listener *l, brood_connection *connection, int64_t deadline)
{
    uint64_t tags[64];
    int result = look_at_time(l, &deadline);
    if (result < 0) return result;
    int count = brood__os_poller_wait(l->poller, tags, 64, deadline);
    if (count < 0) return count;
    /* Whoever has said something before whoever is new, lest newcomers push out one that would be done. */
    for (int i = 0; i < count && result == 0; i++)
        if (tags[i] < l->places) result = go_on(l, &l->callers[tags[i]], connection);
    for (int i = 0; i < count && result == 0; i++)
        if (tags[i] == TAG_LISTENER) result = take_next(l, connection);
    return result;
}

int brood_listener_accept(brood_listener listener, brood_connection *connection, int timeout)
{
    int64_t deadline = brood__connection_deadline(timeout);
    int result = brood__connection_enter(timeout);
    if (result == 0 && !connection) result = BROOD_EINVAL;
    if (result < 0) return result;
    struct listener *l = brood__local_pin(LOCAL_LISTENER, listener.id);
    if (!l) return BROOD_ESTALE;
    result = brood__connection_lock(&l->accepting, timeout, deadline);
    if (result == 0) {
        bool late = false;
        while (result == 0 && !late) {
            late = brood__os_remaining(deadline) == 0; /* once more after it */
            result = round_of(l, connection, deadline);
        }
        pthread_mutex_unlock(&l->accepting);
        if (result == 0) result = brood__not_now(timeout);
    }
    unpin(listener);
    return result > 0 ? 0 : result;
}
