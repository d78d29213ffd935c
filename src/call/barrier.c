/* SPDX-License-Identifier: MIT */
/* barrier.c - the action of a barrier: a task function that its last party runs; the rest is in sync/barrier.c. */
#include "sync/barrier.h"

#include "call/call.h"
#include "call/error.h"
#include "call/module.h"

#include <brood/barrier.h>
#include <stdlib.h>

static int check_action(const brood_barrier_options *o)
{
    if (o->action->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (o->action->arg_size && !o->action_arg)
        return brood__fail_with(BROOD_EINVAL, "%s wants an argument", o->action->name);
    return 0;
}

int brood_barrier_new(brood_barrier *barrier, unsigned parties, const brood_barrier_options *options)
{
    int error = brood__enter();
    if (error == 0 && (parties == 0 || parties > BROOD_BARRIER_PARTIES_MOST)) error = BROOD_EINVAL;
    function_ref action = 0;
    const void *arg = NULL;
    size_t size = 0;
    if (error == 0 && options && options->action) {
        error = check_action(options);
        if (error == 0) error = brood__function_ref(options->action, &action);
        if (error == 0) {
            const brood_bytes *bytes = options->action_arg;
            bool any = options->action->flags & BROOD_TASK_ARG_BYTES;
            arg = any ? bytes->data : options->action_arg;
            size = any ? bytes->size : options->action->arg_size;
            if (size > BROOD_BARRIER_ARG_MOST)
                error = brood__fail_with(BROOD_EINVAL, "the argument of %s is too long", options->action->name);
        }
    }
    return error < 0 ? error : brood__barrier_new(&barrier->id, parties, action, arg, size);
}

/* 0, or why not. */
static int act(const struct arrival *arrival)
{
    const struct barrier_shm *b = arrival->barrier;
    const brood_task *task;
    int code = brood__function_find(b->action, &task);
    if (code < 0) return code;
    brood_bytes bytes = {brood__barrier_arg(arrival), b->arg_size};
    bool any = task->flags & BROOD_TASK_ARG_BYTES;
    if (!any && task->arg_size != b->arg_size) return BROOD_ETASK;
    char small[256];
    void *result = task->result_size <= sizeof small ? small : malloc(task->result_size);
    if (!result) return BROOD_ENOMEM;
    struct call call;
    brood__call_begin(&call);
    task->call(any ? &bytes : bytes.data, result);
    int returned = task->flags & BROOD_TASK_RESULT_INT ? *(const int *)result : 0;
    if (call.fail)
        code = brood__fail_with(BROOD_EFAILED, "%.64s: %s (%d)", task->name, call.text, call.fail);
    else if (returned < 0)
        code = brood__fail_with(BROOD_EFAILED, "%.64s returned %d", task->name, returned);
    brood__call_end(&call);
    if (result != small) free(result);
    return code;
}

int brood_barrier_wait(brood_barrier barrier, int timeout)
{
    int result = brood__enter_for(timeout);
    if (result < 0) return result;
    struct arrival arrival;
    result = brood__barrier_arrive(barrier.id, timeout, &arrival);
    return result == BARRIER_ACT ? brood__barrier_acted(barrier.id, &arrival, act(&arrival)) : result;
}
