/* SPDX-License-Identifier: MIT */
/*
 * watch.c - the members that the supervisor watches, and what is done when one ends: its status goes to the process table,
 * what it held is repaired, who waits for it is woken, its daemons are killed.  A repair that could not have all it needed
 * is tried again; so is a kill, and the watch of a member for which there was no descriptor.
 */
#include "process/office.h"

#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"
#include "process/repair.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct watched *brood__watched;
uint32_t brood__watched_count;
uint32_t brood__watch_deaths;
static bool unwatched; /* some members, for want of descriptors */

bool brood__watch_room(uint32_t index)
{
    if (index < brood__watched_count) return true;
    uint32_t count = index + 64;
    struct watched *more = realloc(brood__watched, count * sizeof *more);
    if (!more) return false;
    for (uint32_t i = brood__watched_count; i < count; i++) more[i] = (struct watched){.pidfd = -1, .report = -1};
    brood__watched = more;
    brood__watched_count = count;
    return true;
}

static int open_process(const struct os_process *process, int *pidfd)
{
    int error = brood__os_process_open(process, pidfd);
    if (!brood__is_scarce(error)) return error;
    brood__spares_drop();
    return brood__os_process_open(process, pidfd);
}

static bool some_again; /* of brood__watched[].again */

void brood__supervisor_retry(uint32_t index, uint32_t generation)
{
    if (index >= brood__watched_count || !brood__watched[index].ended || brood__watched[index].generation != generation)
        return;
    brood__watched[index].again = some_again = true;
}

/* ------------------------------------------------------------------------------------------------ ends and repairs */

static void wake_joiners(struct member_shm *m)
{
    void *announced = brood__os_announce(&m->bell);
    if (atomic_load(&m->bell.word)) brood__os_futex_clear_and_wake(&m->bell.word);
    brood__os_announce_again(announced);
}

static void end_daemons_of(uint64_t parent)
{
    for (uint32_t i = 1; i < brood__member_count(); i++) {
        struct member_shm *m = brood__member_at(i);
        if (SLOT_STATE(atomic_load(&m->slot.word)) == SLOT_LIVE && m->parent == parent && m->daemon)
            brood__supervisor_kill(i);
    }
}

static void finish(uint32_t index)
{
    struct member_shm *m = brood__member_at(index);
    brood__office_hear(); /* what the dead have asked: it may bring what is told of them */
    if (!brood__repair_member(index)) {
        brood__retry_soon();
        return;
    }
    brood__watched[index].ended = false;
    uint64_t word = atomic_load(&m->slot.word);
    uint64_t id = HANDLE(TABLE_MEMBER, index, SLOT_GENERATION(word));
    bool first = id == brood__arena()->first_member;
    end_daemons_of(id);
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->ended) (*area)->ended(index);
    atomic_store(&m->repaired, 1);
    brood__member_collect(index);
    if (first) brood__office_end();
}

/*
 * A child of the supervisor before us, or of a server: whoever has it reaps it soon, and then the pidfd knows; a server
 * says it in the process table too.
 */
static enum os_exit ask_again(struct member_shm *m, int pidfd, int *value)
{
    enum os_exit exit = OS_EXIT_UNKNOWN;
    for (int i = 0; i < 40 && exit == OS_EXIT_UNKNOWN; i++) {
        brood__os_nap(500 * 1000);
        if (m->program && atomic_load(&m->ended) & ENDED && ENDED_KIND(atomic_load(&m->ended)) != ENDED_SAID) break;
        exit = brood__os_process_exit(pidfd, value);
    }
    return exit;
}

/*
 * A process has ended that never became a member.  Who asked for it sees that by the channel; a pool's worker by fork
 * has none.
 */
static void never_was(uint32_t index, uint64_t word, bool failed)
{
    struct member_shm *m = brood__member_at(index);
    bool forked = m->role == ROLE_WORKER && m->method == BROOD_START_FORK;
    uint64_t garbage = SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0);
    if (failed && brood__watched[index].unreported) brood__launch_tell(index, BROOD_ENOINIT);
    if (failed && forked) brood__launch_tell(index, brood__fail_with(BROOD_ESTART, "a worker ended before it was one"));
    brood__watched[index].unreported = false;
    if (SLOT_OWNER(word) == OWNER_SUPERVISOR) atomic_compare_exchange_strong(&m->slot.word, &word, garbage);
}

