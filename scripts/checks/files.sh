# SPDX-License-Identifier: MIT
# Sourced by the checks: files PATTERN... prints the tree's own files, one per line.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-build}

files() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done
    else
        for pattern in "$@"; do
            find . \( -path './build*' -o -path ./.git \) -prune -o -type f -path "./$pattern" -print
        done | sed 's|^\./||'
    fi
}
