/* SPDX-License-Identifier: MIT */
/*
 * call/log.h - the library's own log; what is said at which level stands in brood/log.h.
 *
 * Never from calls that are async-signal-safe, never under a latch.  The supervisor may log: it waits for no reader.
 */
#ifndef BROOD_CALL_LOG_H
#define BROOD_CALL_LOG_H

#include "arena/arena.h"

#include <brood/log.h>

/* Whether a record of this level would go anywhere: one load. */
static inline bool brood__log_wants(brood_log_level level)
{
    uint32_t most =
        brood__is_member() ? atomic_load_explicit(&brood__arena()->log_level, memory_order_relaxed) : BROOD_LOG_DEFAULT;
    return (uint32_t)level <= (most == BROOD_LOG_DEFAULT ? BROOD_LOG_WARNING : most);
}

/* As brood_log; its arguments are not looked at when nobody listens. */
#define brood__log(level, ...)                                        \
    do {                                                              \
        if (brood__log_wants(level)) brood_log((level), __VA_ARGS__); \
    } while (0)

/* In a child that Brood forked: its parent's other threads may have been in the middle of it. */
void brood__log_rejoin(void);

#endif
