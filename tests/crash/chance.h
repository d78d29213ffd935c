/* SPDX-License-Identifier: MIT */
/* chance.h - numbers that a seed, which is not 0, decides (xorshift, G. Marsaglia 2003, multiplied). */
#ifndef CRASH_CHANCE_H
#define CRASH_CHANCE_H

#include <stdint.h>

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull;
}

#endif
