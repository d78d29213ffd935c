#!/bin/bash
# SPDX-License-Identifier: MIT
# The README is true: its programs compile with the house's warnings, run, and print what they should; its pieces of
# programs compile among declarations of what they name; each brood_... that it names is one, and each file is there.
. "$(dirname "$0")/files.sh"

bad=0
say() {
    echo "$1"
    bad=1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lib=$BUILD/src
flags='-std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-unused-but-set-variable'

awk -v base="$work/piece" '
    /^```c$/ { file = sprintf("%s.%02d.c", base, ++n); inside = 1; printf "" >file; next }
    /^```/ { inside = 0; next }
    inside { print >file }' README.md

# What each program prints, in their order; process ids and the rest of a crash are cut off.
printed=(
    "110F is 43.3333C
120F is 48.8889C
130F is 54.4444C
140F is 60C"
    "385"
    "the process that did the work died: the worker (pid P) was ended by signal 11 (Segmentation fault)
decode: run 2 in pool-N (pid P) was ended by signal 11 (Segmentation fault) at address 0x0"
)
mask() {
    sed -E 's/\(pid [0-9]+\)/(pid P)/; s/pool-[0-9]+/pool-N/; s/ at address 0x0;.*/ at address 0x0/' | grep -v '^  #\|^$'
}

programs=0
for piece in "$work"/piece.*.c; do
    if grep -q '^int main(' "$piece"; then
        sed -i 's/\.deadline = 1000\b/.deadline = 50000/' "$piece" # the machine may be busy
        if ! ${CC:-cc} $flags -Werror -Iinclude -o "$piece.run" "$piece" -Wl,--build-id -L"$lib" -lbrood \
            -Wl,-rpath,"$(realpath "$lib")"; then
            say "README.md: program $((programs + 1)) doesn't compile"
        elif ! timeout 60 "$piece.run" </dev/null 2>/dev/null | mask | diff <(echo "${printed[programs]}") -; then
            say "README.md: program $((programs + 1)) prints something else"
        fi
        programs=$((programs + 1))
        continue
    fi
    {
        echo '#include <brood.h>
#include <stdio.h>
enum { N = 10 };
extern int in[N], out[N];
extern brood_pool pool;
BROOD_TASK_DECLARE(to_celsius, double, double, f);
BROOD_TASK_DECLARE(decode, int, int, n);
BROOD_TASK_DECLARE(load_tables, int, void);
void piece(void);'
        if grep -q '^BROOD_TASK' "$piece"; then cat "$piece"; else echo 'void piece(void) {' && cat "$piece" && echo '}'; fi
    } | ${CC:-cc} $flags -Werror -Wno-unused -x c -Iinclude -fsyntax-only - || say "README.md: a piece doesn't compile: $(cat "$piece")"
done
[ $programs -eq ${#printed[@]} ] || say "README.md: $programs programs, and output of ${#printed[@]}"

# What it names.
{
    cat $(files 'include/*.h')
    for page in $(files 'man/man[37]/*'); do scripts/checks/man_names.sh "$page"; done
} >"$work/offered"
while read -r name; do
    grep -qw -- "$name" "$work/offered" || say "README.md: $name is nowhere"
done < <(grep -o '\bbrood_[a-z0-9_]*[a-z0-9]\b' README.md | sort -u)
while read -r path; do
    [ -e "$path" ] || say "README.md: $path is not there"
done < <(grep -oE '`(examples|tests|man|bench|include)/[^`]*`|\]\([A-Za-z/]+\.md\)' README.md | tr -d '`]()')
exit $bad
