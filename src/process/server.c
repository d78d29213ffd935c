/* SPDX-License-Identifier: MIT */
/* server.c - the supervisor's side of servers; the table of events is in process/server.h. */
#include "process/server.h"

#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 4 /* of servers that are killed before they report */
#define PAUSE_NS ((int64_t)20 * 1000 * 1000)
#define RETRY_NS ((int64_t)3 * 1000 * 1000)

/* A start that was asked for: the slot, and the end of the channel that its process is to have. */
struct wish {
    struct wish *next;
    uint32_t member, generation;
    int channel;
    bool sent;
};

struct server {
    struct server *next;
    uint32_t program;
    uint32_t member, generation; /* of its process; 0: there is none */
    int channel;
    bool ready;
    unsigned killed; /* one after the other, before they reported */
    int64_t start_at, due;
    struct wish *wishes;
};
static struct server *servers;

static struct server *of_member(uint32_t member)
{
    struct server *s = servers;
    while (s && s->member != member) s = s->next;
    return member ? s : NULL;
}

/* Whether the slot is still the one that was claimed, and no process has it. */
static bool is_open(uint32_t member, uint32_t generation)
{
    uint64_t word = atomic_load(&brood__member_at(member)->slot.word);
    return SLOT_STATE(word) == SLOT_INIT && SLOT_GENERATION(word) == generation;
}

static void drop(struct wish **place)
{
    struct wish *wish = *place;
    *place = wish->next;
    brood__os_close(&wish->channel);
    free(wish);
}

/* Whoever made the wish is told; the slot is theirs to give back, or the supervisor's (report). */
static void answer(struct wish **place, int code, const char *detail)
{
    const struct wish *wish = *place;
    if (is_open(wish->member, wish->generation)) brood__report_send(wish->channel, code, 0, 0, detail);
    drop(place);
}

static void answer_all(struct server *s, int code, const char *detail)
{
    char text[DETAIL_SIZE];
    snprintf(text, sizeof text, "%s", detail && detail[0] ? detail : brood_strerror(code));
    brood__log(BROOD_LOG_INFO, "a server could not begin: %s", text);
    while (s->wishes) answer(&s->wishes, code, text);
}

static void lose_channel(struct server *s)
{
    if (s->channel >= 0) brood__supervisor_unpoll(s->channel);
    brood__os_close(&s->channel);
}

/* ----------------------------------------------------------------------------------------------------- its process */

static int start_server(struct server *s)
{
    int ends[2];
    uint32_t member;
    char name[32];
    snprintf(name, sizeof name, "server-%u", s->program);
    int error = brood__member_claim(name, ROLE_SERVER, BROOD_START_SPAWN, true, &member);
    if (error < 0) return error;
    struct member_shm *m = brood__member_at(member);
    m->program = s->program;
    m->parent = brood__arena()->first_member;
    atomic_store(&m->released, 1); /* nobody holds its handle */
    error = brood__os_channel_pair(ends);
    if (error >= 0) {
        error = brood__supervisor_start_server(member, s->program, ends[1]);
        brood__os_close(&ends[1]);
        if (error >= 0 && (error = brood__supervisor_poll(ends[0], s->program)) < 0) brood__supervisor_kill(member);
        if (error < 0) brood__os_close(&ends[0]);
    }
    if (error < 0) {
        brood__member_abandon(member);
        return error;
    }
    s->member = member;
    s->generation = brood__member_generation(member);
    s->channel = ends[0];
    s->ready = false;
    s->due = brood__os_deadline(brood__arena()->start_timeout);
    return 0;
}

/* Hand wishes on; when to try again. */
static int64_t hand_on(struct server *s)
{
    for (struct wish **place = &s->wishes; *place;) {
        struct wish *wish = *place;
        if (!is_open(wish->member, wish->generation) && !wish->sent) { /* given up */
            drop(place);
            continue;
        }
        struct server_message message = {SERVER_FORK, wish->member, wish->generation, 0};
        int error = wish->sent ? 0 : brood__os_send(s->channel, &message, sizeof message, &wish->channel, 1, 0);
        if (error < 0) return brood__os_now() + RETRY_NS; /* it has enough to do, or has gone, which will be heard */
        wish->sent = true;
        place = &wish->next;
    }
    return OS_NEVER;
}

/* The process has gone. */
static void lost(struct server *s, bool failed, const char *how)
{
    bool was_ready = s->ready;
    lose_channel(s);
    s->member = 0;
    s->ready = false;
    for (struct wish **place = &s->wishes; *place;) {
        if ((*place)->sent)
            answer(place, BROOD_ELOST, "the server was ended");
        else
            place = &(*place)->next;
    }
    if (was_ready)
        s->killed = 0;
    else if (failed || ++s->killed >= TRIES)
        answer_all(s, BROOD_ESTART, how);
    s->start_at = brood__os_now() + (s->killed ? PAUSE_NS << s->killed : 0);
}

/* How the preload, or what comes before it, ended the process. */
static void describe_end(const struct member_shm *m, uint32_t ended, char *text, size_t size)
{
    char said[sizeof m->said];
    memcpy(said, m->said, sizeof said);
    said[sizeof said - 1] = 0;
    const char *what = said[0] ? said : "the server";
    int value = (int)(ended & 0xffff);
    if (!(ended & ENDED))
        snprintf(text, size, "preload %.60s: the server was ended", what);
    else if (ENDED_KIND(ended) == ENDED_SIGNAL)
        snprintf(text, size, "preload %.60s: killed by signal %d (%s)", what, value, strsignal(value));
    else
        snprintf(text, size, "preload %.60s: exited with code %d", what, value);
}

