/* SPDX-License-Identifier: MIT */
/*
 * task_run.c - the worker's side of tasks: find one, claim it, run it, answer; see pool/pool.h.
 * Thread-safe; not async-signal-safe.
 */
#include "call/buffer.h"
#include "call/call.h"
#include "call/error.h"
#include "pool/crash.h"
#include "pool/task.h"
#include "pool/threads.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

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
    _Atomic uint64_t *bits = brood__pool_bits(pool, priority, first, NULL);
    uint64_t hints;
    while ((hints = atomic_load_explicit(bits, memory_order_acquire)) != 0) {
        uint32_t slot = first + (uint32_t)__builtin_ctzll(hints);
        struct task_shm *t = brood__pool_task(pool, slot);
        bool mine = claim(t);
        /* Take the hint away; if the task is queued again meanwhile, put it back. */
        atomic_fetch_and_explicit(bits, ~HINT_BIT(slot), memory_order_seq_cst);
        if (mine) return slot;
        if (TASK_STATE(atomic_load(&t->word)) == TASK_QUEUED)
            atomic_fetch_or_explicit(bits, HINT_BIT(slot), memory_order_seq_cst);
    }
    return -1;
}

/* The first slot of the next word that has hints, of those for the slots [from, to); to: none.  Both multiples of 64. */
static uint32_t next_hints(const struct pool_shm *pool, uint32_t priority, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t words;
        const _Atomic uint64_t *bits = brood__pool_bits(pool, priority, from, &words);
        for (const _Atomic uint64_t *end = bits + words; bits < end && from < to; bits++, from += 64)
            if (atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)bits, memory_order_acquire)) return from;
    }
    return to;
}

static int64_t claim_between(struct pool_shm *pool, uint32_t priority, uint32_t from, uint32_t to)
{
    int64_t slot = -1;
    while (slot < 0 && (from = next_hints(pool, priority, from, to)) < to) {
        slot = claim_in(pool, priority, from);
        from += 64;
    }
    return slot;
}

static int64_t claim_of(struct pool_shm *pool, uint32_t priority, _Atomic uint32_t *at)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    uint32_t start = atomic_load_explicit(at, memory_order_relaxed) & ~63u;
    if (start >= slots) start = 0;
    int64_t slot = claim_between(pool, priority, start, slots);
    if (slot < 0) slot = claim_between(pool, priority, 0, start);
    /* Only its word matters; who writes the line takes it from the other workers. */
    if (slot >= 0 && ((uint32_t)slot & ~63u) != start) atomic_store_explicit(at, (uint32_t)slot, memory_order_relaxed);
    return slot;
}

/* Whether there is a hint for this priority. */
static bool is_hinted(const struct pool_shm *pool, uint32_t priority)
{
    uint32_t slots = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->slots);
    return next_hints(pool, priority, 0, slots) < slots;
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
        /* seq_cst, and before the look, which is but acquire: of one who sets a hint and then finds this bit set, and of
           us, one sees the other. */
        atomic_fetch_and(&pool->urgent, ~(1u << priority));
        atomic_thread_fence(memory_order_seq_cst);
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
        if (t->result_size) memcpy(task_result(t), bytes, t->result_size);
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
    memcpy(task_result(t), call->text, sizeof call->text);
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
    char *args = task_argument(t), *results = args + t->items * task->arg_size;
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
    const void *arg = task_argument(t);
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

/* As often as it takes, on the task's own time.  false: that is over. */
static bool is_kept(uint64_t pool_id, uint64_t due)
{
    while (brood__task_ask_for(pool_id, due) < 0) {
        brood__say_nothing();
        if (brood__os_now() >= (int64_t)due) return false;
        brood__os_nap(1000 * 1000);
    }
    return true;
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
    brood__task_release(t);
}

uint32_t brood__task_run(struct pool_shm *pool, uint64_t pool_id, uint32_t slot, uint32_t quota)
{
    struct task_shm *t = brood__pool_task(pool, slot);
    uint64_t running = atomic_load_explicit(&t->word, memory_order_relaxed);
    if (TASK_STATE(running) != TASK_RUNNING) { /* given up before it began */
        brood__task_release(t);
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
            brood__task_release(t);
            if (atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell);
            break;
        }
    }
    brood__os_futex_clear_and_wake(&pool->answers);
}

bool brood__task_queued(const struct pool_shm *pool)
{
    return is_hinted(pool, 0) ||
           atomic_load_explicit(&((struct pool_shm *)(uintptr_t)pool)->urgent, memory_order_acquire) != 0;
}

uint32_t brood__task_queue_length(const struct pool_shm *pool, uint32_t most)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire), n = 0;
    for (uint32_t p = 0; p < PRIORITIES && n < most; p++)
        for (uint32_t i = 0; i < slots && n < most; i += 64)
            n += (uint32_t)__builtin_popcountll(atomic_load(brood__pool_bits(pool, p, i, NULL)));
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
