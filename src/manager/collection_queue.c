/* SPDX-License-Identifier: MIT */
/*
 * collection_queue.c - queues of values in the arena: the methods that type_queue.c has for those of a server.
 *
 * Such a queue is a brood_queue that grows, and its object is that one's handle: a message is a value, in its deterministic
 * CBOR.  All that is said of deaths and of waiting is said in queue/ring.h.  A value is read under the latch, before the
 * commit of the get: what can't be read, or finds no memory, stays in the queue.
 * Thread-safe; not async-signal-safe.
 */
#include "call/buffer.h"
#include "call/error.h"
#include "manager/collection.h"
#include "queue/message.h"

#include <string.h>

#define BEGINS_AT (16u << 10) /* bytes of a new one's ring; what is longer than a quarter of it travels in a buffer */
#define BYTES_NEAR 256

struct value_queue {
    struct use use;
    struct queue_shm *q;
    uint64_t id;
    int timeout;
};

static brood_queue handle_of(const struct value_queue *v)
{
    return (brood_queue){v->id};
}

/* ---------------------------------------------------------------------------------------------------------- put, get */

static int queue_put(struct value_queue *v)
{
    int error = brood__use_args(&v->use, 1, 1);
    return error < 0 ? error
                     : brood__message_put(v->q, v->id, v->use.args[0].at, v->use.args[0].size, NULL, 0, v->timeout);
}

struct reading {
    struct sink sink;
    brood_variant value;
};

/* The bytes of a message, wherever they are; nothing, if they are nowhere. */
static struct slice bytes_of(const struct record *record)
{
    if (!record->buffer_id) return (struct slice){record->data, record->size};
    const struct buffer_shm *b = brood__buffer_carried(record->buffer_id);
    if (!b || !b->slot.body || record->size > brood__pages_size(&b->slot)) return (struct slice){0};
    return (struct slice){brood__at(b->slot.body), record->size};
}

/* Runs again if the get that it was for slept meanwhile. */
static int take_value(struct sink *sink, const struct record *record)
{
    struct reading *r = (struct reading *)(void *)sink;
    struct slice bytes = bytes_of(record);
    const unsigned char *at = bytes.at, *end = at + bytes.size;
    brood_variant_free(&r->value);
    if (!bytes.size || record->moved_count) return BROOD_ECORRUPT;
    int error = brood__variant_read(&r->value, &at, end);
    return error == 0 && at != end ? BROOD_ECORRUPT : error;
}

static int queue_get(struct value_queue *v)
{
    struct reading r = {.sink = {.take = take_value}, .value = brood_variant_nil()};
    int error = brood__use_args(&v->use, 0, 0);
    if (error < 0) return error;
    error = brood__ring_get(v->q, v->id, &r.sink, v->timeout);
    if (error > 0) error = 0;
    if (error == BROOD_ECORRUPT) brood__fail_with(error, "the queue's next message is no value");
    const struct buffer_shm *b = r.sink.received;
    if (error == 0 && b) {
        uint64_t index = (brood__offset(b) - brood__arena()->tables[TABLE_BUFFER].offset) / sizeof *b;
        uint64_t word = atomic_load(&((struct buffer_shm *)(uintptr_t)b)->slot.word);
        brood__buffer_drop(HANDLE(TABLE_BUFFER, index, SLOT_GENERATION(word)));
    }
    if (error == 0 && v->use.result)
        *v->use.result = r.value;
    else
        brood_variant_free(&r.value);
    return error;
}

/* ------------------------------------------------------------------------------------------------------- the others */

static int answer(struct value_queue *v, int64_t result, brood_variant value)
{
    int error = brood__use_args(&v->use, 0, 0);
    if (error < 0 || result < 0) return error < 0 ? error : (int)result;
    if (v->use.result) *v->use.result = value;
    return 0;
}

static int queue_size(struct value_queue *v)
{
    int64_t size = brood_queue_size(handle_of(v));
    return answer(v, size, brood_variant_int(size));
}

static int queue_empty(struct value_queue *v)
{
    int empty = brood_queue_empty(handle_of(v));
    return answer(v, empty, brood_variant_bool(empty > 0));
}

