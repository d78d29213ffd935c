/* SPDX-License-Identifier: MIT */
/*
 * arena.c - any words in the tables and bodies of an arena: what the supervisor does after a death comes to an end, and
 * touches nothing else than the arena.
 *
 * The input is a list of words and places, 12 bytes each.  They are written over an arena in which there is one of each
 * object, in a state in which a dead member had a part; then the death is repaired, all are rung, and the arena is as it
 * was.  Of pools there is none here.  What is fixed when the arena is made (the places of tables and pages) stays.
 */
#include "arena/member.h"
#include "call/buffer.h"
#include "fuzz.h"
#include "process/repair.h"
#include "queue/ring.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/lock.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 8u
#define DEAD 2u
#define CAPACITY 64u

static const enum table tables[] = {TABLE_MEMBER, TABLE_LOCK,  TABLE_SEMAPHORE, TABLE_EVENT,
                                    TABLE_BUFFER, TABLE_QUEUE, TABLE_BELL,      TABLE_PIPE,
                                    TABLE_TOKEN,  TABLE_RLOCK, TABLE_CONDITION, TABLE_BARRIER};
#define TABLES (sizeof tables / sizeof *tables)

static void require(bool truth)
{
    if (!truth) abort();
}

static char *ring, *end_ring, *units, *grown, *waiters, *places;
enum { WAITERS_SIZE = BROOD_CONDITION_MOST * sizeof(struct waiter_shm), PLACES_SIZE = 64 * 8 };

/* Some wait at a condition, one of them dead and notified, and at a barrier; an rlock is the dead's. */
static void furnish_meetings(void)
{
    brood_condition condition;
    brood_barrier barrier;
    brood_rlock rlock;
    require(brood_rlock_new(&rlock) == 0 && brood_rlock_acquire(rlock, 0) == 0);
    struct lock_shm *l = brood__slot_find(TABLE_RLOCK, rlock.id);
    atomic_fetch_add(&l->word, (uint64_t)DEAD - brood__self->member);
    require(brood_condition_new(&condition, &(brood_condition_options){.rlock = rlock}) == 0);
    require(brood_condition_new(&condition, NULL) == 0 && brood_barrier_new(&barrier, 3, NULL) == 0);
    struct condition_shm *c = brood__slot_find(TABLE_CONDITION, condition.id);
    waiters = brood__at(c->slot.body);
    struct waiter_shm *w = (struct waiter_shm *)(void *)waiters;
    for (uint64_t i = 0; i < 4; i++) {
        w[i].ticket = i + 1;
        w[i].word = (i % 2 ? (uint64_t)DEAD : 1) << 48 | (i ? OS_WAITERS : WAITER_NOTIFIED);
    }
    w[1].word = (uint64_t)DEAD << 48 | WAITER_NOTIFIED;
    c->used = 4;
    struct barrier_shm *b = brood__slot_find(TABLE_BARRIER, barrier.id);
    places = brood__at(b->slot.body);
    uint64_t there[] = {(uint64_t)PLACE_WAITS << 16 | DEAD, (uint64_t)PLACE_KNOWN << 16 | DEAD, PLACE_WAITS << 16 | 1};
    memcpy(places, there, sizeof there);
}

/* What an input may change, and what it was. */
struct area_kept {
    char *at, *copy;
    size_t size;
};
static struct area_kept kept[2 * TABLES + 8];
static size_t kept_count;
static size_t ring_size, grown_size;

static void keep(void *at, size_t size)
{
    struct area_kept *k = &kept[kept_count++];
    *k = (struct area_kept){at, malloc(size), size};
    require(k->copy != NULL);
    memcpy(k->copy, at, size);
}

