/* SPDX-License-Identifier: MIT */
/*
 * members.h - what tests of shared objects have in common: children under every start method, waiting until one of them
 * sleeps, handles that nobody made.
 *
 * A task of a child can't fail by Check's words: it says MUST, and members_end sees its exit code.
 */
#ifndef BROOD_TEST_MEMBERS_H
#define BROOD_TEST_MEMBERS_H

#include "arena/member.h"
#include "brood_test.h"

#include <brood/event.h>
#include <brood/lock.h>
#include <brood/process.h>
#include <brood/queue.h>
#include <brood/semaphore.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds after which what has to come is taken for lost; no test waits that long if all is well. */
#define PATIENCE 15000
/* Milliseconds of a wait that is meant to end without what it waits for. */
#define A_WHILE 20
/*
 * More than the slots of a table before it grows: so many objects made one after the other take every slot that is free
 * or only waits to be taken apart, wherever the search begins.
 */
#define A_TABLE 2048
/* Handles that nobody made, in each test of them. */
#define FORGERIES 4000

static const brood_start_method members_methods[] = {BROOD_START_FORK, BROOD_START_SPAWN, BROOD_START_FORKSERVER};
#define MEMBERS_METHODS 3

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold in process %d\n", __FILE__, __LINE__, #condition, (int)getpid()); \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* The task in a new process; args may be NULL. */
#define members_start(process, start_method, task, args) \
    brood_test_ok(brood_process_start(process, (&(brood_process_options){.method = (start_method)}), task, args))

/* It ends by itself, with this code. */
static inline void members_end(brood_process process, int expected)
{
    int code = 0;
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, expected);
    brood_test_ok(brood_process_free(process));
}

/* The repairs after the death of this index are done: from then on nothing in the arena names it. */
static inline void members_repaired(uint32_t index)
{
    for (int i = 0; i < PATIENCE && !atomic_load(&brood__member_at(index)->repaired); i++) usleep(1000);
    ck_assert(atomic_load(&brood__member_at(index)->repaired));
}

/* It is killed, and what it held is repaired. */
static inline void members_kill(brood_process process)
{
    int code = 0;
    brood_test_ok(brood_process_kill(process));
    brood_test_ok(brood_process_join(process, PATIENCE, &code));
    ck_assert_int_eq(code, -SIGKILL);
    members_repaired(HANDLE_INDEX(process.id));
    brood_test_ok(brood_process_free(process));
}

/* Whether a thread of a process is in futex(2) and asleep there. */
static inline bool members_in_futex(pid_t pid, pid_t tid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && text[0] != 'r' && (atol(text) == SYS_futex || atol(text) == SYS_futex_waitv);
}

/* Wait until a process with one thread has gone to sleep over this object. */
static inline void members_asleep(brood_process process, uint64_t object)
{
    struct member_shm *m = brood__member_find(process.id);
    ck_assert_ptr_nonnull(m);
    for (int i = 0; i < PATIENCE; i++) {
        if (atomic_load(&m->waits_for) == object && members_in_futex(m->pid, m->pid) &&
            atomic_load(&m->waits_for) == object)
            return;
        ck_assert_int_eq(brood_process_is_alive(process), 1);
        usleep(1000);
    }
    ck_abort_msg("process %d does not go to sleep", (int)m->pid);
}

/* The same of a thread of this process, by its id, which it stores when it runs. */
static inline void members_thread_asleep(_Atomic pid_t *tid)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (atomic_load(tid) && members_in_futex(getpid(), atomic_load(tid))) return;
        usleep(1000);
    }
    ck_abort_msg("a thread does not go to sleep");
}

/* Bytes that all members can see: a buffer of the caller's, of zeroes. */
static inline brood_buffer members_shared(size_t size)
{
    brood_buffer buffer;
    void *data;
    brood_test_ok(brood_buffer_new(&buffer, size, &data));
    memset(data, 0, size);
    return buffer;
}

/* xorshift64*: the same in every run. */
static inline uint64_t members_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/*
 * The i-th handle that nobody made: random bits, or the right type with an index and a generation that may be in use
 * but are not together; never one of a live object, as long as the test has made fewer than 1000 generations.
 */
static inline uint64_t members_forged(enum table table, int i, uint64_t *state)
{
    uint64_t r = members_random(state);
    switch (i % 5) {
    case 0: return r;
    case 1: return HANDLE(table, r & 0xffffff, 1000 + (r >> 32));
    case 2: return HANDLE(table, r % 16, 1000 + (r >> 48));
    case 3: return HANDLE(r % 256 == table ? 0 : r % 256, r >> 8 & 15, r >> 40 & 3);
    default: return HANDLE(table, 0xffffff - (r & 0xff), r >> 40 & 3);
    }
}

/* A living object of each type that a test may take for another; the caller's, as its process is. */
#define MEMBERS_TYPES 6
static inline void members_one_of_each(uint64_t ids[MEMBERS_TYPES])
{
    brood_lock lock;
    brood_semaphore semaphore;
    brood_event event;
    brood_queue queue;
    brood_test_ok(brood_lock_new(&lock));
    brood_test_ok(brood_semaphore_new(&semaphore, 1, NULL));
    brood_test_ok(brood_event_new(&event));
    brood_test_ok(brood_queue_new(&queue, NULL));
    ids[0] = lock.id;
    ids[1] = semaphore.id;
    ids[2] = event.id;
    ids[3] = queue.id;
    ids[4] = members_shared(8).id;
    ids[5] = brood_process_current().id;
}

static inline long long members_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* A timed wait that has to end without what it waits for, not before its time. */
#define members_late(call)                                                \
    do {                                                                  \
        long long members_before = members_now_ms();                      \
        ck_assert_int_eq(call, BROOD_ETIMEDOUT);                          \
        ck_assert_int_ge(members_now_ms(), members_before + A_WHILE - 1); \
    } while (0)

/* A signal handler that runs every `us` microseconds of real time, until members_quiet. */
static inline void members_alarm(void (*handler)(int), int us)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval every = {{0, us}, {0, us}};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}
static inline void members_quiet(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    signal(SIGALRM, SIG_IGN);
}

#endif
