/* SPDX-License-Identifier: MIT */
/*
 * task.c - submitted tasks: the slots, the submitter's side and the worker's; the protocol is in pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "call/buffer.h"
#include "call/call.h"
#include "call/error.h"
#include "pool/pool.h"
#include "sync/bell.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A future's serial: slot + 1 | serial:32; 0 is none. */
#define FUTURE(slot, serial) (((uint64_t)(slot) + 1) << 32 | (uint64_t)(serial))
#define FUTURE_SLOT(serial) ((uint32_t)((serial) >> 32) - 1u)
#define FUTURE_SERIAL(serial) ((uint32_t)(serial))

static bool swap(struct task_shm *t, uint64_t *seen, uint64_t to)
{
    /* acq_rel: each holder sees what the one before wrote, and shows the next what it wrote. */
    return atomic_compare_exchange_strong_explicit(&t->word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

static bool step(struct task_shm *t, uint64_t seen, enum task_state state, uint32_t owner)
{
    return swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), state, TASK_ATTEMPT(seen), owner));
}

/* Free a slot whose holder we are (FILLING, DONE→, ORPHAN, GARBAGE by swap to FILLING): buffers, then the next serial. */
static void release(struct task_shm *t)
{
    brood__pool_drop(&t->arg_buffer);
    brood__pool_drop(&t->result_buffer);
    uint32_t serial = TASK_SERIAL(atomic_load_explicit(&t->word, memory_order_relaxed));
    if (serial == UINT32_MAX) return; /* used up: it stays as it is */
    atomic_store_explicit(&t->word, TASK_WORD(serial + 1, TASK_FREE, 0, 0), memory_order_release);
}

