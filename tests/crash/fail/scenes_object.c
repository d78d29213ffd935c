/* SPDX-License-Identifier: MIT */
/* scenes_object.c - queues, bells, locks, semaphores, events, buffers, used by two processes; and nothing but a family. */
#include "os/os.h"
#include "play.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { A_WHILE_MS = 300, MOMENT_NS = 3 * 1000 * 1000 };

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

/* Dicts, lists and queues without a server, which grow; what does not fit has changed nothing. */
enum { COLLECTED = 400, LONG_VALUE = 10000 };

static void values(void)
{
    static char text[LONG_VALUE];
    brood_proxy queue;
    int64_t in_queue = 0;
    if (!ok(KIND_BELL, brood_manager_joinable_queue(brood_family(), &queue, 0))) return;
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < COLLECTED; i++)
        if (ok(KIND_BELL, brood_proxy_put(queue, i % 50 ? brood_v("a text, not the longest") : brood_v(text), 0)))
            in_queue++;
    expect(brood_proxy_size(queue) == in_queue);
    while (in_queue > 0 && ok(KIND_BELL, brood_proxy_get(queue, NULL, 0))) {
        ok(KIND_NEVER, brood_proxy_task_done(queue));
        in_queue--;
    }
    if (in_queue == 0) ok(KIND_NEVER, brood_proxy_join(queue, 0));
    ok(KIND_NEVER, brood_proxy_free(queue));
}

