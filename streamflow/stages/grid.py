"""Kernels of `Resample`: the cell each device's readings are gathered in, and what it gives."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import kernel
from streamflow.core.quality import Quality

NEVER = np.iinfo(np.int64).min
LATER = np.iinfo(np.int64).max
RESAMPLED = np.uint16(Quality.RESAMPLED)
MADE, MEASURED, LATE = range(3)


@kernel
def _close(memory, row, reach, linear, out, m):  # type: ignore[no-untyped-def]
    """Give the rows up to the device's cell, and the cell's own, from place `m` of `out` on."""
    cell, done, _, due, slot, mean, count, doubt, doubts, marks, value, at = memory
    slots, cells, kinds, values, flags = out
    here, d, first = cell[row], mean.shape[1], done[row] + 1
    end = first  # behind the last cell before this one in which something can be made up
    if done[row] != NEVER:
        for j in range(d):
            if at[row, j] == NEVER:
                continue
            if linear and count[row, j] > 0 and here - at[row, j] <= reach:
                end = here
            elif not linear:
                end = max(end, min(at[row, j] + reach + 1, here))
        for k in range(first, end):
            slots[m], cells[m], kinds[m] = slot[row], k, MADE
            for j in range(d):
                values[m, j], flags[m, j] = np.nan, 0
                known = at[row, j]
                if known == NEVER:
                    continue
                if linear:
                    if count[row, j] > 0 and here - known <= reach:
                        share = (k - known) / (here - known)
                        values[m, j] = value[row, j] + (mean[row, j] - value[row, j]) * share
                        flags[m, j] = RESAMPLED
                elif k - known <= reach:
                    values[m, j], flags[m, j] = value[row, j], RESAMPLED
            m += 1
    slots[m], cells[m], kinds[m] = slot[row], here, MEASURED
    for j in range(d):
        if count[row, j] > 0:
            values[m, j], flags[m, j] = mean[row, j], 0
            value[row, j], at[row, j] = mean[row, j], here
        elif doubts[row, j] > 0:
            values[m, j], flags[m, j] = doubt[row, j], marks[row, j]
        elif at[row, j] != NEVER and here - at[row, j] <= reach:
            values[m, j], flags[m, j] = value[row, j], marks[row, j] | RESAMPLED
        else:
            values[m, j], flags[m, j] = np.nan, marks[row, j]
    done[row], slot[row], due[row] = here, -1, LATER
    return m + 1


@kernel
def gather(  # type: ignore[no-untyped-def]
    memory,
    rows,
    cells,
    arrived,
    places,
    seen,
    quality,
    latest,
    wait,
    reach,
    linear,
    start,
    out,
    gone,
):
    """Take readings in from number `start` on, as long as `out` has room for what that may give.

    Gives how far it came, the rows of `out`, and how many slots, now in `gone`, were merged.
    `memory` is the open cell and the last closed one; the last arrival, the deadline, the slot of
    the cell's last reading; for each sensor the mean of what is good in the cell and of what is
    not, how many they are, and the flags; its last value in a closed cell, and in which that was.
    """
    cell, done, last, due, slot, mean, count, doubt, doubts, marks, _, _ = memory
    m = merged = 0
    for i in range(start, len(rows)):
        if m + reach + 3 > len(out[0]):
            return i, m, merged
        row, k = rows[i], cells[i]
        if slot[row] >= 0 and (due[row] <= arrived[i] or k > cell[row]):
            m = _close(memory, row, reach, linear, out, m)
        last[row] = max(last[row], arrived[i])
        first = cell[row] if slot[row] >= 0 else done[row] + 1
        if k < first:
            out[0][m], out[1][m], out[2][m] = places[i], first - k, LATE
            m += 1
        else:
            if slot[row] >= 0:
                gone[merged] = slot[row]
                merged += 1
            else:
                cell[row] = k
                for j in range(len(latest)):
                    count[row, j], doubts[row, j], marks[row, j] = 0, 0, 0
            slot[row] = places[i]
            for j in range(len(latest)):
                x, flag = seen[i, j], quality[i, j]
                marks[row, j] |= flag
                if not np.isfinite(x):
                    continue
                if flag == 0:
                    count[row, j] = 1 if latest[j] else count[row, j] + 1
                    before = 0.0 if count[row, j] == 1 else mean[row, j]
                    mean[row, j] = before + (x - before) / count[row, j]
                else:
                    doubts[row, j] = 1 if latest[j] else doubts[row, j] + 1
                    before = 0.0 if doubts[row, j] == 1 else doubt[row, j]
                    doubt[row, j] = before + (x - before) / doubts[row, j]
        due[row] = last[row] + wait if slot[row] >= 0 else LATER
    return len(rows), m, merged


@kernel
def finish(memory, rows, reach, linear, start, out):  # type: ignore[no-untyped-def]
    """Close the cells of these devices, as `gather` does; gives how far it came, and the rows."""
    m = 0
    for i in range(start, len(rows)):
        if m + reach + 3 > len(out[0]):
            return i, m
        m = _close(memory, rows[i], reach, linear, out, m)
    return len(rows), m
