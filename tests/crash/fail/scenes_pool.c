/* SPDX-License-Identifier: MIT */
/* scenes_pool.c - pools: maps, tasks, workers that crash, deadlines, drains. */
#include "os/os.h"
#include "play.h"
#include "pool/window.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 24, TASKS = 6, FATAL_ITEM = 5 };

/* An errno says that the supervisor could not be told; then it can be told again. */
static void free_pool(brood_pool pool)
{
    if (ok(KIND_ERRNO, brood_pool_free(pool))) return;
    if (!sheet->shot.lasting) ok(KIND_NEVER, brood_pool_free(pool)); /* else it goes with the family */
}

BROOD_TASK(twice, int, int, n)
{
    return 2 * n;
}

BROOD_TASK(twice_but_one, int, int, n)
{
    if (n == FATAL_ITEM) OWN(kill(getpid(), SIGKILL));
    return 2 * n;
}

/* Each item is counted once, and what is counted as done is done. */
static void check_map(int error, const brood_report *report, const int *codes, const int *out, size_t may_lose)
{
    size_t done = 0, lost = 0;
    if (error != 0 && error != BROOD_ELOST) return; /* then nothing is said of items */
    for (int i = 0; i < ITEMS; i++) {
        done += codes[i] == 0;
        lost += codes[i] == BROOD_ELOST;
        if (codes[i] == 0 && out[i] != 2 * i) run_blame(VERDICT_WRONG, "item %d is %d", i, out[i]);
    }
    if (error == 0) expect(done == ITEMS);
    if (error == BROOD_ELOST) expect(report->lost == lost && report->done == done && lost > 0 && lost + done == ITEMS);
    if (error == BROOD_ELOST && run_is_strict()) expect(lost == may_lose);
}

static void one_map(brood_start_method method)
{
    brood_pool pool;
    brood_report report;
    int in[ITEMS], out[ITEMS] = {0}, codes[ITEMS];
    for (int i = 0; i < ITEMS; i++) in[i] = i;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = method}))) return;
    int error = brood_pool_map_with(pool, twice, in, out, ITEMS, .report = &report, .codes = codes);
    ok(KIND_WORK, error);
    check_map(error, &report, codes, out, 0);
    free_pool(pool);
}

static void map(void)
{
    one_map(BROOD_START_FORKSERVER);
}
static void map_fork(void)
{
    one_map(BROOD_START_FORK);
}
static void map_spawn(void)
{
    one_map(BROOD_START_SPAWN);
}

/* Through a window of two slots of four items. */
static void map_window(void)
{
    brood__window_size = (struct window_size){.slot_bytes = 8 * sizeof(int), .slots = 2, .least = 1};
    one_map(BROOD_START_FORKSERVER);
}

static void map_thread(void)
{
    one_map(BROOD_START_THREAD);
}

static void crashing_map(brood_start_method method)
{
    brood_pool pool;
    brood_report report;
    int in[ITEMS], out[ITEMS] = {0}, codes[ITEMS];
    for (int i = 0; i < ITEMS; i++) in[i] = i;
    brood_pool_options options = {.workers = 2, .method = method, .keep_stderr = true};
    if (!ok(KIND_POOL, brood_pool_new(&pool, &options))) return;
    int error = brood_pool_map_with(pool, twice_but_one, in, out, ITEMS, .report = &report, .codes = codes);
    if (error != BROOD_ELOST) ok(KIND_WORK, error);
    expect(error != 0);
    check_map(error, &report, codes, out, 1);
    free_pool(pool);
}

static void crash_in_map(void)
{
    crashing_map(BROOD_START_FORKSERVER);
}
static void crash_in_map_fork(void)
{
    crashing_map(BROOD_START_FORK);
}

static void submit(void)
{
    brood_pool pool;
    brood_future futures[TASKS];
    int n = 0;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .max_tasks_per_child = 2}))) return;
    while (n < TASKS && ok(KIND_WORK, brood_pool_submit(pool, &futures[n], twice, &n))) n++;
    for (int i = 0; i < n; i++) {
        int result = -1;
        brood_outcome outcome;
        if (ok(KIND_WORK, brood_future_get(futures[i], &result, BROOD_FOREVER, &outcome))) expect(result == 2 * i);
        ok(KIND_NEVER, brood_future_free(futures[i]));
    }
    if (ok(KIND_ERRNO, brood_pool_close(pool))) ok(KIND_NEVER, brood_pool_join(pool, BROOD_FOREVER));
    free_pool(pool);
}

