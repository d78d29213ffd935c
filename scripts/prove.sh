#!/bin/bash
# SPDX-License-Identifier: MIT
# What `make prove` runs: the suite `prove` of tests/crash, one program after the other, each
# speaking for itself: prove.sh [BUILD]
cd "$(dirname "$0")/.." || exit 2
. scripts/count.sh
build=${1:-build}

scripts/configure.sh "$build" -Dtests=true -Dexamples=true || exit 1
ninja --quiet -C "$build" || {
    echo "0 passed, 1 failed"
    exit 1
}
if has_suite "$build" prove; then
    run_meson_tests "$build" --suite prove --verbose --num-processes 1
fi
sum_up
