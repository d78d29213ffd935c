#!/bin/bash
# SPDX-License-Identifier: MIT
# portscan where everything that listens, drops or is late is known, in network namespaces of its own:
# portscan_netns.sh DIRECTORY-OF-PROGRAMS SLOW_LINK
# PORTSCAN_RUNS in the environment says how often all ports are scanned in each way (2).  Needs root.
portscan=$1/portscan/portscan
listen=$1/portscan/listen
slow_link=$2
runs=${PORTSCAN_RUNS:-2}
failed=0
export LC_ALL=C

near=brood-$$-near
far=brood-$$-far
skip() {
    echo "skipped: $1"
    exit 77
}
command -v ip >/dev/null || skip "no ip(8)"
ip netns add $near 2>/dev/null || skip "ip netns add isn't permitted"
tmp=$(mktemp -d)
helpers=()
clean() {
    # Each helper ends when the writing end of its standard input is closed.
    exec 7>&- 8>&-
    [ ${#helpers[@]} -eq 0 ] || wait "${helpers[@]}"
    ip netns del $near
    ip netns del $far 2>/dev/null
    rm -r "$tmp"
}
trap clean EXIT
ip netns add $far || skip "no second namespace"
mkfifo "$tmp/hold7" "$tmp/hold8"
exec 7<>"$tmp/hold7" 8<>"$tmp/hold8"

say() {
    echo "$1"
    failed=1
}
in_near() { ip netns exec $near "$@"; }
in_far() { ip netns exec $far "$@"; }

# helper FIFO LINES PROGRAM...: start it, and wait for its lines.
helper() {
    local fifo=$1 lines=$2 out
    shift 2
    out=$(mktemp -p "$tmp")
    "$@" <"$fifo" >"$out" 7>&- 8>&- &
    helpers+=($!)
    until [ "$(wc -l <"$out")" -ge "$lines" ]; do
        kill -0 $! 2>/dev/null || return 1
        sleep 0.02
    done
}

# finds EXPECTED-OPEN-PORTS ARGUMENT...
finds() {
    local expected=$1 output found
    shift
    output=$(in_near timeout 120 "$portscan" "$@" 2>&1) || say "portscan $*: fails: $output"
    found=$(sed -n 's/^Port \(.*\) is open$/\1/p' <<<"$output" | paste -sd ' ')
    [ "$found" = "$expected" ] || say "portscan $*: found '$found' instead of '$expected'"
}

# ---- All ports of an address, on which some listen and others on another address.
in_near ip link set lo up
in_near ip address add 10.77.0.1/32 dev lo
in_near ip address add 10.77.0.2/32 dev lo
helper "$tmp/hold7" 6 in_near "$listen" 10.77.0.1 1 22 8080 33333 45678 65535 || exit 1
helper "$tmp/hold7" 3 in_near "$listen" 10.77.0.2 23 8081 45679 || exit 1
for _ in $(seq "$runs"); do
    finds '1 22 8080 33333 45678 65535' -p 1-65535 --sequential 10.77.0.1
    finds '1 22 8080 33333 45678 65535' -p 1-65535 -j 4 10.77.0.1
done
echo "all ports: right in $runs of $runs runs of each way, unless said above"

# With as few local ports as this, a connect to one of them gets often the very same as its own.
in_near sysctl -qw net.ipv4.ip_local_port_range='40000 40015'
for _ in 1 2 3 4 5 6 7 8 9 10; do
    finds '' -p 40000-40015 --sequential 10.77.0.1
    finds '' -p 39000-41000 -j 4 10.77.0.1
done
in_near sysctl -qw net.ipv4.ip_local_port_range='32768 60999'

# ---- A host behind a slow wire that drops some ports and prohibits others.
if ! helper "$tmp/hold8" 1 in_near "$slow_link" 25 slow0 /run/netns/$far slow1; then
    echo "no tunnel devices: the rest is left out"
    exit $failed
fi
in_near ip address add 10.78.0.1/24 dev slow0
in_near ip link set slow0 up
in_far ip link set lo up
in_far ip address add 10.78.0.2/24 dev slow1
in_far ip link set slow1 up
# Rules are asked before the table of local addresses once that is moved behind them; only a router tells the sender.
in_far sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
in_far ip rule add pref 100 lookup local
in_far ip rule del pref 0
in_far ip rule add pref 10 ipproto tcp dport 3000-3015 blackhole
in_far ip rule add pref 11 ipproto tcp dport 3016-3023 prohibit
helper "$tmp/hold7" 3 in_far "$listen" 10.78.0.2 2999 3005 3024 || exit 1

for way in --sequential '-j 8'; do
    # shellcheck disable=SC2086
    output=$(in_near "$portscan" -v -p 2990-3033 $way 10.78.0.2 2>/dev/null)
    expected=$(for port in $(seq 2990 3033); do
        case $port in
        2999 | 3024) echo "Port $port is open" ;;
        300? | 301? | 302[0-3]) echo "Port $port is filtered" ;;
        *) echo "Port $port is closed" ;;
        esac
    done)
    [ "$(grep '^Port' <<<"$output")" = "$expected" ] ||
        say "portscan $way: wrong: $(diff <(echo "$expected") <(echo "$output"))"
    # An answer that comes after the time given is none: all are filtered.  But a scanner that does not get a processor
    # for as long as the wire is slow finds answers when it looks: then it is asked again.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2086
        late=$(in_near "$portscan" -t 10ms -p 2990-3033 $way 10.78.0.2 2>&1 >/dev/null)
        [ "$late" != "44 ports: 0 open, 0 closed, 44 filtered" ] || break
    done
    [ "$late" = "44 ports: 0 open, 0 closed, 44 filtered" ] || say "portscan -t 10ms $way: $late"
