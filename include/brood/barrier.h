/* SPDX-License-Identifier: MIT */
/*
 * barrier.h - a place where so many parties wait for each other, again and again; one that breaks instead of hanging.
 *
 * As Python's Barrier.  Parties are calls of brood_barrier_wait, by members of the family or threads of theirs.  A member
 * that has ever waited at it is a known party: when it dies inside of wait, or later by a signal (or without having said
 * that it ends), the barrier breaks, for it would be waited for in vain.  One that ends in an orderly way is forgotten,
 * and so are all that do not wait when the barrier is reset.  A round that all parties have reached is not broken by who
 * dies after that.
 */
#ifndef BROOD_BARRIER_H
#define BROOD_BARRIER_H

#include <brood/base.h>
#include <brood/task.h>

/* A handle: plain bytes, the same in every member; may be put in structs, arrays and messages. */
typedef struct brood_barrier {
    uint64_t id;
} brood_barrier;

typedef struct brood_barrier_options {
    const brood_task *action; /* run in each round by the last party to come, before any goes on: BROOD_TASK_OF(name) */
    const void *action_arg;   /* its argument, copied; NULL if it wants none */
} brood_barrier_options;

#define BROOD_BARRIER_PARTIES_MOST 65535
#define BROOD_BARRIER_ARG_MOST 1024 /* bytes */

BROOD_BEGIN

/*
 * Make a barrier for so many parties, owned by this process: it goes when brood_barrier_free is called or this process
 * dies.  options may be NULL.
 * 0; BROOD_EINVAL: parties is 0 or more than BROOD_BARRIER_PARTIES_MOST, or the action's argument is missing or longer
 * than BROOD_BARRIER_ARG_MOST; BROOD_ETASK, BROOD_EMODULE: the action can't be found by other members; BROOD_EARENA;
 * BROOD_ENOTMEMBER.  Not async-signal-safe, as all calls here; if the caller dies inside, nothing is left.
 * All calls but free: BROOD_ECLOSED when its owner died, BROOD_ESTALE when it was freed or, after its owner's death, its
 * place is used again; who waits gets the same.
 */
BROOD_API int brood_barrier_new(brood_barrier *barrier, unsigned parties, const brood_barrier_options *options);

/* 0, BROOD_ESTALE (also when freed before), BROOD_ENOTMEMBER. */
BROOD_API int brood_barrier_free(brood_barrier barrier);

/*
 * Wait until all parties do; timeout in ms.
 * 0 to parties - 1: all have come, the caller as this one, counted from 0; the next round has begun.
 * BROOD_ETIMEDOUT: not in time, and this call has broken the barrier; BROOD_EBROKEN: it is broken, or was while the
 * caller waited, or it was reset; BROOD_EAGAIN (timeout 0): the caller would not be the last, and has not come at all;
 * BROOD_EFAILED: the caller was to run the action, which failed (brood_error_detail says how), and the barrier is broken;
 * BROOD_ETASK, BROOD_EMODULE: the action can't be run here, likewise; BROOD_EINVAL: a timeout below BROOD_FOREVER;
 * BROOD_EARENA: many more wait than there are parties; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 * An action fails by brood_fail, or by returning an int below 0.  While it runs the others wait, and break the barrier
 * if they run out of time.  Thread-safe.
 * If the caller dies inside before all have come, or in the action, the barrier breaks.
 */
BROOD_API int brood_barrier_wait(brood_barrier barrier, int timeout);

/*
 * Break it: who waits, and comes later, gets BROOD_EBROKEN.  Reset it: it is whole, nobody waits, and who waited gets
 * BROOD_EBROKEN.  0, BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER.  Thread-safe.
 * A process that dies inside has done it whole or not at all.
 */
BROOD_API int brood_barrier_abort(brood_barrier barrier);
BROOD_API int brood_barrier_reset(brood_barrier barrier);

/* How many parties it has; how many of them wait now; whether it is broken, 1 or 0.  Or as reset. */
BROOD_API int brood_barrier_parties(brood_barrier barrier);
BROOD_API int brood_barrier_waiting(brood_barrier barrier);
BROOD_API int brood_barrier_broken(brood_barrier barrier);

BROOD_END

#endif
