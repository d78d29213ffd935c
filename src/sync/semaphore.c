/* SPDX-License-Identifier: MIT */
/* semaphore.c - the semaphore; the protocol is in sync/semaphore.h. */
#include "sync/semaphore.h"

#include "arena/member.h"
#include "sync/wait.h"

#include <brood/semaphore.h>
#include <limits.h>

#define ENTRIES (PAGE_SIZE / sizeof(uint32_t))
#define MOST_UNITS 0xffffu /* of one entry */
#define ENTRY_MEMBER(entry) ((entry) >> 16)
#define ENTRY_UNITS(entry) ((entry)&MOST_UNITS)

static void commit(volatile uint32_t *place, uint32_t value)
{
    *place = value;
    atomic_signal_fence(memory_order_seq_cst); /* program order is what an heir needs */
}

static uint32_t *entries(const struct semaphore_shm *s)
{
    return brood__at(s->slot.body);
}

/* Whether the entries are memory: the supervisor does not believe it unseen. */
static bool is_sound(const struct semaphore_shm *s)
{
    uint64_t body = s->slot.body;
    return body % sizeof(uint32_t) == 0 && body < brood__arena()->size &&
           brood__in_arena(brood__at(body), ENTRIES * sizeof(uint32_t));
}

/* Written under the latch, which orders it; relaxed, for the look of one who spins is but a hint. */
static uint32_t free_units(struct semaphore_shm *s)
{
    return atomic_load_explicit(brood__semaphore_free_units(s), memory_order_relaxed);
}
static void set_free(struct semaphore_shm *s, uint32_t units)
{
    atomic_store_explicit(brood__semaphore_free_units(s), units, memory_order_relaxed);
}

static void add_up(struct semaphore_shm *s)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) held += ENTRY_UNITS(entries(s)[i]);
    set_free(s, *brood__semaphore_total(s) - held);
}

static int enter(struct semaphore_shm *s, uint64_t id, void **announced)
{
    int heir = brood__monitor_enter(&s->monitor, announced);
    if (heir < 0) return heir;
    if (!brood__slot_is(&s->slot, id)) {
        brood__monitor_leave(&s->monitor, *announced, INT_MAX, true);
        return brood__slot_gone(TABLE_SEMAPHORE, id);
    }
    if (heir) add_up(s);
    return 0;
}

/* Garbage: nobody may be inside.  Who comes after us sees that the handle is stale. */
bool brood__semaphore_scrub(struct slot_shm *slot, uint32_t index)
{
    struct semaphore_shm *s = (struct semaphore_shm *)(void *)slot;
    (void)index;
    void *announced = brood__os_announce(&s->monitor);
    uint32_t seen;
    bool held = brood__latch_try(&s->monitor.word, &seen);
    if (held) {
        s->monitor.flags[MONITOR_ASLEEP] = 1; /* whatever its last holder, who may have died in it, has left there */
        brood__monitor_leave(&s->monitor, announced, INT_MAX, true);
    } else {
        brood__os_announce_again(announced);
    }
    return held;
}

int brood_semaphore_new(brood_semaphore *semaphore, unsigned units, const brood_semaphore_options *options)
{
    int error = brood__enter();
    if (error == 0 && units > INT32_MAX) error = BROOD_EINVAL;
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_SEMAPHORE, brood__self->member, brood__semaphore_scrub, &index);
    if (error < 0) return error;
    error = brood__pages_allocate(TABLE_SEMAPHORE, index, ENTRIES * sizeof(uint32_t));
    if (error < 0) {
        brood__slot_release(TABLE_SEMAPHORE, index);
        return error;
    }
    struct semaphore_shm *s = (struct semaphore_shm *)(void *)brood__slot_at(TABLE_SEMAPHORE, index);
    for (uint32_t i = 0; i < ENTRIES; i++) entries(s)[i] = 0;
    *brood__semaphore_total(s) = units;
    set_free(s, units);
    s->bounded = options && options->bounded;
    s->monitor.flags[MONITOR_ASLEEP] = s->monitor.flags[MONITOR_BATON] = 0;
    semaphore->id = brood__slot_publish(TABLE_SEMAPHORE, index);
    return 0;
}