static void hint(struct pool_shm *pool, uint32_t slot)
{
    uint64_t bit;
    _Atomic uint64_t *bits = brood__pool_bits(pool, slot, &bit);
    atomic_fetch_or_explicit(bits, bit, memory_order_seq_cst);
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
            error = brood_buffer_new(&buffer, count / 8 + (size_t)count * sizeof(struct task_shm), &memory);
            if (error == 0) {
                memset(memory, 0, count / 8 + (size_t)count * sizeof(struct task_shm));
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
    if (!swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) return false;
    if (state == TASK_GARBAGE) {
        brood__pool_drop(&t->arg_buffer);
        brood__pool_drop(&t->result_buffer);
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

static int fill(struct task_shm *t, uint64_t pool_id, const brood_task *task, const void *arg)
{
    const void *bytes = arg;
    t->arg_size = task->arg_size;
    if (task->flags & BROOD_TASK_ARG_BYTES) {
        bytes = ((const brood_bytes *)arg)->data;
        t->arg_size = ((const brood_bytes *)arg)->size;
    }
    t->submitter = brood__self->member;
    t->result_size = 0;
    t->code = t->fail = t->signal = t->status = t->pid = 0;
    if (t->arg_size <= TASK_INLINE) {
        if (t->arg_size) memcpy(t->arg, bytes, t->arg_size);
        return 0;
    }
    brood_buffer buffer;
    void *place;
    int error = brood_buffer_new(&buffer, t->arg_size, &place);
    if (error < 0) return error;
    memcpy(place, bytes, t->arg_size);
    brood__pool_attach(&t->arg_buffer, pool_id, buffer.id);
    return 0;
}

int brood_pool_submit_task(brood_pool pool, brood_future *future, const brood_task *task, const void *arg)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!task || task->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (task->arg_size && !arg) return BROOD_EINVAL;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    error = brood__pool_usable(p);
    function_ref function = 0;
    if (error == 0) error = brood__function_ref(task, &function);
    uint32_t slot = 0;
    if (error == 0) error = allocate(p, pool.id, &slot);
    if (error < 0) return error;
    struct task_shm *t = brood__pool_task(p, slot);
    t->function = function;
    error = fill(t, pool.id, task, arg);
    if (error < 0) {
        release(t);
        return error;
    }
    uint64_t filling = atomic_load_explicit(&t->word, memory_order_relaxed);
    *future = (brood_future){pool.id, FUTURE(slot, TASK_SERIAL(filling))};
    void *announced = brood__os_announce(&p->idle);
    step(t, filling, TASK_QUEUED, 0); /* the commit; only the supervisor could have taken it from us, and we live */
    hint(p, slot);
    brood__pool_wake(p, 1);
    brood__os_announce(announced);
    /* Closed, or freed, since we looked: its workers may have left.  seq_cst: of us and of one who leaves, one sees. */
    atomic_thread_fence(memory_order_seq_cst);
    bool there = brood__slot_is(&p->slot, pool.id);
    if (__builtin_expect(there && atomic_load(&p->state) == POOL_OPEN, 1)) return 0;
    uint64_t queued = TASK_WORD(TASK_SERIAL(filling), TASK_QUEUED, 0, 0);
    if (!swap(t, &queued, filling)) return 0; /* a worker has it all the same, or it is resolved */
    release(t);
    return there ? BROOD_ECLOSED : brood__slot_gone(TABLE_POOL, pool.id);
}

/* --------------------------------------------------------------------------------------------------------- answers */

static int find(brood_future future, struct pool_shm **pool, struct task_shm **task)
{
    int error = brood__enter();
    if (error < 0) return error;
    *pool = brood__pool_find(future.pool, &error);
    if (!*pool) return error < 0 ? error : BROOD_ESTALE;
    uint32_t slot = FUTURE_SLOT(future.serial);
    if (slot >= atomic_load_explicit(&(*pool)->slots, memory_order_acquire)) return BROOD_ESTALE;
    *task = brood__pool_task(*pool, slot);
    return 0;
}

/* 1: answered, 0: not yet, BROOD_ESTALE. */
static int answered(const struct task_shm *t, brood_future future)
{
    uint64_t word = atomic_load_explicit(&((struct task_shm *)(uintptr_t)t)->word, memory_order_acquire);
    if (TASK_SERIAL(word) != FUTURE_SERIAL(future.serial)) return BROOD_ESTALE;
    switch (TASK_STATE(word)) {
    case TASK_QUEUED:
    case TASK_RUNNING: return 0;
    case TASK_DONE: return 1;
    default: return BROOD_ESTALE;
    }
}

int brood_future_done(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = find(future, &pool, &t);
    return error < 0 || !t ? error : answered(t, future);
}

/* Why the pool can't answer any more, although it has not. */
static int hopeless(struct pool_shm *pool)
{
    int broken = atomic_load(&pool->broken);
    return broken ? brood__fail_with(broken, "%s", pool->broken_detail) : 0;
}

static int wait_for(struct pool_shm *pool, struct task_shm *t, brood_future future, int timeout)
{
    int64_t deadline = brood__os_deadline(timeout);
    void *announced = brood__os_announce(&t->bell);
    int result;
    bool late = false;
    for (unsigned n = 0;;) {
        result = answered(t, future);
        if (result == 0) result = hopeless(pool);
        if (result != 0 || late || timeout == 0) break;
        if (n < SPIN_BEFORE_SLEEP) {
            brood__relax(n++);
            continue;
        }
        atomic_exchange(&t->bell,
                        OS_WAITERS); /* seq_cst: armed before the look; pairs with the worker's DONE before its look */
        result = answered(t, future);
        if (result == 0) result = hopeless(pool);
        if (result != 0) break;
        late = brood__sleep(&t->bell, OS_WAITERS, deadline, future.pool) < 0;
    }
    if (result != 0 && atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell); /* for the others, see join.c */
    brood__os_announce(announced);
    if (result == 0) brood__look_up();
    return result == 0 ? brood__not_now(timeout) : result < 0 ? result : 0;
}

static void describe(const struct task_shm *t, brood_future future, brood_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->code = t->code;
    outcome->fail = t->fail;
    outcome->signal = t->signal;
    outcome->status = t->status;
    outcome->pid = t->pid;
    outcome->attempt = TASK_ATTEMPT(atomic_load(&((struct task_shm *)(uintptr_t)t)->word));
    outcome->id = future.serial;
    if (t->code == BROOD_EFAILED) memcpy(outcome->text, t->result, BROOD_FAIL_TEXT);
}

static int get(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = find(future, &pool, &t);
    if (error < 0 || !t) return error;
    error = wait_for(pool, t, future, timeout);
    if (error == BROOD_EAGAIN && atomic_load(&pool->polled)) { /* as a queue: quiet the bell, arm, look once more */
        brood__bell_arm(future.pool);
        error = wait_for(pool, t, future, 0);
    }
    if (error < 0) return error;
    if (outcome) describe(t, future, outcome);
    if (t->code < 0) {
        if (t->code == atomic_load(&pool->broken)) brood__fail_with(t->code, "%s", pool->broken_detail);
        if (t->code == BROOD_EFAILED) brood__fail_with(t->code, "%s (%d)", t->result, t->fail);
        if (t->code == BROOD_ELOST && t->signal)
            brood__fail_with(t->code, "the worker (pid %d) was ended by signal %d (%s)", t->pid, t->signal,
                             strsignal(t->signal));
        else if (t->code == BROOD_ELOST)
            brood__fail_with(t->code, "the worker (pid %d) exited with code %d", t->pid, t->status);
        return t->code;
    }
    result->size = t->result_size;
    result->data = t->result;
    if (t->result_buffer) result->data = brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(t->result_buffer))->body);
    return 0;
}

