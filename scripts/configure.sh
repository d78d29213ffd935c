#!/bin/sh
# SPDX-License-Identifier: MIT
# configure.sh [--first] DIR [-Doption=value...]
# Configures DIR, or, if it is configured already, only changes the options that
# differ; with --first, options count for a new directory only.
set -eu

first=no
if [ "$1" = --first ]; then
    first=yes
    shift
fi
dir=$1
shift

if [ ! -f "$dir/build.ninja" ]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! meson setup "$dir" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    exit 0
fi
[ $first = no ] || exit 0
[ $# -gt 0 ] || exit 0

# What was asked for last is kept beside the build, so that the usual case costs nothing.
asked=$dir/.configured
if [ "$(cat "$asked" 2>/dev/null)" != "$*" ]; then
    meson configure "$dir" "$@" >/dev/null
    echo "$*" >"$asked"
fi
