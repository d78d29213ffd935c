/* SPDX-License-Identifier: MIT */
/*
 * scan.c - many connects in flight, one poll.
 *
 * A port is in `todo`, in flight, or has its state.  A connect to an address of this machine has two pitfalls, both
 * from TCP's simultaneous open: the kernel may give the socket the very port that it connects to as its own, and then
 * it is connected to itself; or two sockets of this scan have each the other's port.  The first shows in its own name;
 * against the second, an answer from an own address counts only if the port doesn't refuse a second connect; so does
 * one that was taken back, for a socket that was reset has no name any more.
 */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    RESERVE = 32,     /* descriptors left to the rest of the process */
    PAUSE = 10,       /* ms until what was short is asked for again */
    PATIENCE = 30000, /* ms without any progress after which the scan gives up */
    AGAIN = -1,       /* not a state: something is short here, try later */
    IMPOSSIBLE = -2,  /* not a state: such a connect can't be made at all */
};

struct scan {
    const scan_chunk *chunk;
    scan_states *states;
    unsigned window;
    unsigned flying, waiting, head; /* todo is a ring: `waiting` entries from head on */
    uint16_t todo[SCAN_CHUNK];
    bool answered[SCAN_CHUNK];    /* once, from an own address */
    struct pollfd fd[SCAN_CHUNK]; /* those in flight, and beside each its index in the chunk and its end */
    uint16_t index[SCAN_CHUNK];
    int64_t deadline[SCAN_CHUNK];
    int spare[SCAN_CHUNK]; /* sockets that were refused: as good as new */
    unsigned spares;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As many connects as descriptors allow, and no more than asked for. */
static unsigned window_of(const scan_chunk *chunk)
{
    struct rlimit limit;
    rlim_t most = chunk->window < SCAN_CHUNK ? chunk->window : SCAN_CHUNK;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t room = limit.rlim_cur > 2 * RESERVE ? limit.rlim_cur - RESERVE : limit.rlim_cur / 2;
        if (room < most) most = room;
    }
    return most > 0 ? (unsigned)most : 1;
}

/* What the error of a connect says of the port. */
static int meaning(int error)
{
    switch (error) {
    case 0:
    case ECONNRESET: /* a connect that is refused says ECONNREFUSED: this one had been taken */
    case EPIPE: return PORT_OPEN;
    case ECONNREFUSED: return PORT_CLOSED;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENONET:
    case ENOPROTOOPT:
    case EACCES:
    case EPERM: return PORT_FILTERED;
    case EAGAIN:
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case ENOBUFS:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EINTR: return AGAIN;
    default: return IMPOSSIBLE;
    }
}

static void later(struct scan *s, unsigned index) { s->todo[(s->head + s->waiting++) % SCAN_CHUNK] = (uint16_t)index; }

static scan_address address_of(const scan_chunk *chunk, unsigned index)
{
    scan_address to = chunk->to;
    if (to.any.sa_family == AF_INET6)
        to.v6.sin6_port = htons(chunk->port[index]);
    else
        to.v4.sin_port = htons(chunk->port[index]);
    return to;
}

