"""Compile: River estimators, lowered to kernels over declared state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from river import anomaly, compose, drift, preprocessing

from streamflow.models.auto import AutoDetector
from streamflow.models.compiled import Alone, Compiled
from streamflow.models.kernels.adwin import Adwin
from streamflow.models.kernels.base import (
    CannotCompileError,
    Detector,
    Filter,
    Imputer,
    Transformer,
    Watcher,
)
from streamflow.models.kernels.half_space_trees import Forest
from streamflow.models.kernels.mahalanobis import Together
from streamflow.models.kernels.max_abs import MaxAbs
from streamflow.models.kernels.min_max import MinMax
from streamflow.models.kernels.moments import Deviation, Gaussian
from streamflow.models.kernels.onset import Surprising
from streamflow.models.kernels.page_hinkley import PageHinkley
from streamflow.models.kernels.previous_imputer import Previous
from streamflow.models.kernels.quantile_filter import Quantile
from streamflow.models.kernels.standard import Standard
from streamflow.models.kernels.stat_imputer import Stat
from streamflow.models.kernels.threshold_filter import Threshold
from streamflow.models.level_shift import LevelShift
from streamflow.models.mahalanobis import Mahalanobis
from streamflow.models.novelty import ValueNovelty
from streamflow.models.seasonal_novelty import SeasonalNovelty
from streamflow.models.shape import is_filter, steps

Part = Transformer | Imputer | Detector | Filter | Watcher
Make = Callable[[Any, tuple[str, ...]], Part]
"""The kernel of a River object that sees these sensors; or CannotCompileError says why not."""

KERNELS: dict[type, Make] = {
    AutoDetector: Surprising.of,
    LevelShift: Surprising.of,
    Mahalanobis: Together.of,
    SeasonalNovelty: Surprising.of,
    ValueNovelty: Surprising.of,
    anomaly.GaussianScorer: Gaussian.of,
    anomaly.HalfSpaceTrees: Forest.of,
    anomaly.QuantileFilter: Quantile.of,
    anomaly.StandardAbsoluteDeviation: Deviation.of,
    anomaly.ThresholdFilter: Threshold.of,
    drift.ADWIN: Adwin.of,
    drift.PageHinkley: PageHinkley.of,
    preprocessing.MaxAbsScaler: MaxAbs.of,
    preprocessing.MinMaxScaler: MinMax.of,
    preprocessing.PreviousImputer: Previous.of,
    preprocessing.StandardScaler: Standard.of,
    preprocessing.StatImputer: Stat.of,
}


def register(river: type, make: Make) -> None:
    """Give an estimator a kernel.

    Parameters
    ----------
    river
        The estimator's class; of its subclasses nothing follows.
    make
        Makes the kernel of an object of this class and of the sensors that it sees, or raises
        CannotCompileError with the reason.
    """
    KERNELS[river] = make


def compile_detector(estimator: Any, sensors: Sequence[str], target: str | None) -> Compiled:
    """The kernels of an estimator; CannotCompileError says why it must run reading by reading."""
    around = estimator if is_filter(estimator) else None
    *before, last = steps(around.anomaly_detector if around else estimator)
    within = last if is_filter(last) else None
    if around and within:
        raise CannotCompileError("a filter within a filter")
    last = within.anomaly_detector if within else last
    columns = tuple(sensors)
    transformers: list[Transformer | Imputer] = []
    for step in before:
        if isinstance(step, compose.Select):
            if transformers:
                raise CannotCompileError("Select comes after another transformer")
            columns = tuple(name for name in columns if name in step.keys)
            continue
        made = _made(step, columns)
        if isinstance(made, Imputer) and transformers:
            raise CannotCompileError(f"{type(step).__name__} comes after another transformer")
        if not isinstance(made, (Transformer, Imputer)):
            raise CannotCompileError(f"{type(step).__name__} is no transformer")
        transformers.append(made)
    if target is not None:
        if before:
            raise CannotCompileError(f"{type(last).__name__} with a target sees no transformer")
        columns = (target,)
    detector = _made(last, columns)
    if not isinstance(detector, Detector):
        raise CannotCompileError(f"{type(last).__name__} is no detector")
    outer = around or within
    filter_ = _made(outer, columns) if outer else None
    if filter_ is not None and not isinstance(filter_, Filter):
        raise CannotCompileError(f"{type(outer).__name__} is no filter")
    return Compiled(columns, tuple(transformers), detector, filter_, within is None)


def compile_watcher(detector: Any, on: str) -> Alone[Watcher]:
    """The kernel of a drift detector."""
    made = _made(detector, (on,))
    if not isinstance(made, Watcher):
        raise CannotCompileError(f"{type(detector).__name__} is no drift detector")
    return Alone(made, (on,))


def compile_imputer(imputer: Any, sensors: Sequence[str]) -> Alone[Imputer]:
    """The kernel of an imputer."""
    made = _made(imputer, tuple(sensors))
    if not isinstance(made, Imputer):
        raise CannotCompileError(f"{type(imputer).__name__} is no imputer")
    return Alone(made, tuple(sensors))


def _made(river: Any, sensors: tuple[str, ...]) -> Part:
    make = KERNELS.get(type(river))
    if make is None:
        raise CannotCompileError(f"{type(river).__name__} has no kernel")
    return make(river, sensors)
