/* SPDX-License-Identifier: MIT */
/*
 * local.h - handles of what belongs to this process alone: connections and listeners.
 *
 * They look like the handles of the arena, type:8 | index:24 | generation:32, but the types are others, and the
 * generation is random each time: so one that was freed, forged, or made in another process finds nothing.  A copy that
 * fork(2) made of this process has the handles, as it has the descriptors.
 *
 * An object is pinned while a call uses it, so that another thread may free it meanwhile: what it holds is given back
 * when the last call has ended.  No locks, no arena; memory is malloc's and stays.
 */
#ifndef BROOD_PIPE_LOCAL_H
#define BROOD_PIPE_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

enum local_type { LOCAL_CONNECTION = 0xc1, LOCAL_LISTENER = 0xc2 };

/* Make a handle of an object; 0: no memory, no place (65,535 at once), no random bytes. */
uint64_t brood__local_add(enum local_type type, void *object);
/* The object, pinned, or NULL. */
void *brood__local_pin(enum local_type type, uint64_t id);
/* The end of a pin.  The object, when it was freed and this was the last pin: then it is the caller's to take apart. */
void *brood__local_unpin(uint64_t id);
/* The handle, which the caller has pinned, is stale from now on.  false: it was already; or, if alone, others have pins. */
bool brood__local_retire(uint64_t id, bool alone);

#endif
