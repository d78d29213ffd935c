/* SPDX-License-Identifier: MIT */
/* bare_end.h - a connection of ours whose other end is a bare socket. */
#ifndef BROOD_TEST_BARE_END_H
#define BROOD_TEST_BARE_END_H

#include "brood_test.h"

#include <brood/connection.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A_WHILE = 20, PATIENCE = 15000 };

static brood_connection ours;
static int raw; /* the other end of it */

static inline void make_pair(const brood_connection_options *options)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    brood_test_ok(brood_connection_from_fd(&ours, ends[0], options));
    raw = ends[1];
}

static inline void unmake_pair(void)
{
    brood_test_ok(brood_connection_free(ours));
    if (raw >= 0) close(raw);
}

static inline void give(const void *bytes, size_t size)
{
    ck_assert_int_eq(write(raw, bytes, size), (ssize_t)size);
}

#define GIVE(text) give(text, sizeof text - 1)

/* What the other end has got, exactly. */
static inline void ck_got(const void *bytes, size_t size)
{
    char got[256];
    ck_assert_int_eq(recv(raw, got, sizeof got, MSG_DONTWAIT), (ssize_t)size);
    ck_assert_mem_eq(got, bytes, size);
}

#endif
