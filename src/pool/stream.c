/* SPDX-License-Identifier: MIT */
/* stream.c - streams by their handles; how they flow is in flow.c.  Not async-signal-safe. */
#include "pool/stream.h"

#include "call/error.h"
#include "pool/own.h"
#include "pool/series.h"
#include "pool/task.h"

#include <stdlib.h>

#define DEFAULT_ITEMS 1024
#define CHUNKS 16u /* for which the default window has room */
#define DEFAULT_BYTES ((size_t)16 << 20)
#define MOST_CHUNK 65536u
#define MOST_STREAMS 65535u

/* ----------------------------------------------------------------------------------------------------- the handles */

/*
 * The streams of this process.  A handle is member:16 | place + 1:16 | number:32, so that one of another process, which
 * has this memory by fork or not, is none here.
 */
static struct own own;
static struct stream **table;
static uint32_t places, numbers;

static void lock(void)
{
    if (!own_lock(&own)) return;
    table = NULL;
    places = 0;
}

static uint64_t handle(uint32_t place)
{
    return (uint64_t)(brood__self->member & 0xffff) << 48 | (uint64_t)(place + 1) << 32 | ++numbers;
}

/* A free place; there is none: BROOD_ENOMEM. */
static int find_place(uint32_t *place)
{
    for (*place = 0; *place < places; ++*place)
        if (!table[*place]) return 0;
    if (places == MOST_STREAMS) return BROOD_ENOMEM;
    uint32_t more = places ? 2 * places : 8;
    if (more > MOST_STREAMS) more = MOST_STREAMS;
    struct stream **larger = realloc(table, more * sizeof(struct stream *));
    if (!larger) return BROOD_ENOMEM;
    for (uint32_t i = places; i < more; i++) larger[i] = NULL;
    table = larger;
    places = more;
    return 0;
}

static int enlist(struct stream *s)
{
    uint32_t place;
    lock();
    int error = find_place(&place);
    if (error == 0) {
        s->id = handle(place);
        table[place] = s;
    }
    own_unlock(&own);
    return error;
}

/* The stream of a handle, for us alone until `leave`. */
static int enter(brood_stream stream, struct stream **s)
{
    uint32_t place = (uint32_t)(stream.id >> 32 & 0xffff) - 1;
    int error = BROOD_ESTALE;
    lock();
    if (place < places && table[place] && table[place]->id == stream.id) {
        *s = table[place];
        error = atomic_exchange(&(*s)->busy, true)
                    ? brood__fail_with(BROOD_EINVAL, "the stream is in use, by its input or in another thread")
                    : 0;
    }
    own_unlock(&own);
    return error;
}

static void delist(const struct stream *s)
{
    lock();
    for (uint32_t i = 0; i < places; i++)
        if (table[i] == s) table[i] = NULL;
    own_unlock(&own);
}

static void leave(struct stream *s)
{
    atomic_store(&s->busy, false);
}

/* --------------------------------------------------------------------------------------------------------- making one */

static int check(const brood_task *task, const brood_stream_options *o)
{
    int error = brood__task_check(task, "", &o->submit);
    if (error < 0) return error;
    bool bytes = task->flags & (BROOD_TASK_ARG_BYTES | BROOD_TASK_RESULT_BYTES);
    if (o->chunk > MOST_CHUNK) return brood__fail_with(BROOD_EINVAL, "a chunk is of at most %u items", MOST_CHUNK);
    if (o->chunk > 1 && bytes)
        return brood__fail_with(BROOD_EINVAL, "%s: chunks are of plain values, not brood_bytes", task->name);
    if (o->chunk > 1 && (o->submit.deadline || o->submit.soft_deadline || o->submit.retries))
        return brood__fail_with(BROOD_EINVAL, "deadlines and retries are of one item: chunk has to be 1");
    if (o->submit.callback) return brood__fail_with(BROOD_EINVAL, "the items of a stream have no callbacks");
    return 0;
}

