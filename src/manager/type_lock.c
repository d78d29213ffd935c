/* SPDX-License-Identifier: MIT */
/*
 * type_lock.c - lock, recursive lock, semaphore, bounded semaphore.
 *
 * A lock is held by a client; a recursive one by a thread of it.  A plain one may be released by any client, as
 * Python's.  A client that dies gives back its lock, and who gets it next is told (BROOD_EOWNERDEAD), and its units.
 * line 0: those who wait for it.
 */
#include "manager/server.h"

#include "call/error.h"

#include <string.h>

/* ----------------------------------------------------------------------------------------------------------- locks */

struct lock_object {
    struct object object;
    struct client *holder; /* NULL: free; its share has one unit */
    uint64_t thread, depth;
    bool owner_died;
};

static struct lock_object *lock_of(struct request *r)
{
    return (struct lock_object *)r->o;
}

static int take_lock(struct request *r, struct lock_object *l, uint64_t depth)
{
    if (l->holder) return WAITS;
    struct share *share = brood__share(r->s, r->c, &l->object);
    if (!share) return BROOD_ENOMEM;
    int code = l->owner_died ? BROOD_EOWNERDEAD : 0;
    share->units = 1;
    l->holder = r->c;
    l->thread = r->thread;
    l->depth = depth;
    l->owner_died = false;
    return code;
}

static void free_lock(struct server *s, struct lock_object *l)
{
    struct share *share = brood__share_find(s, l->holder, &l->object);
    l->holder = NULL;
    if (share) share->units = 0;
    brood__share_settle(s, share);
    brood__serve(s, &l->object, 0);
}

static bool has_it(const struct request *r, const struct lock_object *l)
{
    return l->holder == r->c && l->thread == r->thread;
}

static int lock_acquire(struct request *r)
{
    return take_lock(r, lock_of(r), 1);
}

static int rlock_acquire(struct request *r)
{
    struct lock_object *l = lock_of(r);
    if (!has_it(r, l)) return take_lock(r, l, 1);
    l->depth++;
    return 0;
}

static int lock_release(struct request *r)
{
    struct lock_object *l = lock_of(r);
    if (!l->holder) return BROOD_EPERM;
    free_lock(r->s, l);
    return 0;
}

static int rlock_release(struct request *r)
{
    struct lock_object *l = lock_of(r);
    if (!has_it(r, l)) return BROOD_EPERM;
    if (--l->depth == 0) free_lock(r->s, l);
    return 0;
}

static int lock_locked(struct request *r)
{
    brood__item_put_bool(brood__result(r), lock_of(r)->holder != NULL);
    return 0;
}

uint64_t brood__lock_give_up(struct request *r, struct object *lock)
{
    struct lock_object *l = (struct lock_object *)lock;
    if (!has_it(r, l)) return 0;
    uint64_t depth = l->depth;
    free_lock(r->s, l);
    return depth;
}

int brood__lock_take_back(struct request *r, struct object *lock, uint64_t depth)
{
    return take_lock(r, (struct lock_object *)lock, depth);
}

bool brood__lock_is_mine(const struct request *r, const struct object *lock)
{
    return has_it(r, (const struct lock_object *)lock);
}

static void lock_gone(struct server *s, struct object *o, struct client *c, uint64_t units)
{
    struct lock_object *l = (struct lock_object *)o;
    (void)units;
    if (l->holder != c) return;
    l->holder = NULL;
    l->owner_died = true;
    brood__serve(s, o, 0);
}

static int lock_create(struct request *r, struct object *o)
{
    (void)o;
    return brood__args(r, 0, 0);
}

static const struct method lock_methods[] = {
    {"acquire", lock_acquire, 0}, {"release", lock_release, 0}, {"locked", lock_locked, 0}, {0}};
const struct object_type brood__type_lock = {.name = "Lock",
                                             .size = sizeof(struct lock_object),
                                             .create = lock_create,
                                             .gone = lock_gone,
                                             .methods = lock_methods};

static const struct method rlock_methods[] = {
    {"acquire", rlock_acquire, 0}, {"release", rlock_release, 0}, {"locked", lock_locked, 0}, {0}};
const struct object_type brood__type_rlock = {.name = "RLock",
                                              .size = sizeof(struct lock_object),
                                              .create = lock_create,
                                              .gone = lock_gone,
                                              .methods = rlock_methods};

/* -------------------------------------------------------------------------------------------------------- semaphores */

struct semaphore_object {
    struct object object;
    uint64_t free; /* the others are units of shares */
    bool bounded;
};

static struct semaphore_object *semaphore_of(struct request *r)
{
    return (struct semaphore_object *)r->o;
}

static int semaphore_create(struct request *r, struct object *o)
{
    struct semaphore_object *s = (struct semaphore_object *)o;
    int64_t units = 1;
    int error = brood__args(r, 0, 1);
    if (error == 0 && r->argc) error = brood__arg_int(r, 0, &units);
    if (error == 0 && (units < 0 || units > INT32_MAX)) error = BROOD_EINVAL;
    if (error < 0) return error;
    s->free = (uint64_t)units;
    s->bounded = strcmp(o->type->name, "BoundedSemaphore") == 0;
    return 0;
}

static int semaphore_acquire(struct request *r)
{
    struct semaphore_object *s = semaphore_of(r);
    if (!s->free) return WAITS;
    struct share *share = brood__share(r->s, r->c, r->o);
    if (!share) return BROOD_ENOMEM;
    share->units++;
    s->free--;
    return 0;
}

/* One's own unit, else anyone's, else one more. */
static int semaphore_release(struct request *r)
{
    struct semaphore_object *s = semaphore_of(r);
    struct share *share = brood__share_find(r->s, r->c, r->o);
    if (!share || !share->units)
        for (share = r->o->shares; share && !share->units; share = share->next_of_object) {}
    if (!share && s->bounded) return BROOD_EPERM;
    if (!share && s->free >= INT32_MAX) return BROOD_EINVAL;
    if (share) share->units--;
    brood__share_settle(r->s, share);
    s->free++;
    brood__serve(r->s, r->o, 0);
    return 0;
}

static int semaphore_value(struct request *r)
{
    brood__item_put_uint(brood__result(r), semaphore_of(r)->free);
    return 0;
}

static void semaphore_gone(struct server *server, struct object *o, struct client *c, uint64_t units)
{
    (void)c;
    ((struct semaphore_object *)o)->free += units;
    brood__serve(server, o, 0);
}

static const struct method semaphore_methods[] = {
    {"acquire", semaphore_acquire, 0}, {"release", semaphore_release, 0}, {"value", semaphore_value, 0}, {0}};
const struct object_type brood__type_semaphore = {.name = "Semaphore",
                                                  .size = sizeof(struct semaphore_object),
                                                  .create = semaphore_create,
                                                  .gone = semaphore_gone,
                                                  .methods = semaphore_methods};
const struct object_type brood__type_bounded_semaphore = {.name = "BoundedSemaphore",
                                                          .size = sizeof(struct semaphore_object),
                                                          .create = semaphore_create,
                                                          .gone = semaphore_gone,
                                                          .methods = semaphore_methods};
