/* SPDX-License-Identifier: MIT */
/* pool.c - making pools and ending them.  Thread-safe; not async-signal-safe. */
#include "pool/pool.h"

#include "arena/visit.h"
#include "call/buffer.h"
#include "call/error.h"
#include "call/seed.h"
#include "pool/dispatch.h"
#include "pool/nest.h"
#include "pool/supervise.h"
#include "pool/tail.h"
#include "pool/task.h"
#include "pool/threads.h"
#include "process/program.h"
#include "sync/bell.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_WORKERS 4096u
#define DEFAULT_PENDING 65536u
#define DEFAULT_QUARANTINE 3
#define DEFAULT_COMPENSATING 64u

static struct pool_shm *at(uint32_t index)
{
    return (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, index);
}

struct pool_shm *brood__pool_find(uint64_t id, int *error)
{
    struct pool_shm *pool = brood__slot_find(TABLE_POOL, id);
    if (!pool) *error = brood__slot_gone(TABLE_POOL, id);
    return pool;
}

uint64_t brood__pool_id(const struct pool_shm *pool)
{
    const struct table_shm *table = &brood__arena()->tables[TABLE_POOL];
    uint64_t word = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->slot.word);
    return HANDLE(TABLE_POOL, (brood__offset(pool) - table->offset) / table->slot_size, SLOT_GENERATION(word));
}

int brood__pool_usable(struct pool_shm *pool)
{
    if (atomic_load(&pool->state) != POOL_OPEN) return BROOD_ECLOSED;
    int broken = atomic_load(&pool->broken);
    return broken ? brood__fail_with(broken, "%s", pool->broken_detail) : 0;
}

/* The k-th segment begins at slot 0 for k = 0, else at SEGMENT_FIRST << (k - 1), and has as many slots. */
static uint32_t segment_of(uint32_t slot, uint32_t *first, uint32_t *count)
{
    uint32_t k = slot < SEGMENT_FIRST ? 0 : (uint32_t)(32 - __builtin_clz(slot / SEGMENT_FIRST));
    *first = k ? SEGMENT_FIRST << (k - 1) : 0;
    *count = k ? *first : SEGMENT_FIRST;
    return k;
}

static char *segment(const struct pool_shm *pool, uint32_t k)
{
    return brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(pool->segment[k]))->body);
}

struct task_shm *brood__pool_task(const struct pool_shm *pool, uint32_t slot)
{
    uint32_t first, count, k = segment_of(slot, &first, &count);
    return (struct task_shm *)(void *)(segment(pool, k) + count / 8 * PRIORITIES) + (slot - first);
}

_Atomic uint64_t *brood__pool_bits(const struct pool_shm *pool, uint32_t priority, uint32_t slot, uint32_t *words)
{
    uint32_t first, count, k = segment_of(slot, &first, &count), word = (slot - first) / 64;
    if (words) *words = count / 64 - word;
    return (_Atomic uint64_t *)(void *)segment(pool, k) + priority * (count / 64) + word;
}

/* ---------------------------------------------------------------------------------------------------- attached memory */

void brood__pool_attach(uint64_t *place, uint64_t pool_id, uint64_t buffer)
{
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(buffer));
    atomic_store_explicit(&b->movable.carrier, pool_id, memory_order_relaxed); /* published with the word */
    b->movable.position = brood__offset(place);
    brood__buffer_mark(b, BUFFER_ATTACHED, brood__self->member);
    *(volatile uint64_t *)place = buffer; /* the commit: from here on it is the pool's */
    atomic_signal_fence(memory_order_seq_cst);
}

void brood__pool_drop(uint64_t *place)
{
    uint64_t id = *place;
    if (!id) return;
    bool ours = brood__movable_seize(id); /* whatever the place says */
    *(volatile uint64_t *)place = 0;
    if (ours) brood__buffer_release(HANDLE_INDEX(id));
}

/* ----------------------------------------------------------------------------------------------------------- waking */

