/* SPDX-License-Identifier: MIT */
/* pool_stage.c - see pool_stage.h. */
#include "pool_stage.h"

#include "pool/map.h"
#include "pool/supervise.h"
#include "pool/window.h"

#include <brood/stream.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Counts in memory that all share; item i's, and [0] is a task's too. */
static _Atomic unsigned *counts;

struct large {
    uint64_t v[20]; /* more than fits into a task's slot */
};

BROOD_TASK(twice, uint64_t, uint64_t, x)
{
    atomic_fetch_add(&counts[0], 1);
    return 2 * x;
}

BROOD_TASK(reversed, struct large, struct large, x)
{
    struct large result;
    atomic_fetch_add(&counts[0], 1);
    for (unsigned i = 0; i < 20; i++) result.v[i] = x.v[19 - i];
    return result;
}

BROOD_TASK(numbered, uint64_t, uint64_t, i)
{
    atomic_fetch_add(&counts[i], 1);
    return i + 100;
}

/* Waits for a task of its own pool. */
BROOD_TASK(twice_by, uint64_t, brood_pool, pool, uint64_t, x)
{
    uint64_t result = 0;
    int error = brood_pool_apply(pool, twice, &x, &result);
    if (error < 0) brood_fail(error, "no");
    return result;
}

/* -------------------------------------------------------------------------------------------------------- deeds */

int work(struct order *order)
{
    (void)order;
    return brood__worker_run(NULL, NULL, 0);
}

int work_on_a_chunk(struct order *order)
{
    struct pool_shm *pool = pool_at((brood_pool){order->id});
    void *announced = brood__os_announce(NULL);
    brood__map_run(pool, order->id, brood__pool_seat(pool, brood__me()->seat), 0);
    brood__os_announce_again(announced);
    return 0;
}

int submit(struct order *order)
{
    brood_future future = {0};
    uint64_t x = 21;
    struct large large = {{0}};
    for (unsigned i = 0; i < 20; i++) large.v[i] = i;
    int result = order->number == LARGE ? brood_pool_submit((brood_pool){order->id}, &future, reversed, &large)
                                        : brood_pool_submit((brood_pool){order->id}, &future, twice, &x);
    order->made = future.serial;
    return result;
}

int get(struct order *order)
{
    brood_bytes bytes;
    brood_outcome outcome;
    int result = brood_future_bytes((brood_future){order->id, order->number}, &bytes, BROOD_FOREVER, &outcome);
    if (result == BROOD_ELOST) return outcome.signal == 9 ? result : WRONG;
    if (result < 0) return result;
    uint64_t x = 0;
    struct large large;
    if (bytes.size == sizeof x) {
        memcpy(&x, bytes.data, sizeof x);
        return x == 42 ? 0 : WRONG;
    }
    if (bytes.size != sizeof large) return WRONG;
    memcpy(&large, bytes.data, sizeof large);
    for (unsigned i = 0; i < 20; i++)
        if (large.v[i] != 19 - i) return WRONG;
    return 0;
}

int free_future(struct order *order)
{
    return brood_future_free((brood_future){order->id, order->number});
}

const brood_task *task_of_tasks(void)
{
    return BROOD_TASK_OF(twice);
}

const brood_task *map_task(void)
{
    return BROOD_TASK_OF(numbered);
}

void map_fill(uint64_t *in, uint64_t *out)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = 7;
    }
}

int map_judge(struct order *order, int result, brood_report report, const uint64_t *out)
{
    if (result < 0 && result != BROOD_ELOST) return result;
    order->made = REPORT(report.done, report.failed, report.lost);
    for (unsigned i = 0; i < ITEMS; i++)
        if (out[i] != i + 100 && (out[i] != 0 || report.lost == 0)) return WRONG;
    return (result == BROOD_ELOST) == (report.lost > 0) ? 0 : WRONG;
}

static int map_for(struct order *order, int timeout)
{
    uint64_t in[ITEMS], out[ITEMS];
    brood_report report;
    map_fill(in, out);
    int result = brood_pool_map_with((brood_pool){order->id}, numbered, in, out, ITEMS, .report = &report, .chunk = 2,
                                     .timeout = timeout);
    if (result != BROOD_ETIMEDOUT) return map_judge(order, result, report, out);
    order->made = REPORT(report.done, report.failed, report.lost);
    for (unsigned i = 0; i < ITEMS; i++)
        if (out[i] != (i < report.done ? i + 100 : 0)) return WRONG;
    return result;
}

