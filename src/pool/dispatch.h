/* SPDX-License-Identifier: MIT */
/* pool/dispatch.h - callbacks: which function of this process waits for which answer; called in brood_pool_dispatch. */
#ifndef BROOD_POOL_DISPATCH_H
#define BROOD_POOL_DISPATCH_H

#include <brood/pool.h>

/* Submit a task with a callback: what brood_pool_submit_task_with does with one, after its checks. */
int brood__dispatch_submit(brood_pool pool, brood_future *future, const brood_task *task, const void *arg,
                           const brood_submit_options *options);
/* A place for the callback of a map, before it begins (NULL: no memory); then the map, or that there is none. */
struct callback *brood__dispatch_prepare(void);
void brood__dispatch_map(struct callback *callback, const brood_map *map, const brood_map_options *options);
/* The pool goes: its callbacks too. */
void brood__dispatch_forget(uint64_t pool_id);
/* In brood_fini: of all pools. */
void brood__dispatch_leave(void);

#endif
