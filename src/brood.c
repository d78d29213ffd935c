/* SPDX-License-Identifier: MIT */
/* brood.c - where the areas are put together: what each adds to the supervisor, and how its garbage is taken apart. */
#include "call/buffer.h"
#include "manager/collection.h"
#include "pipe/pipe.h"
#include "pipe/token.h"
#include "pool/pool.h"
#include "pool/supervise.h"
#include "process/server.h"
#include "queue/queue.h"
#include "shared/names.h"
#include "shared/shared.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/semaphore.h"

static const struct area queues = {.repair = brood__queue_repair, .ring_all = brood__queue_ring_all};

static const struct area shared = {.repair = brood__shared_repair};
static const struct area names = {.repair = brood__named_repair,
                                  .manage = brood__names_manage,
                                  .begin = brood__names_begin,
                                  .leave = brood__shm_leave,
                                  .over = brood__names_over};

const struct area *const brood__areas[] = {
    &queues, &brood__pipe_area, &brood__pool_area, &shared, &names, &brood__server_area, NULL};

slot_scrub_fn *const brood__slot_scrubs[TABLE_COUNT] = {
    [TABLE_SEMAPHORE] = brood__semaphore_scrub, [TABLE_CONDITION] = brood__condition_scrub,
    [TABLE_BARRIER] = brood__barrier_scrub,     [TABLE_BUFFER] = brood__map_scrub_buffer,
    [TABLE_QUEUE] = brood__queue_scrub,         [TABLE_POOL] = brood__pool_scrub,
    [TABLE_SHARED] = brood__shared_scrub,       [TABLE_NAMED] = brood__named_scrub,
    [TABLE_PIPE] = brood__pipe_scrub,           [TABLE_COLLECTION] = brood__collection_scrub,
};

void (*const brood__movable_drops[TABLE_COUNT])(uint32_t index) = {
    [TABLE_BUFFER] = brood__buffer_release,
    [TABLE_PIPE] = brood__pipe_drop,
    [TABLE_TOKEN] = brood__token_drop,
};
