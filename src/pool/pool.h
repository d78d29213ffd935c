/* SPDX-License-Identifier: MIT */
/*
 * pool/pool.h - a pool in the arena: seats for workers, slots for tasks, jobs for maps.
 *
 * A pool's memory keeps its types: segments of task slots stay with the pool's slot when the pool is freed and serve
 * the next one there, so that a member that is inside a call on a freed pool finds task words with another serial.
 *
 * A death here: each structure below says; in all of them one word names who holds what, and the supervisor
 * (supervise.c) swaps it to what the death makes of it.
 */
#ifndef BROOD_POOL_POOL_H
#define BROOD_POOL_POOL_H

#include "arena/member.h"
#include "call/module.h"
#include "process/prepare.h"
#include "sync/wait.h"

#include <brood/pool.h>

/*
 * A seat: one worker at a time.  member is written by the supervisor alone: the index of the worker's slot, 0: empty; of
 * a pool of threads by its maker, whose own it is (threads.h).
 * inside is the worker's: the job (its place and serial) whose memory it looks at; the memory of a job is not freed
 * while a seat names it.  If the worker dies the supervisor clears inside and waits, then member.  Behind the seats of
 * the pool's workers there are some for those that stand in for workers that wait (nest.c); the last one of all is the
 * supervisor's own, for its looks at jobs.
 * waits is the worker's: what its task waits for, while it does, or that it is parked (nest.h); 0: neither.
 */
struct seat_shm {
    _Atomic uint32_t member;
    _Atomic uint32_t items;  /* run by the present worker; SEAT_STARTING until its initializer is done */
    _Atomic uint64_t inside; /* JOB_INSIDE(index, serial), 0: none */
    _Atomic uint32_t told;   /* the member that was sent SIGTERM; by the supervisor */
    uint32_t reserved_too;
    _Atomic uint64_t passed; /* by the worker, see tail.h */
    _Atomic uint64_t waits;
    _Atomic uint64_t task; /* of a worker that is a thread: as member_shm.task */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct seat_shm) == 64, "one cache line each");
#define SEAT_STARTING UINT32_MAX

/*
 * A task: one call.  word is serial:32 | state:8 | attempt:8 | owner:16, and compare-and-swap by the owner of each step:
 *   FREE→FILLING (submitter) →QUEUED →RUNNING (a worker) →DONE →FREE; RUNNING→ORPHAN when the future is freed or its
 *   holder dies meanwhile: then the worker frees it.  QUEUED or WAITING→CANCELLED (anyone), with the reason as owner:
 *   that is its whole outcome, and it is freed like DONE.
 *   RUNNING→KILLING, ORPHAN→DOOMED (the supervisor, when `due` is over): its worker will run nothing else ever; it ends
 *   itself when it finds this at the end of the task, or is killed.  RUNNING→WAITING→QUEUED (the supervisor) when its
 *   worker died and it may run again, after `due`.
 * So the end of a run is decided by one swap: of completion and deadline one wins, and the kill is for a worker that can
 * have begun nothing since.
 * Everything else is written by who holds the slot by that word: FILLING the call, RUNNING the result; before the swap
 * that passes it on.  `due` is set by the worker before it publishes the task (member_shm.task), and lowered by swap by
 * who cancels; `cancelled` by who cancels, before that; the worker looks at it after it has set `due`.
 * If the submitter dies: FILLING→GARBAGE, QUEUED, WAITING, DONE and CANCELLED→GARBAGE, RUNNING→ORPHAN, KILLING→DOOMED.  If the
 * worker dies: RUNNING and KILLING→DONE with the outcome (or RUNNING→WAITING), ORPHAN and DOOMED→GARBAGE.  GARBAGE is
 * FREE with buffers to drop first.
 * bell: who waits for the answer sleeps on it (0 or OS_WAITERS).
 *
 * items != 0: not one call but a run of them (stream.c), and its argument is so many, and then places for as many
 * results.  The worker stores in `running` 1 + the number of each before it begins it, plainly, for whoever finds it
 * dead; `ran`, written as the outcome is, says how many have a result: those before it.  An outcome that is none is that
 * of the item `ran`, and those behind it have not begun.
 */
