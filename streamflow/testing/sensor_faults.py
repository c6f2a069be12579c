"""Faults of sensors: the value is not what was there to be measured."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from streamflow.core.batch import Mask, Values
from streamflow.testing.faults import Chance, Fault, Faulty, Severity, onwards, some, stretch

Changed = tuple[Values, Mask]


def spread(values: Values) -> float:
    """The distance between the 1st and the 99th percentile; 1 where there is none.

    >>> spread(np.arange(101.0))
    98.0
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 1.0
    low, high = np.percentile(known, [1, 99]).tolist()
    return float(high - low) or float(np.ptp(known)) or max(abs(float(known[0])), 1.0)


@dataclass(frozen=True)
class SensorFault(Fault):
    """What faults of a single sensor share: they see one device's values, in order of arrival."""

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """Change each device's values, sensor by sensor."""
        for sensor in self.sensors or list(stream.batch.columns):
            column = stream.batch[sensor].copy()
            marked = np.zeros(len(column), bool)
            for device, rows in self.each(stream.batch):
                values = column[rows]
                if np.isfinite(values).any():
                    rng = chance(f"{device}\0{sensor}")
                    column[rows], marked[rows] = self.change(values.copy(), rng)
            stream = stream.with_values(self.kind, sensor, column, marked)
        return stream

    @abstractmethod
    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """One device's values with the fault, and where it is."""


def _at(values: Values, rows: slice | np.ndarray) -> Mask:
    """Where it is in what was measured: a missing value cannot be wrong."""
    where = np.zeros(len(values), bool)
    where[rows] = True
    return where & np.isfinite(values)


@dataclass(frozen=True)
class MissingValues(SensorFault):
    """Values are missing here and there: 1, 5 or 20 % of them."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.01, "middle": 0.05, "severe": 0.2}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A share becomes NaN."""
        where = _at(values, some(len(values), self.level, rng))
        return np.where(where, np.nan, values), where


@dataclass(frozen=True)
class Infinities(SensorFault):
    """Values are infinite, with either sign: 0.2, 1 or 5 % of them."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.002, "middle": 0.01, "severe": 0.05}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A share becomes ±inf."""
        where = _at(values, some(len(values), self.level, rng))
        return np.where(where, rng.choice([np.inf, -np.inf], len(values)), values), where


@dataclass(frozen=True)
class OutOfRange(SensorFault):
    """0.5 % of the values lie outside all the device ever sends, by 0.1, 1 or 10 of its ranges."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.1, "middle": 1.0, "severe": 10.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A few lie below the lowest or above the highest."""
        where = _at(values, some(len(values), 0.005, rng))
        known = values[np.isfinite(values)]
        low, high = float(known.min()), float(known.max())
        beyond = self.level * (high - low or max(abs(high), 1.0)) * rng.uniform(1, 2, len(values))
        wrong = np.where(rng.random(len(values)) < 0.5, low - beyond, high + beyond)
        return np.where(where, wrong, values), where


@dataclass(frozen=True)
class Spikes(SensorFault):
    """0.5 % of the values, never close to each other, are off by 0.5, 1 or 3 spreads, once.

    The spread is the distance between the 1st and 99th percentile of the device's values.
    """

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.5, "middle": 1.0, "severe": 3.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """Single values jump up or down and come back."""
        where = _at(values, some(len(values), 0.005, rng, apart=20))
        height = self.level * spread(values) * rng.uniform(1, 1.5, len(values))
        return np.where(where, values + height * rng.choice([-1, 1], len(values)), values), where


@dataclass(frozen=True)
class Flatline(SensorFault):
    """The sensor sends its last value again and again, for 30, 100 or 400 readings."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 30, "middle": 100, "severe": 400}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A stretch is frozen at the value before it."""
        rows = stretch(len(values), int(self.level), rng)
        where = _at(values, rows)
        known = np.flatnonzero(np.isfinite(values[: rows.start]))
        if not len(known):
            return values, np.zeros(len(values), bool)
        return np.where(where, values[known[-1]], values), where


