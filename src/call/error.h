/* SPDX-License-Identifier: MIT */
/* call/error.h - what brood_error_detail says: one text for each thread. */
#ifndef BROOD_CALL_ERROR_H
#define BROOD_CALL_ERROR_H

#include <brood/error.h>

#define DETAIL_SIZE 256

/* Set this thread's detail (cut to DETAIL_SIZE - 1 bytes) and return code.  Not async-signal-safe. */
int brood__fail_with(int code, const char *format, ...) BROOD_PRINTF(2, 3);

#endif
