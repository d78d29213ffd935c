/* SPDX-License-Identifier: MIT */
/*
 * scenes_task.c - a pool's task slots and its idle workers: each task is run once and answered, told to be lost when its
 * worker died, and nobody sleeps beside one.  The pool is put together by hand, for the search starts no processes.
 */
#include "model.h"
#include "pool/answers.h"
#include "pool/supervise.h"
#include "pool/task.h"
#include "process/supervisor.h"

#include <brood/pool.h>
#include <string.h>

static brood_pool pool;
static struct {
    uint8_t runs[MODEL_MOST]; /* of the task of this process */
    uint8_t answered[MODEL_MOST];
    uint8_t works[MODEL_MOST];
} seen;

BROOD_TASK(job, int, int, whose)
{
    seen.runs[whose]++;
    return whose + 40;
}

static struct pool_shm *at(void)
{
    return (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, HANDLE_INDEX(pool.id));
}

static void set_up(void)
{
    seen = (typeof(seen)){0};
    uint32_t index;
    if (brood__slot_claim(TABLE_POOL, brood__self->member, NULL, &index) < 0) model_failed("no pool", 0);
    struct pool_shm *p = (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, index);
    memset((char *)p + sizeof p->slot, 0, sizeof *p - sizeof p->slot);
    size_t size = (MODEL_MOST + 1) * sizeof(struct seat_shm) + JOBS * sizeof(struct job_shm);
    if (brood__pages_allocate(TABLE_POOL, index, size) < 0) model_failed("no room", 0);
    memset(brood__at(p->slot.body), 0, size);
    p->seat_room = p->workers = p->most_seats = MODEL_MOST;
    atomic_store(&p->seats, (uint32_t)MODEL_MOST);
    p->max_pending = 64;
    for (uint32_t i = 0; i < MODEL_MOST; i++) {
        struct member_shm *m = brood__member_at(model_member((int)i));
        brood__pool_seat(p, i)->member = model_member((int)i);
        m->seat = i;
    }
    pool.id = brood__slot_publish(TABLE_POOL, index);
    for (uint32_t i = 0; i < MODEL_MOST; i++) brood__member_at(model_member((int)i))->pool = pool.id;
    brood_future first; /* makes the first segment, and finds the function */
    if (brood_pool_submit(pool, &first, job, &(int){0}) < 0 || brood_future_free(first) < 0) model_failed("no task", 0);
    atomic_store(brood__pool_bits(p, 0, 0, NULL), 0);
}

static void submits(void)
{
    int me = model_me(), result = 0;
    brood_future future;
    brood_outcome outcome;
    model_check(brood_pool_submit(pool, &future, job, &me) == 0);
    int error = brood_future_get(future, &result, BROOD_FOREVER, &outcome);
    model_check(error == BROOD_ELOST || (error == 0 && result == me + 40 && seen.runs[me] == 1));
    seen.answered[me] = 1;
    model_check(brood_future_free(future) == 0);
}
static int look(void *future, bool thorough)
{
    (void)thorough;
    return brood__task_answered(*(brood_future *)future);
}
static void awaits_any(void) /* by the word that all answers of the pool wake */
{
    int me = model_me(), result = 0;
    brood_future future;
    model_check(brood_pool_submit(pool, &future, job, &me) == 0);
    model_check(brood__answers_wait(pool.id, look, &future, BROOD_FOREVER, NULL) == 1);
    int error = brood_future_get(future, &result, 0, NULL);
    model_check(error == BROOD_ELOST || (error == 0 && result == me + 40 && seen.runs[me] == 1));
    seen.answered[me] = 1;
    model_check(brood_future_free(future) == 0);
}
static void urges(void) /* beside one without a priority */
{
    int me = model_me(), result = 0;
    brood_future future;
    model_check(brood_pool_submit_with(pool, &future, job, &me, .priority = 2) == 0);
    int error = brood_future_get(future, &result, BROOD_FOREVER, NULL);
    model_check(error == BROOD_ELOST || (error == 0 && result == me + 40 && seen.runs[me] == 1));
    model_check(brood_future_free(future) == 0);
}
static void forgets(void)
{
    brood_future future;
    model_check(brood_pool_submit(pool, &future, job, &(int){model_me()}) == 0);
    model_check(brood_future_free(future) == 0);
}
static void asks(void) /* two who wait for one answer are two threads: as processes they share the number alone */
{
    int me = model_me(), result = 0;
    brood_future future;
    model_check(brood_pool_submit(pool, &future, job, &me) == 0);
    int error = brood_future_get(future, &result, 5, NULL);
    model_check(error == BROOD_ETIMEDOUT || error == BROOD_ELOST || (error == 0 && result == me + 40));
    model_check(brood_future_free(future) == 0);
}
static void works(void)
{
    seen.works[model_me()] = 1;
    brood__worker_run(NULL, NULL, 0);
}

