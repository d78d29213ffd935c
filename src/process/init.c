/* SPDX-License-Identifier: MIT */
/*
 * init.c - founding a family, leaving it, and finding out that one was started as a part of it.
 * brood_init and brood_fini are not thread-safe; the rest is.
 */
#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"
#include "process/family.h"
#include "process/supervisor.h"
#include "sync/bell.h"
#include "sync/wait.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_ARENA ((size_t)1024 * 1024)

static brood_family_options configured;
static const brood_family_options none;

/*
 * What this process looked like to Brood when it last became a member; unlike brood__self a fork keeps it, so a process
 * forked outside of Brood can find and close what it inherited.
 */
static struct self mirror;
struct preparation brood__prepared;

void brood__family_remember(void)
{
    mirror = *brood__self;
}

void brood__family_rejoin(void)
{
    *brood__self = mirror;
    brood__self->lifeline_hold = -1; /* the first member's alone; its copy here is closed by who calls */
    brood__self->lifeline_mine = -1;
    brood__self->bell_sender = -1;
    brood__os_robust_forget();
    brood__log_rejoin();
    brood__bell_close_all(true);
    brood__sentinel_close_all(true);
}

int brood_configure(const brood_family_options *options)
{
    brood__say_nothing();
    if (options && options->start_timeout < 0) return brood__fail_with(BROOD_EINVAL, "start_timeout is negative");
    if (options && (unsigned)options->start_method > BROOD_START_FORKSERVER)
        return brood__fail_with(BROOD_EINVAL, "no such start method");
    if (options && options->arena_limit && options->arena_limit < LEAST_ARENA)
        return brood__fail_with(BROOD_EINVAL, "arena_limit is %zu bytes, and at least %zu", options->arena_limit,
                                LEAST_ARENA);
    configured = options ? *options : none;
    return 0;
}

bool brood_is_member(void)
{
    return brood__is_member();
}

unsigned brood_cpu_count(void)
{
    return brood__os_cpu_count();
}

/* ------------------------------------------------------------------------------------------------ as a child */

/* "<pid>:<descriptor>" in the environment, if it means this process. */
static int channel_from_environment(void)
{
    char name[sizeof BOOTSTRAP_VARIABLE] = BOOTSTRAP_VARIABLE;
    name[sizeof name - 2] = 0; /* without the '=' */
    const char *value = getenv(name);
    int pid, fd, channel = -1;
    if (value && sscanf(value, "%d:%d", &pid, &fd) == 2 && pid == (int)getpid()) channel = fd;
    if (value) unsetenv(name); /* what marks this process as a child does not reach its own children */
    return channel;
}

/* ------------------------------------------------------------------------------------------------ as a founder */

static void remember_preparation(int *argc, char ***argv)
{
    static char directory[4096];
    static char *no_arguments[] = {NULL};
    if (!getcwd(directory, sizeof directory)) directory[0] = 0;
    brood_preparation *p = &brood__prepared.public;
    *p = (brood_preparation){.name = "first",
                             .directory = directory,
                             .original_directory = directory,
                             .method = BROOD_START_DEFAULT,
                             .argc = argc ? *argc : 0,
                             .argv = argv ? *argv : no_arguments,
                             .authkey_size = sizeof brood__arena()->authkey,
                             .authkey = brood__arena()->authkey};
}

static int found(int *argc, char ***argv)
{
    size_t limit = configured.arena_limit ? configured.arena_limit : brood__os_memory_total() / 2;
    int error = brood__arena_create(limit);
    if (error < 0) return error;
    struct arena_shm *arena = brood__arena();
    struct self *self = brood__self;
    size_t name_size = 0;
    atomic_store(&arena->start_method,
                 (uint32_t)(configured.start_method ? configured.start_method : BROOD_START_FORKSERVER));
    arena->start_timeout = configured.start_timeout ? configured.start_timeout : 30000;
    error = brood__os_listen(&self->listener, arena->listen_name, &name_size);
    arena->listen_size = name_size;
    if (error >= 0) error = brood__os_lifeline_create(&self->lifeline_hold, &self->lifeline_watch);
    if (error >= 0) error = brood__os_bell_sender(&self->bell_sender);
    int *own[] = {&self->memory, &self->listener, &self->lifeline_hold, &self->lifeline_watch, &self->bell_sender};
    for (size_t i = 0; i < sizeof own / sizeof *own && error >= 0; i++) error = brood__os_leave_standard(own[i]);
    if (error >= 0) error = brood__member_found();
    if (error < 0) {
        brood__arena_detach();
        return error;
    }
    brood__module_forget();
    remember_preparation(argc, argv);
    brood__on_tick = brood__supervisor_tick;
    brood__family_remember();
    return 0;
}

int brood_init(int *argc, char ***argv)
{
    int channel = channel_from_environment();
    if (channel >= 0) brood__child_run(channel, false);
    brood__say_nothing();
    if (brood__is_member()) return 0;
    if (mirror.arena) { /* a copy of a member, forked outside of Brood: it goes its own way */
        brood__arena_forget(&mirror, true);
        memset(&mirror, 0, sizeof mirror);
        brood__bell_close_all(true);
        brood__sentinel_close_all(true);
    }
    brood__os_robust_forget();
    if (brood__os_robust_prepare() < 0) return BROOD_EUNSUPPORTED;
    int error = found(argc, argv);
    return error == -ENOSYS ? BROOD_EUNSUPPORTED : error;
}

