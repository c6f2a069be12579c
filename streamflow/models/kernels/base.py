"""What a kernel is: one River estimator over the arrays of all devices of a shard.

Kernels are Numba functions that release the GIL and are cached on disk. Two inputs run through a
pipeline side by side, because River's do: what `score_one` sees is transformed by what was known
before the reading, what `learn_one` sees by what is known after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Batch, Codes, Mask, Values
from streamflow.core.memory import Field

Fields = Mapping[str, NDArray[Any]]
"""The state of a kernel: field -> array over the devices of a shard."""


@dataclass(frozen=True)
class Inputs:
    """Values of n readings for one kernel.

    Parameters
    ----------
    values
        float64[n, d].
    present
        bool[n, d]; what is not present is an absent key to River. A present value may be NaN if
        a transformer made it so, as River's do.
    time
        int64[n], event time in ns UTC.
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    time: NDArray[np.int64]

    @property
    def some(self) -> Mask:
        """bool[n], whether anything is present."""
        out = np.zeros(len(self.present), bool)
        for j in range(self.present.shape[1]):  # five times as fast as any(axis=1)
            out |= self.present[:, j]
        return out

    def take(self, rows: Any) -> Inputs:
        """Some of the readings."""
        return Inputs(self.values[rows], self.present[rows], self.time[rows])

    def copy(self) -> Inputs:
        """The same readings, to write in."""
        return Inputs(self.values.copy(), self.present.copy(), self.time)

    def nothing(self) -> Inputs:
        """The same readings with nothing present."""
        return Inputs(self.values, np.zeros_like(self.present), self.time)


def inputs(batch: Batch, sensors: Sequence[str]) -> tuple[Inputs, Inputs]:
    """What a model sees, finite values; and what it may learn, those of them that are good."""
    values = np.empty((len(batch), len(sensors)))
    for j, sensor in enumerate(sensors):
        values[:, j] = batch[sensor]
    present = np.isfinite(values)
    seen = Inputs(values, present, batch.time)
    if batch.quality.keys().isdisjoint(sensors):
        return seen, seen
    good = present.copy()
    for j, sensor in enumerate(sensors):
        if sensor in batch.quality:
            good[:, j] &= batch.quality[sensor] == 0
    return seen, Inputs(values, good, batch.time)


class CannotCompileError(Exception):
    """Why an estimator runs reading by reading."""


class Kernel(ABC):
    """One compiled estimator: the fields of its state, and River objects in and out of it."""

    fields: Mapping[str, Field]

    def restored(self, state: Fields, rows: Sequence[int]) -> None:
        """Devices joined or came back: fill what follows from their state."""

    @abstractmethod
    def export(self, state: Fields, row: int, sensors: Sequence[str]) -> Any:
        """One device's River object: it goes on with the same results."""

    @abstractmethod
    def take_over(self, state: Fields, row: int, sensors: Sequence[str], river: Any) -> None:
        """Put a trained River object's state in a device's place."""


class Transformer(Kernel):
    """A compiled transformer."""

    @abstractmethod
    def run(
        self,
        state: Fields,
        rows: Codes,
        seen: Inputs,
        good: Inputs,
        may: Mask,
        scored: NDArray[np.float64],
        learned: NDArray[np.float64],
    ) -> None:
        """Reading by reading: transform `seen` into `scored`; if the reading may be learned, learn
        `good` and transform it into `learned`."""

    def both(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask
    ) -> tuple[Inputs, Inputs]:
        """What the next step sees, and what it may learn."""
        scored, learned = np.zeros_like(seen.values), np.zeros_like(good.values)
        self.run(state, rows, seen, good, may, scored, learned)
        return Inputs(scored, seen.present, seen.time), Inputs(learned, good.present, good.time)


def without_window(scaler: Any) -> None:
    """Raise CannotCompileError for a scaler that looks at the last readings only."""
    if scaler.window_size is not None:
        raise CannotCompileError(f"{type(scaler).__name__} with a window has no kernel")


class Imputer(Kernel):
    """A compiled imputer: where it fills a value in, that becomes present."""

    @abstractmethod
    def fill(self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask) -> None:
        """Reading by reading: fill `seen` in; if it may be learned, learn `good` and fill it in.

        Both are the kernel's own, to write in.
        """

    def both(
        self, state: Fields, rows: Codes, seen: Inputs, good: Inputs, may: Mask
    ) -> tuple[Inputs, Inputs]:
        """What the next step sees, and what it may learn."""
        seen, good = seen.copy(), good.copy()
        self.fill(state, rows, seen, good, may)
        return seen, good


class Detector(Kernel):
    """A compiled detector."""

    @abstractmethod
    def run(
        self,
        state: Fields,
        rows: Codes,
        seen: Inputs,
        good: Inputs,
        may: Mask,
        scores: Values,
    ) -> None:
        """Reading by reading: score `seen` into `scores`; if it may be learned, learn `good`."""


class Filter(ABC):
    """A compiled anomaly filter around a detector."""

    fields: Mapping[str, Field]

    @abstractmethod
    def passes(self, state: Fields, rows: Codes, scores: Values, learn: Mask) -> Mask:
        """Which of the readings that are to be learned are, given their scores.

        No two are of one device.
        """

    @abstractmethod
    def export(self, state: Fields, row: int, river: Any) -> None:
        """Put what one device's filter has learned into a River filter."""

    @abstractmethod
    def take_over(self, state: Fields, row: int, river: Any) -> None:
        """Put a trained River filter's state in a device's place."""


class Watcher(Kernel):
    """A compiled drift detector."""

    @abstractmethod
    def run(self, state: Fields, rows: Codes, values: Values, drift: Values) -> None:
        """Value by value: update; set `drift` to 1 where a drift is detected."""
