/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - bytes of any size in shared memory, read in place.
 *
 * A buffer has exactly one holder at any instruction: a member, or a message in a queue.  It moves as a named
 * argument of a call (brood_queue_put_buffer), which takes it from the caller only if it succeeds.  When its holder
 * dies, it is freed.  Copying the handle's bytes is borrowing: others can look while the holder keeps it.
 */
#ifndef BROOD_BUFFER_H
#define BROOD_BUFFER_H

#include <brood/base.h>

typedef struct brood_buffer {
    uint64_t id;
} brood_buffer;

BROOD_BEGIN

/*
 * Make a buffer of `size` bytes (0 is allowed), contents unspecified, 64-byte aligned, held by this process.
 * data: if not NULL, gets its address in this process, good while it is held.
 * 0; BROOD_EARENA, also for a size beyond the arena's limit; BROOD_ENOTMEMBER.  Thread-safe.
 * A process that dies inside leaves nothing.
 */
BROOD_API int brood_buffer_new(brood_buffer *buffer, size_t size, void **data);

/* Free it; only its holder may.  0, BROOD_ESTALE, BROOD_EPERM (held by another), BROOD_ENOTMEMBER. */
BROOD_API int brood_buffer_free(brood_buffer buffer);

/* Its address in this process, or NULL for a stale handle; *size, if not NULL, gets its size in bytes. */
BROOD_API void *brood_buffer_data(brood_buffer buffer, size_t *size);

BROOD_END

#endif
