/* SPDX-License-Identifier: MIT */
/*
 * map_fill.c - a job is filled: how many chunks there are and which items they have, and where the arrays lie.  By the
 * caller, whose own the job is; see pool/pool.h, pool/window.h.
 * Thread-safe; not async-signal-safe.
 */
#include "call/buffer.h"
#include "pool/job.h"
#include "pool/series.h"

#include <string.h>

/* How many items the next chunk gets: a share of what is left, so that chunks shrink towards the end. */
static uint64_t share(uint64_t left, uint32_t workers, size_t most)
{
    uint64_t size = left / (2 * (uint64_t)workers);
    if (size == 0) size = 1;
    if (most && size > most) size = most;
    return size;
}

static uint32_t count_chunks(uint64_t n, uint32_t workers, size_t most)
{
    uint32_t count = 0;
    for (uint64_t left = n; left; left -= share(left, workers, most)) count++;
    return count;
}

static void lay_chunks(struct job_shm *job, uint32_t workers, size_t most)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        struct chunk_shm *c = brood__job_chunk(job, i);
        memset(c, 0, offsetof(struct chunk_shm, text) + 1);
        c->record[0].next = at;
        at += share(job->n - at, workers, most);
        c->end = at;
    }
}

/* An array that lies in a buffer is used where it is. */
static bool lend(struct job_shm *job, enum lent which, const void *array, size_t bytes)
{
    uint64_t id = bytes ? brood__buffer_around(array, bytes) : 0;
    if (id) {
        struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(id));
        atomic_store(&b->lent, 1u);
    }
    atomic_store(&job->lent[which], id);
    return id != 0;
}

/* Room in the job's memory for an array of `bytes`, or for a window on it. */
static size_t room(size_t bytes, size_t size, const struct window *window)
{
    if (window && window->slots) bytes = window->slots * window->items * size;
    return (bytes + 63) & ~(size_t)63;
}

int brood__job_fill(struct pool_shm *pool, uint64_t pool_id, struct job_shm *job, const brood_task *task,
                    const struct arrays *a, size_t n, const brood_map_options *o, struct window *window)
{
    int error = brood__function_ref(task, &job->function);
    if (error < 0) return error;
    job->n = n;
    job->seed = next_seed(pool, pool_id);
    job->arg_size = task->arg_size;
    job->result_size = task->result_size;
    bool in_there = lend(job, LENT_IN, a->in, a->in_bytes);
    bool out_there = lend(job, LENT_OUT, a->out, a->out_bytes);
    size_t most = o->chunk;
    if (window && !in_there && !out_there) brood__window_plan(window, pool, task, a, n, o->chunk);
    if (window && window->slots) most = window->items;
    job->windowed = window && window->slots;
    job->chunk_count = count_chunks(n, pool->workers, most);
    size_t chunks = (size_t)job->chunk_count * sizeof(struct chunk_shm);
    size_t in = in_there ? 0 : room(a->in_bytes, task->arg_size, window),
           out = out_there ? 0 : room(a->out_bytes, task->result_size, window);
    size_t codes = a->codes ? n * sizeof(int32_t) : 0;
    brood_buffer buffer;
    void *memory;
    error = brood_buffer_new(&buffer, chunks + in + out + codes, &memory);
    if (error < 0) return error;
    uint64_t base = brood__offset(memory);
    job->chunks = base;
    job->in = in_there ? brood__offset(a->in) : base + chunks;
    job->out = out_there ? brood__offset(a->out) : base + chunks + in;
    job->codes = a->codes ? base + chunks + in + out : 0;
    if (!in_there && a->in_bytes && !job->windowed) memcpy(brood__at(job->in), a->in, a->in_bytes);
    if (codes) memset(brood__at(job->codes), 0, codes);
    /* No results are read but those of decided items, which are written or zeroed first: the memory may be as it was. */
    atomic_store(&job->hint, 0);
    atomic_store(&job->done, 0);
    atomic_store(&job->asked, 0);
    lay_chunks(job, pool->workers, most);
    atomic_store(&job->filled, job->windowed ? 0 : job->chunk_count);
    brood__pool_attach(&job->memory, pool_id, buffer.id);
    return 0;
}
