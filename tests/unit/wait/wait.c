/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting for any of many: what is ready, what is not, nothing consumed, by a call and by a descriptor; as
 * Python's connection.wait has it.
 */
#include "members.h"

#include <brood.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

BROOD_TASK(wait_for, int, brood_event, event)
{
    return brood_event_wait(event, PATIENCE) == 0 ? 3 : 1;
}
BROOD_TASK(put_after, int, brood_queue, queue, brood_event, event)
{
    MUST(brood_event_wait(event, PATIENCE) == 0);
    return brood_queue_put_value(queue, &(int){5}, PATIENCE) == 0 ? 0 : 1;
}
BROOD_TASK(answer_after, int, brood_event, event, int, x)
{
    MUST(brood_event_wait(event, PATIENCE) == 0);
    return x + 1;
}

/* One of each kind, none of which is ready. */
enum { FD, PROCESS, QUEUE, PIPE, FUTURE, MAP, POOL, KINDS };
struct all {
    int fd[2];
    brood_event go;
    brood_process process;
    brood_queue queue;
    brood_pipe_end ends[2];
    brood_pool pool, other;
    brood_future future;
    brood_map map;
    answer_after_args in[2];
    int out[2];
    brood_waitable items[KINDS];
};

static void have_all(struct all *a, brood_start_method method)
{
    brood_pool_options options = {.workers = 1, .method = method};
    ck_assert_int_eq(pipe2(a->fd, O_CLOEXEC), 0);
    brood_test_ok(brood_event_new(&a->go));
    members_start(&a->process, method, wait_for, &a->go);
    brood_test_ok(brood_queue_new(&a->queue, NULL));
    brood_test_ok(brood_pipe_new(a->ends, NULL));
    brood_test_ok(brood_pool_new(&a->pool, &options));
    brood_test_ok(brood_pool_new(&a->other, &options));
    brood_test_ok(brood_pool_submit(a->pool, &a->future, answer_after, &((answer_after_args){a->go, 6})));
    a->in[0] = a->in[1] = (answer_after_args){a->go, 8};
    brood_test_ok(brood_pool_map_async(a->other, &a->map, answer_after, a->in, a->out, 2));
    a->items[FD] = BROOD_WAIT_FD(a->fd[0]);
    a->items[PROCESS] = BROOD_WAIT_PROCESS(a->process);
    a->items[QUEUE] = BROOD_WAIT_QUEUE(a->queue);
    a->items[PIPE] = BROOD_WAIT_PIPE(a->ends[0]);
    a->items[FUTURE] = BROOD_WAIT_FUTURE(a->future);
    a->items[MAP] = BROOD_WAIT_MAP(a->map);
    a->items[POOL] = BROOD_WAIT_POOL(a->other);
}

static void give_all(struct all *a)
{
    int code;
    if (a->process.id) {
        brood_test_ok(brood_event_set(a->go));
        brood_test_ok(brood_process_join(a->process, PATIENCE, &code));
        brood_test_ok(brood_process_free(a->process));
    }
    brood_test_ok(brood_pool_free(a->pool));
    brood_test_ok(brood_pool_free(a->other));
    brood_test_ok(brood_pipe_close(a->ends[0]));
    brood_test_ok(brood_pipe_close(a->ends[1]));
    brood_test_ok(brood_queue_free(a->queue));
    brood_test_ok(brood_event_free(a->go));
    close(a->fd[0]);
    close(a->fd[1]);
}

/* These and no others are ready; also when it is asked again, and one by one. */
static void only(struct all *a, unsigned bits)
{
    bool ready[KINDS];
    for (int again = 0; again < 2; again++) {
        int count = brood_wait(a->items, KINDS, ready, again ? A_WHILE : 0);
        if (bits)
            ck_assert_int_eq(count, __builtin_popcount(bits));
        else
            ck_assert_int_eq(count, again ? BROOD_ETIMEDOUT : BROOD_EAGAIN);
        for (int i = 0; i < KINDS; i++) ck_assert_int_eq(ready[i], bits >> i & 1);
    }
    for (int i = 0; i < KINDS; i++)
        ck_assert_int_eq(brood_wait(&a->items[i], 1, NULL, 0), bits >> i & 1 ? 1 : BROOD_EAGAIN);
}

