/* SPDX-License-Identifier: MIT */
/* pipe.c - pipes; the protocol is in pipe/pipe.h.  Thread-safe; async-signal-safe as brood/pipe.h says. */
#include "pipe/pipe.h"

#include "pipe/token.h"
#include "queue/message.h"
#include "sync/bell.h"

#include <brood/pipe.h>

#define DEFAULT_CAPACITY (64u * 1024u)
#define LEAST_CAPACITY 256u

static struct queue_shm *at(uint32_t index)
{
    return (struct queue_shm *)(void *)brood__slot_at(TABLE_PIPE, index);
}

static struct queue_shm *look(uint64_t id)
{
    return HANDLE_TABLE(id) == TABLE_PIPE ? (struct queue_shm *)(void *)brood__movable_find(id) : NULL;
}

/* The end of a handle, which says where it sends to. */
static int find(brood_pipe_end end, int timeout, struct queue_shm **own, uint64_t *peer)
{
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    *own = look(end.id);
    if (!*own) return brood__slot_gone(TABLE_PIPE, end.id);
    *peer = (*own)->peer;
    return brood__slot_lives(&(*own)->slot, end.id) ? 0 : brood__slot_gone(TABLE_PIPE, end.id);
}

/* The ring that an end receives from. */
static int find_own(brood_pipe_end end, int timeout, struct queue_shm **ring)
{
    uint64_t peer = 0;
    int error = find(end, timeout, ring, &peer);
    if (error < 0 || !*ring || (*ring)->capacity) return error;
    return brood__fail_numbers(BROOD_EINVAL, "this end of a pipe only sends", 0, 0);
}

/* The ring that an end sends to. */
static int find_peer(brood_pipe_end end, int timeout, struct queue_shm **ring, uint64_t *peer)
{
    struct queue_shm *own;
    int error = find(end, timeout, &own, peer);
    if (error < 0) return error;
    if (own->mute) return brood__fail_numbers(BROOD_EINVAL, "this end of a pipe only receives", 0, 0);
    *ring = look(*peer);
    return *ring ? 0 : BROOD_ECLOSED;
}

/* A ring says BROOD_ECLOSED when either end has gone. */
static int answer(brood_pipe_end end, int result)
{
    return result == BROOD_ECLOSED && !look(end.id) ? brood__slot_gone(TABLE_PIPE, end.id) : result;
}

/* -------------------------------------------------------------------------------------------- making and closing */

static int claim(uint32_t *index, uint64_t capacity, uint32_t max_items)
{
    int error = brood__slot_claim(TABLE_PIPE, brood__self->member, brood__pipe_scrub, index);
    if (error < 0) return error;
    struct queue_shm *q = at(*index);
    brood__ring_begin(q, capacity, max_items);
    if (capacity == 0) return 0;
    error = brood__pages_allocate(TABLE_PIPE, *index, capacity);
    if (error < 0)
        brood__slot_release(TABLE_PIPE, *index);
    else
        *(uint64_t *)brood__at(q->slot.body) = 0; /* the header 0 of the first record */
    return error;
}

static uint64_t id_of(uint32_t index)
{
    return HANDLE(TABLE_PIPE, index, SLOT_GENERATION(atomic_load(&at(index)->slot.word)));
}

int brood_pipe_new(brood_pipe_end ends[2], const brood_pipe_options *options)
{
    static const brood_pipe_options none;
    const brood_pipe_options *o = options ? options : &none;
    size_t wanted = o->capacity ? o->capacity : DEFAULT_CAPACITY;
    uint64_t capacity = LEAST_CAPACITY;
    uint32_t index[2];
    int error = brood__enter();
    if (error < 0) return error;
    if (wanted > brood__arena()->limit)
        return brood__fail_numbers(BROOD_EINVAL, "a pipe of %llu bytes, and the family's arena has %llu at most",
                                   (long long)wanted, (long long)brood__arena()->limit);
    if (o->max_items > INT32_MAX)
        return brood__fail_numbers(BROOD_EINVAL, "a pipe has at most %llu messages", INT32_MAX, 0);
    while (capacity < wanted) capacity *= 2;
    error = claim(&index[0], capacity, (uint32_t)o->max_items);
    if (error < 0) return error;
    error = claim(&index[1], o->one_way ? 0 : capacity, (uint32_t)o->max_items);
    if (error < 0) {
        brood__slot_release(TABLE_PIPE, index[0]);
        return error;
    }
    at(index[0])->mute = o->one_way;
    for (int i = 0; i < 2; i++) at(index[i])->peer = id_of(index[!i]);
    for (int i = 0; i < 2; i++) ends[i].id = brood__slot_publish(TABLE_PIPE, index[i]);
    return 0;
}

/* Whoever waits at this end, for a message or for room in it. */
static void call_end(uint64_t id)
{
    struct queue_shm *q = look(id);
    if (q) brood__ring_call(q);
    brood__bell_ring(id);
}

void brood__pipe_drop(uint32_t index)
{
    struct queue_shm *q = at(index);
    uint64_t id = id_of(index);
    brood__ring_clear(q); /* (2) */
    call_end(q->peer);    /* (3) */
    brood__bell_ring(id); /* who listens to this end in another process */
    brood__bell_close(id);
    brood__slot_release(TABLE_PIPE, index); /* (4) */
}

bool brood__pipe_scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    struct queue_shm *q = (struct queue_shm *)(void *)slot;
    if (brood__ring_clear(q) < 0) return false;
    if (q->peer) call_end(q->peer);
    brood__movable_clear();
    return true;
}

