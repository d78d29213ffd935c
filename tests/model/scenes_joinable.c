/* SPDX-License-Identifier: MIT */
/*
 * scenes_joinable.c - queues whose work is joined: who waits for its end is told of it, and of what the dead had; and
 * queues that grow while others are at them.
 */
#include "model.h"
#include "queue/queue.h"
#include "queue/record.h"

#include <brood/queue.h>
#include <string.h>

static brood_queue queue;
static struct {
    uint8_t got, done, joined, lost, put;
} seen;

static struct queue_shm *at(void)
{
    return (struct queue_shm *)(void *)brood__slot_at(TABLE_QUEUE, HANDLE_INDEX(queue.id));
}
static void make(const brood_queue_options *options)
{
    memset(&seen, 0, sizeof seen);
    if (brood_queue_new(&queue, options) < 0) model_failed("no queue", 0);
}
static void jobs(unsigned n)
{
    make(&(brood_queue_options){.capacity = 256, .joinable = 1});
    for (uint64_t i = 0; i < n; i++)
        if (brood_queue_put_value(queue, &i, 0) < 0) model_failed("no room", 0);
}
static void no_job(void)
{
    jobs(0);
}
static void one_job(void)
{
    jobs(1);
}
static void two_jobs(void)
{
    jobs(2);
}

static void works(void)
{
    uint64_t value;
    model_check(brood_queue_get_value(queue, &value, BROOD_FOREVER) == 0);
    seen.got++;
    model_check(brood_queue_task_done(queue) == 0);
    seen.done++;
}
static void puts_job(void)
{
    uint64_t value = 7;
    model_check(brood_queue_put_value(queue, &value, BROOD_FOREVER) == 0);
    seen.put = 1;
}
static void joins(void)
{
    int result = brood_queue_join(queue, BROOD_FOREVER);
    model_check(result == 0 || result == BROOD_ELOST);
    seen.joined++;
    if (result == BROOD_ELOST) seen.lost++;
}
static void supervisor(void)
{
    model_supervise(brood__queue_repair);
}

/* Workers where there is nothing left to do, joiners where there is. */
static bool rightly_asleep(int p)
{
    bool empty = brood__ring_all_empty(at());
    (void)p;
    return !empty || seen.joined == 0;
}
static bool with_work_left(int p)
{
    (void)p;
    return !brood__ring_all_empty(at());
}

/* What is open is what a dead worker had, and that is counted. */
static void accounted(void)
{
    uint32_t dead = 0;
    for (int p = 0; p < MODEL_MOST; p++) dead += !model_alive(p);
    model_check(atomic_load(&at()->tally.open) == 0);
    model_check(atomic_load(&at()->tally.lost) <= dead);
    model_check(seen.lost == 0 || atomic_load(&at()->tally.lost) > 0);
}

/* ---------------------------------------------------------------------------------------------------- growing */

enum { LARGE = 900 };

static void grows(void)
{
    char bytes[LARGE] = {0};
    make(&(brood_queue_options){.capacity = PAGE_SIZE, .grows_to = 4 * PAGE_SIZE});
    for (bytes[0] = 0; bytes[0] < 4; bytes[0]++)
        if (brood_queue_put(queue, bytes, sizeof bytes, 0) < 0) model_failed("no room", 0);
}
static void puts_large(void)
{
    char bytes[LARGE] = {(char)(10 + model_me())};
    model_check(brood_queue_put(queue, bytes, sizeof bytes, 0) == 0);
    seen.put++;
}
static void gets_large(void)
{
    char bytes[LARGE];
    for (int i = 0; i < 5; i++) {
        size_t size = 0;
        model_check(brood_queue_get(queue, bytes, sizeof bytes, &size, BROOD_FOREVER) == 0 && size == LARGE);
        model_check(i < 4 ? bytes[0] == i : bytes[0] >= 10);
        seen.got++;
    }
}
/* A consumer that has all that was put. */
static bool has_all(int p)
{
    (void)p;
    return brood__ring_all_empty(at());
}
static void none_is_lost(void)
{
    uint32_t dead = 0, left = brood__ring_items(at());
    for (int p = 0; p < MODEL_MOST; p++) dead += !model_alive(p);
    model_check(seen.got + left + dead >= 4u + seen.put);
    model_check(brood__pages_check() == 0);
}

const struct scene model_joinable_scenes[] = {
    {"joinable/one", one_job, {works, joins}, 0, 0, 1, UNBOUNDED, .in_short = true, .end = accounted},
    {"joinable/worker-dies",
     one_job,
     {works, joins, supervisor},
     1,
     1,
     0,
     UNBOUNDED,
     .may_stay = with_work_left,
     .end = accounted},
    {"joinable/two-workers",
     two_jobs,
     {works, works, joins, supervisor},
     3,
     1,
     0,
     0,
     .may_stay = with_work_left,
     .end = accounted},
    {"joinable/two-joiners",
     one_job,
     {works, joins, joins, supervisor},
     3,
     1,
     0,
     1,
     .may_stay = with_work_left,
     .end = accounted},
    {"joinable/put", no_job, {puts_job, works, joins}, 0, 0, 0, 2, .may_stay = rightly_asleep, .end = accounted},
    {"joinable/weak", one_job, {works, joins}, 0, 0, 0, UNBOUNDED, .weak = true, .end = accounted},
    {"grow/one-one", grows, {puts_large, gets_large}, 0, 0, 0, 2, .in_short = true, .end = none_is_lost},
    {"grow/one-dies",
     grows,
     {puts_large, gets_large, supervisor},
     1,
     1,
     0,
     0,
     .may_stay = has_all,
     .end = none_is_lost},
    {"grow/two-producers", grows, {puts_large, puts_large, gets_large}, 0, 0, 0, 1, .end = none_is_lost},
    {0},
};
