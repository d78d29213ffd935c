/* SPDX-License-Identifier: MIT */
/*
 * pool_stage.h - a pool without a supervisor: members of the harness's family are its workers.
 *
 * A worker takes one task and leaves, or, in a pool for maps, works until the pool is closed.
 */
#ifndef CRASH_POOL_STAGE_H
#define CRASH_POOL_STAGE_H

#include "pool/pool.h"
#include "scene.h"

enum { ITEMS = 6, SEATS = 3 };

/* The pool of this point, owned by this process, and its end: what it had is given back. */
brood_pool new_pool(bool for_maps);
void pool_ends(brood_pool pool);
struct pool_shm *pool_at(brood_pool pool);
/* No more work: workers without any leave. */
void pool_close(brood_pool pool);
/* This process sits here as a worker from now on; its deed is `work`. */
void takes_seat(brood_pool pool, unsigned seat, const struct proc *p);
deed_fn work;
/* Of a worker's life, order.id: the pool: one chunk of a map, if there is one that it may have. */
deed_fn work_on_a_chunk;

/*
 * Deeds.  order.id: the pool.  submit: order.number: LARGE or 0; order.made: the future's serial.
 * get, free_future: order.number: the future's serial.  A right answer is 0.
 * map: ITEMS items in chunks of two at most; order.made: REPORT of done, failed and lost; a wrong result is WRONG.
 * map_in_window: the same through a window of one slot; map_in_window_timed: which may be late.  map_in_two: the same by
 * an asynchronous map, and the wait for it; map_cancelled: cancelled in between.
 * read_stream: ITEMS items as a stream in chunks of three, to its end; order.number: the following bits; order.made as of
 * a map.  submit_urgent, submit_nested: as submit, with a priority; of a task that applies `twice` in its own pool.
 */
deed_fn submit, get, free_future, map, map_in_window, map_in_window_timed, map_in_two, map_cancelled, read_stream,
    submit_urgent, submit_nested;
#define UNORDERED 1u
#define ONE_BY_ONE 2u
#define URGENT 4u
#define LARGE 1u
#define WRONG (-100002)
#define REPORT(done, failed, lost) ((uint64_t)(done) | (uint64_t)(failed) << 8 | (uint64_t)(lost) << 16)

/* Submit a task from here: its serial.  How many task slots are in this state. */
uint64_t submit_here(brood_pool pool, bool large);
unsigned tasks_in(brood_pool pool, enum task_state state);
struct task_shm *task_at(brood_pool pool, uint64_t serial);
enum task_state task_state(brood_pool pool, uint64_t serial);
bool times_run_is(unsigned n); /* whether all together were begun so often */
/* The task of maps, its arguments, and an order's judgement of its results: as map. */
const brood_task *map_task(void);
const brood_task *task_of_tasks(void); /* doubles a number */
void map_fill(uint64_t *in, uint64_t *out);
int map_judge(struct order *order, int result, brood_report report, const uint64_t *out);
/* A mate that gets this future; that works in this seat until it has no more to do; that has worked and is a mate again. */
void mate_gets_future(unsigned i, brood_pool pool, uint64_t serial, bool sleeps);
void mate_works(unsigned i, unsigned seat, brood_pool pool);
void mate_leaves(unsigned i, unsigned seat, brood_pool pool);
/* The pool is closed, and these mates, in the seats from 0 on, leave it. */
void workers_leave(brood_pool pool, unsigned first, unsigned n);
/* This process gets the future's answer, which must be this one, and frees it. */
void future_gets(brood_pool pool, uint64_t serial, int answer);
/* How often the item (a task: 0) was begun, at this point; the largest of all. */
unsigned times_run(unsigned item);

#endif
