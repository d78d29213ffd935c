#!/bin/bash
# SPDX-License-Identifier: MIT
# The tree is formatted; `make format` does it.
. "$(dirname "$0")/files.sh"

bad=0
for f in $(files '*.c' '*.h'); do
    if ! clang-format --dry-run --Werror "$f" >/dev/null 2>&1; then
        echo "$f: not as clang-format has it"
        clang-format "$f" | diff -u "$f" - | head -n 12 | tail -n +3
        bad=1
    fi
done
exit $bad
