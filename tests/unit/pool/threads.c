/* SPDX-License-Identifier: MIT */
/* Pools whose workers are threads: what differs from processes.  What does not is in the other files, under all methods. */
#include "common.h"
#include "members.h"

#include "arena/member.h"
#include "arena/visit.h"
#include "pool/pool.h"

#include <brood/event.h>
#include <brood/value.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADED = METHODS - 1 };

/* Threads of this process. */
static int threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) n += e->d_name[0] != '.';
    if (dir) closedir(dir);
    return n;
}

/* One that was joined is still listed for a moment. */
static bool are_left(int n)
{
    for (int i = 0; i < PATIENCE && threads() > n; i++) poll(NULL, 0, 1);
    return threads() == n;
}

static _Atomic int runs, hooks;

BROOD_TASK(where, int, void)
{
    atomic_fetch_add(&runs, 1);
    return (int)getpid();
}
BROOD_TASK(masked, int, void)
{
    sigset_t mask;
    char name[16] = "";
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_getname_np(pthread_self(), name, sizeof name);
    return sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) && strcmp(name, "crew-1") == 0;
}
BROOD_TASK(leaves, void, void)
{
    atomic_fetch_add(&hooks, 1);
}
BROOD_TASK(until_told, int, brood_event, begun)
{
    brood_event_set(begun);
    while (!brood_task_stopping()) poll(NULL, 0, 1);
    brood_fail(7, "told");
    return 0;
}
BROOD_TASK(until_set, int, brood_event, begun, brood_event, end)
{
    brood_event_set(begun);
    brood_event_wait(end, BROOD_FOREVER);
    return 3;
}
BROOD_TASK(twice, int, int, x)
{
    return 2 * x;
}

START_TEST(workers_are_threads_of_the_caller)
{
    int before = threads(), result;
    brood_pool pool;
    brood_pool_options options = {
        .name = "crew", .workers = 3, .method = BROOD_START_THREAD, .exit_hook = BROOD_TASK_OF(leaves)};
    brood_test_ok(brood_pool_new(&pool, &options));
    ck_assert_int_eq(threads(), before + 3);
    brood_test_ok(brood_pool_apply(pool, where, NULL, &result));
    ck_assert_int_eq(result, getpid());
    ck_assert_int_eq(runs, 1);
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), 3);
    ck_assert_int_eq(brood_worker_id(), BROOD_EINVAL);
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    ck_assert(are_left(before));
    ck_assert_int_eq(hooks, 3);
    brood_test_ok(brood_pool_free(pool));
    options.workers = 1;
    brood_test_ok(brood_pool_new(&pool, &options));
    brood_test_ok(brood_pool_apply(pool, masked, NULL, &result));
    ck_assert_int_eq(result, 1);
    brood_test_ok(brood_pool_free(pool));
    ck_assert(are_left(before));
    ck_assert_int_eq(brood_pool_workers(pool, NULL, 0), BROOD_ESTALE);
}
END_TEST

START_TEST(a_context_may_say_so)
{
    brood_context context = {.method = BROOD_START_THREAD};
    brood_pool pool;
    int result;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .context = &context}));
    brood_test_ok(brood_pool_apply(pool, where, NULL, &result));
    ck_assert_int_eq(result, getpid());
    brood_test_ok(brood_pool_free(pool));
    brood_process process;
    ck_assert_int_eq(brood_process_start(&process, (&(brood_process_options){.context = &context}), where),
                     BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "BROOD_START_THREAD is for pools"));
    ck_assert_int_eq(brood_process_start(&process, (&(brood_process_options){.method = BROOD_START_THREAD}), where),
                     BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "BROOD_START_THREAD is for pools"));
    ck_assert_int_eq(brood_set_start_method(BROOD_START_THREAD), BROOD_EINVAL);
}
END_TEST

static void refused(brood_pool_options options, const char *word)
{
    brood_pool pool;
    options.method = BROOD_START_THREAD;
    ck_assert_int_eq(brood_pool_new(&pool, &options), BROOD_EINVAL);
    ck_assert_msg(strncmp(brood_error_detail(), word, strlen(word)) == 0, "%s: %s", word, brood_error_detail());
}

