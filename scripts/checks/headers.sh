#!/bin/bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C and as C++, and the umbrella includes them all; some misuse does not.
. "$(dirname "$0")/files.sh"

cxx=$(command -v g++ || command -v clang++) || {
    echo "no C++ compiler"
    exit 1
}
bad=0
for f in $(files 'include/*.h'); do
    name=${f#include/}
    for try in "${CC:-cc} -x c -std=c11" "$cxx -x c++ -std=c++11"; do
        if ! echo "#include <$name>" | $try -Wall -Wextra -Werror -Iinclude -fsyntax-only -; then
            echo "$f: doesn't compile alone with $try"
            bad=1
        fi
    done
    case $name in
    brood/*)
        grep -q "^#include <$name>" include/brood.h || grep -rqs "^#include <$name>" include/brood/ || {
            echo "$f: brood.h doesn't include it"
            bad=1
        }
        ;;
    esac
done

# What would send another size than is meant does not compile.
sends() {
    echo "#include <brood.h>
int main(void) { double x = 0, a[3] = {x}; brood_queue q = {0}; return brood_queue_put_value(q, $1, 0) + !a; }" |
        ${CC:-cc} -x c -std=gnu11 -Iinclude -fsyntax-only - 2>/dev/null
}
for value in '&x' '&a' '&a[1]' '&(int){3}'; do
    sends "$value" || { echo "brood_queue_put_value: $value doesn't compile"; bad=1; }
done
for value in a '(int[]){1, 2}' '"text"' '(void *)a' x; do
    ! sends "$value" || { echo "brood_queue_put_value: $value compiles"; bad=1; }
done
exit $bad
