#!/bin/sh
# SPDX-License-Identifier: MIT
# The versions of Brood's peers that are installed, in one line, for those who read the figures.
python=${BENCH_PYTHON:-python3}
line="$("$python" --version 2>/dev/null || true)"
for package in libboost-dev libzmq3-dev libnng-dev libck-dev python3-joblib python3-mpi4py parallel redis-tools nmap; do
    version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) && [ -n "$version" ] && line="$line, ${package%-dev} $version"
done
printf '%s\n' "$line"
