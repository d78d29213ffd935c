/* SPDX-License-Identifier: MIT */
/*
 * preload.c - the life of a server: its preload once, then forks; see process/server.h.
 *
 * One thread, or it is none.  All signals are blocked when it waits, as in the supervisor and the forks of that, so a
 * signal for a child waits until that is ready; in the preload only those are that a terminal sends.
 */
#include "arena/member.h"
#include "call/call.h"
#include "call/error.h"
#include "process/family.h"
#include "process/program.h"
#include "process/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_CHANNEL UINT64_MAX
#define LOOK_MS 5

/* A process that this one forked. */
struct child {
    struct child *next;
    uint32_t member, generation;
    pid_t pid;
    int pidfd; /* -1: there was none to be had, or it could not be polled: asked every few milliseconds */
};
static struct child *children;
static int poller = -1, channel = -1;

/* ---------------------------------------------------------------------------------------------------------- preload */

static int run_preload(function_ref ref)
{
    const brood_task *task;
    int error = brood__function_find(ref, &task);
    if (error < 0) return error;
    struct member_shm *me = brood__me();
    snprintf(me->said, sizeof me->said, "%s", task->name);
    void *result = calloc(1, task->result_size ? task->result_size : 1);
    if (!result) return BROOD_ENOMEM;
    struct os_mask keys = {{OS_SIGNAL_BIT(SIGINT) | OS_SIGNAL_BIT(SIGQUIT) | OS_SIGNAL_BIT(SIGHUP) |
                            OS_SIGNAL_BIT(SIGTSTP) | OS_SIGNAL_BIT(SIGTTIN) | OS_SIGNAL_BIT(SIGTTOU)}};
    struct os_mask before;
    struct call call;
    brood__os_restore_signals(&keys);
    brood__call_begin(&call);
    task->call(NULL, result);
    if (call.fail) error = brood__fail_with(BROOD_ESTART, "preload %s: %s (%d)", task->name, call.text, call.fail);
    brood__call_end(&call);
    brood__os_block_signals(&before);
    free(result);
    if (error == 0 && brood__os_has_threads())
        error = brood__fail_with(BROOD_ETHREADS, "preload %s: it has made threads, and the server can't fork with them",
                                 task->name);
    me->said[0] = 0;
    return error;
}

static int prepare(uint32_t index)
{
    static struct program program;
    if (!brood__program_read(index, &program)) return BROOD_ECORRUPT;
    brood_preparation *p = &brood__prepared.public;
    static char *no_arguments[] = {NULL};
    *p = (brood_preparation){.name = "server",
                             .directory = program.directory,
                             .original_directory = program.directory,
                             .method = BROOD_START_SPAWN,
                             .argv = no_arguments,
                             .authkey_size = sizeof brood__arena()->authkey,
                             .authkey = brood__arena()->authkey,
                             .parent = getppid()};
    if (program.directory[0] && chdir(program.directory) < 0) { /* it has gone: stay */
    }
    int error = program.preload ? run_preload(program.preload) : 0;
    if (error >= 0) error = brood__os_poller_new(&poller);
    if (error >= 0) error = brood__os_poller_add(poller, channel, TAG_CHANNEL);
    return error;
}

/* ------------------------------------------------------------------------------------------------------------ forks */

static _Noreturn void be_child(int bootstrap)
{
    for (struct child *c = children; c; c = c->next) brood__os_close(&c->pidfd);
    brood__os_close(&channel);
    brood__os_close(&poller);
    brood__os_close(&brood__self->lifeline_mine);
    brood__family_rejoin();
    brood__child_run(bootstrap, true);
}

static void say(const struct server_message *message)
{
    int64_t deadline = brood__os_deadline(1000);
    int error;
    while ((error = brood__os_send(channel, message, sizeof *message, NULL, 0, deadline)) < 0 && error != -EPIPE) {
        if (brood__os_now() >= deadline) return;
        brood__os_nap(1000 * 1000); /* the system is out of something for a moment */
    }
}