START_TEST(none_is_ready)
{
    struct all a;
    have_all(&a, members_methods[_i]);
    only(&a, 0);
    members_late(brood_wait(a.items, KINDS, NULL, A_WHILE));
    give_all(&a);
}
END_TEST

/* One after the other becomes so, and stays until it is taken. */
START_TEST(each_is_ready)
{
    struct all a;
    int x;
    have_all(&a, members_methods[_i]);
    ck_assert_int_eq(write(a.fd[1], "x", 1), 1);
    only(&a, 1u << FD);
    brood_test_ok(brood_queue_put_value(a.queue, &(int){1}, 0));
    only(&a, 1u << FD | 1u << QUEUE);
    brood_test_ok(brood_pipe_send_value(a.ends[1], &(int){2}, 0));
    only(&a, 1u << FD | 1u << QUEUE | 1u << PIPE);
    char byte;
    ck_assert_int_eq(read(a.fd[0], &byte, 1), 1);
    only(&a, 1u << QUEUE | 1u << PIPE);
    brood_test_ok(brood_queue_get_value(a.queue, &x, 0));
    brood_test_ok(brood_pipe_recv_value(a.ends[0], &x, 0));
    only(&a, 0);
    brood_test_ok(brood_event_set(a.go));
    ck_assert_int_eq(brood_wait(&a.items[FUTURE], 1, NULL, PATIENCE), 1);
    ck_assert_int_eq(brood_wait(&a.items[MAP], 1, NULL, PATIENCE), 1);
    ck_assert_int_eq(brood_wait(&a.items[PROCESS], 1, NULL, PATIENCE), 1);
    only(&a, 1u << FUTURE | 1u << MAP | 1u << PROCESS);
    /* what is ready does not make one wait */
    brood_test_ok(brood_future_get(a.future, &x, 0, NULL));
    ck_assert_int_eq(x, 7);
    brood_test_ok(brood_map_wait(a.map, 0, NULL));
    brood_test_ok(brood_process_join(a.process, 0, &x));
    ck_assert_int_eq(x, 3);
    brood_test_ok(brood_pool_close(a.other));
    ck_assert_int_eq(brood_wait(&a.items[POOL], 1, NULL, PATIENCE), 1);
    brood_test_ok(brood_pool_join(a.other, 0));
    give_all(&a);
}
END_TEST

/* Errors are ready: closed, ended, stale; what is freed meanwhile too. */
BROOD_TASK(put_and_end, int, brood_queue, queue)
{
    return brood_queue_put_value(queue, &(int){5}, PATIENCE) == 0 ? 0 : 1;
}

/* What a process put before it ended is ready when its end is, in whatever order they are looked at. */
START_TEST(an_end_comes_last)
{
    for (int round = 0; round < 200; round++) {
        brood_queue queue;
        brood_process process;
        bool ready[2] = {false};
        int x;
        brood_test_ok(brood_queue_new(&queue, NULL));
        members_start(&process, BROOD_START_FORK, put_and_end, &queue);
        brood_waitable items[] = {BROOD_WAIT_QUEUE(queue), BROOD_WAIT_PROCESS(process)};
        while (!ready[1]) {
            int n = brood_wait(items, 2, ready, round % 2 ? PATIENCE : 0);
            ck_assert(n > 0 || n == BROOD_EAGAIN);
        }
        ck_assert(ready[0]);
        brood_test_ok(brood_queue_get_value(queue, &x, 0));
        members_end(process, 0);
        brood_test_ok(brood_queue_free(queue));
    }
}
END_TEST

