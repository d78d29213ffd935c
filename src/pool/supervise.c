/* SPDX-License-Identifier: MIT */
/*
 * supervise.c - pools in the supervisor: it fills empty seats, tells what a death did to tasks and maps, gives up when
 * workers can't start, and ends the workers of pools that are terminated or whose owner died.
 *
 *   pool     seats                    what is done
 *   OPEN     empty                    a worker is started (after a pause, if the last start failed)
 *   OPEN     five starts failed       broken: waiters get the reason, no more starts
 *   CLOSED   empty, work is left      a worker is started
 *   CLOSED   all empty, no work       joiners are woken; the template is ended
 *   STOPPING                          open tasks and maps are cancelled, workers get SIGTERM, no more starts
 *   TERMINATED or GARBAGE             open tasks and maps are cancelled, workers and template killed; joiners woken
 */
#include "pool/supervise.h"

#include "arena/member.h"
#include "call/buffer.h"
#include "call/error.h"
#include "call/log.h"
#include "pool/dispatch.h"
#include "pool/nest.h"
#include "pool/stream.h"
#include "pool/tail.h"
#include "pool/threads.h"
#include "sync/bell.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FAILED_STARTS 5
#define PAUSE_NS ((int64_t)20 * 1000 * 1000) /* after the first failed start; doubled with each */
#define KILL_AGAIN_NS ((int64_t)100 * 1000 * 1000)
#define MOST_PAUSES 6 /* doublings: 1.3 s */
#define TELL_AGAIN_NS ((int64_t)20 * 1000 * 1000)
#define RETRY_NS ((int64_t)3 * 1000 * 1000)
#define PATIENCE 300 /* looks for a status that the template is to tell, 3 ms each */

/* What this supervisor knows of a pool, by index. */
struct record {
    uint32_t generation;
    bool known;
    bool announced; /* by its owner, to us or to the supervisor before us: its workers know where to print */
    int standard[3];
    int channel;     /* to the template */
    bool told;       /* its workers have been sent SIGTERM */
    bool owes;       /* wake-ups that could not be given yet */
    unsigned failed; /* starts, one after the other */
    unsigned killed; /* at their start, one after the other */
    int64_t start_at;
};
static struct record records[1 << 12];
static int64_t oom_kills = -1; /* that we know of; -1: the kernel does not count them */
static int64_t looks_next;     /* the next deadline of all pools */

static struct pool_shm *at(uint32_t index)
{
    return (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, index);
}
static uint32_t pool_count(void)
{
    uint32_t used = brood__table_used(TABLE_POOL);
    return used < sizeof records / sizeof *records ? used : (uint32_t)(sizeof records / sizeof *records);
}

/*
 * The pool at this index, if its memory may be looked at; whoever takes a pool apart waits until we look elsewhere.
 * *not_now: somebody is about to, who may find that it can't be done yet, and leave it as it was: look again in a while.
 * seq_cst: said before the look at the slot, as its freer retires the slot before it asks (pool.c).
 */
static struct pool_shm *look_or_not(uint32_t index, bool *not_now)
{
    atomic_store(&brood__arena()->supervisor.looks_at, index);
    enum slot_state state = SLOT_STATE(atomic_load(&at(index)->slot.word));
    if (state == SLOT_FREEING) *not_now = true;
    return (state == SLOT_LIVE || state == SLOT_GARBAGE) && brood__pool_furnished(at(index)) ? at(index) : NULL;
}
static struct pool_shm *look(uint32_t index)
{
    return look_or_not(index, &(bool){false});
}

static void forget(struct record *r)
{
    for (int i = 0; i < 3; i++)
        if (r->standard[i] > 2) brood__os_close(&r->standard[i]);
    if (r->channel >= 0) brood__supervisor_unpoll(r->channel);
    brood__os_close(&r->channel);
    r->known = false;
}

