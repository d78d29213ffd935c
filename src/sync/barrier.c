/* SPDX-License-Identifier: MIT */
/* barrier.c - the barrier; the protocol is in sync/barrier.h. */
#include "sync/barrier.h"

#include "arena/member.h"
#include "sync/wait.h"

#include <brood/barrier.h>
#include <limits.h>
#include <string.h>

enum { ARRIVED = MONITOR_FLAGS }; /* of the monitor's flags */

#define ROUND(word) ((uint32_t)((word) >> 32))
#define STATUS(state) ((enum barrier_status)((state)&0xff))
#define STATE(round, status) ((uint64_t)(round) << 32 | (uint64_t)(status))
#define KIND(place) ((enum barrier_place)((place) >> 16 & 0xffff))
#define MEMBER(place) ((uint32_t)((place)&0xffff))
#define PLACE(round, kind, member) ((uint64_t)(round) << 32 | (uint64_t)(kind) << 16 | (uint64_t)(member))
#define MOST_PLACES (2 * BROOD_BARRIER_PARTIES_MOST + 64)

typedef _Atomic uint64_t place;

static place *places(const struct barrier_shm *b)
{
    return brood__at(b->slot.body);
}
static struct barrier_shm *at(uint32_t index)
{
    return (struct barrier_shm *)(void *)brood__slot_at(TABLE_BARRIER, index);
}

/* Whether the places are memory: the supervisor does not believe it unseen. */
static bool is_sound(const struct barrier_shm *b)
{
    uint64_t body = b->slot.body;
    return body != 0 && body % sizeof(place) == 0 && body < brood__arena()->size && b->places <= MOST_PLACES &&
           brood__in_arena(brood__at(body), b->places * sizeof(place));
}

/* acquire pairs with the release of the commits: who sees a new round sees what was told in the places before. */
static uint64_t state_of(const struct barrier_shm *b)
{
    return atomic_load_explicit(&((struct barrier_shm *)(uintptr_t)b)->state, memory_order_acquire);
}
static void commit(struct barrier_shm *b, uint32_t round, enum barrier_status status)
{
    atomic_store_explicit(&b->state, STATE(round, status), memory_order_release);
}
static uint64_t look(const place *p)
{
    return atomic_load_explicit(&*(place *)(uintptr_t)p, memory_order_relaxed);
}
static void put(place *p, uint64_t word)
{
    /* release: what its party wrote before is seen by who completes the round, under the latch or after it. */
    atomic_store_explicit(p, word, memory_order_release);
}

/* -------------------------------------------------------------------------------------------- under the latch */

static void next_round(struct barrier_shm *b)
{
    commit(b, ROUND(state_of(b)) + 1, BARRIER_FILLING);
    b->monitor.flags[ARRIVED] = 0;
}

static void break_round(struct barrier_shm *b)
{
    uint64_t state = state_of(b);
    if (STATUS(state) <= BARRIER_ACTING) commit(b, ROUND(state), BARRIER_BROKEN);
}

static void reset(struct barrier_shm *b)
{
    uint32_t round = ROUND(state_of(b));
    commit(b, round, BARRIER_RESETTING); /* (1) */
    for (uint32_t i = 0; i < b->places; i++) {
        uint64_t word = look(&places(b)[i]);
        if (KIND(word) == PLACE_WAITS && ROUND(word) == round)
            put(&places(b)[i], PLACE(round, PLACE_TOLD, MEMBER(word)));
        if (KIND(word) == PLACE_KNOWN) put(&places(b)[i], 0);
    }
    next_round(b); /* (2) */
}

/* What a dead holder of the latch has left. */
static void inherit(struct barrier_shm *b)
{
    uint64_t state = state_of(b);
    if (STATUS(state) == BARRIER_RESETTING) {
        reset(b);
        return;
    }
    uint32_t arrived = 0;
    for (uint32_t i = 0; i < b->places; i++) {
        uint64_t word = look(&places(b)[i]);
        arrived += KIND(word) == PLACE_WAITS && ROUND(word) == ROUND(state);
    }
    b->monitor.flags[ARRIVED] = arrived;
}

