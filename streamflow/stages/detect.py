"""Detect: an online anomaly detector per device; scores each reading, then learns it if it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from streamflow.core.batch import Batch, Mask, Rows, Values
from streamflow.core.memory import Field, Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError, StateError, suggest
from streamflow.models.learning import Condition, Decides, Gate, condition, gate_opens
from streamflow.models.readable import recipe
from streamflow.stages import cohort
from streamflow.stages.maintenance import COLUMN

if TYPE_CHECKING:
    from streamflow.models.compiled import Compiled


@dataclass(frozen=True)
class Detect(Stage):
    """Score each reading with its device's own copy of a River detector; then decide on learning.

    The score is the estimator's `score_one` of the values present, imputed ones included; then
    `learn_one` gets the values that are good, if `learn` and the gate allow it. Higher is more
    anomalous. A reading with no value has no score. Where a column `maintenance` is 1, nothing is
    learned, and nothing changes: the gate stays as it is, too.

    Parameters
    ----------
    estimator
        A River anomaly detector, or a pipeline that ends with one. Never changed itself. If it is
        random and has no seed, it gets one that follows from the names of the flow and the step.
        A missing value is an absent key to it; None, if it begins with an imputer. If it has an
        attribute `time`, a name, it finds there the event time, seconds since 1970 UTC. "auto" is
        `AutoDetector()`, for a stream of which nothing is known.
    sensors
        What it sees; default all sensors of the flow (without the target).
    target
        The value that a supervised detector scores given the others.
    learn
        True, False, or a condition such as "score < 0.95 and site == \\"north\\"".
    gate
        Stops learning while recent scores alarm.
    start
        What a device begins with when it is first seen: a trained River object like `estimator`,
        or device -> such an object; the other devices begin untrained. A device goes on with
        scores that are identical to those of the object; `Result.model` is the way back.
    cold_start
        A tag that says of what kind a device is, such as "model". A new device then begins with a
        copy of the model of the device of its kind, in its shard, that has scored most readings,
        if those are `evidence` or more. Adds the column `learning` (NAME_learning for a named
        step): 1 until the device has scored `evidence` readings of its own. This makes it a fleet
        step: devices see each other.
    evidence
        How many readings of its own a device must have scored to be trusted.
    explain
        Add, for each sensor, the column `score_without_SENSOR`: the score this very reading would
        have had with that sensor as expected, at the running mean of its good values. It is there
        for readings that have a value 3 deviations off, and missing for all others. Scores do not
        change; an `Alert(explain=True)` behind it makes use of it.

    Raises
    ------
    FlowError
        If the estimator is no detector, is a class, or its target is missing; if `start` was
        made with other parameters; if `cold_start` is no tag of the flow.

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
    start: Any = field(default=None, compare=False)
    cold_start: str | None = None
    evidence: int = 500
    explain: bool = False
    recipe: str = field(default="", init=False, repr=False)
    _seeding: str = field(default="", init=False, repr=False, compare=False)
    _learn: Condition | None = field(default=None, init=False, repr=False, compare=False)
    _gate: Condition | None = field(default=None, init=False, repr=False, compare=False)
    _pauses: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.estimator, str):
            object.__setattr__(self, "estimator", _named(self.estimator))
        object.__setattr__(self, "recipe", recipe(self.estimator))

    @property
    def adds(self) -> Sequence[str]:
        """`score`; `learning` with `cold_start`; `score_without_SENSOR` with `explain`.

        Of a named step all begin with NAME_.
        """
        learning = (self._column("learning"),) if self.cold_start else ()
        return (self._column("score"), *learning, *self._without)

    @property
    def fleet(self) -> bool:
        """Whether devices take over models from each other."""
        return self.cold_start is not None

    @property
    def _explained(self) -> Sequence[str]:
        return (*self.sensors, *([self.target] if self.target else []))

    @property
    def _without(self) -> Sequence[str]:
        score = self._column("score")
        return tuple(f"{score}_without_{s}" for s in self._explained) if self.explain else ()

    def _column(self, name: str) -> str:
        return f"{self.name}_{name}" if self.name else name

    @property
    def uses(self) -> Sequence[str]:
        """The sensors it sees, and what its conditions and pauses look at."""
        conditions = [known for known in (self._learn, self._gate) if known]
        looked_at = [name for c in conditions for part in c.upstream for name in part.names]
        paused = (COLUMN,) if self._pauses else ()
        return (*self.sensors, *([self.target] if self.target else []), *looked_at, *paused)

    @cached_property
    def model(self) -> Compiled | None:
        """The estimator's kernels; None if it runs reading by reading, for the reason `slow`."""
        return self._compiled[0]

    @property
    def slow(self) -> str:
        """Why it runs reading by reading; empty if it is compiled."""
        return self._compiled[1]

    @cached_property
    def _compiled(self) -> tuple[Compiled | None, str]:
        from streamflow.models.compile import compile_detector
        from streamflow.models.kernels.base import CannotCompileError

        try:
            return compile_detector(self.estimator, self.sensors, self.target), ""
        except CannotCompileError as error:
            return None, str(error)

    @cached_property
    def river(self) -> Any:
        """What runs where there are no kernels, a deep copy for each device."""
        from streamflow.models.shape import with_gaps

        return with_gaps(self.estimator.clone())

    @cached_property
    def memory(self) -> Memory:
        """The kernels' state, or a River object, per device; and the gate."""
        from streamflow.models.codec import RiverCodec

        fields = dict(self.model.fields) if self.model else {}
        if self.gate:
            fields["calm"] = Field(np.int32, self.gate.resume)
            fields["gated"] = Field(np.int32)
        if self.cold_start:
            fields |= cohort.FIELDS
        if self.explain:
            from streamflow.stages.usual import fields as usual_fields

            fields |= usual_fields(self._explained)
        return Memory(fields, codec=None if self.model else RiverCodec())

    @property
    def bytes_per_device(self) -> int:
        """The state's size, a River object's after its first reading as it is saved."""
        from streamflow.models.record import detector_bytes

        own = self.memory.bytes_per_device
        return own if self.model else own + detector_bytes(self.river, self.sensors, self.target)

    def warnings(self) -> Sequence[str]:
        """What River's detector makes a user stumble over."""
        from streamflow.models.check import warnings

        return [text for text in (*warnings(self.estimator), self._seeding) if text]

    def bind(self, schema: Schema) -> Self:
        """Check the estimator and the conditions; choose the sensors and, if need be, a seed."""
        from streamflow.models.check import (
            check_detector,
            check_explained,
            check_imputed,
            check_start,
            seeded,
        )
        from streamflow.models.shape import clock, selected

        check_detector(self.step, self.estimator, self.target)
        if self.target:
            schema.require(self.step, "target", [self.target])
        schema.require(self.step, "sensors", self.sensors)
        sensors = self.sensors or tuple(s for s in schema.sensors if s != self.target)
        chosen = selected(self.estimator)
        if chosen is not None:
            schema.require(self.step, "Select", sorted(chosen - {clock(self.estimator)}))
            sensors = [name for name in sensors if name in chosen]
        check_imputed(self.step, self.estimator, sensors)
        if self.explain:
            check_explained(self.step, self.estimator)
        if clock(self.estimator) in sensors:
            raise FlowError(
                f"step {self.step!r}: its estimator looks for the time under the name of a sensor, "
                f'{clock(self.estimator)!r}; give it another, as in time="when"'
            )
        estimator, seeding = seeded(self.estimator, schema.flow, self.step)
        check_start(self.step, estimator, self.start)
        self._check_cold_start(schema)
        bound = replace(self, estimator=estimator, sensors=tuple(sensors))
        object.__setattr__(bound, "_seeding", seeding)
        object.__setattr__(bound, "_pauses", COLUMN in schema.columns)
        names = (self.adds[0], schema.columns, schema.tags)
        if isinstance(self.learn, str):
            learn = condition(self.step, "learn", self.learn, *names)
            object.__setattr__(bound, "_learn", learn)
        if self.gate:
            gate = condition(self.step, "gate", self.gate.when, *names)
            object.__setattr__(bound, "_gate", gate)
        return bound

    def _check_cold_start(self, schema: Schema) -> None:
        if self.cold_start is None:
            return
        if self.cold_start not in schema.tags:
            raise FlowError(
                f"step {self.step!r}: cold_start={self.cold_start!r} is no tag of the flow; "
                f"{suggest(self.cold_start, schema.tags)}"
            )
        if self.start is not None:
            raise FlowError(f"step {self.step!r}: give start or cold_start, not both")
        if self.evidence < 1:
            raise FlowError(f"step {self.step!r}: evidence={self.evidence}; at least 1 reading")

    def on_devices(self, names: Sequence[str], rows: Sequence[int], state: State) -> None:
        """Fill what follows from the kernels' state; start new devices with what is trained."""
        if self.start is not None:
            for name, row in zip(names, rows, strict=True):
                trained = self.start.get(name) if isinstance(self.start, Mapping) else self.start
                if trained is not None:
                    self._begin(name, row, state, trained)
        if self.model:
            self.model.on_devices(state, rows)

    def _begin(self, name: str, row: int, state: State, trained: Any) -> None:
        """Put a trained object in the place of a device that has not learned anything."""
        if self.model is None:
            if row not in state.objects:
                from streamflow.models.shape import with_gaps

                state.objects[row] = with_gaps(trained)
        elif self.model.untouched(state, row):
            try:
                self.model.take_over(state, row, trained)
            except StateError as error:
                raise StateError(f"step {self.step!r}: the start of {name!r}: {error}") from None

    def trained(self, state: State, row: int) -> Any:
        """A device's River object: it goes on with identical scores."""
        if self.model:
            return self.model.export(state, row, self.estimator)
        from streamflow.models.shape import without_gaps

        return without_gaps(state.objects.get(row, self.river))

    def on_batch(self, batch: Batch, state: State) -> Batch:
        """Score, then learn, reading by reading in effect."""
        if self.cold_start is None:
            return self._explain(batch, state)
        done = []
        for piece, row in cohort.joins(batch, state, self.cold_start, self.evidence):
            if row is not None:
                self._take_over(state, row)
            scored = self._explain(piece, state)
            has_score = ~np.isnan(scored[self.adds[0]])
            learning = cohort.count_own(piece, state, has_score, self.evidence)
            done.append(scored.with_columns({self._column("learning"): learning}))
        return Batch.concat(done)

    def _take_over(self, state: State, row: int) -> None:
        """Begin with the model of another device of the same kind, if one has enough evidence."""
        lender = cohort.lender(state, row, self.evidence)
        if lender is None:
            return
        if self.model is None:
            state.objects[row] = deepcopy(state.objects[lender])
            return
        for name in self.model.fields:
            state[name][row] = state[name][lender]
        self.model.on_devices(state, [row])

    def _explain(self, batch: Batch, state: State) -> Batch:
        """Add the score and, if wanted, what it would have been without each sensor."""
        if not self.explain:
            return self._scored(batch, state, None)
        from streamflow.stages.what_if import WhatIf

        what_if = WhatIf.about(batch, self._explained, state)
        out = self._scored(what_if.batch, state, what_if.shadow)
        real, without = what_if.columns(out[self.adds[0]], self._without)
        return (out if real.all() else out.take(real)).with_columns(without)

    def _scored(self, batch: Batch, state: State, shadow: Mask | None) -> Batch:
        """Add the score; what is a shadow is not learned."""
        from streamflow.models.record import score_and_learn

        may = np.full(len(batch), self.learn is not False)
        if shadow is not None:
            may &= ~shadow
        if self._learn:
            may &= self._learn.mask(batch)
        if self._pauses:
            may &= batch[COLUMN] != 1
        decides = self._decides(batch, state, shadow)
        if self.model:
            scores = self.model.run(batch, state, may, decides)
            return batch.with_columns({self.adds[0]: scores})
        scores, faults = score_and_learn(
            self.river, self.sensors, self.target, batch, state, may, decides
        )
        return faults.reject(batch.with_columns({self.adds[0]: scores}))

    def _decides(self, batch: Batch, state: State, shadow: Mask | None) -> Decides | None:
        """What of learning depends on a reading's own score."""
        learn, gate = self._learn, self._gate
        if gate is None and (learn is None or not learn.limits):
            return None
        alarming = gate.mask(batch) if gate else None
        known = (self.target,) if self.target else self.sensors
        # What could not be learned anyway says nothing to a gate.
        counts = _any_good(batch, known) if gate else None
        if counts is not None and self._pauses:
            counts &= batch[COLUMN] != 1

        def decides(at: Rows, scores: Values) -> Mask:
            if shadow is not None and shadow[at].any():
                out = ~shadow[at]
                out[out] = decides(at[out], scores[out])
                return out
            allowed = learn.holds(scores) if learn else np.ones(len(at), bool)
            if gate is None or alarming is None or counts is None or self.gate is None:
                return allowed
            alarm, which = alarming[at] & gate.holds(scores), counts[at]
            rows = batch.device[at[which]]
            allowed[which] &= gate_opens(self.gate, state, rows, alarm[which])
            return allowed

        return decides


def _any_good(batch: Batch, sensors: Sequence[str]) -> Mask:
    """Whether any of these values is good."""
    out = np.zeros(len(batch), bool)
    for sensor in sensors:
        out |= np.isfinite(batch[sensor]) & (batch.flags(sensor) == 0)
    return out


def _named(name: str) -> Any:
    """The estimator of a name."""
    from streamflow.models.auto import AutoDetector

    if name != "auto":
        raise FlowError(f'Detect knows no estimator {name!r}; give a River detector, or "auto"')
    return AutoDetector()
