/* SPDX-License-Identifier: MIT */
/* window.c - see pool/window.h.  Thread-safe; not async-signal-safe. */
#include "pool/window.h"

#include "call/call.h"
#include "pool/threads.h"

#include <string.h>

/* A slot takes some tens of microseconds to copy; the window of a few workers stays in their caches. */
struct window_size brood__window_size = {.slot_bytes = (size_t)256 * 1024, .slots = 8, .per_worker = 4, .least = 4};

/* Whether results would be written over arguments that are still to be copied. */
static bool spoils(const struct arrays *a, const brood_task *task)
{
    uintptr_t in = (uintptr_t)a->in, out = (uintptr_t)a->out;
    if (in == out) return task->result_size > task->arg_size;
    return in < out + a->out_bytes && out < in + a->in_bytes;
}

void brood__window_plan(struct window *window, const struct pool_shm *pool, const brood_task *task,
                        const struct arrays *a, size_t n, size_t most)
{
    const struct window_size *size = &brood__window_size;
    size_t bytes = task->arg_size + task->result_size;
    uint32_t slots = size->per_worker * pool->workers < size->slots ? size->slots : size->per_worker * pool->workers;
    window->slots = 0;
    if (bytes == 0 || slots > WINDOW_SLOTS || brood__pool_threaded(pool) || spoils(a, task)) return;
    if (brood__call_running()) return; /* a task: who looks whether all wait in vain (nest.c) would count us */
    size_t items = bytes < size->slot_bytes ? size->slot_bytes / bytes : 1;
    if (n / items < (size_t)size->least * slots) return;
    if (most && items > most) {
        if (most * bytes < size->slot_bytes / 4) return; /* a hand-over to each would cost more than it saves */
        items = most;
    }
    *window = (struct window){.slots = slots, .items = items};
}

static void take_out(const struct job_shm *job, const struct arrays *a, uint32_t index)
{
    const struct chunk_shm *c = brood__job_chunk(job, index);
    uint64_t start = brood__job_start(job, index);
    size_t size = job->result_size;
    if (size) memcpy((char *)a->out + start * size, brood__job_out(job, c, start), (c->end - start) * size);
}

/* The next chunk, into a slot; then workers may claim it. */
static void put_in(const struct window *window, struct pool_shm *pool, struct job_shm *job, const struct arrays *a,
                   uint32_t slot, uint32_t index)
{
    struct chunk_shm *c = brood__job_chunk(job, index);
    uint64_t start = brood__job_start(job, index);
    size_t size = job->arg_size;
    c->shift = start - slot * window->items;
    if (size)
        memcpy((char *)brood__at(job->in) + slot * window->items * size, (const char *)a->in + start * size,
               (c->end - start) * size);
    /* release: pairs with who looks for a free chunk.  A sleeper is woken by us, or needs no waking when we are dead. */
    atomic_store_explicit(&job->filled, index + 1, memory_order_release);
    brood__pool_wake(pool, 1);
}

/* All its items are decided, and its word will not change; acquire: their results are there. */
static bool is_whole(const struct job_shm *job, uint32_t index)
{
    struct chunk_shm *c = brood__job_chunk(job, index);
    uint64_t word = atomic_load_explicit(&c->word, memory_order_acquire);
    return CHUNK_STATE(word) == CHUNK_DONE && c->record[CHUNK_RECORD(word)].next == c->end;
}

bool brood__window_turn(struct window *window, struct pool_shm *pool, struct job_shm *job, const struct arrays *a)
{
    bool some = false;
    for (uint32_t slot = 0; slot < window->slots; slot++) {
        uint32_t *in_it = &window->chunk[slot], next = atomic_load_explicit(&job->filled, memory_order_relaxed);
        if (*in_it && !is_whole(job, *in_it - 1)) continue;
        if (*in_it) {
            take_out(job, a, *in_it - 1);
            *in_it = 0;
            some = true;
        }
        if (next == job->chunk_count) continue;
        put_in(window, pool, job, a, slot, next);
        *in_it = next + 1;
        some = true;
    }
    return some;
}

bool brood__window_gave(const struct window *window, const struct job_shm *job, uint32_t index)
{
    if (!window || !window->slots) return false;
    struct job_shm *j = (struct job_shm *)(uintptr_t)job;
    if (index >= atomic_load_explicit(&j->filled, memory_order_relaxed)) return false;
    uint64_t slot = (brood__job_start(job, index) - brood__job_chunk(job, index)->shift) / window->items;
    return window->chunk[slot] != index + 1;
}