START_TEST(errors_are_ready)
{
    struct all a;
    int x;
    have_all(&a, members_methods[_i]);
    brood_test_ok(brood_queue_close(a.queue));
    only(&a, 1u << QUEUE);
    int late[2]; /* of which no child has a copy */
    ck_assert_int_eq(pipe2(late, O_CLOEXEC), 0);
    a.items[FD] = BROOD_WAIT_FD(late[0]);
    close(late[1]);
    only(&a, 1u << QUEUE | 1u << FD);
    close(late[0]);
    brood_pipe_end gone[2];
    brood_test_ok(brood_pipe_new(gone, NULL));
    brood_test_ok(brood_pipe_close(gone[1]));
    brood_waitable others[] = {BROOD_WAIT_PIPE(gone[0]),
                               BROOD_WAIT_PIPE(gone[1]),
                               BROOD_WAIT_QUEUE((brood_queue){77}),
                               BROOD_WAIT_PROCESS((brood_process){77}),
                               BROOD_WAIT_FUTURE(((brood_future){77, 1})),
                               BROOD_WAIT_MAP(((brood_map){77, 1})),
                               BROOD_WAIT_POOL((brood_pool){77}),
                               BROOD_WAIT_FD(-1),
                               BROOD_WAIT_FD(9999)};
    bool ready[9];
    ck_assert_int_eq(brood_wait(others, 9, ready, 0), 9);
    ck_assert_int_eq(brood_pipe_recv_value(gone[0], &x, 0), BROOD_ECLOSED);
    brood_test_ok(brood_pipe_close(gone[0]));
    members_kill(a.process);
    a.process.id = 0;
    give_all(&a);
}
END_TEST

START_TEST(refused)
{
    brood_waitable item = BROOD_WAIT_FD(0), nothing = {0}, strange = item;
    strange.kind = (brood_waitable_kind)77;
    ck_assert_int_eq(brood_wait(NULL, 0, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_wait(&item, 0, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_wait(&nothing, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_wait(&strange, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_wait(&item, 1, NULL, -2), BROOD_EINVAL);
    brood_waitset *set;
    uint64_t tag;
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_waitset_new(&set));
    ck_assert_int_eq(brood_waitset_add(set, nothing, 1), BROOD_EINVAL);
    ck_assert_int_eq(brood_waitset_add(set, strange, 1), BROOD_EINVAL);
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_FD(-1), 1), -EBADF);
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_FD(9999), 1), -EBADF);
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_QUEUE((brood_queue){77}), 1), BROOD_ESTALE);
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_PROCESS((brood_process){77}), 1), BROOD_ESTALE);
    ck_assert_int_eq(brood_waitset_add(NULL, BROOD_WAIT_QUEUE(queue), 1), BROOD_EINVAL);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_FD(file), 1), -EPERM);
    close(file);
    brood_test_ok(brood_waitset_add(set, BROOD_WAIT_QUEUE(queue), 1));
    ck_assert_int_eq(brood_waitset_add(set, BROOD_WAIT_QUEUE(queue), 2), BROOD_EINVAL);
    ck_assert_int_eq(brood_waitset_wait(set, &tag, 0, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_waitset_wait(set, &tag, 1, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_waitset_wait(set, &tag, 1, 0), BROOD_EAGAIN);
    brood_test_ok(brood_waitset_remove(set, BROOD_WAIT_QUEUE(queue)));
    ck_assert_int_eq(brood_waitset_remove(set, BROOD_WAIT_QUEUE(queue)), BROOD_EINVAL);
    members_late(brood_waitset_wait(set, &tag, 1, A_WHILE));
    brood_test_ok(brood_waitset_free(set));
    brood_test_ok(brood_waitset_free(NULL));
    brood_test_ok(brood_queue_free(queue));
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_wait(&item, 1, NULL, 0), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_waitset_new(&set), BROOD_ENOTMEMBER);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- while one waits */

struct waiter {
    brood_waitable items[2];
    _Atomic pid_t tid;
    bool ready[2];
    int result;
};
static void *wait_in_thread(void *arg)
{
    struct waiter *w = arg;
    atomic_store(&w->tid, (pid_t)syscall(SYS_gettid));
    w->result = brood_wait(w->items, 2, w->ready, PATIENCE);
    return arg;
}
static bool in_epoll(pid_t tid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && text[0] != 'r' && (atol(text) == SYS_epoll_wait || atol(text) == SYS_epoll_pwait);
}
static void thread_waits(_Atomic pid_t *tid)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (atomic_load(tid) && in_epoll(atomic_load(tid))) return;
        usleep(1000);
    }
    ck_abort_msg("a thread does not go to sleep");
}