void brood__pool_wake(struct pool_shm *pool, int n)
{
    /* The work is committed before the look; pairs with the fence in rest() (worker.c). */
    atomic_thread_fence(memory_order_seq_cst);
    bool asleep = atomic_load_explicit(brood__monitor_asleep(&pool->idle), memory_order_relaxed);
    uint32_t help = atomic_load_explicit(&pool->help, memory_order_relaxed);
    void *announced;
    if (__builtin_expect(!asleep && help != HELP_WANTED, 1)) return;
    if (brood__self->supervisor) { /* which takes no latch; its caller rings again if it must */
        brood__monitor_ring(&pool->idle);
        return;
    }
    if (asleep && brood__monitor_enter(&pool->idle, &announced) >= 0)
        brood__monitor_leave(&pool->idle, announced, n, true);
    if (help == HELP_WANTED) brood__nest_ask(pool);
}

void brood__pool_answer(struct pool_shm *pool, uint64_t pool_id, os_word *bell)
{
    atomic_thread_fence(memory_order_seq_cst); /* answered before the look; pairs with the waiter's exchange */
    if (atomic_load_explicit(bell, memory_order_relaxed)) brood__os_futex_clear_and_wake(bell);
    if (atomic_load_explicit(&pool->answers, memory_order_relaxed)) brood__os_futex_clear_and_wake(&pool->answers);
    if (atomic_load_explicit(&pool->polled, memory_order_relaxed)) brood__bell_ring(pool_id);
}

/*
 * The slot is ours: the supervisor says where it looks, and then looks whether the slot is what it was (supervise.c); one
 * of the two sees the other.
 */
bool brood__pool_unseen(struct pool_shm *pool)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    atomic_thread_fence(memory_order_seq_cst);
    if (brood__visited(brood__pool_id(pool))) return false; /* a moment in a call on a map, or see threads.h */
    return (atomic_load(&s->looks_at) != HANDLE_INDEX(brood__pool_id(pool)) || !brood__supervisor_alive()) &&
           !(brood__pool_furnished(pool) && brood__map_visited(pool));
}

/* Whatever the pool had but its typed memory is given back.  The slot is ours, and nobody looks at it. */
static void empty_out(struct pool_shm *pool)
{
    brood__pool_drop(&pool->preparation);
    brood__pool_drop(&pool->tails);
    if (brood__pool_furnished(pool)) brood__map_vacate(pool);
    brood__task_vacate(pool);
}

void brood__pool_vacate(struct pool_shm *pool)
{
    while (!brood__pool_unseen(pool)) brood__os_nap(50 * 1000);
    empty_out(pool);
    uint64_t word = atomic_load(&pool->slot.word);
    atomic_store(&pool->slot.word, SLOT_WORD(SLOT_GENERATION(word) + 1, SLOT_FREE, 0));
}

