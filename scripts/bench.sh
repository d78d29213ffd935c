#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks: JSON lines to build/bench.json, a table to the terminal.
set -eu
build=${1:-build-release}

scripts/configure.sh "$build" --buildtype=release -Dbench=true -Dtests=false -Dexamples=true
log=$(ninja -C "$build" 2>&1) || { printf '%s\n' "$log" >&2; exit 1; }

mkdir -p build
: >build/bench.json
printf '%s, %s processors, Linux %s\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
failed=
for area in queue pipe lock sync wake pool work large start idle manager shared scan scale; do
    if "$build/bench/bench_$area" >build/bench.part; then :; else failed="$failed $area"; fi
    cat build/bench.part >>build/bench.json
    awk -f bench/table.awk build/bench.part
done
rm -f build/bench.part
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
