"""Law 5: a compiled River object equals River, bit for bit.

River's own `score_one` and `learn_one`, one object per device and one reading after the other,
against the kernels: every output, what both have learned (as River's attributes), and all that
follows when either goes on from the other's state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from streamflow.core.batch import Batch
from streamflow.core.index import Index
from streamflow.core.schema import Schema, Sensor
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.models.learning import Condition, Gate, condition
from streamflow.models.shape import clock, imputes
from streamflow.stages.detect import Detect
from streamflow.stages.drift import MonitorDrift
from streamflow.stages.impute import Impute
from streamflow.testing.observed import difference, same
from streamflow.testing.streams import Stream

COMPILED = "law 5, compiled equals River"


def compiled_equals_river(
    river: Any,
    sensors: Sequence[str],
    stream: Stream,
    *,
    target: str | None = None,
    learn: str | bool = True,
    gate: Gate | None = None,
) -> None:
    """Law 5: the kernels give what River gives, and either can go on from the other's state.

    What reaches River is what streamflow lets through: finite values only, a missing one being an
    absent key, or None if River's object begins with an imputer. Where River's score is not a
    number, or it raises because a number has become complex, there is no score.

    Parameters
    ----------
    river
        A River anomaly detector or a pipeline of one; a drift detector; or an imputer.
    sensors
        What it sees; a drift detector sees one.
    stream
        Readings that have these columns.
    target, learn, gate
        As in `Detect`.

    Raises
    ------
    AssertionError
        With the first place that differs, or why `river` has no kernels.

    Examples
    --------
    >>> from river import anomaly, preprocessing
    >>> rows = [{"device": "a", "time": i, "t": i % 7.0} for i in range(100)]
    >>> trees = anomaly.HalfSpaceTrees(n_trees=2, window_size=9, seed=7)
    >>> model = preprocessing.MinMaxScaler() | trees
    >>> compiled_equals_river(model, ["t"], Stream((Batch.of(rows, ["t"]),)))
    """
    names = [*sensors, *([target] if target and target not in sensors else [])]
    schema = Schema("device", "time", {name: Sensor() for name in names})
    stage = _stage(river, sensors, target, learn, gate).bind(schema)
    if stage.model is None:
        raise AssertionError(f"{COMPILED}: it is not compiled: {stage.slow}")
    batches = [item for item in stream.items if isinstance(item, Batch)]
    middle = len(batches) // 2
    kernels, models = _Kernels(stage), _Models(stage)
    for batch in batches[:middle]:
        _compare(models.feed(batch), kernels.feed(batch), batch, "from the start")
    trained = {device: kernels.export(device) for device in models.own}
    for device, model in models.own.items():
        found = difference(model, trained[device])
        if found:
            raise AssertionError(f"{COMPILED}: device {device!r}: River's {found} of the kernels")
    exported = models.going_on_with(trained)
    taken = kernels.going_on_with(models)
    for batch in batches[middle:]:
        expected = models.feed(batch)
        _compare(expected, kernels.feed(batch), batch, "from the start")
        _compare(expected, exported.feed(batch), batch, "turned back into River's objects")
        _compare(expected, taken.feed(batch), batch, "taken over from River's objects")
    for how, run in {"from the start": kernels, "taken over": taken}.items():
        for device, model in models.own.items():
            found = difference(model, run.export(device))
            if found:
                text = f"{COMPILED}: at the end, {how}, device {device!r}: River's {found}"
                raise AssertionError(f"{text} of the kernels")


def _stage(
    river: Any, sensors: Sequence[str], target: str | None, learn: str | bool, gate: Gate | None
) -> Any:
    if hasattr(river, "drift_detected"):
        (sensor,) = sensors
        return MonitorDrift(sensor, river)
    if hasattr(river, "score_one") or hasattr(river, "steps"):
        return Detect(river, sensors, target, learn, gate)
    return Impute(river, sensors=sensors)


def _compare(expected: Any, got: Any, batch: Batch, how: str) -> None:
    for column, values in expected.items():
        for i, (x, y) in enumerate(zip(values, got[column], strict=True)):
            if not same(x, y):
                row = {name: column[i].item() for name, column in batch.columns.items()}
                raise AssertionError(
                    f"{COMPILED}: {column!r} of device {batch.name(i)!r} for {row} is {x!r} by "
                    f"River, {y!r} by the kernels {how}"
                )


class _Kernels:
    """The stage, compiled."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.index = Index()
        self.state = State("law5", stage.step, stage.memory, self.index)

    def feed(self, batch: Batch) -> dict[str, list[float]]:
        rows, new = self.index.locate(batch)
        self._welcome(new)
        own = batch.replace(device=rows, devices=self.index.names)
        out = self.stage.on_batch(own, self.state)
        changed = out[0] if isinstance(out, tuple) else out
        return {name: changed[name].tolist() for name in _outputs(self.stage)}

    def export(self, device: str) -> Any:
        row = self.index.row(device)
        return self.stage.model.export(self.state, row, _given(self.stage))

    def going_on_with(self, models: _Models) -> _Kernels:
        """The kernels with River's objects in the place of what they learned."""
        new = _Kernels(self.stage)
        for device, model in models.own.items():
            new._welcome([new.index.add(device)])
            row = new.index.row(device)
            self.stage.model.take_over(new.state, row, model)
            for name in ("calm", "gated"):
                if name in self.stage.memory.fields:
                    new.state[name][row] = self.state[name][self.index.row(device)]
        return new

    def _welcome(self, rows: Sequence[int]) -> None:
        if rows:
            self.state.table.grow(len(self.index.names))
            self.stage.on_devices([self.index.names[row] for row in rows], rows, self.state)


