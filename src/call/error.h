/* SPDX-License-Identifier: MIT */
/* call/error.h - saying more than a code; what is said, and when it is forgotten, stands in arena/detail.h. */
#ifndef BROOD_CALL_ERROR_H
#define BROOD_CALL_ERROR_H

#include "arena/detail.h"

/* Set this thread's detail (cut to DETAIL_SIZE - 1 bytes) and return code.  Not async-signal-safe. */
int brood__fail_with(int code, const char *format, ...) BROOD_PRINTF(2, 3);

#endif
