/* SPDX-License-Identifier: MIT */
/* nest.c - workers that stand in for those whose tasks wait; see pool/nest.h.  Thread-safe; not async-signal-safe. */
#include "pool/nest.h"

#include "call/call.h"
#include "pool/map.h"
#include "pool/task.h"
#include "pool/threads.h"
#include "process/supervisor.h"

/* ------------------------------------------------------------------------------------------------ in the waiting task */

/* The seat of this thread, if it runs a task of a pool. */
static void sit(struct nest *nest)
{
    struct member_shm *me = brood__self->member ? brood__me() : NULL;
    const struct post *post = brood__post_here();
    int error;
    if (post && brood__call_running()) {
        nest->pool = post->pool;
        nest->seat = post->seat;
    }
    if (post) return;
    if (!me || me->role != ROLE_WORKER || !brood__call_running()) return;
    struct pool_shm *pool = brood__pool_find(me->pool, &error);
    if (!pool || me->seat >= pool->seat_room) return;
    nest->pool = pool;
    nest->seat = brood__pool_seat(pool, me->seat);
}

void brood__nest_ask(struct pool_shm *pool)
{
    uint32_t wanted = HELP_WANTED;
    if (brood__self->supervisor || !atomic_compare_exchange_strong(&pool->help, &wanted, HELP_ASKED)) return;
    struct request request = {.kind = REQUEST_POOL, .object = brood__pool_id(pool)};
    if (brood__supervisor_request(&request, NULL, 0) >= 0) return;
    brood__say_nothing(); /* the call goes on; another asks */
    atomic_store(&pool->help, HELP_WANTED);
}

/* Whether what this seat waits for is an answer of this pool that is still to come. */
static bool waits_in_vain(struct pool_shm *pool, uint64_t what)
{
    if (what == 0 || what == WAITS_ELSEWHERE || what == WAITS_PARKED) return false;
    if (what & WAITS_MAP) {
        uint32_t index = (uint32_t)(what >> 32 & 0x7fffffff) - 1;
        if (index >= JOBS) return false;
        struct job_shm *job = brood__pool_job(pool, index);
        uint64_t word = atomic_load(&job->word);
        /* Who finishes the last chunk says so in `done` before it waits for anything itself. */
        return JOB_SERIAL(word) == (uint32_t)what && JOB_STATE(word) == JOB_ACTIVE &&
               atomic_load(&job->done) < job->chunk_count;
    }
    if (FUTURE_SLOT(what) >= atomic_load(&pool->slots)) return false;
    uint64_t word = atomic_load(&brood__pool_task(pool, FUTURE_SLOT(what))->word);
    if (TASK_SERIAL(word) != FUTURE_SERIAL(what)) return false;
    return TASK_STATE(word) == TASK_QUEUED || TASK_STATE(word) == TASK_RUNNING || TASK_STATE(word) == TASK_WAITING;
}

static bool nobody_goes_on(struct pool_shm *pool)
{
    if (atomic_load(&pool->seats) < pool->most_seats) return false;
    for (uint32_t i = 0; i < pool->most_seats; i++) {
        struct seat_shm *seat = brood__pool_seat(pool, i);
        uint32_t member = atomic_load(&seat->member);
        if (!member || brood__member_dead(member) || !waits_in_vain(pool, atomic_load(&seat->waits))) return false;
    }
    return true;
}

/* Of those who find at once that nobody goes on, one does, for they take turns: the one that is told. */
static bool is_told(struct nest *nest)
{
    if (!nobody_goes_on(nest->pool)) return false;
    struct latch_shm *verdict = &brood__arena()->verdict;
    void *announced = brood__os_announce(verdict);
    bool told = false;
    if (brood__latch_acquire(&verdict->word) != LATCH_MINE) {
        told = nobody_goes_on(nest->pool);
        if (told) atomic_store(&nest->seat->waits, WAITS_ELSEWHERE);
        brood__latch_release(&verdict->word, 0);
    }
    brood__os_announce_again(announced);
    return told;
}

