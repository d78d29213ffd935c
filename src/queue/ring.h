/* SPDX-License-Identifier: MIT */
/*
 * queue/ring.h - a ring of bytes between two latches; the header of a record is its commit.
 *
 * Producers hold the put side, consumers the get side; they meet only in the records.  A record is a header word and
 * the payload, padded to 8 bytes; the word is sequence:32 | code:32, and the code
 *   0             nothing here yet
 *   1 + n         n bytes follow
 *   RECORD_LONG   a buffer's handle and size follow (16 bytes): the message is in the buffer
 *   RECORD_MOVES  likewise, the handle 0 if the message itself follows; and first the handles of what it moves
 *   RECORD_WRAP   go on at the ring's start
 * Behind the last record there is always a header 0.
 *
 *   put, under the put latch: (1) payload, (2) 0 into the next header, (3) what it moves: TRANSIT at this position,
 *        (4) store of this record's header, release: the commit; (5) the private tail.
 *   get, under the get latch: (1) the payload is read, (2) what it moves: RECEIVED, (3) `taken`,
 *        (4) store of head, release: the commit; (5) what it moves: LIVE.
 * In a batch the header of the first record is stored last, so the batch is one commit.
 *
 * If a process dies here: before (4) nothing has happened, after it everything.  The heir of a dead producer walks the
 * headers from max(tail, head) to find the true tail; that of a consumer reads `taken` off the record at head.
 *
 * Who sleeps: consumers on the get side's word, producers on the put side's.  `peer` in a side says that the OTHER
 * class may be asleep; `baton` that a wake-up of ITS OWN class was given and the woken has not been here since (see
 * monitor, sync/wait.h: same meaning); `waker` is the thread that passed it last.  To sleep, or to wake, a process holds both latches, put side first; the wake-up
 * itself comes after the woken side's release, with that word announced and the other side still held, so that how
 * many woke can be noted in `peer` under its latch, and one who is only about to sleep finds the word changed.
 * Producers asleep with messages of different sizes are not alike: room for one is none for another, and the one that
 * is woken can't know of the other.  Where they differ, a get wakes them all.
 * Two latches at once are on the kernel's list; one is announced.
 *
 * A ring is a queue's, or what comes to an end of a pipe (pipe/pipe.h).  That one is closed when the other end, `peer`,
 * is nobody's any more: that is seen in the peer's own word, and said by a get only under both latches, after which no
 * put can come.
 */
#ifndef BROOD_QUEUE_RING_H
#define BROOD_QUEUE_RING_H

#include "call/movable.h"

enum { SIDE_PEER, SIDE_BATON, SIDE_WAKER = 4 };

struct queue_shm {
    union {
        struct slot_shm slot;
        struct movable_shm movable; /* of an end of a pipe */
    };
    uint64_t capacity;       /* bytes of the ring, a power of two; never changes.  0: an end to which nothing comes */
    uint32_t max_items;      /* likewise; 0: no such limit */
    _Atomic uint32_t closed; /* set once, under both latches */
    uint32_t polled;         /* set once, under both latches: someone has a bell for this queue */
    uint32_t mute;           /* never changes: an end that can't send */
    uint64_t peer;           /* likewise: handle of the other end; 0: a queue */
    uint32_t reserved[16];

    struct latch_shm put; /* 128: producers; .more: see below */
    uint64_t put_padding[8];

    struct latch_shm get; /* 256: consumers */
    uint64_t get_padding[8];

    _Atomic uint64_t head;  /* 384: written under get, read by all */
    _Atomic uint32_t taken; /* messages ever taken, mod 2^32; likewise */
    uint32_t head_reserved;
    uint64_t head_padding[14];
};
_Static_assert(offsetof(struct queue_shm, put) == 128 && offsetof(struct queue_shm, get) == 256 &&
                   offsetof(struct queue_shm, head) == 384 && sizeof(struct queue_shm) == 512,
               "sides do not share cache lines");

