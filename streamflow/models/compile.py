"""Compile: a River anomaly detector or pipeline, lowered to kernels over declared state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from river import anomaly, compose, preprocessing, stats
from river.base import AnomalyFilter

from streamflow.core.batch import Batch, Codes, Mask, Values
from streamflow.core.memory import Field
from streamflow.core.state import State
from streamflow.models.kernels.base import Detector, Fields, Inputs, Kernel, Transformer, inputs
from streamflow.models.kernels.half_space_trees import Forest
from streamflow.models.kernels.max_abs import MaxAbs
from streamflow.models.kernels.min_max import MinMax
from streamflow.models.kernels.moments import Deviation, Gaussian
from streamflow.models.kernels.standard import Standard
from streamflow.models.learning import Decides

MOST_SENSORS = 62
"""Which sensors a reading has is kept as bits of an int64."""


class CannotCompileError(Exception):
    """Why an estimator runs reading by reading."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A pipeline of kernels.

    Parameters
    ----------
    sensors
        The columns of its inputs; with a target, that alone.
    transformers, detector
        The kernels, in order.
    threshold
        Of a ThresholdFilter: what scores as much is not learned. None without one.
    outermost
        Whether the filter keeps such readings from the transformers, too.
    """

    sensors: tuple[str, ...]
    transformers: tuple[Transformer, ...]
    detector: Detector
    threshold: float | None = None
    outermost: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {
            f"{number}_{name}": spec
            for number, kernel in enumerate(self.kernels)
            for name, spec in kernel.fields.items()
        }
        object.__setattr__(self, "fields", named)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """All of them."""
        return (*self.transformers, self.detector)

    def run(self, batch: Batch, state: State, may: Mask, decides: Decides | None) -> Values:
        """Score each reading, then learn it if `may` and, given its score, `decides` allow it."""
        seen, good = inputs(batch, self.sensors)
        rows = batch.device
        some = seen.present.any(axis=1)
        may = may & good.present.any(axis=1)
        parts = self._parts(state)
        self.detector.prepare(parts[-1], rows, good, may)
        if decides is None and self.threshold is None:
            scores = self._whole(parts, rows, seen, good, may)
        else:
            scores = self._in_waves(parts, batch, seen, good, may, decides)
        scores[~some] = np.nan
        return scores

    def on_devices(self, state: State, rows: Sequence[int]) -> None:
        """Devices joined or came back: fill what follows from their state."""
        if isinstance(self.detector, Forest):
            self.detector.restored(self._parts(state)[-1], rows)

    def _parts(self, state: State) -> list[Fields]:
        return [
            {name: state[f"{number}_{name}"] for name in kernel.fields}
            for number, kernel in enumerate(self.kernels)
        ]

    def _whole(
        self, parts: list[Fields], rows: Codes, seen: Inputs, good: Inputs, may: Mask
    ) -> Values:
        """All readings through one kernel, then all through the next."""
        for transformer, part in zip(self.transformers, parts, strict=False):
            seen, good = transformer.both(part, rows, seen, good, may)
        scores = np.full(len(rows), np.nan)
        self.detector.run(parts[-1], rows, seen, good, may, scores)
        return scores

    def _in_waves(
        self,
        parts: list[Fields],
        batch: Batch,
        seen: Inputs,
        good: Inputs,
        may: Mask,
        decides: Decides | None,
    ) -> Values:
        """Where learning depends on the score: every device's first reading, then every second.

        Within a wave no device comes twice, so all can be scored before any is learned.
        """
        scores = np.full(len(batch), np.nan)
        order, start, _ = batch.groups
        counts = np.diff(start)
        for number in range(int(counts.max(initial=0))):
            at = order[start[:-1][counts > number] + number]
            rows, saw, fit, learn = batch.device[at], seen.take(at), good.take(at), may[at]
            never = np.zeros(len(at), bool)
            scores[at] = self._whole(parts, rows, saw, fit.nothing(), never)
            if decides is not None:
                learn = learn & decides(at, scores[at])
            if self.threshold is not None and self.outermost:
                score = self._whole(parts, rows, fit, fit.nothing(), never)
                learn = learn & ~(score >= self.threshold)
            for transformer, part in zip(self.transformers, parts, strict=False):
                _, fit = transformer.both(part, rows, fit.nothing(), fit, learn)
            if self.threshold is not None and not self.outermost:
                score = np.full(len(at), np.nan)
                self.detector.run(parts[-1], rows, fit, fit.nothing(), never, score)
                learn = learn & ~(score >= self.threshold)
            self.detector.run(parts[-1], rows, fit.nothing(), fit, learn, np.empty(len(at)))
        return scores

    def export(self, state: State, row: int, river: Any) -> Any:
        """One device's River object, of the form of `river`: it goes on with the same scores."""
        out: Any = river.clone()
        inner: Any = out.anomaly_detector if _is_filter(out) else out
        parts = self._parts(state)
        done = [k.export(p, row, self.sensors) for k, p in zip(self.kernels, parts, strict=True)]
        if not isinstance(inner, compose.Pipeline):
            inner = done[-1]
        else:
            kernels = iter(done)
            for name, step in inner.steps.items():
                if _is_filter(step):
                    step.anomaly_detector = next(kernels)
                elif not isinstance(step, compose.Select):
                    inner.steps[name] = next(kernels)
            inner._plan = None
        if _is_filter(out):
            out.anomaly_detector = inner
            return out
        return inner

    def take_over(self, state: State, row: int, river: Any) -> None:
        """Put a trained River object in a device's place."""
        inner = river.anomaly_detector if _is_filter(river) else river
        steps = list(inner.steps.values()) if isinstance(inner, compose.Pipeline) else [inner]
        steps = [s.anomaly_detector if _is_filter(s) else s for s in steps]
        steps = [step for step in steps if not isinstance(step, compose.Select)]
        parts = self._parts(state)
        for kernel, part, step in zip(self.kernels, parts, steps, strict=True):
            kernel.take_over(part, row, self.sensors, step)


