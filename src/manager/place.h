/* SPDX-License-Identifier: MIT */
/*
 * manager/place.h - a manager as the family knows it: a slot of the arena with the address and the key of its server.
 *
 * Who writes: the process that makes or connects it, while the slot is INIT; then nobody.  Readers copy and look at the
 * slot's word again (brood__slot_is), so what was freed meanwhile is stale.
 * If a process dies here: INIT is garbage that holds nothing; LIVE becomes garbage when the owner dies, and the server is
 * the owner's daemon, which the supervisor ends.
 */
#ifndef BROOD_MANAGER_PLACE_H
#define BROOD_MANAGER_PLACE_H

#include "arena/arena.h"
#include "manager/link.h"

#include <brood/manager.h>

struct manager_shm {
    struct slot_shm slot;
    uint64_t process; /* handle of the server's process; 0: it is another family's */
    uint32_t key_size;
    uint32_t reserved;
    struct os_address address;
    unsigned char key[MANAGER_KEY_MOST];
};
_Static_assert(sizeof(struct manager_shm) <= 512, "its table");

/* 0; BROOD_ESTALE, BROOD_ECLOSED. */
int brood__manager_where(uint64_t manager, struct whereabouts *where);
/* Whether its server is a member of this family, as far as this one says. */
bool brood__manager_is_own(uint64_t manager);

#endif
