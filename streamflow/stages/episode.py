"""The phases of an episode, reading by reading, as a kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamflow.core.batch import Batch, Mask, Rows, Times, Values
from streamflow.core.state import State
from streamflow.models.kernels.base import kernel

CLOSED, PENDING, OPEN, ENDING = range(4)


class Turns(NamedTuple):
    """Where episodes opened and closed in a batch.

    `opened` and `closed` are positions; the rest belongs to reading i where it is one of them:
    `since` when the condition began to hold, `start` when the episode opened, and what it saw.
    """

    opened: Rows
    closed: Rows
    since: Times
    start: Times
    readings: Times
    peak: Values


def follow(
    state: State,
    batch: Batch,
    holds: Mask,
    ends: Mask,
    values: Values,
    after: int,
    hold: int,
    alert: Values,
) -> Turns:
    """Move each device's episode on; sets `alert` to 1 where one is open.

    `state` has the fields phase, since, opened, quiet, readings and peak; see `Alert`.
    """
    n = len(batch)
    turn = np.zeros(n, np.uint8)
    since, start, readings = (np.zeros(n, np.int64) for _ in range(3))
    peak = np.zeros(n)
    names = ("phase", "since", "opened", "quiet", "readings", "peak")
    _follow(
        *(state[name] for name in names),
        *(batch.device, batch.time, holds, ends, values, after, hold),
        *(alert, turn, since, start, readings, peak),
    )
    opened, closed = np.flatnonzero(turn & 1), np.flatnonzero(turn & 2)
    return Turns(opened, closed, since, start, readings, peak)


@kernel
def _follow(  # type: ignore[no-untyped-def]
    phase,
    since,
    opened,
    quiet,
    readings,
    peak,
    rows,
    time,
    holds,
    ends,
    values,
    after,
    hold,
    alert,
    turn,
    out_since,
    out_start,
    out_readings,
    out_peak,
):
    for i in range(len(rows)):
        row = rows[i]
        if phase[row] == CLOSED and not holds[i]:
            continue
        if phase[row] < OPEN:
            if not holds[i]:
                phase[row] = CLOSED
                continue
            if phase[row] == CLOSED:
                phase[row] = PENDING
                since[row] = time[i]
            if time[i] - since[row] < after:
                continue
            phase[row] = OPEN
            opened[row] = time[i]
            readings[row] = 0
            peak[row] = np.nan
            turn[i] |= 1
            out_since[i] = since[row]
        if holds[i]:
            readings[row] += 1
            if not values[i] <= peak[row] and not np.isnan(values[i]):
                peak[row] = values[i]
        if not ends[i]:
            phase[row] = OPEN
        else:
            if phase[row] == OPEN:
                phase[row] = ENDING
                quiet[row] = time[i]
            if time[i] - quiet[row] >= hold:
                phase[row] = CLOSED
                turn[i] |= 2
                out_start[i] = opened[row]
                out_readings[i] = readings[row]
                out_peak[i] = peak[row]
        if phase[row] >= OPEN:
            alert[i] = 1.0
