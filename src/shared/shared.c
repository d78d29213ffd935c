/* SPDX-License-Identifier: MIT */
/* shared.c - making and freeing what lies in the arena; the protocol is in shared/shared.h.  Thread-safe. */
#include "shared/shared.h"

#include "arena/visit.h"
#include "call/error.h"
#include "sync/lock.h"

#include <string.h>

static struct shared_shm *at(uint32_t index)
{
    return (struct shared_shm *)(void *)brood__slot_at(TABLE_SHARED, index);
}

/* ---------------------------------------------------------------------------------------------------------- making */

/* A lock that the slot names before it is the family's: so it is never nobody's. */
static int add_lock(struct shared_shm *s)
{
    brood_lock lock;
    int error = brood_lock_new(&lock);
    if (error < 0) return error;
    atomic_store(&s->lock, lock.id);
    brood__slot_give(TABLE_LOCK, lock.id, OWNER_FAMILY);
    return 0;
}

static int furnish(uint32_t index, const struct shared_plan *plan)
{
    struct shared_shm *s = at(index);
    uint64_t bytes = plan->size * plan->count;
    atomic_store_explicit(&s->lock, 0, memory_order_relaxed);
    if (bytes > SHARED_INLINE) {
        int error = brood__pages_allocate(TABLE_SHARED, index, bytes);
        if (error < 0) return error;
    }
    s->what = plan->what;
    s->kind = plan->kind;
    s->size = plan->size;
    s->count = plan->count;
    atomic_store_explicit(&s->scope, plan->scope, memory_order_relaxed);
    if (plan->initial)
        memcpy(brood__shared_bytes(s), plan->initial, bytes);
    else
        memset(brood__shared_bytes(s), 0, bytes);
    return plan->lock ? add_lock(s) : 0;
}

int brood__shared_make(uint64_t *id, const struct shared_plan *plan, void (*fill)(void *bytes, const void *of),
                       const void *of)
{
    int error = brood__enter();
    if (error == 0) error = brood__scope_check(plan->scope);
    if (error < 0) return error;
    if (plan->size == 0) return brood__fail_with(BROOD_EINVAL, "an element of 0 bytes");
    if (plan->count > brood__arena()->limit / plan->size) return BROOD_EARENA;
    uint32_t index = 0;
    error = brood__slot_claim(TABLE_SHARED, brood__self->member, brood__shared_scrub, &index);
    if (error < 0) return error;
    error = furnish(index, plan);
    if (error < 0) {
        brood__slot_release(TABLE_SHARED, index);
        return error;
    }
    if (fill) fill(brood__shared_bytes(at(index)), of);
    uint64_t made = brood__slot_publish_as(TABLE_SHARED, index, plan->scope ? OWNER_FAMILY : brood__self->member);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in brood__shared_end_scope */
    error = brood__scope_check(plan->scope);
    if (error < 0) /* it ended meanwhile; if we die here, the supervisor sees that too */
        brood__shared_free(plan->what, made);
    else
        *id = made;
    return error;
}

/* --------------------------------------------------------------------------------------------------------- freeing */

/* GARBAGE, and its bytes are given back, unless some call is looking at them. */
bool brood__shared_scrub(struct slot_shm *slot, uint32_t index)
{
    struct shared_shm *s = (struct shared_shm *)(void *)slot;
    if (brood__visited(HANDLE(TABLE_SHARED, index, SLOT_GENERATION(atomic_load(&slot->word))))) return false;
    uint64_t lock = atomic_load(&s->lock); /* named here until it is gone, so that we may die over it */
    if (lock) brood_lock_free((brood_lock){lock});
    atomic_store(&s->lock, 0);
    return true;
}

int brood__shared_free(enum shared_what what, uint64_t id)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct shared_shm *s = brood__slot_find(TABLE_SHARED, id);
    if (!s) return brood__slot_gone(TABLE_SHARED, id);
    if (s->what != (uint32_t)what || !brood__slot_retire(TABLE_SHARED, id)) return BROOD_ESTALE;
    uint64_t lock = atomic_load(&s->lock);
    if (lock) brood_lock_free((brood_lock){lock}); /* at once: some may sleep there */
    brood__slot_leave(TABLE_SHARED, HANDLE_INDEX(id));
    return 0;
}

int brood__shared_visit(enum shared_what what, uint64_t id, struct shared_shm **s, unsigned *cell)
{
    int error = brood__enter();
    if (error < 0) return error;
    *s = brood__visit_begin(TABLE_SHARED, id, cell);
    if (!*s) return brood__slot_gone(TABLE_SHARED, id);
    if ((*s)->what == (uint32_t)what) return 0;
    brood__visit_end(*cell);
    return BROOD_ESTALE;
}

void brood__shared_end_scope(uint64_t scope)
{
    atomic_thread_fence(
        memory_order_seq_cst); /* pairs with the one in brood__shared_make: who comes later finds it over */
    uint32_t used = brood__table_used(TABLE_SHARED);
    for (uint32_t i = 1; i < used; i++) {
        struct shared_shm *s = at(i);
        uint64_t word = atomic_load_explicit(&s->slot.word, memory_order_acquire);
        if ((SLOT_STATE(word) != SLOT_LIVE && SLOT_STATE(word) != SLOT_GARBAGE) || atomic_load(&s->scope) != scope)
            continue;
        uint64_t id = HANDLE(TABLE_SHARED, i, SLOT_GENERATION(word));
        brood__shared_free((enum shared_what)s->what, id);
        brood__slot_collect_one(TABLE_SHARED, id); /* a sweep that saw the end of the scope made it garbage */
    }
}

/* ------------------------------------------------------------------------------------------------------ supervisor */

/* What is over; and the locks of what is garbage, whose sleepers have to be told. */
bool brood__shared_repair(uint32_t dead)
{
    bool locks = false;
    uint32_t used = brood__table_used(TABLE_SHARED);
    for (uint32_t i = 1; i < used; i++) {
        struct shared_shm *s = at(i);
        uint64_t word = atomic_load(&s->slot.word), scope = atomic_load(&s->scope);
        if (SLOT_STATE(word) == SLOT_LIVE && scope && !brood__slot_find(TABLE_SCOPE, scope)) {
            uint64_t garbage = brood__scope_garbage(scope, word);
            if (!atomic_compare_exchange_strong(&s->slot.word, &word, garbage)) continue;
            word = garbage;
        }
        if (SLOT_STATE(word) != SLOT_GARBAGE) continue;
        uint64_t lock = atomic_load(&s->lock);
        if (SLOT_GENERATION(atomic_load(&s->slot.word)) != SLOT_GENERATION(word)) continue; /* another's by now */
        struct slot_shm *slot = lock ? brood__slot_find(TABLE_LOCK, lock) : NULL;
        if (!slot) continue;
        uint64_t live = SLOT_WORD(HANDLE_GENERATION(lock), SLOT_LIVE, OWNER_FAMILY);
        locks |=
            atomic_compare_exchange_strong(&slot->word, &live, SLOT_WORD(HANDLE_GENERATION(lock), SLOT_GARBAGE, 0));
    }
    return locks ? brood__lock_repair(dead) : true;
}
