# SPDX-License-Identifier: MIT
# A field of a line of JSON, as bench/harness.c writes them.

function field(name,    at, rest) {
    at = index($0, "\"" name "\": ")
    rest = substr($0, at + length(name) + 4)
    if (substr(rest, 1, 1) == "\"") {
        rest = substr(rest, 2)
        return substr(rest, 1, index(rest, "\"") - 1)
    }
    return rest + 0
}
