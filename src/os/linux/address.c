/* SPDX-License-Identifier: MIT */
/*
 * address.c - streams between strangers: addresses, listening, connecting, one transfer at a time.
 *
 * As in socket.c every transfer tries without blocking and polls after that.  Sockets of TCP send at once (no Nagle),
 * and ask after a silent peer, so that one whose machine went off is found in minutes.  Thread-safe; no heap but the
 * resolver's.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/os.h"
#include "text.h"

#define PATH_START offsetof(struct sockaddr_un, sun_path)
#define PATH_MOST (sizeof(struct sockaddr_un) - PATH_START - 1) /* with its zero byte, or the one in front */

enum { LOCK_TRIES = 100, LOCK_NAP_NS = 1000 * 1000 };

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof((struct os_address *)NULL)->bytes, "os_address");

static const struct sockaddr *as_sockaddr(const struct os_address *address)
{
    return (const struct sockaddr *)(const void *)address->bytes;
}

static int family_of(const struct os_address *address)
{
    sa_family_t family = AF_UNSPEC;
    if (address->size >= sizeof family) memcpy(&family, address->bytes, sizeof family);
    return family;
}

/* ----------------------------------------------------------------------------------------------------- addresses */

static int local_address(struct os_address *address, const char *text, size_t size, size_t skip)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    if (size == 0) return -EINVAL;
    if (size > PATH_MOST) return -ENAMETOOLONG;
    memcpy(local.sun_path + skip, text, size);
    *address = (struct os_address){.size = (uint32_t)(PATH_START + size + 1)};
    memcpy(address->bytes, &local, sizeof local);
    return 0;
}

int brood__os_address_of_path(struct os_address *address, const char *path)
{
    return local_address(address, path, strlen(path), 0);
}

int brood__os_address_of_name(struct os_address *address, const char *name, size_t size)
{
    return local_address(address, name, size, 1);
}

static int resolver_error(int error)
{
    switch (error) {
    case EAI_AGAIN: return -EAGAIN;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return errno ? -errno : -ENOENT;
    default: return -ENOENT;
    }
}

int brood__os_address_of_host(struct os_address *addresses, size_t room, const char *host, const char *port,
                              bool listening)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0};
    struct addrinfo *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) return resolver_error(error);
    int count = 0;
    for (const struct addrinfo *at = found; at && (size_t)count < room; at = at->ai_next) {
        if (at->ai_addrlen > sizeof addresses->bytes) continue;
        addresses[count] = (struct os_address){.size = at->ai_addrlen};
        memcpy(addresses[count++].bytes, at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    return count > 0 ? count : -ENOENT;
}

const char *brood__os_address_path(const struct os_address *address)
{
    const struct sockaddr_un *local = (const void *)address->bytes;
    return family_of(address) == AF_UNIX && address->size > PATH_START && local->sun_path[0] ? local->sun_path : NULL;
}

static void put_local(struct text *text, const struct os_address *address)
{
    const char *path = (const char *)address->bytes + PATH_START;
    if (address->size <= PATH_START) return; /* a socket without a name */
    size_t size = address->size - PATH_START;
    if (path[0]) {
        text_put_span(text, path, path + strnlen(path, size));
        return;
    }
    text_put(text, "@");
    text_put_span(text, path + 1, path + size);
}

void brood__os_address_text(const struct os_address *address, char *buffer, size_t capacity)
{
    struct text text = text_in(buffer, capacity);
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr_in *four = (const void *)address->bytes;
    const struct sockaddr_in6 *six = (const void *)address->bytes;
    switch (family_of(address)) {
    case AF_UNIX: put_local(&text, address); break;
    case AF_INET:
        text_put(&text, inet_ntop(AF_INET, &four->sin_addr, host, sizeof host) ? host : "?");
        text_put(&text, ":");
        text_put_number(&text, ntohs(four->sin_port), 10, 1);
        break;
    case AF_INET6:
        text_put(&text, "[");
        text_put(&text, inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host) ? host : "?");
        if (six->sin6_scope_id) {
            text_put(&text, "%");
            text_put_number(&text, six->sin6_scope_id, 10, 1);
        }
        text_put(&text, "]:");
        text_put_number(&text, ntohs(six->sin6_port), 10, 1);
        break;
    default: break;
    }
}

/* ------------------------------------------------------------------------------------------------------- sockets */

static int open_stream(int family, int *fd)
{
    *fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return -errno;
    int error = brood__os_leave_standard(fd);
    if (error < 0) brood__os_close(fd);
    return error;
}

/* How a connection of TCP is to behave.  What a system does not know is done without. */
static void tune(int fd)
{
    int family = AF_UNSPEC;
    socklen_t length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0 || family == AF_UNIX) return;
    const int on = 1, idle = 60, every = 10, times = 6;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

static int name_of(int fd, struct os_address *address, bool peer)
{
    socklen_t length = sizeof address->bytes;
    struct sockaddr *into = (struct sockaddr *)(void *)address->bytes;
    *address = (struct os_address){0};
    if ((peer ? getpeername(fd, into, &length) : getsockname(fd, into, &length)) < 0) return -errno;
    address->size = length;
    return 0;
}