enum task_state {
    TASK_FREE,
    TASK_FILLING,
    TASK_QUEUED,
    TASK_RUNNING,
    TASK_DONE,
    TASK_ORPHAN,
    TASK_KILLING,
    TASK_DOOMED,
    TASK_WAITING,
    TASK_CANCELLED,
    TASK_GARBAGE
};
#define TASK_WORD(serial, state, attempt, owner) \
    ((uint64_t)(serial) << 32 | (uint64_t)(state) << 24 | (uint64_t)(attempt) << 16 | (uint64_t)(owner))
#define TASK_SERIAL(word) ((uint32_t)((word) >> 32))
#define TASK_STATE(word) ((enum task_state)((word) >> 24 & 0xff))
#define TASK_ATTEMPT(word) ((uint32_t)((word) >> 16 & 0xff))
#define TASK_OWNER(word) ((uint32_t)((word)&0xffff))

#define TASK_INLINE 96u
struct task_shm {
    /* What a short task's submitter and worker pass to each other, in three cache lines. */
    _Alignas(64) _Atomic uint64_t word;
    os_word bell;
    uint16_t submitter; /* index of the member that holds the future */
    uint8_t priority;   /* below PRIORITIES; 0: none */
    uint8_t reserved;
    uint64_t seed; /* of the first item, see seed.h */
    uint32_t items;
    _Atomic uint32_t asked; /* by the submitter, see brood__bell_arm_for */
    struct os_robust_node *robust_previous;
    struct os_robust_node robust; /* 32 bytes behind bell */
    function_ref function;
    uint64_t arg_size;
    uint64_t arg_buffer; /* handle, 0: the argument is inline */
    uint64_t result_size;
    uint64_t result_buffer; /* likewise */
    _Atomic uint64_t due;   /* RUNNING: when it is over; WAITING: when it is QUEUED again; 0: never */
    int32_t code;           /* outcome, when DONE */
    int32_t fail;
    int32_t signal;
    int32_t status;
    int32_t pid;
    uint32_t deadline; /* ms of a run, 0: none */
    uint32_t soft;     /* ms of a run, 0: none */
    uint8_t retries;   /* how often it may run again */
    uint8_t reason;    /* enum brood_reason, when DONE */
    _Atomic uint8_t cancelled;
    _Atomic uint8_t crashed;       /* 1: crash may hold a handle */
    char inlined[2 * TASK_INLINE]; /* the argument, and behind it the result or the text of brood_fail: task_result */
    /* What few tasks need. */
    uint64_t crash;           /* handle of the buffer with the crash record, 0: none; by the worker's signal handler */
    struct os_usage usage;    /* of the worker that died */
    uint64_t worker;          /* handle of that */
    uint32_t seat;            /* its own */
    uint32_t backoff;         /* ms before the first further run */
    _Atomic uint32_t running; /* see items */
    uint32_t ran;
};
_Static_assert(offsetof(struct task_shm, robust) == offsetof(struct task_shm, bell) + OS_ROBUST_NODE, "node");
_Static_assert(sizeof(struct task_shm) == 384 && BROOD_FAIL_TEXT <= TASK_INLINE, "six cache lines");

/*
 * Segments of task slots, each twice as large as all before it together from the second on, so a slot's number gives
 * its segment.  A segment begins with a bit for each slot: "may be QUEUED", a hint: set after the swap to QUEUED, taken
 * away by who finds otherwise; after a submitter's death the supervisor sets it for every QUEUED slot.
 * There are as many such bits again for each priority; the task's own says which of them is set.  pool_shm.urgent has a
 * bit for each priority but 0 that may have hints: set after the hint, taken away by who has found none, who then looks
 * once more.  Between the two it may be missing though there is a hint: if a process dies here the supervisor sets it.
 */
#define PRIORITIES 8u
#define SEGMENT_FIRST 64u
#define SEGMENTS 15u /* 64 << 14 = 1048576 slots */

