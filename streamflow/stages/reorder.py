"""Reorder: each device's readings in the order of their event times, within a stated lateness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from streamflow.core.batch import Batch, Rows
from streamflow.core.duration import stated
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError

_MINUTE = 60 * 10**9
_NEVER, _LATER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True)
class Reorder(Stage):
    """Hold each device's readings back until they can be given on in the order of event time.

    A device's watermark is its newest event time so far minus `lateness`. Readings up to it go on,
    by event time, equal times in the order in which they came. A reading that is older than the
    watermark when it comes is rejected as "late"; its tag `detail` says how far it is behind the
    newest. No device waits for another, or moves another's watermark.

    When nothing has come from a device for `idle`, all it has held goes on, and its watermark is
    its newest event time. That is so on ticks, or at its next reading if no tick came before; in
    history, where a reading arrives at its event time, it is so after a gap of `idle`. The end of
    the input gives everything on; a stop does not.

    Parameters
    ----------
    lateness
        How far behind its device's newest a reading may be. Every reading is held that long, in
        event time: it delays alerts.
    idle
        The time without an arrival after which a device is not waited for; at least `lateness`,
        which is the default if it is more than a minute. Default else "1m".

    Raises
    ------
    FlowError
        For a lateness of nothing, and if `idle` is shorter than that.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Reorder(lateness="5s")
    >>> rows = [{"device": "a", "time": i, "t": float(i)} for i in (1, 3, 2, 20, 9, 21)]
    >>> result = flow.replay(rows)
    >>> result.rows["t"].tolist()
    [1.0, 2.0, 3.0, 20.0, 21.0]
    >>> [(row["t"], row["reason"], row["detail"]) for row in result.rejected]
    [(9.0, 'late', '11s')]
    """

    lateness: str = "10s"
    idle: str | None = None

    @cached_property
    def _lateness(self) -> int:
        return stated(self.step, "lateness", self.lateness)

    @cached_property
    def _idle(self) -> int:
        if self.idle is None:
            return max(self._lateness, _MINUTE)
        return stated(self.step, "idle", self.idle)

    def bind(self, schema: Schema) -> Self:
        """Check the durations."""
        if self._idle < self._lateness:
            raise FlowError(
                f"step {self.step!r}: idle={self.idle!r} is shorter than lateness="
                f"{self.lateness!r}: what is still in time would be late; give at least as much"
            )
        return replace(self)

    @cached_property
    def memory(self) -> Memory:
        """How far each device has come; what it holds is chained through the slots."""
        return Memory(
            {
                "newest": Field(np.int64, _NEVER),
                "floor": Field(np.int64, _NEVER),  # the watermark after it was idle
                "last": Field(np.int64, _NEVER),  # its last arrival
                "due": Field(np.int64, _LATER, derived=True),  # when it is idle
                "head": Field(np.intp, -1, derived=True),
                "tail": Field(np.intp, -1, derived=True),
            },
            holds=True,
        )

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Chain what came back with a snapshot."""
        if not state.held_count or state["head"].max() >= 0:
            return
        from streamflow.stages.queues import link

        held, slots = state.buffer, state.buffer.slots()
        chain = (state["last"], state["due"], state["head"], state["tail"])
        link(*chain, held.links, held.time, held.device[slots], slots, self._idle)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Put all in; take out, in order, what is complete and what is late."""
        from streamflow.stages.queues import arrange

        slots = state.hold(batch)
        held = state.buffer
        out, by = np.empty(len(held), np.intp), np.empty(len(batch), np.int64)
        names = ("newest", "floor", "last", "due", "head", "tail")
        chain = (*(state[name] for name in names), held.links, held.time)
        limits = (self._lateness, self._idle)
        count = arrange(*chain, batch.device, slots, batch.arrived, *limits, out, by)
        out = out[:count]
        late = out < 0
        if not late.any():
            return state.take(out)
        behind = np.zeros(count, np.int64)
        behind[late] = by[: np.count_nonzero(late)]
        gone = state.take(np.where(late, ~out, out))
        return gone.reject(late, "late").with_detail(late, behind)

    def warm(self, batch: Batch, state: State) -> None:
        """The kernels that nothing but a silence, the end or a restart needs."""
        from streamflow.stages.queues import flush, link

        none, held = np.zeros(0, np.intp), state.buffer
        names = ("newest", "floor", "due", "head", "tail")
        flush(*(state[name] for name in names), held.links, none, none)
        chain = (state["last"], state["due"], state["head"], state["tail"])
        link(*chain, held.links, held.time, held.device[none], none, self._idle)

    def on_tick(self, now: int, state: State) -> Batch | None:
        """Devices from which nothing came for `idle`."""
        return self._flush(np.flatnonzero(state["due"] <= now), state)

    def on_end(self, state: State) -> Batch | None:
        """All devices."""
        return self._flush(np.flatnonzero(state["head"] >= 0), state)

    def _flush(self, rows: Rows, state: State) -> Batch | None:
        if not len(rows):
            return None
        from streamflow.stages.queues import flush

        out = np.empty(state.held_count, np.intp)
        names = ("newest", "floor", "due", "head", "tail")
        count = flush(*(state[name] for name in names), state.buffer.links, rows, out)
        return state.take(out[:count])
