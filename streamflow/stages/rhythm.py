"""The kernel of `Silent`: each device's rhythm, and when it is overdue against it."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel

NEVER = np.iinfo(np.int64).min
LATER = np.iinfo(np.int64).max
KNOWN = 8
"""So many gaps make a rhythm, and so many times `least`: a device may begin with a burst."""
SPAN = 32.0
"""The rhythm forgets over so many of its own gaps."""
MS = 10**6
MOST = 10**11
"""The longest silence that can be waited for, in ms as all of them: three years."""


@inlined
def _allowed(total, weight, gaps, age, after, factor, least):  # type: ignore[no-untyped-def]
    """How long a silence may last, in ns; 0 if that is not known."""
    if after > 0:
        return after
    if gaps < KNOWN or age < KNOWN * least:
        return 0
    return max(least, np.int64(min(factor * total / weight * 1e3 + 0.5, MOST)) * MS)


@kernel
def listen(  # type: ignore[no-untyped-def]
    first,
    last,
    due,
    opened,
    total,
    weight,
    gaps,
    rows,
    arrived,
    after,
    factor,
    least,
    began,
    since,
    ended,
):
    """Follow each device's arrivals.

    Where a silence ends with reading i, `ended[i]` is when it was opened and `since[i]` when the
    device was last heard of; `began[i]` is True if no tick had opened it. State: the first arrival
    and the last, when the next is overdue, when the silence that lasts was opened; sum of squares
    and sum of the gaps, in s, and how many they are.
    """
    for i in range(len(rows)):
        row, now = rows[i], arrived[i]
        if last[row] != NEVER:
            if due[row] <= now:
                opened[row] = due[row]
                began[i] = True
            if opened[row] != NEVER:
                ended[i], since[i] = opened[row], last[row]
                opened[row] = NEVER
            gap = now - last[row]
            if gap > 0:
                age = last[row] - first[row]
                allowed = _allowed(total[row], weight[row], gaps[row], age, after, factor, least)
                if 0 < allowed < gap:
                    gap = allowed
                seconds = gap / 1e9
                if gaps[row] > 0:
                    span = SPAN * total[row] / weight[row]
                    keep = span / (span + seconds)
                    total[row] *= keep
                    weight[row] *= keep
                total[row] += seconds * seconds
                weight[row] += seconds
                gaps[row] += 1
        else:
            first[row] = now
        last[row] = max(last[row], now)
        age = last[row] - first[row]
        allowed = _allowed(total[row], weight[row], gaps[row], age, after, factor, least)
        due[row] = last[row] + allowed if allowed > 0 else LATER
