/* SPDX-License-Identifier: MIT */
/*
 * pool_task.c - functions over variants as tasks: how they are named to a manager's server, and how a worker runs one.
 */
#include "arena/arena.h"
#include "call/error.h"
#include "call/module.h"
#include "manager/crew.h"
#include "manager/place.h"

#include <brood/manager.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------- in a worker */

static uint64_t server_process; /* whose pool this worker is of; 0: none */

static BROOD_TASK(manager_worker_begins, void, uint64_t, server)
{
    server_process = server;
}

/* The manager whose server that is, as this family has it; 0: it has none. */
static uint64_t my_manager(void)
{
    uint32_t used = server_process ? atomic_load(&brood__arena()->tables[TABLE_MANAGER].used) : 0;
    for (uint32_t i = 1; i < used; i++) {
        const struct manager_shm *m = (const struct manager_shm *)(const void *)brood__slot_at(TABLE_MANAGER, i);
        uint64_t word = atomic_load(&((struct manager_shm *)(uintptr_t)m)->slot.word);
        if (SLOT_STATE(word) == SLOT_LIVE && m->process == server_process)
            return HANDLE(TABLE_MANAGER, i, SLOT_GENERATION(word));
    }
    return 0;
}

/* Their encoding, as the call's result. */
static int put_result(const brood_variant *value, brood_bytes *out)
{
    struct item_writer w = {.most = BROOD_VARIANT_MOST};
    int error = brood__variant_write(&w, value);
    if (error == 0) error = w.error == BROOD_EINVAL ? BROOD_EMSGSIZE : w.error;
    void *bytes = error == 0 ? brood_alloc(w.size) : NULL;
    if (error == 0 && !bytes) error = BROOD_ENOMEM;
    if (error == 0) {
        memcpy(bytes, w.bytes, w.size);
        *out = (brood_bytes){bytes, w.size};
    }
    brood__item_done(&w);
    return error;
}

void brood__variant_task(int (*function)(const brood_variant *args, brood_variant *result), const void *arg,
                         void *result)
{
    brood_bytes in, out = {NULL, 0};
    brood_variant args, value = brood_variant_nil();
    memcpy(&in, arg, sizeof in);
    int code = brood_variant_decode(&args, in.data, in.size);
    if (code == 0) {
        uint64_t manager = my_manager();
        if (manager) brood__variant_adopt(&args, manager);
        brood__say_nothing();
        code = function(&args, &value);
        if (code == 0 && manager && !brood__variant_belongs(&value, manager))
            code = brood__fail_with(BROOD_EINVAL, "the result names an object of another manager");
        if (code == 0) code = put_result(&value, &out);
        if (code != 0) brood_fail(code, "%s", brood_error_detail()[0] ? brood_error_detail() : brood_strerror(code));
        brood_variant_free(&args);
        brood_variant_free(&value);
    } else {
        brood_fail(code, "%s", "the arguments are no variant");
    }
    memcpy(result, &out, sizeof out);
}

/* ------------------------------------------------------------------------------------------------------ in the server */

enum { TASKS_MOST = 256 };

static const brood_task *tasks[TASKS_MOST]; /* of this process: registered by its initializer */
static size_t task_count;

const brood_task *brood__pool_initializer(void)
{
    return BROOD_TASK_OF(manager_worker_begins);
}

static bool is_variant_task(const brood_task *task)
{
    return task && task->magic == BROOD_TASK_MAGIC && task->flags & BROOD_TASK_VARIANT;
}

static const brood_task *registered(struct slice name)
{
    for (size_t i = 0; i < task_count; i++)
        if (strlen(tasks[i]->name) == name.size && memcmp(tasks[i]->name, name.at, name.size) == 0) return tasks[i];
    return NULL;
}

int brood_manager_register_task(const brood_task *task)
{
    brood__say_nothing();
    if (!is_variant_task(task)) return brood__fail_with(BROOD_ETASK, "it is no BROOD_VARIANT_TASK");
    struct slice name = {(const unsigned char *)task->name, strlen(task->name)};
    if (registered(name)) return brood__fail_with(BROOD_EINVAL, "there is a task %s already", task->name);
    if (task_count == TASKS_MOST) return BROOD_ENOMEM;
    tasks[task_count++] = task;
    return 0;
}

const brood_task *brood__pool_function(struct request *r, size_t i, int *error)
{
    const unsigned char *at = r->args[i].at;
    struct item item = {.kind = ITEM_OTHER};
    const brood_task *task = NULL;
    brood__item_next(&at, at + r->args[i].size, &item);
    if (item.kind == ITEM_UINT) {
        *error = brood__function_find(item.value, &task);
        if (*error == 0 && !is_variant_task(task)) *error = BROOD_ETASK;
        return *error == 0 ? task : NULL;
    }
    if (item.kind == ITEM_TEXT) task = registered((struct slice){item.data, (size_t)item.value});
    *error = task ? 0
                  : brood__fail_with(BROOD_ETASK, "this manager has no task %.*s",
                                     (int)(item.kind != ITEM_TEXT ? 0
                                           : item.value < 64      ? item.value
                                                                  : 64),
                                     (const char *)(item.kind == ITEM_TEXT ? item.data : at));
    return task;
}