BROOD_TASK(set_up, int, int, n)
{
    return n;
}

static void apply(void)
{
    brood_pool pool;
    int first = 3, result = -1;
    brood_pool_options options = {
        .workers = 1, .method = BROOD_START_FORK, .initializer = BROOD_TASK_OF(set_up), .initializer_arg = &first};
    if (!ok(KIND_POOL, brood_pool_new(&pool, &options))) return;
    int fd = brood_pool_fd(pool);
    ok(KIND_BELL, fd);
    if (ok(KIND_WORK, brood_pool_apply(pool, twice, &(int){21}, &result))) expect(result == 42);
    free_pool(pool);
}

enum { DEADLINE_MS = 40, LATE_MS = 12 * 1000, LONG_NS = 1000 * 1000 * 1000 };

BROOD_TASK(linger_once, int, int, n)
{
    for (int i = 0; n == 1 && i < 20; i++) OWN((brood__os_nap(LONG_NS), 0));
    return 2 * n;
}

/* One runs into its deadline; the others go on, and are in time on a busy machine too. */
static void deadline(void)
{
    brood_pool pool;
    brood_future futures[TASKS];
    int n = 0;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 2}))) return;
    for (; n < TASKS; n++)
        if (!ok(KIND_WORK,
                brood_pool_submit_with(pool, &futures[n], linger_once, &n, .deadline = n == 1 ? DEADLINE_MS : LATE_MS,
                                       .retries = 1, .backoff = 1)))
            break;
    for (int i = 0; i < n; i++) {
        int result = -1, error = brood_future_get(futures[i], &result, BROOD_FOREVER, NULL);
        if (error == 0) expect(result == 2 * i && i != 1);
        if (error != BROOD_EDEADLINE || (i != 1 && run_is_strict())) ok(KIND_WORK, error);
        ok(KIND_NEVER, brood_future_free(futures[i]));
    }
    free_pool(pool);
}

/* The supervisor hears of one deadline alone: it is kept, and so is the end of one that is cancelled while it runs. */
static void lone_deadline(void)
{
    brood_pool pool;
    brood_future future;
    int result;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 1}))) return;
    if (ok(KIND_WORK, brood_pool_submit_with(pool, &future, linger_once, &(int){1}, .deadline = DEADLINE_MS))) {
        int error = brood_future_get(future, &result, BROOD_FOREVER, NULL);
        expect(error < 0);
        if (error != BROOD_EDEADLINE || run_is_strict()) ok(KIND_WORK, error == BROOD_EDEADLINE ? 0 : error);
        ok(KIND_NEVER, brood_future_free(future));
    }
    if (ok(KIND_WORK, brood_pool_submit(pool, &future, linger_once, &(int){1}))) {
        while (brood_future_state(future) == BROOD_TASK_QUEUED && brood_future_done(future) == 0) brood__os_nap(1000);
        int error = brood_future_cancel(future, 0);
        for (int tries = 0; error < 0 && tries < 1000; tries++) {
            ok(KIND_ERRNO, error);
            brood__os_nap(1000 * 1000);
            error = brood_future_cancel(future, 0);
        }
        expect(error >= 0);
        error = brood_future_get(future, &result, BROOD_FOREVER, NULL);
        expect(error < 0);
        if (error != BROOD_ECANCELED || run_is_strict()) ok(KIND_WORK, error == BROOD_ECANCELED ? 0 : error);
        ok(KIND_NEVER, brood_future_free(future));
    }
    free_pool(pool);
}

static void drain(void)
{
    brood_pool pool;
    brood_future futures[3];
    int n = 0;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 1}))) return;
    while (n < 3 && ok(KIND_WORK, brood_pool_submit(pool, &futures[n], linger_once, &n))) n++;
    int error = brood_pool_drain(pool, DEADLINE_MS, DEADLINE_MS);
    if (error != BROOD_ECANCELED) ok(KIND_ERRNO, error);
    if (run_is_strict()) expect(error == BROOD_ECANCELED);
    for (int i = 0; i < n; i++) {
        int result = -1;
        if (error == 0 || error == BROOD_ECANCELED)
            expect(brood_future_get(futures[i], &result, 0, NULL) != BROOD_EAGAIN);
        ok(KIND_NEVER, brood_future_free(futures[i]));
    }
    free_pool(pool);
}

