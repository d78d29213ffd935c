/* SPDX-License-Identifier: MIT */
/*
 * auth.h - two ends prove to each other that they know the same key, as CPython's multiprocessing.connection does.
 *
 * The listening end sends "#CHALLENGE#" and a message; the other answers with the HMAC of that message; the first says
 * "#WELCOME#" or "#FAILURE#".  Then the same with the roles exchanged.  Each of these is one frame (frame.h) of at most
 * AUTH_MOST bytes.  Since CPython 3.12 the message is "{sha256}" and 40 random bytes, and an answer is "{sha256}" and the
 * HMAC-SHA-256 of the whole message, its prefix too.  Until 3.11 the message is 20 random bytes, and an answer is the
 * bare HMAC-MD5; that is understood only where it is allowed.
 *
 * Pure functions over bytes: no descriptor, no waiting, no heap, no state but the caller's; so a server with a loop of
 * its own feeds frames to brood__auth_take and sends what stands in `out`.  Thread-safe.  Digests are compared in a time
 * that does not depend on where they differ.
 *
 * It keeps out who does not know the key.  It does not encrypt, and who sits between the two ends can let them
 * authenticate each other and then speak for both.
 */
#ifndef BROOD_PIPE_AUTH_H
#define BROOD_PIPE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_MOST 256   /* bytes of a frame of the handshake at most, as in CPython */
#define AUTH_MESSAGE 48 /* "{sha256}" and 40 random bytes */
#define AUTH_ANSWER 40  /* "{sha256}" and the digest */

struct auth_key {
    const void *bytes;
    size_t size;
    bool allow_md5; /* the other end may be CPython 3.11 or older */
};

/* One frame's bytes, without its head. */
struct auth_frame {
    uint8_t bytes[AUTH_MOST];
    size_t size;
};

/* ------------------------------------------------------------------------------------------- one challenge at a time */

/* Make a challenge: `message` is kept for brood__auth_verify, `out` is sent.  0, or an errno: no random bytes. */
int brood__auth_challenge(uint8_t message[AUTH_MESSAGE], struct auth_frame *out);
/*
 * Answer the other's challenge, a frame as it came.  0; BROOD_EAUTH: it is none, or wants what is not allowed; the detail
 * says which.
 */
int brood__auth_answer(const struct auth_key *key, const void *frame, size_t size, struct auth_frame *out);
/*
 * Check the answer to our challenge.  0, and `out` is the welcome; BROOD_EAUTH, and `out` is the refusal, which should
 * still be sent.
 */
int brood__auth_verify(const struct auth_key *key, const uint8_t message[AUTH_MESSAGE], const void *frame, size_t size,
                       struct auth_frame *out);
/* What the other says to our answer: 0: welcome; BROOD_EAUTH. */
int brood__auth_welcomed(const void *frame, size_t size);

/* ---------------------------------------------------------------------------------------------- the mutual handshake */

enum auth_role { AUTH_LISTENER, AUTH_CLIENT }; /* the listener challenges first */
enum auth_state {
    AUTH_WANTS_CHALLENGE,
    AUTH_WANTS_ANSWER,
    AUTH_WANTS_WELCOME,
    AUTH_DONE,
    AUTH_REFUSED,
};

struct auth {
    enum auth_role role;
    enum auth_state state;
    uint8_t message[AUTH_MESSAGE]; /* our challenge */
};

/* Begin; out->size bytes (0 in the client) are to be sent as a frame.  0, or an errno. */
int brood__auth_begin(struct auth *a, enum auth_role role, struct auth_frame *out);
/*
 * The next frame from the other end.  What stands in `out` after it (out->size 0: nothing) is to be sent in any case.
 * 1: both have proved themselves once this is sent; 0: wait for the next frame; BROOD_EAUTH: send what there is and
 * close; or an errno.
 */
int brood__auth_take(struct auth *a, const struct auth_key *key, const void *frame, size_t size,
                     struct auth_frame *out);

#endif