/* Two threads over the same things: what another process does wakes both. */
START_TEST(is_woken)
{
    brood_event go;
    brood_queue queue, idle;
    brood_process p;
    int x;
    brood_test_ok(brood_event_new(&go));
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_queue_new(&idle, NULL));
    members_start(&p, members_methods[_i], put_after, &((put_after_args){queue, go}));
    struct waiter w[2] = {{.items = {BROOD_WAIT_QUEUE(idle), BROOD_WAIT_QUEUE(queue)}}};
    w[1] = w[0];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_in_thread, &w[i]), 0);
    for (int i = 0; i < 2; i++) thread_waits(&w[i].tid);
    brood_test_ok(brood_event_set(go));
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(w[i].result == 1 && !w[i].ready[0] && w[i].ready[1]);
    }
    brood_test_ok(brood_queue_get_value(queue, &x, 0));
    members_end(p, 0);
    /* and an end */
    brood_test_ok(brood_event_clear(go));
    brood_process sleeper;
    members_start(&sleeper, members_methods[_i], wait_for, &go);
    struct waiter end = {.items = {BROOD_WAIT_QUEUE(idle), BROOD_WAIT_PROCESS(sleeper)}};
    ck_assert_int_eq(pthread_create(&threads[0], NULL, wait_in_thread, &end), 0);
    thread_waits(&end.tid);
    brood_test_ok(brood_process_kill(sleeper));
    pthread_join(threads[0], NULL);
    ck_assert(end.result == 1 && !end.ready[0] && end.ready[1]);
    members_end(sleeper, -SIGKILL);
    brood_test_ok(brood_queue_free(queue));
    brood_test_ok(brood_queue_free(idle));
    brood_test_ok(brood_event_free(go));
}
END_TEST

/* The supervisor is dead: the next is there in a while, and who waits for an end learns of it. */
START_TEST(without_supervisor)
{
    brood_event go;
    brood_process p;
    brood_test_ok(brood_event_new(&go));
    members_start(&p, BROOD_START_SPAWN, wait_for, &go);
    struct waiter w = {.items = {BROOD_WAIT_PROCESS(p), BROOD_WAIT_FD(9998)}};
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    w.items[1] = BROOD_WAIT_FD(ends[0]);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
    thread_waits(&w.tid);
    ck_assert_int_eq(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL), 0);
    brood_test_ok(brood_process_kill(p));
    pthread_join(thread, NULL);
    ck_assert(w.result == 1 && w.ready[0] && !w.ready[1]);
    int code;
    brood_test_ok(brood_process_join(p, 0, &code));
    brood_test_ok(brood_process_free(p));
    brood_test_ok(brood_event_free(go));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* Queues of every kind; what is ready is there to be taken. */
START_TEST(kinds_of_queues)
{
    static const brood_queue_options options[] = {{.capacity = 256},
                                                  {.grows_to = BROOD_UNBOUNDED},
                                                  {.joinable = 1},
                                                  {.priorities = 3},
                                                  {.joinable = 1, .priorities = 2, .max_items = 2}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        brood_queue queue;
        int x = 0;
        brood_test_ok(brood_queue_new(&queue, &options[i]));
        brood_waitable item = BROOD_WAIT_QUEUE(queue);
        for (int turn = 0; turn < 3; turn++) {
            ck_assert_int_eq(brood_wait(&item, 1, NULL, 0), BROOD_EAGAIN);
            ck_assert_int_eq(brood_wait(&item, 1, NULL, 2), BROOD_ETIMEDOUT);
            if (options[i].priorities)
                brood_test_ok(brood_queue_put_priority(queue, &turn, sizeof turn, 1, 0));
            else
                brood_test_ok(brood_queue_put_value(queue, &turn, 0));
            for (int again = 0; again < 3; again++) ck_assert_int_eq(brood_wait(&item, 1, NULL, A_WHILE), 1);
            brood_test_ok(brood_queue_get_value(queue, &x, 0));
            ck_assert_int_eq(x, turn);
            if (options[i].joinable) brood_test_ok(brood_queue_task_done(queue));
        }
        if (options[i].joinable) brood_test_ok(brood_queue_join(queue, 0));
        brood_test_ok(brood_queue_free(queue));
    }
}
END_TEST

