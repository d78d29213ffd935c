/* SPDX-License-Identifier: MIT */
/* visit.c - visits; the protocol is in arena/visit.h. */
#include "arena/visit.h"

#include "arena/member.h"

/* The cells behind the cells: which count. */
static unsigned count_of(enum table table)
{
    return table == TABLE_POOL;
}

static bool word_is_live(uint64_t word, uint64_t id)
{
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) && SLOT_STATE(word) == SLOT_LIVE;
}

void *brood__visit_begin(enum table table, uint64_t id, unsigned *cell)
{
    struct slot_shm *slot = brood__slot_find(table, id);
    if (!slot) return NULL;
    struct member_shm *me = brood__me();
    for (*cell = 0; *cell < MEMBER_VISITS; (*cell)++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&me->visits[*cell], &none, id)) break;
    }
    if (*cell == MEMBER_VISITS) {
        *cell += count_of(table);
        atomic_fetch_add(&me->more_visits[count_of(table)], 1u);
    }
    /* Sequentially consistent, as the cell: pairs with the fence in brood__visited, which stands between the other two. */
    uint64_t word = atomic_load(&slot->word);
    if (word_is_live(word, id)) return slot;
    brood__visit_end(*cell);
    return NULL;
}

void brood__visit_end(unsigned cell)
{
    struct member_shm *me = brood__me();
    /* release: what was read and written there comes before. */
    if (cell < MEMBER_VISITS)
        atomic_store_explicit(&me->visits[cell], 0, memory_order_release);
    else
        atomic_fetch_sub_explicit(&me->more_visits[cell - MEMBER_VISITS], 1u, memory_order_release);
}

bool brood__visited(uint64_t id)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the second look of brood__visit_begin */
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        for (unsigned c = 0; c < MEMBER_VISITS; c++)
            if (atomic_load_explicit(&m->visits[c], memory_order_acquire) == id) return true;
        if (atomic_load_explicit(&m->more_visits[count_of(HANDLE_TABLE(id))], memory_order_acquire) != 0) return true;
    }
    return false;
}

void brood__visit_forget(uint32_t member)
{
    struct member_shm *m = brood__member_at(member);
    for (unsigned c = 0; c < MEMBER_VISITS; c++) atomic_store(&m->visits[c], 0);
    for (unsigned k = 0; k < 2; k++) atomic_store(&m->more_visits[k], 0u);
}
