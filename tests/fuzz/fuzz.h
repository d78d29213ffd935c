/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - one function that any bytes must not break: libFuzzer calls it where clang has that, driver.c everywhere.
 */
#ifndef BROOD_FUZZ_H
#define BROOD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Where a target has it, called first of all in main. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* Returns 0, or aborts if a property does not hold. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