BROOD_TASK(wait_until, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER);
}
static void *get_it(void *future)
{
    static int code;
    code = brood_future_get(*(brood_future *)future, NULL, PATIENCE, NULL);
    return &code;
}

/* Who terminates a pool may be killed as soon as it has said so: the threads, or else who waits, do the rest. */
START_TEST(a_terminator_is_killed)
{
    brood_pool pool;
    brood_event event;
    brood_future running, queued;
    pthread_t waiter;
    void *code;
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .method = BROOD_START_THREAD}));
    brood_test_ok(brood_pool_submit(pool, &running, wait_until, &event));
    while (brood_future_state(running) != BROOD_TASK_RUNNING) sched_yield();
    brood_test_ok(brood_pool_submit(pool, &queued, wait_until, &event));
    if (_i) ck_assert_int_eq(pthread_create(&waiter, NULL, get_it, &queued), 0);
    struct pool_shm *p = (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, HANDLE_INDEX(pool.id));
    atomic_store(&p->state, POOL_TERMINATED);
    if (_i) { /* the only thread is in its task: it is the waiter's to do */
        ck_assert_int_eq(pthread_join(waiter, &code), 0);
        ck_assert_int_eq(*(int *)code, BROOD_ECANCELED);
    }
    brood_test_ok(brood_event_set(event));
    brood_test_ok(brood_future_get(running, NULL, PATIENCE, NULL));
    while (brood_future_done(queued) == 0) sched_yield();
    ck_assert_int_eq(brood_future_get(queued, NULL, 0, NULL), BROOD_ECANCELED);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

START_TEST(what_threads_cannot_do_is_refused)
{
    refused((brood_pool_options){.max_tasks_per_child = 1}, "max_tasks_per_child ");
    refused((brood_pool_options){.memory_limit = 1 << 30}, "memory_limit ");
    refused((brood_pool_options){.max_memory_per_child = 1 << 30}, "max_memory_per_child ");
    refused((brood_pool_options){.keep_stderr = true}, "keep_stderr ");
    refused((brood_pool_options){.context = &(brood_context){.executable = "/bin/true"}}, "context ");
    ck_assert(are_left(1));
    brood_pool pool = new_pool(THREADED, 1);
    brood_future future;
    brood_stream stream;
    int in[1] = {1};
    ck_assert_int_eq(brood_pool_submit_with(pool, &future, twice, in, .deadline = 5), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "soft_deadline"));
    ck_assert_int_eq(brood_pool_imap_array_with(pool, &stream, twice, in, 1, .submit = {.deadline = 5}), BROOD_EINVAL);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* What runs is told and waited for; what is queued, and the rest of a map, is cancelled at once, though nobody is free. */