static int enter(struct barrier_shm *b, uint64_t id, void **announced)
{
    int heir = brood__monitor_enter(&b->monitor, announced);
    if (heir < 0) return heir;
    if (!brood__slot_is(&b->slot, id)) {
        brood__monitor_leave(&b->monitor, *announced, INT_MAX, true);
        return brood__slot_gone(TABLE_BARRIER, id);
    }
    if (heir) inherit(b);
    return 0;
}

/* ready: whoever sleeps looks again, if a wake-up was given that may have been lost. */
static void leave(struct barrier_shm *b, void *announced, bool changed)
{
    brood__monitor_leave(&b->monitor, announced, changed ? INT_MAX : 0, true);
}

/* A place of this member's, or an unused one; or one of a member that is not here, which is forgotten.  NULL: none. */
static place *find_place(struct barrier_shm *b)
{
    uint32_t me = brood__self->member;
    place *p = places(b), *other = NULL;
    for (uint32_t n = 0, i = me % b->places; n < b->places; n++, i = (i + 1) % b->places) {
        uint64_t word = look(&p[i]);
        if (word == 0 || (KIND(word) == PLACE_KNOWN && MEMBER(word) == me)) return &p[i];
        if (KIND(word) == PLACE_KNOWN && !other) other = &p[i];
    }
    return other;
}

/* ----------------------------------------------------------------------------------------------------------- waiting */

enum verdict { WAITING, COMPLETE, BROKEN };

static enum verdict verdict(const struct arrival *a, uint64_t state)
{
    if (ROUND(state) != a->round) return KIND(look(a->place)) == PLACE_TOLD ? BROKEN : COMPLETE;
    return STATUS(state) <= BARRIER_ACTING ? WAITING : BROKEN;
}

/* It goes on: known, and the body is no longer its. */
static void go_on(const struct arrival *a)
{
    put(a->place, PLACE(a->round, PLACE_KNOWN, brood__self->member));
}

/* Under the latch, if there is room in this round: in it, or through it.  BROOD_EAGAIN: there is none, or not for now. */
static int come(struct barrier_shm *b, uint64_t state, bool only_as_last, struct arrival *a)
{
    if (STATUS(state) >= BARRIER_BROKEN) return BROOD_EBROKEN;
    uint32_t arrived = b->monitor.flags[ARRIVED];
    bool last = arrived + 1 == b->parties;
    if (STATUS(state) != BARRIER_FILLING || arrived >= b->parties || (only_as_last && !last)) return BROOD_EAGAIN;
    place *p = find_place(b);
    if (!p) return BROOD_EARENA;
    *a = (struct arrival){b, p, ROUND(state), (int)arrived};
    if (last && !b->action) {
        go_on(a);
        next_round(b); /* (1) it has come, and all go on */
        return a->index;
    }
    put(p, PLACE(a->round, PLACE_WAITS, brood__self->member)); /* (1) it has come */
    b->monitor.flags[ARRIVED] = arrived + 1;
    if (!last) return BROOD_EAGAIN;
    commit(b, a->round, BARRIER_ACTING);
    return BARRIER_ACT;
}

/* While nothing changes, at most as long as is worth it.  true: it goes on, without the latch. */
static bool spin(struct barrier_shm *b, const struct arrival *a, uint64_t state, unsigned *n)
{
    uint64_t now = state;
    while (*n < SPIN_BEFORE_SLEEP && (now = state_of(b)) == state) brood__relax((*n)++);
    if (!a->place || verdict(a, now) != COMPLETE) return false;
    go_on(a);
    return true;
}

