/* SPDX-License-Identifier: MIT */
/*
 * task.c - submitted tasks: the slots, the submitter's side and the worker's; the protocol is in pool/pool.h, what
 * becomes of them otherwise in fate.c.
 * Thread-safe; not async-signal-safe.
 */
#include "pool/task.h"
#include "call/buffer.h"
#include "call/call.h"
#include "call/error.h"
#include "pool/answers.h"
#include "pool/crash.h"
#include "pool/dispatch.h"
#include "pool/nest.h"
#include "pool/series.h"
#include "pool/threads.h"
#include "process/supervisor.h"
#include "sync/bell.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct series brood__series;
unsigned brood__series_block = 64;

#define DEFAULT_BACKOFF 10u /* ms */
#define A_SECOND 1000u
#define MOST_RETRIES 200 /* an attempt is eight bits of the word */

static void drop_buffers(struct task_shm *t)
{
    brood__pool_drop(&t->arg_buffer);
    brood__pool_drop(&t->result_buffer);
    if (atomic_load_explicit(&t->crashed, memory_order_relaxed)) brood__pool_drop(&t->crash);
}

/* Free a slot whose holder we are (FILLING, DONE→, ORPHAN, GARBAGE by swap to FILLING): buffers, then the next serial. */
static void release(struct task_shm *t)
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
    uint64_t given = task->arg_size;
    if (task->flags & BROOD_TASK_ARG_BYTES) {
        bytes = ((const brood_bytes *)s->arg)->data;
        given = ((const brood_bytes *)s->arg)->size;
    }
    if (s->items) given *= s->items;
    t->arg_size = given + s->items * task->result_size;
    t->items = s->items;
    t->ran = 0;
    atomic_store_explicit(&t->running, 0u, memory_order_relaxed);
    t->seed = s->seed ? s->seed : next_seed(pool, pool_id);
    t->priority = (uint8_t)o->priority;
    t->submitter = brood__self->member;
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
        if (given) memcpy(t->arg, bytes, given);
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

static int check(const brood_task *task, const void *arg, const brood_submit_options *o)
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

/* The supervisor has to know that deadlines of this length come up; the shortest counts. */
static void note_deadline(struct pool_shm *pool, uint32_t ms)
{
    uint32_t least = atomic_load(&pool->least_deadline);
    while ((least == 0 || ms < least) && !atomic_compare_exchange_weak(&pool->least_deadline, &least, ms)) {}
}

/* The supervisor is to be there when this is due.  0, or why it could not be told. */
static int ask_for(uint64_t pool_id, uint64_t due)
{
    if ((int64_t)due >= atomic_load(&brood__arena()->supervisor.looks_next)) return 0;
    return brood__supervisor_request(&(struct request){.kind = REQUEST_POOL, .object = pool_id}, NULL, 0);
}

/* As often as it takes, on the task's own time.  false: that is over. */
static bool is_kept(uint64_t pool_id, uint64_t due)
{
    while (ask_for(pool_id, due) < 0) {
        brood__say_nothing();
        if (brood__os_now() >= (int64_t)due) return false;
        brood__os_nap(1000 * 1000);
    }
    return true;
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
        release(t);
        return error;
    }
    if (o->deadline) note_deadline(p, (uint32_t)o->deadline);
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
    release(t);
    return there ? error : brood__slot_gone(TABLE_POOL, pool.id);
}

int brood__task_suits(const struct pool_shm *pool, const brood_submit_options *options)
{
    if (!options->deadline || !brood__pool_threaded(pool)) return 0;
    return brood__fail_with(BROOD_EINVAL, "a thread can't be killed at its deadline: see soft_deadline");
}

static const brood_submit_options no_wishes;

int brood__task_check(const brood_task *task, const void *arg, const brood_submit_options *options)
{
    return check(task, arg, options);
}

static int submit(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                  const brood_submit_options *o)
{
    return brood__task_submit(pool, future, &(struct submission){.task = task, .arg = arg, .options = o});
}

int brood_pool_submit_task(brood_pool pool, brood_future *future, const brood_task *task, const void *arg)
{
    int error = brood__enter();
    if (error == 0) error = check(task, arg, NULL);
    return error < 0 ? error : submit(pool, future, task, arg, &no_wishes);
}

