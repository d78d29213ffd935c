# SPDX-License-Identifier: MIT
"""Redis over a Unix socket, by its own benchmark, whose client is in C; its server is started here, without persistence."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from peer import serve

LEAST = 1000  # commands: its clock has milliseconds, and fewer take none

# Debian's redis-tools has the server's program by another name, and starts no service when it is installed.
program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
if not program or not shutil.which("redis-benchmark"):
    sys.exit("no redis-server")


def ask(socket, processes, n, *command):
    """Seconds for n commands by so many clients, each with one command at a time."""
    asked = max(n, LEAST)
    out = subprocess.run(["redis-benchmark", "-s", socket, "-c", str(processes), "-n", str(asked), "--csv", *command],
                         capture_output=True, text=True, check=True).stdout
    rate = re.findall(r'^"[^"]*","([0-9.]+)"', out, re.MULTILINE)[-1]
    return n / float(rate)


def main():
    with tempfile.TemporaryDirectory() as directory:
        socket = os.path.join(directory, "redis")
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                                   "--appendonly", "no", "--dir", directory], executable=program,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket):
                if server.poll() is not None:
                    sys.exit("redis-server does not start")
                time.sleep(0.01)
            serve(dict=lambda processes, n: ask(socket, processes, n, "SET", "key", "1") +
                  ask(socket, processes, n, "GET", "key"),
                  queue=lambda processes, n: ask(socket, processes, n, "LPUSH", "items", "1") +
                  ask(socket, processes, n, "RPOP", "items"))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
