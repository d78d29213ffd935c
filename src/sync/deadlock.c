/* SPDX-License-Identifier: MIT */
/* deadlock.c - waits told, circles found; the protocol is in sync/deadlock.h.  Thread-safe. */
#include "sync/deadlock.h"

#include "arena/member.h"
#include "sync/lock.h"

static void say(struct member_shm *m, uint64_t lock, uint64_t word)
{
    atomic_store_explicit(&m->wants, lock, memory_order_relaxed);
    atomic_store_explicit(&m->wants_word, word, memory_order_relaxed);
    /* seq_cst: said before the look at what others say; of two that close a circle at once one sees the other. */
    atomic_fetch_add(&m->waits, 1);
}

void brood__wait_publish(struct wait *wait, uint64_t lock, uint64_t word)
{
    word &= ~(uint64_t)OS_WAITERS;
    if ((wait->published && wait->word == word) || brood__self->member == 0) return;
    struct member_shm *m = brood__me();
    if (wait->published) {
        atomic_fetch_add(&m->waits, 1);
    } else {
        wait->before = atomic_load_explicit(&m->wants, memory_order_relaxed);
        wait->word_before = atomic_load_explicit(&m->wants_word, memory_order_relaxed);
    }
    wait->published = true;
    wait->word = word;
    say(m, lock, word);
}

void brood__wait_withdraw(struct wait *wait)
{
    if (!wait->published) return;
    wait->published = false;
    struct member_shm *m = brood__me();
    atomic_fetch_add(&m->waits, 1);
    atomic_store_explicit(&m->wants, wait->before, memory_order_relaxed);
    atomic_store_explicit(&m->wants_word, wait->word_before, memory_order_relaxed);
}

/* What a member says that it waits for: false, nothing. */
static bool says(uint32_t index, struct edge *e)
{
    if (index == 0 || index >= brood__table_used(TABLE_MEMBER)) return false;
    struct member_shm *m = brood__member_at(index);
    uint64_t word = atomic_load(&m->slot.word);
    e->member = HANDLE(TABLE_MEMBER, index, SLOT_GENERATION(word));
    e->waits = atomic_load(&m->waits);
    e->lock = atomic_load(&m->wants);
    e->word = atomic_load(&m->wants_word);
    return SLOT_STATE(word) == SLOT_LIVE && (e->waits & 1) && !brood__member_dead(index);
}

/* Whether the lock is as its waiter says; then *holder has it. */
static bool leads(const struct edge *e, uint32_t *holder)
{
    uint64_t word;
    return brood__lock_look(e->lock, &word, holder) && word == e->word;
}

static bool trace(uint32_t start, struct circle *c)
{
    uint32_t member = start;
    for (c->count = 0; c->count < CIRCLE_MOST;) {
        struct edge *e = &c->edges[c->count++];
        if (!says(member, e) || !leads(e, &member)) return false;
        if (member == start) return true;
    }
    return false; /* too long, or it has run into a circle that it is no part of */
}

/* Whether each of these processes is there, and has nobody in it who could go on. */
static bool stuck(const struct circle *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct member_shm *m = brood__member_at(HANDLE_INDEX(c->edges[i].member));
        struct os_process process = {m->pid, m->started};
        if (!brood__os_process_single(&process)) return false;
    }
    return true;
}

static bool unchanged(const struct circle *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct edge now;
        uint32_t holder;
        if (!says(HANDLE_INDEX(c->edges[i].member), &now) || !leads(&now, &holder)) return false;
        const struct edge *e = &c->edges[i];
        if (now.member != e->member || now.waits != e->waits || now.lock != e->lock || now.word != e->word)
            return false;
    }
    return true;
}

bool brood__circle_find(uint32_t member, struct circle *circle)
{
    return trace(member, circle) && stuck(circle) && unchanged(circle);
}

bool brood__circle_close(struct wait *wait, struct circle *circle)
{
    if (!wait->published || !trace(brood__self->member, circle)) return false;
    struct latch_shm *verdict = &brood__arena()->verdict;
    void *announced = brood__os_announce(verdict);
    bool mine = false;
    if (brood__latch_acquire(&verdict->word) != LATCH_MINE) {
        mine = brood__circle_find(brood__self->member, circle);
        if (mine) brood__wait_withdraw(wait);
        brood__latch_release(&verdict->word, 0);
    }
    brood__os_announce_again(announced);
    return mine;
}
