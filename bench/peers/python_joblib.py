# SPDX-License-Identifier: MIT
"""joblib's loky workers; the argument is how many."""
import sys

try:
    from joblib import Parallel, delayed
except ImportError:
    sys.exit("no joblib")

from peer import serve, timed
from tasks import all_items, chunk_size, nothing, nothings


def main():
    count, items = int(sys.argv[1]), all_items()
    with Parallel(count) as maps, Parallel(count, batch_size=1, pre_dispatch="all") as submits:

        def map_in_chunks(n):
            size = chunk_size(n, count)
            parts = maps(delayed(nothings)(items[i:i + size]) for i in range(0, n, size))
            return [x for part in parts for x in part]

        def submit(n):
            submits(delayed(nothing)(x) for x in items[:n])

        submit(count)
        serve(map=lambda n: timed(map_in_chunks, n), submit=lambda n: timed(submit, n))


if __name__ == "__main__":
    main()
