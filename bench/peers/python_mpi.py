# SPDX-License-Identifier: MIT
"""mpi4py.futures.MPIPoolExecutor; the argument is how many workers.  This program starts mpirun, whose first process
is this file again and answers; the others are its workers."""
import importlib.util
import select
import shutil
import subprocess
import sys

from peer import serve, timed
from tasks import all_items, chunk_size, nothing

PATIENCE = 20  # seconds to start or to end


def answer(count):
    from mpi4py.futures import MPIPoolExecutor
    items = all_items()
    with MPIPoolExecutor(count) as workers:

        def map_in_chunks(n):
            return list(workers.map(nothing, items[:n], chunksize=chunk_size(n, count)))

        def submit(n):
            for future in [workers.submit(nothing, x) for x in items[:n]]:
                future.result()

        def apply(n):
            for x in items[:n]:
                workers.submit(nothing, x).result()

        submit(count)
        print("ready", flush=True)
        serve(map=lambda n: timed(map_in_chunks, n), submit=lambda n: timed(submit, n), apply=lambda n: timed(apply, n))


def relay(child):
    if not select.select([child.stdout], [], [], PATIENCE)[0] or child.stdout.readline() != "ready\n":
        sys.exit("mpi4py does not start")
    for line in sys.stdin:
        child.stdin.write(line)
        child.stdin.flush()
        print(child.stdout.readline(), end="", flush=True)


def main():
    mpirun = shutil.which("mpirun")
    if not mpirun or not importlib.util.find_spec("mpi4py"):
        sys.exit("no mpi4py")
    count = int(sys.argv[1])
    command = [mpirun, "-n", str(count + 1), "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
               sys.executable, "-m", "mpi4py.futures", __file__, str(count), "answer"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True)
    try:
        relay(child)
        child.stdin.close()
        child.wait(PATIENCE)
    finally:
        child.terminate()  # and with it what it started
        child.wait()


if __name__ == "__main__":
    answer(int(sys.argv[1])) if len(sys.argv) > 2 else main()