static void collections(void)
{
    brood_proxy dict, list;
    int64_t in_dict = 0, in_list = 0;
    if (!ok(KIND_BELL, brood_manager_dict(brood_family(), &dict))) return;
    if (ok(KIND_BELL, brood_manager_list(brood_family(), &list))) {
        for (int i = 0; i < COLLECTED; i++) {
            if (ok(KIND_BELL, brood_dict_set(dict, brood_v(i), brood_v("a text that is longer than a word"))))
                in_dict++;
            if (ok(KIND_BELL, brood_list_append(list, brood_v("a text that is longer than a word")))) in_list++;
        }
        expect(brood_dict_size(dict) == in_dict && brood_list_size(list) == in_list);
        values();
        ok(KIND_NEVER, brood_dict_clear(dict));
        ok(KIND_NEVER, brood_proxy_free(list));
    }
    ok(KIND_NEVER, brood_proxy_free(dict));
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

BROOD_TASK(put_one, int, brood_queue, queue)
{
    OWN((brood__os_nap(MOMENT_NS), 0));
    int error = brood_queue_put_value(queue, &(int){7}, BROOD_FOREVER);
    return error < 0 ? TOLD : 0;
}

/* By a call until there is something, then by a set until the end. */
static void wait_for_any(void)
{
    brood_queue q;
    brood_process p;
    brood_waitset *set = NULL;
    int x = 0;
    if (!ok(KIND_MAKE, brood_queue_new(&q, NULL))) return;
    if (ok(KIND_START, brood_process_start(&p, NULL, put_one, &q))) {
        brood_waitable items[] = {BROOD_WAIT_QUEUE(q), BROOD_WAIT_PROCESS(p)};
        bool ready[2] = {false, false};
        if (ok(KIND_BELL, brood_wait(items, 2, ready, BROOD_FOREVER))) {
            expect(ready[0] || ready[1]);
            if (ready[0]) expect(brood_queue_get_value(q, &x, 0) == 0 && x == 7);
            if (ready[0]) expect(brood_wait(items, 1, NULL, 0) == BROOD_EAGAIN);
        }
        uint64_t tag = 0;
        if (ok(KIND_BELL, brood_waitset_new(&set)) && ok(KIND_BELL, brood_waitset_add(set, items[1], 5)) &&
            ok(KIND_BELL, brood_waitset_wait(set, &tag, 1, BROOD_FOREVER)))
            expect(tag == 5);
        if (set) ok(KIND_NEVER, brood_waitset_free(set));
        end_process(p, 0);
    }
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

BROOD_TASK(hold_and_wait, int, struct company, c, brood_lock, other)
{
    if (brood_lock_acquire(c.lock, BROOD_FOREVER) < 0 || brood_event_set(c.event) < 0) return 1;
    if (brood_lock_acquire(other, BROOD_FOREVER) < 0 || brood_lock_release(other) < 0) return 2;
    return brood_lock_release(c.lock) < 0 ? 3 : 0;
}

/* A circle of two: who asks is told, and gives way. */
static void close_circle(struct company c, brood_lock mine)
{
    brood_process p;
    ok(KIND_NEVER, brood_lock_acquire(mine, BROOD_FOREVER));
    if (!ok(KIND_START, brood_process_start(&p, NULL, hold_and_wait, &(hold_and_wait_args){c, mine}))) {
        ok(KIND_NEVER, brood_lock_release(mine));
        return;
    }
    while (brood_event_wait(c.event, A_WHILE_MS) < 0 && there(p)) continue;
    int error = brood_lock_acquire_checked(c.lock, BROOD_FOREVER);
    bool died = may_be_lost() && (error == 0 || error == BROOD_EOWNERDEAD);
    if (error != BROOD_EDEADLK && !died) run_blame(VERDICT_WRONG, "a circle answers %s", brood_error_name(error));
    if (died) ok(KIND_NEVER, brood_lock_release(c.lock));
    ok(KIND_NEVER, brood_lock_release(mine));
    end_process(p, 0);
}

static void deadlock(void)
{
    struct company c = {.units = {0}};
    brood_lock mine;
    if (!ok(KIND_MAKE, brood_lock_new(&c.lock))) return;
    bool lock = ok(KIND_MAKE, brood_lock_new(&mine)), event = lock && ok(KIND_MAKE, brood_event_new(&c.event));
    if (event) {
        close_circle(c, mine);
        ok(KIND_NEVER, brood_event_free(c.event));
    }
    if (lock) ok(KIND_NEVER, brood_lock_free(mine));
    ok(KIND_NEVER, brood_lock_free(c.lock));
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

struct errand {
    int number;
    brood_pipe_end answer;
};

/* Each answer goes back by the end that came with its errand. */
BROOD_TASK(run_errands, int, brood_pipe_end, from)
{
    struct errand e;
    int error;
    while ((error = brood_pipe_recv_value(from, &e, BROOD_FOREVER)) == 0) {
        OWN((brood__os_nap(MOMENT_NS), 0));
        if (brood_pipe_send_value(e.answer, &e.number, BROOD_FOREVER) < 0) return 1;
        if (brood_pipe_close(e.answer) < 0) return 2;
    }
    return error == BROOD_ECLOSED ? 0 : 3;
}

static void run_errand(brood_pipe_end to, int number)
{
    brood_pipe_end answer[2];
    int got = -1;
    if (!ok(KIND_MAKE, brood_pipe_new(answer, &(brood_pipe_options){.capacity = 256, .one_way = true}))) return;
    struct errand e = {number, answer[1]};
    int error = brood_pipe_send_moving(to, &e, sizeof e, &e.answer.id, 1, BROOD_FOREVER);
    if (error == 0) {
        error = brood_pipe_recv_value(answer[0], &got, BROOD_FOREVER);
        expect(error < 0 || got == number);
    } else {
        ok(KIND_NEVER, brood_pipe_close(answer[1]));
    }
    if (error == BROOD_ECLOSED && may_be_lost()) error = 0; /* the other has ended */
    ok(KIND_NEVER, error);
    ok(KIND_NEVER, brood_pipe_close(answer[0]));
}

static void ends_of_pipes(void)
{
    brood_pipe_end ends[2];
    brood_process p;
    int x = 0;
    if (!ok(KIND_MAKE, brood_pipe_new(ends, NULL))) return;
    brood_process_options options = {.ends = &ends[1], .end_count = 1};
    bool started = ok(KIND_START, brood_process_start(&p, &options, run_errands, &ends[1]));
    if (started) {
        for (int i = 0; i < 3; i++) run_errand(ends[0], i);
    } else {
        ok(KIND_NEVER, brood_pipe_close(ends[1])); /* it is here still */
        expect(brood_pipe_recv_value(ends[0], &x, BROOD_FOREVER) == BROOD_ECLOSED);
    }
    ok(KIND_NEVER, brood_pipe_close(ends[0]));
    if (started) end_process(p, 0);
}

BROOD_TASK(write_to, int, brood_token, token)
{
    int fd = brood_descriptor_redeem(token);
    if (fd < 0) return TOLD;
    bool well = OWN(write(fd, "x", 1)) == 1;
    close(fd);
    return well ? 0 : 1;
}

static void tokens(void)
{
    int ends[2];
    brood_token token, other;
    brood_process p;
    char byte;
    if (OWN(pipe2(ends, O_CLOEXEC)) < 0) return;
    bool first = ok(KIND_TOKEN, brood_descriptor_deposit(&token, ends[1]));
    bool second = first && ok(KIND_TOKEN, brood_descriptor_deposit(&other, ends[1]));
    close(ends[1]);
    if (second && ok(KIND_START, brood_process_start(&p, NULL, write_to, &token))) end_process(p, 0);
    if (second) ok(KIND_NEVER, brood_descriptor_discard(other));
    if (first) brood_descriptor_discard(token); /* if nobody has redeemed it */
    if (run_is_strict()) {
        expect(second && OWN(read(ends[0], &byte, 1)) == 1);
        expect(OWN(read(ends[0], &byte, 1)) == 0); /* of all copies none is left */
    }
    close(ends[0]);
}

BROOD_TASK(answer, int, brood_condition, c, brood_barrier, b)
{
    OWN((brood__os_nap(MOMENT_NS), 0));
    if (brood_condition_acquire(c, BROOD_FOREVER) < 0) return 1;
    if (brood_condition_notify_all(c) < 0) return 2;
    if (brood_condition_release(c) < 0) return 3;
    int index = brood_barrier_wait(b, A_WHILE_MS);
    return index >= 0 || index == BROOD_ETIMEDOUT || index == BROOD_EBROKEN ? 0 : 4;
}

/* It waits for the other's word, with an rlock held twice, and then beside it. */
static void rendezvous(answer_args a)
{
    brood_process p;
    for (int i = 0; i < 2; i++) ok(KIND_NEVER, brood_condition_acquire(a.c, BROOD_FOREVER));
    bool started = ok(KIND_START, brood_process_start(&p, NULL, answer, &a));
    int told = started ? BROOD_ETIMEDOUT : 0;
    while (told == BROOD_ETIMEDOUT) {
        bool more = there(p);
        told = brood_condition_wait(a.c, A_WHILE_MS);
        if (!more) break;
    }
    expect(told == 0 || !run_is_strict());
    if (told < 0 && told != BROOD_ETIMEDOUT && !(told == BROOD_EOWNERDEAD && may_be_lost())) ok(KIND_NEVER, told);
    for (int i = 0; i < 2; i++) ok(KIND_NEVER, brood_condition_release(a.c));
    if (!started) return;
    int index = brood_barrier_wait(a.b, A_WHILE_MS);
    expect(index >= 0 || !run_is_strict());
    if (index < 0 && index != BROOD_ETIMEDOUT && index != BROOD_EBROKEN) ok(KIND_NEVER, index);
    end_process(p, 0);
}

static void meeting(void)
{
    answer_args a;
    brood_rlock lock;
    if (!ok(KIND_MAKE, brood_rlock_new(&lock))) return;
    if (ok(KIND_MAKE, brood_condition_new(&a.c, &(brood_condition_options){.rlock = lock}))) {
        if (ok(KIND_MAKE, brood_barrier_new(&a.b, 2, NULL))) {
            rendezvous(a);
            ok(KIND_NEVER, brood_barrier_free(a.b));
        }
        ok(KIND_NEVER, brood_condition_free(a.c));
    }
    ok(KIND_NEVER, brood_rlock_free(lock));
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

enum { JOBS = 200, JOB_SIZE = 200 };

BROOD_TASK(work_off, int, brood_queue, jobs)
{
    char job[JOB_SIZE];
    int error, n = 0;
    while ((error = brood_queue_get_exactly(jobs, job, sizeof job, BROOD_FOREVER)) == 0) {
        if (brood_queue_task_done(jobs) < 0) return 1;
        n++;
    }
    return error == BROOD_ECLOSED && n > 0 ? 0 : 2;
}

/* A queue of every kind: it grows for jobs of two priorities, which are done by another. */
static void jobs(void)
{
    brood_queue q;
    brood_process p;
    brood_queue_options options = {.capacity = 4096, .grows_to = BROOD_UNBOUNDED, .joinable = 1, .priorities = 2};
    if (!ok(KIND_MAKE, brood_queue_new(&q, &options))) return;
    char job[JOB_SIZE] = {0};
    int there_are = 0;
    for (unsigned i = 0; i < JOBS; i++)
        there_are += ok(KIND_MAKE, brood_queue_put_priority(q, job, sizeof job, i % 2, 0));
    expect(brood_queue_size(q) == there_are);
    if (ok(KIND_START, brood_process_start(&p, NULL, work_off, &q))) {
        int result = BROOD_ETIMEDOUT;
        for (bool more = true; more && result == BROOD_ETIMEDOUT;) {
            more = there(p);
            result = brood_queue_join(q, A_WHILE_MS);
        }
        expect(result == 0 || !run_is_strict());
        expect(result == 0 || result == BROOD_ELOST || result == BROOD_ETIMEDOUT);
        ok(KIND_NEVER, brood_queue_close(q));
        end_process(p, 0);
    }
    ok(KIND_NEVER, brood_queue_free(q));
}

const struct scene object_scenes[] = {
    {.name = "found", .body = found},
    {.name = "queue", .body = queue},
    {.name = "bell", .body = bell},
    {.name = "wait", .body = wait_for_any},
    {.name = "sync", .body = sync_objects},
    {.name = "meeting", .body = meeting},
    {.name = "deadlock", .body = deadlock},
    {.name = "pipe", .body = ends_of_pipes},
    {.name = "token", .body = tokens},
    {.name = "grow", .body = grow},
    {.name = "jobs", .body = jobs},
    {.name = "collections", .body = collections},
    {.name = NULL},
};
