# SPDX-License-Identifier: MIT
"""multiprocessing.Lock and Semaphore of CPython."""
import multiprocessing

from peer import crew, serve, timed

fork = multiprocessing.get_context("fork")


def take(thing, n):
    for _ in range(n):
        thing.acquire()
        thing.release()


def contest(thing, processes, n):
    if processes == 1:
        return timed(take, thing, n)
    return crew(*[(take, (thing, n // processes))] * processes)


def lock(processes, n):
    return contest(fork.Lock(), processes, n)


def semaphore(processes, units, n):
    return contest(fork.Semaphore(units), processes, n)


if __name__ == "__main__":
    serve(lock=lock, semaphore=semaphore)
