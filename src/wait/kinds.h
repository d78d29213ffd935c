/* SPDX-License-Identifier: MIT */
/*
 * wait/kinds.h - what can be waited for, seen alike: is it ready, and by which descriptor can one know.
 *
 * Objects of the arena call by bells (sync/bell.h).  Those here are bells of their own for each wait or set, not those
 * that brood_queue_fd and its like give to the program: to quiet one of those would take a ring from its event loop.
 */
#ifndef BROOD_WAIT_KINDS_H
#define BROOD_WAIT_KINDS_H

#include "sync/bell.h"

#include <brood/wait.h>

/* 0, or BROOD_EINVAL: it is of no kind. */
int brood__waitable_check(const brood_waitable *item);

/* Whether a call on it would not have to wait.  Nothing is consumed. */
bool brood__waitable_ready(const brood_waitable *item);

/* Why an item that is ready is of no use, or 0. */
int brood__waitable_error(const brood_waitable *item);

/*
 * The descriptor that is readable when it may be ready.  *bell gets one that is the caller's to close, if it calls by
 * one; it is armed: look at the item after this.  >= 0 or an error.
 */
int brood__waitable_open(const brood_waitable *item, struct bell **bell);

/*
 * Its descriptor was readable, and it is not ready: a process that has gone of which the supervisor has not said so yet.
 * Waits for that, at most until the deadline or about a second.
 */
void brood__waitable_settle(const brood_waitable *item, int64_t deadline);

#endif
