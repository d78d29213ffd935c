/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the ring of a queue; the protocol is in queue/ring.h.
 * Thread-safe; async-signal-safe (BROOD_EDEADLK when the handler interrupted the holder of a latch).
 */
#include "queue/ring.h"

#include "call/buffer.h"
#include "queue/record.h"
#include "sync/bell.h"
#include "sync/wait.h"

#include <brood/task.h>
#include <limits.h>

#if defined(__SANITIZE_THREAD__)
#define BROOD_UNDER_TSAN 1
#elif defined(__has_feature)
#define BROOD_UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define BROOD_UNDER_TSAN 0
#endif

/* Compiled once for the first lane, which most queues have alone, and once for any. */
#define FOR_EACH_LANE static inline __attribute__((always_inline))

/* Bytes that a record of `size` takes at `at`, with what it skips at the ring's end. */
static uint64_t needed(const struct queue_shm *q, uint64_t at, size_t size)
{
    uint64_t left = q->capacity - (at & (q->capacity - 1)), bytes = record_bytes(size);
    return bytes <= left ? bytes : left + bytes;
}

static bool fits(const struct queue_shm *q, uint64_t at, uint64_t bytes, uint64_t head)
{
    return at + bytes + 8 - head <= q->capacity; /* + the header 0 that follows */
}

static bool empty(const struct queue_shm *q, unsigned lane)
{
    return brood__ring_empty(q, lane, lane_head(q, lane));
}

bool brood__ring_all_empty(const struct queue_shm *q)
{
    bool all = empty(q, 0);
    for (unsigned lane = 1; all && lane < q->lanes; lane++) all = empty(q, lane);
    return all;
}

static uint32_t in_lane(const struct queue_shm *q, unsigned lane)
{
    _Atomic uint32_t *taken = &((struct queue_shm *)(uintptr_t)q)->got[lane].taken;
    int32_t n = (int32_t)(*(volatile uint32_t *)&brood__put_lane(q, lane)->sequence -
                          atomic_load_explicit(taken, memory_order_acquire));
    return n < 0 ? 0 : (uint32_t)n;
}

uint32_t brood__ring_items(const struct queue_shm *q)
{
    uint32_t n = 0;
    for (unsigned lane = 0; lane < q->lanes; lane++) n += in_lane(q, lane);
    return n;
}

/* Whether one more would be more than the items that are allowed. */
static bool too_many(const struct queue_shm *q, unsigned lane, uint32_t sequence)
{
    if (q->max_items == 0) return false;
    uint32_t n =
        sequence - atomic_load_explicit(&((struct queue_shm *)(uintptr_t)q)->got[lane].taken, memory_order_acquire);
    for (unsigned other = 0; q->lanes > 1 && other < q->lanes; other++)
        if (other != lane) n += in_lane(q, other);
    return n >= q->max_items;
}

/* Whether one more message of `size` has room; looks at head anew if the one seen before says no. */
FOR_EACH_LANE bool room(struct queue_shm *q, unsigned lane, uint64_t at, uint32_t sequence, size_t size)
{
    struct put_lane *p = brood__put_lane(q, lane);
    uint64_t bytes = needed(q, at, size);
    if (too_many(q, lane, sequence)) return false;
    if (fits(q, at, bytes, p->head_seen)) return true;
    p->head_seen = atomic_load_explicit(&q->got[lane].head, memory_order_acquire); /* pairs with the commit of get */
    return fits(q, at, bytes, p->head_seen);
}

/* ------------------------------------------------------------------------------------------------------ writing */

struct batch {
    uint64_t start, at;    /* where the first record begins; where the next one would */
    uint64_t first_header; /* kept back for the commit */
    uint32_t sequence;
    unsigned lane;
};

FOR_EACH_LANE _Atomic uint64_t *header(const struct queue_shm *q, const struct batch *b, uint64_t at)
{
    return record_header(q, b->lane, at);
}

