#!/bin/bash
# SPDX-License-Identifier: MIT
# The shared library exports what src/brood.sym lists, and no more; symbols.sh --update writes the
# list.  A name with brood__ is exported only where a public macro needs it, that is where a public
# header declares it.
. "$(dirname "$0")/files.sh"

lib=$BUILD/src/libbrood.so
[ -f "$lib" ] || {
    echo "$lib: not built"
    exit 1
}
have=$(nm -D --defined-only "$lib" | awk '{ print $NF }' | LC_ALL=C sort -u)
bad=0
for name in $have; do
    case $name in
    brood__*)
        grep -rqw "$name" include || {
            echo "$name: internal, but exported"
            bad=1
        }
        ;;
    brood_*) ;;
    *)
        echo "$name: exported, but not brood_..."
        bad=1
        ;;
    esac
done
if [ "${1:-}" = --update ]; then
    printf '%s\n' "$have" >src/brood.sym
elif ! diff -u src/brood.sym <(printf '%s\n' "$have"); then
    echo "src/brood.sym differs: if that is meant, scripts/checks/symbols.sh --update"
    bad=1
fi
exit $bad
