"""Impute: a missing value becomes the device's last good one, while that is young enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.duration import duration
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State


@dataclass(frozen=True)
class Impute(Stage):
    """Fill a missing value with the device's last good one, if that is at most `hold` old.

    x[t] = x[t0] if x[t] is missing and 0 <= t - t0 <= hold, t0 the event time of the last good
    value in arrival order. Imputed values are flagged `imputed`; models do not learn from them.

    Parameters
    ----------
    hold
        The greatest age of a value that is still used, such as "1h".
    sensors
        Which; default all of the flow.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Impute(hold="5s")
    >>> rows = [{"device": "a", "time": 0, "t": 20.0}, {"device": "a", "time": 3}]
    >>> result = flow.replay(rows)
    >>> result.rows["t"].tolist(), result.rows.quality["t"].tolist()
    ([20.0, 20.0], [0, 8])
    """

    hold: str
    sensors: Sequence[str] = ()

    def bind(self, schema: Schema) -> Self:
        """Check the sensors; default all."""
        duration(self.hold)
        schema.require(self.step, "sensors", self.sensors)
        return replace(self, sensors=tuple(self.sensors or schema.sensors))

    @cached_property
    def memory(self) -> Memory:
        """The last good value of each sensor and when it was."""
        shape = (len(self.sensors),)
        return Memory(
            {"value": Field(np.float64, np.nan, shape), "time": Field(np.int64, 0, shape)}
        )

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Carry each device's values forward, within the batch and over its edge."""
        order, start, device = batch.groups
        if not len(order):
            return batch
        rank = np.arange(len(order))
        group = np.repeat(np.arange(len(device)), np.diff(start))
        time = batch.time[order]
        limit = duration(self.hold)
        for i, sensor in enumerate(self.sensors):
            values = batch[sensor][order]
            good = np.isfinite(values) & (batch.flags(sensor)[order] == 0)
            last = np.maximum.accumulate(np.where(good, rank, -1))
            inside = last >= start[:-1][group]
            held = np.where(inside, values[last], state["value"][device, i][group])
            since = np.where(inside, time[last], state["time"][device, i][group])
            age = time - since
            fill = np.isnan(values) & ~np.isnan(held) & (age >= 0) & (age <= limit)
            tail = start[1:] - 1
            state["value"][device, i], state["time"][device, i] = held[tail], since[tail]
            if fill.any():
                filled: Values = batch[sensor].copy()
                filled[order[fill]] = held[fill]
                where = np.zeros(len(batch), bool)
                where[order[fill]] = True
                batch = batch.with_columns({sensor: filled}).mark(sensor, where, Quality.IMPUTED)
        return batch