def compile_detector(estimator: Any, sensors: Sequence[str], target: str | None) -> Compiled:
    """The kernels of an estimator; CannotCompileError says why it must run reading by reading."""
    threshold, outermost = None, True
    if _is_filter(estimator):
        threshold = _threshold(estimator)
        estimator = estimator.anomaly_detector
    steps = (
        list(estimator.steps.values()) if isinstance(estimator, compose.Pipeline) else [estimator]
    )
    *before, last = steps
    if _is_filter(last):
        if threshold is not None:
            raise CannotCompileError("a filter within a filter")
        threshold, outermost = _threshold(last), False
        last = last.anomaly_detector
    columns = list(sensors)
    transformers: list[Transformer] = []
    for step in before:
        if isinstance(step, compose.Select):
            if transformers:
                raise CannotCompileError("Select comes after another transformer")
            columns = [name for name in columns if name in step.keys]
        else:
            transformers.append(_transformer(step, len(columns)))
    if target is not None:
        if before:
            raise CannotCompileError(f"{type(last).__name__} with a target sees no transformer")
        columns = [target]
    if len(columns) > MOST_SENSORS:
        raise CannotCompileError(f"more than {MOST_SENSORS} sensors")
    detector = _detector(last, tuple(columns))
    return Compiled(tuple(columns), tuple(transformers), detector, threshold, outermost)


def _is_filter(thing: Any) -> bool:
    # Not isinstance: River's metaclass takes a pipeline that ends with a filter for one.
    return AnomalyFilter in type(thing).__mro__


def _threshold(filter_: Any) -> float:
    if type(filter_) is not anomaly.ThresholdFilter:
        raise CannotCompileError(f"{type(filter_).__name__} has no kernel")
    # River's filter learns nothing at all when it does not protect its detector.
    return float(filter_.threshold) if filter_.protect_anomaly_detector else -np.inf


def _transformer(step: Any, width: int) -> Transformer:
    kind = type(step)
    if getattr(step, "window_size", None) is not None:
        raise CannotCompileError(f"{kind.__name__} with a window has no kernel")
    if kind is preprocessing.MinMaxScaler:
        return MinMax(width)
    if kind is preprocessing.MaxAbsScaler:
        return MaxAbs(width)
    if kind is preprocessing.StandardScaler:
        return Standard(width, step.with_std)
    raise CannotCompileError(f"{kind.__name__} has no kernel")


def _detector(step: Any, columns: tuple[str, ...]) -> Detector:
    kind = type(step)
    if kind is anomaly.HalfSpaceTrees:
        if step.seed is None:
            raise CannotCompileError("HalfSpaceTrees has no seed")
        if step.height < 1:
            raise CannotCompileError("HalfSpaceTrees of height 0")
        return Forest(step.clone(), columns)
    if kind is anomaly.GaussianScorer:
        return Gaussian(step.window_size or 0, step.grace_period)
    if kind is anomaly.StandardAbsoluteDeviation:
        if type(step.sub_stat) is not stats.Mean:
            raise CannotCompileError(f"around {type(step.sub_stat).__name__}, not the mean")
        return Deviation()
    raise CannotCompileError(f"{kind.__name__} has no kernel")