static struct record *record_of(uint32_t index, uint64_t word)
{
    struct record *r = &records[index];
    if (r->known && r->generation != SLOT_GENERATION(word)) forget(r);
    if (!r->known)
        *r = (struct record){.generation = SLOT_GENERATION(word), .known = true, .standard = {0, 1, 2}, .channel = -1};
    return r;
}

/* ------------------------------------------------------------------------------------------------------------ waking */

/*
 * Everybody who waits for anything of this pool looks again.  false: again in a while (sync/wait.h).
 * A job's bell is looked at before, as there are many: it is 0 only as long as nobody sleeps there who has not been
 * woken, for who clears it wakes in the same call.  seq_cst: what is told was stored before the look; pairs with the
 * waiter's exchange.
 */
static bool ring(struct pool_shm *pool, uint64_t pool_id)
{
    bool sure = brood__monitor_ring(&pool->idle);
    brood__os_futex_clear_and_wake(&pool->gone.word);
    brood__os_futex_clear_and_wake(&pool->answers);
    brood__os_futex_clear_and_wake(&pool->parked);
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; brood__pool_furnished(pool) && i < JOBS; i++) {
        os_word *bell = &brood__pool_job(pool, i)->bell;
        if (atomic_load(bell)) brood__os_futex_clear_and_wake(bell);
    }
    uint32_t slots = atomic_load(&pool->slots);
    for (uint32_t i = 0; i < slots; i++) {
        struct task_shm *t = brood__pool_task(pool, i);
        if (atomic_load(&t->bell)) brood__os_futex_clear_and_wake(&t->bell);
    }
    brood__bell_ring(pool_id);
    return sure;
}

static void ring_all(void)
{
    oom_kills = brood__os_oom_kills();
    for (uint32_t i = 1; i < pool_count(); i++) {
        if (!look(i)) continue;
        record_of(i, atomic_load(&at(i)->slot.word))->announced = true;
        atomic_store(&brood__pool_seat(at(i), at(i)->seat_room)->inside, 0); /* a supervisor died looking */
        atomic_store(&at(i)->wait_at, 0); /* ... or between putting a task off, or queueing it again, and saying so */
        atomic_store(&at(i)->help, HELP_WANTED); /* ... or between its count of workers and saying what came of it */
        brood__task_hint_all(at(i));
        ring(at(i), brood__pool_id(at(i)));
    }
}

static void break_pool(struct pool_shm *pool, uint64_t pool_id, int code, const char *detail)
{
    if (atomic_load(&pool->broken)) return;
    snprintf(pool->broken_detail, sizeof pool->broken_detail, "%s",
             detail && detail[0] ? detail : brood_strerror(code));
    atomic_store(&pool->broken, code);
    brood__log(BROOD_LOG_INFO, "%.31s takes no more work: %s", pool->name, pool->broken_detail);
    ring(pool, pool_id);
}

/* ----------------------------------------------------------------------------------------------------------- starting */

static int64_t pause_after(unsigned killed)
{
    return killed == 0 ? 0 : PAUSE_NS << (killed < MOST_PAUSES ? killed : MOST_PAUSES);
}

static void count_failure(struct pool_shm *pool, uint64_t pool_id, struct record *r, int code, const char *detail)
{
    brood__log(BROOD_LOG_INFO, "a worker of %.31s could not begin: %s", pool->name,
               detail && detail[0] ? detail : brood_strerror(code));
    r->start_at = brood__os_now() + (PAUSE_NS << (r->failed < MOST_PAUSES ? r->failed : MOST_PAUSES));
    if (++r->failed >= FAILED_STARTS) break_pool(pool, pool_id, code, detail);
}

