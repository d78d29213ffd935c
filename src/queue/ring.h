/* SPDX-License-Identifier: MIT */
/*
 * queue/ring.h - rings of bytes between two latches; the header of a record is its commit.
 *
 * Producers hold the put side, consumers the get side; they meet only in the records.  There is a ring for each priority
 * ("lane"), mostly one; all that is said of a ring is so of each.  A record is a header word and the payload, padded to
 * 8 bytes; the word is sequence:32 | code:32, and the code
 *   0             nothing here yet
 *   1 + n         n bytes follow
 *   RECORD_LONG   a buffer's handle and size follow (16 bytes): the message is in the buffer
 *   RECORD_MOVES  likewise, the handle 0 if the message itself follows; and first the handles of what it moves
 *   RECORD_WRAP   go on after so many bytes as the upper half says, at the ring's start
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
 *
 * Queues that grow: queue/grow.c.  Queues that count what is not done: queue/tally.h.
 */
#ifndef BROOD_QUEUE_RING_H
#define BROOD_QUEUE_RING_H

#include "call/movable.h"
#include "queue/tally.h"

enum { SIDE_PEER, SIDE_BATON, SIDE_ASLEEP_SIZE, SIDE_ASLEEP_MIXED, SIDE_WAKER };
enum { SIDE_PACE = SIDE_ASLEEP_SIZE }; /* of the get side: how its messages come; a hint to who waits for one */

#define QUEUE_LANES 8u

/* Of a lane: what producers have, under the put latch. */
struct put_lane {
    uint64_t tail;      /* true but for a dead producer */
    uint64_t head_seen; /* a head of before */
    uint32_t sequence;  /* messages ever put, mod 2^32; as the tail */
    uint32_t reserved;
};
/* And what consumers have: written under the get latch, read by all. */
struct get_lane {
    _Atomic uint64_t head;
    _Atomic uint32_t taken; /* messages ever taken, mod 2^32 */
    uint32_t reserved;
};

struct queue_shm {
    union {
        struct slot_shm slot;
        struct movable_shm movable; /* of an end of a pipe */
    };
    uint64_t capacity;  /* bytes of a ring, a power of two; of a queue that grows alone it changes, under both latches.
                                0: an end to which nothing comes */
    uint32_t max_items; /* never changes; 0: no such limit */
    _Atomic uint32_t closed; /* set once, under both latches */
    uint32_t polled;         /* set once, under both latches: someone has a bell for this queue */
    uint32_t mute;           /* never changes: an end that can't send */
    uint64_t peer;           /* likewise: handle of the other end; 0: a queue */
    uint32_t lanes;          /* never changes: rings, one behind the other, the least urgent first */
    uint32_t joinable;       /* never changes: the tally's entries are behind the rings */
    uint64_t begins_at;      /* never changes: the capacity at first; by it messages are too long for the ring */
    uint64_t grows_to;       /* never changes: the capacity at most; 0: it does not grow */
    uint64_t reserved[5];

    struct latch_shm put; /* 128: producers; .more: the first lane's struct put_lane */
    uint64_t put_padding[8];

    struct latch_shm get; /* 256: consumers */
    struct tally_shm tally;

    struct get_lane got[QUEUE_LANES];         /* 384 */
    struct put_lane others[QUEUE_LANES - 1u]; /* 512: of the lanes after the first */
    uint64_t padding[11];
};
_Static_assert(offsetof(struct queue_shm, put) == 128 && offsetof(struct queue_shm, get) == 256 &&
                   offsetof(struct queue_shm, got) == 384 && sizeof(struct queue_shm) == 768,
               "sides do not share cache lines");
_Static_assert(sizeof(struct put_lane) == sizeof((struct latch_shm *)0)->more, "the first lane is in the latch's line");

static inline struct put_lane *brood__put_lane(const struct queue_shm *q, unsigned lane)
{
    struct queue_shm *its = (struct queue_shm *)(uintptr_t)q;
    return lane == 0 ? (struct put_lane *)(void *)its->put.more : &its->others[lane - 1];
}

/* What a put puts: messages in the ring, or one buffer.  Buffer and what is moved: MOVING, to this ring. */
struct source {
    const struct brood_bytes *messages;
    size_t count;       /* 1, if anything is moved */
    uint64_t buffer_id; /* not 0: instead of messages */
    size_t buffer_size; /* bytes of the message in it */
    const uint64_t *moved;
    size_t moved_count; /* at most MOVES_MOST */
    unsigned lane;
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
/* How many were taken (at least 1; all of one lane), or an error. */
int brood__ring_get(struct queue_shm *q, uint64_t id, struct sink *sink, int timeout);

/* Both latches, for what changes the queue as a whole; 0 or BROOD_EDEADLK.  Leaving wakes everybody. */
int brood__ring_enter(struct queue_shm *q, void **announced);
void brood__ring_leave(struct queue_shm *q, void *announced);

/* The get side alone, for what changes the tally; 0, BROOD_EDEADLK, or the handle is none of a queue any more. */
int brood__ring_enter_get(struct queue_shm *q, uint64_t id, void **announced);
void brood__ring_leave_get(struct queue_shm *q, void *announced);

/*
 * Take it apart: those inside have left when we have both latches, and who comes later finds the slot retired.  What its
 * messages hold is dropped, and the caller clears it away (movable.h).
 */
int brood__ring_clear(struct queue_shm *q);
/* Wake everybody, for what has changed elsewhere is seen from here on. */
void brood__ring_call(struct queue_shm *q);
/* Empty, of one lane, and whoever looks from now on finds it so: before it has memory, whose bytes are anybody's. */
void brood__ring_begin(struct queue_shm *q, uint64_t capacity, uint32_t max_items);

/* What the heir of a dead holder of a side makes good; may itself die and be repeated. */
void brood__ring_repair_put(struct queue_shm *q);
void brood__ring_repair_get(struct queue_shm *q);

/* Messages in it, but for what a dead producer put and nobody has found yet; a look without latches. */
uint32_t brood__ring_items(const struct queue_shm *q);
/* Whether there is none, by the records; who grows is looked at under the get latch. */
bool brood__ring_all_empty(const struct queue_shm *q);

/* --- queue/grow.c */

/* Whether a ring without room for a message may become larger. */
bool brood__ring_may_grow(const struct queue_shm *q);
/* Under both latches: give the rings another capacity, which what is in them has room in.  0, BROOD_EARENA. */
int brood__ring_resize(struct queue_shm *q, uint64_t capacity);
/* As heir of a dead holder of either latch: see grow.c. */
void brood__ring_measure(struct queue_shm *q);
/* Bytes of the body for rings of this capacity. */
uint64_t brood__ring_bytes(const struct queue_shm *q, uint64_t capacity);

/* --- queue/ask.c: as the supervisor, without waiting */

/*
 * Is the record that moves this, put at `position`, committed and still there; is what was at `position` taken?  -1: a
 * latch is held.  A position is as brood__ring_place has it.
 */
int brood__ring_put_committed(struct queue_shm *q, uint64_t position, uint64_t id);
int brood__ring_get_committed(struct queue_shm *q, uint64_t position);
static inline uint64_t brood__ring_place(unsigned lane, uint64_t at)
{
    return lane * ((uint64_t)1 << 60) | at;
}
/* What a dead member has taken and not marked done is lost; false: a latch is held. */
bool brood__ring_bury(struct queue_shm *q, uint32_t dead);
/* Wake everybody, without latches; false: again in a while, as brood__monitor_ring. */
bool brood__ring_ring(struct queue_shm *q);

#endif
