"""Alert: a condition becomes episodes, each opened and closed once, with a stable id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.duration import duration
from streamflow.core.event import Event, iso
from streamflow.core.expr import Expr, parse
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.stages.episode import CLOSED, follow

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
        """Follow each device's phase in a kernel; only openings and closings become objects."""
        holds = self._when.mask(batch)
        ends = ~holds if self._until is None else self._until.mask(batch) & ~holds
        alert = np.zeros(len(batch))
        column = self.adds[0]
        if not (holds.any() or (state["phase"][batch.device] != CLOSED).any()):
            return batch.with_columns({column: alert}), []
        peak_of = self._peak_of(batch)
        values = batch[peak_of] if peak_of else np.full(len(batch), np.nan)
        turns = follow(state, batch, holds, ends, values, self._after, self._hold, alert)
        raised = [
            (i, self._opened(batch, state, i, int(turns.since[i]))) for i in turns.opened.tolist()
        ]
        for i in turns.closed.tolist():
            seen = (int(turns.start[i]), int(turns.readings[i]), float(turns.peak[i]))
            raised.append((i, self._closed(batch, state, i, peak_of, *seen)))
        raised.sort(key=lambda pair: pair[0])
        return batch.with_columns({column: alert}), [event for _, event in raised]

    @cached_property
    def _after(self) -> int:
        return duration(self.after)

    @cached_property
    def _hold(self) -> int:
        return duration(self.hold)

    def _peak_of(self, batch: Batch) -> str | None:
        return next((name for name in self._when.names if name in batch.columns), None)

    def _opened(self, batch: Batch, state: State, i: int, since: int) -> Event:
        columns = {name: _plain(batch, name, i) for name in self._when.names}
        own = {"status": "opened", "when": self.when, "since": iso(since)}
        fields = own | columns | own  # whatever the columns are called
        return state.event("alert", int(batch.device[i]), int(batch.time[i]), fields)

    def _closed(
        self,
        batch: Batch,
        state: State,
        i: int,
        peak_of: str | None,
        opened: int,
        readings: int,
        peak: float,
    ) -> Event:
        time = int(batch.time[i])
        fields: dict[str, Any] = {"status": "closed", "when": self.when, "opened": iso(opened)}
        fields |= {"seconds": (time - opened) / 1e9, "readings": readings}
        if not np.isnan(peak):
            fields[f"peak_{peak_of}"] = peak
        return state.event("alert", int(batch.device[i]), time, fields, opened=opened)


def _plain(batch: Batch, name: str, i: int) -> float | str | None:
    if name == "device":
        return batch.name(i)
    if name in batch.tags:
        return batch.tags[name].at(i)
    value = float(batch[name][i])
    return None if np.isnan(value) else value
