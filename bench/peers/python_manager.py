# SPDX-License-Identifier: MIT
"""multiprocessing.Manager of CPython."""
import multiprocessing

from peer import crew, serve, timed

fork = multiprocessing.get_context("fork")


def set_and_get(d, n):
    for i in range(n):
        d["key"] = i
        d["key"]


def put_and_get(q, n):
    for i in range(n):
        q.put(i)
        q.get()


def acquire_and_release(lock, n):
    for _ in range(n):
        lock.acquire()
        lock.release()


def contest(function, thing, processes, n):
    if processes == 1:
        return timed(function, thing, n)
    return crew(*[(function, (thing, n // processes))] * processes)


if __name__ == "__main__":
    with fork.Manager() as manager:
        serve(dict=lambda processes, n: contest(set_and_get, manager.dict(), processes, n),
              queue=lambda processes, n: contest(put_and_get, manager.Queue(), processes, n),
              lock=lambda processes, n: contest(acquire_and_release, manager.Lock(), processes, n))
