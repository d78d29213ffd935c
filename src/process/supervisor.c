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
#include "process/office.h"

#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"
#include "process/family.h"
#include "process/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_NS ((int64_t)3 * 1000 * 1000)
#define MOST_AT_ONCE 1024 /* requests, before it looks at anything else */

int brood__office_poller = -1;
static int64_t retry_at = OS_NEVER;
static bool ending;

/* --------------------------------------------------------------------------------------------------- in hard times */

static int spare[6] = {-1, -1, -1, -1, -1, -1}; /* a connection, what comes over it at most, and a pidfd */
#define SPARES (sizeof spare / sizeof *spare)

void brood__spares_drop(void)
{
    for (size_t i = 0; i < SPARES; i++) brood__os_close(&spare[i]);
}

bool brood__spares_keep(void)
{
    for (size_t i = 0; i < SPARES; i++) {
        if (spare[i] < 0) spare[i] = brood__os_duplicate(brood__office_poller, 0);
        if (spare[i] < 0) return false;
    }
    return true;
}

/* Connections that the poller has no room for: looked at every few milliseconds instead. */
static int waiting[64];
static size_t waiting_count;

void brood__retry_soon(void)
{
    int64_t at = brood__os_now() + RETRY_NS;
    if (at < retry_at) retry_at = at;
}

void brood__office_end(void)
{
    ending = true;
}

/* ------------------------------------------------------------------------------------------------ areas' descriptors */

/* A descriptor polled for an area. */
struct polled {
    struct polled *next;
    int fd;
    uint64_t argument;
};
static struct polled *polled;

int brood__supervisor_poll(int fd, uint64_t argument)
{
    struct polled *p = malloc(sizeof *p);
    if (!p) return -ENOMEM;
    int error = brood__os_poller_add(brood__office_poller, fd, TAG(TAG_AREA, fd));
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
        brood__os_poller_remove(brood__office_poller, fd);
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
    if (brood__is_scarce(error)) /* who asked for nothing does not read it */
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
    brood__spares_drop(); /* what comes is lost if there is no room for it */
    ssize_t size = brood__os_receive(connection, &request, sizeof request, fds, &count, 0);
    if (size == -ENOMEM || size == -ENOBUFS) brood__os_nap(RETRY_NS);
    if (size == -EAGAIN || size == -ENOMEM || size == -ENOBUFS) return false;
    bool stays = false;
    if (size != (ssize_t)sizeof request) {
        count = size < 0 ? 0 : count;
        no_request(connection, (int)size);
    } else {
        switch (request.kind) {
        case REQUEST_START: brood__launch_asked(&request, fds, count); break;
        case REQUEST_DISCARD: brood__launch_discard(&request); break;
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
    brood__os_poller_remove(brood__office_poller, connection);
    brood__os_close(&connection);
    return true;
}

/* Take a waiting connection and serve it, at once if its request is there; false: there is none, or none can be had. */
static bool accept_one(void)
{
    int connection;
    pid_t peer;
    int error = brood__os_accept(brood__self->listener, &connection, &peer);
    if (brood__is_scarce(error)) {
        brood__spares_drop();
        error = brood__os_accept(brood__self->listener, &connection, &peer);
    }
    if (error < 0 && error != -EAGAIN) brood__os_nap(RETRY_NS); /* others have to give something back first */
    if (error < 0) return false;
    if (serve(connection) || brood__os_poller_add(brood__office_poller, connection, TAG(TAG_REQUEST, connection)) >= 0)
        return true;
    if (waiting_count == sizeof waiting / sizeof *waiting) {
        brood__os_close(&connection);
        return true;
    }
    waiting[waiting_count++] = connection;
    brood__retry_soon();
    return true;
}

/* All requests that are there; one of them may come to a death, whose requests are then among the rest. */
void brood__office_hear(void)
{
    static bool inside;
    if (inside) return;
    inside = true;
    for (int i = 0; i < MOST_AT_ONCE && accept_one(); i++) {}
    inside = false;
}

static void retry(void)
{
    brood__watch_retry_asked();
    if (brood__os_now() < retry_at) return;
    retry_at = OS_NEVER;
    for (size_t i = waiting_count; i-- > 0;)
        if (serve(waiting[i])) waiting[i] = waiting[--waiting_count];
    if (waiting_count > 0) brood__retry_soon();
    brood__watch_retry_all();
}

/* ------------------------------------------------------------------------------------------------------------- life */

static void dispatch(uint64_t tag)
{
    uint32_t value = (uint32_t)tag;
    switch ((enum tag_kind)(tag >> 56)) {
    case TAG_LISTENER: brood__office_hear(); break;
    case TAG_MEMBER:
        if (brood__watched[value].pidfd >= 0) brood__watch_ended(value);
        break;
    case TAG_STRAY: brood__watch_stray_ended((int)value); break;
    case TAG_REQUEST: serve((int)value); break;
    case TAG_REPORT:
        if (brood__watched[value].report >= 0) brood__launch_report(value);
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
    while (!ending || brood__watch_kill_all()) {
        uint64_t tags[64];
        int n = brood__os_poller_wait(brood__office_poller, tags, 64, next);
        dispatch_all(tags, n);
        brood__spares_keep();
        retry();
        if (seen != brood__watch_deaths)
            brood__watch_wanted(); /* the dead may have forked a member without having said so yet */
        seen = brood__watch_deaths;
        next = ending ? brood__os_deadline(1000) : manage();
        if (ending) brood__watch_all();
    }
}

/* Workers of pools that a supervisor before this one knew print where this one does. */
static void take_output(const struct hello *hello, int fds[], size_t count)
{
    if (!(hello->stdio & 1u << 1) || count <= HELLO_FIXED_FDS) return;
    dup2(fds[HELLO_FIXED_FDS], 1);
    brood__os_close(&fds[HELLO_FIXED_FDS]);
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
    if (error >= 0) error = brood__os_poller_new(&brood__office_poller);
    if (error >= 0) error = brood__os_poller_add(brood__office_poller, brood__self->listener, TAG(TAG_LISTENER, 0));
    if (error < 0) {
        brood__report_send(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, -error, NULL);
        brood__os_exit_now(1);
    }
    int keep[] = {0, 1, 2, channel, fds[0], fds[1], fds[2], brood__self->bell_sender, brood__office_poller};
    brood__os_close_all_but(keep, sizeof keep / sizeof *keep); /* what others wait to see the end of */
    brood__os_raise_descriptors();
    /* The terminal's keys are for the program, and what comes to a process that it starts waits until that is ready. */
    struct os_mask before;
    brood__os_block_signals(&before);
    if (chdir("/") < 0) { /* stay, then: only keeps a directory busy */
    }
    brood__family_remember();
    brood__launch_begin(hello->program);
    if (!take_office(hello->member)) brood__os_exit_now(0);
    brood__log(BROOD_LOG_INFO, hello->member == 1 ? "begins" : "begins in place of one that was ended");
    brood__report_send(channel, 0, 0, 0, NULL);
    brood__os_close(&channel);
    brood__spares_keep();
    brood__launch_abandon_all();
    brood__watch_all();
    brood__repair_ring_all(); /* what the one before us may have owed */
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->begin) (*area)->begin();
    brood__launch_rehearse();
    live();
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->over) (*area)->over();
    brood__os_exit_now(0);
}
