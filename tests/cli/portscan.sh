#!/bin/bash
# SPDX-License-Identifier: MIT
# portscan as a user meets it: what it refuses, how it ends, and that it finds what listens on the
# loopback interface and no socket that is connected to itself: portscan.sh DIRECTORY-OF-PROGRAMS
portscan=$1/portscan/portscan
listen=$1/portscan/listen
failed=0
export LC_ALL=C

say() {
    echo "$*"
    failed=1
}

# ends STATUS ERROR ARGUMENT...: how it exits, and an extended regular expression that stderr has.
ends() {
    local status=$1 text=$2 errors got
    shift 2
    errors=$(timeout 60 "$portscan" "$@" 2>&1 >/dev/null)
    got=$?
    [ $got -eq "$status" ] || say "portscan $*: exit status $got, not $status"
    grep -qE -- "$text" <<<"$errors" || say "portscan $*: says: $errors"
}

host=127.0.0.1
ends 1 'which host'
ends 1 'one host' $host $host
ends 1 "name is empty" ''
ends 1 'unrecognized' --nonsense $host
for list in 0 65536 99999999999999999999 80-0 1-65536 0-80; do
    ends 1 "from 1 to 65535" -p $list $host
done
for list in '' , 80, 80- -80 a '80 ' ' 80' 80,,81 22,a; do
    ends 1 "a port is missing|only digits" -p "$list" $host
done
ends 1 'only digits' -p 80-90-100 $host
ends 1 'only digits' -p 80:90 $host
ends 1 'ends before it begins' -p 100-80 $host
for jobs in 0 4097 -1 x 4x '' 1.5 99999999999999999999; do
    ends 1 'number from 1 to 4096' -j "$jobs" $host
done
for window in 0 1025 x; do
    ends 1 'number from 1 to 1024' -w $window $host
done
for timeout in 0 0s x '' 1m 1.1.1s -1s 1e3 nan inf 0x1 3601s 0.5ms . s '1 s' 1sx; do
    ends 1 'time from 1ms to 3600s' -t "$timeout" $host
done
ends 1 'not fork, spawn, forkserver or thread' --start-method threads $host
ends 1 'starts no processes' --sequential -j 2 $host
ends 2 . no-such-host.invalid
ends 2 . 127.0.0.256
ends 2 . -6 127.0.0.1
ends 0 '1 ports' -p 1 -t 0.5s $host
ends 0 '3 ports' -p 1,1-3,2 -t 200ms $host
ends 0 '1 ports' -p 1 -t 2 localhost
ends 0 '21 ports' $host
"$portscan" -p 1 $host >/dev/full 2>/dev/null
[ $? -eq 3 ] || say "portscan to a full device: doesn't exit with 3"
"$portscan" --help | grep -q '3  the scan is incomplete' || say "portscan --help: no exit status"
"$portscan" --version | grep -q '^portscan' || say "portscan --version"

# What listens on an address, by the kernel's list: ports_of 0100007F (as the list writes it).
ports_of() { awk -v at="$1" '$4 == "0A" && $2 ~ "^(" at "|0+):" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    while read -r hex; do echo $((16#$hex)); done | sort -u; }

# scans ADDRESS LIST-NAME ARGUMENT...: what it finds listens, and what listens throughout is found.
scans() {
    local address=$1 list=$2 before after output found missed wrong
    shift 2
    before=$(ports_of "$list")
    output=$(timeout 60 "$portscan" -p 1-65535 "$@" "$address" 2>/dev/null)
    [ $? -eq 0 ] || say "portscan $* $address: fails"
    after=$(ports_of "$list")
    found=$(sed -n 's/^Port \(.*\) is open$/\1/p' <<<"$output")
    [ "$found" = "$(sort -n <<<"$found")" ] || say "portscan $*: not in the order of ports"
    tail -n 1 <<<"$output" | grep -qE '^Completed scan in [0-9.e+-]+ seconds$' || say "portscan $*: no last line"
    missed=$(comm -12 <(echo "$before") <(echo "$after") | comm -23 - <(sort <<<"$found"))
    wrong=$(comm -13 <(sort -u <<<"$before"$'\n'"$after") <(sort <<<"$found"))
    # A socket of IPv6 on all addresses may or may not take IPv4; only those of our own have to be found.
    missed=$(comm -12 <(echo "$missed") <(sort <<<"$opened"))
    [ -z "$missed$wrong" ] || say "portscan $* $address: missed" $missed "and found" $wrong
}

# A full scan meets its own ports once or twice: the local ones are a part of those scanned.
coproc listening { exec "$listen" $host 2>&1; }
opened=
for _ in 1 2 3; do
    read -r port <&"${listening[0]}"
    opened+=${opened:+$'\n'}$port
done
for method in fork spawn forkserver; do
    scans $host 0100007F -j 2 --start-method $method
done
scans $host 0100007F --sequential
scans $host 0100007F -j 8 -w 1024
scans localhost 0100007F -4 -w 3
(
    ulimit -n 128 # of which a few are left to each process
    scans $host 0100007F -j 2 -w 1024
    ulimit -n 24
    scans $host 0100007F --sequential
    exit $failed
) || failed=1
output=$("$portscan" -v -p "$(head -n 1 <<<"$opened"),1" -j 2 $host 2>&1 >/dev/null)
[[ $output == '2 ports: 1 open, '* ]] || say "portscan of two ports: $output"

if grep -q . /proc/net/if_inet6 2>/dev/null; then
    writing=${listening[1]}
    exec {writing}>&-
    wait "$listening_PID"
    coproc listening6 { exec "$listen" ::1 2>/dev/null; }
    if read -r port <&"${listening6[0]}"; then
        "$portscan" -p 1-65535 ::1 2>/dev/null | grep -qx "Port $port is open" || say "portscan ::1: misses port $port"
    fi
fi

exit $failed