class _Models:
    """The stage in plain Python, around River's own objects."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.conditions = _conditions(stage)
        self.own: dict[str, Any] = {}
        self.gates: dict[str, _Gate] = {}

    def going_on_with(self, own: dict[str, Any]) -> _Models:
        """The same with other objects."""
        new = _Models(self.stage)
        new.own, new.gates = own, deepcopy(self.gates)
        return new

    def feed(self, batch: Batch) -> dict[str, list[float]]:
        outputs: dict[str, list[float]] = {name: [] for name in _outputs(self.stage)}
        for i, (device, seen, good, upstream) in enumerate(self._readings(batch)):
            if device not in self.own:
                self.own[device] = deepcopy(_given(self.stage))
            model = self.own[device]
            if isinstance(self.stage, Detect):
                outputs[self.stage.adds[0]].append(
                    self._detect(device, model, seen, good, upstream)
                )
            elif isinstance(self.stage, MonitorDrift):
                value = good[self.stage.on]
                if value is not None:
                    model.update(value)
                found = value is not None and model.drift_detected
                outputs[self.stage.adds[0]].append(float(found))
            else:
                filled = model.transform_one(seen)
                model.learn_one(good)
                for name, value in filled.items():
                    sent = batch[name][i].item()
                    kept = sent != sent and value is not None and np.isfinite(value)
                    outputs[name].append(float(value) if kept else sent)
        return outputs

    def _readings(self, batch: Batch) -> Iterator[tuple[str, Any, Any, tuple[bool, bool]]]:
        stage = self.stage
        names = [stage.on] if isinstance(stage, MonitorDrift) else list(stage.sensors)
        if isinstance(stage, Detect) and stage.target:
            names.append(stage.target)
        both = self.conditions
        upstream = [c.mask(batch) if c else np.ones(len(batch), bool) for c in both]
        for i in range(len(batch)):
            seen, good = {}, {}
            for name in names:
                value = batch[name][i].item()
                seen[name] = value if np.isfinite(value) else None
                good[name] = None if batch.flags(name)[i] else seen[name]
            time = clock(stage.estimator) if isinstance(stage, Detect) else None
            if time:
                seen[time] = good[time] = batch.time[i].item() / 1e9
            yield batch.name(i), seen, good, (bool(upstream[0][i]), bool(upstream[1][i]))

    def _detect(self, device: str, model: Any, seen: Any, good: Any, upstream: Any) -> float:
        stage = self.stage
        target = stage.target
        time = clock(stage.estimator)
        counted = [target] if target else [name for name in seen if name != time]
        if all(seen[name] is None for name in counted):
            return float("nan")
        try:
            score = _call(stage, model.score_one, seen)
        except TypeError as error:
            # The root of a negative variance.
            if "complex" not in str(error):
                raise
            score = float("nan")
        learn, gate = self.conditions
        may = stage.learn is not False and upstream[0]
        may = may and (learn is None or all(op(score, limit) for op, limit in learn.limits))
        known = any(good[name] is not None for name in counted)
        if gate is not None and known:
            alarm = upstream[1] and all(op(score, limit) for op, limit in gate.limits)
            may = self.gates.setdefault(device, _Gate(stage.gate)).opens(alarm) and may
        if may and known:
            _call(stage, model.learn_one, good)
        return float(score)


def _call(stage: Detect, method: Any, x: dict[str, float | None]) -> Any:
    x = dict(x)
    y = x.pop(stage.target) if stage.target else None
    if not imputes(stage.estimator):
        x = {name: value for name, value in x.items() if value is not None}
    return method(x) if stage.target is None else method(x, y)


class _Gate:
    """A gate of one device, as its docstring says."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.calm, self.gated = gate, gate.resume, 0

    def opens(self, alarm: bool) -> bool:
        self.calm = 0 if alarm else self.calm + 1
        if self.calm >= self.gate.resume:
            self.gated = 0
            return True
        self.gated += 1
        return self.gated > self.gate.limit


def _outputs(stage: Stage) -> Sequence[str]:
    return stage.sensors if isinstance(stage, Impute) else stage.adds


def _given(stage: Any) -> Any:
    """The River object that the stage was given."""
    if isinstance(stage, Detect):
        return stage.river
    return stage.detector if isinstance(stage, MonitorDrift) else stage.hold


def _conditions(stage: Any) -> tuple[Condition | None, Condition | None]:
    if not isinstance(stage, Detect):
        return None, None
    names = (stage.adds[0], [*stage.sensors, *([stage.target] if stage.target else [])], ())
    learn = (
        condition(stage.step, "learn", stage.learn, *names)
        if isinstance(stage.learn, str)
        else None
    )
    gate = condition(stage.step, "gate", stage.gate.when, *names) if stage.gate else None
    return learn, gate
