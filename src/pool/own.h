/* SPDX-License-Identifier: MIT */
/*
 * pool/own.h - a mutex for what a process keeps for itself beside a pool: pointers of the program, which mean nothing in
 * another process.  A child that was forked with the memory begins anew: what it finds is its parent's.
 */
#ifndef BROOD_POOL_OWN_H
#define BROOD_POOL_OWN_H

#include "arena/arena.h"

#include <pthread.h>

struct own {
    _Atomic uint64_t owner; /* brood__self->life of who uses it; with OWN_CHANGING: is about to */
    bool fresh;
    pthread_mutex_t mutex;
};
#define OWN_CHANGING ((uint64_t)1 << 63) /* no life has this bit */

/* Lock it.  true: for the first time in this process, so what it guards is to be made empty, not freed. */
static inline bool own_lock(struct own *own)
{
    uint64_t me = brood__self->life, seen = atomic_load(&own->owner);
    for (unsigned n = 0; seen != me;) {
        if (seen == (me | OWN_CHANGING)) { /* another thread of ours */
            brood__relax(n++);
            seen = atomic_load(&own->owner);
        } else if (atomic_compare_exchange_strong(&own->owner, &seen, me | OWN_CHANGING)) {
            own->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
            own->fresh = true;
            atomic_store(&own->owner, me);
            seen = me;
        }
    }
    pthread_mutex_lock(&own->mutex);
    bool fresh = own->fresh;
    own->fresh = false;
    return fresh;
}
static inline void own_unlock(struct own *own)
{
    pthread_mutex_unlock(&own->mutex);
}

#endif
