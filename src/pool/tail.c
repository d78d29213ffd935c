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

int brood__tail_furnish(struct pool_shm *pool, uint64_t pool_id, uint32_t seats)
{
    brood_buffer buffer;
    void *memory;
    int error = brood_buffer_new(&buffer, seats * sizeof(struct tail_shm), &memory);
    if (error < 0) return error;
    memset(memory, 0, seats * sizeof(struct tail_shm));
    brood__pool_attach(&pool->tails, pool_id, buffer.id);
    return 0;
}

/* The place of a seat; NULL: there is none, or what should lead there does not. */
static struct tail_shm *place_of(const struct pool_shm *pool, uint32_t seat)
{
    struct buffer_shm *b = pool->tails ? brood__buffer_carried(pool->tails) : NULL;
    if (!b || !b->slot.body || b->size / sizeof(struct tail_shm) <= seat) return NULL;
    struct tail_shm *tails = brood__at(b->slot.body);
    return brood__in_arena(&tails[seat], sizeof *tails) ? &tails[seat] : NULL;
}

void brood__tail_read(const struct pool_shm *pool, uint64_t worker, brood_crash *crash)
{
    uint32_t seats = pool->most_seats;
    for (uint32_t i = 0; worker && i < seats; i++) {
        struct tail_shm *t = place_of(pool, i);
        if (!t || atomic_load_explicit(&t->whose, memory_order_acquire) != worker) continue; /* pairs with its store */
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

void brood__tail_keep(struct pool_shm *pool, uint32_t dead)
{
    if (dead >= kept_count || kept[dead].fd <= 0) return;
    struct member_shm *m = brood__member_at(dead);
    struct tail_shm *t = m->seat < pool->most_seats ? place_of(pool, m->seat) : NULL;
    if (!t || SLOT_GENERATION(atomic_load(&m->slot.word)) != kept[dead].generation) return;
    atomic_store(&t->whose, 0);
    atomic_thread_fence(memory_order_release); /* 0 before the text; pairs with the fence in brood__tail_read */
    uint64_t passed = atomic_load(&brood__pool_seat(pool, m->seat)->passed);
    t->size = (uint32_t)brood__os_read_tail(kept[dead].fd, passed, t->text, sizeof t->text - 1);
    atomic_store_explicit(&t->whose, HANDLE(TABLE_MEMBER, dead, kept[dead].generation), memory_order_release);
}
