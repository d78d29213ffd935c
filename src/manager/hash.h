/* SPDX-License-Identifier: MIT */
/*
 * manager/hash.h - SipHash-1-3: a hash of bytes under a secret of 128 bits.
 *
 * Who does not know the secret can't choose keys that fall together, which is not so of faster hashes, seeded or not.
 * Thread-safe; no state.
 */
#ifndef BROOD_MANAGER_HASH_H
#define BROOD_MANAGER_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t brood__siphash(const uint64_t secret[2], const void *bytes, size_t size);

#endif