/* A program's own descriptor of the queue stays as it was: what one waits for here does not take its rings. */
START_TEST(beside_a_loop)
{
    brood_queue queue;
    int x;
    brood_test_ok(brood_queue_new(&queue, NULL));
    int fd = brood_queue_fd(queue);
    brood_test_ok(fd);
    struct pollfd loop = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(brood_queue_get_value(queue, &x, 0), BROOD_EAGAIN);
    ck_assert_int_eq(poll(&loop, 1, 0), 0);
    brood_test_ok(brood_queue_put_value(queue, &(int){1}, 0));
    brood_waitable item = BROOD_WAIT_QUEUE(queue);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(brood_wait(&item, 1, NULL, A_WHILE), 1);
    ck_assert_int_eq(poll(&loop, 1, 0), 1);
    brood_test_ok(brood_queue_get_value(queue, &x, 0));
    ck_assert_int_eq(brood_wait(&item, 1, NULL, A_WHILE), BROOD_ETIMEDOUT);
    brood_test_ok(brood_queue_put_value(queue, &(int){2}, 0));
    ck_assert_int_eq(poll(&loop, 1, 0), 1);
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- sets */

static uint64_t told(brood_waitset *set, int timeout)
{
    uint64_t tags[16], bits = 0;
    int n = brood_waitset_wait(set, tags, 16, timeout);
    ck_assert(n > 0 || n == BROOD_EAGAIN || n == BROOD_ETIMEDOUT);
    for (int i = 0; i < n; i++) {
        ck_assert(!(bits >> tags[i] & 1));
        bits |= UINT64_C(1) << tags[i];
    }
    return bits;
}

START_TEST(set_of_all)
{
    struct all a;
    brood_waitset *set;
    int x;
    have_all(&a, members_methods[_i]);
    brood_test_ok(brood_waitset_new(&set));
    for (unsigned i = 0; i < KINDS; i++) brood_test_ok(brood_waitset_add(set, a.items[i], i));
    struct pollfd loop = {.fd = brood_waitset_fd(set), .events = POLLIN};
    ck_assert_uint_eq(told(set, 0), 0);
    ck_assert_uint_eq(told(set, A_WHILE), 0);
    ck_assert_int_eq(poll(&loop, 1, 0), 0);
    ck_assert_int_eq(write(a.fd[1], "x", 1), 1);
    brood_test_ok(brood_queue_put_value(a.queue, &(int){1}, 0));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(poll(&loop, 1, PATIENCE), 1);
        ck_assert_uint_eq(told(set, 0), 1u << FD | 1u << QUEUE);
    }
    brood_test_ok(brood_queue_get_value(a.queue, &x, 0));
    ck_assert_uint_eq(told(set, 0), 1u << FD);
    brood_test_ok(brood_waitset_remove(set, a.items[FD]));
    ck_assert_uint_eq(told(set, 0), 0);
    ck_assert_int_eq(poll(&loop, 1, 0), 0);
    brood_test_ok(brood_pipe_send_value(a.ends[1], &(int){2}, 0));
    ck_assert_uint_eq(told(set, PATIENCE), 1u << PIPE);
    brood_test_ok(brood_event_set(a.go));
    uint64_t wanted = 1u << PIPE | 1u << FUTURE | 1u << MAP | 1u << PROCESS, seen = 0;
    for (int i = 0; i < PATIENCE && (seen = told(set, PATIENCE)) != wanted; i++) usleep(1000);
    ck_assert_uint_eq(seen, wanted);
    ck_assert_int_eq(poll(&loop, 1, 0), 1);
    brood_test_ok(brood_waitset_add(set, a.items[FD], FD)); /* what is ready when it is added is told */
    ck_assert_uint_eq(told(set, 0), wanted | 1u << FD);
    brood_test_ok(brood_waitset_free(set));
    brood_test_ok(brood_map_wait(a.map, 0, NULL));
    give_all(&a);
}
END_TEST