/*
 * A job: one map.  word as of a task: FREE→FILLING (caller) →ACTIVE →RETIRED by the first call that has its answer;
 * RETIRED→FILLING→FREE by the last one that looks at it, a seat or a call, or by whoever finds it later.  If the owner
 * dies: →RETIRED, of nobody.
 *
 * callers: how many threads of the caller are inside a call on the job of this serial, so that neither the job nor the
 * pool goes meanwhile.  A visit (arena/visit.h) for the whole call would be too much: it may sleep for long, and the
 * cells of a member are few.  So a call visits the pool while it begins and while it ends, and is counted in between.
 *   Who writes: the caller, 1 before the word is ACTIVE; then its threads, by swap, and only while the serial is that: one
 *   more at the begin, in a visit of the LIVE pool, and then a look at the word; one less at the end, and then a look at
 *   the word, in a visit too, if the pool is still LIVE: else the count is the last that is touched.
 *   Order: all seq_cst.  Raise, then look at the word, pairs with RETIRED, then look at callers (brood__job_retire):
 *   either the call sees that the map is over, or the job is kept.  Lower, then look at the word, pairs with the same: the
 *   last of the two frees the job.  Who takes the pool apart has made its slot FREEING, or it is GARBAGE; looks for
 *   visits, then at each word, and then at its callers (brood__pool_unseen): a call that is no visit any more is FILLING,
 *   or counted, or has ended.
 *   If the caller dies
 *   - FILLING, 1 or not yet: the supervisor makes the count 0 and the word RETIRED; the memory is the job's or the dead's.
 *   - counted, in any call: the count stays too high.  The supervisor makes it 0, and only then the word RETIRED, with no
 *     owner, so that nobody raises it again and who finds it frees it.  Until then the dead don't keep the pool
 *     (brood__map_visited looks whether the owner lives), for nothing of theirs looks any more.
 *   - after it has lowered, before it has freed a job that is RETIRED: the word names the dead, and goes the same way.
 *   - as the last one, FILLING to free it: likewise; what was given back is no longer named, and is not given back twice.
 *   - in a visit: the slot stays as it is until the supervisor has forgotten the visits of the dead.
 *   If the supervisor dies between the two: the next one does both, of which each is repeatable.
 *   Who takes the pool apart does so alone, for all visits and calls are over: if it dies, the supervisor makes the
 *   slot GARBAGE, and it is taken apart from the start by whoever comes by later.
 * A process that is stopped inside a call keeps the pool, as it must.  So would, as long as its process lives, a thread
 * that is ended there; no call on a map sleeps at a cancellation point.
 *
 * memory is a buffer that the caller owns until the job is ACTIVE and the job from then on.
 *
 * CANCELLED: chunks that are FREE become DONE, by whoever cancelled; if that was the supervisor, and it dies before, the
 * next one does it.
 *
 * Arrays of the caller that lie in buffers are used where they are, so those buffers must outlast the workers that are
 * inside, whatever their holder does or suffers: `lent` names them, written while FILLING, after buffer_shm.lent; a
 * buffer that is freed stays GARBAGE while a job names it that is FILLING, ACTIVE or CANCELLED, or RETIRED with a seat or
 * a call inside.  Of a job that ends and of one who frees the buffer at that moment one sees the other; if either dies
 * first, whoever claims the slot or wants memory looks again.
 */
enum job_state { JOB_FREE, JOB_FILLING, JOB_ACTIVE, JOB_CANCELLED, JOB_RETIRED };
#define JOBS 32u
enum lent { LENT_IN, LENT_OUT, LENT };
#define JOB_INSIDE(index, serial) ((uint64_t)(serial) << 32 | (uint64_t)((index) + 1))
struct job_shm {
    _Atomic uint64_t word;
    os_word bell;          /* the caller sleeps on it */
    _Atomic uint32_t done; /* chunks before it are DONE, and stay so; a number that is too small does no harm */
    uint64_t bell_space[2];
    struct os_robust_node *robust_previous;
    struct os_robust_node robust;
    function_ref function;
    uint64_t n, arg_size, result_size;
    uint64_t in, out;            /* offsets of the arrays */
    uint64_t codes;              /* offset of int32_t[n], 0: not wanted */
    uint64_t chunks;             /* offset of chunk_shm[chunk_count] */
    uint64_t memory;             /* handle of the buffer with chunks and copies */
    _Atomic uint64_t lent[LENT]; /* handles of the buffers that the arrays lie in; 0: the array is a copy in `memory` */
    uint32_t chunk_count;
    _Atomic uint32_t hint;   /* chunks before it are not FREE */
    _Atomic uint64_t crash;  /* handle of a crash record, 0: none; by the worker's handler, see crash.h */
    uint64_t seed;           /* of the first item, see seed.h */
    _Atomic uint32_t filled; /* chunks before it may be claimed; raised by the caller, release, see window.h */
    uint32_t windowed;       /* 1: the caller wants to know of each chunk that is done */
    uint64_t more[9];
    _Atomic uint64_t callers; /* serial:32 | calls:32 */
    uint32_t reserved;
    _Atomic uint32_t asked; /* by the caller, see brood__bell_arm_for */
};
_Static_assert(offsetof(struct job_shm, robust) == offsetof(struct job_shm, bell) + OS_ROBUST_NODE, "node");
_Static_assert(sizeof(struct job_shm) == 256, "four cache lines");

