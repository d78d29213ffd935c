/* SPDX-License-Identifier: MIT */
/*
 * join.c - what can be asked of, and done to, a process that was started.  Thread-safe; not async-signal-safe, but for
 * the questions that only read (exit_code, is_alive, pid).
 */
#include "arena/member.h"
#include "process/family.h"
#include "process/supervisor.h"
#include "sync/wait.h"

#include <brood/process.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------ sentinels */

struct sentinel {
    struct sentinel *next;
    uint64_t id;
    int fd;
};
static struct sentinel *sentinels;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void close_sentinel(uint64_t id)
{
    pthread_mutex_lock(&mutex);
    for (struct sentinel **p = &sentinels; *p; p = &(*p)->next) {
        if ((*p)->id != id) continue;
        struct sentinel *s = *p;
        *p = s->next;
        brood__os_close(&s->fd);
        free(s);
        break;
    }
    pthread_mutex_unlock(&mutex);
}

void brood__sentinel_close_all(bool forget)
{
    if (forget) mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    while (sentinels) {
        struct sentinel *s = sentinels;
        sentinels = s->next;
        brood__os_close(&s->fd);
        free(s);
    }
}

static int look_for(brood_process process, struct member_shm **m)
{
    *m = brood__member_find(process.id);
    /* Given back, and the supervisor is not through with it yet. */
    if (*m && atomic_load(&(*m)->gone) && atomic_load(&(*m)->released)) *m = NULL;
    return *m ? 0 : BROOD_ESTALE;
}

static int find(brood_process process, struct member_shm **m)
{
    int error = brood__enter();
    return error < 0 ? error : look_for(process, m);
}

static int open_process(const struct member_shm *m, int *pidfd)
{
    struct os_process target = {m->pid, m->started};
    return brood__os_process_open(&target, pidfd);
}

/* A descriptor that is readable from the start: a channel whose other end is closed. */
static int ended_descriptor(int *fd)
{
    int ends[2];
    int error = brood__os_stream_pair(ends);
    if (error < 0) return error;
    brood__os_close(&ends[1]);
    *fd = ends[0];
    return 0;
}

int brood_process_sentinel(brood_process process)
{
    struct member_shm *m;
    int error = find(process, &m);
    if (error < 0) return error;
    pthread_mutex_lock(&mutex);
    struct sentinel *s = sentinels;
    while (s && s->id != process.id) s = s->next;
    if (!s) {
        s = malloc(sizeof *s);
        error = s ? open_process(m, &s->fd) : BROOD_ENOMEM;
        if (error == -ESRCH) error = ended_descriptor(&s->fd);
        if (error < 0) {
            free(s);
            pthread_mutex_unlock(&mutex);
            return error;
        }
        s->id = process.id;
        s->next = sentinels;
        sentinels = s;
    }
    pthread_mutex_unlock(&mutex);
    return s->fd;
}

/* ------------------------------------------------------------------------------------------------------ how it ends */

/* A child that this process forked: its status can be had here only.  Others' is written by the supervisor. */
static void reap(uint32_t index, struct member_shm *m)
{
    int pidfd, value = 0;
    if (m->method != BROOD_START_FORK || m->role == ROLE_WORKER || m->parent != brood__self->id) return;
    int error = open_process(m, &pidfd);
    if (error == -ESRCH) return;
    /* Without a descriptor by its number, which is its own until it is reaped: by nobody else, in all likelihood. */
    enum os_exit exit = error < 0 ? brood__os_child_end(m->pid, &value, NULL) : brood__os_process_exit(pidfd, &value);
    for (int tries = 0; exit == OS_EXIT_RUNNING && tries < 100; tries++) { /* a debugger's: it gets to know first */
        brood__os_nap(100 * 1000);
        exit = error < 0 ? brood__os_child_end(m->pid, &value, NULL) : brood__os_process_exit(pidfd, &value);
    }
    if (exit == OS_EXIT_STATUS) brood__member_ended(index, ENDED_STATUS, value);
    if (exit == OS_EXIT_SIGNAL) brood__member_ended(index, ENDED_SIGNAL, value);
    brood__os_close(&pidfd);
}

void brood__reap_children(void)
{
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        if (SLOT_STATE(atomic_load(&m->slot.word)) == SLOT_LIVE && atomic_load(&m->gone)) reap(i, m);
    }
}

static int exit_code(brood_process process, struct member_shm *m)
{
    if (!atomic_load_explicit(&m->gone, memory_order_acquire)) return BROOD_EXIT_RUNNING;
    reap(HANDLE_INDEX(process.id), m);
    uint32_t ended = atomic_load_explicit(&m->ended, memory_order_acquire);
    if (!brood__slot_is(&m->slot, process.id)) return BROOD_ESTALE;
    if (!(ended & ENDED)) return BROOD_EXIT_UNKNOWN;
    int value = (int)(ended & 0xffff);
    return ENDED_KIND(ended) == ENDED_SIGNAL ? -value : value;
}

int brood_process_exit_code(brood_process process)
{
    struct member_shm *m;
    int error = find(process, &m);
    return error < 0 ? error : exit_code(process, m);
}

int brood_process_is_alive(brood_process process)
{
    int code = brood_process_exit_code(process);
    return code == BROOD_EXIT_RUNNING ? 1 : code < -64 ? code : 0; /* 64 is the last signal */
}

