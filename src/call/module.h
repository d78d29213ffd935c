/* SPDX-License-Identifier: MIT */
/*
 * call/module.h - a task function by reference: which module (program or library), and where in it.
 *
 * The family's modules stand in a table of the arena, each with build-id and path, and are never taken out of it; a
 * reference is the index there and the offset of the brood_task record from the module's load address, so it is one
 * word in any message and means the same at any load address.  Who writes: whoever first sends a function of a module;
 * a slot is filled before it is published, and never changes.  Two who do it at once make two entries for one module:
 * harmless.  If a process dies before the publish, the slot is garbage.
 */
#ifndef BROOD_CALL_MODULE_H
#define BROOD_CALL_MODULE_H

#include "arena/arena.h"

#include <brood/task.h>

#define BUILD_ID_MOST 32
#define MODULE_PATH_MOST 456

struct module_shm {
    struct slot_shm slot;
    uint32_t build_id_size;
    uint32_t reserved;
    unsigned char build_id[BUILD_ID_MOST];
    char path[MODULE_PATH_MOST];
};
_Static_assert(sizeof(struct module_shm) == 512, "its table");

/* index of the module:16 | offset:48.  0 is no function. */
typedef uint64_t function_ref;

/*
 * The reference of a task record of this process.  3-5 ns when the module was seen before.
 * 0; BROOD_ETASK: no magic; BROOD_EMODULE: it lies in no module, or in one without a build-id (the detail names it);
 * BROOD_EARENA.  Thread-safe.
 */
int brood__function_ref(const brood_task *task, function_ref *ref);

/*
 * The record that a reference names, in this process.  Nothing in the reference is believed: the module's build-id is
 * compared, the record has to lie in the module and to carry the magic.  A module that is not loaded is loaded by path
 * and verified.  0; BROOD_EMODULE (not there, or another build-id: the detail says which), BROOD_ETASK.  Thread-safe.
 */
int brood__function_find(function_ref ref, const brood_task **task);

/*
 * Before a fork: those of the family's modules that are loaded here are remembered, so that no child needs to look for
 * them.  None is loaded.  Not thread-safe.
 */
void brood__module_recognize(void);

/* Forget what was cached about the family's table (in a new family, or a forked child that joined another). */
void brood__module_forget(void);

#endif
