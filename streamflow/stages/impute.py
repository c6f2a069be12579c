"""Impute: a missing value becomes the device's last good one, or what a River imputer makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.duration import duration
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.models.readable import recipe

if TYPE_CHECKING:
    from streamflow.models.compiled import Alone
    from streamflow.models.kernels.base import Imputer


@dataclass(frozen=True)
class Impute(Stage):
    """Fill a missing value with the device's last good one, if that is at most `hold` old.

    x[t] = x[t0] if x[t] is missing and 0 <= t - t0 <= hold, t0 the event time of the last good
    value in arrival order. With a River imputer in the place of `hold`, x[t] is what its
    `transform_one` makes of None; it learns the values that are good. Imputed values are flagged
    `imputed`; models do not learn from them.

    Parameters
    ----------
    hold
        The greatest age of a value that is still used, such as "1h"; or a River imputer,
        StatImputer or PreviousImputer. Never changed itself.
    sensors
        Which; default all of the flow.

    Raises
    ------
    FlowError
        If `hold` is neither of the two, or a sensor does not exist.

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
    recipe: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", recipe(self.hold))

    def bind(self, schema: Schema) -> Self:
        """Check duration or imputer, and the sensors; default all."""
        schema.require(self.step, "sensors", self.sensors)
        sensors = tuple(self.sensors or schema.sensors)
        if self.by_time:
            duration(self.hold)
        else:
            from streamflow.models.check import check_imputer

            check_imputer(self.step, self.hold, sensors)
        return replace(self, sensors=sensors)

    @property
    def by_time(self) -> bool:
        """Whether it fills with the last value, not by a River imputer."""
        return isinstance(self.hold, (str, int, float))

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
        """The last good value of each sensor and when it was; or what the imputer learned."""
        if self.by_time:
            shape = (len(self.sensors),)
            times = {"value": Field(np.float64, np.nan, shape), "time": Field(np.int64, 0, shape)}
            return Memory(times)
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
        if self.by_time:
            return self._hold(batch, state)
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

    def _hold(self, batch: Batch, state: State) -> Batch:
        from streamflow.stages.hold import hold

        values = np.array([batch[sensor] for sensor in self.sensors])
        filled = np.zeros(values.shape, bool)
        flags = np.zeros(values.shape, np.uint16)
        for i, sensor in enumerate(self.sensors):
            if sensor in batch.quality:
                flags[i] = batch.quality[sensor]
        known = (state["value"], state["time"], self._limit)
        hold(*known, batch.device, batch.time, values, flags, filled)
        for i in np.flatnonzero(filled.any(axis=1)).tolist():
            sensor = self.sensors[i]
            batch = batch.with_columns({sensor: values[i]})
            batch = batch.mark(sensor, filled[i], Quality.IMPUTED)
        return batch

    @cached_property
    def _limit(self) -> int:
        return duration(self.hold)


def _filled(batch: Batch, columns: Mapping[str, Values]) -> Batch:
    """The batch with missing values taken from these columns, where those are finite."""
    for sensor, values in columns.items():
        where = np.isnan(batch[sensor]) & np.isfinite(values)
        if where.any():
            filled = np.where(where, values, batch[sensor])
            batch = batch.with_columns({sensor: filled}).mark(sensor, where, Quality.IMPUTED)
    return batch
