#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every check of the house on a built tree: run.sh [BUILD] [CHECK...]
# One line per check, "check NAME: ok" or "check NAME: failed" after what it found,
# then "N passed, N failed".  Each check is a program that prints what is wrong.
cd "$(dirname "$0")/../.." || exit 2
build=${1:-build}
[ $# -eq 0 ] || shift
export BUILD=$build

checks=("$@")
[ $# -gt 0 ] || checks=(spdx words includes platform format headers symbols man readme python tidy)

passed=0
failed=0
for check in "${checks[@]}"; do
    if found=$("scripts/checks/$check.sh" 2>&1); then
        echo "check $check: ok"
        passed=$((passed + 1))
    else
        printf '%s\n' "$found"
        echo "check $check: failed"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