int map(struct order *order)
{
    return map_for(order, 0);
}

static int map_in_window_for(struct order *order, int timeout)
{
    struct window_size usual = brood__window_size;
    brood__window_size = (struct window_size){.slot_bytes = 2 * 2 * sizeof(uint64_t), .slots = 1};
    int result = map_for(order, timeout);
    brood__window_size = usual;
    return result;
}

int map_in_window(struct order *order)
{
    return map_in_window_for(order, 0);
}

int map_in_window_timed(struct order *order)
{
    return map_in_window_for(order, 60 * 1000);
}

int map_in_two(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS];
    brood_report report = {0};
    brood_map under_way;
    brood_map_options options = {.chunk = 2};
    map_fill(in, out);
    int result = brood_pool_map_async_task((brood_pool){order->id}, &under_way, BROOD_TASK_OF(numbered), in, out, ITEMS,
                                           &options);
    if (result == 0) result = brood_map_wait(under_way, BROOD_FOREVER, &report);
    return map_judge(order, result, report, out);
}

int map_cancelled(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS];
    brood_report report = {0};
    brood_map under_way;
    brood_map_options options = {.chunk = 2};
    map_fill(in, out);
    int result = brood_pool_map_async_task((brood_pool){order->id}, &under_way, BROOD_TASK_OF(numbered), in, out, ITEMS,
                                           &options);
    if (result == 0) result = brood_map_cancel(under_way);
    if (result >= 0) result = brood_map_wait(under_way, BROOD_FOREVER, &report);
    order->made = REPORT(report.done, report.failed, report.lost);
    if (result == 0) return map_judge(order, result, report, out);
    return result == BROOD_ECANCELED && report.done < ITEMS && report.lost + report.failed == 0 ? 0 : WRONG;
}

int read_stream(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS], x = 0;
    unsigned done = 0, lost = 0;
    brood_stream stream;
    brood_outcome outcome;
    brood_stream_options options = {.unordered = (order->number & UNORDERED) != 0,
                                    .chunk = (order->number & ONE_BY_ONE) ? 1 : 3,
                                    .submit = {.priority = (order->number & URGENT) ? 3 : 0}};
    map_fill(in, out);
    int answer =
        brood_pool_imap_array_task((brood_pool){order->id}, &stream, BROOD_TASK_OF(numbered), in, ITEMS, &options);
    if (answer < 0) return answer;
    while ((answer = brood_stream_next_exactly(stream, &x, sizeof x, BROOD_FOREVER, &outcome)) != 0) {
        if (answer < 0 && outcome.code == 0) return answer;
        if (outcome.id >= ITEMS || out[outcome.id] != 7) return WRONG; /* twice */
        if (!options.unordered && outcome.id != done + lost) return WRONG;
        if (answer == BROOD_ELOST ? outcome.signal != 9 : answer != 1 || x != outcome.id + 100) return WRONG;
        out[outcome.id] = 8;
        answer == 1 ? done++ : lost++;
    }
    order->made = REPORT(done, 0, lost);
    return brood_stream_free(stream);
}

int submit_urgent(struct order *order)
{
    brood_future future = {0};
    uint64_t x = 21;
    int result = brood_pool_submit_with((brood_pool){order->id}, &future, twice, &x, .priority = 3);
    order->made = future.serial;
    return result;
}

int submit_nested(struct order *order)
{
    brood_future future = {0};
    twice_by_args args = {{order->id}, 21};
    int result = brood_pool_submit((brood_pool){order->id}, &future, twice_by, &args);
    order->made = future.serial;
    return result;
}

/* ---------------------------------------------------------------------------------------------- from this process */

struct pool_shm *pool_at(brood_pool pool)
{
    return (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, HANDLE_INDEX(pool.id));
}

