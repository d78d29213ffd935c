#!/bin/bash
# SPDX-License-Identifier: MIT
# Includes point downwards: a file in src/AREA includes private headers of its own and of lower
# layers only, named from src/ ("sync/wait.h") or, in the same folder, by the bare name.
# Public headers are free.
. "$(dirname "$0")/files.sh"

# Areas of one layer don't see each other.
layer() {
    case $1 in
    os) echo 1 ;;
    arena) echo 2 ;;
    sync) echo 3 ;;
    call) echo 4 ;;
    process) echo 5 ;;
    queue) echo 6 ;;
    pipe) echo 7 ;;
    pool | shared) echo 8 ;;
    manager | wait) echo 9 ;;
    tools) echo 10 ;;
    esac
}

bad=0
say() {
    echo "$1:$2: $3"
    bad=1
}

for f in $(files 'src/*.c' 'src/*.h' 'tools/*.c' 'tools/*.h'); do
    case $f in
    tools/*) area=tools ;;
    src/*/*)
        area=${f#src/}
        area=${area%%/*}
        ;;
    *) continue ;;
    esac
    own=$(layer "$area")
    if [ -z "$own" ]; then
        say "$f" 1 "src/$area is not a layer; scripts/checks/includes.sh has the list"
        continue
    fi
    while IFS=: read -r line text; do
        name=${text#*\"}
        name=${name%%\"*}
        here=$(realpath -m --relative-to=. "$(dirname "$f")/$name")
        if [ -f "$here" ]; then path=$here; else path=src/$name; fi
        case $path in
        include/*) continue ;;
        tools/*) other=tools ;;
        src/*/*)
            other=${path#src/}
            other=${other%%/*}
            ;;
        *) continue ;;
        esac
        theirs=$(layer "$other")
        if [ -z "$theirs" ]; then
            say "$f" "$line" "\"$name\" is in no layer"
        elif [ "$other" != "$area" ] && [ "$theirs" -ge "$own" ]; then
            say "$f" "$line" "$area may not include \"$name\" of $other"
        fi
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$f")
done
exit $bad
