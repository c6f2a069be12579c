"""Alert: a condition becomes episodes, each opened and closed once, with a stable id."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch, Rows
from streamflow.core.duration import duration
from streamflow.core.event import Event, iso
from streamflow.core.expr import Expr, parse
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State

CLOSED, PENDING, OPEN, ENDING = range(4)
_THRESHOLD = re.compile(r"(\w+)\s*(>=?|<=?)\s*(-?[\d.]+(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True)
class Alert(Stage):
    """Open an episode when a condition holds, and close it when it has ceased to for a while.

    A device's episode opens at the first reading at which `when` has held for `after`, and
    closes at the first reading at which `until` has held for `hold`, without `when` holding in
    between. Both raise an event of kind "alert" with the episode's one id; the column `alert`
    is 1 while it is open.

    Parameters
    ----------
    when
        The condition, such as "score > 0.95".
    until
        The condition that ends it; default: `when` does not hold. For hysteresis, as in
        Alert("score > 0.95", until="score < 0.8").
    after
        How long `when` must hold without a break, in event time, before an episode opens.
    hold
        How long `until` must hold without a break, in event time, before it closes: an episode
        does not end and start again at every swing.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Alert("t > 30", hold="2s")
    >>> temperatures = [20.0, 35.0, 20.0, 35.0, 20.0, 20.0, 20.0]
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(temperatures)]
    >>> [(e.fields["status"], e.time // 10**9) for e in flow.replay(rows).alerts]
    [('opened', 1), ('closed', 6)]
    """

    when: str
    until: str | None = None
    after: str = "0s"
    hold: str = "0s"

    @property
    def adds(self) -> Sequence[str]:
        """`alert`, or `NAME_alert` for a named step."""
        return (f"{self.name}_alert" if self.name else "alert",)

    @property
    def uses(self) -> Sequence[str]:
        """The columns of its conditions."""
        return (*self._when.names, *(self._until.names if self._until else ()))

    @property
    def threshold(self) -> tuple[str, str, float] | None:
        """Column, sign and number, if `when` is no more than a column compared with a number."""
        plain = _THRESHOLD.fullmatch(self.when.strip())
        return (plain[1], plain[2], float(plain[3])) if plain else None

    @cached_property
    def _when(self) -> Expr:
        return parse(self.when)

    @cached_property
    def _until(self) -> Expr | None:
        return None if self.until is None else parse(self.until)

    @cached_property
    def memory(self) -> Memory:
        """The episode: its phase, since when, and what it has seen."""
        return Memory(
            {
                "phase": Field(np.uint8, CLOSED),
                "since": 0,  # when `when` began to hold
                "opened": 0,  # the time of its opening
                "quiet": 0,  # ENDING: when `until` began to hold
                "readings": 0,  # readings at which `when` held
                "peak": float("nan"),  # greatest value of the first column of `when`
            }
        )

    def bind(self, schema: Schema) -> Self:
        """Check the conditions and durations."""
        self._when.check(self.step, "when", schema.columns, schema.tags)
        if self._until is not None:
            self._until.check(self.step, "until", schema.columns, schema.tags)
        duration(self.after)
        duration(self.hold)
        return replace(self)

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Follow devices whose condition holds or whose episode is not closed; pass the rest."""
        holds = self._when.mask(batch)
        ends = ~holds if self._until is None else self._until.mask(batch) & ~holds
        phase = state["phase"]
        alert = np.zeros(len(batch))
        raised: list[tuple[int, Event]] = []
        if (holds | (phase[batch.device] != CLOSED)).any():
            order, start, device = batch.groups
            for group, row in enumerate(device.tolist()):
                own = order[start[group] : start[group + 1]]
                for i in _eventful(own, np.flatnonzero(holds[own]).tolist(), phase, row):
                    if phase[row] < OPEN:
                        raised += self._before(batch, state, row, i, bool(holds[i]))
                    if phase[row] >= OPEN:
                        raised += self._during(batch, state, row, i, bool(holds[i]), bool(ends[i]))
                    alert[i] = phase[row] >= OPEN
        events = [event for _, event in sorted(raised, key=lambda pair: pair[0])]
        return batch.with_columns({self.adds[0]: alert}), events

    def _before(
        self, batch: Batch, state: State, row: int, i: int, holds: bool
    ) -> list[tuple[int, Event]]:
        phase, time = state["phase"], int(batch.time[i])
        if not holds:
            phase[row] = CLOSED
            return []
        if phase[row] == CLOSED:
            phase[row], state["since"][row] = PENDING, time
        if time - state["since"][row] < duration(self.after):
            return []
        phase[row], state["opened"][row] = OPEN, time
        state["readings"][row], state["peak"][row] = 0, np.nan
        columns = {name: _plain(batch, name, i) for name in self._when.names}
        since = iso(int(state["since"][row]))
        own = {"status": "opened", "when": self.when, "since": since}
        fields = own | columns | own  # whatever the columns are called
        return [(i, state.event("alert", row, time, fields))]

    def _during(
        self, batch: Batch, state: State, row: int, i: int, holds: bool, ends: bool
    ) -> list[tuple[int, Event]]:
        phase, time = state["phase"], int(batch.time[i])
        peak_of = next((name for name in self._when.names if name in batch.columns), None)
        if holds:
            state["readings"][row] += 1
            if peak_of:
                state["peak"][row] = np.fmax(state["peak"][row], batch[peak_of][i])
        if not ends:
            phase[row] = OPEN
            return []
        if phase[row] == OPEN:
            phase[row], state["quiet"][row] = ENDING, time
        if time - state["quiet"][row] < duration(self.hold):
            return []
        phase[row] = CLOSED
        opened, peak = int(state["opened"][row]), float(state["peak"][row])
        closing: dict[str, Any] = {"status": "closed", "when": self.when, "opened": iso(opened)}
        closing |= {"seconds": (time - opened) / 1e9, "readings": int(state["readings"][row])}
        if not np.isnan(peak):
            closing[f"peak_{peak_of}"] = peak
        return [(i, state.event("alert", row, time, closing, opened=opened))]


def _eventful(own: Rows, holding: list[int], phase: Any, row: int) -> Iterator[int]:
    """The readings of one device that can change its phase, given where the condition holds."""
    at = 0
    while at < len(own):
        if phase[row] == CLOSED:
            next_ = bisect_left(holding, at)
            if next_ == len(holding):
                return
            at = holding[next_]
        yield int(own[at])
        at += 1


def _plain(batch: Batch, name: str, i: int) -> float | str | None:
    if name == "device":
        return batch.name(i)
    if name in batch.tags:
        return batch.tags[name].at(i)
    value = float(batch[name][i])
    return None if np.isnan(value) else value
