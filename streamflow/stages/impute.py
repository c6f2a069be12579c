"""Impute: a missing value becomes the device's last good one, or another estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.duration import duration
from streamflow.core.memory import Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, suggest
from streamflow.formats.times import zone
from streamflow.models.readable import recipe

if TYPE_CHECKING:
    from streamflow.models.compiled import Alone
    from streamflow.models.kernels.base import Imputer
    from streamflow.stages.fill.base import Fill

WAYS = {
    "last": ("last", "Last"),
    "linear": ("linear", "Linear"),
    "mean": ("recent", "Mean"),
    "median": ("recent", "Median"),
    "regression": ("regression", "Regression"),
    "seasonal": ("seasonal", "Seasonal"),
}
"""`by` -> the module and the class; loaded when used, for they bring Numba along."""


@dataclass(frozen=True)
class Impute(Stage):
    """Fill a missing value with an estimate, if the device's last good one is at most `hold` old.

    x[t] is filled if it is missing and 0 <= t - t0 <= hold, t0 the event time of the last good
    value in arrival order. With what, `by` says, from the device's own good values:

    - last: x[t0].
    - linear: on the line from x[t0] to the next good value x[t1], if t1 - t0 <= hold. So a gap's
      readings wait for its end, up to 100 of a device and for `hold` since their arrival.
    - mean, median: of the last 32.
    - seasonal: the mean of this hour of the day, on the clocks of the flow's time zone, over the
      days before; a day weighs a fifth.
    - regression: a straight line through the values of the sensor beside it that explains it
      best, if that has been seen with it 30 times and explains half of its variance.

    With a River imputer in the place of `hold`, x[t] is what its `transform_one` makes of None; it
    learns the values that are good. Imputed values are flagged `imputed`; models do not learn
    from them.

    Parameters
    ----------
    hold
        The greatest age of a value that is still used, such as "1h"; or a River imputer,
        StatImputer or PreviousImputer. Never changed itself.
    sensors
        Which; default all of the flow. Those that `regression` looks at are among them.
    by
        last (default), linear, mean, median, seasonal or regression.

    Raises
    ------
    FlowError
        If `hold` is neither of the two, `by` is none of these, or a sensor does not exist.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Impute(hold="5s")
    >>> rows = [{"device": "a", "time": 0, "t": 20.0}, {"device": "a", "time": 3}]
    >>> result = flow.replay(rows)
    >>> result.rows["t"].tolist(), result.rows.quality["t"].tolist()
    ([20.0, 20.0], [0, 8])

    >>> from river import preprocessing, stats
    >>> mean = preprocessing.StatImputer(("t", stats.Mean()))
    >>> (Flow("doc", sensors=["t"]) | Impute(mean)).replay(rows).rows["t"].tolist()
    [20.0, 20.0]
    """

    hold: Any = field(compare=False)
    sensors: Sequence[str] = ()
    by: str = "last"
    recipe: str = field(default="", init=False, repr=False)
    _fill: Fill | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", recipe(self.hold))

    def bind(self, schema: Schema) -> Self:
        """Check duration or imputer, the way, and the sensors; default all."""
        schema.require(self.step, "sensors", self.sensors)
        sensors = tuple(self.sensors or schema.sensors)
        if self.by not in WAYS:
            raise FlowError(f"step {self.step!r}: no way by={self.by!r}; {suggest(self.by, WAYS)}")
        bound = replace(self, sensors=sensors)
        if self.by_time:
            object.__setattr__(bound, "_fill", self._way(sensors, schema))
            return bound
        from streamflow.models.check import check_imputer

        check_imputer(self.step, self.hold, sensors)
        if self.by != "last":
            raise FlowError(f"step {self.step!r}: a River imputer needs no by={self.by!r}")
        return bound

    @property
    def by_time(self) -> bool:
        """Whether it fills for a time, not by a River imputer."""
        return isinstance(self.hold, (str, int, float))

    def _way(self, sensors: Sequence[str], schema: Schema) -> Fill:
        limit = duration(self.hold)
        if self.by == "linear" and limit == 0:
            raise FlowError(f"step {self.step!r}: hold={self.hold!r} is no time to draw a line in")
        if self.by == "regression" and len(sensors) < 2:
            raise FlowError(f"step {self.step!r}: regression needs another sensor to look at")
        module, name = WAYS[self.by]
        way: type[Fill] = getattr(import_module(f"streamflow.stages.fill.{module}"), name)
        zone(schema.timezone)
        return way(sensors, limit, schema.timezone)

    @cached_property
    def model(self) -> Alone[Imputer] | None:
        """The imputer's kernel; None if it runs reading by reading, for the reason `slow`."""
        return self._compiled[0]

    @property
    def slow(self) -> str:
        """Why an imputer runs reading by reading; empty if it is compiled, or there is none."""
        return self._compiled[1]

    @cached_property
    def _compiled(self) -> tuple[Alone[Imputer] | None, str]:
        if self.by_time:
            return None, ""
        from streamflow.models.compile import compile_imputer
        from streamflow.models.kernels.base import CannotCompileError

        try:
            return compile_imputer(self.hold, self.sensors), ""
        except CannotCompileError as error:
            return None, str(error)

    @cached_property
    def memory(self) -> Memory:
        """What the way needs of the good values; or what the imputer learned."""
        if self._fill:
            return Memory(self._fill.fields, holds=self._fill.holds)
        from streamflow.models.codec import RiverCodec

        return Memory(self.model.fields) if self.model else Memory(codec=RiverCodec())

    @property
    def bytes_per_device(self) -> int:
        """The state's size, a River object's after its first reading as it is saved."""
        if self.by_time or self.model:
            return self.memory.bytes_per_device
        from streamflow.models.record import imputer_bytes

        return imputer_bytes(self.hold, self.sensors)

    def trained(self, state: State, row: int) -> Any:
        """A device's River imputer; None if it fills with the last value."""
        if self.by_time:
            return None
        if self.model:
            return self.model.export(state, row, self.hold)
        return deepcopy(state.objects.get(row, self.hold))

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Fill in each device's values, within the batch and over its edge."""
        if self._fill:
            return self._fill.on_batch(batch, state)
        if self.model:
            from streamflow.models.kernels.base import inputs

            seen, good = inputs(batch, self.sensors)
            may = np.ones(len(batch), bool)
            part = self.model.part(state)
            filled, _ = self.model.kernel.both(part, batch.device, seen, good, may)
            return _filled(batch, dict(zip(self.sensors, filled.values.T, strict=True)))
        from streamflow.models.record import impute

        values, faults = impute(self.hold, self.sensors, batch, state)
        return faults.reject(_filled(batch, values))

    def on_tick(self, now: int, state: State) -> Batch | None:
        """What has waited for too long for the end of its gap."""
        return self._fill.on_tick(now, state) if self._fill else None

    def on_end(self, state: State) -> Batch | None:
        """What still waits for the end of its gap."""
        return self._fill.on_end(state) if self._fill else None


def _filled(batch: Batch, columns: Mapping[str, Values]) -> Batch:
    """The batch with missing values taken from these columns, where those are finite."""
    for sensor, values in columns.items():
        where = np.isnan(batch[sensor]) & np.isfinite(values)
        if where.any():
            filled = np.where(where, values, batch[sensor])
            batch = batch.with_columns({sensor: filled}).mark(sensor, where, Quality.IMPUTED)
    return batch