START_TEST(terminate_tells_what_runs)
{
    brood_pool pool = new_pool(THREADED, 1);
    brood_event begun;
    brood_future running, queued;
    brood_outcome outcome;
    brood_map map;
    int in[100] = {0}, out[100], result;
    brood_test_ok(brood_event_new(&begun));
    brood_event end;
    brood_test_ok(brood_event_new(&end));
    brood_test_ok(brood_pool_submit(pool, &running, until_set, &(until_set_args){begun, end}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    brood_test_ok(brood_pool_submit(pool, &queued, twice, in));
    brood_test_ok(brood_pool_map_async(pool, &map, twice, in, out, 100));
    brood_test_ok(brood_pool_terminate(pool));
    ck_assert_int_eq(brood_future_get(queued, &result, 0, &outcome), BROOD_ECANCELED);
    ck_assert_int_eq(outcome.reason, BROOD_REASON_CANCELLED);
    ck_assert_int_eq(brood_map_wait(map, 0, NULL), BROOD_ECANCELED);
    ck_assert_int_eq(brood_future_get(running, &result, 0, &outcome), BROOD_EAGAIN);
    ck_assert_int_eq(brood_pool_join(pool, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_pool_submit(pool, &queued, twice, in), BROOD_ECLOSED);
    brood_test_ok(brood_event_set(end));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_future_get(running, &result, 0, &outcome)); /* a result is a result */
    ck_assert_int_eq(result, 3);
    brood_test_ok(brood_pool_free(pool));

    pool = new_pool(THREADED, 1);
    brood_test_ok(brood_event_clear(begun));
    brood_test_ok(brood_pool_submit(pool, &running, until_told, &begun));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    ck_assert_int_eq(brood_pool_drain(pool, 5, 5), BROOD_ECANCELED);
    ck_assert_int_eq(brood_future_get(running, &result, 0, &outcome), BROOD_ECANCELED);
    ck_assert_str_eq(outcome.text, "told");
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(end));
    ck_assert(are_left(1));
}
END_TEST

static void *end_it(void *of)
{
    ck_assert_int_eq(brood_pool_terminate(*(brood_pool *)of), 0);
    return NULL;
}
static brood_pool in_handler;
static void terminate_it(int signal)
{
    (void)signal;
    brood_pool_terminate(in_handler);
}

/* A map whose caller sleeps, and all workers too: each way of ending the pool wakes them. */
START_TEST(sleepers_are_woken)
{
    for (int way = 0; way < 2; way++) {
        brood_pool pool = new_pool(THREADED, 2);
        brood_event begun[2], end;
        brood_future futures[2];
        brood_test_ok(brood_event_new(&end));
        for (int i = 0; i < 2; i++) {
            brood_test_ok(brood_event_new(&begun[i]));
            brood_test_ok(brood_pool_submit(pool, &futures[i], until_set, &(until_set_args){begun[i], end}));
            brood_test_ok(brood_event_wait(begun[i], PATIENCE));
        }
        int in[10] = {0}, out[10], result;
        pthread_t thread;
        if (way == 0) {
            ck_assert_int_eq(pthread_create(&thread, NULL, end_it, &pool), 0);
        } else {
            in_handler = pool;
            signal(SIGUSR1, terminate_it);
            ck_assert_int_eq(raise(SIGUSR1), 0);
        }
        int error = brood_pool_map(pool, twice, in, out, 10);
        ck_assert(error == BROOD_ECANCELED || error == BROOD_ECLOSED);
        if (way == 0) ck_assert_int_eq(pthread_join(thread, NULL), 0);
        brood_test_ok(brood_event_set(end));
        brood_test_ok(brood_pool_join(pool, PATIENCE));
        for (int i = 0; i < 2; i++) brood_test_ok(brood_future_get(futures[i], &result, 0, NULL));
        brood_test_ok(brood_pool_free(pool));
        brood_test_ok(brood_event_free(end));
        for (int i = 0; i < 2; i++) brood_test_ok(brood_event_free(begun[i]));
    }
}
END_TEST

/* A thread that began in a seat which was looked at before is alive, whatever the seats look like one by one. */
START_TEST(nobody_is_overlooked)
{
    brood_pool pool = new_pool(THREADED, 1);
    brood_event begun, end;
    brood_future future;
    int result;
    brood_test_ok(brood_event_new(&begun));
    brood_test_ok(brood_event_new(&end));
    brood_test_ok(brood_pool_submit(pool, &future, until_set, &(until_set_args){begun, end}));
    brood_test_ok(brood_event_wait(begun, PATIENCE));
    struct pool_shm *p = brood__slot_find(TABLE_POOL, pool.id);
    for (uint32_t i = 0; i < p->seat_room; i++) { /* as it is found by one who looked at each too early or too late */
        uint32_t member = atomic_exchange(&brood__pool_seat(p, i)->member, 0u);
        brood_test_ok(brood_pool_terminate(pool));
        ck_assert_int_eq(brood_pool_join(pool, 0), BROOD_EAGAIN);
        atomic_store(&brood__pool_seat(p, i)->member, member);
    }
    brood_test_ok(brood_event_set(end));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_future_get(future, &result, 0, NULL));
    brood_test_ok(brood_pool_free(pool));
    brood_test_ok(brood_event_free(begun));
    brood_test_ok(brood_event_free(end));
}
END_TEST

