"""Silent: a device from which nothing comes for longer than it ever takes raises an event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Self

import numpy as np

from streamflow.core.batch import Batch, Rows
from streamflow.core.duration import stated
from streamflow.core.event import Event, iso
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError

_NEVER, _LATER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True)
class Silent(Stage):
    """Raise an event of kind "silence" when a device is overdue, and another when it is back.

    A device is overdue when nothing has arrived from it for

    max(at_least, factor * rhythm), rhythm = sum of gap² / sum of gap

    over its last gaps between arrivals, about 32 times its rhythm back, each counted at most as
    long as it was allowed to be. Weighed by its own length, a gap counts by the time one waits in
    it: a device that sends ten readings at once each minute has a rhythm of a minute. Nothing is
    overdue before 8 gaps are known, and 8 times `at_least` have passed.

    The silence is opened on a tick, or with the device's next reading; its time is the deadline
    either way. Both events have one id. In a replay the end of the input is the last tick: who has
    stopped before is overdue. Times are those of arrival. Rows pass unchanged.

    Parameters
    ----------
    after
        A deadline for all, such as "15m", from the first reading on; default each device's own.
    factor
        How many times its rhythm a device may be silent.
    at_least
        A shorter silence is none.

    Raises
    ------
    FlowError
        For a duration that is none, and a factor of 1 or less.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Silent()
    >>> rows = [{"device": "a", "time": 60 * i, "t": 20.0} for i in [*range(10), 30, 31]]
    >>> [(e.kind, e.fields["status"], e.time // 60e9) for e in flow.replay(rows).events]
    [('silence', 'opened', 14.0), ('silence', 'closed', 30.0)]
    """

    after: str | None = None
    factor: float = 5.0
    at_least: str = "10s"

    @cached_property
    def memory(self) -> Memory:
        """The first and last arrival, the deadline, the silence that lasts, and the rhythm."""
        return Memory(
            {
                "first": 0,
                "last": Field(np.int64, _NEVER),
                "due": Field(np.int64, _LATER),
                "opened": Field(np.int64, _NEVER),
                "total": 0.0,
                "weight": 0.0,
                "gaps": 0,
            }
        )

    @cached_property
    def _limits(self) -> tuple[int, float, int]:
        after = 0 if self.after is None else stated(self.step, "after", self.after)
        return after, float(self.factor), stated(self.step, "at_least", self.at_least, zero=True)

    def bind(self, schema: Schema) -> Self:
        """Check the durations and the factor."""
        if not (isfinite(self.factor) and self.factor > 1):
            raise FlowError(f"step {self.step!r}: factor={self.factor!r}; more than 1, such as 5")
        _ = self._limits
        return replace(self)

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Follow the arrivals in a kernel; only silences become objects."""
        from streamflow.stages.rhythm import listen

        n = len(batch)
        began, since, ended = np.zeros(n, bool), np.zeros(n, np.int64), np.full(n, _NEVER)
        memory = (state[name] for name in self.memory.fields)
        listen(*memory, batch.device, batch.arrived, *self._limits, began, since, ended)
        events = []
        for i in np.flatnonzero(ended != _NEVER).tolist():
            row, opened, last = int(batch.device[i]), int(ended[i]), int(since[i])
            if began[i]:
                events.append(_overdue(state, row, opened, last))
            now = int(batch.arrived[i])
            fields = {"status": "closed", "opened": iso(opened), "seconds": (now - last) / 1e9}
            events.append(state.event("silence", row, now, fields, opened=opened))
        return batch, events

    def on_tick(self, now: int, state: State) -> tuple[Batch | None, list[Event]] | None:
        """The devices that are overdue by now."""
        rows: Rows = np.flatnonzero(state["due"] <= now)
        if not len(rows):
            return None
        opened = state["due"][rows]
        state["opened"][rows], state["due"][rows] = opened, _LATER
        found = zip(rows.tolist(), opened.tolist(), state["last"][rows].tolist(), strict=True)
        return None, [_overdue(state, *one) for one in found]


def _overdue(state: State, row: int, due: int, last: int) -> Event:
    fields = {"status": "opened", "last": iso(last), "seconds": (due - last) / 1e9}
    return state.event("silence", row, due, fields)
