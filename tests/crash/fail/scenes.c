/* SPDX-License-Identifier: MIT */
/* scenes.c - what a program does with the library, from end to end; see play.h. */
#include "arena/arena.h"
#include "play.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What a task ends with that was answered an error as the headers have it. */
#define TOLD 10

enum { A_WHILE_MS = 300, MOMENT_NS = 3 * 1000 * 1000 };

/* -------------------------------------------------------------------------------------------------------- processes */

/* A failing call may have cost a process its end, or the supervisor, which knows how others ended. */
static bool may_be_lost(void)
{
    enum actor actor = sheet->shot.actor;
    return !run_is_strict() && (actor == ACTOR_CHILD || actor == ACTOR_TEMPLATE || actor == ACTOR_SUPERVISOR);
}

static void end_process(brood_process p, int wanted)
{
    int code = -1;
    if (!ok(KIND_NEVER, brood_process_join(p, BROOD_FOREVER, &code))) return;
    bool fits = code == wanted || (!run_is_strict() && code == TOLD) || (may_be_lost() && code == BROOD_EXIT_UNKNOWN);
    if (!fits) run_blame(VERDICT_WRONG, "a process ends with %d, not %d", code, wanted);
    ok(KIND_NEVER, brood_process_free(p));
}

/* Whether who was to send something still may. */
static bool there(brood_process p)
{
    int alive = brood_process_is_alive(p);
    ok(KIND_NEVER, alive);
    return alive == 1;
}

BROOD_TASK(add, int, int, a, int, b)
{
    return a + b;
}

static void one_process(brood_start_method method)
{
    brood_process p;
    brood_process_options options = {.method = method};
    if (!ok(KIND_START, brood_process_start(&p, &options, add, &(add_args){3, 4}))) return;
    ok(KIND_ERRNO, brood_process_sentinel(p));
    end_process(p, 7);
}

static void by_fork(void)
{
    one_process(BROOD_START_FORK);
}
static void by_spawn(void)
{
    one_process(BROOD_START_SPAWN);
}
static void by_forkserver(void)
{
    one_process(BROOD_START_FORKSERVER);
}

BROOD_TASK(write_down, int, int, fd)
{
    char directory[64] = "";
    const char *value = getenv("FAIL_WORD");
    if (OWN(getcwd(directory, sizeof directory)) == NULL || strcmp(directory, "/tmp") != 0) return 2;
    if (!value || strcmp(value, "said") != 0) return 3;
    return OWN(write(fd, "x", 1)) == 1 ? 0 : 4;
}

static void with_options(void)
{
    static char word[] = "FAIL_WORD=said";
    static char *environment[] = {word, NULL};
    for (int method = BROOD_START_SPAWN; method <= BROOD_START_FORKSERVER; method++) {
        int ends[2], cpu = OWN(sched_getcpu());
        brood_process p;
        if (OWN(pipe2(ends, O_CLOEXEC)) < 0) return;
        brood_descriptor passed = {ends[1], 5};
        brood_process_options options = {.method = (brood_start_method)method,
                                         .directory = "/tmp",
                                         .environment = environment,
                                         .descriptors = &passed,
                                         .descriptor_count = 1,
                                         .cpus = &cpu,
                                         .cpu_count = 1,
                                         .memory_limit = (size_t)1 << 30,
                                         .cpu_seconds = 100};
        bool started = ok(KIND_START, brood_process_start(&p, &options, write_down, &(int){5}));
        close(ends[1]);
        char byte;
        if (started) {
            expect(OWN(read(ends[0], &byte, 1)) == 1);
            end_process(p, 0);
        }
        close(ends[0]);
        if (!started) return;
    }
}

BROOD_TASK(be_killed, int, void)
{
    OWN(kill(getpid(), SIGKILL));
    return 0;
}

static void crash(void)
{
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process p;
        brood_process_options options = {.method = (brood_start_method)method};
        if (!ok(KIND_START, brood_process_start(&p, &options, be_killed, NULL))) return;
        end_process(p, -SIGKILL);
    }
}

/* In a child, which can't say more than by its exit code. */
BROOD_TASK(start_one, int, int, method)
{
    brood_process p;
    int code = 1;
    brood_process_options options = {.method = (brood_start_method)method};
    int error = brood_process_start(&p, &options, add, &(add_args){2, 3});
    if (error < 0) return brood_error_detail()[0] ? TOLD : 1;
    if (brood_process_join(p, BROOD_FOREVER, &code) < 0 || brood_process_free(p) < 0) return 2;
    return code == 5 ? 0 : code == TOLD || code == BROOD_EXIT_UNKNOWN ? TOLD : 3;
}

static void nested(void)
{
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process p;
        if (!ok(KIND_START, brood_process_start(&p, NULL, start_one, &method))) return;
        end_process(p, 0);
    }
}

