/* SPDX-License-Identifier: MIT */
/* set.c - sets of items; the rules are in wait/set.h.  For one thread at a time; not async-signal-safe. */
#include "wait/set.h"

#include "call/error.h"
#include "sync/wait.h"

#include <errno.h>
#include <stdlib.h>

#define AT_ONCE 64

static bool is_ours(const struct brood_waitset *set)
{
    return brood__is_member() && brood__self->life == set->owner;
}

int brood__set_open(struct brood_waitset *set)
{
    *set = (struct brood_waitset){.owner = brood__self->life, .poller = -1};
    return brood__os_poller_new(&set->poller);
}

static void drop(struct brood_waitset *set, struct entry **place)
{
    struct entry *entry = *place;
    *place = entry->next;
    if (entry->fd >= 0) brood__os_poller_remove(set->poller, entry->fd);
    if (entry->bell) brood__bell_free(entry->bell, !is_ours(set));
    free(entry);
}

void brood__set_close(struct brood_waitset *set)
{
    if (!is_ours(set)) brood__os_close(&set->poller); /* a copy of it is the parent's still: leave that as it is */
    while (set->entries) drop(set, &set->entries);
    brood__os_close(&set->poller);
}

int brood__set_add(struct brood_waitset *set, const brood_waitable *item, uint64_t tag, struct entry **made)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) return BROOD_ENOMEM;
    *entry = (struct entry){.item = *item, .tag = tag};
    entry->fd = brood__waitable_open(item, &entry->bell);
    int error = entry->fd < 0 ? entry->fd : brood__os_poller_add(set->poller, entry->fd, (uint64_t)(uintptr_t)entry);
    if (error < 0) {
        if (entry->bell) brood__bell_free(entry->bell, false);
        free(entry);
        return error;
    }
    entry->next = set->entries;
    set->entries = entry;
    *made = entry;
    return 0;
}

int brood__set_sleep(struct brood_waitset *set, struct entry **entries, int capacity, int64_t deadline)
{
    uint64_t tags[AT_ONCE];
    int n = brood__sleep_poller(set->poller, tags, capacity < AT_ONCE ? capacity : AT_ONCE, deadline);
    for (int i = 0; i < n; i++) entries[i] = (struct entry *)(uintptr_t)tags[i];
    return n;
}

bool brood__entry_ready(struct entry *entry, int64_t deadline)
{
    if (brood__waitable_ready(&entry->item)) return true;
    if (entry->bell) brood__bell_quiet(entry->bell);
    if (!entry->bell) brood__waitable_settle(&entry->item, deadline);
    if (!brood__waitable_ready(&entry->item)) return false;
    if (entry->bell) brood__bell_ring_own(entry->bell);
    return true;
}

/* --------------------------------------------------------------------------------------------------------- the calls */

int brood_waitset_new(brood_waitset **set)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!set) return BROOD_EINVAL;
    struct brood_waitset *s = malloc(sizeof *s);
    if (!s) return BROOD_ENOMEM;
    error = brood__set_open(s);
    if (error < 0) {
        free(s);
        return error;
    }
    *set = s;
    return 0;
}

int brood_waitset_free(brood_waitset *set)
{
    brood__say_nothing();
    if (set) brood__set_close(set);
    free(set);
    return 0;
}

static int enter(const brood_waitset *set, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error == 0 && !set) error = BROOD_EINVAL;
    if (error == 0 && !is_ours(set)) error = brood__fail_with(BROOD_EINVAL, "the waitset is another process's");
    return error;
}

static struct entry **find(brood_waitset *set, const brood_waitable *item)
{
    struct entry **place = &set->entries;
    for (; *place; place = &(*place)->next) {
        const brood_waitable *i = &(*place)->item;
        if (i->kind == item->kind && i->fd == item->fd && i->id == item->id && i->serial == item->serial) break;
    }
    return place;
}

int brood_waitset_add(brood_waitset *set, brood_waitable item, uint64_t tag)
{
    struct entry *entry;
    int error = enter(set, 0);
    if (error == 0) error = brood__waitable_check(&item);
    if (error == 0 && *find(set, &item)) error = brood__fail_with(BROOD_EINVAL, "the item is in the set already");
    if (error == 0 && item.kind == BROOD_WAITABLE_FD && item.fd < 0) error = -EBADF;
    if (error == 0) error = brood__waitable_error(&item);
    if (error == 0) error = brood__set_add(set, &item, tag, &entry);
    if (error == 0 && entry->bell) brood__bell_ring_own(entry->bell); /* so that the first wait looks at it */
    return error;
}

int brood_waitset_remove(brood_waitset *set, brood_waitable item)
{
    int error = enter(set, 0);
    if (error < 0) return error;
    struct entry **place = find(set, &item);
    if (!*place) return brood__fail_with(BROOD_EINVAL, "the item is not in the set");
    drop(set, place);
    return 0;
}

int brood_waitset_wait(brood_waitset *set, uint64_t *tags, size_t capacity, int timeout)
{
    int error = enter(set, timeout);
    if (error == 0 && (!tags || capacity == 0)) error = brood__fail_with(BROOD_EINVAL, "no room for a tag");
    if (error < 0 || !tags) return error;
    int64_t deadline = brood__os_deadline(timeout);
    for (;;) {
        struct entry *entries[AT_ONCE];
        int n = brood__set_sleep(set, entries, capacity < AT_ONCE ? (int)capacity : AT_ONCE, deadline), ready = 0;
        if (n < 0) return n;
        for (int i = 0; i < n; i++)
            if (brood__entry_ready(entries[i], deadline)) tags[ready++] = entries[i]->tag;
        if (ready > 0) return ready;
        if (n == 0 && brood__os_remaining(deadline) == 0) return brood__not_now(timeout);
    }
}

int brood_waitset_fd(const brood_waitset *set)
{
    int error = enter(set, 0);
    return error < 0 ? error : set->poller;
}
