/* SPDX-License-Identifier: MIT */
/*
 * server_client.c - the server's side of a connection: its bytes in and out, its challenge, its end.
 *
 * Nobody is waited for.  What can't be sent is kept; while more than `buffered` bytes are, the client is not listened to;
 * and if for stall_ms it takes none of them it is dropped.  A client that is to be dropped is `broken`, and taken apart
 * when the event that is worked on has been dealt with, so that nobody finds it gone under his hands.
 */
#include "manager/server.h"

#include "call/error.h"

#include <stdio.h>
#include <string.h>

#define MS ((int64_t)1000000)
#define READ_AT_ONCE 65536

/* -------------------------------------------------------------------------------------------------------------- out */

static size_t unsent(const struct client *c)
{
    return c->out_end - c->out_start;
}

static void watch(struct client *c)
{
    unsigned events = (c->paused ? 0u : OS_READABLE) | (unsent(c) ? OS_WRITABLE : 0u);
    if (c->broken || events == c->watched) return;
    if (brood__os_poller_watch(c->s->poller, c->fd, (uintptr_t)c, events) < 0)
        brood__client_break(c);
    else
        c->watched = events;
}

/* Something is unsent, or has been sent: from now on it has so long to read. */
static void expect_reading(struct client *c)
{
    int64_t at = unsent(c) ? c->s->now + c->s->setup.stall_ms * MS : OS_NEVER;
    if (c->open && !brood__timer_set(c->s, &c->timer, at, NULL, c)) brood__client_break(c);
}

static void keep_unsent(struct client *c, const void *bytes, size_t size)
{
    if (size == 0) return;
    if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, unsent(c));
        c->out_end -= c->out_start;
        c->out_start = 0;
    }
    if (c->out_end + size > c->out_room) {
        size_t room = c->out_room ? 2 * c->out_room : 4096;
        if (room < c->out_end + size) room = c->out_end + size;
        unsigned char *out = brood__keep_more(c->s, c->out, room);
        if (!out) {
            brood__manager_log(c->s, "no memory for what client %llu does not read; dropped",
                               (unsigned long long)c->number);
            brood__client_break(c);
            return;
        }
        c->out = out;
        c->out_room = room;
    }
    memcpy(c->out + c->out_end, bytes, size);
    c->out_end += size;
}

/*
 * Nothing can be sent to it.  If that is because it has gone, what it said before that counts: it is read until its end
 * comes.
 */
static void fall_silent(struct client *c, ssize_t error)
{
    c->mute = true;
    if (error != -EPIPE && error != -ECONNRESET) brood__client_break(c);
    brood__drop(c->s, c->out);
    c->out = NULL;
    c->out_start = c->out_end = c->out_room = 0;
}

static void send_message(struct client *c, const void *head, size_t head_size, const void *data, size_t size)
{
    uint8_t all[FRAME_HEAD_MOST + WIRE_ANSWER_HEAD];
    if (c->broken || c->mute) return;
    size_t before = brood__frame_head(all, head_size + size);
    if (head_size) memcpy(all + before, head, head_size);
    before += head_size;
    size_t sent = 0;
    if (!unsent(c)) {
        ssize_t n = brood__os_stream_send(c->fd, all, before, data, size);
        if (n < 0 && n != BROOD_EAGAIN) {
            fall_silent(c, n);
            return;
        }
        sent = n < 0 ? 0 : (size_t)n;
        if (sent == before + size) return;
    }
    bool was = unsent(c) > 0;
    if (sent < before) keep_unsent(c, all + sent, before - sent);
    size_t of_data = sent > before ? sent - before : 0;
    keep_unsent(c, (const char *)data + of_data, size - of_data);
    if (!was) expect_reading(c);
    if (unsent(c) > 2 * c->s->setup.buffered) {
        brood__manager_log(c->s, "client %llu does not read %zu bytes of answers; dropped",
                           (unsigned long long)c->number, unsent(c));
        brood__client_break(c);
    }
    if (unsent(c) > c->s->setup.buffered) c->paused = true;
    watch(c);
}

