/* SPDX-License-Identifier: MIT */
/* queue/queue.h - what is done for queues after a death. */
#ifndef BROOD_QUEUE_QUEUE_H
#define BROOD_QUEUE_QUEUE_H

#include "arena/slot.h"

/* Buffers that the dead was putting or taking, and those who wait at queues that it owned.  false: ask again. */
bool brood__queue_repair(uint32_t dead);
void brood__queue_ring_all(void);
/* Take apart a queue whose owner died. */
bool brood__queue_scrub(struct slot_shm *slot, uint32_t index);

#endif
