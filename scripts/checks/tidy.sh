#!/bin/bash
# SPDX-License-Identifier: MIT
# clang-tidy on every source that the build compiles, two at a time.
. "$(dirname "$0")/files.sh"

[ -f "$BUILD/compile_commands.json" ] || {
    echo "$BUILD/compile_commands.json: not there"
    exit 1
}
# Names in the file are absolute or relative to the build directory; each appears once per target.
sed -n 's/.*"file": "\(.*\)".*/\1/p' "$BUILD/compile_commands.json" | sort -u |
    while read -r f; do (cd "$BUILD" && realpath "$f"); done | xargs realpath --relative-to=. | sort -u >"$BUILD/tidy.list"
xargs -r -P 2 -n 2 <"$BUILD/tidy.list" clang-tidy -p "$BUILD" --quiet 2>&1 |
    grep -vE '^[0-9]+ warnings? generated|^Suppressed |^Use -header-filter|^[0-9]+ warnings? treated as errors'
exit "${PIPESTATUS[0]}"
