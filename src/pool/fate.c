/* SPDX-License-Identifier: MIT */
/*
 * fate.c - what becomes of tasks that do not come to their end by themselves: their worker or submitter dies, their
 * deadline is over, they run again, they are cancelled.  By the supervisor, but for brood__task_cancel; each function
 * can be interrupted at any instruction and called again.
 */
#include "pool/task.h"

#include <stdio.h>
#include <string.h>

bool brood__task_cancel(struct pool_shm *pool, uint64_t pool_id, struct task_shm *t, uint64_t seen,
                        enum brood_reason reason)
{
    if (TASK_STATE(seen) != TASK_QUEUED && TASK_STATE(seen) != TASK_WAITING) return false;
    void *announced = brood__os_announce(&t->bell); /* before the swap: who dies after it has woken somebody */
    bool ours = task_step(t, seen, TASK_CANCELLED, (uint32_t)reason);
    if (ours) brood__pool_answer(pool, pool_id, &t->bell);
    brood__os_announce_again(announced);
    return ours;
}

const char *brood_reason_name(brood_reason reason)
{
    static const char *const names[] = {
        [BROOD_REASON_RESULT] = "result",
        [BROOD_REASON_ERROR] = "error",
        [BROOD_REASON_SIGNAL] = "signal",
        [BROOD_REASON_EXIT] = "exit",
        [BROOD_REASON_UNKNOWN] = "unknown",
        [BROOD_REASON_SOFT_DEADLINE] = "soft deadline",
        [BROOD_REASON_DEADLINE] = "deadline",
        [BROOD_REASON_MEMORY] = "out of memory",
        [BROOD_REASON_CANCELLED] = "cancelled",
        [BROOD_REASON_OWNER_GONE] = "owner gone",
        [BROOD_REASON_START_FAILED] = "start failed",
        [BROOD_REASON_QUARANTINED] = "quarantined",
    };
    return (unsigned)reason < sizeof names / sizeof *names ? names[reason] : "unknown";
}

/* ---------------------------------------------------------------------------------------------------- after a death */

void brood__pool_tell_death(char text[BROOD_FAIL_TEXT], enum brood_reason reason, int signal, int status)
{
    const char *name = signal ? sigdescr_np(signal) : NULL;
    if (signal)
        snprintf(text, BROOD_FAIL_TEXT, "killed by signal %d (%s)%s", signal, name ? name : "not known",
                 reason == BROOD_REASON_MEMORY ? ", for want of memory" : "");
    else if (reason == BROOD_REASON_UNKNOWN)
        snprintf(text, BROOD_FAIL_TEXT, "ended, and nobody could learn how");
    else
        snprintf(text, BROOD_FAIL_TEXT, "exited with code %d", status);
}

static bool may_run_again(const struct pool_shm *pool, const struct task_shm *t, uint64_t seen)
{
    return TASK_ATTEMPT(seen) <= t->retries && TASK_ATTEMPT(seen) < pool->quarantine;
}

/* After the pause: doubled with each run, at most 2^10 times. */
static bool put_off(struct pool_shm *pool, struct task_shm *t, uint64_t seen)
{
    uint32_t runs = TASK_ATTEMPT(seen) - 1;
    int64_t due = brood__os_now() + (((int64_t)t->backoff * 1000000) << (runs < 10 ? runs : 10));
    atomic_store(&t->due, (uint64_t)due);
    if (!task_step(t, seen, TASK_WAITING, 0)) return false;
    if (due < atomic_load(&pool->wait_at)) atomic_store(&pool->wait_at, due);
    return true;
}

static void lose(struct pool_shm *pool, uint64_t pool_id, struct task_shm *t, uint64_t seen, const struct death *death)
{
    bool killed = TASK_STATE(seen) == TASK_KILLING, cancelled = atomic_load(&t->cancelled) != 0;
    bool crash = death->code == BROOD_ELOST || death->code == BROOD_EOOM;
    if (crash && !killed && !cancelled && may_run_again(pool, t, seen) && put_off(pool, t, seen)) return;
    /* Nobody else writes these now: the worker is dead, and readers wait for DONE. */
    t->code = death->code;
    t->reason = (uint8_t)death->reason;
    if (killed) {
        t->code = cancelled ? BROOD_ECANCELED : BROOD_EDEADLINE;
        t->reason = cancelled ? BROOD_REASON_CANCELLED : BROOD_REASON_DEADLINE;
    } else if (crash && !cancelled && TASK_ATTEMPT(seen) <= t->retries) {
        t->reason = BROOD_REASON_QUARANTINED;
    }
    t->fail = 0; /* it may have died between that and its end */
    t->signal = death->signal;
    t->status = death->status;
    t->pid = death->pid;
    t->usage = death->usage;
    t->seat = death->seat;
    t->worker = death->worker;
    uint32_t running = atomic_load_explicit(&t->running, memory_order_relaxed);
    t->ran = running && running <= t->items ? running - 1 : 0;
    if (task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), TASK_DONE, TASK_ATTEMPT(seen), 0)))
        brood__pool_answer(pool, pool_id, &t->bell);
    else if (TASK_STATE(seen) == TASK_ORPHAN || TASK_STATE(seen) == TASK_DOOMED)
        task_step(t, seen, TASK_GARBAGE, 0);
}

