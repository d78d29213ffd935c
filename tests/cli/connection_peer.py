# SPDX-License-Identifier: MIT
"""One end of a connection, in Python; the other one is connection_peer.c, which says the same.

    connection_peer.py listen|connect ADDRESS KEY

Exit status: 0: all went well; 3: the other end, or this one, was refused; 1: anything else.
"""
import os
import sys
from multiprocessing import AuthenticationError, connection, reduction

SIZES = [0, 1, 5, 16384, 16385, 70000, 3000001]


def bytes_of(size):
    return bytes(i * 7 & 0xFF for i in range(min(size, 256))) * (size // 256 + 1)


def address_of(text):
    if text.startswith("@"):
        return "\0" + text[1:]
    if "/" in text:
        return text
    host, port = text.rsplit(":", 1)
    return (host, int(port))


def text_of(address):
    if isinstance(address, tuple):
        return "%s:%d" % address
    if isinstance(address, bytes):
        address = address.decode()
    return address.replace("\0", "@", 1)


def listen(address, key):
    with connection.Listener(address, authkey=key) as listener:
        print(text_of(listener.address), flush=True)
        with listener.accept() as c:
            while True:
                try:
                    message = c.recv_bytes()
                except EOFError:
                    return
                c.send_bytes(message)
                if message == b"descriptor":
                    fd = reduction.recv_handle(c)
                    os.write(fd, b"through")
                    os.close(fd)


def connect(address, key):
    with connection.Client(address, authkey=key) as c:
        for size in SIZES:
            message = bytes_of(size)[:size]
            c.send_bytes(message)
            assert c.recv_bytes() == message
        if not isinstance(address, tuple):
            c.send_bytes(b"descriptor")
            assert c.recv_bytes() == b"descriptor"
            r, w = os.pipe()
            reduction.send_handle(c, w, None)
            os.close(w)
            assert os.read(r, 100) == b"through"
        c.send_bytes(b"bye")
        assert c.recv_bytes() == b"bye"


if __name__ == "__main__":
    try:
        {"listen": listen, "connect": connect}[sys.argv[1]](address_of(sys.argv[2]), sys.argv[3].encode())
    except (AuthenticationError, AssertionError) as error:
        # What 3.11 says when the first frame is no challenge is an AssertionError.
        print(type(error).__name__, error, file=sys.stderr)
        sys.exit(3 if isinstance(error, AuthenticationError) else 1)
    except (EOFError, ConnectionError):
        sys.exit(3 if len(sys.argv) > 4 else 1)