/* Under the latch: what becomes of one who has come or could not; BROOD_EAGAIN: it waits on. */
static int decide(struct barrier_shm *b, uint64_t state, bool late, bool only_as_last, struct arrival *a, bool *changed)
{
    int result = BROOD_EAGAIN;
    if (!a->place) {
        result = come(b, state, only_as_last, a);
        *changed = result >= 0 && result != BARRIER_ACT;
        if (result == BROOD_EAGAIN && only_as_last) return BROOD_ETIMEDOUT;
    } else {
        enum verdict v = verdict(a, state);
        if (v == COMPLETE) result = a->index;
        if (v == BROKEN) result = BROOD_EBROKEN;
        if (v != WAITING) go_on(a);
    }
    if (result != BROOD_EAGAIN || !late) return result;
    break_round(b); /* (1) who waits is told */
    *changed = true;
    if (a->place) go_on(a);
    return BROOD_ETIMEDOUT;
}

int brood__barrier_arrive(uint64_t id, int timeout, struct arrival *a)
{
    struct barrier_shm *b = brood__slot_find(TABLE_BARRIER, id);
    if (!b) return brood__slot_gone(TABLE_BARRIER, id);
    int64_t deadline = brood__os_deadline(timeout);
    *a = (struct arrival){.barrier = b};
    void *before = NULL, *announced;
    bool slept = false, late = false;
    uint64_t relayed = UINT64_MAX; /* the state in which this call has woken all */
    int result;
    for (unsigned n = b->spin;;) {
        result = enter(b, id, &announced);
        if (!slept) before = announced;
        if (result < 0) break;
        bool changed = false;
        uint64_t state = state_of(b);
        result = decide(b, state, late, timeout == 0, a, &changed);
        if (result != BROOD_EAGAIN) {
            leave(b, announced, changed);
            break;
        }
        if (n < SPIN_BEFORE_SLEEP) {
            leave(b, announced, false);
            if (spin(b, a, state, &n)) {
                result = a->index;
                break;
            }
            continue;
        }
        if (b->monitor.flags[MONITOR_BATON] && b->monitor.flags[MONITOR_ASLEEP] && relayed != state) {
            leave(b, announced, true);
            relayed = state;
            continue;
        }
        slept = true;
        /* Who is only about to sleep when the round ends must not find the next round's sleepers' mark instead. */
        late = brood__monitor_sleep_both(&b->monitor, (os_word *)(void *)&b->state + 1, ROUND(state), deadline, id) < 0;
    }
    if (slept) brood__os_announce_again(before);
    if (a->place && (result == BROOD_ESTALE || result == BROOD_ECLOSED)) {
        put(a->place, 0);
        brood__slot_collect_one(TABLE_BARRIER, id);
    }
    return result == BROOD_ETIMEDOUT ? brood__not_now(timeout) : result;
}

const void *brood__barrier_arg(const struct arrival *a)
{
    return places(a->barrier) + a->barrier->places;
}

int brood__barrier_acted(uint64_t id, const struct arrival *a, int code)
{
    struct barrier_shm *b = a->barrier;
    void *announced;
    int result = enter(b, id, &announced);
    if (result < 0) {
        put(a->place, 0);
        if (result != BROOD_EDEADLK) brood__slot_collect_one(TABLE_BARRIER, id);
        return result;
    }
    bool whole = state_of(b) == STATE(a->round, BARRIER_ACTING);
    if (whole && code >= 0) next_round(b); /* (1) all go on */
    if (whole && code < 0) break_round(b);
    go_on(a);
    leave(b, announced, whole);
    return code < 0 ? code : whole ? a->index : BROOD_EBROKEN;
}

/* ------------------------------------------------------------------------------------------ new, free, garbage */