done

# ---- A worker that is killed costs nothing but time; workers that are killed always leave the scan incomplete.
workers() {
    for pid in $(ip netns pids $near); do
        [ "$(cat /proc/"$pid"/comm 2>/dev/null)" = pool ] && echo "$pid"
    done
}
in_near "$portscan" -p 2990-3033,10001-10500 -w 10 -j 2 10.78.0.2 >"$tmp/output" 2>&1 &
scan=$!
killed=0
for _ in 1 2 3; do
    sleep 0.3
    worker=$(workers | head -n 1)
    [ -n "$worker" ] && kill -KILL "$worker" && killed=$((killed + 1))
done
wait $scan || say "portscan fails when a worker is killed: $(cat "$tmp/output")"
[ $killed -gt 0 ] || say "no worker was there to be killed"
[ "$(grep '^Port' "$tmp/output" | paste -sd ,)" = 'Port 2999 is open,Port 3024 is open' ] ||
    say "portscan with a worker killed: $(cat "$tmp/output")"

in_near timeout 60 "$portscan" -p 10001-10100 -w 1 -j 1 10.78.0.2 >"$tmp/output" 2>&1 &
scan=$!
while kill -0 $scan 2>/dev/null; do
    for worker in $(workers); do kill -KILL "$worker" 2>/dev/null; done
    sleep 0.02
done
wait $scan
status=$?
[ $status -eq 3 ] && grep -q 'not scanned' "$tmp/output" ||
    say "portscan without workers that live: exit status $status: $(cat "$tmp/output")"

# ---- Eight workers need an eighth of the time where waiting is all there is.
seconds_of() { in_near "$portscan" -p 10001-11600 -w 20 "$@" 10.78.0.2 2>/dev/null | sed -n 's/^Completed scan in \(.*\) seconds$/\1/p'; }
one=$(seconds_of --sequential)
eight=$(seconds_of -j 8)
echo "1600 ports, 50 ms away: sequentially $one s, by 8 workers $eight s, which is $(awk "BEGIN { printf \"%.2f\", $eight / $one }") of it"
awk "BEGIN { exit !($eight < 0.7 * $one) }" || say "eight workers are no faster than one"

exit $failed
