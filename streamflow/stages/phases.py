"""The phases of episodes and the limits of budgets, reading by reading, as one kernel.

All that it is made of stands in this file: what is compiled is kept until this file changes.
"""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel

CLOSED, PENDING, OPEN, ENDING = range(4)
OPENED, ONGOING, ENDED, ACCEPTED, MAINTENANCE, SILENT = range(6)
_SEVERE, _TOLD_SEVERE = 1, 2
KEPT = 8
"""The largest peaks that are kept of a generation."""
FEW = 8
"""Of so many peaks at most one is exceeded: there must be as many before anything is."""
MATURE = 2.0
"""A device's own level counts for others once it has seen the time of so many episodes."""
FLEET = 15
"""The latest levels of devices that a fleet prior takes the median of."""
NEVER = np.iinfo(np.int64).min


@inlined
def observe(flat, last, block, interval, row, time, value):  # type: ignore[no-untyped-def]
    """Let the device's own clock run to this reading; False while its scores say nothing yet.

    Silence counts up to the interval. A late reading does not turn the clock back, unless by
    more than that: then it was ahead before.
    """
    if flat[row] != np.inf:
        if np.isnan(flat[row]):
            flat[row] = value
        elif value != flat[row]:
            flat[row] = np.inf
    counts = flat[row] == np.inf
    if counts:
        if last[row] == NEVER:
            last[row] = time
        step = time - last[row]
        if step > 0:
            block[row] += min(step, interval)
            last[row] = time
        elif step < -interval:
            last[row] = time
    return counts


@inlined
def keep(block, top, peaks, entries, span, spent, generation, row):  # type: ignore[no-untyped-def]
    """End the device's block: its largest score is a peak of this generation."""
    at = KEPT
    while at > 0 and peaks[row, 0, at - 1] < top[row]:
        if at < KEPT:
            peaks[row, 0, at] = peaks[row, 0, at - 1]
        at -= 1
    if at < KEPT:
        peaks[row, 0, at] = top[row]
    entries[row, 0] += 1
    span[row, 0] += block[row]
    block[row], top[row] = 0, -np.inf
    if span[row, 0] >= generation:
        for j in range(KEPT):
            peaks[row, 1, j] = peaks[row, 0, j]
            peaks[row, 0, j] = -np.inf
        entries[row, 1], span[row, 1] = entries[row, 0], span[row, 0]
        spent[row, 1] = spent[row, 0]
        entries[row, 0], span[row, 0], spent[row, 0] = 0, 0, 0


