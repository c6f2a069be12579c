"""The kernel of `GuardClock`: how far each device's clock is off, reading by reading."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel

NEVER = np.iinfo(np.int64).min
FUTURE, UNSET, JUMPED, STOPPED = range(1, 5)
REASONS = {
    FUTURE: "future",
    UNSET: "clock not set",
    JUMPED: "clock jumped",
    STOPPED: "clock stopped",
}
AGREE = 3
"""So many readings in a row must agree on where a clock is before it is believed."""
STEADY = 4
"""A clock that is behind must be so for this many times `ahead`: until then it may be delay."""
MS, MINUTE, HOUR = 10**6, 60 * 10**9, 3600 * 10**9
ZONES = 14
"""Time zones are up to so many hours from UTC."""


@inlined
def _rounded(offset, ahead):  # type: ignore[no-untyped-def]
    """A skew as it is applied: none, whole hours where it looks so, else whole milliseconds."""
    if abs(offset) <= ahead:
        return 0
    hours = (offset + HOUR // 2) // HOUR * HOUR
    if abs(hours) <= ZONES * HOUR and abs(offset - hours) <= min(ahead, MINUTE):
        return hours
    return offset // MS * MS


@kernel
def judge(  # type: ignore[no-untyped-def]
    skew,
    last,
    raw,
    since,
    hint,
    best,
    began,
    count,
    rows,
    time,
    arrived,
    ahead,
    behind,
    oldest,
    correct,
    reason,
    by,
    was,
    turned,
):
    """Correct `time` in place or say why not: `reason`, and `by` how much it is off, in ns.

    `was` is the device's skew before each reading, which `turned` it. State: the skew; the time of
    the last reading that was believed; the last time as the device said it, and since when it says
    so; what the readings that are not believed yet agree on: the first of their offsets (without
    arrivals, the last of their times), the greatest, when they began, how many they are.
    """
    for i in range(len(rows)):
        row, t, offset = rows[i], time[i], time[i] - arrived[i]
        was[i] = skew[row]
        if t != raw[row]:
            raw[row], since[row] = t, arrived[i]
        elif offset != 0 and arrived[i] - since[row] > ahead:
            reason[i], by[i] = STOPPED, arrived[i] - since[row]
            continue
        if offset == 0:  # nothing is known of its arrival
            if t < oldest:
                reason[i], by[i] = UNSET, oldest - t
                continue
            if last[row] != NEVER and abs(t - last[row]) > behind:
                agrees = count[row] > 0 and abs(t - hint[row]) <= behind
                count[row] = count[row] + 1 if agrees else 1
                hint[row] = t
                if count[row] < AGREE:
                    reason[i], by[i] = JUMPED, abs(t - last[row])
                    continue
            count[row] = 0
            last[row] = t
            continue
        rest = offset - skew[row]
        if rest > ahead:
            why = FUTURE
        elif t - skew[row] < oldest:
            why = UNSET
        elif rest < -behind or (skew[row] != 0 and abs(offset) <= ahead):
            why = JUMPED
        else:
            why = 0
        if why == 0 and rest >= -ahead:
            count[row] = 0
        else:
            if count[row] > 0 and abs(offset - hint[row]) <= ahead:
                count[row] += 1
                best[row] = max(best[row], offset)
            else:
                count[row], hint[row], best[row], began[row] = 1, offset, offset, arrived[i]
            steady = best[row] >= -ahead or arrived[i] - began[row] >= STEADY * ahead
            if correct and steady and count[row] >= AGREE:
                skew[row] = _rounded(best[row], ahead)
                turned[i] = skew[row] != was[i]
                count[row] = 0
            elif why:
                reason[i], by[i] = why, abs(rest)
                continue
        time[i] = last[row] = t - skew[row]
