"""Check: is this River object what a stage can use, and what should be known about it?"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from river.base import Base, DriftDetector, SupervisedAnomalyDetector
from river.compose import Pipeline, Select
from river.drift import ADWIN
from river.preprocessing import PreviousImputer, StatImputer

from streamflow.errors import FlowError
from streamflow.models.readable import recipe
from streamflow.models.shape import (
    IMPUTERS,
    clock,
    final,
    imputes,
    is_filter,
    leaves,
    rebuilt,
    steps,
)


def check_detector(step: str, estimator: Any, target: str | None) -> None:
    """Raise FlowError unless this is a River anomaly detector fit for the target."""
    _check_object(step, estimator)
    inner = estimator.anomaly_detector if is_filter(estimator) else estimator
    for part in steps(inner):
        _check_object(step, part)
    last = final(estimator)
    _check_object(step, last)
    name = type(last).__name__
    if not (hasattr(last, "score_one") and hasattr(last, "learn_one")):
        raise FlowError(
            f"step {step!r}: {name} is not an anomaly detector: it has no score_one and learn_one; "
            f"end the pipeline with one, as in MinMaxScaler() | HalfSpaceTrees()"
        )
    if not isinstance(estimator, Base):
        raise FlowError(f"step {step!r}: {name} is not a River estimator: it cannot be cloned")
    for number, part in enumerate(steps(inner)[:-1]):
        if not hasattr(part, "transform_one"):
            raise FlowError(
                f"step {step!r}: {type(part).__name__} stands before {name}, but transforms "
                f"nothing; only transformers, such as MinMaxScaler(), can"
            )
        if isinstance(part, IMPUTERS) and number and not imputes(estimator):
            raise FlowError(
                f"step {step!r}: {type(part).__name__} comes after {type(steps(inner)[0]).__name__}"
                f", which passes no missing values on; put it first"
            )
    time = clock(estimator)
    for part in steps(inner)[:-1] if time else ():
        first = type(part).__name__
        if isinstance(part, Select) and time not in part.keys:
            raise FlowError(
                f"step {step!r}: {name} looks at the time, which {first} does not let through; "
                f'name it there, too: "{time}"'
            )
        if not isinstance(part, (Select, *IMPUTERS)):
            raise FlowError(
                f"step {step!r}: {name} looks at the time, and {first} before it would change it; "
                f"leave {first} out, or make {name} with time=None"
            )
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


def check_drift_detector(step: str, detector: Any) -> None:
    """Raise FlowError unless this is a River drift detector."""
    _check_object(step, detector)
    if not isinstance(detector, DriftDetector):
        raise FlowError(
            f"step {step!r}: {type(detector).__name__} is not a drift detector of River; "
            f"use one, as in drift.ADWIN()"
        )
    if isinstance(detector, ADWIN) and (detector.max_buckets < 2 or detector.clock < 1):
        raise FlowError(
            f"step {step!r}: ADWIN cannot work with max_buckets={detector.max_buckets} and "
            f"clock={detector.clock}; they are at least 2 and 1"
        )


def check_explained(step: str, estimator: Any) -> None:
    """Raise FlowError for a detector that changes when it scores: it cannot be asked what if."""
    name = type(final(estimator)).__name__
    if name == "PredictiveAnomalyDetection":
        raise FlowError(
            f"step {step!r}: explain=True asks {name} for scores of readings that were not there, "
            f"and it changes with each score; leave explain out, Alert(explain=True) explains by "
            f"deviations"
        )


def check_imputer(step: str, imputer: Any, sensors: Sequence[str]) -> None:
    """Raise FlowError unless this is a River imputer for these sensors."""
    _check_object(step, imputer)
    if not isinstance(imputer, IMPUTERS):
        raise FlowError(
            f"step {step!r}: {type(imputer).__name__} is not an imputer of River; use "
            f"{PreviousImputer.__name__}() or {StatImputer.__name__}(...)"
        )
    check_imputed(step, imputer, sensors)


def check_imputed(step: str, estimator: Any, sensors: Sequence[str]) -> None:
    """Raise FlowError if a StatImputer at its head imputes what is not among these sensors."""
    inner = estimator.anomaly_detector if is_filter(estimator) else estimator
    for part in steps(inner):
        for sensor, _ in part.imputers if isinstance(part, StatImputer) else ():
            if sensor not in sensors:
                raise FlowError(
                    f"step {step!r}: StatImputer imputes {sensor!r}, which is not among its "
                    f"sensors: {', '.join(sensors)}"
                )


def check_start(step: str, estimator: Any, start: Any) -> None:
    """Raise FlowError unless what devices start with was made as the estimator was."""
    given = start if isinstance(start, Mapping) else {"": start}
    wanted = _chosen(estimator)
    for device, trained in given.items():
        if trained is None:
            continue
        _check_object(step, trained)
        if _chosen(trained) != wanted:
            whose = f" of {device!r}" if device else ""
            raise FlowError(
                f"step {step!r}: start{whose} was made as {recipe(trained)}, and its estimator as "
                f"{recipe(estimator)}; give both the same parameters, the seed among them"
            )


def _chosen(thing: Any) -> Any:
    """How an object was made, without what it has learned: River keeps both in its parameters."""
    if isinstance(thing, Pipeline):
        return [_chosen(step) for step in steps(thing)]
    if isinstance(thing, Base):
        return type(thing), [_chosen(value) for value in thing._get_params().values()]
    if isinstance(thing, (tuple, list)):
        return [_chosen(value) for value in thing]
    plain = isinstance(thing, (str, int, float, type(None)))
    return thing if plain else type(thing)


def _check_object(step: str, thing: Any) -> None:
    if inspect.isclass(thing):
        name = thing.__name__
        raise FlowError(f"step {step!r}: {name} is a class; give an object: {name}()")


def seeded(estimator: Any, flow: str, step: str) -> tuple[Any, str]:
    """The estimator with a seed where a random model has none, and what to say about it.

    The seed follows from the names of the flow and the step, so that a replay is exact.
    """
    if not isinstance(estimator, Base):
        return estimator, ""
    seed = crc32(f"{flow}/{step}".encode())
    without = [
        type(part).__name__ for part in leaves(estimator) if getattr(part, "seed", 0) is None
    ]
    if not without:
        return estimator, ""
    parts = [
        part.clone({"seed": seed}) if getattr(part, "seed", 0) is None else part
        for part in leaves(estimator)
    ]
    estimator = rebuilt(estimator.clone(), iter(parts))
    return estimator, (
        f"{' and '.join(dict.fromkeys(without))} has no seed, and an exact replay needs one: it is "
        f"{seed}, from the names of flow and step; with seed={seed} it stays when they change"
    )


def warnings(estimator: Any) -> Iterator[str]:
    """What a user should know about a detector before trusting its alerts."""
    if type(final(estimator)).__name__ == "OneClassSVM":
        yield (
            "OneClassSVM's score is signed: anomalies of either sign are far from 0; "
            "alert on abs(score)"
        )
