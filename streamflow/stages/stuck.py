"""Stuck: a sensor that shows one value for too long, the end of its range, or coarse steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.duration import duration
from streamflow.core.expr import Expr, parse
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema, Sensor
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError
from streamflow.stages.values import flagged, stacked


@dataclass(frozen=True)
class Stuck(Stage):
    """Flag what a sensor shows while it is stuck, pinned at an end, or suddenly coarse.

    stuck: the same value for `after`, and twice as long as the second longest such run that the
    device's own sensor has shown before. So what happens twice is usual, such as the constant
    nights of a machine that rests, and a sensor that has never moved is not judged. The value
    becomes missing; those of the run's beginning have gone on already, and been learned.

    saturated: the same value `pinned` times in a row at the declared end of the sensor's range, or
    at its own extreme, in a run twice as long as the second longest before; there runs at an end
    count only if they were flagged themselves, so what is usual there has been told of twice.
    coarse: the last 8 changes, or more, are multiples of a step that is `coarse` times the widest
    usual one. Both values are kept, for they say something.

    Parameters
    ----------
    after
        How long, in event time, as "1h"; or how many readings. None: not looked for.
    pinned
        How many readings. None: not looked for.
    coarse
        How many times the usual step. None: not looked for. A sensor has a usual step after 100
        changes; what lasts for 1,000 changes becomes usual.
    unless
        Where it holds, constancy is as it should be: "running == 0".
    siblings
        sensor -> another, which must change for a run of the first to grow longer.
    resolution
        sensor -> the difference, in its unit, that counts as none. Default 0.
    sensors
        Which; default all of the flow.

    Raises
    ------
    FlowError
        For a limit that can never or always be reached, and a column that does not exist.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Stuck(after=4)
    >>> values = [20.1, 20.3, 20.2, 20.2, 20.2, 20.2, 20.4]
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(values)]
    >>> flow.replay(rows).rows["t"].tolist()
    [20.1, 20.3, 20.2, 20.2, 20.2, nan, 20.4]
    """

    after: str | int | None = "1h"
    pinned: int | None = 5
    coarse: float | None = 4.0
    unless: str | None = None
    siblings: Mapping[str, str] = field(default_factory=dict)
    resolution: Mapping[str, float] = field(default_factory=dict)
    sensors: Sequence[str] = ()
    _declared: Mapping[str, Sensor] = field(default_factory=dict, init=False, repr=False)

    def bind(self, schema: Schema) -> Self:
        """Check limits and columns; take the ends of the sensors' ranges."""
        schema.require(self.step, "sensors", self.sensors)
        schema.require(self.step, "siblings", [*self.siblings, *self.siblings.values()])
        schema.require(self.step, "resolution", self.resolution)
        sensors = tuple(self.sensors or schema.sensors)
        self._check(sensors)
        if self._unless is not None:
            self._unless.check(self.step, "unless", schema.columns, schema.tags)
        bound = replace(self, sensors=sensors)
        declared = {name: schema.sensors.get(name, Sensor()) for name in sensors}
        object.__setattr__(bound, "_declared", declared)
        return bound

    def _check(self, sensors: Sequence[str]) -> None:
        place = f"step {self.step!r}"
        if self.after is None and self.pinned is None and self.coarse is None:
            raise FlowError(f"{place}: after, pinned and coarse are all None: nothing to look for")
        if isinstance(self.after, str) and duration(self.after) == 0:
            raise FlowError(f"{place}: after={self.after!r} is no time; write it like 1h")
        for key, least in (("after", 2), ("pinned", 2)):
            count = getattr(self, key)
            if count is None or isinstance(count, str):
                continue
            if not isinstance(count, int) or isinstance(count, bool) or count < least:
                raise FlowError(
                    f"{place}: {key}={count!r} is a number of readings with one value: "
                    f"at least {least}"
                )
        if self.coarse is not None and not self.coarse > 1:
            raise FlowError(f"{place}: coarse={self.coarse} must be more than 1 usual step")
        for key, named in (("siblings", self.siblings), ("resolution", self.resolution)):
            for name in named:
                if name not in sensors:
                    raise FlowError(f"{place}: {key} names {name!r}, which is not in sensors")
        for name, other in self.siblings.items():
            if name == other:
                raise FlowError(f"{place}: the sibling of {name!r} must be another sensor")
        for name, size in self.resolution.items():
            if not 0 <= size < float("inf"):
                raise FlowError(f"{place}: resolution of {name!r} is {size}; it is a difference")

    @property
    def uses(self) -> Sequence[str]:
        """The sensors, their siblings, and the columns of `unless`."""
        names = self._unless.names if self._unless else ()
        return (*self.sensors, *self.siblings.values(), *names)

    @cached_property
    def _unless(self) -> Expr | None:
        return None if self.unless is None else parse(self.unless)

    @cached_property
    def memory(self) -> Memory:
        """The run of each sensor, what is usual for it, and the grid of its values."""
        d = len(self.sensors)
        return Memory(
            {
                "level": Field(np.float64, np.nan, (d, 4)),  # see flatline.py
                "run": Field(np.int64, 0, (d, 6)),
                "usual": Field(np.int64, 0, (d, 2, 2)),
                "grid": Field(np.float64, 0, (d, 3)),  # see lattice.py
                "fits": Field(np.int64, 0, (d, 3)),
            }
        )

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Follow each sensor's run and grid in two kernels."""
        from streamflow.stages.flatline import flatline
        from streamflow.stages.lattice import lattice

        values, usable = stacked(batch, self.sensors)
        flags = np.zeros(values.shape, np.uint16)
        if self.after is not None or self.pinned is not None:
            excused = (
                np.zeros(len(batch), bool) if self._unless is None else self._unless.mask(batch)
            )
            level, run, usual = state["level"], state["run"], state["usual"]
            rule = (self._after, isinstance(self.after, str), self._pinned, *self._ends)
            seen = (batch.device, batch.time, values, usable, excused)
            flatline(level, run, usual, *rule, *seen, *self._others(batch, values), flags)
        if self.coarse is not None:
            grid, fits, wider = state["grid"], state["fits"], float(self.coarse)
            lattice(grid, fits, wider, batch.device, values, usable, flags)
        return flagged(batch, self.sensors, values, flags, missing=Quality.STUCK)

    @cached_property
    def _after(self) -> int:
        if self.after is None:
            return -1
        return duration(self.after) if isinstance(self.after, str) else self.after

    @cached_property
    def _pinned(self) -> int:
        return -1 if self.pinned is None else self.pinned

    @cached_property
    def _ends(self) -> tuple[Values, Values]:
        """The ends of the ranges [2, d], and the resolutions [d]."""
        ranges = [(s.low, s.high) for s in self._declared.values()]
        same = [self.resolution.get(name, 0.0) for name in self.sensors]
        return np.array(ranges, np.float64).T.copy(), np.array(same, np.float64)

    def _others(self, batch: Batch, values: Values) -> tuple[Values, Values]:
        """Which sensors have a sibling, bool[d], and the siblings' values [d, n]."""
        watched = np.array([name in self.siblings for name in self.sensors])
        if not self.siblings:
            return watched, values
        others = np.full(values.shape, np.nan)
        for j, name in enumerate(self.sensors):
            if name in self.siblings:
                others[j] = batch[self.siblings[name]]
        return watched, others
