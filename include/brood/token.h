/* SPDX-License-Identifier: MIT */
/*
 * token.h - descriptors passed along: one is deposited with the supervisor, and redeemed by any member, once.
 *
 *     brood_token token;                                 in one process
 *     brood_descriptor_deposit(&token, fd);
 *     brood_queue_put_value(queue, &token, BROOD_FOREVER);
 *
 *     brood_queue_get_value(queue, &token, BROOD_FOREVER);                    in another
 *     int fd = brood_descriptor_redeem(token);
 *
 * A token is a handle that can be put into messages and arguments.  Its holder is who deposited; one that moves with a
 * message (brood_pipe_send_moving, brood_queue_put_moving) or is given (brood_give) has another.  A token whose holder
 * died, or whose message was dropped, is gone, and the supervisor closes what it had for it.  If the supervisor is
 * killed, what was deposited is lost, and redeeming answers BROOD_ELOST.
 */
#ifndef BROOD_TOKEN_H
#define BROOD_TOKEN_H

#include <brood/base.h>

typedef struct brood_token {
    uint64_t id;
} brood_token;

BROOD_BEGIN

/*
 * Deposit a copy of a descriptor; fd stays the caller's.  0: the caller holds *token.  -EBADF; BROOD_EMFILE: the
 * supervisor has no room for more (half of what its limit of descriptors allows); BROOD_EARENA, BROOD_ENOTMEMBER;
 * BROOD_EAGAIN: supervisors were killed, or could not answer, again and again; or an errno; or as brood_process_start,
 * for it may start the supervisor.  On failure nothing is left.  Thread-safe; not async-signal-safe.
 * A process that dies inside leaves nothing.
 */
BROOD_API int brood_descriptor_deposit(brood_token *token, int fd);

/*
 * Take it: a descriptor of this process, close-on-exec, the caller's.  Anyone who has the handle may, the first gets it,
 * and then the token is gone.  >= 0; BROOD_ESTALE: it was redeemed, discarded, or its holder died; BROOD_ECLOSED: its
 * holder died; BROOD_EPERM: it is in a message; BROOD_ELOST: the supervisor that had it was killed, and the token is gone;
 * BROOD_EMFILE (of this process) and other errors: the token is the caller's now, and can be redeemed later.
 * Thread-safe; not async-signal-safe; may start the supervisor.  If the process dies inside, it is closed.
 */
BROOD_API int brood_descriptor_redeem(brood_token token);

/* Give it up; only its holder may.  0, BROOD_ESTALE, BROOD_EPERM.  Thread-safe; not async-signal-safe. */
BROOD_API int brood_descriptor_discard(brood_token token);

BROOD_END

#endif
