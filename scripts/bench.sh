#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks: JSON lines to build/bench.json, a table to the terminal, and, if there is a gnuplot, a picture of
# each area to doc/bench.
set -eu
build=${1:-build-release}

scripts/configure.sh "$build" --buildtype=release -Dbench=true -Dtests=false -Dexamples=true
log=$(ninja -C "$build" 2>&1) || { printf '%s\n' "$log" >&2; exit 1; }

mkdir -p build doc/bench
: >build/bench.json
machine=$(printf '%s, %s processors, Linux %s' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)")
versions=$(scripts/versions.sh)
printf '%s\n%s\n' "$machine" "$versions"

draw() {
    command -v gnuplot >/dev/null 2>&1 || return 0
    awk -f bench/json.awk -f bench/picture.awk -v machine="$machine" -v file="doc/bench/$1.svg" build/bench.part |
        gnuplot
}

failed=
for area in queue pipe lock sync wake pool work large start idle manager shared scan scale; do
    if "$build/bench/bench_$area" >build/bench.part; then :; else failed="$failed $area"; fi
    cat build/bench.part >>build/bench.json
    awk -f bench/json.awk -f bench/table.awk build/bench.part
    draw "$area"
done
rm -f build/bench.part
printf '%s\n%s\n' "$machine" "$versions" >doc/bench/machine.txt
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
