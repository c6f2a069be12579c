"""Faults with ground truth: what goes wrong in the field, put into a clean stream on purpose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar, Literal, Self
from zlib import crc32

import numpy as np

from streamflow.core.batch import Batch, Mask, Rows, Times, Values
from streamflow.core.stage import snake

Severity = Literal["mild", "middle", "severe"]
SEVERITIES: tuple[Severity, ...] = ("mild", "middle", "severe")
Chance = Callable[[str], np.random.Generator]


@dataclass(frozen=True)
class Lost:
    """Readings of a device that never came: `count` of them, event times `start` to `end`, ns."""

    kind: str
    device: str
    start: int
    end: int
    count: int


@dataclass(frozen=True, eq=False)
class Truth:
    """Which fault is where; positions are those of the batch that `inject` gives back.

    Parameters
    ----------
    origin
        intp[n]: the reading of the clean batch that each one is.
    values
        (kind, sensor) -> bool[n], the values that are not what the sensor measured.
    readings
        kind -> bool[n], readings with a wrong time, late or repeated ones; of readings that are
        lost, the first one after them.
    lost
        What never came, fault by fault.
    """

    origin: Rows
    values: Mapping[tuple[str, str], Mask] = field(default_factory=dict)
    readings: Mapping[str, Mask] = field(default_factory=dict)
    lost: Sequence[Lost] = ()

    @property
    def kinds(self) -> list[str]:
        """The kinds of fault that are somewhere in it."""
        kinds = {kind for (kind, _), at in self.values.items() if at.any()}
        kinds |= {kind for kind, at in self.readings.items() if at.any()}
        return sorted(kinds | {lost.kind for lost in self.lost})

    def value(self, kind: str, sensor: str) -> Mask:
        """Where a fault of this kind is in a sensor's values."""
        return self.values.get((kind, sensor), np.zeros(len(self.origin), bool))

    def reading(self, kind: str) -> Mask:
        """Which readings have a fault of this kind, in their time, their place or any value."""
        where = self.readings.get(kind, np.zeros(len(self.origin), bool)).copy()
        for (other, _), at in self.values.items():
            if other == kind:
                where |= at
        return where


@dataclass(frozen=True, eq=False)
class Faulty:
    """A batch and the truth about it, while faults are put into it one after the other."""

    batch: Batch
    truth: Truth

    def take(self, rows: Mask | Rows) -> Faulty:
        """Some of the readings, or some of them twice."""
        truth = self.truth
        return Faulty(
            self.batch.take(rows),
            Truth(
                truth.origin[rows],
                {key: at[rows] for key, at in truth.values.items()},
                {key: at[rows] for key, at in truth.readings.items()},
                truth.lost,
            ),
        )

    def with_values(self, kind: str, sensor: str, values: Values, where: Mask) -> Faulty:
        """With other values of a sensor, at fault where `where` is true."""
        known = self.truth.value(kind, sensor)
        marked = {**self.truth.values, (kind, sensor): known | where}
        batch = self.batch.with_columns({sensor: values})
        return Faulty(batch, replace(self.truth, values=marked))

    def with_times(self, kind: str, time: Times) -> Faulty:
        """With other event times, at fault where they differ."""
        changed = Faulty(self.batch.replace(time=time), self.truth)
        return changed.marked(kind, time != self.batch.time)

    def marked(self, kind: str, where: Mask) -> Faulty:
        """With readings at fault."""
        known = self.truth.readings.get(kind, np.zeros(len(self.batch), bool))
        truth = replace(self.truth, readings={**self.truth.readings, kind: known | where})
        return Faulty(self.batch, truth)

    def without(self, kind: str, gone: Mask, lost: Sequence[Lost]) -> Faulty:
        """Without some readings; the first of each device after them is marked."""
        order, start, _ = self.batch.groups
        first = gone[np.roll(order, 1)] & ~gone[order]
        first[start[:-1]] = False
        after = np.zeros(len(gone), bool)
        after[order] = first
        left = self.marked(kind, after).take(~gone)
        return Faulty(left.batch, replace(left.truth, lost=(*left.truth.lost, *lost)))