/* What a thread's destructor does when its work is done and others wait for its last instruction. */
static brood_pool beside;
static _Atomic pid_t joiners[2];
static pthread_key_t key;
static _Atomic int destroyed;
static void at_the_end(void *value)
{
    (void)value;
    for (int i = 0; i < 2; i++) members_thread_asleep(&joiners[i]);
    destroyed = brood_pool_free(beside) == 0;
}
BROOD_TASK(keeps_something, void, void)
{
    pthread_setspecific(key, &key);
}
static void *joins(void *pool)
{
    static int code;
    atomic_store(&joiners[1], gettid());
    code = brood_pool_join(*(brood_pool *)pool, BROOD_FOREVER);
    return &code;
}

START_TEST(a_destructor_ends_another_pool)
{
    brood_pool pool = new_pool(THREADED, 1);
    pthread_t other;
    void *code;
    beside = new_pool(THREADED, 1);
    ck_assert_int_eq(pthread_key_create(&key, at_the_end), 0);
    brood_test_ok(brood_pool_apply(pool, keeps_something, NULL, NULL));
    brood_test_ok(brood_pool_terminate(pool));
    atomic_store(&joiners[0], getpid());
    ck_assert_int_eq(pthread_create(&other, NULL, joins, &pool), 0);
    brood_test_ok(brood_pool_join(pool, BROOD_FOREVER));
    ck_assert(destroyed);
    ck_assert_int_eq(pthread_join(other, &code), 0);
    brood_test_ok(*(int *)code);
    ck_assert(are_left(1));
    brood_test_ok(brood_pool_free(pool));
    pthread_key_delete(key);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- other members */

BROOD_TASK(uses_it, int, brood_pool, pool)
{
    int in[50], out[50], result = 0;
    for (int i = 0; i < 50; i++) in[i] = i;
    if (brood_pool_map(pool, twice, in, out, 50) < 0) return 1;
    for (int i = 0; i < 50; i++)
        if (out[i] != 2 * i) return 2;
    if (brood_pool_apply(pool, where, NULL, &result) < 0) return 3;
    if (result == getpid()) return 4;
    if (brood_pool_free(pool) != BROOD_EPERM) return 5;
    if (brood_pool_terminate(pool) < 0 || brood_pool_join(pool, PATIENCE) < 0) return 6;
    return brood_pool_submit(pool, &(brood_future){0}, where) == BROOD_ECLOSED ? 0 : 7;
}

START_TEST(other_members_may_use_it)
{
    if (_i == 0) return; /* a fork by name from a threaded process may do no more than exec */
    brood_pool pool = new_pool(THREADED, 2);
    brood_process process;
    int code = -1;
    brood_process_options options = {.method = methods[_i]};
    brood_test_ok(brood_process_start(&process, &options, uses_it, &pool));
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, 0);
    brood_test_ok(brood_process_free(process));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

BROOD_TASK(gives_it, int, brood_queue, queue)
{
    brood_pool pool;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = BROOD_START_THREAD}) < 0) return 1;
    if (brood_queue_put_value(queue, &pool, PATIENCE) < 0) return 2;
    for (;;) poll(NULL, 0, 1000);
}

/* Its workers have ended with it, and the pool too: nobody waits for an answer that will never come. */
START_TEST(the_maker_is_killed)
{
    brood_queue queue;
    brood_process process;
    brood_pool pool;
    brood_event begun[2], end;
    brood_future running[2], queued;
    int code, result;
    brood_process_options options = {.method = methods[_i]};
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_event_new(&end));
    brood_test_ok(brood_process_start(&process, &options, gives_it, &queue));
    ck_assert_int_eq(brood_queue_get_value(queue, &pool, PATIENCE), 0);
    for (int i = 0; i < 2; i++) {
        brood_test_ok(brood_event_new(&begun[i]));
        brood_test_ok(brood_pool_submit(pool, &running[i], until_set, &(until_set_args){begun[i], end}));
        brood_test_ok(brood_event_wait(begun[i], PATIENCE));
    }
    brood_test_ok(brood_pool_submit(pool, &queued, where));
    brood_test_ok(brood_process_kill(process));
    for (int i = 0; i < 2; i++) {
        int error = brood_future_get(running[i], &result, PATIENCE, NULL);
        ck_assert(error == BROOD_ELOST || error == BROOD_ECLOSED); /* the pool is not there any more */
    }
    int error = brood_future_get(queued, &result, PATIENCE, NULL);
    ck_assert(error == BROOD_ECANCELED || error == BROOD_ECLOSED);
    ck_assert_int_eq(brood_pool_submit(pool, &queued, where), BROOD_ECLOSED);
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    brood_test_ok(brood_process_free(process));
    brood_test_ok(brood_event_free(end));
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

