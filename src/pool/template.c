/* SPDX-License-Identifier: MIT */
/*
 * template.c - under `fork`: a copy of the caller from which the workers of a pool and their replacements are forked,
 * so that all see the caller's memory as it was when the pool was made.
 *
 * It runs none of the program's code; it waits for the supervisor's word, forks, and reaps.  It can't be made again.
 * If the supervisor dies, the template offers its successor a new channel.
 */
#include "call/error.h"
#include "pool/pool.h"
#include "pool/supervise.h"
#include "process/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG_CHANNEL UINT64_MAX
#define LOOK_MS 5

/* A worker that this template forked. */
struct child {
    struct child *next;
    uint32_t member, generation;
    pid_t pid;
    int pidfd; /* -1: there was none to be had, or it could not be polled: asked every few milliseconds */
};
static struct child *children;

struct template
{
    uint64_t pool_id;
    const struct preparation *preparation;
    const struct process_object *object;
    int channel, poller;
};

/* In a fresh copy: become a member.  0, or an errno of the step. */
static int become_member(uint32_t member, uint32_t generation)
{
    brood__family_rejoin();
    if (brood__os_robust_prepare() < 0) return BROOD_EUNSUPPORTED;
    int error = brood__os_lifeline_watch(brood__self->lifeline_watch, &brood__self->lifeline_mine);
    if (error >= 0 || error == -ENOENT) error = brood__os_bell_sender(&brood__self->bell_sender);
    if (error < 0) return error;
    if (!brood__member_attach(member, generation)) brood__os_exit_now(127);
    brood__family_remember();
    return 0;
}

static _Noreturn void be_worker(const struct template *t, uint32_t member, uint32_t generation)
{
    int step;
    struct process_object mine = *t->object;
    mine.environment = NULL;
    for (struct child *c = children; c; c = c->next) brood__os_close(&c->pidfd);
    int channel = t->channel, poller = t->poller;
    brood__os_close(&channel);
    brood__os_close(&poller);
    if (become_member(member, generation) < 0 || brood__child_stand(t->preparation, &mine, &step) < 0)
        brood__os_exit_now(127);
    brood__os_drop_handlers();
    brood__os_set_name(t->preparation->public.name);
    brood__prepared = *t->preparation;
    brood__child_work(t->preparation, &mine, BROOD_START_FORK);
}

/* What is not said is not known: of what the system is out of for a moment, it is not for long. */
static void say(int channel, uint32_t kind, uint32_t member, uint32_t generation, int value)
{
    struct template_message m = {.kind = kind, .member = member, .value = value, .generation = generation};
    int64_t deadline = brood__os_deadline(1000);
    int error;
    while ((error = brood__os_send(channel, &m, sizeof m, NULL, 0, deadline)) < 0 && error != -EPIPE) {
        if (brood__os_now() >= deadline) return;
        brood__os_nap(1000 * 1000);
    }
}

static void fork_worker(struct template *t, uint32_t member, uint32_t generation)
{
    struct child *c = malloc(sizeof *c);
    pid_t pid = c ? brood__os_fork() : -ENOMEM;
    if (pid == 0) be_worker(t, member, generation);
    if (pid > 0) {
        struct os_process process = {pid, 0};
        *c = (struct child){children, member, generation, pid, -1};
        if (brood__os_process_open(&process, &c->pidfd) >= 0 && brood__os_poller_add(t->poller, c->pidfd, member) < 0)
            brood__os_close(&c->pidfd);
        children = c;
        say(t->channel, TEMPLATE_FORKED, member, generation, (int)pid);
    } else {
        free(c);
        say(t->channel, TEMPLATE_FORKED, member, generation, (int)pid);
    }
}

/* If it has ended: false if not. */
static bool reap_child(struct template *t, struct child **place)
{
    struct child *c = *place;
    uint32_t member = c->member;
    int value = 0;
    struct os_usage usage;
    enum os_exit exit =
        c->pidfd < 0 ? brood__os_child_end(c->pid, &value, &usage) : brood__os_process_end(c->pidfd, &value, &usage);
    if (exit == OS_EXIT_RUNNING) return false;
    bool its = brood__member_generation(member) == c->generation; /* else the slot is another's by now */
    if (its && usage.max_rss) brood__member_at(member)->usage = usage;
    if (its && exit == OS_EXIT_STATUS) brood__member_ended(member, ENDED_STATUS, value);
    if (its && exit == OS_EXIT_SIGNAL) brood__member_ended(member, ENDED_SIGNAL, value);
    if (c->pidfd >= 0) brood__os_poller_remove(t->poller, c->pidfd);
    brood__os_close(&c->pidfd);
    *place = c->next;
    say(t->channel, TEMPLATE_ENDED, member, c->generation, value);
    free(c);
    return true;
}

static void reap(struct template *t, uint32_t member)
{
    for (struct child **p = &children; *p; p = &(*p)->next) {
        if ((*p)->member != member || (*p)->pidfd < 0) continue;
        reap_child(t, p);
        return;
    }
}

/* Those without a descriptor.  When to look again. */
static int64_t reap_others(struct template *t)
{
    int64_t next = OS_NEVER;
    for (struct child **p = &children; *p;) {
        if ((*p)->pidfd < 0 && reap_child(t, p)) continue;
        if ((*p)->pidfd < 0) next = brood__os_deadline(LOOK_MS);
        p = &(*p)->next;
    }
    return next;
}