static void start_worker(struct pool_shm *pool, uint64_t pool_id, uint32_t seat, struct record *r)
{
    uint32_t member;
    char name[32];
    snprintf(name, sizeof name, "%.20s-%u", pool->name, seat + 1);
    brood_start_method method = (brood_start_method)pool->method;
    int error = brood__member_claim(name, ROLE_WORKER, method, true, &member);
    if (error < 0) {
        count_failure(pool, pool_id, r, error, NULL);
        return;
    }
    struct member_shm *m = brood__member_at(member),
                      *owner = brood__member_at(SLOT_OWNER(atomic_load(&pool->slot.word)));
    brood__log(BROOD_LOG_DEBUG, "%s is started by %s", name, brood_start_method_name(method));
    m->pool = pool_id;
    m->program = method == BROOD_START_FORKSERVER ? pool->program : 0;
    m->seat = seat;
    m->parent = HANDLE(TABLE_MEMBER, SLOT_OWNER(atomic_load(&pool->slot.word)),
                       SLOT_GENERATION(atomic_load(&owner->slot.word)));
    atomic_store(&m->released, 1); /* nobody holds a worker's handle: the slot is free once it is repaired */
    atomic_store(&brood__pool_seat(pool, seat)->items, SEAT_STARTING);
    atomic_store(&brood__pool_seat(pool, seat)->member, member);
    if (method == BROOD_START_FORK) {
        struct template_message say = {
            .kind = TEMPLATE_FORK, .member = member, .generation = brood__member_generation(member)};
        error = r->channel < 0 ? -EPIPE : brood__os_send(r->channel, &say, sizeof say, NULL, 0, 0);
    } else {
        const void *bytes = brood__at(brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(pool->preparation))->body);
        error =
            brood__supervisor_start(member, method, pool->program, r->standard, bytes, (size_t)pool->preparation_size);
    }
    if (error >= 0) return;
    atomic_store(&brood__pool_seat(pool, seat)->member, 0);
    brood__member_abandon(member);
    if (method == BROOD_START_FORK && error == -EAGAIN) { /* the template has enough to do, and its channel is full */
        r->start_at = brood__os_now() + RETRY_NS;
        return;
    }
    char detail[128];
    snprintf(detail, sizeof detail, "a worker could not be started: %s", brood_strerror(error));
    if (method != BROOD_START_FORK || r->channel >= 0) count_failure(pool, pool_id, r, BROOD_ESTART, detail);
}

/* The report of a worker that was started by fork of the supervisor or by spawn. */
static void started(uint32_t member, int code, const char *detail)
{
    struct member_shm *m = brood__member_at(member);
    int error;
    struct pool_shm *pool = m->role == ROLE_WORKER ? brood__pool_find(m->pool, &error) : NULL;
    if (!pool || !look(HANDLE_INDEX(m->pool))) return;
    struct record *r = record_of(HANDLE_INDEX(m->pool), atomic_load(&pool->slot.word));
    if (code == BROOD_ELOST) /* a server was killed meanwhile: the next worker may have a better one */
        r->start_at = brood__os_now() + pause_after(r->killed++);
    else if (code < 0)
        count_failure(pool, m->pool, r, code, detail);
}

/* ------------------------------------------------------------------------------------------------------------- deaths */

/*
 * Whether the kernel killed this one because the cgroup was out of memory: it counts how often it did, so for each that
 * was killed since we looked last there is one that it does not count against a stranger.  Asked once for each death.
 */
static bool ended_for_memory(struct member_shm *m)
{
    if (atomic_load(&m->oom) == OOM_UNKNOWN) {
        bool more = oom_kills >= 0 && brood__os_oom_kills() > oom_kills;
        if (more) oom_kills++;
        atomic_store(&m->oom, more ? OOM_YES : OOM_NO);
    }
    return atomic_load(&m->oom) == OOM_YES;
}

