#!/bin/sh
# SPDX-License-Identifier: MIT
# The library as libFuzzer wants it, in one archive: library.sh ARCHIVE SOURCE... -- COMPILER OPTION...
set -eu
archive=$1
shift
sources=
while [ "$1" != -- ]; do
    sources="$sources $(realpath "$1")"
    shift
done
shift
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
# shellcheck disable=SC2086 # no name of ours has a space in it
for source in $sources; do
    "$@" -c "$source" -o "$objects/$(basename "$(dirname "$source")")-$(basename "$source").o"
done
rm -f "$archive"
ar rcs "$archive" "$objects"/*.o
