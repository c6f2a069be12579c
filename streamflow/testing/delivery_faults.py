"""Faults of delivery: readings that never come, come twice, or come late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from streamflow.core.batch import Rows, Times
from streamflow.testing.faults import Chance, Fault, Faulty, Lost, Severity, onwards, some, stretch


@dataclass(frozen=True)
class Gaps(Fault):
    """10, 50 or 300 readings in a row never come."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 10, "middle": 50, "severe": 300}

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """One gap for each device."""
        gone, lost = np.zeros(len(stream.batch), bool), []
        for device, rows in self.each(stream.batch):
            out = rows[stretch(len(rows), int(self.level), chance(device))]
            gone[out] = True
            lost.append(_lost(self.kind, device, stream.batch.time[out]))
        return stream.without(self.kind, gone, lost)


@dataclass(frozen=True)
class Silence(Fault):
    """A device sends nothing: for 10 or 25 % of the time, or never again."""

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.1, "middle": 0.25, "severe": 1.0}

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """One silence for each device."""
        gone, lost = np.zeros(len(stream.batch), bool), []
        for device, rows in self.each(stream.batch):
            out = rows[onwards(len(rows), self.level, chance(device))]
            gone[out] = True
            if len(out):
                lost.append(_lost(self.kind, device, stream.batch.time[out]))
        return stream.without(self.kind, gone, lost)


def _lost(kind: str, device: str, time: Times) -> Lost:
    return Lost(kind, device, int(time.min()), int(time.max()), len(time))


@dataclass(frozen=True)
class Duplicates(Fault):
    """1, 5 or 20 % of the readings come again, at once or after up to 10 of their device's others.

    The later one is at fault.
    """

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.01, "middle": 0.05, "severe": 0.2}

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """Each copy arrives with the reading behind which it comes."""
        copied: list[Rows] = [np.zeros(0, np.intp)]
        behind: list[Rows] = [np.zeros(0, np.intp)]
        for device, rows in self.each(stream.batch):
            rng = chance(device)
            at = some(len(rows), self.level, rng)
            copied.append(rows[at])
            behind.append(rows[np.minimum(at + rng.integers(0, 11, len(at)), len(rows) - 1)])
        again, after = np.concatenate(copied), np.concatenate(behind)
        n = len(stream.batch)
        order = np.argsort(np.concatenate([np.arange(n), after]), kind="stable")
        both = stream.take(np.concatenate([np.arange(n), again]))
        arrived = stream.batch.arrived[np.concatenate([np.arange(n), after])]
        later = np.concatenate([np.zeros(n, bool), np.ones(len(again), bool)])
        whole = Faulty(both.batch.replace(arrived=arrived), both.truth)
        return whole.marked(self.kind, later).take(order)


@dataclass(frozen=True)
class LateDelivery(Fault):
    """1, 5 or 20 % of the readings arrive late, by 1 to 10 of their device's usual intervals.

    Those that another reading of their device overtakes are at fault.
    """

    levels: ClassVar[Mapping[Severity, float]] = {"mild": 0.01, "middle": 0.05, "severe": 0.2}

    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """All readings in the order in which they then arrive."""
        batch = stream.batch
        arrived = batch.arrived.copy()
        for device, rows in self.each(batch):
            rng = chance(device)
            at = rows[some(len(rows), self.level, rng)]
            steps = np.diff(np.sort(arrived[rows]))
            usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1e9
            arrived[at] += np.rint(usual * rng.uniform(1.1, 10, len(at))).astype(np.int64)
        order = np.argsort(arrived, kind="stable")
        late = Faulty(batch.replace(arrived=arrived), stream.truth).take(order)
        overtaken = np.zeros(len(batch), bool)
        for _, rows in self.each(late.batch):
            overtaken[rows] = order[rows] < np.maximum.accumulate(order[rows])
        return late.marked(self.kind, overtaken)