void brood__pool_death(const struct pool_shm *pool, uint32_t dead, struct death *death)
{
    const struct member_shm *m = brood__member_at(dead);
    uint32_t ended = atomic_load(&((struct member_shm *)(uintptr_t)m)->ended);
    *death = (struct death){.code = atomic_load(&((struct pool_shm *)(uintptr_t)pool)->state) >= POOL_STOPPING
                                        ? BROOD_ECANCELED
                                        : BROOD_ELOST,
                            .pid = m->pid,
                            .worker = HANDLE(TABLE_MEMBER, dead, brood__member_generation(dead)),
                            .reason = BROOD_REASON_UNKNOWN};
    if (!(ended & ENDED)) return;
    int value = (int)(ended & 0xffff);
    if (ENDED_KIND(ended) == ENDED_STATUS || ENDED_KIND(ended) == ENDED_SAID) death->reason = BROOD_REASON_EXIT;
    if (ENDED_KIND(ended) == ENDED_STATUS) death->status = value;
    if (ENDED_KIND(ended) == ENDED_SIGNAL) {
        death->signal = value;
        death->reason = BROOD_REASON_SIGNAL;
    }
    death->usage = m->usage;
    death->seat = m->seat;
    if (death->code == BROOD_ECANCELED) {
        death->reason = BROOD_REASON_CANCELLED;
    } else if (death->signal == SIGKILL && ended_for_memory((struct member_shm *)(uintptr_t)m)) {
        death->code = BROOD_EOOM;
        death->reason = BROOD_REASON_MEMORY;
    }
}

/* A buffer that the dead was about to attach: the place it was for decides. */
static void settle_buffers(uint32_t dead)
{
    uint32_t used = brood__table_used(TABLE_BUFFER);
    for (uint32_t i = 1; i < used; i++) {
        struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, i);
        uint64_t word = atomic_load(&b->slot.word);
        if ((unsigned)SLOT_STATE(word) != BUFFER_ATTACHED || SLOT_OWNER(word) != dead) continue;
        uint64_t id = HANDLE(TABLE_BUFFER, i, SLOT_GENERATION(word)), place = b->movable.position;
        bool there = place % 8 == 0 && place < brood__arena()->size - 8 && *(uint64_t *)brood__at(place) == id;
        uint64_t to = there ? SLOT_WORD(SLOT_GENERATION(word), BUFFER_ATTACHED, 0)
                            : SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0);
        atomic_compare_exchange_strong(&b->slot.word, &word, to);
    }
}

/*
 * Under fork the template knows how a worker ended, and says so in a moment; unless it is gone too.  What it has to say
 * stands in the table before its message comes; should that be lost, the next look finds it there.
 */
static bool status_to_come(uint32_t dead)
{
    static uint16_t looks[1 << 16];
    struct member_shm *m = brood__member_at(dead);
    int error;
    struct pool_shm *pool = m->role == ROLE_WORKER ? brood__pool_find(m->pool, &error) : NULL;
    bool waits = pool && m->method == BROOD_START_FORK && !(atomic_load(&m->ended) & ENDED) &&
                 brood__member_find(pool->template_member) &&
                 !brood__member_dead(HANDLE_INDEX(pool->template_member)) && ++looks[dead & 0xffff] < PATIENCE;
    if (!waits) looks[dead & 0xffff] = 0;
    return waits;
}

static void keep_tail(uint32_t dead)
{
    struct member_shm *m = brood__member_at(dead);
    int error;
    struct pool_shm *pool = m->role == ROLE_WORKER ? brood__pool_find(m->pool, &error) : NULL;
    if (pool && look(HANDLE_INDEX(m->pool))) brood__tail_keep(pool, dead);
}

/* The threads of a process ended with it; their pools are garbage by now. */
static void clear_threads(struct pool_shm *pool, uint32_t dead)
{
    for (uint32_t i = 0; i < pool->seat_room; i++) {
        struct seat_shm *seat = brood__pool_seat(pool, i);
        if (atomic_load(&seat->member) != dead) continue;
        atomic_store(&seat->inside, 0);
        atomic_store(&seat->waits, 0);
        atomic_store(&seat->member, 0);
    }
}

