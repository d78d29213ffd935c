#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what the named groups need and isn't there yet: setup.sh build|test|bench...
# Returns at once when nothing is missing.
set -eu

build="meson ninja-build pkg-config libcbor-dev libdw-dev nettle-dev"
test="check clang clang-format clang-tidy libclang-rt-14-dev valgrind iproute2 mandoc"
bench="g++ libboost-dev libzmq3-dev libnng-dev libck-dev python3 python3-joblib python3-mpi4py parallel redis-tools
    nmap gnuplot-nox"

wanted=$build
for group in "$@"; do
    case $group in
    build) ;;
    test) wanted="$wanted $test" ;;
    bench) wanted="$wanted $bench" ;;
    *) echo "setup.sh: no group '$group' (build, test, bench)" >&2; exit 2 ;;
    esac
done

# The program that stands for a package where it came by another way.
program_of() {
    case $1 in
    ninja-build) echo ninja ;;
    iproute2) echo ip ;;
    meson | pkg-config | g++ | clang | clang-format | clang-tidy | valgrind | mandoc | python3) echo "$1" ;;
    esac
}

if command -v dpkg-query >/dev/null 2>&1; then
    have=" $(dpkg-query -W -f '${db:Status-Status}:${Package}\n' $wanted 2>/dev/null |
        sed -n 's/^installed://p' | tr '\n' ' ')"
else
    have=" "
fi

missing=
for package in $wanted; do
    case $have in *" $package "*) continue ;; esac
    program=$(program_of "$package")
    if [ -n "$program" ] && command -v "$program" >/dev/null 2>&1; then continue; fi
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0
missing=${missing# }

if ! command -v apt-get >/dev/null 2>&1; then
    # Not Debian: the libraries' names differ, so only the programs can be asked for.
    for program in meson ninja pkg-config; do
        command -v $program >/dev/null 2>&1 || {
            echo "setup.sh: install what Debian calls: $missing" >&2
            exit 1
        }
    done
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    echo "Missing packages; as root, run:" >&2
    echo "apt-get install --no-install-recommends -y $missing" >&2
    exit 1
fi

echo "installing: $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1
}
if ! { apt update && apt install -y --no-install-recommends $missing; }; then
    cat "$log" >&2
    echo "setup.sh: failed: apt-get install --no-install-recommends -y $missing" >&2
    exit 1
fi
