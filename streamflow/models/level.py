"""Level: how unusual are the means of the last few values, by their own history?"""

from __future__ import annotations

from itertools import islice
from math import log10, sqrt

from streamflow.models.codebook import DIGITS

WINDOWS = (24, 48, 96, 192)
SLOWEST = 0.002
"""The least weight of a new mean in the mean and variance of the means."""
KNOWN, SETTLED = 30, 200
"""Means until there is a deviation; and until one mean counts no more than `CLIP` deviations."""
CLIP = 5.0
CHANGED = 10.0
"""The deviation of what was constant and has changed."""
BINS, PER_DECADE = 64, 16
"""Bins of the deviations, from 0.1 to 1000."""
FADE = 1 - 0.0005
"""What is left of a count after each reading."""
BOUND = 1e150
"""Beyond it squares may overflow."""


class Level:
    r"""The mean over windows $w$ of $-\log_{10} p_w$.

    With $y$ the mean of the last $w$ values, $z = |y - \mu| / \sigma$, where $\mu$ and $\sigma$ are
    exponentially weighted; $p_w$ is the share of the earlier $z$ that were as large, from a
    histogram that fades. Each window is thus measured by its own past, however the values depend
    on each other.
    """

    __slots__ = ("last", "mean", "readings", "tails", "variance")

    def __init__(self) -> None:
        self.readings = 0
        self.last: list[float] = []
        self.mean = [0.0] * len(WINDOWS)
        self.variance = [0.0] * len(WINDOWS)
        self.tails = [[0.0] * (BINS + 1) for _ in WINDOWS]

    def means(self, value: float) -> list[float]:
        """The mean of the last values, this one included, for each window that is full."""
        total, count, found = value, 1, []
        recent = reversed(self.last)
        for window in WINDOWS:
            if self.readings < window:
                break
            for one in islice(recent, window - count):
                total += one
            count = window
            found.append(total / window)
        return found

    def bin(self, k: int, mean: float) -> int:
        """The bin of the deviation of a mean."""
        away = abs(mean - self.mean[k])
        sigma = sqrt(self.variance[k])
        rounding = DIGITS * abs(self.mean[k])
        if self.readings - WINDOWS[k] < KNOWN or away <= rounding:
            return 0
        z = min(away / sigma, BOUND) if sigma > rounding else CHANGED
        return min(max(int((log10(z) + 1) * PER_DECADE), 0), BINS - 1)

    def surprise(self, value: float) -> float:
        """The mean of -log10 p, 0 or more."""
        total = 0.0
        for k, mean in enumerate(self.means(value)):
            tail, at = self.tails[k], self.bin(k, mean)
            total -= log10((0.5 * (tail[at] + tail[at + 1]) + 0.5) / (tail[0] + 1))
        return total / len(WINDOWS)

    def learn(self, value: float) -> None:
        """Learn the means that end with this value."""
        for k, mean in enumerate(self.means(value)):
            at = self.bin(k, mean)
            faded = [count * FADE for count in self.tails[k]]
            self.tails[k] = [count + 1 for count in faded[: at + 1]] + faded[at + 1 :]
            count = self.readings - WINDOWS[k] + 1
            weight = max(SLOWEST, 1 / count)
            bound = CLIP * sqrt(self.variance[k]) if count > SETTLED else BOUND
            step = min(max(mean - self.mean[k], -bound), bound)
            self.mean[k] += weight * step
            self.variance[k] = (1 - weight) * (self.variance[k] + weight * step * step)
        self.readings += 1
        self.last.append(value)
        del self.last[: -WINDOWS[-1]]
