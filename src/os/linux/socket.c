/* SPDX-License-Identifier: MIT */
/*
 * socket.c - messages, descriptors and bells between processes, and waiting for them.
 *
 * All sockets are of AF_UNIX.  Names are abstract (they begin with a zero byte and live in no file system), so nothing
 * remains of them when their last descriptor is closed.  Anybody on the machine can reach such a name: connections ask
 * the kernel who the other is, and bells carry no meaning but "look".
 *
 * Every transfer tries without blocking first and polls after that, whatever the mode of the descriptor, so deadlines
 * hold and no flag that other holders share is changed.  Thread-safe, async-signal-safe, no heap.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/os.h"
#include "text.h"

#define CONNECT_SECONDS 10
#define RING_TRIES 1000 /* a millisecond apart */
#define DRAIN_LIMIT 4096
#define KERNEL_MAX_FDS 253 /* the most that the kernel takes into one message */

/* ------------------------------------------------------------------------------------------------------- waiting */

/* 1: there is one of these events, or the peer has gone; 0: the deadline; or -errno. */
static int await(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = events};
        int result = poll(&poller, 1, brood__os_remaining(deadline));
        if (result > 0) return poller.revents & POLLNVAL ? -EBADF : 1;
        if (result < 0 && errno != EINTR) return -errno;
        if (brood__os_remaining(deadline) == 0) return 0;
    }
}

int brood__os_wait_readable(int fd, int64_t deadline)
{
    return await(fd, POLLIN, deadline);
}

int brood__os_wait_writable(int fd, int64_t deadline)
{
    return await(fd, POLLOUT, deadline);
}

/* After a transfer failed with this error: 0 to try again, or what to answer. */
static int wait_and_retry(int error, int fd, short events, int64_t deadline)
{
    if (error == EINTR) return 0;
    if (error != EAGAIN) return -error;
    if (deadline == 0) return -EAGAIN;
    int ready = await(fd, events, deadline);
    if (ready < 0) return ready;
    return ready ? 0 : -ETIMEDOUT;
}

int brood__os_poller_new(int *poller)
{
    *poller = epoll_create1(EPOLL_CLOEXEC);
    return *poller < 0 ? -errno : 0;
}

int brood__os_poller_add(int poller, int fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = tag}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    if (errno == EEXIST && epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
    return -errno;
}

void brood__os_poller_remove(int poller, int fd)
{
    epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
}

int brood__os_poller_wait(int poller, uint64_t *tags, int capacity, int64_t deadline)
{
    enum { AT_ONCE = 64 };
    struct epoll_event events[AT_ONCE];
    if (capacity > AT_ONCE) capacity = AT_ONCE;
    for (;;) {
        int count = epoll_wait(poller, events, capacity, brood__os_remaining(deadline));
        if (count < 0 && errno != EINTR) return -errno;
        for (int i = 0; i < count; i++) tags[i] = events[i].data.u64;
        if (count > 0) return count;
        if (brood__os_remaining(deadline) == 0) return 0;
    }
}

int brood__os_poller_watch(int poller, int fd, uint64_t tag, unsigned events)
{
    struct epoll_event event = {
        .events = (events & OS_READABLE ? EPOLLIN : 0u) | (events & OS_WRITABLE ? EPOLLOUT : 0u), .data = {.u64 = tag}};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
    if (errno == ENOENT && epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    return -errno;
}

int brood__os_poller_ready(int poller, struct os_ready *ready, int capacity, int64_t deadline)
{
    enum { AT_ONCE = 64 };
    struct epoll_event events[AT_ONCE];
    if (capacity > AT_ONCE) capacity = AT_ONCE;
    for (;;) {
        int count = epoll_wait(poller, events, capacity, brood__os_remaining(deadline));
        if (count < 0 && errno != EINTR) return -errno;
        for (int i = 0; i < count; i++) {
            unsigned both = events[i].events & (EPOLLHUP | EPOLLERR) ? OS_READABLE | OS_WRITABLE : 0;
            ready[i].tag = events[i].data.u64;
            ready[i].events = both | (events[i].events & EPOLLIN ? OS_READABLE : 0u) |
                              (events[i].events & EPOLLOUT ? OS_WRITABLE : 0u);
        }
        if (count > 0) return count;
        if (brood__os_remaining(deadline) == 0) return 0;
    }
}

void brood__os_stream_end(int fd)
{
    shutdown(fd, SHUT_WR);
}

void brood__os_stream_shutdown(int fd)
{
    shutdown(fd, SHUT_RDWR);
}

/* --------------------------------------------------------------------------------------------------- connections */

int brood__os_channel_pair(int ends[2])
{
    ends[0] = ends[1] = -1;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int brood__os_stream_pair(int ends[2])
{
    ends[0] = ends[1] = -1;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

/* The address of an abstract name, given without its leading zero byte. */
static socklen_t abstract_address(struct sockaddr_un *address, const char *name, size_t size)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, size);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
}

/* Bind to a name that the system chooses, and tell it. */
static int bind_anywhere(int fd, char name[16], size_t *size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0) return -errno;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return -errno;

    size_t before = offsetof(struct sockaddr_un, sun_path) + 1;
    if (length <= before || length - before > 16 || address.sun_path[0] != '\0') return -ENAMETOOLONG;
    *size = length - before;
    memcpy(name, address.sun_path + 1, *size);
    return 0;
}