int brood_semaphore_free(brood_semaphore semaphore)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_SEMAPHORE, semaphore.id)) return BROOD_ESTALE;
    struct semaphore_shm *s =
        (struct semaphore_shm *)(void *)brood__slot_at(TABLE_SEMAPHORE, HANDLE_INDEX(semaphore.id));
    void *announced;
    if (brood__monitor_enter(&s->monitor, &announced) >=
        0) { /* those inside have left; those who come find it retired */
        s->monitor.flags[MONITOR_ASLEEP] = 1;
        brood__monitor_leave(&s->monitor, announced, INT_MAX, true);
    }
    brood__slot_release(TABLE_SEMAPHORE, HANDLE_INDEX(semaphore.id));
    return 0;
}

/* Where a member's entries begin: neighbours in the process table are not in one cache line. */
static uint32_t place_of(uint32_t member)
{
    const uint32_t in_line = 64 / sizeof(uint32_t), lines = ENTRIES / in_line;
    return (member % lines * in_line + member / lines) % ENTRIES;
}

/* The entry of a member with fewer than `room` units, from its own place on; or, if `fresh`, an unused one. */
static uint32_t *find(struct semaphore_shm *s, uint32_t member, bool fresh)
{
    uint32_t *e = entries(s), *unused = NULL;
    for (uint32_t n = 0, i = place_of(member); n < ENTRIES; n++, i = (i + 1) % ENTRIES) {
        uint32_t units = ENTRY_UNITS(e[i]);
        if (units != 0 && ENTRY_MEMBER(e[i]) == member && !(fresh && units == MOST_UNITS)) return &e[i];
        if (units == 0 && !unused) unused = &e[i];
        if (n == 0 && units == 0 && fresh) return unused; /* its own place, and free: the usual case */
    }
    return fresh ? unused : NULL;
}

/* Under the latch: 0, BROOD_EAGAIN, BROOD_EARENA. */
static int take(struct semaphore_shm *s)
{
    if (free_units(s) == 0) return BROOD_EAGAIN;
    uint32_t *entry = find(s, brood__self->member, true);
    if (!entry) return BROOD_EARENA;
    uint32_t units = ENTRY_UNITS(*entry);
    commit(entry, brood__self->member << 16 | (units + 1)); /* (1) the unit is ours */
    set_free(s, free_units(s) - 1);
    return 0;
}

int brood_semaphore_acquire(brood_semaphore semaphore, int timeout)
{
    int result = brood__enter_for(timeout);
    if (result < 0) return result;
    struct semaphore_shm *s = brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
    if (!s) return brood__slot_gone(TABLE_SEMAPHORE, semaphore.id);
    int64_t deadline = brood__os_deadline(timeout);
    void *before = NULL, *announced;
    bool slept = false, late = false;
    for (unsigned n = 0;;) {
        result = enter(s, semaphore.id, &announced);
        if (!slept) before = announced;
        if (result < 0) break;
        result = take(s);
        if (result != BROOD_EAGAIN || timeout == 0 || late) {
            brood__monitor_leave(&s->monitor, announced, 0, free_units(s) > 0);
            break;
        }
        if (n < SPIN_BEFORE_SLEEP) {
            brood__monitor_leave(&s->monitor, announced, 0, false);
            while (n < SPIN_BEFORE_SLEEP && free_units(s) == 0) brood__relax(n++);
            continue;
        }
        slept = true;
        late = brood__monitor_sleep(&s->monitor, deadline, semaphore.id) < 0;
    }
    if (slept) brood__os_announce_again(before);
    return result == BROOD_EAGAIN ? brood__not_now(timeout) : result;
}

