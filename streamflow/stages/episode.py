"""The phases of an episode, reading by reading, as a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.models.kernels.base import inlined, kernel
from streamflow.stages import budget as budgets
from streamflow.stages.budget import (
    FLEET,
    MATURE,
    NEVER,
    Budget,
    allowed,
    keep,
    observe,
    ranked,
)

CLOSED, PENDING, OPEN, ENDING = range(4)
OPENED, ONGOING, ENDED, ACCEPTED, MAINTENANCE, SILENT = range(6)
STATUS = ("opened", "ongoing", "closed", "new_normal", "maintenance", "silent")
FOREVER = np.iinfo(np.int64).max
_SEVERE, _TOLD_SEVERE = 1, 2
FIELDS = {
    "phase": Field(np.uint8, CLOSED),
    "since": Field(np.int64),  # when the condition began to hold
    "opened": Field(np.int64),  # the time of its opening
    "quiet": Field(np.int64),  # ENDING: when `until` began to hold
    "readings": Field(np.int64),  # readings at which the condition held
    "peak": Field(np.float64, np.nan),  # its greatest value; the last one's, while none is open
    "severe": Field(np.uint8),  # whether it was severe, and whether that has been told
    "told": Field(np.float64, np.nan),  # the peak last told of
    "told_at": Field(np.int64),
    "closed": Field(np.int64, NEVER),  # when the last one closed
    "settled": Field(np.float64, np.nan, (2,)),  # the range of its later values
    "accepted": Field(np.float64, np.nan),  # up to this value is a new normal
    "usual": Field(np.int64, NEVER),  # since when that is not needed
    "heard": Field(np.int64),  # when the last reading of an open one arrived
    "at": Field(np.int64),  # the event time of the last reading of an open one
}
FLEET_FIELDS = {"levels": Field(np.float64, np.nan, (FLEET,)), "count": Field(np.int64)}
_NO_BUDGET = {
    name: np.zeros((0, *spec.shape), spec.dtype) for name, spec in budgets.fields().items()
}
_NO_FLEET = {name: spec.make(0) for name, spec in FLEET_FIELDS.items()}


class Turn(NamedTuple):
    """What became of an episode.

    `i` is the reading at which, -1 for a deadline; `begun` when the condition began to hold for
    one that opens, else when it opened; `level` what its scores had to exceed.
    """

    kind: int
    i: int
    row: int
    time: int
    begun: int
    readings: int
    severe: bool
    peak: float
    level: float


@dataclass(frozen=True)
class Pace:
    """How episodes open and close; all in ns."""

    after: int
    hold: int
    quiet: int
    update: int
    new_normal: int
    silent: int
    budget: Budget | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """As the kernel takes them."""
        own = (self.after, self.hold, self.quiet, self.update, self.new_normal, self.silent)
        known = self.budget
        return (*own, *((known.interval, known.block, known.generation) if known else (0, 0, 0)))


@dataclass(frozen=True)
class Seen:
    """What a batch's readings mean to the episodes.

    Parameters
    ----------
    holds, ends
        Where the condition holds, and where what ends an episode does.
    severe
        Where it is severe; None: where a score exceeds all peaks kept.
    aside
        Where the device is maintained: nothing holds.
    learning
        Where its detector is young: scores are held to more, and not kept.
    values
        The greater, the worse; NaN where there is none.
    """

    holds: Mask
    ends: Mask
    severe: Mask | None
    aside: Mask
    learning: Mask
    values: Values


def follow(state: State, batch: Batch, seen: Seen, pace: Pace, alert: Values) -> Iterator[Turn]:
    """Move each device's episode on; sets `alert` to 1 where one is open.

    `state` has `FIELDS`; with a budget those of `budget.fields()`, too, and with a fleet prior
    `FLEET_FIELDS` for the shard.
    """
    n = len(batch)
    severe = seen.severe is not None
    numbers, values, count = np.empty((2 * n, 7), np.int64), np.empty((2 * n, 2)), np.zeros(1, int)
    _follow(
        *_parts(state, pace),
        *(batch.device, batch.time, batch.arrived),
        *(seen.holds, seen.ends, seen.severe if severe else seen.holds, severe),
        *(seen.aside, seen.learning, seen.values, *pace.numbers),
        *(alert, numbers, values, count),
    )
    return _turns(numbers[: count[0]], values[: count[0]])


def lapse(state: State, now: int, silent: int) -> Iterator[Turn]:
    """Close the episodes of devices that have sent nothing for so long."""
    late = (state["phase"] >= OPEN) & (state["heard"] <= now - silent)
    rows = np.flatnonzero(late)
    for row in rows.tolist():
        time = int(state["at"][row]) + silent
        state["phase"][row], state["closed"][row] = CLOSED, time
        if "level" in state.memory.fields:
            state["level"][row] = np.nan
        begun, readings = int(state["opened"][row]), int(state["readings"][row])
        severe, peak = bool(state["severe"][row]), float(state["peak"][row])
        yield Turn(SILENT, -1, row, time, begun, readings, severe, peak, np.nan)


def _parts(state: State, pace: Pace) -> list[np.ndarray]:
    own = [state[name] for name in FIELDS]
    kept = _NO_BUDGET if pace.budget is None else {name: state[name] for name in _NO_BUDGET}
    shared = {name: state.fleet[name] for name in _NO_FLEET} if state.fleet else _NO_FLEET
    return [*own, *kept.values(), *shared.values()]


def _turns(numbers: np.ndarray, values: np.ndarray) -> Iterator[Turn]:
    for (kind, i, row, time, begun, readings, severe), (peak, level) in zip(
        numbers.tolist(), values.tolist(), strict=True
    ):
        yield Turn(kind, i, row, time, begun, readings, bool(severe), peak, level)


@inlined
def put(numbers, floats, k, kind, i, row, time, begun, readings, severe, peak, level):  # type: ignore[no-untyped-def]
    """Write down a turn; how many there are then."""
    numbers[k, 0], numbers[k, 1], numbers[k, 2], numbers[k, 3] = kind, i, row, time
    numbers[k, 4], numbers[k, 5], numbers[k, 6] = begun, readings, severe
    floats[k, 0], floats[k, 1] = peak, level
    return k + 1


@kernel
def _follow(  # type: ignore[no-untyped-def]
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