static void supervisor(void)
{
    model_supervise(brood__pool_area.repair);
}

/* Workers sleep beside no task, and no other sleeps. */
static bool rightly_asleep(int p)
{
    bool queued = false, workers = false;
    for (uint32_t i = 0; i < 64; i++) queued |= TASK_STATE(brood__pool_task(at(), i)->word) == TASK_QUEUED;
    for (int q = 0; q < MODEL_MOST; q++) workers |= seen.works[q] && model_alive(q);
    return seen.works[p] ? !queued : !workers && queued;
}
/* What ran twice was submitted twice. */
static void once_each(void)
{
    for (int p = 0; p < MODEL_MOST; p++) model_check(seen.runs[p] <= 1);
}

const struct scene model_task_scenes[] = {
    {"task/one-worker",
     set_up,
     {submits, works},
     0,
     0,
     0,
     UNBOUNDED,
     .in_short = true,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/two-workers", set_up, {submits, works, works}, 0, 0, 0, 1, .may_stay = rightly_asleep, .end = once_each},
    {"task/two-submit", set_up, {submits, submits, works}, 0, 0, 0, 1, .may_stay = rightly_asleep, .end = once_each},
    {"task/worker-dies",
     set_up,
     {submits, works, supervisor},
     2,
     1,
     0,
     0,
     .in_short = true,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/one-of-two-workers-dies",
     set_up,
     {submits, works, works, supervisor},
     6,
     1,
     0,
     0,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/submitter-dies",
     set_up,
     {submits, submits, works, supervisor},
     1,
     1,
     0,
     0,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/forgotten", set_up, {forgets, works, supervisor}, 3, 1, 0, 1, .may_stay = rightly_asleep, .end = once_each},
    {"task/late", set_up, {asks, works, supervisor}, 2, 1, 0, 0, .may_stay = rightly_asleep, .end = once_each},
    {"task/any",
     set_up,
     {awaits_any, works},
     0,
     0,
     0,
     UNBOUNDED,
     .in_short = true,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/any-worker-dies",
     set_up,
     {awaits_any, works, supervisor},
     2,
     1,
     0,
     0,
     .in_short = true,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/any-weak",
     set_up,
     {awaits_any, works},
     0,
     0,
     0,
     2,
     .weak = true,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/urgent", set_up, {urges, works}, 0, 0, 0, UNBOUNDED, .may_stay = rightly_asleep, .end = once_each},
    {"task/urgent-two", set_up, {urges, urges, works}, 0, 0, 0, 1, .may_stay = rightly_asleep, .end = once_each},
    {"task/urgent-beside", set_up, {urges, submits, works}, 0, 0, 0, 1, .may_stay = rightly_asleep, .end = once_each},
    {"task/urgent-worker-dies",
     set_up,
     {urges, works, works, supervisor},
     2,
     1,
     0,
     0,
     .may_stay = rightly_asleep,
     .end = once_each},
    {"task/weak", set_up, {submits, works}, 0, 0, 0, 2, .weak = true, .may_stay = rightly_asleep, .end = once_each},
    {0},
};
