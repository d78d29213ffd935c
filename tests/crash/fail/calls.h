/* SPDX-License-Identifier: MIT */
/*
 * calls.h - the system calls that can fail, each with the errors that fit it; and those that can't, with the reason.
 *
 * A call that stands in neither table is a failure of the harness: whoever brings a new one into the library decides.
 */
#ifndef CRASH_FAIL_CALLS_H
#define CRASH_FAIL_CALLS_H

#include <stdint.h>

enum { MOST_ERRORS = 8 };

/* A row tells calls of one number apart by one of their arguments, where that decides what can go wrong. */
enum call_if {
    CALL_ANY,
    CALL_EQUALS, /* argument & mask == value */
    CALL_SET,    /* argument & mask != 0 */
};

struct call_row {
    const char *name;
    long number;
    int errors[MOST_ERRORS]; /* 0 at the end */
    enum call_if when;
    unsigned argument;
    uint64_t mask, value;
};

extern const struct call_row calls_failing[];
extern const unsigned calls_failing_count;

/* Numbers of calls that are let through, -1 at the end. */
extern const long calls_left_out[];

/* Which row fits a call: its index; CALL_NONE: none of the rows of its number; CALL_UNKNOWN: its number is in no table. */
enum { CALL_NONE = -1, CALL_UNKNOWN = -2 };
int calls_find(long number, const uint64_t arguments[6]);

#endif
