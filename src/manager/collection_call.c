/* SPDX-License-Identifier: MIT */
/*
 * collection_call.c - calls on what lies in the arena: arguments into bytes, the method under the latch, its result out.
 *
 * What is short needs no memory on the way.  Thread-safe; in a signal handler that interrupted one: BROOD_EDEADLK.
 */
#include "manager/collection.h"

#include "call/error.h"
#include "manager/hash.h"

#include <brood/queue.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_NEAR 256 /* of arguments, and of a result, that lie on the stack */

static struct collection_shm *at(uint32_t index)
{
    return (struct collection_shm *)(void *)brood__slot_at(TABLE_COLLECTION, index);
}

uint64_t brood__collection_hash(const struct collection_shm *of, struct slice key)
{
    struct collection_shm *c = (struct collection_shm *)(uintptr_t)of;
    const uint64_t secret[2] = {atomic_load_explicit(&c->seed[0], memory_order_relaxed),
                                atomic_load_explicit(&c->seed[1], memory_order_relaxed)};
    return brood__siphash(secret, key.at, key.size);
}

/* -------------------------------------------------------------------------------------------------- what methods use */

int brood__use_args(const struct use *u, size_t least, size_t most)
{
    if (u->argc >= least && u->argc <= most) return 0;
    return brood__fail_with(BROOD_EINVAL, "%s takes %zu to %zu arguments, not %zu", u->method, least, most, u->argc);
}

int brood__use_finish(struct use *u)
{
    int error = u->out.error == BROOD_EINVAL ? brood__fail_with(BROOD_EMSGSIZE, "%s: the result is too long", u->method)
                                             : u->out.error;
    if (error < 0 || !u->result || !u->out.size) return error;
    const unsigned char *from = u->out.bytes;
    error = brood__variant_read(u->result, &from, from + u->out.size);
    u->result = NULL;
    return error;
}

int brood__use_write(struct use *u, struct item_writer *w, const brood_variant *args, size_t argc)
{
    size_t ends[2] = {0};
    if (argc > 2) return brood__fail_with(BROOD_EINVAL, "%s takes 2 arguments at most, not %zu", u->method, argc);
    for (size_t i = 0; i < argc; i++) {
        int error = brood_variant_error(&args[i]);
        if (error == 0 && !brood__variant_belongs(&args[i], FAMILY_MANAGER))
            error = brood__fail_with(BROOD_EINVAL, "the value names an object of a manager");
        if (error == 0) error = brood__variant_write(w, &args[i]);
        if (error < 0) return error;
        ends[i] = w->size;
    }
    if (w->error == BROOD_EINVAL)
        return brood__fail_with(BROOD_EMSGSIZE, "arguments of more than %u bytes", BROOD_VARIANT_MOST);
    if (w->error < 0) return w->error;
    u->argc = argc;
    if (argc > 0) u->args[0] = (struct slice){w->bytes, ends[0]};
    if (argc > 1) u->args[1] = (struct slice){w->bytes + ends[0], ends[1] - ends[0]};
    return 0;
}

/* In the order of their kinds. */
static const struct {
    const char *name;
    enum collection_kind kind;
} kinds[] = {{"dict", COLLECTION_DICT},
             {"Namespace", COLLECTION_NAMESPACE},
             {"list", COLLECTION_LIST},
             {"Array", COLLECTION_ARRAY},
             {"Value", COLLECTION_VALUE}};

static const struct collection_method *methods_of(uint32_t kind)
{
    switch (kind) {
    case COLLECTION_LIST: return brood__list_methods;
    case COLLECTION_ARRAY: return brood__array_methods;
    case COLLECTION_VALUE: return brood__value_methods;
    default: return brood__dict_methods;
    }
}

static int run_method(struct use *u)
{
    uint32_t kind = atomic_load_explicit(&u->c->kind, memory_order_relaxed);
    const struct collection_method *m = methods_of(kind);
    while (m->name && strcmp(m->name, u->method) != 0) m++;
    if (m->name) return m->call(u);
    const char *name = kind >= COLLECTION_DICT && kind <= COLLECTION_VALUE ? kinds[kind - 1].name : "?";
    return brood__fail_with(BROOD_EINVAL, "a %s has no method %.64s", name, u->method);
}

