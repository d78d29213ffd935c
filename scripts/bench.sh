#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks: JSON lines to build/bench.json, a table to the terminal.
set -eu
build=${1:-build-release}

scripts/configure.sh "$build" --buildtype=release -Dbench=true -Dtests=false -Dexamples=false
ninja -C "$build"

mkdir -p build
: >build/bench.json
for program in "$build"/bench/bench_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    "$program" >>build/bench.json
done

# One row per line: area, what, who, value, unit.
field() { printf '%s\n' "$line" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; }
while IFS= read -r line; do
    printf '%-10s %-32s %-12s %14s %s\n' \
        "$(field area)" "$(field what)" "$(field who)" "$(field value)" "$(field unit)"
done <build/bench.json
