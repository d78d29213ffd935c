#!/bin/bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C and as C++, and the umbrella includes them all.
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
exit $bad