/* ------------------------------------------------------------------------------------------------------- in a client */

static brood_variant invalid(int code)
{
    return brood__variant(BROOD_VARIANT_INVALID, true, (uint64_t)(int64_t)code);
}

/* What names a task to the server of a pool: where it is to members of its own family, its name to others. */
static brood_variant name_of(brood_proxy pool, const brood_task *task)
{
    function_ref ref;
    if (!is_variant_task(task)) return invalid(brood__fail_with(BROOD_ETASK, "it is no BROOD_VARIANT_TASK"));
    if (!brood__manager_is_own(pool.manager)) return brood_v(task->name);
    int error = brood__function_ref(task, &ref);
    return error < 0 ? invalid(error) : brood_v(ref);
}

static int call(brood_proxy pool, const char *method, const brood_task *task, brood_variant *args,
                brood_variant *result, int timeout)
{
    int error = brood__enter();
    if (result) *result = brood_variant_nil();
    if (error == 0 && !is_variant_task(task)) error = brood__fail_with(BROOD_ETASK, "it is no BROOD_VARIANT_TASK");
    if (error < 0) {
        brood_variant_free(args);
        return error;
    }
    if (args->kind == BROOD_VARIANT_NIL) *args = brood_variant_list_of(NULL, 0);
    return brood_proxy_call(pool, method, brood_variant_list(name_of(pool, task), *args), result, timeout);
}

static int begin(brood_proxy pool, const char *method, brood_proxy *object, const brood_task *task, brood_variant *args)
{
    brood_variant result;
    int error = call(pool, method, task, args, &result, 0);
    if (error == 0 && brood_variant_get_proxy(&result, object) < 0) error = BROOD_ECORRUPT;
    brood_variant_free(&result);
    return error;
}

int brood_manager_pool(brood_manager manager, brood_proxy *pool, unsigned workers)
{
    return brood_proxy_new(pool, manager, "Pool", brood_variant_list(workers));
}

int brood_proxy_apply_task(brood_proxy pool, const brood_task *task, brood_variant args, brood_variant *result,
                           int timeout)
{
    return call(pool, "apply", task, &args, result, timeout);
}

int brood_proxy_apply_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task, brood_variant args)
{
    return begin(pool, "apply_async", answer, task, &args);
}

int brood_proxy_map_task(brood_proxy pool, const brood_task *task, brood_variant items, brood_variant *results,
                         int timeout)
{
    return call(pool, "map", task, &items, results, timeout);
}

int brood_proxy_map_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task, brood_variant items)
{
    return begin(pool, "map_async", answer, task, &items);
}

int brood_proxy_starmap_task(brood_proxy pool, const brood_task *task, brood_variant items, brood_variant *results,
                             int timeout)
{
    return call(pool, "starmap", task, &items, results, timeout);
}

int brood_proxy_starmap_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task, brood_variant items)
{
    return begin(pool, "starmap_async", answer, task, &items);
}

int brood_proxy_imap_task(brood_proxy pool, brood_proxy *iterator, const brood_task *task, brood_variant items)
{
    return begin(pool, "imap", iterator, task, &items);
}

int brood_proxy_imap_unordered_task(brood_proxy pool, brood_proxy *iterator, const brood_task *task,
                                    brood_variant items)
{
    return begin(pool, "imap_unordered", iterator, task, &items);
}

int brood_proxy_next(brood_proxy iterator, brood_variant *result, int timeout)
{
    int code = brood_proxy_call(iterator, "next", brood_variant_nil(), result, timeout);
    return code == BROOD_EMISSING ? 0 : code == 0 ? 1 : code;
}

/* 1 or 0, from a method that answers true or false; or a code. */
static int tells(brood_proxy answer, const char *method)
{
    brood_variant result;
    bool truth = false;
    int error = brood_proxy_call(answer, method, brood_variant_nil(), &result, 0);
    if (error == 0) error = brood_variant_get_bool(&result, &truth);
    brood_variant_free(&result);
    return error < 0 ? error : truth;
}

int brood_proxy_ready(brood_proxy answer)
{
    return tells(answer, "ready");
}

int brood_proxy_successful(brood_proxy answer)
{
    return tells(answer, "successful");
}

int brood_proxy_close(brood_proxy pool)
{
    return brood_proxy_call(pool, "close", brood_variant_nil(), NULL, 0);
}

int brood_proxy_terminate(brood_proxy pool)
{
    return brood_proxy_call(pool, "terminate", brood_variant_nil(), NULL, 0);
}