@inlined
def allowed(entries, span, spent, interval, row):  # type: ignore[no-untyped-def]
    """Which of the peaks kept a score must exceed, counted from the largest; 0 for none."""
    due = (span[row, 0] + span[row, 1]) / interval
    used = spent[row, 0] + spent[row, 1]
    rank = int(due + 0.5 - max(0.0, used - due))
    if rank < 1 or used + 1 > 2 * due:
        rank = 0
    return min(rank, (entries[row, 0] + entries[row, 1]) // FEW)


@inlined
def ranked(peaks, rank, row):  # type: ignore[no-untyped-def]
    """The peak of this rank among those of both generations."""
    a, b, found = 0, 0, -np.inf
    for _ in range(rank):
        if b >= KEPT or (a < KEPT and peaks[row, 0, a] >= peaks[row, 1, b]):
            found = peaks[row, 0, a]
            a += 1
        else:
            found = peaks[row, 1, b]
            b += 1
    return found


@inlined
def put(numbers, floats, k, kind, i, row, time, begun, readings, severe, peak, level):  # type: ignore[no-untyped-def]
    """Write down a turn; how many there are then."""
    numbers[k, 0], numbers[k, 1], numbers[k, 2], numbers[k, 3] = kind, i, row, time
    numbers[k, 4], numbers[k, 5], numbers[k, 6] = begun, readings, severe
    floats[k, 0], floats[k, 1] = peak, level
    return k + 1


@kernel
def follow_phases(  # type: ignore[no-untyped-def]
    phase,
    since,
    opened,
    ending,
    readings,
    peak,
    severe,
    told,
    told_at,
    closed,
    settled,
    accepted,
    usual,
    heard,
    at,
    flat,
    last,
    block,
    top,
    level,
    peaks,
    entries,
    span,
    spent,
    levels,
    pushed,
    rows,
    time,
    arrived,
    holds,
    ends,
    severely,
    given,
    aside,
    learning,
    values,
    after,
    hold,
    quiet,
    update,
    new_normal,
    silent,
    interval,
    length,
    generation,
    alert,
    numbers,
    floats,
    count,
):
    """Move the episode of each reading's device on; see `streamflow.stages.episode.follow`."""
    k = 0
    for i in range(len(rows)):
        row, now, v = rows[i], time[i], values[i]
        if phase[row] >= OPEN and arrived[i] - heard[row] >= silent:
            now = at[row] + silent
            k = put(
                numbers,
                floats,
                k,
                SILENT,
                i,
                row,
                now,
                opened[row],
                readings[row],
                severe[row],
                peak[row],
                np.nan,
            )
            phase[row], closed[row] = CLOSED, now
            if interval:
                level[row] = np.nan
            now = time[i]

        holding, bad = holds[i], given and severely[i]
        if interval:
            holding = False
            if v == v and not aside[i]:
                counts = not learning[i] and observe(flat, last, block, interval, row, now, v)
                if counts and block[row] >= length and phase[row] < OPEN:
                    keep(block, top, peaks, entries, span, spent, generation, row)
                    level[row] = np.nan
                largest = max(peaks[row, 0, 0], peaks[row, 1, 0])
                if np.isnan(level[row]):
                    rank = allowed(entries, span, spent, interval, row)
                    due = (span[row, 0] + span[row, 1]) / interval
                    level[row] = np.inf
                    if rank > 0:
                        level[row] = ranked(peaks, rank, row)
                        if len(levels) and due >= MATURE:
                            levels[0, pushed[0] % FLEET] = level[row]
                            pushed[0] += 1
                    elif (
                        len(levels)
                        and pushed[0] >= FLEET
                        and due < 1.0
                        and spent[row, 0] + spent[row, 1] == 0
                    ):
                        level[row] = max(largest, np.median(levels[0]))
                if learning[i]:
                    holding = largest > -np.inf and v > largest + abs(largest)
                else:
                    holding = counts and v > level[row]
                if not given:
                    bad = v > largest
                if counts:
                    top[row] = max(top[row], v)
        if aside[i]:
            holding = False
            if phase[row] >= OPEN:
                k = put(
                    numbers,
                    floats,
                    k,
                    MAINTENANCE,
                    i,
                    row,
                    now,
                    opened[row],
                    readings[row],
                    severe[row],
                    peak[row],
                    np.nan,
                )
                phase[row], closed[row] = CLOSED, now
                if interval:
                    level[row] = np.nan
        if not np.isnan(accepted[row]):
            if holding:
                usual[row] = NEVER
                holding = v > accepted[row]
            elif usual[row] == NEVER:
                usual[row] = now
            elif now - usual[row] >= new_normal:
                accepted[row] = np.nan
        if phase[row] == CLOSED and not holding:
            continue
        if phase[row] < OPEN:
            if closed[row] != NEVER and now - closed[row] < quiet and not v > peak[row]:
                holding = False
            if not holding:
                phase[row] = CLOSED
                continue
            if phase[row] == CLOSED:
                phase[row] = PENDING
                since[row] = now
            if now - since[row] < after:
                continue
            phase[row], opened[row], readings[row] = OPEN, now, 0
            peak[row], told[row], told_at[row] = np.nan, v, now
            settled[row, 0], settled[row, 1] = np.nan, np.nan
            severe[row] = (_SEVERE | _TOLD_SEVERE) if bad else 0
            k = put(
                numbers,
                floats,
                k,
                OPENED,
                i,
                row,
                now,
                since[row],
                0,
                severe[row],
                v,
                level[row] if interval else np.nan,
            )
            if interval:
                spent[row, 0] += 1
        heard[row], at[row] = arrived[i], max(now, at[row]) if readings[row] else now
        if holding:
            readings[row] += 1
            if not v <= peak[row] and not np.isnan(v):
                peak[row] = v
            if bad:
                severe[row] |= _SEVERE
            risen = peak[row] > told[row] and peak[row] - told[row] >= abs(told[row])
            if (risen or severe[row] == _SEVERE) and now - told_at[row] >= update:
                told[row], told_at[row] = peak[row], now
                severe[row] |= severe[row] << 1
                k = put(
                    numbers,
                    floats,
                    k,
                    ONGOING,
                    i,
                    row,
                    now,
                    opened[row],
                    readings[row],
                    severe[row],
                    peak[row],
                    np.nan,
                )
            if now - opened[row] >= new_normal // 2:
                settled[row, 0] = np.fmin(settled[row, 0], v)
                settled[row, 1] = np.fmax(settled[row, 1], v)
        status = -1
        if not (ends[i] and not holding):
            phase[row] = OPEN
            if holding and now - opened[row] >= new_normal:
                low, high = settled[row, 0], settled[row, 1]
                accepted[row] = np.inf if np.isnan(high) else high + (high - low)
                usual[row] = NEVER
                status = ACCEPTED
        else:
            if phase[row] == OPEN:
                phase[row] = ENDING
                ending[row] = now
            if now - ending[row] >= hold:
                status = ENDED
        if status >= 0:
            phase[row], closed[row] = CLOSED, now
            if interval:
                level[row] = np.nan
            k = put(
                numbers,
                floats,
                k,
                status,
                i,
                row,
                now,
                opened[row],
                readings[row],
                severe[row],
                peak[row],
                np.nan,
            )
        else:
            alert[i] = 1.0
    count[0] = k
