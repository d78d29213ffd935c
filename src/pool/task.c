/* SPDX-License-Identifier: MIT */
/*
 * task.c - the slots of tasks, and how they are submitted; the protocol is in pool/pool.h.  The submitter's side from
 * then on is in future.c, the worker's in task_run.c, what becomes of tasks otherwise in fate.c.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/task.h"
#include "call/buffer.h"
#include "call/error.h"
#include "pool/dispatch.h"
#include "pool/series.h"
#include "pool/threads.h"
#include "process/supervisor.h"
#include "sync/bell.h"

#include <string.h>

_Thread_local struct series brood__series;
unsigned brood__series_block = 64;

#define DEFAULT_BACKOFF 10u /* ms */
#define MOST_RETRIES 200    /* an attempt is eight bits of the word */

static void drop_buffers(struct task_shm *t)
{
    brood__pool_drop(&t->arg_buffer);
    brood__pool_drop(&t->result_buffer);
    if (atomic_load_explicit(&t->crashed, memory_order_relaxed)) brood__pool_drop(&t->crash);
}

void brood__task_release(struct task_shm *t)
{
    drop_buffers(t);
    uint32_t serial = TASK_SERIAL(atomic_load_explicit(&t->word, memory_order_relaxed));
    if (serial == UINT32_MAX) return; /* used up: it stays as it is */
    atomic_store_explicit(&t->word, TASK_WORD(serial + 1, TASK_FREE, 0, 0), memory_order_release);
}

/* ------------------------------------------------------------------------------------------------------- submitting */

/* More slots, by another segment.  0; BROOD_EAGAIN: there are as many as may be; BROOD_EARENA. */
static int grow(struct pool_shm *pool, uint64_t pool_id, uint32_t slots)
{
    if (slots >= pool->max_pending) return BROOD_EAGAIN;
    uint32_t k = slots == 0 ? 0 : (uint32_t)(32 - __builtin_clz(slots / SEGMENT_FIRST));
    if (k >= SEGMENTS) return BROOD_EAGAIN;
    uint32_t count = slots == 0 ? SEGMENT_FIRST : slots;
    void *announced;
    int error = brood__monitor_enter(&pool->latch, &announced);
    if (error < 0) return error;
    error = 0;
    if (atomic_load(&pool->slots) == slots) {
        if (!pool->segment[k]) {
            brood_buffer buffer;
            void *memory;
            error = brood_buffer_new(&buffer, brood__pool_segment_size(count), &memory);
            if (error == 0) {
                memset(memory, 0, brood__pool_segment_size(count));
                brood__pool_attach(&pool->segment[k], pool_id, buffer.id);
            }
        }
        if (error == 0) atomic_store_explicit(&pool->slots, slots + count, memory_order_release);
    }
    brood__monitor_leave(&pool->latch, announced, 0, false);
    return error;
}

/* Make FILLING out of FREE, or of GARBAGE. */
static bool claim_free(struct task_shm *t)
{
    uint64_t seen = atomic_load_explicit(&t->word, memory_order_relaxed);
    enum task_state state = TASK_STATE(seen);
    if (state != TASK_FREE && state != TASK_GARBAGE) return false;
    if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) return false;
    if (state == TASK_GARBAGE) {
        drop_buffers(t);
        atomic_fetch_add(&t->word, (uint64_t)1 << 32); /* old futures are stale; the state stays ours */
    }
    return true;
}

/* A free slot, FILLING and ours.  Slots are taken in turn, so that tasks are found in about the order of submission. */
static int allocate(struct pool_shm *pool, uint64_t pool_id, uint32_t *slot)
{
    for (;;) {
        uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
        uint32_t start = atomic_load_explicit(&pool->submit_at, memory_order_relaxed);
        /* Half of them busy in a row: rather more slots than a long search. */
        uint32_t look = slots < pool->max_pending ? slots / 2 : slots;
        for (uint32_t n = 0, i = start; n < look; n++, i++) {
            if (i >= slots) i = 0;
            if (!claim_free(brood__pool_task(pool, i))) continue;
            atomic_store_explicit(&pool->submit_at, i + 1, memory_order_relaxed);
            *slot = i;
            return 0;
        }
        int error = grow(pool, pool_id, slots);
        if (error < 0) return error;
        atomic_store_explicit(&pool->submit_at, slots, memory_order_relaxed);
    }
}

static int fill(struct task_shm *t, struct pool_shm *pool, uint64_t pool_id, const struct submission *s)
{
    const brood_task *task = s->task;
    const brood_submit_options *o = s->options;
    const void *bytes = s->arg;
    uint64_t given = bytes ? task->arg_size : 0;
    if (bytes && task->flags & BROOD_TASK_ARG_BYTES) {
        bytes = ((const brood_bytes *)s->arg)->data;
        given = ((const brood_bytes *)s->arg)->size;
    }
    t->items = s->items;
    if (s->items) {
        given *= s->items;
        t->ran = 0;
        atomic_store_explicit(&t->running, 0u, memory_order_relaxed);
    }
    t->arg_size = given + s->items * task->result_size;
    t->seed = s->seed ? s->seed : next_seed(pool, pool_id);
    t->priority = (uint8_t)o->priority;
    t->submitter = (uint16_t)brood__self->member;
    t->result_size = 0;
    t->code = t->fail = t->signal = t->status = t->pid = 0;
    t->deadline = (uint32_t)o->deadline;
    t->soft = (uint32_t)o->soft_deadline;
    t->retries = (uint8_t)o->retries;
    t->reason = BROOD_REASON_RESULT;
    atomic_store_explicit(&t->asked, 0, memory_order_relaxed);
    atomic_store_explicit(&t->cancelled, 0, memory_order_relaxed); /* published with the word, as all of these */
    atomic_store_explicit(&t->crashed, 0, memory_order_relaxed);
    if (o->retries) t->backoff = o->backoff ? (uint32_t)o->backoff : DEFAULT_BACKOFF;
    if (t->arg_size <= TASK_INLINE) {
        if (given) memcpy(t->inlined, bytes, given);
        return 0;
    }
    brood_buffer buffer;
    void *place;
    int error = brood_buffer_new(&buffer, t->arg_size, &place);
    if (error < 0) return error;
    if (given) memcpy(place, bytes, given);
    brood__pool_attach(&t->arg_buffer, pool_id, buffer.id);
    return 0;
}

