/* SPDX-License-Identifier: MIT */
/*
 * pool/answers.h - waiting for any of many answers of a pool.
 *
 * Who waits sleeps on pool_shm.answers, which each answer of the pool wakes if somebody is there (0 or OS_WAITERS), all
 * of them at once, so nobody owes another a wake-up.  An answerer that dies between its swap and that has not announced
 * this word, but the one of its task: the supervisor wakes the sleepers when it repairs.
 */
#ifndef BROOD_POOL_ANSWERS_H
#define BROOD_POOL_ANSWERS_H

#include "pool/pool.h"

/*
 * 0: nothing has come yet; else there is something, or a code says why there never will be.  thorough: at everything;
 * else, between two such looks, a quick one at what is likely to come first will do.
 */
typedef int answers_look_fn(void *of, bool thorough);
#define ANSWERS_QUICK 32 /* things to look at in a quick look */

/*
 * Until `look` answers something else than 0: that.  BROOD_EAGAIN, BROOD_ETIMEDOUT, BROOD_ESTALE, or why the pool's
 * workers can't start.  asked: as in brood__answers_arm, for a wait with timeout 0.
 */
int brood__answers_wait(uint64_t pool_id, answers_look_fn *look, void *of, int timeout, _Atomic uint32_t *asked);

/*
 * What was asked for has no answer yet: the pool's descriptor, if this process polls one, is armed and becomes quiet as
 * brood__bell_arm_for has it.  The loop that polls is not the pool's own threads', whose asking is nobody's round.
 * Whether to look once more.
 */
bool brood__answers_arm(struct pool_shm *pool, uint64_t pool_id, _Atomic uint32_t *asked);

#endif
