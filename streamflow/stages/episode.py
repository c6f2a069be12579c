"""The phases of an episode, reading by reading, as a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.stages import budget as budgets
from streamflow.stages.budget import Budget
from streamflow.stages.phases import CLOSED, FLEET, NEVER, OPEN, SILENT, follow_phases

STATUS = ("opened", "ongoing", "closed", "new_normal", "maintenance", "silent")
FOREVER = np.iinfo(np.int64).max
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
    follow_phases(
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