static void ended(uint32_t dead)
{
    struct server *s = of_member(dead);
    struct member_shm *m = brood__member_at(dead);
    uint32_t how = atomic_load(&m->ended);
    char text[DETAIL_SIZE];
    if (m->role != ROLE_SERVER || !s || brood__member_generation(dead) != s->generation) return;
    int value = (int)(how & 0xffff);
    bool killed = !(how & ENDED) || (ENDED_KIND(how) == ENDED_SIGNAL && (value == SIGKILL || value == SIGTERM));
    describe_end(m, how, text, sizeof text);
    lost(s, !killed, text);
}

/* ------------------------------------------------------------------------------------------------- what others tell */

static void started(uint32_t member, int code, const char *detail)
{
    struct member_shm *m = brood__member_at(member);
    uint64_t word = atomic_load(&m->slot.word);
    struct server *s = m->role == ROLE_SERVER ? of_member(member) : NULL;
    if (!s || s->generation != SLOT_GENERATION(word)) return;
    if (code == BROOD_ENOINIT && SLOT_STATE(word) == SLOT_LIVE) return; /* how it ended is heard of in a moment */
    if (code == 0) {
        s->ready = true;
        s->killed = 0;
        return; /* manage hands on */
    }
    if (code == BROOD_ENOINIT) {
        code = BROOD_ESTART;
        detail = "the program of the server ended, or closed its channel, without calling brood_init";
    }
    brood__supervisor_kill(member);
    answer_all(s, code, detail);
    lost(s, true, detail);
}

static void readable(int fd, uint64_t argument)
{
    (void)argument;
    struct server *s = servers;
    while (s && s->channel != fd) s = s->next;
    if (!s) return;
    struct server_message m;
    size_t none = 0;
    ssize_t size = brood__os_receive(fd, &m, sizeof m, NULL, &none, 0);
    if (size == -ENOMEM || size == -ENOBUFS) brood__os_nap(1000 * 1000);
    if (size == -EAGAIN || size == -ENOMEM || size == -ENOBUFS) return;
    if (size != (ssize_t)sizeof m) { /* it has gone, or is no server */
        lose_channel(s);
        brood__supervisor_kill(s->member);
        return;
    }
    struct wish **place = &s->wishes;
    while (*place && ((*place)->member != m.member || (*place)->generation != m.generation || !(*place)->sent))
        place = &(*place)->next;
    if (!*place || m.kind != SERVER_FORKED) return;
    if (m.value > 0) {
        struct os_process process = {m.value, 0};
        if (brood__member_generation(m.member) == m.generation) brood__supervisor_watch_pid(m.member, &process);
        drop(place);
    } else {
        char text[DETAIL_SIZE];
        snprintf(text, sizeof text, "the server could not fork: %s", brood_strerror(m.value));
        answer(place, BROOD_ESTART, text);
    }
}

/* One that never became a member has gone without a word, or does not call brood_init. */
static void look_after(struct server *s)
{
    uint64_t word = atomic_load(&brood__member_at(s->member)->slot.word);
    bool its = SLOT_GENERATION(word) == s->generation;
    if (its && SLOT_STATE(word) == SLOT_LIVE) return;
    if (its && SLOT_STATE(word) == SLOT_INIT) {
        if (brood__os_now() < s->due) return;
        brood__supervisor_kill(s->member);
        brood__member_abandon(s->member);
        lost(s, true, "the program of the server did not report in time: does its main call brood_init first?");
        return;
    }
    lost(s, false, "the server was ended before it could begin");
}

static int64_t manage(void)
{
    int64_t next = OS_NEVER;
    for (struct server *s = servers; s; s = s->next) {
        int64_t wanted = OS_NEVER;
        if (s->member && !s->ready) {
            look_after(s);
            if (s->member) wanted = s->due;
        }
        if (s->member && s->ready) {
            wanted = hand_on(s);
        } else if (!s->member && s->wishes) {
            int error = s->start_at <= brood__os_now() ? start_server(s) : 0;
            if (error < 0) answer_all(s, BROOD_ESTART, brood_strerror(error));
            wanted = s->member ? s->due : s->wishes ? s->start_at : OS_NEVER;
        }
        if (wanted < next) next = wanted;
    }
    return next;
}

int brood__server_launch(uint32_t program, uint32_t member, int channel)
{
    struct server *s = servers;
    while (s && s->program != program) s = s->next;
    if (!s) {
        s = malloc(sizeof *s);
        if (!s) return -ENOMEM;
        *s = (struct server){.next = servers, .program = program, .channel = -1};
        servers = s;
    }
    struct wish *wish = malloc(sizeof *wish), **end = &s->wishes;
    if (!wish) return -ENOMEM;
    *wish = (struct wish){.member = member, .generation = brood__member_generation(member)};
    wish->channel = brood__os_duplicate(channel, 3);
    if (wish->channel < 0) {
        int error = wish->channel;
        free(wish);
        return error;
    }
    while (*end) end = &(*end)->next;
    *end = wish;
    return 0; /* manage goes on with it */
}

const struct area brood__server_area = {
    .ended = ended,
    .started = started,
    .readable = readable,
    .manage = manage,
};