int brood_pool_submit_task_with(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                                const brood_submit_options *options)
{
    int error = brood__enter();
    if (error == 0) error = check(task, arg, options);
    if (error < 0) return error;
    if (options && options->callback) return brood__dispatch_submit(pool, future, task, arg, options);
    return submit(pool, future, task, arg, options ? options : &no_wishes);
}

/* --------------------------------------------------------------------------------------------------------- answers */

static int look_for(brood_future future, struct pool_shm **pool, struct task_shm **task)
{
    int error = 0;
    *pool = brood__pool_find(future.pool, &error);
    if (!*pool) return error < 0 ? error : BROOD_ESTALE;
    uint32_t slot = FUTURE_SLOT(future.serial);
    if (slot >= atomic_load_explicit(&(*pool)->slots, memory_order_acquire)) return BROOD_ESTALE;
    *task = brood__pool_task(*pool, slot);
    return 0;
}

static int find(brood_future future, struct pool_shm **pool, struct task_shm **task)
{
    int error = brood__enter();
    return error < 0 ? error : look_for(future, pool, task);
}

/* 1: answered, 0: not yet, BROOD_ESTALE. */
static int answered(const struct task_shm *t, brood_future future)
{
    uint64_t word = atomic_load_explicit(&((struct task_shm *)(uintptr_t)t)->word, memory_order_acquire);
    if (TASK_SERIAL(word) != FUTURE_SERIAL(future.serial)) return BROOD_ESTALE;
    switch (TASK_STATE(word)) {
    case TASK_QUEUED:
    case TASK_RUNNING:
    case TASK_KILLING:
    case TASK_WAITING: return 0;
    case TASK_CANCELLED:
    case TASK_DONE: return 1;
    default: return BROOD_ESTALE;
    }
}

/* The code of a task that has an answer. */
static int code_of(struct pool_shm *pool, const struct task_shm *t, enum brood_reason *reason)
{
    uint64_t word = atomic_load(&((struct task_shm *)(uintptr_t)t)->word);
    bool cancelled = TASK_STATE(word) == TASK_CANCELLED;
    *reason = (enum brood_reason)(cancelled ? TASK_OWNER(word) : t->reason);
    if (!cancelled) return t->code;
    return *reason == BROOD_REASON_START_FAILED ? atomic_load(&pool->broken) : BROOD_ECANCELED;
}

int brood_future_state(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = find(future, &pool, &t);
    if (error == 0 && t) error = answered(t, future);
    if (error != 0 || !t) return error < 0 ? error : BROOD_TASK_DONE;
    switch (TASK_STATE(atomic_load(&t->word))) { /* of this moment: it may have its answer by now */
    case TASK_QUEUED: return BROOD_TASK_QUEUED;
    case TASK_WAITING: return BROOD_TASK_AGAIN;
    case TASK_RUNNING:
    case TASK_KILLING: return BROOD_TASK_RUNNING;
    default: return BROOD_TASK_DONE;
    }
}

int brood_future_done(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = find(future, &pool, &t);
    return error < 0 || !t ? error : answered(t, future);
}

static int wait_for(struct pool_shm *pool, struct task_shm *t, brood_future future, int timeout)
{
    int64_t deadline = brood__os_deadline(timeout);
    void *announced = brood__os_announce(&t->bell);
    struct nest nest = {0};
    int result;
    bool late = false;
    for (unsigned n = 0;;) {
        result = answered(t, future);
        if (result != 0 || late || timeout == 0) break;
        if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
            continue;
        }
        atomic_exchange(&t->bell, OS_WAITERS);
        /* Armed before the look, whose loads are but acquire: pairs with the fence in brood__pool_answer. */
        atomic_thread_fence(memory_order_seq_cst);
        result = answered(t, future);
        if (result != 0) break;
        result = brood__nest_wait(&nest, future.pool, deadline == OS_NEVER ? future.serial : WAITS_ELSEWHERE);
        if (result != 0) break;
        late = brood__sleep(&t->bell, OS_WAITERS, deadline, future.pool) < 0;
        brood__threads_mend(pool, future.pool);
    }
    brood__nest_end(&nest);
    if (result != 0 && atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell); /* for the others, see join.c */
    brood__os_announce_again(announced);
    if (result == 0) brood__look_up();
    if (result == BROOD_EDEADLK) brood__fail_with(result, "all workers that there may be wait for tasks of their pool");
    return result == 0 ? brood__not_now(timeout) : result < 0 ? result : 0;
}

