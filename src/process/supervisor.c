/* SPDX-License-Identifier: MIT */
/*
 * supervisor.c - the small process that watches a family: it forks and spawns, learns of deaths, repairs what outlives
 * them, and leaves when the first member has gone.
 *
 * It is executed afresh, has one thread, waits in one place, takes no latch that it would have to wait for, and can be
 * killed at any instruction: its successor watches every member of the table, repairs after each that has gone and is
 * not marked repaired, and rings everybody.
 *
 *   event                      what is done
 *   a member's pidfd           status → process table, `gone`; repairs; wake joiners; daemonic children killed
 *   ... of the first member    all members killed, exit
 *   a repair was incomplete    again in a few milliseconds
 *   request START              fork, or fork and exec; watch
 *   request DISCARD            kill what was forked for a start that its caller gave up
 *   request WATCH              watch a member that its parent forked
 *   request END                all members killed, exit when they are gone
 *   DEPOSIT, REDEEM, TOKENS    the area of pipes has the descriptors
 *   request LOOK               areas see to what is theirs, as after every event
 *
 * Out of descriptors it can still hear requests and refuse starts, by a few that it keeps for that (`spare`); members
 * that it could not watch are looked for again every few milliseconds.
 */
#include "process/supervisor.h"

#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"
#include "process/family.h"
#include "process/program.h"
#include "process/repair.h"
#include "process/server.h"
#include "sync/bell.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum tag_kind { TAG_LISTENER, TAG_MEMBER, TAG_STRAY, TAG_REQUEST, TAG_REPORT, TAG_AREA };
#define TAG(kind, value) ((uint64_t)(kind) << 56 | (uint64_t)(uint32_t)(value))

#define RETRY_NS ((int64_t)3 * 1000 * 1000)
#define MOST_AT_ONCE 1024 /* requests, before it looks at anything else */

/* What the supervisor knows of a member, by index; grown as needed. */
struct watched {
    int pidfd;
    uint32_t generation;
    bool doomed;     /* it could not be killed, and is to be */
    pid_t wanted;    /* a process that could not be watched yet, of a slot that may not have it yet; or 0 */
    bool ended;      /* its process has gone, the repairs are not complete */
    bool again;      /* ... and are to be tried in this turn */
    bool unreported; /* its channel ended without a report: how its process ends says whether that counts */
    int report;      /* channel of a start made for an area, or -1 */
};
static struct watched *watched;
static uint32_t watched_count;

/* A descriptor polled for an area. */
struct polled {
    struct polled *next;
    int fd;
    uint64_t argument;
};
static struct polled *polled;

static int poller = -1;
static int64_t retry_at = OS_NEVER;
static bool unwatched; /* some members, for want of descriptors */
static bool ending;
static uint32_t deaths;

static bool at_home(uint32_t index)
{
    if (index < watched_count) return true;
    uint32_t count = index + 64;
    struct watched *more = realloc(watched, count * sizeof *more);
    if (!more) return false;
    for (uint32_t i = watched_count; i < count; i++) more[i] = (struct watched){.pidfd = -1, .report = -1};
    watched = more;
    watched_count = count;
    return true;
}

static uint32_t member_count(void)
{
    return brood__table_used(TABLE_MEMBER);
}

/* --------------------------------------------------------------------------------------------------- in hard times */

static int spare[6] = {-1, -1, -1, -1, -1, -1}; /* a connection, what comes over it at most, and a pidfd */
#define SPARES (sizeof spare / sizeof *spare)

static void drop_spares(void)
{
    for (size_t i = 0; i < SPARES; i++) brood__os_close(&spare[i]);
}

/* Whether all of them are there (again). */
static bool keep_spares(void)
{
    for (size_t i = 0; i < SPARES; i++) {
        if (spare[i] < 0) spare[i] = brood__os_duplicate(poller, 0);
        if (spare[i] < 0) return false;
    }
    return true;
}

/* Connections that the poller has no room for: looked at every few milliseconds instead. */
static int waiting[64];
static size_t waiting_count;

static bool is_scarce(int error)
{
    return error == -EMFILE || error == -ENFILE;
}

static int open_process(const struct os_process *process, int *pidfd)
{
    int error = brood__os_process_open(process, pidfd);
    if (!is_scarce(error)) return error;
    drop_spares();
    return brood__os_process_open(process, pidfd);
}