START_TEST(fini_ends_them)
{
    int result;
    brood_pool pool = new_pool(THREADED, 3), other = new_pool(THREADED, 1);
    brood_test_ok(brood_pool_apply(pool, where, NULL, &result));
    (void)other;
    brood_test_ok(brood_fini());
    ck_assert(are_left(1));
}
END_TEST

/* ------------------------------------------------------------------------------------------- under the thread sanitizer */

static _Atomic int done_items;
BROOD_TASK(add, int, int, x, int, y)
{
    atomic_fetch_add(&done_items, 1);
    return x + y;
}
BROOD_TASK(both, int, brood_pool, pool, int, n)
{
    int result = 0;
    int error = brood_pool_apply(pool, add, (&(add_args){n, n}), &result);
    if (error < 0) brood_fail(error, "%s", brood_error_name(error));
    return result;
}
static void *submits(void *of)
{
    brood_pool pool = *(brood_pool *)of;
    for (int round = 0; round < 20; round++) {
        add_args in[64];
        int out[64], result;
        for (int i = 0; i < 64; i++) in[i] = (add_args){i, round};
        if (brood_pool_map(pool, add, in, out, 64) < 0) return "map";
        for (int i = 0; i < 64; i++)
            if (out[i] != i + round) return "item";
        if (brood_pool_apply(pool, both, (&(both_args){pool, round}), &result) < 0 || result != 2 * round)
            return "both";
        brood_future future;
        if (brood_pool_submit_with(pool, &future, add, (&(add_args){1, 2}), .priority = 3) < 0) return "submit";
        brood_future_cancel(future, BROOD_FOREVER);
        if (brood_future_free(future) < 0) return "free";
    }
    return NULL;
}

START_TEST(many_callers)
{
    brood_pool pool = new_pool(THREADED, 3);
    pthread_t callers[3];
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&callers[i], NULL, submits, &pool), 0);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(callers[i], &wrong), 0);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
    brood_test_ok(brood_pool_close(pool));
    brood_test_ok(brood_pool_join(pool, PATIENCE));
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* Calls on a map, by threads of its caller, while another waits for its end and frees the pool. */
struct freed {
    brood_pool pool;
    brood_map map;
    _Atomic int begun;
};
static void *looks(void *of)
{
    struct freed *f = of;
    size_t decided = 0;
    for (int error = 0; error >= 0;) {
        error = brood_map_progress(f->map, &decided);
        if (decided > 64) return "decided";
        if (error < 0 && error != BROOD_ESTALE && error != BROOD_ECLOSED) return "look";
        atomic_fetch_or(&f->begun, 1);
    }
    return NULL;
}
static void *waits(void *of)
{
    struct freed *f = of;
    atomic_fetch_or(&f->begun, 2);
    int error = brood_map_wait(f->map, BROOD_FOREVER, NULL);
    bool told = error == 0 || error == BROOD_ECANCELED || error == BROOD_ESTALE || error == BROOD_ECLOSED;
    return told ? NULL : "answer";
}
static void *cancels(void *of)
{
    struct freed *f = of;
    atomic_fetch_or(&f->begun, 4);
    int error = brood_map_cancel(f->map);
    bool told = error >= 0 || error == BROOD_ESTALE || error == BROOD_ECLOSED;
    return told ? NULL : "answer";
}

