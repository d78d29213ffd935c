/* SPDX-License-Identifier: MIT */
/* auth.c - the challenge; see auth.h.  HMAC and the comparison in constant time are nettle's. */
#include "pipe/auth.h"

#include "call/error.h"
#include "os/os.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#define CHALLENGE "#CHALLENGE#"
#define WELCOME "#WELCOME#"
#define FAILURE "#FAILURE#"
#define SHA256 "{sha256}"
#define MD5 "{md5}"
#define LENGTH(text) (sizeof text - 1)

enum { OLD_MESSAGE = 20 }; /* bytes of a challenge of CPython 3.11 and older, which no newer one has */

_Static_assert(AUTH_MESSAGE == LENGTH(SHA256) + 40 && AUTH_ANSWER == LENGTH(SHA256) + SHA256_DIGEST_SIZE, "auth.h");

static bool begins_with(const uint8_t *bytes, size_t size, const char *text, size_t length)
{
    return size >= length && memcmp(bytes, text, length) == 0;
}

static void put(struct auth_frame *out, const void *bytes, size_t size)
{
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void hmac_sha256(const struct auth_key *key, const uint8_t *message, size_t size,
                        uint8_t digest[SHA256_DIGEST_SIZE])
{
    struct hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, key->size, key->bytes);
    hmac_sha256_update(&context, size, message);
    hmac_sha256_digest(&context, SHA256_DIGEST_SIZE, digest);
    explicit_bzero(&context, sizeof context); /* what is left of the key */
}

static void hmac_md5(const struct auth_key *key, const uint8_t *message, size_t size, uint8_t digest[MD5_DIGEST_SIZE])
{
    struct hmac_md5_ctx context;
    hmac_md5_set_key(&context, key->size, key->bytes);
    hmac_md5_update(&context, size, message);
    hmac_md5_digest(&context, MD5_DIGEST_SIZE, digest);
    explicit_bzero(&context, sizeof context);
}

/* ------------------------------------------------------------------------------------------- one challenge at a time */

int brood__auth_challenge(uint8_t message[AUTH_MESSAGE], struct auth_frame *out)
{
    memcpy(message, SHA256, LENGTH(SHA256));
    int error = brood__os_random(message + LENGTH(SHA256), AUTH_MESSAGE - LENGTH(SHA256));
    out->size = 0;
    if (error < 0) return error;
    put(out, CHALLENGE, LENGTH(CHALLENGE));
    put(out, message, AUTH_MESSAGE);
    return 0;
}

int brood__auth_answer(const struct auth_key *key, const void *frame, size_t size, struct auth_frame *out)
{
    const uint8_t *message = frame;
    uint8_t digest[SHA256_DIGEST_SIZE];
    out->size = 0;
    if (size > AUTH_MOST || !begins_with(message, size, CHALLENGE, LENGTH(CHALLENGE)))
        return brood__fail_with(BROOD_EAUTH, "the other end does not begin with a challenge");
    message += LENGTH(CHALLENGE);
    size -= LENGTH(CHALLENGE);
    if (size < OLD_MESSAGE) return brood__fail_with(BROOD_EAUTH, "a challenge of only %zu bytes", size);

    bool old = size == OLD_MESSAGE, md5 = old || begins_with(message, size, MD5, LENGTH(MD5));
    if (!md5 && !begins_with(message, size, SHA256, LENGTH(SHA256)))
        return brood__fail_with(BROOD_EAUTH, "the other end wants a digest that is neither SHA-256 nor MD5");
    if (md5 && !key->allow_md5)
        return brood__fail_with(BROOD_EAUTH, "the other end wants HMAC-MD5, which is not allowed here%s",
                                old ? " (CPython 3.11 or older)" : "");
    if (md5) {
        hmac_md5(key, message, size, digest);
        if (!old) put(out, MD5, LENGTH(MD5));
        put(out, digest, MD5_DIGEST_SIZE);
    } else {
        hmac_sha256(key, message, size, digest);
        put(out, SHA256, LENGTH(SHA256));
        put(out, digest, SHA256_DIGEST_SIZE);
    }
    return 0;
}

