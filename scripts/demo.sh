#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the demonstration: those of the examples below that are built, in order.
set -eu
build=${1:-build}

examples="01_celsius"

for name in $examples; do
    program=$build/examples/$name
    [ -x "$program" ] || continue
    printf '\n== %s\n' "$name"
    "$program"
done
