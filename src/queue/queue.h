/* SPDX-License-Identifier: MIT */
/* queue/queue.h - what the repairs after a death know of queues. */
#ifndef BROOD_QUEUE_QUEUE_H
#define BROOD_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* Buffers that the dead was putting or taking, and those who wait at queues that it owned.  false: ask again. */
bool brood__queue_repair(uint32_t dead);
void brood__queue_ring_all(void);

#endif