/* Close at once and leave no TIME_WAIT behind, which would use up the local ports. */
static void hang_up(int fd)
{
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

/* Whether the socket's own address is the one that it connects to; *port: also its port. */
static bool at_home(int fd, const scan_address *to, bool *port)
{
    scan_address own;
    socklen_t size = sizeof own;
    memset(&own, 0, sizeof own);
    if (getsockname(fd, &own.any, &size) < 0 || own.any.sa_family != to->any.sa_family) return false;
    if (own.any.sa_family == AF_INET) {
        *port = own.v4.sin_port == to->v4.sin_port;
        return own.v4.sin_addr.s_addr == to->v4.sin_addr.s_addr;
    }
    *port = own.v6.sin6_port == to->v6.sin6_port;
    return memcmp(&own.v6.sin6_addr, &to->v6.sin6_addr, sizeof own.v6.sin6_addr) == 0;
}

/* A connect has ended with `error`: note the port's state, or put it back.  0 or a negative errno. */
static int settle(struct scan *s, unsigned index, int fd, int error)
{
    int state = meaning(error);
    scan_address to = address_of(s->chunk, index);
    bool itself = false;
    if (state == IMPOSSIBLE) {
        hang_up(fd);
        return -error;
    }
    if (state == PORT_OPEN && !s->answered[index] && (error != 0 || at_home(fd, &to, &itself))) {
        s->answered[index] = !itself;
        state = AGAIN;
    }
    if (state == PORT_FILTERED && s->answered[index]) state = PORT_OPEN; /* its backlog may be full by now */
    if (error == ECONNREFUSED)
        s->spare[s->spares++] = fd;
    else
        hang_up(fd);
    if (state == AGAIN)
        later(s, index);
    else
        s->states->state[index] = (uint8_t)state;
    return 0;
}

/*
 * 0 or an errno.  Called once more when the socket has something to say, it says how the connect has ended; and if it
 * failed, the socket is unconnected again: that is Linux's, where a new one would cost more than the connect itself.
 */
static int connect_to(int fd, const scan_address *to)
{
    if (connect(fd, &to->any, to->any.sa_family == AF_INET6 ? sizeof to->v6 : sizeof to->v4) == 0) return 0;
    return errno == EISCONN ? 0 : errno;
}

/* Start the next connect of todo.  0; -EAGAIN: something is short; or a negative errno. */
static int launch(struct scan *s)
{
    scan_address to = address_of(s->chunk, s->todo[s->head]);
    int fd =
        s->spares > 0 ? s->spare[--s->spares] : socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return meaning(errno) == AGAIN ? -EAGAIN : -errno;
    unsigned index = s->todo[s->head];
    s->head = (s->head + 1) % SCAN_CHUNK;
    s->waiting--;
    int error = connect_to(fd, &to);
    if (error != 0 && error != EINPROGRESS) {
        int result = settle(s, index, fd, error);
        return result == 0 && meaning(error) == AGAIN ? -EAGAIN : result;
    }
    s->fd[s->flying] = (struct pollfd){.fd = fd, .events = POLLOUT};
    s->index[s->flying] = (uint16_t)index;
    s->deadline[s->flying++] = now_ms() + s->chunk->timeout;
    return 0;
}

/* Wait and settle what has ended.  A port is late only if it hadn't answered when its time was up: an answer that
 * lies there while this process was kept from looking is in time. */
static int land(struct scan *s, bool is_short)
{
    int64_t before = now_ms(), next = is_short ? before + PAUSE : INT64_MAX;
    for (unsigned i = 0; i < s->flying; i++)
        if (s->deadline[i] < next) next = s->deadline[i];
    if (poll(s->fd, s->flying, next > before ? (int)(next - before) : 0) < 0) return errno == EINTR ? 0 : -errno;
    int result = 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < s->flying; i++) {
        scan_address to = address_of(s->chunk, s->index[i]);
        bool ready = s->fd[i].revents != 0, late = s->deadline[i] <= before;
        int error = result == 0 && ready ? connect_to(s->fd[i].fd, &to) : EALREADY;
        if (result < 0 || (error == EALREADY && !late)) {
            s->fd[kept] = s->fd[i];
            s->index[kept] = s->index[i];
            s->deadline[kept++] = s->deadline[i];
            continue;
        }
        result = settle(s, s->index[i], s->fd[i].fd, error == EALREADY ? ETIMEDOUT : error);
    }
    s->flying = kept;
    return result;
}

int scan_run(const scan_chunk *chunk, scan_states *states)
{
    struct scan s = {.chunk = chunk, .states = states, .window = window_of(chunk)};
    int result = 0;
    int64_t progress = now_ms();
    memset(states, PORT_UNKNOWN, sizeof *states);
    for (unsigned i = 0; i < chunk->count; i++) later(&s, i);
    while (result == 0 && (s.waiting > 0 || s.flying > 0)) {
        bool is_short = false;
        unsigned launches = s.waiting; /* those put back meanwhile have their turn in the next round */
        while (result == 0 && launches-- > 0 && s.flying < s.window) result = launch(&s);
        if (result == -EAGAIN) {
            is_short = true;
            result = 0;
        }
        if (s.flying > 0)
            progress = now_ms();
        else if (is_short && now_ms() - progress > PATIENCE)
            result = -EAGAIN;
        if (result == 0) result = land(&s, is_short);
    }
    for (unsigned i = 0; i < s.flying; i++) hang_up(s.fd[i].fd);
    for (unsigned i = 0; i < s.spares; i++) close(s.spare[i]);
    return result;
}
