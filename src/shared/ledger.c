/* SPDX-License-Identifier: MIT */
/*
 * ledger.c - the list of a family's segments that outlives its arena; the protocol is in shared/names.h.
 *
 * A file of records of 512 bytes, so that none lies across a page; each is written by one pwrite.  The first is the
 * header.  All that is read is another's and may be anything: what a record says is believed as far as the segment has
 * that inode, and is owned by the user that owns the ledger, which is the reader's own.
 */
#include "arena/member.h"
#include "shared/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BEGINNING ".brood-"
#define LEDGER_MAGIC 0x7265676465646c62ull /* "bldedger" */
#define RECORD_MAGIC 0x64726f6365726c62ull /* "blrecord" */
#define RECORD 512u

struct ledger_header {
    uint64_t magic, key;
    int64_t pid; /* the family's first process */
    uint64_t started;
    char reserved[RECORD - 32];
};
struct ledger_record {
    uint64_t magic; /* 0: none */
    struct os_named is;
    char name[BROOD_SHM_NAME];
    char reserved[RECORD - BROOD_SHM_NAME - sizeof(uint64_t) - sizeof(struct os_named)];
};
_Static_assert(sizeof(struct ledger_header) == RECORD && sizeof(struct ledger_record) == RECORD, "one size");

struct ledger_name {
    char text[32];
};

static struct ledger_name own_name(void)
{
    struct ledger_name name;
    snprintf(name.text, sizeof name.text, BEGINNING "%016llx", (unsigned long long)brood__arena()->key);
    return name;
}

bool brood__ledger_is(const char *name)
{
    return strncmp(name, BEGINNING, sizeof BEGINNING - 1) == 0;
}

/* ------------------------------------------------------------------------------------------------------ of our own */

/* The mapping that keeps the lock, and the key of the family it is for: a copy of this process may be in another. */
static _Atomic(void *) held;
static _Atomic uint64_t held_key;

static int write_header(int fd)
{
    struct member_shm *first = brood__member_find(brood__arena()->first_member);
    struct ledger_header header = {.magic = LEDGER_MAGIC, .key = brood__arena()->key};
    if (first) {
        header.pid = first->pid;
        header.started = first->started;
    }
    return brood__os_named_write(fd, &header, sizeof header, 0);
}

/* Open it with a lock that others may have too; who is removing it has it for himself, but not for long. */
static int open_locked(const char *name, bool create, int *fd)
{
    struct os_named is;
    for (int tries = 0; tries < 1000; tries++) {
        int error = brood__os_named_open(name, false, create, fd, &is);
        if (error < 0) return error;
        error = is.user == brood__os_user() ? brood__os_named_lock(*fd, false) : -EACCES;
        if (error == 0 && brood__os_named_linked(*fd)) return 0;
        brood__os_close(fd);
        if (error < 0 && error != -EAGAIN) return error;
        if (error == -EAGAIN) brood__os_nap(1000 * 1000);
    }
    return -EAGAIN;
}

int brood__ledger_use(void)
{
    if (atomic_load(&held) && atomic_load(&held_key) == brood__arena()->key) return 0;
    struct ledger_name name = own_name();
    void *map = NULL;
    int fd;
    int error = open_locked(name.text, true, &fd);
    if (error < 0) return error;
    error = write_header(fd); /* by each who comes: it is always the same */
    if (error == 0) error = brood__os_named_map(fd, RECORD, true, &map);
    brood__os_close(&fd);
    if (error < 0) return error;
    brood__os_memory_unmap(atomic_exchange(&held, map), RECORD);
    atomic_store(&held_key, brood__arena()->key);
    return 0;
}

void brood__ledger_leave(void)
{
    void *map = atomic_exchange(&held, NULL);
    brood__os_memory_unmap(map, RECORD);
}

