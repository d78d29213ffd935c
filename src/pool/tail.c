/* SPDX-License-Identifier: MIT */
/* tail.c - the end of a worker's standard error; see pool/tail.h. */
#include "pool/tail.h"

#include "call/buffer.h"
#include "process/supervisor.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------- the worker's side */

static int file = -1, before = -1; /* descriptor 2's, and what that was */

void brood__tail_begin(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat)
{
    atomic_store(&seat->passed, 0);
    if (!pool->tails || brood__os_capture_stderr(&file, &before) < 0) return; /* then as without the option */
    struct request request = {.kind = REQUEST_POOL,
                              .object = pool_id,
                              .method = POOL_KEEPS_STDERR,
                              .member = brood__self->member,
                              .stdio = HANDLE_GENERATION(brood__self->id)};
    brood__supervisor_request(&request, &file, 1);
}

void brood__tail_pass_on(struct seat_shm *seat)
{
    if (file < 0) return;
    uint64_t passed = atomic_load_explicit(&seat->passed, memory_order_relaxed);
    /* Before the next run: a supervisor that reads for a death in between finds all of it passed on. */
    atomic_store(&seat->passed, brood__os_pass_on(file, before, passed));
}

/* -------------------------------------------------------------------------------------------------- the pool's memory */

int brood__tail_furnish(struct pool_shm *pool, uint64_t pool_id, uint32_t workers)
{
    brood_buffer buffer;
    void *memory;
    uint32_t places = workers < BROOD_CRASH_STDERR_KEPT ? BROOD_CRASH_STDERR_KEPT : workers;
    int error = brood_buffer_new(&buffer, places * sizeof(struct tail_shm), &memory);
    if (error < 0) return error;
    memset(memory, 0, places * sizeof(struct tail_shm));
    brood__pool_attach(&pool->tails, pool_id, buffer.id);
    return 0;
}

/* The places, and how many; NULL: there are none, or what should lead there does not. */
static struct tail_shm *places_of(const struct pool_shm *pool, size_t *count)
{
    struct buffer_shm *b = pool->tails ? brood__buffer_carried(pool->tails) : NULL;
    if (!b || !b->slot.body) return NULL;
    struct tail_shm *tails = brood__at(b->slot.body);
    *count = b->size / sizeof *tails;
    return *count && brood__in_arena(tails, *count * sizeof *tails) ? tails : NULL;
}

void brood__tail_read(const struct pool_shm *pool, uint64_t worker, brood_crash *crash)
{
    size_t count = 0;
    struct tail_shm *tails = worker ? places_of(pool, &count) : NULL;
    for (size_t i = 0; tails && i < count; i++) {
        struct tail_shm *t = &tails[i];
        if (atomic_load_explicit(&t->whose, memory_order_acquire) != worker) continue; /* pairs with its store */
        uint32_t size = t->size < sizeof t->text ? t->size : (uint32_t)sizeof t->text - 1;
        memcpy(crash->stderr_tail, t->text, size);
        atomic_thread_fence(memory_order_acquire); /* the copy was made before this look */
        if (atomic_load_explicit(&t->whose, memory_order_relaxed) != worker) size = 0;
        crash->stderr_tail[size] = '\0';
        return;
    }
}

/* ------------------------------------------------------------------------------------------------ the supervisor's side */

/* The files of workers, by index of the member. */
static struct kept {
    int fd; /* 0: none, for it is never that */
    uint32_t generation;
} * kept;
static uint32_t kept_count;

void brood__tail_drop(uint32_t dead)
{
    if (dead >= kept_count || kept[dead].fd <= 0) return;
    brood__os_close(&kept[dead].fd);
    kept[dead].fd = 0;
}

void brood__tail_take(uint32_t member, uint32_t generation, int fd)
{
    if (member >= kept_count && member < brood__table_used(TABLE_MEMBER)) {
        struct kept *more = realloc(kept, (member + 64) * sizeof *more);
        if (more) {
            memset(more + kept_count, 0, (member + 64 - kept_count) * sizeof *more);
            kept = more;
            kept_count = member + 64;
        }
    }
    uint64_t id = HANDLE(TABLE_MEMBER, member, generation);
    bool there = member < kept_count && brood__member_find(id) && !atomic_load(&brood__member_at(member)->repaired);
    if (!there || brood__os_leave_standard(&fd) < 0) { /* its end has been told: nobody would drop it */
        brood__os_close(&fd);
        return;
    }
    brood__tail_drop(member);
    kept[member] = (struct kept){fd, generation};
}

/* The place that has this worker's words already, of a repair that is repeated; else a new one, in turn. */
static struct tail_shm *place_for(const struct pool_shm *pool, uint64_t worker)
{
    static size_t next; /* of all pools; a supervisor after us begins at the first, which is as good */
    size_t count = 0;
    struct tail_shm *tails = places_of(pool, &count);
    for (size_t i = 0; tails && i < count; i++)
        if (atomic_load(&tails[i].whose) == worker) return &tails[i];
    return tails ? &tails[next++ % count] : NULL;
}

void brood__tail_keep(struct pool_shm *pool, uint32_t dead)
{
    if (dead >= kept_count || kept[dead].fd <= 0) return;
    struct member_shm *m = brood__member_at(dead);
    if (m->seat >= pool->seat_room || SLOT_GENERATION(atomic_load(&m->slot.word)) != kept[dead].generation) return;
    uint64_t worker = HANDLE(TABLE_MEMBER, dead, kept[dead].generation);
    struct tail_shm *t = place_for(pool, worker);
    if (!t) return;
    atomic_store(&t->whose, 0);
    atomic_thread_fence(memory_order_release); /* 0 before the text; pairs with the fence in brood__tail_read */
    uint64_t passed = atomic_load(&brood__pool_seat(pool, m->seat)->passed);
    t->size = (uint32_t)brood__os_read_tail(kept[dead].fd, passed, t->text, sizeof t->text - 1);
    atomic_store_explicit(&t->whose, worker, memory_order_release);
}