/* Not now, if somebody is inside: it finds the barrier gone, and takes it apart as it leaves. */
bool brood__barrier_scrub(struct slot_shm *slot, uint32_t index)
{
    struct barrier_shm *b = (struct barrier_shm *)(void *)slot;
    (void)index;
    void *announced = brood__os_announce(&b->monitor);
    uint32_t seen;
    bool held = brood__latch_try(&b->monitor.word, &seen), unused = held;
    if (held && slot->body)
        for (uint32_t i = 0; i < b->places; i++) {
            uint64_t word = atomic_load(&places(b)[i]);
            unused &= word == 0 || KIND(word) == PLACE_KNOWN;
        }
    if (held) {
        b->monitor.flags[MONITOR_ASLEEP] = 1; /* whatever its last holder, who may have died in it, has left there */
        leave(b, announced, true);
    } else {
        brood__os_announce_again(announced);
    }
    return unused;
}

/* Of this process; asked once. */
static unsigned processors(void)
{
    static _Atomic unsigned count;
    unsigned known = atomic_load_explicit(&count, memory_order_relaxed);
    if (known == 0) atomic_store_explicit(&count, known = brood__os_cpu_count(), memory_order_relaxed);
    return known;
}

int brood__barrier_new(uint64_t *id, unsigned parties, uint64_t action, const void *arg, size_t arg_size)
{
    uint32_t index = 0, count = 2 * parties + 64;
    int error = brood__slot_claim(TABLE_BARRIER, brood__self->member, brood__barrier_scrub, &index);
    if (error < 0) return error;
    struct barrier_shm *b = at(index);
    b->places = 0; /* if it becomes garbage before all is there, its scrub looks at none */
    atomic_signal_fence(memory_order_seq_cst);
    error = brood__pages_allocate(TABLE_BARRIER, index, count * sizeof(place) + arg_size);
    if (error < 0) {
        brood__slot_release(TABLE_BARRIER, index);
        return error;
    }
    for (uint32_t i = 0; i < count; i++) atomic_store_explicit(&places(b)[i], 0, memory_order_relaxed);
    if (arg_size) memcpy(places(b) + count, arg, arg_size);
    atomic_signal_fence(memory_order_seq_cst);
    b->places = count;
    b->parties = parties;
    b->action = action;
    b->spin = parties > processors() ? SPIN_YIELDS : 0;
    b->arg_size = (uint32_t)arg_size;
    atomic_store_explicit(&b->state, STATE(0, BARRIER_FILLING), memory_order_relaxed);
    b->monitor.flags[MONITOR_ASLEEP] = b->monitor.flags[MONITOR_BATON] = b->monitor.flags[ARRIVED] = 0;
    *id = brood__slot_publish(TABLE_BARRIER, index);
    return 0;
}

int brood_barrier_free(brood_barrier barrier)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct barrier_shm *b = brood__slot_find(TABLE_BARRIER, barrier.id);
    void *announced;
    if (!b) return BROOD_ESTALE;
    error = enter(b, barrier.id, &announced);
    if (error < 0) return error == BROOD_EDEADLK ? error : BROOD_ESTALE;
    bool retired = brood__slot_retire(TABLE_BARRIER, barrier.id);
    leave(b, announced, retired);
    if (!retired) return BROOD_ESTALE;
    brood__slot_leave(TABLE_BARRIER, HANDLE_INDEX(barrier.id));
    return 0;
}

/* -------------------------------------------------------------------------------------------------------- the rest */

enum question { ABORT, RESET, PARTIES, WAITING_NOW, IS_BROKEN };

static int ask(brood_barrier barrier, enum question question)
{
    int result = brood__enter();
    if (result < 0) return result;
    struct barrier_shm *b = brood__slot_find(TABLE_BARRIER, barrier.id);
    if (!b) return brood__slot_gone(TABLE_BARRIER, barrier.id);
    void *announced;
    result = enter(b, barrier.id, &announced);
    if (result < 0) return result;
    enum barrier_status status = STATUS(state_of(b));
    switch (question) {
    case ABORT: break_round(b); break;
    case RESET: reset(b); break;
    case PARTIES: result = (int)b->parties; break;
    case WAITING_NOW: result = status == BARRIER_FILLING ? (int)b->monitor.flags[ARRIVED] : 0; break;
    case IS_BROKEN: result = status == BARRIER_BROKEN; break;
    }
    leave(b, announced, question <= RESET);
    return result;
}

