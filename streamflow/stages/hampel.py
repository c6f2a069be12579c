"""The Hampel identifier, reading by reading, as a kernel that looks ahead."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel
from streamflow.core.quality import Quality

SPREAD = 1 / 200
"""The weight of a value in the usual deviation."""
MAD = 1.4826
"""Standard deviations in a median absolute deviation of normal values."""
DEVIATIONS = 1.2533
"""Standard deviations in a mean absolute deviation of normal values."""
BURST = 3
"""The window's own deviation counts from so many usual ones on: of seven values it says little."""
STEPS = 2
"""So many usual changes from one value to the next are never far."""
MOVES = 1 / 50
"""The weight of a change in the usual one; values that stay the same are none."""
SEEN, AWAY = range(2)
"""`count`: the good values that a sensor has shown, and its spikes in a row."""
_SPIKE = int(Quality.SPIKE)


@inlined
def _sort(values):  # type: ignore[no-untyped-def]
    """Sort a few values where they are."""
    for k in range(1, len(values)):
        x = values[k]
        at = k
        while at > 0 and values[at - 1] > x:
            values[at] = values[at - 1]
            at -= 1
        values[at] = x


@inlined
def _most(recent, x):  # type: ignore[no-untyped-def]
    """The greatest distance of x from any of the last values, and from their mean."""
    low, high, total = recent[0], recent[0], recent[0]
    for k in range(1, len(recent)):
        low, high, total = min(low, recent[k]), max(high, recent[k]), total + recent[k]
    return max(x - low, high - x), abs(x - total / len(recent))


@inlined
def _next_ones(rows, arrived, i, wait, ahead):  # type: ignore[no-untyped-def]
    """Find the device's next readings; how many, and whether a later one came after the wait."""
    found, late = 0, False
    for k in range(i + 1, len(rows)):
        if rows[k] == rows[i]:
            if arrived[k] - wait >= arrived[i]:
                late = True
                break
            ahead[found] = k
            found += 1
            if found == len(ahead):
                break
    return found, late


@kernel
def hampel(  # type: ignore[no-untyped-def]
    recent, spread, away, step, count, sigmas, confirm, wait, now, rows, arrived, values, usable,
    flags, waits
):  # fmt: skip
    """Set SPIKE in `flags` [d, n] for the values [d, n] that are usable.

    `waits` is set for the readings about which the next ones must say more, and for those behind.
    State, [devices, d]: the last values, the usual deviation, the last spike, the usual change,
    and counts.
    """
    d, width = len(values), recent.shape[2]
    ordered, ahead = np.empty(width), np.empty(confirm, np.int64)
    middle, limit, far = np.empty(d), np.empty(d), np.empty(d)
    for i in range(len(rows)):
        if waits[i]:
            continue
        row, doubt = rows[i], False
        for j in range(d):
            limit[j], far[j] = np.inf, 0.0
            if not usable[j, i] or count[row, j, SEEN] < width:
                continue
            x = values[j, i]
            most, far[j] = _most(recent[row, j], x)
            if count[row, j, SEEN] < 2 * width or most <= sigmas * spread[row, j]:
                continue  # so near to all of them is near to their median
            ordered[:] = recent[row, j]
            _sort(ordered)
            middle[j] = ordered[width // 2]
            for k in range(width):
                ordered[k] = abs(ordered[k] - middle[j])
            _sort(ordered)
            if step[row, j] == 0:
                continue  # it has never moved: nothing is known of how it does
            local = MAD * ordered[width // 2]
            usual = sigmas * (local if local > BURST * spread[row, j] else spread[row, j])
            limit[j] = max(usual, STEPS * step[row, j])
            if abs(x - middle[j]) > limit[j]:
                doubt = True
            else:
                limit[j] = np.inf
        found = 0
        if doubt:
            found, late = _next_ones(rows, arrived, i, wait, ahead)
            if found < confirm and not late and now - arrived[i] < wait:
                for k in range(i, len(rows)):
                    if rows[k] == row:
                        waits[k] = True
                continue
        for j in range(d):
            if not usable[j, i]:
                continue
            x, seen = values[j, i], count[row, j]
            change = 0.0
            if seen[SEEN] > 0:
                change = abs(x - recent[row, j, (seen[SEEN] - 1) % width])
            if step[row, j] == 0:
                step[row, j] = change
            elif change > 0:
                step[row, j] += MOVES * (min(change, 10 * step[row, j]) - step[row, j])
            if limit[j] < np.inf:
                distance = abs(x - middle[j])
                # Where nothing follows in time: has what was far before been near to it?
                agree = seen[AWAY] >= confirm and abs(x - away[row, j]) < distance
                for k in ahead[:found]:
                    if usable[j, k]:
                        agree = abs(values[j, k] - x) < abs(values[j, k] - middle[j])
                        if not agree:
                            break
                if not agree:
                    flags[j, i] |= _SPIKE
                    seen[AWAY] += 1
                    away[row, j] = x
                    spread[row, j] += SPREAD * (DEVIATIONS * limit[j] - spread[row, j])
                    continue
                # A new level: what is known of the old one moves along.
                recent[row, j] += x - middle[j]
                far[j] = 0.0
            recent[row, j, seen[SEEN] % width] = x
            seen[SEEN] += 1
            seen[AWAY] = 0
            if seen[SEEN] > width:
                weight = max(SPREAD, 1 / (seen[SEEN] - width))
                spread[row, j] += weight * (DEVIATIONS * far[j] - spread[row, j])
