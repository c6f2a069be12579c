"""Our side: the kernels alone, over arrays that are there, and the stage that holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.kernels.data import SENSORS
from streamflow import Batch, Detect, Impute, MonitorDrift, Schema, Sensor, Stage
from streamflow.core.index import Index
from streamflow.core.state import State
from streamflow.models.compile import compile_detector, compile_imputer, compile_watcher
from streamflow.models.kernels.base import Imputer, Inputs, Transformer, inputs
from streamflow.models.kernels.max_abs import MaxAbs
from streamflow.models.kernels.min_max import MinMax
from streamflow.models.kernels.standard import Standard

Prepared = tuple[np.ndarray[Any, Any], Inputs, np.ndarray[Any, Any]]
Side = Callable[[Sequence[Batch]], list[np.ndarray[Any, Any]]]
"""Runs batches; what it gave for each: a row a reading."""
SCALERS: dict[str, Any] = {
    "MaxAbsScaler": MaxAbs,
    "MinMaxScaler": MinMax,
    "StandardScaler": Standard,
}


def stage_of(river: Any, target: str | None) -> Stage | None:
    """The stage that runs a River object; none runs a scaler alone."""
    schema = Schema("device", "time", {name: Sensor() for name in SENSORS})
    stage: Stage
    if hasattr(river, "drift_detected"):
        stage = MonitorDrift(SENSORS[0], river)
    elif hasattr(river, "score_one"):
        stage = Detect(river, target=target)
    elif type(river).__name__ not in SCALERS:
        stage = Impute(river)
    else:
        return None
    bound = stage.bind(schema)
    if bound.slow:
        raise RuntimeError(f"{river!r} is not compiled: {bound.slow}")
    return bound


class InStage:
    """The stage, with the state of some devices."""

    def __init__(self, stage: Stage, devices: int) -> None:
        self.stage = stage
        self.outputs = tuple(stage.adds) or SENSORS
        index = Index()
        names = [f"machine-{number:05d}" for number in range(devices)]
        rows = [index.add(name) for name in names]
        self.state = State("benchmark", stage.step, stage.memory, index)
        self.state.table.grow(devices)
        stage.on_devices(names, rows, self.state)

    def run(self, batches: Sequence[Batch]) -> list[np.ndarray[Any, Any]]:
        """Batch by batch."""
        out = []
        for batch in batches:
            given = self.stage.on_batch(batch, self.state)
            after = given[0] if isinstance(given, tuple) else given
            assert after is not None
            out.append(np.column_stack([after[name] for name in self.outputs]))
        return out


class Bare:
    """The kernels alone: their inputs are arrays that are there already."""

    def __init__(self, river: Any, target: str | None, devices: int) -> None:
        self.target = target
        self.kernels = _kernels(river, target)
        self.states = [
            {name: spec.make(devices) for name, spec in kernel.fields.items()}
            for kernel in self.kernels
        ]
        self.watches = hasattr(river, "drift_detected")

    def prepare(self, batches: Sequence[Batch]) -> list[Prepared]:
        """The inputs of each batch."""
        sensors = (self.target,) if self.target else SENSORS
        return [
            (batch.device, inputs(batch, sensors)[0], np.ones(len(batch), bool))
            for batch in batches
        ]

    def run(self, prepared: Sequence[Prepared]) -> list[np.ndarray[Any, Any]]:
        """Batch by batch."""
        return [self._one(*one) for one in prepared]

    def _one(
        self, rows: np.ndarray[Any, Any], seen: Inputs, may: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        good = seen
        out = np.zeros(len(rows))
        for kernel, state in zip(self.kernels, self.states, strict=True):
            if isinstance(kernel, (Transformer, Imputer)):
                seen, good = kernel.both(state, rows, seen, good, may)
            elif self.watches:
                kernel.run(state, rows, np.ascontiguousarray(seen.values[:, 0]), out)
            else:
                kernel.run(state, rows, seen, good, may, out)
        last = self.kernels[-1]
        if isinstance(last, Transformer):
            return np.column_stack([seen.values, good.values])
        return seen.values if isinstance(last, Imputer) else out


def _kernels(river: Any, target: str | None) -> Sequence[Any]:
    name = type(river).__name__
    if name in SCALERS:
        return (SCALERS[name].of(river, SENSORS),)
    if hasattr(river, "drift_detected"):
        return (compile_watcher(river, SENSORS[0]).kernel,)
    if hasattr(river, "score_one"):
        return compile_detector(river, SENSORS, target).kernels
    return (compile_imputer(river, SENSORS).kernel,)
