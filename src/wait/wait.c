/* SPDX-License-Identifier: MIT */
/*
 * wait.c - one wait for any of many: a look at all, and if none is ready a set for the time of the call.
 * Thread-safe; not async-signal-safe.
 */
#include "sync/wait.h"

#include "call/error.h"
#include "wait/set.h"

#include <string.h>

/*
 * If some are ready, the others are looked at once more: what a process did before the end that was seen is seen too,
 * wherever in the array the two stand.
 */
static int look(const brood_waitable *items, size_t n, bool *ready)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        bool is = brood__waitable_ready(&items[i]);
        if (ready) ready[i] = is;
        count += is;
    }
    if (count == 0 || !ready) return count;
    for (size_t i = 0; i < n; i++) {
        if (ready[i]) continue;
        ready[i] = brood__waitable_ready(&items[i]);
        count += ready[i];
    }
    return count;
}

/* All are listened to before any is looked at: none that becomes ready from here on is missed. */
static int listen(struct brood_waitset *set, const brood_waitable *items, size_t n)
{
    struct entry *entry;
    int error = 0;
    for (size_t i = 0; i < n && error == 0; i++) {
        error = brood__set_add(set, &items[i], i, &entry);
        if (error < 0 && brood__waitable_ready(&items[i])) error = 0; /* that is why */
    }
    return error;
}

static int wait_for(struct brood_waitset *set, const brood_waitable *items, size_t n, bool *ready, int64_t deadline)
{
    for (;;) {
        int count = look(items, n, ready);
        if (count > 0) return count;
        struct entry *entries[16];
        int woken = brood__set_sleep(set, entries, 16, deadline);
        if (woken < 0) return woken;
        for (int i = 0; i < woken; i++) brood__entry_ready(entries[i], deadline);
        if (woken == 0 && brood__os_remaining(deadline) == 0) return look(items, n, ready);
    }
}

int brood_wait(const brood_waitable *items, size_t n, bool *ready, int timeout)
{
    int error = brood__enter_for(timeout);
    if (error == 0 && (!items || n == 0)) error = brood__fail_with(BROOD_EINVAL, "nothing to wait for");
    for (size_t i = 0; i < n && error == 0; i++) error = brood__waitable_check(&items[i]);
    if (error < 0) return error;
    int64_t deadline = brood__os_deadline(timeout);
    int count = look(items, n, ready);
    if (count == 0 && timeout == 0) brood__look_up();
    if (count == 0 && timeout != 0) {
        struct brood_waitset set;
        count = brood__set_open(&set);
        if (count == 0) count = listen(&set, items, n);
        if (count == 0) count = wait_for(&set, items, n, ready, deadline);
        brood__set_close(&set);
    }
    if (count != 0) return count;
    brood__say_nothing(); /* of what the looks found */
    return brood__not_now(timeout);
}
