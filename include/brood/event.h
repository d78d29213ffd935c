/* SPDX-License-Identifier: MIT */
/* event.h - a flag that members wait for: set wakes all, and stays set until cleared. */
#ifndef BROOD_EVENT_H
#define BROOD_EVENT_H

#include <brood/base.h>

typedef struct brood_event {
    uint64_t id;
} brood_event;

BROOD_BEGIN

/*
 * Make an event, not set, owned by this process: it goes when brood_event_free is called or this process dies.
 * 0, BROOD_EARENA, BROOD_ENOTMEMBER.
 * All calls but free: BROOD_ECLOSED when the owner died, BROOD_ESTALE when the event was freed or, after its owner's
 * death, its place is used again; who waits gets the same.
 */
BROOD_API int brood_event_new(brood_event *event);
BROOD_API int brood_event_free(brood_event event);

/*
 * Set: all who wait return 0.  Clear: later waits wait.  0, BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER.  Thread- and
 * async-signal-safe.  A process that dies inside has set it, and all waiters are woken, or has not.
 */
BROOD_API int brood_event_set(brood_event event);
BROOD_API int brood_event_clear(brood_event event);

/* 1 or 0; BROOD_ECLOSED, BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_event_is_set(brood_event event);

/*
 * Wait until it is set; timeout in ms.  0; BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT; BROOD_EINVAL: a timeout below
 * BROOD_FOREVER; BROOD_ECLOSED; BROOD_ESTALE; BROOD_ENOTMEMBER.
 */
BROOD_API int brood_event_wait(brood_event event, int timeout);

BROOD_END

#endif