static void retry_soon(void)
{
    int64_t at = brood__os_now() + RETRY_NS;
    if (at < retry_at) retry_at = at;
}

static bool some_again; /* of watched[].again */

void brood__supervisor_retry(uint32_t index, uint32_t generation)
{
    if (index >= watched_count || !watched[index].ended || watched[index].generation != generation) return;
    watched[index].again = some_again = true;
}

/* ------------------------------------------------------------------------------------------------ ends and repairs */

static void watch_wanted(void);
static void hear(void);

static void wake_joiners(struct member_shm *m)
{
    void *announced = brood__os_announce(&m->bell);
    if (atomic_load(&m->bell.word)) brood__os_futex_clear_and_wake(&m->bell.word);
    brood__os_announce_again(announced);
}

static void end_daemons_of(uint64_t parent)
{
    for (uint32_t i = 1; i < member_count(); i++) {
        struct member_shm *m = brood__member_at(i);
        if (SLOT_STATE(atomic_load(&m->slot.word)) == SLOT_LIVE && m->parent == parent && m->daemon)
            brood__supervisor_kill(i);
    }
}

static void finish(uint32_t index)
{
    struct member_shm *m = brood__member_at(index);
    hear(); /* what the dead have asked: it may bring what is told of them */
    if (!brood__repair_member(index)) {
        retry_soon();
        return;
    }
    watched[index].ended = false;
    uint64_t word = atomic_load(&m->slot.word);
    uint64_t id = HANDLE(TABLE_MEMBER, index, SLOT_GENERATION(word));
    bool first = id == brood__arena()->first_member;
    end_daemons_of(id);
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->ended) (*area)->ended(index);
    atomic_store(&m->repaired, 1);
    brood__member_collect(index);
    if (first) ending = true;
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

static void report(uint32_t member);
static bool serve(int connection);

static void tell_started(uint32_t member, int code)
{
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->started) (*area)->started(member, code, code < 0 ? brood_error_detail() : "");
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
    if (failed && watched[index].unreported) tell_started(index, BROOD_ENOINIT);
    if (failed && forked) tell_started(index, brood__fail_with(BROOD_ESTART, "a worker ended before it was one"));
    watched[index].unreported = false;
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
static void ended(uint32_t index)
{
    struct watched *w = &watched[index];
    struct member_shm *m = brood__member_at(index);
    int value = 0;
    struct os_usage usage;
    enum os_exit exit = brood__os_process_end(w->pidfd, &value, &usage);
    if (exit == OS_EXIT_RUNNING) return;
    if (exit == OS_EXIT_UNKNOWN && (m->program || (m->role == ROLE_WORKER && m->method != BROOD_START_FORK)))
        exit = ask_again(m, w->pidfd, &value);
    brood__os_poller_remove(poller, w->pidfd);
    brood__os_close(&w->pidfd);
    uint64_t word = atomic_load(&m->slot.word);
    if (SLOT_GENERATION(word) != w->generation) return;
    if (w->report >= 0) report(index);                                              /* its last words */
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
    deaths++;
    finish(index);
}

/* What was waited for. */
static void retry_now(void)
{
    some_again = false;
    for (uint32_t i = 1; i < watched_count; i++) {
        if (!watched[i].again) continue;
        watched[i].again = false;
        if (watched[i].ended) finish(i);
    }
}

static void retry(void)
{
    if (some_again) retry_now();
    if (brood__os_now() < retry_at) return;
    retry_at = OS_NEVER;
    for (size_t i = waiting_count; i-- > 0;)
        if (serve(waiting[i])) waiting[i] = waiting[--waiting_count];
    if (waiting_count > 0) retry_soon();
    for (uint32_t i = 1; i < watched_count; i++) {
        if (watched[i].doomed) brood__supervisor_kill(i);
        if (watched[i].ended) finish(i);
    }
    if (unwatched) watch_wanted();
}

/* --------------------------------------------------------------------------------------------------------- watching */

/* Of a start that was given up. */
static void forget_report(struct watched *w)
{
    if (w->report >= 0) brood__os_poller_remove(poller, w->report);
    brood__os_close(&w->report);
}

