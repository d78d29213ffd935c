# SPDX-License-Identifier: MIT
"""The port scanner with a Pool of CPython: ports 80 to 99 of this machine, a worker for each."""
import socket
from multiprocessing import Pool

from peer import serve, timed

PORTS = range(80, 100)


def check_port(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def scan(n):
    def ask():
        with Pool(len(PORTS)) as pool:
            pool.map(check_port, PORTS)

    return timed(ask)


if __name__ == "__main__":
    serve(scan=scan)