static bool repair(uint32_t dead)
{
    if (status_to_come(dead)) return false;
    bool all = true;
    keep_tail(dead); /* before anybody is told */
    for (uint32_t i = 1; i < pool_count(); i++) {
        bool not_now = false;
        struct pool_shm *pool = look_or_not(i, &not_now);
        uint64_t pool_id = brood__pool_id(at(i));
        all &= !not_now;
        brood__task_repair(at(i), pool_id,
                           dead); /* of any pool: the dead may have been filling a slot as it was freed */
        if (!pool) continue;
        brood__map_repair(pool, pool_id, dead);
        if (brood__pool_threaded(pool)) clear_threads(pool, dead);
        all &= ring(pool, pool_id); /* a wake-up that the dead owed for work it had committed */
    }
    settle_buffers(dead);
    return all;
}

/* A worker that ended by itself before its first task. */
static void count_end(struct pool_shm *pool, const struct member_shm *m, struct record *r)
{
    uint32_t how = atomic_load(&((struct member_shm *)(uintptr_t)m)->ended);
    char said[sizeof m->said];
    memcpy(said, m->said, sizeof said);
    said[sizeof said - 1] = 0;
    int value = (int)(how & 0xffff), signal = ENDED_KIND(how) == ENDED_SIGNAL ? value : 0;
    if (value == EXIT_INITIALIZER) {
        count_failure(pool, m->pool, r, BROOD_EINIT, said[0] ? said : "the initializer exited");
        return;
    }
    char death[BROOD_FAIL_TEXT], detail[sizeof pool->broken_detail];
    brood__pool_tell_death(death, BROOD_REASON_EXIT, signal, value);
    snprintf(detail, sizeof detail, "workers end before their first task, the last one %.90s", death);
    count_failure(pool, m->pool, r, BROOD_ESTART, detail);
}

/* A seat is empty: spares may be missed, and others to stand in, by those who counted on the dead. */
static void count_again(struct pool_shm *pool)
{
    uint32_t none = HELP_NONE;
    atomic_compare_exchange_strong(&pool->help, &none, HELP_WANTED);
    brood__nest_unpark(pool);
}

static void ended(uint32_t dead)
{
    struct member_shm *m = brood__member_at(dead);
    int error;
    brood__tail_drop(dead);
    if (m->role != ROLE_WORKER && m->role != ROLE_TEMPLATE) return;
    uint32_t index = HANDLE_INDEX(m->pool);
    if (HANDLE_TABLE(m->pool) != TABLE_POOL || index == 0 || index >= pool_count()) return;
    bool there = look(index) != NULL;
    struct pool_shm *pool = there ? brood__pool_find(m->pool, &error) : NULL;
    if (m->role == ROLE_TEMPLATE) {
        bool open = pool && atomic_load(&pool->state) == POOL_OPEN;
        bool work = pool && atomic_load(&pool->state) == POOL_CLOSED &&
                    (brood__map_any(pool, brood__pool_seat(pool, pool->seat_room)) || brood__task_any(pool));
        if (open || work) break_pool(pool, m->pool, BROOD_ELOST, "the pool's template was ended");
        return;
    }
    if (!there || m->seat >= at(index)->seat_room) return;
    struct seat_shm *seat = brood__pool_seat(at(index), m->seat);
    if (atomic_load(&seat->member) != dead) return;
    bool starting = atomic_load(&seat->items) == SEAT_STARTING;
    atomic_store(&seat->inside, 0);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->member, 0);
    if (!pool) return;
    count_again(pool);
    struct record *r = record_of(index, atomic_load(&pool->slot.word));
    uint32_t how = atomic_load(&m->ended);
    /* Not known how: a child of the supervisor before us, which was killed as well. */
    bool killed = !(how & ENDED) ||
                  ((how >> 16 & 0xff) == ENDED_SIGNAL && ((how & 0xffff) == SIGKILL || (how & 0xffff) == SIGTERM));
    if (!starting)
        r->failed = r->killed = 0;
    else if (killed) /* a stranger's kill says nothing about the next worker; but many in a row ask for patience */
        r->start_at = brood__os_now() + pause_after(r->killed++);
    else
        count_end(pool, m, r);
}

