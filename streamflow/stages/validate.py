"""Validate: values that cannot be true are flagged and become missing; the reading goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch, Values
from streamflow.core.memory import Field, Memory
from streamflow.core.quality import Quality
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, suggest
from streamflow.stages.overrides import Limits, check_limits, read_overrides, unseen
from streamflow.stages.units import SAME, Affine, conversion
from streamflow.stages.values import flagged, stacked

Unit = str | tuple[str, Mapping[str, str]]


@dataclass(frozen=True)
class Validate(Stage):
    """Convert units; flag values that cannot be true, and make them missing.

    not_finite: ±inf. out_of_range: below the sensor's `low` or above its `high`, both of which
    are still true values. too_fast: |x - x0| > rate * |t - t0|, with x0 the device's last value
    that was none of this, of time t0; so what is allowed widens until the values are believed
    again. (Text where a number should be has been flagged `invalid` when the message was decoded.)

    Parameters
    ----------
    limits
        sensor -> (low, high), in the sensor's unit; takes the place of the flow's `Sensor` range.
    overrides
        device -> sensor -> (low, high); or the path of a CSV file with the columns
        device,sensor,low,high, where an empty limit is none.
    rates
        sensor -> the greatest change, in its unit per second.
    required
        Sensors that must have a value after all this, or the reading is rejected. Of sensors in a
        tuple one is enough: ["t", ("p", "q")].
    units
        sensor -> the unit in which messages report it, such as "degF"; it is converted into the
        one that its `Sensor` declares. Where that hangs on a tag, as it does on the firmware:
        (tag, {word: unit}); with any other word values are in the declared unit.

    Raises
    ------
    FlowError
        For a sensor that the flow does not have, limits that contradict each other, a unit that
        is none or of another kind.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Validate({"t": (0, 100)})
    >>> rows = [{"device": "a", "time": 0, "t": 20.0}, {"device": "a", "time": 1, "t": 999.0}]
    >>> flow.replay(rows).rows["t"].tolist()
    [20.0, nan]

    >>> from streamflow import Sensor
    >>> flow = Flow("doc", sensors={"t": Sensor("degC")}) | Validate(units={"t": "degF"})
    >>> flow.replay([{"device": "a", "time": 0, "t": 50.0}]).rows["t"].round(9).tolist()
    [10.0]
    """

    limits: Limits = field(default_factory=dict)
    overrides: Mapping[str, Limits] | str | Path = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    required: Sequence[str | tuple[str, ...]] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    _affine: Mapping[str, Affine | tuple[str, Mapping[str, Affine]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def bind(self, schema: Schema) -> Self:
        """Take the flow's ranges for sensors without limits; read the overrides; look up units."""
        overrides, place = self.overrides, f"step {self.step!r}"
        if isinstance(overrides, (str, Path)):
            overrides = read_overrides(place, Path(overrides), schema)
        for limits in (self.limits, *overrides.values()):
            for sensor, (low, high) in limits.items():
                check_limits(place, sensor, low, high, schema)
        self._check(place, schema)
        declared = {name: (s.low, s.high) for name, s in schema.sensors.items()}
        bound = replace(self, limits={**declared, **self.limits}, overrides=overrides)
        affine = {name: self._affine_of(place, name, schema) for name in self.units}
        object.__setattr__(bound, "_affine", affine)
        return bound

    def _check(self, place: str, schema: Schema) -> None:
        if isinstance(self.required, str):
            raise FlowError(f"{place}: required={self.required!r} is a list: [{self.required!r}]")
        groups = [(one,) if isinstance(one, str) else tuple(one) for one in self.required]
        for key, names in (
            ("rates", self.rates),
            ("units", self.units),
            ("required", [name for group in groups for name in group]),
        ):
            for name in names:
                if name not in schema.sensors:
                    raise FlowError(
                        f"{place}: {key}: no sensor {name!r}; {suggest(name, schema.sensors)}"
                    )
        if () in groups:
            raise FlowError(f"{place}: required holds a tuple without a sensor")
        for name, rate in self.rates.items():
            if not 0 < rate < float("inf"):
                raise FlowError(
                    f"{place}: the rate of {name!r} is {rate}; it must be above 0, per second"
                )

    def _affine_of(
        self, place: str, sensor: str, schema: Schema
    ) -> Affine | tuple[str, Mapping[str, Affine]]:
        unit, declared = self.units[sensor], schema.sensors[sensor].unit
        if isinstance(unit, str):
            return conversion(place, sensor, unit, declared)
        try:
            tag, table = unit
            pairs = dict(table).items()
        except (TypeError, ValueError):
            raise FlowError(
                f"{place}: units of {sensor!r}: {unit!r} is neither a unit "
                f"nor (tag, {{word: unit}})"
            ) from None
        if tag not in schema.tags:
            raise FlowError(
                f"{place}: units of {sensor!r}: no tag {tag!r}; {suggest(tag, schema.tags)}"
            )
        return tag, {word: conversion(place, sensor, name, declared) for word, name in pairs}

    @cached_property
    def memory(self) -> Memory:
        """With overrides, each device's own limits; with rates, its last values."""
        fields: dict[str, Field] = {}
        if self.overrides:
            for name in ("low", "high"):
                fields[name] = Field(np.float64, shape=(len(self.limits),), derived=True)
        if self.rates:
            fields["last"] = Field(np.float64, np.nan, (len(self.rates),))
            fields["since"] = Field(np.int64, 0, (len(self.rates),))
        return Memory(fields)

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Look up each device's own limits."""
        if not self.overrides:
            return
        own: Mapping[str, Any] = self.overrides  # type: ignore[assignment]
        for name, row in zip(names, rows, strict=True):
            pairs = {**self.limits, **own.get(name, {})}.values()
            state["low"][row], state["high"][row] = zip(*pairs, strict=True)

    def remarks(self, seen: Collection[str]) -> Sequence[str]:
        """Overrides for devices that were not seen."""
        own: Mapping[str, Any] = self.overrides  # type: ignore[assignment]
        return unseen(self.step, "overrides", own, seen)

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Compare whole columns; what depends on the value before, in a kernel."""
        for sensor, affine in self._affine.items():
            values = _converted(batch, batch[sensor], affine)
            batch = batch.with_columns({sensor: values})
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
        if self.rates:
            batch = self._paced(batch, state)
        for one in self.required:
            names = (one,) if isinstance(one, str) else one
            without = np.logical_and.reduce([np.isnan(batch[name]) for name in names])
            if without.any():
                batch = batch.reject(without, f"no value of {' or '.join(names)}")
        return batch

    def _paced(self, batch: Batch, state: State) -> Batch:
        from streamflow.stages.pace import pace

        sensors = tuple(self.rates)
        values, usable = stacked(batch, sensors)
        flags = np.zeros(values.shape, np.uint16)
        known = (state["last"], state["since"], np.array(list(self.rates.values()), np.float64))
        pace(*known, batch.device, batch.time, values, usable, flags)
        return flagged(batch, sensors, values, flags, missing=Quality.TOO_FAST)


def _converted(
    batch: Batch, values: Values, affine: Affine | tuple[str, Mapping[str, Affine]]
) -> Values:
    if isinstance(affine, Affine):
        return (values + affine.before) * affine.scale + affine.after
    tag, table = affine
    words = batch.tags[tag]
    # The last is that of a missing word, whose code is -1.
    each = np.array([*(table.get(word, SAME) for word in words.vocabulary), SAME])[words.codes]
    return np.asarray((values + each[:, 0]) * each[:, 1] + each[:, 2])