static void fork_one(struct server_message *message, int bootstrap)
{
    struct child *c = malloc(sizeof *c);
    int sender = brood__self->bell_sender;
    brood__module_recognize();
    pid_t pid = c ? brood__os_fork() : -ENOMEM;
    if (pid == 0) {
        brood__os_close(&sender);
        be_child(bootstrap);
    }
    if (pid > 0) {
        struct os_process process = {pid, 0};
        *c = (struct child){children, message->member, message->generation, pid, -1};
        if (brood__os_process_open(&process, &c->pidfd) >= 0 &&
            brood__os_poller_add(poller, c->pidfd, (uint64_t)pid) < 0)
            brood__os_close(&c->pidfd);
        children = c;
    } else {
        free(c);
    }
    message->kind = SERVER_FORKED;
    message->value = (int32_t)pid;
    say(message);
}

/* If it has ended: how stands in the process table from then on; false if not. */
static bool reap(struct child **place)
{
    struct child *c = *place;
    int value = 0;
    struct os_usage usage;
    enum os_exit exit =
        c->pidfd < 0 ? brood__os_child_end(c->pid, &value, &usage) : brood__os_process_end(c->pidfd, &value, &usage);
    if (exit == OS_EXIT_RUNNING) return false;
    struct member_shm *m = brood__member_at(c->member);
    bool its = brood__member_generation(c->member) == c->generation; /* else the slot is another's by now */
    if (its && usage.max_rss) m->usage = usage;
    if (its && exit == OS_EXIT_STATUS) brood__member_ended(c->member, ENDED_STATUS, value);
    if (its && exit == OS_EXIT_SIGNAL) brood__member_ended(c->member, ENDED_SIGNAL, value);
    if (c->pidfd >= 0) brood__os_poller_remove(poller, c->pidfd);
    brood__os_close(&c->pidfd);
    *place = c->next;
    free(c);
    return true;
}

/* Those that the tag is of (0: that have no descriptor); when to look again. */
static int64_t reap_some(uint64_t tag)
{
    int64_t next = OS_NEVER;
    for (struct child **p = &children; *p;) {
        bool meant = tag ? (uint64_t)(*p)->pid == tag : (*p)->pidfd < 0;
        if (meant && reap(p)) continue;
        if ((*p)->pidfd < 0) next = brood__os_deadline(LOOK_MS);
        p = &(*p)->next;
    }
    return next;
}

/* false: the supervisor has gone. */
static bool hear(void)
{
    struct server_message m;
    int fd = -1;
    size_t count = 1;
    ssize_t size = brood__os_receive(channel, &m, sizeof m, &fd, &count, 0);
    if (size == -EAGAIN) return true;
    if (size == -ENOMEM || size == -ENOBUFS || size == -EMFILE || size == -ENFILE) {
        brood__os_nap(1000 * 1000);
        return true;
    }
    if (size != (ssize_t)sizeof m) return false;
    if (m.kind == SERVER_FORK && count == 1 && m.member > 0 && m.member < brood__table_used(TABLE_MEMBER))
        fork_one(&m, fd);
    if (count == 1) brood__os_close(&fd);
    return true;
}

_Noreturn void brood__server_run(uint32_t program, int report, int requests)
{
    channel = requests;
    brood__os_set_name("brood-server");
    brood__say_nothing();
    int error = prepare(program);
    fflush(NULL);
    const char *detail = brood_error_detail();
    if (error < 0 && !detail[0]) detail = brood_strerror(error);
    if (brood__report_send(report, error < 0 ? error : 0, 0, 0, error < 0 ? detail : NULL) < 0 || error < 0)
        brood__os_exit_now(1);
    brood__os_close(&report);
    for (bool well = true; well;) {
        uint64_t tags[16];
        int n = brood__os_poller_wait(poller, tags, 16, reap_some(0));
        for (int i = 0; i < n && well; i++) {
            if (tags[i] == TAG_CHANNEL)
                well = hear();
            else
                reap_some(tags[i]);
        }
    }
    brood__os_exit_now(0);
}
