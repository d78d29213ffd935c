/* SPDX-License-Identifier: MIT */
/*
 * wait.h - wait for any of many: processes, queues, ends of pipes, futures, maps, pools, descriptors.
 *
 *     brood_waitable items[] = {BROOD_WAIT_PROCESS(p), BROOD_WAIT_QUEUE(q), BROOD_WAIT_FD(0)};
 *     bool ready[3];
 *     brood_wait(items, 3, ready, BROOD_FOREVER);
 *
 * An item is ready while a call on it would not have to wait, be it for what one wants or for an error; a handle that is
 * stale is ready too, and so is a descriptor that is closed.  Nothing is consumed: what is ready stays so until somebody
 * has taken it, who may be another process.
 *
 *     BROOD_WAIT_PROCESS(p)   brood_process_join
 *     BROOD_WAIT_QUEUE(q)     brood_queue_get and its kin
 *     BROOD_WAIT_PIPE(end)    brood_pipe_recv and its kin
 *     BROOD_WAIT_FUTURE(f)    brood_future_get
 *     BROOD_WAIT_MAP(m)       brood_map_wait, in the process that began the map
 *     BROOD_WAIT_POOL(pool)   brood_pool_join: it is closed, and its workers have left
 *     BROOD_WAIT_CONNECTION(c), BROOD_WAIT_LISTENER(l)   brood_connection_recv, brood_listener_accept
 *     BROOD_WAIT_FD(fd)       readable, as poll(2) has it: data, end of file, error
 *
 * For the same items again and again, or to wait by a descriptor in an event loop, there is a waitset.
 */
#ifndef BROOD_WAIT_H
#define BROOD_WAIT_H

#include <brood/base.h>
#include <brood/connection.h>
#include <brood/pipe.h>
#include <brood/pool.h>
#include <brood/process.h>
#include <brood/queue.h>

typedef enum brood_waitable_kind {
    BROOD_WAITABLE_FD = 1,
    BROOD_WAITABLE_PROCESS,
    BROOD_WAITABLE_QUEUE,
    BROOD_WAITABLE_PIPE,
    BROOD_WAITABLE_FUTURE,
    BROOD_WAITABLE_MAP,
    BROOD_WAITABLE_POOL
} brood_waitable_kind;

/* One of the macros below makes it. */
typedef struct brood_waitable {
    brood_waitable_kind kind;
    int fd;
    uint64_t id, serial;
} brood_waitable;

static inline brood_waitable brood__waitable(brood_waitable_kind kind, int fd, uint64_t id, uint64_t serial)
{
    brood_waitable w;
    w.kind = kind;
    w.fd = fd;
    w.id = id;
    w.serial = serial;
    return w;
}
#define BROOD_WAIT_FD(fd) brood__waitable(BROOD_WAITABLE_FD, fd, 0, 0)
#define BROOD_WAIT_PROCESS(process) brood__waitable(BROOD_WAITABLE_PROCESS, -1, (process).id, 0)
#define BROOD_WAIT_QUEUE(queue) brood__waitable(BROOD_WAITABLE_QUEUE, -1, (queue).id, 0)
#define BROOD_WAIT_PIPE(end) brood__waitable(BROOD_WAITABLE_PIPE, -1, (end).id, 0)
#define BROOD_WAIT_FUTURE(future) brood__waitable(BROOD_WAITABLE_FUTURE, -1, (future).pool, (future).serial)
#define BROOD_WAIT_MAP(map) brood__waitable(BROOD_WAITABLE_MAP, -1, (map).pool, (map).serial)
#define BROOD_WAIT_POOL(pool) brood__waitable(BROOD_WAITABLE_POOL, -1, (pool).id, 0)
#define BROOD_WAIT_CONNECTION(connection) BROOD_WAIT_FD(brood_connection_fd(connection))
#define BROOD_WAIT_LISTENER(listener) BROOD_WAIT_FD(brood_listener_fd(listener))

BROOD_BEGIN

/*
 * Wait until at least one of n items is ready; timeout in ms.  How many are: those for which ready[i] is true; ready may
 * be NULL.  BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT: none, and all of ready is false.  BROOD_EINVAL: no items, one of
 * no kind, or a timeout below BROOD_FOREVER; BROOD_EMFILE, BROOD_EARENA, BROOD_ENOMEM: descriptors for the wait can't be
 * had; BROOD_ENOTMEMBER.
 * What a process did before it ended is ready if its end is: if the process is, and its queue is not, nothing is left.
 * Costs a few system calls for each item if none is ready at once.  Thread-safe; not async-signal-safe; goes on after a
 * signal handler.  If the caller dies inside, nothing is left.
 */
BROOD_API int brood_wait(const brood_waitable *items, size_t n, bool *ready, int timeout);

/*
 * A set of items with one descriptor.  It is this process's (in a copy made by fork it is of no use but to be freed) and
 * for one thread at a time.  Free it before brood_fini.
 */
typedef struct brood_waitset brood_waitset;

/* An empty one: 0, BROOD_EMFILE, BROOD_ENOMEM, BROOD_ENOTMEMBER. */
BROOD_API int brood_waitset_new(brood_waitset **set);

/* 0; NULL is allowed.  Items are not touched. */
BROOD_API int brood_waitset_free(brood_waitset *set);

/*
 * Add an item, with a tag that says which it is when it is ready.  Not the same item twice (BROOD_EINVAL).  A handle has
 * to be good now (BROOD_ESTALE, BROOD_ECLOSED), a descriptor open and no regular file (-EBADF, -EPERM) and to stay open
 * until it is removed.  As brood_wait besides.
 */
BROOD_API int brood_waitset_add(brood_waitset *set, brood_waitable item, uint64_t tag);

/* Take it out: 0, or BROOD_EINVAL: it is not in the set. */
BROOD_API int brood_waitset_remove(brood_waitset *set, brood_waitable item);

/*
 * Wait until an item of the set is ready: how many tags were written, at most capacity, which is at least 1; items that
 * found no room come first next time.  One that is ready is told again by each call, until it is so no more or is
 * removed.  BROOD_EAGAIN, BROOD_ETIMEDOUT; also with an empty set.
 */
BROOD_API int brood_waitset_wait(brood_waitset *set, uint64_t *tags, size_t capacity, int timeout);

/*
 * The descriptor of the set, the library's own, for poll(2) and epoll(7): readable as long as an item may be ready; then
 * call brood_waitset_wait with timeout 0, which makes it quiet if none is.
 */
BROOD_API int brood_waitset_fd(const brood_waitset *set);

BROOD_END

#endif
