"""MonitorDrift: watches a column of each device for a change of its distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.event import Event
from streamflow.core.memory import Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State


@dataclass(frozen=True)
class MonitorDrift(Stage):
    """Feed a column to each device's own copy of a River drift detector.

    Where it detects, the column `drift` is 1 and an event of kind "drift" is raised. Missing
    and imputed values are passed over.

    Parameters
    ----------
    on
        The column to watch: a sensor, or a score for a model that no longer fits.
    detector
        A River drift detector, such as drift.ADWIN(). Never changed itself.

    Examples
    --------
    >>> from river import drift
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | MonitorDrift("t", drift.PageHinkley(threshold=5))
    >>> rows = [{"device": "a", "time": i, "t": float(i > 100)} for i in range(200)]
    >>> [event.time // 10**9 for event in flow.replay(rows).events]
    [106]
    """

    on: str
    detector: Any = field(compare=False)
    recipe: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", " ".join(repr(self.detector).split()))

    @property
    def adds(self) -> Sequence[str]:
        """`drift`, or `NAME_drift` for a named step."""
        return (f"{self.name}_drift" if self.name else "drift",)

    @property
    def uses(self) -> Sequence[str]:
        """The column it watches."""
        return (self.on,)

    @cached_property
    def memory(self) -> Memory:
        """A drift detector per device."""
        from streamflow.models.codec import RiverCodec

        return Memory(codec=RiverCodec())

    @property
    def bytes_per_device(self) -> int:
        """The detector's size after its first reading, as it is saved."""
        from streamflow.models.record import drift_detector_bytes

        return drift_detector_bytes(self.detector)

    def bind(self, schema: Schema) -> Self:
        """Check the column and the detector."""
        from streamflow.models.record import check_drift_detector

        schema.require(self.step, "on", [self.on])
        check_drift_detector(self.step, self.detector)
        return replace(self)

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Update the detectors, reading by reading."""
        drift = np.zeros(len(batch))
        events = []
        values = batch[self.on]
        usable = np.flatnonzero(np.isfinite(values) & (batch.flags(self.on) == 0))
        rows, listed = batch.device[usable].tolist(), values[usable].tolist()
        for i, row, value in zip(usable.tolist(), rows, listed, strict=True):
            detector = state.objects.get(row)
            if detector is None:
                detector = state.objects[row] = self.detector.clone()
            detector.update(value)
            if detector.drift_detected:
                drift[i] = 1.0
                fields = {"on": self.on, "value": value}
                events.append(state.event("drift", row, int(batch.time[i]), fields))
        return batch.with_columns({self.adds[0]: drift}), events