/* As brood_pool_new, but for the supervisor, and always in the same slot, which keeps its memory. */
static brood_pool make(bool for_maps)
{
    brood_pool pool = {0};
    uint32_t index = 0;
    if (!counts) counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) abort();
    atomic_store(&brood__arena()->tables[TABLE_POOL].hint, 1);
    expect_is(brood__slot_claim(TABLE_POOL, brood__self->member, brood__pool_scrub, &index), 0);
    struct pool_shm *p = (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, index);
    size_t body = (SEATS + 1) * sizeof(struct seat_shm) + JOBS * sizeof(struct job_shm);
    if (!brood__pool_furnished(p)) {
        expect_is(brood__pages_allocate(TABLE_POOL, index, body), 0);
        memset(brood__at(p->slot.body), 0, body);
        p->seat_room = SEATS;
    }
    memset(brood__pool_seat(p, 0), 0, (SEATS + 1) * sizeof(struct seat_shm));
    p->workers = SEATS;
    p->most_seats = SEATS;
    atomic_store(&p->help, 0);
    atomic_store(&p->urgent, 0u);
    atomic_store(&p->seats, SEATS);
    p->max_tasks_per_child = for_maps ? 0 : 1;
    p->max_pending = SEGMENT_FIRST;
    p->method = BROOD_START_FORK;
    atomic_store(&p->state, POOL_OPEN);
    atomic_store(&p->finished, 0);
    p->idle.flags[MONITOR_ASLEEP] = p->idle.flags[MONITOR_BATON] = 0;
    for (unsigned i = 0; i < ITEMS; i++) atomic_store(&counts[i], 0);
    pool.id = brood__slot_publish(TABLE_POOL, index);
    return pool;
}

brood_pool new_pool(bool for_maps)
{
    static uint64_t prepared; /* the family whose first pool has left its memory */
    if (prepared != brood__arena()->key) {
        brood_pool first = make(false);
        struct order order = {.id = first.id, .number = submit_here(first, true)};
        expect_is(free_future(&order), 0);
        pool_ends(first);
        family_is_well();
        prepared = brood__arena()->key;
    }
    requests(REQUEST_POOL); /* of the points before this one: who asks waits while nobody takes any */
    return make(for_maps);
}

void pool_ends(brood_pool pool)
{
    if (failing()) return; /* someone may be inside */
    expect(brood__slot_retire(TABLE_POOL, pool.id));
    brood__pool_vacate(pool_at(pool));
}

void pool_close(brood_pool pool)
{
    atomic_store(&pool_at(pool)->state, POOL_CLOSED);
    brood__pool_wake(pool_at(pool), INT_MAX);
}

void takes_seat(brood_pool pool, unsigned seat, const struct proc *p)
{
    struct member_shm *m = brood__member_at(p->member);
    m->role = ROLE_WORKER;
    m->pool = pool.id;
    m->seat = seat;
    atomic_store(&brood__pool_seat(pool_at(pool), seat)->member, p->member);
}

uint64_t submit_here(brood_pool pool, bool large)
{
    struct order order = {.id = pool.id, .number = large ? LARGE : 0};
    expect_is(submit(&order), 0);
    return order.made;
}

unsigned tasks_in(brood_pool pool, enum task_state state)
{
    unsigned n = 0;
    uint32_t slots = atomic_load(&pool_at(pool)->slots);
    for (uint32_t i = 0; i < slots; i++)
        n += TASK_STATE(atomic_load(&brood__pool_task(pool_at(pool), i)->word)) == state;
    return n;
}

struct task_shm *task_at(brood_pool pool, uint64_t serial)
{
    return brood__pool_task(pool_at(pool), (uint32_t)(serial >> 32) - 1);
}

enum task_state task_state(brood_pool pool, uint64_t serial)
{
    return TASK_STATE(atomic_load(&task_at(pool, serial)->word));
}

void mate_gets_future(unsigned i, brood_pool pool, uint64_t serial, bool sleeps)
{
    mate(i)->post->order.number = serial;
    mate_do(i, get, pool.id);
    if (sleeps) mate_sleeps(i);
}

void mate_works(unsigned i, unsigned seat, brood_pool pool)
{
    takes_seat(pool, seat, mate(i));
    mate_do(i, work, pool.id);
}

void mate_leaves(unsigned i, unsigned seat, brood_pool pool)
{
    expect_is(mate_result(i), 0);
    atomic_store(&brood__pool_seat(pool_at(pool), seat)->member, 0);
    brood__member_at(mate(i)->member)->role = ROLE_PROCESS;
}

void workers_leave(brood_pool pool, unsigned first, unsigned n)
{
    pool_close(pool);
    for (unsigned i = first; i < first + n; i++) mate_leaves(i, i - first, pool);
}

void future_gets(brood_pool pool, uint64_t serial, int answer)
{
    struct order order = {.id = pool.id, .number = serial};
    expect_is(get(&order), answer);
    expect_is(free_future(&order), 0);
}

unsigned times_run(unsigned item)
{
    return atomic_load(&counts[item]);
}

bool times_run_is(unsigned n)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < ITEMS; i++) sum += times_run(i);
    return sum == n;
}