static int make(brood_pool pool, brood_stream *stream, const brood_task *task, const brood_stream_options *options,
                const struct stream *source)
{
    static const brood_stream_options none;
    const brood_stream_options *o = options ? options : &none;
    int error = brood__enter();
    if (error == 0) error = check(task, o);
    if (error == 0 && task->arg_size && !source->input && !source->array && source->left)
        error = brood__fail_with(BROOD_EINVAL, "%s wants an argument", task->name);
    if (error < 0) return error;
    struct pool_shm *p = brood__pool_find(pool.id, &error);
    if (!p) return error;
    error = brood__pool_usable(p);
    if (error == 0) error = brood__task_suits(p, &o->submit);
    function_ref function;
    if (error == 0) error = brood__function_ref(task, &function);
    if (error < 0) return error;
    struct stream *s = malloc(sizeof *s);
    if (!s) return BROOD_ENOMEM;
    *s = *source;
    s->pool = pool;
    s->task = task;
    s->wishes = *o;
    if (!o->chunk) s->wishes.chunk = 1;
    if (!o->window_items) s->wishes.window_items = DEFAULT_ITEMS;
    if (!o->window_items && s->wishes.chunk > DEFAULT_ITEMS / CHUNKS) s->wishes.window_items = CHUNKS * o->chunk;
    if (!o->window_bytes) s->wishes.window_bytes = DEFAULT_BYTES;
    s->seed = next_seed(p, pool.id);
    error = enlist(s);
    if (error < 0)
        free(s);
    else
        stream->id = s->id; // NOLINT(clang-analyzer-unix.Malloc): it is in the table
    return error;
}

int brood_pool_imap_task(brood_pool pool, brood_stream *stream, const brood_task *task, brood_input_fn *input,
                         void *context, const brood_stream_options *options)
{
    int error = brood__enter();
    if (error == 0 && !input) error = brood__fail_with(BROOD_EINVAL, "a stream wants an input");
    return error < 0 ? error : make(pool, stream, task, options, &(struct stream){.input = input, .context = context});
}

int brood_pool_imap_array_task(brood_pool pool, brood_stream *stream, const brood_task *task, const void *in, size_t n,
                               const brood_stream_options *options)
{
    return make(pool, stream, task, options, &(struct stream){.array = in, .left = n});
}

/* ----------------------------------------------------------------------------------------------------------- using one */

static int next(brood_stream stream, void *result, size_t size, brood_bytes *bytes, int timeout, brood_outcome *outcome)
{
    brood_outcome mine;
    struct stream *s = NULL;
    if (!outcome) outcome = &mine;
    *outcome = (brood_outcome){0};
    int error = brood__enter_for(timeout);
    if (error == 0) error = enter(stream, &s);
    if (error < 0 || !s) return error;
    bool of_bytes = s->task->flags & BROOD_TASK_RESULT_BYTES;
    if (result && !of_bytes && size != s->task->result_size)
        error = brood__fail_with(BROOD_EINVAL, "the result has %zu bytes, and the place for it %zu",
                                 s->task->result_size, size);
    else
        error = brood__flow_next(s, result, size, bytes, timeout, outcome);
    leave(s);
    return error;
}

int brood_stream_next_exactly(brood_stream stream, void *result, size_t size, int timeout, brood_outcome *outcome)
{
    return next(stream, result, size, NULL, timeout, outcome);
}

int brood_stream_next_bytes(brood_stream stream, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    return next(stream, NULL, 0, result, timeout, outcome);
}

int brood_stream_feed(brood_stream stream)
{
    struct stream *s = NULL;
    int error = brood__enter();
    if (error == 0) error = enter(stream, &s);
    if (error < 0 || !s) return error;
    uint64_t before = s->taken;
    brood__flow_feed(s);
    uint64_t fed = s->taken - before;
    if (fed == 0) error = s->stuck ? s->stuck : s->dry ? BROOD_EAGAIN : 0;
    leave(s);
    return error < 0 ? error : (int)fed;
}

int brood_stream_crash(brood_stream stream, brood_crash *crash)
{
    struct stream *s = NULL;
    int error = brood__enter();
    if (error == 0) error = enter(stream, &s);
    if (error < 0 || !s) return error;
    if (s->has_lost)
        error = brood_future_crash(s->lent, crash);
    else
        error = brood__fail_with(BROOD_EINVAL, "the last answer is not of an item that was lost");
    if (error == 0) crash->id = s->lost;
    leave(s);
    return error;
}

int brood_stream_fd(brood_stream stream)
{
    struct stream *s = NULL;
    int fd = brood__enter();
    if (fd == 0) fd = enter(stream, &s);
    if (fd < 0 || !s) return fd;
    fd = brood_pool_fd(s->pool);
    leave(s);
    return fd;
}

int brood_stream_free(brood_stream stream)
{
    struct stream *s = NULL;
    int error = brood__enter();
    if (error == 0) error = enter(stream, &s);
    if (error < 0 || !s) return error;
    delist(s);
    brood__flow_end(s);
    free(s);
    return 0;
}

void brood__stream_leave(void)
{
    lock();
    for (uint32_t i = 0; i < places; i++) {
        if (table[i]) brood__flow_end(table[i]);
        free(table[i]);
    }
    free(table);
    table = NULL;
    places = 0;
    own_unlock(&own);
}
