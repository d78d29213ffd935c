/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - a library built on Brood, for a host whose main knows nothing of it.  plugin_run("METHOD", "EXECUTABLE")
 * answers 0, or the number of the line that failed.
 */
#include <brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int plugin_run(const char *method, const char *executable);

#define MUST(condition)                                                                          \
    do {                                                                                         \
        if (condition) break;                                                                    \
        fprintf(stderr, "plugin: %s: %s (%s)\n", #condition, brood_error_detail(), method_name); \
        return __LINE__;                                                                         \
    } while (0)

static const char *method_name = "";
static int loaded;

static BROOD_TASK(load, void)
{
    loaded++;
}
static BROOD_TASK(square, double, double, x)
{
    return x * x + loaded * 1000;
}
static BROOD_TASK(work, int, brood_queue, queue, int, n)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    int result = strstr(path, "brood-worker") != NULL;
    return brood_queue_put_value(queue, &result, BROOD_FOREVER) == 0 ? n + loaded * 100 : 1;
}

int plugin_run(const char *name, const char *executable)
{
    brood_start_method method;
    brood_queue queue;
    brood_process process;
    brood_pool pool;
    int code = 0, is_worker = 0;
    double in[3] = {1, 2, 3}, out[3] = {0};
    method_name = name;
    MUST(brood_start_method_parse(&method, name) == 0);
    MUST(brood_init(NULL, NULL) == 0);
    MUST(brood_set_executable(executable) == 0);
    MUST(brood_set_start_method(method) == 0);
    MUST(brood_queue_new(&queue, NULL) == 0);
    MUST(brood_process_start(&process, NULL, work, &(struct work_args){queue, 7}) == 0);
    MUST(brood_queue_get_value(queue, &is_worker, BROOD_FOREVER) == 0 && is_worker);
    MUST(brood_process_join(process, BROOD_FOREVER, &code) == 0 && code == 7);
    MUST(brood_process_free(process) == 0);
    MUST(brood_pool_new(&pool, &(brood_pool_options){.workers = 2}) == 0);
    MUST(brood_pool_map(pool, square, in, out, 3) == 0 && out[0] == 1 && out[2] == 9);
    MUST(brood_pool_free(pool) == 0);
    if (method == BROOD_START_FORKSERVER) {
        const brood_context warm = {.preload = BROOD_TASK_OF(load)};
        MUST(brood_process_start_with(&process, work, &((struct work_args){queue, 7}), .context = &warm) == 0);
        MUST(brood_queue_get_value(queue, &is_worker, BROOD_FOREVER) == 0 && is_worker);
        MUST(brood_process_join(process, BROOD_FOREVER, &code) == 0 && code == 107);
        MUST(brood_process_free(process) == 0);
    }
    MUST(brood_queue_free(queue) == 0);
    MUST(brood_fini() == 0);
    return 0;
}