/* ------------------------------------------------------------------------------------------------------------- pools */

static void kill_worker(uint32_t member)
{
    brood__supervisor_watch(member);                      /* a template may have died before it told us of its child */
    atomic_store(&brood__member_at(member)->oom, OOM_NO); /* this is not the kernel's */
    brood__supervisor_kill(member);
}

static void end_workers(struct pool_shm *pool)
{
    for (uint32_t i = 0; i < pool->seat_room; i++) {
        uint32_t member = atomic_load(&brood__pool_seat(pool, i)->member);
        if (!member) continue;
        kill_worker(member);
        /* One that has not taken its slot yet finds it taken; one that a template never forked is not waited for. */
        if (SLOT_STATE(atomic_load(&brood__member_at(member)->slot.word)) == SLOT_INIT) brood__member_abandon(member);
    }
}

static void end_template(struct pool_shm *pool)
{
    if (pool->template_member && brood__member_find(pool->template_member))
        brood__supervisor_kill(HANDLE_INDEX(pool->template_member));
}

/* A seat whose worker never came to be (its start failed, or a supervisor died over it) is empty. */
static bool clear_seat(struct pool_shm *pool, uint64_t pool_id, uint32_t i)
{
    struct seat_shm *seat = brood__pool_seat(pool, i);
    uint32_t member = atomic_load(&seat->member);
    if (!member) return true;
    struct member_shm *m = brood__member_at(member);
    enum slot_state state = SLOT_STATE(atomic_load(&m->slot.word));
    if ((state == SLOT_INIT || state == SLOT_LIVE) && m->pool == pool_id && m->seat == i) return false;
    atomic_store(&seat->inside, 0);
    atomic_store(&seat->waits, 0);
    atomic_store(&seat->member, 0);
    count_again(pool);
    return true;
}

/* Deadlines that are over, tasks that run again: when to look next. */
static int64_t keep_time(struct pool_shm *pool, uint64_t pool_id, struct record *r)
{
    bool some;
    int64_t now = brood__os_now(), next = brood__task_deadlines(pool, now, kill_worker);
    if (next < looks_next) looks_next = next;
    int64_t again = brood__task_requeue(pool, now, &some);
    if (some || r->owes) r->owes = !ring(pool, pool_id);
    if (r->owes) again = now + RETRY_NS;
    return again < next ? again : next;
}

/* One that stands in for a worker that waits; false: not now. */
static bool start_another(struct pool_shm *pool, uint32_t seat, void *record)
{
    struct record *r = record;
    if (r->start_at <= brood__os_now()) start_worker(pool, brood__pool_id(pool), seat, r);
    return r->start_at <= brood__os_now();
}

/*
 * A pool that takes work, or has some left, has a worker in each of its seats, and others for those that wait.  When to
 * try again.
 */
static int64_t fill_seats(struct pool_shm *pool, uint64_t pool_id, struct record *r)
{
    if (r->start_at > brood__os_now()) return r->start_at;
    bool open = atomic_load(&pool->state) == POOL_OPEN;
    uint32_t seats = pool->workers + (open ? pool->spares : 0);
    for (uint32_t i = 0; i < seats && r->start_at <= brood__os_now(); i++)
        if (!atomic_load(&brood__pool_seat(pool, i)->member)) start_worker(pool, pool_id, i, r);
    brood__nest_manage(pool, start_another, r);
    return r->start_at > brood__os_now() ? r->start_at : OS_NEVER;
}

