/* SPDX-License-Identifier: MIT */
/*
 * log.h - what the library says of itself, and a program's own words beside it, with the name of the process.
 *
 *     brood_log_set_level(BROOD_LOG_INFO);
 *     brood_log(BROOD_LOG_INFO, "%d files to go", n);      [INFO/first] 3 files to go
 *
 * The level is one for the whole family.  Where records go is each process's own affair: standard error, or a function
 * of the program's (brood_log_to).  One that is started by fork goes on with its starter's function, any other begins
 * with standard error; so does the supervisor, always, which tells how processes end.
 *
 * The library says at BROOD_LOG_ERROR: a process's task called brood_fail; at BROOD_LOG_WARNING: a fork in a process
 * that has threads; at BROOD_LOG_INFO: a process, worker or supervisor begins or has ended, and how; a worker could not
 * be started; at BROOD_LOG_DEBUG: what leads to that.
 */
#ifndef BROOD_LOG_H
#define BROOD_LOG_H

#include <brood/error.h>
#include <brood/export.h>
#include <sys/types.h>

/* How much is said: records of this level and of those above it. */
typedef enum brood_log_level {
    BROOD_LOG_DEFAULT = 0, /* as BROOD_LOG_WARNING */
    BROOD_LOG_OFF,         /* nothing */
    BROOD_LOG_ERROR,
    BROOD_LOG_WARNING,
    BROOD_LOG_INFO,
    BROOD_LOG_DEBUG
} brood_log_level;

/* Bytes of a record's text at most, with the zero byte; what is longer is cut. */
#define BROOD_LOG_TEXT 1024

/* One record; the strings are good until the callback returns. */
typedef struct brood_log_record {
    brood_log_level level;
    pid_t pid;
    const char *process; /* the name of this process; "supervisor"; its pid in digits if it is not a member */
    const char *text;    /* without a newline at its end */
} brood_log_record;

typedef void brood_log_fn(const brood_log_record *record, void *context);

BROOD_BEGIN

/*
 * The level of the family, from now on, in every member; children are told (brood_preparation.log_level) and obey.
 * 0, BROOD_EINVAL, BROOD_ENOTMEMBER.  Async-signal-safe.
 */
BROOD_API int brood_log_set_level(brood_log_level level);

/* The level that holds, never BROOD_LOG_DEFAULT; in a process that is not a member BROOD_LOG_WARNING. */
BROOD_API brood_log_level brood_log_get_level(void);

/*
 * Give the records of this process to callback, with context, instead of standard error; NULL: to standard error again.
 * Calls of callback come one at a time, by whichever thread has something to say, in the middle of a call of Brood's:
 * it may call brood_log, whose record then goes to standard error, and nothing else of Brood's.  When this returns the
 * callback that was there before is not running any more, unless it is the caller.  0.
 * Good before brood_init too.  Thread-safe; not async-signal-safe.
 */
BROOD_API int brood_log_to(brood_log_fn *callback, void *context);

/*
 * A record of the program's own; format as of printf(3).  On standard error it is one line, "[LEVEL/process] text", by
 * one write(2).  Nothing happens when the level says so, or for a level out of range; errors of the output are not
 * heard, and no SIGPIPE comes of it.  errno and brood_error_detail stay as they are, so the latter may be an argument.
 * Thread-safe; not async-signal-safe; allowed in a process that is not a member.
 */
BROOD_API void brood_log(brood_log_level level, const char *format, ...) BROOD_PRINTF(2, 3);

/* "DEFAULT", "OFF", "ERROR", "WARNING", "INFO", "DEBUG", "unknown"; and back, in any case: 0, or BROOD_EINVAL. */
BROOD_API const char *brood_log_level_name(brood_log_level level);
BROOD_API int brood_log_level_parse(brood_log_level *level, const char *name);

BROOD_END

#endif
