/* SPDX-License-Identifier: MIT */
/*
 * detail.h - what brood_error_detail says: one text for each thread, and it is about the thread's last call.
 *
 * Every call begins by saying nothing (brood__enter), which is one store; so whatever is there when it fails is its own.
 * Who calls a public function inside another one, after that has said something, takes its words away: don't.
 *
 * A text comes from brood__fail_with (call/error.h).  What has to be said without printf, in calls that are
 * async-signal-safe, is a constant format with two numbers, and brood_error_detail makes the text.
 */
#ifndef BROOD_ARENA_DETAIL_H
#define BROOD_ARENA_DETAIL_H

#include <brood/error.h>

#define DETAIL_SIZE 256

enum detail_kind { DETAIL_NONE, DETAIL_TEXT, DETAIL_NUMBERS };

struct detail {
    volatile unsigned char kind; /* enum detail_kind; written last, and first when it is taken back */
    const char *format;
    long long numbers[2];
    char text[DETAIL_SIZE];
};
extern _Thread_local struct detail brood__detail;

static inline void brood__say_nothing(void)
{
    brood__detail.kind = DETAIL_NONE;
}

/* Say a constant format with two numbers, taken by %lld or %llu, or not at all; returns code.  Async-signal-safe. */
static inline int brood__fail_numbers(int code, const char *format, long long first, long long second)
{
    brood__detail.format = format;
    brood__detail.numbers[0] = first;
    brood__detail.numbers[1] = second;
    brood__detail.kind = DETAIL_NUMBERS;
    return code;
}

#endif
