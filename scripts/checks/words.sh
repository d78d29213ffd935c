#!/bin/bash
# SPDX-License-Identifier: MIT
# No file tells of the machine or the way it was written on: it means nothing to a reader.
# The brackets keep this file from finding itself.
. "$(dirname "$0")/files.sh"

! files '*' | tr '\n' '\0' | xargs -0 grep -nIiE \
    '/wor[k]/|/share[d]/(DESIGN|STYLE)|/hom[e]/|/roo[t]/|sub-?[a]gent|coding [a]gent|\bAI [a]gent|language [m]odel|(DESIGN|STYLE)[.]m[d]|issue #[0-9]'