static void no_supervisor(void)
{
    brood_process first, second;
    if (!ok(KIND_START, brood_process_start(&first, NULL, add, &(add_args){3, 4}))) return;
    OWN(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL));
    bool started = ok(KIND_START, brood_process_start(&second, NULL, add, &(add_args){4, 4}));
    int code;
    ok(KIND_NEVER, brood_process_join(first, BROOD_FOREVER, &code));
    expect(code == 7 || code == BROOD_EXIT_UNKNOWN || (!run_is_strict() && code == TOLD));
    ok(KIND_NEVER, brood_process_free(first));
    if (started) end_process(second, 8);
}

/* ----------------------------------------------------------------------------------------------------------- objects */

static void found(void)
{
    size_t used, limit;
    brood_lock lock;
    if (!ok(KIND_MAKE, brood_lock_new(&lock))) return;
    ok(KIND_NEVER, brood_arena_usage(&used, &limit));
    ok(KIND_NEVER, brood_lock_acquire(lock, 0));
    ok(KIND_NEVER, brood_lock_release(lock));
    ok(KIND_NEVER, brood_lock_free(lock));
}

enum { LARGE = 60000, LARGE_MESSAGES = 12 };

static size_t size_of(unsigned i)
{
    return i % 3 == 0 ? LARGE + i : 100 + i;
}

BROOD_TASK(produce, int, brood_queue, queue)
{
    static char bytes[LARGE + LARGE_MESSAGES];
    OWN((brood__os_nap(MOMENT_NS), 0));
    for (unsigned i = 0; i < LARGE_MESSAGES; i++) {
        memset(bytes, (int)i, size_of(i));
        int error = brood_queue_put(queue, bytes, size_of(i), BROOD_FOREVER);
        if (error == BROOD_EARENA) return TOLD;
        if (error < 0) return 1;
    }
    return brood_queue_close(queue) < 0 ? 2 : 0;
}

/* Everything that comes, in its order, until the end or the producer's. */
static unsigned consume(brood_queue queue, brood_process producer)
{
    for (unsigned i = 0;;) {
        brood_view view;
        bool more = there(producer);
        int error = brood_queue_get_view(queue, &view, more ? A_WHILE_MS : 0);
        if (error == BROOD_ECLOSED || (!more && error == BROOD_EAGAIN)) return i;
        if (error == BROOD_ETIMEDOUT) continue;
        if (!ok(KIND_MAKE, error)) continue; /* the message stays */
        const char *bytes = view.data;
        expect(view.size == size_of(i) && bytes[0] == (char)i && bytes[view.size - 1] == (char)i);
        ok(KIND_NEVER, brood_view_release(&view));
        i++;
    }
}

static void queue(void)
{
    brood_queue q;
    brood_process p;
    if (!ok(KIND_MAKE, brood_queue_new(&q, &(brood_queue_options){.capacity = 4096}))) return;
    if (ok(KIND_START, brood_process_start(&p, NULL, produce, &q))) {
        unsigned got = consume(q, p);
        expect(got == LARGE_MESSAGES || !run_is_strict());
        end_process(p, 0);
    }
    ok(KIND_NEVER, brood_queue_free(q));
}

enum { RINGS = 5 };

BROOD_TASK(ring, int, brood_queue, queue)
{
    for (int i = 0; i < RINGS; i++) {
        OWN((brood__os_nap(MOMENT_NS), 0));
        if (brood_queue_put_value(queue, &i, BROOD_FOREVER) < 0) return 1;
    }
    return 0;
}

/* Readable when there is something to get: what is found at the end of our patience instead was not rung for. */
static void listen_to(brood_queue q, int poller, brood_process producer)
{
    int value, expected = 0;
    while (expected < RINGS) {
        struct epoll_event event;
        bool more = there(producer);
        int n = OWN(epoll_wait(poller, &event, 1, A_WHILE_MS)), error;
        while ((error = brood_queue_get_value(q, &value, 0)) == 0) {
            if (n == 0) run_blame(VERDICT_WRONG, "message %d came without a ring", value);
            expect(value == expected);
            expected++;
        }
        if (error != BROOD_EAGAIN) ok(KIND_NEVER, error);
        if (!more && n == 0) break;
    }
    expect(expected == RINGS || !run_is_strict());
}

static void bell(void)
{
    brood_queue q;
    brood_process p;
    if (!ok(KIND_MAKE, brood_queue_new(&q, NULL))) return;
    int fd = brood_queue_fd(q), poller = OWN(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN};
    if (ok(KIND_BELL, fd) && OWN(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) == 0 &&
        ok(KIND_START, brood_process_start(&p, NULL, ring, &q))) {
        listen_to(q, poller, p);
        end_process(p, 0);
    }
    close(poller);
    ok(KIND_NEVER, brood_queue_free(q));
}

