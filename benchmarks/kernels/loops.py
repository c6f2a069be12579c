"""River's side: a dict of models, and a loop that scores, then learns, each reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from benchmarks.kernels.data import SENSORS
from streamflow import Batch

Models = dict[str, Any]
Loop = Callable[[Models, Sequence[str], Sequence[Any]], list[Any]]


def score(models: Models, devices: Sequence[str], readings: Sequence[Any]) -> list[Any]:
    """An anomaly detector."""
    out = []
    for device, x in zip(devices, readings, strict=True):
        model = models[device]
        out.append(model.score_one(x))
        model.learn_one(x)
    return out


def score_target(models: Models, devices: Sequence[str], readings: Sequence[Any]) -> list[Any]:
    """A supervised anomaly detector."""
    out = []
    for device, y in zip(devices, readings, strict=True):
        model = models[device]
        out.append(model.score_one(None, y))
        model.learn_one(None, y)
    return out


def transform(models: Models, devices: Sequence[str], readings: Sequence[Any]) -> list[Any]:
    """A transformer, as a pipeline calls it to score a reading and to learn it."""
    out = []
    for device, x in zip(devices, readings, strict=True):
        model = models[device]
        out.append(model.transform_one(x))
        model.learn_one(x)
        out.append(model.transform_one(x))
    return out


def fill(models: Models, devices: Sequence[str], readings: Sequence[Any]) -> list[Any]:
    """An imputer, to which a missing value is None."""
    out = []
    for device, x in zip(devices, readings, strict=True):
        model = models[device]
        out.append(model.transform_one(x))
        model.learn_one(x)
    return out


def watch(models: Models, devices: Sequence[str], readings: Sequence[Any]) -> list[Any]:
    """A drift detector."""
    out = []
    for device, value in zip(devices, readings, strict=True):
        model = models[device]
        model.update(value)
        out.append(model.drift_detected)
    return out


def given(loop: Loop, batches: Sequence[Batch], devices: int) -> tuple[list[str], list[Any]]:
    """The readings of the first so many devices, in the form that a loop takes."""
    whole = Batch.concat(batches)
    whole = whole.take(whole.device < devices)
    names = [whole.devices[code] for code in whole.device.tolist()]
    if loop in (score_target, watch):
        return names, whole[SENSORS[0]].tolist()
    columns = [whole[sensor].tolist() for sensor in SENSORS]
    rows = zip(*columns, strict=True)
    if loop is fill:
        return names, [
            {s: None if v != v else v for s, v in zip(SENSORS, row, strict=True)} for row in rows
        ]
    return names, [dict(zip(SENSORS, row, strict=True)) for row in rows]


def flat(outputs: Sequence[Any]) -> list[float]:
    """What a loop gave, as numbers; None is NaN."""
    if outputs and isinstance(outputs[0], dict):
        values = chain.from_iterable(map(x.get, SENSORS) for x in outputs)
        return [np.nan if value is None else float(value) for value in values]
    return [float(value) for value in outputs]