/* All workers have left. */
static bool seats_empty(const struct pool_shm *pool)
{
    for (uint32_t i = 0; i < pool->seat_room; i++)
        if (atomic_load(&brood__pool_seat(pool, i)->member)) return false;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- making */

/* The method that was asked for, if one was. */
static brood_start_method named_method(const brood_pool_options *o)
{
    return o->method || !o->context ? o->method : o->context->method;
}

static int check(const brood_pool_options *o)
{
    if (o->workers > MOST_WORKERS) return brood__fail_with(BROOD_EINVAL, "at most %u workers", MOST_WORKERS);
    if (o->max_compensating > MOST_WORKERS)
        return brood__fail_with(BROOD_EINVAL, "at most %u compensating workers", MOST_WORKERS);
    if (o->spares > MOST_WORKERS) return brood__fail_with(BROOD_EINVAL, "at most %u spares", MOST_WORKERS);
    if ((unsigned)o->method > BROOD_START_THREAD) return brood__fail_with(BROOD_EINVAL, "no such start method");
    int error = brood__context_check(o->context);
    if (error == 0 && named_method(o) == BROOD_START_THREAD) error = brood__threads_check(o);
    if (error < 0) return error;
    if (o->initializer && o->initializer->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (o->initializer && o->initializer->arg_size && !o->initializer_arg)
        return brood__fail_with(BROOD_EINVAL, "%s wants an argument", o->initializer->name);
    if (o->exit_hook && o->exit_hook->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (o->exit_hook && o->exit_hook->arg_size)
        return brood__fail_with(BROOD_EINVAL, "%s wants an argument: an exit hook has none", o->exit_hook->name);
    if (o->name && strlen(o->name) > 20) return brood__fail_with(BROOD_EINVAL, "a pool's name has at most 20 bytes");
    return 0;
}

/* What every worker of this pool is told, as bytes in a buffer of the pool's. */
static int describe(struct pool_shm *pool, uint64_t pool_id, const brood_pool_options *o,
                    struct preparation *preparation, struct process_object *object, char directory[4096])
{
    extern char **environ;
    *preparation = brood__prepared;
    preparation->public.name = pool->name;
    preparation->public.method = (brood_start_method)pool->method;
    preparation->public.parent = getpid();
    preparation->public.log_level = (int)atomic_load_explicit(&brood__arena()->log_level, memory_order_relaxed);
    preparation->public.directory = getcwd(directory, 4096) ? directory : "";
    *object = (struct process_object){.function_name = "worker",
                                      .environment = environ,
                                      .worker = true,
                                      .ignored_signals = brood__os_ignored_signals(),
                                      .limits = {.memory = o->memory_limit, .open_files = brood__os_open_files()}};
    int error = 0;
    if (o->initializer) {
        error = brood__function_ref(o->initializer, &object->function);
        object->function_name = o->initializer->name;
        object->arg = o->initializer_arg;
        object->arg_size = o->initializer->arg_size;
        if (o->initializer->flags & BROOD_TASK_ARG_BYTES) {
            object->arg = ((const brood_bytes *)o->initializer_arg)->data;
            object->arg_size = ((const brood_bytes *)o->initializer_arg)->size;
        }
    }
    void *bytes = NULL, *place;
    size_t size = 0;
    brood_buffer buffer;
    if (error == 0) error = brood__prepare_encode(preparation, object, &bytes, &size);
    if (error == 0) error = brood_buffer_new(&buffer, size, &place);
    if (error == 0) {
        memcpy(place, bytes, size);
        pool->preparation_size = size;
        brood__pool_attach(&pool->preparation, pool_id, buffer.id);
    }
    free(bytes);
    return error;
}

/* A body with room for these seats; one that is large enough is kept from the pool that had this slot before. */
static int furnish(struct pool_shm *pool, uint32_t index, const brood_pool_options *o)
{
    uint32_t workers = o->workers ? o->workers : brood_cpu_count();
    uint32_t more = o->max_compensating ? o->max_compensating : DEFAULT_COMPENSATING;
    uint32_t room = workers + (more > o->spares ? more : o->spares);
    if (!brood__pool_furnished(pool) || pool->seat_room < room) {
        *(volatile uint32_t *)&pool->seat_room = 0;
        brood__pages_free(TABLE_POOL, index);
        size_t size = (room + 1) * sizeof(struct seat_shm) + JOBS * sizeof(struct job_shm);
        int error = brood__pages_allocate(TABLE_POOL, index, size);
        if (error < 0) return error;
        memset(brood__at(pool->slot.body), 0, size);
        atomic_signal_fence(memory_order_seq_cst); /* if we die before this, nobody believes the body */
        *(volatile uint32_t *)&pool->seat_room = room;
    }
    for (uint32_t i = 0; i <= pool->seat_room; i++) memset(brood__pool_seat(pool, i), 0, sizeof(struct seat_shm));
    pool->workers = workers;
    pool->most_seats = room;
    pool->spares = o->spares;
    atomic_store(&pool->seats, workers + o->spares);
    return 0;
}

static void reset(struct pool_shm *pool, const brood_pool_options *o)
{
    memset(pool->name, 0, sizeof pool->name);
    snprintf(pool->name, sizeof pool->name, "%s", o->name ? o->name : "pool");
    pool->workers = pool->spares = 0; /* until there are seats for them */
    atomic_store(&pool->parked, 0);
    pool->max_tasks_per_child = o->max_tasks_per_child;
    pool->max_pending = o->max_pending ? o->max_pending : DEFAULT_PENDING;
    brood_start_method method = named_method(o);
    pool->method = (uint32_t)(method ? method : brood_get_start_method());
    pool->program = 0;
    atomic_store(&pool->state, POOL_OPEN);
    atomic_store(&pool->broken, 0);
    atomic_store(&pool->finished, 0);
    atomic_store(&pool->polled, 0);
    atomic_store(&pool->jobs, 0);
    pool->max_memory = o->max_memory_per_child;
    pool->exit_hook = 0;
    pool->quarantine = o->quarantine ? o->quarantine : DEFAULT_QUARANTINE;
    pool->seed = seed_of_pool(o->seed);
    atomic_store(&pool->series, 0);
    atomic_store(&pool->help, HELP_NONE);
    atomic_store(&pool->urgent, 0u);
    atomic_store(&pool->least_deadline, 0u);
    atomic_store(&pool->wait_at, OS_NEVER);
    pool->template_member = 0;
    pool->broken_detail[0] = 0;
    pool->idle.flags[MONITOR_ASLEEP] = pool->idle.flags[MONITOR_BATON] = 0;
}

/* Tell the supervisor; it gets the standard descriptors, and the template's channel. */
static int announce(uint64_t pool_id, int template_channel)
{
    struct request request = {
        .kind = REQUEST_POOL, .object = pool_id, .method = POOL_IS_NEW, .stdio = brood__stdio_open()};
    int fds[4];
    size_t n = 0;
    for (int fd = 0; fd < 3; fd++)
        if (request.stdio & 1u << fd) fds[n++] = fd;
    if (template_channel >= 0) fds[n++] = template_channel;
    return brood__supervisor_request(&request, fds, n);
}

bool brood__pool_scrub(struct slot_shm *slot, uint32_t index)
{
    struct pool_shm *pool = (struct pool_shm *)(void *)slot;
    (void)index;
    if (brood__pool_furnished(pool) && !seats_empty(pool)) return false;
    if (!brood__pool_unseen(pool)) return false;
    empty_out(pool);
    pool->seat_room = 0; /* the body goes with the slot's release */
    return true;
}

/* The slot is claimed. */
static int new_of_threads(brood_pool *pool, uint32_t index, uint64_t id, const brood_pool_options *o)
{
    struct pool_shm *p = at(index);
    reset(p, o);
    int error = furnish(p, index, o);
    if (error == 0) {
        atomic_store(&p->alive, p->workers); /* from before anybody can end it */
        brood__slot_publish(TABLE_POOL, index);
        error = brood__threads_start(p, id, o);
        if (error < 0) brood__slot_retire(TABLE_POOL, id);
    }
    if (error == 0)
        pool->id = id;
    else
        brood__pool_vacate(p);
    return error;
}

int brood_pool_new(brood_pool *pool, const brood_pool_options *options)
{
    static const brood_pool_options none;
    const brood_pool_options *o = options ? options : &none;
    int error = brood__enter();
    if (error == 0) error = check(o);
    if (error < 0) return error;
    bool by_default = named_method(o) == BROOD_START_DEFAULT && brood_get_start_method() == BROOD_START_FORK;
    if (by_default && brood__os_has_threads())
        return brood__fail_with(BROOD_ETHREADS, "fork in a process with threads: name the method, or use another");
    uint32_t index;
    /* The first that is free, most likely with the memory that stays in it, not a new one that gets its own. */
    atomic_store_explicit(&brood__arena()->tables[TABLE_POOL].hint, 1, memory_order_relaxed);
    error = brood__slot_claim(TABLE_POOL, brood__self->member, brood__pool_scrub, &index);
    if (error < 0) return error;
    struct pool_shm *p = at(index);
    uint64_t id = HANDLE(TABLE_POOL, index, SLOT_GENERATION(atomic_load(&p->slot.word)));
    if (named_method(o) == BROOD_START_THREAD) return new_of_threads(pool, index, id, o);
    struct preparation preparation;
    struct process_object object;
    char directory[4096];
    int channel = -1;
    reset(p, o);
    error = o->exit_hook ? brood__function_ref(o->exit_hook, &p->exit_hook) : 0;
    if (error == 0 && p->method != BROOD_START_FORK) error = brood__program_of(o->context, &p->program);
    if (error == 0) error = furnish(p, index, o);
    if (error == 0 && o->keep_stderr) error = brood__tail_furnish(p, id, p->most_seats);
    if (error == 0) error = describe(p, id, o, &preparation, &object, directory);
    if (error == 0 && p->method == BROOD_START_FORK)
        error = brood__template_new(id, &preparation, &object, &p->template_member, &channel);
    if (error == 0) {
        pool->id = brood__slot_publish(TABLE_POOL, index);
        error = announce(id, channel);
        if (error < 0) brood__slot_retire(TABLE_POOL, id);
    }
    brood__os_close(&channel);
    if (error < 0) {
        if (p->template_member) brood__template_end(p->template_member);
        brood__pool_vacate(p);
    }
    return error;
}

/* ----------------------------------------------------------------------------------------------------------- ending */

static int shut(brood_pool pool, uint32_t state)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    uint32_t seen = atomic_load(&p->state);
    while (seen < state && !atomic_compare_exchange_weak(&p->state, &seen, state)) {}
    void *announced;
    if (brood__monitor_enter(&p->idle, &announced) >= 0) {
        atomic_store_explicit(brood__monitor_asleep(&p->idle), 1u, memory_order_relaxed);
        brood__monitor_leave(&p->idle, announced, INT_MAX, true);
    } else if (brood__pool_threaded(p)) {
        brood__monitor_ring(&p->idle); /* this handler interrupted the holder, so nobody is between a look and sleep */
    }
    if (brood__pool_threaded(p)) {
        brood__threads_shut(pool.id);
        return 0;
    }
    return brood__supervisor_tell(&(struct request){.kind = REQUEST_POOL, .object = pool.id});
}

int brood_pool_close(brood_pool pool)
{
    return shut(pool, POOL_CLOSED);
}

int brood_pool_terminate(brood_pool pool)
{
    return shut(pool, POOL_TERMINATED);
}

int brood_pool_drain(brood_pool pool, int timeout, int grace)
{
    int error = brood__enter_for(timeout);
    if (error == 0) error = brood__enter_for(grace);
    if (error == 0) error = brood_pool_close(pool);
    if (error == 0) error = brood_pool_join(pool, timeout);
    if (error != BROOD_ETIMEDOUT && error != BROOD_EAGAIN) return error;
    error = shut(pool, POOL_STOPPING);
    if (error == 0) error = brood_pool_join(pool, grace);
    if (error == BROOD_ETIMEDOUT || error == BROOD_EAGAIN) error = brood_pool_terminate(pool);
    if (error == 0) error = brood_pool_join(pool, BROOD_FOREVER);
    return error < 0 ? error : BROOD_ECANCELED;
}

int brood_pool_join(brood_pool pool, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    if (atomic_load(&p->state) == POOL_OPEN)
        return brood__fail_with(BROOD_EINVAL, "close or terminate the pool before join");
    const struct post *post = brood__post_here();
    uint64_t own = post ? post->pool_id : brood__me()->role == ROLE_WORKER ? brood__me()->pool : 0;
    if (timeout != 0 && own == pool.id) return brood__fail_with(BROOD_EDEADLK, "a worker waits for itself to leave");
    int64_t deadline = brood__os_deadline(timeout);
    void *announced = brood__os_announce(&p->gone);
    bool late = timeout == 0;
    for (;;) {
        if (!late) atomic_exchange(&p->gone.word, OS_WAITERS);
        if (!brood__slot_is(&p->slot, pool.id)) error = brood__slot_gone(TABLE_POOL, pool.id);
        bool empty = atomic_load(&p->finished) != 0;
        if (error < 0 || empty || late) {
            if (error == 0 && !empty) error = brood__not_now(timeout);
            break;
        }
        late = brood__sleep(&p->gone.word, OS_WAITERS, deadline, pool.id) < 0;
    }
    if (error == 0 && atomic_load(&p->gone.word)) brood__os_futex_clear_and_wake(&p->gone.word);
    brood__os_announce_again(announced);
    if (error == 0 && brood__pool_threaded(p) && own != pool.id) brood__threads_reap(pool.id);
    return error;
}

/* Others know when its threads have left, but not when they have executed their last instruction. */
static int may_free(uint64_t id)
{
    int error = brood__enter();
    struct pool_shm *p = error == 0 ? brood__pool_find(id, &error) : NULL;
    if (!p || !brood__pool_threaded(p)) return error;
    if (SLOT_OWNER(atomic_load(&p->slot.word)) == brood__self->member) return 0;
    return brood__fail_with(BROOD_EPERM, "a pool of threads is freed by the process that made it");
}

int brood_pool_free(brood_pool pool)
{
    int error = may_free(pool.id);
    if (error == 0) error = brood_pool_terminate(pool);
    if (error == 0) error = brood_pool_join(pool, BROOD_FOREVER);
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_POOL, pool.id)) return BROOD_ESTALE;
    struct pool_shm *p = at(HANDLE_INDEX(pool.id));
    if (p->template_member) brood_process_free((brood_process){p->template_member});
    brood__bell_close(pool.id);
    brood__dispatch_forget(pool.id);
    brood__pool_vacate(p);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- looking */

/* The name of what it runs, as far as that is this program's too. */
static void name_task(struct pool_shm *pool, brood_worker *worker)
{
    uint32_t slot = FUTURE_SLOT(worker->task);
    if (!worker->task || slot >= atomic_load(&pool->slots)) return;
    struct task_shm *t = brood__pool_task(pool, slot);
    function_ref function = t->function;
    const brood_task *task;
    /* If the slot is another's by now, this may be too. */
    if (TASK_SERIAL(atomic_load(&t->word)) != FUTURE_SERIAL(worker->task)) return;
    if (brood__function_find(function, &task) == 0) snprintf(worker->name, sizeof worker->name, "%s", task->name);
    brood__say_nothing();
}

static void describe_worker(struct pool_shm *pool, uint32_t seat_number, const struct member_shm *m,
                            brood_worker *worker)
{
    struct seat_shm *seat = brood__pool_seat(pool, seat_number);
    uint32_t items = atomic_load(&seat->items);
    *worker = (brood_worker){.pid = m->pid, .id = seat_number};
    worker->task = atomic_load(brood__pool_threaded(pool) ? &seat->task : &((struct member_shm *)(uintptr_t)m)->task);
    worker->items = items == SEAT_STARTING ? 0 : items;
    uint64_t waits = atomic_load(&seat->waits);
    worker->state = items == SEAT_STARTING                            ? BROOD_WORKER_STARTING
                    : waits == WAITS_PARKED                           ? BROOD_WORKER_SPARE
                    : waits                                           ? BROOD_WORKER_WAITING
                    : worker->task || atomic_load(&seat->inside) != 0 ? BROOD_WORKER_BUSY
                                                                      : BROOD_WORKER_IDLE;
    name_task(pool, worker);
}

int brood_worker_id(void)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (brood__post_here()) return (int)brood__post.number;
    return brood__me()->role == ROLE_WORKER ? (int)brood__me()->seat : BROOD_EINVAL;
}