/* Patiently: a template can't be made again. */
static int open_channel(int ends[2])
{
    int error = brood__os_channel_pair(ends);
    for (int tries = 1; error < 0 && tries < 1000; tries++) {
        brood__os_nap(1000 * 1000);
        error = brood__os_channel_pair(ends);
    }
    return error;
}

static int tell_supervisor(const struct request *request, int fd)
{
    int error = brood__supervisor_request(request, &fd, 1);
    for (int tries = 1; error < 0 && tries < 20; tries++) {
        brood__os_nap((int64_t)tries * 1000 * 1000);
        error = brood__supervisor_request(request, &fd, 1);
    }
    return error;
}

/* The supervisor has gone: a new channel for the next one. */
static bool offer(struct template *t)
{
    int ends[2];
    brood__os_poller_remove(t->poller, t->channel);
    brood__os_close(&t->channel);
    if (open_channel(ends) < 0) return false;
    struct request request = {.kind = REQUEST_POOL, .object = t->pool_id, .member = brood__self->member};
    int error = tell_supervisor(&request, ends[1]);
    brood__os_close(&ends[1]);
    t->channel = ends[0];
    for (int tries = 0; error >= 0 && tries < 1000; tries++) {
        error = brood__os_poller_add(t->poller, t->channel, TAG_CHANNEL);
        if (error >= 0) return true;
        brood__os_nap(1000 * 1000);
        error = 0;
    }
    return false;
}

static int prepare(struct template *t)
{
    int error = brood__os_poller_new(&t->poller);
    return error < 0 ? error : brood__os_poller_add(t->poller, t->channel, TAG_CHANNEL);
}

static _Noreturn void live(struct template *t)
{
    for (bool well = true; well;) {
        uint64_t tags[16];
        int n = brood__os_poller_wait(t->poller, tags, 16, reap_others(t));
        for (int i = 0; i < n && well; i++) {
            struct template_message m;
            if (tags[i] != TAG_CHANNEL) {
                reap(t, (uint32_t)tags[i]);
                continue;
            }
            size_t none = 0;
            ssize_t size = brood__os_receive(t->channel, &m, sizeof m, NULL, &none, 0);
            if (size == (ssize_t)sizeof m && m.kind == TEMPLATE_FORK)
                fork_worker(t, m.member, m.generation);
            else if (size == -ENOMEM || size == -ENOBUFS)
                brood__os_nap(1000 * 1000);
            else if (size != -EAGAIN)
                well = offer(t);
        }
    }
    brood__os_exit_now(1);
}

int brood__template_new(uint64_t pool_id, const struct preparation *preparation, const struct process_object *object,
                        uint64_t *member_id, int *channel)
{
    uint32_t member;
    int ends[2], report[2], hold = brood__self->lifeline_hold;
    int error = brood__supervisor_ensure(NULL);
    if (error >= 0) error = brood__member_claim("template", ROLE_TEMPLATE, BROOD_START_FORK, true, &member);
    if (error < 0) return error;
    *member_id = HANDLE(TABLE_MEMBER, member, SLOT_GENERATION(atomic_load(&brood__member_at(member)->slot.word)));
    brood__member_at(member)->pool = pool_id;
    error = brood__os_channel_pair(ends);
    if (error >= 0 && (error = brood__os_stream_pair(report)) < 0) {
        brood__os_close(&ends[0]);
        brood__os_close(&ends[1]);
    }
    if (error < 0) {
        brood__member_abandon(member);
        *member_id = 0;
        return brood__fail_with(error, "no channel to the pool's template: %s", brood_strerror(error));
    }
    brood__flush_before_fork();
    struct os_mask mask;
    brood__os_block_signals(&mask); /* for ever in the template, whose handlers are the caller's */
    pid_t pid = brood__os_fork();
    if (pid != 0) brood__os_restore_signals(&mask);
    if (pid == 0) {
        struct template t = {pool_id, preparation, object, ends[0], -1};
        brood__os_close(&hold);
        brood__os_close(&ends[1]);
        brood__os_close(&report[0]);
        error = prepare(&t);
        if (error >= 0) error = become_member(member, HANDLE_GENERATION(*member_id));
        brood__os_set_name("brood-template");
        int told = brood__report_send(report[1], error < 0 ? BROOD_ESTART : 0, OS_STEP_DESCRIPTORS, -error, NULL);
        brood__os_close(&report[1]);
        if (error < 0 || told < 0) brood__os_exit_now(127);
        live(&t);
    }
    brood__os_close(&ends[0]);
    brood__os_close(&report[1]);
    error = pid < 0 ? brood__fail_with((int)pid, "fork failed: %s", brood_strerror((int)pid))
                    : brood__report_receive(report[0], brood__os_deadline(brood__arena()->start_timeout));
    if (error == 0)
        error = brood__supervisor_request(&(struct request){.kind = REQUEST_WATCH, .member = member}, NULL, 0);
    if (error == BROOD_ENOINIT) error = brood__fail_with(BROOD_ESTART, "the pool's template ended before it reported");
    brood__os_close(&report[0]);
    if (error < 0) {
        brood__os_close(&ends[1]);
        brood__os_end_child(pid);
        brood__process_discard(member);
        *member_id = 0;
        return error;
    }
    *channel = ends[1];
    return 0;
}

void brood__template_end(uint64_t member_id)
{
    struct member_shm *m = brood__member_find(member_id);
    if (!m) return;
    brood__os_end_child(m->pid);
    brood__process_discard(HANDLE_INDEX(member_id));
}
