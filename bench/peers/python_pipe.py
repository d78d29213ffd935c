# SPDX-License-Identifier: MIT
"""multiprocessing.Pipe of CPython; and its resource sharer, by which connections and descriptors travel."""
import multiprocessing
import os
from multiprocessing import reduction

from peer import crew, serve, timed

fork = multiprocessing.get_context("fork")


def produce(connection, message, n):
    for _ in range(n):
        connection.send_bytes(message)


def consume(connection, n):
    for _ in range(n):
        connection.recv_bytes()


def stream(size, n):
    receiver, sender = fork.Pipe(duplex=False)
    return crew((produce, (sender, bytes(size), n)), (consume, (receiver, n)))


def ping(connection, n):
    for i in range(n):
        connection.send(i)
        connection.recv()


def pong(connection, n):
    for _ in range(n):
        connection.send(connection.recv())


def round_trip(n):
    one, other = fork.Pipe()
    return crew((ping, (one, n)), (pong, (other, n)))


def alone(n):
    one, other = fork.Pipe()

    def there():
        for i in range(n):
            one.send(i)
            other.recv()

    return timed(there)


def moved(n):
    one, other = fork.Pipe()

    def there():
        for _ in range(n):
            receiver, sender = fork.Pipe(duplex=False)
            one.send(sender)
            other.recv().close()
            sender.close()
            receiver.close()

    return timed(there)


def descriptor(n):
    def there():
        for _ in range(n):
            os.close(reduction.DupFd(2).detach())

    return timed(there)


if __name__ == "__main__":
    serve(stream=stream, round_trip=round_trip, alone=alone, moved=moved, descriptor=descriptor)