int brood__task_answered(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = look_for(future, &pool, &t);
    return error < 0 || !t ? error : answered(t, future);
}

static void describe(const struct task_shm *t, brood_future future, int code, enum brood_reason reason,
                     brood_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->code = code;
    outcome->reason = reason;
    outcome->fail = t->fail;
    outcome->signal = t->signal;
    outcome->status = t->status;
    outcome->pid = t->pid;
    outcome->attempt = TASK_ATTEMPT(atomic_load(&((struct task_shm *)(uintptr_t)t)->word));
    outcome->id = future.serial;
    if (t->fail)
        memcpy(outcome->text, t->result, BROOD_FAIL_TEXT);
    else if (t->pid && (code == BROOD_ELOST || code == BROOD_EOOM || code == BROOD_EDEADLINE))
        brood__pool_tell_death(outcome->text, reason, t->signal, t->status);
}

int brood__task_answer(brood_future future, struct pool_shm **pool, const struct task_shm **task,
                       brood_outcome *outcome)
{
    struct task_shm *t = NULL;
    int error = find(future, pool, &t);
    if (error == 0 && t) error = answered(t, future);
    if (error < 0 || !t) return error;
    if (error == 0) return BROOD_EAGAIN;
    enum brood_reason reason;
    int code = code_of(*pool, t, &reason);
    describe(t, future, code, reason, outcome);
    *task = t;
    return 0;
}

/* brood_error_detail of an answer that is no result. */
static void explain(struct pool_shm *pool, const struct task_shm *t, int code, enum brood_reason reason)
{
    if (reason == BROOD_REASON_START_FAILED) {
        brood__fail_with(code, "%s", pool->broken_detail);
    } else if (reason == BROOD_REASON_DEADLINE && t->pid == 0) {
        brood__fail_with(code, "not begun: the supervisor could not be told of the deadline of %u ms", t->deadline);
    } else if (reason == BROOD_REASON_DEADLINE) {
        brood__fail_with(code, "the worker (pid %d) was killed at the deadline of %u ms", t->pid, t->deadline);
    } else if (t->fail) {
        brood__fail_with(code, "%s (%d)", t->result, t->fail);
    } else if (t->signal) {
        brood__fail_with(
            code, "the worker (pid %d) was ended by signal %d (%s)%s", t->pid, t->signal, strsignal(t->signal),
            reason == BROOD_REASON_QUARANTINED ? ", as were others before: the task is not run again" : "");
    } else if (reason == BROOD_REASON_EXIT || reason == BROOD_REASON_QUARANTINED) {
        brood__fail_with(code, "the worker (pid %d) exited with code %d", t->pid, t->status);
    } else if (reason == BROOD_REASON_UNKNOWN) {
        brood__fail_with(code, "the worker (pid %d) has ended, and nobody could learn how", t->pid);
    } else {
        brood__fail_with(code, "%s", code == BROOD_ECANCELED ? "" : brood_strerror(code));
    }
}

/* Where its argument lies. */
static char *argument_of(struct task_shm *t)
{
    return t->arg_buffer ? brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(t->arg_buffer))->body) : t->arg;
}

/*
 * The word for brood__answers_arm: in the task, which is the submitter's to write; of another's task in a table of this
 * process.  Two that share a place there take it from each other: the descriptor is not quiet then, and nothing is
 * missed, for no two bells have a turn in common, and a bell is one thread's to ask.
 */
static _Atomic uint32_t *asked_of(struct task_shm *t, brood_future future)
{
    static struct {
        _Atomic uint64_t pool, serial;
        _Atomic uint32_t asked;
    } others[256];
    if (t->submitter == brood__self->member) return &t->asked;
    unsigned i = (unsigned)(FUTURE_SLOT(future.serial) + 31 * HANDLE_INDEX(future.pool)) % 256;
    if (atomic_load(&others[i].pool) != future.pool || atomic_load(&others[i].serial) != future.serial) {
        atomic_store(&others[i].pool, future.pool);
        atomic_store(&others[i].serial, future.serial);
        atomic_store(&others[i].asked, 0);
    }
    return &others[i].asked;
}