void brood__init_or_exit(int *argc, char ***argv)
{
    int error = brood_init(argc, argv);
    if (error == 0) return;
    fprintf(stderr, "brood_init: %s (%s)\n", brood_strerror(error), brood_error_name(error));
    exit(1);
}

/* ------------------------------------------------------------------------------------------------------- the end */

static void wait_for_children(bool daemons)
{
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        uint64_t word = atomic_load(&m->slot.word);
        if (SLOT_STATE(word) != SLOT_LIVE || m->parent != brood__self->id || m->role != ROLE_PROCESS) continue;
        if (m->daemon && !daemons) continue;
        brood_process_join((brood_process){HANDLE(TABLE_MEMBER, i, SLOT_GENERATION(word))}, BROOD_FOREVER, NULL);
    }
}

/*
 * When all members are gone: whoever was about to start another supervisor may have done so.  One that is there has
 * nothing left to do; one that is on its way finds its epoch over.
 */
static void end_supervisors(void)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    for (;;) {
        uint64_t word = atomic_load(&s->word);
        if (brood__supervisor_alive()) {
            struct os_process process = {atomic_load(&s->pid), s->started};
            int pidfd = -1;
            int error = brood__os_process_open(&process, &pidfd);
            if (error >= 0 && brood__os_process_signal(pidfd, SIGKILL) >= 0)
                brood__os_wait_readable(pidfd, OS_NEVER);
            else if (error == -ENOSYS)
                brood__os_process_kill(&process);
            brood__os_close(&pidfd);
            brood__os_nap(50 * 1000);
            continue;
        }
        uint64_t over = SUPERVISOR_WORD(SUPERVISOR_EPOCH(word) + 1, SUPERVISOR_NONE, 0);
        if (atomic_compare_exchange_strong(&s->word, &word, over)) return;
    }
}

/* There are descriptors for it; what the system lacks at this instant, it has at the next. */
static int open_member(const struct member_shm *m, int *pidfd)
{
    struct os_process process = {m->pid, m->started};
    int error = brood__os_process_open(&process, pidfd);
    for (int tries = 1; error < 0 && error != -ESRCH && tries < 100; tries++) {
        brood__os_nap(1000 * 1000);
        error = brood__os_process_open(&process, pidfd);
    }
    return error;
}

/* End all others and wait until they are gone; the children that this process forked are reaped. */
static void end_family(void)
{
    brood__os_close(&brood__self->lifeline_hold); /* the kernel ends every member that watches it */
    brood__os_close(&brood__self->bell_sender);   /* and there are two descriptors for what is still to do */
    struct os_process supervisor = {atomic_load(&brood__arena()->supervisor.pid), brood__arena()->supervisor.started};
    int pidfd = -1;
    bool alive = brood__supervisor_alive() && brood__os_process_open(&supervisor, &pidfd) >= 0;
    if (alive && brood__supervisor_request(&(struct request){.kind = REQUEST_END}, NULL, 0) < 0)
        brood__os_process_signal(pidfd, SIGKILL);
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        if (i == brood__self->member || SLOT_STATE(atomic_load(&m->slot.word)) != SLOT_LIVE) continue;
        int fd = -1;
        if (open_member(m, &fd) < 0) continue;
        brood__os_process_signal(fd, SIGKILL);
        brood__os_wait_readable(fd, OS_NEVER);
        brood__os_process_reap(fd);
        brood__os_close(&fd);
    }
    if (alive) brood__os_wait_readable(pidfd, OS_NEVER);
    brood__os_close(&pidfd);
    end_supervisors();
}

void (*brood__on_fini)(void);

int brood_fini(void)
{
    int error = brood__enter();
    if (error < 0) return error;
    bool first = brood__self->id == brood__arena()->first_member;
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->leave) (*area)->leave();
    if (first) {
        wait_for_children(false);
        end_family();
        for (const struct area *const *area = brood__areas; *area; area++)
            if ((*area)->over) (*area)->over();
    }
    if (brood__on_fini) brood__on_fini();
    brood__bell_close_all(!first);
    brood__sentinel_close_all(false);
    brood__arena_detach();
    memset(&mirror, 0, sizeof mirror);
    brood__on_tick = NULL;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- start method */

static const char *const names[] = {"default", "fork", "spawn", "forkserver", "thread"};
#define NAMES (sizeof names / sizeof *names)

const char *brood_start_method_name(brood_start_method method)
{
    return (unsigned)method < NAMES ? names[method] : "unknown";
}

int brood_start_method_parse(brood_start_method *method, const char *name)
{
    brood__say_nothing();
    for (unsigned i = 0; i < NAMES; i++) {
        if (!name || strcmp(name, names[i]) != 0) continue;
        *method = (brood_start_method)i;
        return 0;
    }
    return brood__fail_with(BROOD_EINVAL, "no start method is called %.40s", name ? name : "NULL");
}

int brood_set_start_method(brood_start_method method)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (method == BROOD_START_DEFAULT) method = BROOD_START_FORKSERVER;
    if ((unsigned)method > BROOD_START_FORKSERVER) return brood__fail_with(BROOD_EINVAL, "no such start method");
    atomic_store(&brood__arena()->start_method, (uint32_t)method);
    return 0;
}

brood_start_method brood_get_start_method(void)
{
    if (brood__enter() < 0) return BROOD_START_DEFAULT;
    return (brood_start_method)atomic_load(&brood__arena()->start_method);
}

int brood_preparation_data(brood_preparation *data)
{
    int error = brood__enter();
    if (error < 0) return error;
    *data = brood__prepared.public;
    return 0;
}
