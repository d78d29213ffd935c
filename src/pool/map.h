/* SPDX-License-Identifier: MIT */
/* pool/map.h - a job's word (pool/pool.h), for those who look at jobs and are no part of maps; for these job.h is. */
#ifndef BROOD_POOL_MAP_H
#define BROOD_POOL_MAP_H

#include "pool/pool.h"

#define JOB_WORD(serial, state, owner) TASK_WORD(serial, state, 0, owner)
#define JOB_SERIAL(word) TASK_SERIAL(word)
#define JOB_STATE(word) ((enum job_state)((word) >> 24 & 0xff))
#define JOB_OWNER(word) TASK_OWNER(word)

/* Whether all items of a map of this process are decided: 1, 0, or a code: it is none, or will never be. */
int brood__map_answered(brood_map map);

#endif
