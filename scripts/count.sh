# SPDX-License-Identifier: MIT
# Sourced by the scripts that count: what has passed and failed so far.
passed=0
failed=0

# Run `meson test` on a build with the given selection, and count each test from its log.
# $under, if set, is a command to run it under.
run_meson_tests() {
    local build=$1 log=$1/meson-logs/testlog.json status results
    shift
    rm -f "$log"
    ${under:-} meson test -C "$build" --no-rebuild "$@"
    status=$?
    results=$(sed -n 's/.*"result": "\([A-Z]*\)".*/\1/p' "$log" 2>/dev/null)
    local good bad
    good=$(grep -cE '^(OK|EXPECTEDFAIL)$' <<<"$results")
    bad=$(grep -cE '^(FAIL|TIMEOUT|ERROR|INTERRUPT|UNEXPECTEDPASS)$' <<<"$results")
    # A harness that failed, or that ran nothing, without naming a test is a failure too.
    [ $((good + bad)) -gt 0 ] && { [ $status -eq 0 ] || [ "$bad" -gt 0 ]; } || bad=$((bad + 1))
    passed=$((passed + good))
    failed=$((failed + bad))
}

# Whether a build has tests in the suite.
has_suite() {
    meson introspect --tests "$1" 2>/dev/null | grep -q "\"brood:$2\""
}

# Add what a log's last line says, "N passed, N failed"; a log without it is one failure.
count_last_line() {
    local line
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" 2>/dev/null | tail -n 1)
    if [ -n "$line" ]; then
        set -- $line
        passed=$((passed + $1))
        failed=$((failed + $3))
    else
        failed=$((failed + 1))
    fi
}

# The last line; its status is that of the whole.
sum_up() {
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
}