static void cancel_all(struct pool_shm *pool, uint64_t pool_id, bool broken, bool owned)
{
    brood__task_cancel_all(pool, pool_id,
                           broken  ? BROOD_REASON_START_FAILED
                           : owned ? BROOD_REASON_CANCELLED
                                   : BROOD_REASON_OWNER_GONE);
    brood__map_cancel_all(pool, pool_id, brood__pool_seat(pool, pool->seat_room));
}

/* Those that run something may end it in their own way, and are told once; the others leave.  Whether some are there. */
static bool tell_workers(struct pool_shm *pool)
{
    bool some = false;
    for (uint32_t i = 0; i < pool->seat_room; i++) {
        struct seat_shm *seat = brood__pool_seat(pool, i);
        uint32_t member = atomic_load(&seat->member);
        if (!member) continue;
        some = true;
        bool busy = atomic_load(&brood__member_at(member)->task) || atomic_load(&seat->inside);
        if (!busy || atomic_load(&seat->told) == member) continue;
        atomic_store(&seat->told, member);
        brood__supervisor_watch(member);
        brood__supervisor_signal(member, SIGTERM);
    }
    return some;
}

static int64_t manage_pool(uint32_t index)
{
    struct pool_shm *pool = at(index);
    uint64_t word = atomic_load(&pool->slot.word), pool_id = HANDLE(TABLE_POOL, index, SLOT_GENERATION(word));
    struct record *r = record_of(index, word);
    bool owned = SLOT_STATE(word) != SLOT_GARBAGE, broken = atomic_load(&pool->broken) != 0;
    if (brood__pool_threaded(pool)) { /* its maker's affair, as long as that lives */
        if (!owned) cancel_all(pool, pool_id, false, false);
        return OS_NEVER;
    }
    uint32_t state = owned ? atomic_load(&pool->state) : (uint32_t)POOL_TERMINATED, empty = 0;
    bool over = state >= POOL_STOPPING || broken;
    if (state != POOL_OPEN) brood__nest_unpark(pool); /* there may be nothing left to stand in for */
    int64_t next = keep_time(pool, pool_id, r);
    if (over) cancel_all(pool, pool_id, broken, owned);
    if (state == POOL_TERMINATED || broken)
        end_workers(pool);
    else if (over && tell_workers(pool) && next > brood__os_now() + TELL_AGAIN_NS)
        next = brood__os_now() + TELL_AGAIN_NS; /* one may have begun something meanwhile */
    uint32_t seats = atomic_load(&pool->seats);
    if (seats > pool->seat_room) seats = pool->seat_room;
    for (uint32_t i = 0; i < seats; i++) empty += clear_seat(pool, pool_id, i);
    bool template = pool->template_member && brood__member_find(pool->template_member) &&
                    !brood__member_dead(HANDLE_INDEX(pool->template_member));
    bool work = !broken && state == POOL_CLOSED &&
                (brood__map_any(pool, brood__pool_seat(pool, pool->seat_room)) || brood__task_any(pool));
    if (state != POOL_OPEN && empty == seats && !work) {
        if (template) end_template(pool);
        if (!template && !atomic_exchange(&pool->finished, 1)) ring(pool, pool_id);
    }
    if ((state == POOL_TERMINATED || broken) && (empty < seats || template)) /* who could not be killed at once */
        return brood__os_now() + KILL_AGAIN_NS;
    if (over || (state == POOL_CLOSED && !work) || !r->announced) return next;
    if (empty == 0 && atomic_load(&pool->help) == HELP_NONE) return next;
    if (atomic_load(&pool->finished)) return next; /* what looks like work is a submit that withdraws */
    int64_t again = fill_seats(pool, pool_id, r);
    return again < next ? again : next;
}