void brood__client_answer(struct client *c, uint64_t serial, int code)
{
    static const unsigned char nil = 0xf6;
    struct server *s = c->s;
    struct item_writer *w = &s->result;
    if (code == 0 && w->error < 0)
        code = w->error == BROOD_ENOMEM
                   ? BROOD_ENOMEM
                   : brood__fail_with(BROOD_EMSGSIZE, "the answer is longer than %zu bytes", w->most);
    if (code < 0) {
        const char *detail = brood_error_detail();
        size_t size = strlen(detail);
        w->size = 0;
        w->error = 0;
        if (size && brood__item_is_text((const unsigned char *)detail, size)) brood__item_put_text(w, detail, size);
        if (w->error < 0) w->size = 0;
    }
    unsigned char head[WIRE_ANSWER_HEAD];
    size_t head_size = brood__wire_answer_head(head, serial, code, s->handed);
    send_message(c, head, head_size, w->size ? w->bytes : &nil, w->size ? w->size : 1);
    w->size = 0;
    s->handed = false;
}

static void take_bytes(struct client *c, const unsigned char *bytes, size_t size);

/* It reads: send on.  If all is well again, go on with what came meanwhile. */
static void send_on(struct client *c)
{
    ssize_t n = brood__os_stream_send(c->fd, NULL, 0, c->out + c->out_start, unsent(c));
    if (n == BROOD_EAGAIN) return;
    if (n < 0)
        fall_silent(c, n);
    else
        c->out_start += (size_t)n;
    if (!unsent(c)) {
        brood__drop(c->s, c->out);
        c->out = NULL;
        c->out_start = c->out_end = c->out_room = 0;
    }
    expect_reading(c);
    if (c->paused && unsent(c) <= c->s->setup.buffered / 2) {
        unsigned char *in = c->in;
        size_t size = c->in_size;
        c->paused = false;
        c->in = NULL;
        c->in_size = 0;
        if (size) take_bytes(c, in, size);
        brood__drop(c->s, in);
    }
}

/* --------------------------------------------------------------------------------------------------------------- in */

static void refuse(struct client *c, const char *why)
{
    brood__manager_log(c->s, "client %llu%s is dropped: %s", (unsigned long long)c->number,
                       c->open ? "" : ", a stranger,", why);
    brood__client_break(c);
}

/* A stranger's message. */
static void greet(struct client *c, const void *message, size_t size)
{
    struct server *s = c->s;
    struct auth_key key = {.bytes = s->key, .size = s->setup.key_size};
    struct auth_frame out = {.size = 0};
    int code = brood__auth_take(&c->auth, &key, message, size, &out);
    char why[DETAIL_SIZE];
    if (code < 0) snprintf(why, sizeof why, "%s", brood_error_detail());
    if (out.size) send_message(c, NULL, 0, out.bytes, out.size);
    if (code < 0) {
        refuse(c, why[0] ? why : brood_strerror(code));
    } else if (code == 1) {
        c->open = true;
        s->strangers--;
        c->reader.limit = s->setup.message;
        expect_reading(c);
    }
}

static void take_bytes(struct client *c, const unsigned char *bytes, size_t size)
{
    struct server *s = c->s;
    while (size && !c->broken) {
        if (c->paused) {
            unsigned char *in = brood__keep_more(s, c->in, c->in_size + size);
            if (!in) {
                refuse(c, "no memory for its requests");
                return;
            }
            memcpy(in + c->in_size, bytes, size);
            c->in = in;
            c->in_size += size;
            return;
        }
        size_t used = 0, length;
        brood__say_nothing();
        int whole = brood__frame_reader_feed(&c->reader, bytes, size, &used);
        s->bytes += c->reader.room - c->reader_room;
        c->reader_room = c->reader.room;
        if (whole >= 0 && s->bytes > s->setup.memory && c->reader_room > READ_AT_ONCE) whole = BROOD_ENOMEM;
        if (whole == BROOD_EMSGSIZE)
            brood__fail_with(whole, "a message of %llu bytes is beyond its limit of %llu",
                             (unsigned long long)c->reader.size, (unsigned long long)c->reader.limit);
        if (whole < 0) {
            char why[DETAIL_SIZE];
            snprintf(why, sizeof why, "%s", brood_error_detail());
            refuse(c, why[0] ? why : brood_strerror(whole));
            return;
        }
        bytes += used;
        size -= used;
        if (whole == 0) return;
        const void *message = brood__frame_reader_message(&c->reader, &length);
        if (!c->open)
            greet(c, message, length);
        else if (brood__request_take(c, message, length) < 0)
            refuse(c, brood_error_detail());
        brood__frame_reader_next(&c->reader);
        s->bytes += c->reader.room - c->reader_room;
        c->reader_room = c->reader.room;
        brood__serve_due(s);
    }
}

