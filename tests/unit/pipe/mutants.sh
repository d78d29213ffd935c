#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that the tests of connections see what they are there for: one source at a time is changed so that a rule is
# broken, and one of the tests named for it must fail: mutants.sh SOURCE_ROOT LIBRARY [NAME...]
# Prints "connection mutants: N points, F failures": N mutants tried, F that lived or could not be made.
set -u
root=$1 library=$2
shift 2
only=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=0
failures=0
build=("${CC:-cc}" -std=gnu11 -O1 -g -w -D_GNU_SOURCE -ftls-model=initial-exec -fvisibility=hidden -pthread
    -I"$root/include" -I"$root/src" -I"$root/src/os/linux" -I"$root/tests/support" -I"$root/tests/unit")
check=$(pkg-config --libs check)

lives() {
    echo "mutant $1: $2"
    failures=$((failures + 1))
}

# mutant NAME FILE SED-SCRIPT TEST...: made by the script from src/FILE, it must fail in one of the tests.
mutant() {
    local name=$1 file=$2 script=$3 test
    shift 3
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $name "* ]] || return
    tried=$((tried + 1))
    sed -E "$script" "$root/src/$file" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/$file"; then
        lives "$name" "the script no longer changes src/$file"
        return
    fi
    for test in "$@"; do
        # An object that defines all that a member of the library does is linked in its place.
        [ -f "$work/$test.o" ] || "${build[@]}" -c "$root/tests/unit/pipe/$test.c" -o "$work/$test.o"
        [ -f "$work/support.o" ] || "${build[@]}" -c "$root/tests/support/brood_test.c" -o "$work/support.o"
        # shellcheck disable=SC2086 # words of pkg-config
        if ! "${build[@]}" -o "$work/run" "$work/mutant.c" "$work/$test.o" "$work/support.o" "$library" \
            -Wl,--build-id -lcbor -lnettle $check 2>"$work/errors"; then
            lives "$name" "does not build"
            head -5 "$work/errors"
            return
        fi
        if ! TMPDIR=$work CK_DEFAULT_TIMEOUT=8 timeout 120 "$work/run" >"$work/out" 2>&1; then
            echo "mutant $name: caught by $test, $(grep -m 1 -E ':[FE]:' "$work/out" | cut -d : -f 5)"
            return
        fi
    done
    lives "$name" "LIVES through $*"
}

mutant sha-unchecked pipe/auth.c 's/return memeql_sec\(answer \+ LENGTH\(SHA256\).*/return true;/' auth
mutant md5-unasked pipe/auth.c 's/if \(!key->allow_md5\) \{/if (0) {/' auth strangers
mutant md5-answer-unasked pipe/auth.c 's/if \(md5 \&\& !key->allow_md5\)/if (0)/' auth
mutant prefix-not-signed pipe/auth.c 's/hmac_sha256\(key, message, AUTH_MESSAGE, digest\)/hmac_sha256(key, message + 8, AUTH_MESSAGE - 8, digest)/' auth
mutant welcome-any pipe/auth.c 's/if \(size == LENGTH\(WELCOME\) \&\& .*return 0;/return 0;/' auth
mutant challenge-constant pipe/auth.c 's/int error = brood__os_random\(message.*/int error = 0;/' auth
mutant one-sided pipe/auth.c 's/return a->role == AUTH_LISTENER \? 1 : brood__auth_challenge\(a->message, out\)/a->state = AUTH_DONE; return 1/' auth cut
mutant limit-unchecked pipe/frame.c 's/if \(r->size > r->limit\).*//' frame
mutant negative-unchecked pipe/frame.c 's/if \(r->head_got == SHORT_HEAD \&\& r->size > FRAME_SHORT_MOST\).*//' frame
mutant promise-believed pipe/frame.c 's/size_t room = r->room < FIRST_ROOM.*/size_t room = r->size;/' frame
mutant partial-forgotten pipe/message.c 's/c->in.got = got;//' messages
mutant cut-allowed pipe/message.c 's/if \(size == c->out_size\) return 0;/return 0;/' messages
mutant end-anywhere pipe/message.c 's/if \(got == 0 \&\& brood__frame_reader_between\(\&c->in\)\)/if (got == 0)/' messages cut
mutant fds-unchecked pipe/rights.c 's/if \(\*count > 0 \&\& \*count % 256 == byte\) return 0;/return 0;/' connection
mutant fds-inside pipe/rights.c 's/if \(!brood__frame_reader_between.*//' connection
mutant path-by-anyone pipe/listener.c 's/ \&\& l->maker == getpid\(\)//' listener
mutant path-any pipe/listener.c 's/if \(error != -ECONNREFUSED\) return error;//; s/if \(error == 0 \|\| error == -EAGAIN\) return 0;//' listener
mutant path-kept pipe/listener.c 's/brood__os_socket_file_remove\(path, \&l->file\);/;/' listener
mutant file-for-socket os/linux/address.c 's/ \|\| !S_ISSOCK\(found.st_mode\)//' listener
mutant file-unlooked os/linux/address.c 's/ \|\| found.device != file->device \|\| found.inode != file->inode//; s/!brood__os_socket_file\(path, \&found\)/0/' listener
mutant silent-forever pipe/listener.c 's/if \(brood__os_remaining\(caller->deadline\) == 0\).*//' strangers
mutant silent-in-line pipe/listener.c 's/if \(place->shake.fd >= 0\) return turn_away.*/if (place->shake.fd >= 0) return 0;/' strangers
mutant poller-not-left pipe/listener.c 's/if \(caller->shake.fd >= 0\) brood__os_poller_remove.*//' strangers
mutant stale-handle pipe/local.c 's/\(uint32_t\)id, type, LIVE/(uint32_t)(word >> 32), type, LIVE/' connection
mutant freed-under-use pipe/local.c 's/ \|\| PINS\(word\) != 0\) return NULL/) return NULL/' connection
mutant detach-half pipe/connection.c 's/atomic_load\(\&c->out_missing\) == 0 \&\& brood__frame_reader_between\(\&c->in\) \&\&//' messages connection
mutant threads-mixed pipe/connection.c 's/if \(pthread_mutex_trylock\(mutex\) == 0\) return 0;/return 0;/' connection
mutant handshake-endless pipe/handshake.c 's/\&h->in, AUTH_MOST/\&h->in, UINT64_MAX/' strangers

echo "connection mutants: $tried points, $failures failures"
[ $failures -eq 0 ]
