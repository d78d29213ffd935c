# SPDX-License-Identifier: MIT
"""multiprocessing.Process and Pool of CPython.  The argument is a start method, for the questions 'first' and 'next';
or 'small' or 'big' (1 GiB of touched memory), for the questions 'fork', 'spawn' and 'forkserver'."""
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.pool
import multiprocessing.popen_fork
import multiprocessing.popen_forkserver
import multiprocessing.popen_spawn_posix
import multiprocessing.queues
import multiprocessing.synchronize
import sys

from peer import serve, timed

WORKERS = 4


def nothing():
    return 0


def first(n):
    def ask():
        pool = context.Pool(WORKERS)
        pool.apply(nothing)
        pools.append(pool)

    context, pools = multiprocessing.get_context(sys.argv[1]), []
    seconds = timed(ask)
    pools[0].terminate()
    return seconds


def next_pool(n):
    def all_of_them():
        for _ in range(n):
            with context.Pool(WORKERS) as pool:
                pool.apply(nothing)
            pool.join()

    context = multiprocessing.get_context(sys.argv[1])
    return timed(all_of_them)


def start_and_join(method, n):
    context = multiprocessing.get_context(method)

    def all_of_them():
        for _ in range(n):
            process = context.Process(target=nothing)
            process.start()
            process.join()

    return timed(all_of_them)


if __name__ == "__main__":
    memory = bytearray(b"x") * (1 << 30) if sys.argv[1] == "big" else None
    serve(first=first, next=next_pool, fork=lambda n: start_and_join("fork", n), spawn=lambda n: start_and_join("spawn", n),
          forkserver=lambda n: start_and_join("forkserver", n))
