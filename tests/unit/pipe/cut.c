/* SPDX-License-Identifier: MIT */
/*
 * cut.c - the other end dies after any byte that it sends, from the first of the handshake to the last of the last message:
 * what had come whole is received, and the end is told as what it is.
 *
 * What a death leaves is a stream that ends; so it is tried here with one that ends, at each place of it.
 */
#include "brood_test.h"
#include "pipe/auth.h"
#include "pipe/frame.h"

#include <brood/connection.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE = 15000 };

static const brood_connection_options options = {.authkey = "key", .authkey_size = 3};
static const struct auth_key key = {"key", 3, false};
static char address[64];

static const struct {
    const char *bytes;
    size_t size;
} messages[] = {{"hello", 5}, {"", 0}, {"how are you?", 12}};
enum { MESSAGES = 3, STREAM = 3 * 4 + 5 + 12 };

/* One that sends so many bytes in all, and is gone. */
struct dying {
    int fd;
    enum auth_role role;
    size_t left;
    struct auth auth;
    struct frame_reader in;
    bool through; /* it has said all of its handshake */
};

static void say(struct dying *d, const void *bytes, size_t size)
{
    uint8_t stream[FRAME_HEAD_MOST + AUTH_MOST];
    size_t head = brood__frame_head(stream, size), n;
    if (size > 0) memcpy(stream + head, bytes, size);
    n = head + size < d->left ? head + size : d->left;
    if (send(d->fd, stream, n, MSG_NOSIGNAL) != (ssize_t)n) n = d->left;
    d->left -= n;
}

static void say_messages(struct dying *d)
{
    d->through = true;
    for (int i = 0; i < MESSAGES; i++) say(d, messages[i].bytes, messages[i].size);
    d->left = 0;
}

static void begin(struct dying *d, int fd, enum auth_role role, size_t left)
{
    struct auth_frame out;
    *d = (struct dying){.fd = fd, .role = role, .left = left};
    brood__frame_reader_init(&d->in, AUTH_MOST);
    ck_assert_int_eq(brood__auth_begin(&d->auth, role, &out), 0);
    if (out.size > 0) say(d, out.bytes, out.size);
}

/* What there is to read is answered; false: it is dead, or done, or the other end is gone. */
static bool live(struct dying *d, int flags)
{
    while (d->left > 0) {
        void *place;
        size_t most, size;
        struct auth_frame out;
        ck_assert_int_eq(brood__frame_reader_place(&d->in, &place, &most), 0);
        ssize_t got = recv(d->fd, place, most, flags);
        if (got <= 0) return got < 0 && flags;
        if (brood__frame_reader_added(&d->in, (size_t)got) <= 0) continue;
        const void *frame = brood__frame_reader_message(&d->in, &size);
        int result = brood__auth_take(&d->auth, &key, frame, size, &out);
        ck_assert_int_ge(result, 0);
        brood__frame_reader_next(&d->in);
        if (out.size > 0) say(d, out.bytes, out.size);
        if (result > 0 && d->left > 0) say_messages(d);
    }
    return false;
}

static void die(struct dying *d)
{
    shutdown(d->fd, SHUT_WR); /* and what was not read of it by then is nothing to complain of */
    brood__frame_reader_free(&d->in);
}

/* All that was whole, and then the end. */
static void ck_rest(brood_connection c, size_t came)
{
    char data[64];
    size_t size;
    for (int i = 0; i < MESSAGES; i++) {
        int result = brood_connection_recv(c, data, sizeof data, &size, PATIENCE);
        if (came < messages[i].size + 4) {
            ck_assert_int_eq(result, came ? -ECONNRESET : BROOD_ECLOSED);
            ck_assert_int_eq(brood_connection_recv(c, data, sizeof data, &size, 0), result);
            return;
        }
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(size, messages[i].size);
        ck_assert_int_eq(memcmp(data, messages[i].bytes, size), 0);
        came -= messages[i].size + 4;
    }
    ck_assert_int_eq(brood_connection_recv(c, data, sizeof data, &size, PATIENCE), BROOD_ECLOSED);
}

static struct sockaddr_un place_of_address(socklen_t *length)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path + 1, address + 1, strlen(address) - 1);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address));
    return at;
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* A client's part of the handshake: its answer, its challenge, its welcome. */
enum { CLIENTS_PART = (4 + AUTH_ANSWER) + (4 + 11 + AUTH_MESSAGE) + (4 + 9) };

START_TEST(a_caller_dies)
{
    brood_listener door;
    brood_connection c;
    socklen_t length;
    brood_test_ok(brood_listener_new(&door, NULL, &options));
    brood_test_ok(brood_listener_address(door, address, sizeof address));
    const struct sockaddr_un at = place_of_address(&length);
    for (size_t bytes = 0; bytes <= CLIENTS_PART + STREAM; bytes++) {
        struct dying d;
        int result, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&at, length), 0);
        begin(&d, fd, AUTH_CLIENT, bytes);
        bool lives = bytes > 0;
        if (!lives) die(&d);
        while ((result = brood_listener_accept(door, &c, lives ? 0 : PATIENCE)) == BROOD_EAGAIN) {
            lives = live(&d, MSG_DONTWAIT);
            if (!lives) die(&d);
        }
        if (lives) die(&d);
        ck_assert_int_eq(result, bytes < CLIENTS_PART ? BROOD_EAUTH : 0);
        if (result == 0) {
            ck_rest(c, bytes - CLIENTS_PART);
            brood_test_ok(brood_connection_free(c));
        }
        close(fd);
    }
    brood_test_ok(brood_listener_free(door));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------------ */

/* A listener's part: its challenge, its welcome, its answer. */
enum { LISTENERS_PART = CLIENTS_PART };

static void *accept_and_die(void *arg)
{
    struct dying *d = arg;
    int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC), listener = d->fd;
    begin(d, fd, AUTH_LISTENER, d->left);
    live(d, 0);
    die(d);
    /* It goes when the other end has had time to look. */
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) continue;
    close(fd);
    d->fd = listener;
    return NULL;
}

START_TEST(a_listener_dies)
{
    socklen_t length;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address, sizeof address, "@brood-test-cut-%d", (int)getpid());
    const struct sockaddr_un at = place_of_address(&length);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&at, length), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    for (size_t bytes = 0; bytes <= LISTENERS_PART + STREAM; bytes++) {
        struct dying d = {.fd = listener, .left = bytes};
        brood_connection c;
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, accept_and_die, &d), 0);
        int result = brood_connection_connect(&c, address, &options, PATIENCE);
        ck_assert_int_eq(result, bytes < LISTENERS_PART ? -ECONNRESET : 0);
        if (result == 0) {
            ck_rest(c, bytes - LISTENERS_PART);
            brood_test_ok(brood_connection_free(c));
        }
        pthread_join(thread, NULL);
    }
    close(listener);
}
END_TEST

static Suite *cut_suite(void)
{
    Suite *suite = suite_create("cut");
    TCase *cut = brood_test_case(suite, "cut");
    tcase_add_test(cut, a_caller_dies);
    tcase_add_test(cut, a_listener_dies);
    return suite;
}

BROOD_TEST_MAIN(cut_suite)