int brood_future_bytes(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    return get(future, result, timeout, outcome);
}

int brood_future_get(brood_future future, void *result, int timeout, brood_outcome *outcome)
{
    brood_bytes bytes = {NULL, 0};
    int error = get(future, &bytes, timeout, outcome);
    if (error == 0 && result && bytes.size) memcpy(result, bytes.data, bytes.size);
    return error;
}

int brood_future_free(brood_future future)
{
    struct pool_shm *pool = NULL;
    struct task_shm *t = NULL;
    int error = find(future, &pool, &t);
    if (error < 0) return error;
    uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
    for (;;) {
        if (TASK_SERIAL(seen) != FUTURE_SERIAL(future.serial)) return BROOD_ESTALE;
        switch (TASK_STATE(seen)) {
        case TASK_QUEUED:
        case TASK_DONE:
            if (!swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) continue;
            release(t);
            return 0;
        case TASK_RUNNING:
            if (!swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_ORPHAN, TASK_ATTEMPT(seen), TASK_OWNER(seen))))
                continue;
            return 0;
        default: return BROOD_ESTALE;
        }
    }
}

int brood_pool_apply_task(brood_pool pool, const brood_task *task, const void *arg, void *result, int timeout,
                          brood_outcome *outcome)
{
    brood_future future = {0, 0};
    int error = brood_pool_submit_task(pool, &future, task, arg);
    if (error < 0) return error;
    error = brood_future_get(future, task->flags & BROOD_TASK_RESULT_BYTES ? NULL : result, timeout, outcome);
    brood_future_free(future);
    return error;
}

/* ------------------------------------------------------------------------------------------------ the worker's side */

static bool claim(struct task_shm *t)
{
    uint64_t seen = atomic_load_explicit(&t->word, memory_order_relaxed);
    if (TASK_STATE(seen) != TASK_QUEUED) return false;
    uint32_t attempt = TASK_ATTEMPT(seen) + 1;
    return swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_RUNNING, attempt & 0xff, brood__self->member));
}

/* One word of hints: claim a task that it points to; -1: none. */
static int64_t claim_in(struct pool_shm *pool, uint32_t first)
{
    uint64_t bit;
    _Atomic uint64_t *bits = brood__pool_bits(pool, first, &bit);
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

int64_t brood__task_claim(struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire), words = slots / 64;
    if (words == 0) return -1;
    uint32_t start = atomic_load_explicit(&pool->claim_at, memory_order_relaxed) / 64;
    if (start >= words) start = 0;
    for (uint32_t n = 0, w = start; n < words; n++, w = w + 1 == words ? 0 : w + 1) {
        int64_t slot = claim_in(pool, w * 64);
        if (slot < 0) continue;
        atomic_store_explicit(&pool->claim_at, (uint32_t)slot, memory_order_relaxed);
        return slot;
    }
    return -1;
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

static void run(struct task_shm *t, uint64_t pool_id)
{
    const brood_task *task;
    char small[256];
    t->pid = brood__me()->pid;
    t->code = brood__function_find(t->function, &task);
    if (t->code < 0) return;
    const void *arg = t->arg;
    if (t->arg_buffer) arg = brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(t->arg_buffer))->body);
    brood_bytes bytes = {arg, (size_t)t->arg_size};
    void *result = task->result_size <= sizeof small ? small : malloc(task->result_size);
    if (!result) {
        t->code = BROOD_ENOMEM;
        return;
    }
    struct call call;
    brood__call_begin(&call);
    task->call(task->flags & BROOD_TASK_ARG_BYTES ? (const void *)&bytes : arg, result);
    if (call.fail) {
        t->code = BROOD_EFAILED;
        t->fail = call.fail;
        memcpy(t->result, call.text, sizeof call.text);
    } else {
        t->code = keep_result(t, pool_id, task, result);
    }
    brood__call_end(&call);
    if (result != small) free(result);
}

