/* SPDX-License-Identifier: MIT */
/*
 * value.c - the current call of a thread: what brood_fail says and brood_alloc gives.
 *
 * A stack of calls, linked through the struct call of whoever runs them; nothing is shared, so nothing is locked.
 * brood_fail is async-signal-safe as far as vsnprintf is; brood_alloc is not.  A child forked inside a task stands in
 * a copy of that call.
 */
#include "call/call.h"

#include "call/seed.h"
#include "os/os.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* What follows it is aligned as malloc's memory is. */
struct call_block {
    _Alignas(max_align_t) struct call_block *next;
};

static _Thread_local struct call *current;

static void clear(struct call *call)
{
    while (call->blocks) {
        struct call_block *block = call->blocks;
        call->blocks = block->next;
        free(block);
    }
    call->fail = 0;
    call->text[0] = '\0';
}

void brood__call_begin(struct call *call)
{
    *call = (struct call){.outer = current, .stop_at = OS_NEVER};
    current = call;
}

void brood__call_next(struct call *call)
{
    clear(call);
}

void brood__call_end(struct call *call)
{
    current = call->outer;
    clear(call);
}

void brood_fail(int code, const char *format, ...)
{
    if (!current) return;
    current->fail = code ? code : BROOD_EFAILED; /* 0 would mean that nobody called */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(current->text, sizeof current->text, format, args);
    va_end(args);
    if (length < 0) current->text[0] = '\0';
}

bool brood__call_running(void)
{
    return current != NULL;
}

uint64_t brood_task_seed(void)
{
    if (!current || !current->seed) return 0;
    uint64_t item = current->item ? atomic_load_explicit(current->item, memory_order_relaxed) - 1 : 0;
    return seed_given(seed_after(current->seed, item));
}

int brood_task_stopping(void)
{
    if (!current) return 0;
    if (current->unwanted && current->unwanted(current->of)) return 1;
    return current->stop_at != OS_NEVER && brood__os_now() >= current->stop_at;
}

void *brood_alloc(size_t size)
{
    if (!current || size > PTRDIFF_MAX - sizeof(struct call_block)) return NULL;
    struct call_block *block = malloc(sizeof *block + size);
    if (!block) return NULL;
    block->next = current->blocks;
    current->blocks = block;
    return block + 1;
}
