/* SPDX-License-Identifier: MIT */
/*
 * rlock.h - a lock between processes that its owner may acquire again.
 *
 * As Python's RLock: it is owned by one thread of one member, which may acquire it as often as it likes and has to
 * release it as often; nobody else can.  If the owner's process dies, the next one to acquire it is told so
 * (BROOD_EOWNERDEAD) and holds it once, whatever depth the dead had reached.  A thread that ends while it owns one leaves
 * it held, until its process ends.
 */
#ifndef BROOD_RLOCK_H
#define BROOD_RLOCK_H

#include <brood/base.h>
#include <sys/types.h>

/* A handle: plain bytes, the same in every member; may be put in structs, arrays and messages. */
typedef struct brood_rlock {
    uint64_t id;
} brood_rlock;

/* How often one thread can have acquired it without a release between. */
#define BROOD_RLOCK_MOST 16383

BROOD_BEGIN

/*
 * Make one, free, owned by this process: it goes when brood_rlock_free is called or this process dies.
 * 0; BROOD_EARENA (no slot left), BROOD_ENOTMEMBER.  Thread-safe, not async-signal-safe; if the caller dies inside,
 * nothing is left.
 * All calls but free: BROOD_ECLOSED when its owner died, BROOD_ESTALE when it was freed or, after its owner's death, its
 * place is used again; who waits gets the same.
 */
BROOD_API int brood_rlock_new(brood_rlock *rlock);

/* 0, BROOD_ESTALE (also when freed before), BROOD_ENOTMEMBER. */
BROOD_API int brood_rlock_free(brood_rlock rlock);

/*
 * Acquire, at once if the calling thread owns it; timeout in ms, 0 tries, BROOD_FOREVER waits.
 * 0; BROOD_EOWNERDEAD: acquired, and the last owner died with it; BROOD_EAGAIN (timeout 0) or BROOD_ETIMEDOUT: another
 * process or thread owns it; BROOD_EAGAIN also: the caller has it BROOD_RLOCK_MOST times; BROOD_EDEADLK: the timeout is
 * BROOD_FOREVER, and the owner was a thread of this process, which has but this one now; BROOD_EINVAL: a timeout below
 * BROOD_FOREVER; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 * Thread-safe; async-signal-safe with timeout 0 (a handler runs as the thread that it interrupted).
 * A process that dies inside either holds it, and its heir is told, or does not.
 */
BROOD_API int brood_rlock_acquire(brood_rlock rlock, int timeout);

/* As brood_lock_acquire_checked: BROOD_EDEADLK if it would close a circle of waiting members, of both kinds of locks. */
BROOD_API int brood_rlock_acquire_checked(brood_rlock rlock, int timeout);

/*
 * Release once; the last release, of as many as there were acquires, makes it free.  0; BROOD_EPERM: the calling thread
 * does not own it; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 * Thread-safe, async-signal-safe.  A process that dies inside has released it or not; waiters go on in both cases.
 */
BROOD_API int brood_rlock_release(brood_rlock rlock);

/* How often the calling thread has acquired it and not released it; 0: it does not own it.  Or as release. */
BROOD_API int brood_rlock_depth(brood_rlock rlock);

/* The pid of the process that holds it, 0 when free; BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_rlock_holder(brood_rlock rlock);

BROOD_END

#endif
