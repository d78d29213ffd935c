#!/bin/bash
# SPDX-License-Identifier: MIT
# The proof of the first promise: all scenes, then the mutants that they must catch.
# prove_kill.sh KILL SOURCE_ROOT LIBRARY SCENES   (a program, and for the mutants: see mutants.sh)
# Of a long path 150 instructions are drawn, evenly; with ALL=yes in the environment each one is played.
# Its last line is "kill: N points, F failures, C of M mutants caught".
here=$(dirname "$0")
kill=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
most=(--sample 150)
[ "${ALL:-no}" = no ] || most=()
"$kill" "${most[@]}" | tee "$log"
killed=${PIPESTATUS[0]}
points=$(sed -n 's/^kill: \([0-9]* points, [0-9]* failures\)$/\1/p' "$log")
"$here/mutants.sh" "$@" | tee "$log"
caught=${PIPESTATUS[0]}
read -r tried lived < <(sed -n 's/^mutants: \([0-9]*\) points, \([0-9]*\) failures$/\1 \2/p' "$log")
echo "kill: ${points:-0 points, 1 failures}, $((${tried:-0} - ${lived:-0})) of ${tried:-0} mutants caught"
[ "$killed" -eq 0 ] && [ "$caught" -eq 0 ]