int brood__os_stream_listen(const struct os_address *address, int backlog, int *fd, struct os_address *bound)
{
    const int on = 1;
    int listener, family = family_of(address);
    *fd = -1;
    int error = open_stream(family, &listener);
    if (error < 0) return error;
    /* A port that connections of a dead listener linger on is free all the same. */
    if (family != AF_UNIX && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) error = -errno;
    if (error == 0 && bind(listener, as_sockaddr(address), address->size) < 0) error = -errno;
    const char *path = error == 0 ? brood__os_address_path(address) : NULL;
    if (error == 0 && listen(listener, backlog) < 0) error = -errno;
    if (error == 0 && bound) error = name_of(listener, bound, false);
    if (error < 0) {
        if (path) unlink(path);
        close(listener);
        return error;
    }
    *fd = listener;
    return 0;
}

int brood__os_stream_accept(int listener, int *fd, struct os_address *peer)
{
    socklen_t length = sizeof peer->bytes;
    *peer = (struct os_address){0};
    do *fd = accept4(listener, (struct sockaddr *)(void *)peer->bytes, &length, SOCK_CLOEXEC);
    while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (*fd < 0) return -errno;
    peer->size = length;
    int error = brood__os_leave_standard(fd);
    if (error < 0) brood__os_close(fd);
    if (error == 0) tune(*fd);
    return error;
}

static int set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

/* A local listener's queue of callers may be full: then connect itself waits, for no poll tells when it is not. */
static int connect_locally(int fd, const struct os_address *address, int64_t deadline)
{
    int result;
    do result = connect(fd, as_sockaddr(address), address->size) < 0 ? -errno : 0;
    while (result == -EINTR);
    if (result != -EAGAIN || deadline == 0) return result;
    result = set_blocking(fd);
    while (result == 0) {
        int ms = brood__os_remaining(deadline);
        if (ms == 0) return -ETIMEDOUT;
        /* Zero is for ever. */
        struct timeval patience = {.tv_sec = ms < 0 ? 0 : ms / 1000, .tv_usec = ms < 0 ? 0 : ms % 1000 * 1000};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0) return -errno;
        if (connect(fd, as_sockaddr(address), address->size) == 0) break;
        result = errno == EINTR || errno == EAGAIN ? 0 : -errno;
    }
    const struct timeval forever = {0};
    if (result == 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever) < 0) result = -errno;
    return result;
}

/* On the loopback interface a port nobody listens on may be given to the caller itself, who then meets himself. */
static bool met_itself(int fd)
{
    struct os_address own, other;
    return name_of(fd, &own, false) == 0 && name_of(fd, &other, true) == 0 && own.size == other.size &&
           memcmp(own.bytes, other.bytes, own.size) == 0;
}

static int connect_far(int fd, const struct os_address *address, int64_t deadline)
{
    if (connect(fd, as_sockaddr(address), address->size) < 0) {
        int error = 0;
        socklen_t length = sizeof error;
        if (errno != EINPROGRESS && errno != EINTR) return -errno;
        int ready = brood__os_wait_writable(fd, deadline);
        if (ready <= 0) return ready < 0 ? ready : deadline == 0 ? -EAGAIN : -ETIMEDOUT;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
        if (error) return -error;
    }
    return met_itself(fd) ? -ECONNREFUSED : 0;
}

int brood__os_stream_connect(const struct os_address *address, int *fd, int64_t deadline)
{
    int stream, family = family_of(address);
    *fd = -1;
    int error = open_stream(family, &stream);
    if (error < 0) return error;
    if (family == AF_UNIX) {
        error = connect_locally(stream, address, deadline);
    } else {
        tune(stream);
        error = connect_far(stream, address, deadline);
    }
    if (error == 0) error = set_blocking(stream);
    if (error < 0) {
        close(stream);
        return error;
    }
    *fd = stream;
    return 0;
}

int brood__os_stream_is_local(int fd)
{
    int type = 0, family = AF_UNSPEC;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    if (type != SOCK_STREAM) return -EPROTOTYPE;
    length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0) return -errno;
    return family == AF_UNIX;
}

int brood__os_stream_peer(int fd, struct os_address *peer, pid_t *pid)
{
    int error = name_of(fd, peer, true);
    struct ucred other;
    socklen_t length = sizeof other;
    *pid = 0;
    if (error == 0 && family_of(peer) == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &length) == 0)
        *pid = other.pid;
    return error;
}

/* ----------------------------------------------------------------------------------------------------- transfers */

ssize_t brood__os_stream_send(int fd, const void *head, size_t head_size, const void *data, size_t size)
{
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = head_size},
                             {.iov_base = (void *)(uintptr_t)data, .iov_len = size}};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t brood__os_stream_receive(int fd, void *data, size_t size)
{
    ssize_t got;
    do got = recv(fd, data, size, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* ------------------------------------------------------------------------------------------------- socket files */

bool brood__os_socket_file(const char *path, struct os_file *file)
{
    struct stat found;
    if (lstat(path, &found) < 0 || !S_ISSOCK(found.st_mode)) return false;
    *file = (struct os_file){.device = found.st_dev, .inode = found.st_ino};
    return true;
}

bool brood__os_socket_file_remove(const char *path, const struct os_file *file)
{
    struct os_file found;
    if (!brood__os_socket_file(path, &found) || found.device != file->device || found.inode != file->inode)
        return false;
    return unlink(path) == 0;
}

int brood__os_directory_lock(const char *path)
{
    char directory[sizeof((struct sockaddr_un *)NULL)->sun_path];
    struct text text = text_in(directory, sizeof directory);
    const char *slash = strrchr(path, '/');
    text_put_span(&text, path, slash ? slash + (slash == path) : path);
    int fd = open(text.length ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    for (int tries = 0; tries < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK && errno != EINTR) break;
        brood__os_nap(LOCK_NAP_NS);
    }
    return fd;
}