static int get(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = look_for(future, &pool, &t);
    if (error < 0 || !t) return error;
    error = wait_for(pool, t, future, timeout);
    if (error == BROOD_EAGAIN && brood__answers_arm(pool, future.pool, asked_of(t, future)))
        error = wait_for(pool, t, future, 0);
    if (error < 0) return error;
    enum brood_reason reason;
    int code = code_of(pool, t, &reason);
    if (outcome) describe(t, future, code, reason, outcome);
    if (code < 0) {
        explain(pool, t, code, reason);
        return code;
    }
    result->size = t->result_size;
    result->data = t->result;
    if (t->result_buffer) result->data = brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(t->result_buffer))->body);
    return 0;
}

int brood__task_get(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    return get(future, result, timeout, outcome);
}

char *brood__task_items(brood_future future, uint32_t *ran)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    if (look_for(future, &pool, &t) < 0 || !t) return NULL;
    *ran = t->ran;
    return argument_of(t);
}

int brood_future_bytes(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    int error = brood__enter_for(timeout);
    return error < 0 ? error : get(future, result, timeout, outcome);
}

static int get_exactly(brood_future future, void *result, size_t size, int timeout, brood_outcome *outcome)
{
    brood_bytes bytes = {NULL, 0};
    int error = get(future, &bytes, timeout, outcome);
    if (error < 0 || !result) return error;
    if (bytes.size != size)
        return brood__fail_with(BROOD_EINVAL, "the result has %zu bytes, and the place for it %zu", bytes.size, size);
    if (size) memcpy(result, bytes.data, size);
    return 0;
}

int brood_future_get_exactly(brood_future future, void *result, size_t size, int timeout, brood_outcome *outcome)
{
    int error = brood__enter_for(timeout);
    return error < 0 ? error : get_exactly(future, result, size, timeout, outcome);
}

static int give_back(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = look_for(future, &pool, &t);
    if (error < 0) return error;
    uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
    for (;;) {
        if (TASK_SERIAL(seen) != FUTURE_SERIAL(future.serial)) return BROOD_ESTALE;
        switch (TASK_STATE(seen)) {
        case TASK_QUEUED:
        case TASK_WAITING:
        case TASK_CANCELLED:
        case TASK_DONE:
            if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) continue;
            release(t);
            return 0;
        case TASK_RUNNING:
            if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_ORPHAN, TASK_ATTEMPT(seen), TASK_OWNER(seen))))
                continue;
            return 0;
        case TASK_KILLING:
            if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_DOOMED, TASK_ATTEMPT(seen), TASK_OWNER(seen))))
                continue;
            return 0;
        default: return BROOD_ESTALE;
        }
    }
}

int brood__task_free(brood_future future)
{
    return give_back(future);
}

int brood_future_free(brood_future future)
{
    int error = brood__enter();
    return error < 0 ? error : give_back(future);
}

int brood_future_cancel(brood_future future, int grace)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = brood__enter_for(grace);
    if (error == 0) error = look_for(future, &pool, &t);
    if (error < 0 || !t) return error;
    for (;;) {
        uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
        if (TASK_SERIAL(seen) != FUTURE_SERIAL(future.serial)) return BROOD_ESTALE;
        switch (TASK_STATE(seen)) {
        case TASK_QUEUED:
        case TASK_WAITING:
            if (!brood__task_cancel(pool, future.pool, t, seen, BROOD_REASON_CANCELLED)) continue;
            return 0;
        case TASK_RUNNING:
        case TASK_KILLING: break;
        case TASK_CANCELLED:
        case TASK_DONE: return 1;
        default: return BROOD_ESTALE;
        }
        break;
    }
    atomic_store(&t->cancelled, 1); /* seq_cst, before due: see run */
    if (grace == BROOD_FOREVER || brood__pool_threaded(pool)) return 0;
    uint64_t due = (uint64_t)brood__os_deadline(grace), before = atomic_load(&t->due);
    while ((before == 0 || due < before) && !atomic_compare_exchange_weak(&t->due, &before, due)) {}
    if (atomic_load(&pool->least_deadline) == 0) note_deadline(pool, A_SECOND);
    return ask_for(future.pool, due);
}