int brood_semaphore_release(brood_semaphore semaphore)
{
    int result = brood__enter();
    if (result < 0) return result;
    struct semaphore_shm *s = brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
    if (!s) return brood__slot_gone(TABLE_SEMAPHORE, semaphore.id);
    void *announced;
    result = enter(s, semaphore.id, &announced);
    if (result < 0) return result;
    uint32_t *entry = find(s, brood__self->member, false);
    for (uint32_t i = 0; !entry && free_units(s) < *brood__semaphore_total(s) && i < ENTRIES; i++)
        if (ENTRY_UNITS(entries(s)[i])) entry = &entries(s)[i];
    if (entry)
        commit(entry, ENTRY_UNITS(*entry) == 1 ? 0 : *entry - 1); /* (1) the unit is free */
    else if (s->bounded || *brood__semaphore_total(s) == INT32_MAX)
        result = BROOD_EPERM;
    else
        commit(brood__semaphore_total(s), *brood__semaphore_total(s) + 1);
    if (result == 0) set_free(s, free_units(s) + 1);
    brood__monitor_leave(&s->monitor, announced, result == 0, free_units(s) > 0);
    return result;
}

int brood_semaphore_value(brood_semaphore semaphore)
{
    int result = brood__enter();
    if (result < 0) return result;
    struct semaphore_shm *s = brood__slot_find(TABLE_SEMAPHORE, semaphore.id);
    if (!s) return brood__slot_gone(TABLE_SEMAPHORE, semaphore.id);
    void *announced;
    result = enter(s, semaphore.id, &announced);
    if (result < 0) return result;
    result = (int)free_units(s);
    brood__monitor_leave(&s->monitor, announced, 0, free_units(s) > 0);
    return result;
}

/* Whether the dead may have left something: it alone could add entries in its name, so none appears after this look. */
static bool concerned(struct semaphore_shm *s, uint32_t dead)
{
    if (atomic_load(&s->monitor.word) & OS_OWNER_DIED) return true;
    uint64_t body = s->slot.body;
    if (!body || !is_sound(s)) return false;
    const volatile uint32_t *e = brood__at(body);
    for (uint32_t i = 0; i < ENTRIES; i++)
        if (ENTRY_UNITS(e[i]) && ENTRY_MEMBER(e[i]) == dead) return true;
    return false;
}

/* One semaphore, as the supervisor: only what can be had without waiting, and nothing believed unseen. */
static bool repair(struct semaphore_shm *s, uint32_t dead)
{
    uint64_t slot = atomic_load(&s->slot.word);
    if (SLOT_STATE(slot) == SLOT_GARBAGE && !brood__monitor_ring(&s->monitor)) return false;
    if (SLOT_STATE(slot) != SLOT_LIVE || !concerned(s, dead)) return true;
    void *announced = brood__os_announce(&s->monitor);
    uint32_t seen;
    if (!brood__latch_try(&s->monitor.word, &seen)) {
        brood__os_announce_again(announced);
        return false;
    }
    if (seen & OS_OWNER_DIED) brood__monitor_inherit(&s->monitor);
    uint32_t returned = 0;
    if (is_sound(s) && SLOT_STATE(atomic_load(&s->slot.word)) == SLOT_LIVE) {
        for (uint32_t i = 0; i < ENTRIES; i++) {
            uint32_t entry = entries(s)[i];
            if (ENTRY_UNITS(entry) == 0 || ENTRY_MEMBER(entry) != dead) continue;
            returned += ENTRY_UNITS(entry);
            commit(&entries(s)[i], 0);
        }
        if (returned || (seen & OS_OWNER_DIED)) add_up(s);
    }
    brood__monitor_leave(&s->monitor, announced, (int)returned, free_units(s) > 0);
    return true;
}

bool brood__semaphore_repair(uint32_t dead)
{
    uint32_t used = brood__table_used(TABLE_SEMAPHORE);
    bool all = true;
    for (uint32_t i = 1; i < used; i++)
        all &= repair((struct semaphore_shm *)(void *)brood__slot_at(TABLE_SEMAPHORE, i), dead);
    return all;
}

void brood__semaphore_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_SEMAPHORE);
    for (uint32_t i = 1; i < used; i++)
        brood__monitor_ring(&((struct semaphore_shm *)(void *)brood__slot_at(TABLE_SEMAPHORE, i))->monitor);
}
