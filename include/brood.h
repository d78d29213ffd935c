/* SPDX-License-Identifier: MIT */
/* brood.h - process-based parallelism for C.  The umbrella: it only includes the headers of the areas. */
#ifndef BROOD_H
#define BROOD_H

#include <brood/barrier.h>
#include <brood/base.h>
#include <brood/buffer.h>
#include <brood/condition.h>
#include <brood/connection.h>
#include <brood/context.h>
#include <brood/error.h>
#include <brood/event.h>
#include <brood/lock.h>
#include <brood/log.h>
#include <brood/manager.h>
#include <brood/pipe.h>
#include <brood/pool.h>
#include <brood/process.h>
#include <brood/queue.h>
#include <brood/rlock.h>
#include <brood/scope.h>
#include <brood/semaphore.h>
#include <brood/shareable_list.h>
#include <brood/shm.h>
#include <brood/stream.h>
#include <brood/task.h>
#include <brood/token.h>
#include <brood/value.h>
#include <brood/variant.h>
#include <brood/wait.h>

#endif