START_TEST(calls_on_a_map_of_a_freed_pool)
{
    void *(*const calls[])(void *) = {looks, waits, waits, cancels};
    for (int round = 0; round < 40; round++) {
        struct freed f = {.begun = 0};
        add_args in[64] = {{0, 0}};
        int out[64], n = round % 4 < 3 ? 3 : 4;
        pthread_t callers[4];
        f.pool = new_pool(THREADED, 2);
        brood_test_ok(brood_pool_map_async(f.pool, &f.map, add, in, out, 64));
        for (int i = 0; i < n; i++) ck_assert_int_eq(pthread_create(&callers[i], NULL, calls[i], &f), 0);
        while (atomic_load(&f.begun) < (round % 2 ? 3 : 1)) sched_yield();
        brood_test_ok(brood_pool_free(f.pool));
        for (int i = 0; i < n; i++) {
            void *wrong;
            ck_assert_int_eq(pthread_join(callers[i], &wrong), 0);
            ck_assert_msg(!wrong, "%s", (const char *)wrong);
        }
    }
}
END_TEST

/* Of several threads that wait for a map one has its answer, and to the others it is over. */
static void *waits_too(void *of)
{
    struct freed *f = of;
    int error = brood_map_wait(f->map, BROOD_FOREVER, NULL);
    if (error == 0) atomic_fetch_add(&f->begun, 1);
    return error == 0 || error == BROOD_ESTALE ? NULL : "answer";
}

START_TEST(one_answer_of_a_map)
{
    struct freed f = {.pool = new_pool(THREADED, 2)};
    for (int round = 0; round < 40; round++) {
        add_args in[64] = {{0, 0}};
        int out[64];
        pthread_t callers[4];
        atomic_store(&f.begun, 0);
        brood_test_ok(brood_pool_map_async(f.pool, &f.map, add, in, out, 64));
        for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&callers[i], NULL, waits_too, &f), 0);
        for (int i = 0; i < 4; i++) {
            void *wrong;
            ck_assert_int_eq(pthread_join(callers[i], &wrong), 0);
            ck_assert_msg(!wrong, "%s", (const char *)wrong);
        }
        ck_assert_int_eq(atomic_load(&f.begun), 1);
    }
    brood_test_ok(brood_pool_free(f.pool));
}
END_TEST

/* More threads look at a value than there are cells for visits: that keeps the value, and no pool. */
START_TEST(who_looks_at_a_value_keeps_no_pool)
{
    brood_value value;
    unsigned cells[MEMBER_VISITS + 2];
    brood_pool pool = new_pool(_i, 1);
    brood_test_ok(brood_value_new(&value, int, 0));
    for (int i = 0; i < MEMBER_VISITS + 2; i++)
        ck_assert_ptr_nonnull(brood__visit_begin(TABLE_SHARED, value.id, &cells[i]));
    brood_test_ok(brood_pool_free(pool));
    ck_assert(brood__visited(value.id));
    for (int i = 0; i < MEMBER_VISITS + 2; i++) brood__visit_end(cells[i]);
    ck_assert(!brood__visited(value.id));
    brood_test_ok(brood_value_free(value));
}
END_TEST

static Suite *threads_suite(void)
{
    Suite *suite = suite_create("threads");
    TCase *once = brood_test_case(suite, "once");
    tcase_add_test(once, workers_are_threads_of_the_caller);
    tcase_add_test(once, a_context_may_say_so);
    tcase_add_test(once, what_threads_cannot_do_is_refused);
    tcase_add_loop_test(once, a_terminator_is_killed, 0, 2);
    tcase_add_test(once, terminate_tells_what_runs);
    tcase_add_test(once, sleepers_are_woken);
    tcase_add_test(once, nobody_is_overlooked);
    tcase_add_test(once, a_destructor_ends_another_pool);
    tcase_add_test(once, fini_ends_them);
    TCase *each = brood_test_case(suite, "members of each start method");
    tcase_add_loop_test(each, other_members_may_use_it, 0, PROCESSES);
    tcase_add_loop_test(each, the_maker_is_killed, 0, PROCESSES);
    tcase_add_loop_test(each, who_looks_at_a_value_keeps_no_pool, 0, METHODS);
    TCase *sanitized = brood_test_case(suite, "threads and signals");
    tcase_add_test(sanitized, many_callers);
    tcase_add_test(sanitized, calls_on_a_map_of_a_freed_pool);
    tcase_add_test(sanitized, one_answer_of_a_map);
    return suite;
}

BROOD_TEST_MAIN(threads_suite)