/* What is known of it by now: of one that its parent or its template reaps that is not much. */
static void log_end(struct member_shm *m)
{
    uint32_t how = atomic_load(&m->ended);
    int value = (int)(how & 0xffff);
    if (!(how & ENDED))
        brood__log(BROOD_LOG_INFO, "%.31s (pid %d) has ended", m->name, (int)m->pid);
    else if (ENDED_KIND(how) == ENDED_SIGNAL)
        brood__log(BROOD_LOG_INFO, "%.31s (pid %d) was ended by signal %d (%s)", m->name, (int)m->pid, value,
                   strsignal(value));
    else
        brood__log(BROOD_LOG_INFO, "%.31s (pid %d) has ended with exit code %d", m->name, (int)m->pid, value);
}

/* The process behind a watched slot has ended. */
void brood__watch_ended(uint32_t index)
{
    struct watched *w = &brood__watched[index];
    struct member_shm *m = brood__member_at(index);
    int value = 0;
    struct os_usage usage;
    enum os_exit exit = brood__os_process_end(w->pidfd, &value, &usage);
    if (exit == OS_EXIT_RUNNING) return;
    if (exit == OS_EXIT_UNKNOWN && (m->program || (m->role == ROLE_WORKER && m->method != BROOD_START_FORK)))
        exit = ask_again(m, w->pidfd, &value);
    brood__os_poller_remove(brood__office_poller, w->pidfd);
    brood__os_close(&w->pidfd);
    uint64_t word = atomic_load(&m->slot.word);
    if (SLOT_GENERATION(word) != w->generation) return;
    if (w->report >= 0) brood__launch_report(index);                                /* its last words */
    bool killed = exit == OS_EXIT_SIGNAL && (value == SIGKILL || value == SIGTERM); /* by a stranger: not its fault */
    if (SLOT_STATE(word) != SLOT_LIVE) { /* garbage: it was given up; who claims the slot is not to be repaired after */
        never_was(index, word, !killed && SLOT_STATE(word) == SLOT_INIT);
        return;
    }
    w->unreported = false;
    if (usage.max_rss) m->usage = usage;
    if (exit == OS_EXIT_STATUS) brood__member_ended(index, ENDED_STATUS, value);
    if (exit == OS_EXIT_SIGNAL) brood__member_ended(index, ENDED_SIGNAL, value);
    atomic_store(&m->gone, 1);
    wake_joiners(m);
    log_end(m);
    w->ended = true;
    brood__watch_deaths++;
    finish(index);
}

/* What was waited for. */
void brood__watch_retry_asked(void)
{
    if (!some_again) return;
    some_again = false;
    for (uint32_t i = 1; i < brood__watched_count; i++) {
        if (!brood__watched[i].again) continue;
        brood__watched[i].again = false;
        if (brood__watched[i].ended) finish(i);
    }
}

void brood__watch_retry_all(void)
{
    for (uint32_t i = 1; i < brood__watched_count; i++) {
        if (brood__watched[i].doomed) brood__supervisor_kill(i);
        if (brood__watched[i].ended) finish(i);
    }
    if (unwatched) brood__watch_wanted();
}

/* --------------------------------------------------------------------------------------------------------- watching */

/* End a process that was started for nobody, and reap it; its slot is another's now. */
static void end_stray(struct watched *w)
{
    brood__os_process_signal(w->pidfd, SIGKILL);
    if (brood__os_poller_add(brood__office_poller, w->pidfd, TAG(TAG_STRAY, w->pidfd)) < 0) {
        brood__os_wait_readable(w->pidfd, brood__os_deadline(100));
        brood__os_process_exit(w->pidfd, &(int){0});
        brood__os_close(&w->pidfd);
    }
    w->pidfd = -1;
    brood__launch_forget(w);
    w->unreported = false;
}

void brood__watch_stray_ended(int pidfd)
{
    int value;
    if (brood__os_process_exit(pidfd, &value) == OS_EXIT_RUNNING) return;
    brood__os_poller_remove(brood__office_poller, pidfd);
    brood__os_close(&pidfd);
}

