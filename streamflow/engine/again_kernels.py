"""The kernels of `again`: apart from it, because Numba costs a second, and few flows need them.

A table has a power of two places, at least twice as many as ids; 0 is an empty place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.core.kernel import kernel


@kernel
def exclude(table: Any, ids: Any, new: Any) -> None:
    """Clear `new` where the table holds an id."""
    last = len(table) - 1
    for i in range(len(ids)):
        at = ids[i] & last
        while table[at] != 0:
            if table[at] == ids[i]:
                new[i] = False
                break
            at = (at + 1) & last


@kernel
def add(table: Any, ids: Any, new: Any) -> None:
    """Put ids in where `new` is set; clear it where the table holds them already."""
    last = len(table) - 1
    for i in range(len(ids)):
        if not new[i]:
            continue
        at = ids[i] & last
        while table[at] != 0 and table[at] != ids[i]:
            at = (at + 1) & last
        if table[at] == ids[i]:
            new[i] = False
        else:
            table[at] = ids[i]


_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


@kernel
def hashes(data: Any, end: Any, out: Any) -> None:
    """64 bits for each of some byte strings, eight bytes at a time; `end` is where each ends.

    Every word is added, and the sum multiplied and folded, twice at the end: enough to tell
    messages apart, not enough to stand against whom would forge two that are alike.
    """
    at = 0
    for i in range(len(end)):
        h = np.uint64(end[i] - at) * _MULTIPLIER
        while at < end[i]:
            word = np.uint64(0)
            if at + 8 <= end[i]:
                for j in range(8):
                    word |= np.uint64(data[at + j]) << np.uint64(8 * j)
            else:
                for j in range(end[i] - at):
                    word |= np.uint64(data[at + j]) << np.uint64(8 * j)
            h = (h ^ word) * _MULTIPLIER
            h ^= h >> _HALF
            at += 8
        at = end[i]
        for _ in range(2):
            h = (h ^ (h >> _HALF)) * _MULTIPLIER
        out[i] = np.int64(h ^ (h >> _HALF))