int brood_pool_workers(brood_pool pool, brood_worker *workers, size_t capacity)
{
    unsigned cell;
    int error = brood__enter();
    if (error < 0) return error;
    struct pool_shm *p = brood__visit_begin(TABLE_POOL, pool.id, &cell);
    if (!p) return brood__slot_gone(TABLE_POOL, pool.id);
    int n = 0;
    uint32_t seats = atomic_load(&p->seats);
    for (uint32_t i = 0; i < seats && i < p->seat_room; i++) {
        uint32_t member = atomic_load(&brood__pool_seat(p, i)->member);
        if (!member || brood__member_dead(member)) continue;
        if (SLOT_STATE(atomic_load(&brood__member_at(member)->slot.word)) != SLOT_LIVE) continue; /* on its way */
        if ((size_t)n < capacity) describe_worker(p, i, brood__member_at(member), &workers[n]);
        n++;
    }
    brood__visit_end(cell);
    return n;
}

int brood_pool_fd(brood_pool pool)
{
    int fd = brood__enter();
    if (fd < 0) return fd;
    struct pool_shm *p = brood__pool_find(pool.id, &fd);
    if (!p) return fd;
    fd = brood__bell_fd(pool.id);
    if (fd < 0) return fd;
    atomic_store(&p->polled, 1); /* seq_cst: an answer after this looks at the bells; one before is looked for below */
    brood__bell_ring(pool.id);
    return fd;
}
