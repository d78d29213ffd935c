/* SPDX-License-Identifier: MIT */
/*
 * arena.h - the family's shared memory and what this process knows of it.
 *
 * One sparse nameless object, mapped by every member, perhaps at different addresses: all references inside are
 * offsets.  It begins with struct arena_shm; then come the tables (one type of object each, slot.h), then the page
 * words and the pages (pages.h).  Places are computed once, when the family is made, and never change.
 */
#ifndef BROOD_ARENA_ARENA_H
#define BROOD_ARENA_ARENA_H

#include "arena/detail.h"
#include "arena/latch.h"
#include "arena/pages.h"
#include "arena/slot.h"
#include "os/os.h"

#include <brood/base.h>

#define ARENA_MAGIC 0x61646f6f7262ull /* "brooda" */
#define ARENA_VERSION 1

/* The supervisor as all see it; see process/supervisor.c.  The word has its robust node 32 bytes on. */
struct supervisor_shm {
    struct latch_shm life; /* listed by the supervisor for all its life: OS_OWNER_DIED says that it is dead */
    _Atomic uint64_t word; /* epoch:32 | state:8 | starter:16, see supervisor.h; compare-and-swap by anyone */
    _Atomic int32_t pid;
    _Atomic uint32_t looks_at; /* index of the pool whose memory the supervisor may be looking at, 0: none */
    uint64_t started;
    /*
     * When it looks at deadlines next; INT64_MAX: not before it is asked.  Written by it alone, before it looks and
     * after; who has published something that is due earlier asks (seq_cst on both sides: one sees the other).
     */
    _Atomic int64_t looks_next;
};

/*
 * Who writes: the founder before anybody else maps it, and then nobody, but for the fields marked.
 * If the founder dies before it has started a child, the arena goes with it.
 */
struct arena_shm {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
    uint64_t size;
    uint64_t limit;
    uint64_t key; /* random: names of bells, ids of the family */
    unsigned char authkey[32];
    char listen_name[16]; /* where the supervisor listens; every member holds the socket, so nobody can take it */
    uint64_t listen_size;
    _Atomic uint32_t start_method; /* brood_start_method; set by brood_set_start_method */
    _Atomic uint32_t log_level;    /* brood_log_level; by brood_log_set_level in any member */
    int32_t start_timeout;
    _Atomic uint32_t program; /* what children begin as by default: see process/program.h */
    uint32_t reserved_too;
    uint64_t first_member; /* handle of the process that founded the family */
    struct supervisor_shm supervisor;
    struct latch_shm
        verdict; /* who of a circle of waiters is told of it, see sync/deadlock.h; guards nothing to repair */
    _Atomic uint32_t names; /* of named memory: 1: some member has used it; 2: and made some (shared/names.h) */
    uint32_t reserved_two;
    struct pages_shm pages;
    struct table_shm tables[TABLE_COUNT];
};

/*
 * What this process knows.  It lies in a page that a fork wipes: a process forked outside of Brood finds zeroes, and
 * is no member.  Written by brood_init, by the start of a child in the child, and by brood_fini.
 */
struct self {
    struct arena_shm *arena; /* NULL: not a member */
    uint64_t size;
    uint32_t member;  /* index of this process in the process table; 0 for the supervisor */
    uint32_t word_id; /* how this process stands in words: see MEMBER_WORD */
    uint64_t id;      /* its handle */
    uint64_t life; /* never 0: another one whenever this process, or one it is a copy of, becomes a member; handles of
                         two families may be the same */
    int memory;    /* descriptors of this process */
    int listener;
    int lifeline_hold;  /* the first member's alone */
    int lifeline_watch; /* to be inherited by children */
    int lifeline_mine;  /* this process's own watch */
    int bell_sender;
    bool supervisor;
};
extern struct self *brood__self; /* never NULL */

/* In a futex word a member stands as this bit and its index, which no thread id can equal. */
#define MEMBER_BIT 0x20000000u
#define MEMBER_MASK 0x0000ffffu

static inline bool brood__is_member(void)
{
    return brood__self->arena != NULL;
}
static inline struct arena_shm *brood__arena(void)
{
    return brood__self->arena;
}
static inline void *brood__at(uint64_t offset)
{
    return (char *)brood__self->arena + offset;
}
static inline uint64_t brood__offset(const void *address)
{
    return (uint64_t)((const char *)address - (const char *)brood__self->arena);
}
/*
 * The live slot that a handle names, or NULL.  It may be freed at any time after: check again under its lock.
 * Nearly every call begins with it, so it is inline.
 */
static inline void *brood__slot_find(enum table table, uint64_t id)
{
    const struct table_shm *t = &brood__arena()->tables[table];
    uint32_t index = HANDLE_INDEX(id);
    if (HANDLE_TABLE(id) != table || index == 0 || index >= atomic_load_explicit(&t->high, memory_order_acquire))
        return NULL;
    struct slot_shm *slot = brood__at(t->offset + (uint64_t)index * t->slot_size);
    return brood__slot_is(slot, id) ? slot : NULL;
}

/* Whether [address, address + size) lies in the arena's pages. */
bool brood__in_arena(const void *address, size_t size);

/*
 * Every public call begins with this: nothing is said of it yet, and it is made by a member, whose thread is prepared
 * for the kernel's robust list.  BROOD_ENOTMEMBER, BROOD_EUNSUPPORTED.
 */
int brood__enter_slow(void);
static inline int brood__enter(void)
{
    brood__say_nothing();
    if (__builtin_expect(brood__is_member() && brood__os_robust.tid != 0, 1)) return 0;
    return brood__enter_slow();
}

/* Likewise a call that waits: BROOD_EINVAL too, for a negative timeout that is not BROOD_FOREVER. */
int brood__refuse_timeout(int timeout);
static inline int brood__enter_for(int timeout)
{
    int error = brood__enter();
    return __builtin_expect(timeout >= BROOD_FOREVER, 1) || error < 0 ? error : brood__refuse_timeout(timeout);
}

/* Make an arena with these limits, and this process's view of it, as the founder. */
int brood__arena_create(size_t limit);
/* Map the arena behind a descriptor, which from then on is the library's (closed on failure too). */
int brood__arena_attach(int memory);
/* Unmap and close all; the process is no member then. */
void brood__arena_detach(void);
/* In a forked child: forget the parent's view; its descriptors are closed if close_them. */
void brood__arena_forget(const struct self *parents, bool close_them);

#endif