int brood__os_listen(int *fd, char name[16], size_t *size)
{
    *fd = -1;
    /* Non-blocking: a caller that has gone again must not make accept wait for the next. */
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return -errno;
    int result = bind_anywhere(listener, name, size);
    if (result == 0 && listen(listener, SOMAXCONN) < 0) result = -errno;
    if (result < 0) {
        close(listener);
        return result;
    }
    *fd = listener;
    return 0;
}

/* Whether the other end is this user's (or the system's) own. */
static int check_peer(int fd, pid_t *peer)
{
    struct ucred other;
    socklen_t length = sizeof other;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &length) < 0) return -errno;
    if (other.uid != geteuid() && other.uid != 0) return -EACCES;
    if (peer) *peer = other.pid;
    return 0;
}

int brood__os_accept(int listener, int *fd, pid_t *peer)
{
    int connection;
    *fd = -1;
    do connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (connection < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (connection < 0) return -errno;

    int result = check_peer(connection, peer);
    if (result < 0) {
        close(connection);
        return result;
    }
    *fd = connection;
    return 0;
}

/* Connect, though its queue of callers may be full for a while. */
static int connect_patiently(int fd, const char *name, size_t size)
{
    struct sockaddr_un address;
    socklen_t length = abstract_address(&address, name, size);
    const struct timeval patience = {.tv_sec = CONNECT_SECONDS}, forever = {0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int result;
    do result = connect(fd, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
    while (result == -EINTR);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
    return result == -EAGAIN ? -ETIMEDOUT : result;
}

int brood__os_connect(const char name[16], size_t size, int *fd, pid_t *peer)
{
    *fd = -1;
    if (size == 0 || size > 16) return -EINVAL;
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0) return -errno;
    int result = connect_patiently(connection, name, size);
    if (result == 0) result = check_peer(connection, peer);
    if (result < 0) {
        close(connection);
        return result;
    }
    *fd = connection;
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ messages */

/* The same thing by two names: the peer closed, with or without having read everything. */
static int write_error(int error)
{
    return error == ECONNRESET ? EPIPE : error;
}

int brood__os_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count, int64_t deadline)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(OS_MAX_FDS * sizeof(int))];
    } control;
    if (fd_count > OS_MAX_FDS || (size == 0 && fd_count == 0)) return -EINVAL; /* that would read as "gone" */

    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    for (;;) {
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
        int result = wait_and_retry(write_error(errno), fd, POLLOUT, deadline);
        if (result < 0) return result;
    }
}

/* The descriptors that came with a message, into fds while there is room; the rest are closed.  Returns how many. */
static size_t take_descriptors(struct msghdr *message, int *fds, size_t room)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (count++ < room)
                fds[count - 1] = fd;
            else
                close(fd);
        }
    }
    return count;
}

/* A message is taken whole or not at all. */
static int check_message(const struct msghdr *message, size_t came, size_t room)
{
    if (message->msg_flags & MSG_TRUNC || came > room) return -EMSGSIZE;
    if (message->msg_flags & MSG_CTRUNC) return -EMFILE; /* the space for them was enough, the table was not */
    return 0;
}

