"""Runs of one value, reading by reading, as a kernel: flatlines and saturation."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel
from streamflow.core.quality import Quality

VALUE, LOW, HIGH, OTHER = range(4)
"""`level`: the value of the run, the least and the greatest seen, the sibling's value."""
NEWEST, LENGTH, COUNT, PLACE, SEEN, RUNS = range(6)
"""`run`: its newest time, how long it is, its readings, its place; values and runs ever seen."""
AWAY, END, TOLD = range(3)
"""A run's place: not at an end; at one; and found to be saturated."""
KEPT = 2
"""`usual`: of the longest runs that have ended, so many lengths, and numbers of readings; these not
of runs whose place is `END`: a ceiling must not become usual before it was told of."""
FACTOR = 2
"""How many times a run is longer than what is usual before that says something."""
HISTORY = 50
"""Values that a sensor must have shown before its own extremes count as its ends."""
_STUCK, _SATURATED = int(Quality.STUCK), int(Quality.SATURATED)
_LAST = KEPT - 1


@inlined
def _insert(longest, length):  # type: ignore[no-untyped-def]
    """Keep the longest ones, longest first."""
    k = _LAST
    if length > longest[k]:
        while k > 0 and length > longest[k - 1]:
            longest[k] = longest[k - 1]
            k -= 1
        longest[k] = length


@inlined
def _declared(ends, same, j, x):  # type: ignore[no-untyped-def]
    """Whether x is at an end of the declared range of sensor j."""
    return (x <= ends[0, j] + same[j]) | (x >= ends[1, j] - same[j])


@kernel
def flatline(  # type: ignore[no-untyped-def]
    level, run, usual, after, by_time, pinned, ends, same, rows, time, values, usable, excused,
    watched, others, flags
):  # fmt: skip
    """Set STUCK and SATURATED in `flags` [d, n] for the values [d, n] that are usable.

    `after` and `pinned` of -1 are never reached. `ends` [2, d] are the declared ends, `same` [d]
    the difference that counts as none; `excused` [n] says where constancy is as it should be.
    `others` [d, n] are the values of the siblings, where `watched` [d].
    """
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(values)):
            if not usable[j, i]:
                continue
            own, at = run[row, j], level[row, j]
            if excused[i]:
                own[COUNT] = 0
                continue
            moves = True
            if watched[j]:
                moves = np.isfinite(others[j, i]) and others[j, i] != at[OTHER]
                at[OTHER] = others[j, i]
            x = values[j, i]
            if own[COUNT] == 0 or abs(x - at[VALUE]) > same[j]:
                if own[COUNT] > 0:
                    _insert(usual[row, j, 0], own[LENGTH])
                    if own[PLACE] != END:
                        _insert(usual[row, j, 1], own[COUNT])
                    own[RUNS] += 1
                within = (x > at[LOW]) & (x < at[HIGH]) & (not _declared(ends, same, j, x))
                own[PLACE] = AWAY if within else END
                own[NEWEST], own[LENGTH], own[COUNT] = time[i], 0 if by_time else 1, 1
                at[VALUE] = x
                if not x >= at[LOW]:
                    at[LOW] = x
                if not x <= at[HIGH]:
                    at[HIGH] = x
                own[SEEN] += 1
                continue
            own[SEEN] += 1
            if moves:
                own[COUNT] += 1
                if not by_time:
                    own[LENGTH] += 1
            if time[i] > own[NEWEST]:
                if moves and by_time:
                    own[LENGTH] += time[i] - own[NEWEST]
                own[NEWEST] = time[i]
            if own[RUNS] < KEPT:
                continue
            long = own[LENGTH] // FACTOR >= usual[row, j, 0, _LAST]
            if 0 <= after <= own[LENGTH] and long:
                flags[j, i] |= _STUCK
            if own[PLACE] == AWAY or (own[SEEN] < HISTORY and not _declared(ends, same, j, x)):
                continue
            many = own[COUNT] // FACTOR >= usual[row, j, 1, _LAST]
            if 0 <= pinned <= own[COUNT] and many:
                flags[j, i] |= _SATURATED
                own[PLACE] = TOLD
