"""Any River model, reading by reading: one object per device."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from river.base import AnomalyFilter, Base, DriftDetector, SupervisedAnomalyDetector
from river.compose import Pipeline

from streamflow.core.batch import Batch, Mask, Values
from streamflow.core.faults import Faults
from streamflow.core.state import State
from streamflow.errors import FlowError
from streamflow.models.codec import RiverCodec
from streamflow.models.learning import Decides


def final(estimator: Any) -> Any:
    """What scores: the last step of a pipeline, the detector inside a filter, or itself."""
    if isinstance(estimator, Pipeline):
        return final(list(estimator.steps.values())[-1])
    return final(estimator.anomaly_detector) if isinstance(estimator, AnomalyFilter) else estimator


def check_detector(step: str, estimator: Any, target: str | None) -> None:
    """Raise FlowError unless this is a River anomaly detector fit for the target."""
    if inspect.isclass(estimator):
        raise _is_class(step, estimator)
    last = final(estimator)
    name = type(last).__name__
    if not (hasattr(last, "score_one") and hasattr(last, "learn_one")):
        raise FlowError(
            f"step {step!r}: {name} is not an anomaly detector: it has no score_one and learn_one; "
            f"end the pipeline with one, as in MinMaxScaler() | HalfSpaceTrees()"
        )
    if not isinstance(estimator, Base):
        raise FlowError(f"step {step!r}: {name} is not a River estimator: it cannot be cloned")
    supervised = isinstance(last, SupervisedAnomalyDetector) or (
        "y" in inspect.signature(last.score_one).parameters
    )
    if supervised and target is None:
        raise FlowError(
            f"step {step!r}: {name} scores one value given the others; "
            f'say which: target="temperature"'
        )
    if target is not None and not supervised:
        raise FlowError(f"step {step!r}: {name} takes no target; leave target out")


def _is_class(step: str, thing: type) -> FlowError:
    name = thing.__name__
    return FlowError(f"step {step!r}: {name} is a class; give an object: {name}()")


def check_drift_detector(step: str, detector: Any) -> None:
    """Raise FlowError unless this is a River drift detector."""
    if inspect.isclass(detector):
        raise _is_class(step, detector)
    if not isinstance(detector, DriftDetector):
        raise FlowError(
            f"step {step!r}: {type(detector).__name__} is not a drift detector of River; "
            f"use one, as in drift.ADWIN()"
        )


def warnings(estimator: Any) -> Iterator[str]:
    """What a user should know about a detector before trusting its alerts."""
    last = final(estimator)
    if type(last).__name__ == "OneClassSVM":
        yield (
            "OneClassSVM's score is signed: anomalies of either sign are far from 0; "
            "alert on abs(score)"
        )
    steps = estimator.steps.values() if isinstance(estimator, Pipeline) else [estimator]
    for step in steps:
        if getattr(step, "seed", 0) is None:
            yield f"{type(step).__name__} has no seed: two runs will differ; give seed=7"


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

    A missing value is an absent key. What is not good is scored but not learned. A reading with
    no value at all has no score. An exception of the model leaves no score and is returned
    among the faults, for its reading to be set aside.
    """
    scores = [float("nan")] * len(batch)
    faults = Faults(batch, state)
    names = [*sensors, target] if target else list(sensors)
    seen = list(_readings(batch, names, good=False))
    good = list(_readings(batch, names, good=True)) if _any_flag(batch, names) else seen
    models = state.objects
    devices, allowed = batch.device.tolist(), may.tolist()
    for i in batch.groups.order.tolist():  # by device: a model stays in the cache meanwhile
        row, x = devices[i], seen[i]
        y = x.pop(target, None) if target else None
        if (target is not None and y is None) or (target is None and not x):
            continue
        model = models.get(row)
        if model is None:
            model = models[row] = estimator.clone()
        try:
            scores[i] = score = model.score_one(x) if target is None else model.score_one(x, y)
            if decides is not None:
                allowed[i] &= bool(decides(np.array([i]), np.array([score]))[0])
            if not allowed[i]:
                continue
            known = good[i]
            if target is None:
                if known:
                    model.learn_one(known)
            elif known is x:
                model.learn_one(x, y)
            elif target in known:
                model.learn_one(known, known.pop(target))
        except Exception as error:  # noqa: BLE001  it is the user's code: it may raise anything
            scores[i] = float("nan")
            faults.note(i, error)
    return np.array(scores, np.float64), faults


def _any_flag(batch: Batch, names: Sequence[str]) -> bool:
    return any(batch.quality[name].any() for name in names if name in batch.quality)


def _readings(batch: Batch, names: Sequence[str], good: bool) -> Iterator[dict[str, float]]:
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