int brood_barrier_abort(brood_barrier barrier)
{
    return ask(barrier, ABORT);
}
int brood_barrier_reset(brood_barrier barrier)
{
    return ask(barrier, RESET);
}
int brood_barrier_parties(brood_barrier barrier)
{
    return ask(barrier, PARTIES);
}
int brood_barrier_waiting(brood_barrier barrier)
{
    return ask(barrier, WAITING_NOW);
}
int brood_barrier_broken(brood_barrier barrier)
{
    return ask(barrier, IS_BROKEN);
}

/* ------------------------------------------------------------------------------------------------- after a death */

/* Whether it ended by itself, as far as anybody knows. */
static bool was_orderly(uint32_t dead)
{
    uint32_t word = atomic_load(&brood__member_at(dead)->ended);
    return (word & ENDED) && ENDED_KIND(word) != ENDED_SIGNAL;
}

/* What the dead may have left; it alone could add to it, so none appears after this look. */
static bool concerned(struct barrier_shm *b, uint32_t dead)
{
    if (atomic_load(&b->monitor.word) & OS_OWNER_DIED) return true;
    for (uint32_t i = 0; i < b->places; i++) {
        uint64_t word = atomic_load(&places(b)[i]);
        if (word && MEMBER(word) == dead) return true;
    }
    return false;
}

/* Break it first, then clear: a supervisor that dies between the two is followed by one that does both again. */
static bool bury(struct barrier_shm *b, uint32_t dead, bool orderly)
{
    uint64_t state = state_of(b);
    bool hit = false;
    for (uint32_t i = 0; i < b->places; i++) {
        uint64_t word = atomic_load(&places(b)[i]);
        if (word == 0 || MEMBER(word) != dead || KIND(word) == PLACE_TOLD) continue;
        hit |= !orderly || (KIND(word) == PLACE_WAITS && ROUND(word) == ROUND(state));
    }
    if (hit) break_round(b);
    for (uint32_t i = 0; i < b->places; i++) {
        uint64_t word = atomic_load(&places(b)[i]);
        if (word && MEMBER(word) == dead) put(&places(b)[i], 0);
    }
    return hit;
}

/* One barrier, as the supervisor: only what can be had without waiting, and nothing believed unseen. */
static bool repair(struct barrier_shm *b, uint32_t dead)
{
    enum slot_state state = SLOT_STATE(atomic_load(&b->slot.word));
    if ((state != SLOT_LIVE && state != SLOT_GARBAGE) || !is_sound(b)) return true;
    if (state == SLOT_LIVE && !concerned(b, dead)) return true;
    void *announced = brood__os_announce(&b->monitor);
    uint32_t seen;
    if (!brood__latch_try(&b->monitor.word, &seen)) {
        brood__os_announce_again(announced);
        return false;
    }
    if (seen & OS_OWNER_DIED) brood__monitor_inherit(&b->monitor);
    bool changed = false;
    state = SLOT_STATE(atomic_load(&b->slot.word));
    if ((state == SLOT_LIVE || state == SLOT_GARBAGE) && is_sound(b)) {
        if (seen & OS_OWNER_DIED) inherit(b);
        changed = bury(b, dead, was_orderly(dead));
    }
    if (state == SLOT_GARBAGE) b->monitor.flags[MONITOR_ASLEEP] = 1;
    leave(b, announced, changed || state == SLOT_GARBAGE);
    return true;
}

bool brood__barrier_repair(uint32_t dead)
{
    uint32_t used = brood__table_used(TABLE_BARRIER);
    bool all = true;
    for (uint32_t i = 1; i < used; i++) all &= repair(at(i), dead);
    return all;
}

void brood__barrier_ring_all(void)
{
    uint32_t used = brood__table_used(TABLE_BARRIER);
    for (uint32_t i = 1; i < used; i++) brood__monitor_ring(&at(i)->monitor);
}
