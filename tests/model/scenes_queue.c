/* SPDX-License-Identifier: MIT */
/* scenes_queue.c - the queue: each message is taken once or is still there, and nobody sleeps beside one, or beside room. */
#include "model.h"
#include "queue/queue.h"
#include "queue/record.h"

#include <brood/queue.h>

#define MESSAGES (2u * MODEL_MOST)

static brood_queue queue;
static struct {
    uint8_t put[MESSAGES];                /* 1: put has returned */
    uint8_t taken[MESSAGES];              /* so often */
    uint8_t last[MODEL_MOST][MODEL_MOST]; /* consumer, producer: its message that came last */
    uint8_t puts[MODEL_MOST];             /* inside of a put */
    uint8_t closed;
} seen;

static struct queue_shm *at(void)
{
    return (struct queue_shm *)(void *)brood__slot_at(TABLE_QUEUE, HANDLE_INDEX(queue.id));
}

static void with_items(size_t items)
{
    seen = (typeof(seen)){0};
    if (brood_queue_new(&queue, &(brood_queue_options){.max_items = items}) < 0) model_failed("no queue", 0);
}
static void one_item(void)
{
    with_items(1);
}
static void two_items(void)
{
    with_items(2);
}
static void many_items(void)
{
    with_items(0);
}

/* Message k of the process: two are each process's own. */
static void put(int k, int timeout)
{
    uint64_t message = (uint64_t)model_me() * 2 + (uint64_t)k;
    seen.puts[model_me()] = 1;
    int result = brood_queue_put(queue, &message, sizeof message, timeout);
    model_check(result == 0 || (result == BROOD_ECLOSED && seen.closed) || (timeout > 0 && result == BROOD_ETIMEDOUT));
    if (result == 0) seen.put[message] = 1;
    seen.puts[model_me()] = 0;
}
static void get(int timeout)
{
    uint64_t message = MESSAGES;
    size_t size = 0;
    int result = brood_queue_get(queue, &message, sizeof message, &size, timeout);
    if (result == BROOD_ECLOSED && seen.closed) return;
    if (timeout > 0 && result == BROOD_ETIMEDOUT) return;
    model_check(result == 0 && size == sizeof message && message < MESSAGES);
    seen.taken[message]++;
    model_check(seen.taken[message] == 1);
    uint8_t *last = &seen.last[model_me()][message / 2];
    model_check(*last <= message);
    *last = (uint8_t)message;
}

static void puts_one(void)
{
    put(0, BROOD_FOREVER);
}
static void puts_two(void)
{
    put(0, BROOD_FOREVER);
    put(1, BROOD_FOREVER);
}
static void puts_both(void)
{
    uint64_t first = (uint64_t)model_me() * 2, second = first + 1;
    brood_bytes both[] = {{&first, sizeof first}, {&second, sizeof second}};
    seen.puts[model_me()] = 1;
    int n = brood_queue_put_batch(queue, both, 2, BROOD_FOREVER);
    model_check(n == 1 || n == 2);
    seen.put[first] = 1;
    if (n == 2) seen.put[second] = 1;
    seen.puts[model_me()] = 0;
}
static void puts_patiently(void)
{
    put(0, 5);
}
static void gets_one(void)
{
    get(BROOD_FOREVER);
}
static void gets_two(void)
{
    get(BROOD_FOREVER);
    get(BROOD_FOREVER);
}
static void gets_patiently(void)
{
    get(5);
}
static void closes(void)
{
    seen.closed = 1;
    model_check(brood_queue_close(queue) == 0);
}

static void supervisor(void)
{
    model_supervise(brood__queue_repair);
}

static uint32_t items(void)
{
    uint32_t count = 0;
    const struct queue_shm *q = at();
    for (uint64_t head = q->got[0].head; !brood__ring_empty(q, 0, head); head += 16) count++;
    return count;
}
/* Consumers sleep beside an empty ring only, producers beside a full one, and nobody beside a closed one. */
static bool rightly_asleep(int p)
{
    const struct queue_shm *q = at();
    if (q->closed) return false;
    return seen.puts[p] ? q->max_items && items() >= q->max_items : items() == 0;
}

/* Nothing is lost but what a dead consumer had. */
static void accounted(void)
{
    uint32_t dead = 0, lost = 0;
    for (int p = 0; p < MODEL_MOST; p++) dead += !model_alive(p);
    for (uint32_t m = 0; m < MESSAGES; m++) lost += seen.put[m] && !seen.taken[m];
    model_check(lost <= items() + dead);
}

const struct scene model_queue_scenes[] = {
    {"queue/one-one", one_item, {puts_two, gets_two}, 0, 0, 1, UNBOUNDED, .in_short = true, .end = accounted},
    {"queue/producer-dies",
     one_item,
     {puts_two, gets_two, supervisor},
     1,
     1,
     0,
     UNBOUNDED,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/consumer-dies",
     one_item,
     {puts_two, gets_two, supervisor},
     2,
     1,
     0,
     UNBOUNDED,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/both-die",
     one_item,
     {puts_two, gets_two, supervisor},
     3,
     2,
     0,
     UNBOUNDED,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/two-consumers",
     many_items,
     {puts_two, gets_one, gets_one},
     6,
     1,
     0,
     1,
     .in_short = true,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/four-consumers",
     many_items,
     {puts_two, gets_one, gets_one, gets_one, gets_one},
     30,
     2,
     0,
     0,
     .woken_die = true,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/batch",
     many_items,
     {puts_both, gets_one, gets_one},
     7,
     1,
     0,
     1,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/two-producers",
     one_item,
     {puts_one, puts_one, gets_two},
     3,
     1,
     0,
     1,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/room-for-two",
     two_items,
     {puts_two, puts_one, gets_two},
     4,
     1,
     0,
     1,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/two-and-two",
     one_item,
     {puts_one, puts_one, gets_one, gets_one},
     15,
     1,
     0,
     0,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/closed", one_item, {closes, gets_one, gets_one, puts_one}, 6, 1, 0, 0, .may_stay = rightly_asleep},
    {"queue/patient",
     one_item,
     {puts_patiently, gets_patiently, gets_one},
     0,
     0,
     0,
     3,
     .may_stay = rightly_asleep,
     .end = accounted},
    {"queue/weak", one_item, {puts_two, gets_two}, 0, 0, 0, UNBOUNDED, .weak = true, .end = accounted},
    {"queue/weak-one-dies",
     one_item,
     {puts_two, gets_two},
     3,
     1,
     0,
     1,
     .weak = true,
     .may_stay = rightly_asleep,
     .end = accounted},
    {0},
};