/* (1) payload, of `more` bytes and then `size`, and headers, the batch's first excepted. */
FOR_EACH_LANE void write_record(struct queue_shm *q, struct batch *b, uint32_t code, const void *front, size_t more,
                                const void *data, size_t size)
{
    uint64_t offset = b->at & (q->capacity - 1), left = q->capacity - offset;
    uint64_t word = (uint64_t)b->sequence << 32 | code;
    bool first = b->at == b->start;
    if (record_bytes(more + size) > left) {
        atomic_store_explicit(header(q, b, 0), word, memory_order_relaxed);
        word = left << 32 | RECORD_WRAP;
        if (!first) atomic_store_explicit(header(q, b, offset), word, memory_order_relaxed);
        b->at += left;
        offset = 0;
    } else if (!first) {
        atomic_store_explicit(header(q, b, offset), word, memory_order_relaxed);
    }
    if (first) b->first_header = word;
    char *payload = (char *)header(q, b, offset) + 8;
    if (__builtin_expect(more != 0, 0)) memcpy(payload, front, more);
    if (size) memcpy(payload + more, data, size);
    b->at += record_bytes(more + size);
    b->sequence++;
}

FOR_EACH_LANE void commit(struct queue_shm *q, const struct batch *b)
{
    struct put_lane *p = brood__put_lane(q, b->lane);
    atomic_store_explicit(header(q, b, b->at), 0, memory_order_relaxed);                  /* (2) */
    atomic_store_explicit(header(q, b, b->start), b->first_header, memory_order_release); /* (4) pairs with empty() */
    *(volatile uint32_t *)&p->sequence = b->sequence; /* before the tail: an heir that finds it there believes both */
    *(volatile uint64_t *)&p->tail = b->at;           /* (5) */
}

/* Bytes of the first record's payload. */
static size_t first_size(const struct source *source)
{
    if (source->moved_count)
        return MOVES_BYTES(source->moved_count) + (source->buffer_id ? 0 : source->messages[0].size);
    return source->buffer_id ? sizeof(struct long_record) : source->messages[0].size;
}

static __attribute__((noinline)) void write_moves(struct queue_shm *q, struct batch *b, const struct source *source)
{
    struct moves_record m = {.message = {source->buffer_id, source->buffer_size}, .count = source->moved_count};
    if (source->moved_count == 0) {
        write_record(q, b, RECORD_LONG, NULL, 0, &m.message, sizeof m.message);
    } else {
        brood_bytes here = {NULL, 0};
        if (!source->buffer_id) {
            here = source->messages[0];
            m.message.size = here.size;
        }
        memcpy(m.moved, source->moved, 8 * source->moved_count);
        write_record(q, b, RECORD_MOVES, &m, MOVES_BYTES(source->moved_count), here.data, here.size);
    }
    uint64_t place = brood__ring_place(b->lane, b->start);
    if (source->buffer_id) brood__movable_send(source->buffer_id, place);                          /* (3) */
    for (size_t i = 0; i < source->moved_count; i++) brood__movable_send(source->moved[i], place); /* (3) */
}

FOR_EACH_LANE size_t put_into(struct queue_shm *q, const struct source *source, unsigned lane)
{
    const struct put_lane *p = brood__put_lane(q, lane);
    struct batch b = {p->tail, p->tail, 0, p->sequence, lane};
    size_t n = 0;
    if (__builtin_expect(source->buffer_id || source->moved_count, 0)) {
        if (!room(q, lane, b.at, b.sequence, first_size(source))) return 0;
        write_moves(q, &b, source);
        n = 1;
    } else {
        for (; n < source->count; n++) {
            const struct brood_bytes *m = &source->messages[n];
            if (!room(q, lane, b.at, b.sequence, m->size)) break;
            write_record(q, &b, (uint32_t)m->size + 1, NULL, 0, m->data, m->size);
        }
    }
    if (n) commit(q, &b);
    return n;
}

/* As many of the source's messages as fit; how many.  The put latch is held. */
static size_t put_some(struct queue_shm *q, const struct source *source)
{
    if (__builtin_expect(source->lane == 0, 1)) return put_into(q, source, 0);
    return put_into(q, source, source->lane);
}

static bool room_for_first(struct queue_shm *q, const struct source *source)
{
    const struct put_lane *p = brood__put_lane(q, source->lane);
    return room(q, source->lane, p->tail, p->sequence, first_size(source));
}

