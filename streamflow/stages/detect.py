"""Detect: an online anomaly detector per device; scores each reading, then learns it if it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.models.learning import Condition, Gate, condition


@dataclass(frozen=True)
class Detect(Stage):
    """Score each reading with its device's own copy of a River detector; then decide on learning.

    The score is the estimator's `score_one` of the values present, imputed ones included; then
    `learn_one` gets the values that are good, if `learn` and the gate allow it. Higher is more
    anomalous. A reading with no value has no score.

    Parameters
    ----------
    estimator
        A River anomaly detector, or a pipeline that ends with one. Never changed itself.
    sensors
        What it sees; default all sensors of the flow (without the target).
    target
        The value that a supervised detector scores given the others.
    learn
        True, False, or a condition such as "score < 0.95 and site == \\"north\\"".
    gate
        Stops learning while recent scores alarm.

    Raises
    ------
    FlowError
        If the estimator is no detector, is a class, or its target is missing.

    Examples
    --------
    >>> from river import anomaly
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Detect(anomaly.HalfSpaceTrees(window_size=2, seed=7))
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate([0.5, 0.5, 0.5, 0.9])]
    >>> flow.replay(rows).rows["score"].round(3).tolist()
    [0.0, 0.0, 0.0, 0.993]
    """

    estimator: Any = field(compare=False)
    sensors: Sequence[str] = ()
    target: str | None = None
    learn: str | bool = True
    gate: Gate | None = None
    recipe: str = field(default="", init=False, repr=False)
    _learn: Condition | None = field(default=None, init=False, repr=False, compare=False)
    _gate: Condition | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe", " ".join(repr(self.estimator).split()))

    @property
    def adds(self) -> Sequence[str]:
        """`score`, or `NAME_score` for a named step."""
        return (f"{self.name}_score" if self.name else "score",)

    @property
    def uses(self) -> Sequence[str]:
        """The sensors it sees, and what its conditions look at."""
        conditions = [known for known in (self._learn, self._gate) if known]
        looked_at = [name for c in conditions for part in c.upstream for name in part.names]
        return (*self.sensors, *([self.target] if self.target else []), *looked_at)

    @cached_property
    def memory(self) -> Memory:
        """A model per device, and the gate."""
        from streamflow.models.codec import RiverCodec

        fields = {}
        if self.gate:
            fields = {"calm": Field(np.int32, self.gate.resume), "gated": Field(np.int32)}
        return Memory(fields, codec=RiverCodec())

    @property
    def bytes_per_device(self) -> int:
        """The model's size after its first reading, as it is saved, and the gate."""
        from streamflow.models.record import detector_bytes

        model = detector_bytes(self.estimator, self.sensors, self.target)
        return model + self.memory.bytes_per_device

    def warnings(self) -> Sequence[str]:
        """What River's detector makes a user stumble over."""
        from streamflow.models.record import warnings

        return list(warnings(self.estimator))

    def bind(self, schema: Schema) -> Self:
        """Check the estimator and the conditions; choose the sensors."""
        from streamflow.models.record import check_detector

        check_detector(self.step, self.estimator, self.target)
        if self.target:
            schema.require(self.step, "target", [self.target])
        schema.require(self.step, "sensors", self.sensors)
        sensors = self.sensors or tuple(s for s in schema.sensors if s != self.target)
        bound = replace(self, sensors=tuple(sensors))
        names = (self.adds[0], schema.columns, schema.tags)
        if isinstance(self.learn, str):
            learn = condition(self.step, "learn", self.learn, *names)
            object.__setattr__(bound, "_learn", learn)
        if self.gate:
            gate = condition(self.step, "gate", self.gate.when, *names)
            object.__setattr__(bound, "_gate", gate)
        return bound

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Score, then learn, reading by reading."""
        from streamflow.models.record import score_and_learn

        always = self.learn is True and self.gate is None
        may = np.full(len(batch), self.learn is not False)
        if self._learn:
            may &= self._learn.mask(batch)
        alarming = self._gate.mask(batch) if self._gate else may

        def learns(i: int, score: float) -> bool:
            allowed = bool(may[i]) and (self._learn is None or self._learn.holds(score))
            if self.gate is None or self._gate is None:
                return allowed
            row = batch.device[i]
            alarm = bool(alarming[i]) and self._gate.holds(score)
            return self._gate_opens(state, row, alarm, self.gate) and allowed

        scores, faults = score_and_learn(
            self.estimator,
            self.sensors,
            self.target,
            batch,
            state,
            None if always else learns,
        )
        return faults.reject(batch.with_columns({self.adds[0]: scores}))

    def _gate_opens(self, state: State, row: int, alarm: bool, gate: Gate) -> bool:
        calm, gated = state["calm"], state["gated"]
        calm[row] = 0 if alarm else min(calm[row] + 1, gate.resume)
        if calm[row] >= gate.resume:
            gated[row] = 0
            return True
        gated[row] = min(gated[row] + 1, gate.limit + 1)
        return bool(gated[row] > gate.limit)
