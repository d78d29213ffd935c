/* SPDX-License-Identifier: MIT */
/*
 * wait/set.h - a set of items behind one poller; of one process, nothing of it lies in the arena but the bells.
 *
 * What holds between calls: an item that is ready, as far as anybody has looked, has a readable descriptor.  A bell is
 * quieted only for an item that is not ready, and then looked at once more: if it is ready after all it is rung by
 * ourselves.  A bell that is quiet is armed, so whoever makes the item ready rings it, and after any death the
 * supervisor rings them all.  If this process dies here its bells are garbage.
 */
#ifndef BROOD_WAIT_SET_H
#define BROOD_WAIT_SET_H

#include "wait/kinds.h"

struct entry {
    struct entry *next;
    brood_waitable item;
    struct bell *bell; /* NULL: it has a descriptor of its own */
    int fd;
    uint64_t tag;
};

struct brood_waitset {
    uint64_t owner; /* brood__self->life of whose it is */
    int poller;
    struct entry *entries;
};

int brood__set_open(struct brood_waitset *set);
void brood__set_close(struct brood_waitset *set);
/* Add an item that is valid; the caller looks at it after this.  0 or an error. */
int brood__set_add(struct brood_waitset *set, const brood_waitable *item, uint64_t tag, struct entry **entry);
/* Sleep until a descriptor is readable, or the deadline, or a tick: how many entries were written. */
int brood__set_sleep(struct brood_waitset *set, struct entry **entries, int capacity, int64_t deadline);
/* Whether it is ready; else its bell is quiet and armed from now on. */
bool brood__entry_ready(struct entry *entry, int64_t deadline);

#endif
