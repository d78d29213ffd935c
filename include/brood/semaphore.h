/* SPDX-License-Identifier: MIT */
/*
 * semaphore.h - a counting semaphore between processes whose units come back when their holder dies.
 *
 * It knows how many units each member holds.  release gives back one of the caller's own, else one that another
 * holds, as Python's Semaphore lets any process do; when nobody holds one, the semaphore grows by one, or, if it is
 * bounded, the call is refused.
 */
#ifndef BROOD_SEMAPHORE_H
#define BROOD_SEMAPHORE_H

#include <brood/base.h>

typedef struct brood_semaphore {
    uint64_t id;
} brood_semaphore;

typedef struct brood_semaphore_options {
    bool bounded; /* more releases than acquires are BROOD_EPERM */
} brood_semaphore_options;

BROOD_BEGIN

/*
 * Make a semaphore of `units` free units, at most INT32_MAX; options may be NULL.  Owned by this process: it goes when
 * brood_semaphore_free is called or this process dies.  0, BROOD_EINVAL, BROOD_EARENA, BROOD_ENOTMEMBER.
 * All calls but free: BROOD_ECLOSED when the owner died, BROOD_ESTALE when the semaphore was freed or, after its
 * owner's death, its place is used again; who waits gets the same.
 */
BROOD_API int brood_semaphore_new(brood_semaphore *semaphore, unsigned units, const brood_semaphore_options *options);
BROOD_API int brood_semaphore_free(brood_semaphore semaphore);

/*
 * Take one unit; timeout in ms.  0; BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT; BROOD_EINVAL: a timeout below
 * BROOD_FOREVER; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER; BROOD_EARENA: more members hold units than there is
 * room to name (1024).
 * Thread-safe; async-signal-safe with timeout 0 (BROOD_EDEADLK when it interrupted a call on this semaphore).
 * The units of a process that dies, inside or later, return by themselves.
 */
BROOD_API int brood_semaphore_acquire(brood_semaphore semaphore, int timeout);

/*
 * Give back one unit.  0; BROOD_EPERM: bounded, and all units are there; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 */
BROOD_API int brood_semaphore_release(brood_semaphore semaphore);

/* How many units are free now; BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_semaphore_value(brood_semaphore semaphore);

BROOD_END

#endif