/* End a process that was started for nobody, and reap it; its slot is another's now. */
static void end_stray(struct watched *w)
{
    brood__os_process_signal(w->pidfd, SIGKILL);
    if (brood__os_poller_add(poller, w->pidfd, TAG(TAG_STRAY, w->pidfd)) < 0) {
        brood__os_wait_readable(w->pidfd, brood__os_deadline(100));
        brood__os_process_exit(w->pidfd, &(int){0});
        brood__os_close(&w->pidfd);
    }
    w->pidfd = -1;
    forget_report(w);
    w->unreported = false;
}

static void stray_ended(int pidfd)
{
    int value;
    if (brood__os_process_exit(pidfd, &value) == OS_EXIT_RUNNING) return;
    brood__os_poller_remove(poller, pidfd);
    brood__os_close(&pidfd);
}

int brood__supervisor_watch_pid(uint32_t index, const struct os_process *process)
{
    if (!at_home(index)) return -ENOMEM;
    struct watched *w = &watched[index];
    struct member_shm *m = brood__member_at(index);
    uint32_t generation = SLOT_GENERATION(atomic_load(&m->slot.word));
    if (w->pidfd >= 0 && w->generation == generation) return 0;
    if (w->pidfd >= 0) end_stray(w); /* of a start that was given up */
    w->generation = generation;
    w->wanted = 0;
    w->doomed = false;
    int error = open_process(process, &w->pidfd);
    if (error >= 0) error = brood__os_poller_add(poller, w->pidfd, TAG(TAG_MEMBER, index));
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
        retry_soon();
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
    if (index == 0 || index >= member_count()) return;
    if (SLOT_STATE(atomic_load(&m->slot.word)) != SLOT_LIVE || atomic_load(&m->repaired)) return;
    if (!at_home(index) || watched[index].ended) return;
    struct os_process process = {m->pid, m->started};
    brood__supervisor_watch_pid(index, &process);
    if (is_late_daemon(m)) brood__supervisor_kill(index);
}

/*
 * What the supervisor before us had under way with slots: of starts, the child, if it is there, finds its slot taken and
 * exits; of the last step of a repair, the slot that is done with.
 */