/* Whether this source finds no room for want of bytes alone, and there may be more. */
static bool may_grow(const struct queue_shm *q, const struct source *source)
{
    return brood__ring_may_grow(q) && !too_many(q, source->lane, brood__put_lane(q, source->lane)->sequence);
}

/* ------------------------------------------------------------------------------------------------------ reading */

/* What the record moves is ours once head is stored; its bytes may be overwritten from then on. */
struct received {
    uint64_t ids[MOVES_MOST + 1];
    size_t count;
};

static void receive(struct received *r, struct sink *sink, const struct record *record)
{
    r->count = 0;
    if (record->buffer_id && brood__movable_receive(record->buffer_id)) { /* (2) */
        sink->received = brood__buffer_carried(record->buffer_id);
        r->ids[r->count++] = record->buffer_id;
    }
    for (size_t i = 0; i < record->moved_count; i++)
        if (brood__movable_receive(record->moved[i])) r->ids[r->count++] = record->moved[i]; /* (2) */
}

FOR_EACH_LANE int get_from(struct queue_shm *q, struct sink *sink, unsigned lane)
{
    struct get_lane *g = &q->got[lane];
    uint64_t head = atomic_load_explicit(&g->head, memory_order_relaxed), at = head, *entry = NULL;
    struct received received = {.count = 0};
    uint32_t sequence = 0;
    int n = 0, more = 1;
    while (more > 0 && !brood__ring_empty(q, lane, at)) {
        struct record record;
        uint32_t its;
        uint64_t next = read_record(q, lane, at, &record, &its);
        bool moves = record.buffer_id || record.moved_count;
        if (n && moves) break;
        if (__builtin_expect(q->joinable && !entry, 0)) {
            entry = brood__tally_entry(q);
            if (!entry) return BROOD_EARENA;
        }
        more = sink->take(sink, &record); /* (1) */
        if (more < 0) break;
        if (__builtin_expect(moves, 0)) {
            receive(&received, sink, &record);
            more = 0;
        }
        sequence = its;
        at = next;
        n++;
    }
    if (n == 0) return more < 0 ? more : 0;
    atomic_store_explicit(&g->taken, sequence + 1, memory_order_release); /* (3) */
    if (__builtin_expect(entry != NULL, 0)) brood__tally_intend(q, entry, brood__ring_place(lane, at), (uint32_t)n);
    atomic_store_explicit(&g->head, at, memory_order_release); /* (4) pairs with room() */
    if (__builtin_expect(entry != NULL, 0)) brood__tally_took(q, (uint32_t)n);
    for (size_t i = 0; i < received.count; i++) brood__movable_keep(received.ids[i]); /* (5) */
    return n;
}

/* Take what the sink wants; how many (0: nothing there), or its error.  The get latch is held. */
static int get_some(struct queue_shm *q, struct sink *sink)
{
    unsigned lane = q->lanes - 1;
    if (__builtin_expect(lane == 0, 1)) return get_from(q, sink, 0);
    while (lane > 0 && empty(q, lane)) lane--; /* the most urgent */
    return get_from(q, sink, lane);
}

/* ------------------------------------------------------------------------------------------- latches and repairs */

/* Of a lane: it may have committed without moving the tail. */
static void find_tail(struct queue_shm *q, unsigned lane)
{
    struct put_lane *p = brood__put_lane(q, lane);
    struct get_lane *g = &q->got[lane];
    uint64_t tail = p->tail;
    uint32_t sequence = p->sequence;
    for (;;) {
        uint64_t head = atomic_load_explicit(&g->head, memory_order_acquire);
        if (head > tail) { /* consumers have overtaken the stale tail: what is before head was put */
            tail = head;
            sequence = atomic_load_explicit(&g->taken, memory_order_acquire);
        }
        if (brood__ring_empty(q, lane, tail)) {
            if (atomic_load_explicit(&g->head, memory_order_acquire) <= tail) break;
            continue;
        }
        struct record record;
        uint32_t its;
        uint64_t next = read_record(q, lane, tail, &record, &its);
        if (atomic_load_explicit(&g->head, memory_order_acquire) > tail)
            continue;                         /* taken meanwhile: what was read may be old */
        if (next - head > q->capacity) break; /* nobody puts so much: what is there is no chain of records */
        tail = next;
        sequence = its + 1;
    }
    *(volatile uint32_t *)&p->sequence = sequence;
    *(volatile uint64_t *)&p->tail = tail;
}

