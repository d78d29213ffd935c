/* SPDX-License-Identifier: MIT */
/*
 * error.c - names and texts of codes, and the thread's detail.
 *
 * One table made from BROOD_ERROR_MAP; the system's own codes come from the C library's tables, which are constant.
 * brood_strerror and brood_error_name are async-signal-safe and allowed after any fork.  The detail is thread-local: a
 * forked child has its parent's.
 */
#include "call/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OWN_CODES (-9000) /* Brood's own lie below, the system's above */

static const struct row {
    int code;
    const char *name;
    const char *text;
} rows[] = {
#define ROW(name, value, text) {value, "BROOD_" #name, text},
    BROOD_ERROR_MAP(ROW)
#undef ROW
};

_Thread_local struct detail brood__detail;

static const struct row *find(int code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return NULL;
}

/* The errno of a code, 0 if it comes from elsewhere. */
static int system_code(int code)
{
    return code < 0 && code > OWN_CODES ? -code : 0;
}

const char *brood_strerror(int code)
{
    const struct row *row = find(code);
    if (row) return row->text;
    if (code == 0) return "success";
    const char *text = system_code(code) ? strerrordesc_np(-code) : NULL;
    return text ? text : "unknown error";
}

const char *brood_error_name(int code)
{
    const struct row *row = find(code);
    const char *name = row ? row->name : system_code(code) ? strerrorname_np(-code) : code == 0 ? "0" : NULL;
    return name ? name : "unknown";
}

const char *brood_error_detail(void)
{
    struct detail *d = &brood__detail;
    if (d->kind == DETAIL_NUMBERS) {
        snprintf(d->text, sizeof d->text, d->format, d->numbers[0], d->numbers[1]);
        d->kind = DETAIL_TEXT;
    }
    return d->kind == DETAIL_TEXT ? d->text : "";
}

int brood__fail_with(int code, const char *format, ...)
{
    char text[DETAIL_SIZE]; /* the arguments may be the detail itself */
    int saved = errno;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0) text[0] = '\0';
    memcpy(brood__detail.text, text, sizeof text);
    brood__detail.kind = DETAIL_TEXT;
    errno = saved;
    return code;
}