/* More items than room: all come in turn. */
START_TEST(set_of_many)
{
    enum { MANY = 150 };
    static brood_queue queues[MANY];
    bool seen[MANY] = {false};
    brood_waitset *set;
    uint64_t tags[7];
    int x, left = MANY;
    brood_test_ok(brood_waitset_new(&set));
    for (int i = 0; i < MANY; i++) {
        brood_test_ok(brood_queue_new(&queues[i], &(brood_queue_options){.capacity = 1024}));
        brood_test_ok(brood_waitset_add(set, BROOD_WAIT_QUEUE(queues[i]), (uint64_t)i));
        if (i % 2) brood_test_ok(brood_queue_put_value(queues[i], &i, 0));
    }
    for (int i = 0; i < MANY; i += 2) brood_test_ok(brood_queue_put_value(queues[i], &i, 0));
    while (left > 0) {
        int n = brood_waitset_wait(set, tags, 7, A_WHILE);
        ck_assert_int_ge(n, 1);
        for (int i = 0; i < n; i++) {
            ck_assert(!seen[tags[i]]);
            brood_test_ok(brood_queue_get_value(queues[tags[i]], &x, 0));
            ck_assert_int_eq(x, (int)tags[i]);
            seen[tags[i]] = true;
            left--;
        }
    }
    ck_assert_int_eq(brood_waitset_wait(set, tags, 7, 0), BROOD_EAGAIN);
    brood_test_ok(brood_waitset_free(set));
    for (int i = 0; i < MANY; i++) brood_test_ok(brood_queue_free(queues[i]));
}
END_TEST

/* A child by fork has a copy that is of no use, and does not spoil the parent's. */
static brood_waitset *inherited;
BROOD_TASK(free_copy, int, int, x)
{
    uint64_t tag;
    MUST(brood_waitset_wait(inherited, &tag, 1, 0) == BROOD_EINVAL);
    MUST(brood_waitset_fd(inherited) == BROOD_EINVAL);
    MUST(brood_waitset_free(inherited) == 0);
    return x;
}

START_TEST(set_in_a_fork)
{
    brood_queue queue;
    brood_process p;
    brood_test_ok(brood_queue_new(&queue, NULL));
    brood_test_ok(brood_waitset_new(&inherited));
    brood_test_ok(brood_waitset_add(inherited, BROOD_WAIT_QUEUE(queue), 5));
    members_start(&p, BROOD_START_FORK, free_copy, &(int){4});
    members_end(p, 4);
    ck_assert_uint_eq(told(inherited, 0), 0);
    brood_test_ok(brood_queue_put_value(queue, &(int){1}, 0));
    ck_assert_uint_eq(told(inherited, 0), 1u << 5);
    brood_test_ok(brood_waitset_free(inherited));
    brood_test_ok(brood_queue_free(queue));
}
END_TEST

/* A connection's descriptor, as any other. */
START_TEST(strangers)
{
    int ends[2];
    brood_connection c;
    char text[8];
    size_t size;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    brood_test_ok(brood_connection_from_fd(&c, ends[0], NULL));
    brood_waitable item = BROOD_WAIT_CONNECTION(c);
    ck_assert_int_eq(brood_wait(&item, 1, NULL, 0), BROOD_EAGAIN);
    ck_assert_int_eq(write(ends[1], "\0\0\0\2hi", 6), 6);
    ck_assert_int_eq(brood_wait(&item, 1, NULL, A_WHILE), 1);
    brood_test_ok(brood_connection_recv(c, text, sizeof text, &size, 0));
    ck_assert_uint_eq(size, 2);
    ck_assert_int_eq(brood_wait(&item, 1, NULL, 0), BROOD_EAGAIN);
    close(ends[1]);
    ck_assert_int_eq(brood_wait(&item, 1, NULL, A_WHILE), 1);
    brood_test_ok(brood_connection_free(c));
}
END_TEST

static Suite *wait_suite(void)
{
    Suite *suite = suite_create("wait");
    TCase *items = brood_test_case(suite, "items");
    tcase_add_loop_test(items, none_is_ready, 0, MEMBERS_METHODS);
    tcase_add_loop_test(items, each_is_ready, 0, MEMBERS_METHODS);
    tcase_add_test(items, an_end_comes_last);
    tcase_add_loop_test(items, errors_are_ready, 0, MEMBERS_METHODS);
    tcase_add_test(items, refused);
    tcase_add_loop_test(items, is_woken, 0, MEMBERS_METHODS);
    tcase_add_test(items, without_supervisor);
    tcase_add_test(items, kinds_of_queues);
    tcase_add_test(items, beside_a_loop);
    tcase_add_test(items, strangers);
    TCase *sets = brood_test_case(suite, "sets");
    tcase_add_loop_test(sets, set_of_all, 0, MEMBERS_METHODS);
    tcase_add_test(sets, set_of_many);
    tcase_add_test(sets, set_in_a_fork);
    return suite;
}

BROOD_TEST_MAIN(wait_suite)