/* ---------------------------------------------------------------------------------------------------------- the latch */

/*
 * Take a freed one apart, if nobody is inside.  Whoever is inside comes by here when it leaves; the fence orders that one's
 * release before its look at the slot, and who frees: what it stored in the slot before its look at the latch.
 */
static void give_back(struct collection_shm *c, uint64_t id)
{
    bool garbage = true, held = false;
    while (garbage && !held) {
        brood__slot_collect_one(TABLE_COLLECTION, id);
        atomic_thread_fence(memory_order_seq_cst);
        uint64_t word = atomic_load_explicit(&c->slot.word, memory_order_relaxed);
        garbage = SLOT_GENERATION(word) == HANDLE_GENERATION(id) && SLOT_STATE(word) == SLOT_GARBAGE;
        held = atomic_load_explicit(&c->latch.word, memory_order_relaxed) & OS_TID_MASK;
    }
}

/* Left as it was, also for the heir of a dead one. */
static int corrupt(struct collection_shm *c, uint32_t seen)
{
    brood__latch_release(&c->latch.word, seen & OS_OWNER_DIED);
    return brood__fail_numbers(BROOD_ECORRUPT, "somebody has written over the object", 0, 0);
}

/* Inside, and what counts is in order; or a code. */
static int enter(struct collection_shm *c, uint64_t id, void **announced)
{
    *announced = brood__os_announce(&c->latch);
    uint32_t seen = brood__latch_acquire(&c->latch.word);
    int error = 0;
    if (seen == LATCH_MINE) {
        error = BROOD_EDEADLK;
    } else if (!brood__slot_is(&c->slot, id)) {
        error = brood__slot_gone(TABLE_COLLECTION, id);
        /* It may be another's by now, whose dead owner's heir is to see the mark. */
        brood__latch_release(&c->latch.word, seen & OS_OWNER_DIED);
    } else if (!brood__collection_is_sound(c)) {
        error = corrupt(c, seen);
    } else {
        if (seen & OS_OWNER_DIED) brood__collection_derive(c);
        if (!brood__collection_is_derived(c)) error = corrupt(c, seen);
    }
    if (error == 0) return 0;
    brood__os_announce(*announced);
    if (error != BROOD_EDEADLK) give_back(c, id); /* who was inside before may have left it for us */
    return error;
}

static void leave(struct collection_shm *c, uint64_t id, void *announced)
{
    brood__latch_release(&c->latch.word, 0);
    brood__os_announce_again(announced);
    atomic_thread_fence(memory_order_seq_cst);           /* see give_back */
    if (!brood__slot_is(&c->slot, id)) give_back(c, id); /* it was freed meanwhile */
}

/* One turn of a call: a failed one has left no result. */
static int turn(struct use *u, uint64_t id, brood_variant *result)
{
    void *announced;
    int error = enter(u->c, id, &announced);
    if (error < 0) return error;
    u->result = result;
    u->out.size = 0;
    u->out.error = 0;
    error = run_method(u);
    leave(u->c, id, announced);
    if (error == 0) error = brood__use_finish(u);
    if (error < 0 && result) brood_variant_free(result);
    return error;
}

