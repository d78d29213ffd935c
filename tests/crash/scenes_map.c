/* SPDX-License-Identifier: MIT */
/*
 * scenes_map.c - maps over the caller's own buffers, maps whose time is up, and callers that die while workers go on:
 * no byte is given back while a worker may store into it, and all of them afterwards.  And pools that are freed under a
 * caller.
 */
#include "arena/visit.h"
#include "call/buffer.h"
#include "pool/map.h"
#include "pool_stage.h"

#include <string.h>

/* The buffers that a map was lent, of the victim's own; in memory that all see: order.made is this one's handle. */
struct loan {
    brood_buffer in, out;
    brood_map map;
};

static struct loan *lent_of(const struct order *order)
{
    return brood_buffer_data((brood_buffer){order->number}, NULL);
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int make_buffers(struct order *order)
{
    struct loan *lent = lent_of(order);
    uint64_t *in, *out;
    if (brood_buffer_new(&lent->in, ITEMS * sizeof *in, (void **)&in) < 0) return WRONG;
    if (brood_buffer_new(&lent->out, ITEMS * sizeof *out, (void **)&out) < 0) return WRONG;
    map_fill(in, out);
    return 0;
}

static int begin_map(struct order *order)
{
    struct loan *lent = lent_of(order);
    brood_map_options options = {.chunk = ITEMS};
    return brood_pool_map_async_task((brood_pool){order->id}, &lent->map, map_task(), brood_buffer_data(lent->in, NULL),
                                     brood_buffer_data(lent->out, NULL), ITEMS, &options);
}

static int map_in_buffers(struct order *order)
{
    struct loan *lent = lent_of(order);
    brood_report report = {0};
    int result = begin_map(order);
    if (result == 0) result = brood_map_wait(lent->map, BROOD_FOREVER, &report);
    return map_judge(order, result, report, brood_buffer_data(lent->out, NULL));
}

static int make_and_begin(struct order *order)
{
    int result = make_buffers(order);
    return result < 0 ? result : begin_map(order);
}

static int free_buffers(struct order *order)
{
    struct loan *lent = lent_of(order);
    int result = brood_buffer_free(lent->in);
    return result < 0 ? result : brood_buffer_free(lent->out);
}

static int map_timed(struct order *order)
{
    uint64_t in[ITEMS], out[ITEMS];
    brood_report report;
    brood_map_options options = {.chunk = 2, .timeout = 60 * 1000, .report = &report};
    map_fill(in, out);
    int result = brood_pool_map_task((brood_pool){order->id}, map_task(), in, out, ITEMS, &options);
    order->made = REPORT(report.done, report.failed, report.lost);
    return result;
}

/* ---------------------------------------------------------------------------------------------- from this process */

/* What stands where buffers are: so many buffers of a page full of it. */
enum { SQUATTERS = 6, PATTERN = 0x5c };
static brood_buffer squatters[SQUATTERS];

static void squat(void)
{
    void *data;
    brood__slot_collect();
    for (unsigned i = 0; i < SQUATTERS; i++) {
        expect_is(brood_buffer_new(&squatters[i], PAGE_SIZE, &data), 0);
        memset(data, PATTERN, PAGE_SIZE);
    }
}

static void squatters_are_well(void)
{
    for (unsigned i = 0; i < SQUATTERS; i++) {
        const unsigned char *data = brood_buffer_data(squatters[i], NULL);
        for (unsigned at = 0; data && at < PAGE_SIZE; at++) {
            if (data[at] == PATTERN) continue;
            fail("somebody has written into another's buffer");
            break;
        }
        expect_is(brood_buffer_free(squatters[i]), 0);
    }
}

/* Whatever was lent and is nobody's has been given back, or can be at once. */
static void nothing_is_kept(void)
{
    brood__slot_collect();
    uint32_t used = atomic_load(&brood__arena()->tables[TABLE_BUFFER].used);
    for (uint32_t i = 1; i < used; i++) {
        const struct slot_shm *slot = brood__slot_at(TABLE_BUFFER, i);
        if (SLOT_STATE(atomic_load(&((struct slot_shm *)(uintptr_t)slot)->word)) == SLOT_GARBAGE && slot->body)
            fail("buffer %u is kept", i);
    }
}

static brood_buffer new_lent(void)
{
    brood_buffer buffer = {0};
    void *data;
    expect_is(brood_buffer_new(&buffer, sizeof(struct loan), &data), 0);
    memset(data, 0, sizeof(struct loan));
    return buffer;
}

/* A worker comes, does what there is, and another map goes as ever. */
static void works_on(brood_pool pool, unsigned worker, unsigned caller)
{
    mate_do(caller, map, pool.id);
    mate_works(worker, 0, pool);
    expect_is(mate_result(caller), 0);
    expect_is(mate(caller)->post->order.made, REPORT(ITEMS, 0, 0));
    workers_leave(pool, worker, 1);
}

/* ------------------------------------------------------------------------------------------------------- the caller */

/* order: 1: a worker sleeps, and takes part */
static void lent_caller(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    brood_buffer lent = new_lent();
    if (cut->order & 1) mate_works(0, 0, pool);
    if (cut->order & 1) mate_sleeps(0);
    struct victim v;
    victim_prepare(lent.id);
    victim_start(&v, make_buffers, map_in_buffers, pool.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect(v.result == 0 && v.proc.post->order.made == REPORT(ITEMS, 0, 0));
    bury(v.proc.member);
    squat();
    mates_settle(cut->order & 1);
    if (cut->order & 1) {
        mate_do(1, map, pool.id);
        expect_is(mate_result(1), 0);
        workers_leave(pool, 0, 1);
    } else {
        works_on(pool, 0, 1);
    }
    squatters_are_well();
    nothing_is_kept();
    expect_is(brood_buffer_free(lent), 0);
    pool_ends(pool);
}

/* It frees what a map uses that is under way: the worker stands still in an item; order: 1: it has not begun. */
static void lent_freed(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    brood_buffer lent = new_lent();
    struct victim v, worker;
    victim_prepare(lent.id);
    victim_start(&v, make_and_begin, free_buffers, pool.id);
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    if (!(cut->order & 1)) victim_until(&worker, times_run_is, 1);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (cut->order & 2) squat();
    bury(v.proc.member);
    if (!(cut->order & 2)) squat();
    victim_run(&worker);
    squatters_are_well();
    victim_kill(&worker);
    bury(worker.proc.member);
    works_on(pool, 0, 1);
    nothing_is_kept();
    expect_is(brood_buffer_free(lent), 0);
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------------------------- the worker */

/*
 * The caller dies and is buried while a worker stands still anywhere; then it goes on (order: 1: it dies as well), over
 * memory that would be another's if it had been given back.
 */
static void lent_worker(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    brood_buffer lent = new_lent();
    struct victim worker, caller;
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_prepare(lent.id);
    victim_start(&caller, make_buffers, map_in_buffers, pool.id);
    victim_falls_asleep(&caller);
    victim_step(&worker, cut->k[0]);
    victim_kill(&caller);
    /* What it holds a latch of can't be looked at before it goes on. */
    bool in_the_way = victim_has(&worker, &pool_at(pool)->idle) || victim_has(&worker, &brood__arena()->pages.latch);
    if (in_the_way) victim_run(&worker);
    bury(caller.proc.member);
    squat();
    if (!(cut->order & 1) && !in_the_way) victim_run(&worker);
    squatters_are_well();
    victim_kill(&worker);
    bury(worker.proc.member);
    works_on(pool, 0, 1);
    nothing_is_kept();
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 2);
    expect_is(brood_buffer_free(lent), 0);
    pool_ends(pool);
}

/* --------------------------------------------------------------------------------------------------- in a window */

/*
 * A chunk's slot goes on to the next chunk, whoever dies in it: in the first that it has; order: 1: in the second; 2: two
 * of them die.
 */
static void window_worker(const struct cut *cut)
{
    unsigned deaths = cut->order == 2 ? 2 : 1;
    brood_pool pool = new_pool(true);
    mate_sends_to_sleep(1, map_in_window, pool.id);
    if (cut->order == 1) {
        takes_seat(pool, 0, mate(0));
        mate_do(0, work_on_a_chunk, pool.id);
        mate_leaves(0, 0, pool);
        mate_sleeps(1);
    }
    struct victim v;
    for (unsigned i = 0; i < deaths; i++) {
        victim_start(&v, NULL, work_on_a_chunk, pool.id);
        takes_seat(pool, i, &v.proc);
        victim_step(&v, cut->k[0]);
        victim_kill(&v);
        bury(v.proc.member);
        mate_sleeps(1);
    }
    mate_works(0, 0, pool);
    expect_is(mate_result(1), 0);
    uint64_t report = mate(1)->post->order.made;
    unsigned lost = (unsigned)(report >> 16);
    expect(lost <= deaths);
    expect_is(report, REPORT(ITEMS - lost, 0, lost));
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 1);
    workers_leave(pool, 0, 1);
    nothing_is_kept();
    pool_ends(pool);
}

static void window_ends(brood_pool pool)
{
    for (unsigned i = 0; i < ITEMS; i++) expect(times_run(i) <= 1);
    nothing_is_kept();
    pool_ends(pool);
}

/*
 * The caller's time is up with one chunk done; the pool is closed while it stands still anywhere after that, and its
 * worker sleeps for want of another chunk: it leaves as soon as there is no map any more.  order: 1: the caller is killed.
 */
static void window_closed(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    struct victim v;
    victim_start(&v, NULL, map_in_window_timed, pool.id);
    victim_falls_asleep(&v);
    victim_times_out(&v);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    victim_step(&v, cut->k[0]);
    if (victim_has(&v, &pool_at(pool)->idle)) victim_run(&v);
    pool_close(pool);
    if (!(cut->order & 1)) victim_finish(&v);
    if (v.ended) expect_is(v.result, BROOD_ETIMEDOUT);
    if (v.ended) expect_is(v.proc.post->order.made, REPORT(1, 0, 0));
    if (v.ended) mate_leaves(0, 0, pool); /* who buries rings */
    bool left = v.ended;
    victim_kill(&v);
    bury(v.proc.member);
    if (!left) mate_leaves(0, 0, pool);
    window_ends(pool);
}

static brood_pool closes;

static bool first_job_is(unsigned state)
{
    return JOB_STATE(atomic_load(&brood__pool_job(pool_at(closes), 0)->word)) == (enum job_state)state;
}

/* The pool is closed just after the caller has looked, and the worker looks when the map has begun, and stays for it. */
static void window_never_opened(const struct cut *cut)
{
    (void)cut;
    brood_pool pool = closes = new_pool(true);
    struct victim v;
    victim_start(&v, NULL, map_in_window, pool.id);
    mate_works(0, 0, pool);
    mate_sleeps(0);
    victim_until(&v, first_job_is, JOB_FILLING);
    atomic_store(&pool_at(pool)->state, POOL_CLOSED);
    victim_until(&v, first_job_is, JOB_ACTIVE);
    brood__monitor_ring(&pool_at(pool)->idle);
    mates_settle(1);
    expect_is(victim_finish(&v), BROOD_ECLOSED);
    victim_step(&v, 0); /* there is no cut */
    mate_leaves(0, 0, pool);
    victim_kill(&v);
    bury(v.proc.member);
    window_ends(pool);
}

/* ------------------------------------------------------------------------------------------------ both of them die */

/* Both die anywhere: order: 1: the caller is buried first. */
static void lent_both(const struct cut *cut)
{
    brood_pool pool = new_pool(true);
    brood_buffer lent = new_lent();
    struct victim worker, caller;
    victim_prepare(lent.id);
    victim_start(&caller, make_buffers, map_in_buffers, pool.id);
    victim_start(&worker, NULL, work, pool.id);
    takes_seat(pool, 0, &worker.proc);
    victim_step(&caller, cut->k[0]);
    victim_step(&worker, cut->k[1]);
    victim_kill(&caller);
    victim_kill(&worker);
    bury(cut->order & 1 ? caller.proc.member : worker.proc.member);
    squat();
    bury(cut->order & 1 ? worker.proc.member : caller.proc.member);
    works_on(pool, 0, 1);
    squatters_are_well();
    nothing_is_kept();
    expect_is(brood_buffer_free(lent), 0);
    pool_ends(pool);
}

/* -------------------------------------------------------------------------------------------------------- time is up */

static bool all_jobs_are_free(brood_pool pool)
{
    struct pool_shm *p = pool_at(pool);
    for (uint32_t i = 0; i < JOBS; i++)
        if (JOB_STATE(atomic_load(&brood__pool_job(p, i)->word)) != JOB_FREE) return false;
    return true;
}

/* order: 1: there is a worker, which stands still in the first item; it goes on afterwards, 2: or dies too */
static void map_late(const struct cut *cut)
{
    bool has_worker = cut->order != 0;
    brood_pool pool = new_pool(true);
    struct victim v, worker;
    victim_start(&v, NULL, map_timed, pool.id);
    victim_falls_asleep(&v);
    if (has_worker) {
        victim_start(&worker, NULL, work, pool.id);
        takes_seat(pool, 0, &worker.proc);
        victim_until(&worker, times_run_is, 1);
    }
    victim_times_out(&v);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) {
        expect_is(v.result, BROOD_ETIMEDOUT);
        expect_is(v.proc.post->order.made, REPORT(0, 0, 0));
        if (!has_worker) expect(all_jobs_are_free(pool)); /* its last call has given the memory back */
    }
    bury(v.proc.member);
    squat();
    if (cut->order == 1) victim_run(&worker);
    squatters_are_well();
    if (has_worker) victim_kill(&worker);
    if (has_worker) bury(worker.proc.member);
    works_on(pool, 0, 1);
    nothing_is_kept();
    pool_ends(pool);
}

