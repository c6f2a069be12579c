"""Mahalanobis: are the sensors, taken together, as they usually are?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import exp, log, sqrt
from typing import ClassVar

from river.base import AnomalyDetector

from streamflow.models.codebook import DIGITS

LARGEST = 1e150
"""Beyond it squares may overflow."""
CLIP = 4.0
"""Standard deviations beyond which a sensor is not further away."""
KNOWN = 30
"""Readings of a sensor after which one is not learned as further away than `CLIP`, either."""
SLOWEST = 0.001
"""The least weight of a reading in the moments, so that old readings fade."""
GATED = 0.02
"""The weight with which a reading is learned while the state is not normal."""
QUANTILE = 2.33
"""The limit's standard deviations above the mean: 99 % of a normal distribution lie below."""
RAISE, LOWER = exp(0.00075 * 0.99), exp(-0.00075 * 0.01)
"""The limit's change with a reading above it and below: in balance if 1 % are above."""
LEAST = 0.1
"""The lowest limit; of sensors that do not depend on each other the usual distance is 1."""


class Mahalanobis(AnomalyDetector):
    r"""How far the sensors, taken together, are from their usual state; above 1 it is not normal.

    Sensors that usually move together are told from those that do not: what no sensor shows alone,
    such as a current that no longer rises with the speed, is far away. With $z$ the deviations from
    the means in standard deviations, at most 4, and $R$ their correlations, the distance is

    $$q = \sqrt{(1 + \lambda) z^\top (R + \lambda I)^{-1} z / d},$$

    about 1 for a usual reading; the score is the exponentially weighted mean of $q$ over its limit.
    It tells a *state*: it stays high while things are not as usual, where `ValueNovelty` and its
    like tell the *onset*.

    Limit: with the readings from `grace` to `warm_up` the 99th percentile of a log-normal
    distribution of the weighted mean; from then on it rises while the score is above 1, by half in
    540 readings, and falls slowly while it is not, so that in the long run 1 % are above. Until
    `warm_up` readings are learned the score is 0.

    The gate: while the score is above 1 a reading is learned with a fiftieth of its weight. Without
    it a fault would soon be what is usual; with it, a lasting new state becomes usual in the end.

    A sensor missing from a reading is left out. Memory: a number for each pair of sensors; each
    reading solves a system with as many unknowns as there are sensors. Scoring changes nothing.
    Values that are not numbers between -1e150 and 1e150 count as missing.

    Parameters
    ----------
    ridge
        $\lambda$, in correlations: how little small departures from strong correlations count.
    smoothing
        Weight of a reading in the mean of $q$.
    grace
        Readings learned until the limit begins to be found.
    warm_up
        Readings learned until it is found.

    Attributes
    ----------
    ALERT_LIMIT
        1: above it the state is not normal.

    Examples
    --------
    >>> import random
    >>> from streamflow.models.mahalanobis import Mahalanobis

    >>> rng = random.Random(42)
    >>> detector = Mahalanobis()
    >>> for _ in range(1000):
    ...     speed = rng.gauss(50, 5)
    ...     detector.learn_one({"speed": speed, "current": speed / 10 + rng.gauss(0, 0.1)})

    >>> detector.score_one({"speed": 55, "current": 5.5}) < 1
    True
    >>> for _ in range(50):  # each sensor is within its range, but not with the other
    ...     detector.learn_one({"speed": 55, "current": 4.5})
    >>> detector.score_one({"speed": 55, "current": 4.5}) > 1
    True

    References
    ----------
    Mahalanobis, P. C. (1936). On the generalised distance in statistics. Proceedings of the
    National Institute of Sciences of India 2(1), 49-55.

    Roberts, S. W. (1959). Control chart tests based on geometric moving averages. Technometrics
    1(3), 239-250.

    """

    ALERT_LIMIT: ClassVar[float] = 1.0

    def __init__(
        self, *, ridge: float = 1.0, smoothing: float = 0.05, grace: int = 200, warm_up: int = 400
    ) -> None:
        self.ridge = ridge
        self.smoothing = smoothing
        self.grace = grace
        self.warm_up = warm_up
        self._readings = 0
        self._distance = 0.0
        self._limit = 0.0
        # Mean and sum of squares of the logarithms of the distances, from which the limit comes.
        self._log_mean = self._log_spread = 0.0
        self._weight: dict[Hashable, float] = {}
        self._mean: dict[Hashable, float] = {}
        self._cov: dict[Hashable, dict[Hashable, float]] = {}

    def score_one(self, x: Mapping[Hashable, float]) -> float:
        """Return the score of a reading, 0 or more.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        return self.distance(x) / self._limit if self._limit > 0 else 0.0

    def distance(self, x: Mapping[Hashable, float]) -> float:
        """Return the weighted mean of the distances up to this reading.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        known, z, sigma = [], [], []
        for name, value in usable(x).items():
            if name not in self._weight:
                continue
            away = value - self._mean[name]
            deviation, rounding = sqrt(self._cov[name][name]), DIGITS * abs(self._mean[name])
            if deviation > rounding:
                far = min(max(away / deviation, -CLIP), CLIP)
            elif abs(away) > rounding:
                far = CLIP if away > 0 else -CLIP
            else:
                far = 0.0
            known.append(name)
            z.append(far)
            sigma.append(deviation if deviation > rounding else 0.0)
        if not known:
            return self._distance
        square = self._square(known, z, sigma)
        q = sqrt((1.0 + self.ridge) * square / len(known))
        return (1.0 - self.smoothing) * self._distance + self.smoothing * q

    def _square(self, known: list[Hashable], z: list[float], sigma: list[float]) -> float:
        """z (R + ridge I)^-1 z: the squares of L^-1 z, with L the Cholesky factor."""
        lower: list[list[float]] = []
        solved: list[float] = []
        square = 0.0
        for i, a in enumerate(known):
            row: list[float] = []
            for j, b in enumerate(known[:i]):
                both = sigma[i] * sigma[j]
                entry = self._cov[a].get(b, 0.0) / both if both > 0.0 else 0.0
                entry = min(max(entry, -1.0), 1.0)
                for k in range(j):
                    entry -= row[k] * lower[j][k]
                row.append(entry / lower[j][j])
            pivot, rest = 1.0 + self.ridge, z[i]
            for k in range(i):
                pivot -= row[k] * row[k]
                rest -= row[k] * solved[k]
            # It cannot be less, but for rounding and pairs that were missing at other times.
            row.append(sqrt(max(pivot, self.ridge, DIGITS)))
            lower.append(row)
            solved.append(rest / row[i])
            square += solved[i] * solved[i]
        return square

    def learn_one(self, x: Mapping[Hashable, float]) -> None:
        """Learn the values of a reading.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        values = usable(x)
        if not values:
            return
        self._distance = self.distance(values)
        self._readings += 1
        above = self._limit > 0 and self._distance > self._limit
        self._find_limit(above)
        self._learn_moments(values, GATED if above else 1.0)

    def _find_limit(self, above: bool) -> None:
        if self._limit > 0:
            self._limit = max(self._limit * (RAISE if above else LOWER), LEAST)
            return
        count = self._readings - self.grace
        if count > 0:
            step = log(max(self._distance, LEAST)) - self._log_mean
            self._log_mean += step / count
            self._log_spread += step * (log(max(self._distance, LEAST)) - self._log_mean)
        if self._readings >= self.warm_up:
            sigma = sqrt(self._log_spread / max(count, 1))
            self._limit = max(exp(self._log_mean + QUANTILE * sigma), LEAST)

    def _learn_moments(self, values: Mapping[Hashable, float], weight: float) -> None:
        names, steps, rates = list(values), [], []
        for name in names:
            if name not in self._weight:
                self._weight[name], self._mean[name], self._cov[name] = 0.0, 0.0, {name: 0.0}
            bound = LARGEST
            if self._weight[name] >= KNOWN and self._cov[name][name] > 0.0:
                bound = CLIP * sqrt(self._cov[name][name])
            self._weight[name] += weight
            steps.append(min(max(values[name] - self._mean[name], -bound), bound))
            rates.append(max(weight / self._weight[name], SLOWEST * weight))
        for i, a in enumerate(names):
            for j, b in enumerate(names[: i + 1]):
                rate = max(rates[i], rates[j])
                now = (1.0 - rate) * (self._cov[a].get(b, 0.0) + rate * (steps[i] * steps[j]))
                self._cov[a][b] = self._cov[b][a] = now
        for name, step, rate in zip(names, steps, rates, strict=True):
            self._mean[name] += rate * step


def usable(x: Mapping[Hashable, float]) -> dict[Hashable, float]:
    """What of a reading can be squared."""
    return {name: float(value) for name, value in x.items() if -LARGEST <= value <= LARGEST}
