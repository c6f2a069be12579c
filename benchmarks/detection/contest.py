"""Runs all detectors over all data, in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time
from typing import Any, ClassVar

import numpy as np

from benchmarks.detection import data, folds, ours, states
from benchmarks.detection.data import Series
from benchmarks.detection.nab import PROFILES, Corpus, Values
from benchmarks.detection.rivals import QUICK, RIVALS
from streamflow import AutoDetector, LevelShift, Mahalanobis, SeasonalNovelty, ValueNovelty
from streamflow.models.compile import register
from streamflow.models.kernels.onset import Surprising
from streamflow.models.onset import Onset, Parts

Scorer = Callable[[Series], Values]
OWN: dict[str, Callable[[], Any]] = {
    "AutoDetector": AutoDetector,
    "ValueNovelty": ValueNovelty,
    "SeasonalNovelty": SeasonalNovelty,
    "LevelShift": LevelShift,
}
STATES: dict[str, Callable[[], Any]] = {"Mahalanobis": Mahalanobis, "AutoDetector": AutoDetector}
KINDS = {
    "value": Parts(value=True),
    "value, season": Parts(value=True, season=True),
    "value, season, level/4": AutoDetector.PARTS,
    "value, season, level/2": Parts(value=True, season=True, level=0.5),
}
WEIGHTS = (1.0, 1.25, 1.5)
"""Rarity weights; with the kinds of parts, all that was compared on this corpus by its labels."""


def contest(size: str) -> dict[str, Any]:
    """The figures of each detector; of ours, those of the folds, too."""
    corpus, series = data.nab()
    out: dict[str, Any] = {"NAB": {}, "files": len(series), "chosen": None, "bootstrap": None}
    for name, make in OWN.items():
        scores, cost = _run(_mine(make()), series)
        out["NAB"][name] = {**_nab(corpus, scores), "cost": cost}
        if name == "AutoDetector":
            threshold = corpus.best(scores)[1]
            out["bootstrap"] = folds.bootstrap(corpus, scores, threshold)
            out["limit"] = corpus.score(scores, AutoDetector.ALERT_LIMIT)
            out["differ"] = _truncated(make(), series, scores)
    for name, rule in (RIVALS if size == "full" else QUICK).items():
        scores, cost = _run(_theirs(rule), series)
        out["NAB"][name] = {**_nab(corpus, scores), "cost": cost}
    if size == "full":
        every = [_run(_mine(one), series)[0] for one in _variants()]
        out["chosen"] = folds.other_half(corpus, every)
    runs = data.skab()
    out["SKAB"] = _skab(runs, size) if runs else {}
    out["runs"] = len(runs)
    return out


def _mine(estimator: Any) -> Scorer:
    return lambda one: ours.scores(estimator, one.batch)


def _theirs(rule: Any) -> Scorer:
    def scores(one: Series) -> Values:
        columns = {name: column.tolist() for name, column in one.batch.columns.items()}
        rows = zip(*columns.values(), strict=True)
        return np.array(list(rule([dict(zip(columns, row, strict=True)) for row in rows])))

    return scores


def _run(scorer: Scorer, series: Sequence[Series]) -> tuple[dict[str, Values], float]:
    """Scores of each series, and microseconds of CPU a reading, kernels being loaded."""
    scorer(series[0])
    begun = process_time()
    scores = {one.name: scorer(one) for one in series}
    spent = process_time() - begun
    return scores, spent / sum(len(one.batch) for one in series) * 1e6


def _nab(corpus: Corpus, scores: dict[str, Values]) -> dict[str, Any]:
    whole = {profile: corpus.best(scores, profile)[0] for profile in PROFILES}
    threshold = corpus.best(scores)[1]
    return {**whole, "threshold": threshold, "half": folds.other_half(corpus, [scores])}


def _truncated(estimator: Any, series: Sequence[Series], scores: dict[str, Values]) -> int:
    """How many scores change if each series ends a third, or two thirds, of the way."""
    differ = 0
    for one in series:
        for third in (1, 2):
            some = one.batch.take(np.arange(len(one.batch) * third // 3))
            before = ours.scores(estimator, some)
            differ += int((before != scores[one.name][: len(before)]).sum())
    return differ


def _variants() -> list[Onset]:
    return [
        _variant(parts)(rarity_weight=weight, time="time")
        for parts in KINDS.values()
        for weight in WEIGHTS
    ]


def _variant(made_of: Parts) -> type[Onset]:
    class Variant(Onset):
        """Another choice of parts."""

        PARTS: ClassVar[Parts] = made_of
        ALERT_LIMIT: ClassVar[float] = 0.0

    register(Variant, Surprising.of)
    return Variant


def _skab(runs: Sequence[Series], size: str) -> dict[str, dict[str, float]]:
    """Ours at the detector's own limit; a rival at the 99th percentile of a run's first 400."""
    labels = [one.anomaly for one in runs]
    out = {}
    for name, make in STATES.items():
        scores, cost = _run(_mine(make()), runs)
        limits = [make().ALERT_LIMIT] * len(runs)
        figures = states.measures([scores[one.name] for one in runs], limits, labels)
        out[name] = {**figures, "cost": cost}
    for name, rule in (RIVALS if size == "full" else QUICK).items():
        scores, cost = _run(_theirs(rule), runs)
        each = [scores[one.name] for one in runs]
        limits = [max(float(np.quantile(run[: states.START], 0.99)), 1e-9) for run in each]
        out[name] = {**states.measures(each, limits, labels), "cost": cost}
    return out
