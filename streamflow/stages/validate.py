"""Validate: values that cannot be true are flagged and become missing; the reading goes on."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, suggest

Limits = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Validate(Stage):
    """Flag values that cannot be true, and make them missing.

    not_finite: ±inf. out_of_range: below the sensor's `low` or above its `high`, both of which
    are still true values. (Text where a number should be has been flagged `invalid` when the
    message was decoded.)

    Parameters
    ----------
    limits
        sensor -> (low, high), in the sensor's unit; takes the place of the flow's `Sensor` range.
    overrides
        device -> sensor -> (low, high); or the path of a CSV file with the columns
        device,sensor,low,high, where an empty limit is none.

    Raises
    ------
    FlowError
        For a sensor that the flow does not have, and for limits that contradict each other.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Validate({"t": (0, 100)})
    >>> rows = [{"device": "a", "time": 0, "t": 20.0}, {"device": "a", "time": 1, "t": 999.0}]
    >>> flow.replay(rows).rows["t"].tolist()
    [20.0, nan]
    """

    limits: Limits = field(default_factory=dict)
    overrides: Mapping[str, Limits] | str | Path = field(default_factory=dict)

    def bind(self, schema: Schema) -> Self:
        """Take the flow's ranges for sensors without limits; read the overrides."""
        overrides, place = self.overrides, f"step {self.step!r}"
        if isinstance(overrides, (str, Path)):
            overrides = _read_overrides(place, Path(overrides), schema)
        for limits in (self.limits, *overrides.values()):
            for sensor, (low, high) in limits.items():
                _check(place, sensor, low, high, schema)
        declared = {name: (s.low, s.high) for name, s in schema.sensors.items()}
        return type(self)({**declared, **self.limits}, overrides, name=self.name)

    @cached_property
    def memory(self) -> Memory:
        """With overrides, each device's own limits."""
        if not self.overrides:
            return Memory()
        shape = (len(self.limits),)
        return Memory(
            {
                "low": Field(np.float64, shape=shape, derived=True),
                "high": Field(np.float64, shape=shape, derived=True),
            }
        )

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Look up each device's own limits."""
        if not self.overrides:
            return
        own: Mapping[str, Any] = self.overrides  # type: ignore[assignment]
        for name, row in zip(names, rows, strict=True):
            pairs = {**self.limits, **own.get(name, {})}.values()
            state["low"][row], state["high"][row] = zip(*pairs, strict=True)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Compare whole columns."""
        for i, (sensor, (low, high)) in enumerate(self.limits.items()):
            values = batch[sensor]
            lows: Any = low
            highs: Any = high
            if self.overrides:
                lows, highs = state["low"][batch.device, i], state["high"][batch.device, i]
            infinite = np.isinf(values)
            outside = ((values < lows) | (values > highs)) & ~infinite
            bad = infinite | outside
            if bad.any():
                batch = batch.mark(sensor, infinite, Quality.NOT_FINITE)
                batch = batch.mark(sensor, outside, Quality.OUT_OF_RANGE)
                batch = batch.with_columns({sensor: np.where(bad, np.nan, values)})
        return batch


def _check(place: str, sensor: str, low: float, high: float, schema: Schema) -> None:
    if sensor not in schema.sensors:
        raise FlowError(f"{place}: no sensor {sensor!r}; {suggest(sensor, schema.sensors)}")
    if not low < high:
        raise FlowError(
            f"{place}: the limits of {sensor!r} contradict each other: "
            f"low {low} is not below high {high}"
        )


def _read_overrides(
    place: str, path: Path, schema: Schema
) -> dict[str, dict[str, tuple[float, float]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(f"{place}: {path}", csv.DictReader(file), schema)
    except OSError as error:
        raise FlowError(f"{place}: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FlowError(f"{place}: {path} is not CSV in UTF-8: {error}") from None


def _table(
    path: str, rows: csv.DictReader[str], schema: Schema
) -> dict[str, dict[str, tuple[float, float]]]:
    if not {"device", "sensor", "low", "high"} <= set(rows.fieldnames or ()):
        raise FlowError(f"{path}, line 1: the columns are device,sensor,low,high")
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise FlowError(f"{place}: it has more or fewer fields than the header")
        try:
            low, high = float(row["low"] or -inf), float(row["high"] or inf)
        except ValueError as error:
            raise FlowError(f"{place}: {error}") from None
        _check(place, row["sensor"], low, high, schema)
        table.setdefault(row["device"], {})[row["sensor"]] = (low, high)
    return table
