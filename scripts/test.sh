#!/bin/bash
# SPDX-License-Identifier: MIT
# What `make test` runs: build, the tests, the checks, and the sum: test.sh [BUILD]
# CHECKS=no in the environment leaves the checks out.
cd "$(dirname "$0")/.." || exit 2
. scripts/count.sh
build=${1:-build}

scripts/configure.sh "$build" -Dtests=true -Dexamples=true || exit 1
ninja --quiet -C "$build" || {
    echo "0 passed, 1 failed"
    exit 1
}

run_meson_tests "$build" --no-suite prove --print-errorlogs
if [ "${CHECKS:-yes}" != no ]; then
    scripts/checks/run.sh "$build" | tee "$build/checks.log" | grep -v ' passed, [0-9]* failed$'
    count_last_line "$build/checks.log"
fi
sum_up