/*
 * A chunk: items [next, end), and how the ones before went.  word is state:8 | record:8 | owner:16; all but `running`
 * lies in the record that word selects, and changes by writing the other record and one compare-and-swap of word.
 *   FREE→RUNNING (a worker) →DONE; RUNNING→RUNNING when an item failed; RUNNING→FREE when a worker leaves before the
 *   end, or died: then item running-1 is lost, unless it had not begun (running <= next) or is already counted.
 * running: 1 + the item the owner is in, a release store before each item; whoever acquires it has the items before.
 */
enum chunk_state { CHUNK_FREE, CHUNK_RUNNING, CHUNK_DONE };
#define CHUNK_WORD(state, record, owner) ((uint64_t)(state) << 24 | (uint64_t)(record) << 16 | (uint64_t)(owner))
#define CHUNK_STATE(word) ((enum chunk_state)((word) >> 24 & 0xff))
#define CHUNK_RECORD(word) ((uint32_t)((word) >> 16 & 1))
#define CHUNK_OWNER(word) ((uint32_t)((word)&0xffff))
struct chunk_record {
    uint64_t next;
    uint32_t failed, lost;
    uint64_t first_failed, last_failed, first_lost; /* 1 + index; 0: none */
    int32_t fail, failed_pid;                       /* of the first that failed */
    int32_t signal, status, pid;                    /* of the first that was lost */
    uint32_t reason;                                /* enum brood_reason of that */
};
struct chunk_shm {
    _Atomic uint64_t word;
    _Atomic uint64_t running;
    uint64_t end;
    uint64_t shift; /* what the places of its items in the arrays are less than their numbers; before `filled` */
    struct chunk_record record[2];
    char text[BROOD_FAIL_TEXT]; /* of the first that failed; written before it is counted, never again */
};

/*
 * The pool.  Who writes: its maker before the publish; state, broken and the seats as said; segments under `latch`.
 */
