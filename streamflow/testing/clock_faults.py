"""Faults of clocks: the event time is not when it was measured; it arrives as before."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from streamflow.core.batch import Times
from streamflow.testing.faults import Chance, Fault, Faulty, Severity, onwards

_SECOND = 10**9
_HOUR = 3600 * _SECOND


@dataclass(frozen=True)
class ClockFault(Fault):
    """What faults of a clock share: they see one device's event times, in order of arrival."""

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """Change each device's times."""
        time = stream.batch.time.copy()
        for device, rows in self.each(stream.batch):
            time[rows] = self.change(time[rows], chance(device))
        return stream.with_times(self.kind, time)

    @abstractmethod
    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """One device's event times by its clock."""


@dataclass(frozen=True)
class ClockAhead(ClockFault):
    """The clock is set ahead by 1 minute, 1 hour or 1 day, always."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 60, "middle": 3600, "severe": 86400}

    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """All times are later."""
        return np.asarray(time + int(self.level) * _SECOND)


@dataclass(frozen=True)
class ClockSkew(ClockFault):
    """The clock runs fast or slow, by 1 in 10,000, by 1 in 1,000 or by 1 in 100."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 1e-4, "middle": 1e-3, "severe": 1e-2}

    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """It is off by a share of the time that has passed since the first reading."""
        passed = (time - time[0]).astype(np.float64)
        off = np.rint(passed * self.level).astype(np.int64)
        return np.asarray(time + off * rng.choice([-1, 1]))


@dataclass(frozen=True)
class ClockJump(ClockFault):
    """For a twentieth of the time the clock is ahead by 1 hour, 10 days or 10 years."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 1, "middle": 240, "severe": 87_600}

    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """A stretch is later, then the clock is set right."""
        out = time.copy()
        out[onwards(len(time), 0.05, rng)] += int(self.level) * _HOUR
        return out


@dataclass(frozen=True)
class ClockReset(ClockFault):
    """The clock begins again at 1970: for 1 or 5 % of the time, or until the end."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.01, "middle": 0.05, "severe": 1.0}

    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """A stretch counts from 1970-01-01."""
        out, rows = time.copy(), onwards(len(time), self.level, rng)
        out[rows] -= time[rows][:1]
        return out


@dataclass(frozen=True)
class TimeZoneShift(ClockFault):
    """From some point on times are those of a zone 1, 2 or 8 hours to the east."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 1, "middle": 2, "severe": 8}

    def change(self, time: Times, rng: np.random.Generator) -> Times:
        """Whole hours are added."""
        out = time.copy()
        out[onwards(len(time), 1, rng)] += int(self.level) * _HOUR
        return out
