"""GuardClock: times that cannot be true are corrected by the device's skew, or rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.duration import stated
from streamflow.core.event import Event
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError

_NEVER = np.iinfo(np.int64).min
_HOUR = 3600 * 10**9


@dataclass(frozen=True)
class GuardClock(Stage):
    """Correct each reading's time by how far its device's clock is off, or reject the reading.

    offset = time - arrival. Nothing arrives before it is measured, so an offset above `ahead` is
    the clock's fault. When three readings in a row agree within `ahead`, the greatest of their
    offsets, which belongs to the one that was delayed least, becomes the device's skew: what the
    clock shows too much. From then on

    time[t] = time[t] - skew, skew = 0 where the offset is within `ahead`

    until three others agree on another skew. A skew within a minute of a whole number of hours, at
    most 14, is taken for a wrong time zone or a missed change to summer time, and is exactly that;
    others are whole milliseconds. A clock that is behind is told from delay by its offset, which
    must stay the same within `ahead` for 4 times `ahead`: readings that were stored come in faster
    than they were measured. Corrected times are right within `ahead`. A new skew raises an event
    of kind "clock"; the column `skew` is what was subtracted, in s, so the original time is the
    sum of both.

    Rejected, with how much in the tag `detail`: "future" (ahead of the arrival, and no skew is
    agreed on yet), "clock not set" (before `oldest`), "clock jumped" (more than `behind` behind
    the arrival; or just right, on a device that was not; again until three agree), "clock stopped"
    (the same time for longer than `ahead`). Equal times are no fault otherwise.

    What it cannot know: a delay that stays the same looks like a slow clock. In history, where a
    reading's arrival is its time, there is no offset and no skew: only what is before `oldest` is
    seen, and a jump of more than `behind` from the device's own reading before; that is believed,
    as the end of a gap, at its third reading.

    Parameters
    ----------
    ahead
        How much a clock may be off.
    behind
        How late a reading may come; and how far, in history, a device may jump.
    oldest
        Nothing was measured before this day; clocks that are not set start in 1970, 1980 or 2000.
    correct
        False rejects what it would correct.

    Raises
    ------
    FlowError
        For a duration or a day that is none, and if `behind` is not above `ahead`.

    Examples
    --------
    >>> from streamflow import Batch, Flow
    >>> flow = Flow("doc", sensors=["t"]) | GuardClock()
    >>> now, hour = 1_767_225_600 * 10**9, 3600 * 10**9  # its zone is an hour off
    >>> rows = [{"device": "a", "time": t + hour, "arrived": t + 10**9, "t": 20.0}
    ...     for t in range(now, now + 4 * 10**9, 10**9)]
    >>> result = flow.replay(Batch.of(rows, ["t"]))
    >>> skews = result.rows["skew"].tolist()
    >>> [((t - now) // 10**9, skew) for t, skew in zip(result.rows.time.tolist(), skews)]
    [(2, 3600.0), (3, 3600.0)]
    >>> [row["reason"] for row in result.rejected]
    ['future', 'future']
    """

    ahead: str = "5m"
    behind: str = "30d"
    oldest: str = "2001-01-01"
    correct: bool = True

    @property
    def adds(self) -> Sequence[str]:
        """`skew`, or `NAME_skew` for a named step."""
        return (f"{self.name}_skew" if self.name else "skew",)

    @cached_property
    def memory(self) -> Memory:
        """The clock's skew, where it last stood, and what speaks for another skew."""
        never = Field(np.int64, _NEVER)
        return Memory(
            {
                "skew": 0,
                "last": never,
                "raw": never,
                "since": 0,
                "hint": 0,
                "best": 0,
                "began": 0,
                "count": 0,
            }
        )

    @cached_property
    def _limits(self) -> tuple[int, int, int]:
        ahead, behind = (stated(self.step, key, getattr(self, key)) for key in ("ahead", "behind"))
        if behind <= ahead:
            raise FlowError(
                f"step {self.step!r}: behind={self.behind!r} is not above ahead={self.ahead!r}"
            )
        try:
            oldest = datetime.fromisoformat(self.oldest).replace(tzinfo=UTC)
        except (ValueError, TypeError):
            raise FlowError(
                f"step {self.step!r}: oldest={self.oldest!r} is not a day; write it like 2001-01-01"
            ) from None
        return ahead, behind, round(oldest.timestamp()) * 10**9

    def bind(self, schema: Schema) -> Self:
        """Check the durations and the day."""
        _ = self._limits
        return replace(self)

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Follow each device's clock in a kernel."""
        from streamflow.stages.skew import REASONS, judge

        time, n = batch.time.copy(), len(batch)
        reason, turned = np.zeros(n, np.uint8), np.zeros(n, bool)
        by, was = np.zeros(n, np.int64), np.zeros(n, np.int64)
        memory = (state[name] for name in self.memory.fields)
        given = (batch.device, time, batch.arrived, *self._limits, self.correct)
        judge(*memory, *given, reason, by, was, turned)
        skew = batch.time - time
        batch = batch.replace(time=time).with_columns({self.adds[0]: skew / 1e9})
        aside = reason > 0
        if aside.any():
            for code, why in REASONS.items():
                if (reason == code).any():
                    batch = batch.reject(reason == code, why)
            batch = batch.with_detail(aside, by)
        events = []
        for i in np.flatnonzero(turned).tolist():
            fields = _told(skew[i].item(), was[i].item())
            events.append(state.event("clock", batch.device[i].item(), time[i].item(), fields))
        return batch, events


def _told(skew: int, was: int) -> dict[str, Any]:
    status = "fast" if skew > 0 else "slow" if skew < 0 else "right"
    zone = skew != 0 and skew % _HOUR == 0
    return {"status": status, "skew": skew / 1e9, "was": was / 1e9, "time_zone": zone}