static void furnish(void)
{
    brood_lock lock;
    brood_semaphore semaphore;
    brood_event event;
    brood_queue queue;
    brood_buffer buffer[4];
    brood_pipe_end ends[2], moved[2];
    uint32_t index;
    static char message[600];
    for (int i = 0; i < 2; i++) require(brood__member_claim("x", ROLE_PROCESS, BROOD_START_SPAWN, false, &index) == 0);
    require(index == DEAD + 1);
    for (int i = 0; i < 3; i++) require(brood_lock_new(&lock) == 0);
    require(brood_lock_acquire(lock, 0) == 0);
    require(brood_semaphore_new(&semaphore, 3, NULL) == 0 && brood_semaphore_acquire(semaphore, 0) == 0);
    require(brood_event_new(&event) == 0);
    require(brood_queue_new(&queue, &(brood_queue_options){.capacity = 512}) == 0);
    require(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 512}) == 0);
    require(brood_pipe_new(moved, &(brood_pipe_options){.capacity = 512}) == 0);
    require(brood_pipe_send_moving(ends[0], message, 40, &moved[0].id, 1, 0) == 0);
    require(brood__slot_claim(TABLE_TOKEN, DEAD, NULL, &index) == 0);
    brood__slot_publish(TABLE_TOKEN, index);
    for (int i = 0; i < 4; i++) require(brood_buffer_new(&buffer[i], 100, NULL) == 0);
    require(brood_queue_put(queue, message, 40, 0) == 0 && brood_queue_put(queue, message, 600, 0) == 0);
    require(brood_queue_put_buffer(queue, buffer[0], 0) == 0 && brood_queue_fd(queue) >= 0);

    /* One of every kind at once, of which the dead has taken something. */
    brood_queue other;
    brood_queue_options options = {.capacity = 4096, .grows_to = 1 << 14, .joinable = 1, .priorities = 2};
    require(brood_queue_new(&other, &options) == 0);
    for (unsigned i = 0; i < 3; i++) require(brood_queue_put_priority(other, message, 600, i % 2, 0) == 0);
    require(brood_queue_get(other, message, sizeof message, NULL, 0) == 0);
    struct queue_shm *o = brood__slot_find(TABLE_QUEUE, other.id);
    grown = brood__at(o->slot.body);
    grown_size = (size_t)brood__ring_bytes(o, o->capacity);
    for (size_t i = grown_size - TALLY_BYTES; i < grown_size; i += 8) {
        uint64_t entry;
        memcpy(&entry, grown + i, sizeof entry);
        if (entry) entry = (uint64_t)DEAD << 48 | (entry & 0xffff);
        memcpy(grown + i, &entry, sizeof entry);
    }

    furnish_meetings();
    struct semaphore_view {
        struct slot_shm slot;
    } *s = brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
    struct queue_shm *q = brood__slot_find(TABLE_QUEUE, queue.id);
    ring = brood__at(q->slot.body);
    ring_size = (size_t)q->capacity;
    units = brood__at(s->slot.body);
    for (size_t t = 0; t < TABLES; t++) {
        struct table_shm *table = &brood__arena()->tables[tables[t]];
        table->capacity = CAPACITY;
        keep(table, sizeof *table);
        keep(brood__at(table->offset), (size_t)table->slot_size * SLOTS);
    }
    keep(ring, ring_size);
    keep(grown, grown_size);
    struct queue_shm *end = (struct queue_shm *)(void *)brood__slot_at(TABLE_PIPE, HANDLE_INDEX(ends[1].id));
    end_ring = brood__at(end->slot.body);
    keep(end_ring, ring_size);
    keep(units, PAGE_SIZE);
    keep(waiters, WAITERS_SIZE);
    keep(places, PLACES_SIZE);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 4 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    furnish();
    return 0;
}

static void write_word(char *place, size_t size, uint16_t at, uint64_t value, bool half)
{
    size_t width = half ? 4 : 8;
    memcpy(place + at % (size / width) * width, &value, width);
}

static void spoil(uint8_t what, uint8_t index, uint16_t at, uint64_t value)
{
    enum table table = tables[index % TABLES];
    struct table_shm *t = &brood__arena()->tables[table];
    uint32_t slot = index / TABLES % (SLOTS - 1) + 1;
    struct slot_shm *s = brood__slot_at(table, slot);
    switch (what % 8) {
    case 0: write_word((char *)s, t->slot_size, at, value, false); break;
    case 1: write_word((char *)s, t->slot_size, at, value, true); break;
    case 2:
        if (at % 3 == 2)
            write_word(grown, grown_size, at / 3, value, false);
        else
            write_word(at & 1 ? ring : end_ring, ring_size, at, value, false);
        break;
    case 3:
        if (at % 3 == 2)
            write_word(waiters, WAITERS_SIZE, at / 3 % 16, value, false);
        else if (at % 3 == 1)
            write_word(places, PLACES_SIZE, at / 3, value, false);
        else
            write_word(units, PAGE_SIZE, at, value, true);
        break;
    case 4: atomic_store(&t->used, (uint32_t)value); break;
    case 5: /* the dead had a part in it */
        atomic_store(&s->word, SLOT_WORD(SLOT_GENERATION(atomic_load(&s->word)), value % 12, DEAD));
        break;
    case 6: /* a latch whose holder died */
        write_word((char *)s, t->slot_size, at, OS_OWNER_DIED | OS_WAITERS, true);
        break;
    case 7: /* a handle that is nearly right */
        write_word((char *)s, t->slot_size, at, HANDLE(tables[value % TABLES], value >> 8 & 7, value >> 16 & 1), false);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    for (; size >= 12; bytes += 12, size -= 12) {
        uint64_t value;
        uint16_t at;
        memcpy(&at, bytes + 2, sizeof at);
        memcpy(&value, bytes + 4, sizeof value);
        spoil(bytes[0], bytes[1], at, value);
    }
    uint32_t member = brood__self->member;
    brood__self->supervisor = true;
    brood__self->member = 0;
    brood__repair_member(DEAD);
    brood__repair_ring_all();
    brood__self->supervisor = false;
    brood__self->member = member;
    for (size_t i = 0; i < kept_count; i++) memcpy(kept[i].at, kept[i].copy, kept[i].size);
    return 0;
}
