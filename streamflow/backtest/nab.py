"""The score of the Numenta Anomaly Benchmark, for rows of any series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamflow.core.batch import Mask, Rows, Values


class Profile(NamedTuple):
    """What a found window, a missed one and a false detection count."""

    found: float
    missed: float
    false: float


PROFILES: Mapping[str, Profile] = {
    "standard": Profile(1.0, 1.0, 0.11),
    "low_fp": Profile(1.0, 1.0, 0.22),
    "low_fn": Profile(1.0, 2.0, 0.11),
}
_PROBATION, _LONGEST = 0.15, 5000
"""The first 15 % of a series, of at most 5,000 rows, are not judged."""


def _sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, 100.0))) - 1.0
    return out


_FIRST = _sigmoid(np.array(-1.0))
"""What a detection at the start of a window is worth before it is set to 1."""


@dataclass(frozen=True, eq=False)
class Series:
    """Rows in order of time, and the labelled windows among them.

    Parameters
    ----------
    size
        How many rows.
    windows
        First and last row of each window, in order, without overlap.
    """

    size: int
    windows: Sequence[tuple[int, int]]

    @property
    def probation(self) -> int:
        """So many rows at the start are not judged."""
        return int(np.ceil(min(np.floor(_PROBATION * self.size), _PROBATION * _LONGEST)))

    @cached_property
    def window(self) -> NDArray[np.int64]:
        """int64[size], the number of the window that a row lies in; -1 is none."""
        out = np.full(self.size, -1, np.int64)
        for number, (first, last) in enumerate(self.windows):
            out[first : last + 1] = number
        return out

    @cached_property
    def reward(self) -> Values:
        """float64[size], what a detection at a row counts.

        Inside a window 1 at its start, falling to 0 behind its end; outside from 0, right behind
        a window, to -1.
        """
        row = np.arange(self.size, dtype=np.float64)
        out = np.full(self.size, -1.0)
        edges = [*(first for first, _ in self.windows), self.size]
        for (first, last), until in zip(self.windows, edges[1:], strict=True):
            width = float(last - first + 1)
            inside, behind = slice(first, last + 1), slice(last + 1, until)
            out[inside] = _sigmoid((row[inside] - last - 1.0) / width) / _FIRST
            if width > 1:
                distance = (row[behind] - last) / (width - 1.0)
                out[behind] = np.where(distance > 3.0, -1.0, _sigmoid(distance))
        return out


class Best(NamedTuple):
    """A normalised score, and the threshold that gave it; inf is never."""

    score: float
    threshold: float


@dataclass(frozen=True, eq=False)
class Corpus:
    """Several series under one threshold, as NAB scores them.

    A window counts once, by its earliest detection. The sum is set between that of a detector
    which finds nothing, 0, and that of a perfect one, 100. Windows that end within the probation
    can neither be found nor missed, but a perfect detector has them.

    Examples
    --------
    >>> corpus = Corpus([Series(100, [(50, 59)])])
    >>> early, late = np.zeros(100), np.zeros(100)
    >>> early[50], late[59] = 1.0, 1.0
    >>> [round(corpus.at([score], 0.5)["standard"], 1) for score in (early, late)]
    [100.0, 62.4]

    References
    ----------
    Lavin, Ahmad: Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
    Benchmark. ICMLA 2015.
    """

    series: Sequence[Series]

    @cached_property
    def _judged(self) -> Sequence[Rows]:
        return [np.arange(one.probation, one.size) for one in self.series]

    @cached_property
    def _rows(self) -> tuple[NDArray[np.int64], Values, int]:
        """Of all judged rows the window, numbered through, and the reward; how many windows."""
        windows, rewards, before = [], [], 0
        for one, rows in zip(self.series, self._judged, strict=True):
            own = one.window[rows]
            windows.append(np.where(own >= 0, own + before, -1))
            rewards.append(one.reward[rows])
            before += len(one.windows)
        none: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        return np.concatenate(windows or none), np.concatenate(rewards or [np.empty(0)]), before

    @cached_property
    def _scoreable(self) -> int:
        """How many windows reach out of the probation."""
        window = self._rows[0]
        return len(np.unique(window[window >= 0]))

    def _flat(self, scores: Sequence[Values]) -> Values:
        parts = [score[rows] for score, rows in zip(scores, self._judged, strict=True)]
        flat = np.concatenate(parts or [np.empty(0)])
        return np.where(np.isnan(flat), -np.inf, flat)

    def best(self, scores: Sequence[Values]) -> dict[str, Best] | None:
        """profile -> the score with the threshold that is best for it, in hindsight.

        None if there is no window to find.
        """
        if not self._rows[2]:
            return None
        cuts, gain, penalty, found = self._sweep(self._flat(scores))
        out = {}
        for name, profile in PROFILES.items():
            lost = profile.missed * (self._scoreable - found)
            raw = np.append(self._null(name), profile.found * gain + profile.false * penalty - lost)
            at = int(np.argmax(raw))
            out[name] = Best(self._normal(raw[at], name), float(np.append(np.inf, cuts)[at]))
        return out

    def at(self, scores: Sequence[Values], threshold: float) -> dict[str, float] | None:
        """profile -> the score where everything from `threshold` up is a detection."""
        if not self._rows[2]:
            return None
        detected: Mask = self._flat(scores) >= threshold
        window, reward, count = self._rows
        inside = detected & (window >= 0)
        best = np.full(count, -np.inf)
        np.maximum.at(best, window[inside], reward[inside])
        gain, penalty = best[np.isfinite(best)].sum(), reward[detected & (window < 0)].sum()
        found = np.isfinite(best).sum()
        return {
            name: self._normal(
                profile.found * gain
                + profile.false * penalty
                - profile.missed * (self._scoreable - found),
                name,
            )
            for name, profile in PROFILES.items()
        }

    def _null(self, name: str) -> float:
        return -PROFILES[name].missed * self._scoreable

    def _normal(self, raw: float, name: str) -> float:
        null, perfect = self._null(name), PROFILES[name].found * self._rows[2]
        return float(100.0 * (raw - null) / (perfect - null))

    def _sweep(self, flat: Values) -> tuple[Values, Values, Values, Values]:
        """Every threshold there is, falling; the gain, the penalty and the windows found at it."""
        order = np.argsort(-flat, kind="stable")
        order = order[np.isfinite(flat[order])]
        cuts, window, reward = flat[order], self._rows[0][order], self._rows[1][order]
        # Within each window the best so far counts: sorted by window, the order of scores stays.
        inside = np.flatnonzero(window >= 0)
        inside = inside[np.argsort(window[inside], kind="stable")]
        gain, found = np.zeros(len(cuts)), np.zeros(len(cuts))
        edges = np.flatnonzero(np.diff(window[inside])) + 1
        for rows in np.split(inside, edges) if len(inside) else ():
            gain[rows] = np.diff(np.maximum.accumulate(reward[rows]), prepend=0.0)
            found[rows[0]] = 1.0
        last = np.append(cuts[1:] != cuts[:-1], True)[: len(cuts)]
        penalty = np.cumsum(np.where(window < 0, reward, 0.0))
        return cuts[last], np.cumsum(gain)[last], penalty[last], np.cumsum(found)[last]
