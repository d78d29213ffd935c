# SPDX-License-Identifier: MIT
"""What the peers in Python share: answering as bench/peer.h says, and processes that start together."""
import multiprocessing
import os
import sys
import time


def serve(**answers):
    """Each line of standard input is 'QUESTION ARGUMENT... N'; answers[QUESTION](ARGUMENT..., N) is its seconds."""
    for line in sys.stdin:
        question, *arguments = line.split()
        print("%.9f" % answers[question](*map(int, arguments)), flush=True)


def timed(function, *arguments):
    start = time.monotonic()
    function(*arguments)
    return time.monotonic() - start


def _member(barrier, times, cpus, role, arguments):
    if cpus:
        os.sched_setaffinity(0, cpus)
    barrier.wait()
    start = time.monotonic()
    role(*arguments)
    times.put((start, time.monotonic()))


def crew(*members):
    """members: (role, arguments).  Seconds from the first start to the last end; pinned as in bench/crew.c."""
    fork = multiprocessing.get_context("fork")
    barrier, times = fork.Barrier(len(members)), fork.SimpleQueue()
    cpus = sorted(os.sched_getaffinity(0))
    processes = []
    for index, (role, arguments) in enumerate(members):
        own = [cpus[index]] if len(members) <= len(cpus) else None
        processes.append(fork.Process(target=_member, args=(barrier, times, own, role, arguments)))
    for process in processes:
        process.start()
    starts, ends = zip(*[times.get() for _ in members])
    for process in processes:
        process.join()
    return max(ends) - min(starts)
