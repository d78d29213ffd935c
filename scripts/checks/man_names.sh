#!/bin/sh
# SPDX-License-Identifier: MIT
# The names in the NAME section of a page in mdoc(7), one per line: man_names.sh PAGE...
exec awk '/^\.Sh / { on = $2 == "NAME" } on && /^\.Nm / { print $2 }' "$@"