int brood_pool_apply_task(brood_pool pool, const brood_task *task, const void *arg, void *result,
                          const brood_apply_options *options)
{
    static const brood_apply_options none;
    const brood_apply_options *o = options ? options : &none;
    int timeout = o->timeout ? o->timeout : BROOD_FOREVER;
    int error = brood__enter_for(timeout);
    if (error == 0) error = check(task, arg, &o->submit);
    if (error == 0 && o->submit.callback)
        error = brood__fail_with(BROOD_EINVAL, "apply has its answer when it returns: a callback has none to wait for");
    if (error < 0) return error;
    if (result && task->flags & BROOD_TASK_RESULT_BYTES)
        return brood__fail_with(BROOD_EINVAL, "%s: apply keeps no brood_bytes, see brood_pool_submit", task->name);
    brood_future future = {0, 0};
    error = submit(pool, &future, task, arg, &o->submit);
    if (error < 0) return error;
    error = get_exactly(future, result, task->result_size, timeout, o->outcome);
    give_back(future);
    return error;
}

/* ------------------------------------------------------------------------------------------------ the worker's side */

static bool claim(struct task_shm *t)
{
    uint64_t seen = atomic_load_explicit(&t->word, memory_order_relaxed);
    if (TASK_STATE(seen) != TASK_QUEUED) return false;
    uint32_t attempt = TASK_ATTEMPT(seen) + 1;
    return task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_RUNNING, attempt & 0xff, brood__self->member));
}

/* One word of hints: claim a task that it points to; -1: none. */
static int64_t claim_in(struct pool_shm *pool, uint32_t priority, uint32_t first)
{
    uint64_t bit;
    _Atomic uint64_t *bits = brood__pool_bits(pool, priority, first, &bit);
    uint64_t hints;
    (void)bit;
    while ((hints = atomic_load_explicit(bits, memory_order_acquire)) != 0) {
        uint32_t slot = first + (uint32_t)__builtin_ctzll(hints);
        struct task_shm *t = brood__pool_task(pool, slot);
        bool mine = claim(t);
        /* Take the hint away; if the task is queued again meanwhile, put it back. */
        atomic_fetch_and_explicit(bits, ~((uint64_t)1 << (slot - first)), memory_order_seq_cst);
        if (mine) return slot;
        if (TASK_STATE(atomic_load(&t->word)) == TASK_QUEUED)
            atomic_fetch_or_explicit(bits, (uint64_t)1 << (slot - first), memory_order_seq_cst);
    }
    return -1;
}

static int64_t claim_of(struct pool_shm *pool, uint32_t priority, _Atomic uint32_t *at)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire), words = slots / 64;
    if (words == 0) return -1;
    uint32_t start = atomic_load_explicit(at, memory_order_relaxed) / 64;
    if (start >= words) start = 0;
    for (uint32_t n = 0, w = start; n < words; n++, w = w + 1 == words ? 0 : w + 1) {
        int64_t slot = claim_in(pool, priority, w * 64);
        if (slot < 0) continue;
        atomic_store_explicit(at, (uint32_t)slot, memory_order_relaxed);
        return slot;
    }
    return -1;
}

/* Whether there is a hint for this priority. */
static bool is_hinted(const struct pool_shm *pool, uint32_t priority)
{
    uint32_t slots = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->slots);
    uint64_t bit;
    for (uint32_t i = 0; i < slots; i += 64)
        if (atomic_load(brood__pool_bits(pool, priority, i, &bit))) return true;
    return false;
}

int64_t brood__task_claim(struct pool_shm *pool, bool urgent)
{
    if (!urgent) return claim_of(pool, 0, &pool->claim_at);
    for (;;) {
        uint32_t mask = atomic_load(&pool->urgent) & ((1u << PRIORITIES) - 2);
        if (mask == 0) return -1;
        uint32_t priority = 31 - (uint32_t)__builtin_clz(mask);
        int64_t slot = claim_of(pool, priority, &pool->claim_urgent_at[priority - 1]);
        if (slot >= 0) return slot;
        /* seq_cst: of one who sets a hint and then finds this bit set, and of us, one sees the other. */
        atomic_fetch_and(&pool->urgent, ~(1u << priority));
        if (is_hinted(pool, priority)) atomic_fetch_or(&pool->urgent, 1u << priority);
    }
}

