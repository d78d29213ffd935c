# SPDX-License-Identifier: MIT
"""GNU parallel: as many runs of true(1) as were asked for, two at a time.  Its own start counts."""
import os
import shutil
import subprocess
import sys
import tempfile

from peer import serve, timed

program = shutil.which("parallel")  # moreutils have another one
if not program or b"GNU" not in subprocess.run([program, "--version"], capture_output=True).stdout:
    sys.exit("no GNU parallel")


def main():
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ, PARALLEL_HOME=home)

        def submit(n):
            subprocess.run([program, "--will-cite", "-j2", "true"], input="".join("%d\n" % i for i in range(n)),
                           env=environment, text=True, check=True)

        submit(1)
        serve(submit=lambda n: timed(submit, n))


if __name__ == "__main__":
    main()
