/* SPDX-License-Identifier: MIT */
/* hash.c - SipHash-1-3, as Aumasson and Bernstein describe it: one round for each word, three at the end. */
#include "manager/hash.h"

#include <string.h>

#define TURN(x, by) ((x) << (by) | (x) >> (64 - (by)))

struct sip {
    uint64_t a, b, c, d;
};

static inline void round_of(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = TURN(s->b, 13) ^ s->a;
    s->d = TURN(s->d, 16) ^ s->c;
    s->a = TURN(s->a, 32) + s->d;
    s->c += s->b;
    s->d = TURN(s->d, 21) ^ s->a;
    s->b = TURN(s->b, 17) ^ s->c;
    s->c = TURN(s->c, 32);
}

static inline void take(struct sip *s, uint64_t word)
{
    s->d ^= word;
    round_of(s);
    s->a ^= word;
}

uint64_t brood__siphash(const uint64_t secret[2], const void *bytes, size_t size)
{
    struct sip s = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d, secret[0] ^ 0x6c7967656e657261,
                    secret[1] ^ 0x7465646279746573};
    const char *at = bytes;
    uint64_t word;
    for (size_t left = size / 8; left > 0; left--, at += 8) {
        memcpy(&word, at, 8);
        take(&s, word);
    }
    word = 0;
    if (size % 8) memcpy(&word, at, size % 8);
    take(&s, word | (uint64_t)size << 56);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++) round_of(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