/* A result of more than fits inline goes into a buffer of the task's. */
static int keep_result(struct task_shm *t, uint64_t pool_id, const brood_task *task, const void *result)
{
    const void *bytes = result;
    t->result_size = task->result_size;
    if (task->flags & BROOD_TASK_RESULT_BYTES) {
        bytes = ((const brood_bytes *)result)->data;
        t->result_size = ((const brood_bytes *)result)->size;
    }
    if (t->result_size <= TASK_INLINE) {
        if (t->result_size) memcpy(t->result, bytes, t->result_size);
        return 0;
    }
    brood_buffer buffer;
    void *place;
    int error = brood_buffer_new(&buffer, t->result_size, &place);
    if (error < 0) return error;
    memcpy(place, bytes, t->result_size);
    brood__pool_attach(&t->result_buffer, pool_id, buffer.id);
    return 0;
}

/* Nobody wants this task's result any more. */
static bool is_unwanted(const void *task)
{
    struct task_shm *t = (struct task_shm *)(uintptr_t)task;
    return atomic_load_explicit(&t->cancelled, memory_order_relaxed) ||
           TASK_STATE(atomic_load_explicit(&t->word, memory_order_relaxed)) != TASK_RUNNING || brood__post_over();
}

/* The task said that it can't: on its own account, or because it was told to stop. */
static void failed(struct task_shm *t, const struct call *call)
{
    t->code = BROOD_EFAILED;
    t->reason = BROOD_REASON_ERROR;
    t->fail = call->fail;
    memcpy(t->result, call->text, sizeof call->text);
    if (atomic_load(&t->cancelled) || brood__post_over()) {
        t->code = BROOD_ECANCELED;
        t->reason = BROOD_REASON_CANCELLED;
    } else if (call->stop_at != OS_NEVER && brood__os_now() >= call->stop_at) {
        t->code = BROOD_EDEADLINE;
        t->reason = BROOD_REASON_SOFT_DEADLINE;
    }
}

static void begin_call(struct call *call, const struct task_shm *t)
{
    brood__call_begin(call);
    call->unwanted = is_unwanted;
    call->of = t;
    call->seed = t->seed;
}

/* Some items of a stream, `quota` at most (0: all). */
static void run_items(struct task_shm *t, const brood_task *task, uint32_t quota)
{
    char *args = argument_of(t), *results = args + t->items * task->arg_size;
    uint32_t i = 0, end = quota && quota < t->items ? quota : t->items;
    struct call call;
    _Atomic uint64_t item = 1;
    begin_call(&call, t);
    call.item = &item;
    while (i < end && !is_unwanted(t)) {
        /* What a death finds: item has begun.  A plain store: the reader looks when we are dead. */
        atomic_store_explicit(&t->running, i + 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        atomic_store_explicit(&item, i + 1, memory_order_relaxed);
        task->call(args + i * task->arg_size, results + i * task->result_size);
        if (call.fail) break;
        if (call.blocks) brood__call_next(&call);
        i++;
    }
    t->ran = i;
    if (call.fail) failed(t, &call);
    brood__call_end(&call);
}

static void run(struct task_shm *t, uint64_t pool_id, uint32_t quota)
{
    const brood_task *task;
    char small[256];
    t->pid = brood__me()->pid;
    t->code = brood__function_find(t->function, &task);
    if (t->code < 0) {
        t->reason = BROOD_REASON_ERROR;
        return;
    }
    if (atomic_load(&t->cancelled)) { /* after due was set: it is seen here, or its due comes after ours */
        t->code = BROOD_ECANCELED;
        t->reason = BROOD_REASON_CANCELLED;
        return;
    }
    if (t->items) {
        run_items(t, task, quota);
        return;
    }
    const void *arg = argument_of(t);
    brood_bytes bytes = {arg, (size_t)t->arg_size};
    void *result = task->result_size <= sizeof small ? small : malloc(task->result_size);
    if (!result) {
        t->code = BROOD_ENOMEM;
        t->reason = BROOD_REASON_ERROR;
        return;
    }
    struct call call;
    begin_call(&call, t);
    if (t->soft) call.stop_at = brood__os_deadline((int)t->soft);
    task->call(task->flags & BROOD_TASK_ARG_BYTES ? (const void *)&bytes : arg, result);
    if (call.fail) {
        failed(t, &call);
    } else {
        t->code = keep_result(t, pool_id, task, result);
        if (t->code < 0) t->reason = BROOD_REASON_ERROR;
    }
    brood__call_end(&call);
    if (result != small) free(result);
}

/* Nobody could have ended it in time, so it was not begun. */
static void run_late(struct task_shm *t)
{
    t->code = BROOD_EDEADLINE; /* of no process */
    t->reason = BROOD_REASON_DEADLINE;
}

/* The deadline was first: what is meant for us must not hit another task. */
static _Noreturn void end_late(void)
{
    atomic_store(&brood__me()->oom, OOM_NO); /* this is not the kernel's */
    for (;;) raise(SIGKILL);
}

/* Nobody waits; unless it is doomed at this moment. */
static void finish_orphan(struct task_shm *t, uint64_t seen)
{
    if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) end_late();
    release(t);
}

