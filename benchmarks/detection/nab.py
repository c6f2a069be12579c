"""The scoring of the Numenta Anomaly Benchmark, v1.1.

Of each file the first 15 % of the rows, at most 750, are not judged. Inside a labelled window the
earliest detection is worth the most, and only the best of a window counts; a window without one
costs. Outside, each detection costs, less shortly after a window. One threshold holds for all
files. 100 is every window hit at once without a false detection, 0 is never a detection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
PROFILES = {"standard": (1.0, 0.11), "low FP": (1.0, 0.22), "low FN": (2.0, 0.11)}
"""Profile -> what a missed window costs, and what a false detection does."""


@dataclass(frozen=True)
class File:
    """One series and its labels.

    Parameters
    ----------
    name
        `category/file`.
    rows
        How many.
    windows
        First and last row of each labelled window.
    """

    name: str
    rows: int
    windows: Sequence[tuple[int, int]]

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Of each row, whether it counts."""
        return np.arange(self.rows) >= ceil(min(int(0.15 * self.rows), 0.15 * 5000))

    @cached_property
    def window(self) -> NDArray[np.int64]:
        """Of each row, the number of its window; -1 outside."""
        out = np.full(self.rows, -1)
        for number, (first, last) in enumerate(self.windows):
            out[first : last + 1] = number
        return out

    @cached_property
    def worth(self) -> Values:
        """Of each row, what a detection there is worth: 0 to 1 in a window, -1 to 0 outside."""
        row = np.arange(self.rows, dtype=np.float64)
        out = np.full(self.rows, -1.0)
        ends = [first for first, _ in self.windows[1:]] + [self.rows]
        for (first, last), end in zip(self.windows, ends, strict=False):
            size = last - first + 1.0
            inside = slice(first, last + 1)
            out[inside] = _sigmoid((row[inside] - last - 1) / size) / _sigmoid(-1.0)
            if size > 1:
                after = slice(last + 1, end)
                away = (row[after] - last) / (size - 1.0)
                out[after] = np.where(away > 3, -1.0, _sigmoid(away))
        return out


def _sigmoid(y: Any) -> Any:
    return 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, 100.0))) - 1.0


@dataclass(frozen=True)
class Corpus:
    """Files that are judged together.

    >>> corpus = Corpus([File("a", 100, [(50, 59)])])
    >>> scores = np.zeros(100)
    >>> scores[50] = 1
    >>> round(corpus.score({"a": scores}, 0.5), 1)
    100.0
    >>> scores[20] = 1
    >>> round(corpus.score({"a": scores}, 0.5), 1)
    94.5
    >>> corpus.best({"a": scores}) == (corpus.score({"a": scores}, 1.0), 1.0)
    True
    """

    files: Sequence[File]

    def some(self, names: Collection[str]) -> Corpus:
        """Those of these names."""
        return Corpus([file for file in self.files if file.name in names])

    def score(self, scores: Mapping[str, Values], threshold: float, profile: str = "") -> float:
        """At a threshold, in points."""
        return points(self.by_file(scores, threshold, profile).sum(axis=0))

    def by_file(self, scores: Mapping[str, Values], threshold: float, profile: str = "") -> Values:
        """Of each file what was earned, what nothing earns and what all earns."""
        missed, false = PROFILES[profile or "standard"]
        out = np.zeros((len(self.files), 3))
        for number, file in enumerate(self.files):
            found = file.judged & (np.nan_to_num(scores[file.name]) >= threshold)
            earned = false * file.worth[found & (file.window < 0)].sum()
            judged = 0
            for window in range(len(file.windows)):
                inside = file.window == window
                if (inside & file.judged).any():
                    judged += 1
                    hit = file.worth[inside & found]
                    earned += hit.max() if hit.size else -missed
            out[number] = earned, -missed * judged, len(file.windows)
        return out

    def best(self, scores: Mapping[str, Values], profile: str = "") -> tuple[float, float]:
        """The most points that a threshold earns, and that threshold; infinity is never."""
        missed, false = PROFILES[profile or "standard"]
        parts = [np.nan_to_num(scores[file.name])[file.judged] for file in self.files]
        found = np.concatenate(parts)
        order = np.argsort(-found, kind="stable")
        window, worth = self._window[order], self._worth[order]
        earned = np.where(window < 0, false * worth, 0.0)
        inside = np.flatnonzero(window >= 0)
        inside = inside[np.argsort(window[inside], kind="stable")]
        edges = np.flatnonzero(np.diff(window[inside], prepend=-1, append=-1))
        for first, end in pairwise(edges.tolist()):
            # As the threshold falls a window is worth the best of what is above it.
            rows = inside[first:end]
            earned[rows] = np.diff(np.maximum.accumulate(worth[rows]), prepend=-missed)
        judged = max(len(edges) - 1, 0)
        total = np.cumsum(earned) - missed * judged
        last = np.flatnonzero(np.diff(found[order], append=-np.inf))
        at = last[int(np.argmax(total[last]))]
        if total[at] <= -missed * judged:
            return 0.0, float("inf")
        windows = sum(len(file.windows) for file in self.files)
        return points(np.array([total[at], -missed * judged, windows])), float(found[order][at])

    @cached_property
    def _worth(self) -> Values:
        return np.concatenate([file.worth[file.judged] for file in self.files])

    @cached_property
    def _window(self) -> NDArray[np.int64]:
        parts, before = [], 0
        for file in self.files:
            window = file.window[file.judged]
            parts.append(np.where(window < 0, -1, window + before))
            before += len(file.windows)
        return np.concatenate(parts)


def points(sums: Values) -> float:
    """What was earned, on the scale from nothing to all."""
    earned, nothing, all_ = sums
    return float(100 * (earned - nothing) / (all_ - nothing))
