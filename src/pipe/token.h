/* SPDX-License-Identifier: MIT */
/*
 * pipe/token.h - descriptors that the supervisor keeps for members.
 *
 * A token is a slot that can be moved (call/movable.h); the descriptor lies with the supervisor, beside the slot's
 * number and generation.  Its word decides: the supervisor keeps what it has while the word is of that generation and
 * neither FREE nor GARBAGE, and looks at that after each death, when it is told to, and when a connection ends.
 *
 *   deposit: INIT; request DEPOSIT with the descriptor; the answer; LIVE
 *   redeem:  LIVE→FREEING; request REDEEM; the answer with the descriptor; FREE, or LIVE by us if it could not be had;
 *            and only then the connection's end, by which the supervisor looks
 *
 * If a process dies here: INIT and FREEING are its, and become GARBAGE.  If the supervisor dies: what it had is gone,
 * and the next one says so.
 */
#ifndef BROOD_PIPE_TOKEN_H
#define BROOD_PIPE_TOKEN_H

#include "call/movable.h"
#include "process/supervisor.h"

struct token_shm {
    union {
        struct slot_shm slot;
        struct movable_shm movable;
    };
    uint64_t reserved[4];
};
_Static_assert(sizeof(struct token_shm) == 64, "its table");

/* FREEING by us→FREE, and the supervisor looks. */
void brood__token_drop(uint32_t index);

/* As the supervisor: close what nobody can redeem any more; answer a request about tokens. */
void brood__token_look(void);
void brood__token_serve(const struct request *request, int *fds, size_t count, int connection);

#endif
