"""Compiled: a pipeline of kernels, or one kernel, over the state of a shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from streamflow.core.batch import Batch, Codes, Mask, Rows, Values
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.models.kernels.base import (
    Detector,
    Fields,
    Filter,
    Imputer,
    Inputs,
    Kernel,
    Transformer,
    inputs,
)
from streamflow.models.learning import Decides
from streamflow.models.shape import filter_of, leaves, rebuilt

K = TypeVar("K", bound=Kernel)


def _waves(device: Codes, rows: Rows) -> Iterator[Rows]:
    """Where learning depends on the score: every device's first of these rows, then every second.

    Within a wave no device comes twice, so all can be scored before any is learned.
    """
    order = rows[np.argsort(device[rows], kind="stable")]
    first = np.flatnonzero(np.diff(device[order], prepend=-1))
    counts = np.diff(first, append=len(order))
    for number in range(int(counts.max(initial=0))):
        yield order[first[counts > number] + number]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A pipeline of kernels.

    Parameters
    ----------
    sensors
        The columns of its inputs; with a target, that alone.
    transformers, detector
        The kernels, in order.
    filter
        Keeps readings by their score from being learned. None without one.
    outermost
        Whether the filter keeps such readings from the transformers, too.
    """

    sensors: tuple[str, ...]
    transformers: tuple[Transformer | Imputer, ...]
    detector: Detector
    filter: Filter | None = None
    outermost: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts: list[Kernel | Filter] = [*self.kernels, *([self.filter] if self.filter else [])]
        named = {
            f"{number}_{name}": spec
            for number, part in enumerate(parts)
            for name, spec in part.fields.items()
        }
        object.__setattr__(self, "fields", named)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Transformers and detector."""
        return (*self.transformers, self.detector)

    def run(self, batch: Batch, state: State, may: Mask, decides: Decides | None) -> Values:
        """Score each reading, then learn it if `may` and, given its score, `decides` allow it."""
        seen, good = inputs(batch, self.sensors)
        rows = batch.device
        some = seen.some
        may = may & (some if good is seen else good.some)
        if decides is None and self.filter is None:
            scores = self._whole(self._parts(state), rows, seen, good, may)
            if not some.all():
                scores[~some] = np.nan
            return scores
        scores = np.full(len(batch), np.nan)
        # What has no score says nothing to a gate.
        for at in _waves(batch.device, np.flatnonzero(some)):
            given = (batch.device[at], seen.take(at), good.take(at), may[at])
            scores[at] = self._wave(state, *given, decides and partial(decides, at))
        return scores

    def on_devices(self, state: State, rows: Sequence[int]) -> None:
        """Devices joined or came back: fill what follows from their state."""
        for kernel, part in zip(self.kernels, self._parts(state), strict=True):
            kernel.restored(part, rows)

    def _parts(self, state: State) -> list[Fields]:
        return [
            {name: state[f"{number}_{name}"] for name in kernel.fields}
            for number, kernel in enumerate(self.kernels)
        ]

    def _filter_part(self, filter_: Filter, state: State) -> Fields:
        number = len(self.kernels)
        return {name: state[f"{number}_{name}"] for name in filter_.fields}

    def _whole(
        self, parts: list[Fields], rows: Codes, seen: Inputs, good: Inputs, may: Mask
    ) -> Values:
        """All readings through one kernel, then all through the next."""
        for transformer, part in zip(self.transformers, parts, strict=False):
            seen, good = transformer.both(part, rows, seen, good, may)
        scores = np.full(len(rows), np.nan)
        self.detector.run(parts[-1], rows, seen, good, may, scores)
        return scores

    def _wave(
        self,
        state: State,
        rows: Codes,
        seen: Inputs,
        good: Inputs,
        learn: Mask,
        decides: Callable[[Values], Mask] | None,
    ) -> Values:
        """Readings of which no two are of one device: score all, then learn some."""
        parts = self._parts(state)
        never = np.zeros(len(rows), bool)
        scores = self._whole(parts, rows, seen, good.nothing(), never)
        if decides is not None:
            learn = learn & decides(scores)
        if self.filter and self.outermost:
            own = self._whole(parts, rows, good, good.nothing(), never)
            learn = self.filter.passes(self._filter_part(self.filter, state), rows, own, learn)
        for transformer, part in zip(self.transformers, parts, strict=False):
            _, good = transformer.both(part, rows, good.nothing(), good, learn)
        if self.filter and not self.outermost:
            own = np.full(len(rows), np.nan)
            self.detector.run(parts[-1], rows, good, good.nothing(), never, own)
            learn = self.filter.passes(self._filter_part(self.filter, state), rows, own, learn)
        self.detector.run(parts[-1], rows, good.nothing(), good, learn, np.empty(len(rows)))
        return scores

    def export(self, state: State, row: int, river: Any) -> Any:
        """One device's River object, of the form of `river`: it goes on with the same scores."""
        pairs = zip(self.kernels, self._parts(state), strict=True)
        own = iter([kernel.export(part, row, self.sensors) for kernel, part in pairs])
        out = rebuilt(river.clone(), own)
        if self.filter:
            self.filter.export(self._filter_part(self.filter, state), row, filter_of(out))
        return out

    def untouched(self, state: State, row: int) -> bool:
        """Whether a device has learned nothing: all its state is as it was made."""
        return all(
            bool((state[name][row] == spec.make(1)[0]).all())
            for name, spec in self.fields.items()
            if not spec.derived and not np.isnan(spec.default)
        )

    def take_over(self, state: State, row: int, river: Any) -> None:
        """Put a trained River object in a device's place."""
        steps = zip(self.kernels, self._parts(state), leaves(river), strict=True)
        for kernel, part, step in steps:
            kernel.take_over(part, row, self.sensors, step)
        if self.filter:
            self.filter.take_over(self._filter_part(self.filter, state), row, filter_of(river))


@dataclass(frozen=True, eq=False)
class Alone(Generic[K]):
    """One kernel that is no part of a pipeline: a drift detector or an imputer."""

    kernel: K
    sensors: tuple[str, ...]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Those of the kernel."""
        return self.kernel.fields

    def part(self, state: State) -> Fields:
        """The kernel's state."""
        return {name: state[name] for name in self.kernel.fields}

    def export(self, state: State, row: int, river: Any) -> Any:
        """One device's River object."""
        return self.kernel.export(self.part(state), row, self.sensors)

    def take_over(self, state: State, row: int, river: Any) -> None:
        """Put a trained River object in a device's place."""
        self.kernel.take_over(self.part(state), row, self.sensors, river)