/* ------------------------------------------------------------------------------------ the pool is freed meanwhile */

/* A map that the victim has begun, and its calls on it. */
static uint64_t begun_in[ITEMS], begun_out[ITEMS];
static brood_map begun;

static int begin_plain(struct order *order)
{
    brood_map_options options = {.chunk = 2};
    map_fill(begun_in, begun_out);
    return brood_pool_map_async_task((brood_pool){order->id}, &begun, map_task(), begun_in, begun_out, ITEMS, &options);
}
static int wait_plain(struct order *order)
{
    brood_report report = {0};
    int result = brood_map_wait(begun, BROOD_FOREVER, &report);
    return result < 0 ? result : map_judge(order, result, report, begun_out);
}
static int look_plain(struct order *order)
{
    size_t decided = 0;
    int result = brood_map_progress(begun, &decided);
    (void)order;
    return result < 0 || decided == 0 ? result : WRONG;
}
static int cancel_plain(struct order *order)
{
    (void)order;
    return brood_map_cancel(begun);
}

/* Done by a worker, which has left. */
static void is_done(brood_pool pool)
{
    mate_works(0, 0, pool);
    mate_sleeps(0);
    workers_leave(pool, 0, 1);
}

/*
 * The caller stands still in its call while another frees the pool, and others take its memory; then it goes on, or,
 * order 4, is killed.  Its answer is of the map, or says that the pool has gone.
 */
