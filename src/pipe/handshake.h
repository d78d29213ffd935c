/* SPDX-License-Identifier: MIT */
/*
 * handshake.h - the challenge (auth.h) over a stream, without waiting.
 *
 * What is sent fits the buffer of a fresh socket; one that takes it not at once has an end that plays tricks.
 */
#ifndef BROOD_PIPE_HANDSHAKE_H
#define BROOD_PIPE_HANDSHAKE_H

#include "pipe/auth.h"
#include "pipe/frame.h"

struct handshake {
    int fd; /* the caller's */
    struct auth auth;
    struct frame_reader in;
};

/* 0; or, with detail, a code: there is nothing to give back. */
int brood__handshake_begin(struct handshake *h, int fd, enum auth_role role);
/*
 * Go on as far as it goes: 1: it is done, and nothing behind it has been read; 0: call again when fd is readable;
 * BROOD_EAUTH: one end is not who it should be; -ECONNRESET: the other went; or an errno; all with detail.
 */
int brood__handshake_step(struct handshake *h, const struct auth_key *key);
/* Give its memory back. */
void brood__handshake_end(struct handshake *h);

#endif
