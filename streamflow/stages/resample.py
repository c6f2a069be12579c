"""Resample: a device's sensors, however often each is read, on one grid of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Rows
from streamflow.core.duration import stated
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, suggest

_NEVER, _LATER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_CELLS = 6
_MOST = 10_000
"""The most readings that may be made up in one gap."""
_HOWS = ("mean", "last")
_FILLS = ("hold", "linear")
Out = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Resample(Stage):
    """Give one reading of each device at each time of a grid: the multiples of `every` since 1970.

    The reading at time g stands for the cell (g - every, g]:

    x[g] = the mean, or the last, of the values of x in the cell, if there are any; else
    x[g] = the value of the last cell that had one, if that is at most `gap` ago; else missing.

    Good values count; if a cell has none, those that are flagged do, and keep their flags. A value
    that is held or interpolated is flagged `resampled`; models do not learn it. Tags, and columns
    that are no sensors, are those of the cell's last reading.

    Between two cells with readings, cells without are made up as far as `gap` allows, never behind
    a device's last one: at most gap / every for one that was measured, counted as created; the
    readings of a cell become one, and the others count as merged. A grid much finer than the data
    is therefore mostly made up; only the data can tell, so look at the flags.

    A cell is complete when a reading of a later one comes, or none at all for `gap` since the
    device's last arrival, on a tick or at its next reading. What comes after that is rejected as
    "late": put `Reorder` before this.

    Parameters
    ----------
    every
        The distance of the grid's times.
    how
        "mean" or "last", of the values in a cell; or sensor -> one of them, "mean" for the others.
    gap
        How long a value is held, or the longest gap that is interpolated; "0s" makes nothing up.
        Default: 6 times `every`.
    fill
        "hold", or "linear": in cells without readings, between two values at most `gap` apart; it
        has to wait for the second. A sensor that is missing beside others is held either way.

    Raises
    ------
    FlowError
        For a duration that is none; a gap shorter than the grid, or of more than 10,000 times it;
        a sensor that does not exist; another word for how or fill.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Resample(every="10s")
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in [(2, 1.0), (9, 3.0), (31, 7.0)]]
    >>> out = flow.replay(rows).rows
    >>> (out.time // 10**9).tolist(), out["t"].tolist(), out.quality["t"].tolist()
    ([10, 20, 30, 40], [2.0, 2.0, 2.0, 7.0], [0, 512, 512, 0])
    """

    every: str
    how: str | Mapping[str, str] = "mean"
    gap: str | None = None
    fill: str = "hold"
    sensors: tuple[str, ...] = field(default=(), init=False, repr=False)

    @cached_property
    def _every(self) -> int:
        return stated(self.step, "every", self.every)

    @cached_property
    def _gap(self) -> int:
        if self.gap is None:
            return _CELLS * self._every
        return stated(self.step, "gap", self.gap, zero=True)

    def bind(self, schema: Schema) -> Self:
        """Check the durations and words; resample all sensors."""
        place = f"step {self.step!r}"
        if 0 < self._gap < self._every:
            raise FlowError(
                f"{place}: gap={self.gap!r} is shorter than every={self.every!r}, so nothing could "
                f'be held; give at least as much, or "0s"'
            )
        if self._gap > _MOST * self._every:
            raise FlowError(
                f"{place}: every={self.every!r} is so fine that gap={self.gap!r} would make up "
                f"{self._gap // self._every:,} readings, more than {_MOST:,}; give a longer one"
            )
        own = {} if isinstance(self.how, str) else self.how
        for name in own:
            if name not in schema.sensors:
                raise FlowError(f"{place}: no sensor {name!r}; {suggest(name, schema.sensors)}")
        for word in [self.how] if isinstance(self.how, str) else own.values():
            if word not in _HOWS:
                raise FlowError(f"{place}: how={word!r}; {suggest(word, _HOWS)}")
        if self.fill not in _FILLS:
            raise FlowError(f"{place}: fill={self.fill!r}; {suggest(self.fill, _FILLS)}")
        bound = replace(self)
        object.__setattr__(bound, "sensors", tuple(schema.sensors))
        return bound

    def warnings(self) -> Sequence[str]:
        """How much it may make up."""
        most = self._gap // self._every
        if most <= 60:
            return ()
        return [f"up to {most:,} readings may be made up for one that was measured"]

    @cached_property
    def memory(self) -> Memory:
        """The open cell, what is in it, and the last value of each sensor."""
        d = (len(self.sensors),)
        return Memory(
            {
                "cell": Field(np.int64, _NEVER),
                "done": Field(np.int64, _NEVER),
                "last": Field(np.int64, _NEVER),
                "due": Field(np.int64, _LATER, derived=True),
                "slot": Field(np.intp, -1, derived=True),
                "mean": Field(np.float64, 0.0, d),
                "count": Field(np.int64, 0, d),
                "doubt": Field(np.float64, 0.0, d),
                "doubts": Field(np.int64, 0, d),
                "marks": Field(np.uint16, 0, d),
                "value": Field(np.float64, 0.0, d),
                "at": Field(np.int64, _NEVER, d),
            },
            holds=True,
        )

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Find the cells that came back with a snapshot."""
        slots = state.buffer.slots()
        device = state.buffer.device[slots]
        state["slot"][device] = slots
        state["due"][device] = state["last"][device] + self._wait

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Gather the readings into cells, each of which holds its last one."""
        from streamflow.stages.grid import gather

        n = len(batch)
        seen, quality = (
            np.empty((n, len(self.sensors))),
            np.zeros((n, len(self.sensors)), np.uint16),
        )
        for j, sensor in enumerate(self.sensors):
            seen[:, j] = batch[sensor]
            if sensor in batch.quality:
                quality[:, j] = batch.quality[sensor]
        cells = -(-batch.time // self._every)
        places, gone = state.hold(batch), np.empty(n, np.intp)
        given = (batch.device, cells, batch.arrived, places, seen, quality, self._latest)

        def run(start: int, out: Out) -> tuple[int, int]:
            at, m, merged = gather(
                self._fields(state), *given, self._wait, *self._making, start, out, gone
            )
            state.buffer.free(gone[:merged])
            state.merged += merged
            return at, m

        return self._given(n, run, state)

    def on_tick(self, now: int, state: State) -> Batch | None:
        """The cells of devices from which nothing came for `gap`."""
        return self._finish(np.flatnonzero(state["due"] <= now), state)

    def on_end(self, state: State) -> Batch | None:
        """All cells."""
        return self._finish(np.flatnonzero(state["slot"] >= 0), state)

    def warm(self, batch: Batch, state: State) -> None:
        """The kernel that nothing but a silence or the end needs."""
        from streamflow.stages.grid import finish

        finish(self._fields(state), np.zeros(0, np.intp), *self._making, 0, self._room(0))

    def _finish(self, rows: Rows, state: State) -> Batch | None:
        if not len(rows):
            return None
        from streamflow.stages.grid import finish

        def run(start: int, out: Out) -> tuple[int, int]:
            at, m = finish(self._fields(state), rows, *self._making, start, out)
            return at, m

        return self._given(len(rows), run, state)

    def _given(self, n: int, run: Callable[[int, Out], tuple[int, int]], state: State) -> Batch:
        """What a kernel makes of n readings or devices: rows on those that the cells have held."""
        from streamflow.stages.grid import LATE, MADE

        parts, start = [], 0
        while start < n:
            room = self._room(n - start)
            start, m = run(start, room)
            parts.append([column[:m] for column in room])
        out = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        slots, cells, kinds, values, flags = out
        batch = state.buffer.look(slots, state.index.names)
        made, late = kinds == MADE, kinds == LATE
        state.buffer.free(slots[~made])
        state.created += int(np.count_nonzero(made))
        columns = {
            name: np.where(made, np.nan, column)
            for name, column in batch.columns.items()
            if name not in self.sensors
        }
        quality = {s: f for s, f in batch.quality.items() if s not in self.sensors}
        for j, sensor in enumerate(self.sensors):
            columns[sensor] = np.where(late, batch[sensor], values[:, j])
            found = np.where(late, batch.flags(sensor), flags[:, j])
            if found.any():
                quality[sensor] = found
        time = np.where(late, batch.time, cells * self._every)
        columns = {name: columns[name] for name in batch.columns}
        batch = batch.replace(time=time, columns=columns, quality=quality)
        if not late.any():
            return batch
        return batch.reject(late, "late").with_detail(late, cells * self._every)

    def _room(self, n: int) -> Out:
        """Room for what n readings usually give, and for all that one can."""
        size, d = 2 * n + self._making[0] + 3, len(self.sensors)
        ints = (np.empty(size, np.intp), np.empty(size, np.int64), np.empty(size, np.uint8))
        return (*ints, np.empty((size, d)), np.empty((size, d), np.uint16))

    def _fields(self, state: State) -> Out:
        return tuple(state[name] for name in self.memory.fields)

    @cached_property
    def _wait(self) -> int:
        return max(self._gap, self._every)

    @cached_property
    def _making(self) -> tuple[int, bool]:
        return self._gap // self._every, self.fill == "linear"

    @cached_property
    def _latest(self) -> NDArray[np.bool_]:
        how = self.how
        own = dict.fromkeys(self.sensors, how) if isinstance(how, str) else how
        return np.array([own.get(sensor, "mean") == "last" for sensor in self.sensors])
