/* SPDX-License-Identifier: MIT */
/*
 * future.c - the submitter's side of a task that is submitted: wait, look, cancel, give back; see pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "call/call.h"
#include "call/error.h"
#include "pool/answers.h"
#include "pool/nest.h"
#include "pool/task.h"
#include "pool/threads.h"

#include <string.h>

#define A_SECOND 1000u

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
        memcpy(outcome->text, task_result(t), BROOD_FAIL_TEXT);
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
        brood__fail_with(code, "%s (%d)", task_result(t), t->fail);
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
    result->data = task_result(t);
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
    return task_argument(t);
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
            brood__task_release(t);
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
    if (atomic_load(&pool->least_deadline) == 0) brood__task_note_deadline(pool, A_SECOND);
    return brood__task_ask_for(future.pool, due);
}

int brood_pool_apply_task(brood_pool pool, const brood_task *task, const void *arg, void *result,
                          const brood_apply_options *options)
{
    static const brood_apply_options none;
    const brood_apply_options *o = options ? options : &none;
    int timeout = o->timeout ? o->timeout : BROOD_FOREVER;
    int error = brood__enter_for(timeout);
    if (error == 0) error = brood__task_check(task, arg, &o->submit);
    if (error == 0 && o->submit.callback)
        error = brood__fail_with(BROOD_EINVAL, "apply has its answer when it returns: a callback has none to wait for");
    if (error < 0) return error;
    if (result && task->flags & BROOD_TASK_RESULT_BYTES)
        return brood__fail_with(BROOD_EINVAL, "%s: apply keeps no brood_bytes, see brood_pool_submit", task->name);
    brood_future future = {0, 0};
    error = brood__task_submit(pool, &future, &(struct submission){.task = task, .arg = arg, .options = &o->submit});
    if (error < 0) return error;
    error = get_exactly(future, result, task->result_size, timeout, o->outcome);
    give_back(future);
    return error;
}
