#!/bin/bash
# SPDX-License-Identifier: MIT
# man 7 brood_from_python is true: each name of Brood's in it is in a header, and each public name of Python's
# multiprocessing, as the machine's python3 has it (without one: as the list below has it), is in the table.
. "$(dirname "$0")/files.sh"

page=man/man7/brood_from_python.7
bad=0
headers=$(files 'include/brood/*.h')
for name in $(sed '/^\.Sh EXAMPLES/,$d; /^\.Dt/d; /^\.Xr/d; /^\.Nm/d; /^\.Vt/d' "$page" | grep -oE '\b(brood|BROOD)_[A-Za-z0-9_]+' | sort -u); do
    case $name in
    BROOD_E*) pattern="\\b(${name}|${name#BROOD_})\\b" ;; # codes are rows of a table
    *) pattern="\\b$name\\b" ;;
    esac
    # shellcheck disable=SC2086
    grep -qE "$pattern" $headers || {
        echo "$page: $name is in no header"
        bad=1
    }
done

names='Array AuthenticationError Barrier BoundedSemaphore BufferTooShort Condition Event JoinableQueue Lock Manager Pipe
Pool Process ProcessError Queue RLock RawArray RawValue Semaphore SimpleQueue TimeoutError Value active_children
allow_connection_pickling cpu_count current_process freeze_support get_all_start_methods get_context get_logger
get_start_method log_to_stderr parent_process reducer set_executable set_forkserver_preload set_start_method Client
Listener wait BaseManager SyncManager BaseProxy Token SharedMemoryManager SharedMemory ShareableList ThreadPool apply
apply_async imap imap_unordered map map_async starmap starmap_async close join terminate get ready successful start
authkey daemon exitcode ident is_alive kill name pid run sentinel fileno poll readable recv recv_bytes recv_bytes_into
send send_bytes writable put put_nowait get_nowait qsize empty full task_done join_thread cancel_join_thread buf size
unlink count index format Namespace dict list address connect get_server register acquire release notify notify_all
wait_for abort reset parties n_waiting broken'
if command -v python3 >/dev/null; then
    names="$names $(python3 - 2>/dev/null <<'END'
import multiprocessing as m, multiprocessing.connection as c, multiprocessing.managers as g
import multiprocessing.shared_memory as s, multiprocessing.pool as p, multiprocessing.queues as q
for x in m, c, g, s, p:
    print(*x.__all__)
for x in (m.Process, c.Connection, g.SyncManager, g.SharedMemoryManager, s.SharedMemory, s.ShareableList, p.Pool,
          p.AsyncResult, q.JoinableQueue, q.SimpleQueue):
    print(*(n for n in dir(x) if not n.startswith("_")))
END
)"
fi
table=$(grep '^\.It Li' "$page")
for name in $names; do
    grep -qE "\\b$name\\b" <<<"$table" || {
        echo "$page: Python's $name is not in the table"
        bad=1
    }
done
exit $bad
