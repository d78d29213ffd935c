#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a libFuzzer target on a fixed number of inputs, always the same: libfuzzer.sh TARGET COUNT CORPUS-DIRECTORY
# Its own status for a find, 77, means "skipped" to Meson.
# What it finds on its way is thrown away; an input that breaks the target stays in the working directory.
set -eu
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
"$1" -runs="$2" -seed=1 -max_len=2048 -timeout=10 -rss_limit_mb=1024 -error_exitcode=1 -timeout_exitcode=1 \
    -print_final_stats=1 "$found" "$3"