/* The heir of a dead producer. */
void brood__ring_repair_put(struct queue_shm *q)
{
    q->put.flags[SIDE_PEER] = 1;
    q->put.flags[SIDE_BATON] = 1;
    q->put.flags[SIDE_WAKER] = 0;
    q->put.flags[SIDE_ASLEEP_MIXED] = 1;
    brood__ring_measure(q);
    for (unsigned lane = 0; lane < q->lanes; lane++) find_tail(q, lane);
}

/* The heir of a dead consumer: it may have stored `taken` without the head. */
void brood__ring_repair_get(struct queue_shm *q)
{
    q->get.flags[SIDE_PEER] = 1;
    q->get.flags[SIDE_BATON] = 1;
    q->get.flags[SIDE_WAKER] = 0;
    brood__ring_measure(q);
    for (unsigned lane = 0; lane < q->lanes; lane++) {
        if (empty(q, lane)) continue;
        struct record record;
        uint32_t sequence;
        read_record(q, lane, lane_head(q, lane), &record, &sequence);
        atomic_store_explicit(&q->got[lane].taken, sequence, memory_order_release);
    }
    if (q->joinable) brood__tally_repair(q);
}

/* The side is announced.  0 or BROOD_EDEADLK. */
static int lock_put(struct queue_shm *q)
{
    uint32_t seen = brood__latch_acquire(&q->put.word);
    if (__builtin_expect(seen == LATCH_MINE, 0)) return BROOD_EDEADLK;
    if (__builtin_expect(seen & OS_OWNER_DIED, 0)) brood__ring_repair_put(q);
    return 0;
}
static int lock_get(struct queue_shm *q)
{
    uint32_t seen = brood__latch_acquire(&q->get.word);
    if (__builtin_expect(seen == LATCH_MINE, 0)) return BROOD_EDEADLK;
    if (__builtin_expect(seen & OS_OWNER_DIED, 0)) brood__ring_repair_get(q);
    return 0;
}

/* Both, put first; on return both are listed.  If have_put, the put side is held and announced. */
static int lock_both(struct queue_shm *q, bool have_put)
{
    if (!have_put) {
        brood__os_announce(&q->put);
        int error = lock_put(q);
        if (error < 0) return error;
    }
    brood__os_robust_link(&q->put);
    brood__os_announce(&q->get);
    int error = lock_get(q);
    if (error < 0) {
        brood__os_announce(&q->put);
        brood__os_robust_unlink(&q->put);
        brood__latch_release(&q->put.word, 0);
        return error;
    }
    brood__os_robust_link(&q->get);
    return 0;
}

/*
 * Of two held sides release one, then wake up to n who sleep on it; returns how many woke.  Its word stays announced,
 * so our death in between pays.  The other side stays held and listed.
 */
static int release_first(struct latch_shm *side, int n)
{
    if (n) {
        side->flags[SIDE_BATON] = 1;
        side->flags[SIDE_WAKER] = 0;
    }
    brood__os_announce(side);
    brood__os_robust_unlink(side);
    brood__latch_release(&side->word, 0);
    return n ? brood__os_futex_wake(&side->word, n) : 0;
}
static void release_last(struct latch_shm *side, uint32_t free_value)
{
    brood__os_announce(side);
    brood__os_robust_unlink(side);
    brood__latch_release(&side->word, free_value);
}

/*
 * The baton of our own side, which is held: passed on if there is more to do for our class, else gone; who leaves a
 * closed or freed queue always passes it on, for so do all others.  To pass it is to wake one more, after the release
 * and with the word announced: were it held when the woken one dies, the kernel would wake nobody for it.
 */