static void abandon_starts(void)
{
    for (uint32_t i = 1; i < member_count(); i++) {
        struct member_shm *m = brood__member_at(i);
        uint64_t word = atomic_load(&m->slot.word);
        bool begun = SLOT_STATE(word) == SLOT_INIT || SLOT_STATE(word) == SLOT_FREEING;
        if (begun && SLOT_OWNER(word) == OWNER_SUPERVISOR)
            atomic_compare_exchange_strong(&m->slot.word, &word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
        brood__member_collect(i);
    }
}

static void watch_all(void)
{
    unwatched = false;
    for (uint32_t i = 1; i < member_count(); i++) brood__supervisor_watch(i);
}

static void watch_wanted(void)
{
    watch_all();
    for (uint32_t i = 1; i < watched_count; i++) {
        struct os_process process = {watched[i].wanted, 0};
        uint64_t word = atomic_load(&brood__member_at(i)->slot.word);
        watched[i].wanted = 0;
        if (process.pid == 0 || watched[i].pidfd >= 0 || SLOT_GENERATION(word) != watched[i].generation) continue;
        if (SLOT_STATE(word) == SLOT_INIT || SLOT_STATE(word) == SLOT_LIVE) brood__supervisor_watch_pid(i, &process);
    }
}

void brood__supervisor_signal(uint32_t index, int signal)
{
    if (index < watched_count && watched[index].pidfd >= 0) brood__os_process_signal(watched[index].pidfd, signal);
}

void brood__supervisor_kill(uint32_t index)
{
    if (index >= watched_count || watched[index].pidfd < 0) return;
    int error = brood__os_process_signal(watched[index].pidfd, SIGKILL);
    watched[index].doomed = error < 0 && error != -ESRCH;
    if (watched[index].doomed) retry_soon();
}

static bool kill_all(void)
{
    bool some = false;
    uint64_t first = brood__arena()->first_member;
    for (uint32_t i = 1; i < watched_count; i++) {
        if (watched[i].pidfd < 0 || i == HANDLE_INDEX(first)) continue;
        brood__os_process_signal(watched[i].pidfd, SIGKILL);
        some = true;
    }
    return some;
}

/* -------------------------------------------------------------------------------------------------------- starting */

static uint32_t own_program; /* of which this is, see program.h */

static _Noreturn void become_program(int channel, uint32_t index)
{
    extern char **environ;
    struct program program;
    char value[32], name[] = BOOTSTRAP_VARIABLE;
    name[sizeof name - 2] = 0; /* without the '=' */
    snprintf(value, sizeof value, "%d:%d", (int)getpid(), channel);
    setenv(name, value, 1); /* the rest of it is for the loader; its own comes by the channel */
    int error = brood__os_set_inheritable(channel, true);
    if (error >= 0 && !brood__program_read(index, &program)) error = -ENOENT;
    char *path = error >= 0 && program.path[0] ? program.path : NULL;
    char *argv[] = {path ? path : (char *)"brood", NULL};
    if (error >= 0) error = brood__os_exec(path, argv, environ);
    brood__report_send(channel, BROOD_EEXEC, OS_STEP_EXEC, -error, NULL);
    brood__os_exit_now(127);
}

/* In the fork of the supervisor: nothing of it stays but the family; the channel says what to be. */
static _Noreturn void started_child(int channel, brood_start_method method, uint32_t program)
{
    int keep[] = {0, 1, 2, channel, brood__self->memory, brood__self->listener, brood__self->lifeline_watch};
    brood__os_close_all_but(keep, sizeof keep / sizeof *keep);
    if (method == BROOD_START_SPAWN) become_program(channel, program);
    brood__child_run(channel, true);
}

/* Fork; the channel's end is the child's.  0 or -errno. */
static int launch(uint32_t member, brood_start_method method, uint32_t program, int channel)
{
    if (method == BROOD_START_FORKSERVER && program != own_program && program != 0)
        return brood__server_launch(program, member, channel);
    if (!keep_spares()) return -EMFILE; /* it could not be watched */
    if (method != BROOD_START_SPAWN) brood__module_recognize();
    pid_t pid = brood__os_fork();
    if (pid == 0) {
        brood__family_rejoin();
        started_child(channel, method, program);
    }
    if (pid < 0) return (int)pid;
    struct os_process process = {pid, 0};
    int error = brood__supervisor_watch_pid(member, &process);
    if (error < 0) { /* nobody would reap it */
        brood__os_end_child(pid);
        if (member < watched_count) watched[member].wanted = 0;
    }
    return error;
}

static void start_request(const struct request *request, int *fds, size_t count)
{
    if (count != 1 || request->member == 0 || request->member >= member_count()) return;
    int error = launch(request->member, (brood_start_method)request->method, (uint32_t)request->program, fds[0]);
    int step = is_scarce(error) ? OS_STEP_DESCRIPTORS : OS_STEP_FORK;
    if (error < 0) brood__report_send(fds[0], BROOD_ESTART, step, -error, NULL);
}

/* The caller gave up waiting for the report of this start. */
static void discard_request(const struct request *request)
{
    uint32_t index = request->member;
    if (index >= watched_count || watched[index].pidfd < 0) return;
    if (watched[index].generation == (uint32_t)request->object) brood__supervisor_kill(index);
}

/* Send the hello, launch, and wait for the report. */
static int begin(struct hello *hello, const int *passed, size_t n, uint32_t program)
{
    uint32_t member = hello->member;
    int ends[2];
    if (!at_home(member)) return -ENOMEM;
    hello->magic = HELLO_MAGIC;
    hello->generation = brood__member_generation(member);
    int error = brood__os_stream_pair(ends);
    if (error < 0) return error;
    error = brood__hello_send(ends[0], hello, passed, n, NULL, 0); /* it fits, or it is an error: we don't wait */
    if (error >= 0) error = launch(member, (brood_start_method)hello->method, program, ends[1]);
    brood__os_close(&ends[1]);
    if (error >= 0) {
        error = brood__os_poller_add(poller, ends[0], TAG(TAG_REPORT, member));
        if (error < 0) brood__supervisor_kill(member); /* it is watched, and nobody wants it */
    }
    if (error < 0) {
        brood__os_close(&ends[0]);
        return error;
    }
    forget_report(&watched[member]);
    watched[member].report = ends[0];
    return 0;
}

int brood__supervisor_start(uint32_t member, brood_start_method method, uint32_t program, const int stdio_fds[3],
                            const void *bytes, size_t size)
{
    struct hello hello = {.kind = HELLO_PROCESS, .member = member, .method = (uint32_t)method, .size = size};
    hello.place = brood__offset(bytes);
    int passed[3];
    size_t n = 0;
    for (int fd = 0; fd < 3; fd++) {
        if (stdio_fds[fd] < 0) continue;
        hello.stdio |= 1u << fd;
        passed[n++] = stdio_fds[fd];
    }
    return begin(&hello, passed, n, program);
}

int brood__supervisor_start_server(uint32_t member, uint32_t program, int channel)
{
    struct hello hello = {.kind = HELLO_SERVER, .member = member, .method = BROOD_START_SPAWN, .program = program};
    int passed[4];
    size_t n = 0;
    hello.stdio = brood__stdio_open();
    for (int fd = 0; fd < 3; fd++)
        if (hello.stdio & 1u << fd) passed[n++] = fd;
    passed[n++] = channel;
    return begin(&hello, passed, n, program);
}

static void report(uint32_t member)
{
    struct watched *w = &watched[member];
    int code = brood__report_receive(w->report, 0);
    if (code == BROOD_ETIMEDOUT) return;
    brood__os_poller_remove(poller, w->report);
    brood__os_close(&w->report);
    if (code == BROOD_ENOINIT && w->pidfd >= 0)
        w->unreported = true;
    else
        tell_started(member, code);
    struct member_shm *m = brood__member_at(member);
    uint64_t word = atomic_load(&m->slot.word);
    bool ours = SLOT_STATE(word) == SLOT_INIT && SLOT_OWNER(word) == OWNER_SUPERVISOR;
    if (code < 0 && w->pidfd < 0 && ours) brood__member_abandon(member); /* no process ever had it */
}

/* ------------------------------------------------------------------------------------------------ areas' descriptors */

int brood__supervisor_poll(int fd, uint64_t argument)
{
    struct polled *p = malloc(sizeof *p);
    if (!p) return -ENOMEM;
    int error = brood__os_poller_add(poller, fd, TAG(TAG_AREA, fd));
    if (error < 0) {
        free(p);
        return error;
    }
    *p = (struct polled){polled, fd, argument};
    polled = p;
    return 0;
}

void brood__supervisor_unpoll(int fd)
{
    for (struct polled **p = &polled; *p; p = &(*p)->next) {
        if ((*p)->fd != fd) continue;
        struct polled *gone = *p;
        *p = gone->next;
        brood__os_poller_remove(poller, fd);
        free(gone);
        return;
    }
}

static void area_readable(int fd)
{
    struct polled *p = polled;
    while (p && p->fd != fd) p = p->next;
    if (!p) return;
    uint64_t argument = p->argument; /* an area whose it is may forget it */
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->readable) (*area)->readable(fd, argument);
}

