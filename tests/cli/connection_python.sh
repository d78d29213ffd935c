#!/bin/bash
# SPDX-License-Identifier: MIT
# Connections and CPython's multiprocessing.connection talk to each other, both ways, over every kind of address, with
# the right key and with a wrong one: connection_python.sh PEER [PYTHON...]
# PEER is the program connection_peer.  Without a list, all CPythons that are found: one of 3.12 or later has the SHA-256
# handshake, an older one the MD5 one, which has to be allowed; two of each kind are enough.  Says which were there.
here=$(dirname "$0")
peer=$1
shift
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() {
    echo "$1"
    failed=1
}

pythons=("$@")
if [ ${#pythons[@]} -eq 0 ]; then
    for name in python3 python3.{8..20}; do pythons+=("$(command -v "$name")"); done
    for path in "$HOME"/.pyenv/versions/3.{8..20}*/bin/python3; do [ ! -x "$path" ] || pythons+=("$path"); done
fi

# talk LABEL ADDRESS STATUS-OF-LISTENER STATUS-OF-CLIENT: $listener and $client are the two programs without their
# addresses, arrays; a client that is told to expect a refusal may also find the listener gone.
talk() {
    local label=$1 address=$2 wanted=$3 wanted_client=$4 at got got_client
    rm -f "$work/socket"
    coproc LISTEN { exec timeout 20 "${listener[0]}" ${listener[1]:+"${listener[1]}"} listen "$address" "${listener[@]:2}" 2>"$work/listener"; }
    local pid=$LISTEN_PID
    if ! read -r at <&"${LISTEN[0]}"; then
        say "$label at $address: no listener"
        sed 's/^/    /' "$work/listener"
        wait "$pid"
        return
    fi
    timeout 20 "${client[0]}" ${client[1]:+"${client[1]}"} connect "$at" "${client[@]:2}" 2>"$work/client"
    got_client=$?
    wait "$pid"
    got=$?
    if [ "$got,$got_client" != "$wanted,$wanted_client" ]; then
        say "$label at $address: listener ends with $got (not $wanted), client with $got_client (not $wanted_client)"
        sed 's/^/    /' "$work/listener" "$work/client"
    fi
}

tried=
seen=
[ -x "$peer" ] || {
    echo "$peer: no program"
    exit 1
}
for python in "${pythons[@]}"; do
    [ -n "$python" ] || continue
    version=$("$python" -c 'import sys, multiprocessing.connection as c
print("%d.%d.%d" % sys.version_info[:3], "sha256" if hasattr(c, "_create_response") else "md5")' 2>/dev/null) || continue
    [[ " $seen " != *" ${version% *} "* ]] || continue
    seen+=" ${version% *}"
    [ $# -gt 0 ] || [ "$(grep -o "${version#* }" <<<"$tried" | wc -l)" -lt 2 ] || continue
    tried+="${tried:+, }$version"
    digest=${version#* }
    version=${version% *}
    allow=
    [ "$digest" = sha256 ] || allow=md5
    python_peer=("$python" "$here/connection_peer.py")
    for address in "@brood-test-$$-$version" "$work/socket" 127.0.0.1:0; do
        listener=("$peer" '' secret $allow) client=("${python_peer[@]}" secret)
        talk "Python $version calls" "$address" 0 0
        listener=("${python_peer[@]}" secret) client=("$peer" '' secret $allow)
        talk "Python $version is called" "$address" 0 0
        listener=("$peer" '' other $allow) client=("${python_peer[@]}" secret)
        talk "Python $version calls with a wrong key" "$address" 3 3
        listener=("${python_peer[@]}" secret) client=("$peer" '' other $allow)
        talk "Python $version is called with a wrong key" "$address" 3 3
    done
    if [ "$digest" = md5 ]; then
        listener=("$peer" '' secret) client=("${python_peer[@]}" secret)
        talk "Python $version calls, MD5 is not allowed" @brood-test-$$ 3 3
        listener=("${python_peer[@]}" secret may-find-it-gone) client=("$peer" '' secret)
        talk "Python $version is called, MD5 is not allowed" @brood-test-$$ 3 3
    else
        # An MD5 that is allowed is not used where the other end knows better, nor does it hinder.
        listener=("$peer" '' secret md5) client=("${python_peer[@]}" secret)
        talk "Python $version calls, MD5 is allowed" @brood-test-$$ 0 0
    fi
    "$python" "$here/../unit/pipe/vectors.py" | cmp - "$here/../unit/pipe/auth_vectors.h" ||
        say "auth_vectors.h is not what Python $version makes of the rule"
done

if [ -z "$tried" ]; then
    echo "no python3 here: the handshake is tested by its transcripts alone"
    exit 77
fi
case $tried in *sha256*) ;; *) echo "no Python of 3.12 or later here: its handshake is tested by transcripts alone" ;; esac
echo "talked to Python $tried"
exit $failed