struct company {
    brood_lock lock;
    brood_semaphore units;
    brood_event event;
};

BROOD_TASK(keep_company, int, struct company, c)
{
    for (int i = 0; i < 3; i++) {
        if (brood_event_wait(c.event, BROOD_FOREVER) < 0) return 1;
        if (brood_lock_acquire(c.lock, BROOD_FOREVER) < 0) return 2;
        OWN((brood__os_nap(MOMENT_NS), 0));
        if (brood_lock_release(c.lock) < 0) return 3;
        if (brood_semaphore_release(c.units) < 0) return 4;
    }
    return 0;
}

/* As long as the other is there to give it; only a moment if it is not. */
static bool acquire_from(brood_semaphore units, brood_process other)
{
    for (;;) {
        bool more = there(other);
        int error = brood_semaphore_acquire(units, A_WHILE_MS);
        if (error == 0) return true;
        if (error != BROOD_ETIMEDOUT) return ok(KIND_NEVER, error);
        if (!more) return false;
    }
}

static void meet(struct company c)
{
    brood_process p;
    if (!ok(KIND_NEVER, brood_lock_acquire(c.lock, BROOD_FOREVER))) return;
    bool started = ok(KIND_START, brood_process_start(&p, NULL, keep_company, &c));
    OWN((brood__os_nap(MOMENT_NS), 0));
    ok(KIND_NEVER, brood_event_set(c.event));
    OWN((brood__os_nap(MOMENT_NS), 0));
    ok(KIND_NEVER, brood_lock_release(c.lock));
    if (!started) return;
    for (int i = 0; i < 3; i++) {
        if (!acquire_from(c.units, p)) {
            expect(!run_is_strict());
            break;
        }
        int error = brood_lock_acquire(c.lock, BROOD_FOREVER);
        if (error == BROOD_EOWNERDEAD && may_be_lost()) error = 0;
        if (!ok(KIND_NEVER, error)) break;
        ok(KIND_NEVER, brood_lock_release(c.lock));
    }
    end_process(p, 0);
}

static void sync_objects(void)
{
    struct company c;
    if (!ok(KIND_MAKE, brood_lock_new(&c.lock))) return;
    bool units = ok(KIND_MAKE, brood_semaphore_new(&c.units, 0, NULL));
    bool event = units && ok(KIND_MAKE, brood_event_new(&c.event));
    if (event) {
        meet(c);
        ok(KIND_NEVER, brood_event_free(c.event));
    }
    if (units) ok(KIND_NEVER, brood_semaphore_free(c.units));
    ok(KIND_NEVER, brood_lock_free(c.lock));
}

enum { BUFFERS = 10, BUFFER_SIZE = 700 * 1000 };

static void grow(void)
{
    brood_buffer buffers[BUFFERS];
    int n = 0;
    for (; n < BUFFERS; n++) {
        char *bytes;
        if (!ok(KIND_MAKE, brood_buffer_new(&buffers[n], BUFFER_SIZE, (void **)&bytes))) break;
        bytes[0] = bytes[BUFFER_SIZE - 1] = (char)n;
    }
    for (int i = 0; i < n; i++) {
        size_t size;
        const char *bytes = brood_buffer_data(buffers[i], &size);
        expect(bytes && size >= BUFFER_SIZE && bytes[0] == (char)i && bytes[BUFFER_SIZE - 1] == (char)i);
        ok(KIND_NEVER, brood_buffer_free(buffers[i]));
    }
}

/* ------------------------------------------------------------------------------------------------------------- pools */

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

static void crashing_map(brood_start_method method)
{
    brood_pool pool;
    brood_report report;
    int in[ITEMS], out[ITEMS] = {0}, codes[ITEMS];
    for (int i = 0; i < ITEMS; i++) in[i] = i;
    if (!ok(KIND_POOL, brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = method}))) return;
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

const struct scene scenes[] = {
    {"found", found, false},
    {"fork", by_fork, false},
    {"spawn", by_spawn, false},
    {"forkserver", by_forkserver, false},
    {"options", with_options, false},
    {"crash", crash, false},
    {"nested", nested, false},
    {"no_supervisor", no_supervisor, false},
    {"queue", queue, false},
    {"bell", bell, false},
    {"sync", sync_objects, false},
    {"grow", grow, false},
    {"map", map, false},
    {"map_fork", map_fork, true},
    {"map_spawn", map_spawn, false},
    {"crash_in_map", crash_in_map, false},
    {"crash_in_map_fork", crash_in_map_fork, true},
    {"submit", submit, false},
    {"apply", apply, true},
    {NULL, NULL, false},
};