/* -------------------------------------------------------------------------------------------------------- requests */

/* The end of a connection whose request was answered before, or what came could not be had. */
static void no_request(int connection, int error)
{
    if (is_scarce(error)) /* who asked for nothing does not read it */
        brood__os_send(connection, &(struct answer){.code = BROOD_EMFILE}, sizeof(struct answer), NULL, 0, 0);
    for (const struct area *const *area = brood__areas; *area && error == 0; area++)
        if ((*area)->look) (*area)->look();
}

/*
 * false: it has not come yet, there is more to come, or the system was out of something that it is not out of for long.
 */
static bool serve(int connection)
{
    struct request request;
    int fds[OS_MAX_FDS];
    size_t count = OS_MAX_FDS;
    drop_spares(); /* what comes is lost if there is no room for it */
    ssize_t size = brood__os_receive(connection, &request, sizeof request, fds, &count, 0);
    if (size == -ENOMEM || size == -ENOBUFS) brood__os_nap(RETRY_NS);
    if (size == -EAGAIN || size == -ENOMEM || size == -ENOBUFS) return false;
    bool stays = false;
    if (size != (ssize_t)sizeof request) {
        count = size < 0 ? 0 : count;
        no_request(connection, (int)size);
    } else {
        switch (request.kind) {
        case REQUEST_START: start_request(&request, fds, count); break;
        case REQUEST_DISCARD: discard_request(&request); break;
        case REQUEST_WATCH: brood__supervisor_watch(request.member); break;
        case REQUEST_END: ending = true; break;
        case REQUEST_POOL:
            for (const struct area *const *area = brood__areas; *area; area++)
                if ((*area)->request) (*area)->request(&request, fds, count);
            break;
        case REQUEST_DEPOSIT:
        case REQUEST_REDEEM:
        case REQUEST_TOKENS:
            for (const struct area *const *area = brood__areas; *area; area++)
                if ((*area)->serve) (*area)->serve(&request, fds, count, connection);
            stays = request.kind == REQUEST_REDEEM; /* until its end says what came of it */
            break;
        default: break;
        }
    }
    for (size_t i = 0; i < count; i++) brood__os_close(&fds[i]);
    if (stays) return false;
    brood__os_poller_remove(poller, connection);
    brood__os_close(&connection);
    return true;
}

