#!/bin/bash
# SPDX-License-Identifier: MIT
# What a program writes before brood_init is there once, whatever runs it again: before_init.sh PROGRAM
failed=0
export LC_ALL=C
expected=$(printf '%s\n' buffered end flushed 'task 1' 'task 2' 'task 3' 'task 4' written)
for method in fork spawn forkserver; do
    for to in pipe file; do
        if [ $to = pipe ]; then
            said=$(timeout 30 "$1" $method | sort)
        else
            file=$(mktemp)
            timeout 30 "$1" $method >"$file"
            said=$(sort "$file")
            rm -f "$file"
        fi
        [ "$said" = "$expected" ] || {
            echo "$method into a $to: $(diff <(echo "$expected") <(echo "$said"))"
            failed=1
        }
    done
done
exit $failed