/* Whether it is the answer to this message; *why says what else is wrong than the digest. */
static bool is_right(const struct auth_key *key, const uint8_t message[AUTH_MESSAGE], const uint8_t *answer,
                     size_t size, const char **why)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    *why = "its answer is wrong: it has another key";
    if (size == AUTH_ANSWER && begins_with(answer, size, SHA256, LENGTH(SHA256))) {
        hmac_sha256(key, message, AUTH_MESSAGE, digest);
        return memeql_sec(answer + LENGTH(SHA256), digest, SHA256_DIGEST_SIZE);
    }
    bool named = size == LENGTH(MD5) + MD5_DIGEST_SIZE && begins_with(answer, size, MD5, LENGTH(MD5));
    if (size != MD5_DIGEST_SIZE && !named) {
        *why = "its answer is none";
        return false;
    }
    if (!key->allow_md5) {
        *why = "it answers with HMAC-MD5, as CPython 3.11 and older do, which is not allowed here";
        return false;
    }
    hmac_md5(key, message, AUTH_MESSAGE, digest);
    return memeql_sec(answer + size - MD5_DIGEST_SIZE, digest, MD5_DIGEST_SIZE);
}

int brood__auth_verify(const struct auth_key *key, const uint8_t message[AUTH_MESSAGE], const void *frame, size_t size,
                       struct auth_frame *out)
{
    const char *why;
    bool right = is_right(key, message, frame, size, &why);
    out->size = 0;
    if (right) {
        put(out, WELCOME, LENGTH(WELCOME));
        return 0;
    }
    put(out, FAILURE, LENGTH(FAILURE));
    return brood__fail_with(BROOD_EAUTH, "the other end is refused: %s", why);
}

int brood__auth_welcomed(const void *frame, size_t size)
{
    if (size == LENGTH(WELCOME) && memcmp(frame, WELCOME, size) == 0) return 0;
    if (size == LENGTH(FAILURE) && memcmp(frame, FAILURE, size) == 0)
        return brood__fail_with(BROOD_EAUTH, "the other end refuses our answer: it has another key");
    return brood__fail_with(BROOD_EAUTH, "the other end says neither welcome nor failure");
}

/* ---------------------------------------------------------------------------------------------- the mutual handshake */

int brood__auth_begin(struct auth *a, enum auth_role role, struct auth_frame *out)
{
    out->size = 0;
    a->role = role;
    a->state = role == AUTH_LISTENER ? AUTH_WANTS_ANSWER : AUTH_WANTS_CHALLENGE;
    return role == AUTH_LISTENER ? brood__auth_challenge(a->message, out) : 0;
}

/* The listener's order: challenge, their challenge; the client's: their challenge, challenge. */
static int step(struct auth *a, const struct auth_key *key, const void *frame, size_t size, struct auth_frame *out)
{
    int error;
    switch (a->state) {
    case AUTH_WANTS_CHALLENGE:
        error = brood__auth_answer(key, frame, size, out);
        a->state = AUTH_WANTS_WELCOME;
        return error;
    case AUTH_WANTS_ANSWER:
        error = brood__auth_verify(key, a->message, frame, size, out);
        a->state = a->role == AUTH_LISTENER ? AUTH_WANTS_CHALLENGE : AUTH_DONE;
        return error < 0 ? error : a->state == AUTH_DONE;
    case AUTH_WANTS_WELCOME:
        error = brood__auth_welcomed(frame, size);
        if (error < 0) return error;
        a->state = a->role == AUTH_LISTENER ? AUTH_DONE : AUTH_WANTS_ANSWER;
        return a->role == AUTH_LISTENER ? 1 : brood__auth_challenge(a->message, out);
    default: return brood__fail_with(BROOD_EAUTH, "the handshake is over");
    }
}

int brood__auth_take(struct auth *a, const struct auth_key *key, const void *frame, size_t size, struct auth_frame *out)
{
    out->size = 0;
    int result = step(a, key, frame, size, out);
    if (result < 0) a->state = AUTH_REFUSED;
    return result;
}