BROOD_TASK(fault, int, int, n)
{
    *(volatile int *)(intptr_t)(n + 0x1000) = 1; // NOLINT(performance-no-int-to-ptr)
    return n;
}

/* It leaves a record as it dies.  Who reads it has functions and lines looked up by a library of others: not here. */
static void record(void)
{
    brood_pool pool;
    brood_future future;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 1}))) return;
    if (ok(KIND_WORK, brood_pool_submit(pool, &future, fault, &(int){8}))) {
        brood_outcome outcome;
        int error = brood_future_get(future, NULL, BROOD_FOREVER, &outcome);
        expect(error < 0);
        if (error != BROOD_ELOST) ok(KIND_WORK, error);
        if (run_is_strict()) expect(outcome.signal == SIGSEGV && outcome.reason == BROOD_REASON_SIGNAL);
        ok(KIND_NEVER, brood_future_free(future));
    }
    free_pool(pool);
}

/* Items in chunks, by workers that leave after two; each is answered once. */
static void stream_of(bool unordered)
{
    brood_pool pool;
    brood_stream stream;
    int in[ITEMS], n = 0, result, error;
    char seen[ITEMS] = {0};
    for (int i = 0; i < ITEMS; i++) in[i] = i;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .max_tasks_per_child = 20}))) return;
    if (ok(KIND_WORK,
           brood_pool_imap_array_with(pool, &stream, twice, in, ITEMS, .unordered = unordered, .chunk = 5))) {
        brood_outcome outcome;
        brood_crash crash;
        while ((error = brood_stream_next(stream, &result, BROOD_FOREVER, &outcome)) != 0) {
            ok(KIND_WORK, error);
            if (error < 0 && outcome.code == 0) break;
            n++;
            expect(outcome.id < ITEMS && !seen[outcome.id]++);
            if (error > 0) expect(result == 2 * (int)outcome.id);
            int told = error < 0 ? brood_stream_crash(stream, &crash) : BROOD_EINVAL;
            expect(told == 0 ? crash.id == outcome.id : told == BROOD_EINVAL);
        }
        if (error == 0) expect(n == ITEMS);
        ok(KIND_NEVER, brood_stream_free(stream));
    }
    free_pool(pool);
}
static void stream(void)
{
    stream_of(false);
}
static void stream_unordered(void)
{
    stream_of(true);
}

static void hear(void *context, brood_future future)
{
    int *heard = context, result = -1;
    if (ok(KIND_WORK, brood_future_get(future, &result, 0, NULL))) expect(result == 42);
    ++*heard;
}

BROOD_TASK(twice_by, int, brood_pool, pool, int, n)
{
    int result = -1, error = brood_pool_apply(pool, twice, &n, &result);
    if (error < 0) brood_fail(error, "%s", brood_error_detail());
    return result;
}

/* A task that waits for its own pool, of one worker; its answer comes by a callback. */
static void nested(void)
{
    brood_pool pool;
    int heard = 0, error = 0;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 1}))) return;
    if (ok(KIND_WORK, brood_pool_submit_with(pool, NULL, twice_by, (&(twice_by_args){pool, 21}), .callback = hear,
                                             .context = &heard))) {
        error = brood_pool_dispatch(pool, BROOD_FOREVER);
        if (error != 1) ok(KIND_WORK, error);
        if (error == 1) expect(heard == 1);
    }
    free_pool(pool);
}

const struct scene pool_scenes[] = {
    {.name = "map", .body = map},
    {.name = "map_fork", .body = map_fork, .template = true},
    {.name = "map_spawn", .body = map_spawn},
    {.name = "map_thread", .body = map_thread},
    {.name = "map_window", .body = map_window},
    {.name = "crash_in_map", .body = crash_in_map},
    {.name = "crash_in_map_fork", .body = crash_in_map_fork, .template = true},
    {.name = "submit", .body = submit},
    {.name = "apply", .body = apply, .template = true},
    {.name = "deadline", .body = deadline},
    {.name = "lone_deadline", .body = lone_deadline},
    {.name = "drain", .body = drain},
    {.name = "record", .body = record, .faults = true},
    {.name = "stream", .body = stream},
    {.name = "stream_unordered", .body = stream_unordered},
    {.name = "pool_in_itself", .body = nested},
    {.name = NULL},
};