int brood_process_join(brood_process process, int timeout, int *code)
{
    struct member_shm *m = NULL;
    int result = brood__enter_for(timeout);
    if (result == 0) result = look_for(process, &m);
    if (result < 0 || !m) return result;
    if (process.id == brood__self->id) return BROOD_EDEADLK;
    int64_t deadline = brood__os_deadline(timeout);
    void *announced = brood__os_announce(&m->bell);
    bool late = timeout == 0;
    for (unsigned n = 0;;) {
        /* armed first, then the look: pairs with the supervisor's `gone` first, then the exchange. */
        if (!late && n >= SPIN_BEFORE_SLEEP) atomic_exchange(&m->bell.word, OS_WAITERS);
        if (!brood__slot_is(&m->slot, process.id)) {
            result = BROOD_ESTALE;
            break;
        }
        if (atomic_load(&m->gone)) break;
        if (late) {
            brood__look_up();
            result = brood__not_now(timeout);
            break;
        }
        if (n < SPIN_BEFORE_SLEEP)
            brood__relax(n++);
        else
            late = brood__sleep(&m->bell.word, OS_WAITERS, deadline, process.id) < 0;
    }
    /* Other joiners may have lost their wake-up with one that died: whoever was woken wakes the rest. */
    if (result == 0 && atomic_load(&m->bell.word)) brood__os_futex_clear_and_wake(&m->bell.word);
    brood__os_announce_again(announced);
    if (result < 0) return result;
    int ended = exit_code(process, m);
    if (code) *code = ended;
    return ended == BROOD_ESTALE ? BROOD_ESTALE : 0;
}

static int send_to(const struct member_shm *m, int signal)
{
    int pidfd;
    int error = open_process(m, &pidfd);
    if (error == -ESRCH) return 0;
    if (error < 0) return error;
    error = brood__os_process_signal(pidfd, signal);
    brood__os_close(&pidfd);
    return error == -ESRCH ? 0 : error;
}

static int send_signal(brood_process process, int signal)
{
    struct member_shm *m;
    int error = find(process, &m);
    return error < 0 || atomic_load(&m->gone) ? error : send_to(m, signal);
}

int brood_process_terminate(brood_process process)
{
    return send_signal(process, SIGTERM);
}

int brood_process_kill(brood_process process)
{
    return send_signal(process, SIGKILL);
}

int brood_process_signal(brood_process process, int signal)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (signal < 1 || signal > SIGRTMAX) return brood__fail_numbers(BROOD_EINVAL, "no signal is %lld", signal, 0);
    return send_signal(process, signal);
}

int brood_process_free(brood_process process)
{
    struct member_shm *m;
    int error = find(process, &m);
    if (error == BROOD_ESTALE) close_sentinel(process.id); /* another member gave it back: ours is of no use */
    if (error < 0) return error;
    if (!atomic_load(&m->gone)) return BROOD_EAGAIN;
    reap(HANDLE_INDEX(process.id), m);
    if (atomic_exchange(&m->released, 1)) return BROOD_ESTALE;
    close_sentinel(process.id);
    brood__member_collect(HANDLE_INDEX(process.id));
    return 0;
}

bool brood__process_discard(uint32_t member)
{
    struct member_shm *m = brood__member_at(member);
    uint64_t word = atomic_load(&m->slot.word), garbage = SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0);
    if (SLOT_STATE(word) == SLOT_INIT && atomic_compare_exchange_strong(&m->slot.word, &word, garbage)) return true;
    if (SLOT_STATE(word) != SLOT_LIVE) return true;
    /* It came up all the same. */
    if (!atomic_load(&m->gone)) send_to(m, SIGKILL);
    brood__member_abandon(member);
    return false;
}

/* ---------------------------------------------------------------------------------------------------------- looks */

pid_t brood_process_pid(brood_process process)
{
    struct member_shm *m;
    int error = find(process, &m);
    return error < 0 ? error : m->pid;
}

int brood_process_name(brood_process process, char *name, size_t capacity)
{
    struct member_shm *m;
    int error = find(process, &m);
    if (error < 0) return error;
    if (!name || capacity == 0) return BROOD_EINVAL;
    strncpy(name, m->name, capacity - 1);
    name[capacity - 1] = 0;
    return 0;
}

int brood_process_is_daemon(brood_process process)
{
    struct member_shm *m;
    int error = find(process, &m);
    return error < 0 ? error : m->daemon != 0;
}

brood_process brood_process_current(void)
{
    return (brood_process){brood__enter() < 0 ? 0 : brood__self->id};
}

brood_process brood_process_parent(void)
{
    return (brood_process){brood__enter() < 0 ? 0 : brood__me()->parent};
}

int brood_process_active_children(brood_process *children, size_t capacity)
{
    int error = brood__enter();
    if (error < 0) return error;
    brood__reap_children();
    int count = 0;
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        uint64_t word = atomic_load(&m->slot.word);
        if (SLOT_STATE(word) != SLOT_LIVE || m->parent != brood__self->id || atomic_load(&m->gone)) continue;
        if (m->role != ROLE_PROCESS) continue;
        if ((size_t)count < capacity) children[count] = (brood_process){HANDLE(TABLE_MEMBER, i, SLOT_GENERATION(word))};
        count++;
    }
    return count;
}