enum pool_state { POOL_OPEN, POOL_CLOSED, POOL_STOPPING, POOL_TERMINATED };
struct pool_shm {
    struct slot_shm slot; /* body: seats, then jobs; of any bytes while seat_room is 0 */
    char name[32];
    uint32_t workers;   /* so many are to work at a time */
    uint32_t seat_room; /* seats that the body has room for */
    uint32_t max_tasks_per_child;
    uint32_t max_pending;
    uint32_t method;
    uint32_t program;         /* what its workers begin as: see process/program.h */
    _Atomic uint32_t alive;   /* of threads: those that have not left, or are about to begin; by its maker */
    _Atomic uint32_t state;   /* enum pool_state, only rises; by any member */
    _Atomic int32_t broken;   /* why workers can't start; by the supervisor, once; 0: they can */
    _Atomic uint32_t polled;  /* someone has a bell for this pool */
    uint64_t template_member; /* fork: handle of the template */
    uint64_t preparation;     /* handle of the buffer with the workers' preparation */
    uint64_t preparation_size;
    uint64_t tails; /* handle of the buffer with the ends of workers' standard errors, 0: not asked for; tail.h */
    _Atomic uint32_t slots; /* task slots that there are */
    _Atomic uint32_t jobs;  /* jobs [jobs, JOBS) were never claimed; raised before a claim, so scans miss nothing */
    function_ref exit_hook; /* 0: none */
    uint64_t max_memory;    /* bytes of a worker, 0: no limit */
    uint32_t quarantine;    /* runs that end in a death, before a task is not run again */
    _Atomic uint32_t least_deadline; /* ms: the shortest that any task had; 0: there was none */
    _Atomic int64_t wait_at;         /* when the next WAITING task is to be looked for; by the supervisor */
    _Atomic uint32_t finished;       /* 1: not OPEN, and all workers have left; by the supervisor */
    uint32_t most_seats;             /* seats that may be filled, at most seat_room */
    _Atomic uint32_t seats;          /* seats that were ever filled, at least `workers`; raised by the supervisor */
    _Atomic uint32_t help;           /* enum help: whether more work needs more workers, for some wait (nest.c) */
    uint64_t seed;                   /* see seed.h */
    _Atomic uint64_t series;         /* the next number of a submit, map or stream, see series.h */
    _Atomic uint32_t urgent;         /* bit p: tasks of priority p > 0 may be queued */
    os_word answers;                 /* who waits for any answer of the pool; 0 or OS_WAITERS */
    uint64_t segment[SEGMENTS];      /* handles of buffers */
    struct latch_shm idle;           /* a monitor: workers without work sleep here */
    struct latch_shm gone;           /* only its word: who waits for the workers to leave; 0 or OS_WAITERS */
    struct latch_shm latch;          /* guards the growth of segments */
    char broken_detail[160];
    uint32_t spares; /* seats behind `workers` that are kept filled (nest.h) */
    os_word parked;  /* workers in those with nobody to stand in for; 0 or OS_WAITERS */
    /* Hints: where a submitter looks for a free slot, and a worker for a queued one, of no priority and of each.  Each
       side writes its own for most tasks, so they lie in cache lines without anything that the other side reads. */
    _Alignas(64) _Atomic uint32_t submit_at;
    _Alignas(64) _Atomic uint32_t claim_at;
    _Atomic uint32_t claim_urgent_at[PRIORITIES - 1];
};
_Static_assert(sizeof(struct pool_shm) <= 1024, "its table");

/* Whether the body is there and filled. */
static inline bool brood__pool_furnished(const struct pool_shm *pool)
{
    return pool->slot.body != 0 && pool->seat_room != 0;
}

/* The pool of a handle, or NULL and *error. */
struct pool_shm *brood__pool_find(uint64_t id, int *error);
/* Whether it takes work: 0, BROOD_ECLOSED, or why its workers can't start (with detail). */
int brood__pool_usable(struct pool_shm *pool);

static inline struct seat_shm *brood__pool_seat(const struct pool_shm *pool, uint32_t seat)
{
    return (struct seat_shm *)brood__at(pool->slot.body) + seat;
}
static inline struct job_shm *brood__pool_job(const struct pool_shm *pool, uint32_t job)
{
    return (struct job_shm *)(void *)brood__pool_seat(pool, pool->seat_room + 1) + job;
}
struct task_shm *brood__pool_task(const struct pool_shm *pool, uint32_t slot);
/* The word with the hint bit of a slot for this priority; *words, or NULL: so many are in a row from there on. */
_Atomic uint64_t *brood__pool_bits(const struct pool_shm *pool, uint32_t priority, uint32_t slot, uint32_t *words);
#define HINT_BIT(slot) ((uint64_t)1 << ((slot) % 64)) /* a segment's slots are a multiple of 64, and so is its first */
/* Bytes of a segment of so many slots. */
static inline size_t brood__pool_segment_size(uint32_t count)
{
    return count / 8 * PRIORITIES + (size_t)count * sizeof(struct task_shm);
}

/* Tell idle workers that there is work for `n` more of them: after the commit that made it. */
void brood__pool_wake(struct pool_shm *pool, int n);
/* Tell those who wait for an answer: after the swap to DONE.  The bell was announced before that swap. */
void brood__pool_answer(struct pool_shm *pool, uint64_t pool_id, os_word *bell);
uint64_t brood__pool_id(const struct pool_shm *pool);

/* --------------------------------------------------------------------------------------------- the worker's side */

