/* SPDX-License-Identifier: MIT */
/*
 * error.h - what a call can answer.
 *
 * Every call that can fail returns an int: 0 (or a count) on success, a negative code on failure.  A code that
 * comes from the operating system is the negated errno, as in libuv, so that -EMFILE and BROOD_EMFILE are one
 * number; Brood's own codes lie below -9000, where no errno is.
 */
#ifndef BROOD_ERROR_H
#define BROOD_ERROR_H

#include <brood/export.h>
#include <errno.h>

/* X(name, value, text): one row makes the enumerator, the name, the text and the row of brood_error(3). */
#define BROOD_ERROR_MAP(X)                                                                             \
    X(EAGAIN, -EAGAIN, "not now: nothing there, no room, or held by another")                          \
    X(ETIMEDOUT, -ETIMEDOUT, "the time given was not enough")                                          \
    X(EINVAL, -EINVAL, "an argument or option is out of its range")                                    \
    X(ENOMEM, -ENOMEM, "the process is out of memory")                                                 \
    X(EMFILE, -EMFILE, "the process is out of descriptors")                                            \
    X(ENFILE, -ENFILE, "the machine is out of descriptors")                                            \
    X(EPERM, -EPERM, "not allowed: the caller does not hold it")                                       \
    X(EMSGSIZE, -EMSGSIZE, "the message is too long, or not of the size asked for")                    \
    X(EDEADLK, -EDEADLK, "waiting would never end: the caller holds it, or is waited for in a circle") \
    X(ECANCELED, -ECANCELED, "cancelled before it was done")                                           \
    X(EOWNERDEAD, -EOWNERDEAD, "acquired; but its last holder died holding it")                        \
    X(ESTALE, -ESTALE, "a handle whose object is freed, or that is no handle of this family")          \
    X(ENOTMEMBER, -9001,                                                                               \
      "this process is not a member: it never called brood_init, or was forked "                       \
      "outside of Brood")                                                                              \
    X(ECLOSED, -9002, "the object was closed, or its owner died")                                      \
    X(EARENA, -9003, "the family's shared memory is at its limit")                                     \
    X(ELOST, -9004, "the process that did the work died")                                              \
    X(EFAILED, -9005, "the task said that it could not do its work")                                   \
    X(EEXEC, -9006, "the program could not be executed")                                               \
    X(ENOINIT, -9007, "the program did not call brood_init")                                           \
    X(EMODULE, -9008, "the program or library that holds the function is missing there, or differs")   \
    X(ETASK, -9009, "the function is not a task")                                                      \
    X(ECORRUPT, -9010, "bytes that nobody of this family can have written")                            \
    X(ESTART, -9011, "a process could not be started")                                                 \
    X(EUNSUPPORTED, -9012, "this system lacks what the call needs")                                    \
    X(ETHREADS, -9013, "fork was not asked for by name, and the process has threads")                  \
    X(EINIT, -9014, "the initializer of the pool failed")                                              \
    X(EDEADLINE, -9015, "the task ran longer than its deadline")                                       \
    X(EOOM, -9016, "the process that did the work was killed because its cgroup was out of memory")    \
    X(EAUTH, -9017, "the other end did not prove that it knows the key, or refused ours")              \
    X(EBROKEN, -9018, "the barrier is broken: a party died, was late or gave up")                      \
    X(EMISSING, -9019, "there is no such key, index or item")

enum brood_error {
#define BROOD__ERROR_ENUM(name, value, text) BROOD_##name = value,
    BROOD_ERROR_MAP(BROOD__ERROR_ENUM)
#undef BROOD__ERROR_ENUM
};

BROOD_BEGIN

/*
 * The text of a code: static, never NULL, never freed; for an errno that has no row above it is the C library's
 * (strerrordesc_np).  Async-signal-safe; any thread; allowed after any fork.
 */
BROOD_API const char *brood_strerror(int code);

/* The name of a code: "BROOD_ELOST", "EXDEV" for an errno without a row, "0", "unknown".  As brood_strerror. */
BROOD_API const char *brood_error_name(int code);

/*
 * More about this thread's last Brood call, which failed: which step, which module differs, what a failed task said
 * ("exec failed: /bin/x: No such file or directory").  The empty string if there is nothing to add to its code.  Each
 * call begins by taking back what was said before, those that succeed too, and those of signal handlers: ask at once,
 * and print it beside brood_strerror.  Belongs to the library and is good until the thread's next Brood call.
 */
BROOD_API const char *brood_error_detail(void);

BROOD_END

#endif
