/* SPDX-License-Identifier: MIT */
/*
 * log.c - records to standard error or to the program's callback.
 *
 * The level lies in the arena.  The callback is this process's, under a mutex that is held while it runs, so that who
 * replaces it knows that the old one is done; what is logged from inside a callback goes to standard error.
 * Thread-safe; not async-signal-safe, but for the level.
 */
#include "call/log.h"

#include "arena/member.h"
#include "call/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *const names[] = {"DEFAULT", "OFF", "ERROR", "WARNING", "INFO", "DEBUG"};
#define LEVELS (sizeof names / sizeof *names)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static brood_log_fn *_Atomic callback; /* both are written under the mutex */
static void *callback_context;
static _Thread_local bool inside; /* this thread has the mutex, in the callback */

void brood__log_rejoin(void)
{
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    inside = false;
}

/* ------------------------------------------------------------------------------------------------------------ level */

int brood_log_set_level(brood_log_level level)
{
    int error = brood__enter();
    if (error < 0) return error;
    if ((unsigned)level >= LEVELS) return brood__fail_numbers(BROOD_EINVAL, "no log level is %lld", (int)level, 0);
    atomic_store_explicit(&brood__arena()->log_level, (uint32_t)level, memory_order_relaxed);
    return 0;
}

brood_log_level brood_log_get_level(void)
{
    brood_log_level level = BROOD_LOG_OFF;
    while (level < BROOD_LOG_DEBUG && brood__log_wants(level + 1)) level++;
    return level;
}

const char *brood_log_level_name(brood_log_level level)
{
    return (unsigned)level < LEVELS ? names[level] : "unknown";
}

int brood_log_level_parse(brood_log_level *level, const char *name)
{
    brood__say_nothing();
    for (unsigned i = 0; i < LEVELS; i++) {
        if (!name || strcasecmp(name, names[i]) != 0) continue;
        *level = (brood_log_level)i;
        return 0;
    }
    return brood__fail_with(BROOD_EINVAL, "no log level is called %.40s", name ? name : "NULL");
}

/* ---------------------------------------------------------------------------------------------------------- records */

int brood_log_to(brood_log_fn *fn, void *context)
{
    brood__say_nothing();
    bool ours = !inside; /* else the caller is the callback, and has the mutex */
    if (ours) pthread_mutex_lock(&mutex);
    callback_context = context;
    atomic_store_explicit(&callback, fn, memory_order_relaxed);
    if (ours) pthread_mutex_unlock(&mutex);
    return 0;
}

/* The name of this process into a buffer. */
static const char *name_self(char name[32])
{
    if (brood__is_member() && brood__self->supervisor) return "supervisor";
    if (brood__is_member() && brood__self->member)
        snprintf(name, 32, "%.31s", brood__me()->name);
    else
        snprintf(name, 32, "%d", (int)getpid());
    return name;
}

static bool give_to_callback(const brood_log_record *record)
{
    if (inside || !atomic_load_explicit(&callback, memory_order_relaxed)) return false;
    pthread_mutex_lock(&mutex);
    brood_log_fn *fn = atomic_load_explicit(&callback, memory_order_relaxed);
    inside = true;
    if (fn) fn(record, callback_context);
    inside = false;
    pthread_mutex_unlock(&mutex);
    return fn != NULL;
}

static void print(const brood_log_record *record)
{
    char line[BROOD_LOG_TEXT + 64];
    int length = snprintf(line, sizeof line, "[%s/%s] %s\n", names[record->level], record->process, record->text);
    if (length > 0) brood__os_print(STDERR_FILENO, line, (size_t)length, !brood__self->supervisor);
}

void brood_log(brood_log_level level, const char *format, ...)
{
    if (level < BROOD_LOG_ERROR || level > BROOD_LOG_DEBUG || !brood__log_wants(level)) return;
    char text[BROOD_LOG_TEXT], name[32];
    int saved = errno;
    struct detail detail = brood__detail; /* a callback may call what it should not */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0) text[0] = 0;
    size_t end = strlen(text);
    if (end > 0 && text[end - 1] == '\n') text[end - 1] = 0;
    brood_log_record record = {.level = level, .pid = getpid(), .process = name_self(name), .text = text};
    if (!give_to_callback(&record)) print(&record);
    brood__detail = detail;
    errno = saved;
}
