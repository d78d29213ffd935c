#!/bin/bash
# SPDX-License-Identifier: MIT
# The manual is true to the headers: it is clean to mandoc; each public function and macro is in the NAME of a page, and
# its prototype in the SYNOPSIS; each option has a line; brood_error(3) has each code with its text; cross references
# lead somewhere; the programs in EXAMPLES compile with the house's warnings, run, and print what the page says.
. "$(dirname "$0")/files.sh"

bad=0
say() {
    echo "$1"
    bad=1
}
pages=$(files 'man/*.[1-8]')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v mandoc >/dev/null || {
    echo "no mandoc"
    exit 1
}
mandoc -Tlint -W warning $pages || bad=1

# What the pages name, as name(section).
for page in $pages; do
    scripts/checks/man_names.sh "$page" | sed "s/\$/(${page##*.})/"
done | LC_ALL=C sort >"$work/named"
uniq -d "$work/named" | while read -r name; do echo "$name: in the NAME of two pages"; done >"$work/twice"
[ ! -s "$work/twice" ] || say "$(cat "$work/twice")"
# A page is found by the name of its file too.
for page in $pages; do basename "$page" | sed 's/\(.*\)\.\(.\)$/\1(\2)/'; done >>"$work/named"

# What the headers offer: functions, and macros with arguments that are not for inside.
headers=$(files 'include/brood/*.h' | grep -v export.h)
{
    sed -n 's/^BROOD_API .*[ *]\(brood_[a-z0-9_]*\)(.*/\1/p' $headers
    sed -n 's/^#define \([A-Za-z]*_[A-Za-z0-9_]*\)(.*/\1/p' $headers
    sed -n 's/^#define \(brood_[a-z0-9_]*\) .*/\1/p' $headers
} | grep -vE '__|_(MAP)$' | sort -u >"$work/offered"
while read -r name; do
    grep -qx "$name(3)" "$work/named" || say "$name: in the NAME of no page"
done <"$work/offered"

# Prototypes, each on a line and with one blank between words.
cat $headers | awk '/^BROOD_API/ { on = 1 } on { printf "%s ", $0 } on && /;/ { on = 0; print "" }' |
    sed 's/^BROOD_API //; s/ BROOD_PRINTF([^)]*)//; s/;.*//; s/  */ /g; s/( /(/g' | grep -v __ | sort >"$work/have"
for page in $(files 'man/man3/*.3'); do
    awk '
        function strip(s) { gsub(/"/, "", s); return s }
        /^\.Sh / { on = $2 == "SYNOPSIS" }
        !on { next }
        /^\.Ft / { type = strip(substr($0, 5)); if (type !~ /\*$/) type = type " " }
        /^\.Fo / { name = strip($2); args = "" }
        /^\.Fa / { args = args (args == "" ? "" : ", ") strip(substr($0, 5)) }
        /^\.Fc/ { print type name "(" args ")" }' "$page"
done | sort >"$work/said"
while read -r line; do say "not in a SYNOPSIS: $line"; done < <(comm -23 "$work/have" "$work/said")

# Members of the options: brood_X_options is described in some page as .Fa member.
for member in $(cat $headers | awk '
        /^typedef struct brood_[a-z]*_options/ { on = 1; next }
        /^}/ { on = 0 }
        !on { next }
        { line = $0; if (comment) sub(/.*\*\//, "", line) }
        comment && $0 !~ /\*\// { next }
        { comment = line ~ /\/\*/ && line !~ /\*\// }
        { sub(/\/\*.*/, "", line); if (match(line, /[a-z_]+;/)) print substr(line, RSTART, RLENGTH - 1) }' | sort -u); do
    grep -qE "^\.(It )?Fa (.* )?$member( |\$)" $(files 'man/man3/*.3') || say "option $member: in no page"
done

# Codes and their texts.
printf '%s\n' '#include <brood/error.h>' '#include <stdio.h>' \
    '#define ROW(name, value, text) puts(".It Dv BROOD_" #name "\n" text);' \
    'int main(void) { BROOD_ERROR_MAP(ROW) return 0; }' >"$work/codes.c"
${CC:-cc} -Iinclude -o "$work/codes" "$work/codes.c" && "$work/codes" >"$work/codes.have"
grep -A1 '^\.It Dv BROOD_' man/man3/brood_error.3 | grep -v '^--$' |
    diff "$work/codes.have" - || say "man/man3/brood_error.3: not the codes of error.h"

# Cross references to what is Brood's.
for page in $pages; do
    while read -r name section; do
        grep -qx "$name($section)" "$work/named" || say "$page: .Xr $name $section leads nowhere"
    done < <(sed -n 's/^\.\(It \)\{0,1\}Xr \([Bb][Rr][Oo][Oo][Dd][A-Za-z_]*\) \([0-9]\).*/\2 \3/p' "$page")
done

# Programs: in EXAMPLES, a display with a main; the display after it is what the program prints.
lib=$BUILD/src
[ -f "$lib/libbrood.so" ] || say "$lib/libbrood.so: not built"
flags=$(grep -m 1 '"command": .*examples/03_pool' "$BUILD/compile_commands.json" 2>/dev/null |
    tr ' ' '\n' | grep -E '^-(W|std=|fvis)')
[ -n "$flags" ] || flags='-std=gnu11 -Wall -Wextra'
for page in $(files 'man/man3/*.3' 'man/man7/*.7'); do
    base=$work/$(basename "$page")
    awk -v base="$base" '
        /^\.Sh / { on = $2 == "EXAMPLES"; next }
        !on { next }
        /^\.Bd -literal/ { n++; inside = 1; file = base "." n; printf "" >file; next }
        /^\.Ed/ { inside = 0; close(file); next }
        inside { sub(/^\\&/, ""); gsub(/\\-/, "-"); gsub(/\\e/, "\\"); print >file }' "$page"
    program=
    for file in "$base".[0-9]*; do
        [ -f "$file" ] || continue
        if grep -q '^int main(' "$file"; then
            program=$file
            if ! ${CC:-cc} $flags -Werror -x c -Iinclude -o "$file.run" "$file" -x none -Wl,--build-id \
                -L"$lib" -lbrood -Wl,-rpath,"$(realpath "$lib")"; then
                say "$page: the example doesn't compile"
                program=
            elif ! timeout 60 "$file.run" >"$file.out" </dev/null; then
                say "$page: the example failed"
                program=
            fi
        elif [ -n "$program" ]; then
            diff "$file" "$program.out" || say "$page: the example prints something else"
            program=
        fi
    done
    [ -f "$base.1" ] || say "$page: no example"
done
exit $bad
