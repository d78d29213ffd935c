/* SPDX-License-Identifier: MIT */
/* repair.c - the sweep over all tables after a death; the rules are in process/repair.h.  Takes no latch it waits for. */
#include "process/repair.h"

#include "arena/member.h"
#include "arena/visit.h"
#include "call/movable.h"
#include "process/supervisor.h"
#include "sync/barrier.h"
#include "sync/bell.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

#include <limits.h>

/* Slots that the dead was making, owned, or was taking apart are garbage. */
static void sweep(enum table table, uint32_t dead)
{
    uint32_t used = brood__table_used(table);
    for (uint32_t i = 1; i < used; i++) {
        struct slot_shm *slot = brood__slot_at(table, i);
        uint64_t word = atomic_load(&slot->word);
        enum slot_state state = SLOT_STATE(word);
        if (SLOT_OWNER(word) != dead || (state != SLOT_INIT && state != SLOT_LIVE && state != SLOT_FREEING)) continue;
        atomic_compare_exchange_strong(&slot->word, &word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
    }
}

/* Children that it was starting never will be; those that live have nobody left to free their handles. */
static void sweep_members(uint32_t dead)
{
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        uint64_t word = atomic_load(&m->slot.word);
        if (SLOT_OWNER(word) != dead) continue;
        uint32_t generation = SLOT_GENERATION(word);
        if (SLOT_STATE(word) == SLOT_INIT || SLOT_STATE(word) == SLOT_FREEING) {
            if (atomic_compare_exchange_strong(&m->slot.word, &word, SLOT_WORD(generation, SLOT_GARBAGE, 0))) continue;
        }
        if (SLOT_STATE(word) == SLOT_LIVE && SLOT_OWNER(word) == dead) {
            atomic_store(&m->released, 1);
            atomic_compare_exchange_strong(&m->slot.word, &word, SLOT_WORD(generation, SLOT_LIVE, OWNER_FAMILY));
            brood__member_collect(i);
        }
    }
}

bool brood__repair_member(uint32_t dead)
{
    for (enum table t = TABLE_LOCK; t < TABLE_COUNT; t++) sweep(t, dead);
    sweep_members(dead);
    brood__movable_repair(dead);
    bool all = brood__lock_repair(dead);
    all &= brood__semaphore_repair(dead);
    all &= brood__event_repair(dead);
    all &= brood__condition_repair(dead); /* after the locks */
    all &= brood__barrier_repair(dead);
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->repair) all &= (*area)->repair(dead);
    brood__visit_forget(dead);
    brood__bell_ring_all();
    return all;
}

void brood__repair_ring_all(void)
{
    brood__lock_ring_all();
    brood__semaphore_ring_all();
    brood__event_ring_all();
    brood__condition_ring_all();
    brood__barrier_ring_all();
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) brood__os_futex_wake(&brood__member_at(i)->bell.word, INT_MAX);
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->ring_all) (*area)->ring_all();
    brood__bell_ring_all();
}