/* Take a waiting connection and serve it, at once if its request is there; false: there is none, or none can be had. */
static bool accept_one(void)
{
    int connection;
    pid_t peer;
    int error = brood__os_accept(brood__self->listener, &connection, &peer);
    if (is_scarce(error)) {
        drop_spares();
        error = brood__os_accept(brood__self->listener, &connection, &peer);
    }
    if (error < 0 && error != -EAGAIN) brood__os_nap(RETRY_NS); /* others have to give something back first */
    if (error < 0) return false;
    if (serve(connection) || brood__os_poller_add(poller, connection, TAG(TAG_REQUEST, connection)) >= 0) return true;
    if (waiting_count == sizeof waiting / sizeof *waiting) {
        brood__os_close(&connection);
        return true;
    }
    waiting[waiting_count++] = connection;
    retry_soon();
    return true;
}

/* All requests that are there; one of them may come to a death, whose requests are then among the rest. */
static void hear(void)
{
    static bool inside;
    if (inside) return;
    inside = true;
    for (int i = 0; i < MOST_AT_ONCE && accept_one(); i++) {}
    inside = false;
}

/* ------------------------------------------------------------------------------------------------------------- life */

static void dispatch(uint64_t tag)
{
    uint32_t value = (uint32_t)tag;
    switch ((enum tag_kind)(tag >> 56)) {
    case TAG_LISTENER: hear(); break;
    case TAG_MEMBER:
        if (watched[value].pidfd >= 0) ended(value);
        break;
    case TAG_STRAY: stray_ended((int)value); break;
    case TAG_REQUEST: serve((int)value); break;
    case TAG_REPORT:
        if (watched[value].report >= 0) report(value);
        break;
    case TAG_AREA: area_readable((int)value); break;
    }
}

static bool is_death(uint64_t tag)
{
    return (enum tag_kind)(tag >> 56) == TAG_MEMBER;
}

/* Deaths come last: see finish. */
static void dispatch_all(const uint64_t *tags, int n)
{
    for (int i = 0; i < n; i++)
        if (!is_death(tags[i])) dispatch(tags[i]);
    for (int i = 0; i < n; i++)
        if (is_death(tags[i])) dispatch(tags[i]);
}

static int64_t manage(void)
{
    int64_t next = OS_NEVER;
    for (const struct area *const *area = brood__areas; *area; area++) {
        if (!(*area)->manage) continue;
        int64_t wanted = (*area)->manage();
        if (wanted < next) next = wanted;
    }
    return retry_at < next ? retry_at : next; /* they may have asked for another try */
}

/* Take the office of this epoch: false if the starter has been given up on meanwhile. */
static bool take_office(uint32_t epoch)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    struct os_process self;
    brood__os_process_self(&self);
    uint64_t word = atomic_load(&s->word);
    if (SUPERVISOR_EPOCH(word) != epoch || SUPERVISOR_STATE(word) != SUPERVISOR_STARTING) return false;
    brood__os_announce(&s->life);
    uint32_t seen;
    if (!brood__latch_try(&s->life.word, &seen)) return false; /* the one before lives */
    brood__os_robust_link(&s->life);
    brood__os_announce(NULL);
    atomic_store(&s->pid, (int32_t)self.pid);
    s->started = self.started;
    atomic_store(&s->looks_at, 0u);
    return atomic_compare_exchange_strong(&s->word, &word, SUPERVISOR_WORD(epoch, SUPERVISOR_RUNNING, 0));
}

