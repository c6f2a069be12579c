"""Any River object, reading by reading: one per device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from river.compose import Pipeline

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.faults import Faults
from streamflow.core.state import State
from streamflow.models.codec import RiverCodec
from streamflow.models.learning import Decides
from streamflow.models.shape import clock, imputes

RUST_PANIC = "PanicException"
"""What River's Rust raises when it fails: no Exception, though nothing but one reading is lost."""


def detector_bytes(estimator: Any, sensors: Sequence[str], target: str | None) -> int:
    """Bytes of one device's model after its first reading, as it is saved."""
    model = estimator.clone()
    x = dict.fromkeys(sensors, 0.5)
    if target is None:
        model.learn_one(x)
    else:
        model.learn_one(x, 0.5)
    return RiverCodec().size(model)


def drift_detector_bytes(detector: Any) -> int:
    """Bytes of one device's drift detector after its first reading, as it is saved."""
    own = detector.clone()
    own.update(0.5)
    return RiverCodec().size(own)


def score_and_learn(
    estimator: Any,
    sensors: Sequence[str],
    target: str | None,
    batch: Batch,
    state: State,
    may: Mask,
    decides: Decides | None,
) -> tuple[Values, Faults]:
    """Score each reading, then let its model learn it if `may` and, given its score, `decides`
    allow it.

    A missing value is an absent key, or None if the model begins with an imputer. A model that
    looks at the time finds it under the name it says. What is not
    good is scored but not learned. A reading with no value at all has no score. An exception of
    the model leaves no score and is returned among the faults, for its reading to be set aside.
    """
    scores = [float("nan")] * len(batch)
    faults = Faults(batch, state)
    names = [*sensors, target] if target else list(sensors)
    seen = list(readings(batch, names, good=False))
    good = list(readings(batch, names, good=True)) if _any_flag(batch, names) else seen
    none = dict.fromkeys(sensors) if imputes(estimator) else {}
    time = clock(estimator)
    seconds = (batch.time / 1e9).tolist() if time else []
    # A pipeline takes the target by name, a filter only by its place.
    named = isinstance(estimator, Pipeline)
    models = state.objects
    devices, allowed = batch.device.tolist(), may.tolist()
    for i in batch.groups.order.tolist():  # by device: a model stays in the cache meanwhile
        row, x = devices[i], seen[i]
        y = x.pop(target, None) if target else None
        if (target is not None and y is None) or (target is None and not x):
            continue
        beside = none | {time: seconds[i]} if time else none
        model = models.get(row)
        if model is None:
            model = models[row] = deepcopy(estimator)
        try:
            if target is None:
                score = model.score_one(beside | x)
            else:
                score = (
                    model.score_one(beside | x, y=y) if named else model.score_one(beside | x, y)
                )
            scores[i] = score
            if decides is not None:
                allowed[i] &= bool(decides(np.array([i]), np.array([score]))[0])
            if not allowed[i]:
                continue
            known = good[i]
            if target is None:
                if known:
                    model.learn_one(beside | known)
            elif known is x:
                model.learn_one(beside | x, y)
            elif target in known:
                y = known.pop(target)
                model.learn_one(beside | known, y)
        except BaseException as error:  # it is the user's code: it may raise anything
            if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
                raise
            scores[i] = float("nan")
            faults.note(i, error)
    return np.array(scores, np.float64), faults


def impute(
    imputer: Any, sensors: Sequence[str], batch: Batch, state: State
) -> tuple[dict[str, Values], Faults]:
    """Each sensor's values with the missing ones filled in; then the imputer learns the good ones.

    What the imputer leaves None, or fills with what is not finite, stays missing.
    """
    filled = {sensor: [float("nan")] * len(batch) for sensor in sensors}
    faults = Faults(batch, state)
    none = dict.fromkeys(sensors)
    pairs = zip(readings(batch, sensors, False), readings(batch, sensors, True), strict=True)
    for i, (row, (seen, good)) in enumerate(zip(batch.device.tolist(), pairs, strict=True)):
        own = state.objects.get(row)
        if own is None:
            own = state.objects[row] = deepcopy(imputer)
        try:
            for sensor, value in own.transform_one(none | seen).items():
                filled[sensor][i] = float("nan") if value is None else float(value)
            own.learn_one(none | good)
        except Exception as error:  # noqa: BLE001  a statistic of the user's may raise anything
            faults.note(i, error)
    return {sensor: np.array(values) for sensor, values in filled.items()}, faults


def imputer_bytes(imputer: Any, sensors: Sequence[str]) -> int:
    """Bytes of one device's imputer after its first reading, as it is saved."""
    own = imputer.clone()
    own.learn_one(dict.fromkeys(sensors, 0.5))
    return RiverCodec().size(own)


def _any_flag(batch: Batch, names: Sequence[str]) -> bool:
    return any(batch.quality[name].any() for name in names if name in batch.quality)


def readings(batch: Batch, names: Sequence[str], good: bool) -> Iterator[dict[str, float]]:
    """The values of each reading that are there; with `good`, of those the good ones."""
    columns = []
    for name in names:
        values = batch[name]
        usable = np.isfinite(values)
        if good and name in batch.quality:
            usable &= batch.quality[name] == 0
        columns.append(values if usable.all() else np.where(usable, values, np.nan))
    complete = not any(np.isnan(column).any() for column in columns)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        if complete:
            yield dict(zip(names, row, strict=True))
        else:
            yield {name: value for name, value in zip(names, row, strict=True) if value == value}
