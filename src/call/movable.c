/* SPDX-License-Identifier: MIT */
/* movable.c - who holds what can be moved; the protocol is in call/movable.h.  Thread-safe. */
#include "call/movable.h"

#include "arena/member.h"

const enum table brood__movable_tables[] = {TABLE_BUFFER, TABLE_PIPE, TABLE_TOKEN, TABLE_NONE};

static struct movable_shm *at(uint64_t id)
{
    return (struct movable_shm *)(void *)brood__slot_at(HANDLE_TABLE(id), HANDLE_INDEX(id));
}

struct movable_shm *brood__movable_find(uint64_t id)
{
    uint32_t table = HANDLE_TABLE(id), index = HANDLE_INDEX(id);
    if ((table != TABLE_BUFFER && table != TABLE_PIPE && table != TABLE_TOKEN) || index == 0) return NULL;
    if (index >= brood__table_used(table)) return NULL;
    struct movable_shm *m = at(id);
    return brood__slot_lives(&m->slot, id) ? m : NULL;
}

static uint64_t word_of(uint64_t id, unsigned state, uint32_t owner)
{
    return SLOT_WORD(HANDLE_GENERATION(id), state, owner);
}

static bool swap(struct movable_shm *m, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(&m->slot.word, &from, to);
}

int brood__movable_mine(uint64_t id)
{
    struct movable_shm *m = brood__movable_find(id);
    if (!m) return BROOD_ESTALE;
    uint64_t word = atomic_load_explicit(&m->slot.word, memory_order_acquire);
    if (SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return BROOD_ESTALE;
    return word == word_of(id, SLOT_LIVE, brood__self->member) ? 0 : BROOD_EPERM;
}

/* --------------------------------------------------------------------------------------------------- in messages */

int brood__movable_claim(uint64_t id, uint64_t carrier)
{
    int error = brood__movable_mine(id);
    if (error < 0) return error;
    uint32_t me = brood__self->member;
    struct movable_shm *m = at(id);
    if (!swap(m, word_of(id, SLOT_LIVE, me), word_of(id, MOVABLE_MOVING, me))) return BROOD_EPERM;
    atomic_store(&m->carrier, carrier); /* before the look of movable_is_around: of two, one sees the other's */
    return 0;
}

void brood__movable_put_back(uint64_t id)
{
    atomic_store_explicit(&at(id)->slot.word, word_of(id, SLOT_LIVE, brood__self->member), memory_order_release);
}

bool brood__movable_is_around(uint64_t id, uint64_t carrier)
{
    for (unsigned steps = 0; steps < 1000; steps++) {
        if (carrier == id) return true;
        struct movable_shm *m = HANDLE_TABLE(carrier) == TABLE_PIPE ? brood__movable_find(carrier) : NULL;
        if (!m) return false;
        unsigned state = (unsigned)SLOT_STATE(atomic_load(&m->slot.word));
        if (state != MOVABLE_MOVING && state != MOVABLE_TRANSIT) return false;
        carrier = atomic_load(&m->carrier);
    }
    return true;
}

void brood__movable_send(uint64_t id, uint64_t position)
{
    struct movable_shm *m = at(id);
    m->position = position;
    atomic_store_explicit(&m->slot.word, word_of(id, MOVABLE_TRANSIT, brood__self->member), memory_order_release);
}

bool brood__movable_receive(uint64_t id)
{
    struct movable_shm *m = brood__movable_find(id);
    if (!m) return false;
    uint64_t word = atomic_load_explicit(&m->slot.word, memory_order_acquire), ours;
    do { /* by swap: the supervisor may settle it for a dead producer, or clear away a dead carrier */
        if (SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return false;
        if (SLOT_STATE(word) == SLOT_GARBAGE || SLOT_STATE(word) == SLOT_FREE || SLOT_STATE(word) == SLOT_FREEING)
            return false;
        ours = word_of(id, MOVABLE_RECEIVED, brood__self->member);
    } while (!atomic_compare_exchange_weak(&m->slot.word, &word, ours));
    return true;
}

void brood__movable_keep(uint64_t id)
{
    brood__movable_put_back(id);
}

/* ------------------------------------------------------------------------------------------------------ by hand */

/* gone first: it is 0 of this very member if the slot is the member's after that. */
static bool is_there(uint64_t member)
{
    struct member_shm *m = brood__member_find(member);
    return m && atomic_load(&m->gone) == 0 && brood__slot_is(&m->slot, member);
}

int brood__movable_give(uint64_t id, uint64_t member)
{
    uint64_t mine = word_of(id, SLOT_LIVE, brood__self->member);
    uint64_t given = word_of(id, MOVABLE_GIVEN, brood__self->member);
    for (;;) {
        int error = brood__movable_claim(id, member);
        if (error < 0) return error;
        struct movable_shm *m = at(id);
        atomic_store(&m->slot.word, given);
        bool there = is_there(member);
        if (there && swap(m, given, word_of(id, SLOT_LIVE, HANDLE_INDEX(member)))) return 0;
        swap(m, given, mine); /* or the supervisor has done it already */
        if (!there) return BROOD_ECLOSED;
    }
}

void brood__movable_take_back(uint64_t id, uint64_t member)
{
    struct movable_shm *m = brood__movable_find(id);
    if (m) swap(m, word_of(id, SLOT_LIVE, HANDLE_INDEX(member)), word_of(id, SLOT_LIVE, brood__self->member));
}

/* ---------------------------------------------------------------------------------------------------- going away */

bool brood__movable_seize(uint64_t id)
{
    struct movable_shm *m = brood__movable_find(id);
    if (!m) return false;
    uint64_t word = atomic_load_explicit(&m->slot.word, memory_order_acquire);
    do { /* by swap: garbage may be claimed at this moment, and the supervisor may be settling for a dead owner */
        if (SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return false;
        if (SLOT_STATE(word) == SLOT_GARBAGE || SLOT_STATE(word) == SLOT_FREE || SLOT_STATE(word) == SLOT_FREEING)
            return false;
    } while (!atomic_compare_exchange_weak(&m->slot.word, &word, word_of(id, SLOT_FREEING, brood__self->member)));
    return true;
}

/* What this thread has dropped, linked by `position`: a chain of ends inside of ends costs no stack. */
static _Thread_local uint64_t dropped;

void brood__movable_drop(uint64_t id)
{
    if (!brood__movable_seize(id)) return;
    at(id)->position = dropped;
    dropped = id;
}

void brood__movable_clear(void)
{
    while (dropped) {
        uint64_t id = dropped;
        dropped = at(id)->position;
        brood__movable_drops[HANDLE_TABLE(id)](HANDLE_INDEX(id));
    }
}

/* --------------------------------------------------------------------------------------------------------- repair */

/* One look at the word decides, and it is repeated until nothing there concerns the dead. */
static void repair(struct movable_shm *m, uint32_t dead, uint64_t dead_id)
{
    for (;;) {
        uint64_t word = atomic_load(&m->slot.word);
        unsigned state = (unsigned)SLOT_STATE(word);
        bool its = SLOT_OWNER(word) == dead, given = state == MOVABLE_GIVEN;
        uint64_t to = word;
        if (its && (given || state == SLOT_LIVE || state == MOVABLE_MOVING))
            to = SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0);
        else if (given && atomic_load(&m->carrier) == dead_id)
            to = SLOT_WORD(SLOT_GENERATION(word), SLOT_LIVE, SLOT_OWNER(word));
        if (to == word || swap(m, word, to)) return;
    }
}

void brood__movable_repair(uint32_t dead)
{
    uint64_t dead_id = HANDLE(TABLE_MEMBER, dead, SLOT_GENERATION(atomic_load(&brood__member_at(dead)->slot.word)));
    for (const enum table *t = brood__movable_tables; *t; t++) {
        uint32_t used = brood__table_used(*t);
        for (uint32_t i = 1; i < used; i++) repair((struct movable_shm *)(void *)brood__slot_at(*t, i), dead, dead_id);
    }
}