int brood__collection_call(uint64_t object, const char *method, const brood_variant *args, size_t argc,
                           brood_variant *result, int timeout)
{
    if (HANDLE_TABLE(object) == TABLE_QUEUE)
        return brood__value_queue_call(object, method, args, argc, result, timeout);
    unsigned char near_args[BYTES_NEAR], near_result[BYTES_NEAR];
    struct item_writer w = {.bytes = near_args, .capacity = BYTES_NEAR, .most = BROOD_VARIANT_MOST, .borrowed = true};
    struct use u = {.c = brood__slot_find(TABLE_COLLECTION, object), .method = method};
    u.out = (struct item_writer){
        .bytes = near_result, .capacity = BYTES_NEAR, .most = BROOD_VARIANT_MOST, .borrowed = true};
    if (!u.c) return brood__slot_gone(TABLE_COLLECTION, object);
    int error = brood__use_write(&u, &w, args, argc);
    if (error == 0 && u.argc && brood__is_dict(u.c)) u.hash = brood__collection_hash(u.c, u.args[0]);
    if (error == 0) error = turn(&u, object, result);
    /* Before it is refused: what the dead had, which can't be had under the latch. */
    while (error == BROOD_EARENA && brood__slot_collect()) error = turn(&u, object, result);
    brood__item_done(&w);
    brood__item_done(&u.out);
    return error;
}

/* ------------------------------------------------------------------------------------------------- making and freeing */

/* A slot that is INIT, empty. */
static int claim(enum collection_kind kind, uint32_t *index)
{
    uint64_t seed[2] = {0};
    int error = kind <= COLLECTION_NAMESPACE ? brood__os_random(seed, sizeof seed) : 0;
    if (error < 0) return error;
    error = brood__slot_claim(TABLE_COLLECTION, brood__self->member, brood__collection_scrub, index);
    if (error < 0) return error;
    struct collection_shm *c = at(*index);
    for (int i = 0; i < 2; i++) atomic_store_explicit(&c->seed[i], seed[i], memory_order_relaxed);
    atomic_store_explicit(&c->kind, (uint32_t)kind, memory_order_relaxed);
    return 0;
}

int brood__collection_new(brood_proxy *proxy, const char *type, const brood_variant *args, size_t argc)
{
    size_t i = 0, count = sizeof kinds / sizeof kinds[0];
    struct item_writer w = {.most = BROOD_VARIANT_MOST};
    struct use u = {.method = type};
    uint32_t index = 0;
    while (i < count && strcmp(kinds[i].name, type) != 0) i++;
    if (i == count && brood__value_queue_is(type)) return brood__value_queue_new(proxy, type, args, argc);
    if (i == count) return brood__fail_with(BROOD_EINVAL, "there is no type %.64s without a server", type);
    int error = brood__use_write(&u, &w, args, argc);
    if (error == 0) error = claim(kinds[i].kind, &index);
    if (error == 0) {
        u.c = at(index);
        error = brood__is_dict(u.c) ? brood__dict_begin(&u) : brood__list_begin(&u);
        if (error == 0)
            *proxy = (brood_proxy){FAMILY_MANAGER, brood__slot_publish(TABLE_COLLECTION, index)};
        else
            brood__slot_release(TABLE_COLLECTION, index);
    }
    brood__item_done(&w);
    return error;
}

static enum table table_of(uint64_t object)
{
    return HANDLE_TABLE(object) == TABLE_QUEUE ? TABLE_QUEUE : TABLE_COLLECTION;
}

int brood__collection_hold(uint64_t object)
{
    enum table table = table_of(object);
    struct slot_shm *slot = brood__slot_find(table, object);
    if (!slot) return brood__slot_gone(table, object);
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    uint64_t held = SLOT_WORD(HANDLE_GENERATION(object), SLOT_LIVE, OWNER_FAMILY);
    while (brood__slot_is(slot, object) && word != held)
        if (atomic_compare_exchange_weak(&slot->word, &word, held)) word = held;
    return word == held ? 0 : brood__slot_gone(table, object);
}

int brood__collection_free(uint64_t object)
{
    if (table_of(object) == TABLE_QUEUE) {
        int error = brood_queue_free((brood_queue){object});
        return error == BROOD_ESTALE ? brood__slot_gone(TABLE_QUEUE, object) : error;
    }
    if (!brood__slot_retire(TABLE_COLLECTION, object)) return brood__slot_gone(TABLE_COLLECTION, object);
    brood__slot_leave(TABLE_COLLECTION, HANDLE_INDEX(object));
    give_back(at(HANDLE_INDEX(object)), object);
    return 0;
}
