/* SPDX-License-Identifier: MIT */
/* kinds.c - a row for each kind of thing that can be waited for; see wait/kinds.h.  Thread-safe. */
#include "wait/kinds.h"

#include "call/error.h"
#include "pool/map.h"
#include "pool/pool.h"
#include "queue/message.h"
#include "sync/wait.h"

#include <errno.h>

#define SETTLE_MS 1500 /* longer than the tick that finds a dead supervisor */

struct kind {
    int (*ready)(const brood_waitable *item);  /* 1, 0, or why a call on it would fail at once */
    int (*listen)(const brood_waitable *item); /* see to it that it rings bells; NULL: it has a descriptor */
};

/* ------------------------------------------------------------------------------------------- with descriptors */

static int fd_ready(const brood_waitable *item)
{
    return item->fd < 0 ? -EBADF : brood__os_wait_readable(item->fd, 0);
}

static int process_ready(const brood_waitable *item)
{
    int code = brood_process_exit_code((brood_process){item->id});
    return code == BROOD_EXIT_RUNNING ? 0 : code < -64 ? code : 1;
}

/* ------------------------------------------------------------------------------------------------- with bells */

static int message_ready(struct queue_shm *q, uint64_t id)
{
    int error = brood__message_wait(q, id, 0);
    return error == 0 ? 1 : error == BROOD_EAGAIN ? 0 : error;
}

static struct queue_shm *ring_of(const brood_waitable *item)
{
    return brood__slot_find(item->kind == BROOD_WAITABLE_QUEUE ? TABLE_QUEUE : TABLE_PIPE, item->id);
}

static int queue_ready(const brood_waitable *item)
{
    struct queue_shm *q = ring_of(item);
    return q ? message_ready(q, item->id) : brood__slot_gone(TABLE_QUEUE, item->id);
}

static int pipe_ready(const brood_waitable *item)
{
    int error = brood_pipe_poll((brood_pipe_end){item->id}, 0);
    return error == 0 ? 1 : error == BROOD_EAGAIN ? 0 : error;
}

static int ring_listen(const brood_waitable *item)
{
    struct queue_shm *q = ring_of(item);
    return q ? brood__message_rings(q, item->id) : BROOD_ESTALE;
}

static int future_ready(const brood_waitable *item)
{
    return brood_future_done((brood_future){item->id, item->serial});
}

static int map_ready(const brood_waitable *item)
{
    return brood__map_answered((brood_map){item->id, item->serial});
}

static int pool_ready(const brood_waitable *item)
{
    int error = 0;
    struct pool_shm *pool = brood__pool_find(item->id, &error);
    return !pool ? error : atomic_load(&pool->state) != POOL_OPEN && atomic_load(&pool->finished) != 0;
}

static int pool_listen(const brood_waitable *item)
{
    int error = 0;
    struct pool_shm *pool = brood__pool_find(item->id, &error);
    /* seq_cst: an answer after this looks at the bells; one before is seen by the look that follows. */
    if (pool) atomic_store(&pool->polled, 1);
    return error;
}

static const struct kind kinds[] = {
    [BROOD_WAITABLE_FD] = {fd_ready, NULL},
    [BROOD_WAITABLE_PROCESS] = {process_ready, NULL},
    [BROOD_WAITABLE_QUEUE] = {queue_ready, ring_listen},
    [BROOD_WAITABLE_PIPE] = {pipe_ready, ring_listen},
    [BROOD_WAITABLE_FUTURE] = {future_ready, pool_listen},
    [BROOD_WAITABLE_MAP] = {map_ready, pool_listen},
    [BROOD_WAITABLE_POOL] = {pool_ready, pool_listen},
};
#define KINDS (sizeof kinds / sizeof *kinds)

int brood__waitable_check(const brood_waitable *item)
{
    if ((unsigned)item->kind < KINDS && kinds[item->kind].ready) return 0;
    return brood__fail_with(BROOD_EINVAL, "nothing that can be waited for: make items by BROOD_WAIT_...");
}

bool brood__waitable_ready(const brood_waitable *item)
{
    return kinds[item->kind].ready(item) != 0;
}

int brood__waitable_error(const brood_waitable *item)
{
    int ready = kinds[item->kind].ready(item);
    return ready < 0 ? ready : 0;
}

int brood__waitable_open(const brood_waitable *item, struct bell **bell)
{
    *bell = NULL;
    if (item->kind == BROOD_WAITABLE_FD) return item->fd;
    if (item->kind == BROOD_WAITABLE_PROCESS) return brood_process_sentinel((brood_process){item->id});
    int error = brood__bell_open(item->id, bell);
    if (error < 0) return error;
    error = kinds[item->kind].listen(item);
    if (error == 0) return brood__bell_descriptor(*bell);
    brood__bell_free(*bell, false);
    *bell = NULL;
    return error;
}

void brood__waitable_settle(const brood_waitable *item, int64_t deadline)
{
    if (item->kind != BROOD_WAITABLE_PROCESS) return;
    int64_t most = brood__os_deadline(SETTLE_MS);
    brood_process_join((brood_process){item->id}, brood__os_remaining(deadline < most ? deadline : most), NULL);
}
