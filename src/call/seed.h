/* SPDX-License-Identifier: MIT */
/*
 * call/seed.h - a number for each task or item, from which it may make its random ones: it depends on the pool's seed,
 * on which submit, map or stream of the pool it belongs to, and on its place there; never on who runs it.
 *
 * The steps are those of splitmix64: numbers that differ in one bit give seeds that have nothing in common.
 */
#ifndef BROOD_CALL_SEED_H
#define BROOD_CALL_SEED_H

#include <stdint.h>

#define SEED_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t seed_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}
/* Of a pool, from its option. */
static inline uint64_t seed_of_pool(uint64_t option)
{
    return seed_mix(option + SEED_STEP);
}
/* Of the first item of the n-th series of a pool with this seed; then of the item so many places further on. */
static inline uint64_t seed_of_series(uint64_t pool, uint64_t n)
{
    return seed_mix(pool + n * SEED_STEP);
}
static inline uint64_t seed_after(uint64_t first, uint64_t items)
{
    return first + items * SEED_STEP;
}
/* What the task is given. */
static inline uint64_t seed_given(uint64_t seed)
{
    return seed_mix(seed + SEED_STEP);
}

#endif
