#!/bin/bash
# SPDX-License-Identifier: MIT
# Only src/os knows which operating system this is.
. "$(dirname "$0")/files.sh"

found=$(files 'src/*.c' 'src/*.h' 'include/*.h' 'tools/*.c' | grep -v '^src/os/' | tr '\n' '\0' |
    xargs -0 -r grep -nE '^[[:space:]]*#[[:space:]]*(el)?if.*\b(__linux__|__linux|linux|__APPLE__|__FreeBSD__|_WIN32)\b')
[ -z "$found" ] || {
    echo "$found"
    exit 1
}
