"""Alert: a condition becomes episodes, each opened and closed once, with a stable id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch, Rows, Words
from streamflow.core.duration import duration
from streamflow.core.event import Event, iso
from streamflow.core.expr import Expr, parse
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.stages.episode import CLOSED, Turns, follow

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
        raised = [*self._opened(batch, state, turns), *self._closed(batch, state, turns, peak_of)]
        raised.sort(key=itemgetter(0))
        return batch.with_columns({column: alert}), [event for _, event in raised]

    def warm(self, batch: Batch, state: State) -> None:
        """The kernel is called only when there is something to follow."""
        never, nothing = np.zeros(len(batch), bool), np.zeros(len(batch))
        follow(state, batch, never, never, nothing, self._after, self._hold, nothing)

    @cached_property
    def _after(self) -> int:
        return duration(self.after)

    @cached_property
    def _hold(self) -> int:
        return duration(self.hold)

    def _peak_of(self, batch: Batch) -> str | None:
        return next((name for name in self._when.names if name in batch.columns), None)

    def _opened(self, batch: Batch, state: State, turns: Turns) -> Iterator[tuple[int, Event]]:
        at = turns.opened
        # What the event itself says counts, whatever the columns are called.
        names = [name for name in self._when.names if name not in ("status", "when", "since")]
        columns = {name: _plain(batch, name, at) for name in names}
        places = zip(at.tolist(), batch.device[at].tolist(), batch.time[at].tolist(), strict=True)
        began = turns.since[at].tolist()
        for n, ((i, row, time), since) in enumerate(zip(places, began, strict=True)):
            fields = {"status": "opened", "when": self.when, "since": iso(since)}
            fields |= {name: values[n] for name, values in columns.items()}
            yield i, state.event("alert", row, time, fields)

    def _closed(
        self, batch: Batch, state: State, turns: Turns, peak_of: str | None
    ) -> Iterator[tuple[int, Event]]:
        at = turns.closed
        places = zip(at.tolist(), batch.device[at].tolist(), batch.time[at].tolist(), strict=True)
        seen = (turns.start[at].tolist(), turns.readings[at].tolist(), turns.peak[at].tolist())
        for (i, row, time), opened, readings, peak in zip(places, *seen, strict=True):
            fields: dict[str, Any] = {"status": "closed", "when": self.when, "opened": iso(opened)}
            fields["seconds"], fields["readings"] = (time - opened) / 1e9, readings
            if peak == peak:
                fields[f"peak_{peak_of}"] = peak
            yield i, state.event("alert", row, time, fields, opened=opened)


def _plain(batch: Batch, name: str, at: Rows) -> list[Any]:
    """The values of some readings as JSON has them."""
    if name == "device":
        return [batch.devices[code] for code in batch.device[at].tolist()]
    if name in batch.tags:
        tag = batch.tags[name]
        return Words(tag.codes[at], tag.vocabulary).list()
    return [value if value == value else None for value in batch[name][at].tolist()]
