"""Whether times lie in windows of time, as a kernel."""

from __future__ import annotations

from streamflow.core.kernel import inlined, kernel


@inlined
def _covers(starts, ends, first, stop, time):  # type: ignore[no-untyped-def]
    """Whether one of the windows first..stop, sorted and apart, holds this time."""
    low, high = first, stop
    while low < high:
        middle = (low + high) // 2
        if starts[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low > first and time < ends[low - 1]


@kernel
def inside(starts, ends, of_all, own, rows, time, out):  # type: ignore[no-untyped-def]
    """Set `out` to 1 where a time is in a window of all, or of its device: own[row]."""
    for i in range(len(rows)):
        row, t = rows[i], time[i]
        if _covers(starts, ends, of_all[0], of_all[1], t) or _covers(
            starts, ends, own[row, 0], own[row, 1], t
        ):
            out[i] = 1.0