void brood__client_ready(struct client *c, unsigned ready)
{
    static unsigned char bytes[READ_AT_ONCE];
    if (c->broken) return;
    if (ready & OS_WRITABLE && unsent(c)) send_on(c);
    if (ready & OS_READABLE && !c->paused && !c->broken) {
        ssize_t n = brood__os_stream_receive(c->fd, bytes, sizeof bytes);
        if (n > 0)
            take_bytes(c, bytes, (size_t)n);
        else if (n == 0 && !brood__frame_reader_between(&c->reader))
            refuse(c, "it ended within a message");
        else if (n != BROOD_EAGAIN)
            brood__client_break(c);
    } else if (ready == (OS_READABLE | OS_WRITABLE) && c->paused && !unsent(c)) {
        brood__client_break(c);
    }
    watch(c);
}

/* -------------------------------------------------------------------------------------------------- coming and going */

struct client *brood__client_new(struct server *s, int fd)
{
    struct client *c = brood__keep(s, sizeof *c);
    if (!c) return NULL;
    *c = (struct client){.s = s, .fd = fd, .number = ++s->next_client, .next = s->clients, .place = &s->clients};
    if (s->clients) s->clients->place = &c->next;
    s->clients = c;
    s->client_count++;
    s->strangers++;
    brood__frame_reader_init(&c->reader, AUTH_MOST);
    return c;
}

static bool accept_one(struct server *s, int fd)
{
    struct client *c = brood__client_new(s, fd);
    if (!c) {
        brood__os_close(&fd);
        return false;
    }
    struct auth_frame out = {.size = 0};
    if (s->client_count > s->setup.clients) {
        brood__manager_log(s, "client %llu is dropped: there are %llu already", (unsigned long long)c->number,
                           (unsigned long long)s->setup.clients);
        brood__client_break(c);
    } else if (brood__auth_begin(&c->auth, AUTH_LISTENER, &out) < 0 ||
               !brood__timer_set(s, &c->timer, s->now + s->setup.greet_ms * MS, NULL, c)) {
        brood__client_break(c);
    } else {
        send_message(c, NULL, 0, out.bytes, out.size);
        watch(c);
    }
    return true;
}

void brood__client_accept(struct server *s)
{
    enum { AT_ONCE = 64 };
    for (int i = 0; i < AT_ONCE; i++) {
        int fd;
        struct os_address peer;
        int error = brood__os_stream_accept(s->listener, &fd, &peer);
        if (error < 0 && error != BROOD_EAGAIN) {
            brood__manager_log(s, "a client can't be taken now: %s", brood_strerror(error));
            brood__os_poller_remove(s->poller, s->listener);
            s->deaf = true;
        }
        if (error < 0 || !accept_one(s, fd)) return;
    }
}

void brood__client_break(struct client *c)
{
    if (c->broken) return;
    c->broken = true;
    c->next_broken = c->s->broken;
    c->s->broken = c;
}

void brood__client_late(struct client *c)
{
    if (!c->open)
        refuse(c, "it did not prove in time that it knows the key");
    else if (unsent(c))
        refuse(c, "it does not read its answers");
}

void brood__client_bury(struct server *s)
{
    while (s->broken) {
        struct client *c = s->broken;
        s->broken = c->next_broken;
        s->dropped_count++;
        if (!c->open) s->strangers--;
        *c->place = c->next;
        if (c->next) c->next->place = c->place;
        s->client_count--;
        brood__timer_clear(s, &c->timer);
        brood__os_poller_remove(s->poller, c->fd);
        brood__os_close(&c->fd);
        while (c->waiting) brood__request_drop(c->waiting);
        struct hand *backwards = NULL; /* the youngest first, so that the oldest comes to stand in front */
        while (c->hands) {
            struct hand *hand = c->hands;
            c->hands = hand->next;
            hand->next = backwards;
            backwards = hand;
        }
        while (backwards) {
            struct hand *hand = backwards;
            backwards = hand->next;
            brood__queue_returned(s, hand);
        }
        brood__object_gone(c);
        s->bytes -= c->reader_room;
        brood__frame_reader_free(&c->reader);
        brood__drop(s, c->in);
        brood__drop(s, c->out);
        brood__drop(s, c);
    }
}