static int64_t manage(void)
{
    int64_t next = OS_NEVER;
    atomic_store(&brood__arena()->supervisor.looks_next, OS_NEVER); /* before the looks: see arena.h */
    looks_next = OS_NEVER;
    for (uint32_t i = 1; i < pool_count(); i++) {
        bool not_now = false;
        int64_t wanted = OS_NEVER;
        if (look_or_not(i, &not_now))
            wanted = manage_pool(i);
        else if (not_now)
            wanted = brood__os_now() + RETRY_NS;
        else if (records[i].known && SLOT_STATE(atomic_load(&at(i)->slot.word)) == SLOT_FREE)
            forget(&records[i]);
        if (wanted < next) next = wanted;
    }
    atomic_store(&brood__arena()->supervisor.looks_at, 0u);
    atomic_store(&brood__arena()->supervisor.looks_next, looks_next);
    return next;
}

static void request(const struct request *request, int *fds, size_t count)
{
    int error;
    struct pool_shm *pool = brood__pool_find(request->object, &error);
    if (!pool) return;
    struct record *r = record_of(HANDLE_INDEX(request->object), atomic_load(&pool->slot.word));
    size_t next = 0;
    if (request->method == POOL_KEEPS_STDERR) {
        if (count > 0) brood__tail_take(request->member, request->stdio, fds[0]);
        if (count > 0) fds[0] = -1;
        return;
    }
    if (request->method == POOL_IS_NEW) {
        r->announced = true;
        for (int fd = 0; fd < 3; fd++) {
            r->standard[fd] = -1;
            if (!(request->stdio & 1u << fd) || next >= count) continue;
            r->standard[fd] = fds[next];
            fds[next++] = -1;
        }
    }
    if (pool->method == BROOD_START_FORK && next < count) {
        if (r->channel >= 0) brood__supervisor_unpoll(r->channel);
        brood__os_close(&r->channel);
        r->channel = fds[next];
        fds[next] = -1;
        /* Its template sees the end of one that is closed, and offers another. */
        if (brood__supervisor_poll(r->channel, HANDLE_INDEX(request->object)) < 0) brood__os_close(&r->channel);
    }
}

static void readable(int fd, uint64_t argument)
{
    struct template_message m;
    size_t none = 0;
    struct record *r = &records[argument & 0xfff];
    if (r->channel != fd) return;
    ssize_t size = brood__os_receive(fd, &m, sizeof m, NULL, &none, 0);
    if (size == -ENOMEM || size == -ENOBUFS) brood__os_nap(1000 * 1000); /* no longer than that, mostly */
    if (size == -EAGAIN || size == -ENOMEM || size == -ENOBUFS) return;
    if (size != (ssize_t)sizeof m) { /* the template has gone, or is no template */
        brood__supervisor_unpoll(fd);
        brood__os_close(&r->channel);
        return;
    }
    if (m.kind == TEMPLATE_ENDED) brood__supervisor_retry(m.member, m.generation); /* see status_to_come */
    uint32_t used = brood__table_used(TABLE_MEMBER);
    if (m.kind != TEMPLATE_FORKED || m.member == 0 || m.member >= used) return;
    /*
     * Late: that worker was watched without this, as a member of the table, and has been repaired.  Taken for the one
     * that has its slot now, its end would be that one's: a worker that lives on, in no seat and seen by nobody.
     */
    if (m.generation != brood__member_generation(m.member)) return;
    if (m.value > 0) {
        struct os_process process = {m.value, 0};
        brood__supervisor_watch_pid(m.member, &process);
    } else {
        brood__member_abandon(m.member);
        brood__fail_with(BROOD_ESTART, "a worker could not be forked: %s", brood_strerror(m.value));
        started(m.member, BROOD_ESTART, brood_error_detail());
    }
}

/* What this process has beside the arena, of any pool. */
static void leave(void)
{
    brood__stream_leave();
    brood__dispatch_leave();
    brood__threads_leave();
}

const struct area brood__pool_area = {
    .repair = repair,
    .ring_all = ring_all,
    .ended = ended,
    .started = started,
    .request = request,
    .readable = readable,
    .work = brood__worker_run,
    .manage = manage,
    .leave = leave,
};
