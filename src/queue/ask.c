/* SPDX-License-Identifier: MIT */
/*
 * ask.c - what the supervisor asks of a queue, and does to it, after a death: it waits for no latch, and believes nothing
 * in the arena unseen.
 */
#include "queue/record.h"
#include "sync/wait.h"

bool brood__ring_ring(struct queue_shm *q)
{
    bool put_side = brood__monitor_ring(&q->put);
    bool both = brood__monitor_ring(&q->get) && put_side;
    if (q->joinable) brood__tally_ring(q); /* after the latch was seen free: who had set the bell by then is woken */
    return both;
}

/* Whether the rings are memory, and their places are places in them; under either latch. */
static bool is_sound(const struct queue_shm *q, uint64_t position)
{
    uint64_t body = q->slot.body, capacity = q->capacity, size = brood__arena()->size, places = position;
    if (q->lanes == 0 || q->lanes > QUEUE_LANES || position >> 60 >= q->lanes) return false;
    for (unsigned lane = 0; lane < q->lanes; lane++) places |= brood__put_lane(q, lane)->tail | lane_head(q, lane);
    return body && body < size && capacity <= size && (capacity & (capacity - 1)) == 0 &&
           capacity >= sizeof(struct long_record) + 8 && ((body | places) & 7) == 0 &&
           brood__in_arena(brood__at(body), (size_t)brood__ring_bytes(q, capacity));
}

/* A side held for a moment, for an answer of `ask`. */
static int ask_under(struct queue_shm *q, struct latch_shm *side, void (*repair)(struct queue_shm *),
                     bool (*ask)(struct queue_shm *, uint64_t, uint64_t), uint64_t position, uint64_t number)
{
    void *announced = brood__os_announce(side);
    uint32_t seen;
    if (!brood__latch_try(&side->word, &seen)) {
        brood__os_announce_again(announced);
        return -1;
    }
    bool heir = seen & OS_OWNER_DIED;
    if (heir) brood__ring_measure(q);
    if (!is_sound(q, position)) { /* as it was */
        brood__latch_release(&side->word, seen);
        brood__os_announce_again(announced);
        return 0;
    }
    if (heir) repair(q);
    int answer = ask(q, position, number);
    /* As heir: who is only about to sleep has to look again; the baton is passed by whoever is woken. */
    brood__latch_release(&side->word, heir ? 0 : seen);
    if (heir) brood__os_futex_wake(&side->word, 1);
    brood__os_announce_again(announced);
    return answer;
}

static unsigned lane_of(uint64_t position)
{
    return (unsigned)(position >> 60);
}
static uint64_t at_of(uint64_t position)
{
    return position & (~(uint64_t)0 >> 4);
}

/*
 * The place may have become another record's when this one's producer died before the commit.  If it is before the
 * head, whoever took the record took the buffer first, and the word that asked is not the buffer's any more.
 */
static bool is_put(struct queue_shm *q, uint64_t position, uint64_t id)
{
    unsigned lane = lane_of(position);
    uint64_t at = at_of(position);
    if (at >= brood__put_lane(q, lane)->tail || at < lane_head(q, lane)) return false;
    struct record record;
    uint32_t sequence;
    read_record(q, lane, at, &record, &sequence); /* stays as it is while we have the put side */
    bool there = record.buffer_id == id;
    for (size_t i = 0; i < record.moved_count; i++) there |= record.moved[i] == id;
    return there;
}
static bool is_taken(struct queue_shm *q, uint64_t position, uint64_t id)
{
    (void)id;
    return lane_head(q, lane_of(position)) > at_of(position);
}
static bool bury(struct queue_shm *q, uint64_t position, uint64_t dead)
{
    (void)position;
    if (SLOT_STATE(atomic_load(&q->slot.word)) == SLOT_LIVE) brood__tally_bury(q, (uint32_t)dead);
    return true;
}

int brood__ring_put_committed(struct queue_shm *q, uint64_t position, uint64_t id)
{
    return ask_under(q, &q->put, brood__ring_repair_put, is_put, position, id);
}

int brood__ring_get_committed(struct queue_shm *q, uint64_t position)
{
    return ask_under(q, &q->get, brood__ring_repair_get, is_taken, position, 0);
}

bool brood__ring_bury(struct queue_shm *q, uint32_t dead)
{
    return ask_under(q, &q->get, brood__ring_repair_get, bury, 0, dead) >= 0;
}
