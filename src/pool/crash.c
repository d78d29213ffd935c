/* SPDX-License-Identifier: MIT */
/* crash.c - crash records: left by a worker's signal handler, read by the caller; see pool/crash.h. */
#include "pool/crash.h"

#include "call/buffer.h"
#include "call/error.h"
#include "pool/tail.h"
#include "pool/task.h"
#include "pool/threads.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------- the worker's side */

/* Written between runs, read by the handler of the same process. */
static struct {
    struct task_shm *volatile task;
    struct job_shm *volatile job;
    const struct chunk_shm *volatile chunk;
    volatile uint64_t pool_id;
} now;

void brood__crash_task(struct task_shm *task, uint64_t pool_id)
{
    if (brood__post_here()) return; /* the handlers of a process that has threads for workers are its own */
    now.pool_id = pool_id;
    now.task = task;
}

void brood__crash_job(struct job_shm *job, const struct chunk_shm *chunk, uint64_t pool_id)
{
    if (brood__post_here()) return;
    now.pool_id = pool_id;
    now.chunk = chunk;
    now.job = job;
}

/* The index of a module in the record: the one that has this bias, or a new one; -1: there is no more room. */
static int module_in(struct crash_shm *record, uint64_t bias, const char *path)
{
    for (uint32_t i = 0; i < record->module_count; i++)
        if (record->modules[i].bias == bias) return (int)i;
    if (record->module_count == CRASH_MODULES) return -1;
    uint32_t i = record->module_count;
    size_t length = strnlen(path, CRASH_PATH - 1);
    record->modules[i].bias = bias;
    memcpy(record->modules[i].path, path, length);
    record->modules[i].path[length] = '\0';
    record->module_count++;
    return (int)i;
}

static void add_frame(struct crash_shm *record, uint64_t pc)
{
    uint32_t count = atomic_load_explicit(&record->frame_count, memory_order_relaxed);
    uint64_t bias = 0;
    const char *path = "?";
    brood__os_module_of(pc, &bias, &path);
    int module = module_in(record, bias, path);
    if (module < 0 || count == CRASH_FRAMES) return;
    record->frames[count].offset = pc - bias;
    record->frames[count].module = (uint32_t)module;
    atomic_store_explicit(&record->frame_count, count + 1, memory_order_release); /* pairs with the read of the count */
}

/* As brood__pool_attach, at a place that several may want. */
static bool attach_first(_Atomic uint64_t *place, uint64_t pool_id, uint64_t buffer)
{
    struct buffer_shm *b = (struct buffer_shm *)(void *)brood__slot_at(TABLE_BUFFER, HANDLE_INDEX(buffer));
    uint64_t none = 0;
    atomic_store_explicit(&b->movable.carrier, pool_id, memory_order_relaxed); /* published with the word */
    b->movable.position = brood__offset(place);
    brood__buffer_mark(b, BUFFER_ATTACHED, brood__self->member);
    if (atomic_compare_exchange_strong(place, &none, buffer)) return true;
    brood__buffer_drop(buffer);
    return false;
}

static void tell(const struct os_crash *crash)
{
    struct task_shm *task = now.task;
    struct job_shm *job = now.job;
    if (!task && !job) return;
    brood_buffer buffer;
    void *memory;
    if (brood_buffer_new(&buffer, sizeof(struct crash_shm), &memory) < 0) return;
    struct crash_shm *record = memory;
    record->magic = CRASH_MAGIC;
    record->signal = crash->signal;
    record->code = crash->code;
    record->address = crash->address;
    record->usage = crash->usage;
    record->item = job ? atomic_load(&((struct chunk_shm *)(uintptr_t)now.chunk)->running) - 1 : 0;
    record->worker_id = brood__self->id;
    record->pid = brood__me()->pid;
    memcpy(record->worker, brood__me()->name, sizeof record->worker);
    record->module_count = 0;
    atomic_store(&record->frame_count, 0u);
    add_frame(record, crash->pc);
    if (task) {
        if (atomic_load(&task->crashed)) brood__pool_drop(&task->crash); /* of an earlier run */
        task->crash = 0;
        atomic_store(&task->crashed, 1);
        brood__pool_attach(&task->crash, now.pool_id, buffer.id);
    } else if (!attach_first(&job->crash, now.pool_id, buffer.id)) {
        return;
    }
    /* The first is there already; the walk may end us. */
    uint64_t pcs[CRASH_FRAMES];
    size_t n = brood__os_backtrace(crash, pcs, CRASH_FRAMES);
    for (size_t i = 1; i < n; i++) add_frame(record, pcs[i]);
}

void brood__crash_watch(void)
{
    brood__os_on_crash(tell);
}

/* ------------------------------------------------------------------------------------------------- the caller's side */

const struct crash_shm *brood__crash_at(uint64_t buffer)
{
    struct buffer_shm *b = buffer ? brood__buffer_carried(buffer) : NULL;
    if (!b || !b->slot.body || b->size < sizeof(struct crash_shm)) return NULL;
    const struct crash_shm *record = brood__at(b->slot.body);
    return record->magic == CRASH_MAGIC && record->module_count <= CRASH_MODULES ? record : NULL;
}

