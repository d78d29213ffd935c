/* SPDX-License-Identifier: MIT */
/*
 * threads.c - starting, ending and counting the threads of a pool; see pool/threads.h.
 * Thread-safe; of these brood__threads_shut alone is async-signal-safe.
 */
#include "pool/threads.h"

#include "arena/visit.h"
#include "call/error.h"
#include "call/log.h"
#include "pool/nest.h"
#include "pool/own.h"
#include "pool/task.h"
#include "sync/bell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct post brood__post;

/* One thread, or the place of one that may be started. */
struct hand {
    struct crew *crew;
    pthread_t thread;
    uint32_t number;   /* of its seat */
    bool started;      /* and not joined yet */
    _Atomic bool done; /* it wants nothing of the pool, nor the lock, any more */
};

/* The threads of a pool: memory of this process, until they are joined. */
struct crew {
    struct crew *next;
    bool reaped; /* somebody joins them; others wait for that */
    struct pool_shm *pool;
    uint64_t pool_id;
    const brood_task *initializer, *exit_hook;
    void *arg;
    size_t arg_size;
    uint32_t count; /* of hands: one for each seat */
    struct hand hands[];
};
/*
 * Guards the list, hands and seat_shm.member of pools of threads of this process.  Nobody joins a thread under it: one
 * that ends may call the program's destructors, and those us.
 */
static struct own own;
static struct crew *crews;
static pthread_cond_t reaped = PTHREAD_COND_INITIALIZER; /* a crew has left the list */

static void lock(void)
{
    if (!own_lock(&own)) return;
    crews = NULL;
    reaped = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static struct crew *crew_of(uint64_t pool_id)
{
    struct crew *crew = crews;
    while (crew && crew->pool_id != pool_id) crew = crew->next;
    return crew;
}

/* ------------------------------------------------------------------------------------------------------------- posts */

_Atomic uint64_t *brood__post_task(void)
{
    const struct post *post = brood__post_here();
    return post ? &post->seat->task : &brood__me()->task;
}

static bool is_over(struct pool_shm *pool)
{
    return atomic_load_explicit(&pool->state, memory_order_acquire) >= POOL_STOPPING;
}

bool brood__post_over(void)
{
    const struct post *post = brood__post_here();
    return post && is_over(post->pool);
}

/* ------------------------------------------------------------------------------------------------------------ the end */

/* All that is open has its answer, or is told to come to one. */
static void resolve(struct pool_shm *pool, uint64_t pool_id)
{
    brood__task_cancel_all(pool, pool_id,
                           atomic_load(&pool->broken) ? BROOD_REASON_START_FAILED : BROOD_REASON_CANCELLED);
    brood__map_stop_all(pool, pool_id);
}

/*
 * seq_cst: of the last one to leave and of who shuts the pool, one sees the other.  The seats, looked at one by one, do
 * not say that: one may begin in a seat that was looked at already, and the one that began it leave the next.
 */
static void settle(struct pool_shm *pool, uint64_t pool_id)
{
    if (atomic_load(&pool->state) == POOL_OPEN || atomic_load(&pool->alive) != 0) return;
    bool prepared = brood__os_robust.tid != 0; /* see live */
    void *announced = prepared ? brood__os_announce(&pool->gone) : NULL;
    if (!atomic_exchange(&pool->finished, 1)) {
        brood__os_futex_clear_and_wake(&pool->gone.word);
        brood__os_futex_clear_and_wake(&pool->answers);
        brood__bell_ring(pool_id);
    }
    if (prepared) brood__os_announce_again(announced);
}

void brood__threads_mend(struct pool_shm *pool, uint64_t pool_id)
{
    if (brood__pool_threaded(pool) && (is_over(pool) || atomic_load(&pool->broken))) brood__threads_shut(pool_id);
}

void brood__threads_shut(uint64_t pool_id)
{
    unsigned cell;
    struct pool_shm *pool = brood__visit_begin(TABLE_POOL, pool_id, &cell);
    if (!pool) return;
    if (is_over(pool) || atomic_load(&pool->broken)) resolve(pool, pool_id);
    settle(pool, pool_id);
    brood__visit_end(cell);
}

void brood__threads_reap(uint64_t pool_id)
{
    lock();
    struct crew *crew = crew_of(pool_id);
    bool mine = crew && !crew->reaped;
    if (mine) crew->reaped = true;
    while (!mine && crew_of(pool_id)) pthread_cond_wait(&reaped, &own.mutex);
    own_unlock(&own);
    if (!mine) return;
    /* All have left their seats, so none begins another. */
    for (uint32_t i = 0; i < crew->count; i++)
        if (crew->hands[i].started) pthread_join(crew->hands[i].thread, NULL);
    lock();
    for (struct crew **place = &crews; *place; place = &(*place)->next) {
        if (*place != crew) continue;
        *place = crew->next;
        break;
    }
    pthread_cond_broadcast(&reaped);
    own_unlock(&own);
    free(crew->arg);
    free(crew);
}

void brood__threads_leave(void)
{
    for (;;) {
        lock();
        uint64_t pool_id = crews ? crews->pool_id : 0;
        own_unlock(&own);
        if (!pool_id || brood_pool_free((brood_pool){pool_id}) < 0) return;
    }
}

/* -------------------------------------------------------------------------------------------------------- the threads */

/* No more work is taken; the first reason counts. */
static void break_pool(struct pool_shm *pool, int code, const char *detail)
{
    lock();
    bool first = !atomic_load(&pool->broken);
    if (first) {
        snprintf(pool->broken_detail, sizeof pool->broken_detail, "%s", detail);
        atomic_store(&pool->broken, code);
    }
    own_unlock(&own);
    if (first) brood__log(BROOD_LOG_INFO, "%.31s takes no more work: %s", pool->name, detail);
}

/* This seat is empty. */
static void give_up(struct crew *crew, uint32_t number)
{
    struct seat_shm *seat = brood__pool_seat(crew->pool, number);
    lock();
    atomic_store(&seat->inside, 0);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->member, 0);
    own_unlock(&own);
    atomic_fetch_sub(&crew->pool->alive, 1u);
}

