/* SPDX-License-Identifier: MIT */
/*
 * allocations.h - allocations that fail as a test wants it, the linker sending the program's here (--wrap, see
 * tests/unit/meson.build).  For one file of a program, which says when.
 */
#ifndef BROOD_TEST_ALLOCATIONS_H
#define BROOD_TEST_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this one fails; by the test. */
static bool allocation_fails(void);

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *old, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(old, size);
}

#endif
