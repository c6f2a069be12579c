"""MonitorDrift: watches a column of each device for a change of its distribution."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from streamflow.core.batch import Batch, Codes, Values
from streamflow.core.event import Event
from streamflow.core.memory import Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.models.readable import recipe
from streamflow.stages.maintenance import COLUMN

if TYPE_CHECKING:
    from streamflow.models.compiled import Alone
    from streamflow.models.kernels.base import Watcher


@dataclass(frozen=True)
class MonitorDrift(Stage):
    """Feed a column to each device's own copy of a River drift detector.

    Where it detects, the column `drift` is 1 and an event of kind "drift" is raised. Missing
    and imputed values are passed over, and so is what a column `maintenance` marks with 1.

    Parameters
    ----------
    on
        The column to watch: a sensor, or a score for a model that no longer fits.
    detector
        A River drift detector, such as drift.ADWIN(). Never changed itself. If it is random and
        has no seed, it gets one that follows from the names of the flow and the step.

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
    _seeding: str = field(default="", init=False, repr=False, compare=False)
    _pauses: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", recipe(self.detector))

    @property
    def adds(self) -> Sequence[str]:
        """`drift`, or `NAME_drift` for a named step."""
        return (f"{self.name}_drift" if self.name else "drift",)

    @property
    def uses(self) -> Sequence[str]:
        """The column it watches, and that of its pauses."""
        return (self.on, *((COLUMN,) if self._pauses else ()))

    @cached_property
    def model(self) -> Alone[Watcher] | None:
        """The detector's kernel; None if it runs reading by reading, for the reason `slow`."""
        return self._compiled[0]

    @property
    def slow(self) -> str:
        """Why it runs reading by reading; empty if it is compiled."""
        return self._compiled[1]

    @cached_property
    def _compiled(self) -> tuple[Alone[Watcher] | None, str]:
        from streamflow.models.compile import compile_watcher
        from streamflow.models.kernels.base import CannotCompileError

        try:
            return compile_watcher(self.detector, self.on), ""
        except CannotCompileError as error:
            return None, str(error)

    @cached_property
    def memory(self) -> Memory:
        """The kernel's state, or a drift detector, per device."""
        from streamflow.models.codec import RiverCodec

        return Memory(self.model.fields) if self.model else Memory(codec=RiverCodec())

    @property
    def bytes_per_device(self) -> int:
        """The state's size, a River object's after its first reading as it is saved."""
        from streamflow.models.record import drift_detector_bytes

        return self.memory.bytes_per_device if self.model else drift_detector_bytes(self.detector)

    def warnings(self) -> Sequence[str]:
        """How it is seeded."""
        return [self._seeding] if self._seeding else []

    def bind(self, schema: Schema) -> Self:
        """Check the column and the detector; choose, if need be, a seed."""
        from streamflow.models.check import check_drift_detector, seeded

        schema.require(self.step, "on", [self.on])
        check_drift_detector(self.step, self.detector)
        detector, seeding = seeded(self.detector, schema.flow, self.step)
        bound = replace(self, detector=detector)
        object.__setattr__(bound, "_seeding", seeding)
        object.__setattr__(bound, "_pauses", COLUMN in schema.columns)
        return bound

    def trained(self, state: State, row: int) -> Any:
        """A device's River drift detector: it goes on as this one would."""
        if self.model:
            return self.model.export(state, row, self.detector)
        return deepcopy(state.objects.get(row, self.detector))

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Update the detectors, reading by reading in effect."""
        column = batch[self.on]
        watched = np.isfinite(column) & (batch.flags(self.on) == 0)
        if self._pauses:
            watched &= batch[COLUMN] != 1
        usable = np.flatnonzero(watched)
        rows, values = batch.device[usable], column[usable]
        found = np.zeros(len(usable))
        if self.model:
            self.model.kernel.run(self.model.part(state), rows, values, found)
        else:
            self._one_by_one(rows, values, found, state)
        drift = np.zeros(len(batch))
        drift[usable] = found
        events = []
        for i in usable[found > 0].tolist():
            fields = {"on": self.on, "value": column[i].item()}
            events.append(state.event("drift", batch.device[i].item(), int(batch.time[i]), fields))
        return batch.with_columns({self.adds[0]: drift}), events

    def _one_by_one(self, rows: Codes, values: Values, found: Values, state: State) -> None:
        for i, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
            detector = state.objects.get(row)
            if detector is None:
                detector = state.objects[row] = self.detector.clone()
            detector.update(value)
            found[i] = detector.drift_detected