/* Text out of a place of so many bytes, which may lack its end. */
static void cut(char *to, size_t capacity, const char *from, size_t most)
{
    snprintf(to, capacity, "%.*s", (int)strnlen(from, most), from);
}

void brood__crash_read(const struct crash_shm *record, brood_crash *crash)
{
    uint32_t count = atomic_load_explicit(&((struct crash_shm *)(uintptr_t)record)->frame_count, memory_order_acquire);
    crash->pid = record->pid;
    cut(crash->worker, sizeof crash->worker, record->worker, sizeof record->worker);
    crash->signal = record->signal;
    crash->signal_code = record->code;
    crash->address = record->address;
    crash->user_us = record->usage.user_us;
    crash->system_us = record->usage.system_us;
    crash->max_rss = record->usage.max_rss;
    for (uint32_t i = 0; i < count && i < CRASH_FRAMES && crash->frame_count < BROOD_CRASH_FRAMES; i++) {
        if (record->frames[i].module >= record->module_count) break;
        brood_frame *frame = &crash->frames[crash->frame_count++];
        const char *path = record->modules[record->frames[i].module].path;
        frame->offset = record->frames[i].offset;
        cut(frame->module, sizeof frame->module, path, CRASH_PATH);
    }
}

int brood__future_crash(brood_future future, brood_crash *crash, bool named)
{
    struct pool_shm *pool;
    const struct task_shm *t;
    brood_outcome outcome;
    int code = brood__task_answer(future, &pool, &t, &outcome);
    if (code < 0) return code;
    memset(crash, 0, sizeof *crash);
    if (outcome.pid == 0 || (outcome.signal == 0 && outcome.reason != BROOD_REASON_EXIT &&
                             outcome.reason != BROOD_REASON_QUARANTINED && outcome.reason != BROOD_REASON_UNKNOWN))
        return brood__fail_with(BROOD_EINVAL, "no worker ended in this task");
    const brood_task *task;
    if (brood__function_find(t->function, &task) == 0) snprintf(crash->task, sizeof crash->task, "%s", task->name);
    snprintf(crash->worker, sizeof crash->worker, "%.20s-%u", pool->name, t->seat + 1);
    crash->id = outcome.id;
    crash->attempt = outcome.attempt;
    crash->reason = outcome.reason;
    crash->pid = outcome.pid;
    crash->signal = outcome.signal;
    crash->status = outcome.status;
    crash->user_us = t->usage.user_us;
    crash->system_us = t->usage.system_us;
    crash->max_rss = t->usage.max_rss;
    const struct crash_shm *record =
        atomic_load(&((struct task_shm *)(uintptr_t)t)->crashed) ? brood__crash_at(t->crash) : NULL;
    if (record && record->pid == outcome.pid) { /* else it is of an earlier run */
        brood__crash_read(record, crash);
        if (named) brood__crash_name(record, crash);
    }
    brood__tail_read(pool, t->worker, crash);
    return 0;
}

int brood_future_crash(brood_future future, brood_crash *crash)
{
    return brood__future_crash(future, crash, true);
}

/* ----------------------------------------------------------------------------------------------------------- as text */

struct writer {
    char *text;
    size_t capacity, size;
};

static void put(struct writer *w, const char *format, ...) BROOD_PRINTF(2, 3);
static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = w->size < w->capacity ? w->capacity - w->size : 0;
    int length = vsnprintf(room ? w->text + w->size : NULL, room, format, args);
    va_end(args);
    if (length > 0) w->size += (size_t)length;
}

static void put_frame(struct writer *w, unsigned number, const brood_frame *frame)
{
    put(w, "  #%u ", number);
    put(w, "%s", frame->function[0] ? frame->function : "?");
    if (frame->file[0]) put(w, " at %s:%d", frame->file, frame->line);
    put(w, " (%s+0x%llx)\n", frame->module[0] ? frame->module : "program", (unsigned long long)frame->offset);
}

size_t brood_crash_text(const brood_crash *crash, char *text, size_t capacity)
{
    struct writer w = {text, capacity, 0};
    if (capacity) text[0] = '\0';
    put(&w, "%s: run %u in %s (pid %d) ", crash->task[0] ? crash->task : "a task", crash->attempt, crash->worker,
        (int)crash->pid);
    if (crash->signal) {
        put(&w, "was ended by signal %d (%s)", crash->signal, strsignal(crash->signal));
        if (crash->address || crash->signal_code > 0) put(&w, " at address 0x%llx", (unsigned long long)crash->address);
    } else {
        put(&w, "exited with code %d", crash->status);
    }
    put(&w, "; user %llu us, system %llu us, at most %llu KiB\n", (unsigned long long)crash->user_us,
        (unsigned long long)crash->system_us, (unsigned long long)(crash->max_rss / 1024));
    for (unsigned i = 0; i < crash->frame_count; i++) put_frame(&w, i, &crash->frames[i]);
    for (const char *line = crash->stderr_tail; *line;) {
        size_t length = strcspn(line, "\n");
        put(&w, "  stderr: %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    return w.size;
}
