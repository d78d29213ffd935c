# SPDX-License-Identifier: MIT
"""multiprocessing.Value, with its lock and without, RawArray and SharedMemory of CPython."""
import multiprocessing
from multiprocessing import shared_memory

from peer import crew, serve, timed

fork = multiprocessing.get_context("fork")


def add(value, n):
    for _ in range(n):
        with value.get_lock():
            value.value += 1


def count(processes, n):
    value = fork.Value("q", 0)
    if processes == 1:
        return timed(add, value, n)
    return crew(*[(add, (value, n // processes))] * processes)


def store_and_load(value, n):
    for i in range(n):
        value.value = i
        value.value


def value(lock, n):
    return timed(store_and_load, fork.Value("q", 0, lock=bool(lock)), n)


def fill(x, n):
    for i in range(n):
        x[i % 1000] = i


def array(n):
    return timed(fill, fork.RawArray("d", 1000), n)


def make(n):
    for _ in range(n):
        segment = shared_memory.SharedMemory(create=True, size=4096)
        segment.close()
        segment.unlink()


def segment(n):
    return timed(make, n)


if __name__ == "__main__":
    serve(value=value, count=count, array=array, segment=segment)
