#!/bin/sh
# SPDX-License-Identifier: MIT
# Whether a compiler can build libFuzzer targets with these options: can_fuzz.sh COMPILER OPTION...
program=$(mktemp)
trap 'rm -f "$program"' EXIT
echo 'int LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n) { return b && n > 8 ? 0 : 0; }' |
    "$@" -x c -o "$program" - 2>/dev/null && "$program" -runs=1 >/dev/null 2>&1