int brood__nest_wait(struct nest *nest, uint64_t pool_id, uint64_t what)
{
    if (!nest->seat) sit(nest);
    if (!nest->seat) return 0;
    bool own = pool_id == (brood__post_here() ? brood__post.pool_id : brood__me()->pool);
    atomic_store(&nest->seat->waits, own ? what : WAITS_ELSEWHERE);
    brood__nest_unpark(nest->pool);
    if (brood__post_here()) {
        brood__threads_stand_in(nest->pool);
        return own && is_told(nest) ? BROOD_EDEADLK : 0;
    }
    uint32_t none = HELP_NONE;
    atomic_compare_exchange_strong(&nest->pool->help, &none, HELP_WANTED);
    atomic_thread_fence(
        memory_order_seq_cst); /* marked before the look for work; pairs with that in brood__pool_wake */
    if (brood__task_queued(nest->pool) || brood__map_active(nest->pool)) brood__nest_ask(nest->pool);
    return own && is_told(nest) ? BROOD_EDEADLK : 0;
}

void brood__nest_end(struct nest *nest)
{
    if (nest->seat) atomic_store(&nest->seat->waits, 0);
}

/* ----------------------------------------------------------------------------------------------- in those who stand in */

/* What those in the seats do at this moment; seq_cst. */
struct count {
    uint32_t work, begin, wait, parked;
};
static struct count count(struct pool_shm *pool)
{
    uint32_t seats = atomic_load(&pool->seats);
    struct count n = {0};
    for (uint32_t i = 0; i < seats && i < pool->seat_room; i++) {
        struct seat_shm *seat = brood__pool_seat(pool, i);
        if (!atomic_load(&seat->member)) continue;
        uint64_t waits = atomic_load(&seat->waits);
        uint32_t *what = waits == WAITS_PARKED                        ? &n.parked
                         : waits                                      ? &n.wait
                         : atomic_load(&seat->items) == SEAT_STARTING ? &n.begin
                                                                      : &n.work;
        ++*what;
    }
    return n;
}

/* How many are at work, or on their way to it. */
static uint32_t at_work(struct pool_shm *pool)
{
    struct count n = count(pool);
    return n.work + n.begin;
}

bool brood__nest_short(struct pool_shm *pool)
{
    return at_work(pool) < pool->workers;
}

bool brood__nest_many(struct pool_shm *pool)
{
    return at_work(pool) > pool->workers;
}

bool brood__nest_spare_over(struct pool_shm *pool)
{
    return count(pool).work > pool->workers;
}

bool brood__nest_spare_missed(struct pool_shm *pool)
{
    return count(pool).work < pool->workers;
}

bool brood__nest_over(struct pool_shm *pool, uint32_t seat, int64_t *since)
{
    if (seat < pool->workers) return false;
    if (!brood__nest_many(pool)) {
        *since = 0;
        return false;
    }
    int64_t now = brood__os_now();
    if (*since == 0) *since = now;
    return now - *since >= (int64_t)NEST_LINGER_MS * 1000000;
}

/* -------------------------------------------------------------------------------------------------- in the supervisor */

void brood__nest_manage(struct pool_shm *pool, bool (*start)(struct pool_shm *pool, uint32_t seat, void *of), void *of)
{
    if (atomic_exchange(&pool->help, HELP_NONE) == HELP_NONE) return; /* seq_cst, before the count */
    struct count now = count(pool);
    uint32_t working = now.work + now.begin, seat = pool->workers + pool->spares;
    if (now.wait == 0 || working >= pool->workers) return;
    atomic_store(&pool->help, HELP_WANTED);
    atomic_thread_fence(memory_order_seq_cst); /* as in brood__nest_wait */
    working += now.parked;                     /* they have been rung */
    if (working >= pool->workers) return;
    uint32_t wanted = pool->workers - working, queued = brood__task_queue_length(pool, wanted);
    if (queued < wanted && brood__map_ready(pool, brood__pool_seat(pool, pool->seat_room))) queued = wanted;
    for (; queued > 0 && seat < pool->most_seats && seat < pool->seat_room; seat++) {
        if (atomic_load(&brood__pool_seat(pool, seat)->member)) continue;
        if (seat >= atomic_load(&pool->seats)) atomic_store(&pool->seats, seat + 1);
        if (!start(pool, seat, of)) return;
        queued--;
    }
}