void brood__task_run(struct pool_shm *pool, uint64_t pool_id, uint32_t slot)
{
    struct task_shm *t = brood__pool_task(pool, slot);
    uint64_t running = atomic_load_explicit(&t->word, memory_order_relaxed);
    if (TASK_STATE(running) != TASK_RUNNING) { /* given up before it began */
        release(t);
        return;
    }
    atomic_store_explicit(&brood__me()->task, FUTURE(slot, TASK_SERIAL(running)), memory_order_relaxed);
    run(t, pool_id);
    atomic_store_explicit(&brood__me()->task, 0, memory_order_relaxed);
    void *announced = brood__os_announce(&t->bell);
    if (step(t, running, TASK_DONE, 0))
        brood__pool_answer(pool, pool_id, &t->bell);
    else
        release(t); /* ORPHAN: nobody waits */
    brood__os_announce(announced);
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
            if (!swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_FILLING, 0, brood__self->member))) continue;
            release(t);
            if (atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell);
            break;
        }
    }
}

bool brood__task_queued(const struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    uint64_t bit;
    for (uint32_t i = 0; i < slots; i += 64)
        if (atomic_load_explicit(brood__pool_bits(pool, i, &bit), memory_order_acquire)) return true;
    return false;
}

bool brood__task_any(const struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        enum task_state state = TASK_STATE(atomic_load(&brood__pool_task(pool, i)->word));
        if (state == TASK_QUEUED || state == TASK_RUNNING || state == TASK_ORPHAN) return true;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------------------- after a death */

static void lose(struct pool_shm *pool, uint64_t pool_id, struct task_shm *t, uint64_t seen, const struct death *death)
{
    /* Nobody else writes these now: the worker is dead, and readers wait for DONE. */
    t->code = death->code;
    t->signal = death->signal;
    t->status = death->status;
    t->pid = death->pid;
    if (swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_DONE, TASK_ATTEMPT(seen), 0)))
        brood__pool_answer(pool, pool_id, &t->bell);
    else if (TASK_STATE(seen) == TASK_ORPHAN)
        step(t, seen, TASK_GARBAGE, 0);
}

void brood__task_repair(struct pool_shm *pool, uint64_t pool_id, uint32_t dead)
{
    struct death death;
    brood__pool_death(pool, dead, &death);
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
        enum task_state state = TASK_STATE(seen);
        if (state == TASK_FILLING && TASK_OWNER(seen) == dead) step(t, seen, TASK_GARBAGE, 0);
        if (state == TASK_ORPHAN && TASK_OWNER(seen) == dead) step(t, seen, TASK_GARBAGE, 0);
        if (state == TASK_RUNNING && TASK_OWNER(seen) == dead) lose(pool, pool_id, t, seen, &death);
        seen = atomic_load_explicit(&t->word, memory_order_acquire);
        state = TASK_STATE(seen);
        if (t->submitter != dead) continue;
        if (state == TASK_QUEUED || state == TASK_DONE) {
            if (!step(t, seen, TASK_GARBAGE, 0)) i--; /* claimed at this moment: look again */
        } else if (state == TASK_RUNNING) {
            if (!step(t, seen, TASK_ORPHAN, TASK_OWNER(seen))) i--;
        }
    }
    /* A submitter that died between the swap to QUEUED and the hint; of any submitter, since it costs little. */
    for (uint32_t i = 0; i < slots; i++)
        if (TASK_STATE(atomic_load(&brood__pool_task(pool, i)->word)) == TASK_QUEUED) hint(pool, i);
}

void brood__task_cancel_all(struct pool_shm *pool, uint64_t pool_id, int code)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
        /* RUNNING by nobody for a moment, so that the outcome is there before DONE; a supervisor that dies in it leaves
           it so for the next. */
        bool ours = TASK_STATE(seen) == TASK_RUNNING && TASK_OWNER(seen) == 0;
        uint64_t mine = TASK_WORD(TASK_SERIAL(seen), TASK_RUNNING, TASK_ATTEMPT(seen), 0);
        if (!ours && (TASK_STATE(seen) != TASK_QUEUED || !swap(t, &seen, mine))) continue;
        t->code = code;
        if (step(t, mine, TASK_DONE, 0)) brood__pool_answer(pool, pool_id, &t->bell);
    }
}