/* The put side's own, in its latch's cache line. */
#define PUT_TAIL(q) ((q)->put.more[0])      /* true but for a dead producer */
#define PUT_HEAD_SEEN(q) ((q)->put.more[1]) /* a head of before */
#define PUT_SEQUENCE(q) ((q)->put.flags[2]) /* messages ever put, mod 2^32; as PUT_TAIL */
/* Of the producers that may be asleep; written under both latches, while those of the get side say that there are any. */
#define ASLEEP_SIZE(q) ((q)->put.more[2])   /* bytes of the record that the first of them wants to put */
#define ASLEEP_MIXED(q) ((q)->put.flags[3]) /* 1: some want others */

#define RECORD_LONG 0x80000000u
#define RECORD_WRAP 0xffffffffu
#define RECORD_MOVES 0x80000001u
#define RECORD_LONGEST 0x7ffffff0u /* bytes of a message in the ring itself */

struct long_record {
    uint64_t id;
    uint64_t size;
};
struct moves_record {
    struct long_record message;
    uint64_t count; /* of moved, of which so many are there */
    uint64_t moved[MOVES_MOST];
};
#define MOVES_BYTES(count) (offsetof(struct moves_record, moved) + 8 * (count))

/* What a put puts: messages in the ring, or one buffer.  Buffer and what is moved: MOVING, to this ring. */
struct source {
    const struct brood_bytes *messages;
    size_t count;       /* 1, if anything is moved */
    uint64_t buffer_id; /* not 0: instead of messages */
    size_t buffer_size; /* bytes of the message in it */
    const uint64_t *moved;
    size_t moved_count; /* at most MOVES_MOST */
};

/* A record as a get finds it. */
struct record {
    const void *data;
    size_t size;
    uint64_t buffer_id; /* not 0: a long message; data is NULL, size the message's */
    const uint64_t *moved;
    size_t moved_count;
};

/*
 * What a get does with a record: 1: taken, and please the next one too; 0: taken, and that is enough; < 0: left where
 * it is, and the error of the get if it was the first.  Runs under the latch, and may run again for the same record.
 */
struct sink {
    int (*take)(struct sink *sink, const struct record *record);
    struct buffer_shm *received; /* the buffer of a long record that was taken, if it is there */
};

/* How many were put (at least 1), or an error.  timeout as in the public calls. */
int brood__ring_put(struct queue_shm *q, uint64_t id, const struct source *source, int timeout);
/* How many were taken (at least 1), or an error. */
int brood__ring_get(struct queue_shm *q, uint64_t id, struct sink *sink, int timeout);

/* Both latches, for what changes the queue as a whole; 0 or BROOD_EDEADLK.  Leaving wakes everybody. */
int brood__ring_enter(struct queue_shm *q, void **announced);
void brood__ring_leave(struct queue_shm *q, void *announced);

/*
 * Take it apart: those inside have left when we have both latches, and who comes later finds the slot retired.  What its
 * messages hold is dropped, and the caller clears it away (movable.h).
 */
int brood__ring_clear(struct queue_shm *q);
/* Wake everybody, for what has changed elsewhere is seen from here on. */
void brood__ring_call(struct queue_shm *q);
/* Empty, and whoever looks from now on finds it so: before it has memory, whose bytes are anybody's. */
void brood__ring_begin(struct queue_shm *q, uint64_t capacity, uint32_t max_items);

static inline bool brood__ring_empty(const struct queue_shm *q, uint64_t ring, uint64_t head)
{
    const _Atomic uint64_t *header = brood__at(ring + (head & (q->capacity - 1)));
    return (uint32_t)atomic_load_explicit(header, memory_order_acquire) == 0;
}

/*
 * As the supervisor, without waiting: is the record that moves this, put at `position`, committed and still there; is
 * what was at `position` taken?  -1: a latch is held.
 */
int brood__ring_put_committed(struct queue_shm *q, uint64_t position, uint64_t id);
int brood__ring_get_committed(struct queue_shm *q, uint64_t position);
/* Wake everybody, without latches; false: again in a while, as brood__monitor_ring. */
bool brood__ring_ring(struct queue_shm *q);

#endif
