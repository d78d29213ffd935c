#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the demonstration: a pool, and a scan of this machine's own ports, which has to find
# exactly those that listen: demo.sh [BUILD]
set -eu
export LC_ALL=C
build=${1:-build}
portscan=$build/examples/portscan/portscan

printf '== A pool of four workers: examples/03_pool.c\n'
"$build/examples/03_pool"

# Ports that listen on 127.0.0.1 or on all addresses, as the kernel lists them.  An IPv6 socket on
# all addresses takes IPv4 connections too, unless it has said that it doesn't, which isn't listed.
listening() {
    awk '$4 == "0A" && $2 ~ /^(0100007F|7F000001|00000000):/ { print substr($2, 10) }' /proc/net/tcp | decimal
}
perhaps() {
    awk '$4 == "0A" && $2 ~ /^0+:/ { print substr($2, 34) }' /proc/net/tcp6 2>/dev/null | decimal
}
decimal() {
    while read -r hex; do printf '%d\n' "0x$hex"; done | sort -u
}
# Lines of the first file that aren't in the second.
without() {
    comm -23 "$1" "$2"
}

tmp=$(mktemp -d)
trap 'exec 3>&-; wait; rm -r "$tmp"' EXIT
mkfifo "$tmp/hold"
: >"$tmp/ports"
"$build/examples/portscan/listen" 127.0.0.1 <"$tmp/hold" >"$tmp/ports" &
listener=$!
exec 3>"$tmp/hold" # while this is open, it listens
while [ "$(wc -l <"$tmp/ports")" -lt 3 ]; do
    kill -0 $listener
    sleep 0.05
done
printf '\n== A scan of ports 1 to 65535 of 127.0.0.1, where %s were opened for it: examples/portscan\n' \
    "$(paste -sd ' ' "$tmp/ports")"

# What listens may change while the scan goes on; then the scan is repeated.
for attempt in 1 2 3; do
    listening >"$tmp/before"
    "$portscan" -p 1-65535 127.0.0.1 >"$tmp/output" 2>"$tmp/summary"
    listening >"$tmp/after"
    cmp -s "$tmp/before" "$tmp/after" && break
done
cat "$tmp/output" "$tmp/summary"

sed -n 's/^Port \([0-9]*\) is open$/\1/p' "$tmp/output" | sort >"$tmp/found"
comm -12 "$tmp/before" "$tmp/after" >"$tmp/must"
{ cat "$tmp/before" "$tmp/after"; perhaps; } | sort -u >"$tmp/may"
sort "$tmp/ports" >"$tmp/opened"
missed=$({ without "$tmp/must" "$tmp/found"; without "$tmp/opened" "$tmp/found"; } | sort -un | paste -sd ' ')
wrong=$(without "$tmp/found" "$tmp/may" | paste -sd ' ')
if [ -n "$missed$wrong" ]; then
    echo "the scan is wrong: missed: ${missed:-none}; found but not listening: ${wrong:-none}" >&2
    exit 1
fi
echo "found exactly the $(wc -l <"$tmp/found") ports that listen"
