/* SPDX-License-Identifier: MIT */
/*
 * condition.h - wait, beside a lock, until another member says that what the lock protects has changed.
 *
 *     brood_condition_acquire(c, BROOD_FOREVER);               the other member:
 *     while (!something)                                           brood_condition_acquire(c, BROOD_FOREVER);
 *         if (brood_condition_wait(c, BROOD_FOREVER) < 0) ...;     something = 1;
 *     brood_condition_release(c);                                  brood_condition_notify(c, 1);
 *                                                                  brood_condition_release(c);
 *
 * As Python's Condition.  It survives deaths: the notification of a member that dies before it has returned from its wait
 * goes to another; and when a process dies that holds the lock, all who wait return, for the dead may have been about to
 * notify them: the first that has the lock again with BROOD_EOWNERDEAD, the others with 0, as after a notify_all.
 */
#ifndef BROOD_CONDITION_H
#define BROOD_CONDITION_H

#include <brood/base.h>
#include <brood/lock.h>
#include <brood/rlock.h>

/* A handle: plain bytes, the same in every member; may be put in structs, arrays and messages. */
typedef struct brood_condition {
    uint64_t id;
} brood_condition;

/* The lock that it belongs to: one of these, which goes on being the caller's; none: an rlock of its own, freed with it. */
typedef struct brood_condition_options {
    brood_lock lock;
    brood_rlock rlock;
} brood_condition_options;

/* How many can wait at one condition at a time. */
#define BROOD_CONDITION_MOST 1024

BROOD_BEGIN

/*
 * Make a condition, owned by this process: it goes when brood_condition_free is called or this process dies.  options
 * may be NULL.  A lock belongs to any number of conditions, and is freed after them.
 * 0; BROOD_EINVAL (two locks), BROOD_EARENA, BROOD_ESTALE or BROOD_ECLOSED (no such lock), BROOD_ENOTMEMBER.
 * Thread-safe, not async-signal-safe; if the caller dies inside, nothing is left.
 * All calls but free: BROOD_ECLOSED when its owner died, BROOD_ESTALE when it was freed or, after its owner's death, its
 * place is used again; who waits gets the same.
 */
BROOD_API int brood_condition_new(brood_condition *condition, const brood_condition_options *options);

/* 0, BROOD_ESTALE (also when freed before), BROOD_EDEADLK (a signal handler in a call on it), BROOD_ENOTMEMBER. */
BROOD_API int brood_condition_free(brood_condition condition);

/* Acquire and release its lock: as brood_lock_acquire or brood_rlock_acquire, and release, and with their answers. */
BROOD_API int brood_condition_acquire(brood_condition condition, int timeout);
BROOD_API int brood_condition_release(brood_condition condition);

/*
 * Release the lock, however often an rlock is held; wait until notified, at most timeout ms; acquire the lock again, as
 * often held as before, however long that takes.  Who has called is waiting before the lock is released, so a notify by
 * who acquires it then is not missed.
 * 0: notified; BROOD_ETIMEDOUT, BROOD_EAGAIN (timeout 0): not; BROOD_EOWNERDEAD: the last holder of the lock died with it.
 * In all these cases, and when the condition has gone meanwhile (BROOD_ECLOSED, BROOD_ESTALE), the caller holds the lock,
 * unless that has gone too.
 * BROOD_EPERM: the caller does not hold the lock: not this process or, of an rlock, not this thread; BROOD_EARENA:
 * BROOD_CONDITION_MOST wait already; BROOD_EINVAL: a timeout below BROOD_FOREVER; BROOD_ENOTMEMBER: nothing was done.
 * Thread-safe, not async-signal-safe.  A process that dies inside waits no more.
 */
BROOD_API int brood_condition_wait(brood_condition condition, int timeout);

/*
 * Wait until predicate(arg), which is called with the lock held, says so; at most timeout ms in all.
 * 0: it holds; BROOD_ETIMEDOUT, or BROOD_EAGAIN with timeout 0, which never releases the lock: it does not; else as
 * brood_condition_wait: after BROOD_EOWNERDEAD look at what the dead has left, and call again to go on.
 */
typedef bool brood_condition_fn(void *arg);
BROOD_API int brood_condition_wait_for(brood_condition condition, brood_condition_fn *predicate, void *arg,
                                       int timeout);

/*
 * Wake those who have waited longest, at most n of them, or all.  They return when they have the lock, which the caller
 * holds and goes on holding.  How many; BROOD_EPERM: the caller does not hold the lock; BROOD_ECLOSED; BROOD_ESTALE;
 * BROOD_EDEADLK: in a signal handler that interrupted a call on this condition; BROOD_ENOTMEMBER.
 * Thread- and async-signal-safe.  A process that dies inside has woken some of them, and as it held the lock its death
 * wakes the others.
 */
BROOD_API int brood_condition_notify(brood_condition condition, unsigned n);
BROOD_API int brood_condition_notify_all(brood_condition condition);

BROOD_END

#endif
