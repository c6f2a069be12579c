"""What there is to find: of a fault that was put in, what the data can tell at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.cleaning.found import AHEAD, Where
from streamflow import Batch
from streamflow.core.batch import Mask, Rows, Values
from streamflow.testing import Fault, Truth
from streamflow.testing.sensor_faults import SensorFault, spread

COMMON = 0.005
"""The share of spikes; as many of a sensor's own values are no mark of one."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A fault that was put into clean signals, and the truth about it."""

    clean: Batch
    faulty: Batch
    truth: Truth
    fault: Fault

    def where(self, sensor: str) -> Mask:
        """Its values at fault."""
        return self.truth.value(self.fault.kind, sensor)


Due = Callable[[Trial], Where]
One = Callable[[Values, Values, Mask, SensorFault], Mask]
"""A device's own values of a sensor, those with the fault, and where it is."""


def values(trial: Trial) -> Where:
    """All values at fault."""
    return {sensor: trial.where(sensor) for sensor in trial.faulty.columns}


def readings(trial: Trial) -> Where:
    """All readings at fault."""
    return {"": trial.truth.reading(trial.fault.kind)}


def off(trial: Trial) -> Where:
    """Readings whose time is wrong by more than a clock may be."""
    wrong = np.abs(trial.faulty.time - trial.faulty.arrived) > AHEAD
    return {"": readings(trial)[""] & wrong}


def alike(trial: Trial) -> Where:
    """Values at fault, and those that are what the sensor shows at fault: at its ceiling."""
    return _each(trial, lambda _, shown, at, __: np.isin(shown, shown[at]))


def longer(count: int) -> Due:
    """Runs of one value, from so many on, once they are longer than any of the sensor's own."""

    def one(own: Values, shown: Values, at: Mask, _: SensorFault) -> Mask:
        least = max(count, int(_position(own).max()) + 1)
        return np.asarray(at & (_position(shown) >= least))

    return lambda trial: _each(trial, one)


def coarser(changes: int) -> Due:
    """Rounded values, from so many changes on, where at least a tenth of its changes are lost.

    Those of no more than half a step are: a sensor with steps as wide of its own loses nothing.
    """

    def one(own: Values, shown: Values, at: Mask, fault: SensorFault) -> Mask:
        moved = np.abs(np.diff(own[np.isfinite(own)]))
        moved = moved[moved > 0]
        if not len(moved) or np.quantile(moved, 0.1) > fault.level * spread(own) / 2:
            return np.zeros(len(at), bool)
        counted = np.cumsum(np.concatenate([[True], shown[1:] != shown[:-1]]) & at)
        return np.asarray(at & (counted > changes))

    return lambda trial: _each(trial, one)


def standing_out(first: int) -> Due:
    """Spikes behind the first values, further from both neighbours than the sensor's own peaks.

    As far as its furthest 0.5 %: of these there are as many as of spikes. A sensor that never
    moves has no spread that a spike could be of.
    """

    def one(own: Values, shown: Values, at: Mask, _: SensorFault) -> Mask:
        usual = float(np.quantile(_peaks(own), 1 - COMMON))
        late = np.arange(len(at)) >= first
        return np.asarray(at & late & (_peaks(shown) > usual) & bool(np.ptp(own) > 0))

    return lambda trial: _each(trial, one)


def _each(trial: Trial, one: One) -> Where:
    """Ask for each device and sensor; the readings of both copies are in the same order."""
    assert isinstance(trial.fault, SensorFault)
    out = {}
    for sensor in trial.faulty.columns:
        own, shown, at = trial.clean[sensor], trial.faulty[sensor], trial.where(sensor)
        out[sensor] = np.zeros(len(at), bool)
        for rows in _devices(trial.faulty):
            out[sensor][rows] = one(own[rows], shown[rows], at[rows], trial.fault)
    return out


def _devices(batch: Batch) -> Iterator[Rows]:
    order, start, _ = batch.groups
    for a, b in pairwise(start.tolist()):
        yield order[a:b]


def _position(column: Values) -> Rows:
    """The place of each value in its run of equal ones, from 1.

    >>> _position(np.array([3.0, 5.0, 5.0, 5.0])).tolist()
    [1, 1, 2, 3]
    """
    begin = np.concatenate([[True], column[1:] != column[:-1]])
    at = np.arange(len(column))
    return np.asarray(at - np.maximum.accumulate(np.where(begin, at, 0)) + 1)


def _peaks(column: Values) -> Values:
    """How far each value is from the nearer of its neighbours, if both are on one side of it.

    >>> _peaks(np.array([1.0, 4.0, 2.0, 3.0])).tolist()
    [0.0, 2.0, 1.0, 0.0]
    """
    out = np.zeros(len(column))
    before, after = column[1:-1] - column[:-2], column[1:-1] - column[2:]
    out[1:-1] = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0)
    return out
