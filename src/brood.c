/* SPDX-License-Identifier: MIT */
/* brood.c - where the areas are put together: what each adds to the supervisor. */
#include "pool/supervise.h"
#include "process/supervisor.h"
#include "queue/queue.h"

static const struct area queues = {.repair = brood__queue_repair, .ring_all = brood__queue_ring_all};

const struct area *const brood__areas[] = {&queues, &brood__pool_area, NULL};
