/* SPDX-License-Identifier: MIT */
/*
 * member.h - the process table: a slot for each process of the family, from its start until its handle is freed.
 *
 * Who writes: the starter from INIT on (name, parent, role, ...), before the child can see it; the child its pid and
 * start time, before it swaps INIT→LIVE; `ended` by the child when it is about to end by itself (SAID), by its parent or
 * the supervisor when the system has told them: compare-and-swap from 0 or from SAID, so the first to know decides.
 * If the starter dies before the child is LIVE, the supervisor makes the slot GARBAGE and the child, whose swap fails,
 * exits.  If the child dies: LIVE stays, `ended` is set by whoever learns it, and the supervisor repairs what the dead
 * held; only then (`repaired`) can the slot be used again, so that an index in a word always means one process.
 */
#ifndef BROOD_ARENA_MEMBER_H
#define BROOD_ARENA_MEMBER_H

#include "arena/arena.h"

enum member_role { ROLE_FIRST, ROLE_PROCESS, ROLE_WORKER, ROLE_TEMPLATE, ROLE_SERVER };

/* `ended`: 0 while it runs; else ENDED | kind << 16 | value. */
#define ENDED 0x80000000u
enum ended_kind { ENDED_STATUS, ENDED_SIGNAL, ENDED_SAID };
#define ENDED_KIND(word) ((enum ended_kind)((word) >> 16 & 0xff))
#define ENDED_WORD(kind, value) (ENDED | (uint32_t)(kind) << 16 | ((uint32_t)(value)&0xffff))

#define MEMBER_VISITS 4
struct member_shm {
    struct slot_shm slot;      /* owner: the index of the parent */
    struct latch_shm bell;     /* only its word: joiners sleep on it; 0 or OS_WAITERS */
    _Atomic uint32_t ended;    /* see above */
    _Atomic uint32_t repaired; /* 1: nothing in the arena names this index any more; by the supervisor */
    _Atomic uint32_t released; /* 1: the handle was given back */
    _Atomic uint32_t gone;     /* 1: the process is not there any more, whatever is known of its status */
    int32_t pid;
    uint32_t role;
    uint64_t started;
    uint64_t parent; /* handle */
    uint64_t pool;   /* workers: handle of their pool */
    uint32_t seat;   /* workers: which of the pool's */
    uint32_t method;
    uint32_t daemon;
    uint32_t program; /* forkserver, not of the supervisor: of whose server it is a fork; of a server: its own */
    _Atomic uint64_t waits_for; /* handle of the object its last sleeper waits for, for the tools */
    _Atomic uint64_t wants;     /* by itself: handle of the lock it waits for while `waits` is odd, sync/deadlock.h */
    _Atomic uint64_t wants_word;
    _Atomic uint64_t waits;
    _Atomic uint64_t task; /* workers: what they are doing, for the tools and reports */
    char name[32];
    struct os_usage usage; /* by who learns of the end first, before `ended`; zeroes if the system did not tell */
    _Atomic uint32_t oom;  /* workers: enum member_oom; by the supervisor, once it is asked for */
    uint32_t reserved_too;
    /* What its calls look at, so that nobody gives that memory away: arena/visit.h. */
    _Atomic uint64_t visits[MEMBER_VISITS];
    _Atomic uint32_t more_visits[2]; /* of pools: [1] */
    char said[160]; /* by itself, before it ends: why a worker's initializer failed; may be of any bytes */
};
enum member_oom { OOM_UNKNOWN, OOM_NO, OOM_YES };
_Static_assert(sizeof(struct member_shm) <= 512, "fits its table");

static inline struct member_shm *brood__member_at(uint32_t index)
{
    return (struct member_shm *)(void *)brood__slot_at(TABLE_MEMBER, index);
}
static inline struct member_shm *brood__member_find(uint64_t id)
{
    return brood__slot_find(TABLE_MEMBER, id);
}
static inline struct member_shm *brood__me(void)
{
    return brood__member_at(brood__self->member);
}

/* Claim a slot for a child: INIT, owned by this process (or the supervisor); filled with name (cut), role, method. */
int brood__member_claim(const char *name, enum member_role role, brood_start_method method, bool daemon,
                        uint32_t *index);
/* Give up a claim whose child never became LIVE. */
void brood__member_abandon(uint32_t index);
/* The generation under which it is claimed, for its child. */
static inline uint32_t brood__member_generation(uint32_t index)
{
    return SLOT_GENERATION(atomic_load(&brood__member_at(index)->slot.word));
}
/*
 * In the child: take the slot that was claimed for it under this generation; false when it was given up meanwhile, and
 * may be another's: then the child must exit.
 */
bool brood__member_attach(uint32_t index, uint32_t generation);
/* The founder's own slot. */
int brood__member_found(void);
/* Record the end; the first answer counts, but for the child's own, which any other replaces.  Does not wake. */
void brood__member_ended(uint32_t index, enum ended_kind kind, int value);
/* Free the slot if it is both repaired and released; anyone may call it at any time. */
void brood__member_collect(uint32_t index);
/* Whether the process of this index has ended, as far as the table says. */
static inline bool brood__member_dead(uint32_t index)
{
    return atomic_load_explicit(&brood__member_at(index)->gone, memory_order_acquire) != 0;
}

#endif
