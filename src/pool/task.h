/* SPDX-License-Identifier: MIT */
/*
 * pool/task.h - steps of task slots that the submitter (task.c, future.c), the worker (task_run.c) and the supervisor
 * (fate.c) share; see pool/pool.h.
 */
#ifndef BROOD_POOL_TASK_H
#define BROOD_POOL_TASK_H

#include "pool/pool.h"

/* A future's serial: slot + 1 | serial:32; 0 is none.  Also what a worker publishes as member_shm.task. */
#define FUTURE(slot, serial) (((uint64_t)(slot) + 1) << 32 | (uint64_t)(serial))
#define FUTURE_SLOT(serial) ((uint32_t)((serial) >> 32) - 1u)
#define FUTURE_SERIAL(serial) ((uint32_t)(serial))

static inline bool task_swap(struct task_shm *t, uint64_t *seen, uint64_t to)
{
    /* acq_rel: each holder sees what the one before wrote, and shows the next what it wrote. */
    return atomic_compare_exchange_strong_explicit(&t->word, seen, to, memory_order_acq_rel, memory_order_acquire);
}

static inline bool task_step(struct task_shm *t, uint64_t seen, enum task_state state, uint32_t owner)
{
    return task_swap(t, &seen, TASK_WORD(TASK_SERIAL(seen), state, TASK_ATTEMPT(seen), owner));
}

/* A queued task can be found: after the swap to QUEUED. */
static inline void task_hint(struct pool_shm *pool, uint32_t slot, uint32_t priority)
{
    atomic_fetch_or_explicit(brood__pool_bits(pool, priority, slot, NULL), HINT_BIT(slot), memory_order_seq_cst);
    if (__builtin_expect(priority == 0, 1)) return;
    /* After the hint; who takes this bit away looks at the hints after that (brood__task_claim). */
    if (!(atomic_load(&pool->urgent) & 1u << priority)) atomic_fetch_or(&pool->urgent, 1u << priority);
}

/* Where its argument lies. */
static inline char *task_argument(struct task_shm *t)
{
    return t->arg_buffer ? brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(t->arg_buffer))->body) : t->inlined;
}

/* Where its result or text lies if that is inline: near a short argument, so that they share a cache line. */
static inline char *task_result(const struct task_shm *t)
{
    return (char *)(uintptr_t)t->inlined + (t->arg_size <= TASK_INLINE ? (t->arg_size + 15) / 16 * 16 : 0);
}

/* Free a slot whose holder we are (FILLING, DONE→, ORPHAN, GARBAGE by swap to FILLING): buffers, then the next serial. */
void brood__task_release(struct task_shm *t);
/* The supervisor has to know that deadlines of this length come up; the shortest counts. */
void brood__task_note_deadline(struct pool_shm *pool, uint32_t ms);
/* The supervisor is to be there when this is due.  0, or why it could not be told. */
int brood__task_ask_for(uint64_t pool_id, uint64_t due);

/* What is submitted. */
struct submission {
    const brood_task *task;
    const void *arg;
    const brood_submit_options *options;
    uint32_t
        items;     /* 0: one call; else so many, arg is as many arguments, and neither they nor the results are bytes */
    uint64_t seed; /* 0: a series of its own */
};
/* Whether these can go together.  What is behind the public calls, which have entered and checked. */
int brood__task_check(const brood_task *task, const void *arg, const brood_submit_options *options);
/* Whether this pool's workers can do as these say. */
int brood__task_suits(const struct pool_shm *pool, const brood_submit_options *options);
int brood__task_submit(brood_pool pool, brood_future *future, const struct submission *submission);
int brood__task_get(brood_future future, brood_bytes *result, int timeout, brood_outcome *outcome);
int brood__task_free(brood_future future);
int brood__task_answered(brood_future future); /* 1; 0: not yet; BROOD_ESTALE, ... */
/* Of a future with items that has an answer: its arguments, and the results behind them; *ran have one. */
char *brood__task_items(brood_future future, uint32_t *ran);

/* QUEUED or WAITING→CANCELLED for this reason; false: it is something else. */
bool brood__task_cancel(struct pool_shm *pool, uint64_t pool_id, struct task_shm *t, uint64_t seen,
                        enum brood_reason reason);

/* The task of a future that has an answer, and its outcome: 0; BROOD_EAGAIN: not yet; BROOD_ESTALE, BROOD_ENOTMEMBER. */
int brood__task_answer(brood_future future, struct pool_shm **pool, const struct task_shm **task,
                       brood_outcome *outcome);

#endif
