#!/bin/bash
# SPDX-License-Identifier: MIT
# The first line of each C file is the licence.
. "$(dirname "$0")/files.sh"

bad=0
for f in $(files '*.c' '*.h'); do
    if [ "$(head -n 1 "$f")" != '/* SPDX-License-Identifier: MIT */' ]; then
        echo "$f:1: the first line is not /* SPDX-License-Identifier: MIT */"
        bad=1
    fi
done
exit $bad