int brood_pipe_close(brood_pipe_end end)
{
    struct queue_shm *q;
    uint64_t peer = 0;
    int error = find(end, 0, &q, &peer);
    if (error == 0) error = brood__movable_mine(end.id);
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_PIPE, end.id)) return BROOD_EPERM; /* (1); lost to a call that moves it */
    brood__pipe_drop(HANDLE_INDEX(end.id));
    brood__movable_clear();
    return 0;
}

/* ------------------------------------------------------------------------------------------------------- messages */

int brood_pipe_send_moving(brood_pipe_end end, const void *data, size_t size, const uint64_t *moved, size_t count,
                           int timeout)
{
    struct queue_shm *q;
    uint64_t peer = 0;
    int error = find_peer(end, timeout, &q, &peer);
    if (error == 0) error = brood__message_put(q, peer, data, size, moved, count, timeout);
    return answer(end, error);
}

int brood_pipe_send(brood_pipe_end end, const void *data, size_t size, int timeout)
{
    return brood_pipe_send_moving(end, data, size, NULL, 0, timeout);
}

int brood_pipe_send_buffer(brood_pipe_end end, brood_buffer buffer, int timeout)
{
    struct queue_shm *q;
    uint64_t peer = 0;
    int error = find_peer(end, timeout, &q, &peer);
    if (error == 0) error = brood__message_put_buffer(q, peer, buffer.id, timeout);
    return answer(end, error);
}

int brood_pipe_recv(brood_pipe_end end, void *data, size_t capacity, size_t *size, int timeout)
{
    struct queue_shm *q;
    int error = find_own(end, timeout, &q);
    if (error == 0) error = brood__message_get(q, end.id, data, capacity, size, timeout);
    return answer(end, error);
}

int brood_pipe_recv_exactly(brood_pipe_end end, void *data, size_t size, int timeout)
{
    struct queue_shm *q;
    int error = find_own(end, timeout, &q);
    if (error == 0) error = brood__message_get_exactly(q, end.id, data, size, timeout);
    return answer(end, error);
}

int brood_pipe_recv_buffer(brood_pipe_end end, brood_buffer *buffer, int timeout)
{
    struct queue_shm *q;
    int error = find_own(end, timeout, &q);
    if (error == 0) error = brood__message_get_buffer(q, end.id, buffer, timeout);
    return answer(end, error);
}

int brood_pipe_recv_view(brood_pipe_end end, brood_view *view, int timeout)
{
    struct queue_shm *q;
    int error = find_own(end, timeout, &q);
    if (error == 0) error = brood__message_get_view(q, end.id, view, timeout);
    return answer(end, error);
}

int brood_pipe_poll(brood_pipe_end end, int timeout)
{
    struct queue_shm *q;
    int error = find_own(end, timeout, &q);
    if (error == 0) error = brood__message_wait(q, end.id, timeout);
    return answer(end, error);
}

int brood_pipe_fd(brood_pipe_end end)
{
    struct queue_shm *q;
    int error = find_own(end, 0, &q);
    return error < 0 ? error : brood__message_fd(q, end.id);
}

int brood_give_id(uint64_t id, brood_process to)
{
    int error = brood__enter();
    if (error == 0 && !brood__slot_find(TABLE_MEMBER, to.id)) error = BROOD_ESTALE;
    return error < 0 ? error : brood__movable_give(id, to.id);
}

/* ------------------------------------------------------------------------------------------------------- repairs */

static bool is_carrier(uint64_t id)
{
    uint32_t table = HANDLE_TABLE(id), index = HANDLE_INDEX(id);
    if (table != TABLE_QUEUE && table != TABLE_PIPE) return false;
    return index && index < brood__table_used(table) && brood__slot_lives(brood__slot_at(table, index), id);
}

/* What is in the messages of one that is no more; whether there was any. */
static bool sink_with_carriers(void)
{
    bool some = false;
    for (const enum table *t = brood__movable_tables; *t; t++) {
        uint32_t used = *t == TABLE_BUFFER ? 0 : brood__table_used(*t); /* for buffers nobody waits: taken later */
        for (uint32_t i = 1; i < used; i++) {
            struct movable_shm *m = (struct movable_shm *)(void *)brood__slot_at(*t, i);
            uint64_t word = atomic_load(&m->slot.word);
            if ((unsigned)SLOT_STATE(word) != MOVABLE_TRANSIT || is_carrier(atomic_load(&m->carrier))) continue;
            some |=
                atomic_compare_exchange_strong(&m->slot.word, &word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
        }
    }
    return some;
}

static bool repair(uint32_t dead)
{
    bool all = true;
    (void)dead;
    while (sink_with_carriers()) continue;
    uint32_t used = brood__table_used(TABLE_PIPE);
    for (uint32_t i = 1; i < used; i++) {
        if (SLOT_STATE(atomic_load(&at(i)->slot.word)) != SLOT_GARBAGE) continue;
        all &= brood__ring_ring(at(i));
        struct queue_shm *peer = look(at(i)->peer);
        if (peer) all &= brood__ring_ring(peer);
    }
    brood__token_look();
    return all;
}

static void ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_PIPE);
    for (uint32_t i = 1; i < used; i++) brood__ring_ring(at(i));
}

const struct area brood__pipe_area = {
    .repair = repair, .ring_all = ring_all, .serve = brood__token_serve, .look = brood__token_look};