int brood__ledger_write(uint32_t index, const struct named_shm *named)
{
    struct ledger_name name = own_name();
    struct ledger_record record = {0};
    struct os_named is;
    int fd;
    record.magic = RECORD_MAGIC;
    record.is = named->is;
    memcpy(record.name, named->name, sizeof record.name);
    int error = brood__os_named_open(name.text, false, false, &fd, &is);
    if (error < 0) return error;
    error = brood__os_named_write(fd, &record, sizeof record, (uint64_t)index * RECORD);
    brood__os_close(&fd);
    return error;
}

/* -------------------------------------------------------------------------------------------------- of any family's */

/* The i-th record of a ledger: 1; 0: there is none; -1: that was the last. */
static int record_of(int fd, uint64_t i, struct ledger_record *record)
{
    if (brood__os_named_read(fd, record, sizeof *record, i * RECORD) < 0) return -1;
    bool good = record->magic == RECORD_MAGIC && record->name[0] && memchr(record->name, 0, sizeof record->name) &&
                !strchr(record->name, '/') && strcmp(record->name, ".") != 0 && strcmp(record->name, "..") != 0 &&
                record->is.user == brood__os_user();
    return good;
}

/* Whether its family may be there still: then it is locked, or its first process lives. */
static bool is_alive(int fd)
{
    struct ledger_header header;
    if (brood__os_named_lock(fd, true) < 0) return true;
    if (brood__os_named_read(fd, &header, sizeof header, 0) < 0) return false; /* it never wrote its first record */
    if (header.magic != LEDGER_MAGIC) return true;                             /* whatever it is, it is no ledger */
    struct os_process first = {(pid_t)header.pid, header.started};
    return header.pid > 0 && brood__os_process_alive(&first);
}

/* Remove what nobody uses, then the ledger if that was all. */
static void clear(int fd, const char *name, const struct os_named *is)
{
    bool all = true;
    struct ledger_record record;
    for (uint64_t i = 1;; i++) {
        int there = record_of(fd, i, &record);
        if (there < 0) break;
        if (there == 0) continue;
        int error = brood__os_named_remove(record.name, &record.is, true);
        all &= error == 0 || error == -ENOENT;
    }
    if (all) brood__os_named_remove(name, is, false);
}

/* At the end of the family: its ledger is locked by us, or nobody else is there. */
void brood__ledger_end(void)
{
    struct ledger_name name = own_name();
    struct os_named is;
    int fd;
    if (brood__os_named_open(name.text, false, false, &fd, &is) < 0) return;
    if (is.user == brood__os_user()) clear(fd, name.text, &is);
    brood__os_close(&fd);
}

static void sweep_one(const char *name, void *of)
{
    struct os_named is;
    int fd;
    if (strcmp(name, of) == 0) return;
    if (brood__os_named_open(name, false, false, &fd, &is) < 0) return;
    if (is.user == brood__os_user() && !is_alive(fd) && brood__os_named_linked(fd)) clear(fd, name, &is);
    brood__os_close(&fd);
}

void brood__ledger_sweep(void)
{
    struct ledger_name own = own_name();
    brood__os_named_each(BEGINNING, sweep_one, own.text);
}

struct search {
    const struct os_named *is;
    uint64_t size;
};

static void search_one(const char *name, void *of)
{
    struct search *search = of;
    struct os_named is;
    struct ledger_record record;
    int fd, there;
    if (search->size || brood__os_named_open(name, true, false, &fd, &is) < 0) return;
    if (is.user == brood__os_user()) {
        for (uint64_t i = 1; (there = record_of(fd, i, &record)) >= 0; i++)
            if (there && record.is.device == search->is->device && record.is.inode == search->is->inode)
                search->size = record.is.size;
    }
    brood__os_close(&fd);
}

uint64_t brood__ledger_size(const struct os_named *is)
{
    struct search search = {is, 0};
    brood__os_named_each(BEGINNING, search_one, &search);
    return search.size;
}
