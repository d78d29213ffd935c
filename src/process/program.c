/* SPDX-License-Identifier: MIT */
/* program.c - the table of programs, contexts, and the family's defaults; see process/program.h.  Thread-safe. */
#include "process/program.h"

#include "call/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef BROOD_LIBEXECDIR
#define BROOD_LIBEXECDIR "/usr/local/libexec/brood"
#endif

static struct program_shm *entry_at(uint32_t index)
{
    return (struct program_shm *)(void *)brood__slot_at(TABLE_PROGRAM, index);
}

static uint32_t table_end(void)
{
    uint32_t used = brood__table_used(TABLE_PROGRAM);
    return used < PROGRAMS_MOST ? used : PROGRAMS_MOST;
}

bool brood__program_read(uint32_t index, struct program *program)
{
    *program = (struct program){.preload = 0};
    if (index == 0) return true;
    /* acquire pairs with the release in enter: the rest of a live slot is whole, and never changes. */
    if (index >= table_end() ||
        SLOT_STATE(atomic_load_explicit(&entry_at(index)->slot.word, memory_order_acquire)) != SLOT_LIVE)
        return false;
    const struct program_shm *entry = entry_at(index);
    program->preload = entry->preload;
    memcpy(program->path, entry->path, sizeof program->path - 1);
    memcpy(program->directory, entry->directory, sizeof program->directory - 1);
    return program->path[0] == 0 || program->path[0] == '/';
}

static int enter(const char *path, function_ref preload, uint32_t *index)
{
    char directory[PROGRAM_PATH_MOST];
    if (!getcwd(directory, sizeof directory)) directory[0] = 0;
    int error = brood__slot_claim(TABLE_PROGRAM, brood__self->member, NULL, index);
    if (error < 0) return error;
    if (*index >= PROGRAMS_MOST) {
        brood__slot_release(TABLE_PROGRAM, *index);
        return brood__fail_with(BROOD_EARENA, "a family has at most %u programs and preloads", PROGRAMS_MOST - 1);
    }
    struct program_shm *entry = entry_at(*index);
    entry->preload = preload;
    snprintf(entry->path, sizeof entry->path, "%s", path);
    snprintf(entry->directory, sizeof entry->directory, "%s", directory);
    /* From now on it is the family's.  If we die before, it is garbage.  release pairs with the acquire above. */
    uint64_t word = atomic_load_explicit(&entry->slot.word, memory_order_relaxed);
    atomic_store_explicit(&entry->slot.word, SLOT_WORD(SLOT_GENERATION(word), SLOT_LIVE, OWNER_FAMILY),
                          memory_order_release);
    return 0;
}

static int find_or_enter(const char *path, function_ref preload, uint32_t *index)
{
    *index = 0;
    if (!path[0] && !preload) return 0;
    uint32_t end = table_end();
    for (uint32_t i = 1; i < end; i++) {
        const struct program_shm *entry = entry_at(i);
        if (SLOT_STATE(atomic_load_explicit(&((struct program_shm *)(uintptr_t)entry)->slot.word,
                                            memory_order_acquire)) != SLOT_LIVE)
            continue;
        if (entry->preload != preload || strncmp(entry->path, path, sizeof entry->path) != 0) continue;
        *index = i;
        return 0;
    }
    return enter(path, preload, index);
}

static int find_executable(const char *name, char path[PROGRAM_PATH_MOST])
{
    int error = brood__os_find_program(name, path, PROGRAM_PATH_MOST);
    if (error == -ENAMETOOLONG) return brood__fail_with(BROOD_EINVAL, "executable: its path is too long");
    return error < 0 ? brood__fail_with(BROOD_EEXEC, "exec failed: %.150s: %s", name, brood_strerror(error)) : 0;
}

static int reference(const brood_task *task, function_ref *ref)
{
    if (task->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (task->arg_size) return brood__fail_with(BROOD_EINVAL, "%s wants an argument: a preload has none", task->name);
    return brood__function_ref(task, ref);
}

uint32_t brood__program_default(void)
{
    return atomic_load_explicit(&brood__arena()->program, memory_order_acquire);
}

/* What a program is when these are given; NULL: as in `like`. */
static int vary(uint32_t like, const char *executable, const brood_task *preload, uint32_t *index)
{
    struct program *program = malloc(sizeof *program);
    if (!program) return BROOD_ENOMEM;
    int error = brood__program_read(like, program) ? 0 : BROOD_ECORRUPT;
    if (error == 0 && executable) error = find_executable(executable, program->path);
    if (error == 0 && preload) error = reference(preload, &program->preload);
    if (error == 0) error = find_or_enter(program->path, program->preload, index);
    free(program);
    return error;
}

int brood__context_check(const brood_context *context)
{
    if (!context) return 0;
    if ((unsigned)context->method > BROOD_START_THREAD)
        return brood__fail_with(BROOD_EINVAL, "context: no such start method");
    if (context->start_timeout < 0) return brood__fail_with(BROOD_EINVAL, "context: start_timeout is negative");
    if (context->preload && context->preload->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    return 0;
}

int brood__program_of(const brood_context *context, uint32_t *index)
{
    *index = brood__program_default();
    if (!context || (!context->executable && !context->preload)) return 0;
    return vary(*index, context->executable, context->preload, index);
}

/* The default becomes what `change` makes of it; another's change meanwhile is not lost. */
static int set_default(int (*change)(uint32_t like, const void *to, uint32_t *index), const void *to)
{
    uint32_t seen = brood__program_default(), index = 0;
    for (;;) {
        int error = change(seen, to, &index);
        if (error < 0) return error;
        /* release: pairs with brood__program_default, the entry is whole */
        if (atomic_compare_exchange_strong_explicit(&brood__arena()->program, &seen, index, memory_order_acq_rel,
                                                    memory_order_acquire))
            return 0;
    }
}

static int change_executable(uint32_t like, const void *to, uint32_t *index)
{
    char own[PROGRAM_PATH_MOST];
    const char *path = to;
    if (!path) {
        struct program *program = malloc(sizeof *program);
        if (!program) return BROOD_ENOMEM;
        bool is_own = brood__program_read(like, program) && !program->path[0];
        free(program);
        *index = like;
        if (is_own) return 0;
        int error = brood__os_program_path(own, sizeof own); /* the supervisor may run another by now */
        if (error < 0) return brood__fail_with(BROOD_EEXEC, "the path of this program is not known");
        path = own;
    }
    return vary(like, path, NULL, index);
}

static int change_preload(uint32_t like, const void *to, uint32_t *index)
{
    if (to) return vary(like, NULL, to, index);
    struct program *program = malloc(sizeof *program);
    if (!program) return BROOD_ENOMEM;
    int error = brood__program_read(like, program) ? 0 : BROOD_ECORRUPT;
    if (error == 0) error = find_or_enter(program->path, 0, index);
    free(program);
    return error;
}

int brood_set_executable(const char *path)
{
    int error = brood__enter();
    return error < 0 ? error : set_default(change_executable, path);
}

int brood_set_forkserver_preload(const brood_task *task)
{
    int error = brood__enter();
    return error < 0 ? error : set_default(change_preload, task);
}

const char *brood_worker_executable(void)
{
    return BROOD_LIBEXECDIR "/brood-worker";
}
