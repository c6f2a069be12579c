"""What ours are held against: River's detectors and two simple rules, reading by reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import erfc, log10, sqrt
from typing import Any

from river import anomaly, preprocessing

Reading = Mapping[str, float]
Rule = Callable[[Sequence[Reading]], Iterator[float]]
"""Scores the readings of one series in order, each before it is learned."""


def trees(readings: Sequence[Reading]) -> Iterator[float]:
    """MinMaxScaler | HalfSpaceTrees, 25 trees of height 8, window 250."""
    model: Any = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(
        n_trees=25, height=8, window_size=250, seed=7
    )
    for x in readings:
        yield model.score_one(x)
        model.learn_one(x)


def gaussian(readings: Sequence[Reading]) -> Iterator[float]:
    """GaussianScorer with a window of 500, of the first sensor."""
    model: Any = anomaly.GaussianScorer(window_size=500)
    for x in readings:
        y = next(iter(x.values()))
        sigma: Any = model.gaussian.sigma
        # On constant values its variance is what rounding leaves, negative at times: it would
        # raise, or score 1 for ever.
        known = isinstance(sigma, float) and sigma > 1e-6 * abs(model.gaussian.mu)
        yield model.score_one(None, y) if known else 0.0
        model.learn_one(None, y)


def ewma(readings: Sequence[Reading]) -> Iterator[float]:
    """Deviation from an exponentially weighted mean, weight 0.02, of the first sensor."""
    mean, variance = 0.0, 0.0
    for number, x in enumerate(readings, 1):
        y = next(iter(x.values()))
        weight = max(0.02, 1 / number)
        step = y - mean
        yield abs(step) / sqrt(variance) if variance > 0 else float(step != 0)
        mean += weight * step
        variance = (1 - weight) * (variance + weight * step * step)


def windowed(readings: Sequence[Reading]) -> Iterator[float]:
    """-log10 of the normal tail beyond the value, by mean and variance of the last 6,400."""
    window: deque[float] = deque()
    total = squares = 0.0
    for x in readings:
        y = next(iter(x.values()))
        count = len(window)
        mean = total / count if count else y
        variance = max(squares / count - mean * mean, 0.0) if count else 0.0
        z = abs(y - mean) / sqrt(variance) if variance > 0 else 0.0
        yield -log10(max(erfc(z / sqrt(2)), 1e-300))
        window.append(y)
        total, squares = total + y, squares + y * y
        if count == 6400:
            old = window.popleft()
            total, squares = total - old, squares - old * old


RIVALS: dict[str, Rule] = {
    "HalfSpaceTrees": trees,
    "GaussianScorer": gaussian,
    "EWMA": ewma,
    "windowed Gaussian": windowed,
}
QUICK = {name: RIVALS[name] for name in ("EWMA", "windowed Gaussian")}
"""Those that take seconds for all of the corpus."""