static bool passes_baton(struct latch_shm *side, bool more)
{
    if (!side->flags[SIDE_BATON]) return false;
    side->flags[SIDE_BATON] = more;
    side->flags[SIDE_WAKER] = brood__os_robust.tid;
    return more;
}
static void pass_baton(struct latch_shm *side)
{
    if (brood__os_futex_wake(&side->word, 1) > 0) return;
    uint32_t seen = atomic_load_explicit(&side->word, memory_order_relaxed);
    if (seen != 0 && seen != OS_WAITERS) return; /* whoever holds it has the baton; a dead holder's heir as well */
    if (!atomic_compare_exchange_strong_explicit(&side->word, &seen, brood__os_robust.tid | OS_WAITERS,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    if (side->flags[SIDE_WAKER] == brood__os_robust.tid) side->flags[SIDE_BATON] = 0; /* nobody was asleep */
    brood__latch_release(&side->word, seen);
}
/* Release our own side, which is the only one held, and announced. */
static void leave_side(struct latch_shm *side, bool more)
{
    bool passes = passes_baton(side, more);
    brood__latch_release(&side->word, 0);
    if (passes) pass_baton(side);
}

/* ---------------------------------------------------------------------------------------------------------- put */

enum { AGAIN = 0 }; /* of a slow path: slept, or another turn is due */

/* Why this call can't go on with a side held, or 0. */
static int refused(struct queue_shm *q, uint64_t id)
{
    if (__builtin_expect(brood__slot_lives(&q->slot, id), 1)) return 0;
    return q->peer ? BROOD_ECLOSED : brood__slot_gone(TABLE_QUEUE, id);
}

/* No more puts.  Whoever holds a latch of this ring and finds it so, and they who have that latch after it, agree. */
static bool is_closed(const struct queue_shm *q)
{
    if (atomic_load_explicit(&q->closed, memory_order_relaxed)) return true;
    return q->peer && !brood__movable_find(q->peer);
}

/* Of the producers that may be asleep: bytes of the record that the first of them wants to put; whether some want others. */
static void note_sleeper(struct queue_shm *q, const struct source *source)
{
    uint32_t bytes = (uint32_t)record_bytes(first_size(source));
    if (!q->get.flags[SIDE_PEER]) {
        q->put.flags[SIDE_ASLEEP_SIZE] = bytes;
        q->put.flags[SIDE_ASLEEP_MIXED] = q->lanes > 1;
    } else if (q->put.flags[SIDE_ASLEEP_SIZE] != bytes) {
        q->put.flags[SIDE_ASLEEP_MIXED] = 1;
    }
    q->get.flags[SIDE_PEER] = 1;
}

/* How many producers to wake for n messages that were taken; with both sides. */
static int wakes_for(const struct queue_shm *q, int n)
{
    return !q->get.flags[SIDE_PEER] ? 0 : q->put.flags[SIDE_ASLEEP_MIXED] ? INT_MAX : n;
}

/* With both sides: put, or go to sleep.  > 0: put; AGAIN; or an error. */
static int put_slow(struct queue_shm *q, uint64_t id, const struct source *source, bool have_put, int64_t deadline,
                    bool *late)
{
    int result = lock_both(q, have_put);
    if (result < 0) return result;
    result = refused(q, id);
    if (result == 0 && is_closed(q)) result = BROOD_ECLOSED;
    if (result == 0) result = (int)put_some(q, source);
    if (__builtin_expect(result == 0 && may_grow(q, source), 0)) {
        result = brood__ring_resize(q, q->capacity * 2);
        if (result == 0) result = (int)put_some(q, source);
    }
    if (result > 0) {
        bool passes =
            q->put.flags[SIDE_BATON] && passes_baton(&q->put, room_for_first(q, source) || may_grow(q, source));
        int woken = release_first(&q->get, q->put.flags[SIDE_PEER] ? result : 0);
        if (woken == 0) q->put.flags[SIDE_PEER] = 0;
        release_last(&q->put, 0);
        if (passes) pass_baton(&q->put);
        return result;
    }
    /* No room, or no more: if consumers sleep although there is something, this is one more chance to wake one. */
    bool sleep = result == 0 && deadline != 0 && !*late, more = result == 0 && !brood__ring_all_empty(q);
    bool passes = passes_baton(&q->put, result < 0);
    if (sleep) note_sleeper(q, source);
    int woken = release_first(&q->get, q->put.flags[SIDE_PEER] && more);
    if (woken == 0 && more) q->put.flags[SIDE_PEER] = 0;
    release_last(&q->put, sleep ? OS_WAITERS : 0);
    if (passes) pass_baton(&q->put);
    if (result < 0) return result;
    if (!sleep) return BROOD_EAGAIN;
    *late = brood__sleep(&q->put.word, OS_WAITERS, deadline, id) < 0;
    return AGAIN;
}

/* Full, and nothing is held: wait a little for room. */
static bool spin_for_room(struct queue_shm *q, unsigned lane)
{
    uint64_t head = lane_head(q, lane);
    for (unsigned n = 0; n < SPIN_BEFORE_SLEEP; n++) {
        brood__relax(n);
        if (lane_head(q, lane) != head) return true;
    }
    return false;
}

static int put(struct queue_shm *q, uint64_t id, const struct source *source, int64_t deadline)
{
    for (bool spun = deadline == 0, late = false;;) {
        int result = lock_put(q);
        if (result < 0) return result;
        result = refused(q, id);
        if (result == 0 && is_closed(q)) result = BROOD_ECLOSED;
        if (__builtin_expect(result < 0, 0)) {
            leave_side(&q->put, true);
            return result;
        }
        if (__builtin_expect(q->put.flags[SIDE_PEER], 0)) {
            result = put_slow(q, id, source, true, deadline, &late);
            if (result != AGAIN) return result;
            continue;
        }
        size_t n = put_some(q, source);
        if (n) {
            if (__builtin_expect(q->put.flags[SIDE_BATON], 0))
                leave_side(&q->put, room_for_first(q, source) || may_grow(q, source));
            else
                brood__latch_release(&q->put.word, 0);
            return (int)n;
        }
        bool grows = brood__ring_may_grow(q);
        if (!grows) q->put.flags[SIDE_BATON] = 0;
        brood__latch_release(&q->put.word, 0);
        if (!spun && !grows && spin_for_room(q, source->lane)) continue;
        spun = true;
        result = put_slow(q, id, source, false, deadline, &late);
        if (result != AGAIN) return result;
    }
}

int brood__ring_put(struct queue_shm *q, uint64_t id, const struct source *source, int timeout)
{
    void *announced = brood__os_announce(&q->put);
    int64_t deadline = timeout == 0 ? 0 : brood__os_deadline(timeout);
    bool polled = q->polled;
    int result = put(q, id, source, deadline);
    /* polled is set under both latches, so a commit after that sees it here; one before is seen by who set it. */
    if (result > 0 && (polled || *(volatile uint32_t *)&q->polled)) brood__bell_ring(id);
    brood__os_announce_again(announced);
    /* Before it is refused memory to grow: what the dead had, which can't be had under the latches. */
    if (__builtin_expect(result == BROOD_EARENA, 0) && brood__slot_collect())
        return brood__ring_put(q, id, source, timeout);
    return result == BROOD_EAGAIN ? brood__not_now(timeout) : result;
}

/* ---------------------------------------------------------------------------------------------------------- get */

static int get_slow(struct queue_shm *q, uint64_t id, struct sink *sink, int64_t deadline, bool *late)
{
    int result = lock_both(q, false);
    if (result < 0) return result;
    result = refused(q, id);
    bool gone = result < 0, closed = !gone && is_closed(q);
    if (result == 0) result = get_some(q, sink);
    bool more = gone || closed || !brood__ring_all_empty(q);
    if (result == 0 && closed) result = BROOD_ECLOSED;
    if (result != 0) {
        bool passes = passes_baton(&q->get, more);
        int woken = release_first(&q->put, result > 0 ? wakes_for(q, result) : 0);
        if (woken == 0 && result > 0) q->get.flags[SIDE_PEER] = 0;
        release_last(&q->get, 0);
        if (passes) pass_baton(&q->get);
        return result;
    }
    bool sleep = deadline != 0 && !*late;
    if (q->capacity > q->begins_at && !q->get.flags[SIDE_PEER]) (void)brood__ring_resize(q, q->begins_at);
    q->get.flags[SIDE_BATON] = 0;
    if (sleep) q->put.flags[SIDE_PEER] = 1;
    int woken = release_first(&q->put, wakes_for(q, 1)); /* empty: there is room */
    if (woken == 0) q->get.flags[SIDE_PEER] = 0;
    release_last(&q->get, sleep ? OS_WAITERS : 0);
    if (!sleep) return BROOD_EAGAIN;
    *late = brood__sleep(&q->get.word, OS_WAITERS, deadline, id) < 0;
    return AGAIN;
}

/* Where the next messages come. */
struct places {
    unsigned n;
    uint64_t at[QUEUE_LANES];
};
static void note_places(const struct queue_shm *q, struct places *places)
{
    places->n = q->lanes;
    for (unsigned lane = 0; lane < places->n; lane++) places->at[lane] = record_place(q, lane, lane_head(q, lane));
}

/*
 * A look without the latch: another consumer may have gone on, and what was a header be payload that a producer writes;
 * the rings may even be elsewhere, and these places another's.  Whatever is read is a hint, which the next turn checks
 * under the latch.  The thread sanitizer, which can't know that, is told of nothing.
 */
static bool glance(const struct places *places)
{
#if BROOD_UNDER_TSAN
    (void)places;
    return false;
#else
    for (unsigned i = 0; i < places->n; i++) {
        const _Atomic uint64_t *header = brood__at(places->at[i]);
        if ((uint32_t)atomic_load_explicit(header, memory_order_acquire) != 0) return true;
    }
    return false;
#endif
}

/*
 * A consumer that is faster than its producers would take each cache line from them as many times as there are messages
 * in it.  So it leaves them alone for a while, if the last time more than one came of that; where they come one by one,
 * as in a conversation, it looks at once, and tries the other now and then.
 */
enum { PACE_PAUSES = 32, PACE_STREAM = 256 };

static unsigned pauses_for(const struct queue_shm *q)
{
    return q->get.flags[SIDE_PACE] < PACE_STREAM ? 0 : PACE_PAUSES;
}

static void note_pace(struct queue_shm *q, int n)
{
    uint32_t *pace = &q->get.flags[SIDE_PACE];
    if (*pace < PACE_STREAM)
        ++*pace;
    else if (n == 1 && brood__ring_all_empty(q))
        *pace = 0;
}

static bool spin_for_message(const struct places *places, unsigned pauses)
{
    while (pauses--) brood__os_pause();
    for (unsigned n = 0; n < SPIN_BEFORE_SLEEP; n++) {
        brood__relax(n);
        if (glance(places)) return true;
    }
    return false;
}

static int get(struct queue_shm *q, uint64_t id, struct sink *sink, int64_t deadline)
{
    for (bool spun = deadline == 0, late = false, waited = false;;) {
        int result = lock_get(q);
        if (result < 0) return result;
        result = refused(q, id);
        bool gone = result < 0, closed = !gone && is_closed(q);
        bool producers_asleep = q->get.flags[SIDE_PEER];
        if (result == 0 && !producers_asleep) result = get_some(q, sink);
        struct places places;
        places.n = 0;
        unsigned pauses = 0;
        if (result == 0) {
            note_places(q, &places);
            pauses = pauses_for(q);
        } else if (__builtin_expect(waited, 0)) {
            note_pace(q, result);
        }
        if (__builtin_expect(q->get.flags[SIDE_BATON], 0))
            leave_side(&q->get, gone || closed || !brood__ring_all_empty(q));
        else
            brood__latch_release(&q->get.word, 0);
        if (result != 0) return result;
        if (!producers_asleep) {
            if (deadline == 0 && !closed) return BROOD_EAGAIN;
            waited = !spun && !closed && spin_for_message(&places, pauses);
            if (waited) continue;
            spun = true;
        }
        result = get_slow(q, id, sink, deadline, &late);
        if (result != AGAIN) return result;
    }
}

int brood__ring_get(struct queue_shm *q, uint64_t id, struct sink *sink, int timeout)
{
    void *announced = brood__os_announce(&q->get);
    int64_t deadline = timeout == 0 ? 0 : brood__os_deadline(timeout);
    int result = get(q, id, sink, deadline);
    if (result == BROOD_EAGAIN && q->polled) { /* quiet the bell, arm it, look once more */
        brood__bell_arm(id);
        result = get(q, id, sink, 0);
        /* What came in between had its ring, and that is drained: other threads that read the descriptor wait for it. */
        if (result != BROOD_EAGAIN) brood__bell_ring(id);
    }
    brood__os_announce_again(announced);
    return result == BROOD_EAGAIN ? brood__not_now(timeout) : result;
}

/* ------------------------------------------------------------------------------------------- the queue as a whole */

int brood__ring_enter(struct queue_shm *q, void **announced)
{
    *announced = brood__os_announce(&q->put);
    int error = lock_both(q, false);
    if (error < 0) brood__os_announce(*announced);
    return error;
}

void brood__ring_leave(struct queue_shm *q, void *announced)
{
    q->put.flags[SIDE_PEER] = q->get.flags[SIDE_PEER] = 1; /* counts may be wrong now; costs a call at most */
    q->put.flags[SIDE_BATON] = 1;
    q->put.flags[SIDE_WAKER] = 0;
    if (q->joinable) brood__tally_ring(q);
    release_first(&q->get, INT_MAX);
    release_last(&q->put, 0);
    brood__os_futex_wake(&q->put.word, INT_MAX);
    brood__os_announce_again(announced);
}

int brood__ring_enter_get(struct queue_shm *q, uint64_t id, void **announced)
{
    *announced = brood__os_announce(&q->get);
    int error = lock_get(q);
    if (error == 0) {
        error = refused(q, id);
        if (error < 0) leave_side(&q->get, true);
    }
    if (error < 0) brood__os_announce(*announced);
    return error;
}

void brood__ring_leave_get(struct queue_shm *q, void *announced)
{
    leave_side(&q->get, is_closed(q) || !brood__ring_all_empty(q));
    brood__os_announce_again(announced);
}

static void drop(const struct record *record)
{
    if (record->buffer_id) brood__buffer_drop(record->buffer_id);
    for (size_t i = 0; i < record->moved_count; i++) brood__movable_drop(record->moved[i]);
}

static void drop_all(struct queue_shm *q, unsigned lane)
{
    uint64_t tail = brood__put_lane(q, lane)->tail;
    for (uint64_t at = lane_head(q, lane); at < tail && !brood__ring_empty(q, lane, at);) {
        struct record record;
        uint32_t sequence;
        at = read_record(q, lane, at, &record, &sequence);
        drop(&record);
    }
    atomic_store(&q->got[lane].head, tail);
}

int brood__ring_clear(struct queue_shm *q)
{
    void *announced;
    int error = brood__ring_enter(q, &announced);
    if (error < 0) return error;
    for (unsigned lane = 0; q->slot.body && lane < q->lanes; lane++) drop_all(q, lane);
    brood__ring_leave(q, announced);
    return 0;
}

void brood__ring_call(struct queue_shm *q)
{
    void *announced;
    if (brood__ring_enter(q, &announced) == 0) brood__ring_leave(q, announced);
}

void brood__ring_begin(struct queue_shm *q, uint64_t capacity, uint32_t max_items)
{
    q->capacity = q->begins_at = capacity;
    q->grows_to = 0;
    q->max_items = max_items;
    q->lanes = 1;
    q->joinable = 0;
    q->polled = 0;
    q->mute = 0;
    q->peer = 0;
    atomic_store(&q->closed, 0);
    memset(q->put.flags, 0, sizeof q->put.flags);
    memset(q->get.flags, 0, sizeof q->get.flags);
    memset(&q->tally, 0, sizeof q->tally);
    for (unsigned lane = 0; lane < QUEUE_LANES; lane++) {
        *brood__put_lane(q, lane) = (struct put_lane){0};
        atomic_store(&q->got[lane].head, 0);
        atomic_store(&q->got[lane].taken, 0);
    }
    atomic_signal_fence(memory_order_seq_cst);
}
