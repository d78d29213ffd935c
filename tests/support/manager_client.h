/* SPDX-License-Identifier: MIT */
/*
 * manager_client.h - a client of a manager by hand: many in one process, that stop in the middle of a message, do not
 * read, or lie.
 */
#ifndef BROOD_TEST_MANAGER_CLIENT_H
#define BROOD_TEST_MANAGER_CLIENT_H

#include "brood_test.h"
#include "manager/place.h"
#include "manager/wire.h"
#include "pipe/auth.h"
#include "pipe/frame.h"
#include "process/item.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw {
    int fd;
    uint64_t serial;
    struct frame_reader reader;
};

/* The deadline of what has to come. */
#define RAW_PATIENCE brood__os_deadline(15000)

static inline void raw_send(struct raw *raw, const void *bytes, size_t size)
{
    ck_assert_int_eq(brood__os_write_all(raw->fd, bytes, size, RAW_PATIENCE), 0);
}

static inline void raw_frame(struct raw *raw, const void *bytes, size_t size)
{
    uint8_t head[FRAME_HEAD_MOST];
    raw_send(raw, head, brood__frame_head(head, size));
    raw_send(raw, bytes, size);
}

/* The next message: 1; 0: the end, or a connection that was cut. */
static inline int raw_message(struct raw *raw, const void **bytes, size_t *size)
{
    if (brood__frame_reader_whole(&raw->reader)) brood__frame_reader_next(&raw->reader);
    for (;;) {
        void *place;
        size_t most;
        ck_assert_int_eq(brood__frame_reader_place(&raw->reader, &place, &most), 0);
        ck_assert_int_eq(brood__os_wait_readable(raw->fd, RAW_PATIENCE), 1);
        ssize_t n = recv(raw->fd, place, most, 0);
        if (n <= 0) return 0;
        int whole = brood__frame_reader_added(&raw->reader, (size_t)n);
        ck_assert_int_ge(whole, 0);
        if (whole == 0) continue;
        *bytes = brood__frame_reader_message(&raw->reader, size);
        return 1;
    }
}

static inline void raw_connect(struct raw *raw, brood_manager m)
{
    struct whereabouts where;
    *raw = (struct raw){.fd = -1};
    brood_test_ok(brood__manager_where(m.id, &where));
    brood_test_ok(brood__os_stream_connect(&where.address, &raw->fd, RAW_PATIENCE));
    brood__frame_reader_init(&raw->reader, UINT32_MAX);
}

/* The challenge, with a key or, if NULL, the manager's own; what it ends with. */
static inline int raw_greet(struct raw *raw, brood_manager m, const char *password)
{
    struct whereabouts where;
    struct auth auth;
    struct auth_frame out;
    brood_test_ok(brood__manager_where(m.id, &where));
    struct auth_key key = {.bytes = password ? (const void *)password : where.key,
                           .size = password ? strlen(password) : where.key_size};
    int code = brood__auth_begin(&auth, AUTH_CLIENT, &out);
    while (code == 0) {
        const void *bytes;
        size_t size;
        if (!raw_message(raw, &bytes, &size)) return BROOD_EAUTH;
        code = brood__auth_take(&auth, &key, bytes, size, &out);
        if (out.size) raw_frame(raw, out.bytes, out.size);
    }
    return code;
}

static inline void raw_open(struct raw *raw, brood_manager m)
{
    raw_connect(raw, m);
    ck_assert_int_eq(raw_greet(raw, m, NULL), 1);
}

static inline void raw_close(struct raw *raw)
{
    brood__os_close(&raw->fd);
    brood__frame_reader_free(&raw->reader);
}

/* Write a request; how it is sent is the caller's affair.  args is taken. */
static inline void raw_write(struct raw *raw, struct item_writer *w, uint64_t object, const char *method, int timeout,
                             brood_variant args)
{
    *w = (struct item_writer){.most = SIZE_MAX};
    brood_test_ok(brood__wire_request_write(w, ++raw->serial, object, method, 1, timeout, &args));
    brood_test_ok(w->error);
    brood_variant_free(&args);
}

/* Send a request; its serial. */
static inline uint64_t raw_ask(struct raw *raw, uint64_t object, const char *method, int timeout, brood_variant args)
{
    struct item_writer w;
    raw_write(raw, &w, object, method, timeout, args);
    raw_frame(raw, w.bytes, w.size);
    free(w.bytes);
    return raw->serial;
}

/* The next answer, which is to this request; its code.  result may be NULL. */
static inline int raw_answer(struct raw *raw, uint64_t serial, brood_variant *result)
{
    const void *bytes;
    size_t size;
    struct wire_answer answer;
    ck_assert_int_eq(raw_message(raw, &bytes, &size), 1);
    brood_test_ok(brood__wire_answer_read(&answer, bytes, size));
    ck_assert_uint_eq(answer.serial, serial);
    if (result) brood_test_ok(brood_variant_decode(result, answer.value.at, answer.value.size));
    return answer.code;
}

static inline int raw_call(struct raw *raw, uint64_t object, const char *method, int timeout, brood_variant args,
                           brood_variant *result)
{
    return raw_answer(raw, raw_ask(raw, object, method, timeout, args), result);
}

static inline void raw_taken(struct raw *raw, uint64_t serial)
{
    struct item_writer w = {.most = SIZE_MAX};
    brood__wire_taken_write(&w, serial);
    raw_frame(raw, w.bytes, w.size);
    free(w.bytes);
}

/* Whether nothing comes for a while: what waits, waits. */
static inline bool raw_quiet(struct raw *raw)
{
    return brood__os_wait_readable(raw->fd, brood__os_deadline(20)) == 0;
}

/* It is dropped: what comes ends. */
static inline void raw_dropped(struct raw *raw)
{
    const void *bytes;
    size_t size;
    while (raw_message(raw, &bytes, &size)) {}
    raw_close(raw);
}

#endif
