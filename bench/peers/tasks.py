# SPDX-License-Identifier: MIT
"""Tasks for pools that send them as a name in a module, and items for them."""


def nothing(x):
    return x


def nothings(items):
    return [nothing(x) for x in items]


def chunk_size(count, workers):
    """As multiprocessing.Pool has it: four chunks for each worker."""
    return -(-count // (4 * workers))


def all_items():
    return [float(i) for i in range(1000000)]
