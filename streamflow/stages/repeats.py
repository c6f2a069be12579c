"""Kernels of `Deduplicate`: 128 bits that stand for what a reading is, and the last of them."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel


@inlined
def _mixed(x):  # type: ignore[no-untyped-def]
    """The finalizer of SplitMix64: a bijection in which every bit depends on every other."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def absorb(bits, keys):  # type: ignore[no-untyped-def]
    """Mix a value of each reading into its key [n, 2]."""
    for i in range(len(bits)):
        keys[i, 0] = _mixed(keys[i, 0] + bits[i] + np.uint64(0x9E3779B97F4A7C15))
        keys[i, 1] = _mixed(keys[i, 1] ^ (bits[i] * np.uint64(0xD1342543DE82EF95)))


@kernel
def digest(letters, start, keys):  # type: ignore[no-untyped-def]
    """The keys of words: word k is the code points `letters[start[k] : start[k + 1]]`."""
    for k in range(len(keys)):
        a, b = np.uint64(0), np.uint64(start[k + 1] - start[k])
        for i in range(start[k], start[k + 1]):
            letter = np.uint64(letters[i])
            a = _mixed(a + letter + np.uint64(0x9E3779B97F4A7C15))
            b = _mixed(b ^ ((letter + np.uint64(1)) * np.uint64(0xD1342543DE82EF95)))
        keys[k, 0], keys[k, 1] = a, b


@kernel
def repeated(seen, count, newest, rows, order, keys, known, again):  # type: ignore[no-untyped-def]
    """Mark readings whose key is among their device's last ones; the others are remembered.

    State: `seen` [devices, window, 2], a ring; `count`, how many it has been given; `newest`, the
    greatest `order`. What is greater than that has not been before: nobody needs to look.
    """
    window = seen.shape[1]
    for i in range(len(rows)):
        if not known[i]:
            continue
        row = rows[i]
        if order[i] <= newest[row]:
            for j in range(min(count[row], window)):
                if seen[row, j, 0] == keys[i, 0] and seen[row, j, 1] == keys[i, 1]:
                    again[i] = True
                    break
            if again[i]:
                continue
        else:
            newest[row] = order[i]
        at = count[row] % window
        seen[row, at, 0], seen[row, at, 1] = keys[i, 0], keys[i, 1]
        count[row] += 1
