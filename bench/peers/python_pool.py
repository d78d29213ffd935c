# SPDX-License-Identifier: MIT
"""multiprocessing.Pool ('pool') or concurrent.futures.ProcessPoolExecutor ('executor') of CPython;
then how many workers."""
import concurrent.futures
import multiprocessing
import os
import signal
import sys

from peer import serve, timed

WORKERS = int(sys.argv[2])


def nothing(x):
    return x


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def crash(n):
    workers = concurrent.futures.ProcessPoolExecutor(WORKERS)
    for _ in range(n):
        try:
            workers.submit(die).result()
        except concurrent.futures.process.BrokenProcessPool:
            workers.shutdown()
            workers = concurrent.futures.ProcessPoolExecutor(WORKERS)
        workers.submit(nothing, 0.0).result()
    workers.shutdown()


def pool():
    fork = multiprocessing.get_context("fork")
    with fork.Pool(WORKERS) as workers:
        items = [float(i) for i in range(1000000)]

        def map_1(n):
            for _ in range(0, n, 50000):
                workers.map(nothing, items[:50000], 1)

        def imap(n, chunk):
            for _ in range(0, n, 50000):
                for _ in workers.imap(nothing, items[:50000], chunk):
                    pass

        def submit(n):
            for result in [workers.apply_async(nothing, (x,)) for x in items[:n]]:
                result.get()

        def apply(n):
            for x in items[:n]:
                workers.apply(nothing, (x,))

        serve(map=lambda n: timed(workers.map, nothing, items[:n]),  # its own chunking is its best
              map_1=lambda n: timed(map_1, n),
              imap_1=lambda n: timed(imap, n, 1), imap_100=lambda n: timed(imap, n, 100),
              submit=lambda n: timed(submit, n), apply=lambda n: timed(apply, n))


def executor():
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as workers:
        workers.submit(nothing, 0.0).result()

        def submit(n):
            for future in [workers.submit(nothing, float(i)) for i in range(n)]:
                future.result()

        def apply(n):
            for i in range(n):
                workers.submit(nothing, float(i)).result()

        serve(submit=lambda n: timed(submit, n), apply=lambda n: timed(apply, n),
              crash=lambda n: timed(crash, n))


if __name__ == "__main__":
    executor() if sys.argv[1] == "executor" else pool()