static void leave(struct hand *hand)
{
    struct crew *crew = hand->crew;
    give_up(crew, hand->number);
    settle(crew->pool, crew->pool_id);
    atomic_store(&hand->done, true);
}

/* This thread, as a member's: what can fail in it, can for a moment. */
static int enter(void)
{
    int error = brood__enter();
    for (int tries = 0; error < 0 && tries < 100; tries++) {
        brood__os_nap(1000 * 1000);
        error = brood__enter();
    }
    return error;
}

static void *live(void *of)
{
    struct hand *hand = of;
    struct crew *crew = hand->crew;
    char name[32], said[160];
    snprintf(name, sizeof name, "%.20s-%u", crew->pool->name, hand->number + 1);
    brood__os_set_name(name);
    int error = enter();
    if (error < 0) { /* those who wait resolve it at their next tick: this thread can owe nobody a wake-up */
        break_pool(crew->pool, error, "a worker's thread can't be prepared");
        leave(hand);
        return NULL;
    }
    brood__post = (struct post){.life = brood__self->life,
                                .pool_id = crew->pool_id,
                                .pool = crew->pool,
                                .seat = brood__pool_seat(crew->pool, hand->number),
                                .number = hand->number};
    if (crew->initializer && brood__worker_hook(crew->initializer, crew->arg, crew->arg_size, said)) {
        break_pool(crew->pool, BROOD_EINIT, said);
    } else {
        brood__worker_serve(&brood__post, crew->exit_hook);
    }
    /* What who shut the pool was killed over, or who broke it left. */
    if (is_over(crew->pool) || atomic_load(&crew->pool->broken)) resolve(crew->pool, crew->pool_id);
    leave(hand);
    return NULL;
}

/* Under the lock: this seat is taken, for a thread that is counted as alive. */
static void take(struct crew *crew, uint32_t number)
{
    struct seat_shm *seat = brood__pool_seat(crew->pool, number);
    atomic_store(&seat->items, SEAT_STARTING);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->task, 0);
    atomic_store(&seat->member, brood__self->member);
}

/* The thread of a seat that is taken, which nobody else touches until it is there: 0, or an errno. */
static int start(struct crew *crew, uint32_t number)
{
    struct hand *hand = &crew->hands[number];
    if (hand->started) pthread_join(hand->thread, NULL); /* it is done */
    hand->crew = crew;
    hand->number = number;
    atomic_store(&hand->done, false);
    struct os_mask before;
    brood__os_block_for_thread(&before); /* it begins with this mask: signals are for the program */
    int error = pthread_create(&hand->thread, NULL, live, hand);
    brood__os_restore_signals(&before);
    hand->started = error == 0;
    return -error;
}

