/* SPDX-License-Identifier: MIT */
/* scenes_queue.h - what the scenes of queues share: messages that can be told apart, deeds, and a queue's contents. */
#ifndef CRASH_SCENES_QUEUE_H
#define CRASH_SCENES_QUEUE_H

#include "queue/record.h"
#include "scene.h"

#include <brood/queue.h>

/* A message carries its number in a way that shows a torn one. */
struct message {
    uint64_t id, a, b, c, d;
};
struct message message_of(uint64_t id);
bool message_good(const struct message *m, size_t size);
/* The next number: none is used twice. */
uint64_t next_message(void);

/*
 * Deeds; order.id is the queue.  put: order.number is the message; batch: it and the one after it.  get: order.made is
 * what came; batch: the sum of both.
 */
deed_fn queue_put, queue_get, queue_put_batch, queue_get_batch, queue_close, queue_free;
/* As those, but they wait a minute, or not at all; get_exactly: the same as get. */
deed_fn queue_put_timed, queue_get_timed, queue_put_try, queue_get_try, queue_get_exactly;
/* A queue of few messages, owned by the one who does it: order.made; order.number messages are put into it. */
deed_fn queue_make;
#define TORN (-100001)

/* Start a victim that is about to put a message, whose number is the answer; a batch has two. */
uint64_t victim_puts(struct victim *v, deed_fn *deed, brood_queue queue);

/* In this process.  A queue for five messages, whose ring has turned by so many. */
brood_queue new_queue(unsigned turned);
struct queue_shm *queue_at(brood_queue queue);
bool queue_is_empty(brood_queue queue); /* as it stands in memory, no latch */
/* How many messages are in it, by the same look: what nobody has taken, and whatever was committed. */
unsigned queue_records(brood_queue queue);
/* Put (get) one without waiting: its number, 0 if it can't be. */
uint64_t put_here(brood_queue queue);
uint64_t get_here(brood_queue queue);
/* Fill it; how many it took. */
unsigned fill(brood_queue queue, uint64_t *ids, unsigned most);
/* Get all: they must be these, in this order; those that are `maybe` may be missing.  Then free it. */
void closes_with(brood_queue queue, const uint64_t *ids, const bool *maybe, unsigned n);
/* Whether this one was among them. */
bool was_there(uint64_t id);
unsigned messages_came(void);
/* After a death: who sleeps, sleeps only if there is nothing for it to do; see queue_stage.c. */
unsigned consumers_are_well(brood_queue queue, unsigned mates, uint64_t its);
void producers_are_well(brood_queue queue, unsigned mates);

/* A mate puts (gets) this or the next message; it goes to sleep doing so if `sleeps`. */
void mate_puts(unsigned i, brood_queue queue, uint64_t id, bool sleeps);
void mate_gets(unsigned i, brood_queue queue, bool sleeps);
/* What it got; 0 and a failure if it does not come back. */
uint64_t mate_got(unsigned i);

#endif