@dataclass(frozen=True)
class Saturation(SensorFault):
    """The sensor shows nothing above a level, always; 5, 15 or 40 % of the values lie above it.

    One whose level would be its lowest value is left alone: it would be dead, not saturated.
    """

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.05, "middle": 0.15, "severe": 0.4}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """What is higher than the ceiling is shown as the ceiling."""
        known = np.sort(values[np.isfinite(values)])
        # A value that was measured, so that a coarse sensor's ceiling is one of its steps.
        top = known[int((1 - self.level) * (len(known) - 1))]
        where = np.isfinite(values) & (values > top) & (top > known[0])
        return np.where(where, top, values), where


@dataclass(frozen=True)
class Quantisation(SensorFault):
    """For a quarter of the time values come in steps of 1/50, 1/10 or 1/3 of the spread."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.02, "middle": 0.1, "severe": 1 / 3}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A stretch is rounded to the step."""
        where = _at(values, onwards(len(values), 0.25, rng))
        step = self.level * spread(values)
        return np.where(where, np.round(values / step) * step, values), where


@dataclass(frozen=True)
class UnitChange(SensorFault):
    """Degrees Celsius become Fahrenheit: for 5 or 25 % of the time, or from some point on."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.05, "middle": 0.25, "severe": 1.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """9/5 x + 32 in a stretch."""
        where = _at(values, onwards(len(values), self.level, rng))
        return np.where(where, values * 1.8 + 32, values), where


@dataclass(frozen=True)
class Offset(SensorFault):
    """The sensor is off by 0.25, 0.5 or 1 spread for a quarter of the time."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.25, "middle": 0.5, "severe": 1.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """A stretch is shifted."""
        where = _at(values, onwards(len(values), 0.25, rng))
        shift = self.level * spread(values) * rng.choice([-1, 1])
        return np.where(where, values + shift, values), where


@dataclass(frozen=True)
class Drift(SensorFault):
    """The sensor is more and more off, in the end by 0.5, 1 or 2 spreads."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.5, "middle": 1.0, "severe": 2.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """From some point on a line is added."""
        rows = onwards(len(values), 1, rng)
        ramp = np.zeros(len(values))
        ramp[rows] = np.linspace(0, 1, rows.stop - rows.start + 1)[1:]
        ramp *= self.level * spread(values) * rng.choice([-1, 1])
        return values + ramp, _at(values, rows)


@dataclass(frozen=True)
class NoiseBurst(SensorFault):
    """For 50 readings there is noise with a standard deviation of 0.1, 0.3 or 1 spread."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.1, "middle": 0.3, "severe": 1.0}

    def change(self, values: Values, rng: np.random.Generator) -> Changed:
        """Gaussian noise is added to a stretch."""
        where = _at(values, stretch(len(values), 50, rng))
        noise = rng.normal(0, self.level * spread(values), len(values))
        return np.where(where, values + noise, values), where


@dataclass(frozen=True)
class SwappedSensors(Fault):
    """Two sensors are wired the wrong way round: for 5 or 25 % of the time, or from a point on.

    The first two of `sensors`, or of the batch.
    """

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.05, "middle": 0.25, "severe": 1.0}

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """Each has the other's values in a stretch; ValueError if there are not two."""
        names = list(self.sensors or stream.batch.columns)[:2]
        if len(names) < 2:
            raise ValueError(f"{self.kind}: it takes two sensors")
        a, b = (stream.batch[name] for name in names)
        where = np.zeros(len(a), bool)
        for device, rows in self.each(stream.batch):
            where[rows[onwards(len(rows), self.level, chance(device))]] = True
        for name, own, other in ((names[0], a, b), (names[1], b, a)):
            wrong = where & (own != other) & ~(np.isnan(own) & np.isnan(other))
            stream = stream.with_values(self.kind, name, np.where(where, other, own), wrong)
        return stream
