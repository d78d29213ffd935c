/* SPDX-License-Identifier: MIT */
/*
 * lock.h - a lock between processes that survives the death of its holder.
 *
 * It is held by a process, across calls, and may be released by any member, as Python's Lock.  If the holder dies,
 * the next one to acquire it is told so (BROOD_EOWNERDEAD, and the lock is held): what it protects may be half done.
 */
#ifndef BROOD_LOCK_H
#define BROOD_LOCK_H

#include <brood/base.h>
#include <sys/types.h>

/* A handle: plain bytes, the same in every member; may be put in structs, arrays and messages. */
typedef struct brood_lock {
    uint64_t id;
} brood_lock;

BROOD_BEGIN

/*
 * Make a lock, free, owned by this process: it goes when brood_lock_free is called or this process dies.
 * 0; BROOD_EARENA (no slot left), BROOD_ENOTMEMBER.  Thread-safe, not async-signal-safe; if the caller dies inside,
 * nothing is left.
 */
BROOD_API int brood_lock_new(brood_lock *lock);

/*
 * Free it: sleepers and later callers get BROOD_ESTALE.  0, BROOD_ESTALE (also when freed before), BROOD_ENOTMEMBER.
 * A lock whose owner died is BROOD_ECLOSED to acquire, release and holder, until its place is used again; then
 * BROOD_ESTALE.
 */
BROOD_API int brood_lock_free(brood_lock lock);

/*
 * Acquire; timeout in ms, 0 tries, BROOD_FOREVER waits.
 * 0; BROOD_EOWNERDEAD: acquired, and the last holder died with it; BROOD_EAGAIN (timeout 0) or BROOD_ETIMEDOUT: held by
 * another; BROOD_EDEADLK: this process holds it and the timeout is BROOD_FOREVER in a process with one thread;
 * BROOD_EINVAL: a timeout below BROOD_FOREVER; BROOD_ECLOSED: its owner died; BROOD_ESTALE; BROOD_ENOTMEMBER.
 * Thread-safe; async-signal-safe with timeout 0.
 * A process that dies inside either holds it, and its heir is told, or does not.
 */
BROOD_API int brood_lock_acquire(brood_lock lock, int timeout);

/*
 * As brood_lock_acquire, and if waiting can't end, because members wait for each other's locks in a circle that this
 * call closes, it is BROOD_EDEADLK, whatever the timeout; brood_error_detail names the members and locks.  The caller
 * still has its locks: it can release one and try again.  Of a circle one member is told, at once or, when another has
 * closed the circle without asking, within half a second.  A process with threads is in no circle, for another of its
 * threads may release what it holds, nor is one that has died: BROOD_EOWNERDEAD comes.  One in the circle may yet give
 * up by a timeout of its own.
 * Thread-safe, not async-signal-safe.
 */
BROOD_API int brood_lock_acquire_checked(brood_lock lock, int timeout);

/* One of a circle: it waits for a lock that the next one holds, the last for one of the first. */
typedef struct brood_deadlock_member {
    pid_t pid;
    char name[32]; /* as brood_process_name */
    brood_lock holds, waits_for;
} brood_deadlock_member;

/*
 * Whether some members of the family, the caller or others, wait for each other's locks in a circle at this moment.
 * 0: none do; else how many, of which at most capacity are written.  Circles of at most 64 are seen.
 * BROOD_ENOTMEMBER.  Thread-safe, not async-signal-safe; changes nothing.
 */
BROOD_API int brood_deadlock_find(brood_deadlock_member *members, size_t capacity);

/*
 * Release; by any member.  0; BROOD_EPERM: nobody holds it; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 * Thread-safe, async-signal-safe.  A process that dies inside has released it or not; waiters go on in both cases.
 */
BROOD_API int brood_lock_release(brood_lock lock);

/* The pid of the holder, 0 when free; BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_lock_holder(brood_lock lock);

BROOD_END

#endif
