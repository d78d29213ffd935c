/* SPDX-License-Identifier: MIT */
/* deadlock.c - circles of members that wait for each other's locks, in words.  Thread-safe; not async-signal-safe. */
#include "sync/deadlock.h"

#include "arena/member.h"
#include "call/error.h"
#include "sync/lock.h"

#include <brood/lock.h>
#include <stdio.h>
#include <string.h>

static const struct member_shm *member_of(const struct circle *c, uint32_t i)
{
    return brood__member_at(HANDLE_INDEX(c->edges[i].member));
}

static const char *kind(uint64_t lock)
{
    return HANDLE_TABLE(lock) == TABLE_RLOCK ? "rlock" : "lock";
}

/* "a (pid 1) holds lock 3:1 and waits for lock 4:1, held by b (pid 2), who waits for lock 3:1". */
static int describe(const struct circle *c)
{
    char text[DETAIL_SIZE];
    size_t at = 0;
    if (c->count == 0) return BROOD_EDEADLK; /* no circle was looked for */
    uint64_t held = c->edges[c->count - 1].lock;
    for (uint32_t i = 0; i < c->count && at < sizeof text; i++) {
        const struct member_shm *m = member_of(c, i);
        uint64_t lock = c->edges[i].lock;
        int n = i == 0 ? snprintf(text, sizeof text, "%.31s (pid %d) holds %s %u:%u and waits for %s %u:%u", m->name,
                                  (int)m->pid, kind(held), HANDLE_INDEX(held), HANDLE_GENERATION(held), kind(lock),
                                  HANDLE_INDEX(lock), HANDLE_GENERATION(lock))
                       : snprintf(text + at, sizeof text - at, ", held by %.31s (pid %d), who waits for %s %u:%u",
                                  m->name, (int)m->pid, kind(lock), HANDLE_INDEX(lock), HANDLE_GENERATION(lock));
        if (n > 0) at += (size_t)n;
    }
    return brood__fail_with(BROOD_EDEADLK, "%s", text);
}

int brood_lock_acquire_checked(brood_lock lock, int timeout)
{
    struct circle circle;
    circle.count = 0;
    int result = brood__enter_for(timeout);
    if (result == 0) result = brood__lock_acquire(TABLE_LOCK, lock.id, timeout, &circle);
    return result == BROOD_EDEADLK ? describe(&circle) : result;
}

int brood_rlock_acquire_checked(brood_rlock rlock, int timeout)
{
    struct circle circle;
    circle.count = 0;
    int result = brood__enter_for(timeout);
    if (result == 0) result = brood__rlock_acquire(rlock.id, timeout, &circle);
    return result == BROOD_EDEADLK ? describe(&circle) : result;
}

int brood_deadlock_find(brood_deadlock_member *members, size_t capacity)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct circle circle;
    uint32_t used = brood__table_used(TABLE_MEMBER), i = 1;
    while (i < used && !brood__circle_find(i, &circle)) i++;
    if (i >= used) return 0;
    for (uint32_t k = 0; k < circle.count && k < capacity; k++) {
        const struct member_shm *m = member_of(&circle, k);
        uint32_t before = (k ? k : circle.count) - 1;
        members[k] = (brood_deadlock_member){
            .pid = m->pid, .holds = {circle.edges[before].lock}, .waits_for = {circle.edges[k].lock}};
        memcpy(members[k].name, m->name, sizeof members[k].name - 1);
    }
    return (int)circle.count;
}
