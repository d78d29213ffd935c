# SPDX-License-Identifier: MIT
"""multiprocessing.Queue of CPython."""
import multiprocessing

from peer import crew, serve, timed

fork = multiprocessing.get_context("fork")


def produce(queue, message, n):
    for _ in range(n):
        queue.put(message)


def consume(queue, n):
    for _ in range(n):
        queue.get()


def stream(producers, consumers, size, n):
    queue, message = fork.Queue(), bytes(size)
    return crew(*[(produce, (queue, message, n // producers))] * producers,
                *[(consume, (queue, n // consumers))] * consumers)


def batch(count, n):
    """There are no batches: a list of messages is one message."""
    queue, messages = fork.Queue(), [bytes(8)] * count
    return crew((produce, (queue, messages, n // count)), (consume, (queue, n // count)))


def ping(there, back, n):
    for i in range(n):
        there.put(i)
        back.get()


def pong(there, back, n):
    for _ in range(n):
        back.put(there.get())


def round_trip(n):
    there, back = fork.Queue(), fork.Queue()
    return crew((ping, (there, back, n)), (pong, (there, back, n)))


def alone(n):
    queue = fork.Queue()

    def put_and_get():
        for i in range(n):
            queue.put(i)
            queue.get()

    seconds = timed(put_and_get)
    queue.close()
    queue.join_thread()
    return seconds


if __name__ == "__main__":
    serve(stream=stream, batch=batch, round_trip=round_trip, alone=alone)