static void live(void)
{
    int64_t next = 0;
    uint32_t seen = 0;
    while (!ending || kill_all()) {
        uint64_t tags[64];
        int n = brood__os_poller_wait(poller, tags, 64, next);
        dispatch_all(tags, n);
        keep_spares();
        retry();
        if (seen != deaths) watch_wanted(); /* the dead may have forked a member without having said so yet */
        seen = deaths;
        next = ending ? brood__os_deadline(1000) : manage();
        if (ending) watch_all();
    }
}

/* A preload is not for it: with one, it is of none of the programs that forks are asked of. */
static uint32_t program_without_preload(uint32_t index)
{
    struct program program;
    if (!brood__program_read(index, &program) || !program.preload) return index;
    return program.path[0] ? UINT32_MAX : 0;
}

/* Workers of pools that a supervisor before this one knew print where this one does. */
static void take_output(const struct hello *hello, int fds[], size_t count)
{
    if (!(hello->stdio & 1u << 1) || count <= HELLO_FIXED_FDS) return;
    dup2(fds[HELLO_FIXED_FDS], 1);
    brood__os_close(&fds[HELLO_FIXED_FDS]);
}

/*
 * What every child would have the loader look up anew, to read its preparation, is looked up here once; a fork has it
 * then.  What comes of it is nothing.
 */
static void rehearse(void)
{
    static char *nobody[] = {NULL};
    static char text[300]; /* numbers and lengths of each size that is encoded in its own way */
    memset(text, '.', sizeof text - 1);
    const struct preparation preparation = {.public = {.argv = nobody,
                                                       .name = text + sizeof text - 100,
                                                       .parent = INT_MAX,
                                                       .directory = text,
                                                       .method = BROOD_START_SPAWN}};
    const struct process_object object = {
        .limits = {.memory = UINT64_MAX, .cpu_seconds = UINT16_MAX, .open_files = UINT8_MAX}};
    struct preparation read;
    struct process_object also;
    void *bytes = NULL, *memory = NULL;
    size_t size;
    if (brood__prepare_encode(&preparation, &object, &bytes, &size) == 0 &&
        brood__prepare_decode(bytes, size, &read, &also, &memory) == 0)
        brood__prepare_free(memory);
    free(bytes);
    brood__say_nothing();
}

_Noreturn void brood__supervisor_run(const struct hello *hello, int fds[], size_t count, int channel)
{
    take_output(hello, fds, count);
    int error = brood__arena_attach(fds[0]);
    if (error >= 0 && count >= HELLO_FIXED_FDS) {
        brood__self->listener = fds[1];
        brood__self->lifeline_watch = fds[2];
        brood__self->supervisor = true;
        brood__self->word_id = MEMBER_BIT | OWNER_SUPERVISOR;
        error = brood__os_robust_prepare();
    }
    if (error >= 0) error = brood__os_bell_sender(&brood__self->bell_sender);
    if (error >= 0) error = brood__os_poller_new(&poller);
    if (error >= 0) error = brood__os_poller_add(poller, brood__self->listener, TAG(TAG_LISTENER, 0));
    if (error < 0) {
        brood__report_send(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, -error, NULL);
        brood__os_exit_now(1);
    }
    int keep[] = {0, 1, 2, channel, fds[0], fds[1], fds[2], brood__self->bell_sender, poller};
    brood__os_close_all_but(keep, sizeof keep / sizeof *keep); /* what others wait to see the end of */
    brood__os_raise_descriptors();
    /* The terminal's keys are for the program, and what comes to a process that it starts waits until that is ready. */
    struct os_mask before;
    brood__os_block_signals(&before);
    if (chdir("/") < 0) { /* stay, then: only keeps a directory busy */
    }
    brood__family_remember();
    own_program = program_without_preload(hello->program);
    if (!take_office(hello->member)) brood__os_exit_now(0);
    brood__log(BROOD_LOG_INFO, hello->member == 1 ? "begins" : "begins in place of one that was ended");
    brood__report_send(channel, 0, 0, 0, NULL);
    brood__os_close(&channel);
    keep_spares();
    abandon_starts();
    watch_all();
    brood__repair_ring_all(); /* what the one before us may have owed */
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->begin) (*area)->begin();
    rehearse();
    live();
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->over) (*area)->over();
    brood__os_exit_now(0);
}