int brood__threads_check(const brood_pool_options *o)
{
    const char *not = o->max_tasks_per_child                                          ? "max_tasks_per_child"
                      : o->memory_limit                                               ? "memory_limit"
                      : o->max_memory_per_child                                       ? "max_memory_per_child"
                      : o->spares                                                     ? "spares"
                      : o->keep_stderr                                                ? "keep_stderr"
                      : o->context && (o->context->executable || o->context->preload) ? "context"
                                                                                      : NULL;
    if (!not ) return 0;
    return brood__fail_with(BROOD_EINVAL, "%s is for workers that are processes, not threads", not );
}

/* The argument stays as it was when the pool was made. */
static int keep_argument(struct crew *crew, const brood_pool_options *o)
{
    const void *bytes = o->initializer_arg;
    crew->arg_size = o->initializer ? o->initializer->arg_size : 0;
    if (crew->arg_size && o->initializer->flags & BROOD_TASK_ARG_BYTES) {
        bytes = ((const brood_bytes *)o->initializer_arg)->data;
        crew->arg_size = ((const brood_bytes *)o->initializer_arg)->size;
    }
    crew->arg = malloc(crew->arg_size ? crew->arg_size : 1);
    if (!crew->arg) return BROOD_ENOMEM;
    if (crew->arg_size) memcpy(crew->arg, bytes, crew->arg_size);
    return 0;
}

int brood__threads_start(struct pool_shm *pool, uint64_t pool_id, const brood_pool_options *o)
{
    struct crew *crew = calloc(1, sizeof *crew + pool->most_seats * sizeof *crew->hands);
    int error = crew ? keep_argument(crew, o) : BROOD_ENOMEM;
    if (error < 0) {
        free(crew);
        return error;
    }
    crew->pool = pool;
    crew->pool_id = pool_id;
    crew->initializer = o->initializer;
    crew->exit_hook = o->exit_hook;
    crew->count = pool->most_seats;
    lock();
    crew->next = crews;
    crews = crew;
    for (uint32_t i = 0; i < pool->workers; i++) take(crew, i);
    own_unlock(&own);
    uint32_t begun = 0;
    while (begun < pool->workers && (error = start(crew, begun)) == 0) begun++;
    if (error == 0) return 0;
    for (uint32_t i = begun; i < pool->workers; i++) give_up(crew, i);
    brood__fail_with(BROOD_ESTART, "a worker could not be started: %s", brood_strerror(error));
    struct detail said = brood__detail;
    brood_pool_terminate((brood_pool){pool_id});
    brood_pool_join((brood_pool){pool_id}, BROOD_FOREVER);
    brood__detail = said;
    return BROOD_ESTART;
}

/* ---------------------------------------------------------------------------------------------- those who stand in */

void brood__threads_stand_in(struct pool_shm *pool)
{
    uint64_t pool_id = brood__post.pool_id;
    lock();
    struct crew *crew = crew_of(pool_id);
    uint32_t number = pool->workers;
    bool wanted = crew && !is_over(pool) && !atomic_load(&pool->broken) && brood__nest_short(pool);
    while (wanted && number < crew->count &&
           (atomic_load(&brood__pool_seat(pool, number)->member) ||
            (crew->hands[number].started && !atomic_load(&crew->hands[number].done))))
        number++;
    wanted = wanted && number < crew->count;
    if (wanted) {
        if (number >= atomic_load(&pool->seats)) atomic_store(&pool->seats, number + 1);
        atomic_fetch_add(&pool->alive, 1u);
        take(crew, number);
    }
    own_unlock(&own);
    /* If it can't be now, the wait's next tick tries again.  We are alive: its end is not that of all. */
    if (wanted && start(crew, number) != 0) give_up(crew, number);
}

bool brood__threads_resign(const struct post *post)
{
    lock();
    bool many = brood__nest_many(post->pool);
    /* As one that waits it counts no more, and its seat stays taken until its hook has run. */
    if (many) atomic_store(&post->seat->waits, WAITS_ELSEWHERE);
    own_unlock(&own);
    return many;
}