/* Claim a queued task: its slot, or -1.  urgent: one with a priority. */
int64_t brood__task_claim(struct pool_shm *pool, bool urgent);
/* Run it, at most `quota` items of it (0: no limit), and answer; how many items. */
uint32_t brood__task_run(struct pool_shm *pool, uint64_t pool_id, uint32_t slot, uint32_t quota);
/* Whether something is queued that brood__task_claim would find; how many things, or `most` if there are more. */
bool brood__task_queued(const struct pool_shm *pool);
uint32_t brood__task_queue_length(const struct pool_shm *pool, uint32_t most);
/* Whether anything is queued or running. */
bool brood__task_any(const struct pool_shm *pool);
/* Run a chunk of some map, at most `quota` items (0: no limit); how many were run, or -1: there was no chunk. */
int64_t brood__map_run(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat, uint32_t quota);
/* Whether a chunk is free; whether any item of any map is undecided.  seat: the caller's own, see inside. */
bool brood__map_ready(struct pool_shm *pool, struct seat_shm *seat);
bool brood__map_any(struct pool_shm *pool, struct seat_shm *seat);
/* Whether some map is under way: a look at words alone. */
bool brood__map_active(const struct pool_shm *pool);

/* ---------------------------------------------------------------------------------------------- after a death */

/* A worker or submitter has died: what it held. */
void brood__task_repair(struct pool_shm *pool, uint64_t pool_id, uint32_t dead);
void brood__map_repair(struct pool_shm *pool, uint64_t pool_id, uint32_t dead);
/* No more: all that is open resolves with this code; a map's answer is that of its pool. */
void brood__task_cancel_all(struct pool_shm *pool, uint64_t pool_id, enum brood_reason reason);
/* Tasks whose time is over: KILLING, and their workers with `kill`.  When to look again: ns, OS_NEVER. */
int64_t brood__task_deadlines(struct pool_shm *pool, int64_t now, void (*kill)(uint32_t member));
/* Every queued task can be found again: of a submitter or supervisor that died between the swap and the hint. */
void brood__task_hint_all(struct pool_shm *pool);
/* Tasks whose pause is over are queued again: *some.  When to look again. */
int64_t brood__task_requeue(struct pool_shm *pool, int64_t now, bool *some);
/* seat: the caller's own, see inside. */
void brood__map_cancel_all(struct pool_shm *pool, uint64_t pool_id, struct seat_shm *seat);
/* Of a pool of threads that is being ended: no chunk is begun any more, and who waits for a map finishes it.  By anyone. */
void brood__map_stop_all(struct pool_shm *pool, uint64_t pool_id);
/* How a dead worker ended, for outcomes. */
struct death {
    int code; /* BROOD_ELOST, BROOD_EOOM, or BROOD_ECANCELED in a terminated pool */
    int signal, status, pid;
    enum brood_reason reason;
    struct os_usage usage;
    uint32_t seat;
    uint64_t worker; /* handle */
};
void brood__pool_death(const struct pool_shm *pool, uint32_t dead, struct death *death);
/* That in words, as "killed by signal 9 (Killed)"; the reason is that of a death. */
void brood__pool_tell_death(char text[BROOD_FAIL_TEXT], enum brood_reason reason, int signal, int status);

/* Free all task slots and jobs of a pool that is being taken apart, but for those that a live submitter is filling. */
void brood__task_vacate(struct pool_shm *pool);
void brood__map_vacate(struct pool_shm *pool);
/* The scrub of buffers: false while some map uses this one. */
bool brood__map_scrub_buffer(struct slot_shm *slot, uint32_t index);
/* Whether some member is inside a call on a map of this pool. */
bool brood__map_visited(const struct pool_shm *pool);

/* Whether nobody looks at a pool that is being taken apart. */
bool brood__pool_unseen(struct pool_shm *pool);
/* Give back what the pool had, and its slot, which is ours, when nobody looks any more. */
void brood__pool_vacate(struct pool_shm *pool);
/* Take apart a pool whose owner died, once the supervisor has ended its workers. */
bool brood__pool_scrub(struct slot_shm *slot, uint32_t index);

/* Buffers that belong to a pool: attached at a place that holds their handle, which decides (call/buffer.h). */
void brood__pool_attach(uint64_t *place, uint64_t pool_id, uint64_t buffer);
void brood__pool_drop(uint64_t *place);

#endif
