"""Each device's held readings as a queue in order of time, chained by the slots they are in."""

from __future__ import annotations

import numpy as np

from streamflow.core.kernel import inlined, kernel

NEVER = np.iinfo(np.int64).min
LATER = np.iinfo(np.int64).max
"""`due` of a device that holds nothing."""


@inlined
def _insert(head, tail, links, times, row, slot):  # type: ignore[no-untyped-def]
    """Behind all that are not newer, looking from the end that is nearer."""
    time = times[slot]
    if head[row] < 0 or time < times[head[row]]:
        before, after = -1, head[row]
    else:
        before, after = tail[row], -1
        while times[before] > time:
            before, after = links[before, 0], before
    links[slot, 0], links[slot, 1] = before, after
    if before < 0:
        head[row] = slot
    else:
        links[before, 1] = slot
    if after < 0:
        tail[row] = slot
    else:
        links[after, 0] = slot


@inlined
def _pop(head, tail, links, row):  # type: ignore[no-untyped-def]
    slot = head[row]
    head[row] = links[slot, 1]
    if head[row] < 0:
        tail[row] = -1
    else:
        links[head[row], 0] = -1
    return slot


@kernel
def arrange(  # type: ignore[no-untyped-def]
    newest,
    floor,
    last,
    due,
    head,
    tail,
    links,
    times,
    rows,
    slots,
    arrived,
    lateness,
    idle,
    out,
    by,
):
    """Take readings in; what is complete or late goes to `out`: slots, a late one's as ~slot.

    `by` is how far late ones are behind the newest, in the order of `out`. Gives how many go out.
    """
    count, lates = 0, 0
    for i in range(len(rows)):
        row, slot = rows[i], slots[i]
        if due[row] <= arrived[i]:
            floor[row] = newest[row]
            while head[row] >= 0:
                out[count] = _pop(head, tail, links, row)
                count += 1
        if arrived[i] > last[row]:
            last[row] = arrived[i]
        time = times[slot]
        if newest[row] != NEVER and (time < newest[row] - lateness or time < floor[row]):
            out[count] = ~slot
            count += 1
            by[lates] = newest[row] - time
            lates += 1
        else:
            _insert(head, tail, links, times, row, slot)
            if time > newest[row]:
                newest[row] = time
            while times[head[row]] <= newest[row] - lateness:
                out[count] = _pop(head, tail, links, row)
                count += 1
        due[row] = LATER if head[row] < 0 else last[row] + idle
    return count


@kernel
def flush(newest, floor, due, head, tail, links, rows, out):  # type: ignore[no-untyped-def]
    """All that these devices hold."""
    count = 0
    for row in rows:
        floor[row] = newest[row]
        due[row] = LATER
        while head[row] >= 0:
            out[count] = _pop(head, tail, links, row)
            count += 1
    return count


@kernel
def link(last, due, head, tail, links, times, rows, slots, idle):  # type: ignore[no-untyped-def]
    """Chain readings that came back with a snapshot."""
    for i in range(len(rows)):
        _insert(head, tail, links, times, rows[i], slots[i])
        due[rows[i]] = last[rows[i]] + idle
