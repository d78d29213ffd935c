# SPDX-License-Identifier: MIT
"""multiprocessing.Event, Condition and Barrier of CPython."""
import multiprocessing

from peer import crew, serve

fork = multiprocessing.get_context("fork")


def first(ping, pong, n):
    for _ in range(n):
        ping.set()
        pong.wait()
        pong.clear()


def second(ping, pong, n):
    for _ in range(n):
        ping.wait()
        ping.clear()
        pong.set()


def event(n):
    ping, pong = fork.Event(), fork.Event()
    return crew((first, (ping, pong, n)), (second, (ping, pong, n)))


def take_turns(thing, turn, index, n):
    with thing:
        for _ in range(n):
            while turn.value % 2 != index:
                thing.wait()
            turn.value += 1
            thing.notify()


def condition(n):
    thing, turn = fork.Condition(), fork.Value("Q", 0, lock=False)
    return crew(*[(take_turns, (thing, turn, index, n)) for index in range(2)])


def meet(thing, n):
    for _ in range(n):
        thing.wait()


def barrier(parties, n):
    return crew(*[(meet, (fork.Barrier(parties), n))] * parties)


if __name__ == "__main__":
    serve(event=event, condition=condition, barrier=barrier)