static void map_freed(const struct cut *cut)
{
    static deed_fn *const deeds[] = {wait_plain, wait_plain, look_plain, cancel_plain};
    unsigned which = cut->order % 4;
    brood_pool pool = new_pool(true);
    struct pool_shm *p = pool_at(pool);
    struct victim v;
    victim_start(&v, begin_plain, deeds[which], pool.id);
    if (which == 0) is_done(pool);
    victim_step(&v, cut->k[0]);
    if (victim_has(&v, &brood__arena()->pages.latch)) victim_run(&v);
    atomic_store(&p->state, POOL_TERMINATED);
    brood__map_cancel_all(p, pool.id, brood__pool_seat(p, p->seat_room));
    expect(brood__slot_retire(TABLE_POOL, pool.id));
    bool apart = brood__pool_unseen(p);
    if (apart) brood__pool_vacate(p);
    squat();
    if (cut->order < 4) victim_run(&v);
    squatters_are_well();
    bool gone = v.result == BROOD_ESTALE || v.result == BROOD_ECLOSED;
    if (v.ended && which < 2) expect(gone || v.result == BROOD_ECANCELED || (which == 0 && v.result == 0));
    if (v.ended && which > 1) expect(gone || v.result == 0 || v.result == 1);
    if (cut->order < 4) expect(v.ended);
    victim_kill(&v);
    /* The supervisor forgets visits of the dead at once; it has done with them when the pool is apart, and no sooner. */
    bury_begin(v.proc.member);
    brood__visit_forget(v.proc.member);
    expect(brood__pool_unseen(p) || apart);
    if (!apart && !failing()) brood__pool_vacate(p);
    bury(v.proc.member);
    nothing_is_kept();
}

const struct scene map_scenes[] = {
    {"map/lent-caller", lent_caller, 0, 2},
    {"map/lent-freed", lent_freed, 0, 4},
    {"map/lent-worker", lent_worker, 0, 2},
    {"map/lent-both", lent_both, SCENE_PAIR, 2},
    {"map/late", map_late, 0, 3},
    {"map/freed", map_freed, 0, 8},
    {"map/window-worker", window_worker, 0, 3},
    {"map/window-closed", window_closed, 0, 2},
    {"map/window-never-opened", window_never_opened, 0, 0},
    {NULL, NULL, 0, 0},
};
