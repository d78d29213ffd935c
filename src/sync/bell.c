/* SPDX-License-Identifier: MIT */
/* bell.c - bells; the protocol is in sync/bell.h.  Thread-safe; ringing is async-signal-safe. */
#include "sync/bell.h"

#include <pthread.h>
#include <stdlib.h>

/* This process's bells, under a mutex of its own: opening and closing are rare. */
struct bell {
    struct bell *next;
    uint64_t object, id;
    int fd;
    uint32_t turn;          /* another one whenever it is armed again or gave one of several; no other bell's */
    _Atomic uint32_t asked; /* by who asks for any answer: see bell_arm_for */
};
static struct bell *bells;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local volatile bool inside; /* this thread has the mutex: its signal handlers can't wait for it */

static void lock(void)
{
    inside = true;
    pthread_mutex_lock(&mutex);
}
static void unlock(void)
{
    pthread_mutex_unlock(&mutex);
    inside = false;
}

/* Never 0. */
static uint32_t next_turn(void)
{
    static _Atomic uint32_t turns;
    uint32_t turn = atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed) + 1;
    return turn ? turn : next_turn();
}

static struct bell *find(uint64_t object)
{
    struct bell *b = bells;
    while (b && b->object != object) b = b->next;
    return b;
}

int brood__bell_open(uint64_t object, struct bell **made)
{
    struct bell *b = malloc(sizeof *b);
    if (!b) return BROOD_ENOMEM;
    *b = (struct bell){.object = object, .fd = -1, .turn = next_turn()};
    uint32_t index;
    int error = brood__slot_claim(TABLE_BELL, brood__self->member, NULL, &index);
    if (error == 0) {
        struct bell_shm *s = (struct bell_shm *)(void *)brood__slot_at(TABLE_BELL, index);
        uint32_t generation = SLOT_GENERATION(atomic_load_explicit(&s->slot.word, memory_order_relaxed));
        error = brood__os_bell_open(brood__arena()->key, index, generation, &b->fd);
        if (error < 0) {
            brood__slot_release(TABLE_BELL, index);
        } else {
            s->object = object;
            atomic_store_explicit(&s->armed, 1, memory_order_relaxed);
            b->id = brood__slot_publish(TABLE_BELL, index);
        }
    }
    if (error < 0) {
        free(b);
        return error;
    }
    *made = b;
    return 0;
}

int brood__bell_descriptor(const struct bell *b)
{
    return b->fd;
}

int brood__bell_fd(uint64_t object)
{
    lock();
    struct bell *b = find(object);
    int result = 0;
    if (!b && (result = brood__bell_open(object, &b)) == 0) {
        b->next = bells;
        bells = b;
    }
    if (result == 0) result = b->fd;
    unlock();
    return result;
}

void brood__bell_quiet(struct bell *b)
{
    brood__os_bell_drain(b->fd);
    struct bell_shm *s = brood__slot_find(TABLE_BELL, b->id);
    /* seq_cst: the look at the object that follows must not come before; pairs with the fence in bell_ring. */
    if (s) atomic_exchange(&s->armed, 1);
    b->turn = next_turn();
}

void brood__bell_ring_own(const struct bell *b)
{
    brood__os_bell_ring(brood__self->bell_sender, brood__arena()->key, HANDLE_INDEX(b->id), HANDLE_GENERATION(b->id));
}

/* Whether it was rung since it was armed; armed again then, and readable. */
static bool rearm(struct bell *b)
{
    struct bell_shm *s = brood__slot_find(TABLE_BELL, b->id);
    /* seq_cst: the looks that follow must not come before; pairs with the fence in bell_ring. */
    if (!s || atomic_exchange(&s->armed, 1)) return false;
    b->turn = next_turn();
    return true;
}

/* See bell.h, A bell of many answers. */
static bool ask(struct bell *b, _Atomic uint32_t *asked)
{
    bool again = rearm(b);
    if (!again && atomic_load_explicit(asked, memory_order_relaxed) == b->turn) {
        brood__os_bell_drain(b->fd);
        again = true;
        if (rearm(b)) brood__bell_ring_own(b); /* a ring of this moment: it may be drained, and is for anyone */
    }
    atomic_store_explicit(asked, b->turn, memory_order_relaxed);
    return again;
}

bool brood__bell_arm_for(uint64_t object, _Atomic uint32_t *asked)
{
    if (!bells) return false; /* a bell that another thread opens right now is armed from the start */
    if (inside) return false; /* a signal handler: the descriptor is not quieted either, so it is asked again */
    lock();
    struct bell *b = find(object);
    bool again = b && ask(b, asked ? asked : &b->asked);
    unlock();
    return again;
}

void brood__bell_more(uint64_t object)
{
    if (!bells || inside) return;
    lock();
    struct bell *b = find(object);
    if (b) b->turn = next_turn();
    unlock();
}

void brood__bell_arm(uint64_t object)
{
    if (!bells || inside) return; /* as there */
    lock();
    struct bell *b = find(object);
    if (b) brood__bell_quiet(b);
    unlock();
}

static void ring(uint32_t index, bool all, uint64_t object)
{
    struct bell_shm *s = (struct bell_shm *)(void *)brood__slot_at(TABLE_BELL, index);
    uint64_t word = atomic_load_explicit(&s->slot.word, memory_order_acquire);
    if (SLOT_STATE(word) != SLOT_LIVE || (!all && s->object != object)) return;
    /* After a death even one that is not armed: the dead may have disarmed it and never rung. */
    bool armed = atomic_load_explicit(&s->armed, memory_order_relaxed) && atomic_exchange(&s->armed, 0);
    if (armed || all) brood__os_bell_ring(brood__self->bell_sender, brood__arena()->key, index, SLOT_GENERATION(word));
}

static void ring_some(bool all, uint64_t object)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the exchange in bell_arm: one of the two sees the other */
    uint32_t used = brood__table_used(TABLE_BELL);
    for (uint32_t i = 1; i < used; i++) ring(i, all, object);
}

void brood__bell_ring(uint64_t object)
{
    ring_some(false, object);
}

void brood__bell_ring_all(void)
{
    ring_some(true, 0);
}

void brood__bell_free(struct bell *b, bool forget)
{
    if (!forget && brood__slot_retire(TABLE_BELL, b->id)) brood__slot_release(TABLE_BELL, HANDLE_INDEX(b->id));
    brood__os_close(&b->fd);
    free(b);
}

static void close_bell(struct bell **place, bool forget)
{
    struct bell *b = *place;
    *place = b->next;
    brood__bell_free(b, forget);
}

void brood__bell_close(uint64_t object)
{
    if (!bells) return;
    lock();
    for (struct bell **p = &bells; *p; p = &(*p)->next) {
        if ((*p)->object != object) continue;
        close_bell(p, false);
        break;
    }
    unlock();
}

void brood__bell_close_all(bool forget)
{
    if (forget) {
        mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; /* another thread of the parent may have held it */
        inside = false;
    }
    while (bells) close_bell(&bells, forget);
}
