/* SPDX-License-Identifier: MIT */
/* member.c - the process table; the protocol is in member.h.  Thread-safe, async-signal-safe but for the claim. */
#include "arena/member.h"

#include <string.h>

int brood__member_claim(const char *name, enum member_role role, brood_start_method method, bool daemon,
                        uint32_t *index)
{
    uint32_t owner = brood__self->supervisor ? OWNER_SUPERVISOR : brood__self->member;
    int error = brood__slot_claim(TABLE_MEMBER, owner, NULL, index);
    if (error < 0) return error;
    struct member_shm *m = brood__member_at(*index);
    memset((char *)m + sizeof m->slot, 0, sizeof *m - sizeof m->slot);
    m->role = role;
    m->method = (uint32_t)method;
    m->daemon = daemon;
    m->parent = brood__self->id;
    strncpy(m->name, name, sizeof m->name - 1);
    return 0;
}

void brood__member_abandon(uint32_t index)
{
    struct member_shm *m = brood__member_at(index);
    uint64_t word = atomic_load(&m->slot.word);
    if (SLOT_STATE(word) == SLOT_INIT) {
        /* A child on its way to LIVE loses this swap or wins it: then the end of its process is seen as any other. */
        uint64_t garbage = SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, SLOT_OWNER(word));
        if (atomic_compare_exchange_strong(&m->slot.word, &word, garbage)) return;
    }
    atomic_store(&m->released, 1);
    brood__member_collect(index);
}

static void describe_self(struct member_shm *m)
{
    struct os_process self;
    brood__os_process_self(&self);
    m->pid = self.pid;
    m->started = self.started;
}

static uint64_t lives; /* a copy made by fork goes on from it */

bool brood__member_attach(uint32_t index, uint32_t generation)
{
    struct member_shm *m = brood__member_at(index);
    uint64_t word = atomic_load_explicit(&m->slot.word, memory_order_acquire);
    if (SLOT_STATE(word) != SLOT_INIT || SLOT_GENERATION(word) != generation) return false;
    describe_self(m);
    brood__self->member = index;
    brood__self->word_id = MEMBER_BIT | index;
    brood__self->supervisor = false;
    brood__self->id = HANDLE(TABLE_MEMBER, index, SLOT_GENERATION(word));
    brood__self->life = ++lives;
    uint64_t live = SLOT_WORD(SLOT_GENERATION(word), SLOT_LIVE, SLOT_OWNER(word));
    return atomic_compare_exchange_strong_explicit(&m->slot.word, &word, live, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

int brood__member_found(void)
{
    uint32_t index;
    int error = brood__member_claim("first", ROLE_FIRST, BROOD_START_DEFAULT, false, &index);
    if (error < 0) return error;
    brood__member_attach(index, brood__member_generation(index));
    brood__arena()->first_member = brood__self->id;
    return 0;
}

void brood__member_ended(uint32_t index, enum ended_kind kind, int value)
{
    struct member_shm *m = brood__member_at(index);
    uint32_t seen = atomic_load(&m->ended);
    while (!(seen & ENDED) || (ENDED_KIND(seen) == ENDED_SAID && kind != ENDED_SAID)) {
        if (atomic_compare_exchange_weak(&m->ended, &seen, ENDED_WORD(kind, value))) return;
    }
}

void brood__member_collect(uint32_t index)
{
    struct member_shm *m = brood__member_at(index);
    uint64_t word = atomic_load(&m->slot.word);
    if (SLOT_STATE(word) != SLOT_LIVE || !atomic_load(&m->repaired) || !atomic_load(&m->released)) return;
    uint64_t next = SLOT_WORD(SLOT_GENERATION(word) + 1, SLOT_FREE, 0);
    if (atomic_compare_exchange_strong(&m->slot.word, &word, next))
        atomic_store_explicit(&brood__arena()->tables[TABLE_MEMBER].hint, index, memory_order_relaxed);
}