@dataclass(frozen=True)
class Fault(ABC):
    """What all faults share. Each device has a chance of its own, whatever others there are.

    Parameters
    ----------
    severity
        "mild", "middle" or "severe"; `levels` says what it means.
    devices
        Which; default all.
    sensors
        Which; default all. Faults of time and of delivery have none.
    """

    severity: Severity = "middle"
    devices: Sequence[str] = field(default=(), kw_only=True)
    sensors: Sequence[str] = field(default=(), kw_only=True)
    levels: ClassVar[Mapping[Severity, float]]

    def __post_init__(self) -> None:
        if self.severity not in self.levels:
            raise ValueError(f"severity {self.severity!r}: it is mild, middle or severe")

    @property
    def kind(self) -> str:
        """Its name in the truth: the class name in snake case."""
        return snake(type(self).__name__)

    @property
    def level(self) -> float:
        """What its severity means."""
        return self.levels[self.severity]

    @abstractmethod
    def apply(self, stream: Faulty, chance: Chance) -> Faulty:
        """The stream with the fault; `chance(name)` gives a device's, or a sensor's of it."""

    def each(self, batch: Batch) -> Iterator[tuple[str, Rows]]:
        """The devices it strikes, and where their readings are."""
        order, start, device = batch.groups
        for code, (a, b) in zip(device.tolist(), pairwise(start.tolist()), strict=True):
            name = batch.devices[code]
            if not self.devices or name in self.devices:
                yield name, order[a:b]

    def checked(self, batch: Batch) -> Self:
        """The fault itself; ValueError if it names what the batch does not have."""
        unknown = [name for name in self.sensors if name not in batch.columns]
        unknown += [name for name in self.devices if name not in batch.devices]
        if unknown:
            raise ValueError(f"{self.kind}: the batch has no {unknown[0]!r}")
        return self


def inject(batch: Batch, faults: Sequence[Fault], seed: int = 0) -> tuple[Batch, Truth]:
    """Put faults into a clean stream, one after the other, and say where they are.

    The same batch, faults and seed give the same. What a fault does to one device does not depend
    on which others there are.

    Parameters
    ----------
    batch
        Readings in order of arrival; several batches go together with `Batch.concat`.
    faults
        Which, in the order in which they happen: sensors, then clocks, then delivery.
    seed
        Of the random numbers.

    Raises
    ------
    ValueError
        If a fault names a device or sensor that the batch does not have.

    Examples
    --------
    >>> from streamflow.testing import Flatline
    >>> rows = [{"device": "a", "time": i * 10**9, "t": float(i)} for i in range(200)]
    >>> faulty, truth = inject(Batch.of(rows, ["t"]), [Flatline("mild")], seed=7)
    >>> len(set(faulty["t"][truth.value("flatline", "t")].tolist()))
    1
    """
    stream = Faulty(batch, Truth(np.arange(len(batch))))
    for number, fault in enumerate(faults):

        def chance(name: str, number: int = number) -> np.random.Generator:
            return np.random.default_rng([seed, number, crc32(name.encode())])

        stream = fault.checked(stream.batch).apply(stream, chance)
    return stream.batch, stream.truth


def stretch(count: int, length: int, rng: np.random.Generator) -> slice:
    """Somewhere in `count` readings: so many, at most a quarter, behind the first tenth."""
    length = max(min(length, count // 4), min(count, 1))
    first = min(count // 10, count - length)
    start = int(rng.integers(first, count - length + 1))
    return slice(start, start + length)


def onwards(count: int, share: float, rng: np.random.Generator) -> slice:
    """A share of `count` readings, behind the first tenth; with a share of 1, to the end."""
    if share < 1:
        length = int(share * count)
        start = int(rng.integers(count // 10, max(count - length, count // 10) + 1))
        return slice(start, start + length)
    return slice(int(rng.integers(count // 4, count // 2 + 1)), count)


def some(count: int, share: float, rng: np.random.Generator, apart: int = 1) -> Rows:
    """A share of `count` readings, at least one, of which no two are closer than `apart`."""
    wanted = max(round(share * count), 1)
    places = -(-count // apart)
    blocks = np.sort(rng.choice(places, min(wanted, places), replace=False))
    rows = blocks * apart + (rng.integers(0, max(apart // 2, 1), len(blocks)))
    return rows[rows < count].astype(np.intp)