/* By its items: it grows as long as there is memory. */
static int queue_full(struct value_queue *v)
{
    int64_t size = brood_queue_size(handle_of(v));
    return answer(v, size, brood_variant_bool(v->q->max_items && size >= v->q->max_items));
}

static int queue_task_done(struct value_queue *v)
{
    int error = brood__use_args(&v->use, 0, 0);
    if (error == 0) error = brood_queue_task_done(handle_of(v));
    return error == BROOD_EPERM ? brood__fail_with(BROOD_EINVAL, "task_done: more often than items were got") : error;
}

static int queue_join(struct value_queue *v)
{
    int error = brood__use_args(&v->use, 0, 0);
    if (error == 0) error = brood_queue_join(handle_of(v), v->timeout);
    if (error != BROOD_ELOST) return error;
    return brood__fail_with(error, "all is done but what members had got that died before they said so");
}

static int queue_lost(struct value_queue *v)
{
    int error = brood__use_args(&v->use, 0, 0);
    int64_t lost = error < 0 ? error : brood_queue_lost(handle_of(v));
    return answer(v, lost, brood_variant_int(lost));
}

static const struct queue_method {
    const char *name;
    int (*call)(struct value_queue *v);
    bool joinable; /* of those alone */
} methods[] = {
    {"put", queue_put, false},
    {"get", queue_get, false},
    {"size", queue_size, false},
    {"qsize", queue_size, false},
    {"empty", queue_empty, false},
    {"full", queue_full, false},
    {"task_done", queue_task_done, true},
    {"join", queue_join, true},
    {"lost", queue_lost, true},
};

int brood__value_queue_call(uint64_t object, const char *method, const brood_variant *args, size_t argc,
                            brood_variant *result, int timeout)
{
    unsigned char near[BYTES_NEAR];
    struct item_writer w = {.bytes = near, .capacity = BYTES_NEAR, .most = BROOD_VARIANT_MOST, .borrowed = true};
    struct value_queue v = {
        .use = {.method = method, .result = result}, .q = brood__slot_find(TABLE_QUEUE, object), .id = object};
    v.timeout = timeout;
    if (!v.q) return brood__slot_gone(TABLE_QUEUE, object);
    size_t i = 0, count = sizeof methods / sizeof methods[0];
    while (i < count && (strcmp(methods[i].name, method) != 0 || (methods[i].joinable && !v.q->joinable))) i++;
    if (i == count)
        return brood__fail_with(BROOD_EINVAL, "a %s has no method %.64s", v.q->joinable ? "JoinableQueue" : "Queue",
                                method);
    int error = brood__use_write(&v.use, &w, args, argc);
    if (error == 0) error = methods[i].call(&v);
    brood__item_done(&w);
    return error;
}

/* Any number of items, if it is not above 0; as a server's. */
static int max_items(const brood_variant *args, size_t argc, size_t *most)
{
    int64_t number = 0;
    *most = 0;
    if (argc > 1) return brood__fail_with(BROOD_EINVAL, "a queue takes 0 to 1 arguments, not %zu", argc);
    if (argc && brood_variant_error(&args[0]) < 0) return brood_variant_error(&args[0]);
    if (argc && brood_variant_get_int(&args[0], &number) < 0)
        return brood__fail_with(BROOD_EINVAL, "the most items of a queue are a number");
    if (number > 0) *most = (size_t)number;
    return 0;
}

bool brood__value_queue_is(const char *type)
{
    return strcmp(type, "Queue") == 0 || strcmp(type, "JoinableQueue") == 0;
}

int brood__value_queue_new(brood_proxy *proxy, const char *type, const brood_variant *args, size_t argc)
{
    brood_queue queue;
    brood_queue_options options = {
        .capacity = BEGINS_AT, .grows_to = BROOD_UNBOUNDED, .joinable = strcmp(type, "JoinableQueue") == 0};
    int error = max_items(args, argc, &options.max_items);
    if (error == 0) error = brood_queue_new(&queue, &options);
    if (error == 0) *proxy = (brood_proxy){FAMILY_MANAGER, queue.id};
    return error;
}