uint32_t brood__task_run(struct pool_shm *pool, uint64_t pool_id, uint32_t slot, uint32_t quota)
{
    struct task_shm *t = brood__pool_task(pool, slot);
    uint64_t running = atomic_load_explicit(&t->word, memory_order_relaxed);
    if (TASK_STATE(running) != TASK_RUNNING) { /* given up before it began */
        release(t);
        return 1;
    }
    uint64_t due = t->deadline ? (uint64_t)brood__os_deadline((int)t->deadline) : 0;
    atomic_store(&t->due, due);
    _Atomic uint64_t *place = brood__post_task();
    /* seq_cst: published before the look at when the supervisor looks next, as it says so before it looks at us */
    atomic_store(place, FUTURE(slot, TASK_SERIAL(running)));
    brood__crash_task(t, pool_id);
    if (due && !is_kept(pool_id, due))
        run_late(t);
    else
        run(t, pool_id, quota);
    uint32_t begun = t->items ? atomic_load_explicit(&t->running, memory_order_relaxed) : 1;
    brood__crash_task(NULL, 0);
    atomic_store_explicit(place, 0, memory_order_relaxed);
    void *announced = brood__os_announce(&t->bell);
    if (task_swap(t, &running, TASK_WORD(TASK_SERIAL(running), TASK_DONE, TASK_ATTEMPT(running), 0)))
        brood__pool_answer(pool, pool_id, &t->bell);
    else if (TASK_STATE(running) == TASK_ORPHAN)
        finish_orphan(t, running);
    if (TASK_STATE(running) == TASK_KILLING || TASK_STATE(running) == TASK_DOOMED) end_late();
    brood__os_announce_again(announced);
    return begun;
}

void brood__task_vacate(struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        uint64_t seen = atomic_load(&t->word);
        while (TASK_STATE(seen) != TASK_FREE) {
            uint32_t owner = TASK_OWNER(seen);
            /* Its submitter finds the pool gone, and frees it. */
            if (TASK_STATE(seen) == TASK_FILLING && owner != brood__self->member && !brood__member_dead(owner)) break;
            if (!task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) continue;
            release(t);
            if (atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell);
            break;
        }
    }
    brood__os_futex_clear_and_wake(&pool->answers);
}

bool brood__task_queued(const struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    uint64_t bit;
    for (uint32_t i = 0; i < slots; i += 64)
        if (atomic_load_explicit(brood__pool_bits(pool, 0, i, &bit), memory_order_acquire)) return true;
    return atomic_load_explicit(&((struct pool_shm *)(uintptr_t)pool)->urgent, memory_order_acquire) != 0;
}

uint32_t brood__task_queue_length(const struct pool_shm *pool, uint32_t most)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire), n = 0;
    uint64_t bit;
    for (uint32_t p = 0; p < PRIORITIES && n < most; p++)
        for (uint32_t i = 0; i < slots && n < most; i += 64)
            n += (uint32_t)__builtin_popcountll(atomic_load(brood__pool_bits(pool, p, i, &bit)));
    return n < most ? n : most;
}

bool brood__task_any(const struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        enum task_state state = TASK_STATE(atomic_load(&brood__pool_task(pool, i)->word));
        if (state == TASK_QUEUED || state == TASK_RUNNING || state == TASK_ORPHAN || state == TASK_KILLING ||
            state == TASK_DOOMED || state == TASK_WAITING)
            return true;
    }
    return false;
}
