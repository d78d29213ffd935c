/* SPDX-License-Identifier: MIT */
/*
 * scope.h - shared memory that goes at the end of a scope: values, arrays, lists and named segments made through it.
 *
 * The counterpart of Python's SharedMemoryManager.  Any member may make things through a scope whose handle it has.
 */
#ifndef BROOD_SCOPE_H
#define BROOD_SCOPE_H

#include <brood/base.h>

typedef struct brood_scope {
    uint64_t id;
} brood_scope;

BROOD_BEGIN

/*
 * Begin a scope, owned by this process: it ends by brood_scope_end, or when this process dies.
 * 0; BROOD_EARENA; BROOD_ENOTMEMBER.  Thread-safe.  A process that dies inside leaves nothing.
 */
BROOD_API int brood_scope_begin(brood_scope *scope);

/*
 * Free all that was made with .scope = scope, as brood_value_free, brood_array_free, brood_shareable_list_free and
 * brood_shm_unlink do; names are gone then, and mappings of segments go when each process closes them.  By any member.
 * 0; BROOD_ESTALE (also when it has ended before); BROOD_ECLOSED: its owner died; BROOD_ENOTMEMBER.
 * Thread-safe, not async-signal-safe.  If the process dies inside, the supervisor goes on with it.
 */
BROOD_API int brood_scope_end(brood_scope scope);

BROOD_END

#endif