static void repair_worker(struct pool_shm *pool, uint64_t pool_id, struct task_shm *t, uint64_t seen,
                          const struct death *death)
{
    switch (TASK_STATE(seen)) {
    case TASK_FILLING:
    case TASK_ORPHAN:
    case TASK_DOOMED: task_step(t, seen, TASK_GARBAGE, 0); break;
    case TASK_RUNNING:
    case TASK_KILLING: lose(pool, pool_id, t, seen, death); break;
    default: break;
    }
}

/* Nobody wants the answer; false: it changed at this moment. */
static bool repair_submitter(struct task_shm *t, uint64_t seen)
{
    switch (TASK_STATE(seen)) {
    case TASK_QUEUED:
    case TASK_WAITING:
    case TASK_CANCELLED:
    case TASK_DONE: return task_step(t, seen, TASK_GARBAGE, 0);
    case TASK_RUNNING: return task_step(t, seen, TASK_ORPHAN, TASK_OWNER(seen));
    case TASK_KILLING: return task_step(t, seen, TASK_DOOMED, TASK_OWNER(seen));
    default: return true;
    }
}

/* A hint for the priority that the slot has at this moment; if it is another's by now, that one sets its own. */
static void hint(struct pool_shm *pool, uint32_t slot)
{
    task_hint(pool, slot, brood__pool_task(pool, slot)->priority % PRIORITIES);
}

void brood__task_repair(struct pool_shm *pool, uint64_t pool_id, uint32_t dead)
{
    struct death death;
    brood__pool_death(pool, dead, &death);
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        uint64_t seen = atomic_load_explicit(&t->word, memory_order_acquire);
        if (TASK_OWNER(seen) == dead) repair_worker(pool, pool_id, t, seen, &death);
        if (t->submitter != dead) continue;
        if (!repair_submitter(t, atomic_load_explicit(&t->word, memory_order_acquire))) i--;
    }
    brood__task_hint_all(pool); /* a submitter that died between the swap to QUEUED and the hint; of any */
}

void brood__task_hint_all(struct pool_shm *pool)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++)
        if (TASK_STATE(atomic_load(&brood__pool_task(pool, i)->word)) == TASK_QUEUED) hint(pool, i);
}

void brood__task_cancel_all(struct pool_shm *pool, uint64_t pool_id, enum brood_reason reason)
{
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        brood__task_cancel(pool, pool_id, t, atomic_load_explicit(&t->word, memory_order_acquire), reason);
    }
}

/* ------------------------------------------------------------------------------------------------------------- time */

/* The task that this worker says it runs, if the slot says so too: its word; 0: none. */
static uint64_t run_by(struct pool_shm *pool, uint32_t member, struct task_shm **task)
{
    uint64_t serial = atomic_load(&brood__member_at(member)->task); /* published after `due`: see brood__task_run */
    if (FUTURE_SLOT(serial) >= atomic_load(&pool->slots)) return 0;
    *task = brood__pool_task(pool, FUTURE_SLOT(serial));
    uint64_t word = atomic_load(&(*task)->word);
    return TASK_SERIAL(word) == FUTURE_SERIAL(serial) && TASK_OWNER(word) == member ? word : 0;
}

int64_t brood__task_deadlines(struct pool_shm *pool, int64_t now, void (*kill)(uint32_t member))
{
    int64_t next = OS_NEVER, least = (int64_t)atomic_load(&pool->least_deadline) * 1000000;
    if (least == 0) return OS_NEVER;
    uint32_t seats = atomic_load(&pool->seats);
    for (uint32_t i = 0; i < seats && i < pool->seat_room; i++) {
        uint32_t member = atomic_load(&brood__pool_seat(pool, i)->member);
        struct task_shm *t;
        uint64_t word = member ? run_by(pool, member, &t) : 0;
        if (!word) continue;
        uint64_t due = atomic_load(&t->due);
        enum task_state state = TASK_STATE(word);
        bool over = due != 0 && (int64_t)due <= now;
        if (over && state == TASK_RUNNING && task_step(t, word, TASK_KILLING, member)) state = TASK_KILLING;
        if (over && state == TASK_ORPHAN && task_step(t, word, TASK_DOOMED, member)) state = TASK_DOOMED;
        if (state == TASK_KILLING || state == TASK_DOOMED)
            kill(member); /* also for a supervisor that died before it did */
        else if (due != 0 && !over && (int64_t)due < next)
            next = (int64_t)due;
    }
    /* While there are any, we are back before one that begins now can be due, so that it need not ask. */
    if (next != OS_NEVER && now + least < next) next = now + least;
    return next;
}

int64_t brood__task_requeue(struct pool_shm *pool, int64_t now, bool *some)
{
    int64_t next = OS_NEVER;
    *some = false;
    if (atomic_load(&pool->wait_at) > now) return atomic_load(&pool->wait_at);
    uint32_t slots = atomic_load_explicit(&pool->slots, memory_order_acquire);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        uint64_t word = atomic_load_explicit(&t->word, memory_order_acquire);
        if (TASK_STATE(word) != TASK_WAITING) continue;
        int64_t due = (int64_t)atomic_load(&t->due);
        if (due > now) {
            if (due < next) next = due;
        } else if (task_step(t, word, TASK_QUEUED, 0)) {
            hint(pool, i);
            *some = true;
        }
    }
    atomic_store(&pool->wait_at, next);
    return next;
}
