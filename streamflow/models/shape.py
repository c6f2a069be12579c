"""Shape: how a River estimator is put together of steps and filters."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from river.base import AnomalyFilter, Transformer
from river.compose import Pipeline, Select
from river.preprocessing import PreviousImputer, StatImputer

IMPUTERS = (PreviousImputer, StatImputer)
"""To them a missing value is None, not an absent key."""


class Present(Transformer):
    """Comes after an imputer: what is still None becomes an absent key."""

    def transform_one(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """The values that there are."""
        return {name: value for name, value in x.items() if value is not None}


class Chosen(Select):
    """River's Select, which raises KeyError where a selected key is absent; this passes it over."""

    def transform_one(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """The selected values that there are."""
        return {name: value for name, value in x.items() if name in self.keys}


_STATELESS = (Select, Present)


def is_filter(thing: Any) -> bool:
    """Whether it is an anomaly filter around a detector."""
    # Not isinstance: River's metaclass takes a pipeline that ends with a filter for one.
    return AnomalyFilter in type(thing).__mro__


def steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline; of anything else, itself."""
    return list(estimator.steps.values()) if isinstance(estimator, Pipeline) else [estimator]


def final(estimator: Any) -> Any:
    """What scores: the last step of a pipeline, the detector inside a filter, or itself."""
    if isinstance(estimator, Pipeline):
        return final(steps(estimator)[-1])
    return final(estimator.anomaly_detector) if is_filter(estimator) else estimator


def clock(estimator: Any) -> str | None:
    """The name under which the detector looks for the event time, in seconds since 1970."""
    name = getattr(final(estimator), "time", None)
    return name if isinstance(name, str) else None


def leaves(estimator: Any) -> Iterator[Any]:
    """What learns: all steps but Select, those inside filters and pipelines, too."""
    if is_filter(estimator):
        yield from leaves(estimator.anomaly_detector)
    elif isinstance(estimator, Pipeline):
        for step in steps(estimator):
            yield from leaves(step)
    elif not isinstance(estimator, _STATELESS):
        yield estimator


def rebuilt(estimator: Any, parts: Iterator[Any]) -> Any:
    """The estimator with others in the place of its `leaves`."""
    if is_filter(estimator):
        estimator.anomaly_detector = rebuilt(estimator.anomaly_detector, parts)
    elif isinstance(estimator, Pipeline):
        for name, step in estimator.steps.items():
            estimator.steps[name] = rebuilt(step, parts)
        estimator._plan = None
    elif not isinstance(estimator, _STATELESS):
        return next(parts)
    return estimator


def filter_of(estimator: Any) -> Any:
    """The filter that it is or ends with."""
    return estimator if is_filter(estimator) else filter_of(steps(estimator)[-1])


def imputes(estimator: Any) -> bool:
    """Whether it is or begins with an imputer, sensors being selected before or not."""
    inner = estimator.anomaly_detector if is_filter(estimator) else estimator
    first = next((step for step in steps(inner) if not isinstance(step, Select)), None)
    return isinstance(first, IMPUTERS)


def selected(estimator: Any) -> set[str] | None:
    """The sensors that a pipeline selects before it does anything else; None if it takes all."""
    inner = estimator.anomaly_detector if is_filter(estimator) else estimator
    first = steps(inner)[0]
    return {str(key) for key in first.keys} if isinstance(first, Select) else None


def with_gaps(estimator: Any) -> Any:
    """A deep copy that can do with missing values.

    A selected key may be absent, and what an imputer leaves None becomes an absent key.
    """
    out = deepcopy(estimator)
    if is_filter(estimator):
        out.anomaly_detector = with_gaps(estimator.anomaly_detector)
        return out
    if not isinstance(estimator, Pipeline):
        return out
    able = Pipeline()
    for name, step in out.steps.items():
        able |= (name, Chosen(*step.keys) if isinstance(step, Select) else step)
        if isinstance(step, IMPUTERS):
            able |= Present()
    return able


def without_gaps(estimator: Any) -> Any:
    """A deep copy of what `with_gaps` gave, as River has it."""
    out = deepcopy(estimator)
    if is_filter(estimator):
        out.anomaly_detector = without_gaps(estimator.anomaly_detector)
        return out
    if not isinstance(estimator, Pipeline):
        return out
    plain = Pipeline()
    for name, step in out.steps.items():
        if not isinstance(step, Present):
            plain |= (name, Select(*step.keys) if isinstance(step, Chosen) else step)
    return plain
