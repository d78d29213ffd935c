#!/bin/bash
# SPDX-License-Identifier: MIT
# Every example under every start method says what it should: examples.sh DIRECTORY-OF-PROGRAMS
# Process ids and what else differs by nature are masked; lines whose order is free are sorted.
examples=$1
failed=0
export LC_ALL=C
# The leak sanitizer's look at threads fails in a process that has loaded libdw.
without_leaks=$ASAN_OPTIONS:detect_leaks=0

say() {
    echo "$1"
    failed=1
}

# wants NAME METHOD FILTER <expected: run it, and compare what the filter makes of its output.
wants() {
    local expected output status
    expected=$(cat)
    [ "$1" != 14_crash ] || local -x ASAN_OPTIONS=$without_leaks
    output=$(timeout 30 "$examples/$1" ${2:+"$2"} 2>&1)
    status=$?
    output=$($3 <<<"$output")
    [ $status -eq 0 ] || say "$1 $2: exit status $status"
    [ "$output" = "$expected" ] || say "$1 $2: differs: $(diff <(echo "$expected") <(echo "$output"))"
}

mask() { sed -E 's/\(pid [0-9]+\)/(pid P)/; s/from [0-9]+$/from P/; s/in [0-9.e+-]+ seconds/in S seconds/'; }
mask_all() { sed -E 's/\(pid [0-9]+\)/(pid P)/g'; }
mask_sorted() { mask | sort; }
mask_preparation() {
    sed -E "s/'authkey': '[0-9a-f]{64}'/'authkey': K/; s|'(orig_)?dir': '$PWD'|'\1dir': HERE|; s|'[^']*/06_prep|'06_prep|"
}

wants 01_fork_celsius 4 mask_sorted <<'END'
110.000000 F is 43.333333 C (pid P)
120.000000 F is 48.888889 C (pid P)
130.000000 F is 54.444444 C (pid P)
140.000000 F is 60.000000 C (pid P)
Spawned 4 processes from P
END

[ "$("$examples/01_fork_celsius" 4 | sed -n 's/.*(pid \([0-9]*\))/\1/p' | sort -u | wc -l)" = 4 ] ||
    say "01_fork_celsius: not four children"

for method in fork spawn forkserver; do
    wants 02_process $method mask <<'END'
110F is 43.3333C (pid P)
END
    wants 03_pool $method cat <<'END'
110F is 43.3333C
120F is 48.8889C
130F is 54.4444C
140F is 60C
END
    wants 04_pool_one_task $method mask_sorted <<'END'
110F is 43.3333C (pid P)
120F is 48.8889C (pid P)
130F is 54.4444C (pid P)
140F is 60C (pid P)
END
    [ "$("$examples/04_pool_one_task" $method | sed -n 's/.*(pid \([0-9]*\))/\1/p' | sort -u | wc -l)" = 4 ] ||
        say "04_pool_one_task $method: not four workers"
    wants 05_queues $method sort <<'END'
43.3333333333333
48.8888888888889
54.4444444444444
60
END
    wants 16_jobs $method cat <<'END'
lost: 1
sum: 832332
END
    wants 06_preparation $method mask_preparation <<END
{'authkey': K,
 'dir': HERE,
 'log_level': 0,
 'name': 'example',
 'orig_dir': HERE,
 'start_method': '$method',
 'sys_argv': ['06_preparation', '$method']}
END
    wants 09_crash $method cat <<'END'
1 squared is 1
2 squared is 4
3: the process that did the work died
4 squared is 16
5: the task said that it could not do its work
6 squared is 36
4 done, 1 failed, 1 lost
the first lost: item 2, by signal 6
the first failed: item 4, with 42: 5 is not to my taste
END
    wants 10_structs $method cat <<'END'
from 0,0 to 1,1
from 2,2 to 4,4
from 8,7 to 9,9
END
    wants 11_event_loop $method sort <<'END'
task 1: step 1
task 1: step 2
task 1: the sum is 3
task 2: step 1
task 2: step 2
task 2: the sum is 6
task 3: step 1
task 3: step 2
task 3: the sum is 9
task 4: step 1
task 4: step 2
task 4: the sum is 12
END
    wants 12_zero_copy $method cat <<'END'
8388608 numbers, 32 MiB: the sum is 35184367894528
END
    wants 21_manager_queues $method cat <<'END'
43.3333333333333
48.8888888888889
54.4444444444444
60
END
    wants 19_barrier $method cat <<'END'
round 0: 4 + 4 + 4 + 4 = 16
round 1: 8 + 8 + 8 + 8 = 32
round 2: 16 + 16 + 16 + 16 = 64
3 of 4 learned that one has died
END
    wants 13_deadlock $method mask_all <<'END'
first (pid P) holds lock 1:0 and waits for lock 2:0, held by other (pid P), who waits for lock 1:0
the other ends with 0
END
    wants 18_wait_any $method sort <<'END'
a request: ?
a sum: 15050
a sum: 35050
a sum: 5050
worker 0 has ended with 0
worker 1 has ended with 0
worker 2 has ended with -6
worker 3 has ended with 0
END
    wants 14_crash $method cat <<'END'
call 0, run 1: it has a result: 0
call 1, run 1: a signal ended its worker: work, signal 6
call 2, run 1: its worker was killed at its deadline
call 3, run 2: it has a result: 30
END
    wants 15_connection $method cat <<'END'
client 1: the sum is 6
client 2 is turned away
client 3: the sum is 18
END
    wants 23_pipe_pool $method cat <<'END'
Got 43.33
Got 48.89
Got 54.44
Got 60.00
END
    wants 24_pipe_lock_pool $method sort <<'END'
43.3333333333333
48.8888888888889
54.4444444444444
60
END
    wants 17_stream $method cat <<'END'
1000001: the smallest factor is 101
1000003: a prime, 1000003
1000005: the smallest factor is 3
1000007: killed by signal 6 (Aborted)
1000009: the smallest factor is 293
1000011: the smallest factor is 3
asked for no more than the window: yes
END
    wants 20_shared $method cat <<'END'
3.1415927
0 -1 -2 -3 -4 -5 -6 -7 -8 -9
1000 hits
dry ice
written by a child
afterwards: a handle whose object is freed, or that is no handle of this family
END
done

# The scanners: two ports opened for them, where that is allowed; else whatever there is, the same for both.
coproc listen { "$examples/portscan/listen" 127.0.0.1 83 97 2>/dev/null; }
opened=
if { read -r first <&"${listen[0]}" && read -r second <&"${listen[0]}"; } 2>/dev/null; then
    opened=$(printf 'Port %s is open\n' "$first" "$second")
fi
scanned=$("$examples/07_scan_sequential" | mask)
if [ -n "$opened" ] && [ "$(grep -E '^Port (83|97) is open$' <<<"$scanned")" != "$opened" ]; then
    say "07_scan_sequential: says: $scanned"
fi
grep -qx 'Completed scan in S seconds' <<<"$scanned" || say "07_scan_sequential: says: $scanned"
for method in fork spawn forkserver; do
    wants 08_scan_pool $method mask <<<"$scanned"
    wants 22_scan_manager $method mask <<<"$scanned"
done

exit $failed
