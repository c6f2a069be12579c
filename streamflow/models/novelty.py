"""Value novelty: has this sensor ever sent a value like this, and how long ago?"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Mapping
from math import log10
from typing import ClassVar

from river.base import AnomalyDetector

_CODEBOOK_SIZE = 2048  # values one codebook may hold
_FLOOR = 1e-3  # distances below a thousandth of the range count alike
_TICKS = 50  # evidence is rounded to 1/50, which bounds the stack of peaks
_HORIZON = 20_000  # readings after which the bar stops rising with age
_LARGEST = 1e300  # beyond it the difference of two values may overflow


class ValueNovelty(AnomalyDetector):
    r"""Novelty of a value, weighed by how long nothing as novel was seen.

    The evidence of a value $v$ is the mean over the resolutions $\varepsilon$ of

    $$\log_{10}(o_\varepsilon + 10^{-3}) + 3 \in [0, 3],$$

    where $o_\varepsilon \le 1$ is the distance from $v$ to the nearest value in that resolution's
    codebook, as a share of the sensor's range so far. A codebook retains $v$ if
    $o_\varepsilon > \varepsilon$. A reading's evidence $e$ is the largest among its sensors. With
    $R$ the return period, the number of readings since evidence of at least $0.9 e$ was learned
    (all of them and one if there was none), reading number $n$ scores

    $$\max(0, e + \gamma \log_{10} R - \tfrac{\gamma}{2} \log_{10} \tfrac{\min(n, 20000)}{1000}),$$

    and 0 if $e = 0$. For exchangeable evidence the last of $T$ readings is the most novel with
    probability $1/T$, so a limit on the score is a budget of alarms that each stream sets for
    itself: a noisy stream raises its own bar. The last term lets that budget grow as the square
    root of the stream's age.

    A sensor is scored once `warm_up` of its readings are learned. Until then it counts 0, but its
    novelty already enters the history that $R$ looks back on; so it is for a sensor that appears
    late. A sensor missing from a reading is neither scored nor learned.

    One reading can at most double a sensor's range, so a single absurd value does not blind the
    detector. Many do: set the sensor's limits upstream. A full codebook (2,048 values) is thinned
    to its resolution at the present range. A sensor therefore holds at most 2,048 numbers per
    resolution, and the history at most 151 entries, however long the stream.

    Scoring changes nothing, and a score depends only on its reading and those learned before.
    Values that are not numbers between -1e300 and 1e300 (NaN, infinities) are treated as missing,
    so every score is finite and no value can spoil the state.

    Parameters
    ----------
    resolutions
        Shares of a sensor's range at which values are told apart, one codebook each.
    rarity_weight
        Weight $\gamma$ of the return period, in units of evidence per factor of ten.
    warm_up
        Readings of a sensor that are learned before it is scored. After $n$ readings the next one
        of the same distribution lies outside the range of all of them with probability
        $2/(n + 1)$: below 1 % from 200 readings on.

    Attributes
    ----------
    ALERT_LIMIT
        A score above 4.5 is worth an alert. It asks for a return period of 16 readings at
        evidence 3 (a value as far away as the whole range), 100 at evidence 2 and 630 at
        evidence 1; from 20,000 readings on, of 71, 450 and 2,800. Chosen on the 58 series of the
        Numenta Anomaly Benchmark, where it scores 70.4 (standard), 62.7 (few false alarms) and
        75.1 (few misses); 4.3 to 4.7 comes within three points of that. Of the first 5,000
        readings of Gaussian noise 6 exceed it.

    Examples
    --------
    >>> import random
    >>> from streamflow.models.novelty import ValueNovelty

    >>> rng = random.Random(42)
    >>> detector = ValueNovelty()
    >>> for _ in range(1000):
    ...     detector.learn_one({"temperature": rng.gauss(20, 1)})

    >>> round(detector.score_one({"temperature": 20.1}), 2)
    0.72
    >>> round(detector.score_one({"temperature": 27.0}), 2)
    6.4
    >>> detector.score_one({"temperature": 27.0}) > detector.ALERT_LIMIT
    True

    References
    ----------
    Gumbel, E. J. (1941). The return period of flood flows. Annals of Mathematical Statistics
    12(2), 163-190.

    Chandler, K. N. (1952). The distribution and frequency of record values. Journal of the Royal
    Statistical Society B 14(2), 220-228.

    Lavin, A. and Ahmad, S. (2015). Evaluating real-time anomaly detection algorithms: the Numenta
    Anomaly Benchmark. IEEE 14th International Conference on Machine Learning and Applications.

    """

    ALERT_LIMIT: ClassVar[float] = 4.5

    def __init__(
        self,
        *,
        resolutions: tuple[float, ...] = (0.0025, 0.005, 0.01),
        rarity_weight: float = 1.25,
        warm_up: int = 200,
    ) -> None:
        self.resolutions = resolutions
        self.rarity_weight = rarity_weight
        self.warm_up = warm_up
        self._sensors: dict[Hashable, _Codebooks] = {}
        self._readings = 0
        # The readings whose evidence no later one has reached: evidence (in ticks, negated so
        # that bisect finds it ascending) and the number of the reading.
        self._peaks: list[int] = []
        self._peaks_at: list[int] = []

    def score_one(self, x: Mapping[Hashable, float]) -> float:
        """Return the score of a reading, 0 or more.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        ticks = 0
        for name, value in x.items():
            sensor = self._sensors.get(name)
            if sensor is None or sensor.readings < self.warm_up:
                continue
            if -_LARGEST <= value <= _LARGEST:
                ticks = max(ticks, _ticks(sensor.distances(float(value))))
        if ticks == 0:
            return 0.0
        at = bisect_right(self._peaks, -9 * ticks // 10) - 1
        period = self._readings - (self._peaks_at[at] if at >= 0 else -1)
        age = min(self._readings + 1, _HORIZON) / 1000
        return max(0.0, ticks / _TICKS + self.rarity_weight * log10(period * period / age) / 2)

    def learn_one(self, x: Mapping[Hashable, float]) -> None:
        """Learn the values of a reading.

        Parameters
        ----------
        x
            Sensor name -> value.

        """
        ticks = -1
        for name, value in x.items():
            if not -_LARGEST <= value <= _LARGEST:
                continue
            sensor = self._sensors.get(name)
            if sensor is None:
                self._sensors[name] = _Codebooks(float(value), self.resolutions)
                ticks = max(ticks, 0)
            else:
                distances = sensor.distances(float(value))
                ticks = max(ticks, _ticks(distances))
                sensor.learn(float(value), distances)
        if ticks < 0:
            return
        while self._peaks and self._peaks[-1] >= -ticks:
            self._peaks.pop()
            self._peaks_at.pop()
        self._peaks.append(-ticks)
        self._peaks_at.append(self._readings)
        self._readings += 1


class _Codebooks:
    """The values of one sensor, sorted, at each resolution."""

    __slots__ = ("books", "high", "low", "readings", "resolutions", "width")

    def __init__(self, first: float, resolutions: tuple[float, ...]) -> None:
        self.resolutions = resolutions
        self.books = [[first] for _ in resolutions]
        self.readings = 1
        self.low = self.high = first
        self.width = _width(first, first)

    def distances(self, value: float) -> list[float]:
        """Return the distance to the nearest retained value, per resolution, in ranges <= 1."""
        width = self.width
        found = []
        for book in self.books:
            at = bisect_left(book, value)
            if at == len(book):
                gap = value - book[-1]
            else:
                gap = book[at] - value
                if at and value - book[at - 1] < gap:
                    gap = value - book[at - 1]
            found.append(gap / width if gap < width else 1.0)
        return found

    def learn(self, value: float, distances: list[float]) -> None:
        """Retain the value where it is new, and widen the range."""
        for book, distance, resolution in zip(self.books, distances, self.resolutions, strict=True):
            if distance > resolution:
                if len(book) >= _CODEBOOK_SIZE:
                    _thin(book, resolution * self.width)
                if len(book) < _CODEBOOK_SIZE:
                    insort(book, value)
        self.readings += 1
        if self.low <= value <= self.high:
            return
        # While all values were equal there is no range that could double.
        step = self.width if self.low < self.high else 2 * _LARGEST
        self.low = min(self.low, max(value, self.low - step))
        self.high = max(self.high, min(value, self.high + step))
        self.width = _width(self.low, self.high)


def _ticks(distances: list[float]) -> int:
    product = 1.0
    for distance in distances:
        product *= distance + _FLOOR
    return int((log10(product) / len(distances) + 3) * _TICKS + 0.5)


def _width(low: float, high: float) -> float:
    # Below nine digits a change is rounding, not a signal; never 0, it divides.
    return max(high - low, 1e-9 * max(abs(low), abs(high)), 1e-300)


def _thin(book: list[float], step: float) -> None:
    kept = book[:1]
    for value in book:
        if value - kept[-1] > step:
            kept.append(value)
    book[:] = kept
