/* SPDX-License-Identifier: MIT */
/*
 * manager.c - whatever clients say to a manager's server, each answer is one that a client understands, and when they
 * have gone the server has what it had before.
 *
 * An input is a row of events: a byte with the client in its low bits; of the rest 0: a message of so many bytes as the
 * next two say; 1: the client goes, and another comes; 2: time goes by; 3: so many bytes as they are, frames or not, come
 * on its connection.  A message's bytes are an answer to a client, too.
 */
#include "fuzz.h"
#include "manager/server.h"

#include <brood/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 3 };

static struct server server;
static struct client *clients[CLIENTS];
static int ends[CLIENTS];
static struct frame_reader readers[CLIENTS];

static void require(bool truth)
{
    if (!truth) abort();
}

static void silence(const brood_log_record *record, void *context)
{
    (void)record;
    (void)context;
}

static void come(int i)
{
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    clients[i] = brood__client_new(&server, pair[0]);
    require(clients[i] != NULL);
    clients[i]->open = true;
    clients[i]->reader.limit = server.setup.message;
    server.strangers--;
    ends[i] = pair[1];
    brood__frame_reader_init(&readers[i], UINT32_MAX);
}

static void go(int i)
{
    close(ends[i]);
    brood__frame_reader_free(&readers[i]);
    brood__client_break(clients[i]);
    brood__manager_settle(&server);
    come(i);
}

/* All that was sent to a client: whole answers. */
static void listen_to(int i)
{
    static unsigned char bytes[65536];
    for (;;) {
        ssize_t n = recv(ends[i], bytes, sizeof bytes, MSG_DONTWAIT);
        if (n <= 0) return;
        for (size_t at = 0; at < (size_t)n;) {
            size_t used, size;
            struct wire_answer answer;
            int whole = brood__frame_reader_feed(&readers[i], bytes + at, (size_t)n - at, &used);
            require(whole >= 0);
            at += used;
            if (whole == 0) break;
            const void *message = brood__frame_reader_message(&readers[i], &size);
            require(brood__wire_answer_read(&answer, message, size) == 0);
            brood__frame_reader_next(&readers[i]);
        }
        if (clients[i]->out_end > clients[i]->out_start) brood__client_ready(clients[i], OS_WRITABLE);
    }
}

/* A message, as a client of the library would see it: refused, or of parts within it. */
static void as_answer(const unsigned char *bytes, size_t size)
{
    struct wire_answer answer;
    int error = brood__wire_answer_read(&answer, bytes, size);
    if (error != 0) {
        require(error == BROOD_ECORRUPT && brood_error_detail()[0] != '\0');
        return;
    }
    brood_variant v;
    unsigned char head[WIRE_ANSWER_HEAD];
    size_t head_size = brood__wire_answer_head(head, answer.serial, answer.code, answer.handed);
    require(head_size + answer.value.size == size && memcmp(head, bytes, head_size) == 0);
    require(brood_variant_decode(&v, answer.value.at, answer.value.size) == 0);
    brood_variant_free(&v);
}

/* What the server reads of it may be a part of a frame, some frames, or none. */
static void say(int i, const uint8_t *bytes, size_t size)
{
    ssize_t n = send(ends[i], bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0 && !clients[i]->paused) brood__client_ready(clients[i], OS_READABLE);
}

static size_t message_of(const uint8_t *bytes, size_t size, size_t at)
{
    size_t length = size - at < 2 ? size - at : (size_t)(bytes[at] << 8 | bytes[at + 1]) + 2;
    return length < size - at ? length : size - at;
}

static void play(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        int i = (bytes[at] & 15) % CLIENTS, event = bytes[at] >> 4 & 3;
        at++;
        if (event == 1) {
            go(i);
        } else if (event == 2) {
            server.now += (int64_t)1000000000;
            brood__timer_run(&server);
        } else if (event == 3) {
            size_t length = message_of(bytes, size, at), begin = length < 2 ? length : 2;
            say(i, bytes + at + begin, length - begin);
            at += length;
        } else {
            size_t length = message_of(bytes, size, at), begin = length < 2 ? length : 2;
            /* A copy of its very size: what reads beyond is seen. */
            uint8_t *message = malloc(length - begin + 1);
            require(message != NULL);
            memcpy(message, bytes + at + begin, length - begin);
            if (brood__request_take(clients[i], message, length - begin) < 0) brood__client_break(clients[i]);
            as_answer(message, length - begin);
            free(message);
            at += length;
        }
        brood__manager_settle(&server);
        for (int k = 0; k < CLIENTS; k++) {
            bool is_there = false;
            for (struct client *c = server.clients; c; c = c->next) is_there |= c == clients[k];
            if (is_there) {
                listen_to(k);
            } else {
                close(ends[k]);
                brood__frame_reader_free(&readers[k]);
                come(k);
            }
        }
    }
}

/* What keeps itself alive, for the leak sanitizer: conditions first, since they have locks. */
static void take_apart(bool conditions)
{
    for (size_t i = 0; i < server.table_size; i++) {
        for (struct object *o = server.table[i], *next; o; o = next) {
            next = o->next;
            if (conditions && o->type != &brood__type_condition) continue;
            o->references = 1;
            brood__refer_no_more(&server, o);
        }
    }
    brood__object_bury(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    brood_log_to(silence, NULL);
    server = (struct server){.setup = {.clients = 10,
                                       .message = 65536,
                                       .buffered = 70000,
                                       .waiting = 20,
                                       .objects = 50,
                                       .memory = 1000000,
                                       .stall_ms = 5000,
                                       .greet_ms = 5000},
                             .listener = -1,
                             .next_id = OBJECT_BIT | 1};
    server.result.most = (size_t)server.setup.buffered;
    require(brood__tables_new(&server) && brood__os_poller_new(&server.poller) == 0);
    for (int i = 0; i < CLIENTS; i++) come(i);
    play(bytes, size);
    for (int i = 0; i < CLIENTS; i++) {
        close(ends[i]);
        brood__frame_reader_free(&readers[i]);
        brood__client_break(clients[i]);
    }
    brood__manager_settle(&server);
    require(!server.clients && server.client_count == 0 && server.strangers == 0);
    require(server.share_count == 0 && server.waiting_count == 0 && server.timer_count == 0);
    /* Objects that name each other are left; if there are none, nothing is. */
    require(server.object_count > 0 || server.bytes == 0);
    take_apart(true);
    take_apart(false);
    brood__os_close(&server.poller);
    free(server.table);
    free(server.shares);
    free(server.timers);
    free(server.result.bytes);
    return 0;
}