int brood__task_check(const brood_task *task, const void *arg, const brood_submit_options *o)
{
    if (!task || task->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (task->arg_size && !arg) return brood__fail_with(BROOD_EINVAL, "%s wants an argument", task->name);
    if (!o) return 0;
    if (o->deadline < 0 || o->soft_deadline < 0 || o->backoff < 0)
        return brood__fail_with(BROOD_EINVAL, "a deadline or pause is negative");
    if (o->deadline && o->soft_deadline > o->deadline)
        return brood__fail_with(BROOD_EINVAL, "soft_deadline is later than deadline");
    if (o->retries > MOST_RETRIES) return brood__fail_with(BROOD_EINVAL, "at most %d retries", MOST_RETRIES);
    if (o->priority >= PRIORITIES) return brood__fail_with(BROOD_EINVAL, "a priority is at most %u", PRIORITIES - 1);
    return 0;
}

void brood__task_note_deadline(struct pool_shm *pool, uint32_t ms)
{
    uint32_t least = atomic_load(&pool->least_deadline);
    while ((least == 0 || ms < least) && !atomic_compare_exchange_weak(&pool->least_deadline, &least, ms)) {}
}

int brood__task_ask_for(uint64_t pool_id, uint64_t due)
{
    if ((int64_t)due >= atomic_load(&brood__arena()->supervisor.looks_next)) return 0;
    return brood__supervisor_request(&(struct request){.kind = REQUEST_POOL, .object = pool_id}, NULL, 0);
}

int brood__task_submit(brood_pool pool, brood_future *future, const struct submission *s)
{
    const brood_submit_options *o = s->options;
    int error = 0;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    error = brood__pool_usable(p);
    if (error == 0) error = brood__task_suits(p, o);
    function_ref function = 0;
    if (error == 0) error = brood__function_ref(s->task, &function);
    uint32_t slot = 0;
    if (error == 0) error = allocate(p, pool.id, &slot);
    if (error < 0) return error;
    struct task_shm *t = brood__pool_task(p, slot);
    t->function = function;
    error = fill(t, p, pool.id, s);
    if (error < 0) {
        brood__task_release(t);
        return error;
    }
    if (o->deadline) brood__task_note_deadline(p, (uint32_t)o->deadline);
    uint64_t filling = atomic_load_explicit(&t->word, memory_order_relaxed);
    *future = (brood_future){pool.id, FUTURE(slot, TASK_SERIAL(filling))};
    void *announced = brood__os_announce(&p->idle);
    task_step(t, filling, TASK_QUEUED,
              0); /* the commit; only the supervisor could have taken it from us, and we live */
    task_hint(p, slot, o->priority);
    brood__pool_wake(p, 1);
    brood__os_announce_again(announced);
    /*
     * Closed, freed, or without hope since we looked: its workers may have left, or the supervisor have resolved all
     * that it saw.  seq_cst: of us and of one who leaves, or who resolves what was queued before `broken`, one sees.
     */
    atomic_thread_fence(memory_order_seq_cst);
    bool there = brood__slot_is(&p->slot, pool.id);
    error = there ? brood__pool_usable(p) : BROOD_ECLOSED;
    if (__builtin_expect(error == 0, 1)) return 0;
    uint64_t queued = TASK_WORD(TASK_SERIAL(filling), TASK_QUEUED, 0, 0);
    if (!task_swap(t, &queued, filling)) return 0; /* a worker has it all the same, or it is resolved */
    brood__task_release(t);
    return there ? error : brood__slot_gone(TABLE_POOL, pool.id);
}

int brood__task_suits(const struct pool_shm *pool, const brood_submit_options *options)
{
    if (!options->deadline || !brood__pool_threaded(pool)) return 0;
    return brood__fail_with(BROOD_EINVAL, "a thread can't be killed at its deadline: see soft_deadline");
}

static const brood_submit_options no_wishes;

static int submit(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                  const brood_submit_options *o)
{
    return brood__task_submit(pool, future, &(struct submission){.task = task, .arg = arg, .options = o});
}

int brood_pool_submit_task(brood_pool pool, brood_future *future, const brood_task *task, const void *arg)
{
    int error = brood__enter();
    if (error == 0) error = brood__task_check(task, arg, NULL);
    return error < 0 ? error : submit(pool, future, task, arg, &no_wishes);
}

int brood_pool_submit_task_with(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                                const brood_submit_options *options)
{
    int error = brood__enter();
    if (error == 0) error = brood__task_check(task, arg, options);
    if (error < 0) return error;
    if (options && options->callback) return brood__dispatch_submit(pool, future, task, arg, options);
    return submit(pool, future, task, arg, options ? options : &no_wishes);
}