int brood__supervisor_watch_pid(uint32_t index, const struct os_process *process)
{
    if (!brood__watch_room(index)) return -ENOMEM;
    struct watched *w = &brood__watched[index];
    struct member_shm *m = brood__member_at(index);
    uint32_t generation = SLOT_GENERATION(atomic_load(&m->slot.word));
    if (w->pidfd >= 0 && w->generation == generation) return 0;
    if (w->pidfd >= 0) end_stray(w); /* of a start that was given up */
    w->generation = generation;
    w->wanted = 0;
    w->doomed = false;
    int error = open_process(process, &w->pidfd);
    if (error >= 0) error = brood__os_poller_add(brood__office_poller, w->pidfd, TAG(TAG_MEMBER, index));
    uint64_t word = atomic_load(&m->slot.word);
    if (error == -ESRCH && SLOT_STATE(word) == SLOT_LIVE) { /* gone already, and reaped */
        atomic_store(&m->gone, 1);
        wake_joiners(m);
        w->ended = true;
        finish(index);
    } else if (error == -ESRCH && SLOT_STATE(word) == SLOT_INIT) {
        never_was(index, word, true);
    } else if (error < 0) {
        brood__os_close(&w->pidfd);
        w->wanted = process->pid;
        unwatched = true;
        brood__retry_soon();
    }
    return error;
}

/* A daemon whose parent was gone before it was watched. */
static bool is_late_daemon(const struct member_shm *m)
{
    const struct member_shm *parent = m->daemon ? brood__member_find(m->parent) : NULL;
    return m->daemon && (!parent || atomic_load(&((struct member_shm *)(uintptr_t)parent)->gone));
}

void brood__supervisor_watch(uint32_t index)
{
    struct member_shm *m = brood__member_at(index);
    if (index == 0 || index >= brood__member_count()) return;
    if (SLOT_STATE(atomic_load(&m->slot.word)) != SLOT_LIVE || atomic_load(&m->repaired)) return;
    if (!brood__watch_room(index) || brood__watched[index].ended) return;
    struct os_process process = {m->pid, m->started};
    brood__supervisor_watch_pid(index, &process);
    if (is_late_daemon(m)) brood__supervisor_kill(index);
}

void brood__watch_all(void)
{
    unwatched = false;
    for (uint32_t i = 1; i < brood__member_count(); i++) brood__supervisor_watch(i);
}

void brood__watch_wanted(void)
{
    brood__watch_all();
    for (uint32_t i = 1; i < brood__watched_count; i++) {
        struct os_process process = {brood__watched[i].wanted, 0};
        uint64_t word = atomic_load(&brood__member_at(i)->slot.word);
        brood__watched[i].wanted = 0;
        if (process.pid == 0 || brood__watched[i].pidfd >= 0 || SLOT_GENERATION(word) != brood__watched[i].generation)
            continue;
        if (SLOT_STATE(word) == SLOT_INIT || SLOT_STATE(word) == SLOT_LIVE) brood__supervisor_watch_pid(i, &process);
    }
}

void brood__supervisor_signal(uint32_t index, int signal)
{
    if (index < brood__watched_count && brood__watched[index].pidfd >= 0)
        brood__os_process_signal(brood__watched[index].pidfd, signal);
}

void brood__supervisor_kill(uint32_t index)
{
    if (index >= brood__watched_count || brood__watched[index].pidfd < 0) return;
    int error = brood__os_process_signal(brood__watched[index].pidfd, SIGKILL);
    brood__watched[index].doomed = error < 0 && error != -ESRCH;
    if (brood__watched[index].doomed) brood__retry_soon();
}

bool brood__watch_kill_all(void)
{
    bool some = false;
    uint64_t first = brood__arena()->first_member;
    for (uint32_t i = 1; i < brood__watched_count; i++) {
        if (brood__watched[i].pidfd < 0 || i == HANDLE_INDEX(first)) continue;
        brood__os_process_signal(brood__watched[i].pidfd, SIGKILL);
        some = true;
    }
    return some;
}