ssize_t brood__os_receive(int fd, void *data, size_t capacity, int *fds, size_t *fd_count, int64_t deadline)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
    } control;
    size_t room = fd_count ? *fd_count : 0;
    if (fd_count) *fd_count = 0;

    for (;;) {
        struct iovec part = {.iov_base = data, .iov_len = capacity};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size >= 0) {
            size_t came = take_descriptors(&message, fds, room);
            int result = check_message(&message, came, room);
            if (result == 0 && fd_count) *fd_count = came;
            for (size_t i = 0; result < 0 && i < came && i < room; i++) close(fds[i]);
            return result < 0 ? result : size;
        }
        if (errno == ECONNRESET) continue; /* told once; what it sent before it went is still there to be read */
        int result = wait_and_retry(errno, fd, POLLIN, deadline);
        if (result < 0) return result;
    }
}

int brood__os_write_all(int fd, const void *data, size_t size, int64_t deadline)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            at += sent;
            size -= (size_t)sent;
            continue;
        }
        int result = wait_and_retry(write_error(errno), fd, POLLOUT, deadline);
        if (result < 0) return result == -EAGAIN ? -ETIMEDOUT : result;
    }
    return 0;
}

int brood__os_read_all(int fd, void *data, size_t size, int64_t deadline)
{
    char *at = data;
    while (size > 0) {
        ssize_t got = recv(fd, at, size, MSG_DONTWAIT);
        if (got == 0) return -EPIPE;
        if (got > 0) {
            at += got;
            size -= (size_t)got;
            continue;
        }
        if (errno == ECONNRESET) continue; /* as in receive */
        int result = wait_and_retry(errno, fd, POLLIN, deadline);
        if (result < 0) return result == -EAGAIN ? -ETIMEDOUT : result;
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- bells */

static socklen_t bell_address(struct sockaddr_un *address, uint64_t key, uint32_t number, uint32_t generation)
{
    char name[64];
    struct text text = text_in(name, sizeof name);
    text_put(&text, "brood-");
    text_put_number(&text, key, 16, 16);
    text_put(&text, "-");
    text_put_number(&text, number, 10, 1);
    text_put(&text, "-");
    text_put_number(&text, generation, 10, 1);
    return abstract_address(address, name, text.length);
}

int brood__os_bell_sender(int *fd)
{
    *fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) return -errno;
    int result = brood__os_leave_standard(fd);
    if (result < 0) brood__os_close(fd);
    return result;
}

int brood__os_bell_open(uint64_t key, uint32_t number, uint32_t generation, int *fd)
{
    int result = brood__os_bell_sender(fd);
    if (result < 0) return result;
    struct sockaddr_un address;
    socklen_t length = bell_address(&address, key, number, generation);
    if (bind(*fd, (struct sockaddr *)&address, length) < 0) {
        result = -errno;
        brood__os_close(fd);
    }
    return result;
}

/* One ring; false if there was no room for it.  What the system is out of for a moment must not cost a wake-up. */
static bool ring_once(int sender, const struct sockaddr_un *address, socklen_t length)
{
    for (int tries = 0; tries < RING_TRIES;) {
        if (sendto(sender, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)address, length) >= 0)
            return true;
        if (errno == EINTR) continue;
        if (errno != ENOMEM && errno != ENOBUFS) return errno != EAGAIN;
        tries++;
        brood__os_nap(1000 * 1000);
    }
    return true;
}

void brood__os_bell_ring(int sender, uint64_t key, uint32_t number, uint32_t generation)
{
    struct sockaddr_un address;
    socklen_t length = bell_address(&address, key, number, generation);
    if (ring_once(sender, &address, length)) return;
    /*
     * Either the bell is full of rings, which is as good; or the sender is, of rings that others don't answer, and then
     * only a socket of which none are under way can tell.
     */
    int fresh;
    if (brood__os_bell_sender(&fresh) < 0) return;
    ring_once(fresh, &address, length);
    brood__os_close(&fresh);
}

void brood__os_bell_drain(int fd)
{
    char ring;
    /* Not for ever: whoever rings without pause must not hold the owner here. */
    for (int i = 0; i < DRAIN_LIMIT; i++)
        if (recv(fd, &ring, sizeof ring, MSG_DONTWAIT) < 0 && errno != EINTR) return;
}
